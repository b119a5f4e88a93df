"""Whether a password was set by somebody else, so that its holder has to choose one of their own first."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; passwords that stand already are taken as their holders' own."""
    op.add_column(
        "account",
        sa.Column("password_temporary", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_column("account", "password_temporary")
