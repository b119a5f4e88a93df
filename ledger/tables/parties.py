"""Tables of people and organisations, their authorisations and certificates."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
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
