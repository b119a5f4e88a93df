"""PDF pages as pictures and text, through PDFium, with bounds on size and time.

PDFium is the second parser of the project: what it counts, reads and draws is held against what
pyHanko reads. It is not thread-safe, so one lock guards every call.
"""

from __future__ import annotations

import contextlib
import ctypes
import struct
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import pypdfium2
import pypdfium2.raw as pdfium

from ledger.core.errors import InputError, LimitError, NotFoundError, UnavailableError

BYTES_MAX: Final = 64 * 1024 * 1024
"""Larger files are refused before PDFium sees them."""
SIDE_MAX_PX: Final = 2400
"""Longest side of a picture: A4 at 200 dpi."""
SECONDS_MAX: Final = 20
"""Time for one page; real pages take well under one second."""
TEXT_MAX: Final = 200_000
"""Characters read from one page."""
_BYTES_PER_PIXEL: Final = 4
_FLAGS: Final = pdfium.FPDF_ANNOT | pdfium.FPDF_REVERSE_BYTE_ORDER
_LOCK: Final = threading.RLock()


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a page in PDF user space: left, bottom, right, top in points."""

    page: int
    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True, slots=True)
class PageView:
    """What PDFium makes of a page: its text and its pixels outside the masked boxes."""

    text: str
    width: int
    height: int
    pixels: bytes


class Document:
    """A PDF opened with PDFium; use as a context manager.

    Raises:
        LimitError: `render.too_large`.
        InputError: `render.encrypted`, `render.broken`.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) > BYTES_MAX:
            raise LimitError("the file is too large", code="render.too_large", limit=BYTES_MAX)
        self._data = data
        self._open: Any = None

    def __enter__(self) -> Self:
        with _LOCK, _translated():
            self._open = pypdfium2.PdfDocument(self._data)
            # Signature boxes are form widgets: without a form environment they stay invisible.
            self._open.init_forms()
        return self

    def __exit__(self, *_exc: object) -> None:
        with _LOCK:
            self._open.close()

    def page_count(self) -> int:
        """Number of pages."""
        with _LOCK:
            return len(self._open)

    def page_sizes(self, *, at_most: int) -> tuple[tuple[int, int], ...]:
        """Width and height of the first pages in whole points."""
        with _LOCK, _translated():
            found = []
            for index in range(min(len(self._open), at_most)):
                width, height = self._open.get_page_size(index)
                found.append((round(width), round(height)))
            return tuple(found)

    def view(self, page: int, *, side_px: int, masks: Sequence[Box], deadline: float) -> PageView:
        """Text and pixels of a page, the masked boxes painted over.

        Args:
            page: 0-based.
            side_px: longest side of the picture in pixels.
            masks: boxes of any page; those of other pages are ignored.
            deadline: on the `time.monotonic` clock.

        Raises:
            UnavailableError: `render.too_slow`.
            InputError: `render.broken`.
        """
        with _LOCK, _translated(), self._page(page) as handle:
            text_page = handle.get_textpage()
            try:
                count = min(max(text_page.count_chars(), 0), TEXT_MAX)
                text = text_page.get_text_range(0, count) if count else ""
            finally:
                text_page.close()
            boxes = [box for box in masks if box.page == page]
            width, height, pixels = _draw(
                handle, side_px, form=self._open.formenv, deadline=deadline, masks=boxes
            )
        return PageView(text=text, width=width, height=height, pixels=pixels)

    def png(self, page: int, *, side_px: int) -> bytes:
        """The page as a PNG, at most `SIDE_MAX_PX` on its longest side.

        Raises:
            NotFoundError: `render.no_such_page`.
            UnavailableError: `render.too_slow`.
            InputError: `render.broken`.
        """
        deadline = time.monotonic() + SECONDS_MAX
        with _LOCK, _translated(), self._page(page) as handle:
            width, height, pixels = _draw(
                handle,
                min(side_px, SIDE_MAX_PX),
                form=self._open.formenv,
                deadline=deadline,
                masks=(),
            )
        return _png(width, height, pixels)

    @contextlib.contextmanager
    def _page(self, page: int) -> Iterator[Any]:
        if not 0 <= page < len(self._open):
            raise NotFoundError("there is no such page", code="render.no_such_page", page=page)
        handle = self._open[page]
        try:
            yield handle
        finally:
            handle.close()


def page_png(data: bytes, *, page: int, side_px: int = 1400) -> bytes:
    """Page `page` (0-based) of a PDF as PNG bytes.

    Raises:
        LimitError, InputError, NotFoundError, UnavailableError: `render.*`.
    """
    with Document(data) as document:
        return document.png(page, side_px=side_px)


def page_count(data: bytes) -> int:
    """Number of pages as PDFium counts them.

    Raises:
        LimitError, InputError: `render.too_large`, `render.encrypted`, `render.broken`.
    """
    with Document(data) as document:
        return document.page_count()


def page_texts(data: bytes, *, pages_max: int = 200) -> tuple[str, ...]:
    """The text of each page, in order, of at most `pages_max` pages.

    Raises:
        LimitError, InputError, UnavailableError: `render.*`.
    """
    deadline = time.monotonic() + SECONDS_MAX
    with Document(data) as document:
        count = min(document.page_count(), pages_max)
        return tuple(
            document.view(n, side_px=8, masks=(), deadline=deadline).text for n in range(count)
        )


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except pypdfium2.PdfiumError as exc:
        if "password" in str(exc).lower() or "security" in str(exc).lower():
            raise InputError("the PDF is encrypted", code="render.encrypted") from exc
        raise InputError("PDFium cannot read this PDF", code="render.broken") from exc


def _draw(
    handle: Any, side_px: int, *, form: Any, deadline: float, masks: Sequence[Box]
) -> tuple[int, int, bytes]:
    """Progressive rendering, so that a page made to be slow is given up and not waited for."""
    width_pt, height_pt = handle.get_size()
    longest = max(width_pt, height_pt, 1.0)
    width = max(1, min(side_px, round(width_pt * side_px / longest)))
    height = max(1, min(side_px, round(height_pt * side_px / longest)))
    bitmap = pdfium.FPDFBitmap_CreateEx(width, height, pdfium.FPDFBitmap_BGRx, None, 0)
    if not bitmap:
        raise UnavailableError("no memory for the page", code="render.no_memory")
    try:
        pdfium.FPDFBitmap_FillRect(bitmap, 0, 0, width, height, 0xFFFFFFFF)
        _render_within(bitmap, handle.raw, width, height, deadline)
        if form is not None:
            pdfium.FPDF_FFLDraw(form.raw, bitmap, handle.raw, 0, 0, width, height, 0, _FLAGS)
        for box in masks:
            left, top, right, bottom = _device_box(handle.raw, box, width, height)
            pdfium.FPDFBitmap_FillRect(bitmap, left, top, right - left, bottom - top, 0xFF000000)
        stride = pdfium.FPDFBitmap_GetStride(bitmap)
        buffer = pdfium.FPDFBitmap_GetBuffer(bitmap)
        raw = ctypes.string_at(buffer, stride * height)
    finally:
        pdfium.FPDFBitmap_Destroy(bitmap)
    row = width * _BYTES_PER_PIXEL
    if stride != row:
        raw = b"".join(raw[y * stride : y * stride + row] for y in range(height))
    return width, height, raw


def _render_within(bitmap: Any, page: Any, width: int, height: int, deadline: float) -> None:
    pause_type = pdfium.IFSDK_PAUSE
    callback_type: Any = dict(pause_type._fields_)["NeedToPauseNow"]
    pause = pause_type()
    pause.version = 1
    pause.NeedToPauseNow = callback_type(lambda _self: int(time.monotonic() > deadline))
    try:
        status = pdfium.FPDF_RenderPageBitmap_Start(
            bitmap, page, 0, 0, width, height, 0, _FLAGS, ctypes.byref(pause)
        )
        if status == pdfium.FPDF_RENDER_TOBECONTINUED:
            raise UnavailableError("the page takes too long to draw", code="render.too_slow")
        if status != pdfium.FPDF_RENDER_DONE:
            raise InputError("PDFium cannot draw this page", code="render.broken")
    finally:
        pdfium.FPDF_RenderPage_Close(page)


def _device_box(page: Any, box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """The box in pixels, grown by two on each side for rounding and anti-aliasing."""
    corners = []
    for x, y in ((box.left, box.bottom), (box.right, box.top)):
        device_x, device_y = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDF_PageToDevice(
            page, 0, 0, width, height, 0, x, y, ctypes.byref(device_x), ctypes.byref(device_y)
        )
        corners.append((device_x.value, device_y.value))
    (x1, y1), (x2, y2) = corners
    left, right = max(0, min(x1, x2) - 2), min(width, max(x1, x2) + 2)
    top, bottom = max(0, min(y1, y2) - 2), min(height, max(y1, y2) + 2)
    return left, top, max(left, right), max(top, bottom)


def _png(width: int, height: int, pixels: bytes) -> bytes:
    """Encode RGBx pixels as an RGB PNG. Source: W3C PNG, third edition."""
    rgb = bytearray(width * height * 3)
    for channel in range(3):
        rgb[channel::3] = pixels[channel::_BYTES_PER_PIXEL]
    row = width * 3
    lines = b"".join(b"\x00" + bytes(rgb[y * row : (y + 1) * row]) for y in range(height))
    chunks: Mapping[bytes, bytes] = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0),
        b"IDAT": zlib.compress(lines, 6),
        b"IEND": b"",
    }
    out = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks.items():
        out += struct.pack(">I", len(body)) + kind + body
        out += struct.pack(">I", zlib.crc32(kind + body))
    return out
