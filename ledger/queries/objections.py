"""Reads of objections against published rounds, and of the lines that they concern."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from ledger.tables.objections import ObjectionRow
from ledger.tables.supply import AllocationRow, HospitalRow, NeedRow, OfferRow, RoundRow

PAGE_MAX: Final = 200


def objection_of(session: Session, objection_id: str, *, lock: bool = False) -> ObjectionRow | None:
    """An objection, as it stands now."""
    return session.get(
        ObjectionRow, objection_id, with_for_update=lock or None, populate_existing=lock
    )


def lock_round(session: Session, round_id: str, *, shared: bool) -> RoundRow | None:
    """The round, held until the transaction ends: who objects and who accepts one of its lines take turns.

    Args:
        shared: for whoever accepts, so that donors do not wait for each other.
    """
    return session.get(RoundRow, round_id, with_for_update={"read": shared}, populate_existing=True)


def objections_page(
    session: Session,
    *,
    organisation_id: str | None = None,
    round_id: str | None = None,
    state: str | None = None,
    before: str = "~",
    limit: int,
) -> Sequence[ObjectionRow]:
    """Objections, newest id first; of one organisation or all, of one round or all."""
    query = select(ObjectionRow).where(ObjectionRow.id < before)
    if organisation_id is not None:
        query = query.where(ObjectionRow.organisation_id == organisation_id)
    if round_id is not None:
        query = query.where(ObjectionRow.round_id == round_id)
    if state is not None:
        query = query.where(ObjectionRow.state == state)
    query = query.order_by(ObjectionRow.id.desc())
    return session.scalars(query.limit(max(1, min(limit, PAGE_MAX)))).all()


def count_objections(
    session: Session,
    *,
    round_id: str | None = None,
    organisation_id: str | None = None,
    state: str | None = None,
) -> int:
    """How many there are of these."""
    query = select(func.count()).select_from(ObjectionRow)
    if round_id is not None:
        query = query.where(ObjectionRow.round_id == round_id)
    if organisation_id is not None:
        query = query.where(ObjectionRow.organisation_id == organisation_id)
    if state is not None:
        query = query.where(ObjectionRow.state == state)
    return int(session.scalar(query) or 0)


def open_against(session: Session, line: AllocationRow) -> str | None:
    """Id of an open objection that concerns the line; None without."""
    need = session.get_one(NeedRow, line.need_id)
    sides = [
        one
        for one in (
            session.get_one(OfferRow, line.offer_id).organisation_id,
            session.get_one(HospitalRow, need.hospital_id).organisation_id,
        )
        if one is not None
    ]
    query = select(ObjectionRow.id).where(
        ObjectionRow.round_id == line.round_id,
        ObjectionRow.state == "open",
        or_(
            ObjectionRow.subject.in_((line.id, line.need_id, line.offer_id)),
            ObjectionRow.subject.is_(None) & ObjectionRow.organisation_id.in_(sides),
        ),
    )
    return session.scalar(query.order_by(ObjectionRow.id).limit(1))


def lines_of(session: Session, row: ObjectionRow, *, limit: int) -> Sequence[AllocationRow]:
    """The lines that an objection concerns, by id."""
    return session.scalars(_lines(row).order_by(AllocationRow.id).limit(limit)).all()


def count_lines(session: Session, row: ObjectionRow) -> int:
    """How many lines an objection concerns."""
    return int(session.scalar(select(func.count()).select_from(_lines(row).subquery())) or 0)


def locked_lines_of(session: Session, row: ObjectionRow, *, limit: int) -> Sequence[AllocationRow]:
    """The same, each held until the transaction ends, in the order of their ids."""
    query = _lines(row).order_by(AllocationRow.id).limit(limit)
    query = query.with_for_update(of=AllocationRow).execution_options(populate_existing=True)
    return session.scalars(query).all()


def organisations_of_lines(session: Session, ids: Sequence[str]) -> set[str]:
    """Registered organisations that give or receive these lines (at most as many as a page holds)."""
    query = (
        select(OfferRow.organisation_id, HospitalRow.organisation_id)
        .select_from(AllocationRow)
        .join(NeedRow, NeedRow.id == AllocationRow.need_id)
        .join(HospitalRow, HospitalRow.id == NeedRow.hospital_id)
        .join(OfferRow, OfferRow.id == AllocationRow.offer_id)
        .where(AllocationRow.id.in_(ids))
        .distinct()
    )
    return {one for pair in session.execute(query) for one in pair if one is not None}


def _lines(row: ObjectionRow) -> Select[AllocationRow]:
    query = (
        select(AllocationRow)
        .join(NeedRow, NeedRow.id == AllocationRow.need_id)
        .join(HospitalRow, HospitalRow.id == NeedRow.hospital_id)
        .join(OfferRow, OfferRow.id == AllocationRow.offer_id)
        .where(AllocationRow.round_id == row.round_id)
    )
    return query.where(_concerned(row))


def _concerned(row: ObjectionRow) -> ColumnElement[bool]:
    if row.subject is None:
        return or_(
            OfferRow.organisation_id == row.organisation_id,
            HospitalRow.organisation_id == row.organisation_id,
        )
    return or_(
        AllocationRow.id == row.subject,
        AllocationRow.need_id == row.subject,
        AllocationRow.offer_id == row.subject,
    )
