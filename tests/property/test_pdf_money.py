"""Chinese capitals for money read back to the same amount, by a reader written the other way round."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.core.errors import InputError
from signing.templates.money import AMOUNT_MAX_FEN, capitals, figures

DIGITS = {char: value for value, char in enumerate("零壹贰叁肆伍陆柒捌玖")}
SMALL = {"拾": 10, "佰": 100, "仟": 1000}
BIG = {"万": 10**4, "亿": 10**8}


def read(text: str) -> int:
    """Sum up as one reads aloud: digit, unit, group."""
    assert text.startswith("人民币")
    yuan = group = digit = fen = 0
    for char in text[3:]:
        if char in DIGITS:
            digit = DIGITS[char]
        elif char in SMALL:
            group, digit = group + digit * SMALL[char], 0
        elif char in BIG:
            yuan, group, digit = yuan + (group + digit) * BIG[char], 0, 0
        elif char == "元":
            yuan, group, digit = yuan + group + digit, 0, 0
        elif char in "角分":
            fen, digit = fen + digit * (10 if char == "角" else 1), 0
        else:
            assert char == "整"
    return yuan * 100 + fen


@given(st.integers(0, AMOUNT_MAX_FEN))
@example(100_100_001_00)
@example(10_000_00)
@example(100_000_000_00)
@example(1_000_000_000_001)
def test_capitals_read_back_to_the_same_amount(fen):
    text = capitals(fen)
    assert read(text) == fen
    assert "零零" not in text
    assert text.endswith(("整", "分"))


@given(st.integers(0, AMOUNT_MAX_FEN))
def test_figures_read_back_to_the_same_amount(fen):
    assert int(figures(fen).removeprefix("¥").replace(",", "").replace(".", "")) == fen


@pytest.mark.parametrize(
    ("fen", "text"),
    [
        (0, "人民币零元整"),
        (1, "人民币壹分"),
        (140_950, "人民币壹仟肆佰零玖元伍角整"),
        (600_714, "人民币陆仟零柒元壹角肆分"),
        (32_504, "人民币叁佰贰拾伍元零肆分"),
        (10_000_00, "人民币壹万元整"),
        (100_005_00, "人民币壹拾万零伍元整"),
    ],
)
def test_known_amounts(fen, text):
    assert capitals(fen) == text


@pytest.mark.parametrize("fen", [-1, AMOUNT_MAX_FEN + 1])
def test_amounts_out_of_range_are_refused(fen):
    with pytest.raises(InputError) as caught:
        capitals(fen)
    assert caught.value.error_code == "template.amount_range"
