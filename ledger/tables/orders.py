"""Tables of orders between enterprises and hospitals: goods to be made, and resources that are lent."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime


class WorkOrderRow(Base):
    """An order. Which steps it allows stands in api/flows/manufacturing_rules.py."""

    __tablename__ = "work_order"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12))
    """manufacture | lease"""
    buyer_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    """Who orders, or takes on lease."""
    maker_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    """Who makes, or lends."""
    allocation_id: Mapped[str | None] = mapped_column(ForeignKey("allocation.id"))
    agreement_id: Mapped[str | None] = mapped_column(ForeignKey("agreement.id"))
    what: Mapped[str] = mapped_column(String(200))
    """The product, or the plant, line, machine, mould."""
    specification: Mapped[str] = mapped_column(Text)
    quantity: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16))
    price_minor: Mapped[int | None] = mapped_column(BigInteger)
    """Of all of it, in fen; for a lease the rent for the whole time."""
    deposit_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    from_on: Mapped[date | None] = mapped_column(Date)
    due_on: Mapped[date] = mapped_column(Date)
    """Delivery, or return."""
    accepted: Mapped[int] = mapped_column(BigInteger, default=0)
    rejected: Mapped[int] = mapped_column(BigInteger, default=0)
    kept_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    """What the lender keeps of the deposit."""
    steps: Mapped[int] = mapped_column(Integer, default=0)
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("buyer_id <> maker_id", name="two_sides"),
        CheckConstraint("accepted + rejected <= quantity", name="counted"),
        CheckConstraint("kept_minor >= 0 AND kept_minor <= deposit_minor", name="deposit"),
    )


class OrderDocumentRow(Base):
    """A file of an order: drawing, process, sample, inspection, condition. Bytes lie in the blob store."""

    __tablename__ = "work_order_document"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("work_order.id"))
    kind: Mapped[str] = mapped_column(String(16))
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("party.id"))
    entry_id: Mapped[str] = mapped_column(String(40))
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index("ix_work_order_document_order", "order_id", "added_at"),)


class OrderFileRow(Base):
    """An uploaded file that waits for the signature which makes it a document of its order."""

    __tablename__ = "work_order_file"

    order_id: Mapped[str] = mapped_column(ForeignKey("work_order.id"), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("party.id"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)
