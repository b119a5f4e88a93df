"""Prices that prove an optimal flow, found from the flow alone, for solvers that return nothing else."""

from __future__ import annotations

import numpy as np

from ledger.core.errors import InputError, LimitError
from matching.engine.graph import UNBOUNDED, Graph, Int32s
from matching.engine.jit import compiled
from matching.geo import Int64s


def flow_max(graph: Graph) -> int:
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


def recover_prices(graph: Graph, flows: Int64s, *, near: Int64s | None = None) -> Int64s:
    """Prices that prove a flow optimal: shortest distances in its residual graph.

    Args:
        near: from a source joined to each node at this cost; prices close to right ones need few steps. None
            is nothing everywhere.

    Raises:
        InputError: `graph.not_optimal`: the residual graph has a negative cycle.
    """
    forward = flows < graph.bounds
    backward = flows > 0
    tails = np.concatenate([graph.tails[forward], graph.heads[backward]])
    heads = np.concatenate([graph.heads[forward], graph.tails[backward]])
    costs = np.concatenate([graph.costs[forward], -graph.costs[backward]])
    order = np.argsort(tails, kind="stable")
    starts = np.searchsorted(tails[order], np.arange(graph.nodes + 1))
    distances: Int64s = np.zeros(graph.nodes, dtype=np.int64) if near is None else near.copy()
    if not _shorten(starts, heads[order], costs[order], distances):
        raise InputError(
            "a negative residual cycle: this flow is not optimal", code="graph.not_optimal"
        )
    return distances


@compiled
def _shorten(starts: Int64s, heads: Int32s, costs: Int64s, distances: Int64s) -> bool:
    """Bellman-Ford with a queue; false where a negative cycle keeps it going.

    Args:
        starts: arcs of node n are [starts[n], starts[n + 1]).
        distances: lowered in place.
    """
    nodes = len(distances)
    queue = np.arange(nodes).astype(np.int32)
    waiting = np.ones(nodes, dtype=np.int8)
    head, count = 0, nodes
    # A pass is the queue as it was when the pass began; a path without a cycle is done in so many.
    passes = 0
    while count > 0:
        passes += 1
        if passes > nodes + 1:
            return False
        for _ in range(count):
            node = queue[head]
            head += 1
            if head == nodes:
                head = 0
            count -= 1
            waiting[node] = 0
            for arc in range(starts[node], starts[node + 1]):
                other = heads[arc]
                distance = distances[node] + costs[arc]
                if distance < distances[other]:
                    distances[other] = distance
                    if waiting[other] == 0:
                        waiting[other] = 1
                        place = head + count
                        if place >= nodes:
                            place -= nodes
                        queue[place] = other
                        count += 1
    return True
