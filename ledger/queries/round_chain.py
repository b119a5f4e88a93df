"""Reads of what rounds have on the chain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.tables.round_chain import RoundChainRow


def due_rounds(session: Session, *, at: datetime, limit: int) -> Sequence[str]:
    """Ids of rounds that the worker has to look at, longest waiting first."""
    query = (
        select(RoundChainRow.round_id)
        .where(RoundChainRow.due_at <= at)
        .order_by(RoundChainRow.due_at, RoundChainRow.round_id)
    )
    return session.scalars(query.limit(limit)).all()
