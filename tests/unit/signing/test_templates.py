"""Templates: complete clauses, boxes where they are said to be, and every fault named."""

from __future__ import annotations

import copy
import itertools

import pytest

from ledger.core.errors import FuqiError
from signing.fonts import find_font
from signing.render import page_count, page_texts
from signing.templates.breaking import NOT_FIRST, NOT_LAST, break_lines
from signing.templates.library import TEMPLATES, render
from signing.testing_pdf import SAMPLE_DONATION, SAMPLE_MANUFACTURING

SAMPLES = {"donation": SAMPLE_DONATION, "manufacturing": SAMPLE_MANUFACTURING}
EVERYWHERE = [
    "电子签名法",
    "以约定方式保存、传输、提取",
    "送达地址确认",
    "示例仲裁委员会（虚构）",
    "统一社会信用代码",
    "镕㛃",
    "𠮷",
    "𬱖",
]
CLAUSES = {
    "donation": [
        "YY 0469-2011",
        "20,000",
        "20261101A",
        "2026年12月5日",
        "不得任意撤销",
        "医护人员防护",
        "不是财政票据",
    ],
    "manufacturing": [
        "GB 19082-2023",
        "材料",
        "验收标准",
        "检验",
        "第三人",
        "保密",
        "¥154,200.00",
        "人民币壹拾伍万肆仟贰佰元整",
        "人民币肆万陆仟贰佰陆拾元整",
    ],
}


def text_of(data: bytes) -> str:
    return "".join(page_texts(data)).replace("\r\n", "").replace("\n", "")


def changed(name: str, path: str, value: object) -> dict:
    data = copy.deepcopy(dict(SAMPLES[name]))
    *parents, last = path.split(".")
    node = data
    for key in parents:
        node = node[int(key)] if isinstance(node, list) else node[key]
    if value is None:
        del node[last]
    else:
        node[int(last) if isinstance(node, list) else last] = value
    return data


def refused(name: str, path: str, value: object) -> tuple[str, object]:
    with pytest.raises(FuqiError) as caught:
        render(name, data=changed(name, path, value), demo=True)
    return caught.value.error_code, caught.value.context.get("field")


def test_every_template_has_a_sample():
    assert set(TEMPLATES) == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_template_says_what_the_law_and_the_parties_need(name):
    text = text_of(render(name, data=SAMPLES[name], demo=True).pdf)
    for expected in [*EVERYWHERE, *CLAUSES[name]]:
        assert expected in text, expected


@pytest.mark.parametrize("name", SAMPLES)
def test_the_same_input_gives_the_same_bytes(name):
    first, second = (render(name, data=SAMPLES[name], demo=True) for _ in range(2))
    assert first == second
    assert first != render(name, data=SAMPLES[name], demo=False)


@pytest.mark.parametrize("name", SAMPLES)
def test_each_page_of_a_demonstration_is_marked_and_of_a_real_one_not(name):
    for demo in (True, False):
        made = render(name, data=SAMPLES[name], demo=demo)
        pages = page_texts(made.pdf)
        assert len(pages) == made.pages == page_count(made.pdf)
        for number, page in enumerate(pages, start=1):
            assert f"第 {number} 页 共 {made.pages} 页" in page
            assert page.count("非真实合同") == (3 if demo else 0)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_signature_boxes_lie_on_the_last_page_without_overlap(name):
    made = render(name, data=SAMPLES[name], demo=True)
    first, second = made.fields
    assert {first.name, second.name} == {"party_a", "party_b"}
    assert first.page == second.page == made.pages - 1
    assert first.x + first.width <= second.x
    for box in made.fields:
        assert 0 <= box.x <= 595 - box.width
        assert 0 <= box.y <= 842 - box.height


def test_a_long_table_and_long_texts_flow_over_pages():
    item = SAMPLE_DONATION["items"][0]
    data = {**SAMPLE_DONATION, "items": [item] * 120, "purpose": "甘。" * 300}
    made = render("donation", data=data, demo=True)
    assert made.pages > 6
    text = text_of(made.pdf)
    assert text.count("20261101A") == 120
    assert text.count("甘") == 300


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("donation", "agreement_no"),
        ("donation", "party_a"),
        ("donation", "party_b.handler"),
        ("donation", "items"),
        ("donation", "items.0.quantity"),
        ("donation", "items.0.standard"),
        ("donation", "delivery.deadline"),
        ("donation", "purpose"),
        ("donation", "arbitration.institution"),
        ("donation", "preservation.chain"),
        ("manufacturing", "items.0.unit_price_fen"),
        ("manufacturing", "payment.deposit_percent"),
        ("manufacturing", "acceptance.inspection_days"),
        ("manufacturing", "subcontract"),
        ("manufacturing", "confidentiality_years"),
    ],
)
def test_a_missing_field_is_named(name, path):
    assert refused(name, path, None) == ("template.field_missing", path)


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("agreement_no", 7, "template.field_type"),
        ("party_a", "x", "template.field_type"),
        ("party_a.uscc", "123", "template.field_format"),
        ("items", "x", "template.field_type"),
        ("items", ["x"], "template.field_type"),
        ("items.0.quantity", 0, "template.field_range"),
        ("items.0.quantity", -5, "template.field_range"),
        ("items.0.quantity", True, "template.field_type"),
        ("items.0.quantity", "5", "template.field_type"),
        ("items.0.expiry", "2026-13-01", "template.field_date"),
        ("delivery.deadline", "soon", "template.field_date"),
        ("purpose", "字" * 2_001, "template.field_too_long"),
        ("preservation.years", 1, "template.field_range"),
    ],
)
def test_a_wrong_value_is_refused_and_named(path, value, code):
    found, field = refused("donation", path, value)
    assert found == code
    assert str(field).startswith(path.split(".")[0])


def test_a_choice_outside_the_list_is_refused():
    assert refused("manufacturing", "subcontract", "maybe")[0] == "template.field_choice"
    assert refused("manufacturing", "material.supplied_by", "god")[0] == "template.field_choice"


def test_too_many_lines_of_goods_are_refused():
    many = [SAMPLE_DONATION["items"][0]] * 501
    assert refused("donation", "items", many)[0] == "template.items_too_many"


def test_a_total_beyond_every_contract_is_refused():
    data = changed("manufacturing", "items.0.quantity", 10**12)
    with pytest.raises(FuqiError) as caught:
        render("manufacturing", data=data, demo=True)
    assert caught.value.error_code == "template.amount_range"


def test_an_unknown_template_and_language_are_refused():
    for arguments, code in (
        ({"template_id": "loan"}, "template.unknown"),
        ({"template_id": "donation", "lang": "fr"}, "template.lang"),
    ):
        with pytest.raises(FuqiError) as caught:
            render(data=SAMPLE_DONATION, demo=True, **arguments)
        assert caught.value.error_code == code


def test_a_name_that_cannot_be_printed_is_refused():
    assert refused("donation", "party_a.handler", "张😀")[0] == "font.missing_glyph"
    assert refused("donation", "party_a.handler", "张\u202e三")[0] == "font.unprintable"


def test_markup_in_a_value_is_printed_and_not_obeyed():
    data = changed("donation", "party_a.name", '<font color="white">隐藏</font> & <b>')
    text = text_of(render("donation", data=data, demo=True).pdf)
    assert '<font color="white">隐藏</font> & <b>' in text


def test_a_given_font_is_used():
    font = find_font(bold=True)
    assert render("donation", data=SAMPLE_DONATION, demo=True, font=font).pages >= 3


def test_no_line_begins_with_a_mark_that_may_not_and_words_stay_whole():
    text = "甲方应当，在（示例地点）交付；联系 handler@example.invalid 并引用 GB 19083-2023。" * 6
    for width in range(60, 300, 7):
        lines = break_lines(
            text, first_width=width, width=width, measure=lambda part: 10 * len(part)
        )
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
        if width < 250:
            continue
        for before, after in itertools.pairwise(lines):
            assert after[0] not in NOT_FIRST
            assert before[-1] not in NOT_LAST
            assert not (
                before[-1].isascii()
                and before[-1].isalnum()
                and after[0].isascii()
                and after[0].isalnum()
            ), (before, after)
