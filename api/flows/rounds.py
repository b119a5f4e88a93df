"""Matching rounds: open (commit inputs and policy), solve and close, accept or decline the lines.

Opening is a transaction of its own, so that inputs and policy stand in the log before anything is solved.
Solving runs outside any transaction; a crash there leaves the round opened, and the next run solves the
stored problem again. Closing is one transaction: plan, certificate, report and every proposed line, or nothing.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, TypeAlias

from sqlalchemy.orm import Session

from api.callers import Caller, Role, require_role, require_visible
from api.flows.round_acts import commit_round
from api.flows.round_outcomes import hospital_classes, outcomes_document
from api.flows.supply import REASON_CHARACTERS_MAX, place_of
from api.ports import Ports
from ledger.core.canonical import Json, canonical_bytes
from ledger.core.errors import ConflictError, InputError, LimitError, NotFoundError
from ledger.core.ids import derived_id, require_id
from ledger.core.report import Report
from ledger.log import NewEntry, record, record_many
from ledger.queries import supply as queries
from ledger.store import transaction
from ledger.tables.supply import (
    AllocationRow,
    HospitalRow,
    NeedRow,
    OfferRow,
    RoundDocumentRow,
    RoundRow,
)
from matching.candidates import Candidates, judge_pairs
from matching.catalogue import Catalogue, load_catalogue, to_day
from matching.check import check_plan
from matching.explain import Explanation, explain
from matching.problem import (
    LOTS_MAX,
    NEEDS_MAX,
    Lane,
    Lot,
    Need,
    Place,
    Policy,
    Problem,
    make_problem,
    problem_from_json,
)
from matching.shared_capacity import solve_limited
from matching.solve import Solution

DOCUMENT_BYTES_MAX: Final = 256 * 1024 * 1024
"""A stored document, unpacked: a round of 20 000 needs takes a tenth of this."""

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
        existing = session.get(RoundRow, round_id)
        if existing is not None:
            return _summary(session, existing)
        if queries.open_round(session) is not None:
            raise ConflictError("another round is open: close it first", code="round.another_open")
        problem = _collect(session, round_id, day=day, policy=rule)
        if not problem.needs or not problem.lots:
            raise ConflictError(
                "there are no open needs or no offers on this day", code="round.nothing_to_match"
            )
        row = RoundRow(
            id=round_id,
            state="opened",
            as_of=day,
            needs=len(problem.needs),
            lots=len(problem.lots),
            policy=f"{rule.id} v{rule.version}",
            policy_sha256=rule.digest().hex(),
            inputs_sha256=problem.digest().hex(),
            plan_sha256=None,
            certificate_sha256=None,
            summary=None,
            report=None,
            created_by=caller.account_id,
            opened_at=at,
            closed_at=None,
        )
        session.add(row)
        session.flush()
        session.add(_document(round_id, "problem", problem.as_json()))
        body: dict[str, Json] = {
            "round": round_id,
            "inputs_sha256": row.inputs_sha256,
            "policy_sha256": row.policy_sha256,
            "needs": row.needs,
            "offers": row.lots,
        }
        record(session, ports.vault, _entry("round.opened", row.id, caller.account_id, at, body))
        commit_round(session, ports, row, actor=caller.account_id, at=at)
        return _summary(session, row)


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
        problem = problem_from_json(_load(session, round_id, "problem"))
        assert problem.digest().hex() == row.inputs_sha256, (
            "stored problem is not the committed one"
        )
        classes = hospital_classes(session, problem)
    tell = progress or _silent
    candidates = judge_pairs(problem)
    tell("round.pairs", 1, 4)
    solution = solve_limited(problem, candidates=candidates)
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
            _close(
                session,
                ports,
                row,
                problem,
                solution,
                report,
                explanation,
                caller=caller,
                at=at,
            )
        tell("round.recorded", 4, 4)
        return _summary(session, row)


def accept_allocation(
    session: Session, ports: Ports, caller: Caller, *, allocation_id: str, at: datetime
) -> AllocationRow:
    """The donor's side accepts a proposed line; again is harmless.

    Raises:
        ForbiddenError: `auth.role`.
        NotFoundError: `not_found`: no such line, or another organisation's offer.
        ConflictError: `allocation.declined`.
    """
    row = _decidable(session, caller, allocation_id)
    if row.state == "declined":
        raise ConflictError("this line was declined", code="allocation.declined")
    if row.state == "proposed":
        row.state, row.decided_by, row.decided_at = "accepted", caller.account_id, at
        body: dict[str, Json] = {"allocation": row.id, "by": caller.account_id}
        record(
            session,
            ports.vault,
            _entry("allocation.accepted", row.id, caller.account_id, at, body),
        )
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
            _entry("allocation.declined", row.id, caller.account_id, at, body),
        )
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
    return _load(session, round_id, name)


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
    for row in _load(session, round_id, "outcomes")["needs"]:
        if row["need"] == need_id:
            found: Mapping[str, Any] = row
            return found
    raise NotFoundError("there is no such record")


def _collect(session: Session, round_id: str, *, day: date, policy: Policy) -> Problem:
    catalogue = load_catalogue()
    return make_problem(
        round_id,
        day=to_day(day),
        needs=_needs(session, day=day),
        lots=_lots(session, catalogue=catalogue, day=day),
        lanes=_lanes(session),
        policy=policy,
        catalogue=catalogue,
    )


def _needs(session: Session, *, day: date) -> list[Need]:
    needs: list[Need] = []
    after = ""
    while rows := queries.round_needs_page(session, as_of=day, after=after, limit=queries.IDS_MAX):
        held = queries.held_of_needs(session, [need.id for need, _ in rows])
        for need, hospital in rows:
            left = need.quantity - held.get(need.id, 0)
            if left > 0:
                needs.append(_need(need, hospital, quantity=left))
        if len(needs) > NEEDS_MAX:
            raise LimitError(
                f"a round takes at most {NEEDS_MAX} needs",
                code="matching.too_large",
                limit=NEEDS_MAX,
            )
        after = rows[-1][0].id
    return needs


def _need(row: NeedRow, hospital: HospitalRow, *, quantity: int) -> Need:
    return Need(
        id=row.id,
        hospital=hospital.id,
        items=tuple(row.items),
        quantity=quantity,
        tier=row.tier,
        deadline_day=to_day(row.deadline_on),
        place=place_of(hospital),
        standard=row.standard,
        edition=row.edition,
        certificate_min=row.certificate_min,
        sterile=row.sterile,
        remaining_days_min=row.remaining_days_min,
        accepts_substitutes=row.accepts_substitutes,
    )


def _lots(session: Session, *, catalogue: Catalogue, day: date) -> list[Lot]:
    lots: list[Lot] = []
    after = ""
    while rows := queries.offers_page(session, after=after, limit=queries.IDS_MAX):
        held = queries.held_of_offers(session, [row.id for row in rows])
        for row in rows:
            for window in range(row.windows):
                left = row.quantity - held.get((row.id, window), 0)
                lot = _lot(row, window=window, quantity=left, catalogue=catalogue)
                # Goods past expiry on the round's day and windows already gone are no supply.
                gone = lot.expires_day is not None and lot.expires_day <= to_day(day)
                past = row.kind == "capacity" and lot.available_day < to_day(day)
                if left > 0 and not gone and not past:
                    lots.append(lot)
        if len(lots) > LOTS_MAX:
            raise LimitError(
                f"a round takes at most {LOTS_MAX} lots", code="matching.too_large", limit=LOTS_MAX
            )
        after = rows[-1].id
    return lots


def _lot(row: OfferRow, *, window: int, quantity: int, catalogue: Catalogue) -> Lot:
    available = to_day(row.available_on) + window
    produced = available if row.produced_on is None else to_day(row.produced_on)
    expires = None if row.expires_on is None else to_day(row.expires_on)
    life = catalogue.item(row.item).shelf_days
    if row.kind == "capacity" and expires is None and life is not None:
        expires = produced + life
    return Lot(
        id=lot_id(row, window=window),
        donor=row.organisation_id or row.donor_name,
        donor_kind=row.donor_kind,
        item=row.item,
        quantity=quantity,
        place=place_of(row),
        available_day=available,
        produced_day=produced,
        expires_day=expires,
        standard=row.standard,
        edition=row.edition,
        certificate=row.certificate,
        sterile=row.sterile,
        directed_to=tuple(sorted(row.directed_to)),
        related_to=tuple(sorted(row.related_to)),
        frozen=row.frozen,
    )


def lot_id(row: OfferRow, *, window: int) -> str:
    """Id of a lot in a problem: the offer's, and for a capacity its window."""
    return row.id if row.kind == "lot" else f"{row.id}.{window:03d}"


def _lanes(session: Session) -> list[Lane]:
    return [
        Lane(
            row.id,
            row.origin,
            Place(row.province, row.city, row.longitude_micro, row.latitude_micro),
            row.individuals,
        )
        for row in queries.lanes_page(session)
    ]


def _close(
    session: Session,
    ports: Ports,
    row: RoundRow,
    problem: Problem,
    solution: Solution,
    report: Report,
    explanation: Explanation,
    *,
    caller: Caller,
    at: datetime,
) -> None:
    plan, certificate = solution.plan, solution.certificate
    row.plan_sha256 = plan.digest().hex()
    row.certificate_sha256 = certificate.digest().hex()
    row.summary = {
        **explanation.summary,
        "objective": plan.objective.as_json(),
        "solver": plan.solver,
    }
    row.report = report.as_json()
    row.state, row.closed_at = "closed", at
    outcomes = outcomes_document(explanation, segments=problem.policy.segments)
    session.add_all(
        [
            _document(row.id, "plan", plan.as_json()),
            _document(row.id, "certificate", certificate.as_json()),
            _document(row.id, "outcomes", outcomes),
        ]
    )
    allocations = _allocations(problem, solution, solution.candidates, round_id=row.id, at=at)
    session.add_all(allocations)
    session.flush()
    body: dict[str, Json] = {
        "round": row.id,
        "plan_sha256": row.plan_sha256,
        "certificate_sha256": row.certificate_sha256,
        "objective": plan.objective.as_json(),
        "checker": report.verdict.value,
        "unserved": list(plan.objective.unserved_by_tier),
    }
    entries = [_entry("round.closed", row.id, caller.account_id, at, body)]
    entries += [_proposed(line, caller=caller, at=at) for line in allocations]
    record_many(session, ports.vault, entries)


def _allocations(
    problem: Problem, solution: Solution, judged: Candidates, *, round_id: str, at: datetime
) -> list[AllocationRow]:
    rows = {need.id: number for number, need in enumerate(problem.needs)}
    columns = {lot.id: number for number, lot in enumerate(problem.lots)}
    lines: list[AllocationRow] = []
    for flow in solution.plan.flows:
        need, lot = problem.needs[rows[flow.need]], problem.lots[columns[flow.lot]]
        offer, _, window = flow.lot.partition(".")
        lines.append(
            AllocationRow(
                id=derived_id("alloc", at=at, seed=f"{round_id}|{flow.need}|{flow.lot}"),
                round_id=round_id,
                need_id=flow.need,
                offer_id=offer,
                window=int(window or 0),
                quantity=flow.quantity,
                km=int(judged.km[rows[flow.need], columns[flow.lot]]),
                substitute=lot.item not in need.items,
                state="proposed",
                decided_by=None,
                decided_at=None,
                decline_reason=None,
                created_at=at,
            )
        )
    return lines


def _proposed(line: AllocationRow, *, caller: Caller, at: datetime) -> NewEntry:
    body: dict[str, Json] = {
        "round": line.round_id,
        "allocation": line.id,
        "offer": line.offer_id,
        "window": line.window,
        "need": line.need_id,
        "quantity": line.quantity,
    }
    return _entry("allocation.proposed", line.id, caller.account_id, at, body)


def _decidable(session: Session, caller: Caller, allocation_id: str) -> AllocationRow:
    require_role(caller, Role.HANDLER, Role.OPERATOR)
    row = session.get(AllocationRow, allocation_id, with_for_update=True)
    if row is None:
        raise NotFoundError("there is no such record")
    require_visible(caller, session.get_one(OfferRow, row.offer_id).organisation_id)
    return row


def _document(round_id: str, name: str, value: Mapping[str, Json]) -> RoundDocumentRow:
    data = canonical_bytes(value)
    return RoundDocumentRow(
        round_id=round_id, name=name, size=len(data), data=zlib.compress(data, 6)
    )


def _load(session: Session, round_id: str, name: str) -> Mapping[str, Any]:
    row = queries.round_document(session, round_id=round_id, name=name)
    if row is None:
        raise NotFoundError("there is no such document", code="round.document_not_found")
    assert row.size <= DOCUMENT_BYTES_MAX
    data = zlib.decompressobj().decompress(row.data, row.size)
    assert len(data) == row.size, "stored document is damaged"
    value: Mapping[str, Any] = json.loads(data)
    return value


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


def _entry(kind: str, subject: str, actor: str, at: datetime, body: Mapping[str, Json]) -> NewEntry:
    return NewEntry(
        id=derived_id("ent", at=at, seed=f"{kind}|{subject}"),
        type=kind,
        at=at,
        subject=subject,
        actor=actor,
        body=body,
    )


def _silent(stage: str, done: int, total: int) -> None:
    del stage, done, total
