"""The store keeps its promises on both databases: schema, times, transactions, refusals."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import BigInteger, Column, Engine, Integer, MetaData, Table, inspect, select, text
from sqlalchemy.exc import DBAPIError, StatementError

from ledger import store
from ledger.core.errors import ConflictError, UnavailableError

AT = datetime(2026, 11, 23, 5, 36, 11, 123456, tzinfo=UTC)

_metadata = MetaData()
_probe = Table(
    "probe_of_a_test",
    _metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", store.UtcDateTime),
    Column("count", BigInteger),
)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = store.make_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def probe(engine: Engine) -> Engine:
    _metadata.create_all(engine)
    return engine


def test_a_migrated_database_is_at_the_newest_version(engine: Engine) -> None:
    current, newest = store.schema_state(engine)
    assert current == newest
    assert newest is not None


def test_a_bare_database_says_it_has_no_version(bare_database_url: str) -> None:
    engine = store.make_engine(bare_database_url)
    current, newest = store.schema_state(engine)
    engine.dispose()
    assert current is None
    assert newest is not None


def test_migrating_twice_changes_nothing(bare_database_url: str) -> None:
    store.migrate(bare_database_url)
    engine = store.make_engine(bare_database_url)
    before = sorted(inspect(engine).get_table_names())
    store.migrate(bare_database_url)
    after = sorted(inspect(engine).get_table_names())
    engine.dispose()
    assert before == after
    assert len(before) > 1


def test_the_migrations_make_every_mapped_table(engine: Engine) -> None:
    made = set(inspect(engine).get_table_names())
    assert set(store.Base.metadata.tables) <= made


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=8))])
def test_a_time_comes_back_aware_and_equal(probe: Engine, zone: timezone) -> None:
    given = AT.astimezone(zone)
    with probe.begin() as connection:
        connection.execute(_probe.insert().values(id=1, at=given, count=2**53 - 1))
    with probe.connect() as connection:
        row = connection.execute(select(_probe)).one()
    assert row.at == AT
    assert row.at.tzinfo is UTC
    assert row.count == 2**53 - 1


def test_a_naive_time_is_refused(probe: Engine) -> None:
    naive = AT.replace(tzinfo=None)
    with pytest.raises(StatementError, match="naive"), probe.begin() as connection:
        connection.execute(_probe.insert().values(id=1, at=naive, count=0))


def test_a_transaction_that_raises_leaves_nothing(probe: Engine) -> None:
    factory = store.sessions(probe)

    def write_and_fail() -> None:
        with store.transaction(factory) as session:
            session.execute(_probe.insert().values(id=1, at=AT, count=1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    with store.transaction(factory) as session:
        assert session.execute(select(_probe)).all() == []
        session.execute(_probe.insert().values(id=1, at=AT, count=1))
    with store.transaction(factory) as session:
        assert len(session.execute(select(_probe)).all()) == 1


def test_a_lost_race_is_a_conflict_with_a_code(probe: Engine) -> None:
    factory = store.sessions(probe)
    with store.transaction(factory) as session:
        session.execute(_probe.insert().values(id=1, at=AT, count=1))
    with pytest.raises(ConflictError) as caught, store.transaction(factory) as session:
        session.execute(_probe.insert().values(id=1, at=AT, count=2))
    assert caught.value.error_code == "concurrent_write"


def test_what_the_database_refuses_is_logged_without_its_values(probe: Engine) -> None:
    query = text("SELECT 1 FROM table_of_nobody WHERE name = :name")
    value = {"name": "zhao-qian-sun"}
    with (
        pytest.raises((UnavailableError, DBAPIError)) as caught,
        store.transaction(store.sessions(probe)) as session,
    ):
        session.execute(query, value)
    told = "".join(traceback.format_exception(caught.value))
    assert "table_of_nobody" in told
    assert value["name"] not in told


def test_a_refused_row_is_logged_without_its_values(probe: Engine) -> None:
    factory, row = store.sessions(probe), {"id": 77_001_177, "at": AT, "count": 1}
    many = [{**row, "id": row["id"] + number} for number in range(store.BULK_ROWS_MIN)]
    with store.transaction(factory) as session:
        session.execute(_probe.insert().values(**row))
    for again in ([row], many):
        with pytest.raises(ConflictError) as caught, store.transaction(factory) as session:
            store.insert_rows(session, _probe, again)
        told = "".join(traceback.format_exception(caught.value))
        assert "probe_of_a_test" in told
        assert str(row["id"]) not in told


def test_an_unsupported_database_is_refused() -> None:
    with pytest.raises(UnavailableError) as caught:
        store.make_engine("mysql://nobody@localhost/nothing")
    assert caught.value.error_code == "database.unsupported"


def test_a_database_that_does_not_answer_is_unavailable(tmp_path: object) -> None:
    with pytest.raises(UnavailableError) as caught:
        store.migrate(f"postgresql://nobody@/nothing?host={tmp_path}")
    assert caught.value.error_code == "database.unavailable"
