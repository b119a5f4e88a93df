"""Limits of offers, resources that several offers share, lanes of registered carriers, files of supplies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import ledger.store

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns and tables; an offer of before has no limit, a lane of before stays open."""
    _columns()
    time = ledger.store.UtcDateTime(timezone=True)
    op.create_table(
        "resource",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("unit", sa.String(length=12), nullable=False),
        sa.Column("capacity", sa.BigInteger(), nullable=False),
        sa.Column("available_on", sa.Date(), nullable=False),
        sa.Column("windows", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("withdrawn_reason", sa.String(length=200), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.CheckConstraint("capacity > 0", name=op.f("ck_resource_capacity_positive")),
        sa.CheckConstraint("windows > 0", name=op.f("ck_resource_windows_positive")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["party.id"], name=op.f("fk_resource_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resource")),
    )
    op.create_index(op.f("ix_resource_organisation_id"), "resource", ["organisation_id"])
    op.create_table(
        "supply_file",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("withdrawn_at", time, nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["party.id"], name=op.f("fk_supply_file_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_supply_file")),
        sa.UniqueConstraint(
            "organisation_id", "kind", "sha256", name=op.f("uq_supply_file_organisation_id")
        ),
    )
    op.create_index(op.f("ix_supply_file_organisation_id"), "supply_file", ["organisation_id"])
    op.create_table(
        "supply_file_line",
        sa.Column("file_id", sa.String(length=40), nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"], ["supply_file.id"], name=op.f("fk_supply_file_line_file_id")
        ),
        sa.PrimaryKeyConstraint("file_id", "line", name=op.f("pk_supply_file_line")),
    )
    op.create_index(op.f("ix_supply_file_line_subject_id"), "supply_file_line", ["subject_id"])


def _columns() -> None:
    for table, column in (
        ("offer", sa.Column("pack", sa.BigInteger(), nullable=False, server_default="1")),
        ("offer", sa.Column("smallest", sa.BigInteger(), nullable=False, server_default="1")),
        ("offer", sa.Column("receivers_max", sa.Integer(), nullable=True)),
        ("offer", sa.Column("resource_id", sa.String(length=40), nullable=True)),
        ("offer", sa.Column("per_unit", sa.BigInteger(), nullable=False, server_default="0")),
        ("lane", sa.Column("organisation_id", sa.String(length=40), nullable=True)),
        ("lane", sa.Column("open_from", sa.Date(), nullable=True)),
        ("lane", sa.Column("open_to", sa.Date(), nullable=True)),
        ("lane", sa.Column("state", sa.String(length=12), nullable=False, server_default="open")),
        ("lane", sa.Column("withdrawn_reason", sa.String(length=200), nullable=True)),
        ("lane", sa.Column("fingerprint", sa.Text(), nullable=False, server_default="{}")),
        (
            "lane",
            sa.Column("created_by", sa.String(length=40), nullable=False, server_default="system"),
        ),
    ):
        op.add_column(table, column)
    op.create_index(op.f("ix_offer_resource_id"), "offer", ["resource_id"])
    op.create_index(op.f("ix_lane_organisation_id"), "lane", ["organisation_id"])


def downgrade() -> None:
    """Remove them."""
    op.drop_table("supply_file_line")
    op.drop_table("supply_file")
    op.drop_table("resource")
    op.drop_index(op.f("ix_lane_organisation_id"), "lane")
    op.drop_index(op.f("ix_offer_resource_id"), "offer")
    for name in (
        "created_by",
        "fingerprint",
        "withdrawn_reason",
        "state",
        "open_to",
        "open_from",
        "organisation_id",
    ):
        op.drop_column("lane", name)
    for name in ("per_unit", "resource_id", "receivers_max", "smallest", "pack"):
        op.drop_column("offer", name)
