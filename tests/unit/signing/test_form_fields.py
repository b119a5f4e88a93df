"""Fields that another program put into a PDF: which can be left to a signer, and why the others cannot."""

from __future__ import annotations

import io

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from reportlab.pdfgen.canvas import Canvas

from ledger.core.errors import ConflictError, FuqiError, InputError, NotFoundError
from signing import pdf
from signing.appearance import FieldSpec
from signing.form_fields import form_fields, open_fields
from signing.form_fill import field_reference, fill
from signing.pdf_reading import open_reader
from signing.render import page_png


def form(*, turned: int = 0) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=True)
    if turned:
        canvas.setPageRotation(turned)
    fields = canvas.acroForm
    fields.textfield(name="place", x=72, y=700, width=200, height=20)
    fields.textfield(name="地点", x=72, y=660, width=200, height=20, value="Wuhan")
    fields.textfield(name="low", x=72, y=620, width=200, height=9)
    fields.textfield(name="hidden", x=72, y=580, width=200, height=20, fieldFlags="password")
    fields.textfield(name="long", x=72, y=540, width=30, height=20, value="much too long for it")
    fields.checkbox(name="agreed", x=72, y=500)
    fields.choice(name="kind", x=72, y=460, options=["a", "b"], value="a", width=80, height=20)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def changed(data: bytes, change) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
    change(writer)
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def faults(data: bytes) -> dict[str, str]:
    return {one.name: one.fault for one in form_fields(data)}


def test_each_field_is_listed_with_the_reason_that_closes_it():
    assert faults(form()) == {
        "place": "",
        "地点": "",
        "low": "small",
        "hidden": "password",
        "long": "value",
        "agreed": "",
        "kind": "",
    }
    assert set(faults(form(turned=90)).values()) >= {"turned_page"}
    place = form_fields(form())[0]
    assert (place.page, place.x, place.y, place.width, place.height) == (0, 72, 700, 200, 20)


def test_fields_of_one_name_and_fields_with_parts_stay_closed():
    def split(writer):
        reference = field_reference(writer, "place")
        reference.get_object()["/Kids"] = generic.ArrayObject()
        writer.mark_update(reference)

    def double(writer):
        reference = field_reference(writer, "地点")
        reference.get_object()["/T"] = generic.TextStringObject("place")
        writer.mark_update(reference)

    assert faults(changed(form(), split))["place"] == "nested"
    assert faults(changed(form(), double))["place"] == "several"


def test_an_opened_field_keeps_name_place_and_value_and_can_be_filled():
    opened = open_fields(form(), ["place", "地点"])
    before, after = form_fields(form()), form_fields(opened)
    assert [(o.name, o.x, o.y, o.value) for o in after] == [
        (o.name, o.x, o.y, o.value) for o in before
    ]
    boxes = [FieldSpec("party1", 0, 50, 50, 100, 60)]
    ready = pdf.place_fields(opened, boxes, fillable={"place": "party1", "地点": "party1"})
    made = fill(ready, {"place": "示例路2号", "地点": "北京"})
    assert [(one.field, one.old, one.new) for one in made.edits] == [
        ("place", "", "示例路2号"),
        ("地点", "Wuhan", "北京"),
    ]
    assert page_png(made.data, page=0, side_px=400) != page_png(ready, page=0, side_px=400)


def test_rules_of_the_program_that_made_the_field_are_gone():
    opened = open_reader(open_fields(form(), ["place"]))[0]
    field = field_reference(opened, "place").get_object()
    assert not {"/Ff", "/MaxLen", "/DV", "/Q", "/AA"} & set(field)
    assert str(field["/DA"]).startswith("/FuqiForm")
    assert "/NeedAppearances" not in opened.root["/AcroForm"]


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("nowhere", NotFoundError, "form.field_unknown"),
        ("long", InputError, "form.field_closed"),
    ],
)
def test_what_cannot_be_opened_is_refused(name: str, kind: type[FuqiError], code: str):
    with pytest.raises(kind) as caught:
        open_fields(form(), [name])
    assert caught.value.error_code == code


def test_nothing_is_opened_behind_a_signature_and_nothing_asked_changes_nothing(monkeypatch):
    data = form()
    assert open_fields(data, []) == data
    real = pdf.form_of(open_reader(data)[0])
    monkeypatch.setattr(
        "signing.form_fields.form_of",
        lambda _reader: type(real)(**{**vars_of(real), "filled": ("party1",)}),
    )
    with pytest.raises(ConflictError) as caught:
        open_fields(data, ["place"])
    assert caught.value.error_code == "form.already_signed"


def vars_of(value: object) -> dict[str, object]:
    return {name: getattr(value, name) for name in value.__slots__}
