"""Form fields that a later signer fills before signing, in a form that a verifier can make anew.

The fields stand in the document before the first signature; the lock of every signature but the filler's
leaves them open (`signing.pdf.place_fields(fillable=...)`), the filler's own signature closes them. Filling
writes one revision of its own with exactly the value and its picture (`signing.field_kinds`), of a check box
its state, both pictures of which stand there from the beginning; its digest and what was filled are recorded
(`RecordedEdit`), and the filler signs right behind it. `signing.field_edits` accepts nothing else.

The font is one that every reader brings along (Adobe-GB1, chosen by character codes), so that no embedded
font can show another digit than the value says.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pyhanko.pdf_utils import generic as pyhanko_generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from ledger.core.errors import ConflictError, InputError, NotFoundError
from signing.field_kinds import (
    FONT_NAME,
    FONT_SIZE,
    HEIGHT_MIN,
    Kind,
    Shape,
    kind_of,
    look_entries,
    looks_of,
    require_value,
    shape_of,
    text_of,
    value_object,
)
from signing.page_space import user_box
from signing.pdf_reading import form_of, open_reader, translated
from signing.reading import RecordedEdit

generic: Final[Any] = pyhanko_generic  # untyped, called all over
FIELDS_MAX: Final = 50
"""Fields placed or filled at once; a form with more is a file, not a contract."""
PRINTED: Final = 4
"""The only flag of our widgets (ISO 32000-1, 12.5.3): never hidden, and on paper, too."""
_NAME: Final = re.compile(r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")
_DEPTH_MAX: Final = 8
"""Levels of a tree such as `FONT`; somebody else's may go round in circles."""


@dataclass(frozen=True, slots=True)
class TextFieldSpec:
    """An empty text field; the box in points of the page as it is seen, from its lower left corner."""

    name: str
    page: int
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Filled:
    """A revision with filled fields, and what is to be recorded about it."""

    data: bytes
    edits: tuple[RecordedEdit, ...]


def place_text_fields(data: bytes, fields: Sequence[TextFieldSpec]) -> bytes:
    """Add empty text fields to a document that nobody signed yet.

    Raises:
        InputError: `form.field_invalid`, `pdf.broken`, `pdf.encrypted`.
        ConflictError: `form.already_signed`, `pdf.field_exists`.
    """
    reader, _strict = open_reader(data)
    form = form_of(reader)
    if form.filled:
        raise ConflictError(
            "text fields are placed before the first signature", code="form.already_signed"
        )
    names = [one.name for one in fields]
    good = all(
        _NAME.match(one.name)
        and 0 <= one.page < form.pages
        and one.height >= HEIGHT_MIN
        and one.width >= FONT_SIZE
        for one in fields
    )
    if not good or not 1 <= len(fields) <= FIELDS_MAX or len(set(names)) != len(names):
        raise InputError(
            f"1 to {FIELDS_MAX} fields with unique ASCII names, on a page of the file and at least"
            f" {HEIGHT_MIN} points high",
            code="form.field_invalid",
        )
    if {*names} & {*form.empty, *form.filled, *form.other_fields}:
        raise ConflictError("a field of this name exists", code="pdf.field_exists")
    with translated():
        writer: Any = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
        font = require_font(writer)
        acro = writer.root["/AcroForm"]
        for one in fields:
            acro["/Fields"].append(_new_field(writer, one, font))
        writer.update_container(acro["/Fields"])
        return written(writer)


def require_font(writer: Any) -> Any:
    """Reference of our font in the form's resources, put there where it is not."""
    acro = _form_dictionary(writer)
    font = writer.add_object(_object_of(FONT))
    if "/DR" not in acro:
        acro[pdf_name("/DR")] = generic.DictionaryObject()
    resources = acro["/DR"]
    if "/Font" not in resources:
        resources[pdf_name("/Font")] = generic.DictionaryObject()
    fonts = resources["/Font"]
    fonts[pdf_name(FONT_NAME)] = font
    # A reader that makes pictures of its own would not show the one that is signed.
    acro.pop(pdf_name("/NeedAppearances"), None)
    writer.update_container(fonts)
    writer.update_container(resources)
    writer.update_root()
    writer.update_container(acro)
    return font


def make_ready(writer: Any, field: Any, *, shape: Shape, font: Any, value: str = "") -> None:
    """Give a field our font, our pictures and `value`; "" for none."""
    x1, y1, x2, y2 = (float(number) for number in field["/Rect"])
    left, bottom = round(min(x1, x2)), round(min(y1, y2))
    field[pdf_name("/Rect")] = _object_of([left, bottom, left + shape.width, bottom + shape.height])
    field[pdf_name("/F")] = generic.NumberObject(PRINTED)
    _show(writer, field, shape=shape, font=font, value=value)
    if shape.kind is not Kind.CHECK:
        field[pdf_name("/DA")] = generic.TextStringObject(f"{FONT_NAME} {FONT_SIZE} Tf 0 g")
        return
    looks = looks_of(value, shape=shape)
    field[pdf_name("/AP")] = generic.DictionaryObject(
        {
            pdf_name("/N"): generic.DictionaryObject(
                {
                    pdf_name(state): writer.add_object(_look(drawn, shape=shape, font=None))
                    for state, drawn in looks.items()
                }
            )
        }
    )


def _show(writer: Any, field: Any, *, shape: Shape, font: Any, value: str) -> None:
    """Write a value and, but for a check box, whose pictures are there, its picture."""
    if value:
        field[pdf_name("/V")] = value_object(value, kind=shape.kind)
    if shape.kind is Kind.CHECK:
        field[pdf_name("/AS")] = value_object(value, kind=shape.kind)
        return
    look = _look(looks_of(value, shape=shape)[""], shape=shape, font=font)
    field[pdf_name("/AP")] = generic.DictionaryObject({pdf_name("/N"): writer.add_object(look)})


def _look(drawn: bytes, *, shape: Shape, font: Any) -> Any:
    """A picture; it names our font where one is given."""
    look = generic.StreamObject(_object_of(look_entries(shape)), stream_data=drawn)
    resources = generic.DictionaryObject()
    if font is not None:
        resources[pdf_name("/Font")] = generic.DictionaryObject({pdf_name(FONT_NAME): font})
    look[pdf_name("/Resources")] = resources
    return look


def fill(data: bytes, values: Mapping[str, str]) -> Filled:
    """The next revision, in which these fields have these values; the filler signs right behind it.

    Args:
        values: name of a field made ready -> its text, or the state of a check box (`field_kinds.TICKED`).

    Raises:
        NotFoundError: `form.field_unknown`.
        InputError: `form.value_invalid`, `form.value_too_long`, `form.field_invalid`, `pdf.broken`,
            `pdf.encrypted`.
    """
    if not 1 <= len(values) <= FIELDS_MAX:
        raise InputError(f"1 to {FIELDS_MAX} fields are filled at once", code="form.field_invalid")
    reader, _strict = open_reader(data)
    before: dict[str, str] = {}
    with translated():
        writer: Any = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
        for name in sorted(values):
            reference, font = field_reference(writer, name), font_of(reader)
            field = None if reference is None else reference.get_object()
            shape = None if field is None else shape_of(field)
            if shape is None or font is None:
                raise NotFoundError(
                    "there is no such field to be filled", code="form.field_unknown", field=name
                )
            require_value(values[name], shape=shape)
            before[name] = text_of(field)
            _show(writer, field, shape=shape, font=_indirect(writer, font), value=values[name])
            writer.mark_update(reference)
        result = written(writer)
    digest = hashlib.sha256(result).digest()
    return Filled(
        result,
        tuple(RecordedEdit(name, before[name], values[name], digest) for name in sorted(values)),
    )


def field_reference(handler: Any, name: str) -> Any:
    """Reference of the one field of this name at the top of the form; None where it is no field of ours."""
    root = handler.root
    if "/AcroForm" not in root or "/Fields" not in root["/AcroForm"]:
        return None
    fields = root["/AcroForm"]["/Fields"]
    found = []
    for position in range(len(fields)):
        reference = list.__getitem__(fields, position)
        item = reference.get_object()
        if str(item.get("/T", "")) == name:
            found.append((reference, item))
    # A second field of the name would be the same field to a reader, whatever its kind.
    return found[0][0] if len(found) == 1 and kind_of(found[0][1]) is not None else None


def font_of(handler: Any) -> Any:
    """Reference of the font of our fields in the form's resources; None where there is none."""
    node = handler.root
    for key in ("/AcroForm", "/DR", "/Font"):
        if key not in node:
            return None
        node = node[key]
    return node.raw_get(FONT_NAME) if FONT_NAME in node else None


FONT: Final[Mapping[str, Any]] = {
    "/Type": "/Font",
    "/Subtype": "/Type0",
    "/BaseFont": "/STSong-Light-UniGB-UTF16-H",
    "/Encoding": "/UniGB-UTF16-H",
    "/DescendantFonts": [
        {
            "/Type": "/Font",
            "/Subtype": "/CIDFontType0",
            "/BaseFont": "/STSong-Light",
            "/CIDSystemInfo": {"/Registry": "Adobe", "/Ordering": "GB1", "/Supplement": 4},
            "/DW": 1000,
            "/W": [1, 95, 500],
            "/FontDescriptor": {
                "/Type": "/FontDescriptor",
                "/FontName": "/STSong-Light",
                "/Flags": 6,
                "/FontBBox": [-25, -254, 1000, 880],
                "/ItalicAngle": 0,
                "/Ascent": 880,
                "/Descent": -120,
                "/CapHeight": 880,
                "/StemV": 93,
            },
        }
    ],
}
"""The one font of our fields; a reader finds its glyphs by the characters alone (ISO 32000-1, 9.7.5.2)."""


def plain(item: Any, *, depth: int = 0) -> Any:
    """A PDF value as Python's own, references followed; None below `_DEPTH_MAX` levels."""
    if depth > _DEPTH_MAX:
        return None
    if hasattr(item, "get_object"):
        item = item.get_object()
    if isinstance(item, dict):
        return {str(key): plain(dict.__getitem__(item, key), depth=depth + 1) for key in item}
    if isinstance(item, list):
        return [plain(list.__getitem__(item, n), depth=depth + 1) for n in range(len(item))]
    if isinstance(item, generic.ByteStringObject):
        return bytes(item).decode("latin-1")
    return int(item) if isinstance(item, int) else str(item)


def _object_of(value: Any) -> Any:
    """The reverse of `plain`: texts that begin with a slash are names."""
    if isinstance(value, Mapping):
        return generic.DictionaryObject({pdf_name(k): _object_of(v) for k, v in value.items()})
    if isinstance(value, list):
        return generic.ArrayObject([_object_of(one) for one in value])
    if isinstance(value, int):
        return generic.NumberObject(value)
    return pdf_name(value) if value.startswith("/") else generic.TextStringObject(value)


def _form_dictionary(writer: Any) -> Any:
    if "/AcroForm" not in writer.root:
        made = generic.DictionaryObject({pdf_name("/Fields"): generic.ArrayObject()})
        writer.root[pdf_name("/AcroForm")] = writer.add_object(made)
    form = writer.root["/AcroForm"]
    form.setdefault(pdf_name("/Fields"), generic.ArrayObject())
    return form


def _new_field(writer: Any, one: TextFieldSpec, font: Any) -> Any:
    reference = writer.find_page_for_modification(one.page)[0]
    page = reference.get_object()
    x1, y1, x2, y2 = user_box(page, x=one.x, y=one.y, width=one.width, height=one.height)
    left, bottom = round(x1), round(y1)
    size = (round(x2 - x1), round(y2 - y1))
    field = generic.DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/Annot"),
            pdf_name("/Subtype"): pdf_name("/Widget"),
            pdf_name("/FT"): pdf_name("/Tx"),
            pdf_name("/T"): generic.TextStringObject(one.name),
            pdf_name("/P"): reference,
            pdf_name("/Rect"): _object_of([left, bottom, left + size[0], bottom + size[1]]),
        }
    )
    make_ready(writer, field, shape=Shape(Kind.TEXT, *size), font=font)
    made = writer.add_object(field)
    annotations = page["/Annots"] if "/Annots" in page else generic.ArrayObject()
    annotations.append(made)
    page[pdf_name("/Annots")] = annotations
    writer.update_container(annotations)
    writer.mark_update(reference)
    return made


def _indirect(writer: Any, reference: Any) -> Any:
    return generic.IndirectObject(reference.idnum, reference.generation, writer)


def written(writer: Any) -> bytes:
    """The file with what the writer added."""
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()
