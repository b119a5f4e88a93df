"""Page-edge seals (骑缝章): one seal cut into slices, a slice on the right edge of every page.

Fanned out, the pages show the whole seal. A slice below two millimetres shows nothing, so a long document
carries several: its pages are shared out evenly among as few seals as keep to `PAGES_PER_SEAL`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Final

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.reader import PdfFileReader

from ledger.core.errors import InputError
from signing.page_space import numbers, shown_size, turn_of, upright
from signing.pdf_reading import inherited, visible_box

PAGES_PER_SEAL: Final = 20
"""A seal of 40 mm gives slices of two millimetres."""
NAME: Final = "/FuqiEdge"
_DICTIONARY: Final[Any] = generic.DictionaryObject


@dataclass(frozen=True, slots=True)
class Slice:
    """Which part of which seal a page shows: slice `index` of `count`, from the left, 0-based."""

    seal: int
    index: int
    count: int


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


def draw_edge(writer: Any, picture: bytes, *, pages: int) -> None:
    """Draw a slice of the one-page PDF `picture` on the right edge of every page.

    The picture is written once and shown through a different window on each page.

    Raises:
        InputError: `seal.edge_page_small`: a page is smaller than the seal.
    """
    overlay = PdfFileReader(io.BytesIO(picture))
    drawn = writer.import_page_as_xobject(overlay)
    x1, y1, x2, y2 = (float(number) for number in drawn.get_object()["/BBox"])
    size = (abs(x2 - x1), abs(y2 - y1))
    for number, piece in enumerate(slices(pages)):
        _draw_slice(writer, number, piece, drawn=drawn, size=size)


def _draw_slice(
    writer: Any, number: int, piece: Slice, *, drawn: Any, size: tuple[float, float]
) -> None:
    reference = writer.find_page_for_modification(number)[0]
    page = reference.get_object()
    shown = shown_size(page)
    if shown[0] < size[0] or shown[1] < size[1]:
        raise InputError(f"page {number + 1} is smaller than the seal", code="seal.edge_page_small")
    matrix = upright(turn_of(page), visible_box(page))
    wide = size[0] / piece.count
    window = (shown[0] - wide, (shown[1] - size[1]) / 2, wide, size[1])
    place = (1, 0, 0, 1, window[0] - wide * piece.index, window[1])
    content = f" Q q {numbers(matrix)} cm {numbers(window)} re W n {numbers(place)} cm {NAME} Do Q"
    _append(writer, page, content)
    resources = _DICTIONARY(_raw_items(inherited(page, "/Resources")))
    objects = _DICTIONARY(_raw_items(resources.get("/XObject")))
    objects[pdf_name(NAME)] = drawn
    resources[pdf_name("/XObject")] = objects
    page[pdf_name("/Resources")] = resources
    writer.mark_update(reference)


def _append(writer: Any, page: Any, content: str) -> None:
    """Behind what is there, whose graphics state is put back first."""
    old = page["/Contents"] if "/Contents" in page else generic.ArrayObject()
    parts = (
        [list.__getitem__(old, n) for n in range(len(old))]
        if isinstance(old, list)
        else [page.raw_get("/Contents")]
    )
    before = writer.add_object(generic.StreamObject(stream_data=b"q "))
    after = writer.add_object(generic.StreamObject(stream_data=content.encode("ascii")))
    page[pdf_name("/Contents")] = generic.ArrayObject([before, *parts, after])


def _raw_items(value: Any) -> dict[Any, Any]:
    """The entries of a dictionary with references left as they are."""
    item = value.get_object() if hasattr(value, "get_object") else value
    return {key: dict.__getitem__(item, key) for key in item} if isinstance(item, dict) else {}
