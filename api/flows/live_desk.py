"""Living classes that this process holds in memory; what counts is stored, losing these costs milliseconds."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from matching.incremental.live_round import LiveRound


@dataclass(frozen=True, slots=True)
class Held:
    """A class as it stood when `version` was committed."""

    version: int
    live: LiveRound


@dataclass(slots=True)
class LiveDesk:
    """Whoever decides takes a class out and puts it back after the commit: what failed is never there again.

    Attributes:
        lock: held around a whole decision, so that threads of one process wait here and not in the database.
        questions: what-if questions that may be solved at once; each takes a core.
    """

    lock: threading.RLock = field(default_factory=threading.RLock)
    questions: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1))
    _held: dict[str, Held] = field(default_factory=dict)

    def take(self, item_class: str) -> Held | None:
        """The class, which is then not here any more."""
        return self._held.pop(item_class, None)

    def put(self, item_class: str, held: Held) -> None:
        """After the commit. The catalogue bounds how many there are."""
        self._held[item_class] = held
