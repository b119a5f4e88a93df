"""Where page-edge seals (骑缝章) run: a band for each signature field, decided before anybody signs.

A band is a strip along the right or the left edge of every page, at one share of the page's height.
Bands lie over no other band, no form field and no figures, and over no text where that can be helped, so that
what any signer draws there later hides nothing that others agreed to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

from ledger.core.errors import UnavailableError
from signing import render
from signing.appearance import FieldSpec
from signing.covered import has_figures
from signing.page_space import shown_box, shown_size
from signing.pdf_reading import form_of, open_reader, pages_of

PAGES_PER_SEAL: Final = 20
"""A seal of 40 mm gives slices of two millimetres."""
SIZE: Final = 128
"""Points, 45 mm: a usual seal in its true size; a larger one is drawn smaller."""
SIZE_MIN: Final = 57
"""Points, 20 mm: below, nothing on a seal can be read."""
BOXES_MAX: Final = 6_000
"""Boxes of all bands of a file: twelve signers on 500 pages. Each adds some 250 bytes to it."""
SECONDS_MAX: Final = 20
"""Time to look through the text of all pages."""
_WHOLE: Final = 1_000
_STEP: Final = 20
"""Thousandths of the page's height from one place that is tried to the next."""
_GAP: Final = 2
"""Points kept free around text and boxes: renderers round."""
_Span: TypeAlias = tuple[float, float]


class Side(StrEnum):
    """The edge along which a band runs."""

    RIGHT = "right"
    LEFT = "left"


class EdgeChoice(StrEnum):
    """Where the sender wants page-edge seals: where there is room, along one edge alone, or nowhere."""

    AUTO = "auto"
    RIGHT = "right"
    LEFT = "left"
    NONE = "none"

    @property
    def sides(self) -> tuple[Side, ...]:
        """The edges that may be used, the better one first."""
        return {
            EdgeChoice.AUTO: (Side.RIGHT, Side.LEFT),
            EdgeChoice.RIGHT: (Side.RIGHT,),
            EdgeChoice.LEFT: (Side.LEFT,),
            EdgeChoice.NONE: (),
        }[self]


@dataclass(frozen=True, slots=True)
class Slice:
    """Which part of which seal a page shows: slice `index` of `count`, from the left, 0-based."""

    seal: int
    index: int
    count: int


@dataclass(frozen=True, slots=True)
class EdgeTrack:
    """The band of one signature field.

    Attributes:
        signature: the field whose signer may fill it.
        middle: of the band, in thousandths of the page's height from its lower edge.
        size: height of the box on every page in points; the seal fits a square of this side.
    """

    signature: str
    side: Side
    middle: int
    size: int


@dataclass
class _Taken:
    """Heights of one page, on one side, where a band may not or had better not run; in points."""

    high: float
    boxes: list[_Span]
    figures: list[_Span]
    texts: list[_Span]


def slices(pages: int) -> tuple[Slice, ...]:
    """The slice of each page; one page alone shows the whole seal.

    Sizes of neighbouring seals differ by one page at most, so that none is left with a single slice.
    """
    assert pages >= 1
    seals = -(-pages // PAGES_PER_SEAL)
    small, larger = divmod(pages, seals)
    return tuple(
        Slice(seal, index, count)
        for seal, count in enumerate([small + 1] * larger + [small] * (seals - larger))
        for index in range(count)
    )


def box_on(track: EdgeTrack, piece: Slice, *, wide: float, high: float) -> render.Box:
    """The box of a slice on an upright page of this size, in points from its lower left corner."""
    width = track.size / piece.count
    left = wide - width if track.side is Side.RIGHT else 0.0
    bottom = _bottom(track.middle, track.size, high)
    return render.Box(0, left, bottom, left + width, bottom + track.size)


def plan_edges(
    data: bytes,
    *,
    fields: Sequence[FieldSpec],
    wanted: Sequence[str],
    choice: EdgeChoice = EdgeChoice.AUTO,
) -> tuple[EdgeTrack, ...]:
    """A band for each of `wanted` for which there is room, in this order.

    The right edge comes first, from the middle outwards, then the left one. A field that is missing in
    the answer found no room: signers beyond that many sign without a seal across the edges.

    Args:
        fields: signature fields that are about to be placed.
        wanted: names of fields; earlier ones get the better places.
        choice: of the sender; `NONE` keeps no room for anybody.

    Raises:
        InputError, LimitError: `pdf.broken`, `pdf.encrypted`, `render.*`.
        UnavailableError: `render.too_slow`.
    """
    if not choice.sides:
        return ()
    reader, _strict = open_reader(data)
    pages = pages_of(reader)
    sizes = [shown_size(page) for page in pages]
    low = min((high for _wide, high in sizes), default=0.0)
    narrow = min((wide for wide, _high in sizes), default=0.0)
    size = math.floor(min(SIZE, low * 0.9, narrow / 2))
    room = BOXES_MAX // max(1, len(pages))
    if size < SIZE_MIN or not wanted or not room:
        return ()
    boxes = _boxes_of(reader, pages, fields)
    taken = _taken(data, pieces=slices(len(pages)), size=size, sizes=sizes, boxes=boxes)
    share = math.ceil(size * _WHOLE / low)
    found: list[EdgeTrack] = []
    for name in wanted[:room]:
        free = _free(name, found, taken, sides=choice.sides, size=size, share=share)
        track = next(free, None)
        if track is None:
            break
        found.append(track)
    return tuple(found)


def _free(
    name: str,
    found: Sequence[EdgeTrack],
    taken: Mapping[Side, Sequence[_Taken]],
    *,
    sides: Sequence[Side],
    size: int,
    share: int,
) -> Iterator[EdgeTrack]:
    """Bands that are free, those over no text at all first."""
    half = -(-share // 2)
    # As many as there is room for, side by side around the middle; then places in between.
    count = max(1, _WHOLE // share)
    first = (_WHOLE - count * share) // 2 + half
    rows = [first + number * share for number in range(count)]
    between = range(half, _WHOLE - half + 1, _STEP)
    from_middle = [
        sorted(n, key=lambda one: (abs(one - _WHOLE // 2), -one)) for n in (rows, between)
    ]
    middles = [*from_middle[0], *from_middle[1]]
    for over_text in (False, True):
        for side in sides:
            own = [one.middle for one in found if one.side is side]
            for middle in middles:
                if any(abs(middle - other) < share for other in own):
                    continue
                if all(_is_free(page, middle, size, over_text) for page in taken[side]):
                    yield EdgeTrack(name, side, middle, size)


def _is_free(page: _Taken, middle: int, size: int, over_text: bool) -> bool:  # noqa: FBT001 - hot
    bottom = _bottom(middle, size, page.high)
    spans = [*page.boxes, *page.figures, *(() if over_text else page.texts)]
    return not any(low < bottom + size and bottom < high for low, high in spans)


def _bottom(middle: int, size: int, high: float) -> float:
    return min(max(middle * high / _WHOLE - size / 2, 0.0), high - size)


def _boxes_of(
    reader: Any, pages: Sequence[Any], fields: Sequence[FieldSpec]
) -> dict[int, list[render.Box]]:
    """Page -> boxes of form fields there, those about to be placed among them, on the upright page."""
    found: dict[int, list[render.Box]] = {}
    for one in form_of(reader).boxes.values():
        found.setdefault(one.page, []).append(shown_box(pages[one.page], one))
    for spec in fields:
        box = render.Box(spec.page, spec.x, spec.y, spec.x + spec.width, spec.y + spec.height)
        found.setdefault(spec.page, []).append(box)
    return found


def _taken(
    data: bytes,
    *,
    pieces: Sequence[Slice],
    size: int,
    sizes: Sequence[tuple[float, float]],
    boxes: Mapping[int, Sequence[render.Box]],
) -> dict[Side, list[_Taken]]:
    """What stands in the two strips of each page."""
    found: dict[Side, list[_Taken]] = {side: [] for side in Side}
    with render.Document(data) as document:
        end = render.deadline(SECONDS_MAX)
        for number, (wide, high) in enumerate(sizes):
            if render.past(end):
                raise UnavailableError("the text takes too long to read", code="render.too_slow")
            width = size / pieces[number].count
            lines = document.lines(number)
            for side in Side:
                left = wide - width if side is Side.RIGHT else 0.0
                strip = (left - _GAP, left + width + _GAP)
                held = [text for text in lines if _within(text.box, strip)]
                found[side].append(
                    _Taken(
                        high,
                        boxes=[_span(one) for one in boxes.get(number, ()) if _within(one, strip)],
                        figures=[_span(one.box) for one in held if has_figures(one.text)],
                        texts=[_span(one.box) for one in held],
                    )
                )
    return found


def _within(box: render.Box, strip: _Span) -> bool:
    return box.left < strip[1] and strip[0] < box.right


def _span(box: render.Box) -> _Span:
    return box.bottom - _GAP, box.top + _GAP
