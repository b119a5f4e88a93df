"""Which eligible pairs price out after an event, without a look at every pair, nor at most needs and lots.

Every need and lot has a worst price, at which it was searched last: a need pays at most that much, a lot asks
at least that much, and at worst prices no eligible pair but those that have an arc prices out. So nothing has
to be searched that is no worse than its worst price. What gets worse is searched again at a worst price a
little worse than the present one (`MARGIN`), and the pairs found on the way get their arcs before they are
needed; the next small moves then cost nothing. A common move of all prices changes no pair: `shift` is how far
the worst prices count as moved together, chosen so that the fewest have to be searched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.engine.look import NOBODY, NOBODY_KNOWN, Known, look
from matching.engine.market import Int32s, Market
from matching.geo import Int64s
from matching.incremental.pairs import GONE, Side
from matching.incremental.places import Places, row_of
from matching.incremental.tree import LOT, NEED, Tree

ADDED: Final = 20
"""Pairs that a need or lot may add in one pass."""
MARGIN: Final = 16
"""Kilometres beyond the present price up to which pairs are looked for."""
SLACK: Final = 16
"""Kilometres that a worst price may be off the present one when others search; half of it in the next pass of
the same event, and so on, so that an event that moves prices by a whole rank ends sooner."""
FEW: Final = 200
"""So many needs and lots are searched before it is worth a look which common move leaves fewer."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """New pairs.

    Attributes:
        out: those that price out now; the others may do so soon.
    """

    needs: Int32s
    lots: Int32s
    transports: Int64s
    out: NDArray[np.bool_]


class Offers:
    """Both sides of a class, with the worst prices by which the other side chooses.

    Attributes:
        shift: a need's price less its worst one, or a lot's, is compared with it.
    """

    def __init__(
        self, market: Market, needs: Int32s, lots: Int32s, *, weight: int, near: int
    ) -> None:
        self._weight, self._near = weight, near
        self.shift = 0
        self._again, self._pass = NOBODY, 0
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
        self._needs.set_values(row_of(number), np.array([GONE], dtype=np.int64))

    def drop_lot(self, number: int) -> None:
        """Nobody chooses it any more."""
        self._lots.set_values(row_of(number), np.array([GONE], dtype=np.int64))

    def meet(self, market: Market, tree: Tree, role: NDArray[np.int8], owner: Int32s) -> None:
        """The present prices, at which no pair prices out, are the worst ones."""
        price = tree.price[: len(role)]
        worst, lots = np.where(role == NEED, -price, price), role == LOT
        worst[lots] += market.lot_life[owner[lots]]
        self.restore(role, owner, worst, shift=0)

    def values(self, role: NDArray[np.int8], owner: Int32s) -> Int64s:
        """By node, what `restore` takes."""
        found = np.full(len(owner), GONE, dtype=np.int64)
        for side, wanted in ((self._needs, NEED), (self._lots, LOT)):
            mine = role == wanted
            found[mine] = side.values[owner[mine]]
        return found

    def restore(self, role: NDArray[np.int8], owner: Int32s, values: Int64s, *, shift: int) -> None:
        """Worst prices by node."""
        self.shift = shift
        for side, wanted in ((self._needs, NEED), (self._lots, LOT)):
            mine = role == wanted
            side.set_values(owner[mine], values[mine])

    def greet(self, market: Market, needs: Int32s, lots: Int32s) -> Iterator[Pairs]:
        """Newcomers meet their nearest, whatever the price, in the model of a fixed candidate list."""
        if not self._near:
            return
        for rows, side, of_needs in ((needs, self._needs, True), (lots, self._lots, False)):
            for number in rows[side.values[rows] == GONE].tolist():
                row = row_of(number)
                limits = np.full(1, GONE, dtype=np.int64)
                found, transports, _, counts = self._look(
                    market, row, limits, NOBODY_KNOWN, of_needs=of_needs, most=self._near
                )
                yield self._pairs(row, found, transports, counts, of_needs=of_needs)
                side.set_values(row, np.zeros(1, dtype=np.int64))

    def ask(
        self, market: Market, tree: Tree, owner: Int32s, places: Places, nodes: Int32s, count: int
    ) -> Pairs | None:
        """Pairs for what got worse than its worst price; None where nothing did: then no pair prices out.

        Args:
            nodes: those whose price moved since the last call.
            count: nodes of the tree.
        """
        if len(self._again):
            nodes = np.union1d(nodes, self._again)
        needs, lots = self._suspects(market, tree, owner, places, nodes, count)
        if not len(needs) and not len(lots):
            self._pass = 0
            return None
        taking = self._search(market, tree, owner, places, needs, of_needs=True)
        giving = self._search(market, tree, owner, places, lots, of_needs=False)
        need = np.concatenate([taking.needs, giving.needs])
        lot = np.concatenate([taking.lots, giving.lots])
        transport = np.concatenate([taking.transports, giving.transports])
        if len(taking.needs) and len(giving.needs):
            # A pair may have been found from both sides.
            _, kept = np.unique(need.astype(np.int64) << 32 | lot, return_index=True)
            need, lot, transport = need[kept], lot[kept], transport[kept]
        reduced = transport * self._weight + market.lot_life[lot]
        reduced += tree.price[places.lot_node[lot]] - tree.price[places.need_node[need]]
        return Pairs(need, lot, transport, reduced < 0)

    def _suspects(
        self,
        market: Market,
        tree: Tree,
        owner: Int32s,
        places: Places,
        nodes: Int32s,
        count: int,
    ) -> tuple[Int32s, Int32s]:
        """Needs above and lots below their worst prices, ascending.

        They are looked at again in the next pass: more offers than fit may have been better.
        """
        needs, rises = self._worse(market, tree, owner, nodes, NEED)
        lots, falls = self._worse(market, tree, owner, nodes, LOT)
        above, below = rises > self.shift, falls < self.shift
        if np.count_nonzero(above) + np.count_nonzero(below) > FEW:
            everybody = np.arange(count, dtype=np.int32)
            needs, rises = self._worse(market, tree, owner, everybody, NEED)
            lots, falls = self._worse(market, tree, owner, everybody, LOT)
            self.shift = fewest(rises, falls)
            above, below = rises > self.shift, falls < self.shift
        if above.any() or below.any():
            # A worst price far from the present one would make those who search find what nobody offers.
            far = (SLACK >> min(self._pass, SLACK.bit_length())) * self._weight
            self._pass += 1
            self._come_closer(self._needs, needs, self.shift - rises - far)
            self._come_closer(self._lots, lots, falls - self.shift - far)
        self._again = np.concatenate([places.need_node[needs[above]], places.lot_node[lots[below]]])
        return np.sort(needs[above]), np.sort(lots[below])

    def _come_closer(self, side: Side, rows: Int32s, spare: Int64s) -> None:
        """Worst prices may always be set closer to the present ones."""
        mine = spare > 0
        side.set_values(rows[mine], side.values[rows[mine]] + spare[mine])

    def _worse(
        self, market: Market, tree: Tree, owner: Int32s, nodes: Int32s, role: int
    ) -> tuple[Int32s, Int64s]:
        """(numbers, how far the price stands from the worst one) of the needs or lots among some nodes."""
        mine = nodes[tree.role[nodes] == role]
        numbers, price = owner[mine], tree.price[mine]
        if role == NEED:
            return numbers, price + self._needs.values[numbers]
        return numbers, price + market.lot_life[numbers] - self._lots.values[numbers]

    def _search(
        self,
        market: Market,
        tree: Tree,
        owner: Int32s,
        places: Places,
        rows: Int32s,
        *,
        of_needs: bool,
    ) -> Pairs:
        """New worst prices for some needs or lots, and the pairs that need an arc for that."""
        if not len(rows):
            return _NO_PAIRS
        if of_needs:
            own, other, node = self._needs, self._lots, places.need_node
            known = Known(
                node, tree.first_in, tree.next_in, tree.tails, owner, tree.role, LOT, other.mark
            )
            limits = tree.price[node[rows]] - self.shift
        else:
            own, other, node = self._lots, self._needs, places.lot_node
            known = Known(
                node, tree.first_out, tree.next_out, tree.heads, owner, tree.role, NEED, other.mark
            )
            limits = self.shift - tree.price[node[rows]] - market.lot_life[rows]
        limits += MARGIN * self._weight
        found, transports, offers, counts = self._look(
            market, rows, limits, known, of_needs=of_needs, most=ADDED
        )
        # Whatever was not found is no better than the last one found, or than the limit.
        own.set_values(rows, -np.where(counts == ADDED, offers[:, -1], limits))
        return self._pairs(rows, found, transports, counts, of_needs=of_needs)

    def _look(
        self,
        market: Market,
        rows: Int32s,
        limits: Int64s,
        known: Known,
        *,
        of_needs: bool,
        most: int,
    ) -> tuple[Int32s, Int64s, Int64s, Int64s]:
        """(numbers of the other side, transports, offers, counts), shape (rows, most)."""
        shape = (len(rows), most)
        found, transports = np.empty(shape, np.int32), np.empty(shape, np.int64)
        offers, counts = np.empty(shape, np.int64), np.zeros(len(rows), np.int64)
        other = self._lots if of_needs else self._needs
        look(
            market,
            other.boxes,
            other.late,
            other.values,
            known,
            rows,
            limits,
            self._weight,
            int(of_needs),
            found,
            transports,
            offers,
            counts,
        )
        return found, transports, offers, counts

    def _pairs(
        self, rows: Int32s, found: Int32s, transports: Int64s, counts: Int64s, *, of_needs: bool
    ) -> Pairs:
        taken = np.arange(found.shape[1])[None, :] < counts[:, None]
        own, other = np.repeat(rows, counts), found[taken]
        needs, lots = (own, other) if of_needs else (other, own)
        return Pairs(needs, lots, transports[taken], np.ones(len(needs), dtype=np.bool_))


def fewest(rises: Int64s, falls: Int64s) -> int:
    """The common move that leaves the fewest rises above it and falls below it; the least of several."""
    rises, falls = np.sort(rises), np.sort(falls)
    # Only at a move that occurs can the count change.
    moves = np.unique(np.concatenate([rises, falls]))
    above = len(rises) - np.searchsorted(rises, moves, side="right")
    below = np.searchsorted(falls, moves, side="left")
    return int(moves[np.argmin(above + below)])


_NO_PAIRS: Final = Pairs(NOBODY, NOBODY, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_))
