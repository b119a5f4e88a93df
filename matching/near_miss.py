"""Of the lots that may not serve a need, the one that came nearest: it failed last, and by the least.

Rules are checked in the order of `candidates.REASONS`. Of the lots that got equally far, the one that arrives
the fewest days late, lacks the fewest days of life or the fewest steps of certificate counts as nearer; then
the shorter way, then the lower id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matching.candidates import NEVER_DAY, REASONS, SHORT_LIFE_DAYS, Candidates
from matching.geo import Int64s
from matching.problem import Need, Problem

_HAS_WAY: Final = REASONS.index("deadline.missed")
"""From this reason on the pair has a route, and its length says something."""


@dataclass(frozen=True, slots=True)
class Misses:
    """What the lots of a round bring to a comparison; arrays in the order of the lots."""

    problem: Problem
    judged: Candidates
    ready: Int64s
    expires: Int64s
    short: NDArray[np.bool_]
    certificate: Int64s

    def nearest(self, row: int) -> int:
        """Position of the lot that came nearest to serving this need; no lot may be eligible."""
        codes = self.judged.codes[row]
        last = int(codes.max())
        columns = np.flatnonzero(codes == last)
        by = self._missed_by(self.problem.needs[row], row, columns, REASONS[last])
        way = self.judged.km[row, columns] if last >= _HAS_WAY else np.zeros(len(columns))
        return int(columns[np.lexsort((columns, way, by))[0]])

    def _missed_by(self, need: Need, row: int, columns: Int64s, reason: str) -> Int64s:
        arrival: Int64s = self.ready[columns] + self.judged.days[row, columns]
        match reason:
            case "deadline.missed":
                late: Int64s = arrival - need.deadline_day
                return late
            case "shelf_life.too_short":
                wanted = need.remaining_days_min
                asked = np.where(self.short[columns], wanted // 2, wanted)
                lacks: Int64s = asked - (self.expires[columns] - arrival)
                return lacks
            case "certificate.too_low":
                return need.certificate_min - self.certificate[columns]
            case _:
                return np.zeros(len(columns), dtype=np.int64)


def misses_of(problem: Problem, judged: Candidates) -> Misses:
    """The round's lots, made ready once for all its needs."""
    lots = problem.lots
    expires = _numbers(
        [NEVER_DAY if lot.expires_day is None else lot.expires_day for lot in lots],
    )
    return Misses(
        problem=problem,
        judged=judged,
        ready=_numbers([max(lot.available_day, problem.day) for lot in lots]),
        expires=expires,
        short=expires - _numbers([lot.produced_day for lot in lots]) <= SHORT_LIFE_DAYS,
        certificate=_numbers([lot.certificate for lot in lots]),
    )


def _numbers(values: list[int]) -> Int64s:
    return np.array(values, dtype=np.int64)
