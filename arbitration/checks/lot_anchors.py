"""Anchors of a lot's bundle: the chain's own state held every checkpoint that the entries rely on."""

from __future__ import annotations

from typing import Final

from arbitration.checks.anchors import anchor_findings, as_problem, same_anchor
from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from ledger.core.report import Check

CODE: Final = "lot.anchors"


def check(context: Context) -> Check:
    """FAILED where evidence and anchor differ; INDETERMINATE while an entry is not anchored or final."""
    bundle = context.bundle
    problems: list[Problem] = []
    for anchor, found in anchor_findings(context, "receipt.anchor"):
        problems += as_problem(anchor, found)
    used = []
    for receipt in bundle.receipts:
        name, own = receipt["entry"]["id"], receipt["anchor"]
        if own is None:
            problems.append(unclear(f"{name} is not anchored yet", f"{name} 尚未锚定"))
            continue
        log = receipt["log"]
        held = [one for one in bundle.anchors if same_anchor(own, one)]
        used += held
        if not held:
            problems.append(
                unclear(f"{name}: its anchor's evidence is missing", f"{name} 缺少锚定证据")
            )
        if (own["size"], own["root"]) != (log["size"], log["root"]):
            problems.append(wrong(f"{name}: anchored under another root", f"{name} 锚定的根不符"))
    if any(one not in used for one in bundle.anchors):
        problems.append(wrong("an anchor that no entry relies on", "存在无关的锚定"))
    return conclude(
        CODE,
        problems,
        en=f"{len(bundle.anchors)} anchors hold every entry's checkpoint in final blocks",
        zh=f"{len(bundle.anchors)} 个锚定的最终区块中含有全部记录所依赖的检查点",
        anchors=len(bundle.anchors),
    )
