"""Journal, tree and checkpoints are insert-only: the database itself refuses changes.

A journal row may change once: when the sequencer gives it its number.
"""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES: Final = ("journal_entry", "log_node", "checkpoint")
FIXED: Final = (
    "id",
    "type",
    "at",
    "subject",
    "actor",
    "body_commitment",
    "prev",
    "bytes",
    "leaf",
    "journaled_at",
    '"order"',
)
MESSAGE: Final = "this table is insert-only"


def upgrade() -> None:
    """Add the triggers."""
    if op.get_bind().dialect.name == "postgresql":
        _postgresql()
    else:
        _sqlite()


def downgrade() -> None:
    """Remove the triggers."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    for table in TABLES:
        for event in ("update", "delete"):
            suffix = f" ON {table}" if postgresql else ""
            op.execute(f"DROP TRIGGER {table}_no_{event}{suffix}")
    if postgresql:
        op.execute("DROP FUNCTION fuqi_insert_only()")


def _postgresql() -> None:
    op.execute(
        "CREATE FUNCTION fuqi_insert_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'restrict_violation'; END $$"
    )
    changed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in FIXED)
    for table in TABLES:
        when = f"WHEN (OLD.seq IS NOT NULL OR {changed})" if table == "journal_entry" else ""
        op.execute(
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} FOR EACH ROW {when} "
            "EXECUTE FUNCTION fuqi_insert_only()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW "
            "EXECUTE FUNCTION fuqi_insert_only()"
        )


def _sqlite() -> None:
    changed = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in FIXED)
    for table in TABLES:
        when = f"WHEN OLD.seq IS NOT NULL OR {changed}" if table == "journal_entry" else ""
        for event, condition in (("update", when), ("delete", "")):
            op.execute(
                f"CREATE TRIGGER {table}_no_{event} BEFORE {event.upper()} ON {table} {condition} "
                f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
            )
