"""The tables, as the newest migration leaves them.

:data:`HEAD` names that migration. A new database is created straight from this metadata (to import alembic
would cost more than all the rest); an older one is migrated. A test compares the two results.

Types are those that SQLite and PostgreSQL share. JSON is text: queryable, and never encoded again.
"""

from typing import Any, Final

from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)

HEAD: Final = "0004"
"""The newest migration. Migrations are numbered with four digits, so that their names sort."""
VERSION_TABLE: Final = "nbflow_version"
"""Not alembic's default name: its presence tells that a database is a store of ours."""

metadata: Final = MetaData()

_SERIAL: Final = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER PRIMARY KEY is SQLite's rowid


def _where(condition: str) -> dict[str, Any]:
    """That an index has only some of the rows."""
    return {f"{dialect}_where": text(condition) for dialect in ("sqlite", "postgresql")}


version = Table(VERSION_TABLE, metadata, Column("version_num", String(32), primary_key=True))

definitions = Table(
    "definitions",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("text", Text, nullable=False),
)

machines = Table(
    "machines",
    metadata,
    Column("arn", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("role_arn", Text, nullable=False),
    Column("definition", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("revision_id", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="ACTIVE"),
    Column("published", Integer, nullable=False, server_default="0"),
)

versions = Table(
    "versions",
    metadata,
    Column("arn", Text, primary_key=True),
    Column("machine_arn", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("revision_id", Text, nullable=False),
    Column("definition", String(64), nullable=False),
    Column("role_arn", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("description", Text),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Index("versions_by_machine", "machine_arn", "number", unique=True),
)

aliases = Table(
    "aliases",
    metadata,
    Column("arn", Text, primary_key=True),
    Column("machine_arn", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("routing", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Index("aliases_by_machine", "machine_arn"),
)

activities = Table(
    "activities",
    metadata,
    Column("arn", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)

tags = Table(
    "tags",
    metadata,
    Column("resource", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

executions = Table(
    "executions",
    metadata,
    Column("id", _SERIAL, primary_key=True),
    Column("arn", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("machine_arn", Text, nullable=False),
    Column("definition", String(64), nullable=False),
    Column("status", Text, nullable=False),
    Column("input", Text, nullable=False),
    Column("output", Text),
    Column("error", Text),
    Column("cause", Text),
    Column("started_at", Double, nullable=False),
    Column("stopped_at", Double),
    Column("bindings", Text),
    Column("version_arn", Text),
    Column("alias_arn", Text),
    Column("revision", Text),
    Column("parent_token", Text),
    Column("map_run_arn", Text),
    Column("redrive_count", Integer, nullable=False, server_default="0"),
    Column("redrive_date", Double),
    Column("redrive_tokens", Text),
    Column("owner", Text),
    Column("directory", Text),
    Column("asleep_until", Double),
    Column("forked_from", Text),
    Column("item", Integer),
    Index("executions_by_machine", "machine_arn", "status"),
    Index("executions_by_start", "started_at"),
    Index("executions_by_parent", "parent_token", **_where("parent_token IS NOT NULL")),
    Index("executions_by_map_run", "map_run_arn", "status", **_where("map_run_arn IS NOT NULL")),
    # Lists of executions show no Map Run's children, newest first: an index that holds the others, in this order.
    Index("executions_listed_by_machine", "machine_arn", "id", **_where("map_run_arn IS NULL")),
    Index("executions_listed_by_status", "status", "id", **_where("map_run_arn IS NULL")),
    Index("executions_by_item", "map_run_arn", "item", **_where("map_run_arn IS NOT NULL")),
    Index("executions_by_owner", "owner", "asleep_until", **_where("owner IS NOT NULL")),
)

# Who runs executions. A lease's end is on the clock of the store (see Ownership), not on the calendar's.
engines = Table(
    "engines",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("born", Double, nullable=False),
    Column("until", Double, nullable=False),
)

codes = Table(
    "codes",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("about", Text, nullable=False),
)

# In append order, not clustered by execution: a commit then touches one page of the table at its end. `first_event` has
# no index: it grows with `step`, so that the unique index finds an event by bisection (docs/decisions/0003).
journal = Table(
    "journal",
    metadata,
    Column("id", _SERIAL, primary_key=True),
    Column("execution", _SERIAL, ForeignKey("executions.id"), nullable=False),
    Column("step", Integer, nullable=False),
    Column("format", Integer, nullable=False),
    Column("first_event", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("records", Text, nullable=False),
    UniqueConstraint("execution", "step", name="journal_step"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("rows", BigInteger),
    Column("columns", BigInteger),
    Column("file", Text, nullable=False),
    Column("preview", Text),
    Column("made_at", Double, nullable=False),
    Column("touched_at", Double, nullable=False),
)

logs = Table(
    "logs",
    metadata,
    Column("execution", _SERIAL, ForeignKey("executions.id"), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
)

# In the order of their making: the oldest task of an activity is the next one that a worker gets.
tokens = Table(
    "tokens",
    metadata,
    Column("id", _SERIAL, primary_key=True),
    Column("token", Text, nullable=False, unique=True),
    Column("execution", _SERIAL, ForeignKey("executions.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("activity", Text),
    Column("input", Text),
    Column("timeout", Integer),
    Column("heartbeat", Integer),
    Column("due", Double),
    Column("heartbeat_due", Double),
    Index("tokens_queued", "activity", "id", **_where("state = 'queued'")),
    Index("tokens_by_execution", "execution", "attempt"),
    sqlite_autoincrement=True,  # its ids are counted
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", _SERIAL, primary_key=True),
    Column("execution", _SERIAL, ForeignKey("executions.id"), nullable=False),
    Column("attempt", Integer),
    Column("fact", Text, nullable=False),
    sqlite_autoincrement=True,  # an id is never used twice: readers remember how far they have read
)

map_runs = Table(
    "map_runs",
    metadata,
    Column("arn", Text, primary_key=True),
    Column("execution", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("stopped_at", Double),
    Column("max_concurrency", Integer, nullable=False),
    Column("tolerated_count", Integer),
    Column("tolerated_percentage", Double),
    Column("counts", Text),
    Column("redrive_count", Integer, nullable=False, server_default="0"),
    Column("redrive_date", Double),
    Index("map_runs_by_execution", "execution"),
)

# What a Map Run needs to go on after its process: see docs/decisions/0008.
map_parts = Table(
    "map_parts",
    metadata,
    Column("map_run", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
)

CHANNEL: Final = "nbflow"
"""What PostgreSQL's LISTEN names."""
INBOX_LOCK: Final = 7954774
"""The key of PostgreSQL's advisory lock on the inbox."""

# PostgreSQL only. Made with the tables, so that no statement that is written one day can go without them.
#
# Whoever inserts into the inbox is alone in doing so until the transaction has ended. Readers remember the id up to
# which they have read; an id is drawn when a row is inserted, and seen when that is committed. Without the lock, a row
# with a lower id could be committed after one with a higher id has been read, and nobody would ever look at it. Locks
# are released when the transaction is visible to all: so ids are committed in their order.
#
# A notification is sent once a transaction, with its COMMIT. Tokens that are open from the start tell nobody: their
# engine has made them. (COMMIT after NOTIFY is one at a time in all of PostgreSQL: a step must not send any.)
_TELLING: Final = (
    f"""CREATE FUNCTION nbflow_alone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock({INBOX_LOCK}); RETURN NULL; END $$""",
    f"""CREATE FUNCTION nbflow_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('{CHANNEL}', ''); RETURN NULL; END $$""",
    "CREATE TRIGGER inbox_alone BEFORE INSERT ON inbox FOR EACH STATEMENT EXECUTE FUNCTION nbflow_alone()",
    "CREATE TRIGGER inbox_notify AFTER INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION nbflow_notify()",
    "CREATE TRIGGER tokens_notify AFTER INSERT ON tokens FOR EACH ROW WHEN (NEW.state = 'queued')"
    " EXECUTE FUNCTION nbflow_notify()",
)
for _statement in _TELLING:
    event.listen(metadata, "after_create", DDL(_statement).execute_if(dialect="postgresql"))  # type: ignore[no-untyped-call]
