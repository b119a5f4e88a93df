"""Page layout of an agreement: A4, numbered clauses, tables that flow over pages, signature boxes.

Output is a pure function of its input: ReportLab runs in its invariant mode, and no clock is read.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.lib.colors import Color, black, white
from reportlab.lib.enums import TA_CENTER, TA_LEFT, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from ledger.core.errors import LimitError
from signing.appearance import FieldSpec
from signing.fonts import FontFile, require_glyphs
from signing.templates.breaking import break_lines

PAGES_MAX: Final = 200
"""The same limit that uploads have."""
MARGIN_X: Final = 25 * mm
MARGIN_TOP: Final = 27 * mm
MARGIN_BOTTOM: Final = 24 * mm
WIDTH: Final = A4[0] - 2 * MARGIN_X
BOX_WIDTH: Final = 74 * mm
BOX_HEIGHT: Final = 34 * mm
DEMO_MARK: Final = "演示 DEMONSTRATION — 非真实合同"

_RULE: Final = Color(0.55, 0.55, 0.55)
_SHADE: Final = Color(0.945, 0.945, 0.93)
_SOFT: Final = Color(0.38, 0.38, 0.38)
_DEMO: Final = Color(0.78, 0.05, 0.05)
_DEMO_WASH: Final = Color(0.78, 0.05, 0.05, alpha=0.09)
_LOCK: Final = threading.Lock()
"""ReportLab keeps font state per process; one document is laid out at a time."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished agreement.

    Attributes:
        pdf: the file, without signature fields.
        fields: where each party signs; give these to `signing.pdf.place_fields`.
        pages: number of pages.
    """

    pdf: bytes
    fields: tuple[FieldSpec, ...]
    pages: int


@dataclass(frozen=True, slots=True)
class Clause:
    """One numbered clause: 第n条, its title, its numbered paragraphs and what stands below them."""

    title: str
    title_en: str
    paragraphs: tuple[str, ...]
    table: tuple[tuple[str, ...], ...] = ()
    widths: tuple[int, ...] = ()
    highlighted: bool = False
    notice: str = ""
    """A `signing.annexes.ClauseKind`: pointed out to the other side where the author wants the defaults."""


@dataclass(frozen=True, slots=True)
class PartyBlock:
    """A party at the head of the agreement and at its foot.

    Attributes:
        role: 甲方 or 乙方 with its part in this agreement.
        field_name: name of the signature field.
        rows: label and value pairs.
    """

    role: str
    name: str
    field_name: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Document:
    """Everything a template says; layout adds nothing of substance."""

    title: str
    title_en: str
    number: str
    facts: tuple[tuple[str, str], ...]
    parties: tuple[PartyBlock, ...]
    recital: str
    clauses: tuple[Clause, ...]
    closing: str
    demo: bool


def lay_out(document: Document, *, font: FontFile, bold: FontFile) -> Rendered:
    """Draw the document.

    Raises:
        InputError: `font.missing_glyph`, `font.unprintable`, `font.text_too_long`.
        LimitError: `template.too_many_pages`.
    """
    text = "".join(_texts(document))
    require_glyphs(text, font=font)
    require_glyphs(text, font=bold)
    styles = _Styles.of(font.name, bold.name)
    boxes: list[FieldSpec] = []
    buffer = io.BytesIO()

    class _Numbered(_NumberedCanvas):
        doc = document
        regular = font.name

    with _LOCK:
        template = BaseDocTemplate(
            buffer,
            pagesize=A4,
            title=f"{document.title} {document.number}",
            author="fuqi",
            subject=document.title_en,
            lang="zh-CN",
            invariant=1,
            pageCompression=1,
            initialFontName=font.name,
        )
        frame = Frame(
            MARGIN_X,
            MARGIN_BOTTOM,
            WIDTH,
            A4[1] - MARGIN_TOP - MARGIN_BOTTOM,
            leftPadding=0,
            rightPadding=0,
            topPadding=0,
            bottomPadding=0,
        )
        template.addPageTemplates([PageTemplate(id="page", frames=[frame])])
        template.build(_story(document, styles, boxes), canvasmaker=_Numbered)
    pages = int(template.page)
    if pages > PAGES_MAX:
        raise LimitError(
            f"the agreement has more than {PAGES_MAX} pages",
            code="template.too_many_pages",
            limit=PAGES_MAX,
        )
    return Rendered(pdf=buffer.getvalue(), fields=tuple(boxes), pages=pages)


@dataclass(frozen=True, slots=True)
class _Styles:
    title: Any
    subtitle: Any
    clause: Any
    body: Any
    strong: Any
    cell: Any
    cell_head: Any
    label: Any
    right: Any

    @classmethod
    def of(cls, regular: str, bold: str) -> _Styles:
        def style(name: str, **kwargs: Any) -> ParagraphStyle:
            base = {"fontName": regular, "fontSize": 10.5, "leading": 18, "wordWrap": "CJK"}
            return ParagraphStyle(name, **{**base, **kwargs})

        return cls(
            title=style("title", fontName=bold, fontSize=20, leading=28, alignment=TA_CENTER),
            subtitle=style(
                "subtitle",
                fontSize=10,
                leading=15,
                alignment=TA_CENTER,
                textColor=_SOFT,
                spaceAfter=8,
            ),
            clause=style(
                "clause", fontName=bold, fontSize=12, leading=20, spaceBefore=8, spaceAfter=2
            ),
            body=style("body", leftIndent=27, firstLineIndent=-27, spaceAfter=2),
            strong=style("strong", fontName=bold, leftIndent=27, firstLineIndent=-27, spaceAfter=2),
            cell=style("cell", fontSize=9, leading=13),
            cell_head=style(
                "cell_head", fontName=bold, fontSize=9, leading=13, alignment=TA_CENTER
            ),
            label=style("label", fontSize=9, leading=14, textColor=_SOFT, alignment=TA_LEFT),
            right=style("right", fontSize=9.5, leading=14, alignment=TA_RIGHT),
        )


class _NumberedCanvas(Canvas):  # type: ignore[misc]
    """Writes headers and footers last, when the number of pages is known."""

    doc: Document
    regular: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802 - the name is ReportLab's
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for number, state in enumerate(self._pages, start=1):
            self.__dict__.update(state)
            self._furniture(number, len(self._pages))
            Canvas.showPage(self)
        Canvas.save(self)

    def _furniture(self, number: int, total: int) -> None:
        self.saveState()
        top = A4[1] - 17 * mm
        self.setFont(self.regular, 8.5)
        self.setFillColor(_SOFT)
        self.drawString(MARGIN_X, top, self.doc.title)
        self.drawRightString(A4[0] - MARGIN_X, top, f"编号 No. {self.doc.number}")
        self.setStrokeColor(_RULE)
        self.setLineWidth(0.5)
        self.line(MARGIN_X, top - 5, A4[0] - MARGIN_X, top - 5)
        self.line(MARGIN_X, 18 * mm, A4[0] - MARGIN_X, 18 * mm)
        self.drawCentredString(
            A4[0] / 2, 13 * mm, f"第 {number} 页 共 {total} 页　Page {number} of {total}"
        )
        if self.doc.demo:
            self.setFillColor(_DEMO)
            self.setFont(self.regular, 10)
            self.drawCentredString(A4[0] / 2, A4[1] - 10.5 * mm, DEMO_MARK)
            self.drawCentredString(A4[0] / 2, 7.5 * mm, DEMO_MARK)
            self.translate(A4[0] / 2, A4[1] / 2)
            self.rotate(38)
            self.setFont(self.regular, 54)
            self.setFillColor(_DEMO_WASH)
            self.drawCentredString(0, 26, "演示 DEMONSTRATION")
            self.drawCentredString(0, -44, "非真实合同")
        self.restoreState()


@dataclass
class _SignatureBox(Flowable):  # type: ignore[misc]
    """An outlined box that remembers where it was drawn."""

    party: PartyBlock
    regular: str
    bold: str
    boxes: list[FieldSpec] = field(repr=False)

    def __post_init__(self) -> None:
        super().__init__()
        self.width, self.height = BOX_WIDTH, BOX_HEIGHT + 19

    def wrap(self, *_available: float) -> tuple[float, float]:
        return self.width, self.height

    def draw(self) -> None:
        canvas = self.canv
        canvas.setFont(self.bold, 10.5)
        canvas.drawString(0, BOX_HEIGHT + 7, f"{self.party.role}（电子签名）")
        canvas.setStrokeColor(_RULE)
        canvas.setLineWidth(0.6)
        canvas.rect(0, 0, BOX_WIDTH, BOX_HEIGHT)
        canvas.setFont(self.regular, 8)
        canvas.setFillColor(_RULE)
        canvas.drawCentredString(BOX_WIDTH / 2, BOX_HEIGHT / 2 - 3, "待签署 to be signed")
        x, y = canvas.absolutePosition(0, 0)
        self.boxes.append(
            FieldSpec(
                name=self.party.field_name,
                page=int(canvas.getPageNumber()) - 1,
                x=round(x),
                y=round(y),
                width=round(BOX_WIDTH),
                height=round(BOX_HEIGHT),
            )
        )


def _story(document: Document, styles: _Styles, boxes: list[FieldSpec]) -> list[Any]:
    story: list[Any] = [
        Paragraph(escape(document.title), styles.title),
        Paragraph(escape(document.title_en), styles.subtitle),
        _grid([[label, value] for label, value in document.facts], (48, 112), styles, label=True),
        Spacer(1, 8),
    ]
    for party in document.parties:
        rows = [[party.role, party.name], *[[label, value] for label, value in party.rows]]
        story += [
            KeepTogether([_grid(rows, (48, 112), styles, label=True, first_bold=True)]),
            Spacer(1, 7),
        ]
    story.append(_flow(document.recital, _plain(styles)))
    for number, clause in enumerate(document.clauses, start=1):
        story += _clause(number, clause, styles)
    story += _signature_page(document, styles, boxes)
    return story


def _clause(number: int, clause: Clause, styles: _Styles) -> list[Any]:
    heading = Paragraph(
        f"第{_chinese(number)}条　{escape(clause.title)}"
        f'<font size="8.5" color="#616161">　{escape(clause.title_en)}</font>',
        styles.clause,
    )
    style = styles.strong if clause.highlighted else styles.body
    body = [
        _flow(f"{number}.{n}　{text}", style) for n, text in enumerate(clause.paragraphs, start=1)
    ]
    # A heading alone at the foot of a page is bad form; the rest may break anywhere.
    parts: list[Any] = [KeepTogether([heading, *body[:1]]), *body[1:]]
    if clause.table:
        parts += [Spacer(1, 3), _goods(clause, styles), Spacer(1, 5)]
    return parts


def _goods(clause: Clause, styles: _Styles) -> Table:
    head, *rows = clause.table
    cells = [[Paragraph(escape(text), styles.cell_head) for text in head]]
    cells += [[Paragraph(escape(text), styles.cell) for text in row] for row in rows]
    table = Table(cells, colWidths=[w * mm for w in clause.widths], repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("GRID", (0, 0), (-1, -1), 0.5, _RULE),
                ("BACKGROUND", (0, 0), (-1, 0), _SHADE),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("TOPPADDING", (0, 0), (-1, -1), 3),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
                ("LEFTPADDING", (0, 0), (-1, -1), 4),
                ("RIGHTPADDING", (0, 0), (-1, -1), 4),
            ]
        )
    )
    return table


def _grid(
    rows: Sequence[Sequence[str]],
    widths: Sequence[int],
    styles: _Styles,
    *,
    label: bool,
    first_bold: bool = False,
) -> Table:
    cells = [
        [
            Paragraph(escape(row[0]), styles.label if label else styles.cell),
            Paragraph(escape(row[1]), styles.cell),
        ]
        for row in rows
    ]
    if first_bold:
        name = ParagraphStyle("name", parent=styles.cell_head, alignment=TA_LEFT, fontSize=10)
        cells[0] = [Paragraph(escape(rows[0][0]), name), Paragraph(escape(rows[0][1]), name)]
    table = Table(cells, colWidths=[w * mm for w in widths])
    table.setStyle(
        TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, -1), 0.35, _RULE),
                ("LINEABOVE", (0, 0), (-1, 0), 0.8 if first_bold else 0.35, black),
                ("BACKGROUND", (0, 0), (-1, 0), _SHADE if first_bold else white),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
                ("LEFTPADDING", (0, 0), (-1, -1), 4),
                ("RIGHTPADDING", (0, 0), (-1, -1), 4),
            ]
        )
    )
    return table


def _signature_page(document: Document, styles: _Styles, boxes: list[FieldSpec]) -> list[Any]:
    regular, bold = styles.body.fontName, styles.strong.fontName
    pairs = [
        _SignatureBox(party=party, regular=regular, bold=bold, boxes=boxes)
        for party in document.parties
    ]
    rows: list[list[Any]] = [[*pairs[i : i + 2]] for i in range(0, len(pairs), 2)]
    if len(rows[-1]) == 1:
        rows[-1].append("")
    table = Table(rows, colWidths=[WIDTH / 2] * 2)
    table.setStyle(
        TableStyle(
            [
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 0),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 12),
            ]
        )
    )
    return [
        CondPageBreak(BOX_HEIGHT * len(rows) + 60 * mm),
        Spacer(1, 12),
        _flow(document.closing, _plain(styles)),
        Spacer(1, 10),
        table,
    ]


def _flow(text: str, style: ParagraphStyle) -> Paragraph:
    """A paragraph over the full width, broken by our own rules."""
    lines = break_lines(
        text,
        first_width=WIDTH - style.leftIndent - style.firstLineIndent,
        width=WIDTH - style.leftIndent,
        measure=lambda part: float(stringWidth(part, style.fontName, style.fontSize)),
    )
    return Paragraph("<br/>".join(escape(line) for line in lines), style)


def _plain(styles: _Styles) -> ParagraphStyle:
    return ParagraphStyle(
        "plain", parent=styles.body, leftIndent=0, firstLineIndent=21, spaceBefore=4, spaceAfter=2
    )


def _texts(document: Document) -> list[str]:
    texts = [document.title, document.title_en, document.number, document.recital]
    texts += [document.closing, DEMO_MARK]
    texts += [text for pair in document.facts for text in pair]
    for party in document.parties:
        texts += [party.role, party.name, *[text for pair in party.rows for text in pair]]
    for clause in document.clauses:
        texts += [clause.title, clause.title_en, *clause.paragraphs]
        texts += [text for row in clause.table for text in row]
    return texts


def _chinese(number: int) -> str:
    """1 .. 99 as 一 .. 九十九."""
    digits = "零一二三四五六七八九"
    tens, ones = divmod(number, 10)
    head = "" if tens == 0 else ("十" if tens == 1 else f"{digits[tens]}十")
    return head + (digits[ones] if ones or not tens else "")
