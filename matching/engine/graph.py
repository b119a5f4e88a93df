"""A min-cost flow graph as arrays, with the start tree of the simplex where the shape gives one for free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ledger.core.errors import InputError, LimitError
from matching.geo import Int64s

Int32s = NDArray[np.int32]

UNBOUNDED: Final = 1 << 62
"""The bound of an arc without one."""
FLOW_LIMIT: Final = 1 << 60
"""All supplies together stay below it, so that a flow and a sum of two flows are exact in 64 bits."""
PRICE_LIMIT: Final = 1 << 61
"""Largest cost times number of nodes: no price of a tree passes it, nor a reduced cost 2**63."""
NODES_MAX: Final = 1 << 30
ARCS_MAX: Final = 1 << 30
"""Node and arc numbers are 32-bit integers."""


@dataclass(frozen=True, slots=True)
class Start:
    """A spanning tree with a feasible flow from which the simplex needs no first phase.

    Every node but 0 hangs on node 0 or on a node that does: `pred[v]` is v's tree arc (pred[0] is -1).
    `flows` is the flow of every arc; arcs outside the tree are at zero or at their bound. From every node
    one more unit could go to node 0 along the tree.
    """

    pred: Int32s
    flows: Int64s


@dataclass(frozen=True, slots=True)
class Graph:
    """Arcs tail -> head with a bound and a cost per unit; nodes with a supply (negative: a demand).

    Built with `make_graph`, which validates.
    """

    tails: Int32s
    heads: Int32s
    bounds: Int64s
    costs: Int64s
    supplies: Int64s
    start: Start | None = None

    @property
    def nodes(self) -> int:
        """How many nodes."""
        return len(self.supplies)

    @property
    def arcs(self) -> int:
        """How many arcs."""
        return len(self.tails)


def make_graph(
    *,
    tails: NDArray[np.integer],
    heads: NDArray[np.integer],
    bounds: Int64s,
    costs: Int64s,
    supplies: Int64s,
    start: Start | None = None,
) -> Graph:
    """Validate and return the graph.

    Raises:
        InputError: `graph.shape`, `graph.node_unknown`, `graph.bound_negative`, `graph.unbalanced`.
        LimitError: `graph.too_large`, `graph.flow_overflow`, `graph.cost_overflow`.
    """
    nodes = len(supplies)
    if nodes > NODES_MAX or len(tails) > ARCS_MAX:
        raise LimitError(
            "the graph has more than 2**30 nodes or arcs: split it",
            code="graph.too_large",
            limit=ARCS_MAX,
        )
    if not nodes or not len(tails) == len(heads) == len(bounds) == len(costs):
        raise InputError(
            "a graph has a node and as many tails as heads, bounds and costs", code="graph.shape"
        )
    ends = np.array(
        [part.min(initial=0) for part in (tails, heads)]
        + [nodes - 1 - part.max(initial=0) for part in (tails, heads)]
    )
    if (ends < 0).any():
        raise InputError("an arc names a node that is not there", code="graph.node_unknown")
    if bounds.min(initial=0) < 0:
        raise InputError("the bound of an arc is negative", code="graph.bound_negative")
    # In Python integers: the sums themselves may pass 64 bits.
    total = sum(abs(supply) for supply in supplies.tolist())
    if total >= FLOW_LIMIT or bounds.max(initial=0) > UNBOUNDED:
        raise LimitError(
            "the supplies together pass 2**60 units: use a larger unit or split the graph",
            code="graph.flow_overflow",
            bits=total.bit_length(),
        )
    if sum(supplies.tolist()):
        raise InputError("supplies and demands do not add up to zero", code="graph.unbalanced")
    largest = max(-int(costs.min(initial=0)), int(costs.max(initial=0))) + 1
    if largest * (nodes + 1) >= PRICE_LIMIT:
        raise LimitError(
            "the largest cost times the number of nodes passes 2**61: use smaller weights or split the graph",
            code="graph.cost_overflow",
            bits=(largest * (nodes + 1)).bit_length(),
        )
    return Graph(
        tails=tails.astype(np.int32, copy=False),
        heads=heads.astype(np.int32, copy=False),
        bounds=bounds,
        costs=costs,
        supplies=supplies,
        start=start,
    )
