"""Objections against a published round: a party says in time what is wrong, an operator answers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime


class ObjectionRow(Base):
    """One objection. `state`: open, then withdrawn, dismissed or upheld.

    While it is open, the lines it concerns are not accepted; upheld, they are released.
    """

    __tablename__ = "round_objection"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """`obj_…`, made by whoever objects; the same id is the same objection."""
    round_id: Mapped[str] = mapped_column(ForeignKey("matching_round.id"))
    organisation_id: Mapped[str] = mapped_column(ForeignKey("party.id"))
    reason: Mapped[str] = mapped_column(String(24))
    """misread | impossible | policy | other"""
    subject: Mapped[str | None] = mapped_column(String(40))
    """A line, need or offer of the organisation; None: all its lines of the round."""
    statement: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(12))
    answer: Mapped[str | None] = mapped_column(Text)
    """The operator's, with the reason."""
    released: Mapped[int | None] = mapped_column()
    """Lines that were released when it was upheld; None before and otherwise."""
    fingerprint: Mapped[str] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[str | None] = mapped_column(String(40))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        # The round is locked by whoever objects; should that ever be forgotten, the database still allows one.
        Index(
            "uq_round_objection_open",
            "round_id",
            "organisation_id",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_round_objection_state", "state", "id"),
        Index("ix_round_objection_organisation", "organisation_id", "id"),
    )
