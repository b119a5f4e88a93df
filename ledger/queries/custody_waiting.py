"""Reads of goods that wait for somebody: hand-overs, discrepancies, changes of use. Every list is bounded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ledger.queries.custody import ROWS_MAX
from ledger.tables.custody import DiscrepancyRow, HandoverRow, LotRow, PurposeChangeRow


def waiting_handovers(
    session: Session, *, organisation_id: str | None, overdue_at: datetime | None = None
) -> Sequence[tuple[HandoverRow, LotRow]]:
    """Hand-overs that wait for this organisation (None: anyone), or only those past their time."""
    query = (
        select(HandoverRow, LotRow)
        .join(LotRow, LotRow.id == HandoverRow.lot_id)
        .where(HandoverRow.state.in_(("offered", "inspected")))
    )
    if organisation_id is not None:
        query = query.where(
            (HandoverRow.to_id == organisation_id)
            | ((HandoverRow.from_id == organisation_id) if overdue_at else False)
        )
    if overdue_at is not None:
        query = query.where(HandoverRow.due_at < overdue_at)
    rows = session.execute(query.order_by(HandoverRow.due_at, HandoverRow.id).limit(ROWS_MAX))
    return [(row[0], row[1]) for row in rows]


def open_discrepancies(
    session: Session, *, organisation_id: str | None, overdue_at: datetime | None = None
) -> Sequence[tuple[DiscrepancyRow, LotRow]]:
    """Discrepancies that are not settled and concern this organisation; or those past a deadline."""
    query = (
        select(DiscrepancyRow, LotRow)
        .join(LotRow, LotRow.id == DiscrepancyRow.lot_id)
        .where(DiscrepancyRow.state.in_(("open", "answered")))
    )
    if organisation_id is not None:
        query = query.where(
            or_(
                DiscrepancyRow.holder_id == organisation_id,
                DiscrepancyRow.reported_by == organisation_id,
                LotRow.giver_id == organisation_id,
                LotRow.receiver_id == organisation_id,
            )
        )
    if overdue_at is not None:
        unanswered = (DiscrepancyRow.state == "open") & (DiscrepancyRow.answer_due_at < overdue_at)
        query = query.where(unanswered | (DiscrepancyRow.settle_due_at < overdue_at))
    rows = session.execute(
        query.order_by(DiscrepancyRow.answer_due_at, DiscrepancyRow.id).limit(ROWS_MAX)
    )
    return [(row[0], row[1]) for row in rows]


def open_purpose_changes(
    session: Session, *, organisation_id: str | None, overdue_at: datetime | None = None
) -> Sequence[tuple[PurposeChangeRow, LotRow]]:
    """Wishes that wait for the giver's word."""
    query = (
        select(PurposeChangeRow, LotRow)
        .join(LotRow, LotRow.id == PurposeChangeRow.lot_id)
        .where(PurposeChangeRow.state == "asked")
    )
    if organisation_id is not None:
        query = query.where(
            or_(LotRow.giver_id == organisation_id, LotRow.receiver_id == organisation_id)
        )
    if overdue_at is not None:
        query = query.where(PurposeChangeRow.due_at < overdue_at)
    rows = session.execute(
        query.order_by(PurposeChangeRow.due_at, PurposeChangeRow.id).limit(ROWS_MAX)
    )
    return [(row[0], row[1]) for row in rows]
