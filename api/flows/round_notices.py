"""Notices about lines of rounds and urgent needs, to the donors and hospitals whose goods and needs they are.

A notice names records by id and holds no words and nobody's name. It is written in the transaction that
brings it about, so that nobody is held to a clock that nobody told them of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, require_organisation
from ledger.core.ids import derived_id
from ledger.queries import notices as queries
from ledger.queries import supply as supply_queries
from ledger.tables.notices import NoticeRow
from ledger.tables.supply import AllocationRow, HospitalRow, NeedRow, OfferRow

PREFIX: Final = "round."
URGENT_LINE: Final = "round.urgent_line"
LINE: Final = "round.line"
ACCEPTED: Final = "round.line_accepted"
DECLINED: Final = "round.line_declined"
LAPSED: Final = "round.line_lapsed"
OBJECTED: Final = "round.objected"
OBJECTION_WITHDRAWN: Final = "round.objection_withdrawn"
OBJECTION_DISMISSED: Final = "round.objection_dismissed"
OBJECTION_UPHELD: Final = "round.objection_upheld"
CLAIM_CONFIRMED: Final = "round.claim_confirmed"
CLAIM_REFUSED: Final = "round.claim_refused"


def tell(
    session: Session,
    organisations: Iterable[str],
    *,
    kind: str,
    subject: str,
    cause: str,
    at: datetime,
) -> None:
    """Write one notice to each organisation. The caller makes sure that a cause brings it about once."""
    session.add_all(
        NoticeRow(
            id=derived_id("ntc", at=at, seed=f"{kind}|{cause}|{organisation}"),
            organisation_id=organisation,
            kind=kind,
            subject=subject,
            cause=cause,
            created_at=at,
        )
        for organisation in sorted(set(organisations))
    )


def tell_donors(
    session: Session, lines: Sequence[AllocationRow], *, round_id: str, kind: str, at: datetime
) -> None:
    """Tell every registered donor of these lines, once for the round; the others cannot be told here."""
    names = sorted({line.offer_id for line in lines})
    donors: set[str] = set()
    for first in range(0, len(names), supply_queries.IDS_MAX):
        rows = supply_queries.offers_by_ids(session, names[first : first + supply_queries.IDS_MAX])
        donors |= {row.organisation_id for row in rows.values() if row.organisation_id is not None}
    tell(session, donors, kind=kind, subject=round_id, cause=round_id, at=at)


def tell_hospital(session: Session, line: AllocationRow, *, kind: str, at: datetime) -> None:
    """Tell whoever stands behind the line's hospital what became of it."""
    need = session.get_one(NeedRow, line.need_id)
    organisation = session.get_one(HospitalRow, need.hospital_id).organisation_id
    if organisation is not None:
        tell(session, [organisation], kind=kind, subject=line.round_id, cause=line.id, at=at)


def tell_lapsed(session: Session, line: AllocationRow, *, at: datetime) -> None:
    """Tell donor and hospital that nobody answered in time and the goods are free again."""
    told = {session.get_one(OfferRow, line.offer_id).organisation_id}
    need = session.get_one(NeedRow, line.need_id)
    told.add(session.get_one(HospitalRow, need.hospital_id).organisation_id)
    known = [one for one in told if one is not None]
    tell(session, known, kind=LAPSED, subject=line.round_id, cause=line.id, at=at)


def mark_all_seen(session: Session, caller: Caller, *, at: datetime) -> int:
    """Mark the notices about rounds to the caller's organisation as seen; returns how many were new.

    Raises:
        ForbiddenError: `auth.no_organisation`.
    """
    rows = queries.unseen_of(
        session, require_organisation(caller), prefix=PREFIX, limit=queries.PAGE_MAX
    )
    for row in rows:
        row.seen_at = at
    return len(rows)
