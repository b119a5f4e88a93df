"""Facts of goods on their way, as those see them whom they concern. Reads only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from api.callers import Caller, require_visible
from api.flows.custody_step import POLICY, policy_digest
from api.schemas import custody as shapes
from api.views.agreements import entry_facts
from api.views.public import item_names
from ledger.core.errors import NotFoundError
from ledger.queries import acts as act_queries
from ledger.queries import custody as queries
from ledger.queries import custody_waiting as waiting
from ledger.queries import log as log_queries
from ledger.queries import parties as party_queries
from ledger.tables.custody import (
    DiscrepancyRow,
    HandoverRow,
    LotMovementRow,
    LotRow,
    PackageRow,
    PurposeChangeRow,
)
from ledger.tables.log import EntryRow
from ledger.tables.supply import HospitalRow

EVENTS_MAX = 500


def lot_for(session: Session, caller: Caller, lot_id: str) -> LotRow:
    """A lot that concerns the caller's organisation; operators see all.

    Raises:
        NotFoundError: absent, or nobody of the caller's has to do with it.
    """
    row = session.get(LotRow, lot_id)
    if row is None:
        raise NotFoundError("there is no such record")
    require_visible(caller, *queries.organisations_of(session, lot_id))
    return row


def lot_list(
    session: Session,
    caller: Caller,
    *,
    offer_id: str | None = None,
    after: str = "",
    limit: int,
) -> list[shapes.LotOut]:
    """Lots the caller's organisation gives, receives, holds or is asked to take."""
    mine = None if caller.is_operator else caller.organisation_id or "-"
    rows = queries.lots_page(
        session, organisation_id=mine, offer_id=offer_id, after=after, limit=limit
    )
    return [shapes.LotOut(**one) for one in lots_shown(session, rows)]


def lot_facts(
    session: Session, caller: Caller, lot_id: str, *, at: datetime
) -> shapes.LotDetailOut:
    """Where every unit of a lot is, and how it came there.

    Raises:
        NotFoundError: `not_found`.
    """
    row = lot_for(session, caller, lot_id)
    (facts,) = lots_shown(session, [row])
    packages = queries.packages_of(session, row.id)
    handovers = queries.handovers_of(session, row.id)
    discrepancies = queries.discrepancies_of(session, row.id)
    names = _names(
        session,
        [
            *(one.holder_id for one in queries.positions_of(session, [row.id])),
            *(one.from_id for one in handovers),
            *(one.to_id for one in handovers),
            *(one.holder_id for one in discrepancies),
        ],
    )
    return shapes.LotDetailOut(
        **facts,
        udi=row.udi,
        device=row.device,
        registration=row.registration,
        fiscal_number=row.fiscal_number,
        fiscal_on=row.fiscal_on,
        fiscal_issuer=row.fiscal_issuer,
        places=[
            shapes.PlaceOut(
                holder_id=one.holder_id,
                holder=names[one.holder_id],
                role=role_of(row, one.holder_id),
                shelf=one.shelf,
                quantity=one.quantity,
            )
            for one in queries.positions_of(session, [row.id])
        ],
        packages=[shapes.PackageOut.model_validate(one) for one in packages],
        handovers=[_handover(one, names, packages, at=at) for one in handovers],
        discrepancies=[_discrepancy(one, names, at=at) for one in discrepancies],
        purposes=[_purpose(one, at=at) for one in queries.purpose_changes_of(session, row.id)],
        events=_events(session, row),
    )


def role_of(lot: LotRow, organisation: str) -> str:
    """What a holder is to a lot."""
    if organisation == lot.giver_id:
        return "giver"
    return "hospital" if organisation == lot.receiver_id else "carrier"


def overdue(session: Session, caller: Caller, *, at: datetime) -> shapes.OverdueOut:
    """What waits beyond its deadline, by the policy in force."""
    mine = None if caller.is_operator else caller.organisation_id or "-"
    return shapes.OverdueOut(
        policy=dict(POLICY),
        policy_sha256=policy_digest(),
        **tasks(session, organisation_id=mine, overdue_at=at),
    )


def tasks(
    session: Session, *, organisation_id: str | None, overdue_at: datetime | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Hand-overs, discrepancies and changes of use that wait; with a time, only the late ones."""
    asked: dict[str, Any] = {"organisation_id": organisation_id, "overdue_at": overdue_at}
    return {
        "handovers": [
            _task(row.id, lot, row.quantity, row.state, row.due_at)
            for row, lot in waiting.waiting_handovers(session, **asked)
        ],
        "discrepancies": [
            _task(
                row.id,
                lot,
                row.quantity,
                row.state,
                row.answer_due_at if row.state == "open" else row.settle_due_at,
            )
            for row, lot in waiting.open_discrepancies(session, **asked)
        ],
        "purposes": [
            _task(row.id, lot, lot.quantity, row.state, row.due_at)
            for row, lot in waiting.open_purpose_changes(session, **asked)
        ],
    }


def lots_shown(session: Session, rows: Sequence[LotRow]) -> list[dict[str, Any]]:
    """Fields of `LotOut` for these lots."""
    names = _names(session, [one for row in rows for one in (row.giver_id, row.receiver_id)])
    ends: dict[tuple[str, str], int] = {}
    for place in queries.positions_of(session, [row.id for row in rows]):
        key = place.lot_id, place.shelf
        ends[key] = ends.get(key, 0) + place.quantity
    found = []
    for row in rows:
        zh, en = item_names(row.item)
        found.append(
            {
                "id": row.id,
                "allocation_id": row.allocation_id,
                "agreement_id": row.agreement_id,
                "offer_id": row.offer_id,
                "item": row.item,
                "item_zh": zh,
                "item_en": en,
                "quantity": row.quantity,
                "used": ends.get((row.id, "used"), 0),
                "lost": ends.get((row.id, "lost"), 0),
                "batch_number": row.batch_number,
                "produced_on": row.produced_on,
                "expires_on": row.expires_on,
                "giver_id": row.giver_id,
                "giver": names[row.giver_id],
                "receiver_id": row.receiver_id,
                "receiver": names[row.receiver_id],
                "hospital": session.get_one(HospitalRow, row.hospital_id).name,
                "purpose": row.purpose,
                "directed": row.directed,
                "recall_id": row.recall_id,
                "opened_at": row.opened_at,
            }
        )
    return found


def _names(session: Session, ids: Sequence[str]) -> dict[str, str]:
    rows = party_queries.parties_by_ids(session, sorted(set(ids)))
    return {one: row.name for one, row in rows.items()}


def _handover(
    row: HandoverRow, names: Mapping[str, str], packages: Sequence[PackageRow], *, at: datetime
) -> shapes.HandoverOut:
    return shapes.HandoverOut(
        id=row.id,
        from_id=row.from_id,
        from_name=names[row.from_id],
        to_id=row.to_id,
        to_name=names[row.to_id],
        quantity=row.quantity,
        waybill=row.waybill,
        state=row.state,
        due_at=row.due_at,
        late=row.closed_at is None and at > row.due_at,
        inspection=row.inspection,
        inspected_by=row.inspected_by,
        accepted=row.accepted,
        quarantined=row.quarantined,
        rejected=row.rejected,
        missing=row.missing,
        packages=[
            shapes.PackageOut.model_validate(one) for one in packages if one.handover_id == row.id
        ],
    )


def _discrepancy(
    row: DiscrepancyRow, names: Mapping[str, str], *, at: datetime
) -> shapes.DiscrepancyOut:
    late = (row.state == "open" and at > row.answer_due_at) or (
        row.state in ("open", "answered") and at > row.settle_due_at
    )
    return shapes.DiscrepancyOut(
        id=row.id,
        lot_id=row.lot_id,
        handover_id=row.handover_id,
        kind=row.kind,
        quantity=row.quantity,
        holder_id=row.holder_id,
        holder=names[row.holder_id],
        note=row.note,
        answer=row.answer,
        state=row.state,
        answer_due_at=row.answer_due_at,
        settle_due_at=row.settle_due_at,
        late=late,
    )


def _purpose(row: PurposeChangeRow, *, at: datetime) -> shapes.PurposeOut:
    return shapes.PurposeOut(
        id=row.id,
        lot_id=row.lot_id,
        purpose=row.purpose,
        reason=row.reason,
        state=row.state,
        due_at=row.due_at,
        late=row.state == "asked" and at > row.due_at,
    )


def _events(session: Session, lot: LotRow) -> list[shapes.EventOut]:
    moves: dict[str, list[dict[str, Any]]] = {}
    movements: Sequence[LotMovementRow] = queries.movements_of(session, lot.id)
    names = _names(session, [one for row in movements for one in (row.from_holder, row.to_holder)])
    for one in movements:
        moves.setdefault(one.entry_id, []).append(
            {
                "from": names[one.from_holder],
                "from_shelf": one.from_shelf,
                "to": names[one.to_holder],
                "to_shelf": one.to_shelf,
                "quantity": one.quantity,
            }
        )
    acts: dict[str, list[str]] = {}
    for act in act_queries.acts_of(session, lot.id, limit=EVENTS_MAX):
        acts.setdefault(json.loads(act.payload)["cause"], []).append(act.id)
    entries: Sequence[EntryRow] = log_queries.entries_of(session, [lot.id])
    return [
        shapes.EventOut(
            entry_id=one.id,
            type=one.type,
            at=one.at,
            state=one.state,
            moves=moves.get(one.id, []),
            acts=acts.get(one.leaf, []),
        )
        for one in entry_facts(session, entries)
    ]


def _task(
    record_id: str, lot: LotRow, quantity: int, state: str, due_at: datetime
) -> dict[str, Any]:
    zh, en = item_names(lot.item)
    return {
        "id": record_id,
        "lot_id": lot.id,
        "item_zh": zh,
        "item_en": en,
        "batch_number": lot.batch_number,
        "quantity": quantity,
        "state": state,
        "due_at": due_at,
    }
