"""Does a later signature hide what stood in its box when an earlier party signed?

A box that stood there empty may be filled: whoever signed before saw it. But a picture laid over an earlier
signature, over a filled field or over figures - an amount, a date, a quantity - changes what the page says.
A seal in red over black text hides nothing; a white ground does.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from typing import Final

from signing.render import Box, PageView

Place = tuple[int, int, int, int]

_PIXEL: Final = 4
EDGE_PX: Final = 3
"""Places are grown by two pixels for rounding; a frame around the box is not what stands in it."""
CONTRAST: Final = 96
"""How much darker, of 255 in some colour, than its ground what is read stands out."""
LIGHTENED_PERCENT: Final = 3
LIGHTENED_PX_MIN: Final = 8
"""Of what stood out, so much may become ground: less is the edge of a letter."""
LEFT_PERCENT: Final = 25
"""Of the contrast that was there, so much must be left: under one solid colour nothing is read."""
CELL_PX: Final = 12
"""Side of the squares in which contrast is looked for: about one character at 60 dpi."""
CELL_MARKS_MIN: Final = 6
"""Pixels that stand out in a square below which there is no character in it."""
_SIGNS: Final = frozenset("¥￥$€%％‰零壹贰叁肆伍陆柒捌玖拾佰仟萬億")


def has_figures(text: str) -> bool:
    """Whether a text holds digits, Chinese numerals or signs of amounts."""
    return any(one in _SIGNS or unicodedata.numeric(one, None) is not None for one in text)


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes of a page share a whole point of area in both directions."""
    wide = min(one.right, other.right) - max(one.left, other.left)
    high = min(one.top, other.top) - max(one.bottom, other.bottom)
    return one.page == other.page and wide >= 1 and high >= 1


def blank(view: PageView, place: Place) -> bool:
    """Whether the place shows one colour only: nothing that could be read."""
    left, top, right, bottom = place
    row = view.width * _PIXEL
    rows = {
        view.pixels[y * row + left * _PIXEL : y * row + right * _PIXEL] for y in range(top, bottom)
    }
    first = next(iter(rows), b"")
    return len(rows) <= 1 and first == first[:_PIXEL] * (right - left)


def hides(before: PageView, after: PageView, place: Place) -> bool:
    """Whether what stood out in the place before cannot be read any more."""
    left, top, right, bottom = place
    inner = (left + EDGE_PX, top + EDGE_PX, right - EDGE_PX, bottom - EDGE_PX)
    if inner[0] >= inner[2] or inner[1] >= inner[3] or blank(before, inner):
        return False  # an empty place, as nearly all are
    old = _darkness(before, inner)
    shades = set(old)
    if max(shades, default=0) - min(shades, default=0) <= CONTRAST:
        return False
    ground = max(shades, key=old.count)
    marks = [n for n, value in enumerate(old) if abs(value - ground) > CONTRAST]
    if not marks:
        return False
    new = _darkness(after, inner)
    # Ink of another colour keeps what it covers dark; only paper makes it light.
    lightened = sum(old[n] - new[n] > CONTRAST for n in marks)
    if lightened >= LIGHTENED_PX_MIN and lightened * 100 > len(marks) * LIGHTENED_PERCENT:
        return True
    return _any_cell_lost(before, after, inner, marks)


def _any_cell_lost(before: PageView, after: PageView, place: Place, marks: Sequence[int]) -> bool:
    """Whether somewhere in the place marks and ground have become alike in every colour.

    Looked at in small cells: a solid block over one figure leaves the rest of a large box as it was.
    """
    left, top, right, _bottom = place
    wide = right - left
    cells: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for n in marks:
        x, y = n % wide, n // wide
        cells.setdefault((x // CELL_PX, y // CELL_PX), set()).add((left + x, top + y))
    for (column, line), held in cells.items():
        if len(held) < CELL_MARKS_MIN:
            continue
        x1, y1 = left + column * CELL_PX, top + line * CELL_PX
        cell = [
            (x, y)
            for y in range(y1, min(y1 + CELL_PX, place[3]))
            for x in range(x1, min(x1 + CELL_PX, right))
        ]
        rest = [one for one in cell if one not in held]
        old, new = (_contrast(view, held, rest) for view in (before, after))
        if 100 * new < LEFT_PERCENT * old:
            return True
    return False


def _contrast(
    view: PageView, marks: Collection[tuple[int, int]], rest: Collection[tuple[int, int]]
) -> int:
    """The largest difference of means in any colour, in hundredths."""
    if not rest:
        return 0
    found = 0
    for colour in range(3):
        mean = [
            sum(view.pixels[(y * view.width + x) * _PIXEL + colour] for x, y in group)
            * 100
            // len(group)
            for group in (marks, rest)
        ]
        found = max(found, abs(mean[0] - mean[1]))
    return found


def _darkness(view: PageView, place: Place) -> list[int]:
    """255 minus the darkest colour channel of each pixel inside the place."""
    left, top, right, bottom = place
    row = view.width * _PIXEL
    found: list[int] = []
    for y in range(top, bottom):
        line = view.pixels[y * row + left * _PIXEL : y * row + right * _PIXEL]
        darkest = map(min, line[0::_PIXEL], line[1::_PIXEL], line[2::_PIXEL])
        found += [255 - value for value in darkest]
    return found
