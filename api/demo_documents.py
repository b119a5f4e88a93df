"""Documents of the demonstration: template data from an allocation, and a draft made outside the templates."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime, timedelta

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from ledger.core.canonical import Json
from ledger.tables.parties import AuthorisationRow, PartyRow
from signing.appearance import FieldSpec
from signing.fonts import find_font

INSTITUTION = "示例（虚构）江城仲裁委员会"


@dataclass(frozen=True, slots=True)
class Side:
    """One party as it stands in an agreement."""

    organisation: PartyRow
    person: PartyRow
    authorisation: AuthorisationRow
    uscc: str

    def as_data(self) -> dict[str, Json]:
        """The party block of the templates; contact data are invented."""
        return {
            "name": self.organisation.name,
            "uscc": self.uscc,
            "address": self.organisation.place or "（虚构地址）",
            "legal_representative": f"{self.person.name}（虚构）",
            "handler": self.person.name,
            "authorisation": self.authorisation.id,
            "phone": "000-0000-0000（虚构）",
            "email": "handler@example.invalid",
            "system": "fuqi（本演示系统）",
        }


@dataclass(frozen=True, slots=True)
class Goods:
    """One line of goods of an agreement."""

    name: str
    standard: str
    edition: str
    lot: str
    expiry: str
    quantity: int
    unit: str
    unit_price_fen: int | None = None

    def as_data(self) -> dict[str, Json]:
        """The goods line of the templates."""
        value: dict[str, Json] = {
            "name": self.name,
            "standard": self.standard,
            "quantity": self.quantity,
            "unit": self.unit,
        }
        told = (("edition", self.edition), ("lot", self.lot), ("expiry", self.expiry))
        value.update({key: text for key, text in told if text})
        if self.unit_price_fen is not None:
            value["unit_price_fen"] = self.unit_price_fen
        return value


def _common(
    a: Side, b: Side, goods: Goods, *, number: str, allocation: str, at: datetime
) -> dict[str, Json]:
    deadline = (at + timedelta(days=7)).date().isoformat()
    return {
        "agreement_no": number,
        "place": "武汉市（演示）",
        "allocation": allocation,
        "party_a": a.as_data(),
        "party_b": b.as_data(),
        "items": [goods.as_data()],
        "delivery": {
            "deadline": deadline,
            "place": b.organisation.place or "受赠人仓库",
            "consignee": b.person.name,
        },
        "preservation": {
            "system": "fuqi 符契（演示）",
            "chain": "内嵌单一运营者链（演示，非司法区块链）",
            "years": 20,
        },
        "arbitration": {"institution": INSTITUTION, "seat": "武汉"},
    }


def donation_data(
    donor: Side, hospital: Side, goods: Goods, *, number: str, allocation: str, at: datetime
) -> dict[str, Json]:
    """Data of the donation template."""
    return {
        **_common(donor, hospital, goods, number=number, allocation=allocation, at=at),
        "purpose": "用于受赠医院临床一线防护，不得转售或挪作他用",
    }


def manufacturing_data(
    hospital: Side, maker: Side, goods: Goods, *, number: str, allocation: str, at: datetime
) -> dict[str, Json]:
    """Data of the manufacturing template: the hospital orders, the maker works."""
    common = _common(hospital, maker, goods, number=number, allocation=allocation, at=at)
    return {
        **common,
        "delivery": {
            "deadline": (at + timedelta(days=10)).date().isoformat(),
            "place": hospital.organisation.place or "定作人仓库",
            "consignee": hospital.person.name,
        },
        "payment": {"deposit_percent": 0, "days_after_acceptance": 15},
        "material": {"supplied_by": "maker", "description": "符合标准的无纺布与熔喷布"},
        "acceptance": {"standard": goods.standard, "inspection_days": 7},
        "subcontract": "forbidden",
        "confidentiality_years": 3,
        "late_permille_per_day": 1,
    }


def outside_draft(
    donor: str, hospital: str, *, at: datetime
) -> tuple[bytes, tuple[FieldSpec, ...]]:
    """A PDF as a party's own office would upload it: a hand-over protocol, not from our templates."""
    name = find_font().name
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1, pageCompression=1)
    canvas.setTitle("物资交接备忘录（示例，虚构）")
    canvas.setFont(name, 18)
    canvas.drawCentredString(A4[0] / 2, 770, "物资交接备忘录")
    canvas.setFont(name, 11)
    day = (at + timedelta(hours=8)).strftime("%Y-%m-%d")
    lines = (
        "（本文件由当事人自行起草后上传，并非由系统模板生成；内容为虚构示例）",
        "",
        f"交付方：{donor}",
        f"接收方：{hospital}",
        f"日期：{day}",
        "",
        "一、双方就捐赠物资的交接时间、地点与点验方式达成本备忘录。",
        "二、接收方于物资到达后当场点验数量与批号，二十四小时内书面反馈差异。",
        "三、双方同意以电子签名方式签署本备忘录，并以约定方式保存、传输、提取。",
        f"四、因本备忘录产生的争议，提交{INSTITUTION}仲裁，同意在线仲裁。",
        "五、送达地址：双方在 fuqi 系统登记的指定接收系统；变更须书面通知。",
        "",
        "（以下为签署处）",
    )
    y = 720
    for line in lines:
        canvas.drawString(64, y, line)
        y -= 24
    canvas.showPage()
    canvas.save()
    boxes = tuple(
        FieldSpec(name=f"party_{letter}", page=0, x=x, y=250, width=210, height=72)
        for letter, x in (("a", 64), ("b", 318))
    )
    return buffer.getvalue(), boxes
