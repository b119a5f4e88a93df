"""The living market: state of each item class, changes noted by triggers, urgent needs decided at once.

The triggers see every change of a need, an offer or an allocation, by whichever flow or import it comes.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

import ledger.store

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

HOLDING: Final = "('proposed', 'accepted')"
NOTE: Final = "INSERT INTO live_change (kind, subject_id, item)"
OWN: Final = NOTE + " VALUES ('{table}', NEW.id, NEW.item)"
BOTH: Final = (
    NOTE + " SELECT 'need', id, item FROM need WHERE id = NEW.need_id",  # noqa: S608 - constants
    NOTE + " SELECT 'offer', id, item FROM offer WHERE id = NEW.offer_id",  # noqa: S608 - constants
)
GIVEN_BY: Final = (
    NOTE + " SELECT 'offer', id, item FROM offer WHERE organisation_id = NEW.organisation_id",  # noqa: S608 - constants
)
"""A donor's own hospital is a related party: who stands behind a hospital changes what its offers may serve."""
FREED: Final = f"(OLD.state IN {HOLDING}) <> (NEW.state IN {HOLDING})"
TRIGGERS: Final = (
    ("need_arrives", "need", "INSERT", "", (OWN.format(table="need"),)),
    ("need_changes", "need", "UPDATE", "", (OWN.format(table="need"),)),
    ("offer_arrives", "offer", "INSERT", "", (OWN.format(table="offer"),)),
    ("offer_changes", "offer", "UPDATE", "", (OWN.format(table="offer"),)),
    ("hospital_arrives", "hospital", "INSERT", "NEW.organisation_id IS NOT NULL", GIVEN_BY),
    ("hospital_linked", "hospital", "UPDATE", "NEW.organisation_id IS NOT NULL", GIVEN_BY),
    ("allocation_holds", "allocation", "INSERT", f"NEW.state IN {HOLDING}", BOTH),
    ("allocation_frees", "allocation", "UPDATE", FREED, BOTH),
)


def upgrade() -> None:
    """Add the tables and the triggers."""
    _live_class()
    _live_change()
    _urgent_need()
    if op.get_bind().dialect.name == "postgresql":
        for name, table, event, condition, notes in TRIGGERS:
            op.execute(
                f"CREATE FUNCTION fuqi_live_{name}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN {'; '.join(notes)}; RETURN NULL; END $$"
            )
            when = f"WHEN ({condition}) " if condition else ""
            op.execute(
                f"CREATE TRIGGER live_{name} AFTER {event} ON {table} FOR EACH ROW {when}"
                f"EXECUTE FUNCTION fuqi_live_{name}()"
            )
        return
    for name, table, event, condition, notes in TRIGGERS:
        when = f"WHEN {condition} " if condition else ""
        op.execute(
            f"CREATE TRIGGER live_{name} AFTER {event} ON {table} {when}"
            f"BEGIN {'; '.join(notes)}; END"
        )


def downgrade() -> None:
    """Remove them."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    for name, table, *_ in TRIGGERS:
        op.execute(f"DROP TRIGGER live_{name}" + (f" ON {table}" if postgresql else ""))
        if postgresql:
            op.execute(f"DROP FUNCTION fuqi_live_{name}()")
    for table in ("urgent_need", "live_change", "live_class"):
        op.drop_table(table)


def _live_class() -> None:
    op.create_table(
        "live_class",
        sa.Column("item_class", sa.String(length=40), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("policy_sha256", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("saved_version", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=True),
        sa.Column("changed_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("item_class", name=op.f("pk_live_class")),
    )


def _live_change() -> None:
    op.create_table(
        "live_change",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("subject_id", sa.String(length=40), nullable=False),
        sa.Column("item", sa.String(length=40), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_live_change")),
    )
    op.create_index("ix_live_change_item", "live_change", ["item", "version"], unique=False)


def _urgent_need() -> None:
    op.create_table(
        "urgent_need",
        sa.Column("need_id", sa.String(length=40), nullable=False),
        sa.Column("hospital_id", sa.String(length=40), nullable=False),
        sa.Column("round_id", sa.String(length=40), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("marked_by", sa.String(length=40), nullable=False),
        sa.Column("authorisation_id", sa.String(length=40), nullable=False),
        sa.Column("policy_sha256", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("served", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.JSON(), nullable=False),
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.Column("accept_until", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("lapsed_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint("served >= 0", name=op.f("ck_urgent_need_served_not_negative")),
        sa.ForeignKeyConstraint(
            ["hospital_id"], ["hospital.id"], name=op.f("fk_urgent_need_hospital_id")
        ),
        sa.ForeignKeyConstraint(["need_id"], ["need.id"], name=op.f("fk_urgent_need_need_id")),
        sa.ForeignKeyConstraint(
            ["round_id"], ["matching_round.id"], name=op.f("fk_urgent_need_round_id")
        ),
        sa.PrimaryKeyConstraint("need_id", name=op.f("pk_urgent_need")),
        sa.UniqueConstraint("round_id", name=op.f("uq_urgent_need_round_id")),
        sa.UniqueConstraint(
            "hospital_id", "day", "number", name=op.f("uq_urgent_need_hospital_id_day_number")
        ),
    )
    op.create_index(
        "ix_urgent_need_open", "urgent_need", ["lapsed_at", "accept_until"], unique=False
    )
