"""The strict verifier: an honest file passes, every kind of tampering does not, nothing raises."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import SigFieldSpec, append_signature_field

from ledger.core.errors import FuqiError
from ledger.core.report import Verdict
from signing import pdf
from signing.appearance import Appearance, FieldSpec
from signing.changes import byte_ranges
from signing.cms import assemble, signed_attributes
from signing.testing import throwaway_pki
from signing.testing_pdf import raw_pdf, sign_field, trust_of, two_party_sample
from signing.trust import PkiTrust
from signing.validate import integrity_report, revisions_of, signatures_of, validate_pdf

FIELDS = [FieldSpec("one", 0, 10, 10, 90, 40), FieldSpec("two", 0, 150, 10, 90, 40)]


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return throwaway_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def sample(pki):
    return two_party_sample(pki)


@pytest.fixture(scope="module")
def once(pki):
    """Certified by one party, the field of the other still empty."""
    placed = pdf.place_fields(raw_pdf([]), FIELDS)
    return sign_field(placed, pki=pki, signer=pki.signer(), field="one", certify=True)


@pytest.fixture(scope="module")
def approval(pki):
    """One approval signature without certification, as other software makes them."""
    return signed_anyhow(pdf.place_fields(raw_pdf([]), FIELDS), pki, field="one")


def signed_anyhow(data: bytes, pki, *, field: str) -> bytes:
    """Signs without any of the checks of `prepare` and `embed`, as an attacker would."""
    signer = pki.signer()
    revision, digest = pdf._write_revision(
        data,
        field=field,
        at=pki.at,
        certify=False,
        appearance=Appearance("甲", "乙", "00", pki.at, demo=False),
        reserve=20_000,
        seal=None,
    )
    attributes = signed_attributes(
        document_digest=digest.document_digest, certificate=signer.certificate.der
    )
    signature = signer.key.sign(attributes)
    container = assemble(
        signed_attrs=attributes,
        signature=signature,
        certificate=signer.certificate.der,
        chain=signer.certificate.chain,
        timestamp=pki.stamp(hashlib.sha256(signature).digest()),
    )
    start, end = digest.reserved_region_start, digest.reserved_region_end
    text = container.hex().upper().encode().ljust(end - start - 2, b"0")
    return revision[: start + 1] + text + revision[end - 1 :]


def verdicts(report, code):
    return [check.verdict for check in report.checks if check.code == code]


def failing(report):
    return {check.code for check in report.checks if check.verdict is Verdict.FAILED}


def judged(data, pki, **kwargs):
    return validate_pdf(data, trust=trust_of(pki), at=pki.at, **kwargs)


def updated(data, change) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(data))
    change(writer)
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def test_a_file_between_two_signatures_says_that_a_field_is_empty(pki, once, sample):
    """It passes as what it is, and nobody takes it for the agreement that all have signed."""
    for report, signatures, empty in (
        (judged(once, pki), 1, 1),
        (validate_pdf(sample.data, trust=sample.trust, at=sample.at), 2, 0),
    ):
        (check,) = [one for one in report.checks if one.code == "pdf.signatures"]
        assert check.verdict is Verdict.PASSED
        assert (check.details["signatures"], check.details["empty_fields"]) == (signatures, empty)
        assert ("无人签署" in check.summary_zh) is ("nobody" in check.summary_en) is bool(empty)


def test_an_honest_file_with_two_parties_passes_every_check(sample):
    report = validate_pdf(sample.data, trust=sample.trust, at=sample.at)
    assert report.verdict is Verdict.PASSED
    assert {check.code for check in report.checks} == {
        "pdf.parsers_agree",
        "pdf.signatures",
        "pdf.byte_range",
        "pdf.digest",
        "pdf.signature_value",
        "pdf.algorithm",
        "pdf.container",
        "pdf.coverage",
        "pdf.undeclared_objects",
        "pdf.changes",
        "pdf.visual",
        "pdf.active_content",
        "pdf.time_stamp",
        "pdf.time_stamp_trust",
        "pdf.certificate",
        "pdf.certificate_time",
        "pdf.revocation",
    }
    assert report.labels == sample.trust.labels


def test_every_check_speaks_both_languages(sample):
    for report in (
        validate_pdf(sample.data, trust=PkiTrust(), at=sample.at),
        integrity_report(b""),
    ):
        for check in report.checks:
            assert check.summary_en.isascii()
            assert not check.summary_zh.isascii()


def test_the_expected_digest_is_compared(sample):
    good = hashlib.sha256(sample.data).digest()
    right = validate_pdf(sample.data, trust=sample.trust, at=sample.at, expected_sha256=good)
    wrong = validate_pdf(sample.data, trust=sample.trust, at=sample.at, expected_sha256=bytes(32))
    assert right.verdict is Verdict.PASSED
    assert failing(wrong) == {"pdf.expected_digest"}


def test_an_untrusted_root_is_indeterminate_and_named(sample):
    trust = replace(sample.trust, ca_roots=())
    report = validate_pdf(sample.data, trust=trust, at=sample.at)
    assert report.verdict is Verdict.INDETERMINATE
    check = next(c for c in report.checks if c.code == "pdf.certificate")
    assert check.details["reason"] == "untrusted_root"
    assert "fuqi built-in root" in check.summary_en


def test_an_untrusted_time_stamp_authority_is_indeterminate(sample):
    trust = replace(sample.trust, tsa_roots=())
    report = validate_pdf(sample.data, trust=trust, at=sample.at)
    assert report.verdict is Verdict.INDETERMINATE
    assert verdicts(report, "pdf.time_stamp_trust") == [Verdict.INDETERMINATE] * 2


def test_the_root_of_signers_is_no_root_for_time_stamps(sample):
    trust = replace(sample.trust, tsa_roots=sample.trust.ca_roots)
    report = validate_pdf(sample.data, trust=trust, at=sample.at)
    assert report.verdict is not Verdict.PASSED


def test_without_a_revocation_list_the_verdict_is_indeterminate(sample):
    trust = replace(sample.trust, crls=())
    report = validate_pdf(sample.data, trust=trust, at=sample.at)
    assert report.verdict is Verdict.INDETERMINATE
    assert set(verdicts(report, "pdf.revocation")) == {Verdict.INDETERMINATE}


@pytest.mark.parametrize(("hours", "verdict"), [(-1, Verdict.FAILED), (1, Verdict.PASSED)])
def test_revocation_counts_if_it_came_before_the_time_stamp(tmp_path, hours, verdict):
    start = throwaway_pki(tmp_path)
    signer = start.signer()
    pki = replace(start, at=start.at + timedelta(hours=5))
    placed = pdf.place_fields(raw_pdf([]), FIELDS[:1])
    data = sign_field(placed, pki=pki, signer=signer, field="one", certify=True)
    moment = pki.at + timedelta(hours=hours)
    pki.authority.revoke(signer.certificate.serial_hex, at=moment, reason="key_compromise")
    later = pki.at + timedelta(hours=3)
    trust = replace(trust_of(pki), crls=(pki.authority.crl(at=later),))
    report = validate_pdf(data, trust=trust, at=later)
    assert verdicts(report, "pdf.revocation") == [verdict]
    assert report.verdict is verdict


def test_a_certificate_that_expired_before_the_time_stamp_fails(tmp_path):
    pki = throwaway_pki(tmp_path)
    past = pki.at
    signer = pki.signer()
    late = replace(pki, at=past + timedelta(days=400))
    placed = pdf.place_fields(raw_pdf([]), FIELDS[:1])
    data = sign_field(placed, pki=late, signer=signer, field="one", certify=True)
    report = judged(data, late)
    assert {"pdf.certificate", "pdf.certificate_time"} <= failing(report)


def test_a_time_stamp_from_the_future_fails(sample):
    report = validate_pdf(sample.data, trust=sample.trust, at=sample.at - timedelta(minutes=10))
    assert "pdf.time_stamp" in failing(report)


def test_an_expired_signer_is_still_good_by_its_time_stamp(pki, sample):
    later = sample.at + timedelta(days=500)
    trust = replace(sample.trust, crls=(pki.authority.crl(at=later),))
    assert validate_pdf(sample.data, trust=trust, at=later).verdict is Verdict.PASSED


def test_a_file_without_signature_proves_nothing():
    report = validate_pdf(raw_pdf([]), trust=PkiTrust(), at=throwaway_time())
    assert report.verdict is Verdict.INDETERMINATE
    assert [check.code for check in report.checks][-1] == "pdf.no_signature"


def throwaway_time():
    return datetime.fromisoformat("2026-11-23T05:36:11+00:00")


@pytest.mark.parametrize(
    "data", [b"", b"%PDF-", b"%PDF-1.7\n%%EOF", b"\x00" * 100, b"%PDF-1.7 /ByteRange [0 1 2 3]"]
)
def test_rubbish_is_reported_and_never_raises(data):
    report = validate_pdf(data, trust=PkiTrust(), at=throwaway_time())
    assert report.verdict is not Verdict.PASSED
    assert report.checks


@pytest.mark.parametrize("tail", [b"\n", b" ", b"junk", b"%PDF-1.4", b"\x00"])
def test_whatever_is_appended_fails(sample, tail):
    report = validate_pdf(sample.data + tail, trust=sample.trust, at=sample.at)
    assert "pdf.coverage" in failing(report)


def test_a_second_end_marker_fails(sample):
    report = validate_pdf(sample.data + b"\n%%EOF\n", trust=sample.trust, at=sample.at)
    assert failing(report)


def test_an_object_appended_without_a_table_fails(sample):
    """The incremental-saving attack that one library calls unmodified (isa_B)."""
    text = b"BT /F1 18 Tf 20 250 Td (Pay 900 yuan) Tj ET"
    page = b"\n4 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n" % (len(text), text)
    report = validate_pdf(sample.data + page, trust=sample.trust, at=sample.at)
    assert {"pdf.coverage", "pdf.undeclared_objects"} <= failing(report)


def test_undeclared_objects_are_found_even_under_a_later_signature(pki, once):
    """A second party that hides an object between the revisions and then signs over it."""
    hidden = once + b"4 0 obj\n<< /Length 3 >>\nstream\nq Q\nendstream\nendobj\n"
    writer = IncrementalPdfFileWriter(io.BytesIO(hidden), strict=False)
    writer.update_root()
    buffer = io.BytesIO()
    writer.write(buffer)
    report = integrity_report(buffer.getvalue())
    assert "pdf.undeclared_objects" in failing(report)


def test_page_content_changed_after_signing_fails(once):
    def change(writer):
        page = writer.find_page_for_modification(0)[0].get_object()
        page["/Contents"] = writer.add_object(
            generic.StreamObject(stream_data=b"BT /F1 18 Tf 20 250 Td (Pay 900 yuan) Tj ET")
        )
        writer.update_container(page)

    report = integrity_report(updated(once, change))
    assert {"pdf.changes", "pdf.visual", "pdf.coverage"} <= failing(report)


def test_a_page_added_after_signing_fails(once):
    def change(writer):
        page = generic.DictionaryObject(
            {
                pdf_name("/Type"): pdf_name("/Page"),
                pdf_name("/MediaBox"): generic.ArrayObject(
                    [generic.NumberObject(n) for n in (0, 0, 300, 300)]
                ),
                pdf_name("/Resources"): generic.DictionaryObject(),
            }
        )
        writer.insert_page(page)

    assert {"pdf.changes", "pdf.visual"} <= failing(integrity_report(updated(once, change)))


def test_an_annotation_laid_over_the_text_fails(once):
    def change(writer):
        reference = writer.find_page_for_modification(0)[0]
        look = generic.StreamObject(
            {
                pdf_name("/Type"): pdf_name("/XObject"),
                pdf_name("/Subtype"): pdf_name("/Form"),
                pdf_name("/BBox"): generic.ArrayObject(
                    [generic.NumberObject(n) for n in (0, 0, 300, 60)]
                ),
            },
            stream_data=b"1 0 0 rg 0 0 300 60 re f",
        )
        note = generic.DictionaryObject(
            {
                pdf_name("/Type"): pdf_name("/Annot"),
                pdf_name("/Subtype"): pdf_name("/Stamp"),
                pdf_name("/F"): generic.NumberObject(4),
                pdf_name("/Rect"): generic.ArrayObject(
                    [generic.NumberObject(n) for n in (0, 240, 300, 300)]
                ),
                pdf_name("/AP"): generic.DictionaryObject(
                    {pdf_name("/N"): writer.add_object(look)}
                ),
            }
        )
        writer.register_annotation(reference, writer.add_object(note))

    assert {"pdf.changes", "pdf.visual"} <= failing(integrity_report(updated(once, change)))


def test_an_honest_second_approval_passes(pki, approval):
    data = signed_anyhow(approval, pki, field="two")
    assert judged(data, pki).verdict is Verdict.PASSED


def test_a_new_field_that_covers_the_page_cannot_hide_a_change(pki, approval):
    """PDF allows further signature fields; one as wide as the page is a curtain before the text."""

    def change(writer):
        append_signature_field(writer, SigFieldSpec("wide", on_page=0, box=(0, 0, 300, 300)))

    data = signed_anyhow(updated(approval, change), pki, field="wide")
    assert "pdf.coverage" not in failing(integrity_report(data))
    assert "pdf.visual" in failing(judged(data, pki))


def test_a_small_new_box_of_a_later_signer_is_indeterminate(pki, approval):
    def change(writer):
        append_signature_field(writer, SigFieldSpec("new", on_page=0, box=(20, 80, 120, 130)))

    report = judged(signed_anyhow(updated(approval, change), pki, field="new"), pki)
    assert verdicts(report, "pdf.visual") == [Verdict.INDETERMINATE]


def test_a_field_edited_by_the_next_signer_fails(pki):
    """Permitted by the letter of PDF, but no step of ours explains it."""
    base = raw_pdf(
        [
            "<< /Fields [7 0 R] >>",
            (
                "<< /FT /Tx /T (price) /V (100) /Type /Annot /Subtype /Widget /Rect [20 200 90 220] "
                "/P 3 0 R >>"
            ),
        ],
        root="/AcroForm 6 0 R",
        page="/Annots [7 0 R]",
    )
    bare = [SigFieldSpec(name, on_page=0, box=None) for name in ("one", "two")]

    def place(writer):
        for spec in bare:
            append_signature_field(writer, spec)

    def edit(writer):
        price = writer.root["/AcroForm"]["/Fields"][0]
        price[pdf_name("/V")] = generic.pdf_string("900")
        writer.update_container(price)

    first = signed_anyhow(updated(base, place), pki, field="one")
    data = signed_anyhow(updated(first, edit), pki, field="two")
    assert "pdf.changes" in failing(judged(data, pki))


def test_the_same_signature_in_two_fields_counts_once_and_fails(approval):
    """One signature must not look like two parties."""

    def change(writer):
        fields = writer.root["/AcroForm"]["/Fields"]
        first, second = fields[0], fields[1]
        second[pdf_name("/V")] = first.raw_get("/V")
        writer.update_container(second)

    data = updated(approval, change)
    facts = signatures_of(data)
    assert len(facts) == 1
    assert set(facts[0].fields) == {"one", "two"}
    assert "pdf.signatures" in failing(integrity_report(data))


def test_a_signature_removed_from_the_form_is_noticed(sample):
    def change(writer):
        form = writer.root["/AcroForm"]
        form[pdf_name("/Fields")] = generic.ArrayObject()
        writer.update_container(form)

    report = integrity_report(updated(sample.data, change))
    assert "pdf.signatures" in failing(report)


def test_a_removed_form_is_noticed(sample):
    def change(writer):
        del writer.root["/AcroForm"]
        writer.update_root()

    assert "pdf.signatures" in failing(integrity_report(updated(sample.data, change)))


def test_the_case_of_hex_digits_cannot_be_changed_unnoticed(sample):
    found = byte_ranges(sample.data)[0]
    start = found.numbers[1] + 1
    used = sample.data[start : start + 2000]
    position = start + next(i for i, char in enumerate(used) if chr(char) in "ABCDEF")
    data = bytearray(sample.data)
    data[position] ^= 0x20
    assert "pdf.byte_range" in failing(integrity_report(bytes(data)))


def test_bytes_in_the_padding_are_noticed(sample):
    found = byte_ranges(sample.data)[1]
    data = bytearray(sample.data)
    data[found.numbers[2] - 3] = ord("1")
    assert integrity_report(bytes(data)).verdict is Verdict.FAILED


def test_an_escaped_second_byte_range_is_counted(sample):
    data = sample.data + b"\n% /Byte#52ange [0 1 2 3]\n"
    assert len(byte_ranges(data)) == 3
    assert "pdf.signatures" in failing(integrity_report(data))


def test_a_cut_off_second_signature_leaves_a_valid_earlier_state(sample):
    """The first revision by itself is an honest file: it says that only one party signed."""
    first = signatures_of(sample.data)[0]
    report = validate_pdf(sample.data[: first.revision_size], trust=sample.trust, at=sample.at)
    assert report.verdict is Verdict.PASSED
    assert next(c for c in report.checks if c.code == "pdf.signatures").details["signatures"] == 1


def test_revisions_are_listed_with_the_signature_that_closes_them(sample):
    found = revisions_of(sample.data)
    assert [item.field for item in found] == ["", "", "party_a", "party_b"]
    assert found[-1].size == len(sample.data)
    for item in found:
        assert item.sha256 == hashlib.sha256(sample.data[: item.size]).digest()


def test_a_file_with_an_attachment_is_not_passed(pki):
    base = raw_pdf(
        [
            "<< /Type /Filespec /F (a) /EF << /F 7 0 R >> >>",
            "<< /Length 1 >>\nstream\nx\nendstream",
        ],
        root="/Names << /EmbeddedFiles << /Names [(a) 6 0 R] >> >>",
    )
    placed = pdf.place_fields(base, FIELDS[:1])
    with pytest.raises(FuqiError) as caught:
        sign_field(placed, pki=pki, signer=pki.signer(), field="one", certify=True)
    assert caught.value.context["check"] == "pdf.active_content"
