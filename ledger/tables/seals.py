"""Tables of seals: what each looks like, who is charged with it, and every use; and uploads being placed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime


class SealRow(Base):
    """A seal of an organisation. `state` follows signing.seal_rules; its look never changes."""

    __tablename__ = "seal"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """`sea_…`"""
    organisation_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    kind: Mapped[str] = mapped_column(String(24))
    """organisation | contract | legal_representative"""
    name: Mapped[str] = mapped_column(String(200))
    source: Mapped[str] = mapped_column(String(12))
    """drawn | uploaded"""
    design: Mapped[str] = mapped_column(Text)
    """JSON of signing.seals.SealDesign; of an uploaded one what was said about it."""
    width_mm: Mapped[int] = mapped_column(Integer)
    height_mm: Mapped[int] = mapped_column(Integer)
    page_sha256: Mapped[str] = mapped_column(String(64))
    """Digest of the one-page PDF that is put on documents."""
    picture_sha256: Mapped[str] = mapped_column(String(64))
    """Digest of the PNG in the seal object."""
    state: Mapped[str] = mapped_column(String(12))
    """made | approved | enabled | suspended | destroyed"""
    valid_from: Mapped[datetime] = mapped_column(UtcDateTime)
    valid_to: Mapped[datetime] = mapped_column(UtcDateTime)
    made_by: Mapped[str] = mapped_column(ForeignKey("party.id"))
    approved_by: Mapped[str | None] = mapped_column(String(40))
    fingerprint: Mapped[str] = mapped_column(Text, default="{}")
    """Digests of the request's fields: a retry is recognised, a change is named."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SealDutyRow(Base):
    """A person's duty for one seal; the primary key lets nobody hold two at a time."""

    __tablename__ = "seal_duty"

    seal_id: Mapped[str] = mapped_column(ForeignKey("seal.id"), primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("party.id"), primary_key=True)
    duty: Mapped[str] = mapped_column(String(8))
    """manage | use | audit"""
    granted_by: Mapped[str] = mapped_column(String(40))
    granted_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SealUseRow(Base):
    """One use of a seal, written when the signature that carries it was accepted."""

    __tablename__ = "seal_use"

    signer_id: Mapped[str] = mapped_column(ForeignKey("agreement_signer.id"), primary_key=True)
    """A place signs once, under one seal."""
    seal_id: Mapped[str] = mapped_column(ForeignKey("seal.id"))
    agreement_id: Mapped[str] = mapped_column(ForeignKey("agreement.id"), index=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("party.id"))
    authorisation_id: Mapped[str] = mapped_column(String(40))
    certificate_id: Mapped[str] = mapped_column(String(40))
    base_sha256: Mapped[str] = mapped_column(String(64))
    """Digest of the file it was put on."""
    revision_sha256: Mapped[str] = mapped_column(String(64))
    edge: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether it also runs across the edges of all pages."""
    used_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index("ix_seal_use_seal_used", "seal_id", "used_at"),)


class UploadDraftRow(Base):
    """An uploaded PDF whose signature fields are being placed; nothing is published yet."""

    __tablename__ = "upload_draft"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """The id the agreement will have, `agr_…`."""
    organisation_id: Mapped[str] = mapped_column(ForeignKey("party.id"))
    account_id: Mapped[str] = mapped_column(String(40))
    sha256: Mapped[str] = mapped_column(String(64))
    pages: Mapped[int] = mapped_column(Integer)
    request: Mapped[str] = mapped_column(Text, default="{}")
    """JSON of the form as typed; the page of placement sends it on."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)

    __table_args__ = (UniqueConstraint("id", "sha256"),)
