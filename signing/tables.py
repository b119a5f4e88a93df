"""Cross-reference tables that say two things of one object: readers differ in which one they believe.

A revision behind a signature may name an object twice, once at its old place and once at a hidden one. A
parser that takes the right row finds nothing changed; another reader shows what is hidden.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from signing import deadline

SECTIONS_MAX: Final = 100_000
"""Sections of one table; writers make one for each run of numbers."""
_SPACE: Final = rb"[\x00\t\n\x0c\r ]"
_TABLE: Final = re.compile(_SPACE + rb"*+xref" + _SPACE + rb"++")
_SECTION: Final = re.compile(rb"(\d{1,10}) ++(\d{1,8})" + _SPACE + rb"++")
_ROW: Final = re.compile(rb"\d{10} \d{5} [nf]" + _SPACE + rb"{1,3}+")
_END: Final = re.compile(rb"trailer")


def doubled_tables(reader: Any, data: bytes, *, start: int) -> list[int]:
    """Offsets, from `start` on, of tables that name an object twice or that cannot be read plainly."""
    found = []
    for revision in range(reader.xrefs.total_revisions):
        deadline.check()
        info = reader.xrefs.get_xref_container_info(revision)
        place = int(info.declared_startxref)
        if place < start:
            continue
        try:
            stream = info.stream_ref
            sections = (
                _in_table(data, place) if stream is None else _in_stream(reader, stream, revision)
            )
            if _overlap(sections):
                found.append(place)
        except (ValueError, KeyError, TypeError):
            found.append(place)
    return found


def _overlap(sections: Iterable[tuple[int, int]]) -> bool:
    # An empty section says nothing; the rest in the order of their numbers.
    held = sorted((first, first + count) for first, count in sections if count)
    return any(one[1] > other[0] for one, other in itertools.pairwise(held))


def _in_table(data: bytes, place: int) -> Iterator[tuple[int, int]]:
    """First number and count of each section of a table in text.

    Raises:
        ValueError: it is not written as tables are.
    """
    head = _TABLE.match(data, place)
    position = head.end() if head else -1
    for _section in range(SECTIONS_MAX):
        found = _SECTION.match(data, position) if position >= 0 else None
        if found is None:
            break
        first, count, position = int(found[1]), int(found[2]), found.end()
        yield first, count
        for _row in range(count):
            row = _ROW.match(data, position)
            if row is None:
                raise ValueError("no row of a table")
            position = row.end()
    if position < 0 or not _END.match(data, position):
        raise ValueError("no table")


def _in_stream(reader: Any, reference: Any, revision: int) -> list[tuple[int, int]]:
    stream = reader.get_object(reference, revision, never_decrypt=True)
    if "/Index" not in stream:
        return []
    numbers = [int(number) for number in stream["/Index"]]
    return list(zip(numbers[::2], numbers[1::2], strict=True))
