"""Every store test runs against both databases, each in a fresh, migrated one of its own."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from ledger import store

BOTH = [pytest.param("sqlite"), pytest.param("postgres", marks=pytest.mark.postgres)]


def _text(url: object) -> str:
    return url.render_as_string(hide_password=False)


class _Postgres:
    """Makes and drops databases on one server; a migrated one is copied, not migrated again."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url).set(drivername="postgresql+psycopg")
        self.engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
        self.template = ""

    def run(self, statement: str) -> None:
        with self.engine.connect() as connection:
            connection.execute(text(statement))

    def create(self, *, template: str = "template0") -> str:
        name = f"fuqi_test_{secrets.token_hex(6)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8'")
        return name

    def drop(self, name: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def url_of(self, name: str) -> str:
        return _text(self.url.set(drivername="postgresql", database=name))

    def migrated(self) -> str:
        if not self.template:
            name = self.create()
            store.migrate(self.url_of(name))
            self.template = name
        return self.template


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: str) -> Iterator[_Postgres]:
    server = _Postgres(postgres_server)
    yield server
    if server.template:
        server.drop(server.template)
    server.engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, closed, so that copying the one file copies everything."""
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite3"
    store.migrate(f"sqlite:///{path}")
    # Not through our engine: it begins a transaction first, and inside one nothing is checkpointed.
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database with the newest schema: once SQLite, once PostgreSQL."""
    if request.param == "sqlite":
        template = request.getfixturevalue("sqlite_template")
        yield f"sqlite:///{shutil.copy(template, tmp_path / 'fuqi.sqlite3')}"
        return
    server: _Postgres = request.getfixturevalue("postgres_databases")
    name = server.create(template=server.migrated())
    yield server.url_of(name)
    server.drop(name)


@pytest.fixture(params=BOTH)
def bare_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database without any table, for tests of the migrations themselves."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'bare.sqlite3'}"
        return
    server: _Postgres = request.getfixturevalue("postgres_databases")
    name = server.create()
    yield server.url_of(name)
    server.drop(name)
