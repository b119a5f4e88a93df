"""What a matching round has on the chain, in the contract `Rounds`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime


class RoundChainRow(Base):
    """One round's way to the chain; made with the round, so that none is forgotten.

    `state`: `waiting` (nothing is queued), `committed` (inputs and policy), `proving`, `posting` (the result is
    queued), then `proven` (the chain has checked it), `posted` (anyone may strike it until `closes_at`),
    `closing`, `final`. Or `withheld` (the result is not one that may be posted; `reason` says why), `struck`
    (somebody showed a fault), `refused` (the contract would not take it).
    """

    __tablename__ = "round_chain"

    round_id: Mapped[str] = mapped_column(ForeignKey("matching_round.id"), primary_key=True)
    state: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str | None] = mapped_column(String(400))
    rows: Mapped[int] = mapped_column(Integer, default=0)
    columns: Mapped[int] = mapped_column(Integer, default=0)
    """Of the table that the chain holds; 0 where it holds the problem's digest only."""
    inputs_root: Mapped[str | None] = mapped_column(String(64))
    policy_hash: Mapped[str | None] = mapped_column(String(64))
    chain_round: Mapped[str | None] = mapped_column(String(64))
    """The round's id in the contract."""
    plan_root: Mapped[str | None] = mapped_column(String(64))
    objective: Mapped[str | None] = mapped_column(String(40))
    """Value of the table's plan, decimal: it passes 64 bits."""
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    """How often a result was struck before this one."""
    act_id: Mapped[str | None] = mapped_column(String(40), ForeignKey("chain_act.id"))
    """The newest act that was queued for it."""
    closes_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    """When the worker looks next; None when nothing more happens by itself."""
