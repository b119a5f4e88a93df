"""Where signature fields go: beside a text in the document, or where a person dragged them.

All places are on pages as a reader sees them, upright, in whole points from the lower left corner.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ledger.core.errors import InputError, LimitError
from signing import render
from signing.appearance import FieldSpec
from signing.covered import has_figures, overlap
from signing.page_space import shown_box
from signing.pdf_reading import form_of, open_reader, pages_of

ANCHOR_CHARS_MAX: Final = 60
NTH_MAX: Final = 200
"""Occurrences of one text that are counted."""
ANCHORS_MAX: Final = 50
OFFSET_MAX: Final = 2_000
"""Points; the longest side of A1 is 2 384."""
SIDE_MIN: Final = 20
SIDE_MAX: Final = 1_000
GAP: Final = 6
"""Points between the anchor's text and the box beside it."""
LIFT: Final = 12
"""Points from one height that is tried for a row of boxes to the next: less than a line of text."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A box beside a text.

    Attributes:
        text: as it stands in the document, letter case included.
        nth: which occurrence, from 1; -1 for the last.
        dx, dy: from the place right of the text, centred on its line, to where the box goes.
    """

    text: str
    nth: int = 1
    dx: int = 0
    dy: int = 0
    width: int = 180
    height: int = 90


@dataclass(frozen=True, slots=True)
class Spot:
    """A box that a person put somewhere."""

    page: int
    x: int
    y: int
    width: int
    height: int


def place_boxes(data: bytes, places: Sequence[Anchor | Spot]) -> tuple[FieldSpec, ...]:
    """The fields `party1`, `party2`, … at these places, in order.

    Raises:
        InputError: `placement.anchor`, `placement.anchor_missing`, `placement.outside`,
            `placement.size`, `placement.overlap`; `render.*`.
        LimitError: `placement.too_many`.
        UnavailableError: `render.too_slow`.
    """
    if len(places) > ANCHORS_MAX:
        raise LimitError("too many fields", code="placement.too_many", limit=ANCHORS_MAX)
    with render.Document(data) as document:
        sizes = document.page_sizes(at_most=document.page_count())
        deadline = render.deadline()
        spots = [
            _beside(document, one, deadline=deadline) if isinstance(one, Anchor) else one
            for one in places
        ]
    for number, spot in enumerate(spots, start=1):
        _require_inside(spot, sizes, number=number)
    for (n, one), (m, other) in itertools.combinations(enumerate(spots, start=1), 2):
        if _overlap(one, other):
            raise InputError(
                f"the boxes {n} and {m} lie over each other",
                code="placement.overlap",
                first=n,
                second=m,
            )
    return tuple(
        FieldSpec(f"party{number}", one.page, one.x, one.y, one.width, one.height)
        for number, one in enumerate(spots, start=1)
    )


def require_clear(data: bytes, fields: Sequence[FieldSpec]) -> None:
    """Refuse boxes over figures or over fields of the form.

    Whoever signs second would be refused for hiding them (`pdf.visual`, reason `covered`), when nobody can move
    a box any more. A box over other text may stay: it hides nothing that counts, and all saw it there.

    Args:
        data: the document before these fields are placed, its text fields in it.

    Raises:
        InputError: `placement.covered`; `pdf.broken`, `pdf.encrypted`, `render.*`.
    """
    taken = _fields_of(data)
    with render.Document(data) as document:
        for number, one in enumerate(fields, start=1):
            box = _box_of(one)
            over = "field" if any(overlap(box, other) for other in taken) else ""
            if not over and has_figures(document.text_shown(box)):
                over = "figures"
            if over:
                what = {"field": "a form field", "figures": "figures"}[over]
                raise InputError(
                    f"box {number} ({one.name}) on page {one.page + 1} lies over {what}, which the seal or"
                    " signature would hide: move the box or make it smaller",
                    code="placement.covered",
                    box=number,
                    field=one.name,
                    page=one.page + 1,
                    over=over,
                )


def lifted(data: bytes, row: Sequence[FieldSpec]) -> tuple[FieldSpec, ...]:
    """A row of boxes at the lowest height where it lies over no text and no field of the form.

    Where there is none: the lowest height over no figures and no field; failing that too, the row as it is.

    Args:
        row: boxes of one page, at the lowest height that is wanted.

    Raises:
        InputError: `pdf.broken`, `pdf.encrypted`, `render.*`.
    """
    if not row:
        return ()
    page = row[0].page
    with render.Document(data) as document:
        _wide, high = document.page_sizes(at_most=page + 1)[page]
        lines = document.lines(page)
    fields = [one for one in _fields_of(data) if one.page == page]
    figures = [*fields, *(one.box for one in lines if has_figures(one.text))]
    texts = [*fields, *(one.box for one in lines)]
    top = max(one.y + one.height for one in row)
    for taken in (texts, figures):
        for up in range(0, max(0, high - GAP - top) + 1, LIFT):
            found = tuple(replace(one, y=one.y + up) for one in row)
            if not any(overlap(_box_of(one), other) for one in found for other in taken):
                return found
    return tuple(row)


def _box_of(one: FieldSpec) -> render.Box:
    return render.Box(one.page, one.x, one.y, one.x + one.width, one.y + one.height)


def _fields_of(data: bytes) -> list[render.Box]:
    """Boxes of form fields, on upright pages."""
    reader, _strict = open_reader(data)
    pages = pages_of(reader)
    return [shown_box(pages[one.page], one) for one in form_of(reader).boxes.values()]


def _beside(document: render.Document, anchor: Anchor, *, deadline: float) -> Spot:
    text = anchor.text.strip()
    if (
        not 1 <= len(text) <= ANCHOR_CHARS_MAX
        or not (anchor.nth == -1 or 1 <= anchor.nth <= NTH_MAX)
        or max(abs(anchor.dx), abs(anchor.dy)) > OFFSET_MAX
    ):
        raise InputError(
            f"an anchor is a text of 1 to {ANCHOR_CHARS_MAX} characters, and which occurrence of it",
            code="placement.anchor",
        )
    wanted = NTH_MAX if anchor.nth == -1 else anchor.nth
    found = document.find(text, at_most=wanted, deadline=deadline)
    if len(found) < (1 if anchor.nth == -1 else anchor.nth):
        raise InputError(
            f"the anchor's text stands {len(found)} times in the document, not {max(anchor.nth, 1)}:"
            " check its spelling, or whether the page is a picture without text",
            code="placement.anchor_missing",
            found=len(found),
            nth=anchor.nth,
        )
    box = found[anchor.nth - 1] if anchor.nth > 0 else found[-1]
    middle = (box.bottom + box.top) / 2
    return Spot(
        page=box.page,
        x=round(box.right) + GAP + anchor.dx,
        y=round(middle - anchor.height / 2) + anchor.dy,
        width=anchor.width,
        height=anchor.height,
    )


def _require_inside(spot: Spot, sizes: Sequence[tuple[int, int]], *, number: int) -> None:
    if not (SIDE_MIN <= spot.width <= SIDE_MAX and SIDE_MIN <= spot.height <= SIDE_MAX):
        raise InputError(
            f"box {number}: sides of {SIDE_MIN} to {SIDE_MAX} points", code="placement.size"
        )
    if not 0 <= spot.page < len(sizes):
        raise InputError(
            f"box {number}: there is no page {spot.page + 1}", code="placement.outside", box=number
        )
    width, height = sizes[spot.page]
    if spot.x < 0 or spot.y < 0 or spot.x + spot.width > width or spot.y + spot.height > height:
        raise InputError(
            f"box {number} reaches beyond page {spot.page + 1} ({width} x {height} points):"
            " move it or make it smaller",
            code="placement.outside",
            box=number,
        )


def _overlap(one: Spot, other: Spot) -> bool:
    return (
        one.page == other.page
        and one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )
