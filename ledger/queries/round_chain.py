"""Reads of what rounds have on the chain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from ledger.tables.round_chain import RoundChainRow
from ledger.tables.supply import RoundRow

ALARMED: Final = ("struck", "refused")
"""States that somebody has to look at: the result that was claimed does not stand."""
ALARM_FOR: Final = timedelta(days=30)
"""How long after its opening a round alarms supervisors; its own page says it for ever."""
ROWS_MAX: Final = 500


def due_rounds(session: Session, *, at: datetime, limit: int) -> Sequence[str]:
    """Ids of rounds that the worker has to look at, longest waiting first."""
    query = (
        select(RoundChainRow.round_id)
        .where(RoundChainRow.due_at <= at)
        .order_by(RoundChainRow.due_at, RoundChainRow.round_id)
    )
    return session.scalars(query.limit(limit)).all()


def alarmed_rounds(
    session: Session, *, at: datetime, limit: int = ROWS_MAX
) -> Sequence[RoundChainRow]:
    """Rounds of the last thirty days whose result was struck or refused, newest first."""
    query = select(RoundChainRow).where(_alarmed(at)).order_by(RoundChainRow.round_id.desc())
    return session.scalars(query.limit(min(limit, ROWS_MAX))).all()


def count_alarmed(session: Session, *, at: datetime) -> int:
    """How many there are."""
    return int(session.scalar(select(func.count(RoundChainRow.round_id)).where(_alarmed(at))) or 0)


def states_of(session: Session, round_ids: Sequence[str]) -> dict[str, RoundChainRow]:
    """What these rounds have on the chain, by round; at most ROWS_MAX ids, absent where nothing is."""
    ids = list(round_ids)[:ROWS_MAX]
    rows = session.scalars(select(RoundChainRow).where(RoundChainRow.round_id.in_(ids)))
    return {row.round_id: row for row in rows}


def _alarmed(at: datetime) -> ColumnElement[bool]:
    recent = select(RoundRow.id).where(RoundRow.opened_at > at - ALARM_FOR)
    return and_(RoundChainRow.state.in_(ALARMED), RoundChainRow.round_id.in_(recent))
