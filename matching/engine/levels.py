"""The three levels (unserved, transport, expiry) as one integer cost, and back again as vectors.

Scalar cost = (rank * W1 + transport) * W2 + life. Only pairs carry transport and life, and a simple residual
path holds at most k = min(lots, needs) of them forwards and k backwards. With W2 = 2 * (k + 1) * max life + 1
and W1 = 2 * (k + 1) * max transport + 1 the order of two path costs as numbers is their order as vectors: the
weights separate the levels. Where such weights are too large for 64 bits, smaller ones are tried: that they
sufficed is then proven afterwards by the prices as vectors, arc by arc. Where they did not, the levels are
solved one after the other in the same tree, each on the face of optima of those before; that needs no weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.engine.graph import PRICE_LIMIT, Graph
from matching.engine.simplex import Ended, Simplex
from matching.geo import Int64s

LEVELS: Final = 3
SMALL_BITS_MAX: Final = 20
SMALL_BITS_MIN: Final = 13
"""Prices of a round differ by some thousand km and some hundred days; the proof says if it was enough."""


@dataclass(frozen=True, slots=True)
class Weights:
    """W1 and W2; `proven` where they separate the levels whatever the graph."""

    upper: int
    lower: int
    proven: bool

    @property
    def rank_cost(self) -> int:
        """What a unit costs per rank left unserved."""
        return self.upper * self.lower


def choose_weights(
    *, ranks: int, transport_max: int, life_max: int, chain: int, nodes: int
) -> Weights | None:
    """The proven weights if they fit, else the largest small ones that do, else None (solve by levels).

    Args:
        chain: min(lots, needs).
    """
    proven = Weights(
        upper=2 * (chain + 1) * transport_max + 1, lower=2 * (chain + 1) * life_max + 1, proven=True
    )
    if _fits(proven, ranks=ranks, transport_max=transport_max, nodes=nodes):
        return proven
    for bits in range(SMALL_BITS_MAX, SMALL_BITS_MIN - 1, -1):
        small = Weights(upper=1 << bits, lower=1 << bits, proven=False)
        if transport_max < small.upper and _fits(
            small, ranks=ranks, transport_max=transport_max, nodes=nodes
        ):
            return small
    return None


def split_levels(prices: Int64s, weights: Weights) -> Int64s:
    """Scalar prices as vectors, shape (n, 3): lower levels rounded to the nearest multiple."""
    rest, life = np.divmod(prices + weights.lower // 2, weights.lower)
    rank, transport = np.divmod(rest + weights.upper // 2, weights.upper)
    found: Int64s = np.stack(
        [rank, transport - weights.upper // 2, life - weights.lower // 2], axis=1
    )
    return found


def below_zero(vectors: Int64s) -> NDArray[np.bool_]:
    """Lexicographically negative rows."""
    first, second, third = vectors[:, 0], vectors[:, 1], vectors[:, 2]
    below: NDArray[np.bool_] = (first < 0) | (
        (first == 0) & ((second < 0) | ((second == 0) & (third < 0)))
    )
    return below


def separated(graph: Graph, costs: Int64s, flows: Int64s, prices: Int64s) -> bool:
    """Whether vector prices prove the flow optimal at every level.

    Args:
        costs: shape (arcs, 3).
        prices: shape (nodes, 3).
    """
    reduced = costs + prices[graph.tails] - prices[graph.heads]
    wrong = (flows < graph.bounds) & below_zero(reduced)
    wrong |= (flows > 0) & below_zero(-reduced)
    return not wrong.any()


def solve_by_levels(
    graph: Graph, costs: Int64s, *, until: float | None = None
) -> tuple[Int64s, Int64s, bool]:
    """(flows, vector prices, whether they prove each other), one level after the other in one tree.

    An arc whose reduced cost is not zero at one level keeps its flow at all later ones: those are exactly the
    flows that are optimal so far. Where the time ends inside a level, its prices and those below are zero: no
    cost is negative, so they contradict no arc without a bound, and the prices are a bound for every flow.

    Args:
        until: on the clock of `time.monotonic`.
    """
    simplex = Simplex(graph)
    prices = np.zeros((graph.nodes, LEVELS), dtype=np.int64)
    for level in range(LEVELS):
        simplex.set_costs(costs[:, level])
        if simplex.run(until=until) is Ended.LIMIT:
            return simplex.flows.copy(), prices, False
        prices[:, level] = simplex.price
        simplex.fix_priced_out()
    return simplex.flows.copy(), prices, True


def level_fits(costs: Int64s, *, nodes: int) -> bool:
    """Whether each level alone stays inside 64 bits."""
    return (int(costs.max(initial=0)) + 1) * (nodes + 1) < PRICE_LIMIT


def _fits(weights: Weights, *, ranks: int, transport_max: int, nodes: int) -> bool:
    largest = (ranks * weights.upper + transport_max + 1) * weights.lower
    return largest * (nodes + 1) < PRICE_LIMIT
