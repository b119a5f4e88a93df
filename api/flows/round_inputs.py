"""What a round decides on: open needs, uncommitted lots and lanes, read from the tables as a problem."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy.orm import Session

from api.flows.related_rules import kept_apart
from api.flows.round_limits import resource_day, within_limits
from api.flows.supply import place_of
from ledger.core.errors import LimitError
from ledger.queries import supply as queries
from ledger.queries import supply_limits as limit_queries
from ledger.tables.supply import HospitalRow, NeedRow, OfferRow
from matching.catalogue import Catalogue, to_day
from matching.problem import (
    DAY_MAX,
    LOTS_MAX,
    NEEDS_MAX,
    Lane,
    Lot,
    Need,
    Place,
    Policy,
    Problem,
    make_problem,
)
from matching.services import published_catalogue


def collect(
    session: Session,
    round_id: str,
    *,
    day: date,
    policy: Policy,
    items: Sequence[str] | None = None,
) -> Problem:
    """Everything that is open on this day; of these items only, if named.

    Raises:
        InputError: the codes of `make_problem`.
        LimitError: `matching.too_large`.
    """
    catalogue = published_catalogue()
    lots, resources = within_limits(
        session, _lots(session, catalogue=catalogue, day=day, items=items)
    )
    return make_problem(
        round_id,
        day=to_day(day),
        needs=_needs(session, day=day, items=items),
        lots=lots,
        lanes=lanes_now(session, day=day),
        policy=policy,
        catalogue=catalogue,
        resources=resources,
    )


def _needs(session: Session, *, day: date, items: Sequence[str] | None) -> list[Need]:
    needs: list[Need] = []
    after = ""
    while rows := queries.round_needs_page(
        session, as_of=day, after=after, items=items, limit=queries.IDS_MAX
    ):
        needs += needs_left(session, rows)
        if len(needs) > NEEDS_MAX:
            raise LimitError(
                f"a round takes at most {NEEDS_MAX} needs",
                code="matching.too_large",
                limit=NEEDS_MAX,
            )
        after = rows[-1][0].id
    return needs


def needs_left(session: Session, rows: Sequence[tuple[NeedRow, HospitalRow]]) -> list[Need]:
    """What these needs (at most IDS_MAX) still lack; those that lack nothing are left out."""
    held = queries.held_of_needs(session, [need.id for need, _ in rows])
    return [
        _need(need, hospital, quantity=need.quantity - held.get(need.id, 0))
        for need, hospital in rows
        if need.quantity > held.get(need.id, 0)
    ]


def _need(row: NeedRow, hospital: HospitalRow, *, quantity: int) -> Need:
    return Need(
        id=row.id,
        hospital=hospital.id,
        items=tuple(row.items),
        quantity=quantity,
        tier=row.tier,
        deadline_day=to_day(row.deadline_on),
        place=place_of(hospital),
        standard=row.standard,
        edition=row.edition,
        certificate_min=row.certificate_min,
        sterile=row.sterile,
        remaining_days_min=row.remaining_days_min,
        accepts_substitutes=row.accepts_substitutes,
    )


def _lots(
    session: Session, *, catalogue: Catalogue, day: date, items: Sequence[str] | None
) -> list[Lot]:
    lots: list[Lot] = []
    after = ""
    while rows := queries.offers_page(session, items=items, after=after, limit=queries.IDS_MAX):
        lots += lots_left(session, rows, catalogue=catalogue, day=day)
        if len(lots) > LOTS_MAX:
            raise LimitError(
                f"a round takes at most {LOTS_MAX} lots", code="matching.too_large", limit=LOTS_MAX
            )
        after = rows[-1].id
    return lots


def lots_left(
    session: Session, rows: Sequence[OfferRow], *, catalogue: Catalogue, day: date
) -> list[Lot]:
    """What nobody holds yet of these offers (at most IDS_MAX), each with the limits its donor set.

    What is left of an offer may be less than a pack or than its smallest line: then it can go nowhere.
    """
    held = queries.held_of_offers(session, [row.id for row in rows])
    resources = limit_queries.resources_by_ids(
        session, [row.resource_id for row in rows if row.resource_id is not None]
    )
    kin = kept_apart(session, rows, on=day)
    lots: list[Lot] = []
    for row in rows:
        for window in range(row.windows):
            left = row.quantity - held.get((row.id, window), 0)
            made_on = None
            if row.resource_id is not None:
                made_on = resource_day(resources[row.resource_id], row.available_on, window=window)
            lot = _lot(
                row,
                window=window,
                quantity=left,
                catalogue=catalogue,
                made_on=made_on,
                kin=kin.get(row.organisation_id or "", set()),
            )
            # Goods past expiry on the round's day and windows already gone are no supply.
            gone = lot.expires_day is not None and lot.expires_day <= to_day(day)
            past = row.kind == "capacity" and lot.available_day < to_day(day)
            if left >= max(1, row.pack, row.smallest) and not (gone or past or _impossible(lot)):
                lots.append(lot)
    return lots


def _impossible(lot: Lot) -> bool:
    """A day of an older offer that was not held against its last day: no supply, and it stops no round."""
    expires = lot.produced_day if lot.expires_day is None else lot.expires_day
    return expires < lot.produced_day or max(expires, lot.available_day) > DAY_MAX


def _lot(
    row: OfferRow,
    *,
    window: int,
    quantity: int,
    catalogue: Catalogue,
    made_on: str | None,
    kin: set[str],
) -> Lot:
    available = to_day(row.available_on) + window
    produced = available if row.produced_on is None else to_day(row.produced_on)
    expires = None if row.expires_on is None else to_day(row.expires_on)
    life = catalogue.item(row.item).shelf_days
    if row.kind == "capacity" and expires is None and life is not None:
        expires = produced + life
    return Lot(
        id=lot_id(row, window=window),
        donor=row.organisation_id or row.donor_name,
        donor_kind=row.donor_kind,
        item=row.item,
        quantity=quantity,
        place=place_of(row),
        available_day=available,
        produced_day=produced,
        expires_day=expires,
        standard=row.standard,
        edition=row.edition,
        certificate=row.certificate,
        sterile=row.sterile,
        directed_to=tuple(sorted(row.directed_to)),
        # Whom the register or the facts relate to the donor counts, whether it says so or not (legal.md DN-4).
        related_to=tuple(sorted({*row.related_to, *kin})),
        frozen=row.frozen,
        pack=row.pack,
        smallest=row.smallest,
        receivers_max=row.receivers_max,
        resource=made_on,
        per_unit=row.per_unit if made_on is not None else 0,
    )


def lot_id(row: OfferRow, *, window: int) -> str:
    """Id of a lot in a problem: the offer's, and for a capacity its window."""
    return row.id if row.kind == "lot" else f"{row.id}.{window:03d}"


def lanes_now(session: Session, *, day: date | None = None) -> list[Lane]:
    """Every open lane, on a day only those that are open on it."""
    return [
        Lane(
            row.id,
            row.origin,
            Place(row.province, row.city, row.longitude_micro, row.latitude_micro),
            row.individuals,
        )
        for row in limit_queries.lanes_open(session, day=day)
    ]
