"""RLP read strictly, and written: one spelling for each value, a limit on depth. Standard library only.

Source: Ethereum yellow paper, appendix B. Compared with the library `rlp` in tests/unit/ledger.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from ledger.core.errors import VerificationError

RLP_DEPTH_MAX: Final = 20
"""A node in a node is three deep; anything deeper is an attack on the parser."""

Rlp: TypeAlias = "bytes | list[Rlp]"


def rlp_decode(data: bytes) -> Rlp:
    """One item, shortest form only, nothing left over.

    Raises:
        VerificationError: `chain_proof.shape`.
    """
    item, end = _item(data, 0, 0)
    if end != len(data):
        raise _fault("bytes follow an RLP item")
    return item


def rlp_encode(item: Rlp) -> bytes:
    """The one encoding of `item`; `rlp_decode` reads it back."""
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _prefix(0x80, len(item)) + item
    body = b"".join(rlp_encode(part) for part in item)
    return _prefix(0xC0, len(body)) + body


def rlp_integer(value: int) -> bytes:
    """A number as RLP holds it: big-endian, without leading zeros, empty for 0."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _prefix(base: int, length: int) -> bytes:
    if length <= 55:
        return bytes([base + length])
    size = rlp_integer(length)
    return bytes([base + 55 + len(size)]) + size


def _item(data: bytes, at: int, depth: int) -> tuple[Rlp, int]:
    """(item, end) of the RLP item that begins at `at`."""
    if depth > RLP_DEPTH_MAX or at >= len(data):
        raise _fault("malformed RLP")
    first = data[at]
    if first < 0x80:
        return data[at : at + 1], at + 1
    base = 0x80 if first < 0xC0 else 0xC0
    start, length = at + 1, first - base
    if length > 55:
        width = length - 55
        start += width
        length = int.from_bytes(data[at + 1 : start], "big")
        if length <= 55 or start > len(data) or data[at + 1] == 0:
            raise _fault("RLP length is not in its shortest form")
    end = start + length
    if end > len(data):
        raise _fault("RLP item is cut short")
    if base == 0x80:
        if length == 1 and data[start] < 0x80:
            raise _fault("RLP byte is not in its shortest form")
        return data[start:end], end
    items: list[Rlp] = []
    position = start
    while position < end:
        item, position = _item(data, position, depth + 1)
        items.append(item)
    if position != end:
        raise _fault("RLP list overruns its length")
    return items, end


def _fault(message: str) -> VerificationError:
    return VerificationError(message, code="chain_proof.shape")
