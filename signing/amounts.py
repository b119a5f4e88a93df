"""What an agreement says of money, as statements name it: an amount in fen, none at all, or nothing said."""

from __future__ import annotations

import re
from typing import Final

from ledger.core.canonical import Json

NONE: Final = "none"
"""The sender states that the agreement is about no amount of money."""
UNSTATED: Final = "unstated"
"""Nothing was said; agreements published before amounts had to be stated."""
_FEN: Final = re.compile(r"0|[1-9][0-9]{0,15}")
"""Up to 10**16 fen, above what an agreement may state."""


def amount_text(amount_minor: int | None, *, none: bool) -> str:
    """`none`, `unstated` or the amount in fen as digits.

    Args:
        none: whether the sender stated that there is no amount.
    """
    if amount_minor is not None:
        return str(amount_minor)
    return NONE if none else UNSTATED


def is_amount(value: Json) -> bool:
    """Whether `amount_text` may have made it."""
    return isinstance(value, str) and (
        value in (NONE, UNSTATED) or _FEN.fullmatch(value) is not None
    )


def yuan(amount: str) -> str:
    """Digits of fen as yuan with two places: `1234567` is `12,345.67`."""
    whole, fen = divmod(int(amount), 100)
    return f"{whole:,}.{fen:02}"


def amount_texts(amount: str) -> tuple[str, str]:
    """What a statement says of the amount, in Chinese and English."""
    if amount == UNSTATED:
        return "发起方未说明金额", "the sender said nothing of an amount"
    if amount == NONE:
        return (
            "发起方声明本文件不涉及金额",
            "the sender states that it is about no amount of money",
        )
    return (
        f"发起方载明的金额为人民币{yuan(amount)}元",
        f"the sender states the amount as CNY {yuan(amount)}",
    )
