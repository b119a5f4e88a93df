"""The search through boxes: for needs the best lots, for lots the best needs, with every rule of eligibility.

A box is skipped only if nothing in it can be below the limit: its smallest value plus the weight times a lower
bound of the way to it (`market.km_at_least`) already passes. So nothing is pruned by nearness. A leaf is sifted
whole (`boxes.sift`), and what passes is judged pair by pair.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from matching.engine.boxes import LEAF, Asker, Boxes, UInt8s, asker, sift
from matching.engine.jit import compiled, lean
from matching.engine.market import Int8s, Int32s, Market, km_at_least, pair_transport
from matching.geo import Int64s

_DEPTH_MAX: Final = 64
NOBODY: Final[Int32s] = np.zeros(0, dtype=np.int32)


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


@lean
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


class Work(NamedTuple):
    """Room for a search, and where it writes.

    Attributes:
        stack, bounds: boxes still to be looked at, and what nothing in them is below.
        roots, root_bounds, penalties: the trees, the most promising first.
        passed: for a leaf.
    """

    stack: Int32s
    bounds: Int64s
    roots: Int32s
    root_bounds: Int64s
    penalties: Int64s
    passed: UInt8s
    found: Int32s
    transports: Int64s
    offers: Int64s
    counts: Int64s


@compiled
def look(
    market: Market,
    boxes: Boxes,
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
        values: by number of the other side; what the boxes hold.
        known: pairs to be passed over.
        limits: by position in `rows`: offers stay below.
        of_needs: 1 where `rows` are needs, 0 where they are lots.
        found, transports, offers: shape (rows, most), filled in order; counts: how many of each.
    """
    kinds = len(boxes.root_of)
    work = Work(
        stack=np.empty(_DEPTH_MAX, dtype=np.int32),
        bounds=np.empty(_DEPTH_MAX, dtype=np.int64),
        roots=np.empty(kinds, dtype=np.int32),
        root_bounds=np.empty(kinds, dtype=np.int64),
        penalties=np.empty(kinds, dtype=np.int64),
        passed=np.empty(max(LEAF, boxes.late[1] - boxes.late[0]), dtype=np.uint8),
        found=found,
        transports=transports,
        offers=offers,
        counts=counts,
    )
    _look_all(market, boxes, values, known, work, rows, limits, weight, of_needs)


@lean
def _look_all(
    market: Market,
    boxes: Boxes,
    values: Int64s,
    known: Known,
    work: Work,
    rows: Int32s,
    limits: Int64s,
    weight: int,
    of_needs: int,
) -> None:
    for at in range(len(rows)):
        row = rows[at]
        mark_known(known, row, 1)
        one = asker(market, row, of_needs)
        work.counts[at] = 0
        limit = limits[at]
        if boxes.late[1] > boxes.late[0]:
            limit = _leaf(
                market,
                boxes,
                values,
                known,
                work,
                one,
                at,
                row,
                of_needs,
                limit,
                weight,
                weight,
                boxes.late[0],
                boxes.late[1],
            )
        for slot in range(_line_up(market, boxes, work, row, of_needs, weight)):
            if work.root_bounds[slot] >= limit:
                break
            limit = _descend(
                market,
                boxes,
                values,
                known,
                work,
                one,
                at,
                row,
                of_needs,
                limit,
                weight,
                slot,
            )
        mark_known(known, row, 0)


@lean
def _line_up(market: Market, boxes: Boxes, work: Work, row: int, of_needs: int, weight: int) -> int:
    """The trees of kinds that fit, the most promising first: it lowers the limit for the others; how many."""
    xyz = market.need_xyz if of_needs == 1 else market.lot_xyz
    x, y, z = xyz[row, 0], xyz[row, 1], xyz[row, 2]
    count = 0
    for kind in range(len(boxes.root_of)):
        root = boxes.root_of[kind]
        if of_needs == 1:
            penalty = np.int64(market.fit[market.need_kind[row], kind])
        else:
            penalty = np.int64(market.fit[kind, market.lot_kind[row]])
        if penalty < 0 or root < 0:
            continue
        bound = boxes.least[root] + weight * (km_to_box(boxes, root, x, y, z) + 1 + penalty)
        slot = count
        while slot > 0 and work.root_bounds[slot - 1] > bound:
            work.roots[slot], work.root_bounds[slot] = (
                work.roots[slot - 1],
                work.root_bounds[slot - 1],
            )
            work.penalties[slot] = work.penalties[slot - 1]
            slot -= 1
        work.roots[slot], work.root_bounds[slot], work.penalties[slot] = root, bound, penalty
        count += 1
    return count


@lean
def _descend(
    market: Market,
    boxes: Boxes,
    values: Int64s,
    known: Known,
    work: Work,
    one: Asker,
    at: int,
    row: int,
    of_needs: int,
    limit: int,
    weight: int,
    slot: int,
) -> int:
    """Through one tree; the limit afterwards."""
    xyz = market.need_xyz if of_needs == 1 else market.lot_xyz
    x, y, z = xyz[row, 0], xyz[row, 1], xyz[row, 2]
    worth = weight * (1 + work.penalties[slot])
    stack, bounds = work.stack, work.bounds
    stack[0], bounds[0] = work.roots[slot], work.root_bounds[slot]
    top = 1
    while top > 0:
        top -= 1
        box = stack[top]
        if bounds[top] >= limit:
            continue
        left, right = boxes.left[box], boxes.right[box]
        if left < 0:
            limit = _leaf(
                market,
                boxes,
                values,
                known,
                work,
                one,
                at,
                row,
                of_needs,
                limit,
                weight,
                worth,
                boxes.first[box],
                boxes.end[box],
            )
            continue
        low_left = boxes.least[left] + worth + weight * km_to_box(boxes, left, x, y, z)
        low_right = boxes.least[right] + worth + weight * km_to_box(boxes, right, x, y, z)
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
    return limit


@lean
def _leaf(
    market: Market,
    boxes: Boxes,
    values: Int64s,
    known: Known,
    work: Work,
    one: Asker,
    at: int,
    row: int,
    of_needs: int,
    limit: int,
    weight: int,
    worth: int,
    first: int,
    end: int,
) -> int:
    """Enter the offers of order[first:end] that stay below the limit; the limit afterwards."""
    most = work.found.shape[1]
    sift(boxes, first, end, one, float(limit - worth), 1.0 / weight, work.passed)
    for place in range(first, end):
        if work.passed[place - first] == 0:
            continue
        other = boxes.order[place]
        if len(known.mark) > 0 and known.mark[other] != 0:
            continue
        lot, need = (other, row) if of_needs == 1 else (row, other)
        transport = pair_transport(market, lot, need)
        value = values[other] + weight * transport
        if transport < 0 or value >= limit:
            continue
        count = work.counts[at]
        slot = min(count, most - 1)
        if count == most and value == work.offers[at, slot] and other > work.found[at, slot]:
            continue
        while slot > 0 and (
            work.offers[at, slot - 1] > value
            or (work.offers[at, slot - 1] == value and work.found[at, slot - 1] > other)
        ):
            work.offers[at, slot] = work.offers[at, slot - 1]
            work.found[at, slot] = work.found[at, slot - 1]
            work.transports[at, slot] = work.transports[at, slot - 1]
            slot -= 1
        work.offers[at, slot], work.found[at, slot] = value, other
        work.transports[at, slot] = transport
        work.counts[at] = min(count + 1, most)
        if work.counts[at] == most:
            # An equal offer of a lower number is still to be found.
            limit = min(limit, work.offers[at, most - 1] + 1)
    return limit


@lean
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
