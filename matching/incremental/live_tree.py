"""Growth and edits of a living tree, and its way back to the optimum.

Edits keep the flow in balance and inside the bounds, but may leave flow between zero and the bound on an arc
outside the tree; `reoptimise` purifies those first. Then pivots at touched nodes, with a budget of arcs looked
at; past it the plain simplex over all arcs, from the same tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ledger.core.errors import InputError
from matching.engine.exchange import measure
from matching.engine.graph import UNBOUNDED
from matching.engine.look import NOBODY
from matching.engine.pivots import run_pivots
from matching.engine.simplex import Simplex
from matching.geo import Int64s
from matching.incremental.tree import (
    DONE,
    ENDLESS,
    SPENT,
    WORDS,
    Int32s,
    Tree,
    catch_up,
    empty_queue,
    link,
    touch_moved,
)

SCANS_MIN: Final = 20_000
SCANS_TIMES: Final = 1
"""Arcs looked at node by node in one event, at least and as so many times all, before the plain simplex takes
over: where most prices move it needs fewer pivots, as it takes the worst of many nodes first."""
PIVOTS_MAX: Final = 2_000_000
"""Pivots of the plain simplex in one event. Edits may leave ties that could make it go round for ever; past
this the class is solved anew."""
_SAVED_ARCS: Final = ("tails", "heads", "costs", "bounds", "flows", "state")
_SAVED_NODES: Final = (
    "parent",
    "pred",
    "upward",
    "after",
    "before",
    "price",
    "role",
)
_EMPTY_NODES: Final = {
    "dirty": np.int8,
    "queue": np.int32,
    "marked": np.int8,
    "touched": np.int32,
    "stir_marked": np.int8,
    "stirred": np.int32,
    "start": np.int64,
}
_ARC_FIELDS: Final = ("tails", "heads", "costs", "bounds", "flows", "state", "next_out", "next_in")
_ROW_FIELDS: Final = tuple(
    f"{way}_{name}" for way in ("out", "in") for name in ("start", "arc", "end", "cost")
)
_BLOCK_MIN: Final = 64
_BLOCK_FACTOR: Final = 3
_run: Final[Any] = run_pivots


class LiveTree:
    """A tree that grows.

    Attributes:
        tree: the arrays; replaced when they grow.
        nodes, arcs: how many are in use.
        fallbacks: events in which the plain simplex had to take over.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """From `arrays_of` a simplex, or from what `saved` gave."""
        self.nodes, self.arcs = len(arrays["parent"]), len(arrays["tails"])
        self.fallbacks = 0
        # Edits since the last optimum: new nodes with their arcs, nodes to look at, arcs with another flow,
        # nodes that left.
        self._hung: list[int] = []
        self._soiled: list[int] = []
        self._impure: list[int] = []
        self._retired: list[int] = []
        self._linked = self.arcs
        self.tree = _tree_of(arrays)
        link(self.tree, 0, self.arcs)

    def saved(self) -> dict[str, NDArray[Any]]:
        """The arrays from which the tree goes on."""
        found = {name: getattr(self.tree, name)[: self.arcs].copy() for name in _SAVED_ARCS}
        return found | {
            name: getattr(self.tree, name)[: self.nodes].copy() for name in _SAVED_NODES
        }

    @property
    def root(self) -> int:
        """Its price is 0 and it is never touched."""
        return 0

    def add_arcs(
        self,
        tails: NDArray[np.integer],
        heads: NDArray[np.integer],
        costs: Int64s,
        *,
        bounds: Int64s | int = UNBOUNDED,
        flows: Int64s | int = 0,
    ) -> int:
        """New arcs, at zero or at their bound; the number of the first."""
        first, end = self.arcs, self.arcs + len(tails)
        self._reserve_arcs(end)
        tree = self.tree
        tree.tails[first:end], tree.heads[first:end], tree.costs[first:end] = tails, heads, costs
        tree.bounds[first:end], tree.flows[first:end] = bounds, flows
        empty = tree.flows[first:end] == 0
        tree.state[first:end] = np.where(empty, 1, -1)
        tree.state[first:end][tree.bounds[first:end] == 0] = 0
        self.arcs = end
        return first

    def add_arc(
        self, tail: int, head: int, cost: int, *, bound: int = UNBOUNDED, flow: int = 0
    ) -> int:
        """One new arc; its number."""
        arc = self.arcs
        self._reserve_arcs(arc + 1)
        tree = self.tree
        tree.tails[arc], tree.heads[arc], tree.costs[arc] = tail, head, cost
        tree.bounds[arc], tree.flows[arc] = bound, flow
        tree.state[arc] = 0 if not bound else (-1 if flow == bound else 1)
        self.arcs = arc + 1
        return arc

    def add_node(self, role: int) -> int:
        """A new node; it must be hung before anything else happens."""
        node = self.nodes
        self._reserve_nodes(node + 1)
        self.nodes = node + 1
        self.tree.first_out[node] = self.tree.first_in[node] = -1
        self.tree.role[node] = role
        return node

    def hang(self, node: int, arc: int) -> None:
        """The new node becomes a leaf at the other end of `arc`."""
        self._hung += (node, arc)

    def soil(self, *nodes: int) -> None:
        """Their arcs changed: look at them."""
        self._soiled += nodes

    def add_flow(self, arc: int, units: int) -> None:
        """More or less on an arc; the caller keeps the balance."""
        self.tree.flows[arc] += units
        self._impure.append(arc)

    def set_bound(self, arc: int, *, bound: int, flow: int) -> None:
        """Another bound, and a flow inside it; the caller keeps the balance."""
        tree = self.tree
        if tree.bounds[arc] != bound or tree.flows[arc] != flow:
            tree.bounds[arc], tree.flows[arc] = bound, flow
            self._impure.append(arc)

    def retire(self, node: int) -> None:
        """All arcs of a node without flow are out of use for good, from the next optimum on."""
        self._retired.append(node)

    def arcs_of(self, node: int) -> list[int]:
        """Arcs that start or end at a node, newest first."""
        found = []
        for first, after in (
            (self.tree.first_out, self.tree.next_out),
            (self.tree.first_in, self.tree.next_in),
        ):
            arc = int(first[node])
            while arc >= 0:
                found.append(arc)
                arc = int(after[arc])
        return found

    def touched(self) -> Int32s:
        """Nodes whose price was moved since this was last asked; nodes that are new included."""
        tree = self.tree
        nodes = tree.touched[: int(tree.work[2])].copy()
        tree.marked[nodes] = 0
        tree.work[2] = 0
        return nodes

    def reoptimise(self) -> bool:
        """Back to the optimum over the arcs there are; False where the tree has to be built anew."""
        outcome = catch_up(
            self.tree,
            self._linked,
            self.arcs,
            _row(self._retired),
            _row(self._hung),
            _row(self._soiled),
            _row(self._impure),
            max(SCANS_MIN, self.arcs * SCANS_TIMES),
            PIVOTS_MAX,
        )
        self._linked = self.arcs
        for edits in (self._retired, self._hung, self._soiled, self._impure):
            edits.clear()
        if outcome == SPENT:
            return self.sweep()
        if outcome != DONE:
            raise _endless()
        return True

    def sweep(self) -> bool:
        """The plain simplex over all arcs; False where it did not end within its pivots."""
        self.fallbacks += 1
        tree = self.tree
        before = tree.price[: self.nodes].copy()
        block = max(_BLOCK_MIN, int(_BLOCK_FACTOR * self.arcs**0.5))
        span = np.array([0, self.arcs, 0, block, 0], dtype=np.int64)
        outcome = int(_run(*tree[:6], *tree[8:16], span, PIVOTS_MAX))
        tree.work[4] += span[4]
        empty_queue(tree)
        touch_moved(tree, before)
        if outcome == ENDLESS:
            raise _endless()
        return outcome == DONE

    def reserve(self, count: int) -> int:
        """Room for so many new arcs, for whoever writes them into the arrays and counts them; the first."""
        self._reserve_arcs(self.arcs + count)
        return self.arcs

    def _reserve_arcs(self, wanted: int) -> None:
        have = len(self.tree.tails)
        if wanted > have:
            room = wanted + max(1024, wanted >> 3)
            self.tree = self.tree._replace(
                **{name: _longer(getattr(self.tree, name), room) for name in _ARC_FIELDS}
            )

    def _reserve_nodes(self, wanted: int) -> None:
        have = len(self.tree.parent)
        if wanted > have:
            room = wanted + max(1024, wanted >> 3)
            keep = (*_ARC_FIELDS, *_ROW_FIELDS, "work", "queue")
            longer = {
                name: _longer(getattr(self.tree, name), room)
                for name in self.tree._fields
                if name not in keep
            }
            # The queue is a ring: its content is put at the start of the longer one.
            queue: Int32s = np.zeros(room, dtype=np.int32)
            waiting = int(self.tree.work[1])
            places = (int(self.tree.work[0]) + np.arange(waiting)) % len(self.tree.queue)
            queue[:waiting] = self.tree.queue[places]
            self.tree.work[0] = 0
            self.tree = self.tree._replace(**longer, queue=queue)


def arrays_of(simplex: Simplex, *, base: int, within: int | None) -> dict[str, NDArray[Any]]:
    """What a living tree starts from; the roles of the nodes are for the caller to fill in.

    Args:
        base: so many arcs at the beginning stay in any case.
        within: arcs that carry nothing and whose reduced cost is larger are left out; None keeps all.
    """
    arcs, nodes = simplex.arcs, simplex.nodes
    found = {name: getattr(simplex, name)[:arcs] for name in _SAVED_ARCS}
    found |= {name: getattr(simplex, name)[:nodes] for name in _SAVED_NODES if name != "role"}
    found["role"] = np.zeros(nodes, dtype=np.int8)
    if within is None:
        return found
    tails, heads, price = found["tails"], found["heads"], found["price"]
    kept = found["costs"] + price[tails] - price[heads] <= within
    kept |= found["flows"] > 0
    kept[:base] = True
    # Arcs of the tree have no reduced cost, so they all stay.
    place = np.cumsum(kept, dtype=np.int32) - np.int32(1)
    found |= {name: found[name][kept] for name in _SAVED_ARCS}
    found["pred"] = np.where(found["pred"] >= 0, place[found["pred"]], np.int32(-1))
    return found


def _tree_of(arrays: Mapping[str, NDArray[Any]]) -> Tree:
    arcs, nodes = len(arrays["tails"]), len(arrays["parent"])
    arc_room, node_room = arcs + max(1024, arcs >> 4), nodes + max(1024, nodes >> 4)
    fields = {name: _longer(arrays[name], arc_room) for name in _SAVED_ARCS}
    fields |= {name: _longer(arrays[name], node_room) for name in _SAVED_NODES}
    for name, kind in _EMPTY_NODES.items():
        fields[name] = np.zeros(node_room, dtype=kind)
    for name in ("next_out", "next_in"):
        fields[name] = np.full(arc_room, -1, dtype=np.int32)
    for name in ("first_out", "first_in"):
        fields[name] = np.full(node_room, -1, dtype=np.int32)
    fields["size"] = np.ones(node_room, dtype=np.int32)
    fields["last"] = np.arange(node_room, dtype=np.int32)
    measure(fields["parent"], fields["size"], fields["last"], fields["before"], 0)
    fields |= _rows("out", arrays["tails"], arrays["heads"], arrays["costs"], nodes)
    fields |= _rows("in", arrays["heads"], arrays["tails"], arrays["costs"], nodes)
    work = np.zeros(WORDS, dtype=np.int64)
    work[6] = arcs
    return Tree(**fields, work=work)


def _rows(way: str, ends: Int32s, others: Int32s, costs: Int64s, nodes: int) -> dict[str, Any]:
    """The arcs once more, by one of their ends, newest first."""
    # The newest come first already; a stable sort keeps them so.
    order = np.argsort(ends[::-1], kind="stable").astype(np.int32)
    order = np.int32(len(ends) - 1) - order
    start = np.zeros(nodes + 1, dtype=np.int32)
    start[1:] = np.cumsum(np.bincount(ends, minlength=nodes))
    found = {"start": start, "arc": order, "end": others[order], "cost": costs[order]}
    return {f"{way}_{name}": values for name, values in found.items()}


def _row(numbers: list[int]) -> Int32s:
    return np.array(numbers, dtype=np.int32) if numbers else NOBODY


def _longer(values: NDArray[Any], room: int) -> NDArray[Any]:
    longer = np.zeros(room, dtype=values.dtype)
    longer[: len(values)] = values
    return longer


def _endless() -> InputError:
    return InputError(
        "a cycle of arcs without bounds has a negative cost: bound one of them",
        code="graph.endless",
    )
