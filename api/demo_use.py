"""What the lot is used for, changed with the donor's signed consent, and the number of the fiscal receipt."""

from __future__ import annotations

from typing import Final

from api.demo_acts import Way

OTHER_USE: Final = "发热门诊预检分诊（演示）"
FISCAL_NUMBER: Final = "演示-000001"
"""Of no real receipt, and not shaped as one."""


def change_use(way: Way) -> None:
    """The hospital asks, the donor's device signs; before that nothing changes."""
    named = {"change_id": way.story.id_of("puc", "use")}
    way.act(
        way.hospital,
        "purpose-ask",
        "purpose.ask",
        lot_id=way.lot_id,
        purpose=OTHER_USE,
        reason="病区已有结余（演示）",
        **named,
    )
    if not way.done("purpose-decide"):
        # Only the giver may decide; nobody else's signature counts.
        way.refused(
            way.hospital, "purpose.decide", {**named, "consent": True}, "consent by the receiver"
        )
    way.act(way.donor, "purpose-decide", "purpose.decide", consent=True, **named)
    way.story.stages.mark(
        f"变更用途为“{OTHER_USE}”，捐赠人已签署同意 change of use, the donor has signed its consent"
    )


def refer_fiscal(way: Way) -> None:
    """The number of a receipt that only a body entitled to it issues; ours is invented."""
    issued = way.story.started_at.date().isoformat()
    way.act(
        way.hospital,
        "fiscal",
        "fiscal.refer",
        lot_id=way.lot_id,
        number=FISCAL_NUMBER,
        issued_on=issued,
        issuer="示例（虚构）开票单位",
    )
    way.story.stages.mark(
        f"登记财政票据号码 fiscal receipt referenced: {FISCAL_NUMBER}（虚构 invented；"
        "本系统不开票 this system issues none）"
    )
