"""Times: they never run backwards in the log, agree with the parts, and precede anchor and export."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from arbitration.checks.context import TOLERANCE, Context, time_of
from arbitration.checks.results import Problem, conclude, wrong
from ledger.core.report import Check

CODE: Final = "event.times"
_STATED: Final = (
    ("document.delivered", None, "delivered_at"),
    ("document.opened", None, "opened_at"),
    ("document.read", None, "read_at"),
    ("intent.expressed", "consent", "consented_at"),
    ("intent.expressed", "sign", "intent_at"),
    ("signature.applied", None, "signed_at"),
)


def check(context: Context) -> Check:
    """FAILED beyond `TOLERANCE`: clocks of several machines may differ by that much, not more."""
    bundle = context.bundle
    problems: list[Problem] = []
    latest: datetime | None = None
    for event in bundle.events:
        at = time_of(event.at)
        if latest is not None and at < latest - TOLERANCE:
            problems.append(wrong(f"{event.id} runs backwards", f"{event.id} 时间倒流"))
        latest = at if latest is None else max(latest, at)
        if at > context.at + TOLERANCE:
            problems.append(wrong(f"{event.id} lies in the future", f"{event.id} 时间在未来"))
    times = {event.id: time_of(event.at) for event in bundle.events}
    for receipt in bundle.receipts:
        anchor, name = receipt["anchor"], str(receipt["entry"]["id"])
        if anchor is None:
            continue
        mined = datetime.fromtimestamp(int(anchor["block_time"]), tz=UTC)
        if name not in times:
            problems.append(wrong(f"{name} is not the entry in its receipt", f"{name} 与回执不符"))
        elif mined < times[name] - TOLERANCE:
            problems.append(
                wrong(f"{name} was anchored before it happened", f"{name} 先锚定后发生")
            )
    problems += _stated_problems(context)
    return conclude(
        CODE,
        problems,
        en="all times agree and none runs backwards",
        zh="各处时间一致，且无倒流",
    )


def _stated_problems(context: Context) -> list[Problem]:
    """Parts 8 and 11 name the same times as the entries."""
    problems: list[Problem] = []
    rows = {str(row["signer"]): dict(row) for row in context.bundle.part(11)}
    for signer in context.bundle.signers:
        row = rows.get(str(signer["signer"]), {}) | {"signed_at": signer["signed_at"]}
        for kind, act, key in _STATED:
            times = [
                one.at
                for one in context.agreement_events(kind)
                if one.body is not None
                and one.body.get("signer") == signer["signer"]
                and (act is None or one.body.get("act") == act)
            ]
            # The row keeps the first opening and the last proven intent.
            if times and row.get(key) not in times:
                problems.append(
                    wrong(
                        f"{signer['signer']}: {key} is not recorded so",
                        f"{signer['signer']}：{key} 与记录不符",
                    )
                )
    return problems
