"""There is one schema: what the migrations make is what the metadata says."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

import nbflow.store.migrations
import nbflow.store.opening
from nbflow.store import schema
from nbflow.store.port import StoreError
from nbflow.store.sql import open_store
from tests.postgres import Server
from tests.store.test_contract import Factory


def migrated(path: Path) -> None:
    """Makes a store as an older one is brought up to date: with the migrations only."""
    database = sqlite3.connect(path)
    database.execute(f"CREATE TABLE {schema.VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    database.close()
    open_store(f"sqlite:///{path}").close()


def shape(path: Path) -> dict[str, object]:
    """Every table by its columns and foreign keys, every index by the statement that made it.

    Not the statements of the tables: SQLite writes a column that was added later behind the constraints.
    """
    database = sqlite3.connect(path)
    found: dict[str, object] = {}
    for kind, name, sql in database.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    ):
        if kind == "table":
            columns = database.execute(
                f"SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('{name}')"
            )
            keys = database.execute(f'SELECT "table", "from", "to" FROM pragma_foreign_key_list(\'{name}\')')
            unique = database.execute(f"SELECT origin, partial FROM pragma_index_list('{name}')")
            found[name] = (sorted(columns), sorted(keys), sorted(unique))
        else:
            found[name] = " ".join(sql.split())
    database.close()
    return {name: made for name, made in found.items() if name != schema.VERSION_TABLE}


def test_migrations_end_where_the_metadata_is(tmp_path: Path) -> None:
    migrated(tmp_path / "migrated.db")
    engine = create_engine(f"sqlite:///{tmp_path}/migrated.db")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": schema.VERSION_TABLE})
        assert compare_metadata(context, schema.metadata) == []
        assert context.get_current_revision() == schema.HEAD
    engine.dispose()


def test_a_new_store_equals_a_migrated_one(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/new.db").close()
    migrated(tmp_path / "migrated.db")
    new = shape(tmp_path / "new.db")
    assert new == shape(tmp_path / "migrated.db")
    indexes = {str(index.name) for table in schema.metadata.tables.values() for index in table.indexes}
    assert new.keys() == (schema.metadata.tables.keys() - {schema.VERSION_TABLE}) | indexes


def test_head_is_the_newest_migration() -> None:
    script = ScriptDirectory(str(Path(nbflow.store.migrations.__file__).parent))
    assert script.get_heads() == [schema.HEAD]


def test_a_migration_that_fails_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    engine = create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        nbflow.store.migrations.upgrade(connection)
        connection.exec_driver_sql("ROLLBACK")  # the transaction is still the caller's
    engine.dispose()
    assert shape(path) == {}


# --- PostgreSQL

COLUMNS = """
    SELECT table_name, column_name, data_type, character_maximum_length, is_nullable,
           replace(column_default, 'nbflow_migrated', 'nbflow_new')
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'nbflow_version' ORDER BY 1, 2
"""
REST = {
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f') ORDER BY 1, 2",
    "triggers": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
    "functions": "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1",
    "sequences": "SELECT sequencename, data_type::text FROM pg_sequences ORDER BY 1",
}


def server_shape(postgres: Server, database: str) -> dict[str, object]:
    """Everything that a database holds, but its rows."""
    return {
        name: postgres.run(query, database=database) for name, query in ({"columns": COLUMNS} | REST).items()
    }


def server_migrated(postgres: Server, database: str) -> str:
    """The URL of a store that was made with the migrations only."""
    url = postgres.database(database)
    postgres.run(
        f"CREATE TABLE {schema.VERSION_TABLE} (version_num VARCHAR(32) PRIMARY KEY)", database=database
    )
    open_store(url).close()
    return url


def test_on_postgresql_a_new_store_equals_a_migrated_one(postgres: Server) -> None:
    open_store(postgres.database("nbflow_new")).close()
    url = server_migrated(postgres, "nbflow_migrated")
    new = server_shape(postgres, "nbflow_new")
    assert new == server_shape(postgres, "nbflow_migrated")
    assert all(new.values())
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": schema.VERSION_TABLE})
        assert compare_metadata(context, schema.metadata) == []
        assert context.get_current_revision() == schema.HEAD
    engine.dispose()


def test_on_postgresql_a_migration_that_fails_leaves_the_store_as_it_was(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.database("nbflow_failed")
    postgres.run(
        f"CREATE TABLE {schema.VERSION_TABLE} (version_num VARCHAR(32) PRIMARY KEY)", database="nbflow_failed"
    )
    upgrade = nbflow.store.migrations.upgrade

    def failing(connection: Connection) -> None:
        upgrade(connection)
        connection.exec_driver_sql("SELECT 1 / 0")

    monkeypatch.setattr(nbflow.store.opening, "upgrade", failing)
    with pytest.raises(StoreError, match="division by zero"):
        open_store(url)
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    assert postgres.run(tables, database="nbflow_failed") == [(schema.VERSION_TABLE,)]


def test_an_empty_database_is_opened_by_several_at_once(factory: Factory, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        stores = list(threads.map(lambda _: factory(tmp_path), range(4)))
    for store in stores:
        assert store.executions() == []
        store.close()
