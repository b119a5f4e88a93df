"""Every bundle of an agreement inside a donation's bundle passes its own checks; names are theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from arbitration.checks.context import Context
from arbitration.checks.donation_inside import inner_problems
from arbitration.checks.results import Problem, conclude, wrong
from arbitration.container import unpack
from arbitration.donation_model import AGREEMENTS, LOTS, donation_part, inside
from arbitration.lot_model import lot_part, open_lot_files
from arbitration.model import Bundle, open_files
from ledger.core.report import Check

CODE: Final = "donation.agreements"


def check(context: Context) -> Check:
    """The worst verdict of the bundles inside, naming the check that did not pass."""
    count, problems = inner_problems(context, AGREEMENTS)
    problems += _other_names(context.bundle)
    return conclude(
        CODE,
        problems,
        en=f"the bundles of {count} agreements pass every check of their own",
        zh=f"{count} 份协议证据包均通过各自的全部核验",
        agreements=count,
    )


def _other_names(bundle: Bundle) -> list[Problem]:
    """Organisations that the donation or a lot calls otherwise than an agreement, which proves its names."""
    proven: dict[str, Mapping[str, Any]] = {}
    for data in inside(bundle, AGREEMENTS).values():
        proven |= {str(row["id"]): row for row in open_files(unpack(data)).part(3)["parties"]}
    stated = list(donation_part(bundle)["parties"])
    for data in inside(bundle, LOTS).values():
        stated += lot_part(open_lot_files(unpack(data)))["parties"]
    names = {
        str(row["id"])
        for row in stated
        if str(row["id"]) in proven
        and any(row[key] != proven[str(row["id"])][key] for key in ("name", "category", "invented"))
    }
    return [
        wrong(f"{one} has another name in its agreement", f"{one} 在其协议中名称不同")
        for one in sorted(names)
    ]
