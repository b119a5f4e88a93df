"""Reads and marks of the living market. One transaction at a time decides on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from sqlalchemy import delete, func, or_, select, text, update
from sqlalchemy.orm import Session

from ledger.queries.supply import IDS_MAX
from ledger.tables.live import LiveChangeRow, LiveClassRow, UrgentNeedRow
from ledger.tables.supply import AllocationRow, HospitalRow, NeedRow, OfferRow

MARKET_LOCK: Final = 0x66756C76
"""PostgreSQL advisory lock of whoever gives supply away; SQLite has one writer anyway."""
PAGE_MAX: Final = 100


def lock_market(session: Session) -> None:
    """Until the transaction ends nobody else decides on uncommitted supply; taken before any other lock."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": MARKET_LOCK})


def urgent_among(session: Session, need_ids: Sequence[str]) -> set[str]:
    """Which of these needs were decided on as urgent; at most IDS_MAX ids."""
    ids = list(need_ids)[:IDS_MAX]
    return set(session.scalars(select(UrgentNeedRow.need_id).where(UrgentNeedRow.need_id.in_(ids))))


def live_class(session: Session, item_class: str) -> LiveClassRow | None:
    """The stored state of a class."""
    return session.get(LiveClassRow, item_class)


def live_classes(session: Session) -> Sequence[LiveClassRow]:
    """All classes that live; the catalogue bounds them."""
    return session.scalars(select(LiveClassRow).order_by(LiveClassRow.item_class)).all()


def changes_after(
    session: Session, items: Sequence[str], *, version: int, limit: int
) -> Sequence[LiveChangeRow]:
    """Changes that a state of this version has not taken in, and those that wait, oldest first."""
    query = (
        select(LiveChangeRow)
        .where(
            LiveChangeRow.item.in_(items),
            or_(LiveChangeRow.version.is_(None), LiveChangeRow.version > version),
        )
        .order_by(LiveChangeRow.number)
    )
    return session.scalars(query.limit(limit)).all()


def waiting_items(session: Session) -> set[str]:
    """Items of which a change waits; the catalogue bounds them."""
    query = select(LiveChangeRow.item).where(LiveChangeRow.version.is_(None)).distinct()
    return set(session.scalars(query))


def waiting_numbers(session: Session, items: Sequence[str]) -> list[int]:
    """Numbers of the changes that wait; read before the rows, so that none is lost between."""
    query = select(LiveChangeRow.number).where(
        LiveChangeRow.item.in_(items), LiveChangeRow.version.is_(None)
    )
    return list(session.scalars(query))


def take_in(session: Session, numbers: Sequence[int], *, version: int) -> None:
    """These waiting changes are in this version; by number, as numbers commit out of order."""
    for first in range(0, len(numbers), IDS_MAX):
        session.execute(
            update(LiveChangeRow)
            .where(LiveChangeRow.number.in_(numbers[first : first + IDS_MAX]))
            .values(version=version)
        )


def forget_changes(session: Session, items: Sequence[str], *, version: int | None) -> None:
    """Drop changes up to a version that is stored; None: all that wait, for classes that do not live."""
    query = delete(LiveChangeRow).where(LiveChangeRow.item.in_(items))
    if version is None:
        query = query.where(LiveChangeRow.version.is_(None))
    else:
        query = query.where(LiveChangeRow.version <= version)
    session.execute(query)


def urgent_count(session: Session, *, hospital_id: str, day: date) -> int:
    """How many needs this hospital marked urgent on this day."""
    query = select(func.count()).where(
        UrgentNeedRow.hospital_id == hospital_id, UrgentNeedRow.day == day
    )
    return int(session.scalar(query) or 0)


def urgent_of_round(session: Session, round_id: str) -> UrgentNeedRow | None:
    """The urgent need that a round decided on; None for a scheduled round."""
    return session.scalar(select(UrgentNeedRow).where(UrgentNeedRow.round_id == round_id))


def urgent_page(
    session: Session,
    *,
    hospital_ids: Sequence[str] | None = None,
    before: str = "~",
    limit: int = 20,
) -> Sequence[UrgentNeedRow]:
    """Urgent needs, newest need id first; of these hospitals (at most IDS_MAX), None = of all."""
    query = select(UrgentNeedRow).where(UrgentNeedRow.need_id < before)
    if hospital_ids is not None:
        query = query.where(UrgentNeedRow.hospital_id.in_(list(hospital_ids)[:IDS_MAX]))
    rows = session.scalars(
        query.order_by(UrgentNeedRow.need_id.desc()).limit(max(1, min(limit, PAGE_MAX)))
    )
    return rows.all()


def urgent_overdue(session: Session, *, at: datetime, limit: int) -> Sequence[UrgentNeedRow]:
    """Urgent needs whose donors have had their time and whose open lines are not yet set free."""
    query = (
        select(UrgentNeedRow)
        .where(UrgentNeedRow.lapsed_at.is_(None), UrgentNeedRow.accept_until <= at)
        .order_by(UrgentNeedRow.accept_until, UrgentNeedRow.need_id)
    )
    return session.scalars(query.limit(limit)).all()


def units_by_state(session: Session, *, round_id: str) -> dict[str, int]:
    """State -> pieces of a round's lines; there are three states."""
    query = (
        select(AllocationRow.state, func.sum(AllocationRow.quantity))
        .where(AllocationRow.round_id == round_id)
        .group_by(AllocationRow.state)
    )
    return {str(state): int(units) for state, units in session.execute(query)}


def urgent_lines_asked(
    session: Session, *, organisation_id: str, limit: int
) -> list[tuple[AllocationRow, NeedRow, HospitalRow, OfferRow, datetime]]:
    """Open lines of urgent needs that this donor is asked for, the most pressing first."""
    query = (
        select(AllocationRow, NeedRow, HospitalRow, OfferRow, UrgentNeedRow.accept_until)
        .join(UrgentNeedRow, UrgentNeedRow.round_id == AllocationRow.round_id)
        .join(NeedRow, NeedRow.id == AllocationRow.need_id)
        .join(HospitalRow, HospitalRow.id == NeedRow.hospital_id)
        .join(OfferRow, OfferRow.id == AllocationRow.offer_id)
        .where(OfferRow.organisation_id == organisation_id, AllocationRow.state == "proposed")
        .order_by(UrgentNeedRow.accept_until, AllocationRow.id)
    )
    rows = session.execute(query.limit(max(1, min(limit, PAGE_MAX)))).all()
    return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]
