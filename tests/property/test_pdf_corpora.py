"""Published attack files and the EU's own test files: nothing raises, no attack passes.

The files lie in ../shared; where they are absent, `tests/unit/signing/test_validate.py` makes the
same attacks by hand.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.core.errors import FuqiError
from ledger.core.report import Verdict
from signing.pdf import intake
from signing.trust import PkiTrust
from signing.validate import revisions_of, signatures_of, validate_pdf

AT = datetime(2026, 11, 23, tzinfo=UTC)
SHARED = Path(__file__).resolve().parents[3] / "shared" / "corpora"
SECONDS_MAX = 20
"""For one file on a busy machine; the slowest takes a third of a second on a quiet one."""
TRUST_CHECKS = {
    "pdf.certificate",
    "pdf.certificate_time",
    "pdf.time_stamp",
    "pdf.time_stamp_trust",
    "pdf.revocation",
}


HONEST = {
    "Signature-P-HU_MIC-1.pdf",
    "Signature-P-HU_MIC-3.pdf",
    "pades-ocsp-sign-cert.pdf",
    "pades-tst-with-null-type.pdf",
    "pdf-with-eof-cr.pdf",
}
"""Files without any fault once every certificate in them is trusted; a stricter check would lose them."""


def files(folder: str) -> list:
    found = sorted((SHARED / folder).glob("*.pdf"))
    if not found:
        reason = pytest.mark.skip(reason=f"../shared/corpora/{folder} is not on this machine")
        return [pytest.param(None, marks=reason)]
    return [pytest.param(path, id=path.name) for path in found]


def own_trust(data: bytes) -> PkiTrust:
    """Every certificate inside the file as a root: what is left to refuse is not trust."""
    try:
        roots = tuple({der for item in signatures_of(data) for der in item.chain})
    except FuqiError:
        roots = ()
    return PkiTrust(ca_roots=roots, tsa_roots=roots)


def outcome(data: bytes) -> str:
    try:
        intake(data)
    except FuqiError as exc:
        return exc.error_code
    return "accepted"


@pytest.mark.parametrize("path", files("pdf-attacks"))
def test_an_attack_fails_for_another_reason_than_trust(path):
    data = path.read_bytes()
    for trust in (PkiTrust(), own_trust(data)):
        report = validate_pdf(data, trust=trust, at=AT)
        assert report.verdict is Verdict.FAILED
        failed = {check.code for check in report.checks if check.verdict is Verdict.FAILED}
        assert failed - TRUST_CHECKS


@pytest.mark.parametrize("path", files("pdf-attacks"))
def test_an_attack_is_not_taken_in(path):
    with pytest.raises(FuqiError):
        intake(path.read_bytes())


@pytest.mark.parametrize("path", files("pdf-validation"))
def test_no_file_raises_and_each_is_quick(path):
    data = path.read_bytes()
    start = time.monotonic()
    report = validate_pdf(data, trust=own_trust(data), at=AT)
    assert time.monotonic() - start < SECONDS_MAX
    assert report.checks
    assert (report.verdict is Verdict.PASSED) == (path.name in HONEST)
    assert revisions_of(data)


@pytest.mark.parametrize("path", files("pdf-validation"))
def test_intake_raises_nothing_but_our_errors(path):
    assert outcome(path.read_bytes()).startswith(("accepted", "pdf."))


KNOWN = {
    # an edit in between two signatures, which one of them cannot see
    "hello_signed_INCSAVE_signed_EDITED.pdf": (Verdict.FAILED, "pdf.signatures"),
    # the honest file it was made from: SHA-1 and no time stamp, but no fault
    "hello_signed_INCSAVE_signed.pdf": (Verdict.INDETERMINATE, "pdf.algorithm"),
    # one library calls the edited text field valid
    "dss-2236_replace.pdf": (Verdict.FAILED, "pdf.changes"),
    "dss-2236_hide.pdf": (Verdict.FAILED, "pdf.visual"),
    # one library lists two valid signatures
    "signature-referenced-from-multiple-fields.pdf": (Verdict.FAILED, "pdf.signatures"),
    # one bad field makes one library list nothing
    "pdf-with-empty-sig.pdf": (Verdict.FAILED, "pdf.signatures"),
    "pdf-with-two-empty-sigs.pdf": (Verdict.FAILED, "pdf.signatures"),
    "pdf-byterange-overlap.pdf": (Verdict.FAILED, "pdf.byte_range"),
    "pdf-signed-out-of-byteRange.pdf": (Verdict.FAILED, "pdf.byte_range"),
    "pdf-signed-added-page.pdf": (Verdict.FAILED, "pdf.visual"),
    "pades-signed-annot-added.pdf": (Verdict.FAILED, "pdf.changes"),
    "pades-spoofing-replaced-reason.pdf": (Verdict.FAILED, "pdf.signatures"),
    "pdf-double-signer-info.pdf": (Verdict.FAILED, "pdf.signatures"),
    "siwa.pdf": (Verdict.FAILED, "pdf.byte_range"),
    "pades_infinite_loop.pdf": (Verdict.FAILED, "pdf.readable"),
    "pades_opposite_infinite_loop.pdf": (Verdict.FAILED, "pdf.readable"),
    "pdf-spoofing-attack.pdf": (Verdict.FAILED, "pdf.readable"),
    "encrypted.pdf": (Verdict.INDETERMINATE, "pdf.encrypted"),
    "pades-unsupported-signature-algorithm.pdf": (Verdict.INDETERMINATE, "pdf.signature_value"),
    "pades-lta-copied-doctst.pdf": (Verdict.FAILED, "pdf.digest"),
    "dss-2554_fieldmdp-exclude.pdf": (Verdict.INDETERMINATE, "pdf.no_signature"),
    # honest: only trust is missing
    "pdf-signed-original.pdf": (Verdict.INDETERMINATE, "pdf.certificate"),
    "doc-firmado-LT.pdf": (Verdict.INDETERMINATE, "pdf.coverage"),
    "pdf-with-eof-cr.pdf": (Verdict.INDETERMINATE, "pdf.certificate"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_file_gets_its_verdict_and_reason(name):
    path = SHARED / "pdf-validation" / name
    if not path.is_file():
        pytest.skip("../shared/corpora/pdf-validation is not on this machine")
    verdict, code = KNOWN[name]
    report = validate_pdf(path.read_bytes(), trust=PkiTrust(), at=AT)
    assert report.verdict is verdict
    assert code in {check.code for check in report.checks if check.verdict is verdict}


def test_the_attack_that_one_library_accepts_is_caught_three_times():
    path = SHARED / "pdf-attacks" / "isa_B.pdf"
    if not path.is_file():
        pytest.skip("../shared/corpora/pdf-attacks is not on this machine")
    data = path.read_bytes()
    report = validate_pdf(data, trust=own_trust(data), at=AT)
    failed = {check.code for check in report.checks if check.verdict is Verdict.FAILED}
    assert {"pdf.coverage", "pdf.undeclared_objects", "pdf.visual"} <= failed
