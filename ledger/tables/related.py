"""The register of related parties: who may not give to whom (Charity Law 40)."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime


class RelatedPartyRow(Base):
    """Two organisations that are related, in either direction, over a period.

    It keeps gifts apart from the moment it is declared, and until an operator refuses it: who says of itself
    that it is related is believed at once.
    """

    __tablename__ = "related_party"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    first_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    """The organisation that declared it; where an operator did, the one named first."""
    second_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    kind: Mapped[str] = mapped_column(String(24))
    """What the second is to the first: parent | subsidiary | same_control | same_representative | shareholder |
    manager | family | other"""
    evidence: Mapped[str] = mapped_column(String(500))
    """Where it can be read: a register and its number, a contract, a report."""
    evidence_sha256: Mapped[str | None] = mapped_column(String(64))
    """A document that was added; None without."""
    evidence_type: Mapped[str | None] = mapped_column(String(40))
    valid_from: Mapped[date] = mapped_column(Date)
    valid_to: Mapped[date | None] = mapped_column(Date)
    """The last day; None while it lasts."""
    state: Mapped[str] = mapped_column(String(12))
    """declared | confirmed | refused | ended"""
    end_reason: Mapped[str | None] = mapped_column(String(200))
    """Why a side asks to end it; an operator decides."""
    reason: Mapped[str | None] = mapped_column(String(200))
    """Of the operator's newest decision."""
    fingerprint: Mapped[str] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("first_id <> second_id", name="two_parties"),
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="period"),
        Index("ix_related_party_state", "state", "id"),
    )
