"""Which eligible pairs price out, searched from either side, over needs and lots that come and go.

Lots stand in boxes by kind of lot, needs in boxes by kind of need; what came later waits in a short list that
is looked at whole, until it is long enough to build the boxes anew. A box knows its smallest value; when a
price moves, only the boxes above it are brought up to date.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from matching.engine.jit import compiled
from matching.engine.market import Int32s, Market, km_at_least, pair_transport
from matching.engine.pricing import Boxes, boxes_over, km_to_box, refresh
from matching.geo import Int64s

LATE_MAX: Final = 256
"""Newcomers looked at one by one before the boxes are built anew."""
GONE: Final = 1 << 61
"""The value of a lot or need that has left: no limit reaches it."""
_DEPTH_MAX: Final = 64


class Side:
    """The lots of a class, or its needs, with the value by which the other side chooses.

    Attributes:
        values: by market number; a lot's price plus its life, or the negative price of a need.
    """

    def __init__(self, members: Int32s, kind_of: Int32s, xyz: Int64s, *, kinds: int) -> None:
        self.values: Int64s = np.full(len(kind_of), GONE, dtype=np.int64)
        self._members: list[int] = members.tolist()
        self._late: list[int] = []
        self._kinds = kinds
        self._build(kind_of, xyz)

    def _build(self, kind_of: Int32s, xyz: Int64s) -> None:
        members = np.array(self._members, dtype=np.int32)
        self._late = []
        self.boxes: Boxes = boxes_over(members, kind_of, xyz, kinds=self._kinds)
        self._above = np.full(len(self.boxes.first), -1, dtype=np.int32)
        self._leaf = np.full(len(self.values), -1, dtype=np.int32)
        _ancestry(self.boxes, self._above, self._leaf)
        refresh(self.boxes, self.values)

    @property
    def late(self) -> Int32s:
        """Those not in boxes yet."""
        return np.array(self._late, dtype=np.int32)

    def add(self, number: int, kind_of: Int32s, xyz: Int64s, *, kinds: int) -> None:
        """A newcomer; its value is set later."""
        if number >= len(self.values):
            room = number + max(64, number >> 3)
            longer = np.full(room, GONE, dtype=np.int64)
            longer[: len(self.values)] = self.values
            leaf = np.full(room, -1, dtype=np.int32)
            leaf[: len(self._leaf)] = self._leaf
            self.values, self._leaf = longer, leaf
        self._late.append(number)
        self._members.append(number)
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


@compiled
def offers_to_needs(
    market: Market,
    boxes: Boxes,
    late: Int32s,
    values: Int64s,
    needs: Int32s,
    limits: Int64s,
    weight: int,
    found: Int32s,
    transports: Int64s,
    offers: Int64s,
    counts: Int64s,
) -> None:
    """For each need the lots of smallest value + weight * transport below its limit, as many as fit."""
    stack = np.empty(_DEPTH_MAX, dtype=np.int32)
    bounds = np.empty(_DEPTH_MAX, dtype=np.int64)
    for at in range(len(needs)):
        need = needs[at]
        x, y, z = market.need_xyz[need, 0], market.need_xyz[need, 1], market.need_xyz[need, 2]
        limit = limits[at]
        for lot in late:
            if values[lot] < limit:
                transport = pair_transport(market, lot, need)
                if transport >= 0:
                    limit = _keep(
                        found[at],
                        transports[at],
                        offers[at],
                        counts,
                        at,
                        lot,
                        transport,
                        values[lot] + weight * transport,
                        limit,
                    )
        for kind in range(len(boxes.root_of)):
            penalty = market.fit[market.need_kind[need], kind]
            root = boxes.root_of[kind]
            if penalty < 0 or root < 0:
                continue
            stack[0] = root
            bounds[0] = boxes.least[root] + weight * (km_to_box(boxes, root, x, y, z) + 1 + penalty)
            top = 1
            while top > 0:
                top -= 1
                box = stack[top]
                if bounds[top] >= limit:
                    continue
                if boxes.left[box] >= 0:
                    top = _descend(boxes, box, x, y, z, weight, penalty, limit, stack, bounds, top)
                    continue
                for place in range(boxes.first[box], boxes.end[box]):
                    lot = boxes.order[place]
                    if not _near(market, lot, need, values[lot], weight, penalty, limit):
                        continue
                    transport = pair_transport(market, lot, need)
                    if transport >= 0:
                        limit = _keep(
                            found[at],
                            transports[at],
                            offers[at],
                            counts,
                            at,
                            lot,
                            transport,
                            values[lot] + weight * transport,
                            limit,
                        )


@compiled
def takers_of_lots(
    market: Market,
    boxes: Boxes,
    late: Int32s,
    values: Int64s,
    lots: Int32s,
    limits: Int64s,
    weight: int,
    found: Int32s,
    transports: Int64s,
    offers: Int64s,
    counts: Int64s,
) -> None:
    """For each lot the needs of smallest value + weight * transport below its limit."""
    stack = np.empty(_DEPTH_MAX, dtype=np.int32)
    bounds = np.empty(_DEPTH_MAX, dtype=np.int64)
    for at in range(len(lots)):
        lot = lots[at]
        x, y, z = market.lot_xyz[lot, 0], market.lot_xyz[lot, 1], market.lot_xyz[lot, 2]
        limit = limits[at]
        for need in late:
            if values[need] < limit:
                transport = pair_transport(market, lot, need)
                if transport >= 0:
                    limit = _keep(
                        found[at],
                        transports[at],
                        offers[at],
                        counts,
                        at,
                        need,
                        transport,
                        values[need] + weight * transport,
                        limit,
                    )
        for kind in range(len(boxes.root_of)):
            penalty = market.fit[kind, market.lot_kind[lot]]
            root = boxes.root_of[kind]
            if penalty < 0 or root < 0:
                continue
            stack[0] = root
            bounds[0] = boxes.least[root] + weight * (km_to_box(boxes, root, x, y, z) + 1 + penalty)
            top = 1
            while top > 0:
                top -= 1
                box = stack[top]
                if bounds[top] >= limit:
                    continue
                if boxes.left[box] >= 0:
                    top = _descend(boxes, box, x, y, z, weight, penalty, limit, stack, bounds, top)
                    continue
                for place in range(boxes.first[box], boxes.end[box]):
                    need = boxes.order[place]
                    if not _near(market, lot, need, values[need], weight, penalty, limit):
                        continue
                    transport = pair_transport(market, lot, need)
                    if transport >= 0:
                        limit = _keep(
                            found[at],
                            transports[at],
                            offers[at],
                            counts,
                            at,
                            need,
                            transport,
                            values[need] + weight * transport,
                            limit,
                        )


@compiled
def _near(
    market: Market, lot: int, need: int, value: int, weight: int, penalty: int, limit: int
) -> bool:
    """Whether the straight way alone does not pass the limit yet."""
    chord = 0
    for axis in range(3):
        step = market.lot_xyz[lot, axis] - market.need_xyz[need, axis]
        chord += step * step
    return value + weight * (km_at_least(chord) + 1 + penalty) < limit


@compiled
def _descend(
    boxes: Boxes,
    box: int,
    x: int,
    y: int,
    z: int,
    weight: int,
    penalty: int,
    limit: int,
    stack: Int32s,
    bounds: Int64s,
    top: int,
) -> int:
    """Both halves onto the stack, the more promising one on top."""
    left, right = boxes.left[box], boxes.right[box]
    low_left = boxes.least[left] + weight * (km_to_box(boxes, left, x, y, z) + 1 + penalty)
    low_right = boxes.least[right] + weight * (km_to_box(boxes, right, x, y, z) + 1 + penalty)
    if low_left > low_right:
        left, right = right, left
        low_left, low_right = low_right, low_left
    if low_right < limit:
        stack[top], bounds[top] = right, low_right
        top += 1
    if low_left < limit:
        stack[top], bounds[top] = left, low_left
        top += 1
    return top


@compiled
def _keep(
    found: Int32s,
    transports: Int64s,
    offers: Int64s,
    counts: Int64s,
    at: int,
    number: int,
    transport: int,
    value: int,
    limit: int,
) -> int:
    """Into the sorted row if it is below the limit; the limit from now on."""
    if value >= limit:
        return limit
    most = len(found)
    slot = min(counts[at], most - 1)
    while slot > 0 and offers[slot - 1] > value:
        offers[slot] = offers[slot - 1]
        found[slot] = found[slot - 1]
        transports[slot] = transports[slot - 1]
        slot -= 1
    offers[slot], found[slot], transports[slot] = value, number, transport
    counts[at] = min(counts[at] + 1, most)
    return min(limit, offers[most - 1]) if counts[at] == most else limit
