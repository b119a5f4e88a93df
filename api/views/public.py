"""Facts of the public pages: the needs board and the disclosure. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from sqlalchemy.orm import Session

from api.schemas.board import TIERS, Board, BoardNeed, Disclosed, Disclosure, ItemCount
from api.views.disclosed import disclosed_ways
from ledger.queries import board as queries
from ledger.queries import supply as supply_queries
from ledger.tables.supply import AllocationRow, HospitalRow, NeedRow, OfferRow
from matching.catalogue import Catalogue
from matching.services import published_catalogue
from signing.numbers import mask_name


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """The packaged catalogue of goods and services, read once."""
    return published_catalogue()


def item_names(item: str) -> tuple[str, str]:
    """(zh, en) of a catalogue item; an item of an older catalogue shows its id."""
    found = catalogue().items.get(item)
    return (item, item) if found is None else (found.zh, found.en)


def board_facts(session: Session, wanted: queries.BoardFilter, *, limit: int, offset: int) -> Board:
    """Open needs with counts and the choices of the filter."""
    by_tier = queries.open_by_tier(session)
    rows = queries.board_page(session, wanted, limit=limit, offset=offset)
    held = supply_queries.held_of_needs(session, [need.id for need, _ in rows])
    return Board(
        open=sum(by_tier.values()),
        hospitals=queries.open_hospitals(session),
        by_urgency={name: by_tier.get(tier, 0) for tier, name in enumerate(TIERS)},
        items=[
            ItemCount(item=item, zh=item_names(item)[0], en=item_names(item)[1], open=count)
            for item, count in sorted(
                queries.open_by_item(session).items(), key=lambda pair: (-pair[1], pair[0])
            )
        ],
        cities=list(queries.cities_with_needs(session)),
        total=queries.board_count(session, wanted),
        limit=limit,
        offset=offset,
        needs=[_need(need, hospital, held=held.get(need.id, 0)) for need, hospital in rows],
    )


def disclosure_facts(session: Session, *, limit: int, offset: int) -> Disclosure:
    """Accepted lines, newest first."""
    lines, pieces, hospitals = queries.disclosed_totals(session)
    rows = queries.disclosed_page(session, limit=limit, offset=offset)
    states = queries.agreement_states(session, [row[0].id for row in rows])
    ways = disclosed_ways(session, [row[0].id for row in rows])
    return Disclosure(
        lines=lines,
        pieces=pieces,
        hospitals=hospitals,
        limit=limit,
        offset=offset,
        items=[
            _disclosed(*row, agreement_state=states.get(row[0].id), way=ways.get(row[0].id))
            for row in rows
        ],
    )


def shown_donor(offer: OfferRow) -> tuple[str, bool]:
    """(name, masked): an enterprise by its name, a natural person masked."""
    if offer.donor_kind == "individual":
        return mask_name(offer.donor_name), True
    return offer.donor_name, False


def _need(need: NeedRow, hospital: HospitalRow, *, held: int) -> BoardNeed:
    zh, en = item_names(need.item)
    return BoardNeed(
        id=need.id,
        hospital=hospital.name,
        city=hospital.city,
        district=hospital.district,
        item=need.item,
        item_zh=zh,
        item_en=en,
        quantity=need.quantity,
        held=held,
        urgency=TIERS[need.tier],
        posted_on=need.posted_on,
        deadline_on=need.deadline_on,
        specification=need.specification,
        standard=need.standard,
        edition=need.edition,
        accepts_substitutes=need.accepts_substitutes,
        defaults=list(need.defaults),
        quantity_defaulted="quantity" in need.defaults,
        invented=hospital.invented,
    )


def _disclosed(
    line: AllocationRow,
    need: NeedRow,
    hospital: HospitalRow,
    offer: OfferRow,
    *,
    agreement_state: str | None,
    way: Mapping[str, int] | None,
) -> Disclosed:
    zh, en = item_names(offer.item)
    donor, masked = shown_donor(offer)
    del need
    return Disclosed(
        id=line.id,
        round_id=line.round_id,
        offer_id=offer.id,
        donor=donor,
        donor_masked=masked,
        kind=offer.kind,
        item=offer.item,
        item_zh=zh,
        item_en=en,
        quantity=line.quantity,
        hospital=hospital.name,
        city=hospital.city,
        km=line.km,
        accepted_at=line.decided_at,
        agreement_state=agreement_state,
        generated=offer.generated,
        way=None if way is None else dict(way),
    )
