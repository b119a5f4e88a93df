"""Long-term signatures: embedded revocation data (PAdES B-LT) and document time stamps (B-LTA).

A signature outlives its certificate only where two things are in the file: the proof that the
certificate was not revoked when it was used, and a time stamp over that proof from before the
authorities ended. Both are written in one incremental revision: the document security store first,
the document time stamp over it, so that no byte of the result is unsigned.

Repeating `extend` before the newest time-stamp authority ends keeps the chain alive for ever
(ETSI EN 319 142-1, 5.5 and 6.3). Nothing is fetched here: callers bring the material.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from asn1crypto import crl, ocsp, x509
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import InvisSigSettings, SigFieldSpec
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigObjSetup
from pyhanko.sign.signers.pdf_byterange import DocumentTimestamp
from pyhanko.sign.validation.dss import DocumentSecurityStore

from ledger.core.errors import ConflictError, InputError, LimitError, VerificationError
from ledger.core.report import Verdict
from signing import changes
from signing.cms import read_timestamp
from signing.embedded import Level, ValidationData, level_of, validation_data_of
from signing.parsed import ASN1_ERRORS
from signing.pdf_reading import form_of, open_reader, signatures_of, translated
from signing.reading import RecordedEdit, SignatureFacts
from signing.trust import certificate_times
from signing.validate import integrity_report

__all__ = ["Level", "Renewal", "ValidationData", "extend", "level_of", "renewal_of"]

TIMESTAMPS_MAX: Final = 100
"""Document time stamps in one file: one every two years is two centuries."""
TOKEN_RESERVE: Final = 16_384
"""Bytes kept free for a document time stamp; authorities with long chains need 6 to 10 kB."""
RENEW_BEFORE: Final = timedelta(days=90)
"""How long before the newest proof ends it is renewed: the notice a leaving authority gives (ES-23)."""
FIELD_PREFIX: Final = "fuqi_archive_"


@dataclass(frozen=True, slots=True)
class Renewal:
    """When the evidence in a file must be renewed.

    Attributes:
        newest: time of the newest document time stamp; None where there is none.
        ends: when the certificate behind the newest proof ends; None where nothing ends.
        due: when `extend` is to be called next; now where there is no document time stamp.
    """

    newest: datetime | None
    ends: datetime | None
    due: datetime


def extend(
    data: bytes,
    *,
    material: ValidationData,
    stamp: Callable[[bytes], bytes],
    edits: Sequence[RecordedEdit] = (),
) -> bytes:
    """One more revision: `material` into the security store, and a document time stamp over all.

    Calling it again after a crash is harmless: either the new file exists or nothing does.

    Args:
        material: certificates, CRLs and OCSP responses of every path in the file, DER; what the file
            already holds is not written twice.
        stamp: SHA-256 imprint of the whole revision -> RFC 3161 token, DER.
        edits: what signers filled after earlier signatures, as recorded.

    Raises:
        ConflictError: `pdf.unsigned`, `pdf.breaks_earlier_signature`, `pdf.time_goes_back`.
        InputError: `pdf.broken`, `pdf.encrypted`, `pdf.validation_data`.
        LimitError: `pdf.too_many_timestamps`, `pdf.container_too_large`.
        VerificationError: `pdf.timestamp_mismatch`, `cms.malformed`.
    """
    found = signatures_of(data)
    if not any(item.kind == "signature" for item in found):
        raise ConflictError(
            "the file holds no signature; sign it before it is archived", code="pdf.unsigned"
        )
    archived = sum(item.kind == "document_timestamp" for item in found)
    if archived >= TIMESTAMPS_MAX:
        raise LimitError(
            "the file holds as many document time stamps as are allowed",
            code="pdf.too_many_timestamps",
            limit=TIMESTAMPS_MAX,
        )
    with translated():
        revision, digest, start, end = _revision_with_store(data, material)
    token = stamp(digest)
    parsed = read_timestamp(token)
    if parsed.imprint != digest:
        raise VerificationError("the time stamp is for other bytes", code="pdf.timestamp_mismatch")
    before = max((i.timestamp_time for i in found if i.timestamp_time), default=None)
    if before is not None and parsed.time < before:
        raise ConflictError(
            "the time stamp lies before one that the file already holds; check the clock",
            code="pdf.time_goes_back",
        )
    room = end - start - 2
    if len(token) * 2 > room:
        raise LimitError(
            "the time stamp does not fit its placeholder",
            code="pdf.container_too_large",
            limit=room // 2,
        )
    text = token.hex().upper().encode("ascii").ljust(room, b"0")
    result = revision[: start + 1] + text + revision[end - 1 :]
    _require_unbroken(result, edits)
    return result


def renewal_of(data: bytes, *, at: datetime) -> Renewal:
    """When the proof of existence in this file must be renewed.

    Without a document time stamp it is due now. Else it is due `RENEW_BEFORE` the end of the
    certificate that signed the newest one, and never later than that.

    Raises:
        InputError: `pdf.broken`, `pdf.encrypted`.
    """
    stamps = [item for item in signatures_of(data) if item.kind == "document_timestamp"]
    newest = max(stamps, key=lambda item: item.revision_size, default=None)
    if newest is None or newest.timestamp_time is None or not newest.certificate:
        return Renewal(newest=None, ends=None, due=at)
    ends = min(_ends(newest))
    return Renewal(newest=newest.timestamp_time, ends=ends, due=ends - RENEW_BEFORE)


def _ends(item: SignatureFacts) -> list[datetime]:
    """Ends of validity of the signer and of every authority that the token carries."""
    return [certificate_times(der)[1] for der in {item.certificate, *item.chain}]


def _revision_with_store(data: bytes, material: ValidationData) -> tuple[bytes, bytes, int, int]:
    """The next revision with an empty document time stamp: bytes, digest, start and end of the gap."""
    writer = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
    known = validation_data_of(data)
    try:
        DocumentSecurityStore.supply_dss_in_writer(
            writer,
            sig_contents=None,
            certs=_loaded(x509.Certificate, material.certificates, known.certificates),
            crls=_loaded(crl.CertificateList, material.crls, known.crls),
            ocsps=_loaded(ocsp.OCSPResponse, material.ocsps, known.ocsps),
        )
    except ASN1_ERRORS as exc:
        raise InputError(
            "the validation data are no certificates, CRLs and OCSP responses in DER",
            code="pdf.validation_data",
        ) from exc
    name = _free_name(data)
    steps = PdfCMSEmbedder(
        new_field_spec=SigFieldSpec(
            sig_field_name=name,
            invis_sig_settings=InvisSigSettings(),
            readable_field_name="archive time stamp",
        )
    ).write_cms(field_name=name, writer=writer, existing_fields_only=False)
    next(steps)
    make: Any = DocumentTimestamp  # pyHanko does not type its constructor
    steps.send(SigObjSetup(sig_placeholder=make(bytes_reserved=2 * TOKEN_RESERVE)))
    digest, output = steps.send(SigIOSetup(md_algorithm="sha256"))
    return (
        bytes(output.getvalue()),
        digest.document_digest,
        digest.reserved_region_start,
        digest.reserved_region_end,
    )


def _loaded(kind: Any, wanted: Sequence[bytes], known: Sequence[bytes]) -> list[Any]:
    fresh = [der for der in dict.fromkeys(wanted) if der not in set(known)]
    return [kind.load(der, strict=True) for der in fresh]


def _free_name(data: bytes) -> str:
    form = form_of(open_reader(data)[0])
    taken = {*form.empty, *form.filled, *form.other_fields}
    return next(
        name
        for name in (f"{FIELD_PREFIX}{n}" for n in range(1, TIMESTAMPS_MAX + len(taken) + 2))
        if name not in taken
    )


def _require_unbroken(result: bytes, edits: Sequence[RecordedEdit]) -> None:
    """The result holds together as a whole: every signature, every byte, the new stamp included."""
    for check in integrity_report(result, edits=edits).checks:
        if check.verdict is not Verdict.PASSED:
            raise ConflictError(
                "the new revision would break a signature: " + check.summary_en,
                code="pdf.breaks_earlier_signature",
                check=check.code,
            )
    assert changes.byte_ranges(result), "the document time stamp was not written"
