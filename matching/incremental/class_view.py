"""One class of a living round as plan and certificate speak of it; an event changes only what it moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matching.engine.levels import Weights, split_levels
from matching.engine.market import Int8s, Market
from matching.engine.network import TIERS
from matching.geo import Int64s
from matching.incremental.live_class import LiveClass
from matching.incremental.tree import LOT, NEED
from matching.plan import Flow, Group, Price, packed_price
from matching.problem import Lot, Need
from matching.solve import inside_weights

Priced = tuple[Price, bytes]
"""A price, and how it stands in a packed certificate."""
Line = tuple[Flow, bytes]


@dataclass(frozen=True, slots=True)
class Names:
    """What numbers of the market stand for; each list is by number."""

    needs: Sequence[Need]
    lots: Sequence[Lot]
    hospitals: Sequence[str]
    classes: Sequence[str]


class ClassView:
    """Prices and lines by name, each with its canonical bytes.

    Attributes:
        live: the class; another one under the same number starts anew.
        separated: the prices prove the plan level by level.
        groups: also those whose needs have all gone; `standing` names the others, ascending.
        lines: by (need, lot), ascending.
        ranks: units unserved at each rank, lowest first.
        transport, expiry: value of the lines.
    """

    def __init__(self, live: LiveClass, *, name: str) -> None:
        self.live, self.name, self.separated = live, name, True
        self.root: Price = (0, 0, 0)
        self.needs: dict[str, Priced] = {}
        self.lots: dict[str, Priced] = {}
        self.groups: dict[Group, Priced] = {}
        self.standing: list[Group] = []
        self.lines: dict[tuple[str, str], Line] = {}
        self.ranks: list[int] = []
        self.transport = self.expiry = 0
        self._version = -1
        self._price: Int64s = np.zeros(0, dtype=np.int64)
        self._role: Int8s = np.zeros(0, dtype=np.int8)
        # By node: what its row was called when it came, and what its group is.
        self._ids: list[str] = []
        self._group_at: dict[int, Group] = {}

    def follow(self, market: Market, weights: Weights, names: Names) -> None:
        """Bring everything up to the class as it is now."""
        if self._version == self.live.version:
            return
        self._version = self.live.version
        self._follow_groups(names)
        self._follow_prices(weights, names)
        self._follow_lines(market, names)

    def _follow_groups(self, names: Names) -> None:
        live = self.live
        known = len(self._group_at)
        for key, group in list(live.groups.items())[known:]:
            hospital, tier = divmod(key, TIERS)
            self._group_at[group.node] = (names.hospitals[hospital], self.name, tier)
        one = zip(self._group_at.values(), live.groups.values(), strict=True)
        self.standing = sorted(name for name, group in one if group.total)
        segments = live.segments
        first = np.array([group.first for group in live.groups.values()], dtype=np.int64)
        unserved = live.live.tree.flows[first[:, None] + np.arange(segments)[None, :]]
        ranks = np.zeros((TIERS, segments), dtype=np.int64)
        tiers = np.array([key % TIERS for key in live.groups], dtype=np.int64)
        # Segments of one group are arcs side by side: at the optimum the lowest ranks are unserved first.
        np.add.at(ranks, TIERS - 1 - tiers, unserved)
        self.ranks = ranks.ravel().tolist()

    def _follow_prices(self, weights: Weights, names: Names) -> None:
        tree, count, known = self.live.live.tree, self.live.live.nodes, len(self._price)
        price, role = tree.price[:count].copy(), tree.role[:count].copy()
        vectors = split_levels(price, weights)
        self.separated = weights.proven or inside_weights(vectors, weights)
        fresh = np.ones(count, dtype=np.bool_)
        fresh[:known] = (price[:known] != self._price) | (role[:known] != self._role)
        self.root = _price(vectors[0].tolist())
        owner = self.live.owner
        for node in range(known, count):
            rows: Sequence[Need | Lot] = names.needs if role[node] == NEED else names.lots
            self._ids.append(rows[owner[node]].id if role[node] in (NEED, LOT) else "")
        moved = np.flatnonzero(fresh)
        for node in moved[moved < known].tolist():
            # What has gone gives its name free first: another row may have it now.
            if self._role[node] != role[node]:
                (self.needs if self._role[node] == NEED else self.lots).pop(self._ids[node], None)
        for node, kind, vector in zip(
            moved.tolist(), role[moved].tolist(), vectors[moved].tolist(), strict=True
        ):
            value = _price(vector)
            if kind in (NEED, LOT):
                name = self._ids[node]
                mine = self.needs if kind == NEED else self.lots
                mine[name] = value, packed_price((name,), value)
            elif node in self._group_at:
                group = self._group_at[node]
                self.groups[group] = value, packed_price(group, value)
        self._price, self._role = price, role

    def _follow_lines(self, market: Market, names: Names) -> None:
        needs, lots, units, transports = self.live.lines()
        amounts, lives = units.tolist(), market.lot_life[lots].tolist()
        lines: dict[tuple[str, str], int] = {}
        self.transport = self.expiry = 0
        for need, lot, amount, transport, life in zip(
            needs.tolist(), lots.tolist(), amounts, transports.tolist(), lives, strict=True
        ):
            key = (names.needs[need].id, names.lots[lot].id)
            lines[key] = lines.get(key, 0) + amount
            self.transport += amount * transport
            self.expiry += amount * life
        before, self.lines = self.lines, {}
        for key in sorted(lines):
            line = before.get(key)
            if line is None or line[0].quantity != lines[key]:
                flow = Flow(*key, lines[key])
                line = flow, flow.packed_row()
            self.lines[key] = line


def _price(vector: Sequence[int]) -> Price:
    first, second, third = vector
    return (first, second, third)
