"""Hand-overs have two signatures, one of each side; at the hospital two persons signed the same counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.lot_model import lot_events
from arbitration.model import Event
from ledger.core.canonical import tagged_digest
from ledger.core.report import Check, Verdict

CODE: Final = "lot.acceptance"
_NEEDED: Final = frozenset({"lot.opened", "lot.handed", "lot.inspected", "lot.received"})
INSPECTION_TAG: Final = "fuqi/inspection/v1"
_SIGNED_COUNTS: Final = ("accepted", "quarantined", "rejected", "missing", "checks", "note")


def check(context: Context) -> Check:
    """FAILED where one side or one of the two persons is missing, or they signed different counts."""
    events = lot_events(context.bundle)
    problems: list[Problem] = []
    found: list[Problem] = []
    receiver = ""
    handed: dict[str, Mapping[str, Any]] = {}
    inspected: dict[str, Mapping[str, Any]] = {}
    done = two = 0
    for event in events:
        body = event.body
        if body is None:
            if event.type in _NEEDED:
                problems.append(unclear(f"{event.id} is closed", f"{event.id} 未披露"))
            continue
        if event.type == "lot.opened":
            receiver = str(body["receiver"])
        elif event.type == "lot.handed":
            handed[str(body["handover"])] = body
        elif event.type == "lot.inspected":
            # A later count replaces an earlier one: the second person signs the newest.
            inspected[str(body["handover"])] = body
        elif event.type == "lot.received":
            done += 1
            found += _sides(event, body, handed.get(str(body["handover"])))
            if body["to"] == receiver:
                two += 1
                found += _two(event, body, inspected.get(str(body["handover"])))
    if problems:
        # What seems to lack may stand in an entry that is closed.
        found = [replace(one, verdict=Verdict.INDETERMINATE) for one in found]
    problems += found
    return conclude(
        CODE,
        problems,
        en=f"{done} hand-overs signed by both sides, {two} of them accepted by two persons",
        zh=f"{done} 次移交均由双方签署，其中 {two} 次由两人验收",
        handovers=done,
        accepted=two,
    )


def _sides(
    event: Event, body: Mapping[str, Any], offered: Mapping[str, Any] | None
) -> list[Problem]:
    if offered is None:
        return [wrong(f"{event.id}: nobody handed this over", f"{event.id}：没有相应的移交")]
    if "signed" not in offered or "signed" not in body:
        return [unclear(f"{event.id}: a signature is not shown", f"{event.id}：未披露双方签名")]
    giver = offered["signed"]["statement"]["organisation"]
    taker = body["signed"]["statement"]["organisation"]
    if giver == taker or (giver, taker) != (body["from"], body["to"]):
        return [wrong(f"{event.id}: not both sides signed", f"{event.id}：并非双方签署")]
    return []


def _two(event: Event, body: Mapping[str, Any], first: Mapping[str, Any] | None) -> list[Problem]:
    if first is None:
        return [wrong(f"{event.id}: only one person signed", f"{event.id}：仅一人签署")]
    if "signed" not in first or "signed" not in body:
        return [unclear(f"{event.id}: a signature is not shown", f"{event.id}：未披露双人签名")]
    one, other = first["signed"]["statement"], body["signed"]["statement"]
    problems: list[Problem] = []
    if one["person"] == other["person"] or body["inspected_by"] != one["person"]:
        problems.append(wrong(f"{event.id}: the same person twice", f"{event.id}：同一人签署两次"))
    if one["organisation"] != other["organisation"]:
        problems.append(wrong(f"{event.id}: of two organisations", f"{event.id}：两人不属同一机构"))
    digests = {_counts(one), _counts(other), body["inspection_sha256"]}
    if digests != {first["inspection_sha256"]}:
        problems.append(
            wrong(f"{event.id}: they signed different counts", f"{event.id}：两人所签清点结果不同")
        )
    return problems


def _counts(statement: Mapping[str, Any]) -> str:
    fields = statement["fields"]
    return tagged_digest(INSPECTION_TAG, {name: fields[name] for name in _SIGNED_COUNTS}).hex()
