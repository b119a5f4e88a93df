"""Marks uploaded PDFs as a demonstration, on every page and before any signature."""

from __future__ import annotations

import io
from typing import Any, Final

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader

from ledger.core.errors import ConflictError
from signing import changes
from signing.appearance import demo_page
from signing.pdf_reading import form_of, inherited, open_reader, translated, visible_box

_DICTIONARY: Final[Any] = generic.DictionaryObject


def stamp_demo_mark(data: bytes) -> bytes:
    """Mark every page as a demonstration, as an incremental update; before any signature.

    Raises:
        ConflictError: `pdf.already_signed`.
        InputError: `pdf.broken`, `pdf.encrypted`.
        UnavailableError: `font.not_found`.
    """
    if changes.byte_ranges(data):
        raise ConflictError(
            "a signed file cannot be marked: the mark would break its signatures",
            code="pdf.already_signed",
        )
    with translated():
        writer: Any = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
        pages = form_of(open_reader(data)[0]).pages
        stamps: dict[tuple[int, int], Any] = {}
        for index in range(pages):
            _stamp_page(writer, index, stamps)
        buffer = io.BytesIO()
        writer.write(buffer)
        return buffer.getvalue()


def _stamp_page(writer: Any, index: int, stamps: dict[tuple[int, int], Any]) -> None:
    """Draw the mark over what is there, upright however the page is turned."""
    reference = writer.find_page_for_modification(index)[0]
    page = reference.get_object()
    left, bottom, right, top = visible_box(page)
    turn = int(inherited(page, "/Rotate") or 0) % 360
    width, height = max(1, round(right - left)), max(1, round(top - bottom))
    size = (height, width) if turn in {90, 270} else (width, height)
    if size not in stamps:
        overlay = PdfFileReader(io.BytesIO(demo_page(width=size[0], height=size[1])))
        stamps[size] = writer.import_page_as_xobject(overlay)
    matrix = {
        0: (1, 0, 0, 1, left, bottom),
        90: (0, 1, -1, 0, right, bottom),
        180: (-1, 0, 0, -1, right, top),
        270: (0, -1, 1, 0, left, top),
    }.get(turn, (1, 0, 0, 1, left, bottom))
    numbers = " ".join(f"{number:g}" for number in matrix)
    name = f"/FuqiDemo{index}"
    old = page["/Contents"] if "/Contents" in page else generic.ArrayObject()
    parts = (
        [list.__getitem__(old, n) for n in range(len(old))]
        if isinstance(old, list)
        else [page.raw_get("/Contents")]
    )
    before = writer.add_object(generic.StreamObject(stream_data=b"q "))
    after = writer.add_object(
        generic.StreamObject(stream_data=f" Q q {numbers} cm {name} Do Q".encode("ascii"))
    )
    page[pdf_name("/Contents")] = generic.ArrayObject([before, *parts, after])
    resources = _DICTIONARY(_raw_items(inherited(page, "/Resources")))
    objects = _DICTIONARY(_raw_items(resources.get("/XObject")))
    objects[pdf_name(name)] = stamps[size]
    resources[pdf_name("/XObject")] = objects
    page[pdf_name("/Resources")] = resources
    writer.mark_update(reference)


def _raw_items(value: Any) -> dict[Any, Any]:
    """The entries of a dictionary with references left as they are."""
    item = value.get_object() if hasattr(value, "get_object") else value
    return {key: dict.__getitem__(item, key) for key in item} if isinstance(item, dict) else {}
