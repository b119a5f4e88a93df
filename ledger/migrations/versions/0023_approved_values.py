"""What values of form fields an approval lists, so that a signature under other values can be refused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; earlier approvals list no value, and where there are some they are given again."""
    op.add_column("agreement_signer", sa.Column("approved_values", sa.Text(), nullable=True))


def downgrade() -> None:
    """Remove it."""
    op.drop_column("agreement_signer", "approved_values")
