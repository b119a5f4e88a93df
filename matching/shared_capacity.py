"""Rounds that are no pure flow: a certified bound, a plan that keeps every limit, and the gap between them.

Resources shared by several products are coupling rows, sum of units times what a unit takes <= capacity; donors
that split to few hospitals are rows too (`receivers.py`). Their linear relaxation (`relaxation.py`) suggests
what each row is worth. Nothing of that is believed: the suggested prices become integers, and with them in the
costs of pairs the round is a flow again, whose exact optimum less the price of the rows bounds every plan
(Lagrange). The checker adds that up by itself.

A plan of such a round is called optimal only where the flow without the limits already keeps them; in every
other case it carries its gap, level by level, and nothing is claimed beyond it.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

import numpy as np

from ledger.core.errors import LimitError
from matching.assemble import class_names, objective_of
from matching.candidates import ELIGIBLE, Candidates, judge_pairs
from matching.engine.levels import LEVELS, level_fits, solve_by_levels
from matching.engine.market import Market
from matching.engine.network import class_network, with_pairs
from matching.engine.portfolio import limit_of, seconds_left
from matching.engine.translate import market_of
from matching.geo import Int64s
from matching.pallets import donors_limits, keep_limits
from matching.plan import Certificate, Flow, Group, Plan, Price
from matching.problem import TIERS, Problem
from matching.receivers import Receivers, receivers_of
from matching.relaxation import SCALE, Relaxed, relax
from matching.solve import Solution, solve

IMPROVED_TRIES: Final = 200
IMPROVED_CELLS_MAX: Final = 250_000
"""How often lots are given out again, and needs times lots up to which that is tried: 200 times took a second
of processor time in a round of 500 x 500, and larger rounds stay as they are rounded."""
NAME: Final = "limits kept by rounding"
_LOWER: Final = range(len(TIERS))
"""Tiers whose needs give way: all of them, all but the critical, the normal alone."""


def solve_limited(
    problem: Problem, *, candidates: Candidates | None = None, seconds: float | None = None
) -> Solution:
    """Solve any round; one without limits exactly as `solve` does.

    Args:
        seconds: at most about so long, all steps together; the plan is then the best so far, with its gap.

    Raises:
        LimitError: `matching.too_large`, `matching.weights_overflow`.
    """
    judged = candidates if candidates is not None else judge_pairs(problem)
    until = limit_of(seconds)
    free = solve(problem, candidates=judged, seconds=seconds)
    if not problem.limited:
        return free
    served = _units(problem, free.plan)
    if np.array_equal(keep_limits(problem, judged, served=served), served):
        # The optimum without the limits keeps them all: nothing better can exist with them.
        return free
    market, receivers = market_of(problem), receivers_of(problem, judged)
    bounds = [free.certificate]
    made = [keep_limits(problem, judged, served=served)]
    if problem.resources or receivers.donors:
        relaxed = relax(problem, judged, receivers, until=until)
        if problem.resources:
            within = _within(problem, judged, relaxed, until=until)
            made.append(keep_limits(problem, judged, served=within))
        if any(relaxed.prices.values()) or any(relaxed.donors.values()):
            bound, priced = _priced(problem, market, judged, receivers, relaxed, until=until)
            bounds.append(bound)
            # Where a pair pays for its row, goods that nobody needs badly stay away by themselves.
            made.append(keep_limits(problem, judged, served=priced))
    made += [
        _urgent_first(problem, judged, units, tier) for units in tuple(made) for tier in _LOWER
    ]
    plans = [_plan(problem, market, judged, units, free.plan.solver) for units in made]
    best = min(range(len(plans)), key=lambda at: plans[at].objective.tiers_first())
    plan = _improved(problem, market, judged, plans[best], made[best], until=until)
    proofs = [_with_gap(problem, plan, bound) for bound in bounds]
    return Solution(plan, min(proofs, key=_gap_at_scale), judged)


def _urgent_first(problem: Problem, judged: Candidates, units: Int64s, tier: int) -> Int64s:
    """These units for needs more urgent than `tier`; all else is given out anew, the strongest claim first."""
    less = np.array([need.tier >= tier for need in problem.needs], dtype=np.bool_)
    return keep_limits(problem, judged, served=np.where(less[:, None], 0, units))


def _gap_at_scale(certificate: Certificate) -> Price:
    """The gap at the finest scale there is, for a comparison."""
    first, second, third = certificate.gap or (0, 0, 0)
    times = SCALE // certificate.scale
    return first * times, second * times, third * times


def _improved(
    problem: Problem,
    market: Market,
    judged: Candidates,
    plan: Plan,
    units: Int64s,
    *,
    until: float | None,
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
            if until is not None and time.monotonic() >= until:
                return plan
            tries -= 1
            others = units.copy()
            others[:, part] = 0
            found = keep_limits(problem, judged, served=others)
            if np.array_equal(found, units):
                continue
            other = _plan(problem, market, judged, found, solver)
            if other.objective.tiers_first() < plan.objective.tiers_first():
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


def _within(
    problem: Problem, judged: Candidates, relaxed: Relaxed, *, until: float | None
) -> Int64s:
    """The exact optimum where every product has its share of the resource for itself."""
    lots = tuple(
        replace(lot, quantity=relaxed.quotas.get(column, lot.quantity))
        for column, lot in enumerate(problem.lots)
    )
    kept = [column for column, lot in enumerate(lots) if lot.quantity]
    some = replace(problem, lots=tuple(lots[column] for column in kept))
    part = Candidates(
        judged.codes[:, kept],
        judged.km[:, kept],
        judged.days[:, kept],
        judged.transport[:, kept],
        judged.life[kept],
    )
    units = np.zeros(judged.codes.shape, dtype=np.int64)
    found = solve(some, candidates=part, seconds=seconds_left(until))
    units[:, kept] = _units(some, found.plan)
    return units


def _priced(
    problem: Problem,
    market: Market,
    judged: Candidates,
    receivers: Receivers,
    relaxed: Relaxed,
    *,
    until: float | None,
) -> tuple[Certificate, Int64s]:
    """Exact dual prices of the flow in which a pair pays for its rows, and its units by (need, lot)."""
    units = np.zeros(judged.codes.shape, dtype=np.int64)
    prices, donors, scale = relaxed.prices, relaxed.donors, relaxed.scale
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
            market, item_class=item_class, segments=problem.policy.segments, rank_cost=scale
        )
        if network is None:
            continue
        block = np.ix_(network.needs, network.lots)
        rows, columns = (x.astype(np.int32) for x in np.nonzero(judged.codes[block] == ELIGIBLE))
        base = network.base.arcs
        costs = np.zeros((base + len(rows), LEVELS), dtype=np.int64)
        costs[base - len(network.segment_rank) : base, 0] = scale * network.segment_rank
        costs[base:, 0] = charge[network.lots][columns]
        if donors:
            costs[base:, 0] += receivers.charges(
                donors, needs=network.needs[rows], lots=network.lots[columns]
            )
        costs[base:, 1] = scale * judged.transport[block][rows, columns]
        costs[base:, 2] = scale * judged.life[network.lots][columns]
        if not level_fits(costs, nodes=network.base.nodes):
            raise LimitError(
                "the prices of this round would pass 63 bits: split the round",
                code="matching.weights_overflow",
            )
        graph = with_pairs(network, needs=rows, lots=columns, costs=costs[base:, 0])
        # Cut short, its prices still bound every plan.
        flows, vectors, _ = solve_by_levels(graph, costs, until=until)
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
    return Certificate("", roots, groups, needs, lots, None, shared, scale, donors), units


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
    for name, allowed in donors_limits(problem.lots).items():
        dual[0] -= bound.donors.get(name, 0) * allowed
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
