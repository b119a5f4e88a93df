"""Exact split of a root-hub graph: components that meet only at the root never compete for anything.

Nothing is copied into subgraphs. Arcs are put in the order of their component, and the simplex prices one
stretch of arcs after the other; every pivot then stays inside one component and the root.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from matching.engine.graph import Graph, Int32s, Start
from matching.engine.jit import compiled
from matching.geo import Int64s


@dataclass(frozen=True, slots=True)
class Split:
    """A graph with its arcs in the order of components.

    Attributes:
        order: the original number of each arc.
        ends: stretches of arcs: component c is [ends[c], ends[c + 1]).
        component: of each node, -1 for the root.
    """

    graph: Graph
    order: Int64s
    ends: Int64s
    component: Int32s


def split(graph: Graph) -> Split:
    """Components of the graph without node 0; the graph has a start tree with root 0."""
    component = np.full(graph.nodes, -1, dtype=np.int32)
    count = _components(graph.tails, graph.heads, component)
    order = np.empty(graph.arcs, dtype=np.int64)
    ends = np.zeros(count + 1, dtype=np.int64)
    _sort_arcs(graph.tails, graph.heads, component, order, ends)
    start = graph.start
    assert start is not None
    place = np.empty(graph.arcs, dtype=np.int32)
    place[order] = np.arange(graph.arcs, dtype=np.int32)
    pred = np.where(start.pred >= 0, place[start.pred], np.int32(-1)).astype(np.int32)
    sorted_graph = replace(
        graph,
        tails=graph.tails[order],
        heads=graph.heads[order],
        bounds=graph.bounds[order],
        costs=graph.costs[order],
        start=Start(pred=pred, flows=start.flows[order]),
    )
    return Split(sorted_graph, order, ends, component)


@compiled
def _components(tails: Int32s, heads: Int32s, component: Int32s) -> int:
    """Union and find with halved paths; components are numbered by their smallest node."""
    nodes = len(component)
    leader = np.arange(nodes)
    for arc in range(len(tails)):
        a, b = np.int64(tails[arc]), np.int64(heads[arc])
        if a == 0 or b == 0:
            continue
        while leader[a] != a:
            leader[a] = leader[leader[a]]
            a = leader[a]
        while leader[b] != b:
            leader[b] = leader[leader[b]]
            b = leader[b]
        if a < b:
            leader[b] = a
        else:
            leader[a] = b
    count = 0
    for node in range(1, nodes):
        a = np.int64(node)
        while leader[a] != a:
            a = leader[a]
        if a == node:
            component[node] = count
            count += 1
        else:
            component[node] = component[a]
    return count


@compiled
def _sort_arcs(
    tails: Int32s, heads: Int32s, component: Int32s, order: Int64s, ends: Int64s
) -> None:
    """A stable counting sort by component."""
    for arc in range(len(tails)):
        node = tails[arc] if tails[arc] != 0 else heads[arc]
        ends[component[node] + 1] += 1
    for at in range(1, len(ends)):
        ends[at] += ends[at - 1]
    place = ends[:-1].copy()
    for arc in range(len(tails)):
        node = tails[arc] if tails[arc] != 0 else heads[arc]
        order[place[component[node]]] = arc
        place[component[node]] += 1
