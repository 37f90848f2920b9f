"""Who runs an execution, what does its tasks, and whence it comes: so that another process can go on with it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """From what others do to executions."""
    op.add_column("executions", sa.Column("owner", sa.Text))
    op.add_column("executions", sa.Column("directory", sa.Text))
    op.add_column("executions", sa.Column("asleep_until", sa.Double))
    op.add_column("executions", sa.Column("forked_from", sa.Text))
    op.add_column("executions", sa.Column("item", sa.Integer))
    op.execute("UPDATE executions SET owner = '' WHERE status = 'RUNNING'")  # whoever started them has gone
    op.create_index(
        "executions_by_owner",
        "executions",
        ["owner", "asleep_until"],
        sqlite_where=sa.text("owner IS NOT NULL"),
        postgresql_where=sa.text("owner IS NOT NULL"),
    )
    for column in ("machine_arn", "status"):  # what is listed, newest first, without Map Runs' children
        op.create_index(
            f"executions_listed_by_{column.removesuffix('_arn')}",
            "executions",
            [column, "id"],
            sqlite_where=sa.text("map_run_arn IS NULL"),
            postgresql_where=sa.text("map_run_arn IS NULL"),
        )
    op.create_index(
        "executions_by_item",
        "executions",
        ["map_run_arn", "item"],
        sqlite_where=sa.text("map_run_arn IS NOT NULL"),
        postgresql_where=sa.text("map_run_arn IS NOT NULL"),
    )
    op.create_table(
        "engines",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("born", sa.Double, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
    )
    op.create_table(
        "codes",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
    )
    op.add_column("map_runs", sa.Column("redrive_count", sa.Integer, nullable=False, server_default="0"))
    op.add_column("map_runs", sa.Column("redrive_date", sa.Double))
    op.create_table(
        "map_parts",
        sa.Column("map_run", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("text", sa.Text, nullable=False),
    )
