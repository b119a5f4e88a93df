"""Rounds that are no pure flow: a certified bound, a plan that keeps every limit, and the gap between them.

Resources shared by several products are coupling rows, sum of units times what a unit takes <= capacity.
Their linear relaxation (scipy's HiGHS, level one) suggests what a unit of each resource is worth. Nothing of
that is believed: the suggested prices become integers, and with them in the lots' costs the round is a flow
again, whose exact optimum less the price of the capacity bounds every plan (Lagrange). The checker adds that up
by itself.

A plan of such a round is called optimal only where the flow without the limits already keeps them; in every
other case it carries its gap, level by level, and nothing is claimed beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.optimize import linprog  # type: ignore[import-untyped]
from scipy.sparse import coo_array  # type: ignore[import-untyped]

from ledger.core.errors import LimitError
from matching.assemble import class_names, objective_of
from matching.candidates import ELIGIBLE, Candidates, judge_pairs
from matching.engine.levels import LEVELS, level_fits, solve_by_levels
from matching.engine.market import Market
from matching.engine.network import class_network, with_pairs
from matching.engine.translate import market_of
from matching.geo import Int64s
from matching.pallets import donors_limits, keep_limits
from matching.plan import Certificate, Flow, Group, Plan, Price
from matching.problem import TIERS, Problem
from matching.solve import Solution, solve

SCALE: Final = 1 << 10
"""Prices of resources are in thousandths of a rank: a unit that takes seven minutes needs fractions."""
LP_ARCS_MAX: Final = 3_000_000
"""Pairs of the relaxation; HiGHS takes about a kilobyte for each."""
IMPROVED_TRIES: Final = 200
IMPROVED_CELLS_MAX: Final = 250_000
"""How often lots are given out again, and needs times lots up to which that is tried: 200 times took a second
of processor time in a round of 500 x 500, and larger rounds stay as they are rounded."""
NAME: Final = "limits kept by rounding"


@dataclass(frozen=True, slots=True)
class _Relaxed:
    """The relaxation: suggested price of each resource (scaled), units of each lot."""

    prices: dict[str, int]
    quotas: dict[int, int]


def solve_limited(problem: Problem, *, candidates: Candidates | None = None) -> Solution:
    """Solve any round; one without limits exactly as `solve` does.

    Raises:
        LimitError: `matching.too_large`, `matching.weights_overflow`.
    """
    judged = candidates if candidates is not None else judge_pairs(problem)
    free = solve(problem, candidates=judged)
    if not problem.limited:
        return free
    served = _units(problem, free.plan)
    if np.array_equal(keep_limits(problem, judged, served=served), served):
        # The optimum without the limits keeps them all: nothing better can exist with them.
        return free
    market = market_of(problem)
    bound = free.certificate
    made = [keep_limits(problem, judged, served=served)]
    if problem.resources:
        relaxed = _relax(problem, judged)
        bound, priced = _priced(problem, market, judged, relaxed.prices)
        made.append(keep_limits(problem, judged, served=_within(problem, judged, relaxed)))
        # Where a lot pays for its resource, products that nobody needs badly stay away by themselves.
        made.append(keep_limits(problem, judged, served=priced))
    plans = [_plan(problem, market, judged, units, free.plan.solver) for units in made]
    best = min(range(len(plans)), key=lambda at: plans[at].objective.vector())
    plan = _improved(problem, market, judged, plans[best], made[best])
    return Solution(plan, _with_gap(problem, plan, bound), judged)


def _improved(
    problem: Problem, market: Market, judged: Candidates, plan: Plan, units: Int64s
) -> Plan:
    """The plan after some of its lots in turn were taken back and given out again with what had lain idle.

    Only what is better by the policy stays, so the result is never worse; passes end when one changes nothing.
    """
    solver = plan.solver.removesuffix(f", {NAME}")
    if units.size > IMPROVED_CELLS_MAX:
        return plan
    tries = IMPROVED_TRIES
    better = True
    while better and tries > 0:
        better = False
        for part in _taken_back(problem, units)[:tries]:
            tries -= 1
            others = units.copy()
            others[:, part] = 0
            found = keep_limits(problem, judged, served=others)
            if np.array_equal(found, units):
                continue
            other = _plan(problem, market, judged, found, solver)
            if other.objective.vector() < plan.objective.vector():
                plan, units, better = other, found, True
    return plan


def _taken_back(problem: Problem, units: Int64s) -> list[list[int]]:
    """Lots that are taken back together: each that gives, and all lots of each donor with limited receivers."""
    parts = [[column] for column in np.flatnonzero(units.any(axis=0)).tolist()]
    for donor in sorted(donors_limits(problem.lots)):
        own = [column for column, lot in enumerate(problem.lots) if lot.donor == donor]
        if len(own) > 1 and units[:, own].any():
            parts.append(own)
    return parts


def _within(problem: Problem, judged: Candidates, relaxed: _Relaxed) -> Int64s:
    """The exact optimum where every product has its share of the resource for itself."""
    lots = tuple(
        replace(lot, quantity=relaxed.quotas.get(column, lot.quantity))
        for column, lot in enumerate(problem.lots)
    )
    kept = [column for column, lot in enumerate(lots) if lot.quantity]
    some = replace(problem, lots=tuple(lots[column] for column in kept))
    part = Candidates(
        judged.codes[:, kept], judged.km[:, kept], judged.transport[:, kept], judged.life[kept]
    )
    units = np.zeros(judged.codes.shape, dtype=np.int64)
    units[:, kept] = _units(some, solve(some, candidates=part).plan)
    return units


def _relax(problem: Problem, judged: Candidates) -> _Relaxed:
    """Level one as a linear programme over the classes that resources touch."""
    items = problem.catalogue.items
    of_lot = [items[lot.item].item_class for lot in problem.lots]
    of_need = [items[need.items[0]].item_class for need in problem.needs]
    shared = {name for name, lot in zip(of_lot, problem.lots, strict=True) if lot.resource}
    eligible = judged.codes == ELIGIBLE
    eligible &= np.array([name in shared for name in of_lot], dtype=np.bool_)[None, :]
    rows, columns = np.nonzero(eligible)
    if not len(rows):
        return _Relaxed({resource.id: 0 for resource in problem.resources}, {})
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
    needs, lots = len(problem.needs), len(problem.lots)
    at = np.arange(pairs)
    limits = coo_array(
        (
            np.concatenate([np.ones(2 * pairs), takes[columns[used]]]),
            (
                np.concatenate([rows, needs + columns, needs + lots + of_resource[columns[used]]]),
                np.concatenate([at, at, used]),
            ),
        ),
        shape=(needs + lots + len(number), len(cost)),
    )
    most = [need.quantity for need in problem.needs] + [lot.quantity for lot in problem.lots]
    most += [resource.capacity for resource in problem.resources]
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
    found = linprog(
        cost,
        A_ub=limits.tocsr(),
        b_ub=most,
        A_eq=filled.tocsr(),
        b_eq=totals,
        bounds=np.stack([np.zeros(len(cost)), upper], axis=1),
        method="highs",
    )
    return _read(problem, found, columns=columns, pairs=pairs, first=needs + lots)


def _read(problem: Problem, found: object, *, columns: Int64s, pairs: int, first: int) -> _Relaxed:
    """Prices and quotas; a relaxation that HiGHS could not solve suggests nothing, and nothing is lost."""
    if getattr(found, "status", 1) != 0:
        return _Relaxed({resource.id: 0 for resource in problem.resources}, {})
    duals = np.rint(-found.ineqlin.marginals[first:] * SCALE)  # type: ignore[attr-defined]
    sums = np.bincount(
        columns,
        weights=found.x[:pairs],  # type: ignore[attr-defined]
        minlength=len(problem.lots),
    )
    prices = {
        resource.id: max(0, int(value))
        for resource, value in zip(problem.resources, duals.tolist(), strict=True)
    }
    quotas = {
        column: int(sums[column] + 1e-6)
        for column, lot in enumerate(problem.lots)
        if lot.resource is not None
    }
    return _Relaxed(prices, quotas)


def _priced(
    problem: Problem, market: Market, judged: Candidates, prices: dict[str, int]
) -> tuple[Certificate, Int64s]:
    """Exact dual prices of the flow in which a lot pays for its resource, and its units by (need, lot)."""
    units = np.zeros(judged.codes.shape, dtype=np.int64)
    charge = np.array(
        [
            0 if lot.resource is None else lot.per_unit * prices[lot.resource]
            for lot in problem.lots
        ],
        dtype=np.int64,
    )
    roots: dict[str, Price] = {}
    groups: dict[Group, Price] = {}
    needs: dict[str, Price] = {}
    lots: dict[str, Price] = {}
    for item_class, name in enumerate(class_names(problem)):
        network = class_network(
            market, item_class=item_class, segments=problem.policy.segments, rank_cost=SCALE
        )
        if network is None:
            continue
        block = np.ix_(network.needs, network.lots)
        rows, columns = (x.astype(np.int32) for x in np.nonzero(judged.codes[block] == ELIGIBLE))
        base = network.base.arcs
        costs = np.zeros((base + len(rows), LEVELS), dtype=np.int64)
        costs[base - len(network.segment_rank) : base, 0] = SCALE * network.segment_rank
        costs[base:, 0] = charge[network.lots][columns]
        costs[base:, 1] = SCALE * judged.transport[block][rows, columns]
        costs[base:, 2] = SCALE * judged.life[network.lots][columns]
        if not level_fits(costs, nodes=network.base.nodes):
            raise LimitError(
                "the prices of this round would pass 63 bits: split the round",
                code="matching.weights_overflow",
            )
        graph = with_pairs(network, needs=rows, lots=columns, costs=costs[base:, 0])
        flows, vectors = solve_by_levels(graph, costs)
        units[network.needs[rows], network.lots[columns]] = flows[base:]
        found = [(first, second, third) for first, second, third in vectors.tolist()]
        roots[name] = found[0]
        for at, row in enumerate(network.needs.tolist()):
            need = problem.needs[row]
            needs[need.id] = found[network.first_need + at]
            group = int(network.group_node[network.group_of[at]])
            groups[(need.hospital, name, need.tier)] = found[group]
        for at, row in enumerate(network.lots.tolist()):
            lots[problem.lots[row].id] = found[network.first_lot + at]
    shared: dict[str, Price] = {name: (price, 0, 0) for name, price in prices.items()}
    return Certificate("", roots, groups, needs, lots, None, shared, SCALE), units


def _with_gap(problem: Problem, plan: Plan, bound: Certificate) -> Certificate:
    """The certificate of this plan: the value of the plan less that of the prices, at every level."""
    dual = [0, 0, 0]
    items = problem.catalogue.items
    totals: dict[Group, int] = {}
    for lot in problem.lots:
        _add(dual, bound.lots[lot.id], bound.roots[items[lot.item].item_class], -lot.quantity)
    for need in problem.needs:
        name = items[need.items[0]].item_class
        _add(dual, bound.needs[need.id], bound.roots[name], need.quantity)
        key = (need.hospital, name, need.tier)
        totals[key] = totals.get(key, 0) + need.quantity
    segments = problem.policy.segments
    for key, total in totals.items():
        root, price = bound.roots[key[1]], bound.groups[key]
        for step in range(segments):
            rank = (len(TIERS) - 1 - key[2]) * segments + step + 1
            size = total * (step + 1) // segments - total * step // segments
            reduced = (
                bound.scale * rank + root[0] - price[0],
                root[1] - price[1],
                root[2] - price[2],
            )
            if reduced < (0, 0, 0):
                _add(dual, reduced, (0, 0, 0), size)
    if bound.resources:
        for resource in problem.resources:
            _add(dual, bound.resources[resource.id], (0, 0, 0), -resource.capacity)
    primal = plan.objective.vector()
    gap = (
        bound.scale * primal[0] - dual[0],
        bound.scale * primal[1] - dual[1],
        bound.scale * primal[2] - dual[2],
    )
    return replace(bound, plan=plan.digest().hex(), gap=gap)


def _add(total: list[int], price: Price, root: Price, times: int) -> None:
    for level in range(LEVELS):
        total[level] += (price[level] - root[level]) * times


def _units(problem: Problem, plan: Plan) -> Int64s:
    rows = {need.id: row for row, need in enumerate(problem.needs)}
    columns = {lot.id: column for column, lot in enumerate(problem.lots)}
    units = np.zeros((len(problem.needs), len(problem.lots)), dtype=np.int64)
    for flow in plan.flows:
        units[rows[flow.need], columns[flow.lot]] = flow.quantity
    return units


def _plan(problem: Problem, market: Market, judged: Candidates, units: Int64s, solver: str) -> Plan:
    rows, columns = np.nonzero(units)
    lines = {
        (row, column): int(units[row, column])
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    }
    transport = sum(amount * int(judged.transport[at]) for at, amount in lines.items())
    flows = [
        Flow(problem.needs[row].id, problem.lots[column].id, amount)
        for (row, column), amount in lines.items()
    ]
    return Plan(
        problem=problem.digest().hex(),
        flows=tuple(sorted(flows, key=lambda flow: (flow.need, flow.lot))),
        objective=objective_of(problem, market, lines, transport=transport),
        solver=f"{solver}, {NAME}",
    )
