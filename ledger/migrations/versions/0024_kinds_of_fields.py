"""Form fields of several lines, check boxes and choices: kind, height, options, and room for longer values."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_SHORT = sa.String(length=200)
_LONG = sa.String(length=1000)


def upgrade() -> None:
    """Add the columns; the fields that stand already are of one line of text."""
    with op.batch_alter_table("form_field") as batch:
        batch.add_column(sa.Column("height", sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(
            sa.Column("kind", sa.String(length=8), nullable=False, server_default="text")
        )
        batch.add_column(sa.Column("options", sa.Text(), nullable=False, server_default="[]"))
        batch.alter_column("preset", existing_type=_SHORT, type_=_LONG, existing_nullable=False)
    with op.batch_alter_table("form_value") as batch:
        batch.alter_column("value", existing_type=_SHORT, type_=_LONG, existing_nullable=False)
        batch.alter_column("old", existing_type=_SHORT, type_=_LONG, existing_nullable=True)


def downgrade() -> None:
    """Remove them; PostgreSQL refuses where a value is longer than there was room for."""
    with op.batch_alter_table("form_value") as batch:
        batch.alter_column("old", existing_type=_LONG, type_=_SHORT, existing_nullable=True)
        batch.alter_column("value", existing_type=_LONG, type_=_SHORT, existing_nullable=False)
    with op.batch_alter_table("form_field") as batch:
        batch.alter_column("preset", existing_type=_LONG, type_=_SHORT, existing_nullable=False)
        batch.drop_column("options")
        batch.drop_column("kind")
        batch.drop_column("height")
