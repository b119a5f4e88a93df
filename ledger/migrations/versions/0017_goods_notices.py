"""Notices about goods: found by their cause, so that each is written once; changes of use by their clock."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes."""
    op.create_index("ix_notice_cause", "notice", ["cause", "kind"])
    op.create_index("ix_purpose_change_state", "purpose_change", ["state", "due_at"])
    op.create_index("ix_batch_recall_state", "batch_recall", ["state", "opened_at"])


def downgrade() -> None:
    """Remove them."""
    op.drop_index("ix_batch_recall_state", "batch_recall")
    op.drop_index("ix_purpose_change_state", "purpose_change")
    op.drop_index("ix_notice_cause", "notice")
