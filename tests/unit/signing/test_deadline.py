"""The time limit inside the process: wherever it strikes, the answer is "not known" and never "good"."""

from __future__ import annotations

import itertools
import threading
import time
from types import SimpleNamespace

import pytest

from ledger.core.report import Verdict
from signing import deadline
from signing.changes import SPACES_MAX, undeclared_objects
from signing.testing import throwaway_pki
from signing.testing_pdf import SignedSample, two_party_sample
from signing.validate import integrity_report, validate_pdf


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SignedSample:
    return two_party_sample(throwaway_pki(tmp_path_factory.mktemp("pki")))


def judged(data: bytes, sample: SignedSample, **kwargs: int):
    return validate_pdf(data, trust=sample.trust, at=sample.at, **kwargs)


def striking_after(checks: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A clock that jumps by an hour when it is looked at for the n-th time; and how often it was."""
    looked, counter, real = [0], itertools.count(), time.monotonic

    def monotonic() -> float:
        looked[0] = next(counter)
        return real() + (0.0 if looked[0] <= checks else 3_600.0)

    monkeypatch.setattr(deadline, "time", SimpleNamespace(monotonic=monotonic))
    return looked


def limits(report) -> list[str]:
    return [str(one.details["reason"]) for one in report.checks if one.code == "pdf.limits"]


def test_no_time_at_all_is_indeterminate_with_its_code(sample):
    report = judged(sample.data, sample, seconds=0)
    assert (report.verdict, limits(report)) == (Verdict.INDETERMINATE, ["time_limit"])
    assert limits(integrity_report(sample.data, seconds=0)) == ["time_limit"]
    assert judged(sample.data, sample).verdict is Verdict.PASSED


def test_wherever_the_time_ends_the_file_does_not_pass(sample, monkeypatch):
    looked = striking_after(10**9, monkeypatch)
    assert judged(sample.data, sample).verdict is Verdict.PASSED
    total = looked[0]
    assert total > 100
    for checks in (*range(1, 12), *range(12, total, max(1, total // 15))):
        striking_after(checks, monkeypatch)
        report = judged(sample.data, sample)
        assert report.verdict is Verdict.INDETERMINATE, checks
        assert limits(report) == ["time_limit"], checks


def test_what_was_found_wrong_before_the_time_ended_stays_wrong(sample, monkeypatch):
    data = sample.data.replace(b"Pay 100", b"Pay 900")
    looked = striking_after(10**9, monkeypatch)
    assert judged(data, sample).verdict is Verdict.FAILED
    striking_after(looked[0] - 1, monkeypatch)
    report = judged(data, sample)
    assert (report.verdict, limits(report)) == (Verdict.FAILED, ["time_limit"])


def test_an_inner_limit_cannot_outlive_the_outer_one_and_none_reaches_another_thread():
    with deadline.within(0), deadline.within(1_000):
        time.sleep(0.001)
        with pytest.raises(deadline.TimeIsUp):
            deadline.check()
        there: list[str] = []
        other = threading.Thread(target=lambda: (deadline.check(), there.append("free")))
        other.start()
        other.join()
        assert there == ["free"]
    deadline.check()


def test_many_offsets_into_one_run_of_spaces_cost_no_time():
    """A table can point to each of a hundred thousand spaces; skipping them all from each would take hours."""
    data = b" " * 200_000 + b"7 0 obj"
    began = time.process_time()
    found = undeclared_objects(data, start=0, declared=range(0, 200_000, 20))
    assert time.process_time() - began < 10
    assert found == []
    near = b"%" + b" " * SPACES_MAX + b"7 0 obj\n"
    assert undeclared_objects(near, start=0, declared=[1]) == []
    assert undeclared_objects(near, start=0, declared=[0]) == [1 + SPACES_MAX]
