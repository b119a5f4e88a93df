"""Tables of anchoring: where the contract stands, what was signed for the chain, what the chain accepted."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime


class DeploymentRow(Base):
    """The EvidenceLog that this installation writes, one per chain."""

    __tablename__ = "deployment"

    chain_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    address: Mapped[str] = mapped_column(String(42))
    block_number: Mapped[int] = mapped_column(BigInteger)
    tx_hash: Mapped[str] = mapped_column(String(66))
    artifact_sha256: Mapped[str] = mapped_column(String(64))
    code_hash: Mapped[str] = mapped_column(String(66))
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ChainTxRow(Base):
    """A signed transaction, committed before it is sent. Replacements share the nonce.

    `state`: `signed` (perhaps sent), `sent` (a node took it), `capped` (as `sent`, and no higher fee is
    allowed), then one of `mined` (its append is on the chain), `replaced` (another of its nonce was mined) or
    `failed` (its nonce is used up and no append of its nonce is on the chain).
    """

    __tablename__ = "chain_tx"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """`ctx_…`"""
    chain_id: Mapped[int] = mapped_column(BigInteger)
    nonce: Mapped[int] = mapped_column(BigInteger)
    attempt: Mapped[int] = mapped_column(Integer)
    """0 for the first of its nonce, then 1, 2, … for its replacements."""
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    tx_hash: Mapped[str] = mapped_column(String(66), unique=True)
    size: Mapped[int] = mapped_column(BigInteger)
    root: Mapped[str] = mapped_column(String(64))
    max_fee: Mapped[str] = mapped_column(String(40))
    """Wei per gas in decimal: more than 64 bits on some chains."""
    priority: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(12))
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    """How often these bytes were handed to a node."""
    signed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        # Two workers that sign at once collide here, before either has sent anything.
        UniqueConstraint("chain_id", "nonce", "attempt"),
        Index("ix_chain_tx_chain_id_state", "chain_id", "state"),
    )


class AnchorRow(Base):
    """A checkpoint accepted by the chain.

    `state`: `mined`, `final`, or `lost` (a reorganisation took it back).
    """

    __tablename__ = "anchor"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """`anc_…`"""
    chain_id: Mapped[int] = mapped_column(BigInteger)
    contract: Mapped[str] = mapped_column(String(42))
    checkpoint_size: Mapped[int] = mapped_column(BigInteger, index=True)
    root: Mapped[str] = mapped_column(String(64))
    tx_hash: Mapped[str] = mapped_column(String(66))
    block_number: Mapped[int] = mapped_column(BigInteger)
    block_hash: Mapped[str] = mapped_column(String(66))
    block_time: Mapped[int] = mapped_column(BigInteger)
    """Seconds since 1970."""
    gas_used: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(12))
    evidence: Mapped[str] = mapped_column(Text)
    """`fuqi/chain-evidence/v1` as JSON, verified before it was stored."""
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        UniqueConstraint("chain_id", "block_hash", "checkpoint_size"),
        Index("ix_anchor_state_checkpoint_size", "state", "checkpoint_size"),
    )
