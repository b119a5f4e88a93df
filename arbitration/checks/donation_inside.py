"""What the checks of the bundles inside a donation's bundle found."""

from __future__ import annotations

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, unclear, wrong
from arbitration.container import unpack
from arbitration.donation_model import AGREEMENTS, donation_part, inside
from arbitration.donation_story import tell_donation
from arbitration.model import open_files
from ledger.core.report import Verdict


def inner_problems(context: Context, folder: str) -> tuple[int, list[Problem]]:
    """(bundles in a folder, what did not pass in them or is not of this donation)."""
    names = sorted(inside(context.bundle, folder))
    problems: list[Problem] = []
    for name in names:
        report = context.nested[f"{folder}{name}.zip"]
        for one in report.checks:
            if one.verdict is not Verdict.PASSED:
                make = wrong if one.verdict is Verdict.FAILED else unclear
                problems.append(
                    make(
                        f"{name}: {one.code}: {one.summary_en}",
                        f"{name}：{one.code}：{one.summary_zh}",
                    )
                )
    told = tell_donation(context.bundle)
    if folder == AGREEMENTS:
        wanted = {str(one.body["agreement"]) for one in told.lots}
        problems += [
            wrong(f"{name} holds another agreement", f"{name} 内为另一份协议")
            for name, data in inside(context.bundle, folder).items()
            if open_files(unpack(data)).agreement["id"] != name
        ]
        problems += [
            wrong(f"{name} is of no lot here", f"{name} 与包内批次无关")
            for name in names
            if name not in wanted
        ]
        problems += [
            unclear(f"{name} is not here", f"缺少协议 {name}")
            for name in sorted(wanted - set(names))
        ]
        return len(names), problems
    offers = set(donation_part(context.bundle)["offers"])
    problems += [
        wrong(f"{one.id} is of another offer", f"{one.id} 属于其他供给")
        for one in told.lots
        if one.body["offer"] not in offers
    ]
    return len(names), problems
