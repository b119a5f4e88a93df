"""The chain: contract and code are ones that the verifier pinned, and what makes its blocks final is shown."""

from __future__ import annotations

from typing import Final

from arbitration.checks.anchors import anchor_findings, as_problem
from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear
from ledger.core.report import Check

CODE: Final = "anchor.chain"


def check(context: Context) -> Check:
    """FAILED for another chain, contract or code; INDETERMINATE without pins, anchors or finality."""
    problems: list[Problem] = []
    findings = anchor_findings(context, "receipt.chain")
    # Without the second the log's own word would be all that calls a block of an external chain final.
    for anchor, found in (*findings, *anchor_findings(context, "receipt.finality")):
        problems += as_problem(anchor, found)
    if not findings:
        problems.append(unclear("no anchor to hold against your chains", "没有可核对的锚定"))
    kinds = sorted({str(found.details.get("kind", "")) for _, found in findings} - {""})
    return conclude(
        CODE,
        problems,
        en=f"every anchor is in a pinned contract with the pinned code, in a final block ({', '.join(kinds)})",
        zh=f"全部锚定均在已固定的合约及代码中，所在区块已终局（{'、'.join(kinds)}）",
        kinds=list(kinds),
    )
