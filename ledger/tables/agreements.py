"""Tables of agreements: the document and its revisions, who signs, what each did."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime


class AgreementRow(Base):
    """An electronic contract. `state` follows signing.agreement; bytes lie in the blob store by digest."""

    __tablename__ = "agreement"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    matter: Mapped[str] = mapped_column(String(40))
    """donation | manufacturing | other: what an authorisation must cover."""
    origin: Mapped[str] = mapped_column(String(12))
    """template | upload"""
    template: Mapped[str | None] = mapped_column(String(40))
    allocation_id: Mapped[str | None] = mapped_column(String(40), index=True)
    owner_organisation_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    state: Mapped[str] = mapped_column(String(12))
    original_sha256: Mapped[str] = mapped_column(String(64))
    """Digest of the file as uploaded or rendered, before signature fields were placed."""
    document_sha256: Mapped[str] = mapped_column(String(64))
    """Digest of the finalised document every party reads and signs (fields placed)."""
    current_sha256: Mapped[str] = mapped_column(String(64))
    """Digest of the newest revision."""
    pages: Mapped[int] = mapped_column(Integer)
    fingerprint: Mapped[str] = mapped_column(Text, default="{}")
    """Digests of the request's fields: a retry is recognised, a change is named."""
    demo: Mapped[bool] = mapped_column(Boolean, default=False)
    place_of_formation: Mapped[str | None] = mapped_column(String(200))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    formed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it was declined, withdrawn or expired; a formed one has `formed_at`."""
    ended_reason: Mapped[str | None] = mapped_column(String(500))
    quorums: Mapped[str] = mapped_column(Text, default="{}")
    """JSON: stage -> how many of its members must act; a stage that is not named needs all."""
    amount_minor: Mapped[int | None] = mapped_column(BigInteger)
    """What is at stake, in fen; an authorisation with a limit needs it."""
    currency: Mapped[str | None] = mapped_column(String(3))
    no_amount: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether the sender stated that it is about no amount of money; never beside `amount_minor`."""
    relation: Mapped[str | None] = mapped_column(String(12))
    """releases | amends | renews | revises: what this one does to `related_id` once it is formed
    (revises: at once, before anything was formed)."""
    related_id: Mapped[str | None] = mapped_column(String(40), index=True)
    hand_out_partial: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether parties may take out the file while signatures are missing."""
    read_seconds_min: Mapped[int] = mapped_column(Integer, default=0)
    """How long the document must have been open before it counts as read; 0 for no such demand."""
    released_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reminded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SignerRow(Base):
    """One place in a stage: an organisation, the handler who acts for it, and what has been done."""

    __tablename__ = "agreement_signer"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    agreement_id: Mapped[str] = mapped_column(ForeignKey("agreement.id"), index=True)
    position: Mapped[int] = mapped_column(Integer)
    """As listed, from 1; the order of signing is that of the stages."""
    stage: Mapped[int] = mapped_column(Integer, default=0)
    act: Mapped[str] = mapped_column(String(8), default="sign")
    """sign | approve"""
    role: Mapped[str] = mapped_column(String(40))
    """donor | recipient | principal | contractor | party"""
    organisation_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    field: Mapped[str] = mapped_column(String(64))
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    opened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    read_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    consented_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Consent to electronic form (ES-3a)."""
    intent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Intent to sign exactly this document."""
    authorisation_id: Mapped[str | None] = mapped_column(String(40))
    certificate_id: Mapped[str | None] = mapped_column(String(40))
    revision_sha256: Mapped[str | None] = mapped_column(String(64))
    signed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    approved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    approved_seal_id: Mapped[str | None] = mapped_column(String(40))
    """Of an approval: the only seal it allows; None where it names none."""
    approved_values: Mapped[str | None] = mapped_column(Text)
    """Of an approval: JSON, name, place of the filler and value of each form field that it lists."""
    refused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Stepped aside although the stage could be done without them."""
    forwarded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    forwarded_to: Mapped[str | None] = mapped_column(String(40))
    """The place that took over this one; what was done here stays recorded here."""

    __table_args__ = (
        UniqueConstraint("agreement_id", "position"),
        UniqueConstraint("agreement_id", "field"),
    )


class IntentRow(Base):
    """A statement the server made for a signer, and its proof once the device has signed it."""

    __tablename__ = "intent_statement"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    signer_id: Mapped[str] = mapped_column(ForeignKey("agreement_signer.id"), index=True)
    act: Mapped[str] = mapped_column(String(12))
    """consent | sign | decline"""
    nonce: Mapped[str] = mapped_column(String(128), unique=True)
    statement: Mapped[str] = mapped_column(Text)
    """Canonical JSON of signing.intent.statement."""
    annex: Mapped[str | None] = mapped_column(Text)
    """Canonical JSON of signing.annexes.annex, where the statement names one."""
    proof: Mapped[str | None] = mapped_column(Text)
    """Hex DER ECDSA signature over signing.intent.intent_message."""
    certificate_id: Mapped[str | None] = mapped_column(ForeignKey("certificate.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PreparedSignatureRow(Base):
    """A signature between its two steps: the server prepared the revision, the device has not signed yet."""

    __tablename__ = "prepared_signature"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    signer_id: Mapped[str] = mapped_column(ForeignKey("agreement_signer.id"), index=True)
    certificate_id: Mapped[str] = mapped_column(ForeignKey("certificate.id"))
    base_sha256: Mapped[str] = mapped_column(String(64))
    """Digest of the revision it was prepared on; a newer revision makes it void."""
    revision_sha256: Mapped[str] = mapped_column(String(64))
    """Digest of the prepared bytes in the blob store."""
    signed_attrs: Mapped[str] = mapped_column(Text)
    """Hex DER of the CMS signed attributes the device signs."""
    document_digest: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(Text)
    """JSON that signing.pdf.embed needs."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RevisionRow(Base):
    """Every distinct file of an agreement, oldest first; 0 is the document all parties read."""

    __tablename__ = "agreement_revision"

    agreement_id: Mapped[str] = mapped_column(ForeignKey("agreement.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(Integer)
    signer_id: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class BundleRow(Base):
    """An exported evidence bundle."""

    __tablename__ = "bundle"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    subject: Mapped[str] = mapped_column(String(40), index=True)
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(Integer)
    purpose: Mapped[str] = mapped_column(String(20))
    exported_by: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ArchiveRow(Base):
    """A later form of a formed agreement's file: the same bytes, and behind them what keeps them provable.

    The file after the last signature stays the original (ES-5); an archived one is linked to it and
    never takes its place.
    """

    __tablename__ = "agreement_archive"

    agreement_id: Mapped[str] = mapped_column(ForeignKey("agreement.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """1 for the first; each renewal adds one."""
    base_sha256: Mapped[str] = mapped_column(String(64))
    """Digest of the file it extends: the final revision, or the archive before it."""
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    level: Mapped[str] = mapped_column(String(8))
    """`B-LTA` (ETSI EN 319 142-1)."""
    stamped_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the next renewal is due."""
    newest: Mapped[bool] = mapped_column(Boolean, default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index("ix_agreement_archive_newest_due", "newest", "due_at"),)
