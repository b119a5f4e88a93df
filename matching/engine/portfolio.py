"""One interface over the solvers: which graph goes to which is a written rule on sizes, not on the clock.

The rule (figures: docs/guides/matching.md and `make bench ARGS=matching`):

1. A root-hub graph is split by component; every component of at most `SCALING_ARCS` arcs, or with fewer than
   `SCALING_DENSITY` arcs a node, goes to our own network simplex, warm from the start tree.
2. A larger, denser component is where cost scaling wins: OR-Tools, one component at a time, prices recovered.
3. A graph without a start tree goes to our own simplex, for at most `PIVOTS_A_NODE` exchanges a node; the arcs
   are sorted by head in transportation problems and in networks with fewer than `GRID_DENSITY` arcs a node.
   Past that number it is one of those on which simplex methods crawl (grids on a torus), and goes to our own
   cost scaling; where its costs are too large for that, the simplex goes on to the end.
4. Without numba everything goes to OR-Tools; where OR-Tools refuses the costs, to our own simplex.
5. Under a time limit only our own simplex is used: it can be stopped, and then leaves a feasible flow.

Flow and prices of one graph depend on the graph and the installed versions alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ledger.core.errors import LimitError
from matching.engine import augment, cost_scaling, jit
from matching.engine.graph import Graph, make_graph
from matching.engine.residual import recover_prices
from matching.engine.simplex import Ended, Simplex
from matching.engine.split import Split, split
from matching.geo import Int64s

SIMPLEX: Final = "fuqi network simplex 2"
SCALING_ARCS: Final = 1_500_000
SCALING_DENSITY: Final = 20
TRANSIT_SHARE: Final = 10
"""A graph in which at most one arc in ten leads to a node that passes goods on is a transportation problem."""
GRID_DENSITY: Final = 5
"""Grids and roads have three or four arcs a node; networks in the manner of NETGEN have eight and more."""
PIVOTS_A_NODE: Final = 6
PIVOTS_MIN: Final = 5_000
"""Exchanges before cost scaling takes over, a node and at least. Networks in the manner of NETGEN and GRIDGEN
took three to five a node, at any size measured; grids on a torus more than twenty-six."""


@dataclass(frozen=True, slots=True)
class Solved:
    """Flow of every arc and price of every node.

    Attributes:
        proven: flow and prices prove each other optimal; else the flow is feasible and a limit was reached.
        solvers: what was used, sorted.
    """

    flows: Int64s
    prices: Int64s
    proven: bool
    solvers: tuple[str, ...]


def solve_graph(graph: Graph, *, until: float | None = None) -> Solved:
    """Solve by the rule above.

    Args:
        until: on the clock of `time.monotonic`; the flow found by then is returned.

    Raises:
        InputError: `graph.infeasible`, `graph.endless`.
    """
    if graph.start is None:
        return _solve_general(graph, until=until)
    if not jit.HAS_NUMBA and until is None:
        try:
            return _scaled(graph)
        except LimitError:
            pass
    parts = split(graph)
    sizes = np.diff(parts.ends)
    nodes = np.bincount(parts.component[1:], minlength=len(sizes))
    large = (sizes > SCALING_ARCS) & (sizes >= SCALING_DENSITY * nodes)
    if until is not None or not large.any():
        return _solve_stretches(parts, np.flatnonzero(sizes > 0), until=until)
    return _solve_mixed(parts, large)


def solve_with_simplex(graph: Graph, *, until: float | None = None) -> Solved:
    """The whole graph by our own simplex, without a split."""
    simplex = Simplex(graph)
    return _of_simplex(simplex, graph, simplex.run(until=until))


def warm_up() -> None:
    """Compile everything that a graph needs, on one of two nodes; a second call costs nothing.

    `matching.incremental.warm.warm_up` compiles what rounds and events need as well.
    """
    one = np.ones(1, dtype=np.int64)
    graph = make_graph(
        tails=np.zeros(1, dtype=np.int32),
        heads=np.ones(1, dtype=np.int32),
        bounds=one,
        costs=one,
        supplies=np.array([1, -1], dtype=np.int64),
    )
    solve_graph(graph)
    _scaled(graph)
    augment.run_own_scaling(graph)


def _solve_general(graph: Graph, *, until: float | None) -> Solved:
    if not jit.HAS_NUMBA and until is None:
        try:
            return _scaled(graph)
        except LimitError:
            pass
    gives = np.zeros(graph.nodes, dtype=np.bool_)
    gives[graph.tails] = True
    few_transit = int(gives[graph.heads].sum()) * TRANSIT_SHARE <= graph.arcs
    if few_transit or graph.arcs < GRID_DENSITY * graph.nodes:
        # Goods go from givers to takers in one step: with a taker's arcs side by side that is quick.
        order = np.argsort(graph.heads, kind="stable")
        solved = _solve_budgeted(_in_order(graph, order), until=until)
        flows = np.empty_like(solved.flows)
        flows[order] = solved.flows
        return replace(solved, flows=flows)
    return _solve_budgeted(graph, until=until)


def _in_order(graph: Graph, order: Int64s) -> Graph:
    return replace(
        graph,
        tails=graph.tails[order],
        heads=graph.heads[order],
        bounds=graph.bounds[order],
        costs=graph.costs[order],
    )


def _solve_budgeted(graph: Graph, *, until: float | None) -> Solved:
    """Our own simplex; past its number of exchanges our own cost scaling."""
    simplex = Simplex(graph)
    budget = max(PIVOTS_MIN, PIVOTS_A_NODE * graph.nodes) if until is None else None
    ended = simplex.run(until=until, pivots_max=budget)
    if ended is Ended.LIMIT and until is None:
        try:
            flows, prices = augment.run_own_scaling(graph)
            return Solved(flows, prices, proven=True, solvers=(augment.NAME,))
        except LimitError:
            ended = simplex.run()
    return _of_simplex(simplex, graph, ended)


def _of_simplex(simplex: Simplex, graph: Graph, ended: Ended) -> Solved:
    simplex.require_feasible()
    return Solved(
        flows=simplex.flows[simplex.first_arc : simplex.arcs].copy(),
        prices=simplex.price[: graph.nodes].copy(),
        proven=ended is Ended.OPTIMAL,
        solvers=(SIMPLEX,),
    )


def _scaled(graph: Graph) -> Solved:
    flows = cost_scaling.run_cost_scaling(graph)
    return Solved(flows, recover_prices(graph, flows), proven=True, solvers=(cost_scaling.NAME,))


def _solve_stretches(parts: Split, members: Int64s, *, until: float | None) -> Solved:
    """Our own simplex, component after component, in one tree."""
    simplex = Simplex(parts.graph)
    ended = simplex.run_stretches(parts.ends, members, until=until)
    flows = np.empty(parts.graph.arcs, dtype=np.int64)
    flows[parts.order] = simplex.flows[: parts.graph.arcs]
    return Solved(flows, simplex.price.copy(), ended is Ended.OPTIMAL, (SIMPLEX,))


def _solve_mixed(parts: Split, large: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Solved:
    """Large dense components by cost scaling, all others by our own simplex."""
    small = _solve_stretches(parts, np.flatnonzero(~large), until=None)
    flows, prices = small.flows, small.prices
    solvers = {SIMPLEX} if (~large).any() else set()
    for number in np.flatnonzero(large).tolist():
        first, end = int(parts.ends[number]), int(parts.ends[number + 1])
        own = np.concatenate([[0], np.flatnonzero(parts.component == number)])
        place = np.zeros(parts.graph.nodes, dtype=np.int32)
        place[own] = np.arange(len(own), dtype=np.int32)
        supplies = parts.graph.supplies[own].copy()
        supplies[0] = -supplies[1:].sum()
        one = make_graph(
            tails=place[parts.graph.tails[first:end]],
            heads=place[parts.graph.heads[first:end]],
            bounds=parts.graph.bounds[first:end],
            costs=parts.graph.costs[first:end],
            supplies=supplies,
        )
        try:
            solved = _scaled(one)
        except LimitError:
            solved = _solve_stretches(parts, np.array([number]), until=None)
            flows[parts.order[first:end]] = solved.flows[parts.order[first:end]]
            prices[own[1:]] = solved.prices[own[1:]]
            solvers.add(SIMPLEX)
            continue
        flows[parts.order[first:end]] = solved.flows
        # The root's price is zero in every component.
        prices[own] = solved.prices - solved.prices[0]
        solvers |= set(solved.solvers)
    return Solved(flows, prices, proven=True, solvers=tuple(sorted(solvers)))


def limit_of(seconds: float | None) -> float | None:
    """A time limit in seconds as a moment on the clock that the solvers read."""
    return None if seconds is None else time.monotonic() + seconds


def seconds_left(until: float | None) -> float | None:
    """The reverse of `limit_of`: negative once the moment has passed."""
    return None if until is None else until - time.monotonic()
