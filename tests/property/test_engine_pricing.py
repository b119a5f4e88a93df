"""Rounds solved by pricing: the value over all pairs, the rule of eligibility, and laws of every plan."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.core.errors import InputError, LimitError
from ledger.core.report import Verdict
from ledger.core.units import QUANTITY_MAX
from matching import solve as module
from matching.candidates import ELIGIBLE, judge_pairs
from matching.check import check_plan
from matching.check_pairs import contradictions
from matching.engine.columns import run_class, solve_class
from matching.engine.market import pair_transport
from matching.engine.network import class_network
from matching.engine.portfolio import solve_graph
from matching.engine.pricing import build_boxes, search
from matching.engine.translate import Translator, market_of
from matching.problem import Policy, make_problem
from matching.solve import solve, solve_priced
from matching.testing import DAY, LANES, random_problem
from matching.testing_graphs import flow_cost, market_graphs
from matching.testing_markets import synthetic_market

SEEDS = st.integers(0, 10**6)
RANK_COST = 1 << 28


def changed(problem, *, needs=None, lots=None, policy=None):
    return make_problem(
        problem.id,
        day=problem.day,
        needs=problem.needs if needs is None else needs,
        lots=problem.lots if lots is None else lots,
        lanes=LANES,
        policy=policy or problem.policy,
        catalogue=problem.catalogue,
    )


@settings(max_examples=40)
@given(SEEDS)
def test_the_compiled_rule_is_the_table_of_pairs(seed):
    problem = random_problem(f"rule{seed}", needs=9, lots=9)
    judged, market = judge_pairs(problem), market_of(problem)
    for row in range(9):
        for column in range(9):
            transport = int(judged.transport[row, column])
            wanted = transport if judged.codes[row, column] == ELIGIBLE else -1
            assert pair_transport(market, column, row) == wanted


@settings(max_examples=15)
@given(SEEDS, st.integers(1, 120), st.integers(1, 8))
def test_the_search_finds_what_a_look_at_every_pair_finds(seed, size, most):
    market = synthetic_market(size, seed=seed)
    random = np.random.default_rng(seed)
    values = random.integers(-300, 300, size)
    limits = random.integers(-200, 2_000, size)
    needs = np.arange(size, dtype=np.int32)
    found = search(
        market,
        build_boxes(market, needs),
        needs,
        lot_values=values,
        limits=limits,
        weight=1,
        most=most,
    )
    for need in range(size):
        every = [(lot, pair_transport(market, lot, need)) for lot in range(size)]
        offers = sorted(
            int(values[lot]) + transport
            for lot, transport in every
            if transport >= 0 and values[lot] + transport < limits[need]
        )
        assert found.values[found.needs == need].tolist() == offers[:most]


@settings(max_examples=15)
@given(SEEDS, st.integers(5, 150), st.sampled_from([1, 4]), st.booleans())
def test_pricing_finds_the_value_of_the_table_of_all_pairs(seed, size, segments, shared):
    market = synthetic_market(size, seed=seed, hospitals=max(1, size // 5) if shared else None)
    market = market._replace(lot_life=np.zeros_like(market.lot_life))
    values = [
        flow_cost(graph, solve_graph(graph).flows)
        for graph in market_graphs(market, segments=segments)
    ]
    priced = []
    for number in range(int(max(market.need_class.max(), market.lot_class.max())) + 1):
        network = class_network(market, item_class=number, segments=segments, rank_cost=RANK_COST)
        if network is not None:
            found = solve_class(market, network, transport_cost=1)
            assert found.proven
            priced.append(class_value(market, network, found))
    assert priced == values


def class_value(market, network, found):
    got = np.zeros(len(market.need_quantity), dtype=np.int64)
    np.add.at(got, found.needs, found.units)
    value = int((found.units * found.transports).sum())
    unmet = np.zeros(len(network.group_total), dtype=np.int64)
    np.add.at(unmet, network.group_of, (market.need_quantity - got)[network.needs])
    sizes = network.base.bounds[network.base.arcs - len(network.segment_rank) :]
    for group, rank, size in zip(network.segment_group, network.segment_rank, sizes, strict=True):
        used = min(int(unmet[group]), int(size))
        unmet[group] -= used
        value += used * int(rank) * RANK_COST
    return value


@settings(max_examples=25)
@given(SEEDS, st.integers(1, 25), st.integers(1, 25), st.integers(1, 10))
def test_priced_plans_are_accepted_and_as_good_as_those_of_the_table(seed, needs, lots, segments):
    problem = random_problem(
        f"priced{seed}", needs=needs, lots=lots, policy=Policy(segments=segments)
    )
    plan, certificate = solve_priced(problem)
    assert certificate.gap is None
    assert check_plan(problem, plan, certificate).verdict is Verdict.PASSED
    assert plan.objective == solve(problem).plan.objective


@settings(max_examples=25)
@given(SEEDS, st.integers(1, 60))
def test_the_second_proof_counts_the_pairs_that_contradict(seed, size):
    market = synthetic_market(size, seed=seed)
    random = np.random.default_rng(seed)
    lots = np.stack([random.integers(low, 9, size) for low in (-2, -900, -300)], axis=1)
    needs = np.stack([random.integers(low, 9, size) for low in (-2, -900, -300)], axis=1)
    wrong = 0
    for need in range(size):
        for lot in range(size):
            transport = pair_transport(market, lot, need)
            if transport >= 0:
                cost = (0, transport, int(market.lot_life[lot]))
                reduced = [
                    c + int(a) - int(b)
                    for c, a, b in zip(cost, lots[lot], needs[need], strict=True)
                ]
                wrong += reduced < [0, 0, 0]
    assert contradictions(market, lot_prices=lots, need_prices=needs) == wrong


@settings(max_examples=25)
@given(SEEDS, st.integers(1, 20), st.integers(2, 20), st.integers(1, 30))
def test_more_supply_never_lowers_what_the_critical_get(seed, needs, lots, more):
    problem = random_problem(f"more{seed}", needs=needs, lots=lots)
    fewer = changed(problem, lots=problem.lots[:-1])
    bigger = changed(
        problem,
        lots=[
            replace(problem.lots[0], quantity=problem.lots[0].quantity + more),
            *problem.lots[1:],
        ],
    )
    least, plain, most = (solve(one).plan.objective for one in (fewer, problem, bigger))
    for low, high in ((least, plain), (plain, most)):
        assert tails(high.unserved_by_rank) <= tails(low.unserved_by_rank)
        assert all(
            a <= b
            for a, b in zip(tails(high.unserved_by_rank), tails(low.unserved_by_rank), strict=True)
        )
        assert high.unserved_by_tier[0] <= low.unserved_by_tier[0]


def tails(values):
    """Units unserved at this rank or above, highest rank first."""
    total, found = 0, []
    for units in reversed(values):
        total += units
        found.append(total)
    return found


@settings(max_examples=20)
@given(SEEDS, st.integers(1, 15), st.integers(1, 15))
def test_other_names_and_another_order_give_the_same_value(seed, needs, lots):
    problem = random_problem(f"order{seed}", needs=needs, lots=lots)
    random = np.random.default_rng(seed)
    renamed = changed(
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
    assert solve(renamed).plan.objective == solve(problem).plan.objective
    assert solve_priced(renamed)[0].objective == solve(problem).plan.objective


@settings(max_examples=20)
@given(SEEDS, st.integers(1, 15), st.integers(1, 15), st.integers(2, 1_000))
def test_every_quantity_times_k_gives_every_value_times_k(seed, needs, lots, times):
    problem = random_problem(f"scale{seed}", needs=needs, lots=lots, policy=Policy(segments=1))
    larger = changed(
        problem,
        needs=[replace(need, quantity=need.quantity * times) for need in problem.needs],
        lots=[replace(lot, quantity=lot.quantity * times) for lot in problem.lots],
    )
    small, large = solve(problem).plan.objective, solve(larger).plan.objective
    assert [part * times for part in small.vector()] == list(large.vector())
    assert [units * times for units in small.unserved_by_rank] == list(large.unserved_by_rank)


@settings(max_examples=15)
@given(SEEDS, st.integers(1, 20), st.integers(1, 20), st.sampled_from(["time", "memory"]))
def test_a_limit_leaves_a_plan_whose_gap_is_certified_and_true(seed, needs, lots, what):
    problem = random_problem(f"limit{seed}", needs=needs, lots=lots)
    if what == "time":
        plan, certificate = solve_priced(problem, seconds=-1.0)
    else:
        plan, certificate = solve_priced(problem, arcs_max=1)
    assert check_plan(problem, plan, certificate).verdict is Verdict.PASSED
    best = solve(problem).plan.objective
    if certificate.gap is None:
        assert plan.objective == best
        return
    floor = tuple(
        mine - gap for mine, gap in zip(plan.objective.vector(), certificate.gap, strict=True)
    )
    assert floor <= best.vector() <= plan.objective.vector()
    # A gap that is not the true distance between plan and prices is refused.
    lying = replace(certificate, gap=(certificate.gap[0] - 1, *certificate.gap[1:]))
    assert check_plan(problem, plan, lying).verdict is Verdict.FAILED
    assert check_plan(problem, plan, replace(certificate, gap=None)).verdict is Verdict.FAILED


def test_a_class_with_more_pairs_than_fit_is_priced_and_stays_exact(monkeypatch):
    problem = random_problem("arcs", needs=20, lots=20)
    best = solve(problem).plan.objective
    monkeypatch.setattr(module, "ARCS_MAX", 60)
    solution = solve(problem)
    report = check_plan(problem, solution.plan, solution.certificate)
    assert report.verdict is Verdict.PASSED
    if solution.certificate.gap is None:
        assert solution.plan.objective == best
    else:
        assert solution.plan.objective.vector() > best.vector()


@pytest.mark.parametrize(
    ("side", "changes", "code"),
    [
        ("needs", {"quantity": 0}, "need.quantity_zero"),
        ("needs", {"quantity": -1}, "need.quantity_negative"),
        ("needs", {"quantity": QUANTITY_MAX + 1}, "need.quantity_limit"),
        ("needs", {"quantity": 1 << 63}, "need.quantity_limit"),
        ("needs", {"deadline_day": -1}, "need.deadline"),
        ("needs", {"deadline_day": 1 << 63}, "need.deadline"),
        ("needs", {"tier": 3}, "need.tier"),
        ("needs", {"items": ()}, "need.items"),
        ("needs", {"remaining_days_min": 1 << 63}, "need.remaining_days"),
        ("lots", {"quantity": 0}, "offer.quantity_zero"),
        ("lots", {"quantity": 1 << 63}, "offer.quantity_limit"),
        ("lots", {"expires_day": 0}, "offer.dates"),
        ("lots", {"available_day": 1 << 63}, "offer.dates"),
        ("lots", {"available_day": 0}, "offer.dates"),
        ("lots", {"certificate": 9}, "offer.certificate"),
    ],
)
def test_impossible_rows_are_refused_by_name(side, changes, code):
    problem = random_problem("adversary", needs=3, lots=3)
    rows = list(getattr(problem, side))
    rows[1] = replace(rows[1], **changes)
    with pytest.raises((InputError, LimitError)) as fault:
        changed(problem, **{side: rows})
    assert fault.value.error_code == code


@pytest.mark.parametrize("side", ["needs", "lots"])
def test_a_doubled_id_is_refused_by_name(side):
    problem = random_problem("twins", needs=3, lots=3)
    rows = list(getattr(problem, side))
    with pytest.raises(InputError) as fault:
        changed(problem, **{side: [*rows, rows[0]]})
    assert fault.value.error_code == "matching.duplicate_id"


@pytest.mark.parametrize("solver", [solve_priced, lambda p: vars_of(solve(p))])
def test_expired_goods_and_windows_that_close_before_they_open_move_nothing(solver):
    base = random_problem("late", needs=6, lots=6)
    expired = changed(
        base,
        lots=[
            replace(lot, produced_day=DAY - 900, available_day=DAY, expires_day=DAY - 1)
            for lot in base.lots
        ],
    )
    too_late = changed(base, needs=[replace(need, deadline_day=0) for need in base.needs])
    for problem in (expired, too_late):
        plan, certificate = solver(problem)
        assert plan.flows == ()
        assert check_plan(problem, plan, certificate).verdict is Verdict.PASSED


def vars_of(solution):
    return solution.plan, solution.certificate


@pytest.mark.parametrize("quantity", [1, QUANTITY_MAX])
def test_the_smallest_and_the_largest_quantities_stay_exact(quantity):
    base = random_problem("edges", needs=12, lots=12)
    problem = changed(
        base,
        needs=[replace(need, quantity=quantity) for need in base.needs],
        lots=[replace(lot, quantity=quantity) for lot in base.lots],
    )
    plan, certificate = solve_priced(problem)
    assert check_plan(problem, plan, certificate).verdict is Verdict.PASSED
    assert plan.objective == solve(problem).plan.objective


def test_a_class_that_does_not_fit_in_memory_says_how_far_off_it_may_be():
    market = synthetic_market(400, seed=3)
    network = class_network(market, item_class=2, segments=2, rank_cost=RANK_COST)
    best = solve_class(market, network, transport_cost=1)
    few = solve_class(
        market, network, transport_cost=1, arcs_max=network.base.arcs + 2 * len(network.needs)
    )
    assert best.proven
    assert not few.proven
    assert few.arcs <= network.base.arcs + 2 * len(network.needs)
    assert class_value(market, network, few) > class_value(market, network, best)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_first_level_is_proven_before_the_others_and_is_the_same(seed):
    market = synthetic_market(300, seed=seed, hospitals=40)
    for number in range(12):
        network = class_network(market, item_class=number, segments=4, rank_cost=RANK_COST)
        if network is None:
            continue
        early = run_class(market, network, transport_cost=1, rank_cost=RANK_COST)
        done = run_class(market, network, transport_cost=1)
        assert early.ranks_proven
        assert early.rounds <= done.rounds
        segments = slice(network.base.arcs - len(network.segment_rank), network.base.arcs)
        units = [int(run.simplex.flows[segments] @ network.segment_rank) for run in (early, done)]
        assert units[0] == units[1]


@settings(max_examples=25)
@given(SEEDS, st.booleans())
def test_a_row_that_comes_later_is_translated_as_if_it_had_been_there(seed, named):
    problem = random_problem(f"later{seed}", needs=9, lots=9)
    fewer = replace(problem, needs=problem.needs[:-1], lots=problem.lots[:-1])
    those = problem.needs if named else fewer.needs
    numbers = {need.hospital: row for row, need in enumerate(those)}
    translator = Translator(fewer, hospitals=numbers)
    need, lot = problem.needs[-1], problem.lots[-1]
    with_need = translator.with_need(translator.market, need)
    if with_need is not None:
        whole = market_of(replace(fewer, needs=problem.needs), hospitals=numbers)
        same_arrays(with_need, whole)
    else:
        known = {(x.items, x.accepts_substitutes, x.standard, x.edition) for x in fewer.needs}
        mine = (need.items, need.accepts_substitutes, need.standard, need.edition)
        cities = {x.place.city for x in fewer.needs}
        unnamed = any(set(x.directed_to + x.related_to) - set(numbers) for x in fewer.lots)
        new = need.hospital not in numbers
        assert new or mine not in known or need.place.city not in cities or unnamed
    with_lot = translator.with_lot(translator.market, lot)
    if with_lot is not None:
        same_arrays(with_lot, market_of(replace(fewer, lots=problem.lots), hospitals=numbers))
    else:
        assert all(
            (x.item, x.standard, x.edition) != (lot.item, lot.standard, lot.edition)
            or (x.place.province, x.donor_kind) != (lot.place.province, lot.donor_kind)
            or x.produced_day != lot.produced_day
            for x in fewer.lots
        )


def same_arrays(one, other):
    for name in one._fields:
        mine, whole = getattr(one, name), getattr(other, name)
        assert mine.dtype == whole.dtype, name
        np.testing.assert_array_equal(mine, whole, err_msg=name)
