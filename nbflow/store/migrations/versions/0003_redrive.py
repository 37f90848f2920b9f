"""What a redriven execution needs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """From a schema whose executions end once."""
    op.add_column("executions", sa.Column("redrive_count", sa.Integer, nullable=False, server_default="0"))
    op.add_column("executions", sa.Column("redrive_date", sa.Double))
    op.add_column("executions", sa.Column("redrive_tokens", sa.Text))
