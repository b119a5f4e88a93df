"""Hand-overs: both sides sign; at the hospital two persons sign the same counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from api.flows.custody_lots import (
    Done,
    require_not_expired,
    require_not_recalled,
    require_own_package,
)
from api.flows.custody_step import Place, Step, due, policy_digest
from api.schemas.custody import HandOver, Inspect, Receive, Refuse
from ledger.core.canonical import Json, tagged_digest
from ledger.core.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from ledger.core.ids import derived_id, require_id
from ledger.core.units import utc_text
from ledger.queries import custody as queries
from ledger.tables.agreements import AgreementRow
from ledger.tables.custody import DiscrepancyRow, HandoverRow, LotRow, PackageRow
from ledger.tables.log import EntryRow
from ledger.tables.parties import PartyRow

INSPECTION_TAG: Final = "fuqi/inspection/v1"
REFUSED: Final = "lot.rejected"
COUNTED: Final = ("accepted", "quarantined", "rejected", "missing")


def hand_over(step: Step, fields: HandOver) -> Done:
    """Hand packages to the next holder; until the other side has signed they stay the giver's.

    Raises:
        NotFoundError: `not_found`, `party.not_found`.
        ConflictError: `custody.handover_exists`, `custody.package_state`, `custody.recalled`,
            `custody.expired`.
        InputError: `id.malformed`, `custody.to_oneself`, `custody.packages`.
    """
    require_id(fields.handover_id, prefix="hov")
    lot = step.lot(fields.lot_id)
    _require_target(step, lot, fields)
    packages = _own_packages(step, lot, fields.package_ids)
    total = sum(one.quantity for one in packages)
    row = HandoverRow(
        id=fields.handover_id,
        lot_id=lot.id,
        from_id=step.organisation,
        to_id=fields.to_organisation,
        quantity=total,
        waybill=fields.waybill,
        state="offered",
        due_at=due(step.at, "handover_hours"),
        offered_at=step.at,
    )
    agreement = step.session.get_one(AgreementRow, lot.agreement_id)
    body: dict[str, Json] = {
        "lot": lot.id,
        "allocation": lot.allocation_id,
        "agreement": lot.agreement_id,
        "from": row.from_id,
        "to": row.to_id,
        "quantity": total,
        "document_sha256": agreement.current_sha256,
        "handed_at": utc_text(step.at),
        "handover": row.id,
        "packages": [[one.id, one.number, one.quantity] for one in packages],
        "waybill": row.waybill,
        "seal": fields.seal,
        "due_at": utc_text(row.due_at),
        "policy": policy_digest(),
    }
    entry = step.record("lot.handed", lot, body)
    step.session.add(row)
    step.session.flush()
    source, target = Place(step.organisation, "packed"), Place(step.organisation, "transit")
    step.move(lot, source, target, quantity=total, entry=entry)
    for one in packages:
        one.state, one.handover_id = "transit", row.id
    return Done(row.id, entry)


def receive(step: Step, fields: Receive) -> Done:
    """A carrier confirms what it was handed; packages that were not there open a discrepancy.

    Raises:
        NotFoundError: `not_found`.
        ConflictError: `custody.handover_closed`, `custody.two_signatures`.
        InputError: `custody.packages`.
    """
    row, lot = _for_receiver(step, fields.handover_id, states=("offered",))
    if row.to_id == lot.receiver_id:
        raise ConflictError(
            "the hospital accepts with two signatures: count, and let a second person sign",
            code="custody.two_signatures",
        )
    packages = queries.packages_of(step.session, lot.id, handover_id=row.id)
    missing = [one for one in packages if one.id in set(fields.missing_package_ids)]
    if len(missing) != len(set(fields.missing_package_ids)):
        raise InputError("a package is not in this hand-over", code="custody.packages")
    lacking = sum(one.quantity for one in missing)
    row.accepted, row.missing = row.quantity - lacking, lacking
    entry = step.record("lot.received", lot, _received(step, row, lot, inspection=None))
    _settle(step, row, lot, entry, accepted_shelf="packed")
    for one in packages:
        if one in missing:
            one.state = "missing"
        else:
            one.state, one.holder_id = "packed", step.organisation
    return Done(row.id, entry)


def refuse(step: Step, fields: Refuse) -> Done:
    """The other side refuses: everything stays with the giver.

    Raises:
        NotFoundError: `not_found`.  ConflictError: `custody.handover_closed`.
    """
    row, lot = _for_receiver(step, fields.handover_id, states=("offered", "inspected"))
    return _send_back(step, row, lot, kind=REFUSED, state="refused", reason=fields.reason)


def take_back(step: Step, fields: Refuse) -> Done:
    """The giver takes an offer back that nobody has confirmed.

    Raises:
        NotFoundError: `not_found`.  ConflictError: `custody.handover_closed`.
    """
    row, lot = _handover(step, fields.handover_id)
    if row.from_id != step.organisation:
        raise NotFoundError("there is no such record")
    _require_state(row, ("offered", "inspected"))
    return _send_back(
        step, row, lot, kind="lot.retracted", state="taken_back", reason=fields.reason
    )


def inspect(step: Step, fields: Inspect) -> Done:
    """The first of the two persons of the hospital: what was counted and looked at.

    Again before the second signature replaces what was found; nothing moves yet.

    Raises:
        NotFoundError: `not_found`.
        ConflictError: `custody.handover_closed`, `custody.one_signature`, `custody.recalled`,
            `custody.expired`.
        InputError: `custody.counts`, `custody.checks_failed`.
    """
    row, lot = _for_receiver(step, fields.handover_id, states=("offered", "inspected"))
    _require_acceptance(step, row, lot, fields)
    row.inspection = _inspection(fields)
    row.inspected_by = step.person
    row.state = "inspected"
    row.due_at = due(step.at, "second_signature_hours")
    body: dict[str, Json] = {
        "lot": lot.id,
        "handover": row.id,
        "by": step.person,
        **{name: getattr(fields, name) for name in COUNTED},
        "checks": fields.checks.model_dump(),
        "note": fields.note,
        "inspection_sha256": inspection_digest(row.inspection),
        "due_at": utc_text(row.due_at),
    }
    return Done(row.id, step.record("lot.inspected", lot, body))


def accept(step: Step, fields: Inspect) -> Done:
    """The second person signs the same counts: the goods are the hospital's now.

    Raises:
        NotFoundError: `not_found`.
        ConflictError: `custody.handover_closed`, `custody.not_inspected`, `custody.same_person`,
            `custody.counts_differ`, `custody.recalled`, `custody.expired`.
        InputError: `custody.counts`, `custody.checks_failed`.
    """
    row, lot = _for_receiver(step, fields.handover_id, states=("offered", "inspected"))
    if row.state != "inspected" or row.inspection is None:
        raise ConflictError(
            "nobody has counted yet: the first person signs the counts",
            code="custody.not_inspected",
        )
    if row.inspected_by == step.person:
        raise ConflictError(
            "you signed the counts: the second signature is another person's",
            code="custody.same_person",
        )
    _require_acceptance(step, row, lot, fields)
    found = _inspection(fields)
    if inspection_digest(found) != inspection_digest(row.inspection):
        raise ConflictError(
            "you counted something else than the first person: count together and sign anew",
            code="custody.counts_differ",
        )
    for name in COUNTED:
        setattr(row, name, getattr(fields, name))
    row.accepted_by = step.person
    entry = step.record("lot.received", lot, _received(step, row, lot, inspection=found))
    _settle(step, row, lot, entry, accepted_shelf="stock")
    for one in queries.packages_of(step.session, lot.id, handover_id=row.id):
        # At the hospital boxes are opened: from here on units are counted.
        one.state, one.holder_id = "opened", step.organisation
    return Done(row.id, entry)


def inspection_digest(value: object) -> str:
    """Digest of what was found: both signatures are about the same one."""
    assert isinstance(value, dict)
    return tagged_digest(INSPECTION_TAG, value).hex()


def _inspection(fields: Inspect) -> dict[str, Json]:
    return {
        **{name: getattr(fields, name) for name in COUNTED},
        "checks": fields.checks.model_dump(),
        "note": fields.note,
    }


def _require_acceptance(step: Step, row: HandoverRow, lot: LotRow, fields: Inspect) -> None:
    if row.to_id != lot.receiver_id:
        raise ConflictError(
            "on the way one signature of each side confirms a hand-over",
            code="custody.one_signature",
        )
    if sum(getattr(fields, name) for name in COUNTED) != row.quantity:
        raise InputError(
            f"accepted, quarantined, rejected and missing add up to {row.quantity}: count again",
            code="custody.counts",
            quantity=row.quantity,
        )
    checks = fields.checks
    papers = (
        checks.supplier_licence,
        checks.registration_certificate,
        checks.conformity_certificate,
        checks.batch_and_expiry,
    )
    if fields.accepted and not all(papers):
        raise InputError(
            "papers or batch did not pass: put the units into quarantine or reject them",
            code="custody.checks_failed",
        )
    if fields.accepted:
        require_not_recalled(lot)
        require_not_expired(step, lot)


def _require_target(step: Step, lot: LotRow, fields: HandOver) -> None:
    if step.session.get(HandoverRow, fields.handover_id) is not None:
        raise ConflictError("this hand-over exists already", code="custody.handover_exists")
    if fields.to_organisation == step.organisation:
        raise InputError("hand goods to somebody else", code="custody.to_oneself")
    target = step.session.get(PartyRow, fields.to_organisation)
    if target is None or target.kind != "organisation":
        raise NotFoundError("there is no such organisation", code="party.not_found")
    if target.id != lot.giver_id:
        require_not_recalled(lot)
    # Expired goods are not sent out and not brought to the hospital; whoever has them may hand them back.
    if step.organisation == lot.giver_id or target.id == lot.receiver_id:
        require_not_expired(step, lot)


def _own_packages(step: Step, lot: LotRow, ids: Sequence[str]) -> list[PackageRow]:
    found = {one.id: one for one in queries.packages_of(step.session, lot.id)}
    wanted = sorted(set(ids))
    if len(wanted) != len(ids) or any(one not in found for one in wanted):
        raise InputError(
            "name packages of this lot, each once: scan their labels", code="custody.packages"
        )
    packages = [found[one] for one in wanted]
    for one in packages:
        step.session.refresh(one)
        require_own_package(step, one)
    return packages


def _handover(step: Step, handover_id: str) -> tuple[HandoverRow, LotRow]:
    row = step.session.get(HandoverRow, handover_id)
    if row is None:
        raise NotFoundError("there is no such record")
    lot = step.lot(row.lot_id)
    # The lot's lock is held: what the other side did meanwhile is seen now.
    step.session.refresh(row)
    return row, lot


def _for_receiver(
    step: Step, handover_id: str, *, states: tuple[str, ...]
) -> tuple[HandoverRow, LotRow]:
    row, lot = _handover(step, handover_id)
    if row.to_id != step.organisation:
        if row.from_id == step.organisation:
            raise ForbiddenError(
                "the other side confirms: you have handed these goods over",
                code="custody.other_side",
            )
        raise NotFoundError("there is no such record")
    _require_state(row, states)
    return row, lot


def _require_state(row: HandoverRow, states: tuple[str, ...]) -> None:
    if row.state not in states:
        raise ConflictError(
            "this hand-over is closed: reload the page",
            code="custody.handover_closed",
            state=row.state,
        )


def _received(
    step: Step, row: HandoverRow, lot: LotRow, *, inspection: dict[str, Json] | None
) -> dict[str, Json]:
    agreement = step.session.get_one(AgreementRow, lot.agreement_id)
    return {
        "lot": lot.id,
        "by": step.person,
        "quantity": row.accepted,
        "document_sha256": agreement.current_sha256,
        "received_at": utc_text(step.at),
        "handover": row.id,
        "from": row.from_id,
        "to": row.to_id,
        "quarantined": row.quarantined,
        "rejected": row.rejected,
        "missing": row.missing,
        "inspected_by": row.inspected_by,
        "inspection_sha256": None if inspection is None else inspection_digest(inspection),
    }


def _settle(
    step: Step, row: HandoverRow, lot: LotRow, entry: EntryRow, *, accepted_shelf: str
) -> None:
    """Units go where they were counted; the sum of the four is what was on the way."""
    way = Place(row.from_id, "transit")
    row.state, row.closed_at = "received", step.at
    step.session.flush()
    for quantity, target, refused_by in (
        (row.accepted, Place(row.to_id, accepted_shelf), None),
        (row.quarantined, Place(row.to_id, "quarantine"), None),
        # Refused at the door: the units never become the hospital's, the carrier takes them along.
        (row.rejected, Place(row.from_id, "rejected"), row.to_id),
        (row.missing, Place(row.from_id, "disputed"), None),
    ):
        step.move(lot, way, target, quantity=quantity, entry=entry, refused_by=refused_by)
    if row.missing:
        _open_missing(step, row, lot)


def _open_missing(step: Step, row: HandoverRow, lot: LotRow) -> None:
    """What was not there is a discrepancy at once: the giver of the hand-over answers for it."""
    made = DiscrepancyRow(
        id=derived_id("dsc", at=step.at, seed=f"missing|{row.id}"),
        lot_id=lot.id,
        handover_id=row.id,
        kind="missing",
        quantity=row.missing,
        holder_id=row.from_id,
        reported_by=step.organisation,
        note="",
        state="open",
        answer_due_at=due(step.at, "answer_hours"),
        settle_due_at=due(step.at, "settle_hours"),
        opened_at=step.at,
    )
    step.session.add(made)
    step.session.flush()
    step.record("discrepancy.opened", lot, discrepancy_body(made), part=made.id)


def discrepancy_body(row: DiscrepancyRow) -> dict[str, Json]:
    """Private body of `discrepancy.opened`, without the signature."""
    return {
        "discrepancy": row.id,
        "lot": row.lot_id,
        "handover": row.handover_id,
        "kind": row.kind,
        "quantity": row.quantity,
        "holder": row.holder_id,
        "reporter": row.reported_by,
        "note": row.note,
        "answer_due_at": utc_text(row.answer_due_at),
        "settle_due_at": utc_text(row.settle_due_at),
        "policy": policy_digest(),
    }


def _send_back(
    step: Step, row: HandoverRow, lot: LotRow, *, kind: str, state: str, reason: str
) -> Done:
    body: dict[str, Json] = {
        "lot": lot.id,
        "by": step.person,
        "quantity": row.quantity,
        "reason": reason,
        "rejected_at": utc_text(step.at),
        "handover": row.id,
    }
    entry = step.record(kind, lot, body)
    source, target = Place(row.from_id, "transit"), Place(row.from_id, "packed")
    refused_by = row.to_id if kind == REFUSED else None
    step.move(lot, source, target, quantity=row.quantity, entry=entry, refused_by=refused_by)
    row.state, row.closed_at = state, step.at
    for one in queries.packages_of(step.session, lot.id, handover_id=row.id):
        one.state = "packed"
    step.session.flush()
    return Done(row.id, entry)
