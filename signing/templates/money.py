"""Amounts of fen in figures and in Chinese capitals (大写), as contracts and cheques write them.

Source: 正确填写票据和结算凭证的基本规定 (People's Bank of China), the rules on 零 and 整.
"""

from __future__ import annotations

from typing import Final

from ledger.core.errors import InputError

AMOUNT_MAX_FEN: Final = 10**14 - 1
"""Below one trillion yuan: above every contract, below 2**53."""

_DIGITS: Final = "零壹贰叁肆伍陆柒捌玖"
_SMALL_UNITS: Final = ("", "拾", "佰", "仟")
_BIG_UNITS: Final = ("", "万", "亿")


def figures(fen: int) -> str:
    """`¥1,234.05`.

    Raises:
        InputError: `template.amount_range`.
    """
    _require_range(fen)
    return f"¥{fen // 100:,}.{fen % 100:02d}"


def capitals(fen: int) -> str:
    """`人民币壹仟贰佰叁拾肆元零伍分`.

    Raises:
        InputError: `template.amount_range`.
    """
    _require_range(fen)
    yuan, jiao, cents = fen // 100, fen // 10 % 10, fen % 10
    text = f"{_integer(yuan)}元" if yuan else ""
    if not jiao and not cents:
        return f"人民币{text or '零元'}整"
    if jiao:
        text += f"{_DIGITS[jiao]}角"
    elif yuan:
        text += "零"
    text += f"{_DIGITS[cents]}分" if cents else "整"
    return f"人民币{text}"


def _integer(number: int) -> str:
    """Four digits at a time; one 零 for any run of zeros between two digits that are read."""
    parts: list[str] = []
    group_index = 0
    zero_before = False
    while number:
        number, group = divmod(number, 10_000)
        if group:
            text = _group(group) + _BIG_UNITS[group_index]
            if zero_before:
                text += "零"
            parts.append(text)
            zero_before = group < 1000 and number > 0
        elif parts:
            zero_before = True
        group_index += 1
    return "".join(reversed(parts))


def _group(group: int) -> str:
    """1 .. 9999 without a leading 零."""
    text = ""
    pending_zero = False
    for power in (3, 2, 1, 0):
        digit = group // 10**power % 10
        if digit:
            text += ("零" if pending_zero and text else "") + _DIGITS[digit] + _SMALL_UNITS[power]
            pending_zero = False
        else:
            pending_zero = True
    return text


def _require_range(fen: int) -> None:
    if not 0 <= fen <= AMOUNT_MAX_FEN:
        raise InputError(
            "amount is out of range", code="template.amount_range", limit=AMOUNT_MAX_FEN
        )
