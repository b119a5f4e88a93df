"""What a certified gap means in pieces: how much more could be served at most, without taking from anyone.

The prices of a certificate bound the unserved weight (rank times pieces) of every plan. One that gives nobody
less than this one serves more pieces at some ranks, so the pieces times their ranks are at most the gap. That
many pieces at most, the lowest ranks first, is the bound; and no more can come than lots have left, class by
class. Integers only, from plan and certificate that the checker accepted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.core.canonical import Json
from matching.plan import Certificate, Plan
from matching.problem import TIERS, Problem

_UNSERVED: Final = 0
"""The level of the objective that counts what goes unserved."""


@dataclass(frozen=True, slots=True)
class Room:
    """How far a plan may be from the best.

    Attributes:
        more_pieces: pieces that another plan could serve at most, if nobody gets less than here.
        more_critical: how many of them could be for critical needs.
        weight: the gap at the first level, in ranks times pieces, rounded down: a whole plan's weight is whole.
        of_weight: the plan's own unserved weight, of which the gap is a part.
    """

    more_pieces: int
    more_critical: int
    weight: int
    of_weight: int

    def as_json(self) -> dict[str, Json]:
        """For summaries and entries."""
        return {
            "more_pieces": self.more_pieces,
            "more_critical": self.more_critical,
            "weight": self.weight,
            "of_weight": self.of_weight,
        }


def room_left(problem: Problem, plan: Plan, certificate: Certificate) -> Room | None:
    """The room that the certificate leaves; None where it proves the plan best at every level."""
    if certificate.gap is None:
        return None
    weight = max(0, certificate.gap[_UNSERVED]) // certificate.scale
    ranks = plan.objective.unserved_by_rank
    first_critical = (len(TIERS) - 1) * problem.policy.segments
    pieces = min(_pieces(ranks, weight, lowest=1), _left(problem, plan))
    critical = _pieces(ranks[first_critical:], weight, lowest=first_critical + 1)
    return Room(pieces, min(pieces, critical), weight, plan.objective.weight())


def _pieces(unserved: Sequence[int], weight: int, *, lowest: int) -> int:
    """The most pieces of these ranks (ascending from `lowest`) whose ranks add up to at most `weight`."""
    found = 0
    for rank, units in enumerate(unserved, start=lowest):
        taken = min(units, weight // rank)
        found += taken
        weight -= taken * rank
    return found


def _left(problem: Problem, plan: Plan) -> int:
    """Pieces that lots have left and needs of their class still lack."""
    of_item = problem.catalogue.items
    left = _by_class({lot.id: (of_item[lot.item].item_class, lot.quantity) for lot in problem.lots})
    lacking = _by_class(
        {need.id: (of_item[need.items[0]].item_class, need.quantity) for need in problem.needs}
    )
    class_of = {lot.id: of_item[lot.item].item_class for lot in problem.lots}
    for flow in plan.flows:
        left[class_of[flow.lot]] -= flow.quantity
        lacking[class_of[flow.lot]] -= flow.quantity
    return sum(min(units, lacking.get(name, 0)) for name, units in left.items())


def _by_class(rows: Mapping[str, tuple[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, units in rows.values():
        found[name] = found.get(name, 0) + units
    return found
