"""Verify a receipt offline: standard library, `cryptography` and this program's own modules, nothing else.

Every finding is its own check, passed, failed or indeterminate; what is missing is indeterminate, never passed.
The rules have numbers, R-1 and on, in docs/reference/receipts.md; tests/golden/receipt holds vectors for each,
for whoever writes another verifier.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from ledger.core import merkle
from ledger.core.canonical import commitment
from ledger.core.errors import FuqiError, InputError
from ledger.core.report import Check, Report
from ledger.core.units import utc_text
from ledger.disclosure import verify_disclosure
from ledger.entry_types import ENTRY_VERSIONS
from ledger.ledger_trust import LedgerTrust
from ledger.note import VerifierKey, WitnessPolicy, cosignature_time, open_note
from ledger.receipt_chain import check_anchor, check_chain, check_finality
from ledger.receipt_findings import Case, error_zh, failed, passed, unknown
from ledger.receipt_reading import (
    RECEIPT_VERSION,
    TOP_MEMBERS,
    entry_bytes,
    hex_bytes,
    path_steps,
    read_receipt,
    receipt_labels,
    require_integer,
    require_members,
    state_of,
)
from ledger.receipt_status import Status, open_status
from ledger.receipt_words import MALFORMED_ZH

_WORD: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MALFORMED: Final = (KeyError, TypeError, ValueError, AttributeError, RecursionError)


def verify_receipt(
    receipt: Mapping[str, Any],
    *,
    trust: LedgerTrust | None,
    evidence: Mapping[str, Any] | None = None,
    at: datetime | None = None,
) -> Report:
    """Check a receipt offline; never raises on bad input.

    Args:
        receipt: parsed `fuqi/receipt/v1`.
        trust: pinned log key and chains; None leaves what depends on them indeterminate. With a policy of
            witnesses or of status, `receipt.witnesses` or `receipt.status` is always among the checks.
        evidence: chain evidence where the receipt leaves it out (in bundles).
        at: now, aware UTC; only the age of a status is held against it.
    """
    case = Case(receipt=receipt, trust=trust, evidence=evidence, at=at)
    checks = [_finding(code, step, case) for code, step in _steps(receipt, trust)]
    try:
        labels = receipt_labels(receipt, evidence)
    except AttributeError:
        labels = ()
    return Report(subject="receipt", checks=tuple(checks), labels=labels)


def verify_receipt_text(
    data: bytes, *, trust: LedgerTrust | None, at: datetime | None = None
) -> Report:
    """`verify_receipt` of the bytes of a file; where they are no receipt, `receipt.shape` fails alone."""
    try:
        receipt = read_receipt(data)
    except InputError as exc:
        return Report(subject="receipt", checks=(failed("receipt.shape", str(exc), error_zh(exc)),))
    return verify_receipt(receipt, trust=trust, at=at)


_Step = Callable[[Case], Check]


def _steps(receipt: Mapping[str, Any], trust: LedgerTrust | None) -> list[tuple[str, _Step]]:
    """The checks in their order; three of them only where the receipt or the trust file calls for them."""
    members = receipt if isinstance(receipt, Mapping) else {}
    steps: list[tuple[str, _Step]] = [
        ("receipt.entry", _check_entry),
        ("receipt.commitment", _check_commitment),
    ]
    if members.get("disclosed") is not None:
        steps.append(("receipt.disclosure", _check_disclosure))
    steps += [("receipt.inclusion", _check_inclusion), ("receipt.checkpoint", _check_checkpoint)]
    if trust is not None and trust.witnesses is not None:
        policy = trust.witnesses
        steps.append(("receipt.witnesses", lambda case: _check_witnesses(case, policy)))
    steps += [
        ("receipt.anchor", check_anchor),
        ("receipt.chain", check_chain),
        ("receipt.finality", check_finality),
    ]
    wanted = trust is not None and trust.status_max_age is not None
    if wanted or members.get("status") is not None:
        steps.append(("receipt.status", _check_status))
    return steps


def _finding(code: str, step: _Step, case: Case) -> Check:
    try:
        return step(case)
    except FuqiError as exc:
        return failed(code, str(exc), error_zh(exc))
    except _MALFORMED as exc:
        return failed(code, f"malformed ({type(exc).__name__})", MALFORMED_ZH)


def _check_entry(case: Case) -> Check:
    code = "receipt.entry"
    receipt = case.receipt
    if receipt["v"] != RECEIPT_VERSION:
        return failed(code, "unknown receipt version")
    if not TOP_MEMBERS.issuperset(receipt):
        return failed(code, "a member that this version does not know")
    require_members(receipt, "entry")
    fields = case.fields()
    if fields.get("v") not in ENTRY_VERSIONS or fields.get("id") != receipt["entry"]["id"]:
        return failed(code, "the entry is not the one the receipt names")
    # They are printed below: words only, nothing that could steer a terminal or a page.
    if not _WORD.fullmatch(fields["id"]) or not _WORD.fullmatch(fields["type"]):
        return failed(code, "the entry's id or type is not a plain word")
    if receipt["state"] != state_of(receipt):
        return failed(code, "the receipt claims another state than it carries proof of")
    if merkle.leaf_hash(entry_bytes(receipt)).hex() != receipt["entry"]["leaf"]:
        return failed(code, "the leaf hash does not belong to these entry bytes")
    return passed(
        code,
        f"entry {fields['id']} of type {fields['type']} is whole",
        f"存证记录 {fields['id']}（{fields['type']}）完整",
    )


def _check_commitment(case: Case) -> Check:
    code = "receipt.commitment"
    private = case.receipt["private"]
    if private is None:
        return passed(
            code,
            "the private body is not disclosed here; the entry commits to it",
            "未披露私密内容；存证记录仅含其承诺值",
            disclosed=False,
        )
    require_members(case.receipt, "private")
    expected = case.fields()["commitments"]["body"]
    salt = hex_bytes(private["salt"])
    if not 16 <= len(salt) <= 64:
        return failed(code, "salt of the wrong length")
    if commitment(salt, private["body"]).hex() != expected:
        return failed(code, "the private body is not the one the entry commits to")
    return passed(
        code,
        "the disclosed body is the one the entry committed to",
        "所披露内容与存证承诺一致",
        disclosed=True,
    )


def _check_disclosure(case: Case) -> Check:
    code = "receipt.disclosure"
    promised = case.fields()["commitments"].get("fields")
    if promised is None:
        return failed(code, "the entry makes no promise about single fields")
    shown = verify_disclosure(case.receipt["disclosed"], hex_bytes(promised))
    return passed(
        code,
        f"{len(shown)} disclosed fields are those the entry committed to",
        f"所披露的 {len(shown)} 个字段与存证承诺一致",
        fields=sorted(shown),
    )


def _check_inclusion(case: Case) -> Check:
    code = "receipt.inclusion"
    log = case.receipt["log"]
    if log is None:
        return unknown(code, "the entry is journaled but not yet in the tree; ask again later")
    require_members(case.receipt, "log")
    merkle.verify_inclusion(
        hex_bytes(case.receipt["entry"]["leaf"]),
        index=require_integer(log["index"]),
        size=require_integer(log["size"]),
        path=[hex_bytes(step) for step in path_steps(log["path"])],
        root=hex_bytes(log["root"]),
    )
    return passed(
        code,
        f"the entry is leaf {log['index']} of the log of {log['size']} entries",
        f"该记录在日志（共 {log['size']} 条）中，序号 {log['index']}（自 0 起）",
    )


def _check_checkpoint(case: Case) -> Check:
    code = "receipt.checkpoint"
    log, trust = case.receipt["log"], case.trust
    if log is None:
        return unknown(code, "no checkpoint covers the entry yet")
    verifier = VerifierKey.parse(log["verifier"])
    checkpoint = open_note(log["note"], verifier=verifier)
    if checkpoint.size != log["size"] or checkpoint.root.hex() != log["root"]:
        return failed(code, "the signed checkpoint is of another tree")
    if trust is None:
        return unknown(
            code,
            f"signed by {verifier.text()}, a key that you have not pinned; pass a trust file",
            f"由 {verifier.text()} 签名，您未固定该公钥；请提供信任文件",
        )
    if verifier != trust.verifier:
        return failed(code, "the checkpoint is signed by a log that you do not trust")
    if any(seen.root != checkpoint.root for seen in trust.seen(checkpoint.size)):
        return failed(
            code, "split view: this log signed another root for the same size elsewhere; keep both"
        )
    return passed(
        code,
        f"the checkpoint is signed by the pinned log {verifier.name}",
        f"检查点由已固定的日志 {verifier.name} 签名",
    )


def _check_witnesses(case: Case, policy: WitnessPolicy) -> Check:
    code = "receipt.witnesses"
    log = case.receipt["log"]
    if log is None:
        return unknown(code, "no checkpoint covers the entry yet")
    signed = {
        key.name: time
        for key in policy.keys
        if (time := cosignature_time(log["note"], witness=key)) is not None
    }
    if len(signed) < policy.k:
        return unknown(
            code,
            f"{len(signed)} of {len(policy.keys)} pinned witnesses cosigned the checkpoint; "
            f"{policy.k} are needed",
            f"已固定的 {len(policy.keys)} 个见证方中仅 {len(signed)} 个联署，要求 {policy.k} 个",
        )
    return passed(
        code,
        f"{len(signed)} of {len(policy.keys)} pinned witnesses cosigned the checkpoint, {policy.k} needed",
        f"已固定的 {len(policy.keys)} 个见证方中有 {len(signed)} 个为检查点联署（要求 {policy.k} 个）",
        witnesses=sorted(signed),
        first_cosigned=min(signed.values()),
    )


def _check_status(case: Case) -> Check:
    code = "receipt.status"
    receipt, trust = case.receipt, case.trust
    if receipt.get("status") is None:
        return unknown(code, "the receipt does not say what came later; ask for a new one")
    if trust is None:
        return unknown(code, "a statement of a log that you have not pinned; pass a trust file")
    status = open_status(receipt["status"], verifier=trust.verifier)
    log = receipt["log"]
    if (status.leaf, status.state) != (receipt["entry"]["leaf"], receipt["state"]):
        return failed(code, "the statement is about another entry or state")
    if log is not None and status.size < log["size"]:
        return failed(code, "rollback: the statement is older than the receipt's own checkpoint")
    if log is not None and status.size == log["size"] and status.root != log["root"]:
        return failed(code, "split view: the statement names another root for the same size")
    if any(seen.root.hex() != status.root for seen in trust.seen(status.size)):
        return failed(code, "split view: this log signed another root for the same size elsewhere")
    return _standing(code, status, case)


def _standing(code: str, status: Status, case: Case) -> Check:
    as_of = utc_text(status.at)
    limit = None if case.trust is None else case.trust.status_max_age
    if limit is not None:
        age = None if case.at is None else (case.at - status.at).total_seconds()
        if age is None or not -limit <= age <= limit:
            return unknown(
                code,
                f"stale: the log last looked at {as_of}; ask for a new receipt",
                f"已过时：日志最后一次查看在 {as_of}；请重新索取回执",
            )
    if status.effects:
        newest = status.shown[-1]
        return unknown(
            code,
            f"{status.effects} later entries may end or dispute this one, the newest {newest.type} at index "
            f"{newest.index}, as of {as_of}; read them before you rely on it",
            f"截至 {as_of}，其后有 {status.effects} 条记录可能终止或争议该记录，最新为第 {newest.index} 条"
            f"（{newest.type}）；请先查阅",
        )
    return passed(
        code,
        f"nothing that ends or disputes it among {status.size} entries, as of {as_of}, says the log",
        f"截至 {as_of}，日志声明其 {status.size} 条记录中无终止或争议该记录者",
        as_of=as_of,
        size=status.size,
        later=status.later,
    )
