"""Tables of people and organisations: real-name checks, authorisations, ratifications, certificates."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime


class PartyRow(Base):
    """A legal or natural person. Its identity number is only in the vault (entry `party.registered`);
    here stand a mask for people and a keyed digest that finds a duplicate."""

    __tablename__ = "party"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12))
    """organisation | person"""
    category: Mapped[str] = mapped_column(String(24))
    """donor | manufacturer | hospital | arbitration | carrier | person"""
    name: Mapped[str] = mapped_column(String(200))
    number_masked: Mapped[str | None] = mapped_column(String(40))
    number_index: Mapped[str | None] = mapped_column(String(64))
    level: Mapped[int] = mapped_column(Integer)
    """Real-name level 0 to 3."""
    level_reason: Mapped[str] = mapped_column(String(200))
    number_commitment: Mapped[str | None] = mapped_column(String(64))
    """Salted commitment to the number: stands in the certificate and in evidence."""
    number_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The number and the commitment's salt, sealed under the party's data key."""
    fingerprint: Mapped[str] = mapped_column(Text, default="{}")
    """Digests of the request's fields: a retry is recognised, a change is named."""
    invented: Mapped[bool] = mapped_column(Boolean, default=False)
    place: Mapped[str | None] = mapped_column(String(200))
    """Main place of business (ES-12)."""
    receiving_system: Mapped[str | None] = mapped_column(String(200))
    """Designated receiving system (ES-11)."""
    representative_id: Mapped[str | None] = mapped_column(String(40))
    """The person whom a check confirmed as the organisation's legal representative."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (UniqueConstraint("kind", "number_index"),)


class AuthorisationRow(Base):
    """What a handler may do for an organisation: matters, powers, period, seal scope (CC-165)."""

    __tablename__ = "authorisation"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    matters: Mapped[str] = mapped_column(Text)
    """Comma-separated matters, e.g. `donation,manufacturing`."""
    powers: Mapped[str] = mapped_column(Text)
    """Comma-separated acts, e.g. `read,sign,accept`."""
    seal_scope: Mapped[str] = mapped_column(String(100))
    amount_max_minor: Mapped[int | None] = mapped_column(BigInteger)
    valid_from: Mapped[datetime] = mapped_column(UtcDateTime)
    valid_to: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    basis: Mapped[str] = mapped_column(String(12), default="declared")
    """declared | statutory | signed: what it rests on (`signing.identity.Basis`)."""
    agreement_id: Mapped[str | None] = mapped_column(String(40), index=True)
    """The letter of authority: it counts once that agreement is formed, and as long as it stands."""
    fingerprint: Mapped[str] = mapped_column(Text, default="{}")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CertificateRow(Base):
    """A certificate issued to a handler of an organisation. The key itself is never here."""

    __tablename__ = "certificate"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    serial: Mapped[str] = mapped_column(String(64), unique=True)
    spki_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    der: Mapped[bytes] = mapped_column(LargeBinary)
    chain: Mapped[bytes] = mapped_column(LargeBinary)
    """Issuer certificates, concatenated DER, leaf's issuer first."""
    not_before: Mapped[datetime] = mapped_column(UtcDateTime)
    not_after: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class IdentityCheckRow(Base):
    """One question about a real name and its answer. Levels are computed from these rows, never set."""

    __tablename__ = "identity_check"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """`chk_…`"""
    party_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    kind: Mapped[str] = mapped_column(String(48))
    """A key of `signing.identity_kinds.KINDS`."""
    status: Mapped[str] = mapped_column(String(16))
    """pending | match | mismatch | no_record | source_down | unsupported"""
    provider: Mapped[str] = mapped_column(String(64))
    label_en: Mapped[str] = mapped_column(String(200))
    label_zh: Mapped[str] = mapped_column(String(200))
    mock: Mapped[bool] = mapped_column(Boolean)
    purpose: Mapped[str] = mapped_column(String(64))
    consent_id: Mapped[str] = mapped_column(String(40))
    nonce: Mapped[str] = mapped_column(String(64))
    """Repeated by the answer: it fits this question only."""
    evidence_sha256: Mapped[str | None] = mapped_column(String(64))
    answer: Mapped[str | None] = mapped_column(Text)
    """The callback's facts as they came: the same again changes nothing, others are refused."""
    source_id: Mapped[str | None] = mapped_column(String(40))
    """The agreement that is the evidence, for a letter."""
    asked_by: Mapped[str] = mapped_column(String(40))
    decided_by: Mapped[str | None] = mapped_column(String(40))
    """Account of the operator who decided a manual review."""
    fingerprint: Mapped[str] = mapped_column(Text, default="{}")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it was answered; None while pending."""

    __table_args__ = (Index("ix_identity_check_status_created", "status", "created_at"),)


class IdentityChallengeRow(Base):
    """A code or amount that the subject of a check fills in. Only a keyed digest of the answer stands here."""

    __tablename__ = "identity_challenge"

    check_id: Mapped[str] = mapped_column(ForeignKey("identity_check.id"), primary_key=True)
    channel: Mapped[str] = mapped_column(String(8))
    """phone | email | bank"""
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    """Where it went and, for a transfer, the amount to be sent; under the party's data key."""
    salt: Mapped[str] = mapped_column(String(64))
    answer_hmac: Mapped[str] = mapped_column(String(64))
    tries: Mapped[int] = mapped_column(Integer, default=0)
    tries_max: Mapped[int] = mapped_column(Integer)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """None while the operator has not made the transfer yet."""
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class IdentityDocumentRow(Base):
    """A document uploaded for a manual review, sealed under the party's data key; gone after the decision."""

    __tablename__ = "identity_document"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """`idd_…`"""
    check_id: Mapped[str] = mapped_column(ForeignKey("identity_check.id"), index=True)
    media_type: Mapped[str] = mapped_column(String(40))
    size_bytes: Mapped[int] = mapped_column(Integer)
    sha256: Mapped[str] = mapped_column(String(64))
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RatificationRow(Base):
    """An act beyond a handler's authority that its organisation may ratify within 30 days (Civil Code 171)."""

    __tablename__ = "ratification"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """`rat_…`"""
    agreement_id: Mapped[str] = mapped_column(ForeignKey("agreement.id"), index=True)
    signer_id: Mapped[str] = mapped_column(ForeignKey("agreement_signer.id"), unique=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    authorisation_id: Mapped[str] = mapped_column(ForeignKey("authorisation.id"))
    lack: Mapped[str] = mapped_column(String(40))
    """What the authority lacks: the code of the refusal, e.g. `authority.amount`."""
    reason: Mapped[str] = mapped_column(String(500))
    state: Mapped[str] = mapped_column(String(12))
    """asked | ratified | refused | expired"""
    asked_by: Mapped[str] = mapped_column(String(40))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_by: Mapped[str | None] = mapped_column(String(40))
    """The natural person who decided."""
    decision_reason: Mapped[str | None] = mapped_column(String(500))
    statement: Mapped[str | None] = mapped_column(Text)
    """Canonical JSON of signing.ratification_intent, the newest one made for whoever decides."""
    proof: Mapped[str | None] = mapped_column(Text)
    """Hex signature over the statement by the decider's key."""
    certificate_id: Mapped[str | None] = mapped_column(String(40))

    __table_args__ = (Index("ix_ratification_state_due", "state", "due_at"),)
