"""C2SP `tlog-proof@v1`: the part of a receipt that log tools of others read, as text, both ways.

    c2sp.org/tlog-proof@v1
    extra <base64>              here the bytes of the entry, so that the file needs nothing else
    index <decimal>
    <base64>                    one line for each digest of the inclusion path, leaf level first
                                an empty line
    <signed checkpoint>

A receipt says more (chain, disclosure, status); whoever has only this text has entry, log and witnesses.
Source: c2sp.org/tlog-proof. Standard library and `cryptography` only.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.core import merkle
from ledger.core.canonical import Json
from ledger.core.errors import FuqiError, InputError, VerificationError
from ledger.note import VerifierKey, parse_note
from ledger.receipt_reading import RECEIPT_VERSION, entry_bytes, hex_bytes

FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
PROOF_BYTES_MAX: Final = 16 * 1024
"""An entry of 4 KiB in base64, 53 digests and a note of 4 KiB."""
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,15})")


@dataclass(frozen=True, slots=True)
class TlogProof:
    """What such a text holds; nothing of it is verified.

    Attributes:
        extra: bytes of the entry, or None where the line is left out.
        note: the signed checkpoint with its cosignatures, verbatim.
    """

    extra: bytes | None
    index: int
    path: tuple[bytes, ...]
    note: str

    def text(self) -> str:
        """The text, which `read_tlog_proof` reads."""
        extra = [] if self.extra is None else [f"extra {_base64(self.extra)}"]
        lines = [FIRST_LINE, *extra, f"index {self.index}", *map(_base64, self.path)]
        return "\n".join(lines) + "\n\n" + self.note


def tlog_proof_text(*, entry: bytes, index: int, path: Sequence[bytes], note: str) -> str:
    """The proof of an entry as text."""
    return TlogProof(extra=entry, index=index, path=tuple(path), note=note).text()


def tlog_proof_of(receipt: Mapping[str, Any]) -> str:
    """The log's part of a receipt, checked for its form only.

    Raises:
        VerificationError: `tlog_proof.not_logged`: the entry is not in the tree yet; `receipt.shape` and
            `receipt.entry` where the receipt is malformed.
    """
    log = receipt.get("log")
    if log is None:
        raise VerificationError(
            "the entry is not in the tree yet; ask for a new receipt later",
            code="tlog_proof.not_logged",
        )
    try:
        path = [hex_bytes(step) for step in log["path"]]
        index, note = int(log["index"]), str(log["note"])
    except (KeyError, TypeError, ValueError) as exc:
        raise VerificationError("this is no receipt", code="receipt.shape") from exc
    return tlog_proof_text(entry=entry_bytes(receipt), index=index, path=path, note=note)


def read_tlog_proof(data: bytes) -> TlogProof:
    """Read the text, in the one form that each proof has.

    Raises:
        InputError: `tlog_proof.shape`.
    """
    try:
        if len(data) > PROOF_BYTES_MAX:
            raise ValueError("too long")
        head, gap, note = data.decode("utf-8").partition("\n\n")
        first, *lines = head.split("\n")
        if first != FIRST_LINE or not gap:
            raise ValueError("first line")
        extra = None
        if lines[0].startswith("extra "):
            extra = _decoded(lines.pop(0).removeprefix("extra "))
        index = _INDEX.fullmatch(lines.pop(0))
        path = tuple(_decoded(line) for line in lines)
        if index is None or len(path) > merkle.PATH_MAX or any(len(step) != 32 for step in path):
            raise ValueError("index or path")
        parse_note(note)
    except (ValueError, IndexError, binascii.Error, FuqiError) as exc:
        raise InputError("this is not a tlog-proof@v1", code="tlog_proof.shape") from exc
    return TlogProof(extra=extra, index=int(index[1]), path=path, note=note)


def receipt_of(proof: TlogProof, *, verifier: VerifierKey) -> dict[str, Json]:
    """The proof as a receipt of state `logged`, for `verify_receipt`; nothing is verified here.

    Args:
        verifier: the pinned log's key; the text itself names none.

    Raises:
        InputError: `tlog_proof.no_entry`: without the entry's bytes there is nothing to prove.
    """
    if proof.extra is None:
        raise InputError(
            "the proof does not hold the entry; ask for one with it", code="tlog_proof.no_entry"
        )
    checkpoint, _ = parse_note(proof.note)
    try:
        name = json.loads(proof.extra.decode("utf-8"))["id"]
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise InputError("the extra data are no entry", code="tlog_proof.no_entry") from exc
    return {
        "v": RECEIPT_VERSION,
        "state": "logged",
        "entry": {
            "id": name,
            "bytes": _base64(proof.extra),
            "leaf": merkle.leaf_hash(proof.extra).hex(),
        },
        "private": None,
        "log": {
            "verifier": verifier.text(),
            "index": proof.index,
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
            "path": [step.hex() for step in proof.path],
            "note": proof.note,
        },
        "anchor": None,
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    if _base64(data) != text:
        raise ValueError("another spelling of base64")
    return data
