"""A second renderer beside PDFium: poppler, through its C interface, where it is installed.

The two share no code, so what one can be made to show without the other is seen. Poppler is a tool of
the system (`libpoppler-glib8`); where it is absent the report says so and PDFium stands alone.
"""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from typing import Any, Final, Self

from ledger.core.errors import InputError, UnavailableError
from signing.render import PageView

LIBRARIES: Final = (
    "libpoppler-glib.so.8",
    "libcairo.so.2",
    "libgobject-2.0.so.0",
    "libglib-2.0.so.0",
)
NAME: Final = "poppler"
SIDE_PX: Final = 700
"""About 60 dpi on A4; PDFium draws the same page finer."""
_RGB24: Final = 1
_BYTES_PER_PIXEL: Final = 4
_POINTER: Final = ctypes.c_void_p
_LOCK: Final = threading.RLock()


@cache
def library() -> Any:
    """The functions used here, or None where poppler is not installed."""
    try:
        poppler, cairo, gobject, glib = (ctypes.CDLL(name) for name in LIBRARIES)
    except OSError:
        return None
    signatures: tuple[tuple[Any, str, Any, list[Any]], ...] = (
        (
            poppler,
            "poppler_document_new_from_data",
            _POINTER,
            [ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(_POINTER)],
        ),
        (poppler, "poppler_document_get_n_pages", ctypes.c_int, [_POINTER]),
        (poppler, "poppler_document_get_page", _POINTER, [_POINTER, ctypes.c_int]),
        (
            poppler,
            "poppler_page_get_size",
            None,
            [_POINTER, ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_double)],
        ),
        (poppler, "poppler_page_render", None, [_POINTER, _POINTER]),
        (poppler, "poppler_get_version", ctypes.c_char_p, []),
        (cairo, "cairo_image_surface_create", _POINTER, [ctypes.c_int] * 3),
        (cairo, "cairo_image_surface_get_data", _POINTER, [_POINTER]),
        (cairo, "cairo_image_surface_get_stride", ctypes.c_int, [_POINTER]),
        (cairo, "cairo_surface_status", ctypes.c_int, [_POINTER]),
        (cairo, "cairo_surface_flush", None, [_POINTER]),
        (cairo, "cairo_surface_destroy", None, [_POINTER]),
        (cairo, "cairo_create", _POINTER, [_POINTER]),
        (cairo, "cairo_destroy", None, [_POINTER]),
        (cairo, "cairo_scale", None, [_POINTER, ctypes.c_double, ctypes.c_double]),
        (cairo, "cairo_set_source_rgb", None, [_POINTER, *[ctypes.c_double] * 3]),
        (cairo, "cairo_paint", None, [_POINTER]),
        (gobject, "g_object_unref", None, [_POINTER]),
        (glib, "g_clear_error", None, [ctypes.POINTER(_POINTER)]),
    )
    found: dict[str, Any] = {}
    for source, name, result, arguments in signatures:
        function = getattr(source, name)
        function.restype, function.argtypes = result, arguments
        found[name] = function
    return found


def version() -> str:
    """`poppler 22.12.0`; "" where it is absent."""
    found = library()
    return "" if found is None else f"{NAME} {found['poppler_get_version']().decode('ascii')}"


class SecondDocument:
    """A PDF opened with poppler; use as a context manager.

    Args:
        size: read only so many bytes from the start, without a copy.

    Raises:
        UnavailableError: `render.second_absent`.
        InputError: `render.broken`.
    """

    def __init__(self, data: bytes, *, size: int | None = None) -> None:
        found = library()
        if found is None:
            raise UnavailableError("poppler is not installed", code="render.second_absent")
        self._call: dict[str, Any] = found
        self._data = data
        self._size = len(data) if size is None else min(size, len(data))
        self._open: int | None = None

    def __enter__(self) -> Self:
        error = _POINTER()
        with _LOCK:
            self._open = self._call["poppler_document_new_from_data"](
                self._data, self._size, None, ctypes.byref(error)
            )
            if not self._open:
                self._call["g_clear_error"](ctypes.byref(error))
                raise InputError("poppler cannot read this PDF", code="render.broken")
        return self

    def __exit__(self, *_exc: object) -> None:
        with _LOCK:
            if self._open:
                self._call["g_object_unref"](self._open)
                self._open = None

    def page_count(self) -> int:
        """Number of pages."""
        with _LOCK:
            return int(self._call["poppler_document_get_n_pages"](self._open))

    def view(self, page: int, *, side_px: int = SIDE_PX) -> PageView:
        """The pixels of a page with its annotations; no text, which would hold that of signatures.

        Raises:
            InputError: `render.broken`.
        """
        with _LOCK:
            handle = self._call["poppler_document_get_page"](self._open, page)
            if not handle:
                raise InputError("poppler cannot read this page", code="render.broken")
            try:
                return self._draw(handle, side_px)
            finally:
                self._call["g_object_unref"](handle)

    def _draw(self, handle: int, side_px: int) -> PageView:
        call = self._call
        width_pt, height_pt = ctypes.c_double(), ctypes.c_double()
        call["poppler_page_get_size"](handle, width_pt, height_pt)
        scale = side_px / max(width_pt.value, height_pt.value, 1.0)
        width = max(1, min(side_px, round(width_pt.value * scale)))
        height = max(1, min(side_px, round(height_pt.value * scale)))
        surface = call["cairo_image_surface_create"](_RGB24, width, height)
        context = call["cairo_create"](surface)
        try:
            call["cairo_set_source_rgb"](context, 1.0, 1.0, 1.0)
            call["cairo_paint"](context)
            call["cairo_scale"](context, scale, scale)
            call["poppler_page_render"](handle, context)
            call["cairo_surface_flush"](surface)
            if call["cairo_surface_status"](surface):
                raise InputError("poppler cannot draw this page", code="render.broken")
            stride = call["cairo_image_surface_get_stride"](surface)
            raw = ctypes.string_at(call["cairo_image_surface_get_data"](surface), stride * height)
        finally:
            call["cairo_destroy"](context)
            call["cairo_surface_destroy"](surface)
        row = width * _BYTES_PER_PIXEL
        if stride != row:
            raw = b"".join(raw[y * stride : y * stride + row] for y in range(height))
        return PageView(text="", width=width, height=height, pixels=raw)
