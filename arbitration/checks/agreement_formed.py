"""Formation: at the last required signature, as the log recorded it; not at anchoring."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from ledger.core.report import Check

CODE: Final = "agreement.formed"
_ENDS: Final = ("agreement.declined", "agreement.withdrawn")


def check(context: Context) -> Check:
    """FAILED where time, file or state differ; INDETERMINATE where it is not formed."""
    bundle, agreement = context.bundle, context.bundle.agreement
    formed = context.agreement_events("agreement.formed")
    ended = [one for kind in _ENDS for one in context.agreement_events(kind)]
    state_ok = agreement["state"] == "formed" or (
        agreement["state"] == "released" and context.agreement_events("agreement.released")
    )
    if agreement["state"] != "formed" and not formed:
        state = agreement["state"]
        return conclude(
            CODE,
            [unclear(f"not formed; its state is {state}", f"未成立；状态为 {state}")],
            en="",
            zh="",
        )
    problems: list[Problem] = []
    if ended:
        problems.append(wrong("the log ended it otherwise", "日志载明其已终止"))
    if len(formed) != 1:
        problems.append(wrong("formation is not recorded exactly once", "成立记录不是恰好一条"))
        return conclude(CODE, problems, en="", zh="")
    if formed[0].body is None:
        problems.append(unclear("the entry of formation is not opened", "成立记录未披露"))
        return conclude(CODE, problems, en="", zh="")
    body, last = formed[0].body, max(str(row["signed_at"]) for row in bundle.signers)
    signatures = context.agreement_events("signature.applied")
    for en, zh, fault in (
        ("state", "状态", not state_ok),
        ("time", "时间", body["formed_at"] != agreement["formed_at"]),
        ("last signature", "末次签名", agreement["formed_at"] != last),
        ("file", "文件", body["sha256"] != bundle.part(9)["final_sha256"]),
        ("place", "地点", body["place"] != agreement["place_of_formation"]),
        ("order", "顺序", any(one.index > formed[0].index for one in signatures)),
        ("summary", "摘要", bundle.part(1)["formed_at"] != agreement["formed_at"]),
    ):
        if fault:
            problems.append(wrong(f"formed, but the {en} differs", f"已成立，但{zh}不符"))
    return conclude(
        CODE,
        problems,
        en=f"formed at {last}, the time of the last required signature",
        zh=f"于 {last} 成立，即最后一个必要签名的时间",
        formed_at=last,
    )
