"""Lots are goods of accepted lines of these offers, and no line holds more in lots than it is."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.donation_story import tell_donation
from ledger.core.report import Check

CODE: Final = "donation.lines"


def check(context: Context) -> Check:
    """FAILED where lot and line contradict each other; INDETERMINATE where a line or its round is not shown."""
    told = tell_donation(context.bundle)
    lines = {one.id: one for one in told.lines}
    problems: list[Problem] = []
    for lot in told.lots:
        line = lines.get(str(lot.body["allocation"]))
        if line is None:
            problems.append(
                unclear(f"the line of {lot.id} is not shown", f"未披露 {lot.id} 的分配")
            )
        elif line.offer != lot.body["offer"]:
            problems.append(wrong(f"{lot.id} is of another offer", f"{lot.id} 与其分配不符"))
        elif line.state != "accepted":
            problems.append(
                wrong(f"{lot.id} is of a line nobody accepted", f"{lot.id} 的分配未被接受")
            )
    for one in told.lines:
        if told.in_lots(one.id) > one.units:
            problems.append(
                wrong(f"{one.id} holds more than was allocated", f"{one.id} 超过分配数量")
            )
        if not context.bundle.of_type("round.closed", subject=one.round):
            problems.append(
                unclear(f"the round of {one.id} is not shown", f"未披露 {one.id} 的轮次")
            )
    accepted = sum(one.state == "accepted" for one in told.lines)
    return conclude(
        CODE,
        problems,
        en=f"{len(told.lots)} lots are goods of {accepted} accepted lines, of {len(told.lines)} shown",
        zh=f"{len(told.lots)} 个批次均出自已接受的分配（所示 {len(told.lines)} 条中 {accepted} 条已接受）",
        lines=len(told.lines),
        accepted=accepted,
    )
