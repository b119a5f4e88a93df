"""The kinds of form fields that are left to signers: what each may hold, and the pictures that a value has.

Four kinds: one line of text, several lines, a check box, a choice out of the field's own options. Every picture
is a function of kind, size and value alone, so that a verifier makes it anew and compares; nothing that another
program drew takes part. Line breaks follow a rule of our own for the same reason: readers wrap differently.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pyhanko.pdf_utils import generic as pyhanko_generic

from ledger.core.errors import InputError

generic: Final[Any] = pyhanko_generic  # untyped, called all over
VALUE_CHARS_MAX: Final = 200
LINES_CHARS_MAX: Final = 1_000
"""Of a value of several lines: an A4 page of 10-point text holds some 3 000, a remark a few hundred."""
OPTIONS_MAX: Final = 100
"""Of one choice; a longer list is a register, not a field of a contract."""
FONT_NAME: Final = "/FuqiForm"
FONT_SIZE: Final = 10
PADDING: Final = 2
"""Points between the edge of a field and its text."""
LEADING: Final = 12
"""Points from one line of text to the next."""
ASCENT: Final = 9
"""Points from the upper edge of the first line to its base, as the font says, rounded up."""
HEIGHT_MIN: Final = FONT_SIZE + 2 * PADDING
CHECK_MIN: Final = 6
"""Points; in a smaller box a tick cannot be told from a speck."""
CHECK_MAX: Final = 20
"""Points of the square that is drawn; a larger field shows it in its middle."""
TICKED: Final = "On"
UNTICKED: Final = "Off"
MULTILINE: Final = 1 << 12
PASSWORD: Final = 1 << 13
RADIO: Final = 1 << 15
PUSH: Final = 1 << 16
COMBO: Final = 1 << 17
EDITABLE: Final = 1 << 18
FILE_SELECT: Final = 1 << 20
SEVERAL_CHOSEN: Final = 1 << 21
RICH: Final = 1 << 25
"""Flags of fields (ISO 32000-1, tables 226 to 230)."""
_LAST_ASCII: Final = 0x7F


class Kind(StrEnum):
    """What a field asks for."""

    TEXT = "text"
    LINES = "lines"
    CHECK = "check"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class Shape:
    """All that decides which values a field takes and how they look.

    Attributes:
        width, height: whole points.
        options: of a choice, as they are shown; () for the others.
    """

    kind: Kind
    width: int
    height: int
    options: tuple[str, ...] = ()


def flags_of(field: Any) -> int:
    """The flags of a field's own dictionary; 0 for none or for something else than a number."""
    found = field["/Ff"] if "/Ff" in field else 0  # noqa: SIM401 - .get would keep a reference
    return int(found) if isinstance(found, int) else 0


def kind_of(field: Any) -> Kind | None:
    """The kind of a field that stands by itself, by its own type and flags; None where it is none of ours."""
    if "/Kids" in field or "/Parent" in field or "/Rect" not in field or "/FT" not in field:
        return None
    flags, kind = flags_of(field), field["/FT"]
    if kind == "/Tx":
        return Kind.LINES if flags & MULTILINE else Kind.TEXT
    if kind == "/Btn" and not flags & (RADIO | PUSH):
        return Kind.CHECK
    if kind == "/Ch" and flags & COMBO and not flags & (EDITABLE | SEVERAL_CHOSEN):
        return Kind.CHOICE
    return None


def shape_of(field: Any) -> Shape | None:
    """Kind, size and options of a field made ready for signers; None where it is none."""
    kind = kind_of(field)
    if kind is None:
        return None
    options: tuple[str, ...] = ()
    if kind is Kind.CHOICE:
        listed = field["/Opt"] if "/Opt" in field else ()  # noqa: SIM401 - .get would keep a reference
        if not isinstance(listed, list) or not 0 < len(listed) <= OPTIONS_MAX:
            return None
        # Read by position: a loop over the list itself would hand out references.
        options = tuple(str(listed[number]) for number in range(len(listed)))
    return Shape(kind, *size_of(field), options)


def size_of(field: Any) -> tuple[int, int]:
    """Width and height of a field in whole points."""
    x1, y1, x2, y2 = (float(number) for number in field["/Rect"])
    return round(abs(x2 - x1)), round(abs(y2 - y1))


def text_of(field: Any) -> str:
    """The value of a field made ready: its text, or the state of a check box; "" for none."""
    if "/V" not in field:
        return UNTICKED if kind_of(field) is Kind.CHECK else ""
    value = field["/V"]
    return str(value).removeprefix("/") if isinstance(value, generic.NameObject) else str(value)


def value_object(text: str, *, kind: Kind) -> Any:
    """A value as a field's dictionary holds it."""
    return generic.NameObject(f"/{text}") if kind is Kind.CHECK else generic.TextStringObject(text)


def holds(field: Any, text: str, *, kind: Kind) -> bool:
    """Whether a field's dictionary holds this value itself, in the one form that is written, and shows it."""
    keys = ("/V", "/AS") if kind is Kind.CHECK else ("/V",)
    wanted = value_object(text, kind=kind)
    return all(
        key in field
        and type(dict.__getitem__(field, key)) is type(wanted)
        and str(dict.__getitem__(field, key)) == str(wanted)
        for key in keys
    )


def normal(typed: str, *, kind: Kind) -> str:
    """What somebody typed, in the form that is kept: NFC, no spaces at the ends, lines apart by LF."""
    text = unicodedata.normalize("NFC", typed)
    if kind is Kind.LINES:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        return "\n".join(line.rstrip() for line in text.split("\n")).strip()
    return text.strip()


def is_answered(text: str, *, kind: Kind) -> bool:
    """Whether a value answers a required field; a check box that is required has to be ticked."""
    return text not in ("", UNTICKED) if kind is Kind.CHECK else bool(text)


def require_value(text: str, *, shape: Shape) -> None:
    """Visible characters in their normal form, few enough to be shown whole.

    Raises:
        InputError: `form.value_invalid`, `form.value_too_long`.
    """
    if shape.kind is Kind.CHECK:
        if text not in (TICKED, UNTICKED):
            raise InputError(
                f'a check box is "{TICKED}" or "{UNTICKED}"', code="form.value_invalid"
            )
        return
    if shape.kind is Kind.CHOICE and text not in shape.options:
        raise InputError("choose one of the field's own options", code="form.value_invalid")
    several = shape.kind is Kind.LINES
    hidden = any(
        unicodedata.category(one)[0] in "CZ" and one != " " and not (several and one == "\n")
        for one in text
    )
    if not text or hidden or normal(text, kind=shape.kind) != text or not _has_glyphs(text):
        raise InputError(
            f"a value is {'lines' if several else 'one line'} of visible characters of GBK, without"
            " spaces around it; rarer characters have no glyph in the font that every reader brings along",
            code="form.value_invalid",
        )
    longest = LINES_CHARS_MAX if several else VALUE_CHARS_MAX
    if len(text) > longest or not _fits(text, shape):
        raise InputError(
            "the value does not fit its field and would be cut off; shorten it",
            code="form.value_too_long",
        )


def rows_of(text: str, *, width: int) -> list[str]:
    """The rows of a value of several lines: a row ends at a line's end or before what is too wide for it.

    Words of ASCII characters stay whole where a row can hold them; other characters break anywhere. The
    space at which a row was broken is not drawn.
    """
    room = 2 * (width - 2 * PADDING) // FONT_SIZE
    return [row for line in text.split("\n") for row in _broken(line, room)]


def looks_of(text: str, *, shape: Shape) -> Mapping[str, bytes]:
    """The content of each picture of a field: by its state for a check box, under "" for all others.

    A check box has both of its pictures whatever its value; which one is shown its state says.
    """
    if shape.kind is Kind.CHECK:
        return {
            f"/{TICKED}": _box(shape, ticked=True),
            f"/{UNTICKED}": _box(shape, ticked=False),
        }
    if not text:
        return {"": b"/Tx BMC EMC"}
    if shape.kind is Kind.LINES:
        rows = rows_of(text, width=shape.width)
        drawn = " T* ".join(f"<{_codes(row)}> Tj" for row in rows)
        base = f"{LEADING} TL {PADDING} {shape.height - PADDING - ASCENT} Td"
    else:
        drawn = f"<{_codes(text)}> Tj"
        base = f"{PADDING} {(shape.height - FONT_SIZE) // 2 + PADDING} Td"
    return {
        "": (
            f"/Tx BMC q 0 0 {shape.width} {shape.height} re W n BT 0 g {FONT_NAME} {FONT_SIZE} Tf {base}"
            f" {drawn} ET Q EMC"
        ).encode("ascii")
    }


def look_entries(shape: Shape) -> dict[str, Any]:
    """The entries of a picture's dictionary beside its resources and its length."""
    return {"/Type": "/XObject", "/Subtype": "/Form", "/BBox": [0, 0, shape.width, shape.height]}


def _has_glyphs(text: str) -> bool:
    """Whether Adobe-GB1 holds every character, so that a reader shows the value whole."""
    try:
        text.encode("gbk")
    except UnicodeEncodeError:
        return False
    return True


def _fits(text: str, shape: Shape) -> bool:
    if shape.kind is not Kind.LINES:
        return _halves(text) * FONT_SIZE // 2 <= shape.width - 2 * PADDING
    if 2 * (shape.width - 2 * PADDING) // FONT_SIZE < 2:
        return False  # not even one Chinese character to a row
    room = 1 + (shape.height - HEIGHT_MIN) // LEADING
    return len(rows_of(text, width=shape.width)) <= room


def _halves(text: str) -> int:
    """Width in halves of the font's size."""
    return sum(1 if ord(one) <= _LAST_ASCII else 2 for one in text)


def _broken(line: str, room: int) -> list[str]:
    rows: list[str] = []
    while _halves(line) > room:
        end = _first_too_wide(line, room)
        space = line.rfind(" ", 1, end + 1)
        inside = line[end - 1].isascii() and line[end].isascii() and line[end] != " "
        if inside and space > 0 and line[:space].strip():
            end = space
        rows.append(line[:end].rstrip())
        line = line[end:].lstrip()
    return [*rows, line]


def _first_too_wide(line: str, room: int) -> int:
    """Where a row has to end; at least one character stands in it."""
    used = 0
    for position, one in enumerate(line):
        used += _halves(one)
        if used > room:
            return max(position, 1)
    return len(line)


def _codes(text: str) -> str:
    return text.encode("utf-16-be").hex().upper()


def _box(shape: Shape, *, ticked: bool) -> bytes:
    """A square, and a tick in it; all numbers in tenths of a point."""
    side = 10 * (min(shape.width, shape.height, CHECK_MAX) - 2)
    left, low = (10 * shape.width - side) // 2, (10 * shape.height - side) // 2
    drawn = f"q 0 G 0.8 w {_tenths(left)} {_tenths(low)} {_tenths(side)} {_tenths(side)} re S"
    if ticked:
        corners = ((2, 5), (4, 2), (8, 8))
        points = [
            f"{_tenths(left + side * x // 10)} {_tenths(low + side * y // 10)}" for x, y in corners
        ]
        drawn += f" {_tenths(max(side // 7, 8))} w {points[0]} m {points[1]} l {points[2]} l S"
    return f"{drawn} Q".encode("ascii")


def _tenths(number: int) -> str:
    return f"{number // 10}.{number % 10}"
