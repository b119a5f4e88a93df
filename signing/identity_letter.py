"""The letter of authority (授权委托书) as a document: what it says is what the authorisation holds.

Source: Civil Code 165 (agent, matters, powers, period, principal's signature).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.core.units import utc_text
from signing.fonts import find_font
from signing.identity import Authorisation
from signing.templates.layout import Clause, Document, PartyBlock, Rendered, lay_out

WORDS: Final = {
    "donation": "公益捐赠",
    "manufacturing": "加工承揽",
    "other": "其他合同",
    "accept": "接受分配",
    "consent": "同意以电子形式订立",
    "read": "阅读",
    "sign": "签署",
    "approve": "批准用印",
}
"""Codes of matters and powers; a code that has no word here stands as it is."""


@dataclass(frozen=True, slots=True)
class Names:
    """How principal, legal representative and agent are called.

    Attributes:
        organisation_number, agent_number: masked where they are a person's.
    """

    organisation: str
    organisation_number: str
    representative: str
    agent: str
    agent_number: str


def letter(value: Authorisation, names: Names) -> Rendered:
    """The letter, with one field for the legal representative: the same input gives the same bytes.

    Raises:
        InputError: `font.missing_glyph`, `font.unprintable`, `font.text_too_long`.
        UnavailableError: `font.not_found`.
    """
    amount = (
        "不限" if value.amount_max is None else f"人民币 {_yuan(value.amount_max)} 元以下（含本数）"
    )
    seals = "、".join(sorted(value.seal_scope)) or "无"
    document = Document(
        title="授权委托书",
        title_en="Letter of Authority",
        number=value.id,
        facts=(("授权编号 No.", value.id),),
        parties=(
            PartyBlock(
                role="委托人 principal",
                name=names.organisation,
                field_name="representative",
                rows=(
                    ("统一社会信用代码", names.organisation_number),
                    ("法定代表人", names.representative),
                ),
            ),
        ),
        recital=f"委托人授权 {names.agent}（证件号码 {names.agent_number}）为代理人，"
        "以委托人名义办理下列事项，其行为的法律后果由委托人承担。",
        clauses=(
            Clause("代理事项", "Matters", (_list(value.matters),)),
            Clause("代理权限", "Powers", (_list(value.powers),)),
            Clause("金额限制", "Amount", (f"单份合同金额：{amount}。",)),
            Clause("用印范围", "Seals", (f"可使用的印章：{seals}。",)),
            Clause(
                "期限",
                "Period",
                (
                    f"自 {utc_text(value.valid_from)} 起至 {utc_text(value.valid_to)} 止（不含末时）。",
                ),
            ),
            Clause(
                "撤销与转委托",
                "Revocation",
                ("委托人可随时撤销本授权，撤销自登记时起生效；代理人不得转委托。",),
                highlighted=True,
            ),
        ),
        closing="（以下为签署处，无正文）",
        demo=False,
    )
    return lay_out(document, font=find_font(), bold=find_font(bold=True))


def marks_of(value: Authorisation) -> tuple[str, ...]:
    """What must stand in a letter that grants as much: its number, each code, the limit, the period.

    Codes and numbers, not sentences: a later wording of the letter does not unsay an earlier one.
    """
    amount = "不限" if value.amount_max is None else f"{_yuan(value.amount_max)} 元以下"
    codes = sorted(value.matters | value.powers)
    return (
        value.id,
        *(f"（{code}）" for code in codes),
        amount,
        *sorted(value.seal_scope - {"none"}),
        utc_text(value.valid_from),
        utc_text(value.valid_to),
    )


def _list(words: frozenset[str]) -> str:
    return "、".join(f"{WORDS.get(word, word)}（{word}）" for word in sorted(words)) + "。"


def _yuan(fen: int) -> str:
    return f"{fen // 100:,}.{fen % 100:02d}"
