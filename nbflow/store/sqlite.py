"""SQLite: a file, which the processes of one machine share.

A write says ``BEGIN IMMEDIATE``, so that it waits for other writers at its begin, where nothing has been done yet, and
never in its middle, where SQLite could not wait without a deadlock. With the write lock from its begin, a transaction
is alone: what it has read stays true until it ends.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

from sqlalchemy import URL, Connection, Table, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from nbflow.store.database import Database, Driver, Statement, Work
from nbflow.store.port import StoreError

_BEGIN: Final = "BEGIN IMMEDIATE"
"""Takes the write lock at once."""

_SYNCHRONOUS: Final = ("NORMAL", "FULL")
"""NORMAL: a commit survives the process; only checkpoints call fsync. FULL: it survives the machine, too."""

_DRAWN: Final = "SELECT coalesce(sum(seq), 0) FROM sqlite_sequence WHERE name IN ('inbox', 'tokens')"
"""How many ids these tables have given out."""

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


class _Driver:
    """A connection of sqlite3's for compiled statements."""

    __slots__ = ("_execute",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    def execute(self, statement: Statement, parameters: Mapping[str, Any] = {}, /) -> sqlite3.Cursor:
        return self._execute(statement.sqlite, parameters)


class SqliteDatabase(Database):
    """A file, opened by the URL ``sqlite:///PATH``; missing folders are made."""

    errors: ClassVar = (sqlite3.Error, DBAPIError)
    unknown: ClassVar = sqlite3.IntegrityError

    def __init__(self, url: URL, *, busy_timeout: float) -> None:
        path, synchronous = Path(str(url.database)).absolute(), _synchronous(url)
        place = str(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The folder of the store {place} cannot be made ({error.strerror}): {error.filename}."
                " Choose a path in a folder that can be written."
            ) from None
        engine = create_engine(
            make_url("sqlite://").set(database=place),
            isolation_level="AUTOCOMMIT",
            connect_args={"timeout": busy_timeout},
        )

        def configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            connection.execute("PRAGMA foreign_keys = ON")

        event.listen(engine, "connect", configure)
        super().__init__(engine, place)
        self._held: PoolProxiedConnection | None = None
        self._writer: sqlite3.Connection
        self._observer: sqlite3.Connection | None = None
        self._observing = threading.Lock()
        self._version = -1
        self._drawn = 0

    def explain(self, error: Exception) -> StoreError:
        return explain(error, self.place)

    def prepare(self, connection: Connection) -> None:
        """Readers never wait for the writer. The file keeps the mode; a file system without it is refused."""
        mode = connection.exec_driver_sql("PRAGMA journal_mode = WAL").scalar_one()
        if mode != "wal":
            raise StoreError(
                f"The store {self.place} cannot use SQLite's write-ahead log (it is in mode {mode!r})."
                " Network file systems have none: choose a path on a local disk."
            )
        self._held = self.engine.raw_connection()
        self._writer = _connection(self._held.driver_connection)

    def _begin(self, *, alone: bool = False, telling: bool = False) -> tuple[str, ...]:
        return (_BEGIN,)

    def shut(self, connection: Connection, table: Table) -> None:
        """A transaction keeps all other writers out anyway."""

    @contextmanager
    def driver(self) -> Iterator[Driver]:
        with self.explained(), closing(self.engine.raw_connection()) as pooled:
            yield _Driver(_connection(pooled.driver_connection))

    @contextmanager
    def driver_transaction(self, *, telling: bool = False) -> Iterator[Driver]:
        with self.explained(), closing(self.engine.raw_connection()) as pooled:
            connection = _connection(pooled.driver_connection)
            connection.execute(_BEGIN)
            try:
                yield _Driver(connection)
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()
                raise

    def commit(self, work: Work) -> set[str]:
        execute = self._writer.execute
        if len(work) == 1 and len(work[0][1]) == 1:  # one statement is a transaction by itself
            [(arn, [write])] = work
            return set() if execute(write.statement.sqlite, write.parameters).rowcount else {arn}
        losers = set()
        execute(_BEGIN)
        try:
            for arn, writes in work:
                for statement, parameters, certain in writes:
                    if not execute(statement.sqlite, parameters).rowcount and certain:
                        losers.add(arn)
            execute("ROLLBACK" if losers else "COMMIT")
        except BaseException:
            self._writer.rollback()  # does nothing where SQLite has rolled back by itself
            raise
        return losers

    def changes(self) -> int:
        """SQLite tells nobody of a commit; to ask it for the number of its last one costs microseconds."""
        with self.explained(), self._observing:
            if self._observer is None:
                self._observer = sqlite3.connect(self.place, check_same_thread=False)
            [version] = self._observer.execute("PRAGMA data_version").fetchone()
            if version != self._version:
                self._version = version
                [self._drawn] = self._observer.execute(_DRAWN).fetchone()
        return self._drawn

    def elapsed(self) -> float:
        """On a clock that all processes of this machine share, and that nobody sets: it counts its suspends."""
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    def close(self) -> None:
        if self._held is not None:
            self._held.close()
        if self._observer is not None:
            self._observer.close()
        self.engine.dispose()


def explain(error: Exception, place: str) -> StoreError:
    """The driver's error, by SQLite's primary result code, as a sentence for people."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", -1) & 0xFF
    return StoreError(f"The store {place} {_ADVICE.get(code, 'failed')} ({cause}).")


def _synchronous(url: URL) -> str:
    asked = dict(url.query)
    mode = str(asked.pop("synchronous", "NORMAL")).upper()
    if asked or mode not in _SYNCHRONOUS:
        wrong = f"{next(iter(asked))!r} is no parameter" if asked else f"{mode!r} is no value for synchronous"
        raise StoreError(
            f"{url.render_as_string()!r}: {wrong} of a store. sqlite:///PATH takes one:"
            " ?synchronous=NORMAL (what is written survives the end of the process; the default)"
            " or ?synchronous=FULL (it survives a power failure, too)."
        )
    return mode


def _connection(connection: object) -> sqlite3.Connection:
    assert isinstance(connection, sqlite3.Connection)
    return connection
