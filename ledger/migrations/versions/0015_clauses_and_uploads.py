"""Clauses pointed out and confirmed, attached files, files asked for; signed ratifications."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import ledger.store

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and columns; earlier agreements have no clauses and no files."""
    _clauses()
    _files()
    op.add_column("intent_statement", sa.Column("annex", sa.Text(), nullable=True))
    op.add_column("signing_batch_item", sa.Column("annex", sa.Text(), nullable=True))
    for column in (
        sa.Column("statement", sa.Text(), nullable=True),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.Column("certificate_id", sa.String(length=40), nullable=True),
    ):
        op.add_column("ratification", column)


def _clauses() -> None:
    op.create_table(
        "agreement_clause",
        sa.Column("agreement_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("boxes", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_agreement_clause_agreement_id")
        ),
        sa.PrimaryKeyConstraint("agreement_id", "number", name=op.f("pk_agreement_clause")),
    )
    op.create_table(
        "clause_confirmation",
        sa.Column("signer_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("confirmed_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["signer_id"], ["agreement_signer.id"], name=op.f("fk_clause_confirmation_signer_id")
        ),
        sa.PrimaryKeyConstraint("signer_id", "number", name=op.f("pk_clause_confirmation")),
    )


def _files() -> None:
    op.create_table(
        "upload_demand",
        sa.Column("agreement_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("label", sa.String(length=120), nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_upload_demand_agreement_id")
        ),
        sa.PrimaryKeyConstraint("agreement_id", "number", name=op.f("pk_upload_demand")),
    )
    time = ledger.store.UtcDateTime(timezone=True)
    op.create_table(
        "agreement_attachment",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("agreement_id", sa.String(length=40), nullable=True),
        sa.Column("signer_id", sa.String(length=40), nullable=True),
        sa.Column("demand", sa.Integer(), nullable=True),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.String(length=40), nullable=True),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("media_type", sa.String(length=40), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("replaced_at", time, nullable=True),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_agreement_attachment_agreement_id")
        ),
        sa.ForeignKeyConstraint(
            ["signer_id"],
            ["agreement_signer.id"],
            name=op.f("fk_agreement_attachment_signer_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["party.id"], name=op.f("fk_agreement_attachment_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement_attachment")),
    )
    op.create_index(
        op.f("ix_agreement_attachment_agreement_id"), "agreement_attachment", ["agreement_id"]
    )


def downgrade() -> None:
    """Remove them."""
    for name in ("certificate_id", "proof", "statement"):
        op.drop_column("ratification", name)
    op.drop_column("signing_batch_item", "annex")
    op.drop_column("intent_statement", "annex")
    op.drop_table("agreement_attachment")
    op.drop_table("upload_demand")
    op.drop_table("clause_confirmation")
    op.drop_table("agreement_clause")
