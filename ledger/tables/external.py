"""Tables of outside systems: which organisation a subject of theirs belongs to."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime


class ExternalSubjectRow(Base):
    """A thing of an outside system. The first organisation that records something about it owns it for good."""

    __tablename__ = "external_subject"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """`ext_…`, random, made by the outside system."""
    organisation_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
