"""Donation agreement (捐赠协议): a gift for the public good, irrevocable once signed (CC-657 to 663)."""

from __future__ import annotations

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


def build(fields: Fields, *, demo: bool) -> Document:
    """Turn typed data into the document.

    Raises:
        InputError: `template.*`, the first fault in reading order.
    """
    donor, recipient = fields.organisation("party_a"), fields.organisation("party_b")
    items = fields.items("items", priced=False)
    facts = head_facts(fields)
    return Document(
        title="公益捐赠协议",
        title_en="Agreement on a Donation for the Public Good",
        number=fields.text("agreement_no"),
        facts=facts,
        parties=(
            party_block(donor, role="甲方（捐赠人）donor", field_name="party_a"),
            party_block(recipient, role="乙方（受赠人）recipient", field_name="party_b"),
        ),
        recital="为支援医疗救治，依据《中华人民共和国民法典》《中华人民共和国慈善法》"
        "《中华人民共和国公益事业捐赠法》等规定，甲乙双方在平等、自愿的基础上，就甲方向乙方捐赠物资事宜订立本协议。",
        clauses=(
            _object(items),
            _delivery(fields),
            _gift(fields),
            _receipt(),
            electronic_form(fields),
            preservation(fields),
            service(donor, recipient),
            disputes(fields),
            closing_clause(
                copies="本协议以电子形式签署，双方持有的同一文件字节具有同等效力；"
                "打印件仅供参考，以电子原件为准。"
            ),
        ),
        closing="（以下为签署处，无正文）双方已阅读并理解以上全部条款，对加粗条款已特别注意，确认无误后签署如下：",
        demo=demo,
    )


def _object(items: tuple[Item, ...]) -> Clause:
    head = ("序号", "名称与规格", "标准（版本）", "批号 / 有效期", "数量", "单位")
    rows = tuple(
        (
            str(n),
            f"{item.name}　{item.model}".strip(),
            item_standard(item),
            " / ".join(part for part in (item.lot, item.expiry) if part) or "—",
            f"{item.quantity:,}",
            item.unit,
        )
        for n, item in enumerate(items, start=1)
    )
    return Clause(
        title="捐赠标的、数量与质量",
        title_en="Object, quantity, quality",
        paragraphs=(
            "甲方自愿无偿向乙方捐赠下表所列物资，数量以本表为准。",
            (
                "甲方保证对捐赠物资享有合法处分权，物资不在召回或者禁止使用之列，交付时在有效期内，"
                "并符合下表所列标准的相应版本；表列标准的版本以生产日适用者为准。"
            ),
            "甲方故意不告知瑕疵或者保证无瑕疵，造成乙方损失的，应当承担赔偿责任。",
        ),
        table=(head, *rows),
        widths=(11, 46, 41, 33, 18, 11),
    )


def _delivery(fields: Fields) -> Clause:
    part = fields.inner("delivery")
    deadline, place = part.day("deadline"), part.text("place")
    consignee = part.text("consignee")
    carrier = part.text("carrier", optional=True)
    by = f"由{carrier}承运，" if carrier else ""
    return Clause(
        title="交付时间、地点与验收",
        title_en="Time and place of delivery, acceptance",
        paragraphs=(
            f"甲方应当于 {deadline} 前（含当日）将捐赠物资交付至：{place}；{by}运输费用由甲方承担。",
            f"收货人：{consignee}。以收货人签收时间为交付时间，签收以双方在系统中的签名记录为准。",
            (
                "乙方应当在签收后三日内清点验收；数量短缺、包装破损或者质量不符的，应当在该期限内提出并留存证据，"
                "逾期未提出的，视为数量和外观符合约定。"
            ),
        ),
    )


def _gift(fields: Fields) -> Clause:
    purpose = fields.text("purpose")
    return Clause(
        title="公益用途与不可撤销",
        title_en="Public-interest use; irrevocability",
        highlighted=True,
        notice="termination",
        paragraphs=(
            (
                f"捐赠物资的用途：{purpose}。乙方应当按照上述用途使用，不得转售或者挪作他用；"
                "确需改变用途的，应当事先征得甲方书面同意。"
            ),
            "本捐赠属于具有公益性质的赠与，甲方签署后不得任意撤销；甲方到期不交付的，乙方可以请求交付。",
            "甲方经济状况显著恶化，严重影响其生产经营，并依法向主管部门报告、说明情况后，可以不再履行捐赠义务。",
            (
                "甲方不得以捐赠为条件要求乙方采购其产品、为其宣传或者给予其他利益。"
                "乙方应当如实记录物资的接收、分配和使用，并接受甲方查询。"
            ),
        ),
    )


def _receipt() -> Clause:
    return Clause(
        title="接收凭证",
        title_en="Note of receipt (not a fiscal receipt)",
        paragraphs=(
            "乙方验收后在系统中出具电子接收凭证，载明名称、批号、数量和接收时间。",
            (
                "该接收凭证不是财政票据，不作为税前扣除的凭据；甲方需要公益事业捐赠票据的，"
                "由依法有权开具的单位另行开具。"
            ),
        ),
    )
