"""Rounds with limits: order and names do not matter, bounds scale and only fall, and no changed word passes."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.core.canonical import canonical_bytes, canonical_parse
from ledger.core.errors import FuqiError
from ledger.core.report import Verdict
from matching import shared_capacity
from matching.candidates import ELIGIBLE, judge_pairs
from matching.check import check_plan
from matching.gap import room_left
from matching.pallets import donors_limits
from matching.pallets_check import limit_fault
from matching.plan import Flow, certificate_from_json, plan_from_json
from matching.problem import Policy, make_problem, problem_from_json
from matching.shared_capacity import solve_limited
from matching.testing import LIMITS, random_limited_problem

SEEDS = st.integers(0, 10**6)
PURE = ("pack", "smallest")
"""Limits whose bound is the exact optimum of the flow without them."""
FINE = 1 << 10
"""The scale of prices: of a rank for each unit, prices and charges lose less than one part in so many."""


def rebuilt(problem, **changes):
    facts = {
        "needs": problem.needs,
        "lots": problem.lots,
        "resources": problem.resources,
    } | changes
    return make_problem(
        problem.id,
        day=problem.day,
        lanes=problem.lanes,
        policy=problem.policy,
        catalogue=problem.catalogue,
        **facts,
    )


def bound(problem):
    """The certified lower bound of the unserved weight, times the scale it is written in, and the scale."""
    solution = solve_limited(problem)
    assert check_plan(problem, solution.plan, solution.certificate).verdict is Verdict.PASSED
    weight, gap = solution.plan.objective.weight(), solution.certificate.gap
    scale = solution.certificate.scale
    return weight * scale - (0 if gap is None else gap[0]), scale


@settings(max_examples=12)
@given(SEEDS, st.integers(1, 12), st.integers(1, 10))
def test_another_order_of_rows_is_the_same_round_to_the_byte(seed, needs, lots):
    problem = random_limited_problem(f"order{seed}", needs=needs, lots=lots)
    random = np.random.default_rng(seed)
    shuffled = rebuilt(
        problem,
        needs=[problem.needs[at] for at in random.permutation(needs)],
        lots=[problem.lots[at] for at in random.permutation(lots)],
    )
    one, other = solve_limited(problem), solve_limited(shuffled)
    assert shuffled.digest() == problem.digest()
    assert (one.plan, one.certificate) == (other.plan, other.certificate)


@settings(max_examples=12)
@given(SEEDS, st.integers(1, 12), st.integers(1, 10))
def test_other_names_have_the_same_bound(seed, needs, lots):
    problem = random_limited_problem(f"names{seed}", kinds=PURE, needs=needs, lots=lots)
    random = np.random.default_rng(seed)
    renamed = rebuilt(
        problem,
        needs=[
            replace(need, id=f"z{number:04d}")
            for need, number in zip(problem.needs, random.permutation(needs), strict=True)
        ],
        lots=[
            replace(lot, id=f"y{number:04d}")
            for lot, number in zip(problem.lots, random.permutation(lots), strict=True)
        ],
    )
    assert bound(renamed) == bound(problem)


@settings(max_examples=12)
@given(SEEDS, st.integers(1, 12), st.integers(1, 10), st.integers(2, 1_000))
def test_everything_times_k_gives_the_bound_times_k(seed, needs, lots, times):
    problem = random_limited_problem(
        f"scale{seed}", kinds=PURE, needs=needs, lots=lots, policy=Policy(segments=1)
    )
    larger = rebuilt(
        problem,
        needs=[replace(need, quantity=need.quantity * times) for need in problem.needs],
        lots=[
            replace(
                lot,
                quantity=lot.quantity * times,
                pack=1 if lot.pack == 1 else lot.pack * times,
                smallest=1 if lot.smallest == 1 else lot.smallest * times,
            )
            for lot in problem.lots
        ],
    )
    small, scale = bound(problem)
    assert bound(larger) == (small * times, scale)


@settings(max_examples=12)
@given(SEEDS, st.integers(1, 12), st.integers(2, 10), st.integers(1, 30))
def test_more_supply_never_raises_the_bound_of_what_goes_unserved(seed, needs, lots, more):
    problem = random_limited_problem(f"more{seed}", kinds=PURE, needs=needs, lots=lots)
    fewer = rebuilt(problem, lots=problem.lots[:-1])
    first = problem.lots[0]
    bigger = rebuilt(
        problem, lots=[replace(first, quantity=first.quantity + more), *problem.lots[1:]]
    )
    least, plain, most = (bound(one)[0] for one in (fewer, problem, bigger))
    assert most <= plain <= least


def receivers_bound(problem):
    """(bound, how far rounded prices may leave it below the relaxation), in parts of a rank."""
    found, scale = bound(problem)
    units = sum(need.quantity for need in problem.needs)
    hospitals = sum(donors_limits(problem.lots).values())
    return found * (FINE // scale), units + hospitals + 1


@settings(max_examples=12)
@given(SEEDS, st.integers(1, 12), st.integers(2, 10), st.integers(1, 30), st.integers(2, 50))
def test_the_bound_of_receivers_is_that_of_the_relaxation_whatever_the_names_and_amounts(
    seed, needs, lots, more, times
):
    """Other names: the same; more supply: no higher; everything times k: k times; each up to rounded prices."""
    problem = random_limited_problem(
        f"split{seed}", kinds=("receivers",), needs=needs, lots=lots, policy=Policy(segments=1)
    )
    value, slack = receivers_bound(problem)
    turned = [f"z{number:04d}" for number in np.random.default_rng(seed).permutation(needs)]
    renamed = rebuilt(
        problem,
        needs=[replace(one, id=name) for one, name in zip(problem.needs, turned, strict=True)],
    )
    assert abs(receivers_bound(renamed)[0] - value) <= slack
    first = problem.lots[0]
    bigger = rebuilt(
        problem, lots=[replace(first, quantity=first.quantity + more), *problem.lots[1:]]
    )
    assert receivers_bound(bigger)[0] <= value + slack
    larger = rebuilt(
        problem,
        needs=[replace(need, quantity=need.quantity * times) for need in problem.needs],
        lots=[replace(lot, quantity=lot.quantity * times) for lot in problem.lots],
    )
    found, wide = receivers_bound(larger)
    assert abs(found - times * value) <= wide + times * slack


def feasible(problem):
    """Every plan of a tiny round as units by (need, lot); None where they are too many to try."""
    judged = judge_pairs(problem)
    arcs = [(int(j), int(i)) for j, i in zip(*np.nonzero(judged.codes == ELIGIBLE), strict=True)]
    limits = [min(problem.needs[j].quantity, problem.lots[i].quantity) for j, i in arcs]
    size = 1
    for limit in limits:
        size *= limit + 1
    if size > 6_000:
        return None
    needs = np.array([need.quantity for need in problem.needs])
    lots = np.array([lot.quantity for lot in problem.lots])
    found = []
    for amounts in itertools.product(*(range(limit + 1) for limit in limits)):
        served = np.zeros(judged.codes.shape, dtype=np.int64)
        for (j, i), units in zip(arcs, amounts, strict=True):
            served[j, i] = units
        if (
            (served.sum(axis=1) <= needs).all()
            and (served.sum(axis=0) <= lots).all()
            and limit_fault(problem, served=served) is None
        ):
            found.append(served)
    return found


def critical_total(problem, got):
    """Units served of all needs, and of critical ones."""
    critical = [at for at, need in enumerate(problem.needs) if need.tier == 0]
    return int(got.sum()), int(got[critical].sum())


def test_no_plan_that_takes_from_nobody_serves_more_than_the_gap_says():
    tried = reached = 0
    for seed in range(40):
        problem = random_limited_problem(f"room-{seed}", needs=3, lots=3, units=4)
        problem = replace(
            problem, resources=tuple(replace(one, capacity=6) for one in problem.resources)
        )
        solution = solve_limited(problem)
        room = room_left(problem, solution.plan, solution.certificate)
        plans = feasible(problem)
        if room is None or plans is None:
            continue
        mine = np.zeros(len(problem.needs), dtype=np.int64)
        rows = {need.id: row for row, need in enumerate(problem.needs)}
        for flow in solution.plan.flows:
            mine[rows[flow.need]] += flow.quantity
        pieces, critical = critical_total(problem, mine)
        best = most = 0
        for served in plans:
            got = served.sum(axis=1)
            if (got >= mine).all():
                other = critical_total(problem, got)
                best, most = max(best, other[0] - pieces), max(most, other[1] - critical)
        assert best <= room.more_pieces
        assert most <= room.more_critical
        assert 0 <= room.more_critical <= room.more_pieces
        tried += 1
        reached += room.more_pieces > 0
    assert tried >= 8
    assert reached >= 3


def leaves(value, path=()):
    """(path, leaf) of every word of a JSON value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from leaves(item, (*path, at))
    else:
        yield path, value


def altered(value):
    """Another value of the same kind."""
    if value is None:
        return 1
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else value + "x"


def changed_at(document, path):
    """The document with one word changed."""
    copy = json.loads(json.dumps(document))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = altered(place[path[-1]])
    return copy


@pytest.fixture(scope="module")
def limited_round():
    problem = random_limited_problem("words", needs=6, lots=5, units=20)
    solution = solve_limited(problem)
    assert solution.certificate.gap is not None
    return problem, solution.plan, solution.certificate


def document(thing):
    return canonical_parse(canonical_bytes(thing.as_json()))


def test_no_changed_word_of_problem_or_plan_passes(limited_round):
    problem, plan, certificate = limited_round
    tried = 0
    for path, _ in leaves(document(problem)):
        # The catalogue has a thousand words; every twentieth is enough of them.
        if path[0] == "catalogue" and tried % 20:
            tried += 1
            continue
        tried += 1
        try:
            other = problem_from_json(changed_at(document(problem), path))
        except FuqiError:
            continue
        assert check_plan(other, plan, certificate).verdict is Verdict.FAILED, path
    for path, _ in leaves(document(plan)):
        try:
            other = plan_from_json(changed_at(document(plan), path))
        except FuqiError:
            continue
        assert check_plan(problem, other, certificate).verdict is Verdict.FAILED, path
    assert tried > 200


def test_no_changed_word_of_the_certificate_passes_unless_it_proves_as_much(limited_round):
    problem, plan, certificate = limited_round
    rejected = kept = 0
    for path, _ in leaves(document(certificate)):
        try:
            other = certificate_from_json(changed_at(document(certificate), path))
        except FuqiError:
            rejected += 1
            continue
        if check_plan(problem, plan, other).verdict is Verdict.FAILED:
            rejected += 1
        else:
            # Other prices may add up to the same bound; the bound itself is never another one.
            assert (other.gap, other.scale, other.plan) == (
                certificate.gap,
                certificate.scale,
                certificate.plan,
            )
            kept += 1
    assert rejected > 30
    assert kept * 4 <= rejected


def test_a_line_changed_by_a_unit_fails_even_with_every_digest_and_sum_made_to_fit(limited_round):
    problem, plan, certificate = limited_round
    tried = 0
    for at, flow in enumerate(plan.flows):
        for step in (-1, 1):
            flows = list(plan.flows)
            flows[at] = Flow(flow.need, flow.lot, flow.quantity + step)
            forged = replace(plan, flows=tuple(flows))
            for objective in objectives_to_fit(problem, forged):
                told = replace(forged, objective=objective)
                proof = replace(certificate, plan=told.digest().hex())
                assert check_plan(problem, told, proof).verdict is Verdict.FAILED
                tried += 1
    assert tried >= 2 * len(plan.flows)


def objectives_to_fit(problem, plan):
    """The plan's own claim, and what its lines really add up to, where the checker tells it."""
    report = check_plan(
        problem,
        plan,
        replace(solve_limited(problem).certificate, plan=plan.digest().hex()),
    )
    yield plan.objective
    for check in report.checks:
        told = check.details.get("recomputed")
        if told is not None:
            yield replace(
                plan.objective,
                unserved_by_tier=tuple(told["unserved_by_tier"]),
                unserved_by_rank=tuple(told["unserved_by_rank"]),
                transport=told["transport"],
                expiry=told["expiry"],
            )


@pytest.mark.parametrize("kind", LIMITS)
def test_each_kind_of_limit_alone_gives_a_checked_plan_and_a_room(kind):
    problem = random_limited_problem(f"one-{kind}", kinds=(kind,))
    solution = solve_limited(problem)
    assert check_plan(problem, solution.plan, solution.certificate).verdict is Verdict.PASSED
    room = room_left(problem, solution.plan, solution.certificate)
    assert (room is None) == (solution.certificate.gap is None)


def test_lots_given_out_again_only_ever_make_a_plan_better_and_its_gap_smaller(monkeypatch):
    better = 0
    for seed in range(12):
        problem = random_limited_problem(f"g{seed}", kinds=("smallest", "receivers"))
        with monkeypatch.context() as patch:
            patch.setattr(shared_capacity, "IMPROVED_TRIES", 0)
            rounded = solve_limited(problem)
        found = solve_limited(problem)
        assert check_plan(problem, found.plan, found.certificate).verdict is Verdict.PASSED
        assert found.plan.objective.tiers_first() <= rounded.plan.objective.tiers_first()
        if found.plan != rounded.plan:
            better += 1
            assert found.certificate.gap < rounded.certificate.gap
    assert better


def test_a_round_above_the_size_limit_stays_as_it_was_rounded(monkeypatch):
    monkeypatch.setattr(shared_capacity, "IMPROVED_CELLS_MAX", 0)
    plans = [
        solve_limited(random_limited_problem(f"g{seed}", kinds=("smallest",))).plan
        for seed in range(12)
    ]
    monkeypatch.setattr(shared_capacity, "IMPROVED_TRIES", 0)
    monkeypatch.setattr(shared_capacity, "IMPROVED_CELLS_MAX", 10**9)
    again = [
        solve_limited(random_limited_problem(f"g{seed}", kinds=("smallest",))).plan
        for seed in range(12)
    ]
    assert plans == again
