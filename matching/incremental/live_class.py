"""One item class that stays optimal over all eligible pairs while needs and lots come, change and go.

Every event is an edit that keeps the flow in balance: what is taken back goes to the root or is unserved.
Then the tree finds its optimum again, and what prices moved is priced again over all pairs: needs whose price
rose and lots whose price fell, and those that found something in the pass before. When a pass finds nothing, no
eligible pair prices out: the plan is optimal over all of them, and the prices prove it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ledger.core.errors import LimitError
from matching.engine.columns import run_class
from matching.engine.graph import FLOW_LIMIT
from matching.engine.market import Int32s, Market
from matching.engine.network import TIERS, Network, class_network, segment_sizes
from matching.geo import Int64s
from matching.incremental.live_tree import LiveTree, arrays_of
from matching.incremental.offers import Offers, Pairs
from matching.incremental.places import Group, Places
from matching.incremental.tree import GROUP, LOT, NEED, OTHER

KEPT: Final = 32
"""Kilometres: pairs without goods whose reduced cost is larger lose their arc after a cold solve. The search
finds them again when prices come near, and until then every look at all arcs is shorter."""
PASSES_MAX: Final = 400
"""Passes of one event; each adds pairs that were not there, so they end. Past this the class is solved anew."""


class LiveClass:
    """A class and its events. Rows are named by their market number; the market has them before the event.

    Attributes:
        live: the tree.
        rebuilt: how often the class had to be solved anew.
        version: another number after every event.
        segments: of each group.
    """

    def __init__(
        self,
        market: Market,
        *,
        item_class: int,
        segments: int,
        rank_cost: int,
        weight: int,
        places: Places,
        near: int = 0,
        priced: bool = True,
        saved: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Solve cold.

        Args:
            weight: what a unit of the transport level costs; a day of life costs 1.
            near: instead of keeping the optimum over all pairs, over a list of them; a newcomer brings so many
                (for benches).
            priced: the list is what pricing over all pairs found, and newcomers bring the best at the prices of
                then; else only the `near` nearest are in it.
            saved: what `saved` gave, instead of a cold solve.
        """
        self._class, self.segments = item_class, segments
        self._rank_cost, self._weight = rank_cost, weight
        self._near, self._priced = near, priced
        self._places = places
        self.rebuilt, self.version = -1, 0
        self.groups: dict[int, Group] = {}
        if saved is None:
            self._build(market)
            return
        self.rebuilt = 0
        self.live = LiveTree(saved)
        self.owner: Int32s = saved["owner"]
        for key, node, first, total in saved["groups"].tolist():
            self.groups[key] = Group(node, first, total)
        self._number(market, self.owner)
        self._introduce(market, saved["worst"], shift=int(saved["shift"][0]))

    def _build(self, market: Market) -> None:
        self.rebuilt += 1
        network = class_network(
            market,
            item_class=self._class,
            segments=self.segments,
            rank_cost=self._rank_cost,
            open_ended=True,
        )
        assert network is not None
        self._market = market
        near = 0 if self._priced else self._near
        run = run_class(market, network, transport_cost=self._weight, near=near)
        within = None if self._near else KEPT * self._weight
        self.live = LiveTree(arrays_of(run.simplex, base=network.base.arcs, within=within))
        self.owner = np.zeros(self.live.nodes, dtype=np.int32)
        self._name_nodes(market, network)
        self._introduce(market)

    def _introduce(self, market: Market, worst: Int64s | None = None, *, shift: int = 0) -> None:
        """Both sides meet, at worst prices by node or, after a cold solve, at the present ones."""
        role, owner = self.live.tree.role[: self.live.nodes], self.owner[: self.live.nodes]
        needs, lots = np.sort(owner[role == NEED]), np.sort(owner[role == LOT])
        self._offers = Offers(market, needs, lots, weight=self._weight)
        if self._near and not self._priced:
            self._offers.meet_unpriced(market, role, owner)
        elif worst is None:
            self._offers.meet(market, self.live.tree, role, owner)
        else:
            self._offers.restore(market, role, owner, worst, shift=shift)

    def renumber(self, market: Market, owner: Int32s) -> None:
        """The rows have other numbers in this market.

        Args:
            owner: by node, the row's new number.
        """
        worst, shift = self._worst(), self._offers.shift
        self._number(market, owner)
        self._introduce(market, worst, shift=shift)

    def _worst(self) -> Int64s:
        count = self.live.nodes
        return self._offers.values(self.live.tree.role[:count], self.owner[:count])

    def _number(self, market: Market, owner: Int32s) -> None:
        self._market, self.owner = market, owner
        tree, places = self.live.tree, self._places
        role, arcs = tree.role, np.arange(self.live.arcs, dtype=np.int32)
        nodes = np.arange(self.live.nodes, dtype=np.int32)
        needs, lots = nodes[role[nodes] == NEED], nodes[role[nodes] == LOT]
        places.need_node[owner[needs]], places.lot_node[owner[lots]] = needs, lots
        # A need's link comes from its group, a lot's goes to the root.
        tails, heads = tree.tails[arcs], tree.heads[arcs]
        links = arcs[(role[tails] == GROUP) & (role[heads] == NEED)]
        places.need_link[owner[tree.heads[links]]] = links
        links = arcs[(role[tails] == LOT) & (heads == self.live.root)]
        places.lot_link[owner[tree.tails[links]]] = links

    def saved(self) -> dict[str, NDArray[Any]]:
        """Everything that `LiveClass(saved=…)` needs to go on."""
        groups = [(key, one.node, one.first, one.total) for key, one in self.groups.items()]
        return self.live.saved() | {
            "owner": self.owner[: self.live.nodes].copy(),
            "worst": self._worst(),
            "shift": np.array([self._offers.shift], dtype=np.int64),
            "groups": np.array(groups, dtype=np.int64).reshape(len(groups), 4),
        }

    def _name_nodes(self, market: Market, network: Network) -> None:
        places, role = self._places, self.live.tree.role
        role[1 : network.first_need] = GROUP
        need_nodes = network.first_need + np.arange(len(network.needs), dtype=np.int32)
        lot_nodes = network.first_lot + np.arange(len(network.lots), dtype=np.int32)
        role[need_nodes], self.owner[need_nodes] = NEED, network.needs
        role[lot_nodes], self.owner[lot_nodes] = LOT, network.lots
        places.need_node[network.needs] = need_nodes
        places.lot_node[network.lots] = lot_nodes
        # Arcs of the base: lots to the root, groups to needs, segments of the groups.
        first = len(network.lots)
        places.lot_link[network.lots] = np.arange(first, dtype=np.int32)
        places.need_link[network.needs] = first + np.arange(len(network.needs), dtype=np.int32)
        first += len(network.needs)
        self.groups = {}
        keys = market.need_hospital[network.needs].astype(np.int64) * TIERS
        keys += market.need_tier[network.needs]
        for number, key in enumerate(np.unique(keys).tolist()):
            self.groups[key] = Group(
                node=int(network.group_node[number]),
                first=first + number * self.segments,
                total=int(network.group_total[number]),
            )

    # ------------------------------------------------------------------ events
    def add_need(self, market: Market, number: int) -> None:
        """A new need, unserved at first."""
        self._market = market
        units = int(market.need_quantity[number])
        group = self._group_of(number, units=units)
        live = self.live
        node = live.add_node(NEED)
        link = live.add_arc(group.node, node, 0, flow=units)
        live.hang(node, link)
        self._enter(node, number)
        self._places.need_node[number], self._places.need_link[number] = node, link
        self._offers.add_need(market, number)
        if self._near:
            self._greet(node, number, of_needs=True)
        self._finish()

    def change_need(self, market: Market, number: int, *, units: int, held: int) -> None:
        """Another quantity than the one `held`; zero takes the need away for good."""
        self._market = market
        live, link = self.live, int(self._places.need_link[number])
        group = self.groups[self._key(number)]
        unmet = self._unmet(group)
        if units >= held:
            live.add_flow(link, units - held)
            unmet += units - held
        else:
            less = min(held - units, int(live.tree.flows[link]))
            live.add_flow(link, -less)
            unmet -= less
            self._take_back(number, held - units - less)
        group.total += units - held
        self._resize(group, unmet)
        if not units:
            node = int(self._places.need_node[number])
            live.retire(node)
            live.tree.role[node] = OTHER
            self._offers.drop_need(number)
        self._finish()

    def add_lot(self, market: Market, number: int) -> None:
        """A new lot, unused at first."""
        self._market = market
        live = self.live
        node = live.add_node(LOT)
        link = live.add_arc(node, live.root, 0, flow=int(market.lot_quantity[number]))
        live.hang(node, link)
        self._enter(node, number)
        self._places.lot_node[number], self._places.lot_link[number] = node, link
        self._offers.add_lot(market, number)
        if self._near:
            self._greet(node, number, of_needs=False)
        self._finish()

    def change_lot(self, market: Market, number: int, *, units: int, held: int) -> None:
        """Another quantity than the one `held`; zero takes the lot away for good (withdrawn, expired)."""
        self._market = market
        live, places = self.live, self._places
        link, node = int(places.lot_link[number]), int(places.lot_node[number])
        if units >= held:
            live.add_flow(link, units - held)
        else:
            less = min(held - units, int(live.tree.flows[link]))
            live.add_flow(link, -less)
            self._call_in(node, held - units - less)
        if not units:
            live.retire(node)
            live.tree.role[node] = OTHER
            self._offers.drop_lot(number)
        self._finish()

    # ------------------------------------------------------------------ what is
    def lines(self) -> tuple[Int32s, Int32s, Int64s, Int64s]:
        """(needs, lots, units, unit transport costs) of the plan."""
        tree, arcs = self.live.tree, self.live.arcs
        used = np.flatnonzero(tree.flows[:arcs])
        used = used[
            (self.live.tree.role[tree.tails[used]] == LOT)
            & (self.live.tree.role[tree.heads[used]] == NEED)
        ]
        lots = self.owner[tree.tails[used]]
        needs = self.owner[tree.heads[used]]
        life = self._market.lot_life[lots]
        return needs, lots, tree.flows[used], (tree.costs[used] - life) // self._weight

    def value(self) -> int:
        """Cost of the plan, in Python integers."""
        tree = self.live.tree
        used = np.flatnonzero(tree.flows[: self.live.arcs])
        pairs = zip(tree.costs[used].tolist(), tree.flows[used].tolist(), strict=True)
        return sum(cost * units for cost, units in pairs)

    def require_optimal(self) -> None:
        """Raises AssertionError where flow and prices do not prove each other over the arcs there are."""
        tree, arcs = self.live.tree, self.live.arcs
        flows, bounds = tree.flows[:arcs], tree.bounds[:arcs]
        reduced = tree.costs[:arcs] + tree.price[tree.tails[:arcs]] - tree.price[tree.heads[:arcs]]
        assert ((flows >= 0) & (flows <= bounds)).all()
        assert not ((reduced < 0) & (flows < bounds)).any()
        assert not ((reduced > 0) & (flows > 0)).any()

    # ------------------------------------------------------------------ edits
    def _key(self, number: int) -> int:
        hospital = int(self._market.need_hospital[number])
        return hospital * TIERS + int(self._market.need_tier[number])

    def _unmet(self, group: Group) -> int:
        return sum(self.live.tree.flows[group.first : group.first + self.segments].tolist())

    def _group_of(self, number: int, *, units: int) -> Group:
        """The need's group, larger by the need and as much more unserved."""
        key = self._key(number)
        group = self.groups.get(key)
        if group is not None:
            unmet = self._unmet(group)
            group.total += units
            self._require_exact(group.total)
            self._resize(group, unmet + units)
            return group
        self._require_exact(units)
        live = self.live
        node = live.add_node(GROUP)
        first = live.arcs
        rank = (TIERS - 1 - key % TIERS) * self.segments + 1
        for step, size in enumerate(segment_sizes(units, self.segments)):
            cost = (rank + step) * self._rank_cost
            live.add_arc(live.root, node, cost, bound=size, flow=size)
        # The last segment holds a unit whatever the total: a tree arc from which one can be taken.
        live.hang(node, first + self.segments - 1)
        self._enter(node, -1)
        self.groups[key] = Group(node, first, units)
        return self.groups[key]

    def _require_exact(self, total: int) -> None:
        if total >= FLOW_LIMIT:
            raise LimitError(
                "the supplies together pass 2**60 units: use a larger unit or split the graph",
                code="graph.flow_overflow",
                bits=total.bit_length(),
            )

    def _resize(self, group: Group, unmet: int) -> None:
        """Cut the group's total anew; what is unserved lies in its lowest segments."""
        for step, size in enumerate(segment_sizes(group.total, self.segments)):
            used = min(unmet, size)
            unmet -= used
            self.live.set_bound(group.first + step, bound=size, flow=used)
        assert not unmet
        self.live.soil(group.node)

    def _take_back(self, number: int, units: int) -> None:
        """From a need to its lots."""
        places = self._places
        link = int(places.need_link[number])
        for arc, back in self._dearest(int(places.need_node[number]), link, units):
            lot = int(self.owner[self.live.tree.tails[arc]])
            self.live.add_flow(int(places.lot_link[lot]), back)

    def _call_in(self, node: int, units: int) -> None:
        """From needs back to a lot that shrinks; the needs are unserved by as much."""
        places = self._places
        link = int(places.lot_link[self.owner[node]])
        for arc, back in self._dearest(node, link, units):
            need = int(self.owner[self.live.tree.heads[arc]])
            self.live.add_flow(int(places.need_link[need]), back)
            group = self.groups[self._key(need)]
            self._resize(group, self._unmet(group) + back)

    def _dearest(self, node: int, link: int, units: int) -> Iterator[tuple[int, int]]:
        """Take units off the pairs of a node, the dearest first: (arc, how many)."""
        tree = self.live.tree
        arcs = [arc for arc in self.live.arcs_of(node) if tree.flows[arc] and arc != link]
        for arc in sorted(arcs, key=lambda one: (-int(tree.costs[one]), one)):
            back = min(units, int(tree.flows[arc]))
            units -= back
            if back:
                self.live.add_flow(arc, -back)
                yield arc, back
        assert not units

    def _enter(self, node: int, number: int) -> None:
        if node >= len(self.owner):
            longer: Int32s = np.zeros(node + max(1024, node >> 3), dtype=np.int32)
            longer[: len(self.owner)] = self.owner
            self.owner = longer
        self.owner[node] = number

    # ------------------------------------------------------------------ pricing
    def _finish(self) -> None:
        """Optimum, then pricing of what got worse than its worst price, until nothing did."""
        self.version += 1
        for _ in range(PASSES_MAX):
            if not self.live.reoptimise():
                break
            if self._near:
                return
            nodes = self.live.touched()
            pairs = self._offers.ask(
                self._market, self.live.tree, self.owner, self._places, nodes, self.live.nodes
            )
            if pairs is None:
                return
            self._join(pairs)
        self._build(self._market)

    def _greet(self, node: int, number: int, *, of_needs: bool) -> None:
        """In the model of a fixed list of pairs, a newcomer brings its own."""
        live = self.live
        first = live.reserve(self._near)
        count = self._offers.greet(
            self._market,
            live.tree,
            self._places,
            node,
            number,
            first=first,
            most=self._near,
            of_needs=of_needs,
        )
        live.arcs += count
        live.soil(*sorted(set(live.tree.heads[first : first + count].tolist())))

    def _join(self, pairs: Pairs) -> None:
        """New arcs for these pairs."""
        heads = self._places.need_node[pairs.needs]
        self.live.add_arcs(
            self._places.lot_node[pairs.lots],
            heads,
            pairs.transports * self._weight + self._market.lot_life[pairs.lots],
        )
        self.live.soil(*sorted(set(heads[pairs.out].tolist())))
