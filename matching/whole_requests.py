"""Few shipments: a lot is cut into whole requests, so that what is sent fills somebody and little is left over.

The number of shipments is a fixed charge, and no linear price stands for it. For one lot the best cut is a
knapsack and is found exactly; lots are taken in a written order, so a plan made lot by lot is good, and not
proven best. A round that promises an optimum does not use this; `bench/getusppe.py` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ledger.core.errors import LimitError
from matching.engine.jit import compiled
from matching.geo import Int64s

Booleans = NDArray[np.bool_]
LOT_UNITS_MAX: Final = 100_000
REQUESTS_MAX: Final = 2_000
"""The table of one lot has units times requests cells of one bit each: at most 200 MB as bytes."""
_NEVER: Final = 1 << 60


@dataclass(frozen=True, slots=True)
class Cut:
    """`chosen`: positions of the requests filled whole, ascending; `rest`: units of the lot left over."""

    chosen: tuple[int, ...]
    rest: int


def cut_lot(
    units: int, sizes: Int64s, costs: Int64s, *, rest_fixed: int, rest_per_unit: int
) -> Cut:
    """The cheapest way to fill whole requests from one lot.

    Args:
        units: what the lot holds.
        sizes: units of each request, at least one; larger ones than the lot are never chosen.
        costs: of filling each, negative where it is worth more than it costs.
        rest_fixed, rest_per_unit: cost of what is left over, if anything is.

    Raises:
        LimitError: `matching.too_large`.
    """
    if units > LOT_UNITS_MAX or len(sizes) > REQUESTS_MAX:
        raise LimitError(
            f"a cut takes at most {LOT_UNITS_MAX} units and {REQUESTS_MAX} requests",
            code="matching.too_large",
            limit=LOT_UNITS_MAX,
        )
    chosen = np.zeros(len(sizes), dtype=np.bool_)
    rest = _cut(units, sizes, costs, rest_fixed, rest_per_unit, chosen)
    return Cut(tuple(np.flatnonzero(chosen).tolist()), int(rest))


@compiled
def _cut(
    units: int,
    sizes: Int64s,
    costs: Int64s,
    rest_fixed: int,
    rest_per_unit: int,
    chosen: Booleans,
) -> int:
    """Fills in `chosen`; the units left over. `best[u]`: least cost of whole requests of u units in all."""
    best = np.full(units + 1, _NEVER, dtype=np.int64)
    best[0] = 0
    taken = np.zeros((len(sizes), units + 1), dtype=np.bool_)
    for number in range(len(sizes)):
        size, cost = sizes[number], costs[number]
        # To leave its units over would be no dearer, so no cheapest cut has it.
        if size > units or cost >= rest_fixed + rest_per_unit * size:
            continue
        for at in range(units, size - 1, -1):
            # Cells that nothing reaches stay above any real sum.
            if best[at - size] < _NEVER >> 1 and best[at - size] + cost < best[at]:
                best[at] = best[at - size] + cost
                taken[number, at] = True
    used, least = 0, _NEVER
    for at in range(units + 1):
        if best[at] < _NEVER >> 1:
            left = units - at
            total = best[at] + (rest_fixed + rest_per_unit * left if left > 0 else 0)
            if total < least:
                used, least = at, total
    at = used
    for number in range(len(sizes) - 1, -1, -1):
        if taken[number, at]:
            chosen[number] = True
            at -= sizes[number]
    return units - used
