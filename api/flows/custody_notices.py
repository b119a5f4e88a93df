"""Notices about goods: recalls, what is late, clocks that are about to run out; to the organisations concerned.

The worker calls `notify_due` at each step. A notice names records by id and holds no words and nobody's name;
it is made once for each organisation, kind and cause, whoever calls how often.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, require_organisation
from ledger.core.ids import derived_id
from ledger.queries import custody as custody_queries
from ledger.queries import custody_notices as queries
from ledger.queries import notices as notice_queries
from ledger.tables.custody import DiscrepancyRow, LotRow
from ledger.tables.notices import NoticeRow

PREFIX: Final = "goods."
BATCH: Final = 200
"""Causes of one kind in one step: a step stays short, and the next one goes on where this one stopped."""
ANSWER_SOON: Final = timedelta(hours=12)
SETTLE_SOON: Final = timedelta(hours=24)
"""A working day ahead of the end of the clock."""
LOOK_BACK: Final = timedelta(days=30)
"""A recall that is older than this is no news."""
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
OPEN: Final = ("open", "answered")


@dataclass(frozen=True, slots=True)
class Due:
    """Something that these organisations must know.

    Attributes:
        subject: lot or recall: what the notice links to.
        cause: the record that brought it about.
        since: when it began: makes the notice's id.
    """

    kind: str
    subject: str
    cause: str
    since: datetime
    organisations: frozenset[str]


def notify_due(session: Session, *, at: datetime) -> int:
    """Write every notice that is due and not written yet; returns how many."""
    made = 0
    for one in _due(session, at=at):
        for organisation in sorted(one.organisations):
            session.add(
                NoticeRow(
                    id=derived_id(
                        "ntc", at=one.since, seed=f"{one.kind}|{one.cause}|{organisation}"
                    ),
                    organisation_id=organisation,
                    kind=one.kind,
                    subject=one.subject,
                    cause=one.cause,
                    created_at=at,
                )
            )
            made += 1
        session.flush()
    return made


def mark_all_seen(session: Session, caller: Caller, *, at: datetime) -> int:
    """Mark the notices about goods to the caller's organisation as seen; returns how many were new.

    Raises:
        ForbiddenError: `auth.no_organisation`.
    """
    rows = notice_queries.unseen_of(
        session, require_organisation(caller), prefix=PREFIX, limit=notice_queries.PAGE_MAX
    )
    for row in rows:
        row.seen_at = at
    return len(rows)


def _due(session: Session, *, at: datetime) -> Iterator[Due]:
    yield from _recalls(session, at=at)
    yield from _handovers(session, at=at)
    yield from _discrepancies(session, at=at)
    yield from _purposes(session, at=at)


def _recalls(session: Session, *, at: datetime) -> Iterator[Due]:
    for kind, state in (("goods.recall.opened", "open"), ("goods.recall.closed", "closed")):
        for row in queries.recalls_untold(
            session, kind=kind, state=state, since=at - LOOK_BACK, limit=BATCH
        ):
            concerned = frozenset(custody_queries.organisations_of(session, row.id))
            yield Due(kind, row.id, row.id, row.opened_at, concerned)


def _handovers(session: Session, *, at: datetime) -> Iterator[Due]:
    for kind, state in (("goods.handover.late", "offered"), ("goods.acceptance.late", "inspected")):
        for row in queries.handovers_untold(
            session, kind=kind, state=state, due_before=at, limit=BATCH
        ):
            sides = frozenset((row.from_id, row.to_id))
            yield Due(kind, row.lot_id, row.id, row.offered_at, sides)


def _discrepancies(session: Session, *, at: datetime) -> Iterator[Due]:
    kind = "goods.discrepancy.opened"
    for row, lot in queries.discrepancies_untold(session, kind=kind, states=OPEN, limit=BATCH):
        yield _discrepancy(kind, row, lot)
    answer, settle = DiscrepancyRow.answer_due_at, DiscrepancyRow.settle_due_at
    for kind, states, clock, due in (
        ("goods.discrepancy.answer_soon", ("open",), answer, (at, at + ANSWER_SOON)),
        ("goods.discrepancy.answer_late", ("open",), answer, (EARLIEST, at)),
        ("goods.discrepancy.settle_soon", OPEN, settle, (at, at + SETTLE_SOON)),
        ("goods.discrepancy.settle_late", OPEN, settle, (EARLIEST, at)),
    ):
        for row, lot in queries.discrepancies_untold(
            session, kind=kind, states=states, clock=clock, due=due, limit=BATCH
        ):
            yield _discrepancy(kind, row, lot)


def _discrepancy(kind: str, row: DiscrepancyRow, lot: LotRow) -> Due:
    # Before a clock runs out only the side that has to act is reminded; afterwards everybody is told.
    everybody = {row.holder_id, row.reported_by, lot.giver_id, lot.receiver_id}
    concerned = {row.holder_id} if kind.endswith("_soon") else everybody
    return Due(kind, lot.id, row.id, row.opened_at, frozenset(concerned))


def _purposes(session: Session, *, at: datetime) -> Iterator[Due]:
    for kind, before in (("goods.purpose.asked", None), ("goods.purpose.late", at)):
        for row, lot in queries.purposes_untold(session, kind=kind, due_before=before, limit=BATCH):
            concerned = {lot.giver_id} if before is None else {lot.giver_id, lot.receiver_id}
            yield Due(kind, lot.id, row.id, row.asked_at, frozenset(concerned))
