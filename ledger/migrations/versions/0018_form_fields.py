"""Form fields that signers may fill, and what they filled."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ledger.store import UtcDateTime

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the two tables."""
    op.create_table(
        "form_field",
        sa.Column("agreement_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=120), nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("preset", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_form_field_agreement_id")
        ),
        sa.PrimaryKeyConstraint("agreement_id", "number", name=op.f("pk_form_field")),
        sa.UniqueConstraint("agreement_id", "name", name=op.f("uq_form_field_agreement_id_name")),
    )
    op.create_table(
        "form_value",
        sa.Column("signer_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("agreement_id", sa.String(length=40), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("saved_at", UtcDateTime(), nullable=False),
        sa.Column("old", sa.String(length=200), nullable=True),
        sa.Column("revision_sha256", sa.String(length=64), nullable=True),
        sa.Column("filled_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_form_value_agreement_id")
        ),
        sa.ForeignKeyConstraint(
            ["signer_id"], ["agreement_signer.id"], name=op.f("fk_form_value_signer_id")
        ),
        sa.PrimaryKeyConstraint("signer_id", "name", name=op.f("pk_form_value")),
    )
    op.create_index(op.f("ix_form_value_agreement_id"), "form_value", ["agreement_id"])
    op.create_index(op.f("ix_form_value_revision_sha256"), "form_value", ["revision_sha256"])


def downgrade() -> None:
    """Remove them."""
    op.drop_table("form_value")
    op.drop_table("form_field")
