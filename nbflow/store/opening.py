"""From a URL to a migrated database, or to one clear error that names the place and what to do."""

import re
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, insert, inspect, make_url, select
from sqlalchemy.exc import ArgumentError

from nbflow.store.database import Database
from nbflow.store.migrations import upgrade
from nbflow.store.port import StoreError
from nbflow.store.schema import HEAD, VERSION_TABLE, metadata, version
from nbflow.store.sqlite import SqliteDatabase

_POSTGRESQL: Final = ("postgresql", "postgresql+psycopg")


def open_database(url: str, *, busy_timeout: float, create: bool = True) -> Database:
    """A database that has the newest schema. Without ``create``, there must be a store.

    ``url`` is ``sqlite:///PATH``, relative to the working directory of this moment, or
    ``postgresql+psycopg://USER:PASSWORD@HOST/DATABASE``. ``busy_timeout`` is in seconds.
    StoreError: not such a URL, not a usable place, or not a store of ours.
    """
    database = _database(url, busy_timeout, create)
    try:
        with database.explained(), database.engine.connect() as connection:
            found = _version(
                connection, database.place
            )  # refuses another program's database while it is untouched
            if found is None and not create:
                raise _no_store(database.place)
            database.prepare(connection)
            _migrate(connection, database)
    except BaseException:
        database.close()
        raise
    return database


def shown(url: str) -> str:
    """The URL without its password."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter where the port is no number
        return re.sub(r"(?<=:)[^/].*@", "***@", url)
    if "password" in parsed.query:
        parsed = parsed.update_query_dict({"password": "***"})
    elif not parsed.password:
        return url
    return parsed.render_as_string()


def _no_store(place: str) -> StoreError:
    return StoreError(f"There is no store {place}. nbflow run, nbflow server and nf.connect() make one.")


def _database(url: str, busy_timeout: float, create: bool) -> Database:
    try:
        parsed: URL | None = make_url(url)
    except (ArgumentError, ValueError):  # the latter where the port is no number
        parsed = None
    if parsed is not None and parsed.drivername == "sqlite" and parsed.database not in (None, "", ":memory:"):
        path = Path(str(parsed.database)).absolute()
        if not create and not path.exists():  # else its folder would be made
            raise _no_store(str(path))
        return SqliteDatabase(parsed, busy_timeout=busy_timeout)
    if parsed is not None and parsed.drivername in _POSTGRESQL:
        try:
            from nbflow.store.postgres import PostgresDatabase
        except ImportError as error:
            raise StoreError(
                f"The store {shown(url)} needs psycopg ({error}). Install it: pip install 'nbflow[postgres]'."
            ) from None
        return PostgresDatabase(parsed.set(drivername=_POSTGRESQL[1]), shown(url), busy_timeout=busy_timeout)
    raise StoreError(
        f"{shown(url)!r} is not the URL of a store. Give sqlite:///PATH, such as sqlite:///.nbflow/store.db,"
        " or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."
    )


def _migrate(connection: Connection, database: Database) -> None:
    """Creates the schema, leaves it or upgrades it; refuses what is newer or not ours."""
    if _version(connection, database.place) == HEAD:
        return
    with database.transaction(connection, alone=True):
        found = _version(connection, database.place)  # again: another process may have been first
        if found is None:
            metadata.create_all(connection, checkfirst=False)
            connection.execute(insert(version).values(version_num=HEAD))
        elif found > HEAD:
            raise StoreError(
                f"The store {database.place} was written by a newer nbflow (schema {found}; this one knows {HEAD})."
                " Update nbflow, or choose another store."
            )
        elif found < HEAD:
            upgrade(connection)


def _version(connection: Connection, place: str) -> str | None:
    """The number of the last migration; None for an empty database, "" for one before the first migration."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if VERSION_TABLE not in tables:
        raise StoreError(
            f"{place} is a database of another program (its tables: {', '.join(tables[:5])})."
            " Choose another place for the store."
        )
    return connection.execute(select(version.c.version_num)).scalar_one_or_none() or ""
