"""The search through boxes: for needs the best lots, for lots the best needs, with every rule of eligibility.

A box is skipped only if nothing in it can be below the limit: its smallest value plus the weight times a lower
bound of the way to it (`market.km_at_least`) already passes. So nothing is pruned by nearness.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from matching.engine.jit import compiled
from matching.engine.market import Int8s, Int32s, Market, km_at_least, pair_transport
from matching.geo import Int64s

_DEPTH_MAX: Final = 64
NOBODY: Final[Int32s] = np.zeros(0, dtype=np.int32)


class Boxes(NamedTuple):
    """Trees of all kinds in one pool. Children come after their parent.

    Attributes:
        order: lots, so that a box holds order[first[b]:end[b]].
        left: left child or -1; the right child is `right`.
        low, high: corners, shape (boxes, 3).
        root_of: kind of lot -> root box or -1.
        least: smallest lot value in the box, refreshed before each search.
    """

    order: Int32s
    first: Int32s
    end: Int32s
    left: Int32s
    right: Int32s
    low: Int64s
    high: Int64s
    root_of: Int32s
    least: Int64s


class Known(NamedTuple):
    """Pairs that have an arc in a living tree; `node` is empty where there is no tree.

    Attributes:
        node: by number of the row that looks, its node.
        first, next, ends: its arcs as in `incremental.tree`, and the other end of each arc.
        owner, role: by node; other: the role of the other side.
        mark: by number of the other side, zero between two searches.
    """

    node: Int32s
    first: Int32s
    next: Int32s
    ends: Int32s
    owner: Int32s
    role: Int8s
    other: int
    mark: Int8s


NOBODY_KNOWN: Final = Known(
    node=NOBODY,
    first=NOBODY,
    next=NOBODY,
    ends=NOBODY,
    owner=NOBODY,
    role=np.zeros(0, dtype=np.int8),
    other=0,
    mark=np.zeros(0, dtype=np.int8),
)


@compiled
def km_to_box(boxes: Boxes, box: int, x: int, y: int, z: int) -> int:
    """A lower bound of the way from a point to anything in the box."""
    chord = 0
    away = max(boxes.low[box, 0] - x, x - boxes.high[box, 0], 0)
    chord += away * away
    away = max(boxes.low[box, 1] - y, y - boxes.high[box, 1], 0)
    chord += away * away
    away = max(boxes.low[box, 2] - z, z - boxes.high[box, 2], 0)
    chord += away * away
    return km_at_least(chord)


@compiled
def look(
    market: Market,
    boxes: Boxes,
    late: Int32s,
    values: Int64s,
    known: Known,
    rows: Int32s,
    limits: Int64s,
    weight: int,
    of_needs: int,
    found: Int32s,
    transports: Int64s,
    offers: Int64s,
    counts: Int64s,
) -> None:
    """For each need the lots, or for each lot the needs, of smallest value + weight * transport.

    Of equal offers that of the lower number comes first, so what is found does not hang on the boxes.

    Args:
        late: those of the other side that are in no box.
        values: by number of the other side.
        known: pairs to be passed over.
        limits: by position in `rows`: offers stay below.
        of_needs: 1 where `rows` are needs, 0 where they are lots.
        found, transports, offers: shape (rows, most), filled in order; counts: how many of each.
    """
    stack = np.empty(_DEPTH_MAX, dtype=np.int32)
    bounds = np.empty(_DEPTH_MAX, dtype=np.int64)
    most = found.shape[1]
    own_xyz, other_xyz = market.need_xyz, market.lot_xyz
    if of_needs == 0:
        own_xyz, other_xyz = other_xyz, own_xyz
    for at in range(len(rows)):
        row = rows[at]
        mark_known(known, row, 1)
        x, y, z = own_xyz[row, 0], own_xyz[row, 1], own_xyz[row, 2]
        limit = limits[at]
        count = 0
        # One leaf more than there are kinds: first those in no box.
        for kind in range(-1, len(boxes.root_of)):
            penalty = np.int64(0)
            top = 0
            if kind < 0:
                if len(late) == 0:
                    continue
                top = 1
                stack[0], bounds[0] = -1, -9223372036854775807
            else:
                root = boxes.root_of[kind]
                if of_needs == 1:
                    penalty = np.int64(market.fit[market.need_kind[row], kind])
                else:
                    penalty = np.int64(market.fit[kind, market.lot_kind[row]])
                if penalty < 0 or root < 0:
                    continue
                top = 1
                stack[0] = root
                bounds[0] = boxes.least[root] + weight * (
                    km_to_box(boxes, root, x, y, z) + 1 + penalty
                )
            worth = weight * (1 + penalty)
            while top > 0:
                top -= 1
                box = stack[top]
                if bounds[top] >= limit:
                    continue
                if box >= 0 and boxes.left[box] >= 0:
                    left, right = boxes.left[box], boxes.right[box]
                    km_left = km_to_box(boxes, left, x, y, z)
                    km_right = km_to_box(boxes, right, x, y, z)
                    low_left = boxes.least[left] + worth + weight * km_left
                    low_right = boxes.least[right] + worth + weight * km_right
                    # The more promising half comes off the stack first.
                    if low_left > low_right:
                        left, right = right, left
                        low_left, low_right = low_right, low_left
                    if low_right < limit:
                        stack[top], bounds[top] = right, low_right
                        top += 1
                    if low_left < limit:
                        stack[top], bounds[top] = left, low_left
                        top += 1
                    continue
                first, end = 0, len(late)
                if box >= 0:
                    first, end = boxes.first[box], boxes.end[box]
                for place in range(first, end):
                    other = boxes.order[place] if box >= 0 else late[place]
                    own = values[other]
                    if own + worth >= limit or (len(known.mark) > 0 and known.mark[other] != 0):
                        continue
                    chord = 0
                    for axis in range(3):
                        step = other_xyz[other, axis] - own_xyz[row, axis]
                        chord += step * step
                    if own + worth + weight * km_at_least(chord) >= limit:
                        continue
                    if of_needs == 1:
                        transport = pair_transport(market, other, row)
                    else:
                        transport = pair_transport(market, row, other)
                    value = own + weight * transport
                    if transport < 0 or value >= limit:
                        continue
                    slot = min(count, most - 1)
                    if count == most and value == offers[at, slot] and other > found[at, slot]:
                        continue
                    while slot > 0 and (
                        offers[at, slot - 1] > value
                        or (offers[at, slot - 1] == value and found[at, slot - 1] > other)
                    ):
                        offers[at, slot] = offers[at, slot - 1]
                        found[at, slot] = found[at, slot - 1]
                        transports[at, slot] = transports[at, slot - 1]
                        slot -= 1
                    offers[at, slot] = value
                    found[at, slot] = other
                    transports[at, slot] = transport
                    count = min(count + 1, most)
                    if count == most:
                        # An equal offer of a lower number is still to be found.
                        limit = min(limit, offers[at, most - 1] + 1)
        counts[at] = count
        mark_known(known, row, 0)


@compiled
def mark_known(known: Known, row: int, sign: int) -> None:
    """Set or clear the marks of those with whom a row has an arc."""
    if len(known.node) == 0:
        return
    arc = known.first[known.node[row]]
    while arc >= 0:
        node = known.ends[arc]
        if known.role[node] == known.other:
            known.mark[known.owner[node]] = sign
        arc = known.next[arc]
