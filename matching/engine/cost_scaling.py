"""OR-Tools' cost scaling, with the dual prices that it does not return. The only module that imports OR-Tools.

Prices are shortest distances in the residual graph of its flow: Bellman-Ford over whole arrays. OR-Tools cannot
be interrupted, so the portfolio gives it only graphs of bounded size.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import ortools
from numpy.typing import NDArray
from ortools.graph.python import min_cost_flow

from ledger.core.errors import InputError, LimitError
from matching.engine.graph import UNBOUNDED, Graph
from matching.geo import Int64s

NAME: Final = f"ortools {ortools.__version__} SimpleMinCostFlow"


def run_cost_scaling(graph: Graph) -> Int64s:
    """Flow of every arc, optimal.

    Raises:
        InputError: `graph.infeasible`.
        LimitError: `graph.cost_overflow`, `graph.flow_overflow`.
    """
    solver = min_cost_flow.SimpleMinCostFlow()
    most = _flow_max(graph)
    bounds = np.minimum(graph.bounds, most)
    arcs = solver.add_arcs_with_capacity_and_unit_cost(
        graph.tails, graph.heads, bounds, graph.costs
    )
    nodes = np.arange(graph.nodes, dtype=np.int32)
    solver.set_nodes_supplies(nodes, graph.supplies)
    status = solver.solve()
    if status == solver.BAD_COST_RANGE:
        raise LimitError(
            "cost scaling multiplies costs by the number of nodes, which would pass 63 bits here",
            code="graph.cost_overflow",
        )
    if status == solver.BAD_CAPACITY_RANGE:
        raise LimitError(
            "the bounds of the arcs at one node pass 63 bits together", code="graph.flow_overflow"
        )
    if status != solver.OPTIMAL:
        raise InputError("the demands cannot all be met over these arcs", code="graph.infeasible")
    flows: Int64s = np.asarray(solver.flows(arcs), dtype=np.int64)
    return flows


def _flow_max(graph: Graph) -> int:
    """A bound that the flow of a best plan without useless cycles does not reach on any arc.

    Such a flow is paths from supplies to demands, and cycles of negative cost, each over an arc that pays.
    """
    paying = graph.bounds[graph.costs < 0].tolist()
    most: int = int(graph.supplies[graph.supplies > 0].sum()) + sum(paying) + 1
    if most >= UNBOUNDED:
        raise LimitError(
            "arcs that pay have bounds that pass 2**62 together: lower them",
            code="graph.flow_overflow",
            bits=most.bit_length(),
        )
    return most


def recover_prices(graph: Graph, flows: Int64s) -> Int64s:
    """Shortest distances in the residual graph, from a source joined to every node at no cost.

    Raises:
        InputError: `graph.not_optimal`: the residual graph has a negative cycle.
    """
    forward = flows < graph.bounds
    backward = flows > 0
    tails = np.concatenate([graph.tails[forward], graph.heads[backward]])
    heads = np.concatenate([graph.heads[forward], graph.tails[backward]])
    costs = np.concatenate([graph.costs[forward], -graph.costs[backward]])
    order = np.argsort(heads, kind="stable")
    tails, heads, costs = tails[order], heads[order], costs[order]
    distances: Int64s = np.zeros(graph.nodes, dtype=np.int64)
    if not len(heads):
        return distances
    starts: NDArray[np.int64] = np.flatnonzero(np.r_[True, heads[1:] != heads[:-1]])
    reached = heads[starts]
    for _ in range(graph.nodes + 1):
        shorter = np.minimum(
            distances[reached], np.minimum.reduceat(distances[tails] + costs, starts)
        )
        if np.array_equal(shorter, distances[reached]):
            return distances
        distances[reached] = shorter
    raise InputError(
        "a negative residual cycle: this flow is not optimal", code="graph.not_optimal"
    )
