"""Reads of goods on their way. Every list is bounded or paged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from ledger.tables.acts import ChainActRow
from ledger.tables.agreements import AgreementRow
from ledger.tables.custody import (
    LIVE,
    DiscrepancyRow,
    HandoverRow,
    LotMovementRow,
    LotPositionRow,
    LotRow,
    PackageRow,
    PurposeChangeRow,
    RecallRow,
)
from ledger.tables.orders import WorkOrderRow
from ledger.tables.parties import AuthorisationRow, PartyRow
from ledger.tables.supply import AllocationRow, HospitalRow, NeedRow, OfferRow

ROWS_MAX: Final = 1_000
"""Rows of one kind about one lot or one page; a lot with more is opened as several."""
MOVEMENTS_MAX: Final = 10_000
"""Movements of one lot: a box a day for a quarter of a century."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Goods that are recalled together: the same product, the same batch number."""

    number: str
    item: str
    device: str


@dataclass(frozen=True, slots=True)
class Held:
    """Units of one lot of a batch at one place, with whose they are."""

    lot: LotRow
    holder: PartyRow
    shelf: str
    quantity: int


def lock_lot(session: Session, lot_id: str) -> LotRow | None:
    """The lot as it stands now, locked: its movements are made one after the other."""
    return session.scalar(
        select(LotRow)
        .where(LotRow.id == lot_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def lock_allocation(session: Session, allocation_id: str) -> AllocationRow | None:
    """The allocation as it stands now, locked: two lots must not share its units."""
    return session.scalar(
        select(AllocationRow)
        .where(AllocationRow.id == allocation_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def opened_of_allocation(session: Session, allocation_id: str) -> int:
    """Units of an allocation that stand in lots already."""
    query = select(func.coalesce(func.sum(LotRow.quantity), 0))
    return int(session.scalar(query.where(LotRow.allocation_id == allocation_id)) or 0)


def position(session: Session, lot_id: str, holder_id: str, shelf: str) -> int:
    """Units at one place, as the database has them now."""
    query = select(LotPositionRow.quantity).where(
        LotPositionRow.lot_id == lot_id,
        LotPositionRow.holder_id == holder_id,
        LotPositionRow.shelf == shelf,
    )
    return int(session.scalar(query) or 0)


def positions_of(session: Session, lot_ids: Sequence[str]) -> Sequence[LotPositionRow]:
    """Where the units of these lots are; empty places left out; at most ROWS_MAX lots."""
    return session.scalars(
        select(LotPositionRow)
        .where(LotPositionRow.lot_id.in_(list(lot_ids)[:ROWS_MAX]), LotPositionRow.quantity > 0)
        .order_by(LotPositionRow.lot_id, LotPositionRow.holder_id, LotPositionRow.shelf)
        .execution_options(populate_existing=True)
    ).all()


def movements_of(session: Session, lot_id: str) -> Sequence[LotMovementRow]:
    """Movements of a lot, oldest first."""
    return session.scalars(
        select(LotMovementRow)
        .where(LotMovementRow.lot_id == lot_id)
        .order_by(LotMovementRow.number)
        .limit(MOVEMENTS_MAX)
    ).all()


def last_movement(session: Session, lot_id: str) -> int:
    """Number of the newest movement, 0 before the first."""
    query = select(func.coalesce(func.max(LotMovementRow.number), 0))
    return int(session.scalar(query.where(LotMovementRow.lot_id == lot_id)) or 0)


def packages_of(
    session: Session, lot_id: str, *, handover_id: str | None = None
) -> Sequence[PackageRow]:
    """Packages of a lot, or those of one hand-over, by number."""
    query = select(PackageRow).where(PackageRow.lot_id == lot_id)
    if handover_id is not None:
        query = query.where(PackageRow.handover_id == handover_id)
    return session.scalars(query.order_by(PackageRow.number).limit(ROWS_MAX)).all()


def last_package(session: Session, lot_id: str) -> int:
    """Number of the newest package, 0 before the first."""
    query = select(func.coalesce(func.max(PackageRow.number), 0))
    return int(session.scalar(query.where(PackageRow.lot_id == lot_id)) or 0)


def handovers_of(session: Session, lot_id: str) -> Sequence[HandoverRow]:
    """Hand-overs of a lot, oldest first."""
    return session.scalars(
        select(HandoverRow)
        .where(HandoverRow.lot_id == lot_id)
        .order_by(HandoverRow.offered_at, HandoverRow.id)
        .limit(ROWS_MAX)
    ).all()


def discrepancies_of(session: Session, lot_id: str) -> Sequence[DiscrepancyRow]:
    """Discrepancies of a lot, oldest first."""
    return session.scalars(
        select(DiscrepancyRow)
        .where(DiscrepancyRow.lot_id == lot_id)
        .order_by(DiscrepancyRow.opened_at, DiscrepancyRow.id)
        .limit(ROWS_MAX)
    ).all()


def purpose_changes_of(session: Session, lot_id: str) -> Sequence[PurposeChangeRow]:
    """Wishes to use a lot otherwise, oldest first."""
    return session.scalars(
        select(PurposeChangeRow)
        .where(PurposeChangeRow.lot_id == lot_id)
        .order_by(PurposeChangeRow.asked_at, PurposeChangeRow.id)
        .limit(ROWS_MAX)
    ).all()


def organisations_of(session: Session, subject: str) -> tuple[str, ...]:
    """Organisations that a lot, hand-over, discrepancy, recall, purpose change or order concerns."""
    prefix = subject.partition("_")[0]
    order = session.get(WorkOrderRow, subject) if prefix == "ord" else None
    if order is not None:
        return order.buyer_id, order.maker_id
    lot_id: str | None = subject if prefix == "lot" else None
    if prefix == "hov":
        handover = session.get(HandoverRow, subject)
        lot_id = None if handover is None else handover.lot_id
    elif prefix == "dsc":
        discrepancy = session.get(DiscrepancyRow, subject)
        lot_id = None if discrepancy is None else discrepancy.lot_id
    elif prefix == "puc":
        change = session.get(PurposeChangeRow, subject)
        lot_id = None if change is None else change.lot_id
    elif prefix == "rcl":
        recall = session.get(RecallRow, subject)
        if recall is None:
            return ()
        batch = Batch(recall.batch_number, recall.item, recall.device)
        held = [*holders_of_batch(session, batch), *gone_of_batch(session, batch)]
        ends = {end for one in held for end in (one.lot.giver_id, one.lot.receiver_id)}
        # To whom units are on their way holds nothing yet, and must not take them in unwarned.
        on_the_way = select(HandoverRow.to_id).where(
            HandoverRow.lot_id.in_(sorted({one.lot.id for one in held})[:ROWS_MAX]),
            HandoverRow.state.in_(("offered", "inspected")),
        )
        warned = {*session.scalars(on_the_way), recall.opened_by}
        return tuple(sorted({one.holder.id for one in held} | ends | warned))
    lot = None if lot_id is None else session.get(LotRow, lot_id)
    if lot is None:
        return ()
    # A carrier to whom units are offered is no holder yet, and must see what it is asked to confirm.
    asked = session.scalars(select(HandoverRow.to_id).where(HandoverRow.lot_id == lot.id)).all()
    held_by = session.scalars(
        select(LotPositionRow.holder_id).where(LotPositionRow.lot_id == lot.id).distinct()
    ).all()
    return tuple(sorted({lot.giver_id, lot.receiver_id, *asked, *held_by}))


def lots_page(
    session: Session,
    *,
    organisation_id: str | None,
    offer_id: str | None = None,
    after: str = "",
    limit: int = 50,
) -> Sequence[LotRow]:
    """Lots after id `after` that an organisation gives, receives, holds or is asked to take."""
    query = select(LotRow).where(LotRow.id > after)
    if organisation_id is not None:
        query = query.where(_concerns(organisation_id))
    if offer_id is not None:
        query = query.where(LotRow.offer_id == offer_id)
    return session.scalars(query.order_by(LotRow.id).limit(min(limit, ROWS_MAX))).all()


def holders_of_batch(session: Session, batch: Batch) -> Sequence[Held]:
    """Everybody who has a unit of a batch that still exists, and where, in one query."""
    return _read_held(session, _held().where(*_of(batch), LotPositionRow.shelf.in_(LIVE)))


def gone_of_batch(session: Session, batch: Batch) -> Sequence[Held]:
    """Units of a batch that are used or lost, and where: whom a recall has to tell as well."""
    return _read_held(session, _held().where(*_of(batch), LotPositionRow.shelf.not_in(LIVE)))


def batches_of_holder(session: Session, *, holder_id: str) -> Sequence[Held]:
    """Every batch of which a holder has units that still exist, in one query."""
    query = _held().where(LotPositionRow.holder_id == holder_id, LotPositionRow.shelf.in_(LIVE))
    return _read_held(session, query)


def lock_batch(session: Session, batch: Batch) -> None:
    """Until the transaction ends nobody else opens a lot of the batch or recalls it.

    A recall locks the lots it sees; without this, one that is being opened at the same moment would escape it.
    SQLite has one writer anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        name = f"batch|{batch.item}|{batch.device}|{batch.number}"
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


def count_lots_of_batch(session: Session, batch: Batch) -> int:
    """How many lots of a batch there are; a recall takes at most ROWS_MAX."""
    return int(session.scalar(select(func.count(LotRow.id)).where(*_of(batch))) or 0)


def lock_lots_of_batch(session: Session, batch: Batch) -> Sequence[LotRow]:
    """Lots of a batch, locked in the order of their ids."""
    return session.scalars(
        select(LotRow)
        .where(*_of(batch))
        .order_by(LotRow.id)
        .limit(ROWS_MAX)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def recalls_page(session: Session, *, before: str = "~", limit: int = 50) -> Sequence[RecallRow]:
    """Recalls, newest id first."""
    query = select(RecallRow).where(RecallRow.id < before).order_by(RecallRow.id.desc())
    return session.scalars(query.limit(min(limit, ROWS_MAX))).all()


def open_recall_of_batch(session: Session, batch: Batch) -> RecallRow | None:
    """The open recall of a batch, if any."""
    return session.scalar(
        select(RecallRow).where(
            RecallRow.batch_number == batch.number,
            RecallRow.item == batch.item,
            RecallRow.device == batch.device,
            RecallRow.state == "open",
        )
    )


def shared_handlers(session: Session, one: str, other: str) -> int:
    """How many people hold an authorisation of both organisations, revoked ones included."""
    first = select(AuthorisationRow.person_id).where(AuthorisationRow.organisation_id == one)
    query = select(func.count(func.distinct(AuthorisationRow.person_id))).where(
        AuthorisationRow.organisation_id == other, AuthorisationRow.person_id.in_(first)
    )
    return int(session.scalar(query) or 0)


def allocation_with_sides(
    session: Session, allocation_id: str
) -> tuple[AllocationRow, NeedRow, HospitalRow, OfferRow] | None:
    """An allocation with both its sides."""
    row = session.execute(
        select(AllocationRow, NeedRow, HospitalRow, OfferRow)
        .join(NeedRow, NeedRow.id == AllocationRow.need_id)
        .join(HospitalRow, HospitalRow.id == NeedRow.hospital_id)
        .join(OfferRow, OfferRow.id == AllocationRow.offer_id)
        .where(AllocationRow.id == allocation_id)
    ).one_or_none()
    return None if row is None else (row[0], row[1], row[2], row[3])


def formed_agreement_about(session: Session, allocation_id: str) -> AgreementRow | None:
    """The newest formed agreement about an allocation."""
    query = select(AgreementRow).where(
        AgreementRow.allocation_id == allocation_id, AgreementRow.state == "formed"
    )
    return session.scalar(query.order_by(AgreementRow.id.desc()).limit(1))


def last_act_about(session: Session, subject: str) -> str | None:
    """The newest act on the chain about a subject: what the next one has to wait for."""
    query = select(ChainActRow.id).where(ChainActRow.subject == subject)
    return session.scalar(query.order_by(ChainActRow.order.desc()).limit(1))


def lots_of_allocations(session: Session, allocation_ids: Sequence[str]) -> Sequence[LotRow]:
    """Lots of these allocations; at most ROWS_MAX ids."""
    query = select(LotRow).where(LotRow.allocation_id.in_(list(allocation_ids)[:ROWS_MAX]))
    return session.scalars(query.order_by(LotRow.id).limit(ROWS_MAX)).all()


def _of(batch: Batch) -> tuple[ColumnElement[bool], ...]:
    return (
        LotRow.batch_number == batch.number,
        LotRow.item == batch.item,
        LotRow.device == batch.device,
    )


def _concerns(organisation_id: str) -> ColumnElement[bool]:
    held = select(LotPositionRow.lot_id).where(LotPositionRow.holder_id == organisation_id)
    asked = select(HandoverRow.lot_id).where(HandoverRow.to_id == organisation_id)
    return or_(
        LotRow.giver_id == organisation_id,
        LotRow.receiver_id == organisation_id,
        LotRow.id.in_(held),
        LotRow.id.in_(asked),
    )


def _held() -> Select[LotRow, PartyRow, str, int]:
    return (
        select(LotRow, PartyRow, LotPositionRow.shelf, LotPositionRow.quantity)
        .join(LotPositionRow, LotPositionRow.lot_id == LotRow.id)
        .join(PartyRow, PartyRow.id == LotPositionRow.holder_id)
        .where(LotPositionRow.quantity > 0)
    )


def _read_held(session: Session, query: Select[LotRow, PartyRow, str, int]) -> list[Held]:
    ordered = query.order_by(LotRow.batch_number, LotRow.id, PartyRow.id, LotPositionRow.shelf)
    rows = session.execute(ordered.limit(MOVEMENTS_MAX))
    return [Held(lot=row[0], holder=row[1], shelf=row[2], quantity=int(row[3])) for row in rows]
