"""An urgent need, decided at once on the living market, against supply that nobody holds.

The need enters the living plan of its item class; what the optimum over all open needs gives it is proposed
to the donors, like a round's lines. So nobody jumps a queue: the certificate proves that no better plan for the
whole class existed at that moment. Everything is one transaction: need, problem, plan, certificate, lines,
entries, state. What is not given, or not accepted in time, the next scheduled round takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_organisation, require_role, require_visible
from api.flows.live_market import Standing, follow, reopen, settle
from api.flows.parties import authorisation_of
from api.flows.round_acts import expect_record
from api.flows.round_notices import URGENT_LINE, tell_donors
from api.flows.round_records import (
    Decided,
    allocation_lines,
    opened_row,
    round_entry,
    store_closed,
    store_opened,
)
from api.flows.supply import NewNeed, post_need
from api.flows.supply_rules import require_no_round, require_reason
from api.flows.urgent_lapsing import lapse_urgent
from api.flows.urgent_policy import UrgentPolicy, urgent_policy
from api.ports import Ports
from ledger.core.canonical import Json
from ledger.core.errors import (
    ConflictError,
    ExistsWithDifferentFieldError,
    ForbiddenError,
    InputError,
    NotFoundError,
)
from ledger.core.ids import derived_id
from ledger.log import NewEntry, append_many
from ledger.queries import live as queries
from ledger.queries import parties as party_queries
from ledger.store import transaction
from ledger.tables.live import UrgentNeedRow
from ledger.tables.supply import HospitalRow, NeedRow
from matching.candidates import judge_pairs
from matching.check import check_plan
from matching.explain import Explanation, explain_rows
from matching.services import published_catalogue

ATTEMPTS: Final = 2
"""A living plan that the checker does not accept is thrown away and solved cold, once."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class NewUrgentNeed:
    """An urgent need to post: a need, and why it cannot wait. Its tier is the policy's."""

    need: NewNeed
    reason: str


def post_urgent_need(
    ports: Ports, caller: Caller, new: NewUrgentNeed, *, at: datetime, as_of: date | None = None
) -> UrgentNeedRow:
    """Post a need, decide it now, and return the decision; the same request again returns the same one.

    Owns its transaction: the living market is held for as long as it takes.

    Args:
        as_of: the day it is decided on; None = the day of `at`. Historic data sets live in their own time.

    Raises:
        ForbiddenError: `auth.role`, `auth.no_organisation`, `urgent.not_authorised`.
        NotFoundError: `not_found`: no such hospital, or another organisation's.
        InputError: `id.malformed`, `supply.reason`, `urgent.deadline_far`, and the codes of `post_need`.
        ExistsWithDifferentFieldError: same id, other body.
        ConflictError: `urgent.day_limit`, `urgent.posted_before`, `round.in_progress`.
        LimitError: `matching.too_large`, `matching.weights_overflow`.
        VerificationError: the first failed check of `check_plan`; nothing is stored then.
    """
    require_role(caller, Role.HANDLER)
    day, rule = as_of or at.date(), urgent_policy(ports.settings)
    need = replace(new.need, tier=rule.tier)
    with ports.live.lock:
        with transaction(ports.sessions) as session:
            queries.lock_market(session)
            existing = session.get(UrgentNeedRow, need.id)
            if existing is not None:
                return _same(session, ports, caller, existing, new, need, at=at, as_of=day)
            letter = _require_marker(session, caller, rule, at=at)
            _require_sensible(session, new, rule, day=day)
            require_no_round(session)
            lapse_urgent(session, ports, at=at)
            row = post_need(session, ports, caller, need, at=at, as_of=day)
            number = _require_left(session, row.hospital_id, rule, day=day)
            standing, decided, served, entries = _decide(
                session, ports, row, caller, day=day, at=at
            )
            urgent = UrgentNeedRow(
                need_id=row.id,
                hospital_id=row.hospital_id,
                round_id=_round_id(row, at=at),
                day=day,
                number=number,
                marked_by=caller.account_id,
                authorisation_id=letter,
                policy_sha256=rule.digest(),
                reason=new.reason,
                served=served,
                outcome=_outcome(decided, row.id),
                entry_id=derived_id("ent", at=at, seed=f"need.urgent|{row.id}"),
                accept_until=at + timedelta(hours=rule.accept_hours),
                lapsed_at=None if served else at,
                created_at=at,
            )
            session.add(urgent)
            body = _body(urgent, rule)
            entries.append(round_entry("need.urgent", row.id, caller.account_id, at, body))
            # All at once: the journal is read and locked once for the whole decision.
            append_many(session, ports.vault, entries)
        # A crash here loses only what this process holds in memory; the next decision reads the stored state.
        settle(ports.live, standing)
    return urgent


def urgent_decision(session: Session, caller: Caller, *, need_id: str) -> UrgentNeedRow:
    """The decision on an urgent need, for the hospital's organisation and operators.

    Raises:
        NotFoundError: `not_found`.
    """
    row = session.get(UrgentNeedRow, need_id)
    if row is None:
        raise NotFoundError("there is no such record")
    require_visible(caller, session.get_one(HospitalRow, row.hospital_id).organisation_id)
    return row


def urgent_left(session: Session, ports: Ports, *, hospital_id: str, day: date) -> int:
    """How many needs this hospital may still mark urgent on this day."""
    used = queries.urgent_count(session, hospital_id=hospital_id, day=day)
    return max(0, urgent_policy(ports.settings).per_hospital_day - used)


def _same(
    session: Session,
    ports: Ports,
    caller: Caller,
    existing: UrgentNeedRow,
    new: NewUrgentNeed,
    need: NewNeed,
    *,
    at: datetime,
    as_of: date,
) -> UrgentNeedRow:
    # Visible, and the same in every field of the need: `post_need` says so or refuses.
    post_need(session, ports, caller, need, at=at, as_of=as_of)
    if existing.reason != new.reason:
        raise ExistsWithDifferentFieldError(
            f"{need.id} was sent before with a different reason", field="reason", id=need.id
        )
    return existing


def _require_marker(session: Session, caller: Caller, rule: UrgentPolicy, *, at: datetime) -> str:
    """The id of an authorisation that covers the rule's matter and power."""
    organisation = require_organisation(caller)
    letters = party_queries.authorisations_of(
        session, organisation_id=organisation, person_id=caller.person_id or ""
    )
    for letter in letters:
        value = authorisation_of(letter)
        ended = value.revoked_at is not None and at >= value.revoked_at
        covers = rule.matter in value.matters and rule.power in value.powers
        if covers and not ended and value.valid_from <= at < value.valid_to:
            return letter.id
    raise ForbiddenError(
        "your organisation has not authorised you to ask for goods at once: it must give you the matter and "
        "the power named here",
        code="urgent.not_authorised",
        matter=rule.matter,
        power=rule.power,
    )


def _require_sensible(
    session: Session, new: NewUrgentNeed, rule: UrgentPolicy, *, day: date
) -> None:
    if session.get(NeedRow, new.need.id) is not None:
        raise ConflictError(
            "this need was posted as an ordinary one and waits for the next round: withdraw it, or post the "
            "urgent part under a new id",
            code="urgent.posted_before",
        )
    require_reason(new.reason)
    if new.need.deadline_on > day + timedelta(days=rule.deadline_days_max):
        raise InputError(
            f"an urgent need is due within {rule.deadline_days_max} days: post it as an ordinary need",
            code="urgent.deadline_far",
            limit=rule.deadline_days_max,
        )


def _require_left(session: Session, hospital_id: str, rule: UrgentPolicy, *, day: date) -> int:
    """Which urgent need of the hospital's day this is, 1-based."""
    number = queries.urgent_count(session, hospital_id=hospital_id, day=day) + 1
    if number > rule.per_hospital_day:
        raise ConflictError(
            f"this hospital has marked {rule.per_hospital_day} needs urgent today: post this one as an "
            "ordinary critical need, the next round takes it",
            code="urgent.day_limit",
            limit=rule.per_hospital_day,
        )
    return number


def _decide(
    session: Session, ports: Ports, row: NeedRow, caller: Caller, *, day: date, at: datetime
) -> tuple[Standing, Decided, int, list[NewEntry]]:
    """(the class with the need in it, what was decided, pieces given, entries to record).

    A round of one class is stored.
    """
    item_class = published_catalogue().item(row.item).item_class
    standing = follow(session, ports.live, item_class, day=day, at=at)
    for attempt in range(ATTEMPTS):
        problem, plan, certificate = standing.solution()
        judged = judge_pairs(problem)
        # The pairs were judged here and not by the living plan: the checker takes nothing from its side.
        report = check_plan(problem, plan, certificate, candidates=judged)
        if report.verdict.value == "passed" or attempt == ATTEMPTS - 1:
            break
        log.error("live.plan_rejected", item_class=item_class, version=standing.version)
        standing = reopen(session, item_class, day=day, at=at)
    report.require()
    round_id = _round_id(row, at=at)
    lines = allocation_lines(problem, plan, judged, round_id=round_id, at=at, needs=(row.id,))
    told = explain_rows(
        problem,
        plan,
        certificate,
        candidates=judged,
        needs={row.id},
        lots={flow.lot for flow in plan.flows if flow.need == row.id},
    )
    decided = Decided(problem, plan, certificate, report, _about(told, row.id))
    entries = _store(
        session, ports, decided, lines, round_id=round_id, actor=caller.account_id, at=at
    )
    return standing, decided, sum(line.quantity for line in lines), entries


def _store(
    session: Session,
    ports: Ports,
    decided: Decided,
    lines: Sequence[Any],
    *,
    round_id: str,
    actor: str,
    at: datetime,
) -> list[NewEntry]:
    made = opened_row(decided.problem, round_id=round_id, actor=actor, at=at)
    made.state = "closed"  # never seen opened: the index allows one scheduled round beside it
    session.add(made)
    session.flush()
    expect_record(session, ports, made, at=at)
    opened = store_opened(session, made, decided.problem, actor=actor, at=at)
    entries = [opened, *store_closed(session, made, decided, lines, actor=actor, at=at)]
    tell_donors(session, lines, round_id=round_id, kind=URGENT_LINE, at=at)
    return entries


def _about(told: Explanation, need_id: str) -> Explanation:
    """Of the lots only what went to this need: the other lines of the plan are not decided here."""
    lots = tuple(
        replace(one, lines=tuple(line for line in one.lines if line.need == need_id))
        for one in told.lots
    )
    return replace(told, lots=lots)


def _outcome(decided: Decided, need_id: str) -> dict[str, Any]:
    (one,) = decided.explanation.needs
    assert one.need == need_id
    return {
        "state": one.state.value,
        "reason": one.reason,
        "nearest_lot": one.nearest_lot,
        "against": dict(one.against),
        "claim": one.claim,
    }


def _round_id(row: NeedRow, *, at: datetime) -> str:
    return derived_id("rnd", at=at, seed=f"urgent|{row.id}")


def _body(urgent: UrgentNeedRow, rule: UrgentPolicy) -> dict[str, Json]:
    return {
        "need": urgent.need_id,
        "hospital": urgent.hospital_id,
        "round": urgent.round_id,
        "by": urgent.marked_by,
        "authorisation": urgent.authorisation_id,
        "day": urgent.day.isoformat(),
        "number": urgent.number,
        "limit": rule.per_hospital_day,
        "urgent_policy_sha256": urgent.policy_sha256,
        "reason": urgent.reason,
        "served": urgent.served,
        "accept_hours": rule.accept_hours,
    }
