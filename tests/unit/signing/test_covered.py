"""A later signature in a box that was agreed on may not hide what the earlier signer signed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from PIL import Image, ImageDraw

from ledger.core.errors import ConflictError
from ledger.core.report import Verdict
from signing import pdf
from signing.appearance import FieldSpec
from signing.covered import has_figures, hides, overlap
from signing.render import Box, PageView
from signing.testing import ThrowawayPki, throwaway_pki
from signing.testing_pdf import raw_pdf, sign_field, trust_of
from signing.validate import integrity_report, validate_pdf

FIRST = FieldSpec("party_a", 0, 10, 10, 130, 70)
OVER_PRICE = FieldSpec("party_b", 0, 15, 235, 150, 40)
OVER_FIRST = FieldSpec("party_b", 0, 60, 30, 130, 70)
BESIDE = FieldSpec("party_b", 0, 150, 10, 130, 70)


@pytest.fixture(scope="module")
def pki(tmp_path_factory) -> ThrowawayPki:
    return throwaway_pki(tmp_path_factory.mktemp("pki"))


def signed_twice(pki, second: FieldSpec, *, base: bytes | None = None, patch=None) -> bytes:
    data = pdf.place_fields(base or raw_pdf([]), [FIRST, second])
    data = sign_field(data, pki=pki, signer=pki.signer(), field="party_a", certify=True)
    with pytest.MonkeyPatch.context() as own:
        if patch:
            own.setattr(pdf, "_require_unbroken", lambda *_args, **_kwargs: None)
        return sign_field(data, pki=pki, signer=pki.signer(), field="party_b", certify=False)


def visual(data: bytes, pki):
    report = validate_pdf(data, trust=trust_of(pki), at=pki.at + timedelta(minutes=1))
    return next(one for one in report.checks if one.code == "pdf.visual")


def test_a_signature_laid_over_the_price_fails(pki):
    found = visual(signed_twice(pki, OVER_PRICE, patch=True), pki)
    assert (found.verdict, found.details["reason"]) == (Verdict.FAILED, "covered")


def test_a_signature_laid_over_another_fails(pki):
    found = visual(signed_twice(pki, OVER_FIRST, patch=True), pki)
    assert (found.verdict, found.details["reason"]) == (Verdict.FAILED, "covered")


@pytest.mark.parametrize("field", [OVER_PRICE, OVER_FIRST])
def test_our_own_signer_is_not_let_do_it(pki, field):
    with pytest.raises(ConflictError) as caught:
        signed_twice(pki, field)
    assert caught.value.error_code == "pdf.breaks_earlier_signature"


def test_beside_both_it_passes_and_so_it_does_over_a_line_that_invites_it(pki):
    assert visual(signed_twice(pki, BESIDE), pki).verdict is Verdict.PASSED
    line = b"BT /F1 18 Tf 20 250 Td (Sign here: ____) Tj ET"
    base = raw_pdf([]).replace(b"BT /F1 18 Tf 20 250 Td (Pay 100 yuan) Tj ET", line)
    assert line in base
    # One byte more: the table and the length are those of the shorter text.
    padded = raw_pdf([]).replace(b"(Pay 100 yuan)", b"(Sign here:__)")
    assert visual(signed_twice(pki, OVER_PRICE, base=padded), pki).verdict is Verdict.PASSED


def test_the_first_signature_may_stand_where_its_signer_wants_it(pki):
    data = pdf.place_fields(raw_pdf([]), [OVER_PRICE])
    data = sign_field(data, pki=pki, signer=pki.signer(), field="party_b", certify=True)
    assert integrity_report(data).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Pay 100 yuan", True),
        ("叁佰元", True),
        ("￥", True),
        ("½", True),
        ("待签署 to be signed", False),
        ("", False),
    ],
)
def test_figures_are_digits_chinese_numerals_and_signs_of_amounts(text, found):
    assert has_figures(text) is found


def test_boxes_overlap_by_a_whole_point_on_the_same_page():
    one = Box(0, 0, 0, 10, 10)
    assert overlap(one, Box(0, 9, 9, 20, 20))
    assert not overlap(one, Box(0, 10, 0, 20, 10))
    assert not overlap(one, Box(1, 0, 0, 10, 10))


def view(draw) -> PageView:
    image = Image.new("RGB", (120, 60), "white")
    pen = ImageDraw.Draw(image)
    pen.text((20, 20), "100 yuan, 1 000", fill="black")
    draw(pen)
    return PageView("", 120, 60, image.convert("RGBA").tobytes())


PLACE = (0, 0, 120, 60)


@pytest.mark.parametrize(
    ("draw", "hidden"),
    [
        (lambda _pen: None, False),
        (lambda pen: pen.ellipse((5, 5, 110, 55), outline=(220, 30, 30), width=3), False),
        (lambda pen: pen.text((20, 40), "电子签名", fill=(20, 40, 120)), False),
        (lambda pen: pen.rectangle((0, 0, 120, 60), fill="white"), True),
        (lambda pen: pen.rectangle((0, 0, 120, 60), fill="black"), True),
        (lambda pen: pen.rectangle((0, 0, 120, 60), fill=(220, 30, 30)), True),
        (lambda pen: pen.rectangle((18, 18, 26, 34), fill="white"), True),
    ],
)
def test_paper_and_solid_colour_hide_and_a_seal_does_not(draw, hidden):
    assert hides(view(lambda _pen: None), view(draw), PLACE) is hidden


def test_nothing_is_hidden_where_nothing_stood():
    blank = PageView("", 120, 60, Image.new("RGBA", (120, 60), "white").tobytes())
    assert not hides(blank, view(lambda pen: pen.rectangle((0, 0, 99, 50), fill="black")), PLACE)
