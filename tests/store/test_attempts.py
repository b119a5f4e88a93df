"""Attempts are counted for all processes together, in few rows and little time."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from api.limits import Rate, RateLimiter, RateLimitError
from ledger import attempts as module
from ledger.attempts import open_attempts
from ledger.core.errors import UnavailableError

AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
NOW = int(AT.timestamp())
ROOT = Path(__file__).resolve().parents[2]
TRIER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from api.limits import Rate, RateLimiter, RateLimitError
from ledger.attempts import open_attempts
at = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
counted = open_attempts(sys.argv[1], home=Path(sys.argv[2]))
limiter = RateLimiter(rates={"r": Rate(count=20, seconds=60)}, attempts=counted)
passed = 0
for _ in range(20):
    try:
        limiter.attempt("r", who="guesser", at=at)
    except RateLimitError:
        continue
    passed += 1
counted.close()
print(passed)
"""


@pytest.fixture
def counter(database_url: str, tmp_path: Path):
    made = open_attempts(database_url, home=tmp_path)
    yield made
    made.close()


def test_four_processes_together_let_through_what_one_may(
    database_url: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", TRIER, database_url, str(tmp_path)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(4)
    ]
    passed = [int(process.communicate(timeout=120)[0]) for process in running]
    assert sum(passed) == 20, passed


def test_threads_of_one_process_lose_no_attempt(counter) -> None:
    def work() -> None:
        for _ in range(25):
            counter.count("r", "somebody", window_end=NOW + 60, now=NOW)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.count("r", "somebody", window_end=NOW + 60, now=NOW) == 201


def test_a_counter_that_was_closed_opens_again_and_remembers(counter) -> None:
    assert counter.count("r", "a", window_end=NOW + 60, now=NOW) == 1
    counter.close()
    assert counter.count("r", "a", window_end=NOW + 60, now=NOW) == 2


def test_windows_rules_and_people_are_told_apart(counter) -> None:
    end = NOW + 60
    assert counter.count("r", "a", window_end=end, now=NOW) == 1
    assert counter.count("r", "a", window_end=end, now=NOW) == 2
    assert counter.count("r", "b", window_end=end, now=NOW) == 1
    assert counter.count("s", "a", window_end=end, now=NOW) == 1
    assert counter.count("r", "a", window_end=end + 60, now=NOW + 60) == 1
    # A process whose clock is behind does not start the window anew.
    assert counter.count("r", "a", window_end=end, now=NOW) == 2


def test_a_flood_of_addresses_leaves_few_rows(
    counter, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_MAX", 100)
    monkeypatch.setattr(module, "TIDY_EVERY", 10)
    for number in range(300):
        counter.count("r", f"address {number}", window_end=NOW + 60, now=NOW)
    assert rows(database_url, tmp_path) <= 110
    # Windows that are over go first, whatever their number.
    for _ in range(11):
        counter.count("r", "later", window_end=NOW + 180, now=NOW + 120)
    assert rows(database_url, tmp_path) == 1


def rows(database_url: str, home: Path) -> int:
    where = database_url
    if database_url.startswith("sqlite"):
        where = f"sqlite:///{home / 'attempts.sqlite3'}"
    engine = module.create_engine(
        module.make_url(where).set(drivername="postgresql+psycopg")
        if where.startswith("postgresql")
        else where
    )
    with engine.connect() as connection:
        found = connection.execute(text("SELECT count(*) FROM attempt")).scalar_one()
    engine.dispose()
    return int(found)


def test_who_tried_is_not_kept_and_a_refusal_lasts_until_the_window_ends(
    counter, database_url: str, tmp_path: Path
) -> None:
    digest = {"r/203.0.113.7": "d" * 64}
    limiter = RateLimiter(
        rates={"r": Rate(count=1, seconds=60)}, attempts=counter, digest=digest.__getitem__
    )
    limiter.attempt("r", who="203.0.113.7", at=AT)
    for _ in range(3):
        with pytest.raises(RateLimitError) as caught:
            limiter.attempt("r", who="203.0.113.7", at=AT + timedelta(seconds=1))
    assert caught.value.context["retry_after_seconds"] == 59
    # Refused without asking the database again: one attempt and one refusal stand there.
    assert counter.count("r", "d" * 64, window_end=NOW + 60, now=NOW) == 3
    limiter.attempt("r", who="203.0.113.7", at=AT + timedelta(seconds=60))


def test_a_counter_that_cannot_be_reached_lets_nobody_in(tmp_path: Path) -> None:
    counted = open_attempts(f"postgresql://fuqi@/nowhere?host={tmp_path}", home=tmp_path)
    limiter = RateLimiter(rates={"r": Rate(count=1, seconds=60)}, attempts=counted)
    with pytest.raises(UnavailableError):
        limiter.attempt("r", who="a", at=AT)
    counted.close()
    (tmp_path / "attempts.sqlite3").mkdir()
    with pytest.raises(UnavailableError):
        open_attempts("sqlite:///x", home=tmp_path)


def test_an_attempt_costs_less_than_a_millisecond_of_this_process(counter) -> None:
    for _ in range(50):
        counter.count("r", "warm", window_end=NOW + 60, now=NOW)
    start = time.process_time()
    for number in range(500):
        counter.count("r", f"w{number % 50}", window_end=NOW + 60, now=NOW)
    assert (time.process_time() - start) / 500 < 0.001
