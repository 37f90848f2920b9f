"""Task tokens, the inbox of what comes from outside, and executions that another execution waits for."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """From the registry."""
    serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.add_column("executions", sa.Column("parent_token", sa.Text))
    op.create_index(
        "executions_by_parent",
        "executions",
        ["parent_token"],
        sqlite_where=sa.text("parent_token IS NOT NULL"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", serial, primary_key=True),
        sa.Column("token", sa.Text, nullable=False, unique=True),
        sa.Column("execution", serial, sa.ForeignKey("executions.id"), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("activity", sa.Text),
        sa.Column("input", sa.Text),
        sa.Column("timeout", sa.Integer),
        sa.Column("heartbeat", sa.Integer),
        sa.Column("due", sa.Double),
        sa.Column("heartbeat_due", sa.Double),
    )
    op.create_index("tokens_queued", "tokens", ["activity", "id"], sqlite_where=sa.text("state = 'queued'"))
    op.create_index("tokens_by_execution", "tokens", ["execution", "attempt"])
    op.create_table(
        "inbox",
        sa.Column("id", serial, primary_key=True),
        sa.Column("execution", serial, sa.ForeignKey("executions.id"), nullable=False),
        sa.Column("attempt", sa.Integer),
        sa.Column("fact", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
