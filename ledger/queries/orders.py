"""Reads of orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from ledger.tables.agreements import SignerRow
from ledger.tables.orders import OrderDocumentRow, OrderFileRow, WorkOrderRow
from ledger.tables.supply import AllocationRow, HospitalRow, NeedRow, OfferRow

PAGE_MAX: Final = 200


def lock_order(session: Session, order_id: str) -> WorkOrderRow | None:
    """The order as it stands now, locked: its steps are taken one after the other."""
    return session.scalar(
        select(WorkOrderRow)
        .where(WorkOrderRow.id == order_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def orders_page(
    session: Session, *, organisation_id: str | None, before: str = "~", limit: int = 50
) -> Sequence[WorkOrderRow]:
    """Orders in which an organisation buys or makes (None: all), newest id first."""
    query = select(WorkOrderRow).where(WorkOrderRow.id < before)
    if organisation_id is not None:
        mine = or_(
            WorkOrderRow.buyer_id == organisation_id, WorkOrderRow.maker_id == organisation_id
        )
        query = query.where(mine)
    return session.scalars(query.order_by(WorkOrderRow.id.desc()).limit(min(limit, PAGE_MAX))).all()


def documents_of(session: Session, order_id: str) -> Sequence[OrderDocumentRow]:
    """Documents of an order, oldest first."""
    return session.scalars(
        select(OrderDocumentRow)
        .where(OrderDocumentRow.order_id == order_id)
        .order_by(OrderDocumentRow.added_at, OrderDocumentRow.id)
        .limit(PAGE_MAX)
    ).all()


def count_files(session: Session, order_id: str) -> int:
    """How many files were uploaded for an order."""
    query = select(func.count()).where(OrderFileRow.order_id == order_id)
    return int(session.scalar(query) or 0)


def sides_of_allocation(session: Session, allocation_id: str) -> tuple[str | None, str | None]:
    """(giver, receiver) of an allocation; empty where there is none."""
    row = session.execute(
        select(OfferRow.organisation_id, HospitalRow.organisation_id)
        .select_from(AllocationRow)
        .join(NeedRow, NeedRow.id == AllocationRow.need_id)
        .join(HospitalRow, HospitalRow.id == NeedRow.hospital_id)
        .join(OfferRow, OfferRow.id == AllocationRow.offer_id)
        .where(AllocationRow.id == allocation_id)
    ).one_or_none()
    return (None, None) if row is None else (row[0], row[1])


def signed_by(session: Session, agreement_id: str) -> set[str]:
    """Organisations that signed an agreement."""
    query = select(SignerRow.organisation_id).where(
        SignerRow.agreement_id == agreement_id, SignerRow.signed_at.is_not(None)
    )
    return set(session.scalars(query))
