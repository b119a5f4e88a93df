"""Trees of large rounds, made without their empty parts: the same roots, paths and faults as the full ones."""

import random

import pytest

from contracts import rounds_tree as tree
from contracts.rounds_sparse import SparsePlan, SparseRound, make_sparse
from ledger.core.errors import InputError, LimitError


def case(seed):
    """A small instance both ways, with a plan that is mostly wrong."""
    dice = random.Random(seed)
    rows, columns = dice.randint(1, 9), dice.randint(1, 19)
    weights = [
        [dice.choice([0, 0, 0, dice.randint(1, 50)]) for _ in range(columns)] for _ in range(rows)
    ]
    supplies = [dice.randint(0, 9) for _ in range(rows)]
    demands = [dice.randint(0, 9) for _ in range(columns)]
    dense = tree.make_instance(supplies=supplies, demands=demands, weights=weights)
    cells = [tuple((at, one) for at, one in enumerate(row) if one) for row in weights]
    sparse = make_sparse(supplies=supplies, demands=demands, cells=cells)
    answer = tree.Answer(
        tuple(
            (row, column, dice.randint(1, 5))
            for row in range(rows)
            for column in range(columns)
            if dice.random() < 0.2
        ),
        tuple(dice.choice([0, dice.randint(0, 40)]) for _ in range(rows)),
        tuple(dice.choice([0, dice.randint(0, 40)]) for _ in range(columns)),
    )
    return dense, sparse, answer


@pytest.mark.parametrize("seed", range(60))
def test_both_ways_commit_to_the_same_and_find_the_same_faults(seed):
    dense, sparse, answer = case(seed)
    assert sparse.dense() == dense
    full, small = tree.RoundData(dense), SparseRound(sparse)
    plan, shared = tree.posted_plan(dense, answer), SparsePlan(sparse, answer)
    assert small.inputs_root() == full.inputs_root()
    assert small.opening(shared) == full.opening(plan)
    known = list(tree._faults(full, plan))
    found = list(small._faults(shared, plan.objective))
    assert all(one in known for one in found)
    assert bool(found) == bool(known)
    assert small.strike_of(shared, objective=plan.objective) == (found[0] if found else None)


@pytest.mark.parametrize("seed", range(20))
def test_a_value_that_was_only_claimed_is_a_fault(seed):
    dense, sparse, answer = case(seed)
    shared = SparsePlan(sparse, answer)
    plan = tree.posted_plan(dense, answer)
    plan.objective += 1
    witness = SparseRound(sparse).strike_of(shared, objective=shared.value + 1)
    assert witness is not None
    assert witness in list(tree._faults(tree.RoundData(dense), plan))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"cells": [((1, 5), (0, 5))]}, "rounds.shape"),
        ({"cells": [((0, 0),)]}, "rounds.value"),
        ({"cells": [((2, 5),)]}, "rounds.shape"),
        ({"supplies": [-1]}, "rounds.value"),
        ({"supplies": []}, "rounds.shape"),
    ],
)
def test_inputs_that_are_none_are_refused(change, code):
    with pytest.raises(InputError) as caught:
        make_sparse(**({"supplies": [3], "demands": [1, 2], "cells": [((0, 5),)]} | change))
    assert caught.value.error_code == code


def test_more_rows_than_the_chain_takes_are_refused():
    with pytest.raises(LimitError) as caught:
        make_sparse(supplies=[1] * 65_537, demands=[1], cells=[()] * 65_537)
    assert caught.value.error_code == "rounds.too_large"


@pytest.mark.parametrize(
    ("flows", "code"),
    [
        (((0, 1, 1), (0, 0, 1)), "rounds.shape"),
        (((0, 0, 0),), "rounds.shape"),
        (((1, 0, 1),), "rounds.shape"),
    ],
)
def test_flows_that_are_none_are_refused(flows, code):
    sparse = make_sparse(supplies=[3], demands=[1, 2], cells=[((0, 5),)])
    with pytest.raises(InputError) as caught:
        SparsePlan(sparse, tree.Answer(flows, (0,), (0, 0)))
    assert caught.value.error_code == code
