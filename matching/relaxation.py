"""The linear relaxation of a round with limits (scipy's HiGHS, level one): what it suggests, nothing proven.

Resources are coupling rows, sum of units times what a unit takes <= capacity; donors with a limit on their
receivers are rows of `receivers.py`. The duals of both become integer prices, which `shared_capacity.py` puts
into an exact flow; the checker believes neither of the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from scipy.optimize import linprog  # type: ignore[import-untyped]
from scipy.sparse import coo_array  # type: ignore[import-untyped]

from ledger.core.canonical import INTEGER_MAX
from ledger.core.errors import LimitError
from matching.candidates import ELIGIBLE, Candidates
from matching.engine.portfolio import seconds_left
from matching.geo import Int64s
from matching.plan import Group
from matching.problem import LIFE_MAX_DAYS, TIERS, Problem
from matching.receivers import PRICE_OF_DONOR_MAX, Receivers

SCALE: Final = 1 << 10
"""Prices of rows are in thousandths of a rank: a unit that takes seven minutes needs fractions."""
_ROOM: Final = 8
"""How many times the value of a plan that of its prices may be, before canonical JSON cannot hold it."""
LP_ARCS_MAX: Final = 3_000_000
"""Pairs of the relaxation; HiGHS takes about a kilobyte for each."""
RECEIVERS_ARCS_MAX: Final = 1_000_000
"""Pairs up to which the relaxation is made for donors' receivers alone: 420 000 took 3.5 s of processor time.
Larger rounds keep the wider bound."""


@dataclass(frozen=True, slots=True)
class Relaxed:
    """The relaxation: suggested price of each resource and donor (scaled), units of each lot."""

    prices: dict[str, int]
    quotas: dict[int, int]
    donors: dict[str, int] = field(default_factory=dict)
    scale: int = SCALE


def scale_of(problem: Problem, judged: Candidates) -> int:
    """The scale of prices: less than SCALE where a plan's value at that scale would pass 2**53."""
    wanted = sum(need.quantity for need in problem.needs)
    moved = min(wanted, sum(lot.quantity for lot in problem.lots))
    furthest = int(judged.transport[judged.codes == ELIGIBLE].max(initial=0))
    ranks = len(TIERS) * problem.policy.segments
    largest = _ROOM * max(wanted * ranks, moved * furthest, moved * LIFE_MAX_DAYS)
    scale = SCALE
    while scale > 1 and largest * scale > INTEGER_MAX:
        scale //= 2
    return scale


def relax(
    problem: Problem, judged: Candidates, receivers: Receivers, *, until: float | None
) -> Relaxed:
    """Level one as a linear programme over the classes that resources and limited donors touch.

    Raises:
        LimitError: `matching.too_large`.
    """
    items = problem.catalogue.items
    of_lot = [items[lot.item].item_class for lot in problem.lots]
    of_need = [items[need.items[0]].item_class for need in problem.needs]
    limited = receivers.donor_of >= 0
    shared = {
        name
        for name, lot, one in zip(of_lot, problem.lots, limited.tolist(), strict=True)
        if lot.resource or one
    }
    eligible = judged.codes == ELIGIBLE
    eligible &= np.array([name in shared for name in of_lot], dtype=np.bool_)[None, :]
    rows, columns = np.nonzero(eligible)
    if not len(rows) or (not problem.resources and len(rows) > RECEIVERS_ARCS_MAX):
        return Relaxed({resource.id: 0 for resource in problem.resources}, {})
    if len(rows) > LP_ARCS_MAX:
        raise LimitError(
            f"resources may touch at most {LP_ARCS_MAX} eligible pairs",
            code="matching.too_large",
            limit=LP_ARCS_MAX,
        )
    groups: dict[Group, list[int]] = {}
    for row, need in enumerate(problem.needs):
        if of_need[row] in shared:
            groups.setdefault((need.hospital, of_need[row], need.tier), []).append(row)
    segments = problem.policy.segments
    totals = [sum(problem.needs[row].quantity for row in members) for members in groups.values()]
    cuts = np.arange(segments + 1)
    sizes = np.diff(np.array(totals, dtype=np.int64)[:, None] * cuts // segments, axis=1)
    ranks = [
        (len(TIERS) - 1 - key[2]) * segments + step + 1
        for key in groups
        for step in range(segments)
    ]
    pairs = len(rows)
    cost = np.concatenate([np.zeros(pairs), np.array(ranks, dtype=np.float64)])
    upper = np.concatenate([np.full(pairs, np.inf), sizes.ravel().astype(np.float64)])
    number = {resource.id: at for at, resource in enumerate(problem.resources)}
    takes = np.array([lot.per_unit for lot in problem.lots], dtype=np.float64)
    of_resource = np.array([number.get(lot.resource or "", -1) for lot in problem.lots])
    used = np.flatnonzero(of_resource[columns] >= 0)
    given = np.flatnonzero(limited[columns])
    donor = receivers.donor_of[columns[given]]
    most_of = receivers.most[receivers.hospital_of[rows[given]], donor]
    needs, lots = len(problem.needs), len(problem.lots)
    at, last = np.arange(pairs), needs + lots + len(number)
    limits = coo_array(
        (
            np.concatenate([np.ones(2 * pairs), takes[columns[used]], 1 / most_of]),
            (
                np.concatenate(
                    [rows, needs + columns, needs + lots + of_resource[columns[used]], last + donor]
                ),
                np.concatenate([at, at, used, given]),
            ),
        ),
        shape=(last + len(receivers.donors), len(cost)),
    )
    most = [need.quantity for need in problem.needs] + [lot.quantity for lot in problem.lots]
    most += [resource.capacity for resource in problem.resources]
    most += receivers.allowed
    group_of = np.zeros(needs, dtype=np.int64)
    for place, members in enumerate(groups.values()):
        group_of[members] = place
    filled = coo_array(
        (
            np.ones(len(cost)),
            (
                np.concatenate([group_of[rows], np.repeat(np.arange(len(groups)), segments)]),
                np.arange(len(cost)),
            ),
        ),
        shape=(len(groups), len(cost)),
    )
    left = seconds_left(until)
    found = linprog(
        cost,
        A_ub=limits.tocsr(),
        b_ub=most,
        A_eq=filled.tocsr(),
        b_eq=totals,
        bounds=np.stack([np.zeros(len(cost)), upper], axis=1),
        method="highs",
        options={} if left is None else {"time_limit": max(left, 0.0)},
    )
    scale = scale_of(problem, judged)
    return _read(problem, receivers, found, columns=columns, pairs=pairs, scale=scale)


def _read(
    problem: Problem, receivers: Receivers, found: Any, *, columns: Int64s, pairs: int, scale: int
) -> Relaxed:
    """Prices and quotas; a relaxation that HiGHS could not solve suggests nothing, and nothing is lost."""
    if getattr(found, "status", 1) != 0:
        return Relaxed({resource.id: 0 for resource in problem.resources}, {})
    first = len(problem.needs) + len(problem.lots)
    duals = np.rint(-found.ineqlin.marginals[first:] * scale).tolist()
    sums = np.bincount(columns, weights=found.x[:pairs], minlength=len(problem.lots))
    names = [resource.id for resource in problem.resources]
    prices = {name: max(0, int(value)) for name, value in zip(names, duals, strict=False)}
    donors = {
        name: min(max(0, int(value)), PRICE_OF_DONOR_MAX)
        for name, value in zip(receivers.donors, duals[len(names) :], strict=True)
    }
    quotas = {
        column: int(sums[column] + 1e-6)
        for column, lot in enumerate(problem.lots)
        if lot.resource is not None
    }
    return Relaxed(prices, quotas, donors, scale)
