"""Between a page as a reader sees it, upright, and the page's own space with its /Rotate and its crop box."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from signing.pdf_reading import inherited, visible_box
from signing.render import Box

Matrix: TypeAlias = tuple[float, float, float, float, float, float]
QUARTERS: Final = (0, 90, 180, 270)


def turn_of(page: Any) -> int:
    """How far a reader turns the page clockwise: 0, 90, 180 or 270; odd values count as 0."""
    turn = inherited(page, "/Rotate")
    try:
        found = int(turn or 0) % 360
    except (TypeError, ValueError):
        return 0
    return found if found in QUARTERS else 0


def shown_size(page: Any) -> tuple[float, float]:
    """Width and height of the page as a reader sees it, in points."""
    left, bottom, right, top = visible_box(page)
    wide, high = right - left, top - bottom
    return (high, wide) if turn_of(page) in {90, 270} else (wide, high)


def upright(turn: int, box: tuple[float, float, float, float]) -> Matrix:
    """From the upright page, whose lower left corner is (0, 0), to the space in which `box` lies.

    Args:
        box: left, bottom, right, top of what is seen.
    """
    left, bottom, right, top = box
    return {
        0: (1.0, 0.0, 0.0, 1.0, left, bottom),
        90: (0.0, 1.0, -1.0, 0.0, right, bottom),
        180: (-1.0, 0.0, 0.0, -1.0, right, top),
        270: (0.0, -1.0, 1.0, 0.0, left, top),
    }[turn]


def user_box(
    page: Any, *, x: float, y: float, width: float, height: float
) -> tuple[float, float, float, float]:
    """A box on the upright page as left, bottom, right, top in the page's own space."""
    a, b, c, d, e, f = upright(turn_of(page), visible_box(page))
    xs, ys = [], []
    for px, py in ((x, y), (x + width, y + height)):
        xs.append(a * px + c * py + e)
        ys.append(b * px + d * py + f)
    return min(xs), min(ys), max(xs), max(ys)


def shown_box(page: Any, box: Box) -> Box:
    """A box in the page's own space as it lies on the upright page: the reverse of `user_box`."""
    a, b, c, d, e, f = upright(turn_of(page), visible_box(page))
    # The matrix turns by quarters, so that its transpose is its inverse.
    corners = [(x - e, y - f) for x, y in ((box.left, box.bottom), (box.right, box.top))]
    xs = [a * x + b * y for x, y in corners]
    ys = [c * x + d * y for x, y in corners]
    return Box(box.page, min(xs), min(ys), max(xs), max(ys))


def numbers(values: tuple[float, ...]) -> str:
    """As PDF operands."""
    return " ".join(f"{value:.4f}".rstrip("0").rstrip(".") for value in values)
