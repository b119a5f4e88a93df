"""Reads of what limits supplies: shared resources, lanes of carriers, who already got from whom, sent files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from ledger.queries.supply import HOLDING, IDS_MAX, PAGE_MAX
from ledger.tables.supply import (
    AllocationRow,
    HospitalRow,
    LaneRow,
    NeedRow,
    OfferRow,
    ResourceRow,
    SupplyFileLineRow,
    SupplyFileRow,
)


def resources_page(
    session: Session,
    *,
    organisation_id: str | None = None,
    state: str | None = None,
    after: str = "",
    limit: int = 50,
) -> Sequence[ResourceRow]:
    """Resources after id `after`."""
    query = select(ResourceRow).where(ResourceRow.id > after)
    if organisation_id is not None:
        query = query.where(ResourceRow.organisation_id == organisation_id)
    if state is not None:
        query = query.where(ResourceRow.state == state)
    return session.scalars(query.order_by(ResourceRow.id).limit(min(limit, PAGE_MAX))).all()


def resources_by_ids(session: Session, ids: Iterable[str]) -> dict[str, ResourceRow]:
    """Resources by id, in as many questions as they need."""
    wanted, found = sorted(set(ids)), {}
    for first in range(0, len(wanted), IDS_MAX):
        part = wanted[first : first + IDS_MAX]
        rows = session.scalars(select(ResourceRow).where(ResourceRow.id.in_(part)))
        found.update({row.id: row for row in rows})
    return found


def open_offers_of_resource(session: Session, resource_id: str) -> int:
    """How many open offers draw on it."""
    query = select(func.count()).where(
        OfferRow.resource_id == resource_id, OfferRow.state == "open"
    )
    return int(session.scalar(query) or 0)


def held_of_resources(session: Session, ids: Iterable[str]) -> dict[tuple[str, date, int], int]:
    """(resource, first day of the offer, window) -> units of it held, withdrawn offers included."""
    wanted = sorted(set(ids))
    found: dict[tuple[str, date, int], int] = {}
    for first in range(0, len(wanted), IDS_MAX):
        query = (
            select(
                OfferRow.resource_id,
                OfferRow.available_on,
                AllocationRow.window,
                func.sum(AllocationRow.quantity * OfferRow.per_unit),
            )
            .join(AllocationRow, AllocationRow.offer_id == OfferRow.id)
            .where(
                OfferRow.resource_id.in_(wanted[first : first + IDS_MAX]),
                AllocationRow.state.in_(HOLDING),
            )
            .group_by(OfferRow.resource_id, OfferRow.available_on, AllocationRow.window)
        )
        for resource, day, window, units in session.execute(query):
            found[str(resource), day, int(window)] = int(units)
    return found


def receivers_of(session: Session, organisations: Iterable[str]) -> dict[str, set[str]]:
    """Organisation -> hospitals that hold units of any of its offers."""
    wanted = sorted(set(organisations))
    found: dict[str, set[str]] = {}
    for first in range(0, len(wanted), IDS_MAX):
        query = (
            select(OfferRow.organisation_id, NeedRow.hospital_id)
            .join(AllocationRow, AllocationRow.offer_id == OfferRow.id)
            .join(NeedRow, NeedRow.id == AllocationRow.need_id)
            .where(
                OfferRow.organisation_id.in_(wanted[first : first + IDS_MAX]),
                AllocationRow.state.in_(HOLDING),
            )
            .distinct()
        )
        for organisation, hospital in session.execute(query):
            found.setdefault(str(organisation), set()).add(str(hospital))
    return found


def hospitals_of(session: Session, organisations: Iterable[str]) -> dict[str, set[str]]:
    """Organisation -> hospitals it stands behind."""
    wanted = sorted(set(organisations))
    found: dict[str, set[str]] = {}
    for first in range(0, len(wanted), IDS_MAX):
        query = select(HospitalRow.organisation_id, HospitalRow.id).where(
            HospitalRow.organisation_id.in_(wanted[first : first + IDS_MAX])
        )
        for organisation, hospital in session.execute(query):
            found.setdefault(str(organisation), set()).add(str(hospital))
    return found


def hospitals_named(session: Session, words: Sequence[str]) -> Sequence[HospitalRow]:
    """Hospitals whose id or name is one of these words, at most IDS_MAX words."""
    wanted = list(words)[:IDS_MAX]
    query = select(HospitalRow).where(or_(HospitalRow.id.in_(wanted), HospitalRow.name.in_(wanted)))
    return session.scalars(query.order_by(HospitalRow.id).limit(PAGE_MAX)).all()


def lanes_of(
    session: Session, *, organisation_id: str | None, after: str = "", limit: int = 50
) -> Sequence[LaneRow]:
    """Lanes of a carrier, or all of them, after id `after`; withdrawn ones included."""
    query = select(LaneRow).where(LaneRow.id > after)
    if organisation_id is not None:
        query = query.where(LaneRow.organisation_id == organisation_id)
    return session.scalars(query.order_by(LaneRow.id).limit(min(limit, PAGE_MAX))).all()


def lanes_open(session: Session, *, day: date | None, limit: int = PAGE_MAX) -> Sequence[LaneRow]:
    """Lanes that a round on `day` may use; None leaves the days aside."""
    query = select(LaneRow).where(LaneRow.state == "open")
    if day is not None:
        query = query.where(
            or_(LaneRow.open_from.is_(None), LaneRow.open_from <= day),
            or_(LaneRow.open_to.is_(None), LaneRow.open_to >= day),
        )
    return session.scalars(query.order_by(LaneRow.id).limit(limit)).all()


def count_lanes(session: Session, *, organisation_id: str | None = None) -> int:
    """How many lanes are open, of one carrier or of all."""
    query = select(func.count()).select_from(LaneRow).where(LaneRow.state == "open")
    if organisation_id is not None:
        query = query.where(LaneRow.organisation_id == organisation_id)
    return int(session.scalar(query) or 0)


def files_page(
    session: Session, *, organisation_id: str | None, limit: int = 50
) -> Sequence[SupplyFileRow]:
    """Files an organisation sent, newest first."""
    query = select(SupplyFileRow)
    if organisation_id is not None:
        query = query.where(SupplyFileRow.organisation_id == organisation_id)
    query = query.order_by(SupplyFileRow.created_at.desc(), SupplyFileRow.id)
    return session.scalars(query.limit(min(limit, PAGE_MAX))).all()


def file_lines(session: Session, file_id: str) -> Sequence[SupplyFileLineRow]:
    """What the lines of a file made; a file has at most as many as one upload takes."""
    query = select(SupplyFileLineRow).where(SupplyFileLineRow.file_id == file_id)
    return session.scalars(query.order_by(SupplyFileLineRow.line)).all()
