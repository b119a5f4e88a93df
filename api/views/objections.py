"""Objections as their parties and the operator see them. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from api.callers import Caller
from api.flows import rounds
from api.flows.round_objections import accept_from
from api.schemas.objections import ObjectionOut, RoundObjectionsOut
from api.views.agreements import entry_facts
from ledger.queries import log as log_queries
from ledger.queries import objections as queries
from ledger.queries import parties as party_queries
from ledger.tables.objections import ObjectionRow

NOBODY = "-"
"""An organisation id that no party has: a caller without organisation sees an empty list."""


def objection_list(
    session: Session,
    caller: Caller,
    *,
    round_id: str | None = None,
    state: str | None,
    before: str,
    limit: int,
) -> list[ObjectionOut]:
    """Objections of the caller's organisation, newest first; an operator sees all."""
    rows = queries.objections_page(
        session,
        organisation_id=None if caller.is_operator else caller.organisation_id or NOBODY,
        round_id=round_id,
        state=state,
        before=before,
        limit=limit,
    )
    return objections_shown(session, rows)


def round_objections(
    session: Session, caller: Caller, round_id: str, *, at: datetime, limit: int
) -> RoundObjectionsOut:
    """The time for objections to a round, its counts, and the caller's own.

    Raises:
        NotFoundError: `round.not_found`.
    """
    until = accept_from(rounds.round_summary(session, round_id=round_id).summary)
    return RoundObjectionsOut(
        until=until,
        possible=until is not None and at < until,
        filed=queries.count_objections(session, round_id=round_id),
        waiting=queries.count_objections(session, round_id=round_id, state="open"),
        own=objection_list(session, caller, round_id=round_id, state=None, before="~", limit=limit),
    )


def objections_shown(session: Session, rows: Sequence[ObjectionRow]) -> list[ObjectionOut]:
    """Rows with the names of their organisations and their entries."""
    names = party_queries.parties_by_ids(session, sorted({row.organisation_id for row in rows}))
    return [
        ObjectionOut(
            id=row.id,
            round_id=row.round_id,
            organisation_id=row.organisation_id,
            organisation=names[row.organisation_id].name,
            reason=row.reason,
            subject=row.subject,
            statement=row.statement,
            state=row.state,
            answer=row.answer,
            lines=queries.count_lines(session, row),
            released=row.released,
            created_at=row.created_at,
            decided_at=row.decided_at,
            entries=entry_facts(session, log_queries.entries_of(session, [row.id])),
        )
        for row in rows
    ]
