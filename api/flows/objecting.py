"""Objections against a published round: filed by its parties within the written time, answered by an operator.

While one is open, the lines it concerns are not accepted, also after the time is over: silence must not settle
it. Upheld, these lines are declined in the operator's name, as an overdue urgent line is, and the next round
decides anew; nobody ever changes a plan by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_organisation, require_role, require_visible
from api.flows.idempotency import fingerprint, require_same
from api.flows.round_alarms import concerned_in
from api.flows.round_notices import (
    OBJECTED,
    OBJECTION_DISMISSED,
    OBJECTION_UPHELD,
    OBJECTION_WITHDRAWN,
    tell,
)
from api.flows.round_objections import accept_from
from api.flows.round_records import load_document, round_entry
from api.flows.supply_rules import supply_entry
from api.ports import Ports
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, InputError, LimitError, NotFoundError
from ledger.core.ids import require_id
from ledger.core.units import utc_text
from ledger.log import append_many, record
from ledger.queries import objections as queries
from ledger.queries.supply import IDS_MAX
from ledger.tables.objections import ObjectionRow
from ledger.tables.supply import AllocationRow, HospitalRow, NeedRow, OfferRow, RoundRow
from signing.fonts import require_no_hidden

REASONS: Final = ("misread", "impossible", "policy", "other")
TEXT_CHARACTERS_MAX: Final = 1_000
PER_ROUND_MAX: Final = 5
"""Objections of one organisation to one round, withdrawn and answered ones too: an operator reads each."""
LINES_MAX: Final = 10_000
"""Lines that one objection may hold up; whoever has more names the need or offer that it is about."""
RELEASED: Final = "objection.upheld"
"""Why such a line was declined; pages put it into words."""
OUTCOMES: Final = ("dismissed", "upheld")


@dataclass(frozen=True, slots=True)
class NewObjection:
    """An objection to file.

    Attributes:
        id: `obj_…`, made by the caller.
        reason: one of `REASONS`.
        subject: a line, need or offer of the caller's organisation in the round; None: all its lines there.
    """

    id: str
    round_id: str
    reason: str
    subject: str | None
    statement: str


def file_objection(
    session: Session, ports: Ports, caller: Caller, new: NewObjection, *, at: datetime
) -> ObjectionRow:
    """Object to a published round; the same request again returns the same objection.

    Raises:
        ForbiddenError: `auth.role`, `auth.no_organisation`.
        NotFoundError: `round.not_found`; `not_found`: what it names is not in the round, or another's.
        InputError: `id.malformed`, `objection.reason`, `objection.text`, `font.unprintable`.
        ExistsWithDifferentFieldError: same id, other body.
        ConflictError: `objection.no_time`, `objection.closed` (context `ended`), `objection.not_in_round`,
            `objection.open_before`.
        LimitError: `objection.too_many`, `objection.lines`.
    """
    require_role(caller, Role.HANDLER)
    organisation = require_organisation(caller)
    require_id(new.id, prefix="obj")
    statement = _words(new.statement)
    fields: dict[str, Json] = {
        "round": new.round_id,
        "reason": new.reason,
        "subject": new.subject,
        "statement": statement,
    }
    existing = _sent_before(session, caller, new.id, fields)
    if existing is not None:
        return existing
    if new.reason not in REASONS:
        raise InputError("not a reason for an objection", code="objection.reason")
    _require_open(session.get(RoundRow, new.round_id), at=at)
    _require_party(session, new, organisation)
    # Whoever accepts a line of this round now does so before this objection stands, or finds it.
    _require_open(queries.lock_round(session, new.round_id, shared=False), at=at)
    existing = _sent_before(session, caller, new.id, fields)  # the same request, twice at once
    if existing is not None:
        return existing
    _require_room(session, new.round_id, organisation)
    row = _row(new, fields, organisation=organisation, actor=caller.account_id, at=at)
    lines = queries.lines_of(session, row, limit=LINES_MAX + 1)
    _require_none_accepted(session, row, lines)
    session.add(row)
    session.flush()
    body: dict[str, Json] = {"objection": row.id, "organisation": organisation, **fields}
    record(session, ports.vault, supply_entry("objection.filed", row.id, caller, at=at, body=body))
    others = _sides(session, lines) - {organisation}
    tell(session, others, kind=OBJECTED, subject=row.round_id, cause=row.id, at=at)
    return row


def withdraw_objection(
    session: Session, ports: Ports, caller: Caller, *, objection_id: str, at: datetime
) -> ObjectionRow:
    """Take an objection back that was not answered; again is harmless.

    Raises:
        ForbiddenError: `auth.role`.  NotFoundError: `not_found`: no such objection, or another organisation's.
        ConflictError: `objection.decided`.
    """
    require_role(caller, Role.HANDLER)
    row = _locked(session, objection_id)
    require_visible(caller, row.organisation_id)
    if row.state == "withdrawn":
        return row
    _require_undecided(row)
    row.state, row.decided_by, row.decided_at = "withdrawn", caller.account_id, at
    body: dict[str, Json] = {"objection": row.id, "round": row.round_id}
    record(
        session, ports.vault, supply_entry("objection.withdrawn", row.id, caller, at=at, body=body)
    )
    others = _sides(session, queries.lines_of(session, row, limit=LINES_MAX))
    others -= {row.organisation_id}
    tell(session, others, kind=OBJECTION_WITHDRAWN, subject=row.round_id, cause=row.id, at=at)
    return row


def answer_objection(
    session: Session,
    ports: Ports,
    caller: Caller,
    *,
    objection_id: str,
    outcome: str,
    answer: str,
    at: datetime,
) -> ObjectionRow:
    """The operator's word, for good; the same word again is harmless.

    Upheld, the lines that it concerns and nobody declined before are released: need and goods are free for the
    next round.

    Raises:
        ForbiddenError: `auth.role`.  NotFoundError: `not_found`.
        InputError: `objection.outcome`, `objection.text`, `font.unprintable`.
        ConflictError: `objection.decided`.
    """
    require_role(caller, Role.OPERATOR)
    if outcome not in OUTCOMES:
        raise InputError("say dismissed or upheld", code="objection.outcome")
    words = _words(answer)
    row = _locked(session, objection_id)
    if row.state == outcome:
        return row
    _require_undecided(row)
    told = {row.organisation_id}
    if outcome == "upheld":
        lines = queries.locked_lines_of(session, row, limit=LINES_MAX)
        told |= _sides(session, lines)
        row.released = _release(session, ports, caller, lines, at=at)
    else:
        told |= _sides(session, queries.lines_of(session, row, limit=LINES_MAX))
    row.state, row.answer = outcome, words
    row.decided_by, row.decided_at = caller.account_id, at
    body: dict[str, Json] = {
        "objection": row.id,
        "round": row.round_id,
        "outcome": outcome,
        "answer": words,
        "released": row.released or 0,
    }
    record(
        session, ports.vault, supply_entry("objection.answered", row.id, caller, at=at, body=body)
    )
    kind = OBJECTION_UPHELD if outcome == "upheld" else OBJECTION_DISMISSED
    tell(session, told, kind=kind, subject=row.round_id, cause=row.id, at=at)
    return row


def _release(
    session: Session,
    ports: Ports,
    caller: Caller,
    lines: Sequence[AllocationRow],
    *,
    at: datetime,
) -> int:
    """Decline the lines that are still proposed, each with its entry; returns how many."""
    entries = []
    for line in lines:
        if line.state != "proposed":
            continue
        line.state, line.decided_by, line.decided_at = "declined", caller.account_id, at
        line.decline_reason = RELEASED
        body: dict[str, Json] = {
            "allocation": line.id,
            "by": caller.account_id,
            "reason": RELEASED,
        }
        entries.append(round_entry("allocation.declined", line.id, caller.account_id, at, body))
    if entries:
        append_many(session, ports.vault, entries)
    return len(entries)


def _sent_before(
    session: Session, caller: Caller, objection_id: str, fields: Mapping[str, Json]
) -> ObjectionRow | None:
    row = queries.objection_of(session, objection_id)
    if row is not None:
        require_visible(caller, row.organisation_id)
        require_same(row.fingerprint, fields, id=objection_id)
    return row


def _row(
    new: NewObjection,
    fields: Mapping[str, Json],
    *,
    organisation: str,
    actor: str,
    at: datetime,
) -> ObjectionRow:
    return ObjectionRow(
        id=new.id,
        round_id=new.round_id,
        organisation_id=organisation,
        reason=new.reason,
        subject=new.subject,
        statement=fields["statement"],
        state="open",
        answer=None,
        released=None,
        fingerprint=fingerprint(fields),
        created_by=actor,
        created_at=at,
        decided_by=None,
        decided_at=None,
    )


def _locked(session: Session, objection_id: str) -> ObjectionRow:
    row = queries.objection_of(session, objection_id, lock=True)
    if row is None:
        raise NotFoundError("there is no such record")
    return row


def _words(text: str) -> str:
    """The text with plain line ends; raises InputError `objection.text`, `font.unprintable`."""
    words = text.replace("\r\n", "\n").strip()
    if not 1 <= len(words) <= TEXT_CHARACTERS_MAX:
        raise InputError(
            f"say in at most {TEXT_CHARACTERS_MAX} characters what is wrong, or why it is answered so",
            code="objection.text",
            limit=TEXT_CHARACTERS_MAX,
        )
    require_no_hidden(words)
    return words


def _require_open(row: RoundRow | None, *, at: datetime) -> None:
    if row is None:
        raise NotFoundError("there is no such round", code="round.not_found")
    end = accept_from(row.summary)
    if end is None:
        raise ConflictError(
            "this round has no time for objections: it is not closed yet, decided an urgent need, or none was "
            "set when it was closed; tell the operator",
            code="objection.no_time",
        )
    if at >= end:
        raise _closed(end)


def _closed(end: datetime) -> ConflictError:
    ended = utc_text(end)
    return ConflictError(
        f"objections to this round were possible until {ended}: tell the operator, or decline the line",
        code="objection.closed",
        ended=ended,
    )


def _require_party(session: Session, new: NewObjection, organisation: str) -> None:
    """The organisation was in the round, and what it names is its own and in the round."""
    named = new.subject
    if named is None:
        if organisation not in concerned_in(session, new.round_id):
            raise ConflictError(
                "your organisation had no need and no offer in this round",
                code="objection.not_in_round",
            )
        return
    line, need = session.get(AllocationRow, named), session.get(NeedRow, named)
    offer = session.get(OfferRow, named)
    if line is not None and line.round_id == new.round_id:
        need = session.get_one(NeedRow, line.need_id)
        offer = session.get_one(OfferRow, line.offer_id)
    elif (need or offer) is None or named not in _in_round(session, new.round_id):
        raise NotFoundError("there is no such record")
    sides = set()
    if offer is not None:
        sides.add(offer.organisation_id)
    if need is not None:
        sides.add(session.get_one(HospitalRow, need.hospital_id).organisation_id)
    if organisation not in sides:
        raise NotFoundError("there is no such record")


def _in_round(session: Session, round_id: str) -> set[str]:
    """Ids of the needs and offers that the round looked at."""
    problem = load_document(session, round_id, "problem")
    found = {str(need["id"]) for need in problem["needs"]}
    # A day of capacity is a lot of its own: `offer.window`.
    return found | {str(lot["id"]).partition(".")[0] for lot in problem["lots"]}


def _require_room(session: Session, round_id: str, organisation: str) -> None:
    mine = {"round_id": round_id, "organisation_id": organisation}
    if queries.count_objections(session, **mine, state="open"):
        raise ConflictError(
            "your organisation's objection to this round is not answered yet: wait, or withdraw it first",
            code="objection.open_before",
        )
    if queries.count_objections(session, **mine) >= PER_ROUND_MAX:
        raise LimitError(
            f"at most {PER_ROUND_MAX} objections of one organisation to one round: tell the operator",
            code="objection.too_many",
            limit=PER_ROUND_MAX,
        )


def _require_none_accepted(
    session: Session, row: ObjectionRow, lines: Sequence[AllocationRow]
) -> None:
    if len(lines) > LINES_MAX:
        raise LimitError(
            f"this concerns more than {LINES_MAX} lines: name the line, need or offer that it is about",
            code="objection.lines",
            limit=LINES_MAX,
        )
    if any(line.state == "accepted" for line in lines):
        # The time ended while this request was on its way, and a donor was faster.
        end = accept_from(session.get_one(RoundRow, row.round_id).summary)
        assert end is not None
        raise _closed(end)


def _require_undecided(row: ObjectionRow) -> None:
    if row.state != "open":
        raise ConflictError(
            "this objection was answered or withdrawn, for good", code="objection.decided"
        )


def _sides(session: Session, lines: Sequence[AllocationRow]) -> set[str]:
    """Registered organisations that give or receive these lines."""
    ids = [line.id for line in lines]
    found: set[str] = set()
    for first in range(0, len(ids), IDS_MAX):
        found |= queries.organisations_of_lines(session, ids[first : first + IDS_MAX])
    return found
