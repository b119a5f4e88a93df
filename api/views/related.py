"""Facts of the register of related parties. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy.orm import Session

from api.callers import Caller
from api.schemas.related import RelationOut
from ledger.queries import parties as party_queries
from ledger.queries import related as queries
from ledger.tables.related import RelatedPartyRow


def relation_list(
    session: Session, caller: Caller, *, waiting: bool, before: str, limit: int, today: date
) -> list[RelationOut]:
    """Relations of the caller's organisation, newest first; an operator sees all."""
    mine = None if caller.is_operator else caller.organisation_id or "-"
    rows = queries.relations_page(
        session, organisation_id=mine, waiting=waiting, before=before, limit=limit
    )
    return relations_shown(session, rows, today=today)


def relations_shown(
    session: Session, rows: Sequence[RelatedPartyRow], *, today: date
) -> list[RelationOut]:
    """Rows with the names of both sides."""
    names = party_queries.parties_by_ids(
        session, sorted({one for row in rows for one in (row.first_id, row.second_id)})
    )
    return [
        RelationOut(
            id=row.id,
            first_id=row.first_id,
            first=names[row.first_id].name,
            second_id=row.second_id,
            second=names[row.second_id].name,
            kind=row.kind,
            evidence=row.evidence,
            evidence_sha256=row.evidence_sha256,
            valid_from=row.valid_from,
            valid_to=row.valid_to,
            state=row.state,
            counts=row.state != "refused"
            and row.valid_from <= today
            and (row.valid_to is None or today <= row.valid_to),
            end_reason=row.end_reason,
            reason=row.reason,
            created_at=row.created_at,
            decided_at=row.decided_at,
        )
        for row in rows
    ]
