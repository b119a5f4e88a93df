"""Text of a CSV file as spreadsheets save it in China: UTF-8, with or without a mark, or GB 18030."""

from __future__ import annotations

from typing import Final

_ENCODINGS: Final = ("utf-8-sig", "gb18030")
"""In this order: Chinese text in GB 18030 is hardly ever valid UTF-8."""


def csv_text(data: bytes) -> str | None:
    """The text, or None where it is in neither encoding."""
    for encoding in _ENCODINGS:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    return None
