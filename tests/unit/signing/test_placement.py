"""Fields beside a text or where they were dragged: found, turned with the page, refused with a reason."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pypdfium2
import pytest
from reportlab.pdfgen.canvas import Canvas

from ledger.core.errors import ConflictError, FuqiError, InputError
from signing import pdf, render
from signing.appearance import FieldSpec
from signing.covered import overlap
from signing.fonts import find_font
from signing.form_fill import TextFieldSpec, place_text_fields
from signing.pdf_reading import form_of, open_reader
from signing.placement import Anchor, Spot, lifted, place_boxes, require_clear
from signing.testing import throwaway_pki
from signing.testing_pdf import sign_field


def document(*, turn: int = 0, crop: bool = False) -> bytes:
    """Two pages; 甲方盖章 stands on both, 乙方盖章 on the second."""
    face = find_font()
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=1)
    for page in range(2):
        canvas.setFont(face.name, 14)
        canvas.drawString(100, 400, "甲方盖章：")
        if page:
            canvas.drawString(100, 200, "乙方盖章：𠮷")
        if crop:
            canvas.setCropBox((50, 100, 595, 842))
        canvas.showPage()
    canvas.save()
    if not turn:
        return buffer.getvalue()
    turned = pypdfium2.PdfDocument(buffer.getvalue())
    for page in range(2):
        turned[page].set_rotation(turn)
    saved = io.BytesIO()
    turned.save(saved)
    turned.close()
    return saved.getvalue()


def test_a_box_goes_beside_its_text() -> None:
    (box,) = place_boxes(document(), [Anchor("甲方盖章：", width=150, height=60)])
    assert (box.name, box.page) == ("party1", 0)
    assert 160 <= box.x <= 185
    assert 370 <= box.y <= 380
    assert (box.width, box.height) == (150, 60)


def test_the_nth_and_the_last_occurrence_and_offsets() -> None:
    first, second, last = (
        place_boxes(document(), [Anchor("盖章", nth=nth)])[0] for nth in (1, 2, -1)
    )
    assert (first.page, second.page, last.page) == (0, 1, 1)
    assert second.y > last.y
    (moved,) = place_boxes(document(), [Anchor("盖章", dx=30, dy=-40)])
    assert (moved.x - first.x, moved.y - first.y) == (30, -40)


def test_a_rare_character_is_an_anchor_too() -> None:
    (box,) = place_boxes(document(), [Anchor("𠮷")])
    assert box.page == 1


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", [False, True])
def test_the_box_stands_beside_the_text_however_the_page_is_turned(turn: int, crop: bool) -> None:
    data = document(turn=turn, crop=crop)
    anchor = Anchor("甲方盖章", width=60, height=30)
    with render.Document(data) as opened:
        (text,) = opened.find("甲方盖章", at_most=1, deadline=render.deadline())
    try:
        (box,) = place_boxes(data, [anchor])
    except InputError as exc:
        assert exc.error_code == "placement.outside"  # noqa: PT017 - both are right
        return
    placed = pdf.place_fields(data, [box])
    seat = form_of(open_reader(placed)[0]).boxes["party1"]
    with render.Document(placed) as opened:
        view = opened.view(0, side_px=842, masks=[seat], deadline=render.deadline())
        size = opened.page_sizes(at_most=1)[0]
    black = [
        (index % view.width, index // view.width)
        for index in range(view.width * view.height)
        if view.pixels[4 * index : 4 * index + 3] == b"\0\0\0"
    ]
    scale = view.width / size[0]
    middle_x = sum(x for x, _ in black) / len(black) / scale
    middle_y = size[1] - sum(y for _, y in black) / len(black) / scale
    assert abs(middle_x - (box.x + box.width / 2)) < 25
    assert abs(middle_y - (box.y + box.height / 2)) < 8
    assert abs(middle_y - (text.bottom + text.top) / 2) < 10


@pytest.mark.parametrize(
    ("places", "code"),
    [
        ([Anchor("丙方盖章")], "placement.anchor_missing"),
        ([Anchor("乙方盖章", nth=2)], "placement.anchor_missing"),
        ([Anchor("")], "placement.anchor"),
        ([Anchor("x" * 61)], "placement.anchor"),
        ([Anchor("盖章", nth=0)], "placement.anchor"),
        ([Anchor("盖章", dx=9000)], "placement.anchor"),
        ([Anchor("盖章", dx=400)], "placement.outside"),
        ([Spot(2, 10, 10, 100, 50)], "placement.outside"),
        ([Spot(0, 500, 10, 100, 50)], "placement.outside"),
        ([Spot(0, -1, 10, 100, 50)], "placement.outside"),
        ([Spot(0, 10, 10, 10, 50)], "placement.size"),
        ([Spot(0, 10, 10, 100, 50), Spot(0, 100, 30, 100, 50)], "placement.overlap"),
        ([Spot(0, 10, 10, 100, 50)] * 51, "placement.too_many"),
    ],
)
def test_a_place_that_cannot_be_is_refused_with_its_reason(places: list[object], code: str) -> None:
    with pytest.raises(FuqiError) as caught:
        place_boxes(document(), places)  # type: ignore[arg-type]
    assert caught.value.error_code == code


def test_boxes_side_by_side_are_kept_in_order() -> None:
    boxes = place_boxes(document(), [Spot(0, 10, 10, 100, 50), Anchor("乙方盖章")])
    assert [one.name for one in boxes] == ["party1", "party2"]


def lined(*lines: tuple[int, int, str], turn: int = 0) -> bytes:
    """One page with these texts, each at x and y on the page as it lies unturned."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=1)
    for x, y, text in lines:
        canvas.drawString(x, y, text)
    canvas.setPageRotation(turn)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


AMOUNT = (330, 420, "CNY 1,234,567")
ASIDE = FieldSpec("party1", 0, 30, 40, 200, 110)


@pytest.mark.parametrize(
    ("box", "over"),
    [
        (FieldSpec("party2", 0, 320, 400, 150, 60), "figures"),
        (FieldSpec("party2", 0, 300, 425, 180, 60), "figures"),
        (FieldSpec("party2", 0, 320, 440, 150, 60), ""),
        (FieldSpec("party2", 0, 30, 400, 250, 60), ""),
    ],
)
def test_a_box_over_figures_is_refused_with_its_page_and_one_beside_them_is_not(
    box: FieldSpec, over: str
) -> None:
    data = lined(AMOUNT, (60, 420, "the parties agree"))
    if not over:
        require_clear(data, [ASIDE, box])
        return
    with pytest.raises(InputError) as caught:
        require_clear(data, [ASIDE, box])
    assert caught.value.error_code == "placement.covered"
    assert caught.value.context == {"box": 2, "field": "party2", "page": 1, "over": over}
    assert "1,234" not in caught.value.message


def test_a_box_over_a_text_field_is_refused() -> None:
    data = place_text_fields(lined(AMOUNT), [TextFieldSpec("note", 0, 60, 600, 200, 20)])
    with pytest.raises(InputError) as caught:
        require_clear(data, [replace(ASIDE, y=560)])
    assert caught.value.context["over"] == "field"
    require_clear(data, [ASIDE])


def test_what_is_refused_at_placing_is_what_the_second_signature_would_be_refused_for(
    tmp_path: Path,
) -> None:
    """Both by the verifier's own judgement: a picture over the box, behind an earlier signature."""
    pki = throwaway_pki(tmp_path)
    for y, fine in ((400, False), (480, True)):
        fields = [ASIDE, FieldSpec("party2", 0, 320, y, 150, 60)]
        data = lined(AMOUNT)
        placed = pdf.place_fields(data, fields)
        first = sign_field(placed, pki=pki, signer=pki.signer(), field="party1", certify=True)
        try:
            require_clear(data, fields)
            cleared = True
        except InputError:
            cleared = False
        assert cleared is fine
        try:
            sign_field(first, pki=pki, signer=pki.signer(), field="party2", certify=False)
            signed = True
        except ConflictError as exc:
            assert (exc.error_code, exc.context["check"]) == (  # noqa: PT017 - both are judged
                "pdf.breaks_earlier_signature",
                "pdf.visual",
            )
            signed = False
        assert signed is fine


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_figures_are_found_on_turned_pages_where_a_reader_sees_them(turn: int) -> None:
    data = lined(AMOUNT, turn=turn)
    with render.Document(data) as opened:
        (line,) = opened.lines(0)
        wide, high = opened.page_sizes(at_most=1)[0]
    x, y = round(line.box.left) - 5, round(line.box.bottom) - 5
    size = round(line.box.right) - x + 5, round(line.box.top) - y + 5
    with pytest.raises(InputError) as caught:
        require_clear(data, [FieldSpec("party1", 0, x, y, *size)])
    assert caught.value.error_code == "placement.covered"
    mirrored = FieldSpec("party1", 0, max(0, wide - x - size[0]), max(0, high - y - size[1]), *size)
    if not overlap(
        line.box, render.Box(0, mirrored.x, mirrored.y, mirrored.x + size[0], mirrored.y + size[1])
    ):
        require_clear(data, [mirrored])


def test_a_row_is_lifted_over_what_is_printed_at_the_foot() -> None:
    row = [replace(ASIDE, y=36, height=64), FieldSpec("party2", 0, 260, 36, 200, 64)]
    assert lifted(lined(AMOUNT), row) == tuple(row)
    (first, second) = lifted(lined(AMOUNT, (280, 50, "page 1 of 3")), row)
    assert first.y == second.y > 50
    require_clear(lined(AMOUNT, (280, 50, "page 1 of 3")), [first, second])
    words = [(40, y, "the parties agree") for y in range(20, 842, 20)]
    (over_text, _) = lifted(lined(*words, (280, 50, "2026")), row)
    assert 50 < over_text.y < 80
    full = [(40, y, "2026") for y in range(20, 842, 20)]
    assert lifted(lined(*full), row) == tuple(row)
    with pytest.raises(InputError):
        require_clear(lined(*full), row)
