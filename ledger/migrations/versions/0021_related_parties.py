"""The register of related parties, and triggers that tell the living market whom an offer may not reach now."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

import ledger.store

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

NOTE: Final = "INSERT INTO live_change (kind, subject_id, item) SELECT 'offer', id, item FROM offer"
OF_BOTH: Final = "organisation_id IN (NEW.first_id, NEW.second_id)"
OF_KIN: Final = (
    "organisation_id IN (SELECT first_id FROM related_party WHERE second_id = NEW.organisation_id "
    "UNION SELECT second_id FROM related_party WHERE first_id = NEW.organisation_id)"
)
"""Who stands behind a hospital changes what the offers of its related parties may serve as well."""
OF_SHARERS: Final = (
    "organisation_id IN (SELECT organisation_id FROM authorisation WHERE person_id = NEW.person_id) "
    "AND (SELECT COUNT(DISTINCT organisation_id) FROM authorisation "
    "WHERE person_id = NEW.person_id) > 1"
)
"""One person who is authorised by two organisations ties them together."""
TRIGGERS: Final = (
    ("related_arrives", "related_party", "INSERT", "", OF_BOTH),
    ("related_changes", "related_party", "UPDATE", "", OF_BOTH),
    ("kin_arrives", "hospital", "INSERT", "NEW.organisation_id IS NOT NULL", OF_KIN),
    ("kin_linked", "hospital", "UPDATE", "NEW.organisation_id IS NOT NULL", OF_KIN),
    ("handler_shared", "authorisation", "INSERT", "", OF_SHARERS),
)


def upgrade() -> None:
    """Add the table and the triggers."""
    _table()
    postgresql = op.get_bind().dialect.name == "postgresql"
    for name, table, event, condition, offers in TRIGGERS:
        note = f"{NOTE} WHERE {offers};"
        when = f"WHEN {condition} " if condition else ""
        if not postgresql:
            op.execute(
                f"CREATE TRIGGER live_{name} AFTER {event} ON {table} {when}BEGIN {note} END"
            )
            continue
        op.execute(
            f"CREATE FUNCTION fuqi_live_{name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {note} RETURN NULL; END $$"
        )
        when = f"WHEN ({condition}) " if condition else ""
        op.execute(
            f"CREATE TRIGGER live_{name} AFTER {event} ON {table} FOR EACH ROW {when}"
            f"EXECUTE FUNCTION fuqi_live_{name}()"
        )


def downgrade() -> None:
    """Remove them."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    for name, table, *_ in TRIGGERS:
        op.execute(f"DROP TRIGGER live_{name}" + (f" ON {table}" if postgresql else ""))
        if postgresql:
            op.execute(f"DROP FUNCTION fuqi_live_{name}()")
    op.drop_table("related_party")


def _table() -> None:
    time = ledger.store.UtcDateTime(timezone=True)
    op.create_table(
        "related_party",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("first_id", sa.String(length=40), nullable=False),
        sa.Column("second_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("evidence", sa.String(length=500), nullable=False),
        sa.Column("evidence_sha256", sa.String(length=64), nullable=True),
        sa.Column("evidence_type", sa.String(length=40), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("end_reason", sa.String(length=200), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("decided_at", time, nullable=True),
        sa.CheckConstraint("first_id <> second_id", name=op.f("ck_related_party_two_parties")),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to >= valid_from", name=op.f("ck_related_party_period")
        ),
        sa.ForeignKeyConstraint(["first_id"], ["party.id"], name=op.f("fk_related_party_first_id")),
        sa.ForeignKeyConstraint(
            ["second_id"], ["party.id"], name=op.f("fk_related_party_second_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_related_party")),
    )
    op.create_index(op.f("ix_related_party_first_id"), "related_party", ["first_id"])
    op.create_index(op.f("ix_related_party_second_id"), "related_party", ["second_id"])
    op.create_index("ix_related_party_state", "related_party", ["state", "id"])
