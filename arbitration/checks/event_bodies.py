"""Disclosure: the body of every entry about the agreement is opened, and speaks of this agreement."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from ledger.core.report import Check

CODE: Final = "event.bodies"


def check(context: Context) -> Check:
    """INDETERMINATE for a closed body: an honest redaction proves neither way."""
    problems: list[Problem] = []
    own = [one for one in context.bundle.events if one.subject == context.agreement_id]
    for event in own:
        if event.body is None:
            problems.append(unclear(f"{event.id} ({event.type}) is closed", f"{event.id} 未披露"))
        elif event.body.get("agreement") != context.agreement_id:
            problems.append(
                wrong(f"{event.id} is about another agreement", f"{event.id} 属于另一合同")
            )
    if not own:
        problems.append(wrong("no entry about this agreement", "没有关于本合同的存证记录"))
    return conclude(
        CODE,
        problems,
        en=f"all {len(own)} entries about the agreement are opened",
        zh=f"关于本合同的 {len(own)} 条存证记录均已披露",
        entries=len(own),
    )
