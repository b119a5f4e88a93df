"""What a round of this moment would be if something were different: solved, proven, recorded nowhere.

Only read sessions are used. Classes never compete, so a question about goods solves the classes it names; one
about the policy solves all. Both plans, as it is and as it would be, are accepted by the checker; where the
time is over first, the answer says by how much at most it could be better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from api.callers import Caller, Role, require_role
from api.flows.live_market import items_of
from api.flows.round_inputs import collect
from api.ports import Ports
from ledger.core.errors import InputError, LimitError, NotFoundError, UnavailableError
from ledger.core.report import Verdict
from ledger.queries import supply as queries
from ledger.store import transaction
from ledger.tables.supply import HospitalRow
from matching.catalogue import Catalogue
from matching.check import check_plan
from matching.incremental.what_if import changed_lines
from matching.plan import Certificate, Plan, Price
from matching.problem import (
    TIERS,
    Lot,
    Need,
    Place,
    Policy,
    Problem,
    make_problem,
    require_quantity,
)
from matching.services import published_catalogue
from matching.shared_capacity import solve_limited

PARTS_MAX: Final = 20
"""Things that one question changes of each kind: more is another market, not a question about this one."""
PAIRS_MAX: Final = 4_000_000
"""Needs times lots; a few seconds of a core. Larger markets are asked class by class."""
SECONDS: Final = 10.0
"""Of each of the two solutions; then the best so far with its certified gap."""
SHELF_DAYS: Final = 365
"""Of imagined goods that expire, where the catalogue does not say."""


@dataclass(frozen=True, slots=True)
class MoreGoods:
    """Goods that somebody might give: fit for use, valid standard, there today.

    Attributes:
        place: None = in the middle of the hospitals that need goods of the class.
    """

    item: str
    quantity: int
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class MoreNeed:
    """A need that a hospital might have, due as late as a need may be in the question's classes."""

    hospital_id: str
    item: str
    quantity: int
    tier: int


@dataclass(frozen=True, slots=True)
class Question:
    """What is different; at least one thing.

    Attributes:
        segments, km_per_day: another policy; None = as published.
    """

    goods: tuple[MoreGoods, ...] = ()
    needs: tuple[MoreNeed, ...] = ()
    without_offers: tuple[str, ...] = ()
    without_needs: tuple[str, ...] = ()
    segments: int | None = None
    km_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class NeedChange:
    """A need that is served otherwise; `before` or `after` is None where it is not in that round."""

    need: str
    hospital: str
    item: str
    tier: int
    quantity: int
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two rounds: by tier what is wanted and served, and how far it is proven.

    Attributes:
        gap: None where optimal; else no plan is better by more, level by level.
    """

    needs: int
    lots: int
    wanted: tuple[int, ...]
    served: tuple[int, ...]
    transport: int
    verdict: Verdict
    gap: Price | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The difference. Nothing of it is kept anywhere."""

    day: date
    classes: tuple[str, ...]
    before: Side
    after: Side
    changes: tuple[NeedChange, ...]
    lines_changed: int


def ask(
    ports: Ports, caller: Caller, question: Question, *, at: datetime, as_of: date | None = None
) -> Answer:
    """Solve the market as it is and as it would be, and compare.

    Raises:
        ForbiddenError: `auth.role`.
        InputError: `what_if.nothing`, `item.unknown`, and the codes of `make_problem`.
        LimitError: `what_if.too_much`, `what_if.too_large`, `matching.*`.
        NotFoundError: `what_if.unknown_row`: an offer, need or hospital that is not in the market.
        UnavailableError: `what_if.busy`: another question is being solved.
    """
    require_role(caller, Role.OPERATOR)
    _require_question(question)
    if not ports.live.questions.acquire(blocking=False):
        raise UnavailableError(
            "another question is being solved: try again in a few seconds", code="what_if.busy"
        )
    try:
        return _answer(ports, question, day=as_of or at.date())
    finally:
        ports.live.questions.release()


def _answer(ports: Ports, question: Question, *, day: date) -> Answer:
    catalogue = published_catalogue()
    with transaction(ports.readers) as session:
        classes = _classes(question, _classes_asked(ports, question, catalogue=catalogue))
        items = (
            None
            if classes is None
            else [i for name in classes for i in items_of(name, catalogue=catalogue)]
        )
        problem = collect(session, "what-if", day=day, policy=Policy(), items=items)
        asked = [one.hospital_id for one in question.needs]
        hospitals = queries.hospitals_by_ids(session, asked)
    if len(problem.needs) * len(problem.lots) > PAIRS_MAX:
        raise LimitError(
            "the market is too large for one question: ask about goods of one class",
            code="what_if.too_large",
            limit=PAIRS_MAX,
        )
    changed = _changed(problem, question, hospitals)
    before, plan_before = _solved(problem)
    after, plan_after = _solved(changed)
    return Answer(
        day=day,
        classes=tuple(sorted({catalogue.item(one.items[0]).item_class for one in changed.needs})),
        before=before,
        after=after,
        changes=_changes(problem, plan_before, changed, plan_after),
        lines_changed=len(changed_lines(plan_before, plan_after)),
    )


def _require_question(question: Question) -> None:
    parts = (question.goods, question.needs, question.without_offers, question.without_needs)
    if not any(parts) and question.segments is None and question.km_per_day is None:
        raise InputError("say what would be different", code="what_if.nothing")
    if any(len(part) > PARTS_MAX for part in parts):
        raise LimitError(
            f"a question changes at most {PARTS_MAX} things of a kind",
            code="what_if.too_much",
            limit=PARTS_MAX,
        )


def _classes_asked(ports: Ports, question: Question, *, catalogue: Catalogue) -> set[str]:
    """Item classes of everything the question names."""
    with transaction(ports.readers) as session:
        offers = queries.offers_by_ids(session, question.without_offers)
        needs = {
            need.id: need.item for need, _ in queries.needs_by_ids(session, question.without_needs)
        }
    lost = {*question.without_offers, *question.without_needs} - {*offers, *needs}
    if lost:
        raise _unknown(min(lost))
    named = {one.item for one in question.goods} | {one.item for one in question.needs}
    found = named | {row.item for row in offers.values()} | set(needs.values())
    return {catalogue.item(item).item_class for item in found}


def _classes(question: Question, asked: set[str]) -> list[str] | None:
    """The classes to solve; None = all, as a policy concerns everybody."""
    if question.segments is not None or question.km_per_day is not None:
        return None
    return sorted(asked)


def _changed(problem: Problem, question: Question, hospitals: Mapping[str, HospitalRow]) -> Problem:
    lost_lots = set(question.without_offers)
    lost_needs = set(question.without_needs)
    lots = [lot for lot in problem.lots if lot.id.partition(".")[0] not in lost_lots]
    needs = [need for need in problem.needs if need.id not in lost_needs]
    gone = len(problem.needs) - len(needs)
    offers = {lot.id.partition(".")[0] for lot in problem.lots}
    if gone < len(lost_needs) or not lost_lots <= offers:
        raise _unknown(min((lost_lots - offers) or lost_needs))
    for number, goods in enumerate(question.goods):
        lots.append(_imagined_lot(problem, goods, number=number))
    for number, wanted in enumerate(question.needs):
        needs.append(_imagined_need(problem, wanted, hospitals, number=number))
    policy = problem.policy
    if question.segments is not None:
        policy = replace(policy, segments=question.segments)
    if question.km_per_day is not None:
        policy = replace(policy, km_per_day=question.km_per_day)
    return make_problem(
        problem.id,
        day=problem.day,
        needs=needs,
        lots=lots,
        lanes=problem.lanes,
        policy=policy,
        catalogue=problem.catalogue,
        resources=problem.resources,
    )


def _imagined_lot(problem: Problem, goods: MoreGoods, *, number: int) -> Lot:
    require_quantity(goods.quantity, what="offer")
    item = problem.catalogue.item(goods.item)
    edition = None
    if item.standard is not None:
        edition = problem.catalogue.edition_on(item.standard, day=problem.day)
    return Lot(
        id=f"imagined:{number:02d}",
        donor="imagined",
        donor_kind="organisation",
        item=goods.item,
        quantity=goods.quantity,
        place=goods.place or _middle(problem, item.item_class),
        available_day=problem.day,
        produced_day=problem.day,
        expires_day=None
        if item.shelf_days is None
        else problem.day + (item.shelf_days or SHELF_DAYS),
        standard=item.standard,
        edition=edition,
        certificate=2,
        sterile=True,
        directed_to=(),
        related_to=(),
        frozen=False,
    )


def _imagined_need(
    problem: Problem, wanted: MoreNeed, hospitals: Mapping[str, HospitalRow], *, number: int
) -> Need:
    require_quantity(wanted.quantity, what="need")
    hospital = hospitals.get(wanted.hospital_id)
    if hospital is None:
        raise _unknown(wanted.hospital_id)
    latest = max((need.deadline_day for need in problem.needs), default=problem.day)
    return Need(
        id=f"imagined:{number:02d}",
        hospital=hospital.id,
        items=(wanted.item,),
        quantity=wanted.quantity,
        tier=wanted.tier,
        deadline_day=max(latest, problem.day),
        place=Place(
            hospital.province, hospital.city, hospital.longitude_micro, hospital.latitude_micro
        ),
        standard=None,
        edition=None,
        certificate_min=problem.catalogue.item(wanted.item).certificate_min,
        sterile=False,
        remaining_days_min=0,
        accepts_substitutes=True,
    )


def _middle(problem: Problem, item_class: str) -> Place:
    """The place of a need of the class, the middle one from west to east."""
    of_class = [
        need.place
        for need in problem.needs
        if problem.catalogue.item(need.items[0]).item_class == item_class
    ]
    if not of_class:
        raise NotFoundError(
            "nobody needs goods of this class on this day: name a place",
            code="what_if.no_need",
            item_class=item_class,
        )
    of_class.sort(key=lambda place: (place.longitude_micro, place.latitude_micro))
    return of_class[len(of_class) // 2]


def _solved(problem: Problem) -> tuple[Side, Plan]:
    plan, certificate = _plan(problem)
    report = check_plan(problem, plan, certificate)
    report.require()
    wanted = [0] * len(TIERS)
    for need in problem.needs:
        wanted[need.tier] += need.quantity
    side = Side(
        needs=len(problem.needs),
        lots=len(problem.lots),
        wanted=tuple(wanted),
        served=tuple(
            want - left for want, left in zip(wanted, plan.objective.unserved_by_tier, strict=True)
        ),
        transport=plan.objective.transport,
        verdict=report.verdict,
        gap=certificate.gap,
    )
    return side, plan


def _plan(problem: Problem) -> tuple[Plan, Certificate]:
    found = solve_limited(problem, seconds=SECONDS)
    return found.plan, found.certificate


def _changes(
    problem: Problem, plan: Plan, changed: Problem, plan_after: Plan
) -> tuple[NeedChange, ...]:
    """Needs served otherwise: who loses most first, then who wins most."""
    before, after = _units(plan), _units(plan_after)
    old = {need.id: need for need in problem.needs}
    new = {need.id: need for need in changed.needs}
    found: list[NeedChange] = []
    for name in sorted(old.keys() | new.keys()):
        was = before.get(name, 0) if name in old else None
        is_now = after.get(name, 0) if name in new else None
        if was != is_now:
            need = new.get(name) or old[name]
            found.append(
                NeedChange(
                    name, need.hospital, need.items[0], need.tier, need.quantity, was, is_now
                )
            )
    return tuple(sorted(found, key=lambda one: ((one.after or 0) - (one.before or 0), one.need)))


def _units(plan: Plan) -> dict[str, int]:
    units: dict[str, int] = {}
    for flow in plan.flows:
        units[flow.need] = units.get(flow.need, 0) + flow.quantity
    return units


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(
        "this offer, need or hospital is not in the market of this day",
        code="what_if.unknown_row",
        id=name,
    )


def pieces(changes: Sequence[NeedChange]) -> tuple[int, int]:
    """(pieces that needs lose, pieces that needs win)."""
    steps = [(one.after or 0) - (one.before or 0) for one in changes]
    return -sum(step for step in steps if step < 0), sum(step for step in steps if step > 0)
