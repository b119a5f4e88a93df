"""Manufacturing order (承揽合同): goods made to order (CC-770 to 787)."""

from __future__ import annotations

from typing import Final

from signing.templates.common import (
    closing_clause,
    disputes,
    electronic_form,
    head_facts,
    item_standard,
    party_block,
    preservation,
    service,
)
from signing.templates.data import Fields, Item
from signing.templates.layout import Clause, Document
from signing.templates.money import capitals, figures

_MATERIAL: Final = {"maker": "乙方（承揽人）", "orderer": "甲方（定作人）"}
_SUBCONTRACT: Final = ("forbidden", "with_consent")


def build(fields: Fields, *, demo: bool) -> Document:
    """Turn typed data into the document.

    Raises:
        InputError: `template.*`, the first fault in reading order.
    """
    orderer, maker = fields.organisation("party_a"), fields.organisation("party_b")
    items = fields.items("items", priced=True)
    facts = head_facts(fields)
    return Document(
        title="医用物资加工承揽合同",
        title_en="Contract for the Manufacture of Medical Supplies",
        number=fields.text("agreement_no"),
        facts=facts,
        parties=(
            party_block(orderer, role="甲方（定作人）orderer", field_name="party_a"),
            party_block(maker, role="乙方（承揽人）maker", field_name="party_b"),
        ),
        recital="依据《中华人民共和国民法典》等规定，甲乙双方在平等、自愿、公平的基础上，"
        "就乙方按照甲方要求加工医用物资并交付工作成果、甲方支付报酬事宜订立本合同。",
        clauses=(
            _object(items),
            _price(fields, items),
            _material(fields),
            _delivery(fields),
            _acceptance(fields),
            _subcontract(fields),
            _confidentiality(fields),
            _breach(fields),
            electronic_form(fields),
            preservation(fields),
            service(orderer, maker),
            disputes(fields),
            closing_clause(
                copies="本合同以电子形式签署，双方持有的同一文件字节具有同等效力；"
                "打印件仅供参考，以电子原件为准。"
            ),
        ),
        closing="（以下为签署处，无正文）双方已阅读并理解以上全部条款，对加粗条款已特别注意，确认无误后签署如下：",
        demo=demo,
    )


def _object(items: tuple[Item, ...]) -> Clause:
    head = ("序号", "名称与规格", "标准（版本）", "数量", "单位", "单价（元）", "金额（元）")
    rows = tuple(
        (
            str(n),
            f"{item.name}　{item.model}".strip(),
            item_standard(item),
            f"{item.quantity:,}",
            item.unit,
            figures(item.unit_price_fen or 0),
            figures(item.total_fen),
        )
        for n, item in enumerate(items, start=1)
    )
    return Clause(
        title="定作物、数量与质量标准",
        title_en="Object, quantity, quality",
        paragraphs=(
            "乙方按照下表为甲方加工制作定作物，数量以本表为准。",
            (
                "定作物应当符合下表所列标准的相应版本；生产日该标准已有新版本实施的，适用生产日有效的强制性版本。"
                "乙方应当具备法律、法规要求的生产资质，并随货提供批次检验合格证明。"
            ),
        ),
        table=(head, *rows),
        widths=(10, 40, 36, 18, 11, 20, 25),
    )


def _price(fields: Fields, items: tuple[Item, ...]) -> Clause:
    total = sum(item.total_fen for item in items)
    part = fields.inner("payment")
    deposit = part.integer("deposit_percent", low=0, high=100)
    days = part.integer("days_after_acceptance", low=0, high=365)
    first = total * deposit // 100
    return Clause(
        title="报酬与支付",
        title_en="Price and payment",
        paragraphs=(
            f"合同总价（含税）：{figures(total)}（大写：{capitals(total)}）。大小写不一致的，以大写为准。",
            (
                f"甲方于合同成立后五日内支付总价的 {deposit}%，即 {figures(first)}（大写：{capitals(first)}）；"
                f"余款 {figures(total - first)}（大写：{capitals(total - first)}）"
                f"于验收合格后 {days} 日内付清。乙方应当依法开具发票。"
            ),
        ),
    )


def _material(fields: Fields) -> Clause:
    part = fields.inner("material")
    supplier = _MATERIAL[part.choice("supplied_by", tuple(_MATERIAL))]
    description = part.text("description")
    return Clause(
        title="材料",
        title_en="Material",
        paragraphs=(
            f"加工所需材料由{supplier}提供，材料要求：{description}。",
            (
                "材料由一方提供的，另一方应当及时检验；发现不符合约定的，应当及时通知对方更换、补齐或者采取其他补救措施。"
                "乙方不得擅自更换甲方提供的材料，不得更换不需要修理的零部件。"
            ),
            "乙方应当按照选用的材料留存样品和进货凭证，并接受甲方检验。",
        ),
    )


def _delivery(fields: Fields) -> Clause:
    part = fields.inner("delivery")
    deadline, place = part.day("deadline"), part.text("place")
    consignee = part.text("consignee")
    carrier = part.text("carrier", optional=True)
    by = f"由{carrier}承运，" if carrier else ""
    return Clause(
        title="交付时间与地点",
        title_en="Time and place of delivery",
        paragraphs=(
            (
                f"乙方应当于 {deadline} 前（含当日）将定作物交付至：{place}；"
                f"{by}运输费用及交付前的风险由乙方承担。"
            ),
            f"收货人：{consignee}。以收货人签收时间为交付时间，签收以双方在系统中的签名记录为准。",
        ),
    )


def _acceptance(fields: Fields) -> Clause:
    part = fields.inner("acceptance")
    standard = part.text("standard")
    days = part.integer("inspection_days", low=1, high=730)
    return Clause(
        title="验收标准与检验",
        title_en="Acceptance and inspection",
        paragraphs=(
            f"验收标准：{standard}。乙方应当提交必要的技术资料和有关质量证明。",
            (
                f"甲方应当在签收后 {days} 日内检验，并将数量或者质量不符合约定的情形通知乙方；"
                "怠于通知的，视为数量和质量符合约定，但乙方知道或者应当知道定作物不符合约定的除外。"
            ),
            (
                "定作物不符合质量要求的，甲方可以合理选择请求乙方承担修理、重作、减少报酬、赔偿损失等违约责任。"
                "甲方有权在工作期间进行必要的监督检验，但不得妨碍乙方的正常工作。"
            ),
        ),
    )


def _subcontract(fields: Fields) -> Clause:
    mode = fields.choice("subcontract", _SUBCONTRACT)
    rule = (
        "乙方不得将主要工作或者辅助工作交由第三人完成。"
        if mode == "forbidden"
        else "乙方将其承揽的主要工作交由第三人完成的，应当事先取得甲方以电子签名作出的书面同意。"
    )
    return Clause(
        title="转交第三人的限制",
        title_en="Subcontracting",
        paragraphs=(
            "乙方应当以自己的设备、技术和劳力完成主要工作。" + rule,
            "经同意转交的，乙方应当就该第三人完成的工作成果向甲方负责；未经同意转交的，甲方可以解除合同。",
        ),
    )


def _confidentiality(fields: Fields) -> Clause:
    years = fields.integer("confidentiality_years", low=1, high=50)
    return Clause(
        title="保密",
        title_en="Confidentiality",
        paragraphs=(
            "乙方应当按照甲方的要求保守秘密，未经甲方许可，不得留存复制品或者技术资料。",
            (
                f"双方对因本合同知悉的对方商业秘密和个人信息负有保密义务，期限为合同终止后 {years} 年；"
                "为仲裁、诉讼或者依法监管而提交证据的除外。"
            ),
        ),
    )


def _breach(fields: Fields) -> Clause:
    rate = fields.integer("late_permille_per_day", low=0, high=10)
    return Clause(
        title="违约责任与解除",
        title_en="Breach and termination",
        highlighted=True,
        notice="limits_liability",
        paragraphs=(
            (
                f"一方逾期交付或者逾期付款的，每逾期一日，按逾期部分金额的千分之{_permille(rate)}支付违约金；"
                "违约金过分高于或者低于损失的，可以请求调整。"
            ),
            "因不可抗力不能履行的，根据影响部分或者全部免除责任，但应当及时通知并提供证明。",
            "甲方在乙方完成工作前可以随时解除合同，造成乙方损失的，应当赔偿损失。",
        ),
    )


def _permille(rate: int) -> str:
    return "零一二三四五六七八九十"[rate]
