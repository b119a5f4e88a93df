"""A round as plain arrays: everything the rule of `candidates.py` looks at, without a table of all pairs.

`pair_transport` is that rule for one pair, compiled; a property test holds it equal to `judge_pairs`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matching.engine.jit import lean
from matching.geo import Int64s

Int32s = NDArray[np.int32]
Int16s = NDArray[np.int16]
Int8s = NDArray[np.int8]

DIRECT: Final = -1
"""Instead of a hub: straight from the lot to the need."""
NEVER: Final = 1 << 30
"""The expiry day of goods that do not expire."""
_RADIUS_KM: Final = 6371.0
_UNIT: Final = float(1 << 30)


class Market(NamedTuple):
    """Needs and lots by number, in the order of the problem.

    Attributes:
        lot_xyz, need_xyz: unit vectors * 2**30, shape (n, 3).
        lot_ready: first day a lot can leave in this round.
        lot_life: unit cost at the expiry level.
        lot_short: lives at most 183 days, so half the wanted life is enough.
        directed, related: hospital numbers of lot i in [start[i], start[i + 1]); directed empty = any.
        fit: (need kind, lot kind) -> substitution penalty in km, or -1 where class or standard forbid.
        routes of (lot region, need region) r = lot_region * need_regions + need_region in
            [route_start[r], route_start[r + 1]): by which hub (or DIRECT) and how many days onward.
        chords: `geo` table of squared chords of 0.5, 1.5, … km.
    """

    lot_quantity: Int64s
    lot_class: Int32s
    lot_kind: Int32s
    lot_region: Int32s
    lot_xyz: Int64s
    lot_ready: Int64s
    lot_expires: Int64s
    lot_life: Int64s
    lot_short: Int8s
    lot_certificate: Int8s
    lot_sterile: Int8s
    lot_frozen: Int8s
    directed_start: Int32s
    directed: Int32s
    related_start: Int32s
    related: Int32s
    lot_hub_km: Int16s
    need_quantity: Int64s
    need_class: Int32s
    need_kind: Int32s
    need_region: Int32s
    need_xyz: Int64s
    need_hospital: Int32s
    need_tier: Int8s
    need_deadline: Int64s
    need_certificate: Int8s
    need_sterile: Int8s
    need_remaining: Int64s
    need_hub_km: Int16s
    fit: Int32s
    need_regions: Int64s
    route_start: Int32s
    route_hub: Int32s
    route_days: Int32s
    km_per_day: Int64s
    chords: Int64s


@lean
def km_of_chord(chord: int, chords: Int64s) -> int:
    """Whole kilometres of a squared chord, exactly as `geo.distances_km`: estimated, then set right."""
    half = np.sqrt(float(chord)) / (2.0 * _UNIT)
    km = int(2.0 * _RADIUS_KM * np.arcsin(min(half, 1.0)) + 0.5)
    km = min(max(km, 0), len(chords))
    while km < len(chords) and chords[km] <= chord:
        km += 1
    while km > 0 and chords[km - 1] > chord:
        km -= 1
    return km


@lean
def km_at_least(chord: int) -> int:
    """A whole number no route between two points with this squared chord is shorter than.

    A chord is no longer than its arc. A route over a hub is the sum of two legs, each rounded to the nearest
    kilometre, so it may count up to 1.5 km less than the straight way counts; the vectors' own rounding adds
    centimetres. Two kilometres cover all of it.
    """
    km = int(_RADIUS_KM * (np.sqrt(float(chord)) / _UNIT)) - 2
    return max(km, 0)


@lean
def pair_transport(market: Market, lot: int, need: int) -> int:
    """Unit cost at the transport level (km + 1 + penalty) if the pair is eligible, else -1."""
    penalty = market.fit[market.need_kind[need], market.lot_kind[lot]]
    if (
        penalty < 0
        or market.lot_frozen[lot] != 0
        or market.lot_certificate[lot] < market.need_certificate[need]
        or (market.need_sterile[need] != 0 and market.lot_sterile[lot] == 0)
    ):
        return -1
    hospital = market.need_hospital[need]
    for at in range(market.related_start[lot], market.related_start[lot + 1]):
        if market.related[at] == hospital:
            return -1
    first, last = market.directed_start[lot], market.directed_start[lot + 1]
    if first < last:
        named = False
        for at in range(first, last):
            named = named or market.directed[at] == hospital
        if not named:
            return -1
    region = market.lot_region[lot] * market.need_regions[0] + market.need_region[need]
    best_km, best_days = -1, 0
    for at in range(market.route_start[region], market.route_start[region + 1]):
        hub = market.route_hub[at]
        if hub < 0:
            chord = 0
            for axis in range(3):
                step = market.lot_xyz[lot, axis] - market.need_xyz[need, axis]
                chord += step * step
            km = km_of_chord(chord, market.chords)
        else:
            km = np.int64(market.lot_hub_km[lot, hub]) + market.need_hub_km[need, hub]
        days = (km + market.km_per_day[0] - 1) // market.km_per_day[0] + market.route_days[at]
        if best_km < 0 or km < best_km or (km == best_km and days < best_days):
            best_km, best_days = km, days
    if best_km < 0:
        return -1
    arrival = market.lot_ready[lot] + best_days
    if arrival > market.need_deadline[need]:
        return -1
    wanted = market.need_remaining[need]
    if market.lot_short[lot] != 0:
        wanted //= 2
    if market.lot_expires[lot] - arrival < wanted:
        return -1
    return int(best_km + 1 + penalty)
