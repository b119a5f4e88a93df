"""Plainly written PDF objects, read as pyHanko reads them and several times faster.

pyHanko reads one byte at a time. Nearly every object of a file is written in a few plain ways; those are
read here by one expression for each token. Whatever is written otherwise - comments, escapes in names,
odd spaces, doubled keys, strings in several lines - is left to pyHanko (None). What comes out is what pyHanko
makes of the same bytes: a test compares the two on every object of every file at hand.
"""

from __future__ import annotations

import binascii
import re
from typing import Any, Final, TypeAlias

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import (
    ArrayObject,
    DictionaryObject,
    FloatObject,
    IndirectObject,
    NameObject,
    NumberObject,
    StreamObject,
    TextStringObject,
    pdf_string,
)

from signing import deadline

STRINGS_KEPT: Final = 4_096
"""Different strings of one file that are decoded once: fifty signatures list the same fifty fields."""
STRING_KEPT_MAX: Final = 256
"""Bytes of a string that is kept."""
DEPTH_MAX: Final = 40
"""Nesting of one object; deeper ones are left to pyHanko."""

_SPACE: Final = rb"[\x00\t\n\x0c\r ]"
_NEXT: Final = rb"(?=[\x00\t\n\x0c\r /\[\]<>()])"
_HEAD: Final = re.compile(rb"(\d{1,9}) (\d{1,5}) obj" + _SPACE + rb"*+(?=[<\[])")
_END: Final = re.compile(_SPACE + rb"*+endobj" + _SPACE + rb"*+[^%\x00\t\n\x0c\r ]")
_STREAM: Final = re.compile(_SPACE + rb"*+stream")
_TOKEN: Final = re.compile(
    _SPACE
    + rb"*+(?:"
    # One group for each kind; `lastindex` tells which.
    + rb"/([!\"$&'*-.0-;=?-Z\\^-z|~]*+)" + _NEXT  # 1: a name without escapes
    + rb"|(([1-9]\d{0,6}) (\d{1,5}) R)" + _NEXT  # 2: a reference
    + rb"|(-?\d{1,15})" + _NEXT  # 5: an integer
    + rb"|(-?\d{1,15}\.\d{1,15})" + _NEXT  # 6: a decimal number
    + rb"|\(((?:[^()\\\r\n]++|\\[0-3][0-7]{2}|\\[()\\])*+)\)"  # 7: a string in one line
    + rb"|(<<)|(>>)|(\[)|(\])"  # 8 to 11
    + rb"|<([0-9A-Fa-f]*+)>"  # 12: a hexadecimal string
    + rb")"
)  # fmt: skip
_NAME, _REFERENCE, _INTEGER, _DECIMAL, _STRING = 1, 2, 5, 6, 7
_OPEN, _CLOSE, _FIRST, _LAST, _HEX = 8, 9, 10, 11, 12
_ESCAPED: Final = re.compile(rb"\\(?:([0-7]{3})|(.))")


Strings: TypeAlias = dict[bytes, Any]
"""Strings as they are written -> what they say."""


_contents: Final[Any] = generic._maybe_read_stream_payload  # noqa: SLF001 - it has no public name


class _OddError(Exception):
    """Not written in one of the plain ways."""


def read_plain(data: bytes, start: int, reference: Any, stream: Any, strings: Strings) -> Any:
    """The object whose head stands at `start`; None where pyHanko must read it.

    Args:
        reference: number, generation and reader, as every part of the object is to remember it.
        stream: the same bytes as a file, for the contents of streams.
        strings: of the same file, kept between the calls.
    """
    head = _HEAD.match(data, start)
    if head is None or (int(head[1]), int(head[2])) != (reference.idnum, reference.generation):
        return None
    try:
        item, end = _read(data, head.end(), reference, strings)
        if isinstance(item, DictionaryObject) and _STREAM.match(data, end):
            stream.seek(end)
            # pyHanko's own way to the length and to the end of the contents.
            # Given a plain dictionary, which does not read what /Length refers to by itself.
            parts = dict(dict.items(item))
            body = _contents(stream, parts, reference.get_pdf_handler())
            end = stream.tell()
            item = StreamObject(parts, encoded_data=body)
            item.container_ref = reference
    except Exception:  # noqa: BLE001 - whatever it is, pyHanko finds it again and says what
        return None
    return item if _END.match(data, end) else None


def _read(data: bytes, position: int, reference: Any, strings: Strings) -> tuple[Any, int]:
    """The dictionary or array at `position`, and where it ends."""
    token, handler = _TOKEN.match, reference.get_pdf_handler()
    open_ones: list[tuple[int, list[Any]]] = []
    parts: list[Any] = []
    kind = 0
    while True:
        found = token(data, position)
        if found is None:
            raise _OddError
        position, what = found.end(), found.lastindex
        if what in {_OPEN, _FIRST}:
            deadline.check()
            if len(open_ones) >= DEPTH_MAX:
                raise _OddError
            open_ones.append((kind, parts))
            kind, parts = what, []
            continue
        if what in {_CLOSE, _LAST}:
            item = _closed(kind, what, parts)
            kind, parts = open_ones.pop()
        else:
            item = _value(what or 0, found, handler, strings)
        item.container_ref = reference
        if not open_ones:
            return item, position
        parts.append(item)


def _closed(kind: int, what: int, parts: list[Any]) -> Any:
    if (kind, what) == (_FIRST, _LAST):
        return ArrayObject(parts)
    keys = parts[::2]
    if (
        (kind, what) != (_OPEN, _CLOSE)
        or len(parts) % 2
        or not all(type(key) is NameObject for key in keys)
        or len(set(keys)) != len(keys)
    ):
        raise _OddError
    make: Any = DictionaryObject
    item = make()
    dict.update(item, zip(keys, parts[1::2], strict=True))
    return item


def _value(what: int, found: re.Match[bytes], handler: Any, strings: Strings) -> Any:
    if what == _NAME:
        return NameObject("/" + found[_NAME].decode("ascii"))
    make: Any
    if what == _REFERENCE:
        make = IndirectObject
        return make(int(found[3]), int(found[4]), handler)
    if what == _INTEGER:
        make = NumberObject
        return make(found[_INTEGER])
    if what == _DECIMAL:
        make = FloatObject
        return make(found[_DECIMAL].decode("ascii"))
    if what == _STRING:
        return _string(found[_STRING], strings)
    if what == _HEX:
        return pdf_string(binascii.unhexlify(found[_HEX]))  # an odd number of digits is refused
    raise _OddError


def _string(raw: bytes, strings: Strings) -> Any:
    like: Any = strings.get(raw)
    if like is None:
        like = pdf_string(_ESCAPED.sub(_unescaped, raw) if b"\\" in raw else raw)
        if len(raw) <= STRING_KEPT_MAX and len(strings) < STRINGS_KEPT:
            strings[raw] = like
    # Each place has its own object: it remembers in which other one it stands.
    copy: Any = type(like)(like)
    if isinstance(copy, TextStringObject):
        copy.autodetected_encoding = like.autodetected_encoding
    return copy


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes((int(found[1], 8),)) if found[1] else found[2]
