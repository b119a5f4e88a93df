"""Which eligible pairs price out after an event, without a look at every pair, nor at most needs and lots.

Every need and lot has a worst price, at which it was searched last: a need pays at most that much, a lot asks
at least that much, and at worst prices no eligible pair but those that have an arc prices out. So nothing has
to be searched that is no worse than its worst price. What gets worse is searched again at a worst price a
little worse than the present one (`MARGIN`), and the pairs found on the way get their arcs before they are
needed; the next small moves then cost nothing. A common move of all prices changes no pair: `shift` is how far
the worst prices count as moved together, chosen so that the fewest have to be searched. Nor does a move that
many share (`Suspects.step`) change a pair of which both ends share it: only what stayed behind is searched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.engine.look import NOBODY, NOBODY_KNOWN, Known, look
from matching.engine.market import Int32s, Market
from matching.geo import Int64s
from matching.incremental.newcomer import bring
from matching.incremental.pairs import GONE, Side
from matching.incremental.places import Places
from matching.incremental.tree import LOT, NEED, Tree

ADDED: Final = 20
"""Pairs that a need or lot may add in one pass."""
MARGIN: Final = 16
"""Kilometres beyond the present price up to which pairs are looked for."""
SLACK: Final = 16
"""Kilometres that a worst price may be off the present one when others search; half of it in the next pass of
the same event, and so on, so that an event that moves prices by a whole rank ends sooner."""
ALIKE: Final = 64
"""Kilometres by which the moves of those that moved together may differ."""
GROUPS_MAX: Final = 8
"""Groups that moved alike, of one pass: after the largest ones the rest is searched one by one."""
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


@dataclass(frozen=True, slots=True)
class Suspects:
    """Needs or lots that are worse than their worst prices.

    Attributes:
        step: so much worse all their worst prices become; None where each is searched for itself, as far as
            `MARGIN` beyond its present price.
        along: those of the other side that got better by as much at least: their worst prices become better by
            the step, so no pair with them has to be looked at.
    """

    rows: Int32s
    step: int | None
    along: Int32s


class Offers:
    """Both sides of a class, with the worst prices by which the other side chooses.

    Attributes:
        shift: a need's price less its worst one, or a lot's, is compared with it.
    """

    def __init__(self, market: Market, needs: Int32s, lots: Int32s, *, weight: int) -> None:
        self._weight = weight
        self.shift = 0
        self._again, self._pass = NOBODY, 0
        self._lots = Side(market, lots, of_lots=True, weight=weight)
        self._needs = Side(market, needs, of_lots=False, weight=weight)

    def add_need(self, market: Market, number: int) -> None:
        """A newcomer."""
        self._needs.add(market, number)

    def add_lot(self, market: Market, number: int) -> None:
        """A newcomer."""
        self._lots.add(market, number)

    def drop_need(self, number: int) -> None:
        """Nobody chooses it any more."""
        self._needs.set_value(number, GONE)

    def drop_lot(self, number: int) -> None:
        """Nobody chooses it any more."""
        self._lots.set_value(number, GONE)

    def meet(self, market: Market, tree: Tree, role: NDArray[np.int8], owner: Int32s) -> None:
        """The present prices, at which no pair prices out, are the worst ones."""
        price = tree.price[: len(role)]
        worst, lots = np.where(role == NEED, -price, price), role == LOT
        worst[lots] += market.lot_life[owner[lots]]
        self.restore(market, role, owner, worst, shift=0)

    def meet_unpriced(self, market: Market, role: NDArray[np.int8], owner: Int32s) -> None:
        """Newcomers will look for their nearest."""
        worst, lots = np.zeros(len(role), dtype=np.int64), role == LOT
        worst[lots] = market.lot_life[owner[lots]]
        self.restore(market, role, owner, worst, shift=0)

    def values(self, role: NDArray[np.int8], owner: Int32s) -> Int64s:
        """By node, what `restore` takes."""
        found = np.full(len(owner), GONE, dtype=np.int64)
        for side, wanted in ((self._needs, NEED), (self._lots, LOT)):
            mine = role == wanted
            found[mine] = side.values[owner[mine]]
        return found

    def restore(
        self, market: Market, role: NDArray[np.int8], owner: Int32s, values: Int64s, *, shift: int
    ) -> None:
        """Worst prices by node."""
        self.shift = shift
        for side, wanted in ((self._needs, NEED), (self._lots, LOT)):
            mine = role == wanted
            side.set_values(owner[mine], values[mine])
            side.rebuild(market)

    def greet(
        self,
        market: Market,
        tree: Tree,
        places: Places,
        node: int,
        number: int,
        *,
        first: int,
        most: int,
        of_needs: bool,
    ) -> int:
        """In the model of a fixed list of pairs: a newcomer's arcs, from arc `first` on; how many."""
        if of_needs:
            own, other, places_there = self._needs, self._lots, places.lot_node
        else:
            own, other, places_there = self._lots, self._needs, places.need_node
        count = bring(
            market,
            other.boxes,
            other.values,
            NOBODY_KNOWN,
            number,
            int(of_needs),
            self._weight,
            most,
            node,
            places_there,
            tree.tails,
            tree.heads,
            tree.costs,
            tree.bounds,
            tree.flows,
            tree.state,
            first,
        )
        own.set_value(number, 0)
        return int(count)

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
        if not needs and not lots:
            self._pass = 0
            return None
        found = [
            self._search(market, tree, owner, places, some, of_needs=of_needs)
            for of_needs, suspects in ((True, needs), (False, lots))
            for some in suspects
        ]
        need = np.concatenate([pairs.needs for pairs in found])
        lot = np.concatenate([pairs.lots for pairs in found])
        transport = np.concatenate([pairs.transports for pairs in found])
        if needs and lots:
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
    ) -> tuple[list[Suspects], list[Suspects]]:
        """Needs above and lots below their worst prices.

        They are looked at again in the next pass: more offers than fit may have been better.
        """
        needs, rises = self._worse(market, tree, owner, nodes, NEED)
        lots, falls = self._worse(market, tree, owner, nodes, LOT)
        above, below = rises > self.shift, falls < self.shift
        if np.count_nonzero(above) + np.count_nonzero(below) > FEW:
            everybody = np.arange(count, dtype=np.int32)
            needs, rises = self._worse(market, tree, owner, everybody, NEED)
            lots, falls = self._worse(market, tree, owner, everybody, LOT)
            # Newcomers moved with nobody. Were their distance from GONE taken for a move, GONE would be no
            # farther than other worst prices, and who comes later would be passed over.
            known_rises = rises[self._needs.values[needs] != GONE]
            known_falls = falls[self._lots.values[lots] != GONE]
            self.shift = fewest(known_rises, known_falls, otherwise=self.shift)
        need_spare, lot_spare = self.shift - rises, falls - self.shift
        above, below = need_spare < 0, lot_spare < 0
        self._again = np.concatenate([places.need_node[needs[above]], places.lot_node[lots[below]]])
        if not len(self._again):
            return [], []
        # A worst price far from the present one would make those who search find what nobody offers.
        far = (SLACK >> min(self._pass, SLACK.bit_length())) * self._weight
        self._pass += 1
        width = ALIKE * self._weight
        new_needs = self._needs.values[needs] == GONE
        new_lots = self._lots.values[lots] == GONE
        taking = suspects(needs, need_spare, lots, lot_spare, width=width, alone=new_needs)
        giving = suspects(lots, lot_spare, needs, need_spare, width=width, alone=new_lots)
        self._come_closer(self._needs, needs, need_spare, far, giving)
        self._come_closer(self._lots, lots, lot_spare, far, taking)
        return taking, giving

    def _come_closer(
        self, side: Side, rows: Int32s, spare: Int64s, far: int, moved: list[Suspects]
    ) -> None:
        """Worst prices may always be set closer to the present ones.

        Args:
            moved: by whose searches those with as much to spare are passed over: they come along.
        """
        closer = spare - far
        for one in moved:
            if one.step is not None:
                closer[spare >= one.step] = np.maximum(closer[spare >= one.step], one.step)
        mine = closer > 0
        side.set_values(rows[mine], side.values[rows[mine]] + closer[mine])

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
        some: Suspects,
        *,
        of_needs: bool,
    ) -> Pairs:
        """New worst prices for some needs or lots, and the pairs that need an arc for that."""
        rows = some.rows
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
        if some.step is not None:
            limits = some.step - own.values[rows]
        with other.without(some.along):
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
        if len(rows) == 1:
            count = int(counts[0])
            own, other = np.full(count, rows[0], dtype=np.int32), found[0, :count]
            needs, lots = (own, other) if of_needs else (other, own)
            return Pairs(needs, lots, transports[0, :count], np.ones(count, dtype=np.bool_))
        taken = np.arange(found.shape[1])[None, :] < counts[:, None]
        own, other = np.repeat(rows, counts), found[taken]
        needs, lots = (own, other) if of_needs else (other, own)
        return Pairs(needs, lots, transports[taken], np.ones(len(needs), dtype=np.bool_))


def suspects(
    rows: Int32s,
    spare: Int64s,
    others: Int32s,
    others_spare: Int64s,
    *,
    width: int,
    alone: NDArray[np.bool_],
) -> list[Suspects]:
    """Those whose spare is negative, in groups that moved alike, ascending; the rest, if any, comes last.

    Args:
        width: how much steps of one group may differ.
        alone: those that are in no group.
    """
    worse = spare < 0
    order = np.argsort(rows[worse], kind="stable")
    rows, steps, alone = rows[worse][order], -spare[worse][order], alone[worse][order]
    single, rows, steps = rows[alone], rows[~alone], steps[~alone]
    found = []
    for _ in range(GROUPS_MAX):
        step, alike = densest(steps, width)
        if alike <= FEW:
            break
        mine = (steps <= step) & (steps > step - width)
        found.append(Suspects(rows[mine], step, others[others_spare >= step]))
        rows, steps = rows[~mine], steps[~mine]
    if len(single):
        rows = np.sort(np.concatenate([rows, single]))
    if len(rows):
        found.append(Suspects(rows, None, NOBODY))
    return found


def densest(steps: Int64s, width: int) -> tuple[int, int]:
    """(the upper end of a window of this width that holds the most steps, how many it holds)."""
    if not len(steps):
        return 0, 0
    ordered = np.sort(steps)
    held = np.arange(1, len(ordered) + 1) - np.searchsorted(ordered, ordered - width, side="right")
    # Equal steps: the last of them counts all.
    best = len(held) - 1 - int(np.argmax(held[::-1]))
    return int(ordered[best]), int(held[best])


def fewest(rises: Int64s, falls: Int64s, *, otherwise: int) -> int:
    """The common move that leaves the fewest rises above it and falls below it; the least of several.

    Args:
        otherwise: the move where there is nothing to choose from.
    """
    if not len(rises) + len(falls):
        return otherwise
    rises, falls = np.sort(rises), np.sort(falls)
    # Only at a move that occurs can the count change.
    moves = np.unique(np.concatenate([rises, falls]))
    above = len(rises) - np.searchsorted(rises, moves, side="right")
    below = np.searchsorted(falls, moves, side="left")
    return int(moves[np.argmin(above + below)])
