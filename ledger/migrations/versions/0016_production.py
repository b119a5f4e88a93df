"""Attempts counted for all processes together; expired uploads found by their end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and the index."""
    # Counts of the last minutes need not survive a crash of the database: without a write-ahead log an
    # attempt costs no flush to disk.
    unlogged = ["UNLOGGED"] if op.get_bind().dialect.name == "postgresql" else []
    op.create_table(
        "attempt",
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("window_end", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("rule", "who", name=op.f("pk_attempt")),
        prefixes=unlogged,
    )
    op.create_index(op.f("ix_attempt_window_end"), "attempt", ["window_end"])
    op.create_index(op.f("ix_upload_draft_expires_at"), "upload_draft", ["expires_at"])


def downgrade() -> None:
    """Remove them."""
    op.drop_index(op.f("ix_upload_draft_expires_at"), table_name="upload_draft")
    op.drop_table("attempt")
