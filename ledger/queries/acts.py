"""Reads of the tables of contract acts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger.tables.acts import ActTxRow, ChainActRow, ChainContractRow

OPEN_STATES: Final = ("signed", "sent", "capped")
"""Transactions whose nonce may still be unused, or whose block may still go."""
PAGE_MAX: Final = 500
TURNS_MAX: Final = 30_000
"""Acts about one lot that are looked through: `custody.MOVEMENTS_MAX` movements make at most two each."""


def contracts_on(session: Session, chain_id: int) -> dict[str, ChainContractRow]:
    """Our contracts on that chain, by name."""
    rows = session.scalars(
        select(ChainContractRow).where(ChainContractRow.chain_id == chain_id).limit(PAGE_MAX)
    )
    return {row.name: row for row in rows}


def open_transactions(session: Session, chain_id: int, sender: str) -> Sequence[ActTxRow]:
    """What the relayer may still have on its way, lowest nonce first, newest attempt first."""
    return session.scalars(
        select(ActTxRow)
        .where(
            ActTxRow.chain_id == chain_id,
            ActTxRow.sender == sender,
            ActTxRow.state.in_(OPEN_STATES),
        )
        .order_by(ActTxRow.nonce, ActTxRow.attempt.desc())
        .limit(PAGE_MAX)
    ).all()


def last_nonce(session: Session, chain_id: int, sender: str) -> int | None:
    """Highest nonce ever signed for by this relayer, or None."""
    return session.scalar(
        select(func.max(ActTxRow.nonce)).where(
            ActTxRow.chain_id == chain_id, ActTxRow.sender == sender
        )
    )


def queued(session: Session, *, limit: int) -> Sequence[ChainActRow]:
    """Acts that nothing was signed for yet, oldest first."""
    return session.scalars(
        select(ChainActRow)
        .where(ChainActRow.state == "queued")
        .order_by(ChainActRow.order)
        .limit(limit)
    ).all()


def last_order(session: Session) -> int:
    """Order number of the newest act, 0 for none."""
    return session.scalar(select(func.max(ChainActRow.order))) or 0


def acts_of(session: Session, subject: str, *, limit: int) -> Sequence[ChainActRow]:
    """Acts about a subject, oldest first."""
    return session.scalars(
        select(ChainActRow)
        .where(ChainActRow.subject == subject)
        .order_by(ChainActRow.order)
        .limit(min(limit, PAGE_MAX))
    ).all()


def next_turn(session: Session, lot_id: str, *, holder: str) -> int:
    """Number of the next act that a holder's address signs in `SupplyLots`, 0 before the first.

    Args:
        holder: its tag (`ledger.supply_calls`). The lot is locked by whoever asks.
    """
    newest_first = (
        select(ChainActRow.payload)
        .where(ChainActRow.subject == lot_id, ChainActRow.contract == "SupplyLots")
        .order_by(ChainActRow.order.desc())
        .limit(TURNS_MAX)
        .execution_options(yield_per=PAGE_MAX)
    )
    # Nearly always one of the newest few: the rest is not fetched.
    with closing(session.scalars(newest_first)) as payloads:
        for payload in payloads:
            value = json.loads(payload)
            if value.get("holder") == holder:
                return int(value["turn"]) + 1
    return 0
