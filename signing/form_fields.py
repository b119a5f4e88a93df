"""Fields that stand in an uploaded form already: which of them signers may fill, and made ready for it.

A field that another program made brings its own font, picture and rules. Before the first signature the author
opens some of them to signers: each is then written anew as a field of `signing.field_kinds`, in its place and
under its name, so that a verifier can make every later picture of it again. Of a check box that replaces both
pictures: what another program drew could show a tick where the value says none. What cannot be opened is named
with the reason, not left out.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pyhanko.pdf_utils import generic as pyhanko_generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from ledger.core.errors import ConflictError, InputError, NotFoundError
from signing import field_kinds, form_fill
from signing.field_kinds import Kind, Shape
from signing.page_space import turn_of
from signing.pdf_reading import form_of, open_reader, translated
from signing.render import Box

generic: Final[Any] = pyhanko_generic  # untyped, called all over
LISTED_MAX: Final = 200
"""Fields that are listed; more than `form_fill.FIELDS_MAX` are never opened."""
NAME_CHARS_MAX: Final = 64
_KEPT: Final = frozenset({"/Type", "/Subtype", "/FT", "/T", "/TU", "/P", "/Rect", "/StructParent"})
"""Entries of a field that stay. Rules, borders, pictures and layers of the program that made it say nothing
about who signs what, and could show something else than the value."""
_FLAGS: Final = {Kind.LINES: field_kinds.MULTILINE, Kind.CHOICE: field_kinds.COMBO}
"""The one flag that tells a kind from the others of its type."""
_BLANK: Final = frozenset({"", " "})
"""Options by which a form says that nothing is chosen yet."""


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of a document that nobody signed yet.

    Attributes:
        name: full name.   page: 0-based.
        x, y, width, height: points of the page, from its lower left corner.
        value: what stands in it; of a check box its state.
        kind: what it asks for; where it cannot be opened that is the nearest kind.
        options: of a choice, as they are shown.
        fault: why it cannot be opened, a stable word; "" where it can.
    """

    name: str
    page: int
    x: int
    y: int
    width: int
    height: int
    value: str
    kind: Kind
    options: tuple[str, ...]
    fault: str

    @property
    def shape(self) -> Shape:
        """By it values are judged."""
        return Shape(self.kind, self.width, self.height, self.options)


def form_fields(data: bytes) -> tuple[FormField, ...]:
    """The fields of a form but its signature fields, in the order of the file, at most `LISTED_MAX`.

    Raises:
        InputError: `pdf.broken`, `pdf.encrypted`.
    """
    reader, _strict = open_reader(data)
    form = form_of(reader)
    names = list(dict.fromkeys(form.other_fields))[:LISTED_MAX]
    with translated():
        writer: Any = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
        boxes = {name: form.boxes[name] for name in names if name in form.boxes}
        turned = {
            page: turn_of(writer.find_page_for_modification(page)[0].get_object()) != 0
            for page in {box.page for box in boxes.values()}
        }
        return tuple(_listed(reader, name, boxes.get(name), turned) for name in names)


def _listed(reader: Any, name: str, box: Box | None, turned: Mapping[int, bool]) -> FormField:
    item, fault = _item(reader, name)
    kind = (field_kinds.kind_of(item) if item else None) or Kind.TEXT
    options = _options(item) if kind is Kind.CHOICE and not fault else ()
    value = "" if fault else _value(item, kind)
    if not fault and value is None:
        fault = "value"
    if box is None:
        return FormField(name, 0, 0, 0, 0, 0, value or "", kind, options, fault or "no_place")
    width, height = round(box.right - box.left), round(box.top - box.bottom)
    if not fault and turned[box.page]:
        fault = "turned_page"
    low, narrow = (
        (field_kinds.CHECK_MIN, field_kinds.CHECK_MIN)
        if kind is Kind.CHECK
        else (field_kinds.HEIGHT_MIN, field_kinds.FONT_SIZE)
    )
    if not fault and (height < low or width < narrow):
        fault = "small"
    found = FormField(
        name,
        box.page,
        round(box.left),
        round(box.bottom),
        width,
        height,
        value or "",
        kind,
        options,
        fault,
    )
    return found if fault else replace(found, fault=_content_fault(found))


def open_fields(data: bytes, names: Collection[str]) -> bytes:
    """The document with these fields ready to be filled by signers; the others stay as they are.

    Raises:
        NotFoundError: `form.field_unknown`.
        InputError: `form.field_closed` (`context["reason"]`), `pdf.broken`, `pdf.encrypted`.
        ConflictError: `form.already_signed`.
    """
    if not names:
        return data
    reader, _strict = open_reader(data)
    if form_of(reader).filled:
        raise ConflictError(
            "form fields are opened before the first signature", code="form.already_signed"
        )
    known = {one.name: one for one in form_fields(data)}
    for name in names:
        if name not in known:
            raise NotFoundError(
                "the document has no form field of this name", code="form.field_unknown", field=name
            )
        if known[name].fault:
            raise InputError(
                f"this field of the document cannot be opened to a signer: {known[name].fault};"
                " place a new field there, or ask for the value in the text",
                code="form.field_closed",
                field=name,
                reason=known[name].fault,
            )
    with translated():
        writer: Any = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
        font = form_fill.require_font(writer)
        for name in sorted(names):
            reference = form_fill.field_reference(writer, name)
            _make_ready(writer, reference.get_object(), known[name], font=font)
            writer.mark_update(reference)
        return form_fill.written(writer)


def _make_ready(writer: Any, field: Any, known: FormField, *, font: Any) -> None:
    for key in [key for key in field if key not in _KEPT]:
        del field[key]
    if known.kind in _FLAGS:
        field[pdf_name("/Ff")] = generic.NumberObject(_FLAGS[known.kind])
    if known.kind is Kind.CHOICE:
        field[pdf_name("/Opt")] = generic.ArrayObject(
            generic.TextStringObject(one) for one in known.options
        )
    form_fill.make_ready(writer, field, shape=known.shape, font=font, value=known.value)


def _item(reader: Any, name: str) -> tuple[Any, str]:
    """The field of this name, and why it cannot be filled by its nature; None where there is not one."""
    top = [item for item in _top_fields(reader) if str(item.get("/T", "")) == name]
    if len(top) != 1:
        return None, "several" if top else "nested"
    [item] = top
    if len(name) > NAME_CHARS_MAX or not name.isprintable():
        return item, "name"
    if "/Kids" in item and not _is_radio(item):
        return item, "nested"
    if "/AA" in item or "/A" in item:
        return item, "action"
    return item, _kind_fault(item)


def _is_radio(item: Any) -> bool:
    return item.get("/FT") == "/Btn" and bool(field_kinds.flags_of(item) & field_kinds.RADIO)


def _kind_fault(item: Any) -> str:
    kind, flags = item.get("/FT"), field_kinds.flags_of(item)
    if kind == "/Tx" and flags & (field_kinds.PASSWORD | field_kinds.FILE_SELECT):
        return "password" if flags & field_kinds.PASSWORD else "no_text"
    if kind == "/Btn" and flags & (field_kinds.RADIO | field_kinds.PUSH):
        return "radio" if flags & field_kinds.RADIO else "button"
    if kind == "/Ch" and not flags & field_kinds.COMBO:
        return "list"
    if kind == "/Ch" and flags & (field_kinds.EDITABLE | field_kinds.SEVERAL_CHOSEN):
        return "editable"
    if kind not in {"/Tx", "/Btn", "/Ch"}:
        return "no_text"
    return "" if "/Rect" in item else "no_place"


def _top_fields(reader: Any) -> list[Any]:
    fields = reader.root["/AcroForm"]["/Fields"]
    return [list.__getitem__(fields, n).get_object() for n in range(len(fields))]


def _value(item: Any, kind: Kind) -> str | None:
    """What another program left in a field; None where that is not one value."""
    found = item["/V"] if "/V" in item else None  # noqa: SIM401 - .get would keep a reference
    if kind is Kind.CHECK:
        shown = item["/AS"] if "/AS" in item else "/Off"  # noqa: SIM401
        value = "/Off" if found is None else found
        if str(shown) != str(value):
            return None
        return field_kinds.UNTICKED if str(value) == "/Off" else field_kinds.TICKED
    if found is None:
        return ""
    if not isinstance(found, str):
        return None
    if kind is Kind.CHOICE:
        return "" if found in _BLANK else dict(_pairs(item)).get(str(found))
    return field_kinds.normal(found, kind=kind) if kind is Kind.LINES else str(found)


def _pairs(item: Any) -> list[tuple[str, str]]:
    """Value and shown text of each option of a choice."""
    listed = item["/Opt"] if "/Opt" in item else []  # noqa: SIM401 - .get would keep a reference
    if not isinstance(listed, list):
        return []
    found = []
    for position in range(min(len(listed), field_kinds.OPTIONS_MAX + 1)):
        one = listed[position]
        both = (one[0], one[1]) if isinstance(one, list) and len(one) == 2 else (one, one)
        found.append((str(both[0]), str(both[1])))
    return found


def _options(item: Any) -> tuple[str, ...]:
    """The options of a choice as they are shown, without those that choose nothing."""
    return tuple(shown for _value, shown in _pairs(item) if shown not in _BLANK)


def _content_fault(field: FormField) -> str:
    """Why what stands in a field, or could be chosen in it, cannot be shown; "" where it can."""
    options = field.options
    if field.kind is Kind.CHOICE and not (
        0 < len(options) <= field_kinds.OPTIONS_MAX and len(set(options)) == len(options)
    ):
        return "options"
    if not all(_is_shown(one, field.shape) for one in options):
        return "options"
    return "" if not field.value or _is_shown(field.value, field.shape) else "value"


def _is_shown(text: str, shape: Shape) -> bool:
    try:
        field_kinds.require_value(text, shape=shape)
    except InputError:
        return False
    return True
