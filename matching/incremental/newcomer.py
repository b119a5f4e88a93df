"""A newcomer in the model of a fixed list of pairs: its best pairs become arcs, in one compiled call.

An event takes tenths of a millisecond there, so handing pairs from array to array would be a good part of it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.engine.boxes import Boxes
from matching.engine.graph import UNBOUNDED
from matching.engine.jit import compiled
from matching.engine.look import Known, look
from matching.engine.market import Int32s, Market
from matching.geo import Int64s

_NO_LIMIT: Final = 1 << 61


@compiled
def bring(
    market: Market,
    boxes: Boxes,
    values: Int64s,
    nobody: Known,
    row: int,
    of_needs: int,
    weight: int,
    most: int,
    node: int,
    others: Int32s,
    tails: Int32s,
    heads: Int32s,
    costs: Int64s,
    bounds: Int64s,
    flows: Int64s,
    state: NDArray[np.int8],
    first: int,
) -> int:
    """Enter the `most` best pairs of a row as empty arcs [first, first + result) without a bound.

    Args:
        row, of_needs: a need where `of_needs` is 1, else a lot.
        node: of the row; others: by number of the other side, its node.
        tails … state: as in `tree.Tree`; there is room.
    """
    rows, limits = np.empty(1, dtype=np.int32), np.empty(1, dtype=np.int64)
    rows[0], limits[0] = row, _NO_LIMIT
    found = np.empty((1, most), dtype=np.int32)
    transports = np.empty((1, most), dtype=np.int64)
    offers, counts = np.empty((1, most), dtype=np.int64), np.zeros(1, dtype=np.int64)
    look(
        market,
        boxes,
        values,
        nobody,
        rows,
        limits,
        weight,
        of_needs,
        found,
        transports,
        offers,
        counts,
    )
    for at in range(counts[0]):
        other, arc = found[0, at], first + at
        if of_needs == 1:
            lot = other
            tails[arc], heads[arc] = others[other], node
        else:
            lot = row
            tails[arc], heads[arc] = node, others[other]
        costs[arc] = transports[0, at] * weight + market.lot_life[lot]
        bounds[arc], flows[arc], state[arc] = UNBOUNDED, 0, 1
    return int(counts[0])
