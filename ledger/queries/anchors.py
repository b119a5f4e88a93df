"""Reads of the anchoring tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger.tables.anchors import AnchorRow, ChainTxRow, DeploymentRow

OPEN_STATES: Final = ("signed", "sent", "capped")
"""Transactions whose nonce may still be unused."""
STANDING_STATES: Final = ("mined", "final")
PAGE_MAX: Final = 500


def deployment_of(session: Session, chain_id: int) -> DeploymentRow | None:
    """Where the contract stands on that chain."""
    return session.get(DeploymentRow, chain_id)


def open_transactions(session: Session, chain_id: int) -> Sequence[ChainTxRow]:
    """Transactions that may still be mined, lowest nonce first, newest attempt first."""
    return session.scalars(
        select(ChainTxRow)
        .where(ChainTxRow.chain_id == chain_id, ChainTxRow.state.in_(OPEN_STATES))
        .order_by(ChainTxRow.nonce, ChainTxRow.attempt.desc())
        .limit(PAGE_MAX)
    ).all()


def last_nonce(session: Session, chain_id: int) -> int | None:
    """Highest nonce ever signed for, or None."""
    return session.scalar(select(func.max(ChainTxRow.nonce)).where(ChainTxRow.chain_id == chain_id))


def siblings_of(session: Session, chain_id: int, tx_hash: str) -> Sequence[ChainTxRow]:
    """Every attempt of the nonce that this transaction used, newest first; empty for an unknown one."""
    nonce = (
        select(ChainTxRow.nonce)
        .where(ChainTxRow.chain_id == chain_id, ChainTxRow.tx_hash == tx_hash)
        .scalar_subquery()
    )
    return session.scalars(
        select(ChainTxRow)
        .where(ChainTxRow.chain_id == chain_id, ChainTxRow.nonce == nonce)
        .order_by(ChainTxRow.attempt.desc())
        .limit(PAGE_MAX)
    ).all()


def newest_transactions(session: Session, chain_id: int, *, limit: int) -> Sequence[ChainTxRow]:
    """The last transactions signed, newest first."""
    return session.scalars(
        select(ChainTxRow)
        .where(ChainTxRow.chain_id == chain_id)
        .order_by(ChainTxRow.nonce.desc(), ChainTxRow.attempt.desc())
        .limit(limit)
    ).all()


def mined_anchor(session: Session, chain_id: int) -> AnchorRow | None:
    """The oldest anchor that is not final yet."""
    return session.scalar(
        select(AnchorRow)
        .where(AnchorRow.chain_id == chain_id, AnchorRow.state == "mined")
        .order_by(AnchorRow.checkpoint_size)
        .limit(1)
    )


def anchor_of(session: Session, chain_id: int, size: int) -> AnchorRow | None:
    """The standing anchor of that checkpoint size."""
    return session.scalar(
        select(AnchorRow)
        .where(
            AnchorRow.chain_id == chain_id,
            AnchorRow.checkpoint_size == size,
            AnchorRow.state.in_(STANDING_STATES),
        )
        .limit(1)
    )


def anchor_in_block(
    session: Session, chain_id: int, block_hash: str, size: int
) -> AnchorRow | None:
    """The anchor row of that very block, in any state."""
    return session.scalar(
        select(AnchorRow).where(
            AnchorRow.chain_id == chain_id,
            AnchorRow.block_hash == block_hash,
            AnchorRow.checkpoint_size == size,
        )
    )


def latest_final(session: Session) -> AnchorRow | None:
    """The final anchor of the largest checkpoint."""
    return session.scalar(
        select(AnchorRow)
        .where(AnchorRow.state == "final")
        .order_by(AnchorRow.checkpoint_size.desc())
        .limit(1)
    )


def latest_standing(session: Session) -> AnchorRow | None:
    """The mined or final anchor of the largest checkpoint."""
    return session.scalar(
        select(AnchorRow)
        .where(AnchorRow.state.in_(STANDING_STATES))
        .order_by(AnchorRow.checkpoint_size.desc())
        .limit(1)
    )


def anchor_covering(session: Session, seq: int) -> AnchorRow | None:
    """The first anchor whose checkpoint contains leaf `seq`: the earliest final one, else a mined one."""
    for state in ("final", "mined"):
        found = session.scalar(
            select(AnchorRow)
            .where(AnchorRow.state == state, AnchorRow.checkpoint_size > seq)
            .order_by(AnchorRow.checkpoint_size)
            .limit(1)
        )
        if found is not None:
            return found
    return None


def deployments(session: Session) -> Sequence[DeploymentRow]:
    """Every chain that this installation has written to."""
    return session.scalars(
        select(DeploymentRow).order_by(DeploymentRow.chain_id).limit(PAGE_MAX)
    ).all()


def newest_on(session: Session, chain_id: int) -> AnchorRow | None:
    """The newest standing anchor on that chain."""
    return session.scalar(
        select(AnchorRow)
        .where(AnchorRow.chain_id == chain_id, AnchorRow.state.in_(STANDING_STATES))
        .order_by(AnchorRow.checkpoint_size.desc())
        .limit(1)
    )


def gas_total(session: Session) -> int:
    """Gas used by every anchor that stands."""
    return (
        session.scalar(
            select(func.sum(AnchorRow.gas_used)).where(AnchorRow.state.in_(STANDING_STATES))
        )
        or 0
    )
