"""Keeps the interpreter's recursion limit where a deep input raises instead of killing the process."""

from __future__ import annotations

import sys
from typing import Final

RECURSION_LIMIT: Final = 2_000
"""Twice Python's default. web3's and py-evm's dependencies set 100 000 on import, at which json's C parser
overflows the C stack on a few kilobytes of brackets (CPython 3.11): one request would end the server."""


def cap_recursion() -> None:
    """Lower the limit again after importing such a library; call it at the foot of the imports."""
    if sys.getrecursionlimit() > RECURSION_LIMIT:
        sys.setrecursionlimit(RECURSION_LIMIT)
