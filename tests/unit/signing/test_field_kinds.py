"""Check boxes, several lines and choices that another program made: opened, filled, signed; and attacked."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from reportlab.pdfgen.canvas import Canvas

from api import pdfsig
from ledger.core.errors import FuqiError, InputError
from ledger.core.report import Verdict
from signing import field_kinds, form_fill, longterm, pdf
from signing.appearance import Appearance, FieldSpec
from signing.embedded import ValidationData
from signing.field_kinds import Kind, Shape, normal, require_value, rows_of
from signing.form_fields import form_fields, open_fields
from signing.form_fill import field_reference, fill
from signing.opinions import Stance, pdfsig_opinion, pyhanko_opinion
from signing.pdf_reading import open_reader
from signing.reading import RecordedEdit
from signing.render import page_png
from signing.testing import ThrowawayPki, throwaway_pki
from signing.testing_pdf import trust_of
from signing.validate import validate_pdf

PARTIES = tuple(
    FieldSpec(name, 0, 10 + 135 * n, 10, 130, 60)
    for n, name in enumerate(("party_a", "party_b", "party_c"))
)
LINES = "第一行：示例路2号（虚构）\n\nsecond line, with words that have to be broken somewhere"
FOREIGN = ("agreed", "remark", "way")
VALUES = {"agreed": "On", "remark": LINES, "way": "Rail 铁路"}
OLD = {"agreed": "Off", "remark": "", "way": "Road"}


def form() -> bytes:
    """As another program makes it: a box, several lines, a choice of pairs, and what is never opened."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(420, 300), invariant=True)
    canvas.drawString(72, 280, "An invented order")
    fields = canvas.acroForm
    _three(fields)
    fields.checkbox(name="ticked", x=172, y=250, size=16, checked=True)
    fields.listbox(name="listed", x=290, y=170, width=120, height=60, options=["a", "b"], value="a")
    fields.radio(name="sort", value="one", x=290, y=130, selected=True)
    fields.radio(name="sort", value="two", x=330, y=130)
    canvas.showPage()
    canvas.save()
    return changed(buffer.getvalue(), _more)


def _three(fields: Any) -> None:
    """A box, several lines, a choice of pairs."""
    fields.checkbox(name="agreed", x=72, y=250, size=16)
    fields.textfield(name="remark", x=72, y=170, width=200, height=70, fieldFlags="multiline")
    fields.choice(
        name="way",
        x=72,
        y=130,
        width=120,
        height=20,
        options=[("Road", "r"), ("Rail 铁路", "t"), (" ", "")],
        value="r",
    )


def _more(writer: Any) -> None:
    """A push button, a choice that takes other text, a field that acts."""
    for name, kind, flags in (
        ("press", "/Btn", field_kinds.PUSH),
        ("other", "/Ch", field_kinds.COMBO | field_kinds.EDITABLE),
        ("acts", "/Tx", 0),
        ("file", "/Tx", field_kinds.FILE_SELECT),
    ):
        field = generic.DictionaryObject(
            {
                pdf_name("/Type"): pdf_name("/Annot"),
                pdf_name("/Subtype"): pdf_name("/Widget"),
                pdf_name("/FT"): pdf_name(kind),
                pdf_name("/T"): generic.TextStringObject(name),
                pdf_name("/Ff"): generic.NumberObject(flags),
                pdf_name("/Rect"): generic.ArrayObject(
                    generic.NumberObject(number) for number in (290, 250, 390, 270)
                ),
            }
        )
        if name == "acts":
            field[pdf_name("/A")] = generic.DictionaryObject(
                {pdf_name("/S"): pdf_name("/URI"), pdf_name("/URI"): generic.TextStringObject("x:")}
            )
        reference = writer.add_object(field)
        page = writer.find_page_for_modification(0)[0].get_object()
        page["/Annots"].append(reference)
        writer.update_container(page["/Annots"])
        writer.root["/AcroForm"]["/Fields"].append(reference)
        writer.update_container(writer.root["/AcroForm"]["/Fields"])


def changed(data: bytes, change: Callable[[Any], None]) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
    change(writer)
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def edit(name: str, work: Callable[[Any, Any], None]) -> Callable[[Any], None]:
    """A change of one field's dictionary."""

    def change(writer: Any) -> None:
        reference = field_reference(writer, name)
        work(reference.get_object(), writer)
        writer.mark_update(reference)

    return change


def signed(
    data: bytes,
    pki: ThrowawayPki,
    field: str,
    edits: tuple[RecordedEdit, ...] = (),
    *,
    certify: bool = False,
) -> bytes:
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


@dataclass(frozen=True)
class Story:
    """Party A signed; B filled and signed."""

    pki: ThrowawayPki
    once: bytes
    twice: bytes
    edits: tuple[RecordedEdit, ...]

    def judged(self, data: bytes, edits: tuple[RecordedEdit, ...]) -> Any:
        return validate_pdf(data, trust=trust_of(self.pki), at=self.pki.at, edits=edits)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> ThrowawayPki:
    return throwaway_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def story(pki: ThrowawayPki) -> Story:
    ready = open_fields(form(), [*FOREIGN, "ticked"])
    filler = dict.fromkeys(FOREIGN, "party_b") | {"ticked": "party_c"}
    once = signed(pdf.place_fields(ready, PARTIES, fillable=filler), pki, "party_a", certify=True)
    made = fill(once, VALUES)
    edits = tuple(replace(one, signed_in="party_b") for one in made.edits)
    return Story(pki, once, signed(made.data, pki, "party_b", edits), edits)


def failed(report: Any) -> set[str]:
    return {one.code for one in report.checks if one.verdict is Verdict.FAILED}


def reason(report: Any) -> str:
    return next(str(o.details["reason"]) for o in report.checks if o.code == "pdf.field_edits")


def test_every_kind_is_listed_and_what_cannot_be_filled_says_why() -> None:
    listed = {one.name: (one.kind, one.fault) for one in form_fields(form())}
    assert listed == {
        "agreed": (Kind.CHECK, ""),
        "ticked": (Kind.CHECK, ""),
        "remark": (Kind.LINES, ""),
        "way": (Kind.CHOICE, ""),
        "listed": (Kind.TEXT, "list"),
        "sort": (Kind.TEXT, "radio"),
        "press": (Kind.TEXT, "button"),
        "other": (Kind.TEXT, "editable"),
        "acts": (Kind.TEXT, "action"),
        "file": (Kind.TEXT, "no_text"),
    }
    found = {one.name: one for one in form_fields(form())}
    assert (found["agreed"].value, found["ticked"].value) == ("Off", "On")
    assert (found["way"].value, found["way"].options) == ("Road", ("Road", "Rail 铁路"))
    for name in ("listed", "sort", "press", "other", "acts", "file"):
        with pytest.raises(InputError) as caught:
            open_fields(form(), [name])
        assert caught.value.error_code == "form.field_closed"


@pytest.mark.parametrize(
    ("name", "work", "fault"),
    [
        ("ticked", lambda field, _w: field.pop("/V"), "value"),
        ("agreed", lambda field, _w: field.update({pdf_name("/AS"): pdf_name("/Yes")}), "value"),
        (
            "way",
            lambda field, _w: field.update(
                {
                    pdf_name("/Opt"): generic.ArrayObject(),
                    pdf_name("/V"): generic.TextStringObject(""),
                }
            ),
            "options",
        ),
        (
            "way",
            lambda field, _w: field.update(
                {
                    pdf_name("/Opt"): generic.ArrayObject(
                        generic.TextStringObject(one) for one in ("r", "r")
                    )
                }
            ),
            "options",
        ),
        (
            "way",
            lambda field, _w: field["/Opt"].append(generic.TextStringObject("龘" * 30)),
            "options",
        ),
        ("way", lambda field, _w: field.update({pdf_name("/V"): pdf_name("/r2")}), "value"),
        (
            "remark",
            lambda field, _w: field.update(
                {pdf_name("/V"): generic.TextStringObject("\n".join("123456789"))}
            ),
            "value",
        ),
        (
            "agreed",
            lambda field, _w: field.update({pdf_name("/AA"): generic.DictionaryObject()}),
            "action",
        ),
        (
            "agreed",
            lambda field, _w: field.update(
                {
                    pdf_name("/Rect"): generic.ArrayObject(
                        generic.NumberObject(number) for number in (72, 250, 77, 255)
                    )
                }
            ),
            "small",
        ),
    ],
)
def test_a_field_whose_content_is_odd_stays_closed(
    name: str, work: Callable[[Any, Any], None], fault: str
) -> None:
    data = changed(form(), edit(name, work))
    assert {one.name: one.fault for one in form_fields(data)}[name] == fault


def test_nothing_that_another_program_drew_is_left_in_an_opened_field() -> None:
    def evil(field: Any, writer: Any) -> None:
        """Whose picture of Off shows what that of Yes shows."""
        looks = field["/AP"]["/N"]
        dict.__setitem__(looks, "/Off", looks.raw_get("/Yes"))
        writer.update_container(looks)
        for key in ("/MK", "/OC", "/Border", "/BS", "/DA"):
            field[pdf_name(key)] = generic.DictionaryObject()

    fooled = changed(form(), edit("agreed", evil))
    opened = open_fields(fooled, ["agreed"])
    field = field_reference(open_reader(opened)[0], "agreed").get_object()
    assert set(field) == {
        *("/Type", "/Subtype", "/FT", "/T", "/P", "/Rect", "/F", "/V", "/AS", "/AP"),
        *({"/TU", "/StructParent"} & set(field)),
    }
    assert set(field["/AP"]) == {"/N"}
    looks = field["/AP"]["/N"]
    shape = field_kinds.shape_of(field)
    assert shape is not None
    assert {key: bytes(looks[key].data) for key in looks} == field_kinds.looks_of("", shape=shape)
    assert page_png(opened, page=0, side_px=600) == page_png(
        open_fields(form(), ["agreed"]), page=0, side_px=600
    )


def test_each_kind_is_filled_signed_and_accepted_and_the_record_says_old_and_new(
    story: Story,
) -> None:
    story.judged(story.twice, story.edits).require()
    assert {one.field: (one.old, one.new) for one in story.edits} == {
        name: (OLD[name], VALUES[name]) for name in FOREIGN
    }
    assert page_png(story.twice, page=0, side_px=600) != page_png(story.once, page=0, side_px=600)
    field = field_reference(open_reader(story.twice)[0], "agreed").get_object()
    assert (field["/V"], field["/AS"]) == ("/On", "/On")
    assert field_kinds.text_of(
        field_reference(open_reader(story.twice)[0], "remark").get_object()
    ) == normal(LINES, kind=Kind.LINES)


def test_without_its_record_every_kind_is_tampering(story: Story) -> None:
    assert {"pdf.changes", "pdf.visual"} <= failed(story.judged(story.twice, ()))
    for one in story.edits:
        rest = tuple(other for other in story.edits if other != one)
        assert "pdf.changes" in failed(story.judged(story.twice, rest))


def test_another_signature_and_an_archive_behind_it_are_accepted_by_everybody(
    story: Story, pki: ThrowawayPki
) -> None:
    made = fill(story.twice, {"ticked": "Off"})
    edits = (*story.edits, *(replace(one, signed_in="party_c") for one in made.edits))
    assert [(one.old, one.new) for one in made.edits] == [("On", "Off")]
    thrice = signed(made.data, pki, "party_c", edits)
    at = pki.at + timedelta(hours=1)
    material = ValidationData(
        certificates=(pki.authority.root_der,), crls=(pki.authority.crl(at=at),)
    )
    archived = longterm.extend(
        thrice, material=material, stamp=lambda i: pki.tsa.stamp(i, at=at), edits=edits
    )
    for data, names in [
        (story.twice, ("party_a", "party_b")),
        (thrice, ("party_a", "party_b", "party_c")),
        (archived, ("party_a", "party_b", "party_c")),
    ]:
        known = story.edits if len(names) == 2 else edits
        validate_pdf(data, trust=trust_of(pki), at=at, edits=known).require()
        assert pyhanko_opinion(data, name="pyHanko", differences=False).stance is Stance.AGREES
        if pdfsig.program() is not None:
            said = pdfsig_opinion(lambda d=data: pdfsig.judge(d), fields=names, name="pdfsig")  # type: ignore[misc]
            assert said.stance is Stance.AGREES, said.reason


def test_pyhankos_own_look_at_the_changes_accepts_a_fill_of_each_kind(pki: ThrowawayPki) -> None:
    """Of a form without further fields: of a locked field that nobody wrote it says that it was edited."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(420, 300), invariant=True)
    _three(canvas.acroForm)
    canvas.showPage()
    canvas.save()
    ready = open_fields(buffer.getvalue(), FOREIGN)
    placed = pdf.place_fields(ready, PARTIES, fillable=dict.fromkeys(FOREIGN, "party_b"))
    made = fill(signed(placed, pki, "party_a", certify=True), VALUES)
    data = signed(made.data, pki, "party_b", made.edits)
    validate_pdf(data, trust=trust_of(pki), at=pki.at, edits=made.edits).require()
    found = pyhanko_opinion(data, name="pyHanko", differences=True)
    assert (found.stance, found.signatures) == (Stance.AGREES, 2)


def _set(key: str, value: Any) -> Callable[[Any, Any], None]:
    return lambda field, _writer: field.update({pdf_name(key): value})


def _look(drawn: bytes, writer: Any) -> Any:
    entries = generic.DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/XObject"),
            pdf_name("/Subtype"): pdf_name("/Form"),
            pdf_name("/BBox"): generic.ArrayObject(generic.NumberObject(n) for n in (0, 0, 16, 16)),
            pdf_name("/Resources"): generic.DictionaryObject(),
        }
    )
    return writer.add_object(generic.StreamObject(entries, stream_data=drawn))


def _swap(field: Any, writer: Any) -> None:
    """The picture of On shows nothing ticked."""
    looks = field["/AP"]["/N"]
    field[pdf_name("/AP")] = generic.DictionaryObject(
        {
            pdf_name("/N"): generic.DictionaryObject(
                {
                    pdf_name("/On"): looks.raw_get("/Off"),
                    pdf_name("/Off"): looks.raw_get("/On"),
                }
            )
        }
    )


def _overwrite(field: Any, writer: Any) -> None:
    """The same reference, another content."""
    look = field["/AP"]["/N"]["/On"]
    look._data = b"q Q"
    look._encoded_data = None
    writer.update_container(look)


def _third_state(field: Any, writer: Any) -> None:
    looks = field["/AP"]["/N"]
    dict.__setitem__(looks, pdf_name("/Evil"), _look(b"q Q", writer))
    field[pdf_name("/AS")] = pdf_name("/Evil")


def _down(field: Any, writer: Any) -> None:
    dict.__setitem__(field["/AP"], pdf_name("/D"), _look(b"q Q", writer))


def _second_widget(field: Any, writer: Any) -> None:
    made = writer.add_object(
        generic.DictionaryObject({key: dict.__getitem__(field, key) for key in field})
    )
    writer.root["/AcroForm"]["/Fields"].append(made)
    writer.update_container(writer.root["/AcroForm"]["/Fields"])


def _second_box(field: Any, writer: Any) -> None:
    """A copy on the page that the form does not list."""
    made = writer.add_object(
        generic.DictionaryObject({key: dict.__getitem__(field, key) for key in field})
    )
    page = writer.find_page_for_modification(0)[0].get_object()
    page["/Annots"].append(made)
    writer.update_container(page["/Annots"])


def _need(_field: Any, writer: Any) -> None:
    writer.root["/AcroForm"][pdf_name("/NeedAppearances")] = generic.BooleanObject(value=True)
    writer.update_container(writer.root["/AcroForm"])
    writer.update_root()


def _fonts(_field: Any, writer: Any) -> None:
    """Another default font, and a rule in a place where none belongs."""
    form = writer.root["/AcroForm"]
    form["/DR"][pdf_name("/Font")] = generic.DictionaryObject(
        {pdf_name("/FuqiForm"): form["/DR"]["/Font"].raw_get("/FuqiForm")}
    )
    writer.update_container(form["/DR"])
    writer.update_container(form)
    writer.update_root()


SCRIPT = generic.DictionaryObject(
    {pdf_name("/S"): pdf_name("/JavaScript"), pdf_name("/JS"): generic.TextStringObject("x")}
)
DOUBLED = "a second field of the name"
ATTACKS: dict[str, tuple[str, Callable[[Any, Any], None]]] = {
    "value without state": ("agreed", _set("/AS", pdf_name("/Off"))),
    "state without value": ("agreed", _set("/V", pdf_name("/Off"))),
    "another state's name": ("agreed", _set("/V", pdf_name("/Yes"))),
    "a text for a state": ("agreed", _set("/V", generic.TextStringObject("On"))),
    "a third state": ("agreed", _third_state),
    "pictures changed over": ("agreed", _swap),
    "picture overwritten in place": ("agreed", _overwrite),
    "picture for the pressed button": ("agreed", _down),
    "caption": (
        "agreed",
        _set("/MK", generic.DictionaryObject({pdf_name("/CA"): generic.TextStringObject("8")})),
    ),
    "flags": ("agreed", _set("/Ff", generic.NumberObject(field_kinds.RADIO))),
    "script": ("agreed", _set("/AA", generic.DictionaryObject({pdf_name("/U"): SCRIPT}))),
    "action": ("agreed", _set("/A", SCRIPT)),
    DOUBLED: ("agreed", _second_widget),
    "a second box": ("agreed", _second_box),
    "pictures left to the reader": ("agreed", _need),
    "other fonts of the form": ("agreed", _fonts),
    "hidden": ("agreed", _set("/F", generic.NumberObject(6))),
    "moved": (
        "agreed",
        _set("/Rect", generic.ArrayObject(generic.NumberObject(n) for n in (72, 100, 88, 116))),
    ),
    "lines: value without picture": ("remark", _set("/V", generic.TextStringObject("another"))),
    "lines: picture without value": ("remark", lambda field, _w: field.pop("/V")),
    "lines: another form of line end": (
        "remark",
        _set("/V", generic.TextStringObject(LINES.replace("\n", "\r"))),
    ),
    "lines: one line": ("remark", _set("/Ff", generic.NumberObject(0))),
    "lines: picture": (
        "remark",
        lambda field, w: field.update(
            {pdf_name("/AP"): generic.DictionaryObject({pdf_name("/N"): _look(b"q Q", w)})}
        ),
    ),
    "lines: script": ("remark", _set("/AA", generic.DictionaryObject({pdf_name("/K"): SCRIPT}))),
    "choice: value without picture": ("way", _set("/V", generic.TextStringObject("Road"))),
    "choice: no option": ("way", _set("/V", generic.TextStringObject("Ship"))),
    "choice: another option added": (
        "way",
        lambda field, _w: field["/Opt"].append(generic.TextStringObject("Ship")),
    ),
    "choice: index": ("way", _set("/I", generic.ArrayObject([generic.NumberObject(0)]))),
    "choice: other text": (
        "way",
        _set("/Ff", generic.NumberObject(field_kinds.COMBO | field_kinds.EDITABLE)),
    ),
}


def forged(
    story: Story, name: str, work: Callable[[Any, Any], None], monkeypatch: Any
) -> tuple[bytes, tuple[RecordedEdit, ...]]:
    """A fill whose one revision holds more or other than the value, signed and recorded all the same."""
    real = form_fill.written

    def written(writer: Any) -> bytes:
        edit(name, work)(writer)
        return real(writer)

    with monkeypatch.context() as patch:
        patch.setattr(form_fill, "written", written)
        made = fill(story.once, {name: VALUES[name]})
    with monkeypatch.context() as patch:
        patch.setattr(pdf, "_require_unbroken", lambda *_args, **_kwargs: None)
        return signed(made.data, story.pki, "party_b"), made.edits


@pytest.mark.parametrize("attack", ATTACKS)
def test_more_or_other_than_the_value_is_tampering_whatever_is_recorded(
    story: Story, monkeypatch: pytest.MonkeyPatch, attack: str
) -> None:
    data, edits = forged(story, *ATTACKS[attack], monkeypatch)
    report = story.judged(data, edits)
    assert "pdf.field_edits" in failed(report)
    # Behind two fields of one name pyHanko judges nothing: what changed is then open, never accepted.
    changes = Verdict.INDETERMINATE if attack == DOUBLED else Verdict.FAILED
    assert changes in {one.verdict for one in report.checks if one.code == "pdf.changes"}


def test_the_same_fill_without_the_attack_is_accepted(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in FOREIGN:
        data, edits = forged(story, name, lambda _field, _writer: None, monkeypatch)
        story.judged(data, edits).require()


def test_a_box_set_back_after_it_was_signed_for_is_tampering(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = fill(story.twice, {"agreed": "Off"})
    assert "pdf.changes" in failed(story.judged(again.data, (*story.edits, *again.edits)))
    with monkeypatch.context() as patch:
        patch.setattr(pdf, "_require_unbroken", lambda *_args, **_kwargs: None)
        data = signed(again.data, story.pki, "party_c")
    assert "pdf.changes" in failed(story.judged(data, (*story.edits, *again.edits)))


def test_a_record_of_another_value_explains_nothing(story: Story) -> None:
    for number, one in enumerate(story.edits):
        told = list(story.edits)
        told[number] = replace(one, new={"On": "Off"}.get(one.new, "another"))
        assert reason(story.judged(story.twice, tuple(told))) == "other_value"


BOX = Shape(Kind.LINES, 104, 40)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [""]),
        ("one", ["one"]),
        ("a" * 25, ["a" * 20, "a" * 5]),
        ("测" * 12, ["测" * 10, "测" * 2]),
        ("several words that wrap", ["several words that", "wrap"]),
        ("exactly twenty chars nxt", ["exactly twenty chars", "nxt"]),
        ("测试abc def ghijklmnopqrstu", ["测试abc def", "ghijklmnopqrstu"]),
        ("a\n\nb", ["a", "", "b"]),
        ("  indented", ["  indented"]),
        ("词 " + "b" * 21, ["词", "b" * 20, "b"]),
    ],
)
def test_rows_break_where_the_rule_says(text: str, rows: list[str]) -> None:
    assert rows_of(text, width=104) == rows
    assert all(sum(1 if ord(one) < 128 else 2 for one in row) <= 20 for row in rows)


@pytest.mark.parametrize(
    ("text", "shape", "code"),
    [
        ("a\nb\nc", BOX, ""),
        ("a\nb\nc\nd", BOX, "form.value_too_long"),
        ("a" * 61, BOX, "form.value_too_long"),
        ("a\r\nb", BOX, "form.value_invalid"),
        ("a \nb", BOX, "form.value_invalid"),
        ("\na", BOX, "form.value_invalid"),
        ("a\tb", BOX, "form.value_invalid"),
        ("", BOX, "form.value_invalid"),
        ("测", Shape(Kind.LINES, 12, 40), "form.value_too_long"),
        ("a" * 1001, Shape(Kind.LINES, 500, 800), "form.value_too_long"),
        ("a" * 1000, Shape(Kind.LINES, 500, 800), ""),
        ("On", Shape(Kind.CHECK, 10, 10), ""),
        ("Off", Shape(Kind.CHECK, 10, 10), ""),
        ("on", Shape(Kind.CHECK, 10, 10), "form.value_invalid"),
        ("", Shape(Kind.CHECK, 10, 10), "form.value_invalid"),
        ("b", Shape(Kind.CHOICE, 100, 20, ("a", "b")), ""),
        ("c", Shape(Kind.CHOICE, 100, 20, ("a", "b")), "form.value_invalid"),
    ],
)
def test_a_value_fits_its_field_or_is_refused(text: str, shape: Shape, code: str) -> None:
    try:
        require_value(text, shape=shape)
        found = ""
    except FuqiError as exc:
        found = exc.error_code
    assert found == code


def test_what_is_typed_is_kept_in_one_form() -> None:
    assert normal(" a \r\n\r\nb\r ", kind=Kind.LINES) == "a\n\nb"
    assert normal(" é ", kind=Kind.TEXT) == "é"
