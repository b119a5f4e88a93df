"""Archived files: the signed file with revocation data and document time stamps behind it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import ledger.store

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "agreement_archive",
        sa.Column("agreement_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("base_sha256", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("stamped_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("due_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("newest", sa.Boolean(), nullable=False),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_agreement_archive_agreement_id")
        ),
        sa.PrimaryKeyConstraint("agreement_id", "number", name=op.f("pk_agreement_archive")),
    )
    op.create_index("ix_agreement_archive_newest_due", "agreement_archive", ["newest", "due_at"])


def downgrade() -> None:
    """Remove it."""
    op.drop_table("agreement_archive")
