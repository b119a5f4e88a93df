"""Attacks by whoever writes a revision behind an honest signature and can have it covered.

The last signature must cover the file to its end, so changes behind it are easily seen. A second signer with a
valid key, or anybody who has an authority stamp the time of the changed file, covers what it changed. Then
only what was changed tells. Each attack gives the objects of one revision; tests add them before or within a
valid signature, and under an archive time stamp.

Base: `signing.attacks.shadow_base`, signed once. Object 1 is the catalogue, 3 the page, 4 what is read, 5 the
font, 6 a note, 7 its picture, 8 holds a second object 4 in its bytes, 9 a layer, 10 a text field, 11 its look.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from signing.attacks import HIDDEN, START, object_of, stream

Objects = Mapping[int, bytes]
NEW: Final = 97
"""First of the numbers that the attacks use for objects of their own."""
BOX: Final = b"/Type /XObject /Subtype /Form /BBox [0 0 130 70] "
_LOOK: Final = b"0 0 1 rg 0 0 10 10 re f"
_NINE: Final = (
    b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding"
    b" << /Type /Encoding /Differences [49 /nine] >> >>"
)
_SCRIPT: Final = b"<< /S /JavaScript /JS (app.alert\\(1\\)) >>"
_XMP: Final = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
    b' xmlns:dc="http://purl.org/dc/elements/1.1/"><rdf:Description><dc:title>Pay 900</dc:title>'
    b"</rdf:Description></rdf:RDF></x:xmpmeta>"
)


@dataclass(frozen=True, slots=True)
class Later:
    """One attack.

    Attributes:
        name: what is changed.
        objects: signed file -> objects of the revision.
        trailer: further entries of its trailer.
        field: further entries of the field that the second party signs.
        look: objects of the picture in that field, the picture being `NEW`; none leaves the field's own.
        acts: whether the file holds scripts, attachments or unknown data, which is indeterminate by itself.
    """

    name: str
    objects: Callable[[bytes], Objects]
    trailer: bytes = b""
    field: bytes = b""
    look: Callable[[bytes], Objects] | None = None
    acts: bool = False


def _none(_data: bytes) -> Objects:
    return {}


def _entry(number: int, more: bytes) -> Callable[[bytes], Objects]:
    """The object with further entries."""
    return lambda data: {number: object_of(data, number)[:-2] + more + b" >>"}


def _instead(number: int, old: bytes, new: bytes) -> Callable[[bytes], Objects]:
    """The object with something else in the place of the first match."""

    def make(data: bytes) -> Objects:
        body = object_of(data, number)
        changed = re.sub(old, new, body, count=1, flags=re.DOTALL)
        if changed == body:
            raise ValueError(f"nothing to change in object {number}")
        return {number: changed}

    return make


def _with(make: Callable[[bytes], Objects], more: Objects) -> Callable[[bytes], Objects]:
    return lambda data: {**make(data), **more}


def _form(more: bytes) -> Callable[[bytes], Objects]:
    return _instead(1, rb"/AcroForm\s*<<", b"/AcroForm << " + more + b" ")


def _annotations(data: bytes) -> Objects:
    """The list of notes on the page without the first one, wherever the list stands."""
    page = object_of(data, 3)
    listed = re.search(rb"/Annots\s+(\d+) 0 R", page)
    number = int(listed.group(1)) if listed else 3
    return {number: object_of(data, number).replace(b"6 0 R", b"", 1)}


def look(body: bytes = _LOOK, *, more: bytes = b"") -> bytes:
    """The picture of a signature."""
    return stream(body, BOX + more)


def _first_look(data: bytes) -> Objects:
    """The picture in the field of the first signature, replaced in its place."""
    field = re.findall(
        rb"(?<!\d)\d{1,5} 0 obj\s<<[^>]*?/T \(party(?:\\137|_)a\).*?endobj", data, re.DOTALL
    )[-1]
    number = int(re.findall(rb"/AP\s*<<\s*/N (\d+) 0 R", field)[-1])
    return {NEW: look(), number: look(HIDDEN)}


LATER: Final = (
    # What describes the file.
    Later(
        "title",
        lambda _data: {NEW: b"<< /Title (Pay 900 yuan) >>"},
        trailer=b"/Info %d 0 R" % NEW,
    ),
    Later(
        "metadata",
        _with(
            _entry(1, b"/Metadata 97 0 R"), {NEW: stream(_XMP, b"/Type /Metadata /Subtype /XML")}
        ),
    ),
    Later(
        "hidden text document",
        lambda _data: {NEW: stream(b"PK")},
        trailer=b"/AdditionalStreams [/application#2Fvnd.oasis.opendocument.text 97 0 R]",
    ),
    # How readers draw the form.
    Later("need appearances", _form(b"/NeedAppearances true")),
    Later("default appearance", _instead(1, rb"/DA \([^)]*\)", b"/DA (/F1 40 Tf 1 g)")),
    Later("default alignment", _form(b"/Q 2")),
    Later(
        "default font",
        _with(
            _instead(1, rb"/DR\s*<<\s*/Font\s*<<\s*/F1 5 0 R", b"/DR << /Font << /F1 97 0 R"),
            {NEW: _NINE},
        ),
    ),
    Later("XFA", _form(b"/XFA (x)"), acts=True),
    Later("order of computing", _form(b"/CO [10 0 R]")),
    # Fields and notes.
    Later("password flag", _entry(10, b"/Ff 8192")),
    Later("hidden field", _instead(10, b"/F 4", b"/F 2")),
    Later("border of a field", _entry(10, b"/MK << /BG [1 0 0] >>")),
    Later("action of a field", _entry(10, b"/AA << /K %s >>" % _SCRIPT), acts=True),
    Later("value without picture", _instead(10, rb"/V \(none\)", b"/V (900)")),
    Later("state of a field", _entry(10, b"/AS /On")),
    Later("boxes of a field", _with(_entry(10, b"/Kids [97 0 R]"), {NEW: b"<< /Parent 10 0 R >>"})),
    Later("hidden note", _instead(6, b"/F 4", b"/F 6")),
    Later("note not printed", _instead(6, b"/F 4", b"/F 0")),
    Later("text of a note", _entry(6, b"/Contents (Pay 900)")),
    Later("notes of the page", _annotations),
    # The page.
    Later("crop box", _entry(3, b"/CropBox [0 100 300 300]")),
    Later("unit", _entry(3, b"/UserUnit 2")),
    Later("turned page", _entry(3, b"/Rotate 180")),
    Later("action of the page", _entry(3, b"/AA << /O %s >>" % _SCRIPT), acts=True),
    Later("order of tabs", _entry(3, b"/Tabs /S")),
    Later("thumbnail", _entry(3, b"/Thumb 7 0 R")),
    Later("widths of a font", _entry(5, b"/FirstChar 49 /Widths [2000]")),
    Later("inherited resources", _entry(2, b"/Rotate 90")),
    # The catalogue.
    Later("language", _entry(1, b"/Lang (zh)")),
    Later("title shown", _entry(1, b"/ViewerPreferences << /DisplayDocTitle true >>")),
    Later("page labels", _entry(1, b"/PageLabels << /Nums [0 << /S /D /St 7 >>] >>")),
    Later("outline", _with(_entry(1, b"/Outlines 97 0 R"), {NEW: b"<< /Type /Outlines >>"})),
    Later(
        "script by name",
        _entry(1, b"/Names << /JavaScript << /Names [(a) %s] >> >>" % _SCRIPT),
        acts=True,
    ),
    Later(
        "attachment",
        _with(
            _entry(1, b"/Names << /EmbeddedFiles << /Names [(a) 97 0 R] >> >>"),
            {NEW: b"<< /Type /Filespec /F (a) >>"},
        ),
        acts=True,
    ),
    Later("portfolio", _entry(1, b"/Collection << /Type /Collection >>")),
    Later("marks", _entry(1, b"/MarkInfo << /Marked true /Suspects true >>")),
    Later(
        "structure",
        _with(_entry(1, b"/StructTreeRoot 97 0 R"), {NEW: b"<< /Type /StructTreeRoot /K [] >>"}),
    ),
    Later("opened at", _entry(1, b"/OpenAction [3 0 R /Fit]")),
    Later("certification taken away", _instead(1, rb"/Perms\s*<<.*?>>", b"")),
    Later("state of a layer", _entry(9, b"/Usage << /View << /ViewState /OFF >> >>")),
    Later("layers", _instead(1, rb"/OCGs", b"/Other [] /OCGs")),
    # Validation data that are something else.
    Later(
        "store over the text", _with(_entry(1, b"/DSS << /Certs [4 0 R] >>"), {4: stream(HIDDEN)})
    ),
    Later(
        "store of something else",
        _with(
            _entry(1, b"/DSS << /Certs [97 0 R] >>"), {NEW: stream(b"PK", b"/Type /EmbeddedFile")}
        ),
        acts=True,
    ),
    Later("store with other keys", _entry(1, b"/DSS << /VRI << /Evil << >> >> >>")),
    # What the second party brings in its own box.
    Later("border of its box", _none, field=b"/MK << /BG [1 1 1] >>"),
    Later("link on its box", _none, field=b"/A << /S /URI /URI (http://example.invalid) >>"),
    Later(
        "boxes of its field",
        lambda _data: {98: b"<< /Type /Annot /Subtype /Widget /Rect [10 240 290 280] >>"},
        field=b"/Kids [98 0 R]",
    ),
    Later("look with a layer", _none, look=lambda _data: {NEW: look(more=b"/OC 9 0 R")}),
    Later(
        "look in states",
        _none,
        look=lambda _data: {NEW: b"<< /On 98 0 R /Off 98 0 R >>", 98: look()},
    ),
    Later(
        "look without a box",
        _none,
        look=lambda _data: {NEW: stream(_LOOK, b"/Type /XObject /Subtype /Form")},
    ),
    Later("look of the first signature", _none, look=_first_look),
)
"""Attacks that leave every byte covered. All must fail."""

# --- tables and streams of objects ---------------------------------------------------------------


def hidden_twin(data: bytes) -> int:
    """Where the second object 4 stands, inside the bytes of object 8."""
    return data.index(b"4 0 obj", data.index(b"8 0 obj"))


def table(
    data: bytes, rows: Sequence[tuple[int, int, int]], *, body: bytes = b"", more: bytes = b""
) -> bytes:
    """One more revision whose table says what it is told: number, place, generation.

    Args:
        body: what stands before the table.
        more: further entries of the trailer.
    """
    out = data + body
    position = len(out)
    out += b"xref\n" + b"".join(
        b"%d 1\n%010d %05d n \n" % (number, place, generation) for number, place, generation in rows
    )
    previous = int(START.findall(data)[-1])
    out += b"trailer\n<< /Size 200 /Root 1 0 R /Prev %d %s >>\n" % (previous, more)
    return out + b"startxref\n%d\n%%%%EOF\n" % position


def streamed(
    data: bytes, held: Objects, *, doubled: Sequence[tuple[int, int]] = (), says: int | None = None
) -> bytes:
    """One more revision with a stream of objects and a table in a stream.

    Args:
        held: objects in the stream.
        doubled: further rows: number and place.
        says: number that the stream itself gives to its first object.
    """
    out, body, head = data, b"", b""
    for number, item in held.items():
        named = says if says is not None and not head else number
        head += b"%d %d " % (named, len(body))
        body += item + b" "
    rows = [(number, struct.pack(">BIH", 2, 151, n)) for n, number in enumerate(held)]
    rows.append((151, struct.pack(">BIH", 1, len(out), 0)))
    kind = b"/Type /ObjStm /N %d /First %d" % (len(held), len(head))
    out += b"151 0 obj\n%s\nendobj\n" % stream(head + body, kind)
    rows.append((150, struct.pack(">BIH", 1, len(out), 0)))
    rows = [*sorted(rows), *((n, struct.pack(">BIH", 1, place, 0)) for n, place in doubled)]
    position, previous = len(out), int(START.findall(data)[-1])
    index = b" ".join(b"%d 1" % number for number, _row in rows)
    kind = b"/Type /XRef /W [1 4 2] /Index [%s] /Size 200 /Root 1 0 R /Prev %d" % (index, previous)
    out += b"150 0 obj\n%s\nendobj\n" % stream(b"".join(row for _n, row in rows), kind)
    return out + b"startxref\n%d\n%%%%EOF\n" % position


def _hybrid(data: bytes) -> bytes:
    """A table without changes, and beside it a stream that newer readers believe."""
    out = data + b"4 0 obj\n%s\nendobj\n" % stream(HIDDEN)
    rows = struct.pack(">BIH", 1, len(data), 0) + struct.pack(">BIH", 1, len(out), 0)
    kind = b"/Type /XRef /W [1 4 2] /Index [4 1 160 1] /Size 200 /Root 1 0 R"
    body = b"160 0 obj\n%s\nendobj\n" % stream(rows, kind)
    return table(data, (), body=out[len(data) :] + body, more=b"/XRefStm %d" % len(out))


def _looped(data: bytes) -> bytes:
    """A table that is its own predecessor."""
    out = table(data, ())
    previous, own = int(START.findall(data)[-1]), int(START.findall(out)[-1])
    return out.replace(b"/Prev %d  >>" % previous, b"/Prev %d  >>" % own)


def _place(data: bytes, number: int) -> int:
    return data.index(b"%d 0 obj" % number)


STRUCTURES: Final[tuple[tuple[str, Callable[[bytes], bytes]], ...]] = (
    ("hybrid", _hybrid),
    ("font in a stream of objects", lambda data: streamed(data, {5: _NINE})),
    (
        "catalogue in a stream of objects",
        lambda data: streamed(data, {1: object_of(data, 1)[:-2] + b"/Lang (zh) >>"}),
    ),
    ("object that nobody uses in a stream", lambda data: streamed(data, {190: b"<< /A 1 >>"})),
    (
        "stream that names another object",
        lambda data: streamed(data, {190: _NINE}, says=5),
    ),
    ("table after itself", _looped),
    (
        "object named twice, the hidden one first",
        lambda data: table(data, ((4, hidden_twin(data), 0), (4, _place(data, 4), 0))),
    ),
    (
        "object named twice, the hidden one last",
        lambda data: table(data, ((4, _place(data, 4), 0), (4, hidden_twin(data), 0))),
    ),
    (
        "object named twice in a stream",
        lambda data: streamed(data, {}, doubled=((4, hidden_twin(data)), (4, _place(data, 4)))),
    ),
    (
        "another generation",
        lambda data: table(
            data, ((4, len(data), 1),), body=b"4 1 obj\n%s\nendobj\n" % stream(HIDDEN)
        ),
    ),
)
"""Attacks on how a file says where its objects stand; by whoever holds the finished file."""
