"""Reads of claims of imported offers, and of the offers that nobody stands behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger.tables.offer_claims import OfferClaimRow
from ledger.tables.supply import OfferRow

PAGE_MAX: Final = 200


def locked_offer(session: Session, offer_id: str) -> OfferRow | None:
    """The offer as it stands now, locked until the transaction ends."""
    return session.get(OfferRow, offer_id, with_for_update=True, populate_existing=True)


def claim_of(session: Session, claim_id: str, *, lock: bool = False) -> OfferClaimRow | None:
    """A claim."""
    return session.get(OfferClaimRow, claim_id, with_for_update=lock or None)


def claims(
    session: Session, *, organisation_id: str | None, state: str | None, limit: int
) -> Sequence[OfferClaimRow]:
    """Claims, newest first; of one organisation, or of all."""
    query = select(OfferClaimRow)
    if organisation_id is not None:
        query = query.where(OfferClaimRow.organisation_id == organisation_id)
    if state is not None:
        query = query.where(OfferClaimRow.state == state)
    query = query.order_by(OfferClaimRow.claimed_at.desc(), OfferClaimRow.id)
    return session.scalars(query.limit(min(limit, PAGE_MAX))).all()


def open_claims_on(session: Session, offer_id: str) -> Sequence[OfferClaimRow]:
    """Claims of an offer that are not decided, oldest first."""
    query = select(OfferClaimRow).where(
        OfferClaimRow.offer_id == offer_id, OfferClaimRow.state == "open"
    )
    query = query.order_by(OfferClaimRow.claimed_at, OfferClaimRow.id)
    return session.scalars(query.limit(PAGE_MAX)).all()


def open_claims_by(session: Session, organisation_id: str) -> int:
    """How many claims of an organisation are not decided."""
    query = select(func.count()).where(
        OfferClaimRow.organisation_id == organisation_id, OfferClaimRow.state == "open"
    )
    return session.scalar(query) or 0


def unowned_offers(session: Session, *, donor: str, after: str, limit: int) -> Sequence[OfferRow]:
    """Open offers of organisations in the data that nobody registered here stands behind, after id `after`.

    Args:
        donor: part of the donor's name; empty for all.
    """
    query = select(OfferRow).where(
        OfferRow.organisation_id.is_(None),
        OfferRow.state == "open",
        OfferRow.donor_kind == "organisation",
        OfferRow.id > after,
    )
    if donor:
        query = query.where(OfferRow.donor_name.contains(donor, autoescape=True))
    return session.scalars(query.order_by(OfferRow.id).limit(min(limit, PAGE_MAX))).all()
