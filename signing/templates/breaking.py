"""Line breaking for Chinese text with Latin words in it.

ReportLab's own rule knows only some of the marks that may not begin a line, and it cuts words.
Source of the rules: GB/T 15834-2011, section 5 (place of punctuation marks).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

NOT_FIRST: Final = frozenset("，。；：、！？）》〉」』】”’…—％%,.;:!?)]}·")
NOT_LAST: Final = frozenset("（《〈「『【“‘([{¥￥")
BACK_MAX: Final = 12
"""Characters taken to the next line at most, so that a row of marks cannot empty a line."""


def break_lines(
    text: str, *, first_width: float, width: float, measure: Callable[[str], float]
) -> list[str]:
    """Split `text` into lines that fit.

    Args:
        first_width: room of the first line in points, `width` that of the others.
        measure: width of a text in points.
    """
    lines: list[str] = []
    start, room = 0, first_width
    while start < len(text):
        end, used = start, 0.0
        while end < len(text):
            used += measure(text[end])
            if used > room and end > start:
                break
            end += 1
        if end < len(text):
            end = _better_break(text, start, end)
        lines.append(text[start:end])
        start, room = end, width
        while start < len(text) and text[start] == " ":
            start += 1
    return lines


def _better_break(text: str, start: int, end: int) -> int:
    """The last allowed break at or before `end`, `end` itself where none is near."""
    for candidate in range(end, max(start + 1, end - BACK_MAX * 3), -1):
        if _allowed(text, candidate) and (
            end - candidate <= BACK_MAX or text[candidate - 1 : candidate] == " "
        ):
            return candidate
    return end


def _allowed(text: str, at: int) -> bool:
    before, after = text[at - 1], text[at]
    if after in NOT_FIRST or before in NOT_LAST:
        return False
    return not (_in_word(before) and _in_word(after))


def _in_word(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char in "@._-/+")
