"""Claims of imported offers: an organisation says that an offer of the data is its own; an operator decides."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, UtcDateTime


class OfferClaimRow(Base):
    """One claim of one offer. `state`: open, then confirmed, refused or withdrawn."""

    __tablename__ = "offer_claim"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """`clm_…`, made by whoever claims; the same id is the same claim."""
    offer_id: Mapped[str] = mapped_column(ForeignKey("offer.id"))
    organisation_id: Mapped[str] = mapped_column(ForeignKey("party.id"))
    statement: Mapped[str] = mapped_column(String(400))
    """How the operator can see that it is so: a contact of the data that answers, a letter."""
    state: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str | None] = mapped_column(String(200))
    """What the operator went by, or why not."""
    claimed_by: Mapped[str] = mapped_column(String(40))
    claimed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[str | None] = mapped_column(String(40))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        # Two requests of one organisation at once: the database itself lets one of them wait.
        Index(
            "uq_offer_claim_open",
            "offer_id",
            "organisation_id",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_offer_claim_state", "state", "claimed_at"),
        Index("ix_offer_claim_organisation", "organisation_id", "claimed_at"),
    )
