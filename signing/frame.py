"""What stands around the pages and the form: trailer, catalogue, defaults of the form, description of the file.

pyHanko lets a later revision change some of it whatever it is changed to: the description (title, author), the
metadata, and the defaults by which readers draw form fields anew. A reader that draws fields by new defaults,
or with `/NeedAppearances`, shows other figures than the picture that everybody signed; a title stands in
the window's frame. Here only what honest signers write is let through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from xml.etree import ElementTree as ET

from pyhanko.pdf_utils.generic import DictionaryObject, IndirectObject, Reference, StreamObject

from signing import deadline
from signing.usages import held_at, object_at

_TRAILER_FREE: Final = frozenset(
    {"/Size", "/Prev", "/ID", "/Info", "/Root", "/XRefStm"}
    | {"/Type", "/W", "/Index", "/Length", "/Filter", "/DecodeParms"}
)
"""Entries of a trailer that say where things stand, those of a cross-reference stream among them."""
_CATALOGUE_FREE: Final = frozenset({"/AcroForm", "/DSS", "/Extensions", "/Metadata", "/Version"})
"""Looked at elsewhere, or names of what a reader must know to read the new revision."""
_COMPUTED: Final = ("/XFA", "/CO")
"""Entries of the form by which fields are computed."""
_DEFAULTS: Final = ("/DA", "/Q")
"""Entries by which fields without a picture are drawn."""
FIELDS_MAX: Final = 10_000
_INFO_FREE: Final = frozenset({"/ModDate", "/Producer"})
"""Entries of the description that every writer sets."""
_RDF: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_XAP: Final = "http://ns.adobe.com/xap/1.0/"
_XMP_FREE: Final = frozenset(
    {
        f"{_RDF}about",
        f"{{{_XAP}}}ModifyDate",
        f"{{{_XAP}}}MetadataDate",
        f"{{{_XAP}mm/}}InstanceID",
        "{http://ns.adobe.com/pdf/1.3/}Producer",
    }
)
"""The same in the metadata."""
_LAYERS: Final = frozenset({"/OC", "/Properties"})
"""By what an object and a part of its contents are tied to a layer (ISO 32000-1, 8.11.3)."""
XMP_MAX: Final = 1_048_576
"""Bytes of metadata that are compared; more count as changed."""
XMP_DEPTH_MAX: Final = 20
"""Nesting of one property."""


def reframed(old: Any, new: Any) -> str:
    """What of the frame a revision changed, as a stable word; "" for nothing.

    Args:
        old, new: neighbouring states. Whatever pyHanko raises on odd ones passes upwards.
    """
    trailers = old.trailer_view, new.trailer_view
    if _named(old, trailers[0]) != _named(new, trailers[1]):
        return "trailer"
    roots = old.root, new.root
    if _differ(*roots, free=_CATALOGUE_FREE):
        return "catalogue"
    if _form_differs(*(_held(root, "/AcroForm") for root in roots)):
        return "form_defaults"
    if _info_differs(_info(old), _info(new)):
        return "description"
    # As any other stream: pyHanko's own class for metadata cannot be carried to another state.
    if _metadata_differs(*(_target(dict.get(root, "/Metadata")) for root in roots)):
        return "metadata"
    return _odd_look(old, new)


def _odd_look(old: Any, new: Any) -> str:
    """What a revision brings that looks different from reader to reader, or from moment to moment."""
    for reference in new.explicit_refs_in_revision():
        deadline.check()
        # Read without a copy that is bound to the state: only what stands in the object itself counts.
        key = (reference.idnum, reference.generation)
        held = held_at(new.reader, key, new.revision)
        known = old.reader.xrefs.get_historical_ref(reference, old.revision) is not None
        # What was there before may be shown with a layer: everybody signed that.
        if not known and not _LAYERS.isdisjoint(held.keys):
            return "layers"
        if "/FT" not in held.keys:
            continue
        item = object_at(new.reader, key, new.revision)
        if not isinstance(item, DictionaryObject) or dict.get(item, "/FT") != "/Sig":
            continue
        was = old(reference) if known else None
        if _signed_now(was, item) and not _is_one_picture(new(reference)):
            return "look"
    return ""


def _signed_now(was: Any, item: DictionaryObject) -> bool:
    return "/V" in item and (not isinstance(was, DictionaryObject) or "/V" not in was)


def _is_one_picture(field: Any) -> bool:
    """Whether the box shows one picture whatever the reader does, in an area of its own; or none."""
    looks = _held(field, "/AP")
    if looks is None:
        return True
    if not isinstance(looks, DictionaryObject) or set(looks) != {"/N"}:
        return False
    picture = _held(looks, "/N")
    if not isinstance(picture, StreamObject):
        return False
    area = _held(picture, "/BBox")
    if not isinstance(area, list) or len(area) != 4:
        return False
    left, bottom, right, top = (float(number) for number in area)
    # Without a box of its own a picture is not clipped; of no width it cannot be fitted. Fields that
    # are not shown have such pictures.
    return (left != right and bottom != top) or not _has_area(field)


def _has_area(field: Any) -> bool:
    left, bottom, right, top = (float(number) for number in field["/Rect"])
    return left != right and bottom != top


def _held(item: Any, key: str) -> Any:
    return item[key] if key in item else None  # noqa: SIM401 - .get would keep references


def _entries(item: Any, free: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in dict.items(item) if key not in free}


def _differ(old: Any, new: Any, *, free: frozenset[str]) -> bool:
    """Whether entries differ, references by the object they name."""
    return _entries(old, free) != _entries(new, free)


def _named(state: Any, trailer: Any) -> dict[str, Any]:
    """What a trailer names beside the document, such as the text document that LibreOffice hides in a file.

    PDFBox moves such a reference to a number that no object has: nothing is named then.
    """
    return {key: _there(state, value) for key, value in _entries(trailer, _TRAILER_FREE).items()}


def _there(state: Any, value: Any) -> Any:
    if isinstance(value, IndirectObject):
        place = state.reader.xrefs.get_historical_ref(value.reference, state.revision)
        return None if place is None else (value.idnum, value.generation)
    if isinstance(value, list):
        return [_there(state, one) for one in list.__iter__(value)]
    return value


def _form_differs(old: Any, new: Any) -> bool:
    if not isinstance(new, DictionaryObject):
        return new is not None
    before: Mapping[str, Any] = old if isinstance(old, DictionaryObject) else {}
    if any(_raw(before, key) != _raw(new, key) for key in _COMPUTED):
        return True
    # Readers draw no signature by the defaults.
    return _defaults_differ(before, new) and not _only_signatures(before)


def _defaults_differ(before: Mapping[str, Any], new: Any) -> bool:
    if any(_raw(before, key) != _raw(new, key) for key in _DEFAULTS):
        return True
    # Taken away it does no harm: the pictures stand for themselves then.
    wanted = _held(new, "/NeedAppearances")
    if wanted is not None and bool(wanted) and not bool(_held(before, "/NeedAppearances")):
        return True
    return _resources_differ(_held(before, "/DR"), _held(new, "/DR"))


def _only_signatures(form: Mapping[str, Any]) -> bool:
    fields = _held(form, "/Fields")
    if not isinstance(fields, list) or len(fields) > FIELDS_MAX:
        return fields is None
    return all(
        isinstance(one, IndirectObject)
        and isinstance(item := _target(one), DictionaryObject)
        and dict.get(item, "/FT") == "/Sig"
        for one in list.__iter__(fields)
    )


def _target(value: Any) -> Any:
    """What a reference leads to, in the state that it is bound to."""
    if not isinstance(value, IndirectObject):
        return value
    reference: Any = value
    return reference.get_object()


def _resources_differ(old: Any, new: Any) -> bool:
    """Whether what a name stands for is another thing now; further names harm nobody."""
    if old is None:
        return False
    if not isinstance(old, DictionaryObject) or not isinstance(new, DictionaryObject):
        return True
    for kind in old:
        before, after = _held(old, kind), _held(new, kind)
        if not isinstance(before, DictionaryObject):
            if before != after:
                return True
        elif not isinstance(after, DictionaryObject) or any(
            _raw(before, name) != _raw(after, name) for name in before
        ):
            return True
    return False


def _info(state: Any) -> Any:
    """The description in this state: what a trailer refers to is bound to the newest one."""
    value = dict.get(state.trailer_view, "/Info")
    if not isinstance(value, IndirectObject):
        return value
    return state.get_object(Reference(value.idnum, value.generation, pdf=state))


def _info_differs(old: Any, new: Any) -> bool:
    if new is None:
        return False  # a reader falls back to the older one
    if not isinstance(new, DictionaryObject):
        return True
    before = _entries(old, _INFO_FREE) if isinstance(old, DictionaryObject) else {}
    return before != _entries(new, _INFO_FREE)


def _metadata_differs(old: Any, new: Any) -> bool:
    if old is None or new is None:
        # Brought along, it describes a file that described itself by its dictionary until then.
        return old is not new
    if not isinstance(old, StreamObject) or not isinstance(new, StreamObject):
        return True
    return old.encoded_data != new.encoded_data and _properties(old) != _properties(new)


def _properties(stream: StreamObject) -> set[tuple[str, object]]:
    """What metadata say, however it is written: each writer puts the same in its own form.

    Raises:
        ValueError: they are too large, no XML, or bring definitions of their own.
    """
    # A copy: unpacking writes entries into the stream that pyHanko cannot carry to the next state.
    data = bytes(StreamObject(dict(dict.items(stream)), encoded_data=stream.encoded_data).data)
    if len(data) > XMP_MAX or b"<!" in data:
        raise ValueError("metadata of an odd kind")
    try:
        root = ET.fromstring(data)  # noqa: S314 - without definitions nothing expands
    except ET.ParseError as exc:
        raise ValueError("metadata that are no XML") from exc
    found: set[tuple[str, object]] = set()
    for description in root.iterfind(f".//{_RDF}RDF/{_RDF}Description"):
        found |= {(name, value.strip()) for name, value in description.attrib.items()}
        found |= {(one.tag, _content(one, 0)) for one in description}
    return {one for one in found if one[0] not in _XMP_FREE}


def _content(element: ET.Element, depth: int) -> object:
    if depth > XMP_DEPTH_MAX:
        raise ValueError("metadata nested too deeply")
    text = (element.text or "").strip()
    if not len(element) and not element.attrib:
        return text
    inner = tuple((one.tag, _content(one, depth + 1)) for one in element)
    return text, tuple(sorted(element.attrib.items())), inner


def _raw(item: Mapping[str, Any], key: str) -> Any:
    return dict.get(item, key) if isinstance(item, dict) else None
