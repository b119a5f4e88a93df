"""One side of a class as the other side sees it, while its members come, go and change what they are worth.

Lots stand in boxes by kind of lot, needs in boxes by kind of need; what came later waits in a short list that
is looked at whole, until it is long enough to build the boxes anew. A box knows its smallest value; when a
value changes, only the boxes above it are brought up to date.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from matching.engine.boxes import Boxes, boxes_over, facts_of_one, refresh
from matching.engine.jit import lean
from matching.engine.market import Int8s, Int32s, Market
from matching.geo import Int64s
from matching.incremental.places import row_of

_Scalar = TypeVar("_Scalar", bound=np.generic)

LATE_MAX: Final = 256
"""Newcomers looked at one by one before the boxes are built anew."""
GONE: Final = 1 << 61
"""The value of a lot or need that has left or has not been searched yet: no limit reaches it."""


class Side:
    """The lots of a class, or its needs, with the value by which the other side chooses.

    Attributes:
        values: by market number; no more than a lot's price plus its life, or a need's price taken negative.
        mark: by market number, zero between two searches.
    """

    def __init__(self, market: Market, members: Int32s, *, of_lots: bool, weight: int) -> None:
        self._of_lots, self._weight = of_lots, weight
        count = len(market.lot_kind if of_lots else market.need_kind)
        self.values: Int64s = np.full(count, GONE, dtype=np.int64)
        self.mark: Int8s = np.zeros(count, dtype=np.int8)
        self._members: list[int] = members.tolist()
        self._build(market)

    def _build(self, market: Market) -> None:
        members = np.array(self._members, dtype=np.int32)
        self._kinds = market.fit.shape
        self.boxes: Boxes = boxes_over(
            market,
            members,
            of_lots=self._of_lots,
            room=LATE_MAX + 1,
            values=self.values,
            weight=self._weight,
        )
        self._above = np.full(len(self.boxes.first), -1, dtype=np.int32)
        self._leaf = np.full(len(self.values), -1, dtype=np.int32)
        self._place = np.full(len(self.values), -1, dtype=np.int32)
        self._place[self.boxes.order[: len(members)]] = np.arange(len(members), dtype=np.int32)
        _ancestry(self.boxes, self._above, self._leaf)
        refresh(self.boxes, self.values)

    def add(self, market: Market, number: int) -> None:
        """A newcomer; its value is set later."""
        if number >= len(self.values):
            room = number + max(64, number >> 3)
            self.values = _longer(self.values, room, GONE)
            self._leaf, self._place = _longer(self._leaf, room, -1), _longer(self._place, room, -1)
            self.mark = np.zeros(room, dtype=np.int8)
        self._members.append(number)
        boxes, end = self.boxes, int(self.boxes.late[1])
        if end == len(boxes.order) or market.fit.shape != self._kinds:
            values = self.values
            self._members = [one for one in self._members if values[one] < GONE or one == number]
            self._build(market)
            return
        boxes.order[end], self._place[number] = number, end
        boxes.late[1] = end + 1
        boxes.facts[3, end] = float(GONE)
        facts_of_one(market, boxes, of_lots=self._of_lots, at=end)

    @contextmanager
    def without(self, numbers: Int32s) -> Iterator[None]:
        """Nobody chooses these for a while."""
        if not len(numbers):
            yield
            return
        held = self.values[numbers]
        self.values[numbers] = GONE
        refresh(self.boxes, self.values)
        yield
        self.values[numbers] = held
        refresh(self.boxes, self.values)

    def rebuild(self, market: Market) -> None:
        """Boxes by the values as they are now."""
        self._build(market)

    def set_value(self, number: int, value: int) -> None:
        """Another value for one member."""
        if self._leaf[number] < 0:
            # In no box yet.
            self.values[number] = value
            place = int(self._place[number])
            if place >= 0:
                self.boxes.facts[3, place] = value
            return
        self.set_values(row_of(number), np.array([value], dtype=np.int64))

    def set_values(self, numbers: Int32s, values: Int64s) -> None:
        """Other values for some members."""
        _set_values(self.boxes, self._above, self._leaf, self._place, self.values, numbers, values)


def _longer(values: NDArray[_Scalar], room: int, fill: int) -> NDArray[_Scalar]:
    longer = np.full(room, fill, dtype=values.dtype)
    longer[: len(values)] = values
    return longer


@lean
def _ancestry(boxes: Boxes, above: Int32s, leaf: Int32s) -> None:
    for box in range(len(boxes.first)):
        left = boxes.left[box]
        if left >= 0:
            above[left] = box
            above[boxes.right[box]] = box
        else:
            for at in range(boxes.first[box], boxes.end[box]):
                leaf[boxes.order[at]] = box


@lean
def _set_values(
    boxes: Boxes,
    above: Int32s,
    leaf: Int32s,
    place: Int32s,
    values: Int64s,
    numbers: Int32s,
    new: Int64s,
) -> None:
    for at in range(len(numbers)):
        number = numbers[at]
        values[number] = new[at]
        if place[number] >= 0:
            boxes.facts[3, place[number]] = float(new[at])
        box = leaf[number]
        if box < 0:
            continue
        least = values[boxes.order[boxes.first[box]]]
        for other in range(boxes.first[box], boxes.end[box]):
            least = min(least, values[boxes.order[other]])
        while boxes.least[box] != least:
            boxes.least[box] = least
            box = above[box]
            if box < 0:
                break
            least = min(boxes.least[boxes.left[box]], boxes.least[boxes.right[box]])
