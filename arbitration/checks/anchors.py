"""Shared by the anchor checks: each anchor once, held against the receipts that rely on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, unclear, wrong
from ledger.core.report import Check, Verdict
from ledger.receipt_checking import verify_receipt


def anchor_findings(context: Context, code: str) -> list[tuple[Mapping[str, Any], Check]]:
    """For each anchor, `code` (`receipt.anchor` or `receipt.chain`) of one receipt that relies on it."""
    ledger = None if context.trust is None else context.trust.ledger
    found = []
    for anchor in context.bundle.anchors:
        receipt = next(
            (one for one in context.bundle.receipts if _relies(one, anchor)),
            None,
        )
        if receipt is None:
            continue
        report = verify_receipt(receipt, trust=ledger, evidence=anchor["evidence"])
        found += [(anchor, one) for one in report.checks if one.code == code]
    return found


def as_problem(anchor: Mapping[str, Any], check: Check) -> list[Problem]:
    """Nothing where it passed."""
    if check.verdict is Verdict.PASSED:
        return []
    make = wrong if check.verdict is Verdict.FAILED else unclear
    where = f"{anchor['chain_id']}/{anchor['size']}"
    return [make(f"anchor {where}: {check.summary_en}", f"锚定 {where}：{check.summary_zh}")]


def same_anchor(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Equal in everything but the evidence, which a receipt in a bundle leaves out."""
    return {**one, "evidence": None} == {**other, "evidence": None}


def _relies(receipt: Mapping[str, Any], anchor: Mapping[str, Any]) -> bool:
    return receipt["anchor"] is not None and same_anchor(receipt["anchor"], anchor)
