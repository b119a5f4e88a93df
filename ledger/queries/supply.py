"""Reads of supply and demand. Every list is paged by its last id, or bounded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from ledger.tables.live import UrgentNeedRow
from ledger.tables.supply import (
    AllocationRow,
    HospitalRow,
    ImportRowRow,
    ImportRunRow,
    NeedRow,
    OfferRow,
    RoundDocumentRow,
    RoundRow,
)

PAGE_MAX: Final = 1_000
IDS_MAX: Final = 500
HOLDING: Final = ("proposed", "accepted")
"""States in which an allocation holds its units."""


def import_run_of_source(session: Session, source: str) -> ImportRunRow | None:
    """The run that read this source."""
    return session.scalar(select(ImportRunRow).where(ImportRunRow.source == source))


def import_runs(session: Session, *, limit: int = 50) -> Sequence[ImportRunRow]:
    """Newest first."""
    query = select(ImportRunRow).order_by(ImportRunRow.started_at.desc(), ImportRunRow.id)
    return session.scalars(query.limit(min(limit, PAGE_MAX))).all()


def import_rows_page(
    session: Session,
    *,
    run_id: str,
    status: str | None = None,
    file: str | None = None,
    after: int = -1,
    limit: int = 100,
) -> Sequence[ImportRowRow]:
    """Rows of a run after position `after`."""
    query = select(ImportRowRow).where(ImportRowRow.run_id == run_id, ImportRowRow.position > after)
    if status is not None:
        query = query.where(ImportRowRow.status == status)
    if file is not None:
        query = query.where(ImportRowRow.file == file)
    return session.scalars(query.order_by(ImportRowRow.position).limit(_limit(limit))).all()


def count_import_rows(session: Session, *, run_id: str) -> int:
    """How many rows of a run are stored."""
    query = select(func.count()).where(ImportRowRow.run_id == run_id)
    return int(session.scalar(query) or 0)


def hospitals_page(
    session: Session,
    *,
    run_id: str | None = None,
    organisation_id: str | None = None,
    city: str | None = None,
    after: str = "",
    limit: int = 50,
) -> Sequence[HospitalRow]:
    """Hospitals after id `after`."""
    query = select(HospitalRow).where(HospitalRow.id > after)
    if run_id is not None:
        query = query.where(HospitalRow.run_id == run_id)
    if organisation_id is not None:
        query = query.where(HospitalRow.organisation_id == organisation_id)
    if city is not None:
        query = query.where(HospitalRow.city == city)
    return session.scalars(query.order_by(HospitalRow.id).limit(_limit(limit))).all()


def hospitals_by_ids(session: Session, ids: Sequence[str]) -> dict[str, HospitalRow]:
    """Hospitals by id, at most IDS_MAX."""
    rows = session.scalars(select(HospitalRow).where(HospitalRow.id.in_(list(ids)[:IDS_MAX])))
    return {row.id: row for row in rows}


def needs_page(
    session: Session,
    *,
    state: str | None = "open",
    tier: int | None = None,
    item: str | None = None,
    city: str | None = None,
    hospital_id: str | None = None,
    organisation_id: str | None = None,
    run_id: str | None = None,
    after: str = "",
    before: str | None = None,
    limit: int = 50,
) -> Sequence[tuple[NeedRow, HospitalRow]]:
    """Needs with their hospitals, after need id `after`; newest first where `before` is given."""
    query = (
        select(NeedRow, HospitalRow)
        .join(HospitalRow, HospitalRow.id == NeedRow.hospital_id)
        .where(NeedRow.id > after)
    )
    if state is not None:
        query = query.where(NeedRow.state == state)
    if tier is not None:
        query = query.where(NeedRow.tier == tier)
    if item is not None:
        query = query.where(NeedRow.item == item)
    if city is not None:
        query = query.where(HospitalRow.city == city)
    if hospital_id is not None:
        query = query.where(NeedRow.hospital_id == hospital_id)
    if organisation_id is not None:
        query = query.where(HospitalRow.organisation_id == organisation_id)
    if run_id is not None:
        query = query.where(NeedRow.run_id == run_id)
    if before is not None:
        query = query.where(NeedRow.id < before)
    order = NeedRow.id if before is None else NeedRow.id.desc()
    rows = session.execute(query.order_by(order).limit(_limit(limit))).all()
    return [(row[0], row[1]) for row in rows]


def needs_by_ids(session: Session, ids: Sequence[str]) -> Sequence[tuple[NeedRow, HospitalRow]]:
    """Needs with their hospitals by id, at most IDS_MAX."""
    query = (
        select(NeedRow, HospitalRow)
        .join(HospitalRow, HospitalRow.id == NeedRow.hospital_id)
        .where(NeedRow.id.in_(list(ids)[:IDS_MAX]))
    )
    return [(row[0], row[1]) for row in session.execute(query.order_by(NeedRow.id)).all()]


def count_needs(session: Session, *, state: str = "open") -> int:
    """How many needs are in this state."""
    return int(session.scalar(select(func.count()).where(NeedRow.state == state)) or 0)


def round_needs_page(
    session: Session,
    *,
    as_of: date,
    after: str,
    items: Sequence[str] | None = None,
    limit: int = PAGE_MAX,
) -> Sequence[tuple[NeedRow, HospitalRow]]:
    """Needs that a round on `as_of` takes: open, posted, deadline not past; of these items only, if named."""
    query = (
        select(NeedRow, HospitalRow)
        .join(HospitalRow, HospitalRow.id == NeedRow.hospital_id)
        .where(
            NeedRow.state == "open",
            NeedRow.posted_on <= as_of,
            NeedRow.deadline_on >= as_of,
            NeedRow.id > after,
        )
    )
    if items is not None:
        query = query.where(NeedRow.item.in_(items))
    rows = session.execute(query.order_by(NeedRow.id).limit(_limit(limit))).all()
    return [(row[0], row[1]) for row in rows]


def demand_of_run(session: Session, *, run_id: str) -> dict[str, tuple[int, int]]:
    """Item -> (pieces, needs) of an import; bounded by the catalogue."""
    query = (
        select(NeedRow.item, func.sum(NeedRow.quantity), func.count())
        .where(NeedRow.run_id == run_id)
        .group_by(NeedRow.item)
        .order_by(NeedRow.item)
    )
    return {str(item): (int(pieces), int(count)) for item, pieces, count in session.execute(query)}


def offers_page(
    session: Session,
    *,
    state: str | None = "open",
    kind: str | None = None,
    item: str | None = None,
    organisation_id: str | None = None,
    source_key: str | None = None,
    items: Sequence[str] | None = None,
    after: str = "",
    before: str | None = None,
    limit: int = 50,
) -> Sequence[OfferRow]:
    """Offers after id `after`; newest first where `before` is given."""
    query = select(OfferRow).where(OfferRow.id > after)
    if items is not None:
        query = query.where(OfferRow.item.in_(items))
    if state is not None:
        query = query.where(OfferRow.state == state)
    if kind is not None:
        query = query.where(OfferRow.kind == kind)
    if item is not None:
        query = query.where(OfferRow.item == item)
    if organisation_id is not None:
        query = query.where(OfferRow.organisation_id == organisation_id)
    if source_key is not None:
        query = query.where(OfferRow.source_key == source_key)
    if before is not None:
        query = query.where(OfferRow.id < before)
    order = OfferRow.id if before is None else OfferRow.id.desc()
    return session.scalars(query.order_by(order).limit(_limit(limit))).all()


def offers_by_ids(session: Session, ids: Sequence[str]) -> dict[str, OfferRow]:
    """Offers by id, at most IDS_MAX."""
    rows = session.scalars(select(OfferRow).where(OfferRow.id.in_(list(ids)[:IDS_MAX])))
    return {row.id: row for row in rows}


def held_of_needs(session: Session, ids: Sequence[str]) -> dict[str, int]:
    """Need id -> units that earlier rounds hold for it; at most IDS_MAX ids."""
    query = (
        select(AllocationRow.need_id, func.sum(AllocationRow.quantity))
        .where(AllocationRow.need_id.in_(list(ids)[:IDS_MAX]), AllocationRow.state.in_(HOLDING))
        .group_by(AllocationRow.need_id)
    )
    return {str(need): int(units) for need, units in session.execute(query)}


def newest_rounds_of_needs(session: Session, ids: Sequence[str]) -> dict[str, str]:
    """Need id -> the newest round or urgent decision that has a line for it; at most IDS_MAX ids."""
    query = (
        select(AllocationRow.need_id, func.max(AllocationRow.round_id))
        .where(AllocationRow.need_id.in_(list(ids)[:IDS_MAX]))
        .group_by(AllocationRow.need_id)
    )
    return {str(need): str(one) for need, one in session.execute(query)}


def held_of_offers(session: Session, ids: Sequence[str]) -> dict[tuple[str, int], int]:
    """(offer id, window) -> units that earlier rounds hold of it; at most IDS_MAX ids."""
    query = (
        select(AllocationRow.offer_id, AllocationRow.window, func.sum(AllocationRow.quantity))
        .where(AllocationRow.offer_id.in_(list(ids)[:IDS_MAX]), AllocationRow.state.in_(HOLDING))
        .group_by(AllocationRow.offer_id, AllocationRow.window)
    )
    return {
        (str(offer), int(window)): int(units) for offer, window, units in session.execute(query)
    }


def open_round(session: Session) -> RoundRow | None:
    """The round that is opened and not closed, if any; there is never more than one."""
    return session.scalar(select(RoundRow).where(RoundRow.state == "opened").limit(1))


def rounds_page(session: Session, *, before: str = "~", limit: int = 50) -> Sequence[RoundRow]:
    """Scheduled rounds, newest id first, before id `before`; decisions on urgent needs have their own list."""
    query = (
        select(RoundRow)
        .where(
            RoundRow.id < before,
            ~exists(select(UrgentNeedRow.need_id).where(UrgentNeedRow.round_id == RoundRow.id)),
        )
        .order_by(RoundRow.id.desc())
    )
    return session.scalars(query.limit(_limit(limit))).all()


def round_document(session: Session, *, round_id: str, name: str) -> RoundDocumentRow | None:
    """The problem, plan, certificate or outcomes of a round."""
    return session.get(RoundDocumentRow, (round_id, name))


def allocations_page(
    session: Session,
    *,
    round_id: str | None = None,
    organisation_id: str | None = None,
    offer_id: str | None = None,
    need_id: str | None = None,
    state: str | None = None,
    after: str = "",
    limit: int = 50,
) -> Sequence[tuple[AllocationRow, NeedRow, HospitalRow, OfferRow]]:
    """Allocations with both their sides. `organisation_id`: lines in which it gives or receives."""
    query = (
        select(AllocationRow, NeedRow, HospitalRow, OfferRow)
        .join(NeedRow, NeedRow.id == AllocationRow.need_id)
        .join(HospitalRow, HospitalRow.id == NeedRow.hospital_id)
        .join(OfferRow, OfferRow.id == AllocationRow.offer_id)
        .where(AllocationRow.id > after)
    )
    if round_id is not None:
        query = query.where(AllocationRow.round_id == round_id)
    if organisation_id is not None:
        query = query.where(
            (OfferRow.organisation_id == organisation_id)
            | (HospitalRow.organisation_id == organisation_id)
        )
    if offer_id is not None:
        query = query.where(AllocationRow.offer_id == offer_id)
    if need_id is not None:
        query = query.where(AllocationRow.need_id == need_id)
    if state is not None:
        query = query.where(AllocationRow.state == state)
    rows = session.execute(query.order_by(AllocationRow.id).limit(_limit(limit))).all()
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def count_allocations(session: Session, *, round_id: str) -> int:
    """How many lines a round has."""
    query = select(func.count()).where(AllocationRow.round_id == round_id)
    return int(session.scalar(query) or 0)


def _limit(limit: int) -> int:
    return max(1, min(limit, PAGE_MAX))
