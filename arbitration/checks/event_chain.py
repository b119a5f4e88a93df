"""Nothing left out: of every subject shown, each entry names the one before, from the very first on."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, wrong
from arbitration.model import Event
from ledger.core.report import Check

CODE: Final = "event.chain"


def check(context: Context) -> Check:
    """FAILED where an entry between the first and the last is missing, doubled or reordered.

    It cannot show that nothing was recorded after the last entry: a later bundle would.
    """
    by_subject: dict[str, list[Event]] = {}
    for event in context.bundle.events:
        by_subject.setdefault(event.subject, []).append(event)
    problems: list[Problem] = []
    for subject, events in sorted(by_subject.items()):
        previous: str | None = None
        for event in events:
            if event.prev != previous:
                problems.append(
                    wrong(
                        f"{subject}: an entry before {event.id} is missing",
                        f"{subject}：{event.id} 之前缺少存证记录",
                    )
                )
            previous = event.leaf
    places = [event.index for event in context.bundle.events if event.index >= 0]
    if len(set(places)) != len(places):
        problems.append(wrong("two entries at one place of the log", "两条记录占用日志同一位置"))
    return conclude(
        CODE,
        problems,
        en=f"the entries of {len(by_subject)} subjects follow each other without a gap",
        zh=f"{len(by_subject)} 个对象的存证记录前后相接，无遗漏",
        subjects=len(by_subject),
    )
