"""A lot is cut into whole requests the cheapest way there is."""

import itertools

import numpy as np
import pytest

from ledger.core.errors import LimitError
from matching.testing import numbers
from matching.whole_requests import LOT_UNITS_MAX, cut_lot


def cheapest(units, sizes, costs, fixed, each):
    best = None
    for chosen in itertools.chain.from_iterable(
        itertools.combinations(range(len(sizes)), count) for count in range(len(sizes) + 1)
    ):
        rest = units - sum(sizes[i] for i in chosen)
        if rest >= 0:
            cost = sum(costs[i] for i in chosen) + (fixed + each * rest if rest else 0)
            best = cost if best is None else min(best, cost)
    return best


@pytest.mark.parametrize("seed", range(40))
def test_no_other_cut_is_cheaper(seed):
    stream = numbers(f"cut-{seed}")
    units = 1 + next(stream) % 40
    sizes = [1 + next(stream) % 20 for _ in range(8)]
    costs = [next(stream) % 60 - 30 for _ in range(8)]
    fixed, each = next(stream) % 40, next(stream) % 5
    cut = cut_lot(
        units,
        np.array(sizes, dtype=np.int64),
        np.array(costs, dtype=np.int64),
        rest_fixed=fixed,
        rest_per_unit=each,
    )
    assert sum(sizes[i] for i in cut.chosen) + cut.rest == units
    assert len(set(cut.chosen)) == len(cut.chosen)
    found = sum(costs[i] for i in cut.chosen) + (fixed + each * cut.rest if cut.rest else 0)
    assert found == cheapest(units, sizes, costs, fixed, each)


def test_an_exact_fit_is_preferred_to_a_rest():
    sizes, costs = np.array([60, 50, 50]), np.array([-1, -1, -1])
    cut = cut_lot(100, sizes, costs, rest_fixed=10, rest_per_unit=0)
    assert cut.chosen == (1, 2)
    assert cut.rest == 0


def test_a_lot_beyond_the_limit_is_refused():
    with pytest.raises(LimitError):
        cut_lot(LOT_UNITS_MAX + 1, np.array([1]), np.array([1]), rest_fixed=0, rest_per_unit=0)
