"""What each need is offered and what each lot could do elsewhere: the search over all pairs after an event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from matching.engine.market import Int32s, Market
from matching.geo import Int64s
from matching.incremental.pairs import GONE, Side, offers_to_needs, takers_of_lots
from matching.incremental.tree import LOT, NEED, Tree

ADDED: Final = 20
"""Pairs that a need or lot may add in one pass."""
SUSPECTS_FEW: Final = 200
"""So many needs and lots are searched before it is worth a look which common move leaves fewer."""
NOBODY: Final[Int32s] = np.zeros(0, dtype=np.int32)
Pairs = tuple[Int32s, Int32s, Int64s]
"""(needs, lots, unit transport costs)."""


class Offers:
    """Both sides of a class, with the prices by which the other side chooses."""

    def __init__(
        self, market: Market, needs: Int32s, lots: Int32s, *, weight: int, near: int
    ) -> None:
        self._weight, self._near = weight, near
        self._lots = Side(lots, market.lot_kind, market.lot_xyz, kinds=market.fit.shape[1])
        self._needs = Side(needs, market.need_kind, market.need_xyz, kinds=market.fit.shape[0])

    def add_need(self, market: Market, number: int) -> None:
        """A newcomer."""
        self._needs.add(number, market.need_kind, market.need_xyz, kinds=market.fit.shape[0])

    def add_lot(self, market: Market, number: int) -> None:
        """A newcomer."""
        self._lots.add(number, market.lot_kind, market.lot_xyz, kinds=market.fit.shape[1])

    def drop_need(self, number: int) -> None:
        """Nobody chooses it any more."""
        self._needs.set_values(_one(number), np.array([GONE], dtype=np.int64))

    def drop_lot(self, number: int) -> None:
        """Nobody chooses it any more."""
        self._lots.set_values(_one(number), np.array([GONE], dtype=np.int64))

    def publish(self, market: Market, tree: Tree, owner: Int32s, nodes: Int32s) -> None:
        """Tell the other side the prices of these nodes."""
        role, numbers, price = tree.role[nodes], owner[nodes], tree.price[nodes]
        needs, lots = numbers[role == NEED], numbers[role == LOT]
        if self._near:
            # Without prices the best offer is the nearest.
            self._needs.set_values(needs, np.zeros(len(needs), dtype=np.int64))
            self._lots.set_values(lots, np.zeros(len(lots), dtype=np.int64))
            return
        self._needs.set_values(needs, -price[role == NEED])
        self._lots.set_values(lots, price[role == LOT] + market.lot_life[lots])

    def greet(self, market: Market, needs: Int32s, lots: Int32s) -> Iterator[Pairs]:
        """Newcomers meet their nearest, whatever the price, in the model of a fixed candidate list."""
        if not self._near:
            return
        for number in needs[self._needs.values[needs] == GONE].tolist():
            yield self._look(market, _one(number), of_needs=True, near=True)
            self._needs.values[number] = 0
        for number in lots[self._lots.values[lots] == GONE].tolist():
            lot, need, transport = self._look(market, _one(number), of_needs=False, near=True)
            yield need, lot, transport
            self._lots.values[number] = 0

    def search(self, market: Market, needs: Int32s, lots: Int32s) -> tuple[Int32s, Int32s, Pairs]:
        """(needs that found something, lots that did, the pairs that price out, each once)."""
        taking = self._look(market, needs, of_needs=True)
        giving = self._look(market, lots, of_needs=False)
        need = np.concatenate([taking[0], giving[1]])
        lot = np.concatenate([taking[1], giving[0]])
        transport = np.concatenate([taking[2], giving[2]])
        if len(taking[0]) and len(giving[0]):
            # A pair may have been found from both sides.
            _, kept = np.unique(need.astype(np.int64) << 32 | lot, return_index=True)
            need, lot, transport = need[kept], lot[kept], transport[kept]
        return np.unique(taking[0]), np.unique(giving[0]), (need, lot, transport)

    def _look(
        self, market: Market, rows: Int32s, *, of_needs: bool, near: bool = False
    ) -> tuple[Int32s, Int32s, Int64s]:
        """(own number, other number, transport) of pairs with a negative reduced cost.

        Args:
            near: the best instead, whatever they cost.
        """
        if not len(rows):
            return NOBODY, NOBODY, np.zeros(0, dtype=np.int64)
        shape = (len(rows), self._near or ADDED)
        found, transports = np.empty(shape, np.int32), np.empty(shape, np.int64)
        offers, counts = np.empty(shape, np.int64), np.zeros(len(rows), np.int64)
        other, own = (self._lots, self._needs) if of_needs else (self._needs, self._lots)
        limits = np.full(len(rows), GONE, dtype=np.int64) if near else -own.values[rows]
        search = offers_to_needs if of_needs else takers_of_lots
        search(
            market,
            other.boxes,
            other.late,
            other.values,
            rows,
            limits,
            self._weight,
            found,
            transports,
            offers,
            counts,
        )
        taken = np.arange(shape[1])[None, :] < counts[:, None]
        return np.repeat(rows, counts), found[taken], transports[taken]


def suspects(
    tree: Tree,
    owner: Int32s,
    count: int,
    needs: Int32s,
    lots: Int32s,
    nodes: Int32s,
    moved: Int64s,
) -> tuple[Int32s, Int32s]:
    """These, and all needs and lots of which a pair may price out now.

    A pair whose need rose by no more than s and whose lot rose by at least s was right before and is right now,
    whatever s is. With s = 0 those that rose or fell are looked at; where most of the class moved together, s
    is that common move, and those that stayed behind are looked at instead.

    Args:
        count: nodes of the tree.
        needs, lots: to be looked at in any case.
        nodes, moved: whose price moved, and by how much.
    """
    role = tree.role[nodes]
    rising, falling = (role == NEED) & (moved > 0), (role == LOT) & (moved < 0)
    if np.count_nonzero(rising) + np.count_nonzero(falling) > SUSPECTS_FEW:
        step = np.zeros(count, dtype=np.int64)
        step[nodes] = moved
        nodes, moved, role = np.arange(count, dtype=np.int32), step, tree.role[:count]
        need_moves, lot_moves = np.sort(moved[role == NEED]), np.sort(moved[role == LOT])
        # Only at a move that occurs can the count of suspects change.
        shifts = np.unique(np.concatenate([need_moves, lot_moves]))
        above = len(need_moves) - np.searchsorted(need_moves, shifts, side="right")
        below = np.searchsorted(lot_moves, shifts, side="left")
        shift = shifts[np.argmin(above + below)]
        rising, falling = (role == NEED) & (moved > shift), (role == LOT) & (moved < shift)
    return _union(needs, owner[nodes[rising]]), _union(lots, owner[nodes[falling]])


def _union(some: Int32s, others: Int32s) -> Int32s:
    return np.unique(np.concatenate([some, others])) if len(others) else some


def _one(number: int) -> Int32s:
    return np.array([number], dtype=np.int32)
