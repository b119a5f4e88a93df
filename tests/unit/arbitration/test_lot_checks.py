"""What a lot's entries tell, and each way in which they may contradict themselves. Entries are made up here."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from arbitration.checks import lot_acceptance, lot_custody, lot_line, lot_recall
from arbitration.checks.lots import lot_context
from arbitration.lot_model import LOT
from arbitration.lot_story import tell
from arbitration.model import Bundle, Event
from ledger.core.canonical import tagged_digest
from ledger.core.report import Check, Verdict

AT = datetime(2026, 11, 23, tzinfo=UTC)
COUNTS = {"accepted": 80, "quarantined": 5, "rejected": 10, "missing": 5, "checks": {}, "note": ""}
DIGEST = tagged_digest("fuqi/inspection/v1", COUNTS).hex()


def signed(organisation: str, person: str, **fields: Any) -> dict[str, Any]:
    return {"statement": {"organisation": organisation, "person": person, "fields": fields}}


def made(kind: str, index: int, subject: str = "lot_a", **body: Any) -> Event:
    return Event(
        id=f"ent_{index}", type=kind, at="2026-11-23T00:00:00Z", subject=subject, actor="acc_a",
        prev=None, index=index, leaf="00", body=body,
    )  # fmt: skip


def way() -> list[Event]:
    """A hundred units from a donor straight to the hospital, accepted by two, some used."""
    start = {"handover": "hov_a", "from": "donor", "to": "hospital"}
    first = signed("hospital", "one", **COUNTS)
    second = signed("hospital", "two", **COUNTS)
    received = {"quantity": 80, "quarantined": 5, "rejected": 10, "missing": 5}
    return [
        made("allocation.proposed", 0, "line", allocation="line", offer="offer", quantity=100, round="round"),
        made("allocation.accepted", 1, "line", allocation="line"),
        made("round.closed", 2, "round", round="round"),
        made("lot.opened", 3, lot="lot_a", giver="donor", receiver="hospital", quantity=100,
             allocation="line", offer="offer"),
        made("lot.packed", 4, holder="donor", shelf="stock", quantity=100, packages=[["p", 1, 100]]),
        made("lot.handed", 5, **start, quantity=100, signed=signed("donor", "giver")),
        made("lot.inspected", 6, handover="hov_a", inspection_sha256=DIGEST, signed=first),
        made("lot.received", 7, **start, **received, inspected_by="one", inspection_sha256=DIGEST,
             signed=second),
        made("discrepancy.opened", 8, discrepancy="d", handover="hov_a", holder="donor", quantity=5),
        made("discrepancy.settled", 9, discrepancy="d", outcome="lost", quantity=5),
        made("recall.opened", 10, recall="r"),
        made("recall.closed", 11, recall="r"),
        made("lot.used", 12, quantity=30),
    ]  # fmt: skip


PLACES = [
    ["donor", "lost", 5],
    ["donor", "rejected", 10],
    ["hospital", "quarantine", 5],
    ["hospital", "stock", 50],
    ["hospital", "used", 30],
]


def judge(module: Any, events: list[Event], places: list[Any] | None = None) -> Check:
    part = {
        "lot": "lot_a",
        "places": PLACES if places is None else places,
        "keys": [],
        "parties": [],
    }
    bundle = Bundle(files={}, json={LOT: part}, events=tuple(events))
    found: Check = module.check(lot_context(bundle, trust=None, at=AT))
    return found


def changed(index: int, **body: Any) -> list[Event]:
    """The way with one entry that says something else."""
    return [
        replace(one, body={**(one.body or {}), **body}) if one.index == index else one
        for one in way()
    ]


CHECKS = (lot_custody, lot_acceptance, lot_recall, lot_line)


@pytest.mark.parametrize("module", CHECKS, ids=lambda one: one.CODE)
def test_a_way_that_holds_together_passes(module: Any) -> None:
    assert judge(module, way()).verdict is Verdict.PASSED


def test_units_stand_where_the_entries_put_them() -> None:
    assert tell(one for one in way() if one.subject == "lot_a").held() == PLACES


BROKEN: tuple[tuple[str, Any, list[Event]], ...] = (
    ("more is used than is there", lot_custody, changed(12, quantity=81)),
    ("less is used than is stated", lot_custody, changed(12, quantity=29)),
    ("the counts are not what was handed over", lot_custody, changed(7, missing=4)),
    ("the boxes hold another number", lot_custody, changed(4, packages=[["p", 1, 99]])),
    ("units are handed over that were never packed", lot_custody, changed(4, quantity=90)),
    ("a discrepancy is settled with another number", lot_custody, changed(9, quantity=4)),
    ("a lot is opened twice", lot_custody, [*way(), replace(way()[3], index=20, id="ent_20")]),
    ("a hand-over is answered twice", lot_custody, [*way(), replace(way()[7], index=20)]),
    ("the same person signs twice", lot_acceptance,
     changed(7, signed=signed("hospital", "one", **COUNTS))),
    ("the second counts something else", lot_acceptance,
     changed(7, signed=signed("hospital", "two", **{**COUNTS, "accepted": 81}))),
    ("two of different organisations accept", lot_acceptance,
     changed(6, signed=signed("carrier", "one", **COUNTS))),
    ("the giver signs for the other side", lot_acceptance,
     changed(7, signed=signed("donor", "two", **COUNTS))),
    ("nobody signed first", lot_acceptance, [one for one in way() if one.index != 6]),
    ("a recalled lot is used", lot_recall, [one for one in way() if one.index != 11]),
    ("a recall ends that was never opened", lot_recall, [one for one in way() if one.index != 10]),
    ("more is opened than was allocated", lot_line, changed(3, quantity=101)),
    ("the lot is of another offer", lot_line, changed(3, offer="other")),
    ("the line was declined", lot_line, [*way(), made("allocation.declined", 20, "line")]),
    ("the line is accepted after the opening", lot_line,
     [replace(one, index=20) if one.index == 1 else one for one in way()]),
)  # fmt: skip


@pytest.mark.parametrize(("what", "module", "events"), BROKEN, ids=lambda v: str(v)[:50])
def test_a_way_that_contradicts_itself_fails_at_its_own_check(
    what: str, module: Any, events: list[Event]
) -> None:
    ordered = sorted(events, key=lambda one: one.index)
    failed = {one.CODE for one in CHECKS if judge(one, ordered).verdict is Verdict.FAILED}
    assert module.CODE in failed, what


@pytest.mark.parametrize(
    ("index", "module"),
    [
        (12, lot_custody),
        (5, lot_custody),
        (12, lot_recall),
        (5, lot_acceptance),
        (6, lot_acceptance),
        (0, lot_line),
    ],
)
def test_what_is_not_shown_proves_neither_way(index: int, module: Any) -> None:
    events = [replace(one, body=None) if one.index == index else one for one in way()]
    assert judge(module, events).verdict is Verdict.INDETERMINATE
