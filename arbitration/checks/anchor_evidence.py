"""Anchors: the chain's own state held every checkpoint that the entries rely on, in a final block."""

from __future__ import annotations

from typing import Final

from arbitration.checks.anchors import anchor_findings, as_problem, same_anchor
from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from ledger.core.report import Check

CODE: Final = "anchor.evidence"
_KEYS: Final = (
    "size",
    "root",
    "chain_id",
    "contract",
    "tx_hash",
    "block_number",
    "block_time",
    "state",
)


def check(context: Context) -> Check:
    """FAILED where evidence and anchor differ; INDETERMINATE while an entry is not anchored or final."""
    bundle = context.bundle
    problems: list[Problem] = []
    for anchor, found in anchor_findings(context, "receipt.anchor"):
        problems += as_problem(anchor, found)
    for receipt in bundle.receipts:
        name = receipt["entry"]["id"]
        own = receipt["anchor"]
        if own is None:
            problems.append(unclear(f"{name} is not anchored yet", f"{name} 尚未锚定"))
            continue
        log = receipt["log"]
        if not any(same_anchor(own, anchor) for anchor in bundle.anchors):
            problems.append(
                unclear(f"{name}: its anchor's evidence is missing", f"{name} 缺少锚定证据")
            )
        if (own["size"], own["root"]) != (log["size"], log["root"]):
            problems.append(wrong(f"{name}: anchored under another root", f"{name} 锚定的根不符"))
        if receipt["state"] != own["state"]:
            problems.append(wrong(f"{name}: two different states", f"{name} 状态前后不一"))
    rows = [{key: anchor[key] for key in _KEYS} for anchor in bundle.anchors]
    stated = [{key: row[key] for key in _KEYS} for row in bundle.part(13)["anchors"]]
    if sorted(map(str, rows)) != sorted(map(str, stated)):
        problems.append(wrong("part 13 is not what the anchors say", "第十三部分与锚定不符"))
    used = [
        anchor
        for anchor in bundle.anchors
        if any(one["anchor"] and same_anchor(one["anchor"], anchor) for one in bundle.receipts)
    ]
    if len(used) != len(bundle.anchors):
        problems.append(wrong("an anchor that no entry relies on", "存在无关的锚定"))
    return conclude(
        CODE,
        problems,
        en=f"{len(rows)} anchors hold every entry's checkpoint in final blocks",
        zh=f"{len(rows)} 个锚定的最终区块中含有全部记录所依赖的检查点",
        anchors=len(rows),
        blocks=[anchor["block_number"] for anchor in bundle.anchors],
    )
