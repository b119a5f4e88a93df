"""First schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import ledger.store

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "account",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("login", sa.String(length=64), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("roles", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=40), nullable=True),
        sa.Column("organisation_id", sa.String(length=40), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("invented", sa.Boolean(), nullable=False),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("login", name=op.f("uq_account_login")),
    )
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_account_organisation_id"), ["organisation_id"], unique=False
        )

    op.create_table(
        "anchor",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("contract", sa.String(length=42), nullable=False),
        sa.Column("checkpoint_size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.String(length=64), nullable=False),
        sa.Column("tx_hash", sa.String(length=66), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", sa.String(length=66), nullable=False),
        sa.Column("block_time", sa.BigInteger(), nullable=False),
        sa.Column("gas_used", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("recorded_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_anchor")),
        sa.UniqueConstraint(
            "chain_id",
            "block_hash",
            "checkpoint_size",
            name=op.f("uq_anchor_chain_id_block_hash_checkpoint_size"),
        ),
    )
    with op.batch_alter_table("anchor", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_anchor_checkpoint_size"), ["checkpoint_size"], unique=False
        )
        batch_op.create_index(
            "ix_anchor_state_checkpoint_size", ["state", "checkpoint_size"], unique=False
        )

    op.create_table(
        "bundle",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("exported_by", sa.String(length=40), nullable=False),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bundle")),
    )
    with op.batch_alter_table("bundle", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bundle_subject"), ["subject"], unique=False)

    op.create_table(
        "chain_tx",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("tx_hash", sa.String(length=66), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.String(length=64), nullable=False),
        sa.Column("max_fee", sa.String(length=40), nullable=False),
        sa.Column("priority", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("signed_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("sent_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain_tx")),
        sa.UniqueConstraint(
            "chain_id", "nonce", "attempt", name=op.f("uq_chain_tx_chain_id_nonce_attempt")
        ),
        sa.UniqueConstraint("tx_hash", name=op.f("uq_chain_tx_tx_hash")),
    )
    with op.batch_alter_table("chain_tx", schema=None) as batch_op:
        batch_op.create_index("ix_chain_tx_chain_id_state", ["chain_id", "state"], unique=False)

    op.create_table(
        "checkpoint",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("signed_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_checkpoint")),
    )
    op.create_table(
        "data_key",
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("erased_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_data_key")),
    )
    op.create_table(
        "deployment",
        sa.Column("chain_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("address", sa.String(length=42), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("tx_hash", sa.String(length=66), nullable=False),
        sa.Column("artifact_sha256", sa.String(length=64), nullable=False),
        sa.Column("code_hash", sa.String(length=66), nullable=False),
        sa.Column("recorded_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("chain_id", name=op.f("pk_deployment")),
    )
    op.create_table(
        "import_run",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("policy", sa.String(length=100), nullable=False),
        sa.Column("policy_sha256", sa.String(length=64), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("rows_done", sa.Integer(), nullable=False),
        sa.Column("invented", sa.Boolean(), nullable=False),
        sa.Column("started_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("finished_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_run")),
        sa.UniqueConstraint("source", name=op.f("uq_import_run_source")),
    )
    op.create_table(
        "journal_entry",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("actor", sa.String(length=40), nullable=False),
        sa.Column("body_commitment", sa.String(length=64), nullable=False),
        sa.Column("prev", sa.String(length=64), nullable=True),
        sa.Column("bytes", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("journaled_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("order", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_entry")),
        sa.UniqueConstraint("leaf", name=op.f("uq_journal_entry_leaf")),
        sa.UniqueConstraint("order", name=op.f("uq_journal_entry_order")),
        sa.UniqueConstraint("seq", name=op.f("uq_journal_entry_seq")),
    )
    with op.batch_alter_table("journal_entry", schema=None) as batch_op:
        batch_op.create_index("ix_journal_entry_subject_order", ["subject", "order"], unique=False)
        batch_op.create_index("ix_journal_entry_type_order", ["type", "order"], unique=False)

    op.create_table(
        "log_node",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("level", "index", name=op.f("pk_log_node")),
    )
    op.create_table(
        "matching_round",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("needs", sa.Integer(), nullable=False),
        sa.Column("lots", sa.Integer(), nullable=False),
        sa.Column("policy", sa.String(length=100), nullable=False),
        sa.Column("policy_sha256", sa.String(length=64), nullable=False),
        sa.Column("inputs_sha256", sa.String(length=64), nullable=False),
        sa.Column("plan_sha256", sa.String(length=64), nullable=True),
        sa.Column("certificate_sha256", sa.String(length=64), nullable=True),
        sa.Column("summary", sa.JSON(), nullable=True),
        sa.Column("report", sa.JSON(), nullable=True),
        sa.Column("created_by", sa.String(length=40), nullable=False),
        sa.Column("opened_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("closed_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_matching_round")),
    )
    with op.batch_alter_table("matching_round", schema=None) as batch_op:
        batch_op.create_index(
            "uq_matching_round_opened",
            ["state"],
            unique=True,
            sqlite_where=sa.text("state = 'opened'"),
            postgresql_where=sa.text("state = 'opened'"),
        )

    op.create_table(
        "outbox",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("topic", sa.String(length=40), nullable=False),
        sa.Column("ref", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_error", sa.String(length=200), nullable=True),
        sa.Column("done_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index("ix_outbox_state_not_before", ["state", "not_before"], unique=False)

    op.create_table(
        "party",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("category", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("number_masked", sa.String(length=40), nullable=True),
        sa.Column("number_index", sa.String(length=64), nullable=True),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("level_reason", sa.String(length=200), nullable=False),
        sa.Column("number_commitment", sa.String(length=64), nullable=True),
        sa.Column("number_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("invented", sa.Boolean(), nullable=False),
        sa.Column("place", sa.String(length=200), nullable=True),
        sa.Column("receiving_system", sa.String(length=200), nullable=True),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_party")),
        sa.UniqueConstraint("kind", "number_index", name=op.f("uq_party_kind_number_index")),
    )
    op.create_table(
        "agreement",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("matter", sa.String(length=40), nullable=False),
        sa.Column("origin", sa.String(length=12), nullable=False),
        sa.Column("template", sa.String(length=40), nullable=True),
        sa.Column("allocation_id", sa.String(length=40), nullable=True),
        sa.Column("owner_organisation_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("original_sha256", sa.String(length=64), nullable=False),
        sa.Column("document_sha256", sa.String(length=64), nullable=False),
        sa.Column("current_sha256", sa.String(length=64), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("demo", sa.Boolean(), nullable=False),
        sa.Column("place_of_formation", sa.String(length=200), nullable=True),
        sa.Column("expires_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("formed_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_reason", sa.String(length=500), nullable=True),
        sa.ForeignKeyConstraint(
            ["owner_organisation_id"], ["party.id"], name=op.f("fk_agreement_owner_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement")),
    )
    with op.batch_alter_table("agreement", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_agreement_allocation_id"), ["allocation_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_agreement_owner_organisation_id"),
            ["owner_organisation_id"],
            unique=False,
        )

    op.create_table(
        "api_key",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("key_sha256", sa.String(length=64), nullable=False),
        sa.Column("hint", sa.String(length=16), nullable=False),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_api_key_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("key_sha256", name=op.f("uq_api_key_key_sha256")),
    )
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_key_account_id"), ["account_id"], unique=False)

    op.create_table(
        "authorisation",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.String(length=40), nullable=False),
        sa.Column("matters", sa.Text(), nullable=False),
        sa.Column("powers", sa.Text(), nullable=False),
        sa.Column("seal_scope", sa.String(length=100), nullable=False),
        sa.Column("amount_max_minor", sa.BigInteger(), nullable=True),
        sa.Column("valid_from", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("valid_to", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["party.id"], name=op.f("fk_authorisation_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["party.id"], name=op.f("fk_authorisation_person_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authorisation")),
    )
    with op.batch_alter_table("authorisation", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_authorisation_organisation_id"), ["organisation_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_authorisation_person_id"), ["person_id"], unique=False)

    op.create_table(
        "certificate",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.String(length=40), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("spki_sha256", sa.String(length=64), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("chain", sa.LargeBinary(), nullable=False),
        sa.Column("not_before", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("not_after", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["party.id"], name=op.f("fk_certificate_organisation_id")
        ),
        sa.ForeignKeyConstraint(["person_id"], ["party.id"], name=op.f("fk_certificate_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate")),
        sa.UniqueConstraint("serial", name=op.f("uq_certificate_serial")),
        sa.UniqueConstraint("spki_sha256", name=op.f("uq_certificate_spki_sha256")),
    )
    with op.batch_alter_table("certificate", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_certificate_organisation_id"), ["organisation_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_certificate_person_id"), ["person_id"], unique=False)

    op.create_table(
        "hospital",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=True),
        sa.Column("source_key", sa.String(length=60), nullable=True),
        sa.Column("organisation_id", sa.String(length=40), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("province", sa.String(length=40), nullable=False),
        sa.Column("city", sa.String(length=60), nullable=False),
        sa.Column("district", sa.String(length=200), nullable=False),
        sa.Column("adcode", sa.String(length=6), nullable=False),
        sa.Column("longitude_micro", sa.BigInteger(), nullable=False),
        sa.Column("latitude_micro", sa.BigInteger(), nullable=False),
        sa.Column("precision", sa.String(length=20), nullable=False),
        sa.Column("agency", sa.Boolean(), nullable=False),
        sa.Column("front", sa.Boolean(), nullable=False),
        sa.Column("scale_percent", sa.Integer(), nullable=False),
        sa.Column("invented", sa.Boolean(), nullable=False),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["party.id"], name=op.f("fk_hospital_organisation_id")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["import_run.id"], name=op.f("fk_hospital_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hospital")),
        sa.UniqueConstraint("run_id", "source_key", name=op.f("uq_hospital_run_id_source_key")),
    )
    with op.batch_alter_table("hospital", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_hospital_city"), ["city"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_hospital_organisation_id"), ["organisation_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_hospital_run_id"), ["run_id"], unique=False)

    op.create_table(
        "import_row",
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("file", sa.String(length=40), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("source_key", sa.String(length=60), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("codes", sa.JSON(), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["import_run.id"], name=op.f("fk_import_row_run_id")),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("pk_import_row")),
    )
    with op.batch_alter_table("import_row", schema=None) as batch_op:
        batch_op.create_index("ix_import_row_status", ["run_id", "file", "status"], unique=False)

    op.create_table(
        "lane",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=True),
        sa.Column("source_key", sa.String(length=60), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("origin", sa.String(length=40), nullable=True),
        sa.Column("province", sa.String(length=40), nullable=False),
        sa.Column("city", sa.String(length=60), nullable=False),
        sa.Column("longitude_micro", sa.BigInteger(), nullable=False),
        sa.Column("latitude_micro", sa.BigInteger(), nullable=False),
        sa.Column("individuals", sa.Boolean(), nullable=False),
        sa.Column("published_on", sa.Date(), nullable=True),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["import_run.id"], name=op.f("fk_lane_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lane")),
    )
    with op.batch_alter_table("lane", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_lane_run_id"), ["run_id"], unique=False)

    op.create_table(
        "login_session",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_login_session_account_id")
        ),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_login_session")),
    )
    with op.batch_alter_table("login_session", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_login_session_account_id"), ["account_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_login_session_expires_at"), ["expires_at"], unique=False
        )

    op.create_table(
        "offer",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=True),
        sa.Column("source_key", sa.String(length=60), nullable=True),
        sa.Column("organisation_id", sa.String(length=40), nullable=True),
        sa.Column("donor_name", sa.String(length=200), nullable=False),
        sa.Column("donor_kind", sa.String(length=12), nullable=False),
        sa.Column("item", sa.String(length=40), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("windows", sa.Integer(), nullable=False),
        sa.Column("available_on", sa.Date(), nullable=False),
        sa.Column("produced_on", sa.Date(), nullable=True),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("batch_number", sa.String(length=60), nullable=False),
        sa.Column("standard", sa.String(length=40), nullable=True),
        sa.Column("edition", sa.String(length=10), nullable=True),
        sa.Column("certificate", sa.Integer(), nullable=False),
        sa.Column("sterile", sa.Boolean(), nullable=False),
        sa.Column("province", sa.String(length=40), nullable=False),
        sa.Column("city", sa.String(length=60), nullable=False),
        sa.Column("longitude_micro", sa.BigInteger(), nullable=False),
        sa.Column("latitude_micro", sa.BigInteger(), nullable=False),
        sa.Column("directed_to", sa.JSON(), nullable=False),
        sa.Column("related_to", sa.JSON(), nullable=False),
        sa.Column("frozen", sa.Boolean(), nullable=False),
        sa.Column("generated", sa.Boolean(), nullable=False),
        sa.Column("defaults", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("withdrawn_reason", sa.String(length=200), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=False),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_offer_quantity_positive")),
        sa.CheckConstraint("windows > 0", name=op.f("ck_offer_windows_positive")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["party.id"], name=op.f("fk_offer_organisation_id")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["import_run.id"], name=op.f("fk_offer_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offer")),
    )
    with op.batch_alter_table("offer", schema=None) as batch_op:
        batch_op.create_index("ix_offer_board", ["state", "available_on", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_offer_item"), ["item"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_offer_organisation_id"), ["organisation_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_offer_run_id"), ["run_id"], unique=False)

    op.create_table(
        "private_body",
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["journal_entry.id"], name=op.f("fk_private_body_entry_id")
        ),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_private_body")),
    )
    with op.batch_alter_table("private_body", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_private_body_subject"), ["subject"], unique=False)

    op.create_table(
        "round_document",
        sa.Column("round_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=12), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["round_id"], ["matching_round.id"], name=op.f("fk_round_document_round_id")
        ),
        sa.PrimaryKeyConstraint("round_id", "name", name=op.f("pk_round_document")),
    )
    op.create_table(
        "agreement_revision",
        sa.Column("agreement_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("signer_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_agreement_revision_agreement_id")
        ),
        sa.PrimaryKeyConstraint("agreement_id", "number", name=op.f("pk_agreement_revision")),
    )
    op.create_table(
        "agreement_signer",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("agreement_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.String(length=40), nullable=False),
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("delivered_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("opened_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("read_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("consented_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("intent_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("authorisation_id", sa.String(length=40), nullable=True),
        sa.Column("certificate_id", sa.String(length=40), nullable=True),
        sa.Column("revision_sha256", sa.String(length=64), nullable=True),
        sa.Column("signed_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_agreement_signer_agreement_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["party.id"], name=op.f("fk_agreement_signer_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["party.id"], name=op.f("fk_agreement_signer_person_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement_signer")),
        sa.UniqueConstraint(
            "agreement_id", "field", name=op.f("uq_agreement_signer_agreement_id_field")
        ),
        sa.UniqueConstraint(
            "agreement_id", "position", name=op.f("uq_agreement_signer_agreement_id_position")
        ),
    )
    with op.batch_alter_table("agreement_signer", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_agreement_signer_agreement_id"), ["agreement_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_agreement_signer_organisation_id"), ["organisation_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_agreement_signer_person_id"), ["person_id"], unique=False
        )

    op.create_table(
        "need",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("hospital_id", sa.String(length=40), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=True),
        sa.Column("source_key", sa.String(length=60), nullable=True),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.Column("item", sa.String(length=40), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("posted_on", sa.Date(), nullable=False),
        sa.Column("deadline_on", sa.Date(), nullable=False),
        sa.Column("specification", sa.Text(), nullable=False),
        sa.Column("standard", sa.String(length=40), nullable=True),
        sa.Column("edition", sa.String(length=10), nullable=True),
        sa.Column("certificate_min", sa.Integer(), nullable=False),
        sa.Column("sterile", sa.Boolean(), nullable=False),
        sa.Column("remaining_days_min", sa.Integer(), nullable=False),
        sa.Column("accepts_substitutes", sa.Boolean(), nullable=False),
        sa.Column("remarks", sa.JSON(), nullable=False),
        sa.Column("defaults", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("withdrawn_reason", sa.String(length=200), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=False),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_need_quantity_positive")),
        sa.ForeignKeyConstraint(["hospital_id"], ["hospital.id"], name=op.f("fk_need_hospital_id")),
        sa.ForeignKeyConstraint(["run_id"], ["import_run.id"], name=op.f("fk_need_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_need")),
    )
    with op.batch_alter_table("need", schema=None) as batch_op:
        batch_op.create_index("ix_need_board", ["state", "posted_on", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_need_hospital_id"), ["hospital_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_need_item"), ["item"], unique=False)
        batch_op.create_index(batch_op.f("ix_need_run_id"), ["run_id"], unique=False)

    op.create_table(
        "allocation",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("round_id", sa.String(length=40), nullable=False),
        sa.Column("need_id", sa.String(length=40), nullable=False),
        sa.Column("offer_id", sa.String(length=40), nullable=False),
        sa.Column("window", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("km", sa.Integer(), nullable=False),
        sa.Column("substitute", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("decided_by", sa.String(length=40), nullable=True),
        sa.Column("decided_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("decline_reason", sa.String(length=200), nullable=True),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_allocation_quantity_positive")),
        sa.ForeignKeyConstraint(["need_id"], ["need.id"], name=op.f("fk_allocation_need_id")),
        sa.ForeignKeyConstraint(["offer_id"], ["offer.id"], name=op.f("fk_allocation_offer_id")),
        sa.ForeignKeyConstraint(
            ["round_id"], ["matching_round.id"], name=op.f("fk_allocation_round_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allocation")),
        sa.UniqueConstraint(
            "round_id",
            "need_id",
            "offer_id",
            "window",
            name=op.f("uq_allocation_round_id_need_id_offer_id_window"),
        ),
    )
    with op.batch_alter_table("allocation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_allocation_need_id"), ["need_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_allocation_offer_id"), ["offer_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_allocation_round_id"), ["round_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_allocation_state"), ["state"], unique=False)

    op.create_table(
        "intent_statement",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("signer_id", sa.String(length=40), nullable=False),
        sa.Column("act", sa.String(length=12), nullable=False),
        sa.Column("nonce", sa.String(length=128), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.Column("certificate_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("used_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["certificate_id"], ["certificate.id"], name=op.f("fk_intent_statement_certificate_id")
        ),
        sa.ForeignKeyConstraint(
            ["signer_id"], ["agreement_signer.id"], name=op.f("fk_intent_statement_signer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intent_statement")),
        sa.UniqueConstraint("nonce", name=op.f("uq_intent_statement_nonce")),
    )
    with op.batch_alter_table("intent_statement", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_intent_statement_signer_id"), ["signer_id"], unique=False
        )

    op.create_table(
        "prepared_signature",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("signer_id", sa.String(length=40), nullable=False),
        sa.Column("certificate_id", sa.String(length=40), nullable=False),
        sa.Column("base_sha256", sa.String(length=64), nullable=False),
        sa.Column("revision_sha256", sa.String(length=64), nullable=False),
        sa.Column("signed_attrs", sa.Text(), nullable=False),
        sa.Column("document_digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("completed_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["certificate_id"],
            ["certificate.id"],
            name=op.f("fk_prepared_signature_certificate_id"),
        ),
        sa.ForeignKeyConstraint(
            ["signer_id"], ["agreement_signer.id"], name=op.f("fk_prepared_signature_signer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prepared_signature")),
    )
    with op.batch_alter_table("prepared_signature", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_prepared_signature_signer_id"), ["signer_id"], unique=False
        )


def downgrade() -> None:
    """Drop every table."""
    with op.batch_alter_table("prepared_signature", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_prepared_signature_signer_id"))

    op.drop_table("prepared_signature")
    with op.batch_alter_table("intent_statement", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_intent_statement_signer_id"))

    op.drop_table("intent_statement")
    with op.batch_alter_table("allocation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_allocation_state"))
        batch_op.drop_index(batch_op.f("ix_allocation_round_id"))
        batch_op.drop_index(batch_op.f("ix_allocation_offer_id"))
        batch_op.drop_index(batch_op.f("ix_allocation_need_id"))

    op.drop_table("allocation")
    with op.batch_alter_table("need", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_need_run_id"))
        batch_op.drop_index(batch_op.f("ix_need_item"))
        batch_op.drop_index(batch_op.f("ix_need_hospital_id"))
        batch_op.drop_index("ix_need_board")

    op.drop_table("need")
    with op.batch_alter_table("agreement_signer", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_agreement_signer_person_id"))
        batch_op.drop_index(batch_op.f("ix_agreement_signer_organisation_id"))
        batch_op.drop_index(batch_op.f("ix_agreement_signer_agreement_id"))

    op.drop_table("agreement_signer")
    op.drop_table("agreement_revision")
    op.drop_table("round_document")
    with op.batch_alter_table("private_body", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_private_body_subject"))

    op.drop_table("private_body")
    with op.batch_alter_table("offer", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_offer_run_id"))
        batch_op.drop_index(batch_op.f("ix_offer_organisation_id"))
        batch_op.drop_index(batch_op.f("ix_offer_item"))
        batch_op.drop_index("ix_offer_board")

    op.drop_table("offer")
    with op.batch_alter_table("login_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_login_session_expires_at"))
        batch_op.drop_index(batch_op.f("ix_login_session_account_id"))

    op.drop_table("login_session")
    with op.batch_alter_table("lane", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_lane_run_id"))

    op.drop_table("lane")
    with op.batch_alter_table("import_row", schema=None) as batch_op:
        batch_op.drop_index("ix_import_row_status")

    op.drop_table("import_row")
    with op.batch_alter_table("hospital", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_hospital_run_id"))
        batch_op.drop_index(batch_op.f("ix_hospital_organisation_id"))
        batch_op.drop_index(batch_op.f("ix_hospital_city"))

    op.drop_table("hospital")
    with op.batch_alter_table("certificate", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_certificate_person_id"))
        batch_op.drop_index(batch_op.f("ix_certificate_organisation_id"))

    op.drop_table("certificate")
    with op.batch_alter_table("authorisation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_authorisation_person_id"))
        batch_op.drop_index(batch_op.f("ix_authorisation_organisation_id"))

    op.drop_table("authorisation")
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_key_account_id"))

    op.drop_table("api_key")
    with op.batch_alter_table("agreement", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_agreement_owner_organisation_id"))
        batch_op.drop_index(batch_op.f("ix_agreement_allocation_id"))

    op.drop_table("agreement")
    op.drop_table("party")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index("ix_outbox_state_not_before")

    op.drop_table("outbox")
    with op.batch_alter_table("matching_round", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_matching_round_opened",
            sqlite_where=sa.text("state = 'opened'"),
            postgresql_where=sa.text("state = 'opened'"),
        )

    op.drop_table("matching_round")
    op.drop_table("log_node")
    with op.batch_alter_table("journal_entry", schema=None) as batch_op:
        batch_op.drop_index("ix_journal_entry_type_order")
        batch_op.drop_index("ix_journal_entry_subject_order")

    op.drop_table("journal_entry")
    op.drop_table("import_run")
    op.drop_table("deployment")
    op.drop_table("data_key")
    op.drop_table("checkpoint")
    with op.batch_alter_table("chain_tx", schema=None) as batch_op:
        batch_op.drop_index("ix_chain_tx_chain_id_state")

    op.drop_table("chain_tx")
    with op.batch_alter_table("bundle", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bundle_subject"))

    op.drop_table("bundle")
    with op.batch_alter_table("anchor", schema=None) as batch_op:
        batch_op.drop_index("ix_anchor_state_checkpoint_size")
        batch_op.drop_index(batch_op.f("ix_anchor_checkpoint_size"))

    op.drop_table("anchor")
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_account_organisation_id"))

    op.drop_table("account")
