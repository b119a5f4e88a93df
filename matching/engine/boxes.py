"""Boxes over the lots of a class, or over its needs: trees by kind, and what a search asks of each row.

`facts` hold in the order of the boxes what the rule of a pair asks of a row, as floating-point numbers: whole
leaves are sifted by them at once. They only ever pass too much (`sift`); whatever passes is judged in integers.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matching.engine.jit import compiled, lean
from matching.engine.market import Int32s, Market
from matching.geo import Int64s

LEAF: Final = 64
"""Rows in a leaf: fewer make more boxes to step through, more make more rows to sift."""
KM: Final = 6371.0 / (1 << 30)
"""Kilometres of one unit of the vectors (`market`)."""
Floats = NDArray[np.float64]
UInt8s = NDArray[np.uint8]
ROUND_KM: Final = 0.51
HUBS_KM: Final = 1.51
"""By how much a way may count less than it is long: it is rounded to the nearest kilometre, and over a hub each
of two legs, which are no shorter than the straight line. The rest is for the vectors' rounding."""
EARTH_KM: Final = 6371.0
ROUNDING: Final = 2.0**-50
"""Relative error of a 64-bit integer and a few operations as floating-point numbers, with room to spare."""


class Boxes(NamedTuple):
    """Trees of all kinds in one pool. Children come after their parent.

    Attributes:
        order: rows, so that a box holds order[first[b]:end[b]]; behind them room for rows in no box.
        late: how many of those there are; they follow the last box.
        left: left child or -1; the right child is `right`.
        low, high: corners, shape (boxes, 3).
        root_of: kind -> root box or -1.
        least: smallest value in the box, kept by `refresh` and by whoever changes a value.
        straight: shape (1,): by how much a way may count less than the straight line, in km.
        facts: shape (9, rows): place in km (3), value, last day and days of life as km, what the short life of
            a lot changes of that, certificate, sterile; see `_facts`.
    """

    order: Int32s
    late: Int64s
    first: Int32s
    end: Int32s
    left: Int32s
    right: Int32s
    low: Int64s
    high: Int64s
    root_of: Int32s
    least: Int64s
    straight: Floats
    facts: Floats


def boxes_over(
    market: Market,
    members: Int32s,
    *,
    of_lots: bool,
    room: int = 0,
    values: Int64s | None = None,
    weight: int = 1,
) -> Boxes:
    """Trees over these lots or needs, one for each kind.

    Args:
        room: for so many newcomers behind them.
        values: by number, in units of 1 / weight of a kilometre; they are split by as places are, so that what
            is cheap because few may take it stands apart.
    """
    kind_of = market.lot_kind if of_lots else market.need_kind
    xyz = market.lot_xyz if of_lots else market.need_xyz
    kinds = market.fit.shape[1 if of_lots else 0]
    usable = members[np.argsort(kind_of[members], kind="stable")]
    starts = np.searchsorted(kind_of[usable], np.arange(kinds + 1)).astype(np.int32)
    boxes_max = 2 * len(usable) + kinds + 1
    boxes = Boxes(
        order=np.concatenate([usable, np.zeros(room, dtype=np.int32)]),
        late=np.array([len(usable), len(usable)], dtype=np.int64),
        first=np.zeros(boxes_max, dtype=np.int32),
        end=np.zeros(boxes_max, dtype=np.int32),
        left=np.full(boxes_max, -1, dtype=np.int32),
        right=np.full(boxes_max, -1, dtype=np.int32),
        low=np.zeros((boxes_max, 3), dtype=np.int64),
        high=np.zeros((boxes_max, 3), dtype=np.int64),
        root_of=np.full(kinds, -1, dtype=np.int32),
        least=np.zeros(boxes_max, dtype=np.int64),
        straight=np.array([HUBS_KM if (market.route_hub >= 0).any() else ROUND_KM]),
        facts=np.zeros((9, len(usable) + room)),
    )
    worth = np.zeros(len(xyz)) if values is None else values / weight
    count = grow(boxes, xyz, worth, starts)
    facts_of(market, boxes, of_lots=of_lots, first=0, end=len(usable))
    names = ("first", "end", "left", "right", "low", "high", "least")
    return boxes._replace(**{name: getattr(boxes, name)[:count].copy() for name in names})


def facts_of(market: Market, boxes: Boxes, *, of_lots: bool, first: int, end: int) -> None:
    """Enter what does not change of the rows order[first:end].

    The rule: a pair needs km <= kpd * (deadline - ready) and km <= kpd * (expires - ready - wanted), where the
    wanted days are halved for lots of short life. Each row has its part of both sums.
    """
    rows, facts, kpd = (
        boxes.order[first:end],
        boxes.facts[:, first:end],
        float(market.km_per_day[0]),
    )
    if of_lots:
        facts[:3] = market.lot_xyz[rows].T * KM
        # Frozen goods are never in time.
        facts[4] = np.where(market.lot_frozen[rows] == 0, -kpd * market.lot_ready[rows], -np.inf)
        facts[5] = kpd * (market.lot_expires[rows] - market.lot_ready[rows])
        facts[6] = market.lot_short[rows]
        facts[7], facts[8] = market.lot_certificate[rows], market.lot_sterile[rows]
    else:
        wanted = market.need_remaining[rows]
        facts[:3] = market.need_xyz[rows].T * KM
        facts[4] = kpd * market.need_deadline[rows]
        facts[5] = -kpd * wanted
        facts[6] = kpd * (wanted - wanted // 2)
        facts[7] = -market.need_certificate[rows].astype(np.float64)
        facts[8] = -market.need_sterile[rows].astype(np.float64)


def facts_of_one(market: Market, boxes: Boxes, *, of_lots: bool, at: int) -> None:
    """`facts_of` for one row, without arrays of one."""
    row, kpd = int(boxes.order[at]), float(market.km_per_day[0])
    if of_lots:
        xyz, ready = market.lot_xyz[row], int(market.lot_ready[row])
        late = -np.inf if market.lot_frozen[row] else -kpd * ready
        life, short = kpd * (int(market.lot_expires[row]) - ready), float(market.lot_short[row])
        quality = (int(market.lot_certificate[row]), int(market.lot_sterile[row]))
    else:
        xyz, wanted = market.need_xyz[row], int(market.need_remaining[row])
        late, life = kpd * int(market.need_deadline[row]), -kpd * wanted
        short = kpd * (wanted - wanted // 2)
        quality = (-int(market.need_certificate[row]), -int(market.need_sterile[row]))
    x, y, z = xyz.tolist()
    boxes.facts[:, at] = (x * KM, y * KM, z * KM, boxes.facts[3, at], late, life, short, *quality)


@compiled
def grow(boxes: Boxes, xyz: Int64s, worth: Floats, starts: Int32s) -> int:
    """Split each kind's rows in halves along the widest side until they fit a leaf; the number of boxes.

    Args:
        worth: by number, in kilometres: the fourth side.
    """
    count = 0
    done = 0
    for kind in range(len(starts) - 1):
        if starts[kind] == starts[kind + 1]:
            continue
        boxes.root_of[kind] = count
        boxes.first[count], boxes.end[count] = starts[kind], starts[kind + 1]
        count += 1
        while done < count:
            first, end = boxes.first[done], boxes.end[done]
            rows = boxes.order[first:end].copy()
            widest, width = 3, worth[rows].max() - worth[rows].min()
            for axis in range(3):
                places = xyz[:, axis][rows]
                low, high = places.min(), places.max()
                boxes.low[done, axis], boxes.high[done, axis] = low, high
                if (high - low) * KM >= width:
                    widest, width = axis, (high - low) * KM
            if end - first > LEAF:
                keys = worth[rows] if widest == 3 else xyz[:, widest][rows] * KM
                rank = np.argsort(keys, kind="mergesort")
                for at in range(len(rows)):
                    boxes.order[first + at] = rows[rank[at]]
                middle = first + (end - first) // 2
                boxes.left[done], boxes.right[done] = count, count + 1
                boxes.first[count], boxes.end[count] = first, middle
                boxes.first[count + 1], boxes.end[count + 1] = middle, end
                count += 2
            done += 1
    return count


@lean
def refresh(boxes: Boxes, values: Int64s) -> None:
    """Values of all rows and the smallest of every box, from the values by number."""
    for at in range(boxes.late[1]):
        boxes.facts[3, at] = float(values[boxes.order[at]])
    for box in range(len(boxes.first) - 1, -1, -1):
        if boxes.left[box] >= 0:
            boxes.least[box] = min(boxes.least[boxes.left[box]], boxes.least[boxes.right[box]])
        else:
            least = values[boxes.order[boxes.first[box]]]
            for at in range(boxes.first[box], boxes.end[box]):
                least = min(least, values[boxes.order[at]])
            boxes.least[box] = least


class Asker(NamedTuple):
    """A row that looks, as `sift` compares it with those of the other side."""

    x: float
    y: float
    z: float
    last: float
    life: float
    short: float
    certificate: float
    sterile: float


@lean
def asker(market: Market, row: int, of_needs: int) -> Asker:
    """What a need asks of a lot, or a lot of a need: the other half of `facts_of`."""
    kpd = float(market.km_per_day[0])
    if of_needs == 1:
        wanted = market.need_remaining[row]
        return Asker(
            market.need_xyz[row, 0] * KM,
            market.need_xyz[row, 1] * KM,
            market.need_xyz[row, 2] * KM,
            kpd * market.need_deadline[row],
            -kpd * wanted,
            kpd * (wanted - wanted // 2),
            float(market.need_certificate[row]),
            float(market.need_sterile[row]),
        )
    return Asker(
        market.lot_xyz[row, 0] * KM,
        market.lot_xyz[row, 1] * KM,
        market.lot_xyz[row, 2] * KM,
        -kpd * market.lot_ready[row] if market.lot_frozen[row] == 0 else -np.inf,
        kpd * (market.lot_expires[row] - market.lot_ready[row]),
        float(market.lot_short[row]),
        -float(market.lot_certificate[row]),
        -float(market.lot_sterile[row]),
    )


@lean
def sift(
    boxes: Boxes, first: int, end: int, one: Asker, limit: float, per_km: float, passed: UInt8s
) -> None:
    """Which rows [first, end) may stay below the limit by place, time, life and quality; a few do not.

    Args:
        limit: less what every pair of these kinds costs.
        per_km: 1 / weight.
        passed: by position from `first`.
    """
    limit += abs(limit) * ROUNDING
    facts, straight = boxes.facts, boxes.straight[0]
    # Slices that start at zero: only then does the loop become vector instructions.
    xs, ys, zs = facts[0, first:end], facts[1, first:end], facts[2, first:end]
    values, lasts, lives = facts[3, first:end], facts[4, first:end], facts[5, first:end]
    shorts, certificates, sterile = facts[6, first:end], facts[7, first:end], facts[8, first:end]
    for at in range(end - first):
        value = values[at]
        reach = (limit - value + abs(value) * ROUNDING) * per_km
        last = one.last + lasts[at]
        life = one.life + lives[at] + one.short * shorts[at]
        reach = min(reach, last)
        reach = min(reach, life)
        reach = min(reach + straight, 3.0 * EARTH_KM)
        # An arc of this length has no longer chord (the sine's series up to its fifth power).
        bend = reach * reach * (1.0 / (24.0 * EARTH_KM * EARTH_KM))
        chord = reach * (1.0 - bend * (1.0 - 0.3 * bend))
        x, y, z = xs[at] - one.x, ys[at] - one.y, zs[at] - one.z
        near = x * x + y * y + z * z < chord * chord
        good = (certificates[at] >= one.certificate) & (sterile[at] >= one.sterile)
        passed[at] = (reach > 0.0) & near & good
