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

from matching.engine.boxes import Boxes
from matching.engine.graph import ARCS_MAX
from matching.engine.market import Int32s, Market
from matching.engine.network import Network, positions, repaired, with_pairs
from matching.engine.pricing import Found, build_boxes, draw, search
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


@dataclass(frozen=True, slots=True)
class Run:
    """A class after its pricing rounds.

    Attributes:
        price: feasible for every arc of the tree; with `found`, which holds the best offers below them over all
            pairs, they give a bound.
        ranks_proven: no plan leaves less unserved at the first level, whatever it does at the others.
    """

    simplex: Simplex
    price: Int64s
    found: Found
    proven: bool
    rounds: int
    ranks_proven: bool


def solve_class(
    market: Market,
    network: Network,
    *,
    transport_cost: int,
    until: float | None = None,
    arcs_max: int = ARCS_MAX,
) -> ClassResult:
    """Solve by pricing.

    Args:
        transport_cost: what a unit of the transport level costs; a day of life costs 1.
        until: on the clock of `time.monotonic`.
        arcs_max: the limit of memory: an arc takes about 40 bytes. Where more would be needed, the plan is the
            best over the pairs that fit, and its gap is over all.
    """
    run = run_class(market, network, transport_cost=transport_cost, until=until, arcs_max=arcs_max)
    return _result(market, network, run, transport_cost=transport_cost)


def run_class(
    market: Market,
    network: Network,
    *,
    transport_cost: int,
    until: float | None = None,
    arcs_max: int = ARCS_MAX,
    near: int = 0,
    rank_cost: int | None = None,
) -> Run:
    """Price and pivot in turn; the tree is kept.

    Args:
        rank_cost: stop as soon as the first level, of which a unit costs so much, is proven optimal.
        near: instead of pricing over all pairs, take only the so many nearest of each need.
    """
    boxes = build_boxes(market, network.lots)
    room = max(0, arcs_max - network.base.arcs) // max(1, len(network.needs))
    first = _start(
        market, network, boxes, transport_cost=transport_cost, room=near or room, near=near or NEAR
    )
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
            most=0 if near else (1 if late else ADDED),
        )
        full = simplex.arcs + len(found.needs) > arcs_max
        ranks = (
            rank_cost is not None and not late and _ranks_proven(network, simplex, found, rank_cost)
        )
        if not len(found.needs) or late or full or ranks:
            break
        simplex.append_arcs(
            tails=network.first_lot + positions(network.lots, found.lots),
            heads=network.first_need + positions(network.needs, found.needs),
            costs=found.transports * transport_cost + market.lot_life[found.lots],
        )
    proven = ended is Ended.OPTIMAL and not near and not len(found.needs)
    return Run(simplex, price, found, proven, rounds, ranks_proven=proven or ranks)


def _ranks_proven(network: Network, simplex: Simplex, found: Found, rank_cost: int) -> bool:
    """Whether the prices, lowered to the best offers over all pairs, bound the first level at what it is.

    The first part of a price is its nearest multiple of the cost of a rank, as in `levels.split_levels`.
    """
    price = simplex.price[: network.base.nodes].copy()
    nodes = network.first_need + positions(network.needs, found.needs)
    np.minimum.at(price, nodes, found.values)
    first = (price + rank_cost // 2) // rank_cost
    base = network.base
    segments = slice(base.arcs - len(network.segment_rank), base.arcs)
    reduced = network.segment_rank - first[network.group_node[network.segment_group]]
    bound = -sum(
        supply * rank for supply, rank in zip(base.supplies.tolist(), first.tolist(), strict=True)
    )
    sizes = base.bounds[segments]
    bound += sum(
        size * least
        for size, least in zip(sizes.tolist(), np.minimum(reduced, 0).tolist(), strict=True)
    )
    value = sum(
        units * rank
        for units, rank in zip(
            simplex.flows[segments].tolist(), network.segment_rank.tolist(), strict=True
        )
    )
    return bool(value == bound)


def _start(
    market: Market,
    network: Network,
    boxes: Boxes,
    *,
    transport_cost: int,
    room: int,
    near: int,
) -> tuple[Int32s, Int32s, Int64s]:
    """(need, lot, cost) of the first pairs, by position in the class, by need; at most `room` a need."""
    closest = search(
        market,
        boxes,
        network.needs,
        lot_values=market.lot_life,
        limits=np.full(len(network.needs), np.iinfo(np.int64).max, dtype=np.int64),
        weight=transport_cost,
        most=min(near, room),
    )
    count = min(RANDOM, room - min(near, room))
    some = draw(market, boxes, network.needs, count=count, seed=_SEED)
    needs = positions(network.needs, np.concatenate([closest.needs, some.needs]))
    lots = np.concatenate([closest.lots, some.lots])
    cost = np.concatenate([closest.transports, some.transports]) * transport_cost
    cost += market.lot_life[lots]
    lots = positions(network.lots, lots)
    _, kept = np.unique(needs.astype(np.int64) * (len(network.lots) + 1) + lots, return_index=True)
    return needs[kept], lots[kept], cost[kept]


def _result(market: Market, network: Network, run: Run, *, transport_cost: int) -> ClassResult:
    simplex, found, price = run.simplex, run.found, run.price.copy()
    if not run.proven:
        # A need's price is lowered to its best offer over all pairs: now no pair contradicts it.
        nodes = network.first_need + positions(network.needs, found.needs)
        np.minimum.at(price, nodes, found.values)
    pairs = slice(network.base.arcs, simplex.arcs)
    used = np.flatnonzero(simplex.flows[pairs]) + network.base.arcs
    lots = network.lots[simplex.tails[used] - network.first_lot]
    return ClassResult(
        needs=network.needs[simplex.heads[used] - network.first_need],
        lots=lots,
        units=simplex.flows[used],
        transports=(simplex.costs[used] - market.lot_life[lots]) // transport_cost,
        price=price,
        proven=run.proven,
        rounds=run.rounds,
        arcs=simplex.arcs,
        pivots=simplex.pivots,
    )
