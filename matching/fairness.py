"""Who got how much of what they asked for: by region, by class of hospital, by tier; integers only.

Three figures say different things and all are shown: the share of units served, how many hospitals got nothing,
and how even the shares are (Jain's index: 1000 where every hospital got the same share, 1000/n where one of n
got everything; Jain, Chiu and Hawe 1984).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.core.canonical import Json
from matching.problem import TIERS, Need

PERMILLE: Final = 1000
_FINE: Final = 10**6
"""Shares are cut to millionths before they are squared: evenness is then exact to a permille."""


@dataclass(frozen=True, slots=True)
class Fairness:
    """One group of hospitals.

    Attributes:
        hospitals, untouched: how many asked, how many of them got nothing at all.
        least_permille, median_permille: share served of the worst-off hospital and of the middle one (the
            lower of two middles).
        evenness_permille: Jain's index over the hospitals' shares; 0 where nobody got anything.
    """

    name: str
    wanted: int
    served: int
    hospitals: int
    untouched: int
    least_permille: int
    median_permille: int
    evenness_permille: int

    def as_json(self) -> dict[str, Json]:
        """For outcomes and pages."""
        return {
            "name": self.name,
            "wanted": self.wanted,
            "served": self.served,
            "fill_permille": self.served * PERMILLE // self.wanted if self.wanted else 0,
            "hospitals": self.hospitals,
            "untouched": self.untouched,
            "least_permille": self.least_permille,
            "median_permille": self.median_permille,
            "evenness_permille": self.evenness_permille,
        }


def fairness_by_region(needs: Sequence[Need], *, served: Sequence[int]) -> list[Fairness]:
    """By province and city of the need, in the order of their names.

    Args:
        served: units of each need, in the order of `needs`.
    """
    names = [f"{need.place.province} {need.place.city}".strip() for need in needs]
    return _grouped(needs, names, served)


def fairness_by_class(
    needs: Sequence[Need], *, served: Sequence[int], classes: Mapping[str, str]
) -> list[Fairness]:
    """By class of hospital; a hospital that `classes` does not name counts as `other`."""
    return _grouped(needs, [classes.get(need.hospital, "other") for need in needs], served)


def fairness_by_tier(needs: Sequence[Need], *, served: Sequence[int]) -> list[Fairness]:
    """By urgency tier, critical first."""
    found = _grouped(needs, [TIERS[need.tier] for need in needs], served)
    return sorted(found, key=lambda row: TIERS.index(row.name))


def _grouped(needs: Sequence[Need], names: Sequence[str], served: Sequence[int]) -> list[Fairness]:
    groups: dict[str, dict[str, list[int]]] = {}
    for need, name, units in zip(needs, names, served, strict=True):
        row = groups.setdefault(name, {}).setdefault(need.hospital, [0, 0])
        row[0] += need.quantity
        row[1] += units
    return [_figures(name, list(groups[name].values())) for name in sorted(groups)]


def _figures(name: str, hospitals: list[list[int]]) -> Fairness:
    shares = sorted(got * _FINE // wanted for wanted, got in hospitals)
    squares = sum(share * share for share in shares)
    return Fairness(
        name=name,
        wanted=sum(wanted for wanted, _ in hospitals),
        served=sum(got for _, got in hospitals),
        hospitals=len(hospitals),
        untouched=sum(1 for _, got in hospitals if not got),
        least_permille=shares[0] * PERMILLE // _FINE,
        median_permille=shares[(len(shares) - 1) // 2] * PERMILLE // _FINE,
        evenness_permille=PERMILLE * sum(shares) ** 2 // (len(shares) * squares) if squares else 0,
    )
