"""Every entry of a lot's bundle is whole and in the log, shows what custody needs, and nothing of others'."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.event_receipts import receipt_problems
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.lot_model import KEY_TYPES, LINE_TYPES, PARTLY, WHOLE, lot_events, lot_part
from arbitration.model import Event
from ledger.core.report import Check

CODE: Final = "lot.entries"
_WANTED: Final = frozenset(
    {"receipt.entry", "receipt.commitment", "receipt.disclosure", "receipt.inclusion"}
)


def check(context: Context) -> Check:
    """FAILED on what was changed, and on a body that does not belong here; open where one is closed."""
    problems = receipt_problems(context, _WANTED)
    bundle = context.bundle
    own = lot_events(bundle)
    lot = lot_part(bundle)["lot"]
    for event in own:
        problems += _of_the_lot(event, str(lot))
    concerned = _concerned(context)
    for event in bundle.events:
        if event.subject != lot:
            problems += _beside_it(event, concerned)
    if not own:
        problems.append(wrong("no entry about this lot", "没有关于本批次的存证记录"))
    whole = sum(1 for one in own if one.body is not None and "signed" in one.body)
    return conclude(
        CODE,
        problems,
        en=f"{len(own)} entries about the lot lie in the log as they stand here; {whole} are opened whole",
        zh=f"关于本批次的 {len(own)} 条存证记录与日志一致，其中 {whole} 条完整披露",
        entries=len(own),
        whole=whole,
    )


def _concerned(context: Context) -> frozenset[str]:
    """The people who signed, the line and its round: nobody else's entries belong here."""
    bundle = context.bundle
    people = {str(row["person"]) for row in lot_part(bundle)["keys"]}
    lines = {
        str(one.body["allocation"])
        for one in lot_events(bundle)
        if one.type == "lot.opened" and one.body is not None
    }
    rounds = {
        str(one.body["round"])
        for one in bundle.of_type("allocation.proposed")
        if one.body is not None and one.subject in lines
    }
    return frozenset(people | lines | rounds)


def _beside_it(event: Event, concerned: frozenset[str]) -> list[Problem]:
    if event.subject not in concerned:
        return [wrong(f"{event.id} is about something else", f"{event.id} 与本批次无关")]
    if event.body is not None and event.type not in (KEY_TYPES | LINE_TYPES):
        return [
            wrong(f"{event.id} opens a body of another matter", f"{event.id} 披露了无关的私密内容")
        ]
    return []


def _of_the_lot(event: Event, lot: str) -> list[Problem]:
    if event.type not in WHOLE and event.type not in PARTLY:
        return []
    if event.body is None:
        return [unclear(f"{event.id} ({event.type}) is closed", f"{event.id} 未披露")]
    if event.body.get("lot") != lot:
        return [wrong(f"{event.id} is about another lot", f"{event.id} 属于另一批次")]
    needed = ("signed",) if event.type in WHOLE else PARTLY[event.type]
    return [
        unclear(f"{event.id} does not show {name}", f"{event.id} 未披露 {name}")
        for name in needed
        if name not in event.body
    ]
