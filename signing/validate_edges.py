"""The strict verifier on page-edge seals: is each slice a part of the very seal that its signature binds?

A slice is a form field that a signer filled, and so tampering - unless it stands in the revision that the owner
of its box signed, that signature carries a seal object which says so, and the file holds exactly what
`signing.edge_seal` draws for that seal: in every box, on every page, with nothing else changed about them.
A file without such boxes gets no check.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ledger.core.canonical import Json
from ledger.core.errors import VerificationError
from ledger.core.report import Verdict
from signing import deadline, form_fill
from signing.edge_plan import BOXES_MAX, slices
from signing.edge_seal import (
    INK,
    MULTIPLY,
    SEAL,
    EdgeField,
    edge_fields,
    image_entries,
    look_entries,
    look_of,
)
from signing.examined import Examined
from signing.pdf_reading import pages_of
from signing.reading import SignatureFacts
from signing.seal_object import SealObject, read_seal_object
from signing.seal_pictures import Pixels, pixels_of
from signing.seal_reading import seals_in
from signing.usages import object_at

_COMPRESSED: Final = frozenset({"/Length", "/Filter", "/DecodeParms"})
_P, _F = Verdict.PASSED, Verdict.FAILED


class _FaultError(Exception):
    """A slice is not what its seal would be; its one argument is a stable word."""


def check_edges(file: Examined) -> None:
    """Add `pdf.edge_seal` for every filled page-edge seal, and note in `file` what they explain."""
    fields = edge_fields(file.reader)
    if not fields:
        return
    held = seals_in(file.data, file.ranges)
    by_field = {item.field: item for item in file.signatures if not item.fault}
    for one in fields:
        deadline.check()
        item = by_field.get(one.signature)
        seals = held.get(item.byte_range, ()) if item is not None else ()
        try:
            filled = _filled(file, one, item, seals)
        except _FaultError as exc:
            file.add(
                "pdf.edge_seal",
                _F,
                "the seal across the page edges is not the one that its signer put there",
                "骑缝章与签署人所盖印章不符",
                field=one.signature,
                reason=str(exc),
            )
            continue
        if filled is None or item is None:
            continue
        who: dict[str, Json] = {"signature": item.order, "field": item.field}
        file.explained |= dict.fromkeys(filled, item.revision_size)
        file.slices += [name for _revision, name in filled]
        file.add(
            "pdf.edge_seal",
            _P,
            f"the seal of signature {item.order} runs across the edges of all pages",
            f"签名 {item.order} 的印章骑缝盖于全部页面",
            **who,
            pages=len(one.boxes),
        )


def _filled(
    file: Examined, one: EdgeField, item: SignatureFacts | None, seals: tuple[bytes, ...]
) -> list[tuple[int, str]] | None:
    """pyHanko's revision and name of each box; None where no box is filled and none need be."""
    seal = _seal_of(seals)
    if len(one.boxes) > BOXES_MAX:
        raise _FaultError("too_many_boxes")
    shown = any(_has_look(box.get_object()) for box in one.boxes)
    if seal is None or not seal.binding.edge:
        if shown:
            # Nobody's seal, or that of a signer who did not put it across the edges.
            raise _FaultError("no_seal")
        return None
    revision = file.revisions.get(item.revision_size) if item is not None else None
    if not revision:
        raise _FaultError("no_such_revision")
    _require_boxes(file, one)
    pixels, images = pixels_of(seal.picture), set[int]()
    before = object_at(file.reader, _key(one.reference), revision - 1)
    after = object_at(file.reader, _key(one.reference), revision)
    if before is None or repr(before) != repr(after):
        raise _FaultError("other_boxes")
    found = []
    for number, (reference, piece) in enumerate(
        zip(one.boxes, slices(len(one.boxes)), strict=True)
    ):
        deadline.check()
        old, new = (object_at(file.reader, _key(reference), n) for n in (revision - 1, revision))
        if old is None or new is None or _has_look(old) or _kept(old) != _kept(new):
            raise _FaultError("more_than_the_picture")
        look = look_of(new, side=one.side, piece=piece, picture=seal.picture)
        drawn = new["/AP"]["/N"] if "/AP" in new and set(new["/AP"]) == {"/N"} else None
        if drawn is None or bytes(getattr(drawn, "data", b"")) != look.content:
            raise _FaultError("other_picture")
        _require_look(drawn, look_entries(look), pixels, images)
        found.append((revision, one.box_name(number)))
    return found


def _seal_of(seals: tuple[bytes, ...]) -> SealObject | None:
    """The one seal of a signature; what is wrong with it otherwise is `pdf.seal`'s to say."""
    try:
        return read_seal_object(seals[0]) if len(seals) == 1 else None
    except VerificationError:
        return None


def _require_boxes(file: Examined, one: EdgeField) -> None:
    """One box for each page, in order, each on its own page."""
    pages = pages_of(file.reader)
    names = [str(box.get_object().get("/T", "")) for box in one.boxes]
    if len(one.boxes) != len(pages) or names != [str(n + 1) for n in range(len(pages))]:
        raise _FaultError("not_every_page")
    for box, page in zip(one.boxes, pages, strict=True):
        listed = page["/Annots"] if "/Annots" in page else []  # noqa: SIM401 - .get keeps references
        keys = {_key(raw) for raw in list.__iter__(listed) if hasattr(raw, "idnum")}
        own = box.get_object().raw_get("/P")
        if _key(box) not in keys or (own.get_object() is not page and own.get_object() != page):
            raise _FaultError("not_every_page")


def _require_look(drawn: Any, entries: Mapping[str, Any], pixels: Pixels, images: set[int]) -> None:
    """The picture's dictionary is ours, and the image in it shows these pixels."""
    resources = drawn["/Resources"] if "/Resources" in drawn else {}  # noqa: SIM401
    own = {key for key in drawn if key not in _COMPRESSED}
    if own != {*entries, "/Resources"} or _texts(drawn, entries) != _plain(entries):
        raise _FaultError("other_picture")
    if set(resources) != {"/XObject", "/ExtGState"} or set(resources["/XObject"]) != {SEAL}:
        raise _FaultError("other_picture")
    if _plain(form_fill.plain(resources["/ExtGState"])) != {INK: dict(MULTIPLY)}:
        raise _FaultError("other_picture")
    reference = resources["/XObject"].raw_get(SEAL)
    if reference.idnum in images:
        return
    image = reference.get_object()
    mask = image["/SMask"] if "/SMask" in image else None  # noqa: SIM401
    for stream, colours, data, more in (
        (image, "/DeviceRGB", pixels.rgb, {"/SMask"}),
        (mask, "/DeviceGray", pixels.alpha, set[str]()),
    ):
        wanted = image_entries(pixels, colours=colours)
        if (
            stream is None
            or {key for key in stream if key not in _COMPRESSED} != {*wanted, *more}
            or _texts(stream, wanted) != _plain(wanted)
            or bytes(stream.data) != data
        ):
            raise _FaultError("other_picture")
    images.add(int(reference.idnum))


def _has_look(box: Any) -> bool:
    return any(key in box for key in ("/AP", "/V", "/AS", "/MK"))


def _kept(box: Any) -> dict[str, str]:
    return {str(key): repr(dict.__getitem__(box, key)) for key in box if key != "/AP"}


def _texts(item: Any, wanted: Mapping[str, Any]) -> Any:
    return _plain({key: form_fill.plain(dict.__getitem__(item, key)) for key in wanted})


def _plain(value: Any) -> Any:
    """Every number as a text, as it is written."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return str(value)


def _key(reference: Any) -> tuple[int, int]:
    return int(reference.idnum), int(reference.generation)
