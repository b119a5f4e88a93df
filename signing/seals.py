"""Seals as they look: drawn by us as vectors, in millimetres, with text that can be read and searched.

Sizes follow custom (round seals of 38 to 58 mm, ovals of 30 to 50, squares of 16 to 25); the rules of the
public security organs on carved seals were not read, so nothing here claims to follow them. A picture is
never a signature: `signing.seal_object` says who made it, and the signature covers both.
"""

from __future__ import annotations

import io
import math
import struct
import threading
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from reportlab.lib.colors import Color
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from ledger.core.canonical import Json
from ledger.core.errors import InputError
from signing import render
from signing.fonts import FontFile, find_font, require_glyphs

DESIGN_FORMAT: Final = "fuqi/seal-design/v1"
POINTS_PER_MM: Final = 72 / 25.4
PICTURE_PIXELS_PER_MM: Final = 12
"""About 300 dpi: a seal of 40 mm has 480 pixels a side."""
NAME_MAX: Final = 40
"""Characters around a ring; longer names are not readable at this size."""
NAME_MIN: Final = 2
CAPTION_MAX: Final = 12
NUMBER_MAX: Final = 20
_INK_BYTES: Final = (200, 16, 16)
_INK: Final = Color(*(part / 255 for part in _INK_BYTES))
_LOCK: Final = threading.Lock()


class Kind(StrEnum):
    """What a seal stands for; an authorisation's seal scope names these words."""

    ORGANISATION = "organisation"
    """公章"""
    CONTRACT = "contract"
    """合同专用章"""
    LEGAL_REPRESENTATIVE = "legal_representative"
    """法定代表人名章"""


class Shape(StrEnum):
    """Outline of a seal."""

    ROUND = "round"
    OVAL = "oval"
    SQUARE = "square"


LABELS_ZH: Final = {
    Kind.ORGANISATION: "公章",
    Kind.CONTRACT: "合同专用章",
    Kind.LEGAL_REPRESENTATIVE: "法定代表人章",
}
CAPTIONS: Final = {
    Kind.ORGANISATION: "",
    Kind.CONTRACT: "合同专用章",
    Kind.LEGAL_REPRESENTATIVE: "",
}
SIZES_MM: Final = {Shape.ROUND: (38, 58), Shape.OVAL: (30, 50), Shape.SQUARE: (16, 25)}
"""Smallest and largest width."""
USUAL_MM: Final = {Shape.ROUND: 40, Shape.OVAL: 45, Shape.SQUARE: 20}
SHAPES: Final = {
    Kind.ORGANISATION: (Shape.ROUND, Shape.OVAL),
    Kind.CONTRACT: (Shape.ROUND, Shape.OVAL),
    Kind.LEGAL_REPRESENTATIVE: (Shape.SQUARE,),
}


@dataclass(frozen=True, slots=True)
class SealDesign:
    """How a seal is drawn.

    Attributes:
        name: the registered name around the ring, or the person's name in the square.
        caption: a line below the star, such as 合同专用章; "" for none.
        number: the number at the foot, such as the record number of a carved seal; "" for none.
        width_mm: of the round and the square also the height; an oval is two thirds as high.

    Raises:
        InputError: `seal.kind`, `seal.shape`, `seal.size`, `seal.name`, `seal.text`.
    """

    kind: Kind
    shape: Shape
    name: str
    caption: str
    number: str
    width_mm: int

    def __post_init__(self) -> None:
        if self.shape not in SHAPES[self.kind]:
            raise InputError("a seal of this kind has another shape", code="seal.shape")
        low, high = SIZES_MM[self.shape]
        if not low <= self.width_mm <= high:
            raise InputError(
                f"a seal of this shape is {low} to {high} mm wide",
                code="seal.size",
                low=low,
                high=high,
            )
        if not NAME_MIN <= len(self.name) <= NAME_MAX or self.name != self.name.strip():
            raise InputError(
                f"the name on a seal has {NAME_MIN} to {NAME_MAX} characters", code="seal.name"
            )
        if len(self.caption) > CAPTION_MAX or len(self.number) > NUMBER_MAX:
            raise InputError("a line of the seal is too long", code="seal.text")
        if self.shape is Shape.SQUARE and len(self.name) > 5:
            raise InputError("a square holds a name of 2 to 5 characters", code="seal.name")

    @property
    def height_mm(self) -> int:
        """In whole millimetres."""
        return self.width_mm * 2 // 3 if self.shape is Shape.OVAL else self.width_mm

    @property
    def text(self) -> str:
        """Every character that is drawn."""
        return self.name + self.caption + self.number

    def as_json(self) -> dict[str, Json]:
        """The design as it is stored and committed to."""
        return {
            "v": DESIGN_FORMAT,
            "kind": self.kind.value,
            "shape": self.shape.value,
            "name": self.name,
            "caption": self.caption,
            "number": self.number,
            "width_mm": self.width_mm,
        }


@dataclass(frozen=True, slots=True)
class Picture:
    """A seal as a picture with a clear ground.

    Attributes:
        png: RGBA or palette PNG, made by us.
        width_mm, height_mm: its true size.
    """

    png: bytes
    width_mm: int
    height_mm: int


def design_of(
    *, kind: str, shape: str, name: str, number: str = "", width_mm: int | None = None
) -> SealDesign:
    """A design from words; the caption and the usual size follow from kind and shape.

    Raises:
        InputError: `seal.kind`, `seal.shape`, `seal.size`, `seal.name`, `seal.text`.
    """
    try:
        of_kind = Kind(kind)
    except ValueError as exc:
        raise InputError(f"a seal is one of {', '.join(Kind)}", code="seal.kind") from exc
    try:
        of_shape = Shape(shape) if shape else SHAPES[of_kind][0]
    except ValueError as exc:
        raise InputError("a seal of this kind has another shape", code="seal.shape") from exc
    return SealDesign(
        kind=of_kind,
        shape=of_shape,
        name=name.strip(),
        caption=CAPTIONS[of_kind],
        number=number.strip(),
        width_mm=USUAL_MM[of_shape] if width_mm is None else width_mm,
    )


def draw_seal(design: SealDesign, *, font: FontFile | None = None) -> bytes:
    """A one-page PDF in the seal's own size: vectors, embedded font, text that can be extracted.

    Raises:
        InputError: `font.missing_glyph`, `font.unprintable`, `seal.name` where it does not fit.
        UnavailableError: `font.not_found`.
    """
    face = font or find_font(bold=True)
    if not face.covers(design.text):
        # The bold face has fewer rare characters than the regular one.
        face = find_font()
    require_glyphs(design.text, font=face)
    width, height = design.width_mm * POINTS_PER_MM, design.height_mm * POINTS_PER_MM
    buffer = io.BytesIO()
    with _LOCK:
        canvas = Canvas(
            buffer,
            pagesize=(width, height),
            invariant=1,
            pageCompression=1,
            initialFontName=face.name,
        )
        canvas.setFillColor(_INK)
        canvas.setStrokeColor(_INK)
        canvas.translate(width / 2, height / 2)
        if design.shape is Shape.SQUARE:
            _draw_square(canvas, design, face=face, side=width)
        else:
            _draw_ring(canvas, design, face=face, size=(width, height))
        canvas.save()
    return buffer.getvalue()


def picture_of(design: SealDesign, page: bytes) -> Picture:
    """The drawn page as a picture with a clear ground: the red is exact, white is see-through.

    Raises:
        InputError, UnavailableError: `render.*`.
    """
    with render.Document(page) as document:
        view = document.view(
            0,
            side_px=design.width_mm * PICTURE_PIXELS_PER_MM,
            masks=(),
            deadline=render.deadline(),
        )
    # Ink over white: how much white is left in the green channel says how thick the ink is.
    green = view.pixels[1::4]
    span = 255 - _INK_BYTES[1]
    alpha = bytes(min(255, (255 - value) * 255 // span) for value in range(256))
    png = _ink_png(view.width, view.height, green.translate(alpha))
    return Picture(png, design.width_mm, design.height_mm)


def picture_page(picture: Picture) -> bytes:
    """A one-page PDF of the picture's size that shows it: for uploaded seals and slices of any."""
    width, height = picture.width_mm * POINTS_PER_MM, picture.height_mm * POINTS_PER_MM
    buffer = io.BytesIO()
    with _LOCK:
        canvas = Canvas(buffer, pagesize=(width, height), invariant=1, pageCompression=1)
        canvas.drawImage(
            ImageReader(io.BytesIO(picture.png)), 0, 0, width=width, height=height, mask="auto"
        )
        canvas.save()
    return buffer.getvalue()


def _draw_ring(
    canvas: Any, design: SealDesign, *, face: FontFile, size: tuple[float, float]
) -> None:
    """Outline, name along the upper arc, star, caption, number along the lower arc."""
    width, height = size
    line = design.width_mm * POINTS_PER_MM * 0.03
    a, b = width / 2 - line / 2, height / 2 - line / 2
    canvas.setLineWidth(line)
    canvas.ellipse(-a, -b, a, b, stroke=1, fill=0)
    oval = design.shape is Shape.OVAL
    glyph = min(height * (0.16 if oval else 0.17), _arc_room(design, a, b))
    if glyph < 3.0:
        raise InputError("the name is too long for a seal of this size", code="seal.name")
    inset = line * 1.1 + glyph
    _arc_text(
        canvas,
        design.name,
        face=face,
        glyph=glyph,
        axes=(a - inset, b - inset),
        top=True,
        crowded=bool(design.caption) or oval,
    )
    star = height * (0.13 if oval else 0.16)
    lift = height * 0.03 if design.caption else 0.0
    _star(canvas, radius=star, lift=lift)
    if design.caption:
        small = min(height * 0.105, width * 0.46 / len(design.caption))
        _line_text(canvas, design.caption, face=face, glyph=small, baseline=-star - small * 1.1)
    if design.number:
        tiny = min(height * 0.065, width * 0.9 / len(design.number))
        _arc_text(
            canvas,
            design.number,
            face=face,
            glyph=tiny,
            axes=(a - line * 1.6, b - line * 1.6),
            top=False,
        )


def _arc_room(design: SealDesign, a: float, b: float) -> float:
    """The largest glyph at which the name fills its part of the ring: less above a caption."""
    share = 1.25 if design.caption else 1.5
    return math.pi * share * (a + b) / 2 * 0.82 / (len(design.name) * 1.02)


def _arc_text(
    canvas: Any,
    text: str,
    *,
    face: FontFile,
    glyph: float,
    axes: tuple[float, float],
    top: bool,
    crowded: bool = False,
) -> None:
    """Glyphs along an ellipse, upright at the middle; searchable as one word (`/ActualText`)."""
    a, b = axes
    mean = (a + b) / 2
    widest = (0.66 if crowded else 0.74) if top else 0.4
    step = min(glyph * (1.5 if top else 0.75) / mean, 2 * math.pi * widest / max(len(text), 1))
    with _spanned(canvas, text):
        for index, char in enumerate(text):
            turn = (index - (len(text) - 1) / 2) * step
            angle = math.pi / 2 - turn if top else -math.pi / 2 + turn
            canvas.saveState()
            canvas.translate(a * math.cos(angle), b * math.sin(angle))
            # The normal of the ellipse, so that glyphs of an oval stand upright on it too.
            normal = math.atan2(a * math.sin(angle), b * math.cos(angle))
            canvas.rotate(math.degrees(normal - math.pi / 2 if top else normal + math.pi / 2))
            canvas.setFont(face.name, glyph)
            canvas.drawCentredString(0, 0, char)
            canvas.restoreState()


def _line_text(canvas: Any, text: str, *, face: FontFile, glyph: float, baseline: float) -> None:
    canvas.setFont(face.name, glyph)
    canvas.drawCentredString(0, baseline, text)


def _star(canvas: Any, *, radius: float, lift: float) -> None:
    path = canvas.beginPath()
    inner = radius * math.sin(math.pi / 10) / math.sin(7 * math.pi / 10)
    for point in range(10):
        reach = radius if point % 2 == 0 else inner
        angle = math.pi / 2 + point * math.pi / 5
        place = (reach * math.cos(angle), lift + reach * math.sin(angle))
        (path.moveTo if point == 0 else path.lineTo)(*place)
    path.close()
    canvas.drawPath(path, stroke=0, fill=1)


def _draw_square(canvas: Any, design: SealDesign, *, face: FontFile, side: float) -> None:
    """Two columns read from the right, as name seals are; a fifth character makes three rows."""
    line = side * 0.05
    half = side / 2 - line / 2
    canvas.setLineWidth(line)
    canvas.rect(-half, -half, 2 * half, 2 * half, stroke=1, fill=0)
    text = design.name
    if design.name and len(text) in (2, 3) and not text.endswith("印"):
        text += "印" if len(text) == 3 else "之印"
    columns = [text[: (len(text) + 1) // 2], text[(len(text) + 1) // 2 :]]
    room = side - 2 * line
    with _spanned(canvas, text):
        for number, column in enumerate(columns):
            glyph = min(room / 2 * 0.92, room / max(len(column), 1) * 0.92)
            centre = room / 4 * (1 if number == 0 else -1)
            for row, char in enumerate(column):
                top = room / 2 - (row + 0.5) * room / len(column)
                canvas.setFont(face.name, glyph)
                drawn = stringWidth(char, face.name, glyph)
                canvas.drawString(centre - drawn / 2, top - glyph * 0.36, char)


class _spanned:  # noqa: N801 - used as a statement
    """Marks what is drawn inside as one word for whoever extracts text (ISO 32000-1, 14.9.4)."""

    def __init__(self, canvas: Any, text: str) -> None:
        self._canvas, self._text = canvas, text

    def __enter__(self) -> None:
        word = (b"\xfe\xff" + self._text.encode("utf-16-be")).hex().upper()
        self._canvas.addLiteral(f"/Span << /ActualText <{word}> >> BDC")

    def __exit__(self, *_exc: object) -> None:
        self._canvas.addLiteral("EMC")


def _ink_png(width: int, height: int, alpha: bytes) -> bytes:
    """A palette PNG of one ink in 256 strengths: a tenth of the size of RGBA. Source: W3C PNG."""
    lines = b"".join(b"\x00" + alpha[y * width : (y + 1) * width] for y in range(height))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(_INK_BYTES) * 256),
        (b"tRNS", bytes(range(256))),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    out = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        out += (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )
    return out
