"""A donor's account: where every unit of an offer, or of all offers, is. Reads only.

Hospitals stand by name, as in the public disclosure; wards and people do not appear at all, and a donor who is
a natural person is masked in what the public sees (Charity Law 82).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from api.callers import Caller, require_visible
from api.schemas import donations as shapes
from api.schemas.custody import LotOut
from api.views.custody import lots_shown
from api.views.public import item_names, shown_donor
from ledger.core.errors import NotFoundError
from ledger.queries import board as board_queries
from ledger.queries import custody as custody_queries
from ledger.queries import donations as queries
from ledger.queries import supply as supply_queries
from ledger.tables.supply import HospitalRow, OfferRow

NOBODY = "-"


def offer_way(session: Session, caller: Caller, offer_id: str) -> shapes.WayOut:
    """Where the units of an offer are, over all its lines, rounds, lots and batches.

    Raises:
        NotFoundError: absent, or another organisation's offer.
    """
    offer = session.get(OfferRow, offer_id)
    if offer is None:
        raise NotFoundError("there is no such record")
    require_visible(caller, offer.organisation_id)
    wanted = queries.offers_wanted(ids=[offer.id])
    units = queries.units_of(session, wanted)
    rows = custody_queries.lots_page(
        session, organisation_id=None, offer_id=offer.id, limit=custody_queries.ROWS_MAX
    )
    lots = [LotOut(**one) for one in lots_shown(session, rows)]
    by_shelf, by_hospital = _shelves(session, lots)
    opened = sum(one.quantity for one in lots)
    zh, en = item_names(offer.item)
    offered = offer.quantity * offer.windows
    return shapes.WayOut(
        **_account(session, wanted, units),
        offer_id=offer.id,
        kind=offer.kind,
        state=offer.state,
        item=offer.item,
        item_zh=zh,
        item_en=en,
        posted_at=offer.created_at,
        offered=offered,
        opened=opened,
        waiting=offered - opened,
        by_shelf=by_shelf,
        by_hospital=by_hospital,
        lines=_lines(session, wanted),
        batches=_batches(lots),
        lots=lots,
    )


def donations(
    session: Session, caller: Caller, *, item: str | None = None, after: str = "", limit: int
) -> shapes.DonationsOut:
    """All offers of the caller's organisation together."""
    mine = caller.organisation_id or NOBODY
    wanted = queries.offers_wanted(organisation_id=mine, item=item)
    offers = supply_queries.offers_page(
        session,
        state=None,
        organisation_id=mine,
        items=None if item is None else [item],
        after=after,
        limit=limit + 1,
    )
    shown = offers[:limit]
    by_offer: dict[str, list[queries.Units]] = {}
    page = queries.offers_wanted(ids=[one.id for one in shown])
    for one in queries.units_of(session, page):
        by_offer.setdefault(one.offer_id, []).append(one)
    return shapes.DonationsOut(
        **_account(session, wanted, queries.units_of(session, wanted)),
        offers=[_offer(one, by_offer.get(one.id, [])) for one in shown],
        next=shown[-1].id if len(offers) > limit else None,
    )


def public_way(session: Session, offer_id: str) -> shapes.PublicWay:
    """A donation of which at least one line was accepted, as everybody may see it.

    Raises:
        NotFoundError: absent, or nothing of it is accepted yet.
    """
    offer = session.get(OfferRow, offer_id)
    wanted = queries.offers_wanted(ids=[offer_id])
    lines = [] if offer is None else queries.lines_of(session, wanted)
    if offer is None or not any(one.allocation.state == "accepted" for one in lines):
        raise NotFoundError("there is no such record")
    # What a donor has not answered yet is nobody's business: it counts as not given.
    units = [
        queries.Units(one.offer_id, None, "free", one.units) if one.place == "proposed" else one
        for one in queries.units_of(session, wanted)
    ]
    donor, masked = shown_donor(offer)
    zh, en = item_names(offer.item)
    return shapes.PublicWay(
        **_account(session, wanted, units),
        offer_id=offer.id,
        donor=donor,
        donor_masked=masked,
        kind=offer.kind,
        item_zh=zh,
        item_en=en,
        generated=offer.generated,
    )


def places_summed(units: Iterable[queries.Units]) -> list[shapes.PlaceSum]:
    """Units by place, in the order of `PLACES`; empty places are left out."""
    sums: dict[str, int] = {}
    for one in units:
        sums[one.place] = sums.get(one.place, 0) + one.units
    return [
        shapes.PlaceSum(place=name, units=sums[name]) for name in queries.PLACES if sums.get(name)
    ]


def _account(
    session: Session, wanted: ColumnElement[bool], units: Sequence[queries.Units]
) -> dict[str, object]:
    offered, counted = queries.offered(session, wanted), sum(one.units for one in units)
    faults = queries.faults_of(session, wanted)
    apart = queries.apart_of(session, wanted)
    return {
        "places": places_summed(units),
        "apart": shapes.ApartSum.model_validate(apart),
        "check": shapes.SumCheck(
            offered=offered,
            counted=counted,
            faults=faults,
            balanced=offered == counted and not any(faults.values()),
        ),
        "hospitals": _hospitals(session, units),
    }


def _hospitals(session: Session, units: Sequence[queries.Units]) -> list[shapes.HospitalSum]:
    by_id: dict[str, list[queries.Units]] = {}
    for one in units:
        if one.hospital_id is not None:
            by_id.setdefault(one.hospital_id, []).append(one)
    ids, rows = sorted(by_id), dict[str, HospitalRow]()
    for first in range(0, len(ids), supply_queries.IDS_MAX):
        part = ids[first : first + supply_queries.IDS_MAX]
        rows |= supply_queries.hospitals_by_ids(session, part)
    found = [
        shapes.HospitalSum(
            hospital=rows[name].name,
            city=rows[name].city,
            units=sum(one.units for one in mine),
            places=places_summed(mine),
        )
        for name, mine in by_id.items()
    ]
    return sorted(found, key=lambda one: (-one.units, one.hospital))


def _lines(session: Session, wanted: ColumnElement[bool]) -> list[shapes.LineOut]:
    lines = queries.lines_of(session, wanted)
    agreements = board_queries.newest_agreements(session, [one.allocation.id for one in lines])
    return [
        shapes.LineOut(
            id=one.allocation.id,
            round_id=one.allocation.round_id,
            urgent=one.urgent,
            window=one.allocation.window,
            hospital=one.hospital.name,
            city=one.hospital.city,
            quantity=one.allocation.quantity,
            in_lots=one.in_lots,
            state=one.allocation.state,
            decided_at=one.allocation.decided_at,
            agreement_id=agreements.get(one.allocation.id, (None, None))[0],
            agreement_state=agreements.get(one.allocation.id, (None, None))[1],
        )
        for one in lines
    ]


def _batches(lots: Sequence[LotOut]) -> list[shapes.BatchSum]:
    found: dict[str, list[LotOut]] = {}
    for one in lots:
        found.setdefault(one.batch_number, []).append(one)
    return [
        shapes.BatchSum(
            batch_number=number,
            expires_on=mine[0].expires_on,
            lots=len(mine),
            units=sum(one.quantity for one in mine),
        )
        for number, mine in sorted(found.items())
    ]


def _shelves(
    session: Session, lots: Sequence[LotOut]
) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    hospital_of = {one.id: one.hospital for one in lots}
    by_shelf: dict[str, int] = {}
    by_hospital: dict[str, dict[str, int]] = {}
    for one in custody_queries.positions_of(session, list(hospital_of)):
        by_shelf[one.shelf] = by_shelf.get(one.shelf, 0) + one.quantity
        shelves = by_hospital.setdefault(hospital_of[one.lot_id], {})
        shelves[one.shelf] = shelves.get(one.shelf, 0) + one.quantity
    return by_shelf, by_hospital


def _offer(row: OfferRow, units: Sequence[queries.Units]) -> shapes.OfferSum:
    zh, en = item_names(row.item)
    return shapes.OfferSum(
        offer_id=row.id,
        kind=row.kind,
        state=row.state,
        item_zh=zh,
        item_en=en,
        batch_number=row.batch_number,
        posted_at=row.created_at,
        offered=row.quantity * row.windows,
        places=places_summed(units),
    )
