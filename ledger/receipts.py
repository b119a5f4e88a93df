"""Receipts: an entry's inclusion proof plus its anchor, built from rows and verified offline.

Format `fuqi/receipt/v1` (JSON, integers only, hex in lower case):

    v, state       journaled | logged | mined | final
    entry          {id, bytes (base64 of the canonical entry), leaf}
    private        null, or {body, salt}: opens the entry's commitment
    disclosed      absent, or `fuqi/disclosure/v1`: opens single fields of an entry v2
    log            null while only journaled, else {verifier, index, size, root, path[], note}
    anchor         null until mined, else {size, root, chain_id, contract, tx_hash, block_number, block_hash,
                   block_time, gas_used, state, evidence}; `evidence` is `fuqi/chain-evidence/v1`, or null
                   where the receipt stands in a bundle, which holds each anchor's evidence once

Verification needs no network, no database and nothing of ours that runs: only this file and a pinned
`LedgerTrust`. What is missing is indeterminate, never passed.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy.orm import Session

from ledger.chain_proof import ProvenHead, verify_chain_evidence
from ledger.core import merkle
from ledger.core.canonical import Json, canonical_parse, commitment
from ledger.core.errors import FuqiError, InputError, VerificationError
from ledger.core.report import Check, Report, Verdict
from ledger.disclosure import verify_disclosure
from ledger.log import ENTRY_VERSIONS, cosigned_note, inclusion
from ledger.note import CosignerKey, VerifierKey, WitnessPolicy, cosignature_time, open_note
from ledger.queries import anchors as anchor_queries
from ledger.queries import log as queries
from ledger.tables.anchors import AnchorRow
from ledger.tables.log import EntryRow
from ledger.vault import PrivateBody

RECEIPT_VERSION: Final = "fuqi/receipt/v1"
TRUST_VERSION: Final = "fuqi/ledger-trust/v1"
_WORD: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class ChainPin:
    """A chain and contract the verifier has decided to rely on.

    Attributes:
        code_hash: keccak-256 of the contract's runtime code, 0x-prefixed hex.
        kind: `embedded` or `json-rpc`.
    """

    chain_id: int
    contract: str
    code_hash: str
    kind: str
    label_en: str
    label_zh: str


@dataclass(frozen=True, slots=True)
class LedgerTrust:
    """Whom the verifier trusts: the log's key, the chains that may anchor it, and k of n witnesses.

    `witnesses` None, as in files that do not name any: cosignatures are not asked for.
    """

    verifier: VerifierKey
    chains: tuple[ChainPin, ...] = field(default=())
    witnesses: WitnessPolicy | None = None

    def as_json(self) -> dict[str, Json]:
        """`fuqi/ledger-trust/v1`; `witnesses` only where there is such a policy."""
        policy: dict[str, Json] = {}
        if self.witnesses is not None:
            keys = [key.text() for key in self.witnesses.keys]
            policy = {"witnesses": {"k": self.witnesses.k, "keys": keys}}
        return policy | {
            "v": TRUST_VERSION,
            "log": self.verifier.text(),
            "chains": [
                {
                    "chain_id": pin.chain_id,
                    "contract": pin.contract,
                    "code_hash": pin.code_hash,
                    "kind": pin.kind,
                    "label_en": pin.label_en,
                    "label_zh": pin.label_zh,
                }
                for pin in self.chains
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LedgerTrust:
        """Read the JSON form.

        Raises:
            InputError: `trust.malformed`.
        """
        try:
            if value["v"] != TRUST_VERSION:
                raise ValueError("version")
            pins = tuple(
                ChainPin(
                    chain_id=int(pin["chain_id"]),
                    contract=str(pin["contract"]),
                    code_hash=str(pin["code_hash"]),
                    kind=str(pin["kind"]),
                    label_en=str(pin["label_en"]),
                    label_zh=str(pin["label_zh"]),
                )
                for pin in value["chains"]
            )
            policy = None
            if value.get("witnesses") is not None:
                keys = [CosignerKey.parse(str(key)) for key in value["witnesses"]["keys"]]
                policy = WitnessPolicy.of(value["witnesses"]["k"], keys)
            verifier = VerifierKey.parse(str(value["log"]))
            return cls(verifier=verifier, chains=pins, witnesses=policy)
        except (KeyError, TypeError, ValueError, VerificationError) as exc:
            raise InputError("this is not a ledger trust file", code="trust.malformed") from exc


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


def verify_receipt(
    receipt: Mapping[str, Any],
    *,
    trust: LedgerTrust | None,
    evidence: Mapping[str, Any] | None = None,
) -> Report:
    """Check a receipt offline; never raises on bad input.

    Args:
        receipt: parsed `fuqi/receipt/v1`.
        trust: pinned log key and chains; None leaves the two pin checks indeterminate. With a policy of
            witnesses, `receipt.witnesses` is checked too.
        evidence: chain evidence where the receipt leaves it out (in bundles).
    """
    checks: list[Check] = []
    steps: list[tuple[str, Callable[[Mapping[str, Any]], Check]]] = [
        ("receipt.entry", _check_entry),
        ("receipt.commitment", _check_commitment),
        ("receipt.inclusion", _check_inclusion),
        ("receipt.checkpoint", lambda value: _check_note(value, trust)),
        ("receipt.anchor", lambda value: _check_anchor(value, evidence)),
        ("receipt.chain", lambda value: _check_pin(value, trust, evidence)),
    ]
    policy = None if trust is None else trust.witnesses
    if policy is not None:
        steps.insert(4, ("receipt.witnesses", lambda value: _check_witnesses(value, policy)))
    if isinstance(receipt, Mapping) and receipt.get("disclosed") is not None:
        steps.insert(2, ("receipt.disclosure", _check_disclosure))
    for code, step in steps:
        try:
            checks.append(step(receipt))
        except FuqiError as exc:
            checks.append(_failed(code, str(exc)))
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as exc:
            checks.append(_failed(code, f"malformed ({type(exc).__name__})"))
    try:
        labels = receipt_labels(receipt, evidence)
    except AttributeError:
        labels = ()
    return Report(subject="receipt", checks=tuple(checks), labels=labels)


def receipt_labels(
    receipt: Mapping[str, Any], evidence: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """Honest remarks about the chain behind a receipt."""
    found = evidence or (receipt.get("anchor") or {}).get("evidence") or {}
    return tuple(str(found[key]) for key in ("label_zh", "label_en") if found.get(key))


def entry_fields(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """The public fields of the entry inside a receipt.

    Raises:
        VerificationError: `receipt.entry`.
    """
    try:
        data = base64.b64decode(receipt["entry"]["bytes"], validate=True)
        value = canonical_parse(data)
    except (KeyError, TypeError, ValueError, binascii.Error, InputError) as exc:
        raise VerificationError("the entry is not canonical JSON", code="receipt.entry") from exc
    if not isinstance(value, dict):
        raise VerificationError("the entry is not an object", code="receipt.entry")
    return value


def _check_entry(receipt: Mapping[str, Any]) -> Check:
    code = "receipt.entry"
    if receipt["v"] != RECEIPT_VERSION:
        return _failed(code, "unknown receipt version")
    fields = entry_fields(receipt)
    data = base64.b64decode(receipt["entry"]["bytes"], validate=True)
    if fields.get("v") not in ENTRY_VERSIONS or fields.get("id") != receipt["entry"]["id"]:
        return _failed(code, "the entry is not the one the receipt names")
    # They are printed below: words only, nothing that could steer a terminal or a page.
    if not _WORD.fullmatch(fields["id"]) or not _WORD.fullmatch(fields["type"]):
        return _failed(code, "the entry's id or type is not a plain word")
    if receipt["state"] != _state_of(receipt):
        return _failed(code, "the receipt claims another state than it carries proof of")
    if merkle.leaf_hash(data).hex() != receipt["entry"]["leaf"]:
        return _failed(code, "the leaf hash does not belong to these entry bytes")
    return _passed(
        code,
        f"entry {fields['id']} of type {fields['type']} is whole",
        f"存证记录 {fields['id']}（{fields['type']}）完整",
    )


def _check_commitment(receipt: Mapping[str, Any]) -> Check:
    code = "receipt.commitment"
    private = receipt["private"]
    if private is None:
        return _passed(
            code,
            "the private body is not disclosed here; the entry commits to it",
            "未披露私密内容；存证记录仅含其承诺值",
            disclosed=False,
        )
    expected = entry_fields(receipt)["commitments"]["body"]
    if commitment(_salt(private), private["body"]).hex() != expected:
        return _failed(code, "the private body is not the one the entry commits to")
    return _passed(
        code,
        "the disclosed body is the one the entry committed to",
        "所披露内容与存证承诺一致",
        disclosed=True,
    )


def _check_disclosure(receipt: Mapping[str, Any]) -> Check:
    code = "receipt.disclosure"
    promised = entry_fields(receipt)["commitments"].get("fields")
    if promised is None:
        return _failed(code, "the entry makes no promise about single fields")
    shown = verify_disclosure(receipt["disclosed"], bytes.fromhex(promised))
    return _passed(
        code,
        f"{len(shown)} disclosed fields are those the entry committed to",
        f"所披露的 {len(shown)} 个字段与存证承诺一致",
        fields=sorted(shown),
    )


def _state_of(receipt: Mapping[str, Any]) -> object:
    if receipt["log"] is None:
        return "journaled"
    return "logged" if receipt["anchor"] is None else receipt["anchor"]["state"]


def _salt(private: Mapping[str, Any]) -> bytes:
    salt = bytes.fromhex(private["salt"])
    if not 16 <= len(salt) <= 64:
        raise VerificationError("salt of the wrong length", code="receipt.commitment")
    return salt


def _check_inclusion(receipt: Mapping[str, Any]) -> Check:
    code = "receipt.inclusion"
    log = receipt["log"]
    if log is None:
        return _unknown(code, "the entry is journaled but not yet in the tree; ask again later")
    merkle.verify_inclusion(
        bytes.fromhex(receipt["entry"]["leaf"]),
        index=_integer(log["index"]),
        size=_integer(log["size"]),
        path=[bytes.fromhex(step) for step in _path(log["path"])],
        root=bytes.fromhex(log["root"]),
    )
    return _passed(
        code,
        f"the entry is leaf {log['index']} of the log of {log['size']} entries",
        f"该记录是日志（共 {log['size']} 条）中的第 {log['index']} 条",
    )


def _check_note(receipt: Mapping[str, Any], trust: LedgerTrust | None) -> Check:
    code = "receipt.checkpoint"
    log = receipt["log"]
    if log is None:
        return _unknown(code, "no checkpoint covers the entry yet")
    verifier = VerifierKey.parse(log["verifier"])
    checkpoint = open_note(log["note"], verifier=verifier)
    if checkpoint.size != log["size"] or checkpoint.root.hex() != log["root"]:
        return _failed(code, "the signed checkpoint is of another tree")
    if trust is None:
        return _unknown(
            code, f"signed by {verifier.text()}, a key that you have not pinned; pass a trust file"
        )
    if verifier != trust.verifier:
        return _failed(code, "the checkpoint is signed by a log that you do not trust")
    return _passed(
        code,
        f"the checkpoint is signed by the pinned log {verifier.name}",
        f"检查点由已固定的日志 {verifier.name} 签名",
    )


def _check_witnesses(receipt: Mapping[str, Any], policy: WitnessPolicy) -> Check:
    code = "receipt.witnesses"
    log = receipt["log"]
    if log is None:
        return _unknown(code, "no checkpoint covers the entry yet")
    signed = {
        key.name: time
        for key in policy.keys
        if (time := cosignature_time(log["note"], witness=key)) is not None
    }
    if len(signed) < policy.k:
        return _unknown(
            code,
            f"{len(signed)} of {len(policy.keys)} pinned witnesses cosigned the checkpoint; "
            f"{policy.k} are needed",
        )
    return _passed(
        code,
        f"{len(signed)} of {len(policy.keys)} pinned witnesses cosigned the checkpoint, {policy.k} needed",
        f"已固定的 {len(policy.keys)} 个见证方中有 {len(signed)} 个为检查点联署（要求 {policy.k} 个）",
        witnesses=sorted(signed),
        first_cosigned=min(signed.values()),
    )


def _check_anchor(receipt: Mapping[str, Any], evidence: Mapping[str, Any] | None) -> Check:
    code = "receipt.anchor"
    anchor = receipt["anchor"]
    if anchor is None:
        return _unknown(code, "the checkpoint is not on the chain yet; ask again later")
    log = receipt["log"]
    if anchor["size"] != log["size"] or anchor["root"] != log["root"]:
        return _failed(code, "the anchor is of another checkpoint")
    head = _proven(receipt, evidence)
    if head is None:
        return _unknown(code, "the receipt carries no chain evidence")
    stated = (anchor["block_number"], anchor["block_hash"], anchor["block_time"])
    if stated != (head.block_number, head.block_hash, head.block_time):
        return _failed(code, "block number, hash or time differ from the proven header")
    if (anchor["chain_id"], str(anchor["contract"]).lower()) != (head.chain_id, head.contract):
        return _failed(code, "chain or contract differ from those of the evidence")
    if anchor["state"] != "final":
        return _unknown(code, "mined, but not final yet; ask again later")
    return _passed(
        code,
        f"block {head.block_number} holds exactly this checkpoint in its state",
        f"区块 {head.block_number} 的状态中正是该检查点",
        block_time=head.block_time,
    )


def _check_pin(
    receipt: Mapping[str, Any], trust: LedgerTrust | None, evidence: Mapping[str, Any] | None
) -> Check:
    code = "receipt.chain"
    anchor = receipt["anchor"]
    if anchor is None:
        return _unknown(code, "no anchor to hold against your chain list yet")
    if trust is None:
        return _unknown(code, "you have not pinned a chain and contract; pass a trust file")
    head = _proven(receipt, evidence)
    if head is None:
        return _unknown(code, "the receipt carries no chain evidence")
    for pin in trust.chains:
        if (pin.chain_id, pin.contract.lower(), pin.code_hash.lower()) == (
            head.chain_id,
            head.contract.lower(),
            head.code_hash.lower(),
        ):
            return _passed(
                code,
                f"the contract and its code are the pinned ones; {pin.label_en}",
                f"合约及其代码与已固定的一致；{pin.label_zh}",
                kind=pin.kind,
            )
    return _failed(code, "the chain, contract or contract code is not one that you pinned")


def _proven(receipt: Mapping[str, Any], evidence: Mapping[str, Any] | None) -> ProvenHead | None:
    anchor = receipt["anchor"]
    found = evidence if evidence is not None else anchor["evidence"]
    if found is None:
        return None
    return verify_chain_evidence(
        found, size=_integer(anchor["size"]), root=bytes.fromhex(anchor["root"])
    )


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise VerificationError("a number is not an integer", code="receipt.shape")
    return value


def _path(value: object) -> Sequence[str]:
    if not isinstance(value, list) or len(value) > merkle.PATH_MAX:
        raise VerificationError("the path is not a short list", code="receipt.shape")
    return value


def _passed(code: str, summary_en: str, summary_zh: str, **details: Json) -> Check:
    return Check(code, Verdict.PASSED, summary_en, summary_zh, dict(details))


def _failed(code: str, reason: str) -> Check:
    return Check(code, Verdict.FAILED, reason, f"未通过：{reason}")


def _unknown(code: str, reason: str) -> Check:
    return Check(code, Verdict.INDETERMINATE, reason, f"无法判定：{reason}")
