"""From a URL to a migrated database, or to one clear error that names the file and what to do.

All connections are in autocommit mode: a read is one statement and needs no transaction, and a write says
``BEGIN IMMEDIATE`` itself (:func:`transaction`), so that it waits for other writers at its begin, where
nothing has been done yet, and never in its middle, where SQLite could not wait without a deadlock.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from nbflow.store.migrations import upgrade
from nbflow.store.port import StoreError
from nbflow.store.schema import HEAD, VERSION_TABLE, metadata, version

BEGIN: Final = "BEGIN IMMEDIATE"
"""Takes the write lock at once. (PostgreSQL's BEGIN is the only statement that differs.)"""

_READONLY: Final = "cannot be written. Make the file and its folder writable, or choose another store"
_ADVICE: Final = {
    sqlite3.SQLITE_BUSY: "is locked by another process. Nothing was written; try again, or end that process",
    sqlite3.SQLITE_LOCKED: "is locked. Nothing was written; try again",
    sqlite3.SQLITE_READONLY: _READONLY,
    sqlite3.SQLITE_PERM: _READONLY,
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk failed. Nothing was written; check the disk",
    sqlite3.SQLITE_CORRUPT: "is damaged. Move it away to begin with an empty store, or restore a copy",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full. Nothing was written; make room and try again",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened. Give the path of a file in a folder that can be written",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database. Choose another path, or move the file away",
}


def explain(error: Exception, place: str) -> StoreError:
    """The driver's error, by SQLite's primary result code, as a sentence for people."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", -1) & 0xFF
    return StoreError(f"The store {place} {_ADVICE.get(code, 'failed')} ({cause}).")


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Turns the database's errors into StoreError."""
    try:
        yield
    except (sqlite3.Error, DBAPIError) as error:
        raise explain(error, place) from error


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """All or nothing, with the write lock from the begin."""
    connection.exec_driver_sql(BEGIN)
    try:
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def open_database(url: str, *, busy_timeout: float) -> tuple[Engine, str]:
    """An engine over a database that has the newest schema, and what to call it in messages.

    ``url`` is ``sqlite:///PATH``, relative to the working directory of this moment; missing folders are made.
    ``busy_timeout`` is in seconds. StoreError: not such a URL, not a usable place, or not a store of ours.
    """
    path = _database_path(url)
    place = str(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder of the store {place} cannot be made ({error.strerror}): {error.filename}."
            " Choose a path in a folder that can be written."
        ) from error
    engine = create_engine(
        make_url("sqlite://").set(database=place),
        isolation_level="AUTOCOMMIT",
        connect_args={"timeout": busy_timeout},
    )
    event.listen(engine, "connect", _configure)
    try:
        with explained(place), engine.connect() as connection:
            _version(connection, place)  # refuses another program's database while it is untouched
            _use_wal(connection, place)
            _migrate(connection, place)
    except BaseException:
        engine.dispose()
        raise
    return engine, place


def _database_path(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.drivername != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise StoreError(
            f"{url!r} is not the URL of a store. Give sqlite:///PATH, such as sqlite:///.nbflow/store.db."
        )
    return Path(str(parsed.database)).absolute()


def _configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")  # a commit survives the process; checkpoints call fsync
    connection.execute("PRAGMA foreign_keys = ON")


def _use_wal(connection: Connection, place: str) -> None:
    """Readers never wait for the writer. The file keeps the mode; a file system without it is refused."""
    mode = connection.exec_driver_sql("PRAGMA journal_mode = WAL").scalar_one()
    if mode != "wal":
        raise StoreError(
            f"The store {place} cannot use SQLite's write-ahead log (it is in mode {mode!r})."
            " Network file systems have none: choose a path on a local disk."
        )


def _migrate(connection: Connection, place: str) -> None:
    """Creates the schema, leaves it or upgrades it; refuses what is newer or not ours."""
    if _version(connection, place) == HEAD:
        return
    with transaction(connection):
        found = _version(connection, place)  # again, under the lock: another process may have been first
        if found is None:
            metadata.create_all(connection, checkfirst=False)
            connection.execute(insert(version).values(version_num=HEAD))
        elif found > HEAD:
            raise StoreError(
                f"The store {place} was written by a newer nbflow (schema {found}; this one knows {HEAD})."
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
            " Choose another path for the store."
        )
    return connection.execute(select(version.c.version_num)).scalar_one_or_none() or ""
