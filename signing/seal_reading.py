"""Finds seal objects in the bytes of a signed PDF, without any PDF parser.

A seal object counts where it stands in the very object that holds a signature's /ByteRange, inside the
bytes which that signature covers. Anywhere else it is decoration.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from signing.changes import ByteRange

SEAL_KEY: Final = "/FUQI_Seal"
HEX_MAX: Final = 2 * 512 * 1024
"""As `signing.seal_object.OBJECT_BYTES_MAX`, in hex digits."""
_SEAL: Final = re.compile(rb"/FUQI_Seal[\x00\t\n\x0c\r ]*<([0-9A-Fa-f]*)>")
_BEFORE_MAX: Final = 4 * 1024 * 1024 + 2 * HEX_MAX
"""How far before and behind its /ByteRange a signature dictionary reaches."""


def seals_in(data: bytes, ranges: Sequence[ByteRange]) -> dict[tuple[int, ...], tuple[bytes, ...]]:
    """Numbers of a byte range -> the seal objects in its signature dictionary, in order.

    One is what our files have; several contradict each other and are all handed on.
    """
    found: dict[tuple[int, ...], tuple[bytes, ...]] = {}
    for one in ranges:
        if not one.numbers or len(one.numbers) != 4 or not one.contents:
            continue
        start, end = _object_around(data, one)
        gap_start, gap_end = one.numbers[1], one.numbers[2]
        held = tuple(
            bytes.fromhex(match.group(1).decode("ascii"))
            for match in _SEAL.finditer(data, start, end)
            if len(match.group(1)) % 2 == 0
            and len(match.group(1)) <= HEX_MAX
            and (match.end() <= gap_start or match.start() >= gap_end)
            and match.end() <= one.end
        )
        if held:
            found[one.numbers] = held
    return found


def _object_around(data: bytes, one: ByteRange) -> tuple[int, int]:
    """From the `obj` before the signature value and its /ByteRange to the `endobj` behind both."""
    first = min(one.position, one.numbers[1])
    last = max(one.position, one.numbers[2])
    floor = max(0, first - _BEFORE_MAX)
    # `endobj` of the object before ends in the same letters: a bound that is just as good.
    start = max(data.rfind(b"obj", floor, first), floor)
    end = data.find(b"endobj", last, last + _BEFORE_MAX)
    return start, end if end >= 0 else one.end
