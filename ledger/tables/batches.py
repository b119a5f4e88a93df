"""Tables of batches: many documents read one by one and signed by one statement."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime


class BatchRow(Base):
    """A handler's batch. The statement may be made anew until one is affirmed."""

    __tablename__ = "signing_batch"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    act: Mapped[str] = mapped_column(String(8), default="sign")
    """sign | approve: what is affirmed of every document"""
    organisation_id: Mapped[str] = mapped_column(ForeignKey("party.id"))
    person_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    fingerprint: Mapped[str] = mapped_column(Text)
    """Digests of the request's fields: a retry is recognised, a change is named."""
    statement: Mapped[str | None] = mapped_column(Text)
    """Canonical JSON of signing.batch_intent.batch_statement."""
    proof: Mapped[str | None] = mapped_column(Text)
    """Hex signature over signing.batch_intent.batch_message."""
    certificate_id: Mapped[str | None] = mapped_column(ForeignKey("certificate.id"))
    left_out: Mapped[str] = mapped_column(Text, default="[]")
    """JSON: [place, agreement, code] of each document that could not be in it, and why."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    affirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class BatchItemRow(Base):
    """One place in a batch, with the random bytes that close its digest to all others."""

    __tablename__ = "signing_batch_item"

    batch_id: Mapped[str] = mapped_column(ForeignKey("signing_batch.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """From 1, in the order of the list."""
    signer_id: Mapped[str] = mapped_column(ForeignKey("agreement_signer.id"), index=True)
    agreement_id: Mapped[str] = mapped_column(ForeignKey("agreement.id"))
    salt: Mapped[str | None] = mapped_column(String(32))
    """Hex; made anew with each statement."""
    seal_id: Mapped[str | None] = mapped_column(String(40))
    """Of an approval: the only seal it allows."""
    annex: Mapped[str | None] = mapped_column(Text)
    """Canonical JSON of signing.annexes.annex, where the item names one."""
