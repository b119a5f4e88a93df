"""What each round has on the chain, and claims of imported offers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import ledger.store

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the two tables. Rounds before them keep the commitment that they have, and nothing is added."""
    op.create_table(
        "round_chain",
        sa.Column("round_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=400), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("columns", sa.Integer(), nullable=False),
        sa.Column("inputs_root", sa.String(length=64), nullable=True),
        sa.Column("policy_hash", sa.String(length=64), nullable=True),
        sa.Column("chain_round", sa.String(length=64), nullable=True),
        sa.Column("plan_root", sa.String(length=64), nullable=True),
        sa.Column("objective", sa.String(length=40), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("act_id", sa.String(length=40), nullable=True),
        sa.Column("closes_at", ledger.store.UtcDateTime(), nullable=True),
        sa.Column("due_at", ledger.store.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["act_id"], ["chain_act.id"], name=op.f("fk_round_chain_act_id")),
        sa.ForeignKeyConstraint(
            ["round_id"], ["matching_round.id"], name=op.f("fk_round_chain_round_id")
        ),
        sa.PrimaryKeyConstraint("round_id", name=op.f("pk_round_chain")),
    )
    op.create_index(op.f("ix_round_chain_due_at"), "round_chain", ["due_at"])
    op.create_table(
        "offer_claim",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("offer_id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("statement", sa.String(length=400), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("claimed_by", sa.String(length=40), nullable=False),
        sa.Column("claimed_at", ledger.store.UtcDateTime(), nullable=False),
        sa.Column("decided_by", sa.String(length=40), nullable=True),
        sa.Column("decided_at", ledger.store.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["offer_id"], ["offer.id"], name=op.f("fk_offer_claim_offer_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["party.id"], name=op.f("fk_offer_claim_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offer_claim")),
    )
    op.create_index(
        "uq_offer_claim_open",
        "offer_claim",
        ["offer_id", "organisation_id"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_offer_claim_state", "offer_claim", ["state", "claimed_at"])
    op.create_index("ix_offer_claim_organisation", "offer_claim", ["organisation_id", "claimed_at"])


def downgrade() -> None:
    """Remove them."""
    op.drop_table("offer_claim")
    op.drop_table("round_chain")
