"""The exact optimum of a round, with dual prices: min-cost flow by OR-Tools, one item class at a time.

Network of one class (matching.md C): lots -> needs over every eligible pair; root -> (hospital, class, tier)
group in S parallel segments whose price rises, group -> need: what stays unserved; lot -> root: what stays
unused. All integers, no surplus node.

The levels (unserved, transport, expiry) are one integer cost (c1 * W1 + c2) * W2 + c3. Why the weights
separate the levels: only lot-need arcs carry c2 and c3, and a simple residual path holds at most
k = min(lots, needs) of them forwards and k backwards, so a path's c2 stays within B2 = (k + 1) * max c2, its c3
within B3 likewise. With W2 = 2 * B3 + 1 and W1 = 2 * B2 + 1 the order of two path costs as numbers is their
order as vectors. A round in which that would pass 2**63 is refused. `check.py` does not rely on any of this.

Inside level 1 a unit unserved at rank r costs r, and linear weights are enough for "tier first, then the
emptiest segment first": the amounts that can be served together form a polymatroid, on which the greedy
order of the weights alone decides (matching.md B5.2; a test compares with brute force).

OR-Tools returns no dual prices: they are shortest distances in the residual graph of its flow (Bellman-Ford).
This is the only module that imports a solver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import ortools
from numpy.typing import NDArray
from ortools.graph.python import min_cost_flow

from ledger.core.errors import LimitError
from matching.candidates import ELIGIBLE, Candidates, judge_pairs
from matching.geo import Int64s
from matching.plan import Certificate, Flow, Group, Objective, Plan, Price
from matching.problem import TIERS, Problem

SOLVER: Final = f"ortools {ortools.__version__} SimpleMinCostFlow"
ARCS_MAX: Final = 3_000_000
"""Arcs of one class. OR-Tools cannot be interrupted; this many take under a minute and half a gigabyte."""
_COST_LIMIT: Final = 1 << 61
"""Cost scaling multiplies costs by the number of nodes plus one; two spare bits for sums of two."""


@dataclass(frozen=True, slots=True)
class Solution:
    """A plan, its certificate and the judged pairs they rest on."""

    plan: Plan
    certificate: Certificate
    candidates: Candidates


@dataclass(frozen=True, slots=True)
class _Network:
    """One class as arrays. Nodes: root 0, groups, needs, lots."""

    groups: list[Group]
    needs: list[int]
    lots: list[int]
    tails: Int64s
    heads: Int64s
    capacities: Int64s
    costs: Int64s
    supplies: Int64s
    pairs: tuple[Int64s, Int64s]
    weights: tuple[int, int]


def solve(problem: Problem, *, candidates: Candidates | None = None) -> Solution:
    """Solve the round exactly.

    Raises:
        LimitError: `matching.too_large`, `matching.weights_overflow`.
    """
    judged = candidates if candidates is not None else judge_pairs(problem)
    served = np.zeros(judged.codes.shape, dtype=np.int64)
    roots: dict[str, Price] = {}
    groups: dict[Group, Price] = {}
    needs: dict[str, Price] = {}
    lots: dict[str, Price] = {}
    for item_class in sorted({item.item_class for item in problem.catalogue.items.values()}):
        network = _network(problem, judged, item_class=item_class)
        if network is None:
            continue
        flows = _run(network)
        prices = _split(_potentials(network, flows), weights=network.weights)
        count = len(network.pairs[0])
        served[network.pairs] = flows[:count]
        roots[item_class] = prices[0]
        first_need = 1 + len(network.groups)
        first_lot = first_need + len(network.needs)
        groups |= dict(zip(network.groups, prices[1:first_need], strict=True))
        for row, price in zip(network.needs, prices[first_need:first_lot], strict=True):
            needs[problem.needs[row].id] = price
        for row, price in zip(network.lots, prices[first_lot:], strict=True):
            lots[problem.lots[row].id] = price
    plan = Plan(
        problem=problem.digest().hex(),
        flows=tuple(
            Flow(problem.needs[j].id, problem.lots[i].id, int(served[j, i]))
            for j, i in zip(*np.nonzero(served), strict=True)
        ),
        objective=_objective(problem, judged, served=served),
        solver=SOLVER,
    )
    certificate = Certificate(plan.digest().hex(), roots, groups, needs, lots)
    return Solution(plan, certificate, judged)


def _network(problem: Problem, judged: Candidates, *, item_class: str) -> _Network | None:
    """The class as a network, or None where it has neither needs nor lots."""
    classes = {item.id: item.item_class for item in problem.catalogue.items.values()}
    needs = [j for j, need in enumerate(problem.needs) if classes[need.items[0]] == item_class]
    lots = [i for i, lot in enumerate(problem.lots) if classes[lot.item] == item_class]
    if not needs and not lots:
        return None
    keys: list[Group] = [
        (problem.needs[j].hospital, item_class, problem.needs[j].tier) for j in needs
    ]
    groups = sorted(set(keys))
    position = {key: number for number, key in enumerate(groups)}
    group_of = np.array([position[key] for key in keys], dtype=np.int64)
    demand = np.array([problem.needs[j].quantity for j in needs], dtype=np.int64)
    supply = np.array([problem.lots[i].quantity for i in lots], dtype=np.int64)
    block = np.ix_(np.array(needs, dtype=np.int64), np.array(lots, dtype=np.int64))
    need_rows, lot_rows = np.nonzero(judged.codes[block] == ELIGIBLE)
    arcs = len(need_rows) + len(lots) + len(needs) + len(groups) * problem.policy.segments
    if arcs > ARCS_MAX:
        raise LimitError(
            f"class {item_class} has more than {ARCS_MAX} arcs",
            code="matching.too_large",
            limit=ARCS_MAX,
        )
    transport = judged.transport[block][need_rows, lot_rows]
    life = judged.life[np.array(lots, dtype=np.int64)][lot_rows]
    nodes = 1 + len(groups) + len(needs) + len(lots)
    weights = _weights(
        problem, transport=transport, life=life, chain=min(len(needs), len(lots)), nodes=nodes
    )
    first_need, first_lot = 1 + len(groups), 1 + len(groups) + len(needs)
    segment_heads, segment_caps, segment_costs = _segments(
        problem, groups=groups, group_of=group_of, demand=demand
    )
    none = np.zeros(len(lots) + len(needs), dtype=np.int64)
    return _Network(
        groups=groups,
        needs=needs,
        lots=lots,
        tails=np.concatenate(
            [
                first_lot + lot_rows,
                first_lot + np.arange(len(lots)),
                1 + group_of,
                np.zeros(len(segment_heads), dtype=np.int64),
            ]
        ),
        heads=np.concatenate(
            [
                first_need + need_rows,
                np.zeros(len(lots), dtype=np.int64),
                first_need + np.arange(len(needs)),
                segment_heads,
            ]
        ),
        # One more than conservation lets through: such an arc never fills up, so its reduced cost is
        # never negative and the certificate needs no word about capacities there.
        capacities=np.concatenate(
            [
                np.minimum(supply[lot_rows], demand[need_rows]) + 1,
                supply + 1,
                demand + 1,
                segment_caps,
            ]
        ),
        costs=np.concatenate(
            [transport * weights[1] + life, none, segment_costs * (weights[0] * weights[1])]
        ),
        supplies=np.concatenate(
            [
                np.array([demand.sum() - supply.sum()], dtype=np.int64),
                np.zeros(len(groups), dtype=np.int64),
                -demand,
                supply,
            ]
        ),
        pairs=(
            np.array(needs, dtype=np.int64)[need_rows],
            np.array(lots, dtype=np.int64)[lot_rows],
        ),
        weights=weights,
    )


def _segments(
    problem: Problem, *, groups: list[Group], group_of: Int64s, demand: Int64s
) -> tuple[Int64s, Int64s, Int64s]:
    """(head node, capacity, rank) of the root -> group arcs, cheapest segment first."""
    segments = problem.policy.segments
    total = np.zeros(len(groups), dtype=np.int64)
    np.add.at(total, group_of, demand)
    steps = np.arange(segments, dtype=np.int64)
    capacity = total[:, None] * (steps + 1) // segments - total[:, None] * steps // segments
    tier = np.array([key[2] for key in groups], dtype=np.int64)
    rank = (len(TIERS) - 1 - tier)[:, None] * segments + steps + 1
    heads = np.repeat(1 + np.arange(len(groups), dtype=np.int64), segments)
    return heads, capacity.ravel(), rank.ravel()


def _weights(
    problem: Problem, *, transport: Int64s, life: Int64s, chain: int, nodes: int
) -> tuple[int, int]:
    """(W1, W2) that separate the levels, proven not to pass 2**63; see the module's docstring.

    Raises:
        LimitError: `matching.weights_overflow`.
    """
    bound_transport = (chain + 1) * int(transport.max(initial=0))
    bound_life = (chain + 1) * int(life.max(initial=0))
    weights = (2 * bound_transport + 1, 2 * bound_life + 1)
    top_rank = len(TIERS) * problem.policy.segments
    largest = (top_rank * weights[0] + int(transport.max(initial=0)) + 1) * weights[1]
    if largest * (nodes + 1) >= _COST_LIMIT:
        raise LimitError(
            "the level weights of this round would pass 63 bits: use fewer segments or split the round",
            code="matching.weights_overflow",
            bits=(largest * (nodes + 1)).bit_length(),
        )
    return weights


def _run(network: _Network) -> Int64s:
    """Flow of every arc, in the order of the network."""
    solver = min_cost_flow.SimpleMinCostFlow()
    arcs = solver.add_arcs_with_capacity_and_unit_cost(
        network.tails.astype(np.int32),
        network.heads.astype(np.int32),
        network.capacities,
        network.costs,
    )
    nodes = np.arange(len(network.supplies), dtype=np.int32)
    solver.set_nodes_supplies(nodes, network.supplies)
    status = solver.solve()
    if status == solver.BAD_COST_RANGE:
        raise LimitError("the solver refuses these weights", code="matching.weights_overflow")
    # Serving nothing is always feasible, so any other status is our own bug.
    assert status == solver.OPTIMAL, f"solver status {status}"
    flows: Int64s = np.asarray(solver.flows(arcs), dtype=np.int64)
    return flows


def _potentials(network: _Network, flows: Int64s) -> Int64s:
    """Shortest distances in the residual graph from a source joined to every node at no cost."""
    forward = flows < network.capacities
    backward = flows > 0
    tails = np.concatenate([network.tails[forward], network.heads[backward]])
    heads = np.concatenate([network.heads[forward], network.tails[backward]])
    costs = np.concatenate([network.costs[forward], -network.costs[backward]])
    order = np.argsort(heads, kind="stable")
    tails, heads, costs = tails[order], heads[order], costs[order]
    distances: Int64s = np.zeros(len(network.supplies), dtype=np.int64)
    if not len(heads):
        return distances
    starts: NDArray[np.int64] = np.flatnonzero(np.r_[True, heads[1:] != heads[:-1]])
    reached = heads[starts]
    for _ in range(len(distances) + 1):
        shorter = np.minimum(
            distances[reached], np.minimum.reduceat(distances[tails] + costs, starts)
        )
        if np.array_equal(shorter, distances[reached]):
            return distances
        distances[reached] = shorter
    raise AssertionError("a negative residual cycle: the flow was not optimal")


def _split(distances: Int64s, *, weights: tuple[int, int]) -> list[Price]:
    """Scalar distances as vectors, each lower level rounded to the nearest multiple of its weight."""
    upper, lower = weights
    prices: list[Price] = []
    for distance in distances.tolist():
        rest, expiry = divmod(distance + lower // 2, lower)
        unserved, transport = divmod(rest + upper // 2, upper)
        prices.append((unserved, transport - upper // 2, expiry - lower // 2))
    return prices


def _objective(problem: Problem, judged: Candidates, *, served: Int64s) -> Objective:
    segments = problem.policy.segments
    classes = {item.id: item.item_class for item in problem.catalogue.items.values()}
    total: dict[Group, int] = {}
    unmet: dict[Group, int] = {}
    by_need = served.sum(axis=1)
    for row, need in enumerate(problem.needs):
        key = (need.hospital, classes[need.items[0]], need.tier)
        total[key] = total.get(key, 0) + need.quantity
        unmet[key] = unmet.get(key, 0) + need.quantity - int(by_need[row])
    by_tier = [0] * len(TIERS)
    by_rank = [0] * (len(TIERS) * segments)
    for key, units in unmet.items():
        by_tier[key[2]] += units
        for step in range(segments):
            low = total[key] * step // segments
            high = total[key] * (step + 1) // segments
            rank = (len(TIERS) - 1 - key[2]) * segments + step
            by_rank[rank] += max(0, min(units, high) - low)
    return Objective(
        unserved_by_tier=tuple(by_tier),
        unserved_by_rank=tuple(by_rank),
        transport=int((served * judged.transport).sum()),
        expiry=int((served * judged.life[None, :]).sum()),
    )
