"""The one zip encoding of a bundle: stored, sorted, no clock, no options.

Nothing is compressed: deflate output differs between zlib versions, and a bundle must come out byte for
byte the same on every machine. A file that is not exactly what `pack` makes of its own contents is
refused, so that any flipped byte is noticed, in a header as in a document.

Layout: APPNOTE.TXT 6.3 sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (end record).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from typing import Final

from ledger.core.errors import InputError, VerificationError

FILES_MAX: Final = 2000
"""An agreement of ten parties has about 150 entries, each with a receipt; ten times that and more."""
FILE_BYTES_MAX: Final = 64 * 1024 * 1024
"""The largest document that intake accepts is smaller."""
TOTAL_BYTES_MAX: Final = 256 * 1024 * 1024
"""Fits in memory of a small laptop twice over, which re-encoding needs."""
PATH_CHARS_MAX: Final = 120
_PATH: Final = re.compile(r"[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)?")
"""At most one folder deep, lower case: nothing absolute, hidden, parent-relative or case-folding."""

_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_VERSION: Final = 20
_MADE_BY: Final = (3 << 8) | _VERSION
_DATE: Final = (1 << 5) | 1
"""1980-01-01, the first day a zip can name: the real time stands in the manifest."""
_MODE: Final = 0o100644 << 16


def pack(files: Mapping[str, bytes]) -> bytes:
    """Encode `files` (path -> content) as the canonical zip.

    Raises:
        InputError: `bundle.path`, `bundle.limit`.
    """
    if not 1 <= len(files) <= FILES_MAX:
        raise InputError("the number of files is out of bounds", code="bundle.limit")
    body: list[bytes] = []
    directory: list[bytes] = []
    offset = 0
    for path in sorted(files):
        content = files[path]
        if not _is_path(path):
            raise InputError("a path that no bundle may hold", code="bundle.path")
        if len(content) > FILE_BYTES_MAX:
            raise InputError("a file is larger than a bundle may hold", code="bundle.limit")
        name = path.encode("ascii")
        size, crc = len(content), zlib.crc32(content)
        common = (0, 0, 0, _DATE, crc, size, size, len(name), 0)
        local = _LOCAL.pack(b"PK\x03\x04", _VERSION, *common) + name
        directory.append(
            _CENTRAL.pack(b"PK\x01\x02", _MADE_BY, _VERSION, *common, 0, 0, 0, _MODE, offset) + name
        )
        body += [local, content]
        offset += len(local) + size
    listing = b"".join(directory)
    if offset + len(listing) + _END.size > TOTAL_BYTES_MAX:
        raise InputError("the bundle is larger than it may be", code="bundle.limit")
    count = len(directory)
    end = _END.pack(b"PK\x05\x06", 0, 0, count, count, len(listing), offset, 0)
    return b"".join([*body, listing, end])


def unpack(data: bytes) -> dict[str, bytes]:
    """The files of a canonical zip, in order.

    Raises:
        VerificationError: `bundle.limit`, `bundle.not_zip`, `bundle.comment`, `bundle.multi_disk`,
            `bundle.path`, `bundle.duplicate`, `bundle.encrypted`, `bundle.compressed`, `bundle.extra`,
            `bundle.truncated`, `bundle.not_canonical`.
    """
    if len(data) > TOTAL_BYTES_MAX:
        raise VerificationError("larger than a bundle may be", code="bundle.limit")
    if len(data) < _END.size or data[-_END.size :][:4] != b"PK\x05\x06":
        # A comment moves the end record away from the end; no bundle has one.
        raise VerificationError("this is no bundle: no zip end record", code="bundle.not_zip")
    _, disk, start_disk, here, count, size, start, comment = _END.unpack(data[-_END.size :])
    if comment:
        raise VerificationError("a bundle carries no zip comment", code="bundle.comment")
    if disk or start_disk or here != count:
        raise VerificationError("a bundle is a single zip file", code="bundle.multi_disk")
    if not 1 <= count <= FILES_MAX:
        raise VerificationError("more files than a bundle may hold", code="bundle.limit")
    if start + size != len(data) - _END.size:
        raise VerificationError("bytes that no file accounts for", code="bundle.not_canonical")
    files: dict[str, bytes] = {}
    position = start
    for _ in range(count):
        path, content, position = _member(data, position, listing_start=start)
        if path in files:
            raise VerificationError("two files under one name", code="bundle.duplicate")
        files[path] = content
    try:
        again = pack(files)
    except InputError as exc:
        raise VerificationError(exc.message, code=exc.error_code) from exc
    if again != data:
        raise VerificationError(
            "the zip is not in the one form a bundle has; it was changed or repacked",
            code="bundle.not_canonical",
        )
    return files


def _member(data: bytes, position: int, *, listing_start: int) -> tuple[str, bytes, int]:
    """(path, content, next position) of one central directory record."""
    limit = len(data) - _END.size
    if position + _CENTRAL.size > limit:
        raise VerificationError("the list of files is cut short", code="bundle.truncated")
    record = _CENTRAL.unpack_from(data, position)
    magic, flags, method = record[0], record[3], record[4]
    packed, size, name_size, extra, comment = record[8:13]
    offset = record[16]
    if magic != b"PK\x01\x02":
        raise VerificationError("the list of files is damaged", code="bundle.not_canonical")
    if flags & 1:
        raise VerificationError("a file is encrypted", code="bundle.encrypted")
    if method != 0 or packed != size:
        raise VerificationError("a file is compressed", code="bundle.compressed")
    if extra:
        raise VerificationError("a file carries extra fields", code="bundle.extra")
    if comment:
        raise VerificationError("a file carries a comment", code="bundle.comment")
    after = position + _CENTRAL.size + name_size
    begin = offset + _LOCAL.size + name_size
    if size > FILE_BYTES_MAX or name_size > PATH_CHARS_MAX:
        raise VerificationError("a file is larger than a bundle may hold", code="bundle.limit")
    if after > limit or begin + size > listing_start:
        raise VerificationError("a file is cut short", code="bundle.truncated")
    path = data[position + _CENTRAL.size : after].decode("ascii", errors="replace")
    if not _is_path(path):
        raise VerificationError("a path that no bundle may hold", code="bundle.path")
    return path, data[begin : begin + size], after


def _is_path(path: str) -> bool:
    return len(path) <= PATH_CHARS_MAX and _PATH.fullmatch(path) is not None
