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

BYTES_MAX: Final = 104_857_600
"""100 MiB: larger files are refused before PDFium sees them."""
SIDE_MAX_PX: Final = 2400
"""Longest side of a picture: A4 at 200 dpi."""
SECONDS_MAX: Final = 20
"""Time for one page; real pages take well under one second."""
TEXT_MAX: Final = 200_000
"""Characters read from one page."""
LINES_MAX: Final = 5_000
"""Runs of text of one page; a page full of figures in small print has some thousand."""
_BYTES_PER_PIXEL: Final = 4
_FINE: Final = 100
"""Hundredths of a point, when boxes are turned."""
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
    """What a renderer makes of a page: its text and its pixels outside the masked boxes.

    Attributes:
        pixels: four bytes each, rows from the top, no padding.
        places: the asked boxes in pixels: left, top, right, bottom.
    """

    text: str
    width: int
    height: int
    pixels: bytes
    places: tuple[tuple[int, int, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class TextLine:
    """A run of text on one line, and where it stands on the upright page."""

    box: Box
    text: str


class Document:
    """A PDF opened with PDFium; use as a context manager.

    Args:
        size: read only so many bytes from the start, without a copy: an earlier revision.

    Raises:
        LimitError: `render.too_large`.
        InputError: `render.encrypted`, `render.broken`.
    """

    def __init__(self, data: bytes, *, size: int | None = None) -> None:
        if len(data) > BYTES_MAX:
            raise LimitError("the file is too large", code="render.too_large", limit=BYTES_MAX)
        self._data = data
        self._size = len(data) if size is None else min(size, len(data))
        self._open: Any = None

    def __enter__(self) -> Self:
        with _LOCK, _translated():
            self._open = self._load()
            # Signature boxes are form widgets: without a form environment they stay invisible.
            self._open.init_forms()
        return self

    def __exit__(self, *_exc: object) -> None:
        with _LOCK:
            self._open.close()

    def _load(self) -> Any:
        if self._size == len(self._data):
            return pypdfium2.PdfDocument(self._data)
        # PDFium reads from our bytes; `self._data` keeps them alive as long as the document.
        raw = pdfium.FPDF_LoadMemDocument64(self._data, self._size, None)
        if not raw:
            locked = pdfium.FPDF_GetLastError() == pdfium.FPDF_ERR_PASSWORD
            raise pypdfium2.PdfiumError("password" if locked else "format")
        return pypdfium2.PdfDocument(raw)

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

    def view(
        self,
        page: int,
        *,
        side_px: int,
        masks: Sequence[Box],
        deadline: float,
        boxes: Sequence[Box] = (),
    ) -> PageView:
        """Text and pixels of a page, the masked boxes painted over.

        Args:
            page: 0-based.
            side_px: longest side of the picture in pixels.
            masks: boxes of any page; those of other pages are ignored.
            boxes: boxes of this page whose `places` are wanted.
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
            painted = [box for box in masks if box.page == page]
            width, height, pixels = _draw(
                handle, side_px, form=self._open.formenv, deadline=deadline, masks=painted
            )
            places = tuple(_device_box(handle.raw, box, width, height) for box in boxes)
        return PageView(text=text, width=width, height=height, pixels=pixels, places=places)

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

    def find(self, text: str, *, at_most: int, deadline: float) -> tuple[Box, ...]:
        """Where `text` stands, in order of reading, on pages as a reader sees them.

        Boxes count from the lower left corner of the upright page, in points; a text over several
        lines has the box around its first part.

        Raises:
            UnavailableError: `render.too_slow`.
            InputError: `render.broken`.
        """
        found: list[Box] = []
        for number in range(self.page_count()):
            with _LOCK, _translated(), self._page(number) as handle:
                found += _occurrences(handle, number, text, at_most=at_most - len(found))
            if len(found) >= at_most:
                break
            if time.monotonic() > deadline:
                raise UnavailableError("the text takes too long to search", code="render.too_slow")
        return tuple(found)

    def characters(self, page: int) -> str:
        """The text of a page as `boxes_of` counts its characters.

        Raises:
            InputError: `render.broken`.
        """
        with _LOCK, _translated(), self._page(page) as handle, _text_of(handle) as text_page:
            return _characters(text_page)[0]

    def boxes_of(self, page: int, *, first: int, last: int) -> tuple[Box, ...]:
        """A box for each line of `characters(page)[first : last + 1]`; boxes as in `find`.

        Raises:
            InputError: `render.broken`.
        """
        with _LOCK, _translated(), self._page(page) as handle, _text_of(handle) as text_page:
            places = _characters(text_page)[1]
            count = text_page.count_rects(places[first], places[last] - places[first] + 1)
            boxes = [Box(page, *text_page.get_rect(number)) for number in range(count)]
            return tuple(_upright_box(handle, box) for box in boxes)

    def text_in(self, box: Box) -> str:
        """The text of the page's own content inside a box in user space; not that of annotations.

        Raises:
            InputError: `render.broken`.
        """
        return self.texts_in(box.page, [box])[0]

    def texts_in(self, page: int, boxes: Sequence[Box]) -> tuple[str, ...]:
        """As `text_in`, for several boxes of one page.

        Raises:
            InputError: `render.broken`.
        """
        if not boxes:
            return ()
        with _LOCK, _translated(), self._page(page) as handle, _text_of(handle) as text_page:
            return tuple(
                str(text_page.get_text_bounded(one.left, one.bottom, one.right, one.top))[:TEXT_MAX]
                for one in boxes
            )

    def text_shown(self, box: Box) -> str:
        """As `text_in`, for a box that counts from the lower left corner of the upright page.

        Raises:
            InputError: `render.broken`.
        """
        with _LOCK, _translated(), self._page(box.page) as handle:
            left, bottom, right, top = _own_box(handle, box)
            with _text_of(handle) as text_page:
                return str(text_page.get_text_bounded(left, bottom, right, top))[:TEXT_MAX]

    def lines(self, page: int) -> tuple[TextLine, ...]:
        """The runs of text of a page, those of annotations left out; at most `LINES_MAX`.

        Raises:
            InputError: `render.broken`.
        """
        with _LOCK, _translated(), self._page(page) as handle, _text_of(handle) as text_page:
            found = []
            for number in range(min(text_page.count_rects(), LINES_MAX)):
                place = text_page.get_rect(number)
                text = str(text_page.get_text_bounded(*place))[:TEXT_MAX]
                found.append(TextLine(_upright_box(handle, Box(page, *place)), text))
            return tuple(found)

    @contextlib.contextmanager
    def _page(self, page: int) -> Iterator[Any]:
        if not 0 <= page < len(self._open):
            raise NotFoundError("there is no such page", code="render.no_such_page", page=page)
        handle = self._open[page]
        try:
            yield handle
        finally:
            handle.close()


def deadline(seconds: int = SECONDS_MAX) -> float:
    """So many seconds from now, on the clock that `Document.view` asks."""
    return time.monotonic() + seconds


def past(moment: float) -> bool:
    """Whether a deadline is over."""
    return time.monotonic() > moment


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
def _text_of(handle: Any) -> Iterator[Any]:
    text_page = handle.get_textpage()
    try:
        yield text_page
    finally:
        text_page.close()


def _occurrences(handle: Any, page: int, text: str, *, at_most: int) -> list[Box]:
    """Boxes of the first occurrences on one page."""
    found: list[Box] = []
    with _text_of(handle) as text_page:
        shown, places = _characters(text_page)
        start = shown.find(text)
        while start >= 0 and len(found) < at_most:
            first, last = places[start], places[start + len(text) - 1]
            if text_page.count_rects(first, last - first + 1) >= 1:
                left, bottom, right, top = text_page.get_rect(0)
                found.append(_upright_box(handle, Box(page, left, bottom, right, top)))
            start = shown.find(text, start + len(text))
    return found


def _characters(text_page: Any) -> tuple[str, list[int]]:
    """The text, and PDFium's index of each of its characters.

    PDFium's own search finds nothing beyond U+FFFF, where the rare characters of names are.
    """
    count = min(max(text_page.count_chars(), 0), TEXT_MAX)
    codes = [int(pdfium.FPDFText_GetUnicode(text_page.raw, index)) for index in range(count)]
    shown: list[str] = []
    places: list[int] = []
    for index, code in enumerate(codes):
        if 0xDC00 <= code < 0xE000 and shown and 0xD800 <= codes[index - 1] < 0xDC00:
            shown[-1] = chr(0x10000 + ((codes[index - 1] - 0xD800) << 10) + (code - 0xDC00))
        elif code and code <= 0x10FFFF:
            shown.append(chr(code))
            places.append(index)
    return "".join(shown), places


def _upright_box(handle: Any, box: Box) -> Box:
    """From the page's own space to the page as a reader sees it, by PDFium's own turning."""
    width, height = handle.get_size()
    wide, high = max(1, round(width * _FINE)), max(1, round(height * _FINE))
    corners = []
    for x, y in ((box.left, box.bottom), (box.right, box.top)):
        device_x, device_y = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDF_PageToDevice(
            handle.raw, 0, 0, wide, high, 0, x, y, ctypes.byref(device_x), ctypes.byref(device_y)
        )
        corners.append((device_x.value / _FINE, height - device_y.value / _FINE))
    (x1, y1), (x2, y2) = corners
    return Box(box.page, min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))


def _own_box(handle: Any, box: Box) -> tuple[float, float, float, float]:
    """The reverse of `_upright_box`: left, bottom, right, top in the page's own space."""
    width, height = handle.get_size()
    wide, high = max(1, round(width * _FINE)), max(1, round(height * _FINE))
    corners = []
    for x, y in ((box.left, box.bottom), (box.right, box.top)):
        own_x, own_y = ctypes.c_double(), ctypes.c_double()
        device = round(x * _FINE), round((height - y) * _FINE)
        pdfium.FPDF_DeviceToPage(
            handle.raw, 0, 0, wide, high, 0, *device, ctypes.byref(own_x), ctypes.byref(own_y)
        )
        corners.append((own_x.value, own_y.value))
    (x1, y1), (x2, y2) = corners
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


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
