"""Tables of the living market: each item class with its proven plan, and urgent needs decided on it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime


class LiveClassRow(Base):
    """An item class that lives: `state` is it at `saved_version`, `live_change` holds what came since."""

    __tablename__ = "live_class"

    item_class: Mapped[str] = mapped_column(String(40), primary_key=True)
    day: Mapped[date] = mapped_column(Date)
    """The day eligibility is judged on; another day is another state."""
    policy_sha256: Mapped[str] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(BigInteger)
    saved_version: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[bytes | None] = mapped_column(LargeBinary)
    """`fuqi/live-round/v1`; None for a class with limits, which is solved from the tables each time."""
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LiveChangeRow(Base):
    """Something about a need or an offer changed; triggers write it, whoever changed the row.

    `version` is the one of the living class that took the change in, None while it waits.
    """

    __tablename__ = "live_change"

    number: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    kind: Mapped[str] = mapped_column(String(8))
    """need | offer"""
    subject_id: Mapped[str] = mapped_column(String(40))
    item: Mapped[str] = mapped_column(String(40))
    version: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (Index("ix_live_change_item", "item", "version"),)


class UrgentNeedRow(Base):
    """A need marked urgent and decided at once; `round_id` is the decision, a round of one class."""

    __tablename__ = "urgent_need"

    need_id: Mapped[str] = mapped_column(ForeignKey("need.id"), primary_key=True)
    hospital_id: Mapped[str] = mapped_column(ForeignKey("hospital.id"))
    round_id: Mapped[str] = mapped_column(ForeignKey("matching_round.id"), unique=True)
    day: Mapped[date] = mapped_column(Date)
    number: Mapped[int] = mapped_column(Integer)
    """1-based, of this hospital on this day: the database itself counts no one twice."""
    marked_by: Mapped[str] = mapped_column(String(40))
    authorisation_id: Mapped[str] = mapped_column(String(40))
    policy_sha256: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(String(200))
    served: Mapped[int] = mapped_column(BigInteger)
    outcome: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Why not more: the need's line of the round's outcomes."""
    entry_id: Mapped[str] = mapped_column(String(40))
    """The `need.urgent` entry, whose receipt the answer carries."""
    accept_until: Mapped[datetime] = mapped_column(UtcDateTime)
    lapsed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When lines that no donor had accepted were set free."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        UniqueConstraint("hospital_id", "day", "number"),
        CheckConstraint("served >= 0", name="served_not_negative"),
        Index("ix_urgent_need_open", "lapsed_at", "accept_until"),
    )
