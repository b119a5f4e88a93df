"""Two-step signing: every party's signature holds, and a wrong step is refused."""

from __future__ import annotations

import hashlib
import json

import pytest

from ledger.core.errors import FuqiError
from ledger.core.report import Verdict
from signing import pdf
from signing.appearance import Appearance, FieldSpec
from signing.cms import read_container
from signing.pdf_reading import form_of, open_reader
from signing.render import page_texts
from signing.templates.library import render
from signing.testing import FIXED_TIME, throwaway_pki
from signing.testing_pdf import SAMPLE_DONATION, raw_pdf, sign_field, trust_of, two_party_sample

FIELDS = [FieldSpec("party_a", 0, 10, 10, 130, 70), FieldSpec("party_b", 0, 150, 10, 130, 70)]


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return throwaway_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def placed():
    return pdf.place_fields(raw_pdf([]), FIELDS)


def look(signer, *, handler="张𠮷（虚构）") -> Appearance:
    return Appearance(
        "示例机构（虚构）", handler, signer.certificate.serial_hex, FIXED_TIME, demo=True
    )


def prepared_by(pki, signer, data, *, field="party_a", certify=True):
    return pdf.prepare(
        data,
        field=field,
        certificate=signer.certificate.der,
        chain=signer.certificate.chain,
        at=pki.at,
        certify=certify,
        appearance=look(signer),
    )


def embedded(pki, signer, prepared, **changes):
    arguments = {
        "signature": signer.key.sign(prepared.signed_attrs),
        "certificate": signer.certificate.der,
        "chain": signer.certificate.chain,
        "stamp": pki.stamp,
        **changes,
    }
    return pdf.embed(prepared, **arguments)


def code_of(call, *args, **kwargs) -> str:
    with pytest.raises(FuqiError) as caught:
        call(*args, **kwargs)
    return caught.value.error_code


def test_a_rendered_agreement_signed_by_both_parties_passes_every_check(pki):
    agreement = render("donation", data=SAMPLE_DONATION, demo=True)
    data = pdf.place_fields(agreement.pdf, agreement.fields)
    for number, name in enumerate(("李镕㛃（虚构）", "陈𬱖（虚构）")):
        field = agreement.fields[number].name
        signer = pki.signer(name)
        data = sign_field(data, pki=pki, signer=signer, field=field, certify=number == 0)
        report = pdf.check_all(data, trust=trust_of(pki), at=pki.at)
        assert report.verdict is Verdict.PASSED, [c for c in report.checks if c.verdict != "passed"]
    facts = pdf.signatures_of(data)
    assert [(f.order, f.field, f.timestamp_time) for f in facts] == [
        (1, "party_a", FIXED_TIME),
        (2, "party_b", FIXED_TIME),
    ]
    assert facts[-1].covers_file
    assert data.startswith(agreement.pdf), "incremental updates only"


def test_an_uploaded_pdf_marked_as_demonstration_can_be_signed_by_both(pki):
    marked = pdf.stamp_demo_mark(raw_pdf([]))
    pdf.intake(marked)
    sample = two_party_sample(pki, base=marked)
    report = pdf.check_all(sample.data, trust=sample.trust, at=sample.at)
    assert report.verdict is Verdict.PASSED
    assert "演示" in page_texts(sample.data)[0]


def test_the_first_signature_certifies_and_locks_the_other_fields(pki, placed):
    signer = pki.signer()
    data = embedded(pki, signer, prepared_by(pki, signer, placed))
    reader, strict = open_reader(data)
    assert strict
    assert reader.root["/Perms"]["/DocMDP"]["/Reference"][0]["/TransformParams"]["/P"] == 2
    locks = [ref["/TransformParams"] for ref in reader.root["/Perms"]["/DocMDP"]["/Reference"]]
    assert any("/Action" in item and item["/Action"] == "/Exclude" for item in locks)


def test_the_container_holds_pades_attributes_and_no_signing_time(pki, placed):
    signer = pki.signer()
    data = embedded(pki, signer, prepared_by(pki, signer, placed))
    fact = pdf.signatures_of(data)[0]
    assert fact.subfilter == "/ETSI.CAdES.detached"
    box = read_container(fact.contents)
    assert box.names_certificate is True
    assert box.loose == ()
    assert b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05" not in box.signed_attrs, "no signing-time"


def test_another_process_can_finish_from_what_was_stored(pki, placed):
    signer = pki.signer()
    prepared = prepared_by(pki, signer, placed)
    stored = json.dumps(prepared.state)
    again = pdf.Prepared.load(revision=prepared.revision, state=json.loads(stored))
    assert again == prepared
    assert embedded(pki, signer, again).startswith(placed)


def test_embedding_twice_from_the_same_state_gives_two_good_files(pki, placed):
    signer = pki.signer()
    prepared = prepared_by(pki, signer, placed)
    for _attempt in range(2):
        assert pdf.signatures_of(embedded(pki, signer, prepared))[0].fault == ""


def test_a_signature_of_another_key_is_refused(pki, placed):
    signer, other = pki.signer(), pki.signer()
    prepared = prepared_by(pki, signer, placed)
    wrong = other.key.sign(prepared.signed_attrs)
    assert code_of(embedded, pki, signer, prepared, signature=wrong) == "pdf.signature_mismatch"


@pytest.mark.parametrize("signature", [b"", b"\x30\x00", b"x" * 70])
def test_a_malformed_signature_is_refused(pki, placed, signature):
    signer = pki.signer()
    prepared = prepared_by(pki, signer, placed)
    assert code_of(embedded, pki, signer, prepared, signature=signature) == "pdf.signature_mismatch"


def test_a_signature_over_other_bytes_is_refused(pki, placed):
    signer = pki.signer()
    prepared = prepared_by(pki, signer, placed)
    wrong = signer.key.sign(prepared.document_digest)
    assert code_of(embedded, pki, signer, prepared, signature=wrong) == "pdf.signature_mismatch"


def test_another_certificate_than_at_preparation_is_refused(pki, placed):
    signer, other = pki.signer(), pki.signer()
    prepared = prepared_by(pki, signer, placed)
    found = code_of(embedded, pki, other, prepared)
    assert found == "pdf.prepared_malformed"


def test_a_stored_revision_with_one_other_byte_is_refused(pki, placed):
    signer = pki.signer()
    prepared = prepared_by(pki, signer, placed)
    changed = prepared.revision.replace(b"(Pay 100 yuan)", b"(Pay 900 yuan)")
    forged = pdf.Prepared.load(revision=changed, state=prepared.state)
    assert code_of(embedded, pki, signer, forged) == "pdf.prepared_malformed"


@pytest.mark.parametrize("key", ["v", "gap_start", "gap_end", "document_digest", "signed_attrs"])
def test_a_stored_state_with_one_other_value_is_refused(pki, placed, key):
    signer = pki.signer()
    prepared = prepared_by(pki, signer, placed)
    value = prepared.state[key]
    state = {**prepared.state, key: value + 2 if isinstance(value, int) else f"00{value}"}
    with pytest.raises(FuqiError) as caught:
        embedded(pki, signer, pdf.Prepared.load(revision=prepared.revision, state=state))
    assert caught.value.error_code in {"pdf.prepared_malformed", "pdf.signature_mismatch"}


def test_a_time_stamp_for_other_bytes_is_refused(pki, placed):
    signer = pki.signer()
    prepared = prepared_by(pki, signer, placed)
    elsewhere = hashlib.sha256(b"elsewhere").digest()
    found = code_of(embedded, pki, signer, prepared, stamp=lambda _imprint: pki.stamp(elsewhere))
    assert found == "pdf.timestamp_mismatch"


def test_rubbish_instead_of_a_time_stamp_is_refused(pki, placed):
    signer = pki.signer()
    prepared = prepared_by(pki, signer, placed)
    assert code_of(embedded, pki, signer, prepared, stamp=lambda _i: b"no").startswith("cms.")


def test_a_revision_that_breaks_an_earlier_signature_is_not_accepted(pki, placed):
    first = pki.signer()
    data = embedded(pki, first, prepared_by(pki, first, placed))
    changed = data.replace(b"(Pay 100 yuan)", b"(Pay 900 yuan)")
    second = pki.signer()
    prepared = prepared_by(pki, second, changed, field="party_b", certify=False)
    assert code_of(embedded, pki, second, prepared) == "pdf.breaks_earlier_signature"


def test_a_field_is_signed_only_once(pki, placed):
    signer = pki.signer()
    data = embedded(pki, signer, prepared_by(pki, signer, placed))
    assert code_of(prepared_by, pki, signer, data, certify=False) == "pdf.field_taken"


def test_an_unknown_field_is_refused(pki, placed):
    assert code_of(prepared_by, pki, pki.signer(), placed, field="nobody") == "pdf.field_unknown"


def test_only_the_first_signature_certifies_and_it_must(pki, placed):
    signer = pki.signer()
    assert code_of(prepared_by, pki, signer, placed, certify=False) == "pdf.certify_missing"
    data = embedded(pki, signer, prepared_by(pki, signer, placed))
    found = code_of(prepared_by, pki, signer, data, field="party_b", certify=True)
    assert found == "pdf.certify_not_first"


def test_fields_cannot_be_added_to_a_certified_file(pki, placed):
    signer = pki.signer()
    data = embedded(pki, signer, prepared_by(pki, signer, placed))
    late = [FieldSpec("late", 0, 10, 100, 50, 20)]
    assert code_of(pdf.place_fields, data, late) == "pdf.fields_after_certification"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ([], "pdf.field_invalid"),
        ([FieldSpec("a.b", 0, 1, 1, 9, 9)], "pdf.field_invalid"),
        ([FieldSpec("a", 0, 1, 1, 9, 9)] * 2, "pdf.field_invalid"),
        ([FieldSpec("a", 1, 1, 1, 9, 9)], "pdf.field_outside_page"),
        ([FieldSpec("a", -1, 1, 1, 9, 9)], "pdf.field_outside_page"),
        ([FieldSpec("a", 0, 250, 1, 51, 9)], "pdf.field_outside_page"),
        ([FieldSpec("a", 0, 1, 1, 0, 9)], "pdf.field_outside_page"),
    ],
)
def test_fields_that_cannot_be_are_refused(fields, code):
    assert code_of(pdf.place_fields, raw_pdf([]), fields) == code


def test_a_field_of_the_same_name_is_refused(placed):
    assert code_of(pdf.place_fields, placed, FIELDS[:1]) == "pdf.field_exists"


def test_every_field_is_there_before_anybody_signs(placed):
    form = form_of(open_reader(placed)[0])
    assert set(form.empty) == {"party_a", "party_b"}
    assert form.filled == ()


def test_a_name_that_the_font_lacks_is_refused_and_not_printed_as_a_box(pki, placed):
    signer = pki.signer()
    with pytest.raises(FuqiError) as caught:
        pdf.prepare(
            placed,
            field="party_a",
            certificate=signer.certificate.der,
            chain=signer.certificate.chain,
            at=pki.at,
            certify=True,
            appearance=look(signer, handler="张😀"),
        )
    assert caught.value.error_code == "font.missing_glyph"


def test_rubbish_instead_of_a_certificate_is_refused(placed):
    with pytest.raises(FuqiError) as caught:
        pdf.prepare(
            placed,
            field="party_a",
            certificate=b"rubbish",
            chain=(),
            at=FIXED_TIME,
            certify=True,
            appearance=Appearance("", "x", "00", FIXED_TIME, demo=False),
        )
    assert caught.value.error_code == "trust.certificate"
