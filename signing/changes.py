"""What the bytes of a signed PDF say by themselves, without any PDF parser.

Readers disagree about odd files, and attacks live in the disagreement. So the byte ranges of all
signatures, the revisions they close and the objects that stand in later revisions are found here by
plain scanning; `signing.validate` holds the result against what the parsers report.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from signing import deadline

SIGNATURES_MAX: Final = 200
"""Signatures read from one file; an agreement has a handful."""
CONTENTS_MAX: Final = 4 * 1024 * 1024
"""Hex digits of one signature value."""
OBJECTS_MAX: Final = 200_000
"""Object headers looked at behind the first signature."""
TAIL_MAX: Final = 2_048
"""Bytes before the end of a revision in which its `startxref` stands."""
PLACES_MAX: Final = 100_000
"""Places at which the name /ByteRange may begin; each costs one comparison."""
STOPS_MAX: Final = 2 * SIGNATURES_MAX
"""Running hashes kept for one file: two for each signature, some 200 bytes each."""

SPACES_MAX: Final = 256
"""White space before an object to which a table may point; writers put one or two bytes there."""

_SPACE_BYTES: Final = frozenset((b"\x00", b"\t", b"\n", b"\x0c", b"\r", b" "))
_SPACE: Final = rb"[\x00\t\n\x0c\r ]"


def _name_pattern(name: str) -> bytes:
    """Matches a PDF name however its characters are escaped (#42 for B)."""
    return b"/" + b"".join(
        b"(?:" + re.escape(char.encode()) + b"|#" + _either_case(f"{ord(char):02x}") + b")"
        for char in name
    )


def _either_case(text: str) -> bytes:
    return b"".join(
        f"[{char}{char.upper()}]".encode() if char.isalpha() else char.encode() for char in text
    )


_DELIMITER: Final = rb"(?![^\x00\t\n\x0c\r \[\]<>()/%{}])"
_BYTE_RANGE: Final = re.compile(_name_pattern("ByteRange") + _DELIMITER)
_PLACE: Final = re.compile(rb"/(?:ByteRange|[ByteRang]{0,8}#[0-9A-Fa-f]{2})")
"""How a /ByteRange begins, written plainly or with an escape; honest files hold no escaped one."""
_CONTENTS_END: Final = re.compile(_name_pattern("Contents") + _SPACE + rb"*\Z")
_FOUR_INTEGERS: Final = re.compile(
    _SPACE + rb"*\[" + (_SPACE + rb"*(\d{1,12})") * 4 + _SPACE + rb"*\]"
)
_HEX: Final = re.compile(rb"(?:[0-9A-F]*|[0-9a-f]*)\Z")
_OBJ: Final = re.compile(rb"obj\b")
_SPACES: Final = b"\x00\t\n\x0c\r "
_ESCAPE: Final = ord("#")
_EOF: Final = b"%%EOF"
_DIGITS: Final = b"0123456789"
_START: Final = re.compile(rb"startxref" + _SPACE + rb"*(\d{1,12})")
_END: Final = re.compile(
    rb"startxref[\x00\t\n\x0c\r ]+(\d{1,12})[\x00\t\n\x0c\r ]+%%EOF(?:\r\n|\r|\n)?"
)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """One signature as it stands in the bytes.

    Attributes:
        position: offset of the /ByteRange token.
        numbers: the four integers as written, or () where they are not four integers.
        contents: the decoded signature container with its padding, or b"".
        fault: "" where all is as it must be, else one of the words of `FAULTS`.
    """

    position: int
    numbers: tuple[int, ...]
    contents: bytes
    fault: str

    @property
    def end(self) -> int:
        """First byte behind the signed revision; 0 for a malformed range."""
        return self.numbers[2] + self.numbers[3] if self.numbers else 0


FAULTS: Final = (
    "no_integers",
    "not_from_start",
    "beyond_file",
    "gap_not_contents",
    "no_contents_key",
    "mixed_case_hex",
    "outside_itself",
    "cut_revision",
)
"""Every way in which a byte range can be wrong, in the order in which they are looked for."""


def byte_ranges(data: bytes, *, places: Sequence[int] | None = None) -> list[ByteRange]:
    """Every /ByteRange in the file, in order of the end of its revision; at most `SIGNATURES_MAX`.

    Args:
        places: `range_places` of the file, where the caller has them already.
    """
    found = []
    for position in range_places(data) if places is None else places:
        deadline.check()
        match = _BYTE_RANGE.match(data, position)
        if match is None:
            continue
        found.append(_read(data, match.start(), match.end()))
        if len(found) >= SIGNATURES_MAX:
            break
    return sorted(found, key=lambda item: (item.end, item.position))


def range_places(data: bytes) -> list[int]:
    """Where the token may stand, ascending, in one pass: much cheaper than the whole pattern."""
    places: list[int] = []
    # Each kind has its own limit, so that many of one do not hide the other.
    plain, escaped = 0, 0
    for match in _PLACE.finditer(data):
        deadline.check()
        if data[match.end() - 3] == _ESCAPE:
            escaped += 1
            kept = escaped <= PLACES_MAX
        else:
            plain += 1
            kept = plain <= PLACES_MAX
        if kept:
            places.append(match.start())
    return places


def range_digest(data: bytes, numbers: Sequence[int], algorithm: str) -> bytes:
    """Hash of the two covered parts; `algorithm` is a hashlib name."""
    first, length, second, rest = numbers
    digest = hashlib.new(algorithm)
    digest.update(memoryview(data)[first : first + length])
    digest.update(memoryview(data)[second : second + rest])
    return digest.digest()


class RangeDigests:
    """Digests of growing beginnings of one file, each byte hashed once whatever their number.

    Every signed revision begins with the one before it, so the hash of the common part is kept
    (`copy`) at each place where a range stops or ends; fifty signatures then cost one pass.
    """

    def __init__(self, data: bytes, *, stops: Iterable[int] = ()) -> None:
        """Hash nothing yet.

        Args:
            stops: offsets at which a digest will be asked for (`stops_of`).
        """
        self._data = data
        self._view = memoryview(data)
        self._stops = sorted({stop for stop in stops if 0 < stop <= len(data)})[:STOPS_MAX]
        self._kept: dict[str, tuple[list[int], list[Any]]] = {}

    def of_range(self, numbers: Sequence[int], algorithm: str) -> bytes:
        """As `range_digest`."""
        first, length, second, rest = numbers
        if first != 0 or length < 0 or second < 0 or rest < 0:
            return range_digest(self._data, numbers, algorithm)
        digest = self._until(length, algorithm).copy()
        digest.update(self._view[second : second + rest])
        return bytes(digest.digest())

    def of_first(self, size: int, algorithm: str = "sha256") -> bytes:
        """Hash of the first `size` bytes."""
        return bytes(self._until(size, algorithm).copy().digest())

    def onto(self, data: bytes) -> RangeDigests:
        """The same for another file, with what was hashed of a beginning that both have in common."""
        other = RangeDigests(data, stops=self._stops)
        for algorithm, (sizes, digests) in self._kept.items():
            count = len(sizes)
            while count and not data.startswith(self._view[: sizes[count - 1]]):
                count -= 1
            other._kept[algorithm] = sizes[:count], digests[:count]
        return other

    def _until(self, size: int, algorithm: str) -> Any:
        """The running hash of the first `size` bytes, on from the nearest one that is kept."""
        size = min(size, len(self._data))
        sizes, digests = self._kept.setdefault(algorithm, ([], []))
        place = bisect.bisect_right(sizes, size)
        done = sizes[place - 1] if place else 0
        digest = digests[place - 1] if place else hashlib.new(algorithm)
        between = self._stops[bisect.bisect_right(self._stops, done) :]
        for stop in itertools.chain(itertools.takewhile(lambda one: one < size, between), (size,)):
            if stop == done:
                continue
            digest = digest.copy()
            digest.update(self._view[done:stop])
            done = stop
            if place and len(sizes) >= 2 * STOPS_MAX:
                sizes[place - 1], digests[place - 1] = stop, digest
                continue
            sizes.insert(place, stop)
            digests.insert(place, digest)
            place += 1
        return digest


@dataclass(frozen=True, slots=True)
class Scanned:
    """What is known of the bytes of a file that differs from another only inside a signature value.

    Attributes:
        places: `range_places`: a value holds hexadecimal digits only, so there is none in it.
        digests: of the other file.
    """

    places: Sequence[int]
    digests: RangeDigests


def stops_of(ranges: Iterable[ByteRange]) -> list[int]:
    """Where the parts of the ranges stop: what `RangeDigests` is to keep."""
    return [stop for one in ranges if one.numbers for stop in (one.numbers[1], one.end)]


def revision_ends(data: bytes) -> list[int]:
    """Offsets behind each `startxref n %%EOF` whose n lies before it: where revisions end."""
    return [match.end() for match in _END.finditer(data) if int(match.group(1)) < match.start()]


def tail_after_last_eof(data: bytes) -> bytes:
    """What stands behind the last %%EOF, white space removed; all of the data where there is none."""
    position = data.rfind(b"%%EOF")
    return data[position + 5 :].strip(b"\x00\t\n\x0c\r ") if position >= 0 else data


def undeclared_objects(data: bytes, *, start: int, declared: Collection[int]) -> list[int]:
    """Offsets from `start` on that look like `n g obj` but that no cross-reference entry points to.

    A reader that rebuilds a damaged table shows such objects, another does not: that is the
    incremental-saving attack of the Ruhr University (2019).
    """
    # Some writers point to the white space before the object.
    known = {_skip_space(data, offset) for offset in declared}
    found = []
    for count, (position, _number) in enumerate(_objects(data, start, len(data))):
        if count >= OBJECTS_MAX:
            found.append(position)
            break
        if position not in known:
            found.append(position)
    return found


def _objects(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Offset and number of everything between the offsets that reads `n g obj`.

    The keyword is searched, and what stands before it is read backwards: most bytes of a signed file
    are hexadecimal digits, on which a pattern that begins with digits tries every one.
    """
    for keyword in _OBJ.finditer(data, start, end):
        deadline.check()
        generation_end = _back(data, keyword.start(), start, _SPACES)
        generation = _back(data, generation_end, start, _DIGITS)
        number_end = _back(data, generation, start, _SPACES)
        number = max(_back(data, number_end, start, _DIGITS), number_end - 10)
        if keyword.start() > generation_end > generation > number_end > number:
            yield number, int(data[number:number_end])


def _back(data: bytes, position: int, start: int, among: bytes) -> int:
    """The first offset from which only bytes `among` stand before `position`."""
    while position > start and data[position - 1] in among:
        position -= 1
    return position


def object_numbers(data: bytes, *, start: int, end: int) -> set[int] | None:
    """Numbers of everything between the offsets that looks like the head of an object; None if too many."""
    found = set()
    for count, (_position, number) in enumerate(_objects(data, start, end)):
        if count >= OBJECTS_MAX:
            return None
        found.add(number)
    return found


def start_before(data: bytes, end: int) -> int | None:
    """The value of the last `startxref` in the first `end` bytes, where one stands in their tail."""
    found = None
    for match in _START.finditer(data, max(0, end - TAIL_MAX), end):
        found = int(match.group(1))
    return found


def undeclared_starts(data: bytes, *, start: int, declared: Collection[int]) -> list[int]:
    """Values of `startxref` from `start` on that belong to no revision the parser knows."""
    known = frozenset(declared)
    return [int(m.group(1)) for m in _START.finditer(data, start) if int(m.group(1)) not in known]


def count_name(data: bytes, name: str, *, start: int, end: int) -> int:
    """How often a PDF name occurs between the offsets, however it is escaped."""
    if data.find(b"#", start, end) < 0:
        return len(re.findall(b"/" + name.encode() + _DELIMITER, data[start:end]))
    return sum(1 for _ in re.compile(_name_pattern(name) + _DELIMITER).finditer(data, start, end))


def mentions(data: bytes, *names: str) -> Iterator[str]:
    """Those of `names` that occur as PDF names anywhere in the uncompressed bytes."""
    for name in names:
        if re.search(_name_pattern(name) + _DELIMITER, data):
            yield name


def _skip_space(data: bytes, offset: int) -> int:
    # Bounded: a table of a hundred thousand offsets into one long run of spaces would cost hours.
    end = offset + SPACES_MAX
    while offset < end and data[offset : offset + 1] in _SPACE_BYTES:
        offset += 1
    return offset


def _read(data: bytes, position: int, after: int) -> ByteRange:
    match = _FOUR_INTEGERS.match(data, after)
    if match is None:
        return ByteRange(position, (), b"", "no_integers")
    numbers = tuple(int(text) for text in match.groups())
    first, length, second, rest = numbers
    end = second + rest
    gap = data[length:second]
    fault = ""
    if first != 0 or length <= 0 or rest <= 0 or second <= length:
        fault = "not_from_start"
    elif end > len(data):
        fault = "beyond_file"
    elif (
        len(gap) > CONTENTS_MAX
        or gap[:1] != b"<"
        or gap[-1:] != b">"
        or len(gap) % 2
        or not re.match(rb"[0-9A-Fa-f]+\Z", gap[1:-1])
    ):
        fault = "gap_not_contents"
    elif not _CONTENTS_END.search(data, max(0, length - 64), length):
        fault = "no_contents_key"
    elif not _HEX.match(gap[1:-1]):
        fault = "mixed_case_hex"
    elif not (position < length or second <= position < end):
        fault = "outside_itself"
    elif not _closed(data, end):
        fault = "cut_revision"
    readable = fault in {"", "mixed_case_hex", "outside_itself", "cut_revision", "no_contents_key"}
    return ByteRange(
        position, numbers, bytes.fromhex(gap[1:-1].decode()) if readable else b"", fault
    )


def _closed(data: bytes, end: int) -> bool:
    """Whether %%EOF and nothing but white space behind it ends the first `end` bytes."""
    size = TAIL_MAX
    while True:
        tail = data[max(0, end - size) : end].rstrip(_SPACES)
        if len(tail) >= len(_EOF) or size >= end:
            return tail.endswith(_EOF)
        size *= 4
