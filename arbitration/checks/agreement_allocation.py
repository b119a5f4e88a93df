"""Origin: where the agreement came from a match, part 17 says what the log says of line and round."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.parts import ALLOCATION
from ledger.core.report import Check

CODE: Final = "agreement.allocation"
_KINDS: Final = (
    "round.opened",
    "round.closed",
    "need.urgent",
    "allocation.proposed",
    "allocation.accepted",
)
"""`need.urgent` where the round decided one urgent need: it names the round and the rule it was marked by."""


def check(context: Context) -> Check:
    """PASSED as not applicable where the agreement came from no match."""
    bundle = context.bundle
    allocation = bundle.agreement["allocation"]
    facts = bundle.json.get(ALLOCATION)
    if allocation is None:
        if facts is not None:
            return conclude(
                CODE,
                [wrong("facts of a match without a match", "无撮合却附撮合事实")],
                en="",
                zh="",
            )
        return conclude(
            CODE,
            [],
            en="the agreement came from no match",
            zh="本合同并非由撮合产生",
            applies=False,
        )
    if facts is None:
        return conclude(
            CODE, [unclear("the facts of the match are left out", "未附撮合事实")], en="", zh=""
        )
    problems: list[Problem] = []
    if facts["allocation"] != allocation:
        problems.append(wrong("facts of another allocation", "撮合事实属于另一分配"))
    recorded: dict[str, object] = {}
    for kind in _KINDS:
        for event in bundle.of_type(kind):
            body = event.body or {}
            mine = body.get("allocation") == allocation or body.get("round") == facts.get("round")
            if event.body is not None and mine:
                for key, value in body.items():
                    if recorded.setdefault(key, value) != value and key in facts:
                        problems.append(
                            wrong(f"the log gives {key} twice", f"日志中 {key} 前后不一")
                        )
    for key, value in facts.items():
        if key not in recorded:
            problems.append(
                unclear(f"{key} stands in no opened entry", f"{key} 无已披露的记录可证")
            )
        elif recorded[key] != value:
            problems.append(wrong(f"{key} is not what the log says", f"{key} 与日志不符"))
    return conclude(
        CODE,
        problems,
        en=f"allocation {allocation} stands in the log as stated",
        zh=f"分配 {allocation} 与日志记录一致",
        applies=True,
    )
