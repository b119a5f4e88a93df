"""Lines of urgent needs that no donor accepted in time: their units are free again."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from api.flows.round_notices import tell_lapsed
from api.flows.round_records import round_entry
from api.ports import Ports
from ledger.core.canonical import Json
from ledger.log import record
from ledger.queries import live as queries
from ledger.queries import supply as supply_queries
from ledger.store import transaction
from ledger.tables.supply import AllocationRow

BATCH: Final = 50
"""Urgent needs of one call: a worker comes again in seconds."""
LINES_MAX: Final = 1_000
"""Lines of one urgent need: fewer lots of a class than this can fit one hospital at once."""
SYSTEM: Final = "system"
REASON: Final = "not accepted in time"


def lapse_urgent(session: Session, ports: Ports, *, at: datetime) -> int:
    """Decline in the system's name what donors left open past their time; returns how many lines."""
    freed = 0
    for urgent in queries.urgent_overdue(session, at=at, limit=BATCH):
        lines = supply_queries.allocations_page(
            session, round_id=urgent.round_id, state="proposed", limit=LINES_MAX
        )
        for shown, *_ in lines:
            # Locked and read anew: a donor who accepts at this very moment keeps the line.
            line = session.get_one(
                AllocationRow, shown.id, with_for_update=True, populate_existing=True
            )
            if line.state != "proposed":
                continue
            line.state, line.decided_by, line.decided_at = "declined", SYSTEM, at
            line.decline_reason = REASON
            body: dict[str, Json] = {"allocation": line.id, "by": SYSTEM, "reason": REASON}
            entry = round_entry("allocation.declined", line.id, SYSTEM, at, body)
            record(session, ports.vault, entry)
            tell_lapsed(session, line, at=at)
            freed += 1
        urgent.lapsed_at = at
    session.flush()
    return freed


def lapse_due(ports: Ports, *, at: datetime) -> int:
    """`lapse_urgent` in a transaction of its own, and none where nothing is due."""
    with transaction(ports.readers) as session:
        if not queries.urgent_overdue(session, at=at, limit=1):
            return 0
    with transaction(ports.sessions) as session:
        queries.lock_market(session)
        return lapse_urgent(session, ports, at=at)
