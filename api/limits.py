"""How often somebody may try: fixed windows, counted for every process of the installation together.

The counts stand in the database (`ledger.attempts`): with several servers the limits are what they say.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ledger.attempts import Attempts
from ledger.core.errors import ConflictError

BUCKETS_MAX: Final = 50_000
"""About 10 MB. Beyond it the oldest bucket is forgotten: a flood of addresses must not fill memory."""
WHO_CHARACTERS: Final = 64


class RateLimitError(ConflictError):
    """Too many attempts in this window; `context['retry_after_seconds']` says when to come back."""

    code = "rate.limited"
    retryable = True


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` attempts per `seconds`."""

    count: int
    seconds: int


RATES: Final[Mapping[str, Rate]] = {
    # A person mistypes a few times; a guesser needs thousands. Of one account from one address, so that a
    # stranger who knows a login name locks nobody out of it.
    "login.account": Rate(count=10, seconds=900),
    # From all addresses together: ten of them at work at once are no person.
    "login.everywhere": Rate(count=100, seconds=900),
    "login.address": Rate(count=60, seconds=900),
    # An office behind one address registers a handful of organisations a day.
    "register.address": Rate(count=20, seconds=3600),
    # Two hundred requests a second; an outside system with more to say sends batches of 4096.
    "entries.account": Rate(count=12_000, seconds=60),
    # A proof is a few dozen look-ups; a verifier with many leaves reads the tiles instead.
    "proofs.address": Rate(count=1200, seconds=60),
    # A check of a large bundle costs seconds of a core.
    "verify.address": Rate(count=60, seconds=600),
    # The day's limit of a hospital stands in the policy; this one bounds what refusals cost.
    "urgent.account": Rate(count=60, seconds=3600),
    # Each question solves the market again: a core's second or more.
    "what_if.account": Rate(count=60, seconds=600),
    # A validator asks once per certificate; an answer without a nonce costs nothing twice.
    "pki.address": Rate(count=1200, seconds=60),
    # Each stamp takes a serial number for ever; a party's own needs are a few an hour.
    "stamp.address": Rate(count=120, seconds=60),
    # A person tries a few ways in an hour; each look-up costs money at somebody else's.
    "identity.account": Rate(count=60, seconds=3600),
    # A service answers each question once; the mark of the shared secret is checked before anything else.
    "callback.address": Rate(count=1200, seconds=60),
    # Blocking a key is done once; guessing whose key is whose is not helped by more.
    "lost.account": Rate(count=20, seconds=3600),
}


@dataclass(slots=True)
class LocalAttempts:
    """Counts in this process alone: for an app without a database, as tests make it."""

    _counts: OrderedDict[tuple[str, str], tuple[int, int]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, rule: str, who: str, *, window_end: int, now: int) -> int:
        """As `ledger.attempts.Attempts.count`."""
        del now
        with self._lock:
            seen, tries = self._counts.pop((rule, who), (window_end, 0))
            tries = tries + 1 if seen == window_end else 1
            self._counts[rule, who] = (window_end, tries)
            while len(self._counts) > BUCKETS_MAX:
                self._counts.popitem(last=False)
        return tries

    def close(self) -> None:
        """Nothing is held open."""


@dataclass(slots=True)
class RateLimiter:
    """Refuses attempts beyond a rule's rate.

    Attributes:
        attempts: counts for every process together.
        digest: hides who tried from whoever reads the counts.
    """

    rates: Mapping[str, Rate] = field(default_factory=lambda: RATES)
    attempts: Attempts = field(default_factory=LocalAttempts)
    digest: Callable[[str], str] = str
    _closed: OrderedDict[tuple[str, str], int] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def attempt(self, rule: str, *, who: str, at: datetime) -> None:
        """Count one attempt.

        Raises:
            RateLimitError: `rate.limited` with `retry_after_seconds`.
            UnavailableError: `database.busy`, `database.unavailable`: what cannot be counted is not let in.
        """
        rate = self.rates[rule]
        now = int(at.timestamp())
        end = now - now % rate.seconds + rate.seconds
        key = (rule, self.digest(f"{rule}/{who}")[:WHO_CHARACTERS])
        # Somebody refused stays refused until the window ends: a flood then asks no database.
        with self._lock:
            refused = self._closed.get(key) == end
        if not refused and self.attempts.count(*key, window_end=end, now=now) > rate.count:
            refused = True
            with self._lock:
                self._closed[key] = end
                while len(self._closed) > BUCKETS_MAX:
                    self._closed.popitem(last=False)
        if refused:
            raise RateLimitError(
                "too many attempts; wait and try again",
                rule=rule,
                retry_after_seconds=end - now,
            )
