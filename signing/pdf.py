"""Prepare and embed signatures: the server writes the revision, the device signs its attributes.

Two steps, so that no private key is ever here:
    1. `prepare` writes the next revision with a placeholder and returns the exact DER bytes to sign;
    2. `embed` checks the device's signature over them, adds the time stamp and fills the placeholder.
Between them a `Prepared` may be stored as JSON and bytes and finished by another process.

Invariants:
    - every signature field exists before the first signature; later revisions only fill fields.
    - the first signature certifies the document (DocMDP 2) and each locks all other form fields.
    - `embed` returns a file only if every signature in it still verifies.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.content import PdfContent
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.layout import InnerScaling, Margins, SimpleBoxLayoutRule
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import (
    FieldMDPAction,
    FieldMDPSpec,
    MDPPerm,
    SigFieldSpec,
    SigSeedSubFilter,
    append_signature_field,
    enumerate_sig_fields,
)
from pyhanko.sign.signers.cms_embedder import (
    PdfCMSEmbedder,
    SigAppearanceSetup,
    SigIOSetup,
    SigMDPSetup,
    SigObjSetup,
)
from pyhanko.sign.signers.pdf_byterange import PreparedByteRangeDigest, SignatureObject
from pyhanko.stamp import StaticStampStyle

from ledger.core.canonical import Json
from ledger.core.errors import (
    ConflictError,
    FuqiError,
    InputError,
    LimitError,
    NotFoundError,
    VerificationError,
)
from ledger.core.report import Report, Verdict
from signing import changes, render
from signing.active import find_active_content
from signing.appearance import Appearance, FieldSpec, demo_page, signature_page
from signing.cms import assemble, read_timestamp, signed_attributes, verify_signature
from signing.pdf_reading import docmdp_of, form_of, open_reader, signatures_of
from signing.trust import PkiTrust, require_certificate
from signing.validate import integrity_report, validate_pdf

PREPARED_FORMAT: Final = "fuqi/prepared-signature/v1"
TOKEN_RESERVE: Final = 8_192
"""Bytes kept free for the time stamp: a token with its certificates has 1 to 6 kB."""
CMS_RESERVE: Final = 2_048
"""Bytes kept free for the rest of the container beside the certificates."""
CHAIN_MAX: Final = 10
FIELDS_MAX: Final = 50
"""Signature fields placed at once; more parties than any agreement of ours has."""
_FIELD_NAME: Final = re.compile(r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")


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


@dataclass(frozen=True, slots=True)
class Prepared:
    """A revision that waits for its signature.

    Attributes:
        revision: the file with an empty placeholder.
        signed_attrs: the exact DER bytes that the device signs with ECDSA P-256 and SHA-256.
        document_digest: SHA-256 over the byte range of the new signature.
        state: JSON with the rest; store it together with `revision`.
    """

    revision: bytes
    signed_attrs: bytes
    document_digest: bytes
    state: dict[str, Json]

    @classmethod
    def load(cls, *, revision: bytes, state: Mapping[str, Json]) -> Prepared:
        """Rebuild from what was stored; `embed` checks everything again.

        Raises:
            InputError: `pdf.prepared_malformed`.
        """
        try:
            if state["v"] != PREPARED_FORMAT:
                raise ValueError("format")
            return cls(
                revision=revision,
                signed_attrs=base64.b64decode(str(state["signed_attrs"]), validate=True),
                document_digest=bytes.fromhex(str(state["document_digest"])),
                state=dict(state),
            )
        except (KeyError, ValueError) as exc:
            raise InputError(
                "this is no prepared signature", code="pdf.prepared_malformed"
            ) from exc


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


def stamp_demo_mark(data: bytes) -> bytes:
    """Mark every page as a demonstration, as an incremental update; before any signature.

    Raises:
        ConflictError: `pdf.already_signed`.
        InputError: `pdf.broken`, `pdf.encrypted`.
        UnavailableError: `font.not_found`.
    """
    if changes.byte_ranges(data):
        raise ConflictError(
            "a signed file cannot be marked: the mark would break its signatures",
            code="pdf.already_signed",
        )
    with _translated():
        writer = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
        pages = form_of(open_reader(data)[0]).pages
        stamps: dict[tuple[int, int], Any] = {}
        for index in range(pages):
            _stamp_page(writer, index, stamps)
        return _written(writer)


def place_fields(data: bytes, fields: Sequence[FieldSpec]) -> bytes:
    """Add every signature field at once; each locks all form fields that are no signature.

    Raises:
        InputError: `pdf.field_invalid`, `pdf.field_outside_page`, `pdf.broken`, `pdf.encrypted`.
        ConflictError: `pdf.field_exists`, `pdf.fields_after_certification`,
            `pdf.breaks_earlier_signature`.
    """
    reader, _strict = open_reader(data)
    form = form_of(reader)
    _require_fields(data, fields, taken={*form.empty, *form.filled, *form.other_fields})
    if docmdp_of(reader):
        raise ConflictError(
            "the file is certified: fields can no longer be added",
            code="pdf.fields_after_certification",
        )
    names = [*form.empty, *form.filled, *(field.name for field in fields)]
    lock = FieldMDPSpec(FieldMDPAction.EXCLUDE, fields=names)
    with _translated():
        writer = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
        for field in fields:
            append_signature_field(
                writer,
                SigFieldSpec(
                    sig_field_name=field.name,
                    on_page=field.page,
                    box=_page_box(writer, field),
                    field_mdp_spec=lock,
                ),
            )
        result = _written(writer)
    _require_unbroken(data, result)
    return result


def prepare(
    data: bytes,
    *,
    field: str,
    certificate: bytes,
    chain: Sequence[bytes],
    at: datetime,
    certify: bool,
    appearance: Appearance,
) -> Prepared:
    """Write the revision that the device will sign.

    Args:
        field: an empty signature field.
        certificate: DER of the signer, P-256.
        chain: DER of the certificates above it.
        at: claimed time, written into the signature dictionary; the time stamp proves the true one.
        certify: True for the first signature of a document.

    Raises:
        NotFoundError: `pdf.field_unknown`.
        ConflictError: `pdf.field_taken`, `pdf.certify_not_first`, `pdf.certify_missing`.
        InputError: `trust.certificate`, `pdf.key_not_p256`, `pdf.chain_too_long`, `pdf.broken`,
            `pdf.encrypted`, `font.*`.
    """
    _require_p256(certificate)
    if len(chain) > CHAIN_MAX:
        raise InputError("the certificate chain is too long", code="pdf.chain_too_long")
    for der in chain:
        require_certificate(der)
    reader, _strict = open_reader(data)
    form = form_of(reader)
    if field in form.filled:
        raise ConflictError("this field is already signed", code="pdf.field_taken", field=field)
    if field not in form.empty:
        raise NotFoundError("there is no such signature field", code="pdf.field_unknown")
    if certify and form.filled:
        raise ConflictError(
            "only the first signature can certify the document", code="pdf.certify_not_first"
        )
    if not certify and not form.filled:
        raise ConflictError(
            "the first signature must certify the document", code="pdf.certify_missing"
        )
    with _translated():
        revision, digest = _write_revision(
            data,
            field=field,
            at=at,
            certify=certify,
            appearance=appearance,
            reserve=_reserve(certificate, chain),
        )
    signed_attrs = signed_attributes(
        document_digest=digest.document_digest, certificate=certificate
    )
    state: dict[str, Json] = {
        "v": PREPARED_FORMAT,
        "field": field,
        "certify": certify,
        "base_sha256": hashlib.sha256(data).hexdigest(),
        "revision_sha256": hashlib.sha256(revision).hexdigest(),
        "document_digest": digest.document_digest.hex(),
        "signed_attrs": base64.b64encode(signed_attrs).decode("ascii"),
        "certificate_sha256": hashlib.sha256(certificate).hexdigest(),
        "gap_start": digest.reserved_region_start,
        "gap_end": digest.reserved_region_end,
    }
    return Prepared(
        revision=revision,
        signed_attrs=signed_attrs,
        document_digest=digest.document_digest,
        state=state,
    )


def embed(
    prepared: Prepared,
    *,
    signature: bytes,
    certificate: bytes,
    chain: Sequence[bytes],
    stamp: Callable[[bytes], bytes],
) -> bytes:
    """Check the device's signature, time-stamp it and fill the placeholder.

    A crash before the return leaves nothing behind: the same `prepared` can be embedded again.

    Args:
        signature: DER ECDSA over `prepared.signed_attrs`.
        stamp: SHA-256 imprint of the signature value -> RFC 3161 token, DER.

    Raises:
        InputError: `pdf.prepared_malformed`.
        VerificationError: `pdf.signature_mismatch`, `pdf.timestamp_mismatch`, `cms.malformed`.
        ConflictError: `pdf.breaks_earlier_signature`.
        LimitError: `pdf.container_too_large`.
    """
    gap_start, gap_end = _require_prepared(prepared, certificate)
    spki = require_certificate(certificate).public_key.dump()
    try:
        verify_signature(
            prepared.signed_attrs,
            signature=signature,
            spki=spki,
            algorithm="ecdsa",
            hash_name="sha256",
        )
    except VerificationError as exc:
        raise VerificationError(
            "the signature was not made by the key of this certificate over the prepared bytes",
            code="pdf.signature_mismatch",
        ) from exc
    imprint = hashlib.sha256(signature).digest()
    token = stamp(imprint)
    if read_timestamp(token).imprint != imprint:
        raise VerificationError("the time stamp is for other bytes", code="pdf.timestamp_mismatch")
    container = assemble(
        signed_attrs=prepared.signed_attrs,
        signature=signature,
        certificate=certificate,
        chain=chain,
        timestamp=token,
    )
    room = gap_end - gap_start - 2
    if len(container) * 2 > room:
        raise LimitError(
            "the signature container does not fit its placeholder",
            code="pdf.container_too_large",
            limit=room // 2,
        )
    text = container.hex().upper().encode("ascii").ljust(room, b"0")
    result = prepared.revision[: gap_start + 1] + text + prepared.revision[gap_end - 1 :]
    assert len(result) == len(prepared.revision), "the placeholder changed its length"
    _require_unbroken(b"", result)
    return result


def check_all(data: bytes, *, trust: PkiTrust, at: datetime) -> Report:
    """Validate every signature again; to be called after each new one. Never raises."""
    return validate_pdf(data, trust=trust, at=at)


class _MemoryPage(PdfContent):  # type: ignore[misc]
    """The first page of a PDF in memory, as content of a stamp."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data

    def render(self) -> bytes:
        page = self._ensure_writer.import_page_as_xobject(PdfFileReader(io.BytesIO(self._data)))
        self.resources.xobject[pdf_name("/Seen")] = page
        x1, y1, x2, y2 = (float(number) for number in page.get_object()["/BBox"])
        self.box.width, self.box.height = int(abs(x2 - x1)), int(abs(y2 - y1))
        return b"/Seen Do"


class _translated:  # noqa: N801 - used like a function
    """Turns whatever pyHanko raises on odd files into `pdf.broken`; our own errors pass."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, exc: BaseException | None, _trace: object) -> None:
        if isinstance(exc, Exception) and not isinstance(exc, FuqiError | AssertionError):
            raise InputError("the PDF cannot be written to", code="pdf.broken") from exc


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
    with _translated():
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


def _require_fields(data: bytes, fields: Sequence[FieldSpec], *, taken: set[str]) -> None:
    if not 1 <= len(fields) <= FIELDS_MAX:
        raise InputError(
            f"between 1 and {FIELDS_MAX} fields can be placed", code="pdf.field_invalid"
        )
    names = [field.name for field in fields]
    if len(set(names)) != len(names) or not all(_FIELD_NAME.match(name) for name in names):
        raise InputError("field names are unique ASCII words", code="pdf.field_invalid")
    if taken & set(names):
        raise ConflictError("a field of this name exists", code="pdf.field_exists")
    with render.Document(data) as document:
        sizes = document.page_sizes(at_most=max(max(f.page for f in fields) + 1, 0))
    for field in fields:
        inside = (
            0 <= field.page < len(sizes)
            and field.width >= 1
            and field.height >= 1
            and field.x >= 0
            and field.y >= 0
            and field.x + field.width <= sizes[field.page][0]
            and field.y + field.height <= sizes[field.page][1]
        )
        if not inside:
            raise InputError(
                "a field lies outside its page", code="pdf.field_outside_page", field=field.name
            )


def _require_p256(certificate: bytes) -> None:
    key = require_certificate(certificate).public_key
    if key.algorithm != "ec" or key.curve != ("named", "secp256r1"):
        raise InputError("the certificate is not for a P-256 key", code="pdf.key_not_p256")


def _require_prepared(prepared: Prepared, certificate: bytes) -> tuple[int, int]:
    """Nothing of the stored state is believed: every value is derived or compared again."""
    state, revision = prepared.state, prepared.revision
    start, end = state.get("gap_start"), state.get("gap_end")
    last = max(changes.byte_ranges(revision), key=lambda item: item.end, default=None)
    if (
        not isinstance(start, int)
        or not isinstance(end, int)
        or last is None
        or last.fault
        or last.numbers[1:3] != (start, end)
        or last.end != len(revision)
        or last.contents.strip(b"\x00")
        or changes.range_digest(revision, last.numbers, "sha256") != prepared.document_digest
        or prepared.signed_attrs
        != signed_attributes(document_digest=prepared.document_digest, certificate=certificate)
    ):
        raise InputError(
            "the prepared revision and its state do not belong together or to this certificate",
            code="pdf.prepared_malformed",
        )
    return start, end


def _require_unbroken(before: bytes, after: bytes) -> None:
    """Every signature in `after` still holds; `before` unsigned needs no look."""
    if before and not changes.byte_ranges(before):
        return
    report = integrity_report(after)
    ignored = {"pdf.coverage"} if before else set()
    for check in report.checks:
        if check.verdict is not Verdict.PASSED and check.code not in ignored:
            raise ConflictError(
                "the new revision would break a signature: " + check.summary_en,
                code="pdf.breaks_earlier_signature",
                check=check.code,
            )


def _reserve(certificate: bytes, chain: Sequence[bytes]) -> int:
    """Hex digits to keep free; even."""
    return 2 * (len(certificate) + sum(map(len, chain)) + TOKEN_RESERVE + CMS_RESERVE)


def _write_revision(
    data: bytes,
    *,
    field: str,
    at: datetime,
    certify: bool,
    appearance: Appearance,
    reserve: int,
) -> tuple[bytes, PreparedByteRangeDigest]:
    writer = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
    box = form_of(open_reader(data)[0]).boxes.get(field)
    look = None
    if box is not None and box.right - box.left >= 1 and box.top - box.bottom >= 1:
        width, height = round(box.right - box.left), round(box.top - box.bottom)
        page = _MemoryPage(signature_page(appearance, width=width, height=height))
        style = StaticStampStyle(
            border_width=0,
            background=page,
            background_opacity=1,
            background_layout=SimpleBoxLayoutRule(
                x_align=_LAYOUT.x_align,
                y_align=_LAYOUT.y_align,
                margins=Margins.uniform(0),
                inner_content_scaling=InnerScaling.STRETCH_FILL,
            ),
        )
        look = SigAppearanceSetup(style=style, timestamp=at, name=None)
    steps = PdfCMSEmbedder().write_cms(field, writer, existing_fields_only=True)
    next(steps)
    steps.send(
        SigObjSetup(
            sig_placeholder=SignatureObject(
                timestamp=at, subfilter=SigSeedSubFilter.PADES, bytes_reserved=reserve
            ),
            mdp_setup=SigMDPSetup(
                md_algorithm="sha256",
                certify=certify,
                docmdp_perms=MDPPerm.FILL_FORMS if certify else None,
                field_lock=_lock_of(writer, field),
            ),
            appearance_setup=look,
        )
    )
    digest, output = steps.send(SigIOSetup(md_algorithm="sha256"))
    return bytes(output.getvalue()), digest


def _lock_of(writer: Any, field: str) -> FieldMDPSpec | None:
    for _name, _value, reference in enumerate_sig_fields(writer, with_name=field):
        item = reference.get_object()
        if "/Lock" in item:
            return FieldMDPSpec.from_pdf_object(item["/Lock"])
    return None


def _page_box(writer: Any, field: FieldSpec) -> tuple[int, int, int, int]:
    """The box in user space: a page may not begin at (0, 0)."""
    page = writer.find_page_for_modification(field.page)[0].get_object()
    left, bottom, _right, _top = _visible_box(page)
    x, y = field.x + round(left), field.y + round(bottom)
    return x, y, x + field.width, y + field.height


def _visible_box(page: Any) -> tuple[float, float, float, float]:
    raw = _inherited(page, "/CropBox") or _inherited(page, "/MediaBox") or [0, 0, 612, 792]
    x1, y1, x2, y2 = (float(number) for number in raw)
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _inherited(page: Any, key: str) -> Any:
    """A page attribute, from the page or from the nodes above it."""
    node = page
    for _level in range(50):
        if key in node:
            return node[key]
        if "/Parent" not in node:
            return None
        node = node["/Parent"]
    return None


def _stamp_page(writer: Any, index: int, stamps: dict[tuple[int, int], Any]) -> None:
    """Draw the mark over what is there, upright however the page is turned."""
    reference = writer.find_page_for_modification(index)[0]
    page = reference.get_object()
    left, bottom, right, top = _visible_box(page)
    turn = int(_inherited(page, "/Rotate") or 0) % 360
    width, height = max(1, round(right - left)), max(1, round(top - bottom))
    size = (height, width) if turn in {90, 270} else (width, height)
    if size not in stamps:
        overlay = PdfFileReader(io.BytesIO(demo_page(width=size[0], height=size[1])))
        stamps[size] = writer.import_page_as_xobject(overlay)
    matrix = {
        0: (1, 0, 0, 1, left, bottom),
        90: (0, 1, -1, 0, right, bottom),
        180: (-1, 0, 0, -1, right, top),
        270: (0, -1, 1, 0, left, top),
    }.get(turn, (1, 0, 0, 1, left, bottom))
    numbers = " ".join(f"{number:g}" for number in matrix)
    name = f"/FuqiDemo{index}"
    old = page["/Contents"] if "/Contents" in page else generic.ArrayObject()
    parts = (
        [list.__getitem__(old, n) for n in range(len(old))]
        if isinstance(old, list)
        else [page.raw_get("/Contents")]
    )
    before = writer.add_object(generic.StreamObject(stream_data=b"q "))
    after = writer.add_object(
        generic.StreamObject(stream_data=f" Q q {numbers} cm {name} Do Q".encode("ascii"))
    )
    page[pdf_name("/Contents")] = generic.ArrayObject([before, *parts, after])
    resources = generic.DictionaryObject(_raw_items(_inherited(page, "/Resources")))
    objects = generic.DictionaryObject(_raw_items(resources.get("/XObject")))
    objects[pdf_name(name)] = stamps[size]
    resources[pdf_name("/XObject")] = objects
    page[pdf_name("/Resources")] = resources
    writer.mark_update(reference)


def _raw_items(value: Any) -> dict[Any, Any]:
    """The entries of a dictionary with references left as they are."""
    item = value.get_object() if hasattr(value, "get_object") else value
    return {key: dict.__getitem__(item, key) for key in item} if isinstance(item, dict) else {}


def _written(writer: Any) -> bytes:
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


_LAYOUT: Final = StaticStampStyle().background_layout
