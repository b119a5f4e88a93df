"""Acts on the chain, as those see them who may see what they are about."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from api.callers import Caller
from api.flows.evidence import require_subject_visible
from ledger.core.errors import NotFoundError
from ledger.queries import acts as queries
from ledger.tables.acts import ChainActRow


def act_for(session: Session, caller: Caller, act_id: str) -> ChainActRow:
    """One act.

    Raises:
        NotFoundError: absent, or about something that is not the caller's.
    """
    row = session.get(ChainActRow, act_id)
    if row is None:
        raise NotFoundError("there is no such record")
    _require_visible(session, caller, row.subject)
    return row


def acts_about(
    session: Session, caller: Caller, subject: str, *, limit: int
) -> Sequence[ChainActRow]:
    """Acts about a subject, oldest first.

    Raises:
        NotFoundError: the subject is not the caller's.
    """
    _require_visible(session, caller, subject)
    return queries.acts_of(session, subject, limit=limit)


def _require_visible(session: Session, caller: Caller, subject: str) -> None:
    # What is on the chain about a round is for everyone who may see rounds; as in `require_subject_visible`.
    if not subject.startswith("rnd_"):
        require_subject_visible(session, caller, subject)
