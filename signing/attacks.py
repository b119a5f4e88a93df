"""Fresh attacks on files that we signed: every known way to change what a signed PDF says or seems to say.

Each attack takes an honest file apart by its bytes and gives back the attacked one; the strict verifier
must fail every one, with the check that is named beside it. Source of the classes: Mainka, Mladenov et
al., "1 Trillion Dollar Refund" (2019), "Shadow Attacks" (2021), "Breaking the Specification" (2021).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from signing import changes
from signing.cms import SignedContainer, assemble, read_container
from signing.testing_pdf import raw_pdf

HIDDEN: Final = b"BT /F1 18 Tf 20 250 Td (Pay 900 yuan) Tj ET"
"""What the attacker wants to be read in place of "Pay 100 yuan"."""
_ROOT: Final = re.compile(rb"/Root (\d+) 0 R")
_SIZE: Final = re.compile(rb"/Size (\d+)")
START: Final = re.compile(rb"startxref\s+(\d+)")


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack.

    Attributes:
        name: class and variant.
        check: a check that must fail.
        make: honest signed file -> attacked file.
    """

    name: str
    check: str
    make: Callable[[bytes], bytes]


def shadow_base() -> bytes:
    """A file prepared to be attacked after it was signed: object 4 is what is read.

    Object 6 is a note that covers the text, 7 its picture; 8 holds a second object 4 inside its bytes;
    9 is a layer, 10 a text field with the picture 11.
    """
    cover = "1 1 1 rg 0 0 280 40 re f 0 g BT /F1 18 Tf 4 10 Td (Receive 100 yuan) Tj ET"
    shown = "BT /F1 12 Tf 2 5 Td (none) Tj ET"
    twin = f"4 0 obj\n<< /Length {len(HIDDEN)} >>\nstream\n{HIDDEN.decode()}\nendstream\nendobj"
    font = "/Resources << /Font << /F1 5 0 R >> >>"
    return raw_pdf(
        [
            "<< /Type /Annot /Subtype /Stamp /Rect [10 240 290 280] /F 4 /P 3 0 R /AP << /N 7 0 R >> >>",
            (
                f"<< /Type /XObject /Subtype /Form /BBox [0 0 280 40] {font} /Length {len(cover)} >>"
                f"\nstream\n{cover}\nendstream"
            ),
            f"<< /Length {len(twin)} >>\nstream\n{twin}\nendstream",
            "<< /Type /OCG /Name (terms) >>",
            (
                "<< /Type /Annot /Subtype /Widget /FT /Tx /T (amount) /V (none) /F 4 /P 3 0 R "
                "/Rect [20 150 120 170] /DA (/F1 12 Tf 0 g) /AP << /N 11 0 R >> >>"
            ),
            (
                f"<< /Type /XObject /Subtype /Form /BBox [0 0 100 20] {font} /Length {len(shown)} >>"
                f"\nstream\n{shown}\nendstream"
            ),
        ],
        root="/AcroForm << /Fields [10 0 R] /DR << /Font << /F1 5 0 R >> >> /DA (/F1 12 Tf 0 g) >> "
        "/OCProperties << /OCGs [9 0 R] /D << /ON [9 0 R] >> >>",
        page="/Annots [6 0 R 10 0 R]",
    )


def appended(
    data: bytes,
    objects: Mapping[int, bytes],
    *,
    entries: Mapping[int, int] | None = None,
    root: int | None = None,
    previous: int | None = None,
    start: int | None = None,
    table: bool = True,
) -> bytes:
    """The file with one more revision, written as any editor writes it unless told otherwise.

    Args:
        entries: further objects of the table -> where it says that they stand.
        previous, start: what /Prev and startxref say, where that is not the truth.
        table: False leaves table, trailer and end away.
    """
    out = data if data.endswith(b"\n") else data + b"\n"
    places = dict(entries or {})
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    if not table:
        return out
    position = len(out)
    size = max([int(_last(_SIZE, data)), *(number + 1 for number in places)])
    out += b"xref\n" + b"".join(
        b"%d 1\n%010d 00000 n \n" % (number, place) for number, place in sorted(places.items())
    )
    out += b"trailer\n<< /Size %d /Root %d 0 R /Prev %d >>\n" % (
        size,
        int(_last(_ROOT, data)) if root is None else root,
        int(_last(START, data)) if previous is None else previous,
    )
    return out + b"startxref\n%d\n%%%%EOF\n" % (position if start is None else start)


def stream(body: bytes, extra: bytes = b"") -> bytes:
    """The body of a stream object."""
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(body), extra, body)


def object_of(data: bytes, number: int) -> bytes:
    """The newest body of an object, as it stands in the bytes."""
    found = list(re.finditer(rb"(?<!\d)%d 0 obj\s(.*?)\sendobj" % number, data, re.DOTALL))
    return bytes(found[-1].group(1))


def _last(pattern: re.Pattern[bytes], data: bytes) -> bytes:
    return bytes(pattern.findall(data)[-1])


# --- shadow attacks -----------------------------------------------------------------------------


def _hide(data: bytes) -> bytes:
    form = b"/Type /XObject /Subtype /Form /BBox [0 0 280 40]"
    return appended(data, {7: stream(b"", form)})


def _replace_font(data: bytes) -> bytes:
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding << /Type /Encoding"
    return appended(data, {5: font + b" /Differences [49 /nine] >> >>"})


def _replace_field(data: bytes) -> bytes:
    body = b"BT /F1 12 Tf 2 5 Td (900 000) Tj ET"
    form = (
        b"/Type /XObject /Subtype /Form /BBox [0 0 100 20] /Resources << /Font << /F1 5 0 R >> >>"
    )
    field = object_of(data, 10).replace(b"(none)", b"(900 000)")
    return appended(data, {10: field, 11: stream(body, form)})


def _replace_look_only(data: bytes) -> bytes:
    body = b"BT /F1 12 Tf 2 5 Td (900 000) Tj ET"
    form = (
        b"/Type /XObject /Subtype /Form /BBox [0 0 100 20] /Resources << /Font << /F1 5 0 R >> >>"
    )
    return appended(data, {11: stream(body, form)})


def _hide_and_replace(data: bytes) -> bytes:
    twin = data.index(b"4 0 obj", data.index(b"8 0 obj"))
    return appended(data, {}, entries={4: twin})


def _layer_off(data: bytes) -> bytes:
    root = object_of(data, 1).replace(b"/ON [9 0 R]", b"/OFF [9 0 R]")
    root = re.sub(rb"/ON\s*\[\s*9 0 R\s*\]", b"/OFF [9 0 R]", root)
    return appended(data, {1: root})


# --- incremental saving -------------------------------------------------------------------------


def _isa(data: bytes) -> bytes:
    return appended(data, {4: stream(HIDDEN)})


def _isa_stale(data: bytes) -> bytes:
    return appended(data, {4: stream(HIDDEN)}, start=int(_last(START, data)))


def _isa_no_table(data: bytes) -> bytes:
    return appended(data, {4: stream(HIDDEN)}, table=False)


def _isa_trailer_only(data: bytes) -> bytes:
    body = appended(data, {4: stream(HIDDEN)}, table=False)
    root = int(_last(_ROOT, data))
    return body + b"trailer\n<< /Root %d 0 R /Size 99 >>\n%%%%EOF\n" % root


def _isa_commented(data: bytes) -> bytes:
    return data + b"% " + stream(HIDDEN).replace(b"\n", b" ") + b"\n%%EOF\n"


def _isa_skipping(data: bytes) -> bytes:
    """A table whose /Prev passes by the signed revision."""
    first = int(START.findall(data)[0])
    return appended(data, {4: stream(HIDDEN)}, previous=first)


def _isa_with_signature_copied(data: bytes) -> bytes:
    newest = changes.byte_ranges(data)[-1]
    start = data.rindex(b" 0 obj", 0, newest.position)
    end = data.index(b"endobj", newest.position)
    body = data[start + 6 : end].strip()
    return appended(data, {4: stream(HIDDEN), 90: body})


def _orphan(data: bytes) -> bytes:
    return appended(data, {91: b"<< /Type /Note /Contents (left here) >>"})


def _empty_revision(data: bytes) -> bytes:
    return appended(data, {91: b"null"})


def _rebuilt_pages(data: bytes) -> bytes:
    page = object_of(data, 3).replace(b"4 0 R", b"92 0 R", 1)
    pages = b"<< /Type /Pages /Kids [93 0 R] /Count 1 >>"
    return appended(data, {2: pages, 92: stream(HIDDEN), 93: page})


def _script(data: bytes) -> bytes:
    root = object_of(data, 1)[:-2] + b"/OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >> >>"
    return appended(data, {1: root})


# --- fields, values and signatures --------------------------------------------------------------


def _fields(data: bytes, extra: bytes) -> bytes:
    """The newest AcroForm dictionary with one more field."""
    root = object_of(data, 1)
    if b"/AcroForm" not in root:
        raise ValueError("a file without a form")
    return re.sub(rb"/Fields\s*\[", b"/Fields [" + extra + b" ", root, count=1)


def _with_field(data: bytes, body: bytes, number: int = 94) -> bytes:
    root = _fields(data, b"%d 0 R" % number)
    objects = {number: body}
    match = re.search(rb"/AcroForm\s+(\d+) 0 R", root)
    if match:
        form = int(match.group(1))
        new = re.sub(rb"/Fields\s*\[", b"/Fields [%d 0 R " % number, object_of(data, form), count=1)
        return appended(data, {**objects, form: new})
    match = re.search(rb"/Fields\s+(\d+) 0 R", root)
    if match:
        listed = int(match.group(1))
        new = object_of(data, listed).replace(b"[", b"[%d 0 R " % number, 1)
        return appended(data, {**objects, listed: new})
    return appended(data, {**objects, 1: root})


def _value_of(data: bytes) -> bytes:
    """The reference of the newest signature value."""
    position = data.rindex(b" 0 obj", 0, changes.byte_ranges(data)[-1].position)
    return data[data.rindex(b"\n", 0, position) + 1 : position] + b" 0 R"


def _second_field(data: bytes) -> bytes:
    body = b"<< /FT /Sig /T (party_c) /V %s /Subtype /Widget /Rect [0 0 0 0] /P 3 0 R >>"
    return _with_field(data, body % _value_of(data))


def _same_name(data: bytes) -> bytes:
    body = b"<< /FT /Sig /T (party_a) /V %s /Subtype /Widget /Rect [0 0 0 0] /P 3 0 R >>"
    return _with_field(data, body % _value_of(data))


def _with_contents(data: bytes, which: int, contents: bytes) -> bytes:
    """The file with another container in the place of a signature's own."""
    found = changes.byte_ranges(data)[which]
    start, end = found.numbers[1], found.numbers[2]
    room = end - start - 2
    text = contents.hex().upper().encode().ljust(room, b"0")
    if len(text) != room:
        raise ValueError("the container does not fit")
    return data[: start + 1] + text + data[end - 1 :]


def _swapped_certificate(data: bytes) -> bytes:
    """The other signer's certificate, and the signature says that it is the signer's."""
    mine, other = (read_container(changes.byte_ranges(data)[n].contents) for n in (-1, 0))
    return _with_contents(data, -1, _assembled(mine, other.certificate, other.certificates, mine))


def _foreign_certificates(data: bytes) -> bytes:
    """Only certificates that the signature does not name."""
    mine = read_container(changes.byte_ranges(data)[-1].contents)
    whole = _assembled(mine, mine.certificate, mine.certificates, mine)
    own = mine.certificate
    # One bit of the serial number is another certificate: what the signature names is gone.
    place = own.index(own[15:23])
    changed = own[:place] + bytes((own[place] ^ 1,)) + own[place + 1 :]
    return _with_contents(data, -1, whole.replace(own, changed))


def _moved_time_stamp(data: bytes) -> bytes:
    mine, other = (read_container(changes.byte_ranges(data)[n].contents) for n in (-1, 0))
    return _with_contents(data, -1, _assembled(mine, mine.certificate, mine.certificates, other))


def _assembled(
    mine: SignedContainer, certificate: bytes, chain: Sequence[bytes], stamped: SignedContainer
) -> bytes:
    return assemble(
        signed_attrs=mine.signed_attrs,
        signature=mine.signature,
        certificate=certificate,
        chain=chain,
        timestamp=stamped.timestamp,
    )


def _moved_signature(data: bytes) -> bytes:
    """The container of the other signature."""
    return _with_contents(data, -1, changes.byte_ranges(data)[0].contents.rstrip(b"\0"))


# --- signature wrapping -------------------------------------------------------------------------


def _wrapped(data: bytes) -> bytes:
    """The signed rest moved back; before it a table where the file says that one stands."""
    _zero, first, second, rest = changes.byte_ranges(data)[-1].numbers
    start = int(_last(START, data))
    moved = b" /ByteRange [0 %d %010d %d] >>\nendobj\n4 0 obj\n%s\nendobj\n"
    head = moved % (first, 0, rest, stream(HIDDEN))
    padding = b" " * (start - second - len(head))
    table = data[start:].replace(b"trailer", b"4 1\n%010d 00000 n \ntrailer", 1) % 0
    length = len(head) + len(padding) + len(table)
    head = moved % (first, second + length, rest, stream(HIDDEN))
    here = second + head.index(b"4 0 obj")

    def shifted(match: re.Match[bytes]) -> bytes:
        place = int(match.group(1))
        return b"%010d 00000 n" % (here if place == 0 else place + length * (place > second))

    table = re.sub(rb"(\d{10}) 00000 n", shifted, table)
    return data[:second] + head + padding + table + data[second:]


def _second_range(data: bytes) -> bytes:
    """A second byte range in the same dictionary, for readers that take the last one."""
    found = changes.byte_ranges(data)[-1]
    end = found.numbers[2]
    text = b"/ByteRange [0 10 20 10]"
    start = end - 1 - len(text)
    return data[:start] + b">" + text + data[end:]


# --- universal signature forgery ----------------------------------------------------------------


def _forged(pattern: bytes, replacement: bytes) -> Callable[[bytes], bytes]:
    def make(data: bytes) -> bytes:
        found = changes.byte_ranges(data)[-1]
        begin = data.rindex(b" 0 obj", 0, found.position)
        end = data.index(b"endobj", found.numbers[2])
        body = data[begin:end]
        changed = re.sub(pattern, replacement, body, count=1, flags=re.DOTALL)
        if changed == body:
            raise ValueError("nothing to forge")
        # As long as before, so that nothing else of the file is broken.
        return data[:begin] + changed.ljust(len(body)) + data[end:]

    return make


_CONTENTS: Final = rb"/Contents\s*<[0-9A-Fa-f]*>"
_RANGE: Final = rb"/ByteRange\s*\[[^\]]*\]"


# --- annotations and signatures laid over -------------------------------------------------------


def _over(data: bytes, subtype: bytes, extra: bytes = b"") -> bytes:
    body = b"1 1 1 rg 0 0 280 40 re f 0 g BT /F1 18 Tf 4 10 Td (Pay 900 yuan) Tj ET"
    form = (
        b"/Type /XObject /Subtype /Form /BBox [0 0 280 40] /Resources << /Font << /F1 5 0 R >> >>"
    )
    note = (
        b"<< /Type /Annot /Subtype /%s /Rect [10 240 290 280] /F 4 /P 3 0 R /AP << /N 96 0 R >> %s >>"
        % (subtype, extra)
    )
    page = object_of(data, 3)
    match = re.search(rb"/Annots\s+(\d+) 0 R", page)
    if match:
        number = int(match.group(1))
        listed = object_of(data, number).replace(b"[", b"[95 0 R ", 1)
        return appended(data, {number: listed, 95: note, 96: stream(body, form)})
    page = re.sub(rb"/Annots\s*\[", b"/Annots [95 0 R ", page, count=1)
    return appended(data, {3: page, 95: note, 96: stream(body, form)})


def _annotation(data: bytes) -> bytes:
    return _over(data, b"FreeText", b"/DA (/F1 12 Tf) /Contents (Pay 900 yuan)")


def _highlight(data: bytes) -> bytes:
    return _over(data, b"Highlight", b"/QuadPoints [10 280 290 280 10 240 290 240]")


def _stamp(data: bytes) -> bytes:
    return _over(data, b"Stamp")


def _signature_box(data: bytes) -> bytes:
    """A further signature field, empty, whose look covers the text."""
    return _over(data, b"Widget", b"/FT /Sig /T (party_x)")


ATTACKS: Final = (
    Attack("shadow-hide", "pdf.coverage", _hide),
    Attack("shadow-replace-font", "pdf.visual", _replace_font),
    Attack("shadow-replace-field", "pdf.changes", _replace_field),
    Attack("shadow-replace-look", "pdf.visual", _replace_look_only),
    Attack("shadow-hide-and-replace", "pdf.visual", _hide_and_replace),
    Attack("shadow-layer", "pdf.changes", _layer_off),
    Attack("isa", "pdf.visual", _isa),
    Attack("isa-stale-table", "pdf.undeclared_objects", _isa_stale),
    Attack("isa-no-table", "pdf.undeclared_objects", _isa_no_table),
    Attack("isa-trailer-only", "pdf.readable", _isa_trailer_only),
    Attack("isa-comment", "pdf.readable", _isa_commented),
    Attack("isa-skipping-the-signed-revision", "pdf.coverage", _isa_skipping),
    Attack("isa-signature-copied", "pdf.signatures", _isa_with_signature_copied),
    Attack("appended-orphan", "pdf.coverage", _orphan),
    Attack("appended-null", "pdf.coverage", _empty_revision),
    Attack("appended-pages", "pdf.visual", _rebuilt_pages),
    Attack("appended-script", "pdf.changes", _script),
    Attack("duplicated-field", "pdf.signatures", _second_field),
    Attack("duplicated-name", "pdf.signatures", _same_name),
    Attack("swapped-certificate", "pdf.signature_value", _swapped_certificate),
    Attack("foreign-certificates", "pdf.signatures", _foreign_certificates),
    Attack("moved-time-stamp", "pdf.time_stamp", _moved_time_stamp),
    Attack("moved-signature", "pdf.digest", _moved_signature),
    Attack("swa", "pdf.signatures", _wrapped),
    Attack("swa-second-range", "pdf.signatures", _second_range),
    Attack("usf-empty-contents", "pdf.signatures", _forged(_CONTENTS, b"/Contents <>")),
    Attack("usf-zero-contents", "pdf.signatures", _forged(_CONTENTS, b"/Contents <00>")),
    Attack("usf-null-contents", "pdf.signatures", _forged(_CONTENTS, b"/Contents null")),
    Attack("usf-no-value", "pdf.signatures", _forged(_CONTENTS, b"/Contents ")),
    Attack("usf-no-contents", "pdf.signatures", _forged(_CONTENTS, b"")),
    Attack("usf-null-range", "pdf.signatures", _forged(_RANGE, b"/ByteRange null")),
    Attack("usf-no-range", "pdf.signatures", _forged(_RANGE, b"")),
    Attack("usf-negative-range", "pdf.signatures", _forged(_RANGE, b"/ByteRange [0 -1 -1 -1]")),
    Attack("eaa-free-text", "pdf.changes", _annotation),
    Attack("eaa-highlight", "pdf.changes", _highlight),
    Attack("eaa-stamp", "pdf.changes", _stamp),
    Attack("ssa-empty-field", "pdf.changes", _signature_box),
)
"""Attacks by whoever holds the finished file and no key."""
