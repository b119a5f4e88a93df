"""Every unit offered is at exactly one place: the entries are added up again."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, unclear, wrong
from arbitration.donation_model import donation_part
from arbitration.donation_story import account_rows, tell_donation
from ledger.core.report import Check

CODE: Final = "donation.sum"


def check(context: Context) -> Check:
    """FAILED where units are missing or doubled, or stand elsewhere than the bundle says."""
    told = tell_donation(context.bundle)
    places = told.places()
    problems: list[Problem] = [
        wrong(f"{units} units are at {name}", f"{name} 出现 {units} 件")
        for name, units in places.items()
        if units < 0
    ]
    if account_rows(places) != donation_part(context.bundle)["account"]:
        problems.append(
            wrong("the stated account is not what the entries say", "所载总账与存证记录不符")
        )
    total = sum(places.values())
    if told.offered is None:
        problems.append(unclear("how much was offered is not shown", "未披露供给数量"))
    elif total != told.offered:
        problems.append(
            wrong(
                f"{total} units are told of {told.offered}",
                f"共 {told.offered} 件，仅见 {total} 件",
            )
        )
    problems += [
        unclear(f"{one.id} keeps entries closed", f"{one.id} 有未披露的记录")
        for one in told.lots
        if one.story.closed
    ]
    return conclude(
        CODE,
        problems,
        en=f"all {total} units are at exactly one place",
        zh=f"全部 {total} 件各在且只在一处",
        places=account_rows(places),
    )
