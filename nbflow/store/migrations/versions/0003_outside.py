"""What others do to executions: task tokens and the inbox, executions that one waits for, Map Runs, redrives."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# What nbflow.store.schema says of these. No PostgreSQL store is older than them.
TELLING = (
    """CREATE FUNCTION nbflow_alone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock(7954774); RETURN NULL; END $$""",
    """CREATE FUNCTION nbflow_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('nbflow', ''); RETURN NULL; END $$""",
    "CREATE TRIGGER inbox_alone BEFORE INSERT ON inbox FOR EACH STATEMENT EXECUTE FUNCTION nbflow_alone()",
    "CREATE TRIGGER inbox_notify AFTER INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION nbflow_notify()",
    "CREATE TRIGGER tokens_notify AFTER INSERT ON tokens FOR EACH ROW WHEN (NEW.state = 'queued')"
    " EXECUTE FUNCTION nbflow_notify()",
)


def upgrade() -> None:
    """From the registry."""
    serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.add_column("executions", sa.Column("parent_token", sa.Text))
    op.create_index(
        "executions_by_parent",
        "executions",
        ["parent_token"],
        sqlite_where=sa.text("parent_token IS NOT NULL"),
        postgresql_where=sa.text("parent_token IS NOT NULL"),
    )
    op.add_column("executions", sa.Column("map_run_arn", sa.Text))
    op.add_column("executions", sa.Column("redrive_count", sa.Integer, nullable=False, server_default="0"))
    op.add_column("executions", sa.Column("redrive_date", sa.Double))
    op.add_column("executions", sa.Column("redrive_tokens", sa.Text))
    op.create_index(
        "executions_by_map_run",
        "executions",
        ["map_run_arn", "status"],
        sqlite_where=sa.text("map_run_arn IS NOT NULL"),
        postgresql_where=sa.text("map_run_arn IS NOT NULL"),
    )
    op.create_table(
        "map_runs",
        sa.Column("arn", sa.Text, primary_key=True),
        sa.Column("execution", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("stopped_at", sa.Double),
        sa.Column("max_concurrency", sa.Integer, nullable=False),
        sa.Column("tolerated_count", sa.Integer),
        sa.Column("tolerated_percentage", sa.Double),
        sa.Column("counts", sa.Text),
    )
    op.create_index("map_runs_by_execution", "map_runs", ["execution"])
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
        sqlite_autoincrement=True,
    )
    op.create_index(
        "tokens_queued",
        "tokens",
        ["activity", "id"],
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index("tokens_by_execution", "tokens", ["execution", "attempt"])
    op.create_table(
        "inbox",
        sa.Column("id", serial, primary_key=True),
        sa.Column("execution", serial, sa.ForeignKey("executions.id"), nullable=False),
        sa.Column("attempt", sa.Integer),
        sa.Column("fact", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name == "postgresql":
        for statement in TELLING:
            op.execute(statement)
