"""The time that one examination may take, known to every loop below it without being handed down.

`within` sets it for a block, `check` stops whoever is over it. What is raised is no `Exception`: the
readers of odd files catch those by the dozen and carry on, and a limit that can be caught by mistake is
none. Outside of `within` there is no limit and `check` costs next to nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_END: Final[ContextVar[float]] = ContextVar("fuqi_examination_end", default=math.inf)


class TimeIsUp(BaseException):
    """The examination took longer than it may; nothing more is known."""


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Let the block take so many seconds at most; an outer limit that ends earlier stays in force."""
    token = _END.set(min(_END.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _END.reset(token)


def check() -> None:
    """Stop here if the time is over.

    Raises:
        TimeIsUp: caught where the limit was set.
    """
    end = _END.get()
    if end is not math.inf and time.monotonic() > end:
        raise TimeIsUp


def end_of(seconds: int) -> float:
    """The moment, on the `time.monotonic` clock, at which a part with its own limit must be done."""
    return min(_END.get(), time.monotonic() + seconds)
