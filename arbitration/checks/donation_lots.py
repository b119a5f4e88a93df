"""Every bundle of a lot inside a donation's bundle passes its own checks."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.donation_inside import inner_problems
from arbitration.checks.results import conclude
from arbitration.donation_model import LOTS
from ledger.core.report import Check

CODE: Final = "donation.lots"


def check(context: Context) -> Check:
    """The worst verdict of the bundles inside, naming the check that did not pass."""
    count, problems = inner_problems(context, LOTS)
    return conclude(
        CODE,
        problems,
        en=f"the bundles of {count} lots pass every check of their own",
        zh=f"{count} 份批次证据包均通过各自的全部核验",
        lots=count,
    )
