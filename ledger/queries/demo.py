"""Reads that only the demonstration and `fuqi status` need."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger.tables.log import EntryRow
from ledger.tables.supply import AllocationRow, HospitalRow, LaneRow, NeedRow, OfferRow


def busiest_hospital(session: Session, *, run_id: str, items: Sequence[str]) -> HospitalRow | None:
    """The hospital (no agency) with the most open critical needs that asks for all of `items`."""
    asked = (
        select(NeedRow.hospital_id)
        .where(NeedRow.run_id == run_id, NeedRow.state == "open", NeedRow.item.in_(items))
        .group_by(NeedRow.hospital_id)
        .having(func.count(func.distinct(NeedRow.item)) == len(items))
    )
    return session.scalar(
        select(HospitalRow)
        .join(NeedRow, NeedRow.hospital_id == HospitalRow.id)
        .where(
            HospitalRow.run_id == run_id,
            HospitalRow.agency.is_(False),
            HospitalRow.id.in_(asked),
            NeedRow.tier == 0,
        )
        .group_by(HospitalRow.id)
        .order_by(func.count(NeedRow.id).desc(), HospitalRow.id)
        .limit(1)
    )


def lines_between(
    session: Session, *, round_id: str, offer_ids: Sequence[str], hospital_id: str | None = None
) -> Sequence[tuple[AllocationRow, NeedRow, OfferRow, HospitalRow]]:
    """Allocation lines of some offers, to one hospital or to all, largest first."""
    query = (
        select(AllocationRow, NeedRow, OfferRow, HospitalRow)
        .join(NeedRow, NeedRow.id == AllocationRow.need_id)
        .join(OfferRow, OfferRow.id == AllocationRow.offer_id)
        .join(HospitalRow, HospitalRow.id == NeedRow.hospital_id)
        .where(AllocationRow.round_id == round_id, AllocationRow.offer_id.in_(offer_ids))
    )
    if hospital_id is not None:
        query = query.where(HospitalRow.id == hospital_id)
    rows = session.execute(
        query.order_by(AllocationRow.quantity.desc(), AllocationRow.id).limit(500)
    )
    return [row.tuple() for row in rows]


def nationwide_lane(session: Session, *, run_id: str) -> LaneRow | None:
    """The first carrier of a data set that serves the whole country."""
    return session.scalar(
        select(LaneRow)
        .where(LaneRow.run_id == run_id, LaneRow.origin.is_(None))
        .order_by(LaneRow.source_key, LaneRow.id)
        .limit(1)
    )


def entries_by_type(session: Session) -> dict[str, int]:
    """How many entries of each type the journal holds."""
    rows = session.execute(select(EntryRow.type, func.count()).group_by(EntryRow.type))
    return {kind: int(count) for kind, count in rows}
