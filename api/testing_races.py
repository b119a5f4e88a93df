"""Two that act at the same moment, in an order a test chooses.

Nothing here is used by the running application.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, text

from ledger.core.errors import FuqiError

DONE: Final = "done"
WAIT_SECONDS: Final = 20.0
"""Past this a test hangs: nothing here takes a second."""
SQLITE_PAUSE_SECONDS: Final = 0.05
"""SQLite does not tell who waits for its one writer."""
_POLL_SECONDS: Final = 0.005
_WAITING: Final = text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the first of two stops: a function of a module, before or after it did its work."""

    module: Any
    name: str
    after: bool = False


def at_once(calls: Sequence[Callable[[], object]]) -> list[str]:
    """What each was told (`done` or its code) of those that start together, without a second try."""
    start, said = threading.Barrier(len(calls)), [""] * len(calls)

    def run(number: int, call: Callable[[], object]) -> None:
        start.wait(WAIT_SECONDS)
        said[number] = told(call)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(WAIT_SECONDS)
    return said


def overtaken(
    engine: Engine, first: Callable[[], object], second: Callable[[], object], *, place: Place
) -> list[str]:
    """What both were told when the second acts while the first stands at `place`.

    The first goes on once the second is through or waits for a lock of the database: that is what decides
    whether two steps take turns.
    """
    reached, go = threading.Event(), threading.Event()
    said = ["", ""]

    def run(number: int, call: Callable[[], object]) -> None:
        said[number] = told(call)

    one = threading.Thread(target=run, args=(0, first))
    other = threading.Thread(target=run, args=(1, second))
    with _stopping(place, one, reached=reached, go=go):
        one.start()
        until = time.monotonic() + WAIT_SECONDS
        while one.is_alive() and not reached.wait(_POLL_SECONDS) and time.monotonic() < until:
            pass
        assert reached.is_set(), f"the first never came to {place.name}: {said[0]}"
        other.start()
        _until_settled(engine, other)
        go.set()
        one.join(WAIT_SECONDS)
        other.join(WAIT_SECONDS)
    assert not one.is_alive(), "the first hangs"
    assert not other.is_alive(), "the second hangs"
    return said


def told(call: Callable[[], object]) -> str:
    """`done`, or the code of the refusal."""
    try:
        call()
    except FuqiError as exc:
        return exc.error_code
    return DONE


@contextmanager
def _stopping(
    place: Place, thread: threading.Thread, *, reached: threading.Event, go: threading.Event
) -> Iterator[None]:
    original = getattr(place.module, place.name)

    def stopping(*arguments: Any, **named: Any) -> Any:
        mine = threading.current_thread() is thread and not reached.is_set()
        result = original(*arguments, **named) if place.after or not mine else None
        if mine:
            reached.set()
            assert go.wait(WAIT_SECONDS), "nobody let the first go on"
        return result if place.after or not mine else original(*arguments, **named)

    setattr(place.module, place.name, stopping)
    try:
        yield
    finally:
        go.set()
        setattr(place.module, place.name, original)


def _until_settled(engine: Engine, other: threading.Thread) -> None:
    """Until a thread has ended or its session waits for another's lock."""
    if engine.dialect.name != "postgresql":
        other.join(SQLITE_PAUSE_SECONDS)
        return
    until = time.monotonic() + WAIT_SECONDS
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while other.is_alive() and time.monotonic() < until:
            if connection.execute(_WAITING).scalar_one():
                return
            other.join(_POLL_SECONDS)
