"""Read a receipt as it came from somebody else: its JSON, its members, its entry.

One value has one spelling: hex in lower case, base64 as the encoder writes it, numbers that are integers, no
member twice and none that the version does not know.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ledger.core import merkle
from ledger.core.canonical import canonical_parse, require_shallow
from ledger.core.errors import InputError, VerificationError

RECEIPT_VERSION: Final = "fuqi/receipt/v1"
RECEIPT_BYTES_MAX: Final = 1024 * 1024
"""A private body of 256 KiB and four proofs of 65 nodes; an ordinary receipt has 5 KiB."""
MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    "entry": frozenset({"id", "bytes", "leaf"}),
    "private": frozenset({"body", "salt"}),
    "log": frozenset({"verifier", "index", "size", "root", "path", "note"}),
    "anchor": frozenset(
        {"size", "root", "state", "evidence", "chain_id", "contract", "tx_hash", "gas_used"}
        | {"block_number", "block_hash", "block_time"}
    ),
}
TOP_MEMBERS: Final = frozenset({"v", "state", "disclosed", "status", *MEMBERS})


def read_receipt(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`: UTF-8, at most 1 MiB, no member twice, no number that is not an integer.

    Raises:
        InputError: `receipt.shape`.
    """
    if len(data) > RECEIPT_BYTES_MAX:
        raise InputError("a receipt has at most 1 MiB", code="receipt.shape")
    try:
        require_shallow(data)
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_once,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except (ValueError, RecursionError, InputError) as exc:
        raise InputError("this is not the JSON of a receipt", code="receipt.shape") from exc
    if not isinstance(value, dict):
        raise InputError("a receipt is a JSON object", code="receipt.shape")
    return value


def receipt_labels(
    receipt: Mapping[str, Any], evidence: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """Honest remarks about the chain behind a receipt."""
    found = evidence or (receipt.get("anchor") or {}).get("evidence") or {}
    return tuple(str(found[key]) for key in ("label_zh", "label_en") if found.get(key))


def entry_bytes(receipt: Mapping[str, Any]) -> bytes:
    """The bytes of the entry, whose base64 has one spelling.

    Raises:
        VerificationError: `receipt.entry`.
    """
    try:
        text = receipt["entry"]["bytes"]
        data = base64.b64decode(text, validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error) as exc:
        raise VerificationError("the entry is not base64", code="receipt.entry") from exc
    if base64.b64encode(data).decode() != text:
        raise VerificationError("the entry is not base64", code="receipt.entry")
    return data


def entry_fields(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """The public fields of the entry inside a receipt.

    Raises:
        VerificationError: `receipt.entry`.
    """
    try:
        value = canonical_parse(entry_bytes(receipt))
    except InputError as exc:
        raise VerificationError("the entry is not canonical JSON", code="receipt.entry") from exc
    if not isinstance(value, dict):
        raise VerificationError("the entry is not an object", code="receipt.entry")
    return value


def state_of(receipt: Mapping[str, Any]) -> object:
    """The state that the receipt carries proof of; None where what it carries makes no state."""
    if receipt["log"] is None:
        # What is anchored is in the log: an anchor alone proves nothing about this entry.
        return "journaled" if receipt["anchor"] is None else None
    if receipt["anchor"] is None:
        return "logged"
    state = receipt["anchor"]["state"]
    return state if state in ("mined", "final") else None


def require_members(receipt: Mapping[str, Any], name: str) -> None:
    """Refuse members of `name` that this version does not know.

    Raises:
        VerificationError: `receipt.shape`.
    """
    if not MEMBERS[name].issuperset(receipt[name]):
        raise VerificationError("a member that this version does not know", code="receipt.shape")


def require_integer(value: object) -> int:
    """`value`, which is an integer and no truth value.

    Raises:
        VerificationError: `receipt.shape`.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise VerificationError("a number is not an integer", code="receipt.shape")
    return value


def hex_bytes(value: object) -> bytes:
    """The bytes of lower-case hex without white space.

    Raises:
        VerificationError: `receipt.shape`.
        ValueError: not hex at all.
    """
    data = bytes.fromhex(value) if isinstance(value, str) else b""
    if not isinstance(value, str) or data.hex() != value:
        raise VerificationError("not lower-case hex", code="receipt.shape")
    return data


def path_steps(value: object) -> Sequence[object]:
    """`value`, which is a list no longer than any path.

    Raises:
        VerificationError: `receipt.shape`.
    """
    if not isinstance(value, list) or len(value) > merkle.PATH_MAX:
        raise VerificationError("the path is not a short list", code="receipt.shape")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a member stands twice")
    return value


def _refuse_number(text: str) -> object:
    raise ValueError(f"{text} is not an integer")
