"""A round as one transportation problem: its largest value is the round's best, and the prices prove it."""

from dataclasses import replace

import pytest

from contracts.rounds_sparse import SparsePlan, SparseRound, make_sparse
from contracts.rounds_tree import Answer, check_answer
from ledger.core.errors import LimitError, VerificationError
from matching import transport
from matching.candidates import judge_pairs
from matching.shared_capacity import solve_limited
from matching.solve import solve
from matching.testing import random_limited_problem, random_problem
from matching.transport import proof_of, table_of

SEEDS = [str(number) for number in range(40)]


def solved(seed, **sizes):
    problem = random_problem(seed, **({"needs": 14, "lots": 9, "units": 30} | sizes))
    judged = judge_pairs(problem)
    found = solve(problem, candidates=judged)
    return problem, table_of(problem, judged), found


def sparse(table):
    return make_sparse(supplies=table.supplies, demands=table.demands, cells=table.cells)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_plan_is_proven_best_as_the_chain_proves_it(seed):
    problem, table, found = solved(seed)
    proof = proof_of(table, problem, found.plan, found.certificate)
    answer = Answer(proof.flows, proof.row_prices, proof.column_prices)
    assert check_answer(sparse(table).dense(), answer) == proof.value
    cost = found.plan.objective.vector()
    weights = table.weights
    assert proof.value == table.constant - (
        cost[0] * weights.rank + cost[1] * weights.transport + cost[2]
    )


def test_needs_that_share_a_group_occur_and_are_columns_of_their_own():
    shared = [len(solved(seed)[1].layout.shared) for seed in SEEDS]
    assert max(shared) > 2
    assert min(shared) == 0


@pytest.mark.parametrize("seed", SEEDS[:10])
def test_a_plan_that_gives_one_piece_less_is_not_proven(seed):
    problem, table, found = solved(seed)
    first, *rest = found.plan.flows
    less = [replace(first, quantity=first.quantity - 1)] if first.quantity > 1 else []
    worse = replace(found.plan, flows=(*less, *rest))
    with pytest.raises(VerificationError) as caught:
        proof_of(table, problem, worse, found.certificate)
    assert caught.value.error_code == "matching.chain_prices"


@pytest.mark.parametrize("seed", SEEDS[:10])
def test_prices_that_are_too_low_prove_nothing_and_would_be_struck(seed):
    problem, table, found = solved(seed)
    low = dict.fromkeys(found.certificate.lots, (0, 0, 0))
    needs = dict.fromkeys(found.certificate.needs, (0, 0, 0))
    certificate = replace(found.certificate, lots=low, needs=needs)
    with pytest.raises(VerificationError):
        proof_of(table, problem, found.plan, certificate)
    good = proof_of(table, problem, found.plan, found.certificate)
    instance = sparse(table)
    zero = Answer(good.flows, (0,) * len(good.row_prices), (0,) * len(good.column_prices))
    assert SparseRound(instance).strike_of(SparsePlan(instance, zero), objective=good.value)
    true = Answer(good.flows, good.row_prices, good.column_prices)
    assert not SparseRound(instance).strike_of(SparsePlan(instance, true), objective=good.value)


def test_a_plan_with_a_gap_is_never_written_as_proven():
    for number in range(60):
        problem = random_limited_problem(f"gap-{number}")
        found = solve_limited(problem)
        if found.certificate.gap is not None:
            break
    table = table_of(problem, judge_pairs(problem))
    with pytest.raises(VerificationError) as caught:
        proof_of(table, problem, found.plan, found.certificate)
    assert caught.value.error_code == "matching.chain_gap"
    # Leaving the gap out does not help: the prices themselves do not reach the plan.
    hidden = replace(found.certificate, gap=None)
    with pytest.raises(VerificationError) as caught:
        proof_of(table, problem, found.plan, hidden)
    assert caught.value.error_code == "matching.chain_prices"


def test_limits_that_cost_nothing_leave_the_plan_proven_even_without_them():
    seen = 0
    for number in range(40):
        problem = random_limited_problem(f"free-{number}", kinds=("resource",), units=12)
        found = solve_limited(problem)
        if found.certificate.gap is None:
            table = table_of(problem, judge_pairs(problem))
            assert proof_of(table, problem, found.plan, found.certificate).value > 0 or (
                not found.plan.flows
            )
            seen += 1
    assert seen


def test_inputs_do_not_depend_on_the_plan_and_do_on_every_number():
    problem, table, _ = solved("7")
    again = table_of(problem, judge_pairs(problem))
    assert again == table
    other = replace(problem.needs[0], quantity=problem.needs[0].quantity + 1)
    changed = replace(problem, needs=(other, *problem.needs[1:]))
    roots = {
        SparseRound(sparse(one)).inputs_root()
        for one in (table, table_of(changed, judge_pairs(changed)))
    }
    assert len(roots) == 2


@pytest.mark.parametrize(("name", "limit"), [("SIDE_MAX", 5), ("PAIRS_MAX", 5), ("VALUE_MAX", 5)])
def test_a_round_past_a_limit_says_so(monkeypatch, name, limit):
    problem = random_problem("1", needs=14, lots=9, units=30)
    monkeypatch.setattr(transport, name, limit)
    with pytest.raises(LimitError) as caught:
        table_of(problem, judge_pairs(problem))
    assert caught.value.error_code == "matching.chain_size"
