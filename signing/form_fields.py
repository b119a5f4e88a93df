"""Text fields that stand in an uploaded form already: which of them signers may fill, and made ready for it.

A field that another program made brings its own font, picture and rules. Before the first signature the author
opens some of them to signers: each is then written anew as a field of `signing.form_fill`, in its place and
under its name, so that a verifier can make every later picture of it again. What cannot be opened is named with
the reason, not left out.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pyhanko.pdf_utils import generic as pyhanko_generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from ledger.core.errors import ConflictError, InputError, NotFoundError
from signing import form_fill
from signing.page_space import turn_of
from signing.pdf_reading import form_of, open_reader, translated
from signing.render import Box

generic: Final[Any] = pyhanko_generic  # untyped, called all over
LISTED_MAX: Final = 200
"""Fields that are listed; more than `form_fill.FIELDS_MAX` are never opened."""
NAME_CHARS_MAX: Final = 64
_MULTILINE: Final = 1 << 12
_PASSWORD: Final = 1 << 13
_FREED: Final = ("/Ff", "/MaxLen", "/DV", "/RV", "/DS", "/Q", "/AA", "/A")
"""Rules of the program that made the field: none of them says anything about who signs what."""


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of a document that nobody signed yet.

    Attributes:
        name: full name.   page: 0-based.
        x, y, width, height: points of the page, from its lower left corner.
        value: what stands in it.
        multiline: it was made for several lines; it will take one.
        fault: why it cannot be opened, a stable word; "" where it can.
    """

    name: str
    page: int
    x: int
    y: int
    width: int
    height: int
    value: str
    multiline: bool
    fault: str


def text_fields(data: bytes) -> tuple[FormField, ...]:
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
    fault, reference = _fault(reader, name), form_fill.field_reference(reader, name)
    field = {} if reference is None else reference.get_object()
    value = form_fill.text_of(field)
    multiline = bool(_flags(field) & _MULTILINE)
    if box is None:
        return FormField(name, 0, 0, 0, 0, 0, value, multiline, fault or "no_place")
    width, height = round(box.right - box.left), round(box.top - box.bottom)
    if not fault and turned[box.page]:
        fault = "turned_page"
    if not fault and (height < form_fill.HEIGHT_MIN or width < form_fill.FONT_SIZE):
        fault = "small"
    if not fault and value:
        fault = _value_fault(value, width=width)
    left, bottom = round(box.left), round(box.bottom)
    return FormField(name, box.page, left, bottom, width, height, value, multiline, fault)


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
            "text fields are opened before the first signature", code="form.already_signed"
        )
    known = {one.name: one for one in text_fields(data)}
    for name in names:
        if name not in known:
            raise NotFoundError(
                "the document has no text field of this name", code="form.field_unknown", field=name
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
            field = reference.get_object()
            for key in _FREED:
                field.pop(pdf_name(key), None)
            form_fill.make_empty(writer, field, font=font, value=known[name].value)
            writer.mark_update(reference)
        return form_fill.written(writer)


def _flags(field: Any) -> int:
    return int(field["/Ff"]) if "/Ff" in field else 0


def _fault(reader: Any, name: str) -> str:
    """Why this field cannot be filled with one line of text."""
    top = [item for item in _top_fields(reader) if str(item.get("/T", "")) == name]
    if len(top) != 1:
        return "several"
    [item] = top
    if len(name) > NAME_CHARS_MAX or not name.isprintable():
        return "name"
    if "/Kids" in item:
        return "nested"
    if item.get("/FT") != "/Tx":
        return "no_text"
    if _flags(item) & _PASSWORD:
        return "password"
    return "" if "/Rect" in item else "no_place"


def _top_fields(reader: Any) -> list[Any]:
    fields = reader.root["/AcroForm"]["/Fields"]
    return [list.__getitem__(fields, n).get_object() for n in range(len(fields))]


def _value_fault(value: str, *, width: int) -> str:
    try:
        form_fill.require_value(value, width=width)
    except InputError:
        return "value"
    return ""
