"""Reads over the subjects of outside systems."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.queries.log import IDS_PER_QUERY, PAGE_MAX
from ledger.tables.external import ExternalSubjectRow
from ledger.tables.log import EntryRow


def owners_of(session: Session, subjects: Sequence[str]) -> dict[str, str]:
    """Organisation by subject; subjects that nobody has recorded anything about are absent."""
    found: dict[str, str] = {}
    for start in range(0, len(subjects), IDS_PER_QUERY):
        part = subjects[start : start + IDS_PER_QUERY]
        rows = session.execute(
            select(ExternalSubjectRow.id, ExternalSubjectRow.organisation_id).where(
                ExternalSubjectRow.id.in_(part)
            )
        )
        found.update({row[0]: row[1] for row in rows})
    return found


def places_of(session: Session, ids: Sequence[str]) -> dict[str, tuple[str, int | None]]:
    """Leaf hash (hex) and place in the tree by entry id, without making an object of each row."""
    found: dict[str, tuple[str, int | None]] = {}
    for start in range(0, len(ids), IDS_PER_QUERY):
        part = ids[start : start + IDS_PER_QUERY]
        rows = session.execute(
            select(EntryRow.id, EntryRow.leaf, EntryRow.seq).where(EntryRow.id.in_(part))
        )
        found.update({row[0]: (row[1], row[2]) for row in rows})
    return found


def entries_of_organisation(
    session: Session, organisation_id: str, *, subject: str | None, after: int, limit: int
) -> Sequence[EntryRow]:
    """Entries about the organisation's outside subjects after order number `after`, oldest first."""
    wanted = (
        select(EntryRow)
        .join(ExternalSubjectRow, ExternalSubjectRow.id == EntryRow.subject)
        .where(
            ExternalSubjectRow.organisation_id == organisation_id,
            EntryRow.order > after,
        )
        .order_by(EntryRow.order)
        .limit(min(limit, PAGE_MAX))
    )
    if subject is not None:
        wanted = wanted.where(EntryRow.subject == subject)
    return session.scalars(wanted).all()


def entry_of_leaf(session: Session, leaf: str) -> EntryRow | None:
    """The entry with this leaf hash (hex)."""
    return session.scalar(select(EntryRow).where(EntryRow.leaf == leaf))
