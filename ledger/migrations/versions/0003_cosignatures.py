"""Cosignatures of witnesses; the mark of data that is stored and nothing else."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

import ledger.store

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MESSAGE: Final = "this table is insert-only"


def upgrade() -> None:
    """Add the table, its triggers and the column."""
    op.create_table(
        "cosignature",
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("witness", sa.String(length=200), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("cosigned_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["size"], ["checkpoint.size"], name=op.f("fk_cosignature_size")),
        sa.PrimaryKeyConstraint("size", "witness", name=op.f("pk_cosignature")),
    )
    # Plain ADD COLUMN on both databases: a batch would copy the table of keys on SQLite.
    op.add_column(
        "data_key",
        sa.Column("restricted_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
    )
    for event in ("update", "delete"):
        if op.get_bind().dialect.name == "postgresql":
            action = "FOR EACH ROW EXECUTE FUNCTION fuqi_insert_only()"
        else:
            action = f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
        op.execute(
            f"CREATE TRIGGER cosignature_no_{event} BEFORE {event.upper()} ON cosignature {action}"
        )


def downgrade() -> None:
    """Remove them."""
    op.drop_column("data_key", "restricted_at")
    op.drop_table("cosignature")
