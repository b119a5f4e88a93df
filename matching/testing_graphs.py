"""Random graphs for property tests of the solvers, and the smallest cost found without any of their ideas."""

from __future__ import annotations

import itertools

import numpy as np

from matching.engine.graph import UNBOUNDED, Graph, make_graph
from matching.engine.market import Market
from matching.engine.network import class_network, with_pairs
from matching.geo import Int64s
from matching.testing_greedy import materialise

_FLOWS_MAX = 200_000


def feasible_graph(
    seed: int, *, nodes: int = 6, arcs: int = 12, units: int = 20, cost: int = 9
) -> Graph:
    """A graph whose supplies come from a hidden flow, so that one exists; costs of both signs, bounded arcs.

    Parallel arcs, arcs both ways, zero bounds and zero costs all happen.
    """
    random = np.random.default_rng(seed)
    tails = random.integers(0, nodes, arcs)
    heads = (tails + 1 + random.integers(0, nodes - 1, arcs)) % nodes
    bounds = random.integers(0, units + 1, arcs)
    hidden = random.integers(0, bounds + 1)
    supplies = np.zeros(nodes, dtype=np.int64)
    np.add.at(supplies, tails, hidden)
    np.subtract.at(supplies, heads, hidden)
    return make_graph(
        tails=tails,
        heads=heads,
        bounds=bounds,
        costs=random.integers(-cost, cost + 1, arcs),
        supplies=supplies,
    )


def cheapest_by_hand(graph: Graph) -> int | None:
    """The smallest cost over every flow there is; None where there are too many to try.

    Raises:
        ValueError: no flow meets the supplies.
    """
    count = 1
    for bound in graph.bounds.tolist():
        count *= bound + 1
        if count > _FLOWS_MAX:
            return None
    best: int | None = None
    tails, heads, costs = graph.tails.tolist(), graph.heads.tolist(), graph.costs.tolist()
    for flow in itertools.product(*(range(bound + 1) for bound in graph.bounds.tolist())):
        left = graph.supplies.tolist()
        for tail, head, units in zip(tails, heads, flow, strict=True):
            left[tail] -= units
            left[head] += units
        if not any(left):
            value = sum(cost * units for cost, units in zip(costs, flow, strict=True))
            best = value if best is None else min(best, value)
    if best is None:
        raise ValueError("no flow meets the supplies")
    return best


def market_graphs(market: Market, *, segments: int, rank_cost: int = 1 << 28) -> list[Graph]:
    """Every class with every eligible pair as an arc, in the shape that rounds have."""
    graphs = []
    for number in range(int(max(market.need_class.max(), market.lot_class.max())) + 1):
        network = class_network(market, item_class=number, segments=segments, rank_cost=rank_cost)
        if network is None:
            continue
        needs, lots, transports = materialise(market, network.needs, network.lots)
        graphs.append(
            with_pairs(
                network,
                needs=np.searchsorted(network.needs, needs).astype(np.int32),
                lots=np.searchsorted(network.lots, lots).astype(np.int32),
                costs=transports,
            )
        )
    return graphs


def flow_cost(graph: Graph, flows: Int64s) -> int:
    """In Python integers."""
    return sum(
        cost * units for cost, units in zip(graph.costs.tolist(), flows.tolist(), strict=True)
    )


def without_start(graph: Graph) -> Graph:
    """The same graph as one that came from nowhere: every solver has to find its own first flow."""
    most = int(graph.supplies[graph.supplies > 0].sum()) + 1
    return make_graph(
        tails=graph.tails,
        heads=graph.heads,
        bounds=np.where(graph.bounds == UNBOUNDED, most, graph.bounds),
        costs=graph.costs,
        supplies=graph.supplies,
    )
