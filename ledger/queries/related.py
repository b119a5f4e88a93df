"""Reads of the register of related parties, and what else keeps a giver from a receiver."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Final

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session, aliased

from ledger.queries.supply import IDS_MAX
from ledger.tables.parties import AuthorisationRow, PartyRow
from ledger.tables.related import RelatedPartyRow

PAGE_MAX: Final = 200
SLACK: Final = timedelta(days=1)
"""Days are declared in Beijing, rounds are held on days of UTC: a first day may be the day before here."""


def relations_page(
    session: Session,
    *,
    organisation_id: str | None,
    waiting: bool = False,
    before: str = "~",
    limit: int = 50,
) -> Sequence[RelatedPartyRow]:
    """Relations newest id first: of one organisation, or of all; only those an operator has to look at."""
    query = select(RelatedPartyRow).where(RelatedPartyRow.id < before)
    if organisation_id is not None:
        query = query.where(_of(organisation_id))
    if waiting:
        asked = RelatedPartyRow.end_reason.is_not(None)
        query = query.where(
            or_(
                RelatedPartyRow.state == "declared",
                (RelatedPartyRow.state == "confirmed") & asked,
            )
        )
    query = query.order_by(RelatedPartyRow.id.desc())
    return session.scalars(query.limit(min(limit, PAGE_MAX))).all()


def lock_sides(session: Session, organisations: Iterable[str], *, shared: bool) -> None:
    """Whoever declares a relation of these organisations, and whoever relies on there being none, take turns.

    Until the transaction ends, and only among each other: other work on the organisations goes on. SQLite has
    one writer anyway.

    Args:
        shared: for whoever relies on it; False for whoever declares.
    """
    if session.get_bind().dialect.name != "postgresql":
        return
    lock = func.pg_advisory_xact_lock_shared if shared else func.pg_advisory_xact_lock
    for one in sorted(set(organisations)):
        session.execute(select(lock(func.hashtextextended(f"related|{one}", 0))))


def count_standing(session: Session, organisation_id: str) -> int:
    """How many relations an organisation declared that are neither refused nor ended."""
    query = select(func.count()).where(
        RelatedPartyRow.first_id == organisation_id,
        RelatedPartyRow.state.in_(("declared", "confirmed")),
    )
    return int(session.scalar(query) or 0)


def related_to(session: Session, organisations: Iterable[str], *, on: date) -> dict[str, set[str]]:
    """Organisation -> those it is related to on a day, by the register, either way round."""
    wanted = sorted(set(organisations))
    found: dict[str, set[str]] = {}
    for first in range(0, len(wanted), IDS_MAX):
        part = wanted[first : first + IDS_MAX]
        query = select(RelatedPartyRow.first_id, RelatedPartyRow.second_id).where(
            or_(RelatedPartyRow.first_id.in_(part), RelatedPartyRow.second_id.in_(part)),
            *_stands(on),
        )
        for one, other in session.execute(query):
            found.setdefault(str(one), set()).add(str(other))
            found.setdefault(str(other), set()).add(str(one))
    return {name: others for name, others in found.items() if name in set(wanted)}


def relation_between(session: Session, one: str, other: str, *, on: date) -> RelatedPartyRow | None:
    """A relation of two organisations that stands on a day: the newest."""
    query = select(RelatedPartyRow).where(_of(one), _of(other), *_stands(on))
    return session.scalar(query.order_by(RelatedPartyRow.id.desc()).limit(1))


def sharing_handlers(session: Session, organisations: Iterable[str]) -> dict[str, set[str]]:
    """Organisation -> others for which a person of its own is authorised too, revoked ones included."""
    wanted = sorted(set(organisations))
    found: dict[str, set[str]] = {}
    mine, theirs = aliased(AuthorisationRow), aliased(AuthorisationRow)
    for first in range(0, len(wanted), IDS_MAX):
        query = (
            select(mine.organisation_id, theirs.organisation_id)
            .join(theirs, theirs.person_id == mine.person_id)
            .where(
                mine.organisation_id.in_(wanted[first : first + IDS_MAX]),
                theirs.organisation_id != mine.organisation_id,
            )
            .distinct()
        )
        for one, other in session.execute(query):
            found.setdefault(str(one), set()).add(str(other))
    return found


def organisations_named(session: Session, name: str, *, limit: int = 5) -> Sequence[PartyRow]:
    """Registered organisations of exactly this name."""
    query = select(PartyRow).where(PartyRow.kind == "organisation", PartyRow.name == name)
    return session.scalars(query.order_by(PartyRow.id).limit(limit)).all()


def _of(organisation_id: str) -> ColumnElement[bool]:
    return or_(
        RelatedPartyRow.first_id == organisation_id, RelatedPartyRow.second_id == organisation_id
    )


def _stands(on: date) -> tuple[ColumnElement[bool], ...]:
    return (
        RelatedPartyRow.state != "refused",
        RelatedPartyRow.valid_from <= on + SLACK,
        or_(RelatedPartyRow.valid_to.is_(None), RelatedPartyRow.valid_to >= on),
    )
