"""A donation certificate stands only beside a lot of which its hospital accepted units."""

from __future__ import annotations

from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, wrong
from arbitration.donation_model import CERTIFICATES, inside
from arbitration.donation_story import tell_donation
from ledger.core.report import Check

CODE: Final = "donation.certificates"
PDF_HEAD: Final = b"%PDF-"


def check(context: Context) -> Check:
    """FAILED for a certificate of nothing, or a file that is no PDF; its words rest on the lot's bundle."""
    accepted = {one.id: one.accepted for one in tell_donation(context.bundle).lots}
    held = inside(context.bundle, CERTIFICATES)
    problems: list[Problem] = []
    for name, data in sorted(held.items()):
        if not accepted.get(name):
            problems.append(wrong(f"{name}: nothing was accepted", f"{name} 并无验收数量"))
        if not data.startswith(PDF_HEAD):
            problems.append(wrong(f"{name}: no PDF", f"{name} 不是 PDF"))
    return conclude(
        CODE,
        problems,
        en=f"{len(held)} donation certificates, each beside units that a hospital accepted",
        zh=f"{len(held)} 份捐赠证书，均对应医院已验收的物资",
        certificates=len(held),
    )
