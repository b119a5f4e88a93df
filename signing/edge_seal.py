"""Page-edge seals (骑缝章): one seal cut into slices, a slice on an edge of every page.

The boxes of every signer's seal are placed before anybody signs, as read-only push buttons without a picture:
one field per signature field, with one box for each page. The lock of every signature but the signer's own
leaves them open, and DocMDP 2 permits filling in forms. The revision that carries the signature fills
them; the signature covers it. The picture is the one in the seal object, in a form that a verifier makes anew
(`signing.validate_edges`), and it is multiplied with the page: ink darkens what it lies on and whitens nothing.

Form: `fuqi-edge-SIDE-FIELD` without a box of its own; its children `1`, `2`, … are the boxes of the pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pyhanko.pdf_utils import generic as pyhanko_generic
from pyhanko.pdf_utils.generic import pdf_name

from ledger.core.errors import ConflictError
from signing.edge_plan import EdgeTrack, Side, Slice, box_on, slices
from signing.page_space import numbers, shown_size, turn_of, upright, user_box
from signing.pdf_reading import open_reader, translated
from signing.seal_pictures import Pixels
from signing.seals import POINTS_PER_MM, Picture

generic: Final[Any] = pyhanko_generic  # untyped, called all over
PREFIX: Final = "fuqi-edge"
READ_ONLY_BUTTON: Final = (1 << 0) | (1 << 16)
PRINTED: Final = 1 << 2
SEAL: Final = "/Seal"
INK: Final = "/Ink"
MULTIPLY: Final[Mapping[str, Any]] = {"/Type": "/ExtGState", "/BM": "/Multiply"}
_FINE: Final = 2
"""Decimals of a point that are written."""


@dataclass(frozen=True, slots=True)
class EdgeField:
    """The boxes of one signer's page-edge seal as they stand in a file.

    Attributes:
        name: of the field that holds them.
        signature: the signature field whose signer fills them.
        reference: of the field.
        boxes: reference of each child, in order.
    """

    name: str
    signature: str
    side: Side
    reference: Any
    boxes: tuple[Any, ...]

    def box_name(self, number: int) -> str:
        """Full name of box `number`, 0-based."""
        return f"{self.name}.{number + 1}"


def field_name(track: EdgeTrack) -> str:
    """Name of the field that holds a signer's boxes."""
    return f"{PREFIX}-{track.side}-{track.signature}"


def add_edge_field(writer: Any, track: EdgeTrack, *, pages: int) -> None:
    """Add the boxes of a band, one for each page, empty. The writer's form exists already."""
    held = writer.add_object(
        generic.DictionaryObject(
            {
                pdf_name("/FT"): pdf_name("/Btn"),
                pdf_name("/Ff"): generic.NumberObject(READ_ONLY_BUTTON),
                pdf_name("/T"): generic.TextStringObject(field_name(track)),
                pdf_name("/TU"): generic.TextStringObject("骑缝章 page-edge seal"),
            }
        )
    )
    kids = generic.ArrayObject()
    for number, piece in enumerate(slices(pages)):
        reference = writer.find_page_for_modification(number)[0]
        page = reference.get_object()
        wide, high = shown_size(page)
        box = box_on(track, piece, wide=wide, high=high)
        place = user_box(
            page,
            x=box.left,
            y=box.bottom,
            width=box.right - box.left,
            height=box.top - box.bottom,
        )
        widget = generic.DictionaryObject(
            {
                pdf_name("/Type"): pdf_name("/Annot"),
                pdf_name("/Subtype"): pdf_name("/Widget"),
                pdf_name("/FT"): pdf_name("/Btn"),
                pdf_name("/T"): generic.TextStringObject(str(number + 1)),
                pdf_name("/F"): generic.NumberObject(PRINTED),
                pdf_name("/Rect"): generic.ArrayObject([_number(one) for one in place]),
                pdf_name("/P"): reference,
                pdf_name("/Parent"): held,
            }
        )
        made = writer.add_object(widget)
        kids.append(made)
        writer.register_annotation(reference, made)
    held.get_object()[pdf_name("/Kids")] = kids
    form = writer.root["/AcroForm"]
    form["/Fields"].append(held)
    writer.update_container(form["/Fields"])


def kept_for(data: bytes) -> frozenset[str]:
    """Signature fields of a document for which boxes along the edges were kept.

    Raises:
        InputError: `pdf.broken`, `pdf.encrypted`.
    """
    reader, _strict = open_reader(data)
    with translated():
        return frozenset(one.signature for one in edge_fields(reader))


def edge_fields(handler: Any) -> tuple[EdgeField, ...]:
    """Every field of page-edge seals in the form of a file; whatever pyHanko raises passes upwards."""
    root = handler.root
    if "/AcroForm" not in root or "/Fields" not in root["/AcroForm"]:
        return ()
    found = []
    fields = root["/AcroForm"]["/Fields"]
    for position in range(len(fields)):
        reference = list.__getitem__(fields, position)
        item = reference.get_object()
        name = str(item["/T"]) if "/T" in item else ""
        for side in Side:
            start = f"{PREFIX}-{side}-"
            if name.startswith(start):
                kids = item["/Kids"] if "/Kids" in item else []  # noqa: SIM401 - .get keeps references
                boxes = tuple(list.__getitem__(kids, n) for n in range(len(kids)))
                found.append(EdgeField(name, name[len(start) :], side, reference, boxes))
    return tuple(found)


def fill_edge(writer: Any, signature: str, picture: Picture, pixels: Pixels) -> None:
    """Draw the slices of a seal into the boxes that were kept for this signature field.

    The picture is written once; pages that show the same slice in boxes of one size share it.

    Raises:
        ConflictError: `seal.edge_not_planned`.
    """
    held = [one for one in edge_fields(writer) if one.signature == signature]
    if len(held) != 1:
        raise ConflictError(
            "no room across the page edges was kept for this signer when the document was published: sign"
            " with the seal in its box alone, or ask the sender to revise the document",
            code="seal.edge_not_planned",
        )
    image = writer.add_object(_image(writer, pixels))
    looks: dict[bytes, Any] = {}
    for reference, piece in zip(held[0].boxes, slices(len(held[0].boxes)), strict=True):
        widget = reference.get_object()
        slice_ = look_of(widget, side=held[0].side, piece=piece, picture=picture)
        if slice_.content not in looks:
            looks[slice_.content] = writer.add_object(_form(slice_, image))
        widget[pdf_name("/AP")] = generic.DictionaryObject({pdf_name("/N"): looks[slice_.content]})
        writer.mark_update(reference)


@dataclass(frozen=True, slots=True)
class Look:
    """What a box shows: the content of its picture and the size of its box in the page's own space."""

    content: bytes
    width: str
    height: str


def look_of(widget: Any, *, side: Side, piece: Slice, picture: Picture) -> Look:
    """The one picture that a box has for this slice of this seal."""
    x1, y1, x2, y2 = (float(number) for number in widget["/Rect"])
    own = round(abs(x2 - x1), _FINE), round(abs(y2 - y1), _FINE)
    turn = turn_of(widget["/P"])
    wide, high = (own[1], own[0]) if turn in {90, 270} else own
    width, height = picture.width_mm * POINTS_PER_MM, picture.height_mm * POINTS_PER_MM
    scale = min(1.0, wide * piece.count / width, high / height)
    width, height = width * scale, height * scale
    part = width / piece.count
    # Pages fan out to the right over a right edge, to the left over a left one: there the last shows first.
    right = side is Side.RIGHT
    index = piece.index if right else piece.count - 1 - piece.index
    left = wide - part if right else 0.0
    bottom = (high - height) / 2
    content = (
        f"q {numbers(upright(turn, (0, 0, *own)))} cm {numbers((left, bottom, part, height))} re W n"
        f" {INK} gs {numbers((width, 0, 0, height, left - part * index, bottom))} cm {SEAL} Do Q"
    )
    return Look(content.encode("ascii"), numbers((own[0],)), numbers((own[1],)))


def look_entries(look: Look) -> dict[str, Any]:
    """The entries of a picture's dictionary beside its resources and its length."""
    return {
        "/Type": "/XObject",
        "/Subtype": "/Form",
        "/BBox": ["0", "0", look.width, look.height],
    }


def image_entries(pixels: Pixels, *, colours: str) -> dict[str, Any]:
    """The entries of an image's dictionary beside its mask, its length and its filter."""
    return {
        "/Type": "/XObject",
        "/Subtype": "/Image",
        "/Width": str(pixels.width),
        "/Height": str(pixels.height),
        "/ColorSpace": colours,
        "/BitsPerComponent": "8",
    }


def _form(look: Look, image: Any) -> Any:
    resources = {
        "/XObject": generic.DictionaryObject({pdf_name(SEAL): image}),
        "/ExtGState": generic.DictionaryObject({pdf_name(INK): _object_of(MULTIPLY)}),
    }
    made = generic.StreamObject(_object_of(look_entries(look)), stream_data=look.content)
    made[pdf_name("/Resources")] = generic.DictionaryObject(
        {pdf_name(key): value for key, value in resources.items()}
    )
    return made


def _image(writer: Any, pixels: Pixels) -> Any:
    mask = generic.StreamObject(
        _object_of(image_entries(pixels, colours="/DeviceGray")), stream_data=pixels.alpha
    )
    mask.compress()
    made = generic.StreamObject(
        _object_of(image_entries(pixels, colours="/DeviceRGB")), stream_data=pixels.rgb
    )
    made[pdf_name("/SMask")] = writer.add_object(mask)
    made.compress()
    return made


def _object_of(value: Any) -> Any:
    """PDF objects of names and numbers given as texts."""
    if isinstance(value, Mapping):
        return generic.DictionaryObject({pdf_name(k): _object_of(v) for k, v in value.items()})
    if isinstance(value, Sequence) and not isinstance(value, str):
        return generic.ArrayObject([_object_of(one) for one in value])
    if value.startswith("/"):
        return pdf_name(value)
    return generic.NumberObject(value) if value.isdigit() else generic.FloatObject(value)


def _number(value: float) -> Any:
    return generic.FloatObject(numbers((round(value, _FINE),)))
