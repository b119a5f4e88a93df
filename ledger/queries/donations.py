"""Where every unit of an offer is: summed and checked by the database over lines, rounds, lots and batches.

A unit is at exactly one of `PLACES`. What overlaps them (recalled, other use, came back) is counted apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Select, Subquery, and_, case, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from ledger.queries.supply import HOLDING, IDS_MAX
from ledger.tables.custody import (
    LIVE,
    MINTED,
    HandoverRow,
    LotMovementRow,
    LotPositionRow,
    LotRow,
    PurposeChangeRow,
)
from ledger.tables.live import UrgentNeedRow
from ledger.tables.supply import AllocationRow, HospitalRow, NeedRow, OfferRow

PLACES: Final = (
    "free",
    "withdrawn",
    "proposed",
    "promised",
    "with_donor",
    "packed",
    "on_the_way",
    "accepted",
    "quarantine",
    "rejected",
    "disputed",
    "used",
    "lost",
)
"""`free`: nobody's yet; `withdrawn`: the same of an offer that is closed; `proposed`: a line the donor has not
answered; `promised`: accepted and in no lot yet; the rest are shelves of opened lots."""
CHECKS: Final = ("lots_add_up", "lots_were_opened_once", "lines_hold_lots", "offers_hold_lines")
LINES_MAX: Final = 1_000
"""Lines shown of one offer; sums are over all of them."""


@dataclass(frozen=True, slots=True)
class Units:
    """Units of an offer at one place; `hospital_id` is None where no hospital is named yet."""

    offer_id: str
    hospital_id: str | None
    place: str
    units: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a round or of an urgent decision, with what of it stands in lots."""

    allocation: AllocationRow
    hospital: HospitalRow
    in_lots: int
    urgent: bool


@dataclass(frozen=True, slots=True)
class Apart:
    """Counts that overlap the places.

    Attributes:
        recalled: units that still exist, of lots under an open recall.   recalled_gone: used or lost of them.
        other_use: units of lots whose purpose was changed with the donor's consent.
        came_back: units that the donor took back in a confirmed hand-over, ever.
    """

    recalled: int
    recalled_gone: int
    other_use: int
    came_back: int


def offers_wanted(
    *, organisation_id: str | None = None, item: str | None = None, ids: Sequence[str] | None = None
) -> ColumnElement[bool]:
    """The condition that every read here takes: offers of an organisation, of an item, or these (≤ IDS_MAX)."""
    parts: list[ColumnElement[bool]] = []
    if organisation_id is not None:
        parts.append(OfferRow.organisation_id == organisation_id)
    if item is not None:
        parts.append(OfferRow.item == item)
    if ids is not None:
        parts.append(OfferRow.id.in_(list(ids)[:IDS_MAX]))
    return and_(*parts)


def units_of(session: Session, wanted: ColumnElement[bool]) -> list[Units]:
    """Units by offer, hospital and place; what nobody has yet last. Every unit offered is in one row."""
    found = [*_in_lots(session, wanted), *_in_lines(session, wanted)]
    held = (
        select(AllocationRow.offer_id, func.sum(AllocationRow.quantity).label("units"))
        .where(AllocationRow.state.in_(HOLDING), AllocationRow.offer_id.in_(_ids(wanted)))
        .group_by(AllocationRow.offer_id)
        .subquery()
    )
    left = OfferRow.quantity * OfferRow.windows - func.coalesce(held.c.units, 0)
    query = (
        select(OfferRow.id, OfferRow.state, left)
        .outerjoin(held, held.c.offer_id == OfferRow.id)
        .where(wanted)
        .order_by(OfferRow.id)
    )
    found += [
        Units(offer, None, "free" if state == "open" else "withdrawn", int(units))
        for offer, state, units in session.execute(query)
        if units
    ]
    return found


def apart_of(session: Session, wanted: ColumnElement[bool]) -> Apart:
    """What overlaps the places."""
    changed = select(PurposeChangeRow.lot_id).where(PurposeChangeRow.state == "agreed")
    recalled = LotRow.recall_id.is_not(None)
    live = LotPositionRow.shelf.in_(LIVE)
    units = LotPositionRow.quantity
    row = session.execute(
        select(
            func.coalesce(func.sum(case((and_(recalled, live), units), else_=0)), 0),
            func.coalesce(func.sum(case((and_(recalled, ~live), units), else_=0)), 0),
            func.coalesce(func.sum(case((LotRow.id.in_(changed), units), else_=0)), 0),
        )
        .select_from(LotPositionRow)
        .join(LotRow, LotRow.id == LotPositionRow.lot_id)
        .join(OfferRow, OfferRow.id == LotRow.offer_id)
        .where(wanted)
    ).one()
    back = session.scalar(
        select(func.coalesce(func.sum(HandoverRow.accepted), 0))
        .join(LotRow, LotRow.id == HandoverRow.lot_id)
        .join(OfferRow, OfferRow.id == LotRow.offer_id)
        .where(wanted, HandoverRow.state == "received", HandoverRow.to_id == LotRow.giver_id)
    )
    return Apart(int(row[0]), int(row[1]), int(row[2]), int(back or 0))


def faults_of(session: Session, wanted: ColumnElement[bool]) -> dict[str, int]:
    """How often each of `CHECKS` does not hold, counted by the database; all zero where nothing is lost."""
    lot_ids = select(LotRow.id).join(OfferRow, OfferRow.id == LotRow.offer_id).where(wanted)
    places = _sum_by(
        LotPositionRow.lot_id, LotPositionRow.quantity, LotPositionRow.lot_id.in_(lot_ids)
    )
    minted = _sum_by(
        LotMovementRow.lot_id,
        LotMovementRow.quantity,
        LotMovementRow.lot_id.in_(lot_ids),
        LotMovementRow.from_shelf == MINTED,
    )
    lots = _lots_of(wanted)
    held = (
        select(
            AllocationRow.offer_id,
            AllocationRow.window,
            func.sum(AllocationRow.quantity).label("units"),
        )
        .where(AllocationRow.state.in_(HOLDING), AllocationRow.offer_id.in_(_ids(wanted)))
        .group_by(AllocationRow.offer_id, AllocationRow.window)
        .subquery()
    )
    wrong_lots = [
        select(func.count())
        .select_from(LotRow)
        .join(OfferRow, OfferRow.id == LotRow.offer_id)
        .outerjoin(found, found.c.subject == LotRow.id)
        .where(wanted, func.coalesce(found.c.units, 0) != LotRow.quantity)
        for found in (places, minted)
    ]
    wrong_lines = (
        select(func.count())
        .select_from(AllocationRow)
        .join(OfferRow, OfferRow.id == AllocationRow.offer_id)
        .join(lots, lots.c.subject == AllocationRow.id)
        .where(
            wanted,
            or_(lots.c.units > AllocationRow.quantity, AllocationRow.state != "accepted"),
        )
    )
    wrong_offers = (
        select(func.count())
        .select_from(held)
        .join(OfferRow, OfferRow.id == held.c.offer_id)
        .where(
            wanted,
            or_(held.c.units > OfferRow.quantity, held.c.window >= OfferRow.windows),
        )
    )
    queries = (*wrong_lots, wrong_lines, wrong_offers)
    return {
        name: int(session.scalar(query) or 0) for name, query in zip(CHECKS, queries, strict=True)
    }


def offered(session: Session, wanted: ColumnElement[bool]) -> int:
    """All units offered, capacity of every day included."""
    total = func.sum(OfferRow.quantity * OfferRow.windows)
    return int(session.scalar(select(func.coalesce(total, 0)).where(wanted)) or 0)


def lines_of(session: Session, wanted: ColumnElement[bool]) -> list[Line]:
    """Lines of these offers that hold units or held some, oldest first, at most LINES_MAX."""
    lots = _lots_of(wanted)
    query = (
        select(AllocationRow, HospitalRow, func.coalesce(lots.c.units, 0), UrgentNeedRow.need_id)
        .join(OfferRow, OfferRow.id == AllocationRow.offer_id)
        .join(NeedRow, NeedRow.id == AllocationRow.need_id)
        .join(HospitalRow, HospitalRow.id == NeedRow.hospital_id)
        .outerjoin(lots, lots.c.subject == AllocationRow.id)
        .outerjoin(UrgentNeedRow, UrgentNeedRow.round_id == AllocationRow.round_id)
        .where(wanted)
        .order_by(AllocationRow.created_at, AllocationRow.id)
        .limit(LINES_MAX)
    )
    return [Line(row[0], row[1], int(row[2]), row[3] is not None) for row in session.execute(query)]


def _in_lots(session: Session, wanted: ColumnElement[bool]) -> list[Units]:
    shelf, holder = LotPositionRow.shelf, LotPositionRow.holder_id
    ends = ("quarantine", "rejected", "disputed", "used", "lost")
    place = case(
        *((shelf == name, name) for name in ends),
        (shelf == "transit", "on_the_way"),
        (holder == LotRow.receiver_id, "accepted"),
        (and_(holder == LotRow.giver_id, shelf == "packed"), "packed"),
        (holder == LotRow.giver_id, "with_donor"),
        # Neither end has it: a carrier does.
        else_="on_the_way",
    )
    query = (
        select(LotRow.offer_id, LotRow.hospital_id, place, func.sum(LotPositionRow.quantity))
        .select_from(LotPositionRow)
        .join(LotRow, LotRow.id == LotPositionRow.lot_id)
        .join(OfferRow, OfferRow.id == LotRow.offer_id)
        .where(wanted, LotPositionRow.quantity > 0)
        .group_by(LotRow.offer_id, LotRow.hospital_id, place)
        .order_by(LotRow.offer_id, LotRow.hospital_id)
    )
    return [Units(row[0], row[1], row[2], int(row[3])) for row in session.execute(query)]


def _in_lines(session: Session, wanted: ColumnElement[bool]) -> list[Units]:
    lots = _lots_of(wanted)
    left = AllocationRow.quantity - func.coalesce(lots.c.units, 0)
    place = case((AllocationRow.state == "accepted", "promised"), else_="proposed")
    query: Select[str, str, str, int] = (
        select(AllocationRow.offer_id, NeedRow.hospital_id, place, func.sum(left))
        .join(OfferRow, OfferRow.id == AllocationRow.offer_id)
        .join(NeedRow, NeedRow.id == AllocationRow.need_id)
        .outerjoin(lots, lots.c.subject == AllocationRow.id)
        .where(wanted, AllocationRow.state.in_(HOLDING))
        .group_by(AllocationRow.offer_id, NeedRow.hospital_id, place)
        .order_by(AllocationRow.offer_id, NeedRow.hospital_id)
    )
    return [Units(row[0], row[1], row[2], int(row[3])) for row in session.execute(query) if row[3]]


def _ids(wanted: ColumnElement[bool]) -> Select[str]:
    return select(OfferRow.id).where(wanted)


def _lots_of(wanted: ColumnElement[bool]) -> Subquery:
    """(line, units of it that stand in lots)."""
    return _sum_by(LotRow.allocation_id, LotRow.quantity, LotRow.offer_id.in_(_ids(wanted)))


def _sum_by(
    subject: ColumnElement[str] | InstrumentedAttribute[str],
    units: ColumnElement[int] | InstrumentedAttribute[int],
    *where: ColumnElement[bool],
) -> Subquery:
    """(subject, units) summed."""
    return (
        select(subject.label("subject"), func.sum(units).label("units"))
        .where(*where)
        .group_by(subject)
        .subquery()
    )
