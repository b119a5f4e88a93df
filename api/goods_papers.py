"""Papers of goods: labels with QR codes, and the donation certificate. PDF from ReportLab, codes from segno.

A label's code is `FUQI1:<package id>:<check>`: an opaque random id and four check characters, so that a misread
label is noticed. Nothing of goods, people or places stands in it; what a scan shows depends on who logs in.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import segno
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from ledger.core.errors import InputError
from signing.fonts import find_font

LABEL_TAG: Final = "FUQI1"
CHECK_CHARACTERS: Final = 4
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: no I, L, O, U, so that a typed check is not mistaken."""
LABEL_CHARACTERS_MAX: Final = 80
ACROSS: Final = 2
DOWN: Final = 5
LABELS_MAX: Final = 1_000
MARGIN_PT: Final = 36


@dataclass(frozen=True, slots=True)
class Label:
    """What a label says in words beside its code."""

    package_id: str
    number: int
    item: str
    quantity: int
    batch: str
    expires_on: date | None
    hospital: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a donation certificate says.

    Attributes:
        entries: (what, entry id, leaf hash): by these anyone checks it.
        fiscal: number and issuer of the fiscal receipt that was issued elsewhere, or None.
    """

    number: str
    donor: str
    hospital: str
    item: str
    batch: str
    given: int
    accepted: int
    used: int
    purpose: str
    issued_on: date
    agreement_id: str
    entries: tuple[tuple[str, str, str], ...]
    fiscal: str | None
    demo: bool


def label_text(package_id: str) -> str:
    """What the code of a package holds."""
    return f"{LABEL_TAG}:{package_id}:{label_check(package_id)}"


def label_check(package_id: str) -> str:
    """Four characters over the id: one misread label in a million passes."""
    number = int.from_bytes(
        hashlib.sha256(f"{LABEL_TAG}:{package_id}".encode()).digest()[:4], "big"
    )
    return "".join(ALPHABET[number >> (5 * n) & 31] for n in range(CHECK_CHARACTERS))


def read_label(text: str) -> str:
    """The package's id.

    Raises:
        InputError: `label.malformed`, `label.check`.
    """
    value = text.strip()
    parts = value.split(":")
    if len(value) > LABEL_CHARACTERS_MAX or len(parts) != 3 or parts[0] != LABEL_TAG:
        raise InputError(
            "this is no label of ours: scan the square code on the box", code="label.malformed"
        )
    if label_check(parts[1]) != parts[2].upper():
        raise InputError(
            "the label was misread: scan it again, or type it as printed", code="label.check"
        )
    return parts[1]


def labels_pdf(labels: Sequence[Label]) -> bytes:
    """Labels on A4, ten to a page, in the order given.

    Raises:
        InputError: `label.none`, `font.*`.  UnavailableError: `font.not_found`.
    """
    if not labels or len(labels) > LABELS_MAX:
        raise InputError(
            f"there are no packages, or more than {LABELS_MAX}: pack first", code="label.none"
        )
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1, pageCompression=1)
    canvas.setTitle("包装标签 package labels")
    width, height = (A4[0] - 2 * MARGIN_PT) / ACROSS, (A4[1] - 2 * MARGIN_PT) / DOWN
    for index, label in enumerate(labels):
        if index and index % (ACROSS * DOWN) == 0:
            canvas.showPage()
        place = index % (ACROSS * DOWN)
        x = MARGIN_PT + place % ACROSS * width
        y = A4[1] - MARGIN_PT - (place // ACROSS + 1) * height
        _draw_label(canvas, label, x=x, y=y, width=width, height=height)
    canvas.save()
    return buffer.getvalue()


def certificate_pdf(certificate: Certificate) -> bytes:
    """The donation certificate: no fiscal receipt, and it says so.

    Raises:
        InputError: `font.missing_glyph`.  UnavailableError: `font.not_found`.
    """
    name = find_font().name
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1, pageCompression=1)
    canvas.setTitle(f"捐赠证明 {certificate.number}")
    canvas.setFont(name, 24)
    canvas.drawCentredString(A4[0] / 2, 770, "捐赠物资接收证明")
    canvas.setFont(name, 11)
    canvas.drawCentredString(A4[0] / 2, 750, "Certificate of donated goods received")
    y = 715
    for line in _certificate_lines(certificate):
        for part in _wrap(canvas, line, font=name, size=11, width=A4[0] - 128):
            canvas.drawString(64, y, part)
            y -= 18
    y -= 6
    canvas.setFont(name, 12)
    canvas.rect(60, y - 44, A4[0] - 120, 56)
    canvas.drawString(70, y - 8, "本证明不是财政票据，不得作为税前扣除凭证。")
    canvas.drawString(
        70, y - 28, "This is NOT a fiscal receipt and gives no right to a tax deduction."
    )
    y -= 74
    canvas.setFont(name, 8)
    for what, entry_id, leaf in certificate.entries:
        canvas.drawString(64, y, f"{what}  {entry_id}")
        canvas.drawString(64, y - 10, leaf)
        y -= 24
    if certificate.demo:
        canvas.setFont(name, 12)
        canvas.drawString(64, 40, "演示数据，内容为虚构 DEMONSTRATION, invented")
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _certificate_lines(one: Certificate) -> list[str]:
    lines = [
        f"证明编号 No.：{one.number}",
        f"捐赠人 donor：{one.donor}",
        f"受赠单位 recipient：{one.hospital}",
        f"物资 goods：{one.item}，批号 batch {one.batch}",
        f"开立数量 given：{one.given:,}",
        f"双人验收合格 accepted by two persons：{one.accepted:,}",
        f"已登记使用 recorded as used：{one.used:,}",
        f"约定用途 purpose：{one.purpose}",
        f"依据 agreement：{one.agreement_id}",
        f"出具日 issued on：{one.issued_on.isoformat()}",
    ]
    if one.fiscal is not None:
        lines.append(f"另有公益事业捐赠票据 fiscal receipt issued elsewhere：{one.fiscal}")
    lines.append("以下存证记录可独立核验 the entries below can be checked by anyone:")
    return lines


def _draw_label(
    canvas: Canvas, label: Label, *, x: float, y: float, width: float, height: float
) -> None:
    name = find_font().name
    canvas.setLineWidth(0.5)
    canvas.rect(x + 4, y + 4, width - 8, height - 8)
    side = height - 40
    _draw_code(canvas, label_text(label.package_id), x=x + 12, y=y + 28, side=side)
    left = x + 20 + side
    room = width - side - 32
    canvas.setFont(name, 20)
    canvas.drawString(left, y + height - 36, f"№ {label.number}")
    lines = (
        label.item,
        f"数量 qty {label.quantity:,}",
        f"批号 batch {label.batch}",
        "" if label.expires_on is None else f"有效期 exp {label.expires_on.isoformat()}",
        label.hospital,
    )
    top = y + height - 54
    canvas.setFont(name, 9)
    for text in lines:
        for part in _wrap(canvas, text, font=name, size=9, width=room)[:2]:
            canvas.drawString(left, top, part)
            top -= 12
    canvas.setFont(name, 7)
    canvas.drawString(x + 12, y + 14, label_text(label.package_id))


def _draw_code(canvas: Canvas, text: str, *, x: float, y: float, side: float) -> None:
    code = segno.make(text, error="m", micro=False)
    rows = [list(row) for row in code.matrix]
    cell = side / len(rows)
    for down, row in enumerate(rows):
        for across, dark in enumerate(row):
            if dark:
                # A hair wider than its cell: no white lines between dark cells on paper.
                canvas.rect(
                    x + across * cell,
                    y + side - (down + 1) * cell,
                    cell * 1.02,
                    cell * 1.02,
                    stroke=0,
                    fill=1,
                )


def _wrap(canvas: Canvas, text: str, *, font: str, size: int, width: float) -> list[str]:
    lines, line = [], ""
    for char in text:
        if canvas.stringWidth(line + char, font, size) > width:
            lines.append(line)
            line = ""
        line += char
    return [*lines, line] if line else lines
