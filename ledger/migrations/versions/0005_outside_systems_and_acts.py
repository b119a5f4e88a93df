"""Subjects of outside systems; acts of contracts and the transactions that carry them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import ledger.store

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    _outside_systems()
    _contracts_and_acts()
    _transactions()


def downgrade() -> None:
    """Remove them."""
    for table in ("act_tx", "chain_act", "chain_contract", "external_subject"):
        op.drop_table(table)


def _outside_systems() -> None:
    op.create_table(
        "external_subject",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["party.id"], name=op.f("fk_external_subject_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_external_subject")),
    )
    op.create_index(
        op.f("ix_external_subject_organisation_id"), "external_subject", ["organisation_id"]
    )


def _contracts_and_acts() -> None:
    op.create_table(
        "chain_contract",
        sa.Column("chain_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("address", sa.String(length=42), nullable=False),
        sa.Column("artifact_sha256", sa.String(length=64), nullable=False),
        sa.Column("code_hash", sa.String(length=66), nullable=False),
        sa.Column("tx_hash", sa.String(length=66), nullable=False),
        sa.Column("recorded_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("chain_id", "name", name=op.f("pk_chain_contract")),
    )
    op.create_table(
        "chain_act",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("contract", sa.String(length=32), nullable=False),
        sa.Column("call", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("after", sa.String(length=40), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=400), nullable=True),
        sa.Column("chain_id", sa.BigInteger(), nullable=True),
        sa.Column("tx_hash", sa.String(length=66), nullable=True),
        sa.Column("block_number", sa.BigInteger(), nullable=True),
        sa.Column("block_hash", sa.String(length=66), nullable=True),
        sa.Column("gas_used", sa.BigInteger(), nullable=True),
        sa.Column("entry_id", sa.String(length=40), nullable=True),
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.Column("order", sa.BigInteger(), nullable=False),
        sa.Column("queued_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("decided_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["after"], ["chain_act.id"], name=op.f("fk_chain_act_after")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain_act")),
        sa.UniqueConstraint("order", name=op.f("uq_chain_act_order")),
    )
    op.create_index(op.f("ix_chain_act_subject"), "chain_act", ["subject"])
    op.create_index("ix_chain_act_state_order", "chain_act", ["state", "order"])


def _transactions() -> None:
    op.create_table(
        "act_tx",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("act_id", sa.String(length=40), nullable=True),
        sa.Column("contract", sa.String(length=32), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.String(length=42), nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("tx_hash", sa.String(length=66), nullable=False),
        sa.Column("max_fee", sa.String(length=40), nullable=False),
        sa.Column("priority", sa.String(length=40), nullable=False),
        sa.Column("gas", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("signed_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("sent_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["act_id"], ["chain_act.id"], name=op.f("fk_act_tx_act_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_act_tx")),
        sa.UniqueConstraint("tx_hash", name=op.f("uq_act_tx_tx_hash")),
        sa.UniqueConstraint(
            "chain_id", "sender", "nonce", "attempt",
            name=op.f("uq_act_tx_chain_id_sender_nonce_attempt"),
        ),
    )  # fmt: skip
    op.create_index(op.f("ix_act_tx_act_id"), "act_tx", ["act_id"])
    op.create_index("ix_act_tx_chain_id_state", "act_tx", ["chain_id", "state"])
