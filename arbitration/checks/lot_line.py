"""The lot is goods of an accepted line of a round: of this giver's offer, and no more than was allocated."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.lot_model import lot_events
from ledger.core.report import Check

CODE: Final = "lot.line"


def check(context: Context) -> Check:
    """FAILED where line and lot contradict each other; INDETERMINATE where the line is not shown."""
    bundle = context.bundle
    opened = [one for one in lot_events(bundle) if one.type == "lot.opened" and one.body]
    if len(opened) != 1:
        problem = wrong("the lot was never opened", "没有开立批次的记录")
        return conclude(CODE, [problem], en="", zh="")
    body = dict(opened[0].body or {})
    line = str(body["allocation"])
    proposed = bundle.of_type("allocation.proposed", subject=line)
    accepted = bundle.of_type("allocation.accepted", subject=line)
    problems: list[Problem] = []
    if bundle.of_type("allocation.declined", subject=line):
        problems.append(wrong("the line was declined", "该分配已被谢绝"))
    if not accepted:
        problems.append(unclear("the line's acceptance is not shown", "未披露该分配的接受记录"))
    elif accepted[0].index > opened[0].index:
        problems.append(wrong("the lot is older than the acceptance", "批次早于分配的接受"))
    facts = proposed[0].body if len(proposed) == 1 else None
    if facts is None:
        problems.append(unclear("the line is not shown", "未披露该分配"))
    else:
        if (facts["allocation"], facts["offer"]) != (line, body["offer"]):
            problems.append(wrong("the lot is of another offer", "批次与所分配的物资不符"))
        if int(body["quantity"]) > int(facts["quantity"]):
            problems.append(wrong("the lot is more than was allocated", "批次数量超过分配数量"))
        if not bundle.of_type("round.closed", subject=str(facts["round"])):
            problems.append(unclear("the round is not shown", "未披露该轮撮合"))
    return conclude(
        CODE,
        problems,
        en=f"{body['quantity']} units of the accepted line {line}",
        zh=f"来自已接受的分配 {line}，共 {body['quantity']} 件",
        allocation=line,
    )
