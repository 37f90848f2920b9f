"""The first schema: definitions, machines, executions, their journal and logs, artifacts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """From an empty database."""
    op.create_table(
        "definitions",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_table(
        "machines",
        sa.Column("arn", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("role_arn", sa.Text, nullable=False),
        sa.Column("definition", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("revision_id", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
    )
    op.create_table(
        "executions",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("arn", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("machine_arn", sa.Text, nullable=False),
        sa.Column("definition", sa.String(64), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("input", sa.Text, nullable=False),
        sa.Column("output", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("cause", sa.Text),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("stopped_at", sa.Double),
        sa.Column("bindings", sa.Text),
    )
    op.create_index("executions_by_machine", "executions", ["machine_arn", "status"])
    op.create_index("executions_by_start", "executions", ["started_at"])
    op.create_table(
        "journal",
        sa.Column("id", SERIAL, primary_key=True),
        sa.Column("execution", SERIAL, sa.ForeignKey("executions.id"), nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("format", sa.Integer, nullable=False),
        sa.Column("first_event", sa.Integer, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("records", sa.Text, nullable=False),
        sa.UniqueConstraint("execution", "step", name="journal_step"),
    )
    op.create_table(
        "artifacts",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger),
        sa.Column("columns", sa.BigInteger),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("preview", sa.Text),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("touched_at", sa.Double, nullable=False),
    )
    op.create_table(
        "logs",
        sa.Column("execution", SERIAL, sa.ForeignKey("executions.id"), primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("text", sa.Text, nullable=False),
    )
