"""Values of Ethereum's JSON-RPC, read strictly: a node is somebody else's program."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import rlp
from eth_hash.auto import keccak

from ledger.core.errors import UnavailableError, VerificationError
from ledger.validator_seals import split_bft_header

_QUANTITY: Final = re.compile(r"^0x(0|[1-9a-f][0-9a-f]{0,63})$")
_HEADER: Final = (
    "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom",
    "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce",
    "baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash",
)  # fmt: skip
_HEADER_NUMBERS: Final = {
    "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed", "excessBlobGas",
}  # fmt: skip
_HEADER_REQUIRED: Final = 15
"""Fields before London; later ones are appended fork by fork, without gaps."""


def quantity(value: Any) -> int:
    """A hex quantity, e.g. `0x1f`.

    Raises:
        UnavailableError: `chain.answer_malformed`.
    """
    if not isinstance(value, str) or not _QUANTITY.match(value.lower()):
        raise malformed("number")
    return int(value, 16)


def data_of(value: Any, *, length: int | None = None) -> bytes:
    """Hex data, of `length` bytes where given.

    Raises:
        UnavailableError: `chain.answer_malformed`.
    """
    if isinstance(value, str) and value.startswith("0x"):
        try:
            data = bytes.fromhex(value[2:])
        except ValueError:
            raise malformed("bytes") from None
        if length in (None, len(data)):
            return data
    raise malformed("bytes")


def malformed(what: str) -> UnavailableError:
    """The error for an answer nobody can use."""
    return UnavailableError(
        "the chain node answered with something that makes no sense",
        code="chain.answer_malformed",
        what=what,
    )


def told_header(block: Mapping[str, Any]) -> bytes:
    """A header as the node tells it, in RLP; under QBFT and IBFT 2.0 that is not what the block hash covers.

    Raises:
        UnavailableError: `chain.evidence_unavailable`.
    """
    present = [name for name in _HEADER if block.get(name) is not None]
    if len(present) < _HEADER_REQUIRED or present != list(_HEADER[: len(present)]):
        raise _no_header()
    try:
        fields = [
            quantity(block[name]) if name in _HEADER_NUMBERS else data_of(block[name])
            for name in present
        ]
    except UnavailableError as exc:
        raise _no_header() from exc
    return bytes(rlp.encode(fields))


def header_rlp(block: Mapping[str, Any]) -> bytes:
    """Rebuild a header from its JSON; refused unless it hashes to the block's own hash.

    Raises:
        UnavailableError: `chain.evidence_unavailable`.
    """
    told, stated = told_header(block), str(block.get("hash")).lower()
    if "0x" + keccak(told).hex() == stated:
        return told
    try:
        sealed = split_bft_header(told)
    except VerificationError as exc:
        raise _no_header() from exc
    if sealed is None or "0x" + keccak(sealed.header).hex() != stated:
        raise _no_header()
    return sealed.header


def _no_header() -> UnavailableError:
    return UnavailableError(
        "this chain's header cannot be rebuilt from what the node says",
        code="chain.evidence_unavailable",
    )
