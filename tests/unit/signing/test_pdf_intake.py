"""Intake of uploaded PDFs: each refusal has its own code, and an ordinary file passes."""

from __future__ import annotations

import io
import time

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from ledger.core.errors import FuqiError
from signing.pdf import FieldSpec, PdfLimits, intake, place_fields, stamp_demo_mark
from signing.render import Document, page_texts
from signing.testing import throwaway_pki
from signing.testing_pdf import raw_pdf, sign_field, two_party_sample


def refused(data: bytes, **kwargs) -> str:
    with pytest.raises(FuqiError) as caught:
        intake(data, **kwargs)
    return caught.value.error_code


def pages(count: int, **kwargs) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(200, 200), invariant=1, **kwargs)
    for number in range(count):
        canvas.drawString(20, 100, f"page {number}")
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def test_an_ordinary_pdf_is_accepted_and_described():
    facts = intake(pages(3))
    assert (facts.pages, facts.signatures, facts.certified) == (3, 0, 0)
    assert facts.page_sizes_pt == ((200, 200),) * 3


def test_the_hand_written_pdf_of_these_tests_is_accepted():
    assert intake(raw_pdf([])).pages == 1


def test_a_file_larger_than_the_limit_is_refused():
    assert refused(pages(1), limits=PdfLimits(bytes_max=100)) == "pdf.too_large"


def test_a_file_with_more_pages_than_the_limit_is_refused():
    assert refused(pages(4), limits=PdfLimits(pages_max=3)) == "pdf.too_many_pages"
    assert intake(pages(3), limits=PdfLimits(pages_max=3)).pages == 3


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04" + b"x" * 3000])
def test_what_is_no_pdf_is_refused(data):
    assert refused(data) == "pdf.not_pdf"


def test_an_encrypted_pdf_is_refused():
    data = pages(1, encrypt=StandardEncryption("user", ownerPassword="owner", strength=128))
    assert refused(data) == "pdf.encrypted"


def test_a_pdf_encrypted_with_an_empty_password_is_refused():
    data = pages(1, encrypt=StandardEncryption("", ownerPassword="owner", strength=128))
    assert refused(data) == "pdf.encrypted"


@pytest.mark.parametrize("cut", [200, 500])
def test_a_truncated_pdf_is_refused(cut):
    assert refused(raw_pdf([])[:cut]) == "pdf.broken"


def test_bytes_behind_the_end_are_refused():
    assert refused(raw_pdf([]) + b"surprise") == "pdf.hidden_bytes"


def test_white_space_behind_the_end_is_accepted():
    assert intake(raw_pdf([]) + b"\r\n\r\n").pages == 1


def test_bytes_before_the_header_are_refused():
    assert refused(b"GIF89a" + raw_pdf([])) == "pdf.hidden_bytes"


ACTIVE = {
    "script on opening": (["<< /S /JavaScript /JS (app.alert) >>"], "/OpenAction 6 0 R"),
    "program launched": (["<< /S /Launch /F (calc.exe) >>"], "/OpenAction 6 0 R"),
    "form that sends itself": (["<< /S /SubmitForm /F (http://x) >>"], "/OpenAction 6 0 R"),
    "script by name": (
        ["<< /Names [(a) 7 0 R] >>", "<< /S /JavaScript /JS (x) >>"],
        "/Names << /JavaScript 6 0 R >>",
    ),
    "attachment": (
        [
            "<< /Type /Filespec /F (a.exe) /EF << /F 7 0 R >> >>",
            "<< /Length 1 >>\nstream\nx\nendstream",
        ],
        "/Names << /EmbeddedFiles << /Names [(a) 6 0 R] >> >>",
    ),
    "XFA form": (["<< /Fields [] /XFA 7 0 R >>", "(x)"], "/AcroForm 6 0 R"),
    "additional actions": (["<< /WC << /S /JavaScript /JS (x) >> >>"], "/AA 6 0 R"),
    "escaped name": (["<< /S /Java#53cript /J#53 (x) >>"], "/OpenAction 6 0 R"),
}


@pytest.mark.parametrize("name", ACTIVE)
def test_active_content_is_refused_and_named(name):
    objects, root = ACTIVE[name]
    with pytest.raises(FuqiError) as caught:
        intake(raw_pdf(objects, root=root))
    assert caught.value.error_code == "pdf.active_content"
    assert str(caught.value.context["where"]).startswith("Root")


def test_a_plain_jump_on_opening_is_accepted():
    assert intake(raw_pdf(["<< /S /GoTo /D [3 0 R /Fit] >>"], root="/OpenAction 6 0 R")).pages == 1


def test_a_page_tree_that_runs_in_circles_is_refused_not_followed():
    data = raw_pdf([]).replace(b"/Kids [3 0 R] ", b"/Kids [2 0 R] ")
    assert refused(data) in {"pdf.broken", "pdf.no_pages", "pdf.parsers_disagree"}


def test_a_file_whose_parsers_count_different_pages_is_refused():
    data = raw_pdf([]).replace(b"/Count 1", b"/Count 7")
    assert refused(data) in {"pdf.parsers_disagree", "pdf.broken"}


def test_a_certified_file_without_a_free_field_forbids_more_signatures(tmp_path):
    sample = two_party_sample(throwaway_pki(tmp_path))
    assert refused(sample.data) == "pdf.signatures_forbid_more"


def test_a_signed_file_with_a_free_field_is_accepted(tmp_path):
    pki = throwaway_pki(tmp_path)
    fields = [FieldSpec("one", 0, 10, 10, 90, 40), FieldSpec("two", 0, 110, 10, 90, 40)]
    data = sign_field(
        place_fields(raw_pdf([]), fields), pki=pki, signer=pki.signer(), field="one", certify=True
    )
    facts = intake(data)
    assert (facts.signatures, facts.certified, facts.empty_fields) == (1, 2, ("two",))


def test_a_signed_file_that_was_changed_afterwards_is_refused(tmp_path):
    pki = throwaway_pki(tmp_path)
    data = two_party_sample(pki).data
    broken = data.replace(b"(Pay 100 yuan)", b"(Pay 900 yuan)")
    assert broken != data
    assert refused(broken) == "pdf.signature_broken"


def test_the_demonstration_mark_stands_on_every_page_and_keeps_the_text():
    marked = stamp_demo_mark(pages(3))
    assert intake(marked).pages == 3
    for number, text in enumerate(page_texts(marked)):
        assert "演示" in text
        assert "DEMONSTRATION" in text
        assert f"page {number}" in text


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_the_demonstration_mark_is_upright_on_turned_pages(turn):
    data = raw_pdf([], page=f"/Rotate {turn} /CropBox [50 20 300 300]")
    _width, height, strip = red_rows(stamp_demo_mark(data))
    assert any(strip[: height // 12]), "the line at the top"
    assert any(strip[-height // 12 :]), "the line at the foot"
    plain = red_rows(data)[2]
    assert not any(plain)


def red_rows(data: bytes) -> tuple[int, int, list[bool]]:
    """Which pixel rows hold the full red of the two text lines (the wash across is paler)."""
    with Document(data) as document:
        view = document.view(0, side_px=600, masks=(), deadline=time.monotonic() + 20)
    rows = []
    for y in range(view.height):
        row = view.pixels[y * view.width * 4 : (y + 1) * view.width * 4]
        reds = sum(r > 150 and g < 90 for r, g in zip(row[0::4], row[1::4], strict=True))
        rows.append(reds > 10)
    return view.width, view.height, rows


def test_a_signed_file_cannot_be_marked(tmp_path):
    sample = two_party_sample(throwaway_pki(tmp_path))
    with pytest.raises(FuqiError) as caught:
        stamp_demo_mark(sample.data)
    assert caught.value.error_code == "pdf.already_signed"
