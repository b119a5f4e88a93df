"""Stages: as many of each have acted as publication demanded, approvals before the seals they are for.

Each approval is proven by its approver's own key; one that names a seal allows no other.
"""

from __future__ import annotations

from typing import Final

from arbitration.checks.approvals import approval_problems
from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.stages import Stage
from ledger.core.report import Check

CODE: Final = "agreement.stages"


def check(context: Context) -> Check:
    """FAILED where a stage lacks an act or acts came out of order; INDETERMINATE where it is not opened."""
    staged = context.agreement_events("agreement.staged")
    if not staged:
        # Entries of earlier versions: one stage for each signer; the roster demands every signature.
        return conclude(
            CODE,
            [],
            en="no stages were fixed: every signer was required, in the order of the list",
            zh="未设定签署阶段：全部签署方依名单顺序签署",
        )
    stages = context.stages
    if stages is None:
        return conclude(
            CODE,
            [
                unclear(
                    "the stages are not fixed by one opened entry",
                    "签署阶段未由一条已披露的记录载明",
                )
            ],
            en="",
            zh="",
        )
    problems: list[Problem] = []
    start = min((one.index for one in context.agreement_events("document.delivered")), default=0)
    if staged[0].index > start:
        problems.append(wrong("stages were fixed after delivery", "签署阶段在送达之后才设定"))
    earlier = -1
    for stage in stages:
        acted = _acted(context, stage)
        if len(acted) < stage.need:
            make = unclear if _hidden(context, stage) else wrong
            problems.append(
                make(
                    f"stage {stage.number}: {len(acted)} of {stage.need} have acted",
                    f"阶段 {stage.number}：应有 {stage.need} 人，实有 {len(acted)} 人",
                )
            )
        if acted and min(acted) < earlier:
            problems.append(
                wrong(f"stage {stage.number} began too early", f"阶段 {stage.number} 开始过早")
            )
        earlier = max([earlier, *acted])
    problems += approval_problems(context, stages)
    return conclude(
        CODE,
        problems,
        en=f"all {len(stages)} stages are done, in their order",
        zh=f"全部 {len(stages)} 个阶段均已依次完成",
        stages=len(stages),
    )


def _kind(stage: Stage) -> str:
    return "signature.applied" if stage.act == "sign" else "approval.given"


def _hidden(context: Context, stage: Stage) -> bool:
    """Whether an entry that is not opened might be the missing act."""
    return any(event.body is None for event in context.agreement_events(_kind(stage)))


def _acted(context: Context, stage: Stage) -> list[int]:
    """Log index of each member's act; one member counts once."""
    holders = {place.signer for place in stage.places}
    found: dict[str, int] = {}
    for event in context.agreement_events(_kind(stage)):
        if event.body is not None and event.body["signer"] in holders:
            found.setdefault(str(event.body["signer"]), event.index)
    return list(found.values())
