"""Receipts: an entry's inclusion proof plus its anchor, built from rows.

Format `fuqi/receipt/v1` (JSON, integers only, hex in lower case); docs/reference/receipts.md says it in full:

    v, state       journaled | logged | mined | final
    entry          {id, bytes (base64 of the canonical entry), leaf}
    private        null, or {body, salt}: opens the entry's commitment
    disclosed      absent, or `fuqi/disclosure/v1`: opens single fields of an entry v2
    log            null while only journaled, else {verifier, index, size, root, path[], note}
    anchor         null until mined, else {size, root, chain_id, contract, tx_hash, block_number, block_hash,
                   block_time, gas_used, state, evidence}; `evidence` is `fuqi/chain-evidence/v1`, or null
                   where the receipt stands in a bundle, which holds each anchor's evidence once
    status         absent, or a signed `fuqi/receipt-status/v1`: as of when, and what came later

Whoever only verifies imports `ledger.receipt_checking`, which needs no database library.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from ledger.core import merkle
from ledger.core.canonical import Json
from ledger.ledger_trust import TRUST_VERSION, ChainPin, LedgerTrust
from ledger.log import cosigned_note, inclusion
from ledger.note import NoteSigner, VerifierKey
from ledger.queries import anchors as anchor_queries
from ledger.queries import log as queries
from ledger.receipt_checking import verify_receipt
from ledger.receipt_reading import RECEIPT_VERSION, entry_fields, receipt_labels
from ledger.receipt_status import Effect, status_of
from ledger.tables.anchors import AnchorRow
from ledger.tables.log import EntryRow
from ledger.vault import PrivateBody

__all__ = [
    "RECEIPT_VERSION",
    "TRUST_VERSION",
    "ChainPin",
    "LedgerTrust",
    "anchor_json",
    "build_receipt",
    "entry_fields",
    "receipt_labels",
    "signed_status",
    "verify_receipt",
]


def build_receipt(
    session: Session,
    entry: EntryRow,
    *,
    verifier: VerifierKey,
    private: PrivateBody | None = None,
    disclosed: Mapping[str, Json] | None = None,
    with_evidence: bool = True,
) -> dict[str, Json]:
    """The receipt of `entry` as things stand now; its `state` says how far it has come.

    Args:
        private: opens the whole body; leave it out to show nothing, or only what `disclosed` shows.
        disclosed: from `ledger.disclosure.disclose`; for entries v2.
    """
    receipt: dict[str, Json] = {
        "v": RECEIPT_VERSION,
        "state": "journaled",
        "entry": {
            "id": entry.id,
            "bytes": base64.b64encode(entry.bytes).decode(),
            "leaf": entry.leaf,
        },
        "private": None
        if private is None
        else {"body": dict(private.body), "salt": private.salt.hex()},
        "log": None,
        "anchor": None,
    }
    if disclosed is not None:
        receipt["disclosed"] = disclosed
    if entry.seq is None:
        return receipt
    anchor = anchor_queries.anchor_covering(session, entry.seq)
    # Prove inclusion in the very checkpoint the chain holds, so that no consistency step is needed.
    checkpoint = (
        queries.checkpoint_of_size(session, anchor.checkpoint_size)
        if anchor is not None
        else queries.checkpoint_covering(session, entry.seq)
    )
    if checkpoint is None:
        return receipt
    receipt["state"] = "logged"
    receipt["log"] = {
        "verifier": verifier.text(),
        "index": entry.seq,
        "size": checkpoint.size,
        "root": checkpoint.root,
        "path": [
            digest.hex() for digest in inclusion(session, index=entry.seq, size=checkpoint.size)
        ],
        "note": cosigned_note(session, checkpoint),
    }
    if anchor is not None:
        receipt["state"] = anchor.state
        receipt["anchor"] = anchor_json(anchor, with_evidence=with_evidence)
    return receipt


def anchor_json(anchor: AnchorRow, *, with_evidence: bool) -> dict[str, Json]:
    """An anchor as it stands in receipts and bundles."""
    return {
        "size": anchor.checkpoint_size,
        "root": anchor.root,
        "chain_id": anchor.chain_id,
        "contract": anchor.contract,
        "tx_hash": anchor.tx_hash,
        "block_number": anchor.block_number,
        "block_hash": anchor.block_hash,
        "block_time": anchor.block_time,
        "gas_used": anchor.gas_used,
        "state": anchor.state,
        "evidence": json.loads(anchor.evidence) if with_evidence and anchor.evidence else None,
    }


def signed_status(
    session: Session, entry: EntryRow, *, state: str, signer: NoteSigner, at: datetime
) -> str:
    """The log's signed word on what it knows of `entry` by now: a note, `fuqi/receipt-status/v1`.

    Args:
        state: of the receipt that it goes with.
        at: when the log and the chain were last looked at.
    """
    newest = queries.latest_checkpoint(session)
    size, root = (0, merkle.EMPTY_ROOT.hex()) if newest is None else (newest.size, newest.root)
    later = [
        Effect(index=index, type=kind, leaf=leaf)
        for index, kind, leaf in queries.entries_after(session, entry.subject, entry.order)
        if index < size
    ]
    status = status_of(leaf=entry.leaf, state=state, at=at, size=size, root=root, later=later)
    return signer.sign_text(status.text())
