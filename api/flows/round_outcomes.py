"""What a round says about every need and lot: the stored document `fuqi/outcomes/v2`.

Version 1 held of each lot's line only need and quantity, and of a need neither claim nor price asked;
`api.views.outcomes` reads both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy.orm import Session

from ledger.core.canonical import Json
from ledger.queries import supply as queries
from ledger.tables.supply import HospitalRow
from matching.explain import Explanation, LotOutcome, NeedOutcome
from matching.problem import Problem

OUTCOMES_TAG: Final = "fuqi/outcomes/v2"
LARGE_PERCENT: Final = 100
"""Above this a hospital counts as large, below it as small; the import policy sets the percentage."""


def hospital_classes(session: Session, problem: Problem) -> dict[str, str]:
    """Hospital id -> agency, front, large, small or other, in this order of precedence."""
    ids = sorted({need.hospital for need in problem.needs})
    found: dict[str, str] = {}
    for first in range(0, len(ids), queries.IDS_MAX):
        rows = queries.hospitals_by_ids(session, ids[first : first + queries.IDS_MAX])
        found |= {key: _class_of(row) for key, row in rows.items()}
    return found


def outcomes_document(explanation: Explanation, *, segments: int) -> dict[str, Json]:
    """`fuqi/outcomes/v2`.

    Args:
        segments: of the round's policy; ranks are put into words with it.
    """
    return {
        "v": OUTCOMES_TAG,
        "segments": segments,
        "needs": [_need(outcome) for outcome in explanation.needs],
        "lots": [_lot(outcome) for outcome in explanation.lots],
    }


def _need(outcome: NeedOutcome) -> dict[str, Json]:
    against: Mapping[str, int] = outcome.against
    return {
        "need": outcome.need,
        "served": outcome.served,
        "state": outcome.state.value,
        "reason": outcome.reason,
        "nearest_lot": outcome.nearest_lot,
        "against": dict(against),
        "shortage_price": outcome.shortage_price,
        "claim": outcome.claim,
        "asked": None if outcome.asked is None else list(outcome.asked),
        "asked_lot": outcome.asked_lot,
    }


def _lot(outcome: LotOutcome) -> dict[str, Json]:
    return {
        "lot": outcome.lot,
        "lines": [
            {
                "need": line.need,
                "quantity": line.quantity,
                "reason": line.reason,
                "instead": line.instead,
                "worse_by": None if line.worse_by is None else list(line.worse_by),
            }
            for line in outcome.lines
        ],
        "left": outcome.left,
        "reason": outcome.reason,
        "price": outcome.price,
    }


def _class_of(row: HospitalRow) -> str:
    if row.agency:
        return "agency"
    if row.front:
        return "front"
    if row.scale_percent != LARGE_PERCENT:
        return "large" if row.scale_percent > LARGE_PERCENT else "small"
    return "other"
