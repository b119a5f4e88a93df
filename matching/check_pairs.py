"""The bound over all eligible pairs of a market, those outside any candidate list included; numpy only.

For every need and every lot: cost + price(lot) - price(need) must not be negative at the first level that is
not zero. The rule of who may serve whom is written here a third time, in arrays over blocks, and nothing is
shared with the search of the solver: lots stand in flat blocks by kind and place, and a block is skipped for a
need only where even its cheapest lot at its nearest corner could not contradict the prices.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.engine.market import Market
from matching.geo import Int64s

BLOCK: Final = 64
_STRIP: Final = 2048
"""Needs looked at together: bounds the memory, whatever the size of the market."""
_RADIUS_KM: Final = 6371.0


def contradictions(market: Market, *, lot_prices: Int64s, need_prices: Int64s) -> int:
    """How many eligible pairs of a class contradict these prices; 0 proves the bound.

    Args:
        lot_prices, need_prices: vectors (unserved, transport, expiry) against their class's root, (n, 3).

    Raises:
        OverflowError: the prices are too large to be compared in 64 bits.
    """
    lots, needs, lower = _scalars(market, lot_prices, need_prices)
    found = 0
    for kind in range(market.fit.shape[1]):
        own = np.flatnonzero((market.lot_kind == kind) & (market.lot_frozen == 0))
        fitting = np.flatnonzero(market.fit[market.need_kind, kind] >= 0)
        if len(own) and len(fitting):
            found += _of_kind(market, kind, own, fitting, lots, needs, lower)
    return found


def _scalars(market: Market, lot_prices: Int64s, need_prices: Int64s) -> tuple[Int64s, Int64s, int]:
    """Prices as numbers whose order is that of the vectors: the digits are wide enough for every sum."""
    both = np.concatenate([lot_prices, need_prices])
    size = np.abs(both).max(axis=0, initial=0).tolist()
    life = 2 * size[2] + int(market.lot_life.max(initial=0))
    lower = 2 * life + 1
    transport = 2 * size[1] + 80_000 + int(market.fit.max(initial=0))
    upper = 2 * transport + 1
    if (2 * size[0] + 1) * upper * lower >= 1 << 62:
        raise OverflowError("the prices are too large to be compared in 64 bits")
    lots = (lot_prices[:, 0] * upper + lot_prices[:, 1]) * lower + lot_prices[:, 2]
    needs = (need_prices[:, 0] * upper + need_prices[:, 1]) * lower + need_prices[:, 2]
    return lots + market.lot_life, needs, lower


def _of_kind(
    market: Market,
    kind: int,
    own: NDArray[np.int64],
    fitting: NDArray[np.int64],
    lots: Int64s,
    needs: Int64s,
    lower: int,
) -> int:
    # Blocks along x within slabs along y: flat, near each other, and all of one kind.
    slab = np.empty(len(own), dtype=np.int64)
    order = np.argsort(market.lot_xyz[own, 1], kind="stable")
    width = max(BLOCK, int((len(own) * BLOCK) ** 0.5))
    slab[order] = np.arange(len(own)) // width
    own = own[np.lexsort((market.lot_xyz[own, 0], slab))]
    starts = np.arange(0, len(own), BLOCK)
    low = np.minimum.reduceat(market.lot_xyz[own], starts, axis=0)
    high = np.maximum.reduceat(market.lot_xyz[own], starts, axis=0)
    least = np.minimum.reduceat(lots[own], starts)
    found = 0
    for first in range(0, len(fitting), _STRIP):
        strip = fitting[first : first + _STRIP]
        away = np.zeros((len(strip), len(starts)))
        for axis in range(3):
            place = market.need_xyz[strip, axis][:, None]
            step = np.maximum(
                np.maximum(low[None, :, axis] - place, place - high[None, :, axis]), 0
            )
            away += step.astype(np.float64) ** 2
        km = np.maximum(np.floor(np.sqrt(away) * (_RADIUS_KM / 2**30)) - 3, 0).astype(np.int64)
        penalty = market.fit[market.need_kind[strip], kind].astype(np.int64)
        bound = (km + 1 + penalty[:, None]) * lower + least[None, :] - needs[strip][:, None]
        rows, blocks = np.nonzero(bound < 0)
        for at in range(0, len(rows), _STRIP):
            found += _expand(
                market,
                own,
                strip[rows[at : at + _STRIP]],
                blocks[at : at + _STRIP],
                lots,
                needs,
                lower,
            )
    return found


def _expand(
    market: Market,
    own: NDArray[np.int64],
    rows: NDArray[np.int64],
    blocks: NDArray[np.int64],
    lots: Int64s,
    needs: Int64s,
    lower: int,
) -> int:
    """Every pair of these needs with the lots of these blocks, judged in full."""
    places = blocks[:, None] * BLOCK + np.arange(BLOCK)[None, :]
    inside = places < len(own)
    lot = own[np.minimum(places, len(own) - 1)][inside]
    need = np.repeat(rows, BLOCK).reshape(len(rows), BLOCK)[inside]
    penalty = market.fit[market.need_kind[need], market.lot_kind[lot]].astype(np.int64)
    gap = market.lot_xyz[lot] - market.need_xyz[need]
    direct = np.searchsorted(market.chords, (gap * gap).sum(axis=1), side="right").astype(np.int64)
    # Only pairs that could contradict at the straight way (no route is shorter by two) need the whole rule.
    close = (direct - 1 + penalty) * lower + lots[lot] - needs[need] < 0
    lot, need, penalty, direct = lot[close], need[close], penalty[close], direct[close]
    km, days = _routes(market, lot, need, direct)
    allowed = (km >= 0) & (market.lot_certificate[lot] >= market.need_certificate[need])
    allowed &= (market.need_sterile[need] == 0) | (market.lot_sterile[lot] != 0)
    arrival = market.lot_ready[lot] + days
    allowed &= arrival <= market.need_deadline[need]
    wanted = market.need_remaining[need]
    wanted = np.where(market.lot_short[lot] != 0, wanted // 2, wanted)
    allowed &= market.lot_expires[lot] - arrival >= wanted
    value = (km + 1 + penalty) * lower + lots[lot] - needs[need]
    bad = np.flatnonzero(allowed & (value < 0))
    return sum(_donor_allows(market, int(lot[at]), int(need[at])) for at in bad)


def _routes(
    market: Market, lot: NDArray[np.int64], need: NDArray[np.int64], direct: Int64s
) -> tuple[Int64s, Int64s]:
    """(km, days) of the shortest route, km -1 where there is none."""
    speed = int(market.km_per_day[0])
    region = market.lot_region[lot] * int(market.need_regions[0]) + market.need_region[need]
    first, last = market.route_start[region], market.route_start[region + 1]
    km = np.full(len(lot), -1, dtype=np.int64)
    days = np.zeros(len(lot), dtype=np.int64)
    for step in range(int((last - first).max(initial=0))):
        there = np.flatnonzero(first + step < last)
        at = first[there] + step
        hub = market.route_hub[at]
        way = direct[there].copy()
        over = hub >= 0
        way[over] = market.lot_hub_km[lot[there[over]], hub[over]].astype(np.int64)
        way[over] += market.need_hub_km[need[there[over]], hub[over]]
        took = -(-way // speed) + market.route_days[at]
        old = km[there]
        better = (old < 0) | (way < old) | ((way == old) & (took < days[there]))
        km[there[better]], days[there[better]] = way[better], took[better]
    return km, days


def _donor_allows(market: Market, lot: int, need: int) -> bool:
    hospital = int(market.need_hospital[need])
    related = market.related[market.related_start[lot] : market.related_start[lot + 1]]
    directed = market.directed[market.directed_start[lot] : market.directed_start[lot + 1]]
    return hospital not in related.tolist() and (not len(directed) or hospital in directed.tolist())
