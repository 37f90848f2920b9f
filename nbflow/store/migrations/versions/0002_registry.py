"""Versions, aliases, activities and tags; what a machine's deletion and an execution's version need."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """From the first schema."""
    op.add_column("machines", sa.Column("status", sa.Text, nullable=False, server_default="ACTIVE"))
    op.add_column("machines", sa.Column("published", sa.Integer, nullable=False, server_default="0"))
    for name in ("version_arn", "alias_arn", "revision"):
        op.add_column("executions", sa.Column(name, sa.Text))
    op.create_table(
        "versions",
        sa.Column("arn", sa.Text, primary_key=True),
        sa.Column("machine_arn", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("revision_id", sa.Text, nullable=False),
        sa.Column("definition", sa.String(64), nullable=False),
        sa.Column("role_arn", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
    )
    op.create_index("versions_by_machine", "versions", ["machine_arn", "number"], unique=True)
    op.create_table(
        "aliases",
        sa.Column("arn", sa.Text, primary_key=True),
        sa.Column("machine_arn", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("routing", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
    )
    op.create_index("aliases_by_machine", "aliases", ["machine_arn"])
    op.create_table(
        "activities",
        sa.Column("arn", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "tags",
        sa.Column("resource", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
