"""Handwriting: pointer strokes from a device, bounded, drawn as smooth vectors.

A stroke is a list of points in thousandths of the canvas's width, y downwards. What a person wrote is a
picture like a seal: it proves nothing alone and stands inside the signed bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.core.canonical import Json, tagged_digest
from ledger.core.errors import InputError

FORMAT: Final = "fuqi/handwriting/v1"
STROKES_MAX: Final = 100
"""A name of four complicated characters has about eighty strokes."""
POINTS_MAX: Final = 5_000
"""Sixty points a second for more than a minute of writing."""
POINTS_MIN: Final = 8
UNIT_MAX: Final = 1_000
"""Thousandths of the canvas's width; its height may be as much."""
EXTENT_MIN: Final = 60
"""A dot or a tick of a pen is no handwriting."""


@dataclass(frozen=True, slots=True)
class Handwriting:
    """Strokes within the box (0, 0) to (width, height), the margin taken off.

    Attributes:
        strokes: points of each stroke, x to the right and y downwards, in thousandths.
    """

    strokes: tuple[tuple[tuple[int, int], ...], ...]
    width: int
    height: int

    def as_json(self) -> dict[str, Json]:
        """The strokes as they are committed to."""
        return {
            "v": FORMAT,
            "width": self.width,
            "height": self.height,
            "strokes": [[list(point) for point in stroke] for stroke in self.strokes],
        }

    @property
    def digest(self) -> bytes:
        """SHA-256 of the strokes, tagged."""
        return tagged_digest(FORMAT, self.as_json())


def read_handwriting(strokes: Sequence[Sequence[Sequence[int]]]) -> Handwriting:
    """Check strokes from outside and take their margin off.

    Raises:
        InputError: `handwriting.too_much`, `handwriting.point`, `handwriting.too_little`.
    """
    if len(strokes) > STROKES_MAX or sum(len(stroke) for stroke in strokes) > POINTS_MAX:
        raise InputError(
            f"handwriting has at most {STROKES_MAX} strokes and {POINTS_MAX} points",
            code="handwriting.too_much",
        )
    for stroke in strokes:
        for point in stroke:
            if len(point) != 2 or not all(
                type(part) is int and 0 <= part <= UNIT_MAX for part in point
            ):
                raise InputError(
                    f"a point is two whole numbers from 0 to {UNIT_MAX}", code="handwriting.point"
                )
    drawn = [[(x, y) for x, y in stroke] for stroke in strokes if stroke]
    points = [point for stroke in drawn for point in stroke]
    if len(points) < POINTS_MIN:
        raise _too_little()
    left, top = min(x for x, _ in points), min(y for _, y in points)
    width, height = max(x for x, _ in points) - left, max(y for _, y in points) - top
    if max(width, height) < EXTENT_MIN:
        raise _too_little()
    return Handwriting(
        strokes=tuple(tuple((x - left, y - top) for x, y in stroke) for stroke in drawn),
        width=max(width, 1),
        height=max(height, 1),
    )


def draw_handwriting(
    canvas: Any, writing: Handwriting, *, box: tuple[float, float, float, float]
) -> None:
    """Draw into the box (left, bottom, width, height), as large as fits, with round ends.

    Each stroke runs through the middles of its segments with the points as controls, which is
    smooth and never leaves the hull of what was written.
    """
    left, bottom, width, height = box
    scale = min(width / writing.width, height / writing.height)
    x0 = left + (width - writing.width * scale) / 2
    y0 = bottom + (height + writing.height * scale) / 2
    canvas.saveState()
    canvas.setLineWidth(max(0.8, min(width, height) / 32))
    canvas.setLineCap(1)
    canvas.setLineJoin(1)
    for stroke in writing.strokes:
        spots = [(x0 + x * scale, y0 - y * scale) for x, y in stroke]
        path = canvas.beginPath()
        path.moveTo(*spots[0])
        if len(spots) < 3:
            # A dot: a line to itself with round ends.
            path.lineTo(*spots[-1])
        else:
            _through_middles(path, spots)
        canvas.drawPath(path, stroke=1, fill=0)
    canvas.restoreState()


def _through_middles(path: Any, spots: Sequence[tuple[float, float]]) -> None:
    here = spots[0]
    for control, following in itertools.pairwise(spots[1:]):
        middle = ((control[0] + following[0]) / 2, (control[1] + following[1]) / 2)
        # A quadratic curve written as a cubic one.
        path.curveTo(
            here[0] + (control[0] - here[0]) * 2 / 3,
            here[1] + (control[1] - here[1]) * 2 / 3,
            middle[0] + (control[0] - middle[0]) * 2 / 3,
            middle[1] + (control[1] - middle[1]) * 2 / 3,
            *middle,
        )
        here = middle
    path.lineTo(*spots[-1])


def _too_little() -> InputError:
    return InputError("write your name larger", code="handwriting.too_little")
