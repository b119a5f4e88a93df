"""Notices to organisations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import ledger.store

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "notice",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("cause", sa.String(length=40), nullable=False),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("seen_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["party.id"], name=op.f("fk_notice_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint(
            "organisation_id", "kind", "subject", "cause", name=op.f("uq_notice_organisation_id")
        ),
    )
    op.create_index("ix_notice_organisation_created", "notice", ["organisation_id", "created_at"])


def downgrade() -> None:
    """Remove it."""
    op.drop_table("notice")
