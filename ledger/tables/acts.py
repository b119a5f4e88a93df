"""Tables of contract acts: where the other contracts stand, what is to be done there, what was signed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime


class ChainContractRow(Base):
    """One of our contracts besides EvidenceLog, one of each name per chain."""

    __tablename__ = "chain_contract"

    chain_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Name of its committed artifact."""
    address: Mapped[str] = mapped_column(String(42))
    artifact_sha256: Mapped[str] = mapped_column(String(64))
    code_hash: Mapped[str] = mapped_column(String(66))
    tx_hash: Mapped[str] = mapped_column(String(66))
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ChainActRow(Base):
    """One call of one contract that is to happen exactly once.

    `state`: `queued` (nothing was signed for it), `sent` (a transaction is on its way), `mined`, `final` (with
    `entry_id` once the log says so), `refused` (`reason` says why; never tried again by itself).
    """

    __tablename__ = "chain_act"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """`act_…`, made by whoever wants it done; the same id is the same act."""
    contract: Mapped[str] = mapped_column(String(32))
    call: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(40), index=True)
    """What it is about: who may see that, may see the act."""
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    """Canonical JSON of what the call is made from; it goes on the chain, so nothing private is in it."""
    after: Mapped[str | None] = mapped_column(String(40), ForeignKey("chain_act.id"))
    """The act that must be final before this one is tried."""
    state: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str | None] = mapped_column(String(400))
    """Why it was refused: the contract's own error with its values, or one of our codes."""
    chain_id: Mapped[int | None] = mapped_column(BigInteger)
    tx_hash: Mapped[str | None] = mapped_column(String(66))
    block_number: Mapped[int | None] = mapped_column(BigInteger)
    block_hash: Mapped[str | None] = mapped_column(String(66))
    gas_used: Mapped[int | None] = mapped_column(BigInteger)
    entry_id: Mapped[str | None] = mapped_column(String(40))
    actor: Mapped[str] = mapped_column(String(40))
    """Who asked for it."""
    order: Mapped[int] = mapped_column(BigInteger, unique=True)
    """Order of arrival: what the lane follows."""
    queued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (Index("ix_chain_act_state_order", "state", "order"),)


class ActTxRow(Base):
    """A signed transaction of the relayer, committed before it is sent. Replacements share the nonce.

    `state`: `signed`, `sent`, `capped`, then one of `mined`, `replaced` (another of its nonce was mined),
    `failed` (mined and reverted, or its nonce is used up by something else).
    """

    __tablename__ = "act_tx"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """`atx_…`"""
    act_id: Mapped[str | None] = mapped_column(String(40), ForeignKey("chain_act.id"), index=True)
    """None for the deployment of a contract, which `contract` names."""
    contract: Mapped[str] = mapped_column(String(32))
    chain_id: Mapped[int] = mapped_column(BigInteger)
    sender: Mapped[str] = mapped_column(String(42))
    nonce: Mapped[int] = mapped_column(BigInteger)
    attempt: Mapped[int] = mapped_column(Integer)
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    tx_hash: Mapped[str] = mapped_column(String(66), unique=True)
    max_fee: Mapped[str] = mapped_column(String(40))
    priority: Mapped[str] = mapped_column(String(40))
    gas: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(12))
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    signed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        # Two workers that sign at once collide here, before either has sent anything.
        UniqueConstraint("chain_id", "sender", "nonce", "attempt"),
        Index("ix_act_tx_chain_id_state", "chain_id", "state"),
    )
