"""Objections against a published round, with the operator's answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import ledger.store

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    time = ledger.store.UtcDateTime(timezone=True)
    op.create_table(
        "round_objection",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("round_id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=True),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("released", sa.Integer(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("decided_by", sa.String(length=40), nullable=True),
        sa.Column("decided_at", time, nullable=True),
        sa.ForeignKeyConstraint(
            ["round_id"], ["matching_round.id"], name=op.f("fk_round_objection_round_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["party.id"], name=op.f("fk_round_objection_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_round_objection")),
    )
    op.create_index(
        "uq_round_objection_open",
        "round_objection",
        ["round_id", "organisation_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_round_objection_state", "round_objection", ["state", "id"])
    op.create_index("ix_round_objection_organisation", "round_objection", ["organisation_id", "id"])


def downgrade() -> None:
    """Remove it."""
    op.drop_table("round_objection")
