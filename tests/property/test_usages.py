"""Where objects are used: the same paths as pyHanko's own walk of the whole document, on every file."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import Reference
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import HistoricalResolver, PdfFileReader
from pyhanko.sign.fields import enumerate_sig_fields

from signing.differences import differences
from signing.quick_reader import QuickReader
from signing.reading import Difference
from signing.testing_pdf import raw_pdf
from signing.usages import Usages, held_at

SHARED = Path(__file__).resolve().parents[3] / "shared" / "corpora"
BYTES_MAX = 150_000
"""Larger files of the corpora add seconds and no further structure."""
MISSING = 40
"""Numbers asked for beside those that are used."""


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


def fails(step: Callable[[], object]) -> bool:
    try:
        step()
    except Exception:  # noqa: BLE001 - pyHanko raises many kinds on odd files
        return True
    return False


def compare(data: bytes) -> int:
    """How many paths were compared; every state of the file, once upwards and once anew."""
    try:
        plain = PdfFileReader(io.BytesIO(data), strict=True)
        ours = QuickReader(data, strict=True)
        if plain.encrypted or plain.xrefs.hybrid_xrefs_present:
            return 0
    except Exception:  # noqa: BLE001 - unreadable files are left to pyHanko
        return 0
    carried, compared = Usages(ours), 0
    for revision in range(plain.xrefs.total_revisions):
        theirs = HistoricalResolver(plain, revision)
        refused = fails(theirs._load_reverse_xref_cache)
        # What pyHanko refuses is refused, and nothing else.
        assert fails(lambda: carried.move_to(revision)) == refused  # noqa: B023 - called at once
        if refused:
            continue
        used = theirs._indirect_object_access_cache
        keys = {(key.idnum, key.generation) for key in used}
        for key in keys | {(number, 0) for number in range(MISSING)}:
            wanted = {path.path for path in theirs._get_usages_of_ref(Reference(*key, pdf=theirs))}
            found = {path.path for path in carried.paths(Reference(*key, pdf=theirs))}
            assert found == wanted, (revision, key)
            compared += len(found)
        compare_dependencies(ours, theirs, keys)
    return compared


def compare_dependencies(ours: QuickReader, theirs: HistoricalResolver, keys: set) -> None:
    """What each object leads to in this state, from the beginning and of the newest revisions only."""
    mine = ours.get_historical_resolver(theirs.revision)
    for key in keys:
        for since in (None, theirs.revision, max(0, theirs.revision - 1)):
            found = outcome(mine, key, since)
            assert found == outcome(theirs, key, since), (theirs.revision, key, since)


def outcome(state: HistoricalResolver, key: tuple[int, int], since: int | None) -> object:
    """The numbers, or None for a file that is refused."""
    try:
        reference = generic.IndirectObject(*key, state)
        found = state.collect_dependencies(reference, since_revision=since)
    except Exception:  # noqa: BLE001 - pyHanko raises many kinds on odd files
        return None
    return {(one.idnum, one.generation) for one in found}


@pytest.mark.parametrize("path", files())
def test_every_object_of_every_state_is_used_where_pyhanko_finds_it(path):
    compare(path.read_bytes())


def tagged(*, twice: bool = False) -> bytes:
    """Pages and a structure tree that refer to each other; objects 6 and following."""
    return raw_pdf(
        [
            "<< /Type /StructTreeRoot /K 7 0 R /ParentTree 9 0 R >>",
            f"<< /S /Document /P 6 0 R /K [8 0 R {'8 0 R' if twice else ''} 10 0 R] >>",
            "<< /S /P /P 7 0 R /K << /Type /OBJR /Obj 4 0 R /Pg 3 0 R >> >>",
            "<< /Nums [0 [8 0 R 10 0 R]] >>",
            "<< /S /P /P 7 0 R /K null >>",
            "[11 0 R 3 0 R 1 0 R << /Deep [[6 0 R]] >>]",
        ],
        root="/StructTreeRoot 6 0 R /Odd 11 0 R",
    )


def test_a_structure_tree_and_loops_are_walked_as_pyhanko_walks_them():
    assert compare(tagged()) > 20


def test_an_object_that_is_nothing_but_a_reference_leads_nowhere():
    data = raw_pdf(["7 0 R", "<< /A 3 0 R >>", "<< /B 6 0 R >>"], root="/Odd 8 0 R")
    compare(data)
    reader = QuickReader(data, strict=True)
    assert held_at(reader, (6, 0), 0).references == (((), (7, 0)),)
    assert held_at(reader, (6, 0), 0).edges == ()


def test_what_an_object_held_is_known_for_each_state_by_itself():
    buffer = io.BytesIO(raw_pdf(["<< /Old [4 0 R] /In << /Parent 3 0 R >> >>"], root="/One 6 0 R"))
    writer = IncrementalPdfFileWriter(buffer)
    changed = writer.root["/One"]
    del changed["/Old"]
    changed["/OC"] = generic.DictionaryObject({"/Deep": generic.NullObject()})
    writer.mark_update(writer.root.raw_get("/One"))
    writer.write_in_place()
    reader = QuickReader(buffer.getvalue(), strict=True)
    for _again in range(2):
        old, new = (held_at(reader, (6, 0), revision) for revision in (0, 1))
        assert set(old.references) == {(("/Old", 0), (4, 0)), (("/In", "/Parent"), (3, 0))}
        assert old.edges == ((("/Old", 0), (4, 0)),)
        assert old.keys == {"/Old", "/In", "/Parent"}
        assert old.names == {"/Old", "/In"}
        assert new.references == ((("/In", "/Parent"), (3, 0)),)
        assert new.edges == ()
        assert new.keys == {"/In", "/Parent", "/OC", "/Deep"}


def test_an_element_that_stands_twice_is_refused_as_pyhanko_refuses_it():
    reader = QuickReader(tagged(twice=True), strict=True)
    with pytest.raises(Exception, match="stands twice in the structure tree"):
        Usages(reader).move_to(0)


def test_a_later_state_is_carried_on_and_an_older_one_known_again():
    buffer = io.BytesIO(raw_pdf(["<< /Old 4 0 R >>"], root="/One 6 0 R"))
    writer = IncrementalPdfFileWriter(buffer)
    changed = writer.root["/One"]
    changed["/New"] = writer.add_object(
        generic.DictionaryObject({"/Back": writer.trailer.raw_get("/Root")})
    )
    del changed["/Old"]
    writer.mark_update(writer.root.raw_get("/One"))
    writer.write_in_place()
    data = buffer.getvalue()
    assert compare(data) > 5
    reader = QuickReader(data, strict=True)
    usages = Usages(reader)
    stream = Reference(4, 0, pdf=reader)
    page = {("/Root", "/Pages", "/Kids", 0, "/Contents")}
    for revision, further in (
        (0, {("/Root", "/One", "/Old")}),
        (1, set()),
        (0, {("/Root", "/One", "/Old")}),
    ):
        usages.move_to(revision)
        assert {found.path for found in usages.paths(stream)} == page | further


def judged(reader: PdfFileReader) -> dict[str, Difference]:
    filled = enumerate_sig_fields(reader, filled_status=True)
    return differences(reader, [(str(name), reference) for name, _value, reference in filled])


@pytest.mark.parametrize("path", files())
def test_what_changed_is_judged_as_without_our_shortcuts(path):
    """The same differences by pyHanko's reader, whose rules see every field and walk every path."""
    data = path.read_bytes()
    try:
        plain = judged(PdfFileReader(io.BytesIO(data), strict=True))
    except Exception:  # noqa: BLE001 - unreadable files are left to pyHanko
        return
    assert judged(QuickReader(data, strict=True)) == plain
