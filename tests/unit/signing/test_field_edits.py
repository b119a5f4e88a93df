"""A field filled after a signature: tampering, unless a recorded, signed-for step says exactly that."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from ledger.core.errors import ConflictError, FuqiError, InputError, NotFoundError
from ledger.core.report import Verdict
from signing import field_kinds, form_fill, longterm, pdf
from signing.appearance import Appearance, FieldSpec
from signing.embedded import ValidationData
from signing.field_edits import EDITS_MAX
from signing.form_fill import TextFieldSpec, fill, place_text_fields
from signing.reading import RecordedEdit
from signing.testing import ThrowawayPki, throwaway_pki
from signing.testing_pdf import raw_pdf, trust_of
from signing.validate import integrity_report, validate_pdf

PARTIES = tuple(
    FieldSpec(name, 0, 5 + 95 * n, 10, 90, 60)
    for n, name in enumerate(("party_a", "party_b", "party_c"))
)
TEXTS = (
    TextFieldSpec("delivery", 0, 20, 150, 200, 20),
    TextFieldSpec("consignee", 0, 20, 180, 200, 20),
)
VALUE = "2026-12-05 示例路2号"


@pytest.fixture(scope="module")
def pki(tmp_path_factory) -> ThrowawayPki:
    return throwaway_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def once(pki) -> bytes:
    """Signed by party A, who leaves one field to B and one to C."""
    return certified(pki, {"delivery": "party_b", "consignee": "party_c"})


@pytest.fixture(scope="module")
def honest(pki, once) -> tuple[bytes, tuple[RecordedEdit, ...]]:
    """B filled and signed."""
    made = fill(once, {"delivery": VALUE})
    edits = tuple(replace(one, signed_in="party_b") for one in made.edits)
    return signed(made.data, pki, "party_b", edits), edits


def certified(pki, fillable) -> bytes:
    data = pdf.place_fields(place_text_fields(raw_pdf([]), TEXTS), PARTIES, fillable=fillable)
    return signed(data, pki, "party_a", (), certify=True)


def signed(data, pki, field, edits=(), *, certify=False) -> bytes:
    who = pki.signer(f"{field}（虚构）")
    prepared = pdf.prepare(
        data,
        field=field,
        certificate=who.certificate.der,
        chain=who.certificate.chain,
        at=pki.at,
        certify=certify,
        appearance=Appearance(
            organisation="示例机构（虚构）",
            handler="张三（虚构）",
            serial_hex=who.certificate.serial_hex,
            at=pki.at,
            demo=True,
        ),
    )
    return pdf.embed(
        prepared,
        signature=who.key.sign(prepared.signed_attrs),
        certificate=who.certificate.der,
        chain=who.certificate.chain,
        stamp=pki.stamp,
        edits=edits,
    )


def signed_anyway(data, pki, field, monkeypatch) -> bytes:
    """As a party with another program would."""
    with monkeypatch.context() as patch:
        patch.setattr(pdf, "_require_unbroken", lambda *_args, **_kwargs: None)
        return signed(data, pki, field)


def judged(data, pki, edits=()):
    return validate_pdf(data, trust=trust_of(pki), at=pki.at, edits=edits)


def failed(report) -> set[str]:
    return {one.code for one in report.checks if one.verdict is Verdict.FAILED}


def reason(report) -> str:
    return next(str(o.details["reason"]) for o in report.checks if o.code == "pdf.field_edits")


def changed(data: bytes, change) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
    change(writer)
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def test_a_recorded_edit_that_the_filler_signed_is_accepted(pki, honest):
    data, edits = honest
    report = judged(data, pki, edits)
    report.require()
    assert reason(report) == ""
    assert (edits[0].old, edits[0].new) == ("", VALUE)


def test_the_same_edit_without_a_record_is_tampering(pki, honest):
    assert {"pdf.changes", "pdf.visual"} <= failed(judged(honest[0], pki))
    assert "pdf.changes" in failed(integrity_report(honest[0]))


def test_a_program_that_knows_no_record_does_not_sign_over_an_edit(pki, once):
    with pytest.raises(ConflictError) as caught:
        signed(fill(once, {"delivery": VALUE}).data, pki, "party_b")
    assert caught.value.error_code == "pdf.breaks_earlier_signature"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"new": "2026-12-06 示例路2号"}, "other_value"),
        ({"old": "2026-12-01"}, "other_value"),
        ({"field": "consignee"}, "other_fields"),
        ({"revision_sha256": bytes(32)}, "no_such_revision"),
        ({"signed_in": "party_c"}, "signed_by_another"),
    ],
)
def test_a_record_that_says_something_else_explains_nothing(pki, honest, change, said):
    data, edits = honest
    report = judged(data, pki, [replace(edits[0], **change)])
    assert {"pdf.field_edits", "pdf.changes"} <= failed(report)
    assert reason(report) == said


def test_records_given_twice_or_by_the_thousand_explain_nothing(pki, honest):
    data, edits = honest
    assert reason(judged(data, pki, [*edits, *edits])) == "named_twice"
    assert reason(judged(data, pki, [*edits] * (EDITS_MAX + 1))) == "too_many"


def test_what_an_earlier_signature_locks_stays_locked_whatever_is_recorded(pki, monkeypatch):
    made = fill(certified(pki, {"consignee": "party_c"}), {"delivery": VALUE})
    data = signed_anyway(made.data, pki, "party_b", monkeypatch)
    assert "pdf.changes" in failed(judged(data, pki, made.edits))


def test_the_fillers_own_signature_locks_what_it_filled(pki, honest, monkeypatch):
    again = fill(honest[0], {"delivery": "2027-01-01"})
    data = signed_anyway(again.data, pki, "party_c", monkeypatch)
    report = judged(data, pki, [*honest[1], *again.edits])
    assert "pdf.changes" in failed(report)


def test_a_picture_that_shows_another_value_is_found(pki, once, monkeypatch):
    real = field_kinds.looks_of
    with monkeypatch.context() as patch:
        patch.setattr(form_fill, "looks_of", lambda _text, shape: real("900", shape=shape))
        made = fill(once, {"delivery": "100"})
    data = signed_anyway(made.data, pki, "party_b", monkeypatch)
    report = judged(data, pki, made.edits)
    assert reason(report) == "other_picture"
    assert {"pdf.field_edits", "pdf.changes", "pdf.visual"} <= failed(report)


def test_a_font_that_shows_other_digits_is_found(pki, once, monkeypatch):
    def own_font(writer):
        look = form_fill.field_reference(writer, "delivery").get_object()["/AP"]["/N"]
        font = generic.DictionaryObject({generic.pdf_name("/Type"): generic.pdf_name("/Font")})
        look["/Resources"]["/Font"][generic.pdf_name("/FuqiForm")] = writer.add_object(font)
        writer.update_container(look)

    made = fill(once, {"delivery": "100"})
    one = replace(made.edits[0], revision_sha256=b"")
    data, digest = with_changed_fill(once, {"delivery": "100"}, own_font)
    report = judged(
        signed_anyway(data, pki, "party_b", monkeypatch),
        pki,
        [replace(one, revision_sha256=digest)],
    )
    assert reason(report) == "other_picture"


def with_changed_fill(base, values, change):
    """A fill whose one revision holds another change as well."""
    writers = []
    real = form_fill.written

    def written(writer):
        change(writer)
        writers.append(writer)
        return real(writer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(form_fill, "written", written)
        made = fill(base, values)
    return made.data, made.edits[0].revision_sha256


@pytest.mark.parametrize("key", ["/TU", "/Ff"])
def test_more_than_the_value_is_found(pki, once, monkeypatch, key):
    def more(writer):
        field = form_fill.field_reference(writer, "delivery").get_object()
        field[generic.pdf_name(key)] = generic.NumberObject(1)

    data, digest = with_changed_fill(once, {"delivery": "100"}, more)
    edit = RecordedEdit("delivery", "", "100", digest)
    report = judged(signed_anyway(data, pki, "party_b", monkeypatch), pki, [edit])
    assert {"pdf.field_edits", "pdf.changes"} <= failed(report)


def test_another_field_filled_along_unrecorded_is_found(pki, once, monkeypatch):
    made = fill(once, {"delivery": "100", "consignee": "200"})
    data = signed_anyway(made.data, pki, "party_b", monkeypatch)
    only = [one for one in made.edits if one.field == "delivery"]
    assert reason(judged(data, pki, only)) == "other_fields"


def test_an_edit_that_nobody_signed_is_not_explained(pki, once):
    made = fill(once, {"delivery": VALUE})
    report = judged(made.data, pki, made.edits)
    assert reason(report) == "not_signed_for"
    assert {"pdf.coverage", "pdf.changes"} <= failed(report)


def test_an_edit_in_the_same_revision_as_another_change_is_not_explained(pki, once, monkeypatch):
    made = fill(once, {"delivery": VALUE})
    more = changed(made.data, lambda writer: writer.add_object(generic.NumberObject(1)))
    report = judged(signed_anyway(more, pki, "party_b", monkeypatch), pki, made.edits)
    assert reason(report) == "not_alone"
    assert "pdf.changes" in failed(report)


def test_what_is_filled_before_the_first_signature_needs_no_record(pki):
    data = pdf.place_fields(place_text_fields(raw_pdf([]), TEXTS), PARTIES)
    data = signed(fill(data, {"delivery": VALUE}).data, pki, "party_a", certify=True)
    judged(data, pki).require()


def test_each_signer_fills_in_turn_and_the_archived_file_still_passes(pki, honest):
    data, edits = honest
    made = fill(data, {"consignee": "陈先生（虚构）"})
    edits = (*edits, *(replace(one, signed_in="party_c") for one in made.edits))
    data = signed(made.data, pki, "party_c", edits)
    judged(data, pki, edits).require()
    assert failed(judged(data, pki, edits[:1])) >= {"pdf.changes"}
    at = pki.at + timedelta(hours=1)
    material = ValidationData(
        certificates=(pki.authority.root_der,), crls=(pki.authority.crl(at=at),)
    )
    archived = longterm.extend(
        data, material=material, stamp=lambda i: pki.tsa.stamp(i, at=at), edits=edits
    )
    validate_pdf(archived, trust=trust_of(pki), at=at, edits=edits).require()


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"delivery": ""}, "form.value_invalid"),
        ({"delivery": " 1"}, "form.value_invalid"),
        ({"delivery": "1\n2"}, "form.value_invalid"),
        ({"delivery": "\u202e001"}, "form.value_invalid"),
        ({"delivery": "陈𬱖（虚构）"}, "form.value_invalid"),
        ({"delivery": "9" * 40}, "form.value_too_long"),
        ({"nothing": "1"}, "form.field_unknown"),
        ({"party_b": "1"}, "form.field_unknown"),
        ({}, "form.field_invalid"),
    ],
)
def test_a_value_that_would_not_be_shown_whole_is_refused(once, values, code):
    with pytest.raises((InputError, NotFoundError)) as caught:
        fill(once, values)
    assert caught.value.error_code == code


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ((), "form.field_invalid"),
        ((TEXTS[0], TEXTS[0]), "form.field_invalid"),
        ((replace(TEXTS[0], name="1x"),), "form.field_invalid"),
        ((replace(TEXTS[0], page=1),), "form.field_invalid"),
        ((replace(TEXTS[0], height=13),), "form.field_invalid"),
    ],
)
def test_a_field_that_cannot_be_placed_is_refused(fields, code):
    with pytest.raises(FuqiError) as caught:
        place_text_fields(raw_pdf([]), fields)
    assert caught.value.error_code == code


def test_fields_are_placed_before_the_first_signature_and_once(once):
    with pytest.raises(ConflictError) as caught:
        place_text_fields(once, [replace(TEXTS[0], name="late")])
    assert caught.value.error_code == "form.already_signed"
    with pytest.raises(ConflictError) as caught:
        place_text_fields(place_text_fields(raw_pdf([]), TEXTS), TEXTS)
    assert caught.value.error_code == "pdf.field_exists"
    with pytest.raises(ConflictError) as caught:
        pdf.place_fields(
            place_text_fields(raw_pdf([]), TEXTS), [FieldSpec("delivery", 0, 5, 5, 90, 60)]
        )
    assert caught.value.error_code == "pdf.field_exists"


@pytest.mark.parametrize("fillable", [{"nothing": "party_b"}, {"delivery": "nobody"}])
def test_only_form_fields_are_left_open_and_only_to_signers(fillable):
    with pytest.raises(InputError) as caught:
        pdf.place_fields(place_text_fields(raw_pdf([]), TEXTS), PARTIES, fillable=fillable)
    assert caught.value.error_code == "pdf.field_invalid"
