"""A donation certificate stands only beside a lot of which its hospital accepted units, and says how many.

It is a paper of the platform, which nobody signed: its text is held against the entries of the lot. What a page
shows beside its text proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from arbitration.checks.context import Context
from arbitration.checks.results import Problem, conclude, wrong
from arbitration.donation_model import CERTIFICATES, inside
from arbitration.donation_story import LotTold, tell_donation
from ledger.core.errors import FuqiError
from ledger.core.report import Check
from signing import render

CODE: Final = "donation.certificates"
PDF_HEAD: Final = b"%PDF-"
PAGES_MAX: Final = 1
"""A certificate has one page."""


def check(context: Context) -> Check:
    """FAILED for a certificate of nothing, of other units or another lot, or a file that is no PDF."""
    lots = {one.id: one for one in tell_donation(context.bundle).lots}
    held = inside(context.bundle, CERTIFICATES)
    problems: list[Problem] = []
    for name, data in sorted(held.items()):
        lot = lots.get(name)
        if lot is None or not lot.accepted:
            problems.append(wrong(f"{name}: nothing was accepted", f"{name} 并无验收数量"))
        elif not data.startswith(PDF_HEAD):
            problems.append(wrong(f"{name}: no PDF", f"{name} 不是 PDF"))
        else:
            problems += _said(lot, data)
    return conclude(
        CODE,
        problems,
        en=f"{len(held)} donation certificates say what a hospital accepted; nobody signed their words",
        zh=f"{len(held)} 份捐赠证书所载数量与医院验收记录一致；证书文字未经任何人签署",
        certificates=len(held),
    )


def _said(lot: LotTold, data: bytes) -> Iterator[Problem]:
    """What the text says otherwise than the entries; lines are those of `api.goods_papers`."""
    try:
        pages = render.page_texts(data, pages_max=PAGES_MAX + 1)
    except FuqiError:
        pages = ()
    if len(pages) != PAGES_MAX:
        yield wrong(f"{lot.id}: cannot be read as a certificate", f"{lot.id} 的证书无法读取")
        return
    said = dict(line.split("：", 1) for line in pages[0].splitlines() if "：" in line)
    wanted = {
        "证明编号 No.": lot.id,
        "开立数量 given": f"{lot.story.quantity:,}",
        "双人验收合格 accepted by two persons": f"{lot.accepted:,}",
        "依据 agreement": str(lot.body["agreement"]),
    }
    for name, value in wanted.items():
        if said.get(name, "").strip() != value:
            yield wrong(
                f"{lot.id}: the certificate says another “{name}”",
                f"{lot.id} 的证书所载“{name}”不符",
            )
