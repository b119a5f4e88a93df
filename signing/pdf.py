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

from pyhanko.pdf_utils.content import PdfContent
from pyhanko.pdf_utils.generic import ByteStringObject, pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.layout import AxisAlignment, InnerScaling, Margins, SimpleBoxLayoutRule
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import copy_into_new_writer
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
    InputError,
    LimitError,
    NotFoundError,
    VerificationError,
)
from ledger.core.report import Report, Verdict
from signing import changes, render
from signing.appearance import Appearance, Box, FieldSpec, layout, signature_page
from signing.cms import assemble, read_timestamp, signed_attributes, verify_signature
from signing.demo_mark import stamp_demo_mark
from signing.edge_plan import EdgeTrack
from signing.edge_seal import PREFIX, add_edge_field, field_name, fill_edge
from signing.intake import PdfFacts, PdfLimits, intake
from signing.keys.algorithms import kind_of
from signing.page_space import numbers, turn_of, upright, user_box
from signing.pdf_reading import (
    docmdp_of,
    form_of,
    open_reader,
    revisions_of,
    signatures_of,
    translated,
)
from signing.reading import Form, RecordedEdit
from signing.seal_pictures import pixels_of
from signing.seal_reading import SEAL_KEY
from signing.seals import Picture
from signing.trust import PkiTrust, require_certificate
from signing.validate import integrity_report, validate_pdf

__all__ = [
    "FieldSpec",
    "PdfFacts",
    "PdfLimits",
    "Prepared",
    "SealMark",
    "check_all",
    "embed",
    "intake",
    "place_fields",
    "prepare",
    "revisions_of",
    "signatures_of",
    "stamp_demo_mark",
]

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
class SealMark:
    """A seal to be put on the document with a signature.

    Attributes:
        page: one-page PDF of the seal in its true size (`signing.seals`).
        object_der: the seal object (`signing.seal_object`), made for this file and certificate; it stands
            in the signature dictionary, where the signature covers it.
        edge: the picture that runs across the edges of all pages, that of the seal object; None for none.
            Its boxes were kept for this signature field by `place_fields(edges=...)`.
    """

    page: bytes
    object_der: bytes
    edge: Picture | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A revision that waits for its signature.

    Attributes:
        revision: the file with an empty placeholder.
        signed_attrs: the exact DER bytes that the device signs, as its kind of key does.
        document_digest: SHA-256 (SM3 for an SM2 key) over the byte range of the new signature.
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


def place_fields(
    data: bytes,
    fields: Sequence[FieldSpec],
    *,
    fillable: Mapping[str, str] | None = None,
    edges: Sequence[EdgeTrack] = (),
) -> bytes:
    """Add every signature field at once; each locks all form fields that are no signature.

    Args:
        edges: bands of page-edge seals (`signing.edge_plan`), for fields placed now; each is left open
            by the locks of all fields but its own.
        fillable: text field (`signing.form_fill`) -> signature field of the one who may fill it: the
            locks of all others leave it open, and that signer's own lock closes it.

    Raises:
        InputError: `pdf.field_invalid`, `pdf.field_outside_page`, `pdf.broken`, `pdf.encrypted`.
        ConflictError: `pdf.field_exists`, `pdf.fields_after_certification`,
            `pdf.breaks_earlier_signature`.
    """
    reader, _strict = open_reader(data)
    form = form_of(reader)
    bands = {field_name(one): one.signature for one in edges}
    _require_fields(data, fields, taken={*form.empty, *form.filled, *form.other_fields})
    _require_bands(edges, fields, taken={*form.other_fields})
    if docmdp_of(reader):
        raise ConflictError(
            "the file is certified: fields can no longer be added",
            code="pdf.fields_after_certification",
        )
    if reader.xrefs.hybrid_xrefs_present and not changes.byte_ranges(data):
        # Readers disagree about hybrid files, so no verifier can judge what follows in one. Unsigned,
        # it is written anew in one plain form; signed, it stays as it is.
        data = _plain(reader)
    names = [*form.empty, *form.filled, *(field.name for field in fields)]
    fillers = dict(fillable or {})
    if not (fillers.keys() <= {*form.other_fields} and {*fillers.values()} <= {*names}):
        raise InputError(
            "a fillable field is a text field of the document, its filler a signature field",
            code="pdf.field_invalid",
        )
    with translated():
        writer = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
        for field in fields:
            open_to = {**fillers, **bands}
            left_open = [name for name, filler in open_to.items() if filler != field.name]
            append_signature_field(
                writer,
                SigFieldSpec(
                    sig_field_name=field.name,
                    on_page=field.page,
                    box=_page_box(writer, field),
                    field_mdp_spec=FieldMDPSpec(
                        FieldMDPAction.EXCLUDE, fields=[*names, *left_open]
                    ),
                ),
            )
        for track in edges:
            add_edge_field(writer, track, pages=form.pages)
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
    seal: SealMark | None = None,
) -> Prepared:
    """Write the revision that the device will sign.

    Args:
        field: an empty signature field.
        certificate: DER of the signer: a key of any kind in `signing.keys.algorithms`.
        chain: DER of the certificates above it.
        at: claimed time, written into the signature dictionary; the time stamp proves the true one.
        certify: True for the first signature of a document.
        seal: laid over the box and bound inside the signed bytes.

    Raises:
        NotFoundError: `pdf.field_unknown`.
        ConflictError: `pdf.field_taken`, `pdf.certify_not_first`, `pdf.certify_missing`,
            `seal.edge_not_planned`, `seal.no_box`.
        InputError: `trust.certificate`, `keys.kind`, `pdf.chain_too_long`, `pdf.broken`,
            `pdf.encrypted`, `font.*`, `seal.picture_broken`.
    """
    kind = kind_of(require_certificate(certificate).public_key.dump())
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
    _require_seal(seal, box=form.boxes.get(field))
    with translated():
        revision, digest = _write_revision(
            data,
            field=field,
            form=form,
            at=at,
            certify=certify,
            appearance=appearance,
            reserve=_reserve(certificate, chain),
            seal=seal,
        )
    document_digest = digest.document_digest
    if kind.digest != "sha256":
        gap = digest.reserved_region_start, digest.reserved_region_end
        numbers = (0, *gap, len(revision) - gap[1])
        document_digest = changes.range_digest(revision, numbers, kind.digest)
    signed_attrs = signed_attributes(document_digest=document_digest, certificate=certificate)
    state: dict[str, Json] = {
        "v": PREPARED_FORMAT,
        "field": field,
        "certify": certify,
        "document_digest": document_digest.hex(),
        "signed_attrs": base64.b64encode(signed_attrs).decode("ascii"),
        "certificate_sha256": hashlib.sha256(certificate).hexdigest(),
        "gap_start": digest.reserved_region_start,
        "gap_end": digest.reserved_region_end,
    }
    return Prepared(
        revision=revision,
        signed_attrs=signed_attrs,
        document_digest=document_digest,
        state=state,
    )


def embed(
    prepared: Prepared,
    *,
    signature: bytes,
    certificate: bytes,
    chain: Sequence[bytes],
    stamp: Callable[[bytes], bytes],
    edits: Sequence[RecordedEdit] = (),
) -> bytes:
    """Check the device's signature, time-stamp it and fill the placeholder.

    A crash before the return leaves nothing behind: the same `prepared` can be embedded again.

    Args:
        signature: by the certificate's key over `prepared.signed_attrs`, as its kind signs.
        stamp: SHA-256 imprint of the signature value -> RFC 3161 token, DER.
        edits: what signers, this one included, filled after earlier signatures (`signing.form_fill`).

    Raises:
        InputError: `pdf.prepared_malformed`.
        VerificationError: `pdf.signature_mismatch`, `pdf.timestamp_mismatch`, `cms.malformed`.
        ConflictError: `pdf.breaks_earlier_signature`.
        LimitError: `pdf.container_too_large`.
    """
    (gap_start, gap_end), scanned = _require_prepared(prepared, certificate)
    spki = require_certificate(certificate).public_key.dump()
    kind = kind_of(spki)
    try:
        verify_signature(
            prepared.signed_attrs,
            signature=signature,
            spki=spki,
            algorithm=kind.verifier,
            hash_name=kind.digest,
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
    revision = memoryview(prepared.revision)
    result = b"".join((revision[: gap_start + 1], text, revision[gap_end - 1 :]))
    assert len(result) == len(prepared.revision), "the placeholder changed its length"
    _require_unbroken(b"", result, scanned=scanned, edits=edits)
    return result


def check_all(
    data: bytes, *, trust: PkiTrust, at: datetime, edits: Sequence[RecordedEdit] = ()
) -> Report:
    """Validate every signature again; to be called after each new one. Never raises.

    Args:
        edits: as in `embed`.
    """
    return validate_pdf(data, trust=trust, at=at, edits=edits)


class _MemoryPage(PdfContent):
    """The first page of a PDF in memory, as content of a stamp, and another one laid over it."""

    def __init__(
        self, data: bytes, *, over: bytes = b"", box: Box | None = None, turn: int = 0
    ) -> None:
        super().__init__()
        self._data, self._over, self._place, self._turn = data, over, box, turn

    def render(self) -> bytes:
        width, height = self._take(self._data, "/Seen")
        if self._turn in {90, 270}:
            width, height = height, width
        self.box.width, self.box.height = int(width), int(height)
        # On a page that a reader turns, the stamp is turned back, so that it is read upright.
        drawn = (
            "" if self._turn == 0 else f"{numbers(upright(self._turn, (0, 0, width, height)))} cm "
        )
        drawn += "/Seen Do"
        if self._over and self._place is not None:
            own_width, own_height = self._take(self._over, "/Seal")
            left, bottom, wide, high = self._place
            scale = (wide / own_width, 0.0, 0.0, high / own_height, left, bottom)
            drawn += f" q {numbers(scale)} cm /Seal Do Q"
        return drawn.encode("ascii")

    def _take(self, data: bytes, name: str) -> tuple[float, float]:
        page = self._ensure_writer.import_page_as_xobject(PdfFileReader(io.BytesIO(data)))
        self.resources.xobject[pdf_name(name)] = page
        x1, y1, x2, y2 = (float(number) for number in page.get_object()["/BBox"])
        return abs(x2 - x1), abs(y2 - y1)


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


def _require_prepared(
    prepared: Prepared, certificate: bytes
) -> tuple[tuple[int, int], changes.Scanned]:
    """Where the value goes. Nothing of the stored state is believed: all is derived or compared again."""
    state, revision = prepared.state, prepared.revision
    start, end = state.get("gap_start"), state.get("gap_end")
    places = changes.range_places(revision)
    ranges = changes.byte_ranges(revision, places=places)
    none = changes.ByteRange(0, (), b"", "no_integers")
    last = max(ranges, key=lambda item: item.end, default=none)
    digests = changes.RangeDigests(revision, stops=changes.stops_of(ranges))
    kind = kind_of(require_certificate(certificate).public_key.dump())
    if (
        not isinstance(start, int)
        or not isinstance(end, int)
        or last.fault
        or last.numbers[1:3] != (start, end)
        or last.end != len(revision)
        or last.contents.strip(b"\x00")
        or digests.of_range(last.numbers, kind.digest) != prepared.document_digest
        or prepared.signed_attrs
        != signed_attributes(document_digest=prepared.document_digest, certificate=certificate)
    ):
        raise InputError(
            "the prepared revision and its state do not belong together or to this certificate",
            code="pdf.prepared_malformed",
        )
    return (start, end), changes.Scanned(places, digests)


def _require_unbroken(
    before: bytes,
    after: bytes,
    *,
    scanned: changes.Scanned | None = None,
    edits: Sequence[RecordedEdit] = (),
) -> None:
    """Every signature in `after` still holds; `before` unsigned needs no look."""
    if before and not changes.byte_ranges(before):
        return
    report = integrity_report(after, scanned=scanned, edits=edits)
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
    seal: SealMark | None,
    form: Form | None = None,
) -> tuple[bytes, PreparedByteRangeDigest]:
    buffer = io.BytesIO(data)
    writer: Any = IncrementalPdfFileWriter(buffer, strict=False)
    form = form_of(open_reader(data)[0]) if form is None else form
    box = form.boxes.get(field)
    if seal is not None and seal.edge is not None:
        fill_edge(writer, field, seal.edge, pixels_of(seal.edge))
    look = None
    if _has_area(box):
        assert box is not None
        width, height = round(box.right - box.left), round(box.top - box.bottom)
        turn = turn_of(writer.find_page_for_modification(box.page)[0].get_object())
        if turn in {90, 270}:
            width, height = height, width
        page = _MemoryPage(
            signature_page(appearance, width=width, height=height),
            over=b"" if seal is None else seal.page,
            box=layout(appearance, width=width, height=height).seal,
            turn=turn,
        )
        style = StaticStampStyle(
            border_width=0,
            background=page,
            background_opacity=1,
            background_layout=SimpleBoxLayoutRule(
                x_align=AxisAlignment.ALIGN_MID,
                y_align=AxisAlignment.ALIGN_MID,
                margins=Margins(0, 0, 0, 0),
                inner_content_scaling=InnerScaling.STRETCH_FILL,
            ),
        )
        look = SigAppearanceSetup(style=style, timestamp=at, name=None)
    steps = PdfCMSEmbedder().write_cms(field, writer, existing_fields_only=True)
    next(steps)
    dictionary: Any = SignatureObject(
        timestamp=at, subfilter=SigSeedSubFilter.PADES, bytes_reserved=reserve
    )
    if seal is not None:
        dictionary[pdf_name(SEAL_KEY)] = ByteStringObject(seal.object_der)
    steps.send(
        SigObjSetup(
            sig_placeholder=dictionary,
            mdp_setup=SigMDPSetup(
                md_algorithm="sha256",
                certify=certify,
                docmdp_perms=MDPPerm.FILL_FORMS if certify else None,
                field_lock=_lock_of(writer, field),
            ),
            appearance_setup=look,
        )
    )
    # Written behind the file in the same buffer: a second one would copy every byte once more.
    digest, _output = steps.send(SigIOSetup(md_algorithm="sha256", in_place=True))
    revision = buffer.getvalue()
    # pyHanko's objects refer to each other in circles and live on for a while: without the file.
    buffer.close()
    return revision, digest


def _has_area(box: render.Box | None) -> bool:
    return box is not None and box.right - box.left >= 1 and box.top - box.bottom >= 1


def _require_bands(
    edges: Sequence[EdgeTrack], fields: Sequence[FieldSpec], *, taken: set[str]
) -> None:
    owners = [one.signature for one in edges]
    if len(set(owners)) != len(owners) or not {*owners} <= {one.name for one in fields}:
        raise InputError(
            "a page-edge seal belongs to one of the signature fields placed with it",
            code="pdf.field_invalid",
        )
    # Boxes that the sender's own file brings could stand anywhere, and a signer's seal would fill them.
    if any(name.startswith(f"{PREFIX}-") for name in taken):
        raise ConflictError(
            "the file has form fields of a name that is kept for page-edge seals: remove them",
            code="pdf.field_exists",
        )


def _require_seal(seal: SealMark | None, *, box: render.Box | None) -> None:
    if seal is None:
        return
    if not _has_area(box):
        raise ConflictError(
            "this signature field has no box: there is nowhere to put a seal", code="seal.no_box"
        )


def _lock_of(writer: Any, field: str) -> FieldMDPSpec | None:
    for _name, _value, reference in enumerate_sig_fields(writer, with_name=field):
        item = reference.get_object()
        if "/Lock" in item:
            return FieldMDPSpec.from_pdf_object(item["/Lock"])
    return None


def _page_box(writer: Any, field: FieldSpec) -> tuple[int, int, int, int]:
    """The box in user space: a page may not begin at (0, 0), and a reader may turn it."""
    page = writer.find_page_for_modification(field.page)[0].get_object()
    x1, y1, x2, y2 = user_box(page, x=field.x, y=field.y, width=field.width, height=field.height)
    left, bottom = round(x1), round(y1)
    return left, bottom, left + round(x2 - x1), bottom + round(y2 - y1)


def _plain(reader: Any) -> bytes:
    """The whole document written anew, with one cross-reference table.

    Raises:
        InputError: `pdf.broken`.
    """
    with translated():
        return _written(copy_into_new_writer(reader, writer_kwargs={"stream_xrefs": False}))


def _written(writer: Any) -> bytes:
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()
