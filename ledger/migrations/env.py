"""Alembic environment: one writer at a time, short lock waits, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Final

from alembic import context
from sqlalchemy import Connection, text

from ledger.schema import METADATA
from ledger.store import make_engine

ADVISORY_LOCK: Final = 0x66757169
"""`fuqi`: PostgreSQL advisory lock, so that two starting processes do not migrate at once."""


def run() -> None:
    """Run the pending migrations in one transaction."""
    engine = make_engine(context.config.attributes["url"])
    try:
        with engine.connect() as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL lock_timeout = '4s'"))
                connection.execute(text("SET LOCAL statement_timeout = '60s'"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": ADVISORY_LOCK})
            _migrate(connection)
    finally:
        # A migration that refuses must not leave its connection behind.
        engine.dispose()


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        transactional_ddl=True,
    )
    context.run_migrations()


run()
