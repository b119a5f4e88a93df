"""The baselines that plan by rule of thumb, over all eligible pairs: what users have today."""

from __future__ import annotations

import numpy as np

from matching.engine.jit import compiled
from matching.engine.market import Int32s, Market, pair_transport
from matching.geo import Int64s


def greedy_market(market: Market, *, rule: str) -> Int64s:
    """Units each need gets when needs, most urgent first, take in turn from their best eligible lots.

    Args:
        rule: `nearest`, or `first_expiring` (what OpenBoxes and mSupply do for each line).
    """
    order = np.argsort(market.need_tier, kind="stable").astype(np.int32)
    by_class = np.argsort(market.lot_class, kind="stable").astype(np.int32)
    classes = int(max(market.lot_class.max(), market.need_class.max())) + 1
    starts = np.searchsorted(market.lot_class[by_class], np.arange(classes + 1)).astype(np.int32)
    served = np.zeros(len(order), dtype=np.int64)
    _greedy(
        market,
        order,
        by_class,
        starts,
        1 if rule == "nearest" else 0,
        market.lot_quantity.copy(),
        served,
    )
    return served


@compiled
def _greedy(
    market: Market,
    order: Int32s,
    by_class: Int32s,
    starts: Int32s,
    nearest: int,
    left: Int64s,
    served: Int64s,
) -> None:
    for need in order:
        first, end = starts[market.need_class[need]], starts[market.need_class[need] + 1]
        cost = np.full(end - first, -1, dtype=np.int64)
        for place in range(first, end):
            lot = by_class[place]
            if left[lot] > 0:
                transport = pair_transport(market, lot, need)
                if transport >= 0:
                    cost[place - first] = transport if nearest == 1 else market.lot_life[lot]
        wanted = market.need_quantity[need]
        while wanted > 0:
            best = -1
            for at in range(end - first):
                if cost[at] >= 0 and (best < 0 or cost[at] < cost[best]):
                    best = at
            if best < 0:
                break
            lot = by_class[first + best]
            units = min(wanted, left[lot])
            left[lot] -= units
            wanted -= units
            served[need] += units
            cost[best] = -1


def materialise(market: Market, needs: Int32s, lots: Int32s) -> tuple[Int32s, Int32s, Int64s]:
    """(need, lot, transport) of every eligible pair of these, by need: what pricing avoids."""
    counts = np.zeros(len(needs), dtype=np.int64)
    none = np.zeros(0, dtype=np.int32)
    _eligible(market, needs, lots, counts, none, none.astype(np.int64), 0)
    total = int(counts.sum())
    found, transports = np.empty(total, dtype=np.int32), np.empty(total, dtype=np.int64)
    _eligible(market, needs, lots, counts, found, transports, 1)
    return np.repeat(needs, counts), found, transports


@compiled
def _eligible(
    market: Market,
    needs: Int32s,
    lots: Int32s,
    counts: Int64s,
    found: Int32s,
    transports: Int64s,
    fill: int,
) -> None:
    place = 0
    for at in range(len(needs)):
        count = 0
        for lot in lots:
            transport = pair_transport(market, lot, needs[at])
            if transport >= 0:
                if fill == 1:
                    found[place] = lot
                    transports[place] = transport
                    place += 1
                count += 1
        counts[at] = count
