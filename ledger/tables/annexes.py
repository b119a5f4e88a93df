"""Tables of what goes with a document: clauses pointed out and confirmed, attached files, files asked for."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime


class ClauseRow(Base):
    """A passage of the document that its author points out (`signing.annexes.Clause`)."""

    __tablename__ = "agreement_clause"

    agreement_id: Mapped[str] = mapped_column(ForeignKey("agreement.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(20))
    page: Mapped[int] = mapped_column(Integer)
    """1-based."""
    text: Mapped[str] = mapped_column(Text)
    explanation: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    boxes: Mapped[str] = mapped_column(Text)
    """JSON: [page, left, top, right, bottom] of each line in thousandths of the upright page's size."""


class ClauseConfirmationRow(Base):
    """One signer's confirmation of one clause."""

    __tablename__ = "clause_confirmation"

    signer_id: Mapped[str] = mapped_column(ForeignKey("agreement_signer.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    seconds: Mapped[int] = mapped_column(Integer)
    """How long the clause was on the screen, as the client saw it."""
    confirmed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class UploadDemandRow(Base):
    """A file that the author of an agreement asks one signer for, such as a licence."""

    __tablename__ = "upload_demand"

    agreement_id: Mapped[str] = mapped_column(ForeignKey("agreement.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    field: Mapped[str] = mapped_column(String(64))
    """The signer's place: whoever holds it now is asked."""
    label: Mapped[str] = mapped_column(String(120))
    required: Mapped[bool] = mapped_column(Boolean)


class AttachmentRow(Base):
    """A file that belongs to an agreement; its bytes lie in the blob store by digest."""

    __tablename__ = "agreement_attachment"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """`att_…`"""
    agreement_id: Mapped[str | None] = mapped_column(ForeignKey("agreement.id"), index=True)
    """None while it waits to be attached."""
    signer_id: Mapped[str | None] = mapped_column(ForeignKey("agreement_signer.id"))
    """The place that uploaded it; None for the author's own files."""
    demand: Mapped[int | None] = mapped_column(Integer)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("party.id"))
    """Whose file it is."""
    person_id: Mapped[str | None] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(120))
    media_type: Mapped[str] = mapped_column(String(40))
    size_bytes: Mapped[int] = mapped_column(Integer)
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    replaced_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When its uploader put another file in its place, before signing."""
