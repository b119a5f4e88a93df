"""Changes that a valid signature or an archive time stamp covers: every one fails, honest ones pass."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from ledger.core.report import Verdict
from signing import longterm, pdf
from signing.appearance import FieldSpec
from signing.attacks import appended, object_of, shadow_base, stream
from signing.attacks_later import LATER, NEW, STRUCTURES, Later, look, table
from signing.changes import byte_ranges
from signing.cms import assemble, signed_attributes
from signing.embedded import ValidationData
from signing.testing import throwaway_pki
from signing.testing_pdf import sign_field, trust_of
from signing.validate import validate_pdf

ROOM = 20_000
"""Hex digits of a signature made by hand."""
PLACEHOLDER = b"/ByteRange [0 1111111111 2222222222 3333333333]"


@lru_cache(maxsize=1)
def pki():
    return throwaway_pki(Path(mkdtemp(prefix="fuqi-test-")))


@lru_cache(maxsize=1)
def second():
    return pki().signer()


@lru_cache(maxsize=1)
def trust():
    return trust_of(pki())


@lru_cache(maxsize=1)
def placed():
    fields = [FieldSpec("party_a", 0, 10, 10, 130, 70), FieldSpec("party_b", 0, 150, 10, 130, 70)]
    return pdf.place_fields(shadow_base(), fields)


@lru_cache(maxsize=1)
def certified():
    """Signed once, by us: certified, all fields locked."""
    return sign_field(placed(), pki=pki(), signer=pki().signer(), field="party_a", certify=True)


@lru_cache(maxsize=1)
def loose():
    """Signed once as other products do it: no certification and no locks."""
    data = re.sub(rb"/Lock \d+ 0 R", lambda found: b" " * len(found[0]), placed())
    return by_hand(data.replace(b"/SigFlags 1", b"/SigFlags 3"), field="party_a")


def by_hand(
    data: bytes,
    *,
    field="party_b",
    more=None,
    entries=b"",
    trailer=b"",
    shown=False,
    room=(0, 0, b""),
):
    """One revision with these objects and a valid signature over everything, made without any checks.

    Args:
        room: bytes behind the value that are not covered, bytes at the end that are not, what stands
            behind the container.
    """
    name = field.replace("_", r"(?:_|\\137)").encode()
    found = re.findall(rb"(?<!\d)(\d{1,5}) 0 obj\s<<[^>]*?/T \(" + name + rb"\)", data)
    number, value = int(found[-1]), max(200, *map(int, re.findall(rb"/Size (\d+)", data)))
    body = object_of(data, number)
    if shown:
        body = re.sub(rb"(?s)/AP\s*<<.*?>>", b"", body)[:-2] + b" /AP << /N %d 0 R >> >>" % NEW
    placeholder = b" /Contents <" + b"0" * ROOM + b">" + b" " * room[0] + b" >>"
    filter_ = b"<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached "
    objects = {
        **(more or {}),
        number: body[:-2] + b" /V %d 0 R %s >>" % (value, entries),
        value: filter_ + PLACEHOLDER + placeholder,
    }
    out = with_trailer(appended(data, objects), trailer)
    start = out.index(placeholder, len(data)) + len(b" /Contents ")
    end, size = start + ROOM + 2 + room[0], len(out) - room[1]
    numbers = start, end, size - end
    out = out.replace(PLACEHOLDER, b"/ByteRange [0 %010d %010d %010d]" % numbers)
    rest = out[:size]
    signer = second()
    attributes = signed_attributes(
        document_digest=hashlib.sha256(rest[:start] + rest[end:]).digest(),
        certificate=signer.certificate.der,
    )
    signature = signer.key.sign(attributes)
    container = assemble(
        signed_attrs=attributes,
        signature=signature,
        certificate=signer.certificate.der,
        chain=signer.certificate.chain,
        timestamp=pki().stamp(hashlib.sha256(signature).digest()),
    )
    value_hex = (container + room[2]).hex().upper().encode().ljust(ROOM, b"0")
    return out[: start + 1] + value_hex + out[start + 1 + ROOM :]


def with_trailer(data: bytes, more: bytes) -> bytes:
    place = data.rindex(b"trailer\n<< ") + len(b"trailer\n<< ")
    return data[:place] + more + b" " + data[place:]


def archived(data: bytes) -> bytes:
    """What anybody can add: a time stamp of a trusted authority over everything."""
    revision, digest, start, end = longterm._revision_with_store(data, ValidationData())
    token = pki().stamp(digest).hex().upper().encode()
    return revision[: start + 1] + token.ljust(end - start - 2, b"0") + revision[end - 1 :]


def judged(data: bytes):
    return validate_pdf(data, trust=trust(), at=pki().at)


def require_refused(report, *, acts: bool) -> None:
    assert report.verdict in ({Verdict.FAILED, Verdict.INDETERMINATE} if acts else {Verdict.FAILED})


def signed_with(base: bytes, attack: Later) -> bytes:
    return by_hand(
        base,
        more={**attack.objects(base), **(attack.look(base) if attack.look else {})},
        entries=attack.field,
        trailer=attack.trailer,
        shown=attack.look is not None,
    )


@pytest.mark.parametrize("base", [certified, loose], ids=["certified", "loose"])
def test_the_same_without_the_attack_passes(base):
    assert judged(base()).verdict is Verdict.PASSED
    assert judged(by_hand(base())).verdict is Verdict.PASSED
    assert judged(by_hand(base(), more={NEW: look()}, shown=True)).verdict is Verdict.PASSED
    assert judged(archived(base())).verdict is Verdict.PASSED
    assert judged(archived(by_hand(base()))).verdict is Verdict.PASSED


def test_the_names_are_unique():
    names = [*(attack.name for attack in LATER), *(name for name, _make in STRUCTURES)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("attack", LATER, ids=lambda attack: attack.name)
def test_a_second_signer_cannot_change_it_within_its_own_revision(attack):
    require_refused(judged(signed_with(certified(), attack)), acts=attack.acts)


@pytest.mark.parametrize("attack", LATER, ids=lambda attack: attack.name)
def test_without_certification_and_locks_it_fails_as_well(attack):
    if attack.name == "certification taken away":
        return
    require_refused(judged(signed_with(loose(), attack)), acts=attack.acts)


@pytest.mark.parametrize(
    "attack",
    [one for one in LATER if not one.field and not one.look and "store" not in one.name],
    ids=lambda attack: attack.name,
)
def test_an_archive_time_stamp_over_it_does_not_help(attack):
    base = certified()
    changed = with_trailer(appended(base, attack.objects(base)), attack.trailer)
    require_refused(judged(archived(changed)), acts=attack.acts)


@pytest.mark.parametrize(("name", "make"), STRUCTURES, ids=[name for name, _make in STRUCTURES])
def test_tables_that_say_two_things_fail(name, make):
    assert judged(make(certified())).verdict is Verdict.FAILED


@pytest.mark.parametrize("first", [True, False], ids=["hidden first", "hidden last"])
def test_an_object_named_twice_fails_under_a_valid_signature_of_the_second_party(first):
    named = STRUCTURES[6 if first else 7][1](certified())
    report = judged(by_hand(named))
    assert report.verdict is Verdict.FAILED
    found = {check.code: check for check in report.checks}["pdf.undeclared_objects"]
    assert (found.verdict, found.details["doubled"]) == (Verdict.FAILED, 1)


def test_a_revision_that_names_an_object_once_more_where_it_stands_changes_nothing():
    base = certified()
    again = table(base, ((4, base.index(b"4 0 obj"), 0),))
    assert judged(by_hand(again)).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("room", "code"),
    [
        ((1, 0, b""), "pdf.signatures"),
        ((40, 0, b""), "pdf.signatures"),
        ((0, 7, b""), "pdf.signatures"),
        ((0, 1, b""), "pdf.coverage"),
        ((0, 0, b"\x01"), "pdf.signatures"),
        ((0, 0, b"\x00\x00\x30\x00"), "pdf.signatures"),
    ],
)
def test_a_signer_cannot_leave_room_around_or_behind_its_own_value(room, code):
    assert judged(by_hand(certified(), room=(0, 0, b""))).verdict is Verdict.PASSED
    report = judged(by_hand(certified(), room=room))
    assert report.verdict is Verdict.FAILED
    assert code in {check.code for check in report.checks if check.verdict is Verdict.FAILED}


def test_the_value_of_another_file_of_the_same_shape_is_none_for_this_one():
    one, other = (
        by_hand(certified(), more={NEW: b"<< /Title (%s) >>" % text}, trailer=b"/Info 97 0 R")
        for text in (b"a", b"b")
    )
    here, there = (byte_ranges(data)[-1].numbers for data in (one, other))
    assert here == there
    mixed = one[: here[1]] + other[there[1] : there[2]] + one[here[2] :]
    report = judged(mixed)
    assert "pdf.digest" in {c.code for c in report.checks if c.verdict is Verdict.FAILED}


def test_a_document_time_stamp_that_covers_less_than_its_revision_covers_nothing():
    data = archived(certified())
    zero, first, second, rest = byte_ranges(data)[-1].numbers
    old = b"%d %d %d %d" % (zero, first, second, rest)
    place = data.rindex(old[:8])
    less = data[:place] + data[place:].replace(b"%d]" % rest, b"%d]" % (rest - 1), 1)
    assert less != data
    assert judged(data).verdict is Verdict.PASSED
    assert judged(less).verdict is Verdict.FAILED


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="%s"'
    b' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description>'
    b"<xmp:ModifyDate>%s</xmp:ModifyDate><dc:title>%s</dc:title></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def described(kit: bytes, date: bytes, title: bytes) -> bytes:
    return stream(XMP % (kit, date, title), b"/Type /Metadata /Subtype /XML")


@lru_cache(maxsize=1)
def with_description():
    """Signed once with a title in both places."""
    root = object_of(placed(), 1)[:-2] + b" /Metadata 120 0 R >>"
    objects = {1: root, 120: described(b"A", b"2026", b"x"), 121: b"<< /Title (x) /Producer (A) >>"}
    data = with_trailer(appended(placed(), objects), b"/Info 121 0 R")
    return sign_field(data, pki=pki(), signer=pki().signer(), field="party_a", certify=True)


@pytest.mark.parametrize(
    ("objects", "verdict"),
    [
        ({121: b"<< /Title (x) /Producer (B) /ModDate (D:2027) >>"}, Verdict.PASSED),
        ({121: b"<< /Title (y) /Producer (A) >>"}, Verdict.FAILED),
        ({121: b"<< /Producer (A) >>"}, Verdict.FAILED),
        ({121: b"<< /Title (x) /Producer (A) /Author (z) >>"}, Verdict.FAILED),
        ({120: described(b"B", b"2027", b"x")}, Verdict.PASSED),
        ({120: described(b"A", b"2026", b"y")}, Verdict.FAILED),
    ],
)
def test_writers_may_date_the_description_and_change_nothing_in_it(objects, verdict):
    base = with_description()
    assert judged(base).verdict is Verdict.PASSED
    assert judged(by_hand(base, more=objects)).verdict is verdict


@pytest.mark.parametrize(
    ("entry", "verdict"),
    [
        (rb"/DR << /Font << /F1 5 0 R /F2 97 0 R", Verdict.PASSED),
        (rb"/DR << /Font << /F2 97 0 R", Verdict.FAILED),
        (rb"/DR << /Encoding << >> /Font << /F1 97 0 R", Verdict.FAILED),
    ],
)
def test_further_fonts_for_fields_are_allowed_and_others_under_their_names_are_not(entry, verdict):
    base = loose()
    root = re.sub(rb"/DR\s*<<\s*/Font\s*<<\s*/F1 5 0 R", entry, object_of(base, 1), count=1)
    assert root != object_of(base, 1)
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>"
    assert judged(by_hand(base, more={1: root, NEW: font})).verdict is verdict
