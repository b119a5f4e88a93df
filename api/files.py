"""Which files people may send: known by their first bytes, never by what their name says."""

from __future__ import annotations

from typing import Final

FILE_TYPES: Final = (
    ("image/jpeg", b"\xff\xd8\xff"),
    ("image/png", b"\x89PNG\r\n\x1a\n"),
    ("application/pdf", b"%PDF-"),
)
PDF: Final = "application/pdf"
SUFFIXES: Final = {"image/jpeg": "jpg", "image/png": "png", PDF: "pdf"}


def media_type_of(data: bytes) -> str | None:
    """The media type that the bytes begin as; None for none of `FILE_TYPES`."""
    return next((name for name, head in FILE_TYPES if data.startswith(head)), None)
