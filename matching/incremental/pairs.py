"""One side of a class as the other side sees it, while its members come, go and change what they are worth.

Lots stand in boxes by kind of lot, needs in boxes by kind of need; what came later waits in a short list that
is looked at whole, until it is long enough to build the boxes anew. A box knows its smallest value; when a
value changes, only the boxes above it are brought up to date.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from matching.engine.jit import compiled
from matching.engine.look import Boxes
from matching.engine.market import Int8s, Int32s
from matching.engine.pricing import boxes_over, refresh
from matching.geo import Int64s

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

    def __init__(self, members: Int32s, kind_of: Int32s, xyz: Int64s, *, kinds: int) -> None:
        self.values: Int64s = np.full(len(kind_of), GONE, dtype=np.int64)
        self.mark: Int8s = np.zeros(len(kind_of), dtype=np.int8)
        self._members: list[int] = members.tolist()
        self._late: list[int] = []
        self._kinds = kinds
        self._build(kind_of, xyz)

    def _build(self, kind_of: Int32s, xyz: Int64s) -> None:
        members = np.array(self._members, dtype=np.int32)
        self._late = []
        self.late: Int32s = np.zeros(0, dtype=np.int32)
        self.boxes: Boxes = boxes_over(members, kind_of, xyz, kinds=self._kinds)
        self._above = np.full(len(self.boxes.first), -1, dtype=np.int32)
        self._leaf = np.full(len(self.values), -1, dtype=np.int32)
        _ancestry(self.boxes, self._above, self._leaf)
        refresh(self.boxes, self.values)

    def add(self, number: int, kind_of: Int32s, xyz: Int64s, *, kinds: int) -> None:
        """A newcomer; its value is set later."""
        if number >= len(self.values):
            room = number + max(64, number >> 3)
            longer = np.full(room, GONE, dtype=np.int64)
            longer[: len(self.values)] = self.values
            leaf = np.full(room, -1, dtype=np.int32)
            leaf[: len(self._leaf)] = self._leaf
            self.values, self._leaf = longer, leaf
            self.mark = np.zeros(room, dtype=np.int8)
        self._late.append(number)
        self._members.append(number)
        self.late = np.array(self._late, dtype=np.int32)
        if len(self._late) > LATE_MAX or kinds != self._kinds:
            self._kinds = kinds
            self._members = [
                one for one in self._members if self.values[one] < GONE or one == number
            ]
            self._build(kind_of, xyz)

    def set_values(self, numbers: Int32s, values: Int64s) -> None:
        """Other values for some members."""
        _set_values(self.boxes, self._above, self._leaf, self.values, numbers, values)


@compiled
def _ancestry(boxes: Boxes, above: Int32s, leaf: Int32s) -> None:
    for box in range(len(boxes.first)):
        left = boxes.left[box]
        if left >= 0:
            above[left] = box
            above[boxes.right[box]] = box
        else:
            for at in range(boxes.first[box], boxes.end[box]):
                leaf[boxes.order[at]] = box


@compiled
def _set_values(
    boxes: Boxes, above: Int32s, leaf: Int32s, values: Int64s, numbers: Int32s, new: Int64s
) -> None:
    for at in range(len(numbers)):
        number = numbers[at]
        values[number] = new[at]
        box = leaf[number]
        if box < 0:
            continue
        least = values[boxes.order[boxes.first[box]]]
        for place in range(boxes.first[box], boxes.end[box]):
            least = min(least, values[boxes.order[place]])
        while boxes.least[box] != least:
            boxes.least[box] = least
            box = above[box]
            if box < 0:
                break
            least = min(boxes.least[boxes.left[box]], boxes.least[boxes.right[box]])
