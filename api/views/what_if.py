"""The answer to a what-if question in words. Reads only."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy.orm import Session

from api.flows.what_if import Answer, Question, Side, pieces
from api.schemas.what_if import WhatIfNeedOut, WhatIfOut, WhatIfSideOut
from api.views.public import item_names
from ledger.queries import supply as queries
from ledger.tables.supply import HospitalRow
from matching.problem import TIERS

CHANGES_MAX: Final = 200
"""Needs that are listed; their number and pieces are always said."""


def answer_facts(session: Session, question: Question, answer: Answer) -> WhatIfOut:
    """The answer with the names of hospitals and goods."""
    shown = answer.changes[:CHANGES_MAX]
    hospitals: dict[str, HospitalRow] = queries.hospitals_by_ids(
        session, sorted({one.hospital for one in shown})
    )
    losing, winning = pieces(answer.changes)
    other: dict[str, Any] = {
        name: value
        for name, value in (("segments", question.segments), ("km_per_day", question.km_per_day))
        if value is not None
    }
    changes = []
    for one in shown:
        zh, en = item_names(one.item)
        changes.append(
            WhatIfNeedOut(
                need=one.need,
                hospital=hospitals[one.hospital].name,
                item_zh=zh,
                item_en=en,
                urgency=TIERS[one.tier],
                quantity=one.quantity,
                before=one.before,
                after=one.after,
            )
        )
    return WhatIfOut(
        day=answer.day,
        classes=list(answer.classes),
        before=_side(answer.before),
        after=_side(answer.after),
        changed=len(answer.changes),
        lines_changed=answer.lines_changed,
        losing=losing,
        winning=winning,
        changes=changes,
        policy=other or None,
    )


def _side(side: Side) -> WhatIfSideOut:
    return WhatIfSideOut(
        needs=side.needs,
        lots=side.lots,
        wanted=list(side.wanted),
        served=list(side.served),
        transport=side.transport,
        verdict=side.verdict.value,
        gap=None if side.gap is None else list(side.gap),
    )
