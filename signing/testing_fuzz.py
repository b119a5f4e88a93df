"""Mutations of honest files for the fuzzer: bytes, PDF objects and tables, DER lengths and tags.

Every mutation is a pure function of its input and a seeded generator, so a case is repeated by its
number. Structure is kept where a blind flip would be refused by the first check: objects are swapped
whole, lengths of the DER around a change are written anew, a signature container is put back into its
placeholder.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Final

from signing import changes
from signing.attacks import appended

SIZE_MAX: Final = 2 * 1024 * 1024
"""Bytes of one mutated input: speed matters more than size."""
ROUNDS_MAX: Final = 4
"""Mutations laid over each other in one input."""
NODES_MAX: Final = 4_000
"""DER values found in one input."""
DEPTH_MAX: Final = 40
NEST: Final = (50, 400, 3_000)
"""How deep nested structures are made: beyond what any reader's stack holds."""
_CONSTRUCTED: Final = 0x20
_INTERESTING: Final = (
    0,
    1,
    2,
    7,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2**31 - 1,
    2**31,
    2**32,
    10**11,
)

Mutation = Callable[[bytes, random.Random, Sequence[bytes]], bytes]


def mutate(data: bytes, rng: random.Random, *, kind: str, others: Sequence[bytes]) -> bytes:
    """`data` with one to `ROUNDS_MAX` mutations.

    Args:
        kind: `pdf`, `der` or `bytes`: which mutations know the format.
        others: further honest inputs, from which pieces are taken.
    """
    ways = {"pdf": PDF_MUTATIONS, "der": DER_MUTATIONS, "bytes": BYTE_MUTATIONS}[kind]
    for _round in range(rng.randint(1, ROUNDS_MAX)):
        data = rng.choice(ways)(data, rng, others)[:SIZE_MAX]
    return data


# --- bytes ----------------------------------------------------------------------------------------


def _flip(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    if not data:
        return data
    out = bytearray(data)
    for _bit in range(rng.choice((1, 1, 1, 3, 20))):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _overwrite(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    start, _end = _span(data, rng)
    return data[:start] + rng.randbytes(rng.randint(1, 16)) + data[start + 8 :]


def _remove(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _repeat(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    start, end = _span(data, rng)
    return data[:end] + data[start:end] * rng.choice((1, 2, 50)) + data[end:]


def _cut(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    return data[: rng.randint(0, len(data))]


def _splice(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others) if others else data
    start, end = _span(other, rng)
    place = rng.randint(0, len(data))
    return data[:place] + other[start:end] + data[place + rng.choice((0, end - start)) :]


def _span(data: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.choice((1, 4, 30, 300, 5_000)))


BYTE_MUTATIONS: Final[tuple[Mutation, ...]] = (_flip, _overwrite, _remove, _repeat, _cut, _splice)


# --- PDF ------------------------------------------------------------------------------------------

_OBJECT: Final = re.compile(rb"(?<!\d)(\d{1,6}) (\d{1,5}) obj\b(.*?)\bendobj", re.DOTALL)
_REFERENCE: Final = re.compile(rb"(?<!\d)(\d{1,6}) (\d{1,5}) R\b")
_NUMBER: Final = re.compile(rb"(?<![\w.#])-?\d{1,10}(?![\w.])")
_NAME: Final = re.compile(rb"/[A-Za-z][A-Za-z0-9]{0,20}")
_ROW: Final = re.compile(rb"\d{10} \d{5} [nf]")
_STRUCTURE: Final = re.compile(
    rb"/(?:Prev|Size|Root|XRefStm|Index|W|First|N|Length|Count|ByteRange|Filter)\b\s*\[?\s*-?\d+"
    rb"|startxref\s+\d+"
)
_HEX: Final = re.compile(rb"<([0-9A-Fa-f]{200,})>")
_TOKENS: Final = (
    b"<<", b">>", b"[", b"]", b"(", b")", b"<", b">", b"%", b"null", b"true", b"endobj", b"stream",
    b"endstream", b"xref", b"trailer", b"startxref", b"%%EOF", b"obj", b"R", b"/", b"#", b"\x00",
    b"-1", b"0", b"99999999999", b"1e9", b"/Type /ObjStm", b"/Type /XRef", b"/FlateDecode",
    b"/Kids [2 0 R]", b"/Parent 1 0 R", b"/ByteRange [0 1 2 3]", b"/Contents <00>",
)  # fmt: skip


def _at_match(
    data: bytes, rng: random.Random, pattern: re.Pattern[bytes], made: Callable[[bytes], bytes]
) -> bytes:
    found = list(pattern.finditer(data))
    if not found:
        return data
    match = rng.choice(found)
    return data[: match.start()] + made(match.group()) + data[match.end() :]


def _number(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    return _at_match(data, rng, _NUMBER, lambda old: _other_number(old, rng))


def _structure(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    return _at_match(
        data, rng, _STRUCTURE, lambda old: re.sub(rb"-?\d+$", _other_number(b"1", rng), old)
    )


def _other_number(old: bytes, rng: random.Random) -> bytes:
    value = int(old)
    chosen = rng.choice(
        (value + 1, value - 1, -value, value * 2, rng.choice(_INTERESTING), rng.randint(0, 20_000))
    )
    return b"%d" % chosen


def _reference(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    found = [match.group() for match in _REFERENCE.finditer(data)]
    if not found:
        return data
    return _at_match(data, rng, _REFERENCE, lambda _old: rng.choice(found))


def _name(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    found = [match.group() for match in _NAME.finditer(data)]
    if not found:
        return data
    return _at_match(data, rng, _NAME, lambda _old: rng.choice(found))


def _token(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    place = rng.randint(0, len(data))
    return data[:place] + b" " + rng.choice(_TOKENS) + b" " + data[place:]


def _row(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    def made(old: bytes) -> bytes:
        offset = rng.choice((0, int(old[:10]) + 1, rng.randint(0, len(data)), 9_999_999_999))
        return b"%010d %05d %s" % (offset, rng.choice((0, 1, 65_535)), rng.choice((b"n", b"f")))

    return _at_match(data, rng, _ROW, made)


def _swap_objects(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    own = [match.group(3) for match in _OBJECT.finditer(data)]
    foreign = [m.group(3) for other in others[:3] for m in _OBJECT.finditer(other)]
    bodies = own + foreign
    if not own:
        return data
    return _at_match(
        data,
        rng,
        _OBJECT,
        lambda old: old[: old.find(b"obj") + 3] + rng.choice(bodies) + b"endobj",
    )


def _append_revision(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    """One more revision that rewrites an object, in an honest table or in one that is not."""
    found = list(_OBJECT.finditer(data))
    if not found or b"/Root" not in data or b"startxref" not in data or b"/Size" not in data:
        return data
    chosen, body = rng.choice(found), rng.choice(found).group(3).strip()
    number = rng.choice((int(chosen.group(1)), rng.randint(1, 120)))
    try:
        return appended(
            data,
            {number: body},
            start=rng.choice((None, None, 0, rng.randint(0, len(data)))),
            previous=rng.choice((None, None, 0, rng.randint(0, len(data)))),
            table=rng.random() < 0.8,
        )
    except (IndexError, ValueError):
        return data


def _nest(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    depth = rng.choice(NEST)
    opener, closer = rng.choice(((b"[", b"]"), (b"<< /A ", b" >>"), (b"(", b")")))
    place = rng.randint(0, len(data))
    return data[:place] + opener * depth + closer * rng.choice((0, depth)) + data[place:]


def _container(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """A signature container, changed as DER and put back: the signed bytes stay as they are."""

    def made(old: bytes) -> bytes:
        room = len(old) - 2
        value = bytes.fromhex(old[1 : 1 + room - room % 2].decode("ascii")).rstrip(b"\x00")
        pieces = [
            bytes.fromhex(m.group(1)[: len(m.group(1)) // 2 * 2].decode("ascii"))
            for other in others[:2]
            for m in _HEX.finditer(other)
        ]
        text = rng.choice(DER_MUTATIONS)(value, rng, pieces).hex().upper().encode("ascii")
        return b"<" + text[:room].ljust(room, b"0") + b">"

    return _at_match(data, rng, _HEX, made)


def _stream_end(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    """A stream that ends early, or says another length."""
    place = data.find(b"stream", rng.randint(0, max(0, len(data) - 1)))
    if place < 0:
        return data
    return data[: place + 6] + data[place + 6 + rng.choice((1, 10, 200)) :]


def _range(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    """The four numbers of a byte range, one of them changed."""
    found = changes.byte_ranges(data)
    if not found:
        return data
    one = rng.choice(found)
    end = data.find(b"]", one.position)
    numbers = list(one.numbers or (0, 1, 2, 3))
    numbers[rng.randrange(len(numbers))] += rng.choice((-1, 1, 2, 100, 10**9))
    text = b"/ByteRange [%s]" % b" ".join(b"%d" % number for number in numbers)
    return data[: one.position] + text.ljust(end + 1 - one.position) + data[end + 1 :]


PDF_MUTATIONS: Final[tuple[Mutation, ...]] = (
    *BYTE_MUTATIONS,
    *(_number, _structure, _reference, _name, _token, _row, _swap_objects, _append_revision),
    *(_nest, _container, _container, _container, _stream_end, _range),
)


# --- DER ------------------------------------------------------------------------------------------

Node = tuple[int, int, int, tuple[int, ...]]
"""Offset of the tag, of the content and behind it; offsets of the tags of all values around it."""


def der_nodes(data: bytes) -> list[Node]:
    """Every value in well-formed DER, outer ones first; what is not DER inside is left alone."""
    found: list[Node] = []
    stack: list[tuple[int, int, tuple[int, ...]]] = [(0, len(data), ())]
    while stack and len(found) < NODES_MAX:
        position, end, above = stack.pop()
        while position + 2 <= end and len(found) < NODES_MAX:
            head = _header(data, position, end)
            if head is None:
                break
            start, stop = head
            found.append((position, start, stop, above))
            # Octet and bit strings often hold DER, too (extensions, keys).
            inner = start + 1 if data[position] == 0x03 else start
            holds = data[position] & _CONSTRUCTED or data[position] in {0x03, 0x04}
            if holds and len(above) < DEPTH_MAX:
                stack.append((inner, stop, (*above, position)))
            position = stop
    return found


def _header(data: bytes, position: int, end: int) -> tuple[int, int] | None:
    first = data[position + 1]
    if first < 0x80:
        start, size = position + 2, first
    else:
        count = first & 0x7F
        if not 1 <= count <= 4 or position + 2 + count > end:
            return None
        start = position + 2 + count
        size = int.from_bytes(data[position + 2 : start], "big")
    return (start, start + size) if start + size <= end else None


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes((size,))
    body = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(body),)) + body


def replaced(data: bytes, node: Node, new: bytes) -> bytes:
    """`data` with a whole value replaced, and the lengths of everything around it written anew."""
    position, _start, stop, above = node
    for outer in reversed(above):
        head = _header(data, outer, len(data))
        if head is None:
            break
        start, end = head
        content = data[start:position] + new + data[stop:end]
        new = data[outer : outer + 1] + _length(len(content)) + content
        position, stop = outer, end
    return data[:position] + new + data[stop:]


def _on_node(
    data: bytes, rng: random.Random, made: Callable[[Node], bytes], *, blind: bool = False
) -> bytes:
    nodes = der_nodes(data)
    if not nodes:
        return data
    node = rng.choice(nodes)
    new = made(node)
    if blind or rng.random() < 0.2:
        return data[: node[0]] + new + data[node[2] :]
    return replaced(data, node, new)


def _tag(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    tags = (
        0x01,
        0x02,
        0x03,
        0x04,
        0x05,
        0x06,
        0x0C,
        0x13,
        0x17,
        0x18,
        0x30,
        0x31,
        0x80,
        0xA0,
        0x1F,
    )
    return _on_node(
        data,
        rng,
        lambda n: bytes((rng.choice((*tags, rng.randrange(256))),)) + data[n[0] + 1 : n[2]],
    )


def _der_length(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    lengths = (
        b"\x00",
        b"\x80",
        b"\x81\x01",
        b"\x84\xff\xff\xff\xff",
        b"\x88" + b"\xff" * 8,
        b"\xff",
    )

    def made(node: Node) -> bytes:
        size = node[2] - node[1]
        new = rng.choice(
            (
                *lengths,
                _length(size + 1),
                _length(max(0, size - 1)),
                b"\x82" + size.to_bytes(2, "big") if size < 65_536 else b"\x80",
            )
        )
        return data[node[0] : node[0] + 1] + new + data[node[1] : node[2]]

    return _on_node(data, rng, made, blind=rng.random() < 0.5)


def _drop_node(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    return _on_node(data, rng, lambda _node: b"")


def _double_node(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    times = rng.choice((2, 2, 3, 200))
    return _on_node(data, rng, lambda n: data[n[0] : n[2]] * times)


def _move_node(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    source = rng.choice((data, *others[:8]))
    nodes = der_nodes(source)
    if not nodes:
        return data
    chosen = rng.choice(nodes)
    return _on_node(data, rng, lambda _node: source[chosen[0] : chosen[2]])


def _content(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    def made(node: Node) -> bytes:
        size = node[2] - node[1]
        new = rng.choice(
            (
                b"",
                rng.randbytes(min(size, 64)),
                _flip(data[node[1] : node[2]], rng, ()),
                b"\x00" * size,
                b"\xff" * rng.choice((1, 8, 300)),
                b"99991231235959Z",
                b"000000000000Z",
                "𬱖\ud800".encode("utf-8", "surrogatepass"),
            )
        )
        return data[node[0] : node[0] + 1] + _length(len(new)) + new

    return _on_node(data, rng, made)


def _deep(data: bytes, rng: random.Random, _others: Sequence[bytes]) -> bytes:
    def made(node: Node) -> bytes:
        new = data[node[0] : node[2]]
        for _level in range(rng.choice(NEST)):
            new = b"\x30" + _length(len(new)) + new
            if len(new) > SIZE_MAX:
                break
        return new

    return _on_node(data, rng, made)


DER_MUTATIONS: Final[tuple[Mutation, ...]] = (
    *BYTE_MUTATIONS,
    *(_tag, _der_length, _drop_node, _double_node, _move_node, _content, _deep),
)
