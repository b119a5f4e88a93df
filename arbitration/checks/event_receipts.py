"""Every entry is whole, opens its commitment, and lies in the log at the place its receipt says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from ledger.core.report import Check, Verdict

CODE: Final = "event.receipts"
_WANTED: Final = frozenset({"receipt.entry", "receipt.commitment", "receipt.inclusion"})


def check(context: Context) -> Check:
    """FAILED on a changed entry or body; INDETERMINATE where an entry is not in the tree yet."""
    problems = receipt_problems(context, _WANTED)
    bundle = context.bundle
    rows = [
        {
            "entry": one.id,
            "path": f"receipts/{one.id}.json",
            "index": one.index,
            "type": one.type,
            "subject": one.subject,
            "actor": one.actor,
            "at": one.at,
        }
        for one in bundle.events
    ]
    if list(bundle.part(10)) != rows:
        problems.append(wrong("part 10 is not what the receipts say", "第十部分与回执不符"))
    if not rows:
        problems.append(unclear("the bundle holds no entries", "证据包不含存证记录"))
    opened = sum(1 for one in bundle.events if one.body is not None)
    return conclude(
        CODE,
        problems,
        en=f"{len(rows)} entries lie in the log as they stand here; {opened} are opened",
        zh=f"{len(rows)} 条存证记录与日志一致，其中 {opened} 条已披露内容",
        entries=len(rows),
        opened=opened,
    )


def receipt_problems(context: Context, wanted: Iterable[str]) -> list[Problem]:
    """What `verify_receipt` found under the codes in `wanted`, over all receipts."""
    codes = set(wanted)
    problems: list[Problem] = []
    for receipt, report in zip(context.bundle.receipts, context.receipts, strict=True):
        name = receipt["entry"]["id"]
        for one in report.checks:
            if one.code in codes and one.verdict is not Verdict.PASSED:
                make = wrong if one.verdict is Verdict.FAILED else unclear
                problems.append(make(f"{name}: {one.summary_en}", f"{name}：{one.summary_zh}"))
    return problems
