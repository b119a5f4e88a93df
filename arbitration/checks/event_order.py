"""The steps were taken in the right order: the order of the log, which nobody can change afterwards."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.model import Event
from ledger.core.report import Check

CODE: Final = "event.order"
_STEPS: Final = (
    ("document.delivered", None),
    ("document.opened", None),
    ("document.read", None),
    ("intent.expressed", "consent"),
    ("intent.expressed", "sign"),
    ("signature.applied", None),
)


def check(context: Context) -> Check:
    """FAILED where a signer's step is missing or stands before the step it needs."""
    problems: list[Problem] = []
    finalised = context.agreement_events("document.finalised")
    start = finalised[0].index if finalised else None
    for signer in context.bundle.signers:
        name, last = str(signer["signer"]), start
        if last is None:
            problems.append(wrong(f"{name}: the document was never finalised", "文件未定稿"))
            continue
        for kind, act in _STEPS:
            found = [one for one in _of_signer(context, kind, name) if _is_act(one, act)]
            if not found:
                step = kind if act is None else f"{kind} ({act})"
                closed = any(one.body is None for one in context.agreement_events(kind))
                make = unclear if closed else wrong
                problems.append(make(f"{name}: {step} is missing", f"{name}：缺少 {step}"))
                break
            # A step may be repeated (a page opened twice); the first one must follow what it needs.
            if found[0].index <= last:
                problems.append(wrong(f"{name}: {kind} came too early", f"{name}：{kind} 顺序颠倒"))
            last = found[0].index
    return conclude(
        CODE,
        problems,
        en="each signer was delivered, opened, read, consented, intended and signed, in this order",
        zh="每位签署方依次完成送达、打开、阅读、同意、表达意愿与签署",
    )


def _of_signer(context: Context, kind: str, signer: str) -> list[Event]:
    return [
        one
        for one in context.agreement_events(kind)
        if one.body is not None and one.body.get("signer") == signer
    ]


def _is_act(event: Event, act: str | None) -> bool:
    return act is None or (event.body or {}).get("act") == act
