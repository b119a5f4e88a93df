"""Steps that only sign boxes are drawn together, and nothing else is: every other change is still seen."""

from __future__ import annotations

import io

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from ledger.core.errors import ConflictError
from ledger.core.report import Verdict
from signing import pdf
from signing.appearance import FieldSpec
from signing.pdf_reading import open_reader
from signing.testing import throwaway_pki
from signing.testing_pdf import raw_pdf, sign_field, trust_of
from signing.touched import UNKNOWN, Pages, Touched, renewed, runs
from signing.validate import integrity_report, validate_pdf

PARTIES = 4


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return throwaway_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def signed(pki):
    """The file after each signature; the last field stays empty."""
    fields = [FieldSpec(f"party_{n}", 0, 5 + 58 * n, 10, 55, 40) for n in range(PARTIES + 1)]
    states = [pdf.place_fields(raw_pdf([]), fields)]
    for n in range(PARTIES):
        made = sign_field(
            states[-1], pki=pki, signer=pki.signer(), field=f"party_{n}", certify=n == 0
        )
        states.append(made)
    return states


def updated(data, change) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(data))
    change(writer)
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def visual(report):
    (found,) = [check for check in report.checks if check.code == "pdf.visual"]
    return found


def test_four_signatures_in_their_boxes_are_compared_once(pki, signed):
    report = validate_pdf(signed[-1], trust=trust_of(pki), at=pki.at)
    found = visual(report)
    assert report.verdict is Verdict.PASSED
    assert (found.details["compared"], found.details["drawn"]) == (PARTIES, 1)


def redrawn(writer) -> None:
    page = writer.find_page_for_modification(0)[0].get_object()
    page["/Contents"] = writer.add_object(
        generic.StreamObject(stream_data=b"BT /F1 18 Tf 20 250 Td (Pay 900 yuan) Tj ET")
    )
    writer.update_container(page)


def test_a_change_behind_a_run_of_signatures_is_seen(signed):
    found = visual(integrity_report(updated(signed[-1], redrawn)))
    assert (found.verdict, found.details["page"]) == (Verdict.FAILED, 1)


def test_a_change_of_a_box_that_is_signed_already_is_seen(signed):
    def change(writer):
        look = generic.StreamObject(
            {pdf_name("/BBox"): numbers(0, 0, 55, 40)}, stream_data=b"1 0 0 rg 0 0 55 40 re f"
        )
        for reference in list(writer.root["/AcroForm"]["/Fields"]):
            field = reference.get_object()
            if field["/T"] == "party_0":
                field["/AP"] = generic.DictionaryObject({pdf_name("/N"): writer.add_object(look)})
                writer.update_container(field)

    assert visual(integrity_report(updated(signed[-1], change))).verdict is Verdict.FAILED


def numbers(*values: int) -> generic.ArrayObject:
    return generic.ArrayObject([generic.NumberObject(value) for value in values])


def signing(*, flags=132, box=(0, 0, 55, 40), rect=None, kind="/XObject", extra=None):
    """A change that fills the last field as a signature does, or nearly so."""

    def change(writer):
        look = generic.StreamObject({pdf_name("/Type"): pdf_name(kind)}, stream_data=b"q Q")
        if box is not None:
            look[pdf_name("/BBox")] = numbers(*box)
        for reference in list(writer.root["/AcroForm"]["/Fields"]):
            field = reference.get_object()
            if field["/T"] != f"party_{PARTIES}":
                continue
            field["/V"] = writer.add_object(generic.DictionaryObject())
            field["/AP"] = generic.DictionaryObject({pdf_name("/N"): writer.add_object(look)})
            field["/F"] = generic.NumberObject(flags)
            if rect is not None:
                field["/Rect"] = numbers(*rect)
            if extra is not None:
                field[extra] = generic.DictionaryObject()
            writer.update_container(field)

    return change


def step(before: bytes, after: bytes) -> Touched:
    reader, strict = open_reader(after)
    assert strict
    last = reader.xrefs.total_revisions - 1
    numbers_anew = renewed(reader, after, old=(len(before), last - 1), new=(len(after), last))
    pages = Pages(reader.get_historical_resolver(last - 1))
    return pages.step(reader.get_historical_resolver(last), numbers_anew)


def test_a_field_that_is_signed_touches_its_box_only(signed):
    for before, after in ((signed[1], signed[2]), (signed[-1], updated(signed[-1], signing()))):
        found = step(before, after)
        assert (found.pages, found.boxes_only, len(found.boxes)) == (frozenset({0}), True, 1)
    assert found.boxes == ((237.0, 10.0, 292.0, 50.0),)


@pytest.mark.parametrize(
    "odd",
    [
        {"flags": 132 | 8},
        {"flags": 132 | 16},
        {"box": None},
        {"box": (0, 0, 55)},
        {"rect": (5, 10, 290, 290)},
        {"extra": "/MK"},
        {"extra": "/BS"},
    ],
    ids=str,
)
def test_a_field_that_a_reader_may_draw_elsewhere_is_drawn_by_itself(signed, odd):
    found = step(signed[-1], updated(signed[-1], signing(**odd)))
    assert found == Touched(frozenset({0}), boxes_only=False)


def test_page_contents_written_anew_are_no_box(signed):
    def both(writer):
        signing()(writer)
        redrawn(writer)

    found = step(signed[-1], updated(signed[-1], both))
    assert found == Touched(frozenset({0}), boxes_only=False)


def test_an_object_that_no_page_uses_touches_none(signed):
    def change(writer):
        writer.root["/Perms"] = generic.DictionaryObject()
        writer.update_root()

    # The catalogue is referred to by the signatures, so that every page counts as touched by it.
    assert not step(signed[-1], updated(signed[-1], change)).boxes_only
    added = updated(signed[0], lambda writer: writer.add_object(generic.NumberObject(1)))
    assert step(signed[0], added) == Touched(frozenset(), boxes_only=True)


def test_runs_end_where_a_step_does_more_than_sign():
    signs, first, second = (Touched(frozenset({n}), boxes_only=True) for n in (0, 1, 2))
    more = Touched(frozenset({3}))
    states = [10, 20, 30, 40, 50]
    assert list(runs(states, [signs, first, more, second])) == [
        (10, 30, frozenset({0, 1})),
        (30, 40, frozenset({3})),
        (40, 50, frozenset({2})),
    ]
    assert list(runs(states, [UNKNOWN] * 4)) == [
        (10, 20, None),
        (20, 30, None),
        (30, 40, None),
        (40, 50, None),
    ]
    assert list(runs([10, 20], [signs])) == [(10, 20, frozenset({0}))]


def test_a_box_over_one_that_was_signed_in_the_same_run_ends_the_run():
    def signs(page, *box):
        return Touched(frozenset({page}), boxes_only=True, boxes=(box,))

    apart = [signs(0, 0, 0, 9, 9), signs(0, 9, 0, 20, 9), signs(1, 0, 0, 9, 9)]
    states = [10, 20, 30, 40]
    assert list(runs(states, apart)) == [(10, 40, frozenset({0, 1}))]
    over = [signs(0, 0, 0, 9, 9), signs(0, 5, 5, 20, 20), signs(0, 30, 0, 40, 9)]
    assert list(runs(states, over)) == [
        (10, 20, frozenset({0})),
        (20, 40, frozenset({0})),
    ]
    again = [signs(0, 0, 0, 9, 9)] * 3
    assert [run[:2] for run in runs(states, again)] == [(10, 20), (20, 30), (30, 40)]


def test_a_signature_over_an_earlier_one_fails_within_a_run_too(pki):
    boxes = [FieldSpec("one", 0, 5, 10, 80, 60), FieldSpec("two", 0, 100, 10, 80, 60)]
    over = FieldSpec("three", 0, 110, 12, 80, 60)
    data = pdf.place_fields(raw_pdf([]), [*boxes, over])
    for name in ("one", "two"):
        data = sign_field(data, pki=pki, signer=pki.signer(), field=name, certify=name == "one")
    with pytest.raises(ConflictError) as caught:
        sign_field(data, pki=pki, signer=pki.signer(), field="three", certify=False)
    assert caught.value.error_code == "pdf.breaks_earlier_signature"
