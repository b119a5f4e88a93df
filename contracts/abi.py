"""EvidenceLog's call data, answers, events, errors and storage, to and from dataclasses.

Written out by hand for one small contract: no web3, no code generation. tests/unit/contracts compares every
selector with the committed ABI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_hash.auto import keccak

from contracts.head import HEAD_SLOT as HEAD_SLOT  # noqa: PLC0414 - part of this module's face
from contracts.head import ROOT_SLOT as ROOT_SLOT  # noqa: PLC0414 - part of this module's face
from contracts.head import Head as Head  # noqa: PLC0414 - the same
from contracts.head import unpack_head as unpack_head  # noqa: PLC0414 - part of this module's face
from ledger.core.errors import VerificationError
from ledger.core.merkle import SIZE_MAX


def _selector(signature: str) -> bytes:
    return keccak(signature.encode("ascii"))[:4]


APPEND: Final = _selector("append(uint64,bytes32,bytes32[])")
HEAD: Final = _selector("head()")
WRITER: Final = _selector("writer()")
IS_INCLUDED: Final = _selector("isIncluded(bytes32,uint64,uint64,bytes32[])")
CHECKPOINT_TOPIC: Final = keccak(b"Checkpoint(uint64,uint64,bytes32)")

ERRORS: Final[Mapping[bytes, tuple[str, tuple[str, ...]]]] = {
    _selector(f"{name}({','.join(types)})"): (name, types)
    for name, types in (
        ("EvidenceLogUnauthorized", ("address", "address")),
        ("EvidenceLogZeroWriter", ()),
        ("EvidenceLogNotNewer", ("uint64", "uint64")),
        ("EvidenceLogTooLarge", ("uint64", "uint64")),
        ("EvidenceLogNotHead", ("uint64", "uint64")),
        ("Rfc9162PathLength", ("uint256",)),
        ("Rfc9162OldRootMismatch", ("bytes32", "bytes32")),
        ("Rfc9162RootMismatch", ("bytes32", "bytes32")),
    )
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The event of one accepted append."""

    index: int
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Revert:
    """A custom error: its name and values, or `unknown` with the first bytes in hex."""

    name: str
    values: tuple[Any, ...]


def encode_append(*, size: int, root: bytes, proof: Sequence[bytes]) -> bytes:
    """Call data of `append`."""
    assert 0 < size <= SIZE_MAX
    return APPEND + encode(["uint64", "bytes32", "bytes32[]"], [size, root, list(proof)])


def encode_is_included(leaf: bytes, *, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Call data of `isIncluded`."""
    types = ["bytes32", "uint64", "uint64", "bytes32[]"]
    return IS_INCLUDED + encode(types, [leaf, index, size, list(path)])


def encode_constructor(writer: bytes) -> bytes:
    """Constructor arguments, to follow the creation code; `writer` is 20 bytes."""
    return encode(["address"], [writer])


def decode_head(data: bytes) -> Head:
    """Answer of `head()`.

    Raises:
        VerificationError: `contracts.answer_malformed`.
    """
    size, time, index, root = _decode(["uint64", "uint64", "uint64", "bytes32"], data)
    return Head(size=size, time=time, index=index, root=root)


def decode_bool(data: bytes) -> bool:
    """Answer of `isIncluded`.

    Raises:
        VerificationError: `contracts.answer_malformed`.
    """
    return bool(_decode(["bool"], data)[0])


def decode_address(data: bytes) -> str:
    """Answer of `writer()`, `0x` and 40 lower-case digits.

    Raises:
        VerificationError: `contracts.answer_malformed`.
    """
    return str(_decode(["address"], data)[0]).lower()


def decode_checkpoint(topics: Sequence[bytes], data: bytes) -> Checkpoint | None:
    """The `Checkpoint` event in a log record, or None for any other event.

    Raises:
        VerificationError: `contracts.answer_malformed`.
    """
    if len(topics) != 3 or topics[0] != CHECKPOINT_TOPIC:
        return None
    (root,) = _decode(["bytes32"], data)
    return Checkpoint(
        index=int.from_bytes(topics[1], "big"), size=int.from_bytes(topics[2], "big"), root=root
    )


def decode_revert(data: bytes) -> Revert:
    """What a failed call says; never raises."""
    known = ERRORS.get(data[:4])
    if known is None:
        return Revert(name="unknown", values=(data[:36].hex(),))
    name, types = known
    try:
        return Revert(name=name, values=tuple(decode(list(types), data[4:])))
    except DecodingError:
        return Revert(name="unknown", values=(data[:36].hex(),))


def _decode(types: list[str], data: bytes) -> tuple[Any, ...]:
    try:
        return tuple(decode(types, data))
    except DecodingError as exc:
        raise VerificationError(
            "the chain answered with bytes that are not of this contract",
            code="contracts.answer_malformed",
        ) from exc
