"""What goods have brought about that nobody was told of yet. Every read is bounded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from ledger.tables.custody import (
    DiscrepancyRow,
    HandoverRow,
    LotRow,
    PurposeChangeRow,
    RecallRow,
)
from ledger.tables.notices import NoticeRow


def recalls_untold(
    session: Session, *, kind: str, state: str, since: datetime, limit: int
) -> Sequence[RecallRow]:
    """Recalls in this state, changed since then, that no notice of this kind is about; oldest first."""
    changed = RecallRow.opened_at if state == "open" else RecallRow.closed_at
    query = select(RecallRow).where(
        RecallRow.state == state, changed >= since, _untold(kind, RecallRow.id)
    )
    return session.scalars(query.order_by(changed, RecallRow.id).limit(limit)).all()


def handovers_untold(
    session: Session, *, kind: str, state: str, due_before: datetime, limit: int
) -> Sequence[HandoverRow]:
    """Hand-overs in this state whose time is up, longest first."""
    query = select(HandoverRow).where(
        HandoverRow.state == state,
        HandoverRow.due_at < due_before,
        _untold(kind, HandoverRow.id),
    )
    return session.scalars(query.order_by(HandoverRow.due_at, HandoverRow.id).limit(limit)).all()


def discrepancies_untold(
    session: Session,
    *,
    kind: str,
    states: Sequence[str],
    clock: InstrumentedAttribute[datetime] | None = None,
    due: tuple[datetime, datetime] | None = None,
    limit: int,
) -> Sequence[tuple[DiscrepancyRow, LotRow]]:
    """Unsettled discrepancies with their lots; with a clock only those that run out in `due` (from, before)."""
    query = (
        select(DiscrepancyRow, LotRow)
        .join(LotRow, LotRow.id == DiscrepancyRow.lot_id)
        .where(DiscrepancyRow.state.in_(states), _untold(kind, DiscrepancyRow.id))
    )
    if clock is not None and due is not None:
        query = query.where(and_(clock >= due[0], clock < due[1]))
    rows = session.execute(
        query.order_by(DiscrepancyRow.answer_due_at, DiscrepancyRow.id).limit(limit)
    )
    return [(row[0], row[1]) for row in rows]


def purposes_untold(
    session: Session, *, kind: str, due_before: datetime | None, limit: int
) -> Sequence[tuple[PurposeChangeRow, LotRow]]:
    """Changes of use that wait for the giver's word; with a time only those that are late."""
    query = (
        select(PurposeChangeRow, LotRow)
        .join(LotRow, LotRow.id == PurposeChangeRow.lot_id)
        .where(PurposeChangeRow.state == "asked", _untold(kind, PurposeChangeRow.id))
    )
    if due_before is not None:
        query = query.where(PurposeChangeRow.due_at < due_before)
    rows = session.execute(
        query.order_by(PurposeChangeRow.due_at, PurposeChangeRow.id).limit(limit)
    )
    return [(row[0], row[1]) for row in rows]


def _untold(kind: str, cause: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    return ~exists().where(NoticeRow.kind == kind, NoticeRow.cause == cause)
