"""The gate for uploaded PDFs: what may be signed, and why the rest may not.

Two parsers look at every file; where they differ, the file is refused.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from ledger.core.errors import ConflictError, InputError, LimitError
from ledger.core.report import Verdict
from signing import changes, render
from signing.active import find_active_content
from signing.pdf_reading import docmdp_of, form_of, open_reader, signatures_of, translated
from signing.validate import integrity_report


@dataclass(frozen=True, slots=True)
class PdfLimits:
    """What an uploaded PDF may be at most.

    Attributes:
        bytes_max: 20 MiB holds a scanned contract of 100 pages.
        pages_max: 200 pages are drawn and compared within a minute.
        side_max_pt: 14 400 points, the largest page PDF 1.7 allows.
    """

    bytes_max: int = 20 * 1024 * 1024
    pages_max: int = 200
    side_max_pt: int = 14_400


@dataclass(frozen=True, slots=True)
class PdfFacts:
    """What intake found.

    Attributes:
        sha256: of the bytes.
        page_sizes_pt: width and height of each page in whole points.
        signatures: signature values that the file already holds.
        certified: DocMDP permission of an earlier certification, 0 for none.
        empty_fields: signature fields that can be signed.
    """

    sha256: bytes
    size: int
    pages: int
    page_sizes_pt: tuple[tuple[int, int], ...]
    signatures: int
    certified: int
    empty_fields: tuple[str, ...]


def intake(data: bytes, *, limits: PdfLimits | None = None) -> PdfFacts:
    """Accept a PDF for signing or refuse it with the reason.

    Raises:
        LimitError: `pdf.too_large`, `pdf.too_many_pages`, `pdf.page_too_large`.
        InputError: `pdf.not_pdf`, `pdf.hidden_bytes`, `pdf.broken`, `pdf.encrypted`,
            `pdf.parsers_disagree`, `pdf.no_pages`, `pdf.active_content`, `pdf.signature_broken`.
        ConflictError: `pdf.signatures_forbid_more`.
    """
    bounds = limits or PdfLimits()
    _require_bytes(data, bounds)
    pages, sizes = _second_opinion(data, bounds)
    reader, _strict = open_reader(data)
    form = form_of(reader)
    if form.pages != pages:
        raise InputError(
            "two PDF parsers count different pages: the file is ambiguous",
            code="pdf.parsers_disagree",
            pages=form.pages,
            pages_second=pages,
        )
    _require_passive(reader)
    signatures = signatures_of(data)
    certified = docmdp_of(reader)
    if signatures or changes.byte_ranges(data):
        report = integrity_report(data)
        if report.verdict is not Verdict.PASSED:
            broken = next(check for check in report.checks if check.verdict is not Verdict.PASSED)
            raise InputError(
                "the file is already signed, and its signatures do not hold: " + broken.summary_en,
                code="pdf.signature_broken",
                check=broken.code,
            )
    if certified == 1 or (certified and not form.empty):
        raise ConflictError(
            "an earlier signature forbids further ones (DocMDP, or no field is left)",
            code="pdf.signatures_forbid_more",
            permission=certified,
        )
    return PdfFacts(
        sha256=hashlib.sha256(data).digest(),
        size=len(data),
        pages=pages,
        page_sizes_pt=sizes,
        signatures=len(signatures),
        certified=certified,
        empty_fields=form.empty,
    )


def _require_bytes(data: bytes, bounds: PdfLimits) -> None:
    if len(data) > bounds.bytes_max:
        raise LimitError(
            "the file is larger than the limit", code="pdf.too_large", limit=bounds.bytes_max
        )
    head = data.find(b"%PDF-", 0, 1024)
    if head < 0:
        raise InputError("this is no PDF file", code="pdf.not_pdf")
    if head > 0:
        raise InputError("bytes stand before the PDF header", code="pdf.hidden_bytes", where="head")
    if b"%%EOF" not in data[-2048:] and b"%%EOF" not in data:
        raise InputError("the file has no end: it is cut off", code="pdf.broken")
    if changes.tail_after_last_eof(data):
        raise InputError(
            "bytes stand behind the end of the PDF", code="pdf.hidden_bytes", where="tail"
        )


def _second_opinion(data: bytes, bounds: PdfLimits) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Pages as PDFium sees them."""
    try:
        with render.Document(data) as document:
            pages = document.page_count()
            if pages > bounds.pages_max:
                raise LimitError(
                    "the file has more pages than the limit",
                    code="pdf.too_many_pages",
                    limit=bounds.pages_max,
                )
            sizes = document.page_sizes(at_most=bounds.pages_max)
    except InputError as exc:
        if exc.error_code == "render.encrypted":
            raise InputError("the PDF is encrypted", code="pdf.encrypted") from exc
        if exc.error_code.startswith("render."):
            raise InputError("the PDF cannot be read", code="pdf.broken") from exc
        raise
    if pages == 0:
        raise InputError("the PDF has no page", code="pdf.no_pages")
    if any(not 1 <= side <= bounds.side_max_pt for size in sizes for side in size):
        raise LimitError(
            "a page is larger than the limit", code="pdf.page_too_large", limit=bounds.side_max_pt
        )
    return pages, sizes


def _require_passive(reader: Any) -> None:
    with translated():
        walk = find_active_content(reader.root)
    if walk.findings:
        first = walk.findings[0]
        raise InputError(
            f"the PDF holds active content: {first.kind} at {first.where}",
            code="pdf.active_content",
            kind=first.kind,
            where=first.where,
            count=len(walk.findings),
        )
    if not walk.complete:
        raise LimitError("the PDF holds too many objects", code="pdf.too_many_objects")
