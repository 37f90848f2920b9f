"""There is one schema: what the migrations make is what the metadata says."""

import sqlite3
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

import nbflow.store.migrations
from nbflow.store import schema
from nbflow.store.sql import open_store


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
