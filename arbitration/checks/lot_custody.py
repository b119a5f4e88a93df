"""Units are conserved: what was opened is at exactly one place, by the entries alone."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.lot_model import lot_events, lot_part
from arbitration.lot_story import UNITS, tell
from ledger.core.report import Check

CODE: Final = "lot.conservation"


def check(context: Context) -> Check:
    """FAILED where units appear, vanish or are elsewhere than stated; open where an entry is closed."""
    story = tell(lot_events(context.bundle))
    # What follows a closed entry may only look wrong for want of it.
    make = unclear if story.closed else wrong
    problems: list[Problem] = [
        make(f"{entry}: {en}", f"{entry}：{zh}")
        for kind, entry, en, zh in story.faults
        if kind == UNITS
    ]
    problems += [unclear(f"{entry} is closed", f"{entry} 未披露") for entry in story.closed]
    if not story.quantity:
        problems.append(make("the lot was never opened", "没有开立批次的记录"))
    stated = [list(row) for row in lot_part(context.bundle)["places"]]
    if not story.closed and stated != story.held():
        problems.append(
            wrong("the units are elsewhere than lot.json says", "lot.json 所载去向与记录不符")
        )
    total = sum(units for *_, units in story.held())
    if total != story.quantity and not story.closed:
        problems.append(
            wrong(
                f"{total} of {story.quantity} units", f"合计 {total} 件，应为 {story.quantity} 件"
            )
        )
    return conclude(
        CODE,
        problems,
        en=f"each of {story.quantity} units is at one of {len(stated)} places",
        zh=f"{story.quantity} 件均有且仅有一个去处，共 {len(stated)} 处",
        quantity=story.quantity,
        places=stated,
    )
