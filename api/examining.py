"""The children of this process that examine files from outside, started when first needed."""

from __future__ import annotations

from functools import cache
from typing import Final

from arbitration.examining import Examiner

AT_ONCE: Final = 2
"""A check holds a core and several copies of the file in memory."""


@cache
def examiner() -> Examiner:
    """The one of this process; its children end with it."""
    return Examiner(workers=AT_ONCE)
