"""The exact optimum of one class over all eligible pairs, without a table of them.

The simplex starts with a few near and some random pairs. After each optimum the boxes are searched for pairs
whose reduced cost is negative; they join the tree warm. When the search finds none, none exists: the plan is
optimal over every eligible pair and its prices prove it. Where a limit stops the work before that, the last
search gives each need its best price over all pairs, and with it a proven bound on how far the plan is off.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from matching.engine.market import Int32s, Market
from matching.engine.network import Network, positions, repaired, with_pairs
from matching.engine.pricing import Boxes, Found, build_boxes, draw, search
from matching.engine.simplex import Ended, Simplex
from matching.geo import Int64s

NEAR: Final = 5
RANDOM: Final = 30
ADDED: Final = 20
"""Pairs a need may add in one round; the least reduced costs first."""
_SEED: Final = 20_200_201


@dataclass(frozen=True, slots=True)
class ClassResult:
    """Flow over pairs and prices of all nodes of one class.

    Attributes:
        needs, lots, units, transports: lines of the plan by market number, with their unit transport cost.
        price: by node of the network, root 0; no pair of the whole class has a negative reduced cost.
        proven: the prices prove the plan optimal; else they prove only a bound.
        rounds, arcs, pivots: what it took.
    """

    needs: Int32s
    lots: Int32s
    units: Int64s
    transports: Int64s
    price: Int64s
    proven: bool
    rounds: int
    arcs: int
    pivots: int


def solve_class(
    market: Market, network: Network, *, transport_cost: int, until: float | None = None
) -> ClassResult:
    """Solve by pricing.

    Args:
        transport_cost: what a unit of the transport level costs; a day of life costs 1.
        until: on the clock of `time.monotonic`.
    """
    boxes = build_boxes(market, network.lots)
    first = _start(market, network, boxes, transport_cost=transport_cost)
    simplex = Simplex(with_pairs(network, needs=first[0], lots=first[1], costs=first[2]))
    lot_values = np.zeros(len(market.lot_quantity), dtype=np.int64)
    rounds = 0
    while True:
        ended = simplex.run(until=until)
        rounds += 1
        late = ended is Ended.LIMIT or (until is not None and time.monotonic() >= until)
        price = simplex.price
        if late:
            price = repaired(network, network.base, price)
        need_price = price[network.first_need : network.first_lot]
        lot_price = price[network.first_lot : network.first_lot + len(network.lots)]
        lot_values[network.lots] = lot_price + market.lot_life[network.lots]
        found = search(
            market,
            boxes,
            network.needs,
            lot_values=lot_values,
            limits=need_price,
            weight=transport_cost,
            most=1 if late else ADDED,
        )
        if not len(found.needs) or late:
            break
        simplex.append_arcs(
            tails=network.first_lot + positions(network.lots, found.lots),
            heads=network.first_need + positions(network.needs, found.needs),
            costs=found.transports * transport_cost + market.lot_life[found.lots],
        )
    return _result(
        market,
        network,
        simplex,
        price,
        found,
        transport_cost=transport_cost,
        proven=ended is Ended.OPTIMAL and not len(found.needs),
        rounds=rounds,
    )


def _start(
    market: Market, network: Network, boxes: Boxes, *, transport_cost: int
) -> tuple[Int32s, Int32s, Int64s]:
    """(need, lot, cost) of the first pairs, by position in the class, by need."""
    near = search(
        market,
        boxes,
        network.needs,
        lot_values=market.lot_life,
        limits=np.full(len(network.needs), np.iinfo(np.int64).max, dtype=np.int64),
        weight=transport_cost,
        most=NEAR,
    )
    some = draw(market, boxes, network.needs, count=RANDOM, seed=_SEED)
    needs = positions(network.needs, np.concatenate([near.needs, some.needs]))
    lots = np.concatenate([near.lots, some.lots])
    cost = np.concatenate([near.transports, some.transports]) * transport_cost
    cost += market.lot_life[lots]
    lots = positions(network.lots, lots)
    _, kept = np.unique(needs.astype(np.int64) * (len(network.lots) + 1) + lots, return_index=True)
    return needs[kept], lots[kept], cost[kept]


def _result(
    market: Market,
    network: Network,
    simplex: Simplex,
    prices: Int64s,
    found: Found,
    *,
    transport_cost: int,
    proven: bool,
    rounds: int,
) -> ClassResult:
    price = prices.copy()
    if not proven:
        # A need's price is lowered to its best offer over all pairs: now no pair contradicts it.
        nodes = network.first_need + positions(network.needs, found.needs)
        price[nodes] = np.minimum(price[nodes], found.values)
    pairs = slice(network.base.arcs, simplex.arcs)
    used = np.flatnonzero(simplex.flows[pairs]) + network.base.arcs
    lots = network.lots[simplex.tails[used] - network.first_lot]
    return ClassResult(
        needs=network.needs[simplex.heads[used] - network.first_need],
        lots=lots,
        units=simplex.flows[used],
        transports=(simplex.costs[used] - market.lot_life[lots]) // transport_cost,
        price=price,
        proven=proven,
        rounds=rounds,
        arcs=simplex.arcs,
        pivots=simplex.pivots,
    )
