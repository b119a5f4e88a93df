"""Batches: many documents signed by one statement."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import ledger.store

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "signing_batch",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.String(length=40), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=True),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.Column("certificate_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("affirmed_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["party.id"], name=op.f("fk_signing_batch_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["party.id"], name=op.f("fk_signing_batch_person_id")
        ),
        sa.ForeignKeyConstraint(
            ["certificate_id"], ["certificate.id"], name=op.f("fk_signing_batch_certificate_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_batch")),
    )
    op.create_index(op.f("ix_signing_batch_person_id"), "signing_batch", ["person_id"])
    op.create_table(
        "signing_batch_item",
        sa.Column("batch_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("signer_id", sa.String(length=40), nullable=False),
        sa.Column("agreement_id", sa.String(length=40), nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["signing_batch.id"], name=op.f("fk_signing_batch_item_batch_id")
        ),
        sa.ForeignKeyConstraint(
            ["signer_id"], ["agreement_signer.id"], name=op.f("fk_signing_batch_item_signer_id")
        ),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_signing_batch_item_agreement_id")
        ),
        sa.PrimaryKeyConstraint("batch_id", "number", name=op.f("pk_signing_batch_item")),
    )
    op.create_index(op.f("ix_signing_batch_item_signer_id"), "signing_batch_item", ["signer_id"])


def downgrade() -> None:
    """Remove them."""
    op.drop_table("signing_batch_item")
    op.drop_table("signing_batch")
