"""Intent: each signer's key signed the statement that names exactly this document and field."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, wrong
from arbitration.checks.statements import (
    missing_statement,
    part_problems,
    statement_event,
    statement_problems,
    use_of,
)
from ledger.core.report import Check

CODE: Final = "signer.intent"
_ACT: Final = "sign"


def check(context: Context) -> Check:
    """FAILED where a statement is missing, about something else, reused, or of another key."""
    problems: list[Problem] = part_problems(context, number=6, act=_ACT)
    for signer in context.bundle.signers:
        name = str(signer["signer"])
        event = statement_event(context, signer=name, act=_ACT)
        if event is None:
            problems.append(
                missing_statement(context, signer=name, en="no intent", zh="没有签署意愿记录")
            )
            continue
        problems += statement_problems(context, signer, event, act=_ACT, field=str(signer["field"]))
    uses = [use_of(row) for number in (5, 6) for row in context.bundle.part(number)]
    if len(set(uses)) != len(uses):
        problems.append(wrong("one statement was used twice", "同一陈述被重复使用"))
    return conclude(
        CODE,
        problems,
        en="each signer's own key signed the statement of intent for this document",
        zh="每位签署方均以自己的密钥签署了针对本文件的意愿陈述",
    )
