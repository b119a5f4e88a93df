"""A market whose plan stays optimal: every event goes to its class, as classes never compete for anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matching.engine.levels import Weights
from matching.engine.market import Market
from matching.incremental.live_class import LiveClass
from matching.incremental.places import Places

WeightsOf = Callable[[Market, int], Weights]


class LiveMarket:
    """All classes of a market.

    A row that is in the market but has class -1 is not there yet, or not any more. Before a row comes the
    caller puts it into the market; quantities and departures are written into the market here.

    Attributes:
        classes: by class number; a class without needs and lots has none.
        weights: by class number.
        places: nodes of needs and lots.
    """

    def __init__(
        self,
        market: Market,
        *,
        segments: int,
        weights_of: WeightsOf,
        near: int = 0,
        priced: bool = True,
        grown: int | None = None,
        saved: Mapping[int, Mapping[str, NDArray[Any]]] | None = None,
    ) -> None:
        """Solve every class cold, or go on from saved ones.

        Args:
            weights_of: the level weights of a class.
            near, priced: see `LiveClass`.
            grown: after so many newcomers a class is solved anew, with new weights and without what has left.
            saved: by class number, what `LiveClass.saved` gave.
        """
        self._segments, self._weights_of = segments, weights_of
        self._near, self._priced = near, priced
        self._grown = grown
        self.places = Places(len(market.need_quantity), len(market.lot_quantity))
        self.classes: dict[int, LiveClass] = {}
        self.weights: dict[int, Weights] = {}
        self.newcomers: dict[int, int] = {}
        numbers = set(market.need_class.tolist()) | set(market.lot_class.tolist())
        for number in sorted(numbers | set(saved or {})):
            if number >= 0:
                self._open(market, number, saved=None if saved is None else saved[number])

    def add_need(self, market: Market, number: int) -> None:
        """A need that is new in the market."""
        live = self._class_for(market, int(market.need_class[number]))
        if live is not None:
            live.add_need(market, number)

    def add_lot(self, market: Market, number: int) -> None:
        """A lot that is new in the market."""
        live = self._class_for(market, int(market.lot_class[number]))
        if live is not None:
            live.add_lot(market, number)

    def change_need(self, market: Market, number: int, *, units: int) -> None:
        """Another quantity; zero takes the need away for good."""
        live = self.classes[int(market.need_class[number])]
        held = int(market.need_quantity[number])
        market.need_quantity[number] = units
        if not units:
            market.need_class[number] = -1
        live.change_need(market, number, units=units, held=held)

    def change_lot(self, market: Market, number: int, *, units: int) -> None:
        """Another quantity; zero takes the lot away for good."""
        live = self.classes[int(market.lot_class[number])]
        held = int(market.lot_quantity[number])
        market.lot_quantity[number] = units
        if not units:
            market.lot_class[number] = -1
        live.change_lot(market, number, units=units, held=held)

    def _class_for(self, market: Market, number: int) -> LiveClass | None:
        """The class that takes the newcomer; None where solving it anew has taken it in already."""
        self.places.reserve(needs=len(market.need_quantity), lots=len(market.lot_quantity))
        live = self.classes.get(number)
        self.newcomers[number] = self.newcomers.get(number, 0) + 1
        if live is None or (self._grown is not None and self.newcomers[number] > self._grown):
            self._open(market, number)
            return None
        return live

    def _open(
        self, market: Market, number: int, *, saved: Mapping[str, NDArray[Any]] | None = None
    ) -> None:
        if saved is None:
            weights = self._weights_of(market, number)
            self.newcomers[number] = 0
        else:
            upper, lower, proven, newcomers = saved["weights"].tolist()
            weights = Weights(upper=upper, lower=lower, proven=bool(proven))
            self.newcomers[number] = newcomers
        self.weights[number] = weights
        self.classes[number] = LiveClass(
            market,
            item_class=number,
            segments=self._segments,
            rank_cost=weights.rank_cost,
            weight=weights.lower,
            places=self.places,
            near=self._near,
            priced=self._priced,
            saved=saved,
        )

    def saved(self) -> dict[int, dict[str, NDArray[Any]]]:
        """By class number, everything that is needed to go on."""
        found = {}
        for number, live in self.classes.items():
            one = self.weights[number]
            words = [one.upper, one.lower, one.proven, self.newcomers[number]]
            found[number] = live.saved() | {"weights": np.array(words, dtype=np.int64)}
        return found
