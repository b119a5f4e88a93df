"""Engine, transactions and column types. SQLite when embedded, PostgreSQL in production, one code path.

Transactions: one request or job is one transaction, committed by whoever opened the session. Rows are
written before anything outside is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import DateTime, Dialect, Engine, MetaData, Table, create_engine, event, insert
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.types import TypeDecorator

from ledger.core.errors import ConflictError, InputError, UnavailableError

BUSY_TIMEOUT_MS: Final = 15_000
"""How long a SQLite writer waits for another before the caller is told to retry."""
POOL_SIZE: Final = 8
READ_ONLY: Final = "fuqi_read_only"
BULK_ROWS_MIN: Final = 16
"""From so many rows on, the bulk path of `insert_rows` pays."""

_NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of every mapping; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(naming_convention=_NAMING)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC datetimes in and out, to the microsecond; a naive one is our own bug.

    SQLite hands aware datetimes back naive, which would break every comparison.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware datetime to UTC."""
        del dialect
        if value is None:
            return None
        assert value.tzinfo is not None, "naive datetime"
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """UTC datetime from the database, made aware where the driver lost the zone."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def make_engine(url: str) -> Engine:
    """An engine for `sqlite:///…` or `postgresql://…` (psycopg 3).

    Raises:
        UnavailableError: `database.unsupported` for any other kind.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            parsed,
            # The log gets the statement of a bug, never the names and numbers that were in it.
            hide_parameters=True,
            connect_args={"check_same_thread": False, "timeout": 15},
        )
        event.listen(engine, "connect", _sqlite_connect)
        event.listen(engine, "begin", _sqlite_begin)
        return engine
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(
            parsed, hide_parameters=True, pool_size=POOL_SIZE, pool_pre_ping=True, pool_timeout=10
        )
        event.listen(engine, "handle_error", _forget_values)
        return engine
    raise UnavailableError(
        "FUQI_DATABASE_URL must begin with sqlite:/// or postgresql://", code="database.unsupported"
    )


def _forget_values(context: ExceptionContext) -> None:
    """PostgreSQL repeats the refused row in the detail of its errors: not for the log either."""
    primary = _without_values(context.original_exception)
    if primary is not None and context.sqlalchemy_exception is not None:
        context.sqlalchemy_exception.args = (primary,)


def _without_values(error: BaseException) -> str | None:
    """Leave of a driver's error its first sentence, and return it; None where there is nothing to leave out."""
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    if primary is not None:
        error.args = (primary,)
    return primary


def _sqlite_connect(connection: Any, record: Any) -> None:
    del record
    # We begin transactions ourselves (below), so that a reader that later writes never dead-locks.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # FULL: what was acknowledged survives a power cut, not only a killed process.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    # What is overwritten is gone from the file: an erased data key must not stay in a free page.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.close()


def _sqlite_begin(connection: Any) -> None:
    # A transaction that may write takes its lock at once; one that only reads never waits for writers.
    reads = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def sessions(engine: Engine) -> sessionmaker[Session]:
    """Session factory; objects stay readable after commit, nothing loads lazily behind one's back."""
    return sessionmaker(engine, expire_on_commit=False, autoflush=True)


def readers(engine: Engine) -> sessionmaker[Session]:
    """Session factory for code that only reads: on SQLite it does not queue behind a writer."""
    return sessions(engine.execution_options(**{READ_ONLY: True}))


@contextmanager
def transaction(factory: sessionmaker[Session]) -> Iterator[Session]:
    """One transaction: commits on return, rolls back on raise, translates what the database refused.

    Raises:
        ConflictError: `concurrent_write`: somebody else wrote the same row first; retry.
        InputError: `database.value`: text too long for its column, or with a NUL character.
        UnavailableError: `database.disk_full`, `database.busy`, `database.unavailable`.
    """
    with translated(), factory.begin() as session:
        yield session


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into ours."""
    try:
        yield
    except IntegrityError as exc:
        if not _is_lost_race(exc.orig):
            raise  # a missing value or a change of the journal: our own bug, sending it again is no help
        raise ConflictError(
            "somebody else wrote this at the same moment; send it again", code="concurrent_write"
        ) from exc
    except DataError as exc:
        raise InputError("a value does not fit the database", code="database.value") from exc
    except PoolTimeoutError as exc:
        raise UnavailableError("the database is busy; try again", code="database.busy") from exc
    except InterfaceError as exc:
        raise UnavailableError("the database did not answer", code="database.unavailable") from exc
    except OperationalError as exc:
        text = str(exc.orig).lower()
        if "disk is full" in text or "no space left" in text or "disk i/o error" in text:
            raise UnavailableError(
                "the disk that holds the database is full; nothing was recorded",
                code="database.disk_full",
            ) from exc
        if any(word in text for word in ("locked", "busy", "lock timeout", "deadlock")):
            raise UnavailableError("the database is busy; try again", code="database.busy") from exc
        raise UnavailableError("the database did not answer", code="database.unavailable") from exc


def _is_lost_race(cause: object) -> bool:
    """Whether a refused row is there already, or the row it refers to is not there any more."""
    name = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
    return name in {
        *(
            "SQLITE_CONSTRAINT_UNIQUE",
            "SQLITE_CONSTRAINT_PRIMARYKEY",
            "SQLITE_CONSTRAINT_FOREIGNKEY",
        ),
        *("23505", "23503"),  # PostgreSQL: unique_violation, foreign_key_violation
    }


def insert_rows(session: Session, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns: the way for many.

    PostgreSQL gets them by COPY, SQLite as plain tuples; both take half the time of an INSERT by SQLAlchemy.

    Raises:
        DBAPIError: as an INSERT of the same rows would; see `translated`.
    """
    assert rows, "nothing to insert"
    connection = session.connection()
    if len(rows) < BULK_ROWS_MIN:
        session.execute(insert(table), list(rows))
        return
    names = list(rows[0])
    quote = connection.dialect.identifier_preparer.quote
    into = f"{quote(table.name)} ({', '.join(quote(name) for name in names)})"
    if connection.dialect.name != "postgresql":
        columns = [_converted(table, name, rows, connection.dialect) for name in names]
        marks = ", ".join("?" * len(names))
        statement = f"INSERT INTO {into} VALUES ({marks})"  # noqa: S608 - names of our own tables
        connection.exec_driver_sql(statement, list(zip(*columns, strict=True)))
        return
    statement = f"COPY {into} FROM STDIN"
    raw: Any = connection.connection.driver_connection
    try:
        with raw.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row([row[name] for name in names])
    except psycopg.Error as exc:
        _without_values(exc)
        # The same kinds of error as from any other statement.
        raise DBAPIError.instance(
            statement, None, exc, psycopg.Error, dialect=connection.dialect
        ) from exc


def _converted(
    table: Table, name: str, rows: Sequence[Mapping[str, Any]], dialect: Dialect
) -> list[Any]:
    """A column's values as the driver takes them; equal neighbours (times of one batch) are converted once."""
    convert = table.c[name].type.dialect_impl(dialect).bind_processor(dialect)
    values = [row[name] for row in rows]
    if convert is None or not isinstance(table.c[name].type, UtcDateTime):
        return values
    made: list[Any] = []
    before: Any = None
    text: Any = None
    for value in values:
        if text is None or value != before:
            before, text = value, convert(value)
        made.append(text)
    return made


def alembic_config(url: str) -> Config:
    """Alembic configuration without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("version_path_separator", "os")
    config.attributes["url"] = url
    return config


def migrate(url: str) -> None:
    """Bring the schema to the newest version; safe to run again and from several processes."""
    with translated():
        command.upgrade(alembic_config(url), "head")


def schema_state(engine: Engine) -> tuple[str | None, str | None]:
    """(version in the database, newest version in the code)."""
    with translated(), engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    script = ScriptDirectory.from_config(alembic_config(str(engine.url)))
    return current, script.get_current_head()
