"""Claims of imported offers as their claimants and the operator see them. Reads only."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from api.callers import Caller, require_organisation
from api.schemas.offer_claims import OfferClaimOut, UnownedOfferOut
from api.views.public import item_names
from ledger.queries import offer_claims as queries
from ledger.queries import supply as supply_queries
from ledger.tables.offer_claims import OfferClaimRow
from ledger.tables.parties import PartyRow
from ledger.tables.supply import OfferRow


def claim_list(
    session: Session, caller: Caller, *, state: str | None, limit: int
) -> list[OfferClaimOut]:
    """Claims of the caller's organisation, newest first; an operator sees all."""
    organisation = None if caller.is_operator else require_organisation(caller)
    rows = queries.claims(session, organisation_id=organisation, state=state, limit=limit)
    return claims_of(session, rows)


def claims_of(session: Session, rows: Sequence[OfferClaimRow]) -> list[OfferClaimOut]:
    """These claims with what they are about."""
    offers = supply_queries.offers_by_ids(session, [row.offer_id for row in rows])
    return [
        _claim(row, offers[row.offer_id], session.get_one(PartyRow, row.organisation_id))
        for row in rows
    ]


def unowned(session: Session, *, donor: str, after: str, limit: int) -> list[UnownedOfferOut]:
    """Imported offers that nobody registered here stands behind."""
    rows = queries.unowned_offers(session, donor=donor.strip(), after=after, limit=limit)
    return [
        UnownedOfferOut(
            id=row.id,
            donor=row.donor_name,
            item=row.item,
            item_zh=item_names(row.item)[0],
            item_en=item_names(row.item)[1],
            quantity=row.quantity,
            province=row.province,
            city=row.city,
            available_on=row.available_on,
            generated=row.generated,
        )
        for row in rows
    ]


def _claim(row: OfferClaimRow, offer: OfferRow, party: PartyRow) -> OfferClaimOut:
    zh, en = item_names(offer.item)
    return OfferClaimOut(
        id=row.id,
        offer_id=row.offer_id,
        organisation_id=row.organisation_id,
        organisation=party.name,
        donor=offer.donor_name,
        item_zh=zh,
        item_en=en,
        quantity=offer.quantity,
        statement=row.statement,
        state=row.state,
        reason=row.reason,
        claimed_at=row.claimed_at,
        decided_at=row.decided_at,
    )
