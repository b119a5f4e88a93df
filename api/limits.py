"""How often somebody may try: fixed windows, counted in this process, bounded in memory.

Each process counts for itself, so `n` processes allow `n` times as much; that still stops guessing.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ledger.core.errors import ConflictError

BUCKETS_MAX: Final = 50_000
"""About 10 MB. Beyond it the oldest bucket is forgotten: a flood of addresses must not fill memory."""


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
    # A person mistypes a few times; a guesser needs thousands.
    "login.account": Rate(count=10, seconds=900),
    "login.address": Rate(count=60, seconds=900),
    # An office behind one address registers a handful of organisations a day.
    "register.address": Rate(count=20, seconds=3600),
    # Two hundred requests a second; an outside system with more to say sends batches of 4096.
    "entries.account": Rate(count=12_000, seconds=60),
    # A proof is a few dozen look-ups; a verifier with many leaves reads the tiles instead.
    "proofs.address": Rate(count=1200, seconds=60),
    # A check of a large bundle costs seconds of a core.
    "verify.address": Rate(count=60, seconds=600),
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
class RateLimiter:
    """Counts attempts per (rule, who)."""

    rates: Mapping[str, Rate] = field(default_factory=lambda: RATES)
    _counts: OrderedDict[tuple[str, str], tuple[int, int]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def attempt(self, rule: str, *, who: str, at: datetime) -> None:
        """Count one attempt.

        Raises:
            RateLimitError: `rate.limited` with `retry_after_seconds`.
        """
        rate = self.rates[rule]
        now = int(at.timestamp())
        window = now - now % rate.seconds
        key = (rule, who)
        with self._lock:
            seen_window, count = self._counts.pop(key, (window, 0))
            if seen_window != window:
                count = 0
            self._counts[key] = (window, count + 1)
            while len(self._counts) > BUCKETS_MAX:
                self._counts.popitem(last=False)
        if count >= rate.count:
            raise RateLimitError(
                "too many attempts; wait and try again",
                rule=rule,
                retry_after_seconds=window + rate.seconds - now,
            )
