"""Batches of approvals, what was left out of a batch and why, the seal an approval allows, no amount stated."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; earlier batches sign, earlier approvals name no seal, earlier amounts stay unstated."""
    op.add_column(
        "signing_batch",
        sa.Column("act", sa.String(length=8), nullable=False, server_default="sign"),
    )
    op.add_column(
        "signing_batch", sa.Column("left_out", sa.Text(), nullable=False, server_default="[]")
    )
    op.add_column("signing_batch_item", sa.Column("seal_id", sa.String(length=40), nullable=True))
    op.add_column(
        "agreement",
        sa.Column("no_amount", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column(
        "agreement_signer", sa.Column("approved_seal_id", sa.String(length=40), nullable=True)
    )


def downgrade() -> None:
    """Remove them."""
    op.drop_column("agreement_signer", "approved_seal_id")
    op.drop_column("agreement", "no_amount")
    op.drop_column("signing_batch_item", "seal_id")
    op.drop_column("signing_batch", "left_out")
    op.drop_column("signing_batch", "act")
