"""While a batch is recalled nothing of the lot is used, accepted or handed on but to its giver."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.lot_model import lot_events
from arbitration.lot_story import RECALL, tell
from ledger.core.report import Check

CODE: Final = "lot.recall"


def check(context: Context) -> Check:
    """FAILED where a recall was not kept to; INDETERMINATE where an entry is closed."""
    events = lot_events(context.bundle)
    story = tell(events)
    make = unclear if story.closed else wrong
    problems: list[Problem] = [
        make(f"{entry}: {en}", f"{entry}：{zh}")
        for kind, entry, en, zh in story.faults
        if kind == RECALL
    ]
    recalls = [one for one in events if one.type == "recall.opened"]
    if recalls:
        problems += [unclear(f"{one} is closed", f"{one} 未披露") for one in story.closed]
    still = len(story.recalls)
    return conclude(
        CODE,
        problems,
        en=f"{len(recalls)} recalls, {still} still open; all were kept to",
        zh=f"共 {len(recalls)} 次召回，{still} 次尚未结束；召回期间均未违反",
        recalls=len(recalls),
        open=still,
    )
