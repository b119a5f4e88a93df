"""Tables of goods on their way: lots, where their units are, packages, hand-overs, and what went wrong.

A unit of a lot is always at exactly one place (`holder_id`, `shelf`). Movements are insert-only and the
database itself applies them: a trigger takes each movement's units from one place and puts them at the other,
nothing else may change a place (migration 0011). So the units of a lot always add up to what was opened.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime

MINTED: Final = "minted"
"""Where a lot's first movement takes its units from."""
LIVE: Final = ("stock", "packed", "transit", "quarantine", "rejected", "disputed")
"""Where at its holder a unit is that still exists: what a recall is about. `transit`: handed over by the holder
and not yet confirmed by the other side. Besides these, `used` and `lost` are ends."""


class LotRow(Base):
    """Goods of one batch that one allocation brings from a giver to a hospital."""

    __tablename__ = "lot"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    allocation_id: Mapped[str] = mapped_column(ForeignKey("allocation.id"), index=True)
    agreement_id: Mapped[str] = mapped_column(ForeignKey("agreement.id"), index=True)
    offer_id: Mapped[str] = mapped_column(ForeignKey("offer.id"), index=True)
    hospital_id: Mapped[str] = mapped_column(ForeignKey("hospital.id"))
    giver_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    receiver_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    """The organisation behind the hospital."""
    matter: Mapped[str] = mapped_column(String(40))
    """donation | manufacturing, as the agreement has it."""
    item: Mapped[str] = mapped_column(String(40))
    quantity: Mapped[int] = mapped_column(BigInteger)
    """All units; never changes."""
    batch_number: Mapped[str] = mapped_column(String(60))
    produced_on: Mapped[date] = mapped_column(Date)
    expires_on: Mapped[date | None] = mapped_column(Date)
    udi: Mapped[str] = mapped_column(String(200))
    """As scanned; empty where the goods need none."""
    device: Mapped[str] = mapped_column(String(200), index=True)
    """The product's identifier in it."""
    registration: Mapped[str] = mapped_column(String(40))
    purpose: Mapped[str] = mapped_column(String(200))
    directed: Mapped[bool] = mapped_column(Boolean)
    """Whether the giver named the hospital."""
    recall_id: Mapped[str | None] = mapped_column(ForeignKey("batch_recall.id"))
    """The open recall that holds this lot."""
    fiscal_number: Mapped[str | None] = mapped_column(String(60))
    """Reference to the fiscal receipt that somebody entitled to it issued elsewhere."""
    fiscal_on: Mapped[date | None] = mapped_column(Date)
    fiscal_issuer: Mapped[str | None] = mapped_column(String(200))
    opened_by: Mapped[str] = mapped_column(String(40))
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    entry_id: Mapped[str] = mapped_column(String(40))

    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        Index("ix_lot_batch", "batch_number", "item"),
    )


class LotPositionRow(Base):
    """Units of a lot at one place. Written by the database's trigger only."""

    __tablename__ = "lot_position"

    lot_id: Mapped[str] = mapped_column(ForeignKey("lot.id"), primary_key=True)
    holder_id: Mapped[str] = mapped_column(ForeignKey("party.id"), primary_key=True)
    shelf: Mapped[str] = mapped_column(String(12), primary_key=True)
    quantity: Mapped[int] = mapped_column(BigInteger)
    last_number: Mapped[int] = mapped_column(Integer)
    """The movement that changed it last."""

    __table_args__ = (
        CheckConstraint("quantity >= 0", name="quantity_not_negative"),
        Index("ix_lot_position_holder", "holder_id", "shelf"),
    )


class LotMovementRow(Base):
    """Units that went from one place to another. Insert-only."""

    __tablename__ = "lot_movement"

    lot_id: Mapped[str] = mapped_column(ForeignKey("lot.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """1 is the opening; no gap."""
    from_holder: Mapped[str] = mapped_column(ForeignKey("party.id"))
    from_shelf: Mapped[str] = mapped_column(String(12))
    to_holder: Mapped[str] = mapped_column(ForeignKey("party.id"))
    to_shelf: Mapped[str] = mapped_column(String(12))
    quantity: Mapped[int] = mapped_column(BigInteger)
    entry_id: Mapped[str] = mapped_column(String(40), index=True)
    """The entry that says why."""
    moved_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("(from_shelf = 'minted') = (number = 1)", name="minted_first"),
        CheckConstraint("to_shelf <> 'minted'", name="never_back"),
        CheckConstraint("from_shelf NOT IN ('used', 'lost')", name="ends_stay"),
        CheckConstraint("from_holder <> to_holder OR from_shelf <> to_shelf", name="moves"),
    )


class PackageRow(Base):
    """A box with a label. `holder_id` and `shelf` follow the units in it."""

    __tablename__ = "lot_package"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    lot_id: Mapped[str] = mapped_column(ForeignKey("lot.id"), index=True)
    number: Mapped[int] = mapped_column(Integer)
    """1, 2, … in its lot: what people call it."""
    quantity: Mapped[int] = mapped_column(BigInteger)
    holder_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    state: Mapped[str] = mapped_column(String(12))
    """packed | transit | opened | missing"""
    handover_id: Mapped[str | None] = mapped_column(String(40))
    """The hand-over it is in, or was in last."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        UniqueConstraint("lot_id", "number"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
    )


class HandoverRow(Base):
    """Packages handed from one holder to the next: both sides sign, or it does not count."""

    __tablename__ = "lot_handover"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    lot_id: Mapped[str] = mapped_column(ForeignKey("lot.id"), index=True)
    from_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    to_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    quantity: Mapped[int] = mapped_column(BigInteger)
    waybill: Mapped[str] = mapped_column(String(60))
    state: Mapped[str] = mapped_column(String(12))
    """offered | inspected (one of the two signatures) | received | refused | taken_back"""
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """Until when the other side should have confirmed."""
    inspection: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What the first of the two found, as signed."""
    inspected_by: Mapped[str | None] = mapped_column(String(40))
    """The person; the second signature is another's."""
    accepted_by: Mapped[str | None] = mapped_column(String(40))
    accepted: Mapped[int] = mapped_column(BigInteger, default=0)
    quarantined: Mapped[int] = mapped_column(BigInteger, default=0)
    rejected: Mapped[int] = mapped_column(BigInteger, default=0)
    missing: Mapped[int] = mapped_column(BigInteger, default=0)
    offered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("from_id <> to_id", name="two_sides"),
        CheckConstraint(
            "state <> 'received' OR accepted + quarantined + rejected + missing = quantity",
            name="all_counted",
        ),
        CheckConstraint(
            "accepted_by IS NULL OR inspected_by IS NULL OR accepted_by <> inspected_by",
            name="two_persons",
        ),
        Index("ix_lot_handover_state", "state", "due_at"),
    )


class DiscrepancyRow(Base):
    """Units that are missing, damaged or otherwise not what was said, until somebody settles it."""

    __tablename__ = "discrepancy"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    lot_id: Mapped[str] = mapped_column(ForeignKey("lot.id"), index=True)
    handover_id: Mapped[str | None] = mapped_column(ForeignKey("lot_handover.id"))
    kind: Mapped[str] = mapped_column(String(16))
    quantity: Mapped[int] = mapped_column(BigInteger)
    holder_id: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    """On whose `disputed` shelf the units are: who has to answer."""
    reported_by: Mapped[str] = mapped_column(ForeignKey("party.id"), index=True)
    note: Mapped[str] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(12))
    """open | answered | found | lost"""
    answer_due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    settle_due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        Index("ix_discrepancy_state", "state", "answer_due_at"),
    )


class RecallRow(Base):
    """A batch that is called back from everybody who holds some of it."""

    __tablename__ = "batch_recall"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    batch_number: Mapped[str] = mapped_column(String(60), index=True)
    item: Mapped[str] = mapped_column(String(40))
    device: Mapped[str] = mapped_column(String(200))
    """As in the lots; empty where they carry none."""
    reason: Mapped[str] = mapped_column(String(500))
    opened_by: Mapped[str] = mapped_column(ForeignKey("party.id"))
    state: Mapped[str] = mapped_column(String(12))
    """open | closed"""
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (Index("ix_batch_recall_state", "state", "opened_at"),)


class PurposeChangeRow(Base):
    """A wish to use a lot for something else; it counts when the giver has signed."""

    __tablename__ = "purpose_change"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    lot_id: Mapped[str] = mapped_column(ForeignKey("lot.id"), index=True)
    purpose: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(12))
    """asked | agreed | refused"""
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (Index("ix_purpose_change_state", "state", "due_at"),)


class CustodyStatementRow(Base):
    """What a handler was asked to sign, and the signature once it is done."""

    __tablename__ = "custody_statement"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(String(40))
    person_id: Mapped[str] = mapped_column(String(40))
    act: Mapped[str] = mapped_column(String(24))
    subject: Mapped[str] = mapped_column(String(40))
    statement: Mapped[str] = mapped_column(Text)
    """Canonical JSON."""
    proof: Mapped[str | None] = mapped_column(Text)
    entry_id: Mapped[str | None] = mapped_column(String(40))
    result_id: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (Index("ix_custody_statement_created_at", "created_at"),)
