"""Where a passage stands in a document: found whatever its line breaks, and over the end of a page."""

from __future__ import annotations

import bisect
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.core.errors import UnavailableError
from signing import render

PAGES_MAX: Final = 1_000
PIECE_MIN: Final = 8
"""Characters of a passage that must stand on a page for it to be taken for its beginning there."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a passage: its page (0-based) and its box in thousandths of the upright page.

    Attributes:
        left, top, right, bottom: from the upper left corner, as a picture of the page is measured.
    """

    page: int
    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class _Page:
    """A page's characters without white space, and where each stands in its text."""

    dense: str
    places: tuple[int, ...]


def find_passages(data: bytes, texts: Sequence[str]) -> tuple[tuple[Line, ...], ...]:
    """The lines of each text's first occurrence, white space aside; () where it does not stand.

    Raises:
        LimitError, InputError, UnavailableError: `render.*`.
    """
    with render.Document(data) as document:
        count = min(document.page_count(), PAGES_MAX)
        sizes = document.page_sizes(at_most=count)
        deadline = render.deadline()
        pages = []
        for number in range(count):
            pages.append(_dense(document.characters(number)))
            if time.monotonic() > deadline:
                raise UnavailableError("the text takes too long to search", code="render.too_slow")
        found = []
        for text in texts:
            spans = _spans("".join(text.split()), pages)
            lines: list[Line] = []
            for page, first, last in spans:
                for box in document.boxes_of(page, first=first, last=last):
                    _join(lines, _line(box, sizes[page]))
            found.append(tuple(lines))
        return tuple(found)


def find_clauses(data: bytes, texts: Sequence[str]) -> tuple[tuple[Line, ...], ...]:
    """As `find_passages`; a text of several lines may also stand in several pieces, numbers between them.

    Raises:
        LimitError, InputError, UnavailableError: `render.*`.
    """
    pieces = [[line for line in text.splitlines() if line.strip()] for text in texts]
    found = iter(find_passages(data, [*texts, *(one for own in pieces for one in own)]))
    wholes = [next(found) for _ in texts]
    result = []
    for whole, own in zip(wholes, pieces, strict=True):
        parts = [next(found) for _ in own]
        apart = tuple(line for part in parts for line in part) if parts and all(parts) else ()
        result.append(whole or apart)
    return tuple(result)


def _dense(text: str) -> _Page:
    kept = tuple(number for number, char in enumerate(text) if not char.isspace() and char > " ")
    return _Page("".join(text[number] for number in kept), kept)


def _spans(wanted: str, pages: Sequence[_Page]) -> list[tuple[int, int, int]]:
    """Page, first and last character of each piece; [] where the text does not stand."""
    if not wanted:
        return []
    for number, page in enumerate(pages):
        start = page.dense.find(wanted)
        if start >= 0:
            return [(number, page.places[start], page.places[start + len(wanted) - 1])]
    for number in range(len(pages) - 1):
        begun = _beginning(wanted, pages[number].dense)
        rest = wanted[begun:]
        after = pages[number + 1]
        start = after.dense.find(rest) if begun >= PIECE_MIN and rest else -1
        if start >= 0:
            own = pages[number]
            first = own.dense.rfind(wanted[:begun])
            return [
                (number, own.places[first], own.places[first + begun - 1]),
                (number + 1, after.places[start], after.places[start + len(rest) - 1]),
            ]
    return []


def _beginning(wanted: str, dense: str) -> int:
    """How many of the first characters stand on the page together: if so many do, fewer do too."""
    sizes = range(1, len(wanted) + 1)
    return bisect.bisect_left(sizes, 1, key=lambda size: int(wanted[:size] not in dense))


def _join(lines: list[Line], line: Line) -> None:
    """PDFium makes a box for each change of font; what stands on one line is one box here."""
    last = lines[-1] if lines else None
    if last is None or last.page != line.page or line.top >= (last.top + last.bottom) // 2:
        lines.append(line)
        return
    lines[-1] = Line(
        line.page,
        min(last.left, line.left),
        min(last.top, line.top),
        max(last.right, line.right),
        max(last.bottom, line.bottom),
    )


def _line(box: render.Box, size: tuple[int, int]) -> Line:
    width, height = size
    return Line(
        page=box.page,
        left=_thousandths(box.left, width),
        top=_thousandths(height - box.top, height),
        right=_thousandths(box.right, width),
        bottom=_thousandths(height - box.bottom, height),
    )


def _thousandths(value: float, whole: int) -> int:
    return min(1000, max(0, round(value * 1000 / max(1, whole))))
