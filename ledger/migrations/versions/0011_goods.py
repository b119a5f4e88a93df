"""Goods on their way: lots, places, movements that the database applies, packages, hand-overs, recalls.

Conservation stands here and not in the application: a movement is inserted, and a trigger takes its units from
one place and puts them at another. A place changes in no other way, and never below zero.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

import ledger.store

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ORDER: Final = (
    "custody_statement",
    "batch_recall",
    "lot",
    "lot_handover",
    "lot_movement",
    "lot_package",
    "lot_position",
    "purpose_change",
    "discrepancy",
    "work_order",
    "work_order_document",
    "work_order_file",
)
TRIGGERS: Final = (
    ("lot_movement_opens", "lot_movement"),
    ("lot_movement_no_gap", "lot_movement"),
    ("lot_movement_from_enough", "lot_movement"),
    ("lot_movement_no_update", "lot_movement"),
    ("lot_movement_no_delete", "lot_movement"),
    ("lot_movement_applies", "lot_movement"),
    ("lot_position_begins", "lot_position"),
    ("lot_position_follows", "lot_position"),
    ("lot_position_no_delete", "lot_position"),
    ("lot_fixed", "lot"),
)
KEPT: Final = "this table is insert-only"
OPENING: Final = "a lot is opened once, with all its units, by its giver"
EMPTY: Final = "a place begins empty"
MOVED: Final = "only a movement changes a place"
FIXED: Final = "what a lot is never changes"
FOLLOWS: Final = (
    "NEW.last_number > OLD.last_number AND NEW.lot_id = OLD.lot_id "
    "AND NEW.holder_id = OLD.holder_id AND NEW.shelf = OLD.shelf AND EXISTS ("
    "SELECT 1 FROM lot_movement m WHERE m.lot_id = NEW.lot_id AND m.number = NEW.last_number "
    "AND ((m.from_holder = OLD.holder_id AND m.from_shelf = OLD.shelf "
    "AND NEW.quantity = OLD.quantity - m.quantity) "
    "OR (m.to_holder = OLD.holder_id AND m.to_shelf = OLD.shelf "
    "AND NEW.quantity = OLD.quantity + m.quantity)))"
)
"""A place changes by exactly one movement that was not applied to it before."""
OPENS: Final = (
    "NEW.number = 1 AND NOT EXISTS (SELECT 1 FROM lot l WHERE l.id = NEW.lot_id "
    "AND l.quantity = NEW.quantity AND l.giver_id = NEW.to_holder "
    "AND l.giver_id = NEW.from_holder AND NEW.to_shelf = 'stock')"
)
GAP: Final = (
    "NEW.number > 1 AND NOT EXISTS (SELECT 1 FROM lot_movement m "
    "WHERE m.lot_id = NEW.lot_id AND m.number = NEW.number - 1)"
)
NO_GAP: Final = "movements of a lot are numbered without a gap"
APPLY: Final = (
    (
        "INSERT INTO lot_position (lot_id, holder_id, shelf, quantity, last_number) "
        "SELECT NEW.lot_id, NEW.to_holder, NEW.to_shelf, 0, 0 WHERE NOT EXISTS ("
        "SELECT 1 FROM lot_position p WHERE p.lot_id = NEW.lot_id AND p.holder_id = NEW.to_holder "
        "AND p.shelf = NEW.to_shelf)"
    ),
    (
        "UPDATE lot_position SET quantity = quantity - NEW.quantity, last_number = NEW.number "
        "WHERE NEW.number > 1 AND lot_id = NEW.lot_id AND holder_id = NEW.from_holder "
        "AND shelf = NEW.from_shelf"
    ),
    (
        "UPDATE lot_position SET quantity = quantity + NEW.quantity, last_number = NEW.number "
        "WHERE lot_id = NEW.lot_id AND holder_id = NEW.to_holder AND shelf = NEW.to_shelf"
    ),
)
SOURCE: Final = (
    "NEW.number > 1 AND NOT EXISTS (SELECT 1 FROM lot_position p WHERE p.lot_id = NEW.lot_id "
    "AND p.holder_id = NEW.from_holder AND p.shelf = NEW.from_shelf AND p.quantity >= NEW.quantity)"
)
TOO_MANY: Final = "there are not so many units at that place"
IDENTITY: Final = (
    "id",
    "allocation_id",
    "agreement_id",
    "offer_id",
    "hospital_id",
    "giver_id",
    "receiver_id",
    "item",
    "quantity",
    "batch_number",
    "produced_on",
    "expires_on",
    "udi",
    "registration",
)


def upgrade() -> None:
    """Add the tables and the triggers that keep them."""
    _custody_statement()
    _batch_recall()
    _lot()
    _lot_handover()
    _lot_movement()
    _lot_package()
    _lot_position()
    _purpose_change()
    _discrepancy()
    _work_order()
    _work_order_document()
    _work_order_file()
    if op.get_bind().dialect.name == "postgresql":
        _postgresql()
    else:
        _sqlite()


def downgrade() -> None:
    """Remove them."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    for name, table in TRIGGERS:
        op.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if postgresql else ""))
        if postgresql:
            op.execute(f"DROP FUNCTION fuqi_{name}()")
    for table in reversed(ORDER):
        op.drop_table(table)


def _custody_statement() -> None:
    op.create_table(
        "custody_statement",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.String(length=40), nullable=False),
        sa.Column("act", sa.String(length=24), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.Column("entry_id", sa.String(length=40), nullable=True),
        sa.Column("result_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("done_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_custody_statement")),
    )
    op.create_index(
        "ix_custody_statement_created_at", "custody_statement", ["created_at"], unique=False
    )


def _batch_recall() -> None:
    op.create_table(
        "batch_recall",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("batch_number", sa.String(length=60), nullable=False),
        sa.Column("item", sa.String(length=40), nullable=False),
        sa.Column("device", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("opened_by", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("opened_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("closed_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["opened_by"], ["party.id"], name=op.f("fk_batch_recall_opened_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_recall")),
    )
    op.create_index(
        op.f("ix_batch_recall_batch_number"), "batch_recall", ["batch_number"], unique=False
    )


def _lot() -> None:
    op.create_table(
        "lot",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("allocation_id", sa.String(length=40), nullable=False),
        sa.Column("agreement_id", sa.String(length=40), nullable=False),
        sa.Column("offer_id", sa.String(length=40), nullable=False),
        sa.Column("hospital_id", sa.String(length=40), nullable=False),
        sa.Column("giver_id", sa.String(length=40), nullable=False),
        sa.Column("receiver_id", sa.String(length=40), nullable=False),
        sa.Column("matter", sa.String(length=40), nullable=False),
        sa.Column("item", sa.String(length=40), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("batch_number", sa.String(length=60), nullable=False),
        sa.Column("produced_on", sa.Date(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("udi", sa.String(length=200), nullable=False),
        sa.Column("device", sa.String(length=200), nullable=False),
        sa.Column("registration", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=200), nullable=False),
        sa.Column("directed", sa.Boolean(), nullable=False),
        sa.Column("recall_id", sa.String(length=40), nullable=True),
        sa.Column("fiscal_number", sa.String(length=60), nullable=True),
        sa.Column("fiscal_on", sa.Date(), nullable=True),
        sa.Column("fiscal_issuer", sa.String(length=200), nullable=True),
        sa.Column("opened_by", sa.String(length=40), nullable=False),
        sa.Column("opened_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_lot_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_lot_agreement_id")
        ),
        sa.ForeignKeyConstraint(
            ["allocation_id"], ["allocation.id"], name=op.f("fk_lot_allocation_id")
        ),
        sa.ForeignKeyConstraint(["giver_id"], ["party.id"], name=op.f("fk_lot_giver_id")),
        sa.ForeignKeyConstraint(["hospital_id"], ["hospital.id"], name=op.f("fk_lot_hospital_id")),
        sa.ForeignKeyConstraint(["offer_id"], ["offer.id"], name=op.f("fk_lot_offer_id")),
        sa.ForeignKeyConstraint(["recall_id"], ["batch_recall.id"], name=op.f("fk_lot_recall_id")),
        sa.ForeignKeyConstraint(["receiver_id"], ["party.id"], name=op.f("fk_lot_receiver_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lot")),
    )
    op.create_index(op.f("ix_lot_agreement_id"), "lot", ["agreement_id"], unique=False)
    op.create_index(op.f("ix_lot_allocation_id"), "lot", ["allocation_id"], unique=False)
    op.create_index("ix_lot_batch", "lot", ["batch_number", "item"], unique=False)
    op.create_index(op.f("ix_lot_device"), "lot", ["device"], unique=False)
    op.create_index(op.f("ix_lot_giver_id"), "lot", ["giver_id"], unique=False)
    op.create_index(op.f("ix_lot_offer_id"), "lot", ["offer_id"], unique=False)
    op.create_index(op.f("ix_lot_receiver_id"), "lot", ["receiver_id"], unique=False)


def _lot_handover() -> None:
    op.create_table(
        "lot_handover",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("lot_id", sa.String(length=40), nullable=False),
        sa.Column("from_id", sa.String(length=40), nullable=False),
        sa.Column("to_id", sa.String(length=40), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("waybill", sa.String(length=60), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("due_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("inspection", sa.JSON(), nullable=True),
        sa.Column("inspected_by", sa.String(length=40), nullable=True),
        sa.Column("accepted_by", sa.String(length=40), nullable=True),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("quarantined", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("missing", sa.BigInteger(), nullable=False),
        sa.Column("offered_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("closed_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state <> 'received' OR accepted + quarantined + rejected + missing = quantity",
            name=op.f("ck_lot_handover_all_counted"),
        ),
        sa.CheckConstraint(
            "accepted_by IS NULL OR inspected_by IS NULL OR accepted_by <> inspected_by",
            name=op.f("ck_lot_handover_two_persons"),
        ),
        sa.CheckConstraint("from_id <> to_id", name=op.f("ck_lot_handover_two_sides")),
        sa.ForeignKeyConstraint(["from_id"], ["party.id"], name=op.f("fk_lot_handover_from_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_lot_handover_lot_id")),
        sa.ForeignKeyConstraint(["to_id"], ["party.id"], name=op.f("fk_lot_handover_to_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lot_handover")),
    )
    op.create_index(op.f("ix_lot_handover_from_id"), "lot_handover", ["from_id"], unique=False)
    op.create_index(op.f("ix_lot_handover_lot_id"), "lot_handover", ["lot_id"], unique=False)
    op.create_index("ix_lot_handover_state", "lot_handover", ["state", "due_at"], unique=False)
    op.create_index(op.f("ix_lot_handover_to_id"), "lot_handover", ["to_id"], unique=False)


def _lot_movement() -> None:
    op.create_table(
        "lot_movement",
        sa.Column("lot_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("from_holder", sa.String(length=40), nullable=False),
        sa.Column("from_shelf", sa.String(length=12), nullable=False),
        sa.Column("to_holder", sa.String(length=40), nullable=False),
        sa.Column("to_shelf", sa.String(length=12), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.Column("moved_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(from_shelf = 'minted') = (number = 1)", name=op.f("ck_lot_movement_minted_first")
        ),
        sa.CheckConstraint(
            "from_shelf NOT IN ('used', 'lost')", name=op.f("ck_lot_movement_ends_stay")
        ),
        sa.CheckConstraint("to_shelf <> 'minted'", name=op.f("ck_lot_movement_never_back")),
        sa.CheckConstraint(
            "from_holder <> to_holder OR from_shelf <> to_shelf", name=op.f("ck_lot_movement_moves")
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_lot_movement_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["from_holder"], ["party.id"], name=op.f("fk_lot_movement_from_holder")
        ),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_lot_movement_lot_id")),
        sa.ForeignKeyConstraint(
            ["to_holder"], ["party.id"], name=op.f("fk_lot_movement_to_holder")
        ),
        sa.PrimaryKeyConstraint("lot_id", "number", name=op.f("pk_lot_movement")),
    )
    op.create_index(op.f("ix_lot_movement_entry_id"), "lot_movement", ["entry_id"], unique=False)


def _lot_package() -> None:
    op.create_table(
        "lot_package",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("lot_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("holder_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("handover_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_lot_package_quantity_positive")),
        sa.ForeignKeyConstraint(["holder_id"], ["party.id"], name=op.f("fk_lot_package_holder_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_lot_package_lot_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lot_package")),
        sa.UniqueConstraint("lot_id", "number", name=op.f("uq_lot_package_lot_id_number")),
    )
    op.create_index(op.f("ix_lot_package_holder_id"), "lot_package", ["holder_id"], unique=False)
    op.create_index(op.f("ix_lot_package_lot_id"), "lot_package", ["lot_id"], unique=False)


def _lot_position() -> None:
    op.create_table(
        "lot_position",
        sa.Column("lot_id", sa.String(length=40), nullable=False),
        sa.Column("holder_id", sa.String(length=40), nullable=False),
        sa.Column("shelf", sa.String(length=12), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.CheckConstraint("quantity >= 0", name=op.f("ck_lot_position_quantity_not_negative")),
        sa.ForeignKeyConstraint(
            ["holder_id"], ["party.id"], name=op.f("fk_lot_position_holder_id")
        ),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_lot_position_lot_id")),
        sa.PrimaryKeyConstraint("lot_id", "holder_id", "shelf", name=op.f("pk_lot_position")),
    )
    op.create_index("ix_lot_position_holder", "lot_position", ["holder_id", "shelf"], unique=False)


def _purpose_change() -> None:
    op.create_table(
        "purpose_change",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("lot_id", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("due_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("asked_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("decided_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_purpose_change_lot_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purpose_change")),
    )
    op.create_index(op.f("ix_purpose_change_lot_id"), "purpose_change", ["lot_id"], unique=False)


def _discrepancy() -> None:
    op.create_table(
        "discrepancy",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("lot_id", sa.String(length=40), nullable=False),
        sa.Column("handover_id", sa.String(length=40), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("holder_id", sa.String(length=40), nullable=False),
        sa.Column("reported_by", sa.String(length=40), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("answer_due_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("settle_due_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("opened_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("answered_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.Column("settled_at", ledger.store.UtcDateTime(timezone=True), nullable=True),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_discrepancy_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["handover_id"], ["lot_handover.id"], name=op.f("fk_discrepancy_handover_id")
        ),
        sa.ForeignKeyConstraint(["holder_id"], ["party.id"], name=op.f("fk_discrepancy_holder_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_discrepancy_lot_id")),
        sa.ForeignKeyConstraint(
            ["reported_by"], ["party.id"], name=op.f("fk_discrepancy_reported_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_discrepancy")),
    )
    op.create_index(op.f("ix_discrepancy_holder_id"), "discrepancy", ["holder_id"], unique=False)
    op.create_index(op.f("ix_discrepancy_lot_id"), "discrepancy", ["lot_id"], unique=False)
    op.create_index(
        op.f("ix_discrepancy_reported_by"), "discrepancy", ["reported_by"], unique=False
    )
    op.create_index("ix_discrepancy_state", "discrepancy", ["state", "answer_due_at"], unique=False)


def _work_order() -> None:
    op.create_table(
        "work_order",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("buyer_id", sa.String(length=40), nullable=False),
        sa.Column("maker_id", sa.String(length=40), nullable=False),
        sa.Column("allocation_id", sa.String(length=40), nullable=True),
        sa.Column("agreement_id", sa.String(length=40), nullable=True),
        sa.Column("what", sa.String(length=200), nullable=False),
        sa.Column("specification", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=True),
        sa.Column("deposit_minor", sa.BigInteger(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("kept_minor", sa.BigInteger(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("opened_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.Column("changed_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint("accepted + rejected <= quantity", name=op.f("ck_work_order_counted")),
        sa.CheckConstraint("buyer_id <> maker_id", name=op.f("ck_work_order_two_sides")),
        sa.CheckConstraint(
            "kept_minor >= 0 AND kept_minor <= deposit_minor", name=op.f("ck_work_order_deposit")
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_work_order_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name=op.f("fk_work_order_agreement_id")
        ),
        sa.ForeignKeyConstraint(
            ["allocation_id"], ["allocation.id"], name=op.f("fk_work_order_allocation_id")
        ),
        sa.ForeignKeyConstraint(["buyer_id"], ["party.id"], name=op.f("fk_work_order_buyer_id")),
        sa.ForeignKeyConstraint(["maker_id"], ["party.id"], name=op.f("fk_work_order_maker_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_order")),
    )
    op.create_index(op.f("ix_work_order_buyer_id"), "work_order", ["buyer_id"], unique=False)
    op.create_index(op.f("ix_work_order_maker_id"), "work_order", ["maker_id"], unique=False)


def _work_order_document() -> None:
    op.create_table(
        "work_order_document",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("order_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("entry_id", sa.String(length=40), nullable=False),
        sa.Column("added_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["order_id"], ["work_order.id"], name=op.f("fk_work_order_document_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["party.id"], name=op.f("fk_work_order_document_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_order_document")),
    )
    op.create_index(
        "ix_work_order_document_order",
        "work_order_document",
        ["order_id", "added_at"],
        unique=False,
    )


def _work_order_file() -> None:
    op.create_table(
        "work_order_file",
        sa.Column("order_id", sa.String(length=40), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("added_at", ledger.store.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["order_id"], ["work_order.id"], name=op.f("fk_work_order_file_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["party.id"], name=op.f("fk_work_order_file_organisation_id")
        ),
        sa.PrimaryKeyConstraint(
            "order_id", "organisation_id", "sha256", name=op.f("pk_work_order_file")
        ),
    )


def _guards() -> tuple[tuple[str, str, str, str, str], ...]:
    """(name, table, event, condition under which it refuses, message)."""
    return (
        ("lot_movement_opens", "lot_movement", "INSERT", OPENS, OPENING),
        ("lot_movement_no_gap", "lot_movement", "INSERT", GAP, NO_GAP),
        ("lot_movement_from_enough", "lot_movement", "INSERT", SOURCE, TOO_MANY),
        ("lot_movement_no_update", "lot_movement", "UPDATE", "", KEPT),
        ("lot_movement_no_delete", "lot_movement", "DELETE", "", KEPT),
        (
            "lot_position_begins",
            "lot_position",
            "INSERT",
            "NEW.quantity <> 0 OR NEW.last_number <> 0",
            EMPTY,
        ),
        ("lot_position_follows", "lot_position", "UPDATE", f"NOT ({FOLLOWS})", MOVED),
        ("lot_position_no_delete", "lot_position", "DELETE", "", KEPT),
    )


def _postgresql() -> None:
    # A condition with a subquery cannot stand in WHEN: each guard is a function of its own.
    for name, table, event, condition, message in _guards():
        asked = f"IF {condition} THEN " if condition else ""
        closed = " END IF; RETURN NEW;" if condition else ""
        op.execute(
            f"CREATE FUNCTION fuqi_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {asked}"
            f"RAISE EXCEPTION '{message}' USING ERRCODE = 'restrict_violation';{closed} END $$"
        )
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW "
            f"EXECUTE FUNCTION fuqi_{name}()"
        )
    changed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in IDENTITY)
    op.execute(
        "CREATE FUNCTION fuqi_lot_fixed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION '{FIXED}' USING ERRCODE = 'restrict_violation'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER lot_fixed BEFORE UPDATE ON lot FOR EACH ROW WHEN ({changed}) "
        "EXECUTE FUNCTION fuqi_lot_fixed()"
    )
    op.execute(
        "CREATE FUNCTION fuqi_lot_movement_applies() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"{'; '.join(APPLY)}; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER lot_movement_applies AFTER INSERT ON lot_movement FOR EACH ROW "
        "EXECUTE FUNCTION fuqi_lot_movement_applies()"
    )


def _sqlite() -> None:
    for name, table, event, condition, message in _guards():
        when = f"WHEN {condition} " if condition else ""
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} {when}"
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
    changed = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in IDENTITY)
    op.execute(
        f"CREATE TRIGGER lot_fixed BEFORE UPDATE ON lot WHEN {changed} "
        f"BEGIN SELECT RAISE(ABORT, '{FIXED}'); END"
    )
    op.execute(
        "CREATE TRIGGER lot_movement_applies AFTER INSERT ON lot_movement "
        f"BEGIN {'; '.join(APPLY)}; END"
    )
