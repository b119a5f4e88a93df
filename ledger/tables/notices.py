"""Notices inside the application: something that an organisation must know happened."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime


class NoticeRow(Base):
    """One notice to one organisation. It names records by id; what they say is read where they stand."""

    __tablename__ = "notice"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """`ntc_…`"""
    organisation_id: Mapped[str] = mapped_column(ForeignKey("party.id"))
    kind: Mapped[str] = mapped_column(String(40))
    """key.revoked, key.revoked_after_signing, ratification.…, goods.…: the page's text is `notice.<kind>`."""
    subject: Mapped[str] = mapped_column(String(40))
    """The agreement, lot or recall it is about."""
    cause: Mapped[str] = mapped_column(String(40))
    """What happened, e.g. the certificate that was revoked."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        UniqueConstraint("organisation_id", "kind", "subject", "cause"),
        Index("ix_notice_organisation_created", "organisation_id", "created_at"),
        Index("ix_notice_cause", "cause", "kind"),
    )
