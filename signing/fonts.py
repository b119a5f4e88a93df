"""The one place that finds a font for Chinese text and refuses what it cannot print.

A contract that shows □ for a character of somebody's name is worse than no contract, so text is
checked against the font's own character map before anything is drawn.

Only TrueType outlines are looked for: ReportLab embeds no CFF (.otf) font.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont

from ledger.core.errors import InputError, UnavailableError

FONT_FOLDERS: Final = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("/Library/Fonts"),
    Path("/System/Library/Fonts"),
    Path("C:/Windows/Fonts"),
)
"""Where systems keep fonts; others are passed to `find_font` by the caller."""

REGULAR_FILES: Final = (
    "LXGWWenKai-Regular.ttf",
    "LXGWWenKaiGB-Regular.ttf",
    "simfang.ttf",
    "simsun.ttc",
    "simhei.ttf",
    "wqy-zenhei.ttc",
    "wqy-microhei.ttc",
    "uming.ttc",
    "DroidSansFallbackFull.ttf",
)
"""In order of preference; the first covers the rare characters of names in CJK extensions B to F."""

BOLD_FILES: Final = ("LXGWWenKai-Bold.ttf", "LXGWWenKaiGB-Medium.ttf", "simhei.ttf")

TEXT_MAX: Final = 200_000
"""Characters checked in one call; a contract of 200 pages stays below."""

_PROBE: Final = "中华人民共和国合同签名￥〔〕①0A"
"""A font that lacks one of these is not a font for Chinese contracts."""
_PRINTABLE_SPACE: Final = frozenset("\n \u3000\u00a0")
_WIDE_CODE: Final = re.compile(r"> <([0-9A-F]{5,6})>")
_LOCK: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class FontFile:
    """A TrueType font that is registered with ReportLab.

    Attributes:
        path: the file, or the collection that holds it.
        name: the name under which ReportLab knows it.
        glyphs: every code point that it draws.
    """

    path: Path
    name: str
    glyphs: frozenset[int] = field(repr=False, compare=False)

    def missing(self, text: str) -> tuple[str, ...]:
        """The distinct characters of `text` without a glyph, in order of appearance."""
        seen = dict.fromkeys(
            char for char in text if ord(char) not in self.glyphs and char not in _PRINTABLE_SPACE
        )
        return tuple(seen)

    def covers(self, text: str) -> bool:
        """Whether every character of `text` has a glyph."""
        return not self.missing(text)


def find_font(*, bold: bool = False, folders: Sequence[Path] = FONT_FOLDERS) -> FontFile:
    """The preferred installed font for Chinese text; the regular one where no bold is installed.

    Raises:
        UnavailableError: `font.not_found`.
    """
    wanted = (*BOLD_FILES, *REGULAR_FILES) if bold else REGULAR_FILES
    found = _files_in(tuple(folders))
    for file_name in wanted:
        path = found.get(file_name.lower())
        font = None if path is None else _load(path)
        if font is not None:
            return font
    raise UnavailableError(
        "no TrueType font for Chinese is installed: install LXGW WenKai "
        "(Debian and Ubuntu: apt-get install fonts-lxgw-wenkai)",
        code="font.not_found",
    )


def load_font(path: Path) -> FontFile:
    """Use exactly this file.

    Raises:
        UnavailableError: `font.not_found` where it is absent, no TrueType font or lacks Chinese.
    """
    font = _load(path) if path.is_file() else None
    if font is None:
        raise UnavailableError(
            "this file is no TrueType font for Chinese text", code="font.not_found", file=path.name
        )
    return font


def require_glyphs(text: str, *, font: FontFile | None = None) -> None:
    """Refuse text that could not be printed exactly as it is stored.

    Control, format and bidirectional-override characters are refused too: they change what a
    reader sees without leaving a mark on the page.

    Raises:
        InputError: `font.text_too_long`, `font.unprintable`, `font.missing_glyph`.
        UnavailableError: `font.not_found`.
    """
    if len(text) > TEXT_MAX:
        raise InputError("text is too long to print", code="font.text_too_long", limit=TEXT_MAX)
    require_no_hidden(text)
    missing = (font or find_font()).missing(text)
    if missing:
        raise InputError(
            "the font has no glyph for some characters; they would print as empty boxes",
            code="font.missing_glyph",
            characters=_code_points(missing),
        )


def require_no_hidden(text: str) -> None:
    """Refuse characters that print nothing but change what is read. Needs no font.

    Raises:
        InputError: `font.unprintable`.
    """
    hidden = [char for char in dict.fromkeys(text) if _is_hidden(char)]
    if hidden:
        raise InputError(
            "the text holds characters that print nothing but change what is read",
            code="font.unprintable",
            characters=_code_points(hidden),
        )


class _PlaneFont(TTFont):  # type: ignore[misc]
    """A font whose text can be extracted and searched in every plane of Unicode.

    ReportLab 5.1 writes a code point beyond U+FFFF as five hex digits into the ToUnicode map, which
    demands UTF-16: U+20BB7 was extracted as U+20BB and rubbish, so 𠮷 was not found in its own contract.
    """

    def addObjects(self, doc: Any) -> None:  # noqa: N802 - the name is ReportLab's
        before = set(doc.idToObject)
        super().addObjects(doc)
        for name in set(doc.idToObject) - before:
            if str(name).startswith("toUnicodeCMap:"):
                stream = doc.idToObject[name]
                stream.content = _WIDE_CODE.sub(_as_utf16, stream.content)


def _as_utf16(match: re.Match[str]) -> str:
    return f"> <{chr(int(match.group(1), 16)).encode('utf-16-be').hex().upper()}>"


def _is_hidden(char: str) -> bool:
    return char not in _PRINTABLE_SPACE and unicodedata.category(char) in {
        "Cc",
        "Cf",
        "Cs",
        "Co",
        "Zl",
        "Zp",
    }


def _code_points(chars: Sequence[str]) -> str:
    """At most ten code points: enough to find them, too few to leak a text."""
    return " ".join(f"U+{ord(char):04X}" for char in chars[:10])


@lru_cache(maxsize=8)
def _files_in(folders: tuple[Path, ...]) -> dict[str, Path]:
    wanted = {name.lower() for name in (*REGULAR_FILES, *BOLD_FILES)}
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            continue
        for path in sorted(folder.rglob("*")):
            if path.name.lower() in wanted:
                found.setdefault(path.name.lower(), path)
    return found


@lru_cache(maxsize=16)
def _load(path: Path) -> FontFile | None:
    """Register `path` once per process; parsing a font of 15 MB takes most of a second."""
    name = f"fuqi-{path.stem}"
    with _LOCK:
        try:
            font = _PlaneFont(name, str(path))
        except (TTFError, OSError, ValueError, IndexError, KeyError):
            return None
        glyphs = frozenset(code for code, glyph in font.face.charToGlyph.items() if glyph)
        if any(ord(char) not in glyphs for char in _PROBE):
            return None
        pdfmetrics.registerFont(font)
    return FontFile(path=path, name=name, glyphs=glyphs)
