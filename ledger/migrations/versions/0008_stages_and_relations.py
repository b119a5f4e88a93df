"""Stages, quorums and approvals; amounts; how one agreement relates to another."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import ledger.store

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. Plain ADD COLUMN on both databases; earlier rows had one signer per stage."""
    time = ledger.store.UtcDateTime(timezone=True)
    for column in (
        sa.Column("quorums", sa.Text(), nullable=False, server_default="{}"),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("relation", sa.String(length=12), nullable=True),
        sa.Column("related_id", sa.String(length=40), nullable=True),
        sa.Column("hand_out_partial", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("read_seconds_min", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("released_at", time, nullable=True),
        sa.Column("reminded_at", time, nullable=True),
    ):
        op.add_column("agreement", column)
    op.create_index(op.f("ix_agreement_related_id"), "agreement", ["related_id"])
    for column in (
        sa.Column("stage", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("act", sa.String(length=8), nullable=False, server_default="sign"),
        sa.Column("approved_at", time, nullable=True),
        sa.Column("refused_at", time, nullable=True),
        sa.Column("forwarded_at", time, nullable=True),
        sa.Column("forwarded_to", sa.String(length=40), nullable=True),
    ):
        op.add_column("agreement_signer", column)
    op.execute("UPDATE agreement_signer SET stage = position")


def downgrade() -> None:
    """Remove them."""
    for name in ("forwarded_to", "forwarded_at", "refused_at", "approved_at", "act", "stage"):
        op.drop_column("agreement_signer", name)
    op.drop_index(op.f("ix_agreement_related_id"), table_name="agreement")
    for name in (
        "reminded_at",
        "released_at",
        "read_seconds_min",
        "hand_out_partial",
        "related_id",
        "relation",
        "currency",
        "amount_minor",
        "quorums",
    ):
        op.drop_column("agreement", name)
