"""What a limit on a donor's receivers is worth: a row that every plan keeps, and a price for it.

A donor may give hospital h at most `most` units: what h wants and may have of it, and what it has that h may
have. Each hospital it gives to therefore adds at most one to the sum of units / most, and the sum is at most
the number of hospitals that the donor allows. With a price on that row each unit to h is charged price / most,
rounded down, so that all charges together are at most the price times that number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from matching.candidates import ELIGIBLE, Candidates
from matching.engine.graph import Int32s
from matching.geo import Int64s
from matching.pallets import donors_limits
from matching.problem import Problem

CHARGE_MAX: Final = 1 << 20
"""Above any rank at the scale of prices (300 * 1024): a unit that costs this much goes nowhere anyway."""
PRICE_OF_DONOR_MAX: Final = 1 << 52
"""Inside what canonical JSON holds; a smaller price is a weaker bound, and never a wrong one."""


@dataclass(frozen=True, slots=True)
class Receivers:
    """The limited donors of a round, in the order of their names.

    Attributes:
        most: units a donor may give to a hospital, shape (hospitals, donors), at least one.
        hospital_of: of each need.  donor_of: of each lot, -1 for a donor without a limit.
    """

    donors: tuple[str, ...]
    allowed: tuple[int, ...]
    most: Int64s
    hospital_of: Int64s
    donor_of: Int64s

    def charges(self, prices: Mapping[str, int], *, needs: Int32s, lots: Int32s) -> Int64s:
        """What a unit of each pair is charged; pairs by need row and lot row."""
        of_donor = np.array([prices[name] for name in self.donors] + [0], dtype=np.int64)
        # A donor without a limit has the last column: it is charged nothing.
        wide = np.append(self.most, np.ones((len(self.most), 1), dtype=np.int64), axis=1)
        table = np.minimum(of_donor[None, :] // wide, CHARGE_MAX)
        found: Int64s = table[self.hospital_of[needs], self.donor_of[lots]]
        return found


def receivers_of(problem: Problem, judged: Candidates) -> Receivers:
    """The limited donors and how much each may give to each hospital."""
    limits = donors_limits(problem.lots)
    donors = tuple(sorted(limits))
    number = {name: at for at, name in enumerate(donors)}
    hospitals: dict[str, int] = {}
    hospital_of = np.array(
        [hospitals.setdefault(need.hospital, len(hospitals)) for need in problem.needs],
        dtype=np.int64,
    )
    donor_of = np.array([number.get(lot.donor, -1) for lot in problem.lots], dtype=np.int64)
    wanted = np.array([need.quantity for need in problem.needs], dtype=np.int64)
    most = np.ones((len(hospitals), len(donors)), dtype=np.int64)
    for at in range(len(donors)):
        takes = np.zeros(len(hospitals), dtype=np.int64)
        gives = np.zeros(len(hospitals), dtype=np.int64)
        own = np.flatnonzero(donor_of == at)
        eligible = judged.codes[:, own] == ELIGIBLE
        some = eligible.any(axis=1)
        np.add.at(takes, hospital_of[some], wanted[some])
        for place, column in enumerate(own.tolist()):
            gives[np.unique(hospital_of[eligible[:, place]])] += problem.lots[column].quantity
        most[:, at] = np.maximum(np.minimum(takes, gives), 1)
    return Receivers(donors, tuple(limits[name] for name in donors), most, hospital_of, donor_of)
