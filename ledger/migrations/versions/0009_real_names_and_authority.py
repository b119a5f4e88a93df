"""Real-name checks one by one, what an authorisation rests on, ratifications."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import ledger.store

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables and columns; what was checked at registration so far becomes the first check."""
    time = ledger.store.UtcDateTime(timezone=True)
    op.add_column("party", sa.Column("representative_id", sa.String(length=40), nullable=True))
    op.add_column(
        "authorisation",
        sa.Column("basis", sa.String(length=12), nullable=False, server_default="declared"),
    )
    op.add_column("authorisation", sa.Column("agreement_id", sa.String(length=40), nullable=True))
    op.create_index(op.f("ix_authorisation_agreement_id"), "authorisation", ["agreement_id"])
    _checks(time)
    _answers(time)
    _ratifications(time)
    _first_checks()


def _checks(time: ledger.store.UtcDateTime) -> None:
    op.create_table(
        "identity_check",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("party_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=48), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("label_en", sa.String(length=200), nullable=False),
        sa.Column("label_zh", sa.String(length=200), nullable=False),
        sa.Column("mock", sa.Boolean(), nullable=False),
        sa.Column("purpose", sa.String(length=64), nullable=False),
        sa.Column("consent_id", sa.String(length=40), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("evidence_sha256", sa.String(length=64), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("source_id", sa.String(length=40), nullable=True),
        sa.Column("asked_by", sa.String(length=40), nullable=False),
        sa.Column("decided_by", sa.String(length=40), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("checked_at", time, nullable=True),
        sa.ForeignKeyConstraint(
            ["party_id"], ["party.id"], name=op.f("fk_identity_check_party_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_check")),
    )
    op.create_index(op.f("ix_identity_check_party_id"), "identity_check", ["party_id"])
    op.create_index("ix_identity_check_status_created", "identity_check", ["status", "created_at"])


def _answers(time: ledger.store.UtcDateTime) -> None:
    op.create_table(
        "identity_challenge",
        sa.Column("check_id", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.String(length=64), nullable=False),
        sa.Column("answer_hmac", sa.String(length=64), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("tries_max", sa.Integer(), nullable=False),
        sa.Column("sent_at", time, nullable=True),
        sa.Column("expires_at", time, nullable=False),
        sa.ForeignKeyConstraint(
            ["check_id"], ["identity_check.id"], name=op.f("fk_identity_challenge_check_id")
        ),
        sa.PrimaryKeyConstraint("check_id", name=op.f("pk_identity_challenge")),
    )
    op.create_table(
        "identity_document",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("check_id", sa.String(length=40), nullable=False),
        sa.Column("media_type", sa.String(length=40), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", time, nullable=False),
        sa.Column("deleted_at", time, nullable=True),
        sa.ForeignKeyConstraint(
            ["check_id"], ["identity_check.id"], name=op.f("fk_identity_document_check_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_document")),
    )
    op.create_index(op.f("ix_identity_document_check_id"), "identity_document", ["check_id"])


def _ratifications(time: ledger.store.UtcDateTime) -> None:
    op.create_table(
        "ratification",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("agreement_id", sa.String(length=40), nullable=False),
        sa.Column("signer_id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("authorisation_id", sa.String(length=40), nullable=False),
        sa.Column("lack", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("asked_by", sa.String(length=40), nullable=False),
        sa.Column("asked_at", time, nullable=False),
        sa.Column("due_at", time, nullable=False),
        sa.Column("decided_at", time, nullable=True),
        sa.Column("decided_by", sa.String(length=40), nullable=True),
        sa.Column("decision_reason", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_ratification_agreement_id")
        ),
        sa.ForeignKeyConstraint(
            ["signer_id"], ["agreement_signer.id"], name=op.f("fk_ratification_signer_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["party.id"], name=op.f("fk_ratification_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["authorisation_id"],
            ["authorisation.id"],
            name=op.f("fk_ratification_authorisation_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ratification")),
        sa.UniqueConstraint("signer_id", name=op.f("uq_ratification_signer_id")),
    )
    op.create_index(op.f("ix_ratification_agreement_id"), "ratification", ["agreement_id"])
    op.create_index(op.f("ix_ratification_organisation_id"), "ratification", ["organisation_id"])
    op.create_index("ix_ratification_state_due", "ratification", ["state", "due_at"])


def _first_checks() -> None:
    """Until now every answer came from the mock, and what it answered is the level it gave."""
    op.execute(
        """
        INSERT INTO identity_check (id, party_id, kind, status, provider, label_en, label_zh, mock,
            purpose, consent_id, nonce, asked_by, fingerprint, created_at, checked_at)
        SELECT 'chk_' || substr(id, 5), id,
            CASE kind WHEN 'person' THEN 'person_name_number' ELSE 'organisation_name_code' END,
            CASE WHEN level > 0 THEN 'match' ELSE 'no_record' END,
            'mock', 'mock provider: nobody was asked', '模拟核验：未向任何机构查询', true,
            'register', '', '', 'system', '{}', created_at, created_at
        FROM party WHERE number_index IS NOT NULL
        """
    )


def downgrade() -> None:
    """Remove them; the answers stay in the entries."""
    for table in ("ratification", "identity_document", "identity_challenge", "identity_check"):
        op.drop_table(table)
    op.drop_index(op.f("ix_authorisation_agreement_id"), table_name="authorisation")
    op.drop_column("authorisation", "agreement_id")
    op.drop_column("authorisation", "basis")
    op.drop_column("party", "representative_id")
