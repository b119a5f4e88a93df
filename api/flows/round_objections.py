"""The time between a round's publication and its lines: whoever finds a fault can say so before goods move.

The end of that time is written down when the round is closed, so that a changed setting moves no promise. A
decision on an urgent need does not wait: it has a time within which donors must answer instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.orm import Session

from api.settings import Settings
from ledger.core.errors import ConflictError
from ledger.core.units import parse_utc, utc_text
from ledger.queries.objections import lock_round, open_against
from ledger.tables.round_chain import RoundChainRow
from ledger.tables.supply import AllocationRow, RoundRow

ACCEPT_FROM: Final = "accept_from"
PRODUCTION_HOURS: Final = 24
"""As long as a posted result can be struck on the chain (`Rounds`)."""


def keep_open_to_objections(row: RoundRow, settings: Settings, *, at: datetime) -> None:
    """Write into the closed round from when its lines can be accepted; nothing where there is no such time."""
    hours = settings.round_objection_hours
    if hours is None:
        hours = PRODUCTION_HOURS if settings.production else 0
    if hours:
        # Whole seconds are written: a part of one is given, not taken.
        end = at + timedelta(hours=hours, seconds=1 if at.microsecond else 0)
        row.summary = {**(row.summary or {}), ACCEPT_FROM: utc_text(end)}


def accept_from(summary: Mapping[str, Any] | None) -> datetime | None:
    """From when the lines of a round with this summary can be accepted; None: at once."""
    said = (summary or {}).get(ACCEPT_FROM)
    return None if said is None else parse_utc(said)


def require_heard(session: Session, line: AllocationRow, *, at: datetime) -> None:
    """Refuse to accept a line whose round is open to objections, that somebody objected to and was not
    answered, or whose result was struck on the chain.

    Raises:
        ConflictError: `allocation.objections_open`, `allocation.objected`, `allocation.round_struck`.
    """
    # Whoever objects at this very moment does so before this, or finds the line accepted.
    row = lock_round(session, line.round_id, shared=True)
    assert row is not None
    start = accept_from(row.summary)
    if start is not None and at < start:
        raise ConflictError(
            "this round is still open to objections: accept the line once that time is over; it can be "
            "declined at any time",
            code="allocation.objections_open",
            accept_from=utc_text(start),
        )
    if start is not None and open_against(session, line) is not None:
        raise ConflictError(
            "somebody objected to this line: an operator answers first; it can be declined at any time",
            code="allocation.objected",
        )
    chain = session.get(RoundChainRow, line.round_id)
    if chain is not None and chain.state == "struck":
        raise ConflictError(
            "the result of this round was struck on the chain: wait for the corrected one, or decline the line",
            code="allocation.round_struck",
        )
