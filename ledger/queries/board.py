"""Reads behind the public pages: the needs board and the disclosure of accepted donations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from ledger.tables.agreements import AgreementRow
from ledger.tables.supply import AllocationRow, HospitalRow, NeedRow, OfferRow

PAGE_MAX: Final = 100
CITIES_MAX: Final = 500
"""China has about 340 prefecture-level cities."""


@dataclass(frozen=True, slots=True)
class BoardFilter:
    """What the reader of the board asked for; None = any."""

    item: str | None = None
    tier: int | None = None
    city: str | None = None


def board_page(
    session: Session, wanted: BoardFilter, *, limit: int, offset: int
) -> Sequence[tuple[NeedRow, HospitalRow]]:
    """Open needs, most urgent first, then the nearest deadline."""
    rows = session.execute(
        select(NeedRow, HospitalRow)
        .join(HospitalRow, HospitalRow.id == NeedRow.hospital_id)
        .where(*_conditions(wanted))
        .order_by(NeedRow.tier, NeedRow.deadline_on, NeedRow.posted_on, NeedRow.id)
        .limit(min(limit, PAGE_MAX))
        .offset(offset)
    ).all()
    return [(row[0], row[1]) for row in rows]


def board_count(session: Session, wanted: BoardFilter) -> int:
    """How many open needs the filter leaves."""
    query = (
        select(func.count())
        .select_from(NeedRow)
        .join(HospitalRow, HospitalRow.id == NeedRow.hospital_id)
        .where(*_conditions(wanted))
    )
    return int(session.scalar(query) or 0)


def open_by_tier(session: Session) -> dict[int, int]:
    """Tier -> open needs."""
    query = select(NeedRow.tier, func.count()).where(NeedRow.state == "open").group_by(NeedRow.tier)
    return {int(tier): int(count) for tier, count in session.execute(query)}


def open_by_item(session: Session) -> dict[str, int]:
    """Item -> open needs; bounded by the catalogue."""
    query = select(NeedRow.item, func.count()).where(NeedRow.state == "open").group_by(NeedRow.item)
    return {str(item): int(count) for item, count in session.execute(query)}


def open_hospitals(session: Session) -> int:
    """How many hospitals have an open need."""
    query = select(func.count(func.distinct(NeedRow.hospital_id))).where(NeedRow.state == "open")
    return int(session.scalar(query) or 0)


def cities_with_needs(session: Session) -> Sequence[str]:
    """Cities in which an open need stands, by name."""
    query = (
        select(HospitalRow.city)
        .join(NeedRow, NeedRow.hospital_id == HospitalRow.id)
        .where(NeedRow.state == "open")
        .distinct()
        .order_by(HospitalRow.city)
        .limit(CITIES_MAX)
    )
    return session.scalars(query).all()


def disclosed_page(
    session: Session, *, limit: int, offset: int
) -> Sequence[tuple[AllocationRow, NeedRow, HospitalRow, OfferRow]]:
    """Accepted donations and orders, newest decision first."""
    rows = session.execute(
        select(AllocationRow, NeedRow, HospitalRow, OfferRow)
        .join(NeedRow, NeedRow.id == AllocationRow.need_id)
        .join(HospitalRow, HospitalRow.id == NeedRow.hospital_id)
        .join(OfferRow, OfferRow.id == AllocationRow.offer_id)
        .where(AllocationRow.state == "accepted")
        .order_by(AllocationRow.decided_at.desc(), AllocationRow.id)
        .limit(min(limit, PAGE_MAX))
        .offset(offset)
    ).all()
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def disclosed_totals(session: Session) -> tuple[int, int, int]:
    """(accepted lines, pieces, hospitals served)."""
    row = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(AllocationRow.quantity), 0),
            func.count(func.distinct(NeedRow.hospital_id)),
        )
        .select_from(AllocationRow)
        .join(NeedRow, NeedRow.id == AllocationRow.need_id)
        .where(AllocationRow.state == "accepted")
    ).one()
    return int(row[0]), int(row[1]), int(row[2])


def agreement_states(session: Session, allocation_ids: Sequence[str]) -> Mapping[str, str]:
    """Allocation id -> state of its newest agreement; at most PAGE_MAX ids."""
    rows = newest_agreements(session, list(allocation_ids)[:PAGE_MAX])
    return {allocation: state for allocation, (_, state) in rows.items()}


def newest_agreements(
    session: Session, allocation_ids: Sequence[str]
) -> Mapping[str, tuple[str, str]]:
    """Allocation id -> (id, state) of its newest agreement, in as many questions as they need."""
    found: dict[str, tuple[str, str]] = {}
    for first in range(0, len(allocation_ids), PAGE_MAX):
        part = allocation_ids[first : first + PAGE_MAX]
        rows = session.execute(
            select(AgreementRow.allocation_id, AgreementRow.id, AgreementRow.state)
            .where(AgreementRow.allocation_id.in_(part))
            .order_by(AgreementRow.id)
        )
        found |= {str(allocation): (str(one), str(state)) for allocation, one, state in rows}
    return found


def _conditions(wanted: BoardFilter) -> list[ColumnElement[Any]]:
    conditions: list[ColumnElement[Any]] = [NeedRow.state == "open"]
    if wanted.item is not None:
        conditions.append(NeedRow.item == wanted.item)
    if wanted.tier is not None:
        conditions.append(NeedRow.tier == wanted.tier)
    if wanted.city is not None:
        conditions.append(HospitalRow.city == wanted.city)
    return conditions
