"""Attempts counted for all processes of an installation together: fixed windows, bounded rows, one statement.

PostgreSQL counts in the installation's own database, in a table that is not logged. SQLite has one writer,
behind whom a log-in must not wait: there the same table lies in a file of its own beside the database.

Who tried stands as a keyed digest: neither addresses nor login names are kept.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.schema import CreateIndex, CreateTable

from ledger.core.errors import UnavailableError
from ledger.store import translated
from ledger.tables.access import AttemptRow

ROWS_MAX: Final = 50_000
"""About 10 MB. Beyond it the windows that end first are forgotten: a flood must not fill the disk."""
TIDY_EVERY: Final = 512
"""Attempts of one process between two tidyings, of which each takes a few milliseconds."""
TIDY_ROWS: Final = 5_000
WAIT_MS: Final = 1_000
"""Longer than any other attempt holds the row: whoever waits longer is told that the database is busy."""
CONNECTIONS: Final = 4

_COUNT: Final = """
INSERT INTO attempt (rule, who, window_end, tries) VALUES ({0}, {0}, {0}, 1)
ON CONFLICT (rule, who) DO UPDATE SET
  tries = CASE WHEN attempt.window_end >= excluded.window_end THEN attempt.tries + 1 ELSE 1 END,
  window_end = CASE WHEN attempt.window_end >= excluded.window_end
    THEN attempt.window_end ELSE excluded.window_end END
RETURNING tries
"""
_EXPIRE: Final = """
DELETE FROM attempt WHERE (rule, who) IN
  (SELECT rule, who FROM attempt WHERE window_end <= {0} ORDER BY window_end LIMIT {0})
"""
_DROP: Final = """
DELETE FROM attempt WHERE (rule, who) IN
  (SELECT rule, who FROM attempt ORDER BY window_end, rule, who LIMIT {0})
"""
_ROWS: Final = "SELECT count(*) FROM attempt"


class Attempts(Protocol):
    """Counts attempts."""

    def count(self, rule: str, who: str, *, window_end: int, now: int) -> int:
        """How many attempts of `who` under `rule` there were in this window, this one included.

        Args:
            who: at most 64 characters, a digest.
            window_end, now: seconds since 1970.

        Raises:
            UnavailableError: `database.busy`, `database.unavailable`, `database.disk_full`.
        """

    def close(self) -> None:
        """Give back what is held open."""


class PostgresAttempts:
    """Counted in the installation's PostgreSQL, on connections of their own."""

    def __init__(self, url: str) -> None:
        """Connects at the first attempt."""
        self._engine: Engine = create_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            isolation_level="AUTOCOMMIT",
            pool_size=CONNECTIONS,
            pool_pre_ping=True,
            pool_timeout=WAIT_MS // 1000,
            connect_args={
                # A count that a crash takes back is no loss; waiting for the disk at each request would be.
                "options": f"-c synchronous_commit=off -c lock_timeout={WAIT_MS}"
            },
        )
        self._tidy = _Tidy()

    def count(self, rule: str, who: str, *, window_end: int, now: int) -> int:
        """As `Attempts.count`."""
        with translated(), self._engine.connect() as connection:

            def run(text: str, *values: object) -> Any:
                return connection.exec_driver_sql(text.format("%s"), values)

            self._tidy(run, now=now)
            return int(run(_COUNT, rule, who, window_end).scalar_one())

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


class SqliteAttempts:
    """Counted in a SQLite file that every process of this machine opens."""

    def __init__(self, path: Path) -> None:
        """Make the file where there is none.

        Raises:
            UnavailableError: `database.unavailable`.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = threading.Lock()
        self._tidy = _Tidy()
        self._connection: sqlite3.Connection | None = self._open()

    def count(self, rule: str, who: str, *, window_end: int, now: int) -> int:
        """As `Attempts.count`."""

        try:
            with self._lock:
                # Closed by whoever ended a server in this process, as an engine's pool is: opened again.
                connection = self._connection = self._connection or self._open()

                def run(text: str, *values: object) -> Any:
                    return connection.execute(text.format("?"), values)

                self._tidy(run, now=now)
                # Read to its end: SQLite commits with the last row.
                return int(run(_COUNT, rule, who, window_end).fetchall()[0][0])
        except sqlite3.Error as exc:
            raise _unavailable(exc) from exc

    def close(self) -> None:
        """Close the file; the next attempt opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                self._path, timeout=WAIT_MS / 1000, isolation_level=None, check_same_thread=False
            )
            with closing(connection.cursor()) as cursor:
                cursor.execute("PRAGMA journal_mode=WAL")
                cursor.execute("PRAGMA synchronous=OFF")
                for statement in _DDL:
                    cursor.execute(statement)
        except sqlite3.Error as exc:
            raise _unavailable(exc) from exc
        return connection


class _Tidy:
    """Every so many attempts: forget windows that are over, and the oldest beyond the limit."""

    def __init__(self) -> None:
        self._since = TIDY_EVERY - 1

    def __call__(self, run: Callable[..., Any], *, now: int) -> None:
        # Two threads that meet here tidy once too often or too late by one: neither matters.
        self._since += 1
        if self._since < TIDY_EVERY:
            return
        self._since = 0
        run(_EXPIRE, now, TIDY_ROWS)
        over = int(run(_ROWS).fetchone()[0]) - ROWS_MAX
        if over > 0:
            run(_DROP, over)


def open_attempts(url: str, *, home: Path) -> Attempts:
    """The counter of an installation with this database.

    Raises:
        UnavailableError: `database.unavailable`.
    """
    if make_url(url).get_backend_name() == "postgresql":
        return PostgresAttempts(url)
    return SqliteAttempts(home / "attempts.sqlite3")


def _unavailable(exc: sqlite3.Error) -> UnavailableError:
    if "locked" in str(exc):
        return UnavailableError("the database is busy; try again", code="database.busy")
    return UnavailableError("the counter of attempts cannot be used", code="database.unavailable")


def _ddl() -> tuple[str, ...]:
    """The statements that make the table: from the mapping, so that there is one description of it."""
    table: Any = AttemptRow.__table__
    return (
        str(CreateTable(table, if_not_exists=True)),
        *(str(CreateIndex(index, if_not_exists=True)) for index in table.indexes),
    )


_DDL: Final = _ddl()
