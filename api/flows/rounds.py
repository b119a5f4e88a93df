"""Matching rounds: open (commit inputs and policy), solve and close, accept or decline the lines.

Opening is a transaction of its own, so that inputs and policy stand in the log before anything is solved.
Solving runs outside any transaction; a crash there leaves the round opened, and the next run solves the
stored problem again. Closing is one transaction: plan, certificate, report and every proposed line, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, TypeAlias

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_role, require_visible
from api.flows.related_rules import require_unrelated
from api.flows.round_acts import commit_round, expect_record, expect_result
from api.flows.round_inputs import collect
from api.flows.round_notices import ACCEPTED, DECLINED, LINE, tell_donors, tell_hospital
from api.flows.round_objections import keep_open_to_objections, require_heard
from api.flows.round_outcomes import hospital_classes
from api.flows.round_records import (
    Decided,
    allocation_lines,
    load_document,
    opened_row,
    record_closed,
    record_opened,
    round_entry,
)
from api.flows.supply_rules import REASON_CHARACTERS_MAX
from api.flows.urgent_lapsing import lapse_urgent
from api.ports import Ports
from ledger.core.canonical import Json
from ledger.core.errors import ConflictError, InputError, NotFoundError
from ledger.core.ids import require_id
from ledger.log import record
from ledger.queries import supply as queries
from ledger.queries.live import lock_market
from ledger.store import transaction
from ledger.tables.supply import (
    AllocationRow,
    HospitalRow,
    NeedRow,
    OfferRow,
    RoundRow,
)
from matching.candidates import judge_pairs
from matching.check import check_plan
from matching.explain import explain
from matching.problem import (
    Policy,
    problem_from_json,
)
from matching.shared_capacity import solve_limited

SOLVE_SECONDS: Final = 900.0
"""The largest round takes some minutes of a core; past this its plan is the best so far, with its gap."""
Progress: TypeAlias = Callable[[str, int, int], None]
"""(stage, done, total)."""


@dataclass(frozen=True, slots=True)
class RoundSummary:
    """A round for pages and the command line; `summary` and `report` are None until it is closed."""

    id: str
    state: str
    as_of: date
    needs: int
    lots: int
    policy: str
    policy_sha256: str
    inputs_sha256: str
    plan_sha256: str | None
    certificate_sha256: str | None
    allocations: int
    summary: Mapping[str, Any] | None
    report: Mapping[str, Any] | None
    opened_at: datetime
    closed_at: datetime | None


def open_round(
    ports: Ports,
    caller: Caller,
    *,
    round_id: str,
    at: datetime,
    as_of: date | None = None,
    policy: Policy | None = None,
) -> RoundSummary:
    """Collect the inputs and commit to them and to the policy, before solving.

    Args:
        round_id: `rnd_…`, made by the caller; the same id again returns the same round.
        as_of: the day the round is held; None = the day of `at`.

    Raises:
        ForbiddenError: `auth.role`.
        InputError: `id.malformed`, and the codes of `make_problem`.
        LimitError: `matching.too_large`.
        ConflictError: `round.another_open`, `round.nothing_to_match`.
    """
    require_role(caller, Role.OPERATOR)
    require_id(round_id, prefix="rnd")
    day = as_of or at.date()
    rule = policy or Policy()
    with transaction(ports.sessions) as session:
        # Nobody decides an urgent need on supply that this round is about to commit to.
        lock_market(session)
        existing = session.get(RoundRow, round_id)
        if existing is not None:
            return _summary(session, existing)
        if queries.open_round(session) is not None:
            raise ConflictError("another round is open: close it first", code="round.another_open")
        # What donors left open of urgent needs is free for this round.
        lapse_urgent(session, ports, at=at)
        problem = collect(session, round_id, day=day, policy=rule)
        if not problem.needs or not problem.lots:
            raise ConflictError(
                "there are no open needs or no offers on this day", code="round.nothing_to_match"
            )
        row = opened_row(problem, round_id=round_id, actor=caller.account_id, at=at)
        session.add(row)
        session.flush()
        record_opened(session, ports, row, problem, actor=caller.account_id, at=at)
        expect_record(session, ports, row, at=at)
        opened = _summary(session, row)
    # The market is free again: writing the round out for the chain holds up nobody.
    commit_round(ports, round_id=round_id, at=at)
    return opened


def solve_and_close_round(
    ports: Ports,
    caller: Caller,
    *,
    round_id: str,
    at: datetime,
    progress: Progress | None = None,
) -> RoundSummary:
    """Solve the committed problem, have the checker accept the plan, and record it; again is harmless.

    Raises:
        ForbiddenError: `auth.role`.
        NotFoundError: `round.not_found`.
        LimitError: `matching.too_large`, `matching.weights_overflow`.
        VerificationError: the first failed check of `check_plan`; nothing is stored then.
    """
    require_role(caller, Role.OPERATOR)
    with transaction(ports.readers) as session:
        row = session.get(RoundRow, round_id)
        if row is None:
            raise NotFoundError("there is no such round", code="round.not_found")
        if row.state == "closed":
            return _summary(session, row)
        problem = problem_from_json(load_document(session, round_id, "problem"))
        assert problem.digest().hex() == row.inputs_sha256, (
            "stored problem is not the committed one"
        )
        classes = hospital_classes(session, problem)
    commit_round(ports, round_id=round_id, at=at)
    tell = progress or _silent
    candidates = judge_pairs(problem)
    tell("round.pairs", 1, 4)
    solution = solve_limited(problem, candidates=candidates, seconds=SOLVE_SECONDS)
    tell("round.solved", 2, 4)
    # The checker judges every pair again by itself: it takes nothing from the solver's side.
    report = check_plan(problem, solution.plan, solution.certificate)
    report.require()
    explanation = explain(
        problem, solution.plan, solution.certificate, candidates=candidates, classes=classes
    )
    tell("round.checked", 3, 4)
    with transaction(ports.sessions) as session:
        row = session.get_one(RoundRow, round_id, with_for_update=True)
        if row.state != "closed":
            lines = allocation_lines(
                problem, solution.plan, solution.candidates, round_id=row.id, at=at
            )
            record_closed(
                session,
                ports,
                row,
                Decided(problem, solution.plan, solution.certificate, report, explanation),
                lines,
                actor=caller.account_id,
                at=at,
            )
            keep_open_to_objections(row, ports.settings, at=at)
            tell_donors(session, lines, round_id=row.id, kind=LINE, at=at)
            expect_result(session, row.id, at=at)
        tell("round.recorded", 4, 4)
        return _summary(session, row)


def accept_allocation(
    session: Session, ports: Ports, caller: Caller, *, allocation_id: str, at: datetime
) -> AllocationRow:
    """The donor's side accepts a proposed line; again is harmless.

    Raises:
        ForbiddenError: `auth.role`.
        NotFoundError: `not_found`: no such line, or another organisation's offer.
        ConflictError: `allocation.declined`, `allocation.objections_open`, `allocation.objected`,
            `allocation.round_struck`, `allocation.related_parties`.
    """
    row = _decidable(session, caller, allocation_id)
    if row.state == "declined":
        raise ConflictError("this line was declined", code="allocation.declined")
    if row.state == "proposed":
        require_heard(session, row, at=at)
        require_unrelated(session, row, on=at.date())
        row.state, row.decided_by, row.decided_at = "accepted", caller.account_id, at
        body: dict[str, Json] = {"allocation": row.id, "by": caller.account_id}
        record(
            session,
            ports.vault,
            round_entry("allocation.accepted", row.id, caller.account_id, at, body),
        )
        tell_hospital(session, row, kind=ACCEPTED, at=at)
    return row


def decline_allocation(
    session: Session,
    ports: Ports,
    caller: Caller,
    *,
    allocation_id: str,
    reason: str,
    at: datetime,
) -> AllocationRow:
    """The donor's side declines a proposed line; its units are free for the next round.

    Raises:
        ForbiddenError: `auth.role`.
        NotFoundError: `not_found`.
        InputError: `supply.reason`.
        ConflictError: `allocation.accepted`.
    """
    row = _decidable(session, caller, allocation_id)
    if row.state == "accepted":
        raise ConflictError("this line was accepted", code="allocation.accepted")
    if row.state == "proposed":
        if not 1 <= len(reason.strip()) <= REASON_CHARACTERS_MAX:
            raise InputError("say why", code="supply.reason", limit=REASON_CHARACTERS_MAX)
        row.state, row.decided_by, row.decided_at = "declined", caller.account_id, at
        row.decline_reason = reason
        body: dict[str, Json] = {
            "allocation": row.id,
            "by": caller.account_id,
            "reason": reason,
        }
        record(
            session,
            ports.vault,
            round_entry("allocation.declined", row.id, caller.account_id, at, body),
        )
        tell_hospital(session, row, kind=DECLINED, at=at)
    return row


def round_summary(session: Session, *, round_id: str) -> RoundSummary:
    """The round, for anyone: figures only.

    Raises:
        NotFoundError: `round.not_found`.
    """
    row = session.get(RoundRow, round_id)
    if row is None:
        raise NotFoundError("there is no such round", code="round.not_found")
    return _summary(session, row)


def round_document(session: Session, *, round_id: str, name: str) -> Mapping[str, Any]:
    """The problem, plan, certificate or outcomes of a round as JSON.

    The problem holds donors' names and places: routes give it to operators only; a party proves its own line
    with `need_outcome` and its receipt.

    Raises:
        NotFoundError: `round.document_not_found`.
    """
    return load_document(session, round_id, name)


def need_outcome(
    session: Session, caller: Caller, *, round_id: str, need_id: str
) -> Mapping[str, Any]:
    """Why this need was filled, in part or not, in this round.

    Raises:
        NotFoundError: `not_found`: not in the round, or another organisation's.
    """
    need = session.get(NeedRow, need_id)
    if need is None:
        raise NotFoundError("there is no such record")
    require_visible(caller, session.get_one(HospitalRow, need.hospital_id).organisation_id)
    for row in load_document(session, round_id, "outcomes")["needs"]:
        if row["need"] == need_id:
            found: Mapping[str, Any] = row
            return found
    raise NotFoundError("there is no such record")


def _decidable(session: Session, caller: Caller, allocation_id: str) -> AllocationRow:
    require_role(caller, Role.HANDLER, Role.OPERATOR)
    row = session.get(AllocationRow, allocation_id, with_for_update=True)
    if row is None:
        raise NotFoundError("there is no such record")
    require_visible(caller, session.get_one(OfferRow, row.offer_id).organisation_id)
    return row


def _summary(session: Session, row: RoundRow) -> RoundSummary:
    return RoundSummary(
        id=row.id,
        state=row.state,
        as_of=row.as_of,
        needs=row.needs,
        lots=row.lots,
        policy=row.policy,
        policy_sha256=row.policy_sha256,
        inputs_sha256=row.inputs_sha256,
        plan_sha256=row.plan_sha256,
        certificate_sha256=row.certificate_sha256,
        allocations=queries.count_allocations(session, round_id=row.id),
        summary=row.summary,
        report=row.report,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
    )


def _silent(stage: str, done: int, total: int) -> None:
    del stage, done, total
