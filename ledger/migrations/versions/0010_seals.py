"""Seals, duties for them and their uses; uploads whose signature fields are being placed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import ledger.store

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables; rows of today have no seals."""
    _seals()
    _uses()
    time = ledger.store.UtcDateTime(timezone=True)
    op.create_table(
        "upload_draft",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("expires_at", time, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["party.id"], name=op.f("fk_upload_draft_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload_draft")),
        sa.UniqueConstraint("id", "sha256", name=op.f("uq_upload_draft_id_sha256")),
    )


def downgrade() -> None:
    """Remove them."""
    for name in ("upload_draft", "seal_use", "seal_duty", "seal"):
        op.drop_table(name)


def _seals() -> None:
    time = ledger.store.UtcDateTime(timezone=True)
    op.create_table(
        "seal",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=12), nullable=False),
        sa.Column("design", sa.Text(), nullable=False),
        sa.Column("width_mm", sa.Integer(), nullable=False),
        sa.Column("height_mm", sa.Integer(), nullable=False),
        sa.Column("page_sha256", sa.String(length=64), nullable=False),
        sa.Column("picture_sha256", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("valid_from", time, nullable=False),
        sa.Column("valid_to", time, nullable=False),
        sa.Column("made_by", sa.String(length=40), nullable=False),
        sa.Column("approved_by", sa.String(length=40), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("changed_at", time, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["party.id"], name=op.f("fk_seal_organisation_id")
        ),
        sa.ForeignKeyConstraint(["made_by"], ["party.id"], name=op.f("fk_seal_made_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seal")),
    )
    op.create_index(op.f("ix_seal_organisation_id"), "seal", ["organisation_id"])
    op.create_table(
        "seal_duty",
        sa.Column("seal_id", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.String(length=40), nullable=False),
        sa.Column("duty", sa.String(length=8), nullable=False),
        sa.Column("granted_by", sa.String(length=40), nullable=False),
        sa.Column("granted_at", time, nullable=False),
        sa.ForeignKeyConstraint(["seal_id"], ["seal.id"], name=op.f("fk_seal_duty_seal_id")),
        sa.ForeignKeyConstraint(["person_id"], ["party.id"], name=op.f("fk_seal_duty_person_id")),
        sa.PrimaryKeyConstraint("seal_id", "person_id", name=op.f("pk_seal_duty")),
    )


def _uses() -> None:
    op.create_table(
        "seal_use",
        sa.Column("signer_id", sa.String(length=40), nullable=False),
        sa.Column("seal_id", sa.String(length=40), nullable=False),
        sa.Column("agreement_id", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.String(length=40), nullable=False),
        sa.Column("authorisation_id", sa.String(length=40), nullable=False),
        sa.Column("certificate_id", sa.String(length=40), nullable=False),
        sa.Column("base_sha256", sa.String(length=64), nullable=False),
        sa.Column("revision_sha256", sa.String(length=64), nullable=False),
        sa.Column("edge", sa.Boolean(), nullable=False),
        sa.Column("used_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["signer_id"], ["agreement_signer.id"], name=op.f("fk_seal_use_signer_id")
        ),
        sa.ForeignKeyConstraint(["seal_id"], ["seal.id"], name=op.f("fk_seal_use_seal_id")),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_seal_use_agreement_id")
        ),
        sa.ForeignKeyConstraint(["person_id"], ["party.id"], name=op.f("fk_seal_use_person_id")),
        sa.PrimaryKeyConstraint("signer_id", name=op.f("pk_seal_use")),
    )
    op.create_index(op.f("ix_seal_use_agreement_id"), "seal_use", ["agreement_id"])
    op.create_index("ix_seal_use_seal_used", "seal_use", ["seal_id", "used_at"])
