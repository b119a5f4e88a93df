"""A result on the chain that does not stand: who has to know, and telling them.

Told are all organisations whose needs or goods were in the round. Those that got nothing are told as well: the
reason they were given rests on the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeVar

from sqlalchemy.orm import Session

from api.flows.round_notices import tell
from api.flows.round_records import load_document
from ledger.queries import supply as queries
from ledger.tables.round_chain import RoundChainRow

STRUCK: Final = "round.struck"
"""A posted result was shown to be wrong."""
RESTATED: Final = "round.restated"
"""Another result was posted after one was struck."""

Row = TypeVar("Row")


def alarm_of(row: RoundChainRow) -> str:
    """What somebody has to know of a round on the chain.

    Returns:
        `struck` (another result is being made), `struck_for_good` (none is posted again by itself), `refused`,
        `restated` (another result was posted after a strike), or the empty text.
    """
    if row.state == "struck":
        return "struck" if row.due_at is not None else "struck_for_good"
    if row.state == "refused":
        return "refused"
    return "restated" if row.attempt else ""


def concerned_in(session: Session, round_id: str) -> frozenset[str]:
    """Registered organisations whose needs or goods were in the round."""
    problem = load_document(session, round_id, "problem")
    hospitals = {str(need["hospital"]) for need in problem["needs"]}
    # A window of capacity is a lot of its own: `offer.window`.
    offers = {str(lot["id"]).partition(".")[0] for lot in problem["lots"]}
    found = {row.organisation_id for row in _rows(session, queries.hospitals_by_ids, hospitals)}
    found |= {row.organisation_id for row in _rows(session, queries.offers_by_ids, offers)}
    return frozenset(one for one in found if one is not None)


def tell_all(
    session: Session, row: RoundChainRow, organisations: frozenset[str], *, kind: str, at: datetime
) -> None:
    """One notice to each; the caller makes sure that this act brings it about once."""
    assert row.act_id is not None
    tell(session, organisations, kind=kind, subject=row.round_id, cause=row.act_id, at=at)


def _rows(
    session: Session, read: Callable[[Session, Sequence[str]], Mapping[str, Row]], ids: set[str]
) -> Iterator[Row]:
    ordered = sorted(ids)
    for first in range(0, len(ordered), queries.IDS_MAX):
        yield from read(session, ordered[first : first + queries.IDS_MAX]).values()
