"""Files that hang, swell or crash a parser: the child is stopped, the caller hears why, the next file works."""

from __future__ import annotations

import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import pytest

from arbitration.examining import Examiner
from ledger.core.errors import FuqiError, InputError, LimitError, UnavailableError
from ledger.core.report import Verdict
from signing.intake import PdfLimits
from signing.sandbox import Sandbox, SandboxError, SandboxLimits
from signing.testing_pdf import raw_pdf

AT = datetime(2026, 11, 23, tzinfo=UTC)
MODULE = "signing.testing_sandbox"
NAMES = ("length", "refuse", "spin", "swell", "fall", "leave")
QUICK = SandboxLimits(seconds=2, cpu_seconds=30, memory_bytes=768 * 1024 * 1024, wait_seconds=1)
NOT_WAITED = 60
"""Seconds after which a test would say that the limit did not hold; the machine may be busy."""


@pytest.fixture(scope="module")
def sandbox():
    made = Sandbox({name: f"{MODULE}:{name}" for name in NAMES}, workers=1, limits=QUICK)
    yield made
    made.close()


@pytest.fixture(scope="module")
def examiner():
    made = Examiner(workers=1, limits=SandboxLimits(seconds=4))
    yield made
    made.close()


def test_honest_work_comes_back_and_the_child_stays_warm(sandbox):
    first = sandbox.run("length", {"a": 1}, b"x" * 70_000)
    second = sandbox.run("length", {}, b"")
    assert (first["size"], first["options"], second["size"]) == (70_000, {"a": 1}, 0)
    assert first["process"] == second["process"]


def test_a_child_of_a_large_parent_is_not_taken_for_worn_out():
    """Its memory is counted from its own start: the kernel's other count goes on from the parent's."""
    ballast = b"x" * (400 * 1024 * 1024)
    limits = replace(QUICK, resident_bytes_max=256 * 1024 * 1024)
    box = Sandbox({"length": f"{MODULE}:length"}, workers=1, limits=limits)
    try:
        assert box.run("length", {}, b"")["process"] == box.run("length", {}, b"")["process"]
    finally:
        box.close()
    assert len(ballast) > 256 * 1024 * 1024


def test_a_child_that_does_not_start_is_no_fault_of_the_file():
    """A damaged installation must not tell a sender that their PDF is too costly; nor lose its places."""
    box = Sandbox({"length": "signing.no_such_module:length"}, workers=1, limits=QUICK)
    try:
        box.warm()
        for _again in range(2):
            with pytest.raises(UnavailableError) as caught:
                box.run("length", {}, b"x")
            assert caught.value.error_code == "sandbox.not_started"
            assert not isinstance(caught.value, SandboxError)
    finally:
        box.close()


def test_our_own_errors_pass_with_class_code_and_context(sandbox):
    with pytest.raises(InputError) as caught:
        sandbox.run("refuse", {}, b"")
    assert caught.value.error_code == "input.invalid"
    assert caught.value.context == {"limit": 7}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("spin", "sandbox.time_limit"),
        ("fall", "sandbox.stopped"),
    ],
)
def test_what_goes_beyond_a_limit_is_stopped_and_the_next_file_works(sandbox, name, code):
    before = sandbox.run("length", {}, b"")["process"]
    start = time.monotonic()
    with pytest.raises(SandboxError) as caught:
        sandbox.run(name, {}, b"file")
    assert caught.value.error_code == code
    assert time.monotonic() - start < NOT_WAITED
    after = sandbox.run("length", {}, b"abc")
    assert after["size"] == 3
    assert after["process"] != before


def test_what_takes_too_much_memory_is_stopped_and_the_next_file_works():
    # Time enough for a busy machine: memory must be what ends it.
    patient = Sandbox(
        {name: f"{MODULE}:{name}" for name in NAMES},
        workers=1,
        limits=replace(QUICK, seconds=NOT_WAITED),
    )
    try:
        with pytest.raises(SandboxError) as caught:
            patient.run("swell", {}, b"file")
        assert caught.value.error_code == "sandbox.memory_limit"
        assert patient.run("length", {}, b"abc")["size"] == 3
    finally:
        patient.close()


def test_the_child_can_neither_write_nor_connect_nor_start_others(sandbox, tmp_path):
    assert sandbox.run("leave", {"folder": str(tmp_path)}, b"") == []
    # The file is created before its size is refused; nothing can be put into it.
    assert all(path.stat().st_size == 0 for path in tmp_path.iterdir())


def test_whoever_finds_no_free_child_is_told_to_try_again(sandbox):
    with ThreadPoolExecutor(1) as other:
        busy = other.submit(sandbox.run, "spin", {}, b"")
        time.sleep(0.5)
        with pytest.raises(UnavailableError) as caught:
            sandbox.run("length", {}, b"")
        assert caught.value.error_code == "sandbox.busy"
        assert isinstance(busy.exception(), SandboxError)


@cache
def bomb() -> bytes:
    """An object stream of 256 MB of spaces, packed twice into a few hundred bytes."""
    packer = zlib.compressobj(9)
    once = b"".join(packer.compress(b" " * (1 << 20)) for _megabyte in range(256)) + packer.flush()
    twice = zlib.compress(once, 9)
    head = f"<< /Type /ObjStm /N 1 /First 4 /Filter [/FlateDecode /FlateDecode] /Length {len(twice)} >>"
    return raw_pdf(
        [f"{head}\nstream\n{twice.decode('latin-1')}\nendstream"], root="/AcroForm 6 0 R"
    )


def page_bomb() -> bytes:
    """A page that draws itself 10^9 times, by forms that call forms."""
    forms = []
    for level in range(9):
        body = "/N Do\n" * 10
        inner = f"/Resources << /XObject << /N {7 + level + 1} 0 R >> >>" if level < 8 else ""
        forms.append(
            f"<< /Type /XObject /Subtype /Form /BBox [0 0 300 300] {inner} /Length {len(body)} >>"
            f"\nstream\n{body}\nendstream"
        )
    return raw_pdf(["<< >>", *forms], page="/Thumb 6 0 R /PieceInfo 7 0 R")


def page_loop() -> bytes:
    return raw_pdf([]).replace(b"/Kids [3 0 R]", b"/Kids [2 0 R]")


def huge_table() -> bytes:
    return raw_pdf([]).replace(b"xref\n0 6", b"xref\n0 9999999999")


def huge_table_stream() -> bytes:
    """A cross-reference stream that claims two thousand million entries of no bytes each."""
    body = raw_pdf([]).partition(b"xref\n0 6")[0]
    stream = (
        b"9 0 obj\n<< /Type /XRef /W [0 0 0] /Index [0 1999999999] /Size 1999999999 /Root 1 0 R "
        b"/Length 0 >>\nstream\n\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % len(body)
    )
    return body + stream


def deep() -> bytes:
    return raw_pdf(["[" * 200_000 + "]" * 200_000], root="/Deep 6 0 R")


def endless_prev() -> bytes:
    """A trailer whose earlier table is itself."""
    data = raw_pdf([])
    start = data.rindex(b"xref\n0")
    return data.replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev %d" % start)


HOSTILE = (bomb, page_bomb, page_loop, huge_table, huge_table_stream, deep, endless_prev)


@pytest.mark.parametrize("make", HOSTILE, ids=[make.__name__ for make in HOSTILE])
def test_a_hostile_file_ends_in_time_without_passing(examiner, make):
    start = time.monotonic()
    report = examiner.examine(make() + b"% /ByteRange\n%%EOF\n", trust=None, at=AT)
    assert report.verdict is not Verdict.PASSED
    assert report.checks
    assert time.monotonic() - start < NOT_WAITED


@pytest.mark.parametrize("make", HOSTILE, ids=[make.__name__ for make in HOSTILE])
def test_a_hostile_file_is_refused_or_taken_in_time(examiner, make):
    start = time.monotonic()
    try:
        outcome = f"pdf.{examiner.take_in(make(), limits=PdfLimits()).pages}"
    except FuqiError as exc:
        outcome = exc.error_code
    assert outcome.startswith("pdf.")
    assert time.monotonic() - start < NOT_WAITED


def test_a_file_that_takes_too_long_is_indeterminate_with_the_limit_as_reason():
    slow = Examiner(workers=1, limits=SandboxLimits(seconds=2))
    try:
        report = slow.examine(huge_table_stream(), trust=None, at=AT)
        with pytest.raises(LimitError) as caught:
            slow.take_in(huge_table_stream(), limits=PdfLimits())
    finally:
        slow.close()
    assert report.verdict is Verdict.INDETERMINATE
    assert [check.code for check in report.checks] == ["pdf.limits"]
    assert report.checks[0].details == {"reason": "time_limit"}
    assert caught.value.error_code == "pdf.too_costly"
    assert caught.value.context["reason"] == "time_limit"


def test_the_verdict_from_the_child_is_that_of_the_checks(examiner):
    report = examiner.examine(raw_pdf([]), trust=None, at=AT)
    assert report.subject == "pdf"
    assert report.verdict is Verdict.INDETERMINATE
    assert report.checks[-1].code == "pdf.no_signature"


def test_what_is_no_evidence_at_all_is_refused(examiner):
    with pytest.raises(InputError) as caught:
        examiner.examine(b"hello", trust=None, at=AT)
    assert caught.value.error_code == "verify.unknown_kind"
