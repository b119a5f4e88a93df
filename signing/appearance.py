"""What a reader sees: the box of a signature and the demonstration mark, drawn as one-page PDFs.

The picture proves nothing by itself; `signing.pdf` binds it by signing the bytes that hold it.
"""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Final, TypeAlias

from reportlab.lib.colors import Color
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from signing.fonts import FontFile, find_font, require_glyphs
from signing.handwriting import Handwriting, draw_handwriting

CHINA_TIME: Final = timezone(timedelta(hours=8))
DEMO_TEXT: Final = "演示 DEMONSTRATION — 非真实合同 NOT A REAL CONTRACT"
SERIAL_SHOWN: Final = 20
"""Characters of a certificate serial shown in full before it is cut (a serial has up to 40)."""

_INK: Final = Color(0.10, 0.18, 0.40)
_SOFT: Final = Color(0.35, 0.35, 0.35)
_RED: Final = Color(0.78, 0.05, 0.05)
_WASH: Final = Color(0.78, 0.05, 0.05, alpha=0.10)
_PAPER: Final = Color(1, 1, 1)
_LOCK: Final = threading.Lock()
Box: TypeAlias = tuple[float, float, float, float]
LINE_STEP_MAX: Final = 18
"""Points from line to line at most."""
TEXT_WIDTH_MIN: Final = 80
"""Points beside a seal below which the lines go beneath it."""


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """Where a signature will stand.

    Attributes:
        name: field name, ASCII, unique in the file, without dots.
        page: 0-based.
        x, y: lower left corner in points, from the lower left corner of the page as a reader sees it
            (turned by its /Rotate, within its crop box).
        width, height: in points, at least 1.
    """

    name: str
    page: int
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Appearance:
    """What the visible signature says.

    Attributes:
        organisation: the party that is bound; "" for a person who signs in his own name.
        handler: the natural person who signs.
        serial_hex: serial number of the signing certificate.
        at: claimed time, shown in Chinese time (UTC+8); the time stamp proves the true one.
        demo: draws the red demonstration mark.
        seal_label: one line such as "合同专用章 seal_01k…"; "" for none.
        seal_size_pt: true width and height of the seal that is laid over the box, or (0, 0).
        handwriting: what the signer wrote, or None.
    """

    organisation: str
    handler: str
    serial_hex: str
    at: datetime
    demo: bool
    seal_label: str = ""
    seal_size_pt: tuple[int, int] = (0, 0)
    handwriting: Handwriting | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes inside a signature's box: left, bottom, width, height in points; None for nothing there.

    Attributes:
        seal: where the seal is laid; smaller than its true size where the box is.
        hand: where the handwriting goes.
        text: where the lines go; under the seal where there is no room beside it.
    """

    seal: Box | None
    hand: Box | None
    text: Box


def layout(appearance: Appearance, *, width: int, height: int) -> Layout:
    """Seal at the left in its true size, writing and lines beside it, or beneath where it is narrow."""
    left = 0.0
    seal = None
    wide, high = appearance.seal_size_pt
    if wide and high:
        scale = min(1.0, width / wide, height / high)
        drawn = (wide * scale, high * scale)
        beside = width - drawn[0] >= TEXT_WIDTH_MIN
        seal = (
            0.0 if beside else (width - drawn[0]) / 2,
            (height - drawn[1]) / 2,
            *drawn,
        )
        left = drawn[0] if beside else 0.0
    text: Box = (left, 0.0, width - left, float(height))
    if appearance.handwriting is None:
        return Layout(seal, None, text)
    if text[2] >= 2 * TEXT_WIDTH_MIN:
        half = text[2] * 0.45
        hand: Box = (left + 4, 4.0, half - 8, height - 8.0)
        return Layout(seal, hand, (left + half, 0.0, text[2] - half, float(height)))
    lower = height * 0.55
    return Layout(
        seal, (left + 4, lower, text[2] - 8, height - lower - 3), (left, 0.0, text[2], lower)
    )


def signature_page(
    appearance: Appearance, *, width: int, height: int, font: FontFile | None = None
) -> bytes:
    """A one-page PDF of `width` x `height` points with the text of the signature.

    Raises:
        InputError: `font.missing_glyph`, `font.unprintable`.
        UnavailableError: `font.not_found`.
    """
    face = font or find_font()
    lines = _lines(appearance)
    require_glyphs("".join(text for text, _ in lines), font=face)
    buffer = io.BytesIO()
    with _LOCK:
        canvas = Canvas(
            buffer,
            pagesize=(width, height),
            invariant=1,
            pageCompression=1,
            initialFontName=face.name,
        )
        placed = layout(appearance, width=width, height=height)
        canvas.setStrokeColor(_INK)
        if placed.seal is None:
            canvas.setFillColor(_PAPER)
            canvas.rect(0, 0, width, height, stroke=0, fill=1)
            canvas.setLineWidth(1)
            canvas.rect(0.5, 0.5, width - 1, height - 1)
        if placed.hand is not None and appearance.handwriting is not None:
            draw_handwriting(canvas, appearance.handwriting, box=placed.hand)
        _draw_lines(canvas, lines, face=face, box=placed.text)
        canvas.save()
    return buffer.getvalue()


def demo_page(*, width: int, height: int, font: FontFile | None = None) -> bytes:
    """A transparent one-page overlay that marks a page as a demonstration.

    Raises:
        UnavailableError: `font.not_found`.
    """
    face = font or find_font()
    buffer = io.BytesIO()
    with _LOCK:
        canvas = Canvas(
            buffer,
            pagesize=(width, height),
            invariant=1,
            pageCompression=1,
            initialFontName=face.name,
        )
        size = _fit(DEMO_TEXT, face=face, size=11, width=width - 20)
        canvas.setFont(face.name, size)
        canvas.setFillColor(_RED)
        canvas.drawCentredString(width / 2, height - size - 6, DEMO_TEXT)
        canvas.drawCentredString(width / 2, 7, DEMO_TEXT)
        canvas.translate(width / 2, height / 2)
        canvas.rotate(38)
        canvas.setFillColor(_WASH)
        big = _fit("演示 DEMONSTRATION", face=face, size=64, width=min(width, height) * 9 // 10)
        canvas.setFont(face.name, big)
        canvas.drawCentredString(0, big // 2, "演示 DEMONSTRATION")
        canvas.drawCentredString(0, -big, "非真实合同")
        canvas.save()
    return buffer.getvalue()


def _lines(appearance: Appearance) -> list[tuple[str, Color]]:
    when = appearance.at.astimezone(CHINA_TIME).strftime("%Y-%m-%d %H:%M:%S +08:00")
    serial = appearance.serial_hex
    if len(serial) > SERIAL_SHOWN:
        serial = f"{serial[: SERIAL_SHOWN - 4]}…{serial[-4:]}"
    lines = [("电子签名 / signature", _SOFT)]
    if appearance.organisation:
        lines.append((appearance.organisation, _INK))
        lines.append((f"经办人 handler：{appearance.handler}", _INK))
    else:
        lines.append((appearance.handler, _INK))
    if appearance.seal_label:
        lines.append((appearance.seal_label, _INK))
    lines += [(f"时间 time：{when}", _SOFT), (f"证书 cert：{serial}", _SOFT)]
    if appearance.demo:
        lines.append(("演示 DEMONSTRATION", _RED))
    return lines


def _draw_lines(canvas: Any, lines: list[tuple[str, Color]], *, face: FontFile, box: Box) -> None:
    """Equal lines from the top; a line that is too long is set smaller, never cut."""
    left, bottom, width, height = box
    step = min((height - 8) / len(lines), LINE_STEP_MAX)
    # Beside a large seal the lines stand together in the middle and not spread over its height.
    top = bottom + height - max(0.0, height - 8 - step * len(lines)) / 2
    for number, (text, colour) in enumerate(lines):
        size = _fit(text, face=face, size=min(11, int(step * 0.78)), width=int(width) - 12)
        canvas.setFont(face.name, size)
        canvas.setFillColor(colour)
        canvas.drawString(left + 6, top - 4 - (number + 0.78) * step, text)


def _fit(text: str, *, face: FontFile, size: int, width: int) -> float:
    """The largest size up to `size` at which `text` is at most `width` points wide, at least 1."""
    natural = stringWidth(text, face.name, size) or 1
    return max(1.0, min(float(size), size * width / natural))
