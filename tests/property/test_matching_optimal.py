"""The plan is the true optimum: against every possible flow on tiny rounds, and against a second solver."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.core.report import Verdict
from matching.candidates import ELIGIBLE, REASONS, judge_pairs, reason_against
from matching.check import check_plan
from matching.problem import TIERS, Policy
from matching.solve import solve
from matching.testing import random_problem

SEEDS = st.integers(0, 10**9).map(str)


def groups_of(problem):
    classes = {item.id: item.item_class for item in problem.catalogue.items.values()}
    keys = [(need.hospital, classes[need.items[0]], need.tier) for need in problem.needs]
    totals = {}
    for key, need in zip(keys, problem.needs, strict=True):
        totals[key] = totals.get(key, 0) + need.quantity
    return keys, totals


def ranks(problem, served):
    """Units unserved at each rank, lowest first, for the units each need got."""
    keys, totals = groups_of(problem)
    segments = problem.policy.segments
    unmet = dict.fromkeys(totals, 0)
    for key, need, got in zip(keys, problem.needs, served, strict=True):
        unmet[key] += need.quantity - got
    found = [0] * (len(TIERS) * segments)
    for key, left in unmet.items():
        for step in range(segments):
            low, high = (totals[key] * cut // segments for cut in (step, step + 1))
            found[(2 - key[2]) * segments + step] += max(0, min(left, high) - low)
    return found


def every_flow(problem, pairs):
    """Every feasible flow, as served units by need and the two lower objectives."""
    arcs = [
        (j, i)
        for j in range(len(problem.needs))
        for i in range(len(problem.lots))
        if pairs.codes[j, i] == ELIGIBLE
    ]
    limits = [min(problem.needs[j].quantity, problem.lots[i].quantity) for j, i in arcs]
    for amounts in itertools.product(*(range(limit + 1) for limit in limits)):
        got = [0] * len(problem.needs)
        given_ = [0] * len(problem.lots)
        transport = expiry = 0
        for (j, i), units in zip(arcs, amounts, strict=True):
            got[j] += units
            given_[i] += units
            transport += units * int(pairs.transport[j, i])
            expiry += units * int(pairs.life[i])
        if all(g <= n.quantity for g, n in zip(got, problem.needs, strict=True)) and all(
            g <= lot.quantity for g, lot in zip(given_, problem.lots, strict=True)
        ):
            yield got, transport, expiry


def tail_sums(values):
    """Units unserved at this rank or above, for every rank."""
    return list(itertools.accumulate(reversed(values)))


@settings(max_examples=60)
@given(SEEDS, st.integers(1, 4))
def test_no_flow_at_all_is_better_on_tiny_rounds(seed, segments):
    problem = random_problem(seed, needs=3, lots=3, units=3, policy=Policy(segments=segments))
    pairs = judge_pairs(problem)
    size = 1
    for j, i in zip(*np.nonzero(pairs.codes == ELIGIBLE), strict=True):
        size *= 1 + min(problem.needs[j].quantity, problem.lots[i].quantity)
    if size > 20_000:
        return
    plan = solve(problem, candidates=pairs).plan
    flows = [
        (ranks(problem, got), transport, expiry)
        for got, transport, expiry in every_flow(problem, pairs)
    ]
    # Linear weights are enough (polymatroid): the units unserved at or above each rank are ALL minimal at once.
    best = [min(column) for column in zip(*(tail_sums(flow[0]) for flow in flows), strict=True)]
    assert tail_sums(plan.objective.unserved_by_rank) == best
    rest = min(
        (transport, expiry) for found, transport, expiry in flows if tail_sums(found) == best
    )
    assert (plan.objective.transport, plan.objective.expiry) == rest


@settings(max_examples=60)
@given(SEEDS, st.integers(1, 14), st.integers(1, 14))
def test_the_checker_agrees_with_the_solver(seed, needs, lots):
    problem = random_problem(seed, needs=needs, lots=lots)
    solution = solve(problem)
    report = check_plan(problem, solution.plan, solution.certificate)
    assert report.verdict is Verdict.PASSED


@settings(max_examples=60)
@given(SEEDS)
def test_the_table_of_pairs_is_the_plain_rule(seed):
    problem = random_problem(seed, needs=8, lots=8)
    pairs = judge_pairs(problem)
    for j, need in enumerate(problem.needs):
        for i, lot in enumerate(problem.lots):
            plain = reason_against(problem, need=need, lot=lot)
            assert REASONS[int(pairs.codes[j, i])] == (plain or "eligible")


pylmcf = pytest.importorskip("pylmcf", reason="the second solver is a development dependency")
TRANSPORT_WEIGHT, LIFE_WEIGHT = 1 << 33, 1 << 16
"""Other weights than the solver's, large enough for these small rounds."""


def second_solver(problem, pairs):
    """The whole round as one network, all classes together, by LEMON's network simplex."""
    keys, totals = groups_of(problem)
    names = sorted(totals)
    segments = problem.policy.segments
    first_need = 1 + len(names)
    first_lot = first_need + len(problem.needs)
    most = sum(need.quantity for need in problem.needs) + sum(lot.quantity for lot in problem.lots)
    arcs = []
    for j, i in zip(*np.nonzero(pairs.codes == ELIGIBLE), strict=True):
        cost = int(pairs.transport[j, i]) * LIFE_WEIGHT + int(pairs.life[i])
        arcs.append((first_lot + int(i), first_need + int(j), most, cost))
    arcs += [(first_lot + i, 0, most, 0) for i in range(len(problem.lots))]
    for j, key in enumerate(keys):
        arcs.append((1 + names.index(key), first_need + j, most, 0))
    for number, key in enumerate(names):
        for step in range(segments):
            low, high = (totals[key] * cut // segments for cut in (step, step + 1))
            rank = (2 - key[2]) * segments + step + 1
            arcs.append((0, 1 + number, high - low, rank * TRANSPORT_WEIGHT))
    demand = [need.quantity for need in problem.needs]
    supply = [lot.quantity for lot in problem.lots]
    nodes = [sum(demand) - sum(supply), *[0] * len(names), *(-q for q in demand), *supply]
    columns = [np.array(column, dtype=np.int64) for column in zip(*arcs, strict=True)]
    solver = pylmcf.NetworkSimplexLCT(np.array(nodes, dtype=np.int64), *columns)
    solver.solve()
    return int(solver.total_cost())


@settings(max_examples=40)
@given(SEEDS, st.integers(2, 14), st.integers(2, 14))
def test_a_second_solver_finds_the_same_value(seed, needs, lots):
    problem = random_problem(seed, needs=needs, lots=lots, units=9)
    pairs = judge_pairs(problem)
    found = solve(problem, candidates=pairs).plan.objective
    weight, transport, expiry = found.vector()
    value = weight * TRANSPORT_WEIGHT + transport * LIFE_WEIGHT + expiry
    assert second_solver(problem, pairs) == value
