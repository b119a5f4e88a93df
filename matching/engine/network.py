"""One item class of a market as a root-hub network, with the start from which no first phase is needed.

Nodes: root 0, groups of several needs, needs, lots. Arcs: lot -> root (unused), group -> need, root -> group in
S segments of rising rank (unserved), then the pairs lot -> need. A group of one need is that need itself.
Start: nothing is served. Every lot's supply goes to the root, every need gets its demand from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.engine.graph import UNBOUNDED, Graph, Start, make_graph
from matching.engine.market import Int32s, Market
from matching.geo import Int64s

TIERS: Final = 3


@dataclass(frozen=True, slots=True)
class Network:
    """A class before its pairs.

    Attributes:
        needs, lots: market numbers, ascending.
        group_of: by position in `needs`, the number of its group; groups are numbered by (hospital, tier).
        group_node: node that stands for each group.
        first_need, first_lot: node numbers.
        base: the graph without pairs; its last `segments` arcs are root arcs, one row of `segment_group`,
            `segment_rank` each.
    """

    needs: Int32s
    lots: Int32s
    group_of: Int64s
    group_node: Int64s
    group_total: Int64s
    group_tier: Int64s
    first_need: int
    first_lot: int
    base: Graph
    segment_group: Int64s
    segment_rank: Int64s


def class_network(
    market: Market, *, item_class: int, segments: int, rank_cost: int, open_ended: bool = False
) -> Network | None:
    """The class, or None where it lacks needs or lots and nothing is to be decided.

    Args:
        open_ended: for a class that will grow: every group has a node and all its segments, empty ones too.
    """
    needs = np.flatnonzero(market.need_class == item_class).astype(np.int32)
    lots = np.flatnonzero(market.lot_class == item_class).astype(np.int32)
    if not len(needs) and not len(lots):
        return None
    keys = market.need_hospital[needs].astype(np.int64) * TIERS + market.need_tier[needs]
    names, group_of = np.unique(keys, return_inverse=True)
    sizes = np.bincount(group_of, minlength=len(names))
    demand, supply = market.need_quantity[needs], market.lot_quantity[lots]
    total = np.zeros(len(names), dtype=np.int64)
    np.add.at(total, group_of, demand)
    tier = names % TIERS
    several = (sizes > 1) | open_ended
    first_need = 1 + int(several.sum())
    first_lot = first_need + len(needs)
    group_node = np.zeros(len(names), dtype=np.int64)
    group_node[several] = 1 + np.arange(first_need - 1)
    alone = ~several[group_of]
    group_node[group_of[alone]] = first_need + np.flatnonzero(alone)
    segment_group, bounds, rank = _segments(total, tier, segments=segments, least=1 - open_ended)
    joined = np.flatnonzero(~alone)
    count = len(lots) + len(joined)
    bounds_all = np.full(count, UNBOUNDED, dtype=np.int64)
    none = np.zeros(count, dtype=np.int64)
    tails = [first_lot + np.arange(len(lots)), group_node[group_of[joined]], 0 * segment_group]
    heads = [0 * np.arange(len(lots)), first_need + joined, group_node[segment_group]]
    flows = np.concatenate([supply, demand[joined], bounds])
    pred = np.full(first_lot + len(lots), -1, dtype=np.int32)
    pred[first_lot:] = np.arange(len(lots))
    pred[first_need + joined] = len(lots) + np.arange(len(joined))
    # The last segment of each group holds its tree arc; later assignments win, and segments ascend.
    pred[group_node[segment_group]] = count + np.arange(len(segment_group))
    supplies = np.zeros(first_lot + len(lots), dtype=np.int64)
    supplies[first_need:first_lot] = -demand
    supplies[first_lot:] = supply
    supplies[0] = -supplies.sum()
    base = make_graph(
        tails=np.concatenate(tails),
        heads=np.concatenate(heads),
        bounds=np.concatenate([bounds_all, bounds]),
        costs=np.concatenate([none, rank * rank_cost]),
        supplies=supplies,
        start=Start(pred=pred, flows=flows),
    )
    return Network(
        needs=needs,
        lots=lots,
        group_of=group_of.astype(np.int64),
        group_node=group_node,
        group_total=total,
        group_tier=tier,
        first_need=first_need,
        first_lot=first_lot,
        base=base,
        segment_group=segment_group,
        segment_rank=rank,
    )


def with_pairs(network: Network, *, needs: Int32s, lots: Int32s, costs: Int64s) -> Graph:
    """The base with these pairs (positions in the class) behind it."""
    base = network.base
    start = base.start
    assert start is not None
    return make_graph(
        tails=np.concatenate([base.tails, network.first_lot + lots]),
        heads=np.concatenate([base.heads, network.first_need + needs]),
        bounds=np.concatenate([base.bounds, np.full(len(needs), UNBOUNDED, dtype=np.int64)]),
        costs=np.concatenate([base.costs, costs]),
        supplies=base.supplies,
        start=Start(
            pred=start.pred,
            flows=np.concatenate([start.flows, np.zeros(len(needs), dtype=np.int64)]),
        ),
    )


def repaired(network: Network, graph: Graph, prices: Int64s) -> Int64s:
    """Prices of an unfinished run, changed so that no arc without a bound has a negative reduced cost.

    A lot is worth at least nothing; a need no more than its group, nor than its best offer. Then the prices are
    feasible, and their value is a bound for every plan.
    """
    fixed = prices.copy()
    lots = slice(network.first_lot, None)
    fixed[lots] = np.maximum(fixed[lots], 0)
    needs = slice(network.first_need, network.first_lot)
    fixed[needs] = np.minimum(fixed[needs], fixed[network.group_node[network.group_of]])
    pairs = slice(network.base.arcs, graph.arcs)
    offers = graph.costs[pairs] + fixed[graph.tails[pairs]]
    np.minimum.at(fixed, graph.heads[pairs], offers)
    return fixed


def positions(members: Int32s, numbers: NDArray[np.int32]) -> NDArray[np.int32]:
    """Where market numbers stand in the ascending `members`."""
    return np.searchsorted(members, numbers).astype(np.int32)


def segment_sizes(total: int, segments: int) -> list[int]:
    """A total cut into segments that differ by at most one unit."""
    cuts = [total * step // segments for step in range(segments + 1)]
    return [high - low for low, high in pairwise(cuts)]


def _segments(
    total: Int64s, tier: Int64s, *, segments: int, least: int
) -> tuple[Int64s, Int64s, Int64s]:
    """(group, units, rank) of every segment of at least `least` units, lowest rank first inside a group."""
    steps = np.arange(segments, dtype=np.int64)
    # Exact also where total * segments would pass 64 bits: whole and rest are cut apart.
    whole, rest = np.divmod(total[:, None], segments)
    high = whole * (steps + 1) + rest * (steps + 1) // segments
    low = whole * steps + rest * steps // segments
    units = (high - low).ravel()
    rank = ((TIERS - 1 - tier)[:, None] * segments + steps + 1).ravel()
    group = np.repeat(np.arange(len(total), dtype=np.int64), segments)
    kept = units >= least
    return group[kept], units[kept], rank[kept]
