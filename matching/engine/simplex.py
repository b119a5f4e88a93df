"""Own network simplex on arrays: exact, warm, growing. Arcs and nodes can be appended between runs.

The flow is feasible at every moment, so a run that a limit cuts short still leaves a plan.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from math import isqrt
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from ledger.core.errors import InputError, LimitError
from matching.engine.graph import ARCS_MAX, PRICE_LIMIT, UNBOUNDED, Graph, Int32s
from matching.engine.pivots import (
    ENDLESS,
    OPTIMAL,
    PAUSED,
    Int8s,
    plant,
    run_components,
    run_pivots,
)
from matching.geo import Int64s

# The arrays of a simplex are handed over as one tuple.
_components: Final[Callable[..., int]] = run_components
_pivots: Final[Callable[..., int]] = run_pivots
_PIVOTS_A_STEP: Final = 20_000
"""Pivots between two looks at the clock: a few tens of milliseconds."""
_BLOCK_MIN: Final = 64
"""A pricing block is the square root of all arcs, as in the literature; but no fewer."""
_HUB_BLOCK_MIN: Final = 32
_HUB_BLOCK_MAX: Final = 128
_HUB_BLOCK_SHARE: Final = 4
"""In a root-hub graph an exchange touches some twenty nodes, so a long look for a better arc costs more than it
saves: a quarter of the square root, at most 128 arcs. Blocks of three square roots took 4 to 9 times as long on
sparse classes of a million arcs, and as long on tight ones."""
_Scalar = TypeVar("_Scalar", bound=np.generic)


class Ended(StrEnum):
    """How a run ended."""

    OPTIMAL = "optimal"
    LIMIT = "limit"


class Simplex:
    """A graph, a spanning tree and its flow.

    Attributes:
        tails, heads, bounds, costs, flows, state: of the arcs, in the graph's order from `first_arc` on;
            arrays are longer than `arcs` (room to grow). `state`: 1 at zero, -1 at its bound, 0 in the tree.
        price: of the nodes; a tree arc a -> b has cost + price[a] - price[b] == 0.
        root: 0 with a start tree, else one node more than the graph has.
        hub: it began with a start tree.
        pivots: done so far.
    """

    def __init__(self, graph: Graph, *, block: int | None = None) -> None:
        self.block = block
        self.pivots = 0
        self.hub = graph.start is not None
        if graph.start is not None:
            self.root, self.first_arc = 0, 0
            self.nodes, self.arcs = graph.nodes, graph.arcs
            self.tails, self.heads = graph.tails, graph.heads
            self.costs, self.bounds = graph.costs, graph.bounds
            self.flows = graph.start.flows.copy()
            self.pred = graph.start.pred.copy()
        else:
            self._with_artificial(graph)
        self._cursor = self.first_arc
        self._tree()

    def _with_artificial(self, graph: Graph) -> None:
        """A root of its own and one arc per node to or from it, dear enough to be used by nobody."""
        nodes = graph.nodes
        self.root, self.first_arc = nodes, nodes
        self.nodes, self.arcs = nodes + 1, nodes + graph.arcs
        dear = (int(np.abs(graph.costs).max(initial=0)) + 1) * (nodes + 1)
        giving = graph.supplies >= 0
        own = np.arange(nodes, dtype=np.int32)
        hub = np.full(nodes, nodes, dtype=np.int32)
        self.tails = np.concatenate([np.where(giving, own, hub), graph.tails])
        self.heads = np.concatenate([np.where(giving, hub, own), graph.heads])
        self.costs = np.concatenate([np.where(giving, 0, dear), graph.costs])
        self.bounds = np.concatenate([np.full(nodes, UNBOUNDED, dtype=np.int64), graph.bounds])
        self.flows = np.concatenate([np.abs(graph.supplies), np.zeros(graph.arcs, dtype=np.int64)])
        self.pred = np.append(own, np.int32(-1))

    def _tree(self) -> None:
        nodes = self.nodes
        self.state: Int8s = np.where(self.flows == 0, 1, -1).astype(np.int8)
        # An arc that can carry nothing is never looked at.
        self.state[self.bounds == 0] = 0
        self.upward: Int8s = np.zeros(nodes, dtype=np.int8)
        self.size: Int32s = np.ones(nodes, dtype=np.int32)
        self.last: Int32s = np.arange(nodes, dtype=np.int32)
        self.after: Int32s = np.zeros(nodes, dtype=np.int32)
        self.before: Int32s = np.zeros(nodes, dtype=np.int32)
        self.price: Int64s = np.zeros(nodes, dtype=np.int64)
        hung = np.arange(nodes) != self.root
        self.state[self.pred[hung]] = 0
        joined = self.tails[self.pred] == np.arange(nodes)
        self.parent: Int32s = np.where(joined, self.heads[self.pred], self.tails[self.pred])
        self.parent[self.root] = -1
        self.replant()

    def replant(self) -> None:
        """Recompute ring, sizes and prices of the tree, after its costs changed."""
        plant(
            self.tails,
            self.costs,
            self.parent,
            self.pred,
            self.upward,
            self.size,
            self.last,
            self.after,
            self.before,
            self.price,
            self.root,
        )

    def set_costs(self, costs: Int64s) -> None:
        """Other costs on the same arcs: the flow stays, the prices of the tree follow."""
        self.costs = costs.copy()
        self.replant()

    def fix_priced_out(self) -> None:
        """Keep every arc outside the tree whose reduced cost is not zero as it is, for all later runs."""
        arcs = slice(self.first_arc, self.arcs)
        reduced = self.costs[arcs] + self.price[self.tails[arcs]] - self.price[self.heads[arcs]]
        # State 0 is what the tree's arcs have: such an arc is never priced again.
        self.state[arcs][reduced != 0] = 0

    def run(self, *, until: float | None = None, pivots_max: int | None = None) -> Ended:
        """Pivot to the optimum, or until a limit.

        Args:
            until: on the clock of `time.monotonic`.
            pivots_max: in this run.

        Raises:
            InputError: `graph.endless`.
        """
        ended, self._cursor = self._stretch(
            self.first_arc, self.arcs, self._cursor, until=until, pivots_max=pivots_max
        )
        return ended

    def run_stretches(self, ends: Int64s, members: Int64s, *, until: float | None) -> Ended:
        """Pivot to the optimum over the arcs of one component after the other.

        Args:
            ends: component c has the arcs [ends[c], ends[c + 1]).
            members: the components to solve.
        """
        if until is None:
            spans = np.zeros(5, dtype=np.int64)
            lengths = np.diff(ends).tolist()
            blocks = np.array([self._block(length) for length in lengths], dtype=np.int64)
            outcome = int(_components(*self._arrays(), ends, members, blocks, spans))
            self.pivots += int(spans[4])
            self._require_ended(outcome)
            return Ended.OPTIMAL
        for member in members.tolist():
            first, end = int(ends[member]), int(ends[member + 1])
            ended, _ = self._stretch(first, end, first, until=until, pivots_max=None)
            if ended is Ended.LIMIT:
                return ended
        return Ended.OPTIMAL

    def _stretch(
        self, first: int, end: int, cursor: int, *, until: float | None, pivots_max: int | None
    ) -> tuple[Ended, int]:
        span = np.array([first, end, cursor, self._block(end - first), 0], dtype=np.int64)
        while True:
            step = _PIVOTS_A_STEP
            if pivots_max is not None:
                step = min(step, pivots_max - int(span[4]))
            outcome = _pivots(*self._arrays(), span, step)
            late = until is not None and time.monotonic() >= until
            spent = pivots_max is not None and int(span[4]) >= pivots_max
            if outcome != PAUSED or late or spent:
                break
        self.pivots += int(span[4])
        self._require_ended(outcome)
        return Ended.OPTIMAL if outcome == OPTIMAL else Ended.LIMIT, int(span[2])

    def _block(self, arcs: int) -> int:
        """How many arcs are looked at before the best of them enters."""
        if self.block is not None:
            return self.block
        if self.hub:
            return min(_HUB_BLOCK_MAX, max(_HUB_BLOCK_MIN, isqrt(arcs) // _HUB_BLOCK_SHARE))
        return max(_BLOCK_MIN, isqrt(arcs))

    def _arrays(self) -> tuple[Any, ...]:
        return (
            self.tails,
            self.heads,
            self.costs,
            self.bounds,
            self.flows,
            self.state,
            self.parent,
            self.pred,
            self.upward,
            self.size,
            self.last,
            self.after,
            self.before,
            self.price,
        )

    def _require_ended(self, outcome: int) -> None:
        if outcome == ENDLESS:
            raise InputError(
                "a cycle of arcs without bounds has a negative cost: bound one of them",
                code="graph.endless",
            )

    def require_feasible(self) -> None:
        """Raises InputError `graph.infeasible` where a unit still runs over an artificial arc."""
        if self.flows[: self.first_arc].any():
            raise InputError(
                "the demands cannot all be met over these arcs", code="graph.infeasible"
            )

    def append_arcs(
        self,
        *,
        tails: NDArray[np.integer],
        heads: NDArray[np.integer],
        costs: Int64s,
        bounds: Int64s | None = None,
    ) -> int:
        """Add arcs at zero flow; the number of the first one. The tree and the flow stay as they are.

        Raises:
            LimitError: `graph.too_large`, `graph.cost_overflow`.
        """
        first, more = self.arcs, len(tails)
        self._require_costs(costs)
        self._reserve_arcs(first + more)
        place = slice(first, first + more)
        self.tails[place], self.heads[place], self.costs[place] = tails, heads, costs
        self.bounds[place] = UNBOUNDED if bounds is None else bounds
        self.flows[place] = 0
        self.state[place] = 1
        self.arcs += more
        return first

    def _require_costs(self, costs: Int64s) -> None:
        largest = max(-int(costs.min(initial=0)), int(costs.max(initial=0))) + 1
        if largest * (self.nodes + 1) >= PRICE_LIMIT:
            raise LimitError(
                "the largest cost times the number of nodes passes 2**61: use smaller weights",
                code="graph.cost_overflow",
                bits=(largest * (self.nodes + 1)).bit_length(),
            )

    def _reserve_arcs(self, wanted: int) -> None:
        if wanted > ARCS_MAX:
            raise LimitError(
                "the graph has more than 2**30 arcs: split it",
                code="graph.too_large",
                limit=ARCS_MAX,
            )
        if wanted <= len(self.tails):
            return
        # An eighth more: large graphs must not hold twice what they need.
        room = wanted + max(1024, wanted >> 3)
        self.tails, self.heads = _longer(self.tails, room), _longer(self.heads, room)
        self.costs, self.bounds = _longer(self.costs, room), _longer(self.bounds, room)
        self.flows, self.state = _longer(self.flows, room), _longer(self.state, room)

    def _reserve_nodes(self, wanted: int) -> None:
        if wanted <= len(self.parent):
            return
        room = wanted + max(64, wanted >> 3)
        self.parent, self.pred = _longer(self.parent, room), _longer(self.pred, room)
        self.upward, self.price = _longer(self.upward, room), _longer(self.price, room)
        self.size, self.last = _longer(self.size, room), _longer(self.last, room)
        self.after, self.before = _longer(self.after, room), _longer(self.before, room)


def _longer(values: NDArray[_Scalar], room: int) -> NDArray[_Scalar]:
    longer = np.zeros(room, dtype=values.dtype)
    longer[: len(values)] = values
    return longer
