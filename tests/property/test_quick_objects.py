"""Objects read in one go are those that pyHanko reads byte by byte, on every file and every odd spelling."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import Reference
from pyhanko.pdf_utils.reader import PdfFileReader

from signing.quick_objects import read_plain
from signing.testing_pdf import raw_pdf

SHARED = Path(__file__).resolve().parents[3] / "shared" / "corpora"
BYTES_MAX = 150_000
"""Larger files of the corpora add seconds and no further structure."""


def files() -> list:
    found = [
        path
        for folder in ("pdf-attacks", "pdf-validation")
        for path in sorted((SHARED / folder).glob("*.pdf"))
        if path.stat().st_size <= BYTES_MAX
    ]
    if not found:
        reason = pytest.mark.skip(reason="../shared/corpora is not on this machine")
        return [pytest.param(None, marks=reason)]
    return [pytest.param(path, id=path.name) for path in found]


def require_same(ours: Any, theirs: Any) -> None:
    """Kind, value, order, references, encoding and the object that each part stands in."""
    assert type(ours) is type(theirs)
    assert ours.container_ref == theirs.container_ref
    if isinstance(ours, generic.IndirectObject):
        assert (ours.idnum, ours.generation) == (theirs.idnum, theirs.generation)
        assert ours.reference.pdf is theirs.reference.pdf
    elif isinstance(ours, dict):
        assert [type(key) for key in ours] == [type(key) for key in theirs]
        assert list(ours) == list(theirs)
        for key in ours:
            require_same(dict.__getitem__(ours, key), dict.__getitem__(theirs, key))
        if isinstance(ours, generic.StreamObject):
            assert ours.encoded_data == theirs.encoded_data
    elif isinstance(ours, list):
        assert len(ours) == len(theirs)
        for one, other in zip(list.__iter__(ours), list.__iter__(theirs), strict=True):
            require_same(one, other)
    else:
        assert (ours, repr(ours)) == (theirs, repr(theirs))
        if isinstance(ours, generic.TextStringObject):
            assert ours.autodetected_encoding == theirs.autodetected_encoding


def compared(data: bytes) -> tuple[int, int]:
    """How many objects of the file there are, and how many were read in one go; each as pyHanko reads it."""
    try:
        reader = PdfFileReader(io.BytesIO(data), strict=True)
        if reader.encrypted:
            return 0, 0
    except Exception:  # noqa: BLE001 - unreadable files are left to pyHanko
        return 0, 0
    objects, quick, strings = 0, 0, {}
    for revision in range(reader.xrefs.total_revisions):
        for named in reader.xrefs.explicit_refs_in_revision(revision):
            place = reader.xrefs.get_historical_ref(named, revision)
            if not isinstance(place, int):
                continue
            objects += 1
            reference = Reference(named.idnum, named.generation, pdf=reader)
            ours = read_plain(data, place, reference, reader.stream, strings)
            if ours is not None:
                quick += 1
                require_same(ours, reader._read_object(named, place))
    return objects, quick


@pytest.mark.parametrize("path", files())
def test_every_object_of_every_file_is_what_pyhanko_reads(path):
    compared(path.read_bytes())


def test_nearly_all_objects_of_a_file_of_ours_are_read_in_one_go():
    plain = ["<< /A [1 2 R 3 0 R] >>", "<< /B (plain) /C <4142> /D 1.50 /E -7 >>"]
    objects, quick = compared(raw_pdf(plain))
    assert objects == quick > 4
    objects, quick = compared(raw_pdf([*plain, "<< /A true /B null >>"]))
    assert objects == quick + 1


WORDS = st.sampled_from(
    [
        *(b"<<", b">>", b"[", b"]", b"/A", b"/B", b"/A", b"/B#20", b"/", b"/a\xe9"),
        *(b"1", b"-2", b"+3", b"1.5", b".5", b"1-2", b"0007", b"12 0 R", b"12 0 RG", b"0 0 R"),
        *(b"12\n0 R", b"99999999 0 R", b"(a)", b"(a(b)c)", b"(\\055)", b"(\\5)", b"(\\n)"),
        *(b"(\\)", b"(a\nb)", b"(\xfe\xff\x4e\x2d)", b"<41>", b"<4>", b"<4 1>", b"<>", b"<zz>"),
        *(b"true", b"null", b"%note\n", b"endobj", b"stream\nabc\nendstream", b"\x0b", b"{", b")"),
        *(b"/Length 3", b"/Length 5 0 R", b"obj", b"R"),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(WORDS, st.sampled_from([b"", b" ", b"\n", b"\r\n"])), max_size=14))
def test_whatever_is_written_is_read_as_pyhanko_reads_it_or_left_to_it(words):
    body = b"<< " + b"".join(word + space for word, space in words) + b" >>"
    base = raw_pdf([])
    reader = PdfFileReader(io.BytesIO(base), strict=True)
    data = b"77 0 obj\n" + body + b"\nendobj\nxref\n"
    reader.stream = io.BytesIO(data)
    reference = Reference(77, 0, pdf=reader)
    ours = read_plain(data, 0, reference, reader.stream, {})
    if ours is not None:
        require_same(ours, reader._read_object(reference, 0))


def test_an_object_of_another_number_is_not_taken():
    data = b"77 0 obj\n<< /A 1 >>\nendobj\nxref\n"
    reader = PdfFileReader(io.BytesIO(raw_pdf([])), strict=True)
    stream = io.BytesIO(data)
    assert read_plain(data, 0, Reference(77, 0, pdf=reader), stream, {}) == {"/A": 1}
    for number, generation in ((78, 0), (77, 1)):
        wanted = Reference(number, generation, pdf=reader)
        assert read_plain(data, 0, wanted, stream, {}) is None
