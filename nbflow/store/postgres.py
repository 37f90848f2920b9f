"""PostgreSQL: a server, which processes on many machines share.

BEGIN takes no lock here, and a statement sees what is committed when it begins (READ COMMITTED). So what a transaction
has read and relies on, it locks row by row: the statements say ``FOR UPDATE``, which SQLite's spelling leaves out. Who
will put something into the inbox takes its lock first (see :mod:`nbflow.store.schema`), before any row's: whoever took
a row first could wait for another who has the inbox and waits for that row.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, Final

import psycopg
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import URL, Connection, Table, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from nbflow.store.database import ConnectionLost, Database, Driver, Statement, Work
from nbflow.store.port import StoreError
from nbflow.store.schema import CHANNEL, INBOX_LOCK

_MIGRATING: Final = INBOX_LOCK + 1
"""The key of the advisory lock of who makes or migrates the schema."""

_NET: Final = 5.0
"""Seconds after which a change is assumed though nobody has told of one."""
_DEAF: Final = 1.0
"""Seconds between two attempts to listen again."""
_ATTEMPTS: Final = 5
"""How often a batch is tried that another transaction stands in the way of."""

_CONNECT: Final = {
    "client_encoding": "utf8",
    "connect_timeout": 10,
    "tcp_user_timeout": 20_000,  # milliseconds: a server that has vanished without a word is given up
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "application_name": "nbflow",
}
"""For whatever the URL does not say."""

_RIGHTS: Final = "may not be used so by this user. Grant it the right, or give another user in the URL"
_AWAY: Final = "has closed the connection. Nothing was written; work goes on when the server is back"
_ADVICE: Final = {
    "0A": "lacks what nbflow needs: use PostgreSQL 13 or newer, without a pooler that shares sessions",
    "22": "cannot hold such a value. Nothing was written",
    "25006": "is read-only (a standby?). Give the URL of the primary server",
    "40": "was in the way of another transaction. Nothing was written; try again",
    "42501": _RIGHTS,
    "53100": "cannot grow: the server's disk is full. Nothing was written; make room and try again",
    "53300": "has too many connections. Nothing was written; raise max_connections, or end a process that uses it",
    "53": "is out of resources. Nothing was written; try again later",
    "55P03": "is locked by another session. Nothing was written; try again, or end that session",
    "57P01": _AWAY,
    "57P02": _AWAY,
    "57P03": _AWAY,
    "25P03": _AWAY,
    "58": "cannot be read or written: the server's disk failed. Nothing was written; check the server",
    "XX001": "is damaged. Restore a copy",
    "XX002": "is damaged. Run REINDEX, or restore a copy",
}
"""By SQLSTATE, or its class."""

_AT_THE_DOOR: Final = (
    ("authentication failed", "refuses the user or the password. Check both in the URL"),
    ("no password supplied", "asks for a password. Give it in the URL, in PGPASSWORD or in ~/.pgpass"),
    ("no pg_hba.conf entry", "does not let this user in from here. Allow it in the server's pg_hba.conf"),
    ("database system is", "is starting or shutting down. Work goes on when the server is ready"),
    ("too many c", "has too many connections. Raise max_connections, or end a process that uses it"),
    ("role ", "does not know this user. Check the user in the URL, or make it: CREATE ROLE … LOGIN"),
    ("database ", "is not there. Check the name in the URL, or make it: CREATE DATABASE …"),
    ("invalid connection option", "has a parameter in its URL that PostgreSQL does not know. Take it out"),
    ("server closed the connection", _AWAY),
    ("terminating connection", _AWAY),
)
"""By a word of the message: libpq tells no SQLSTATE of a connection that it could not make."""
_UNREACHABLE: Final = (
    "cannot be reached. Check the host and port of the URL; work goes on when the server runs"
)


class _Text(StrDumperUnknown):
    """Text that PostgreSQL takes: NUL, which it does not store, and lone surrogates as JSON escapes them."""

    def dump(self, obj: str) -> bytes:
        return obj.encode("utf-8", "backslashreplace").replace(b"\0", b"\\u0000")


class _Driver:
    """A connection of psycopg's for compiled statements."""

    __slots__ = ("_execute",)

    def __init__(self, connection: psycopg.Connection) -> None:
        self._execute = connection.execute

    def execute(self, statement: Statement, parameters: Mapping[str, Any] = {}, /) -> psycopg.Cursor:
        return self._execute(statement.postgresql, parameters)


class PostgresDatabase(Database):
    """A database of a server, or, with ``?options=-csearch_path%3DNAME``, a schema of one."""

    errors: ClassVar = (psycopg.Error, DBAPIError)
    unknown: ClassVar = psycopg.IntegrityError

    def __init__(self, url: URL, place: str, *, busy_timeout: float) -> None:
        wait = max(1, round(busy_timeout * 1000))
        options = (
            f"-c lock_timeout={wait}"
            # A process that was stopped in its middle keeps nobody waiting: it has lost its connection when it wakes.
            f" -c idle_in_transaction_session_timeout={max(10_000, 2 * wait)}"
            f" {url.query.get('options', '')}"
        )
        defaults = {name: value for name, value in _CONNECT.items() if name not in url.query}
        engine = create_engine(
            url, isolation_level="AUTOCOMMIT", connect_args={**defaults, "options": options.rstrip()}
        )
        event.listen(engine, "connect", _configure)
        event.listen(engine, "checkout", _check)
        super().__init__(engine, place)
        self._held: PoolProxiedConnection | None = None
        self._closed = False
        self._ear: psycopg.Connection | None = None
        self._listening = threading.Lock()
        self._heard = 0
        self._heard_at = time.monotonic()
        self._deaf_until = 0.0

    def explain(self, error: Exception) -> StoreError:
        return _explain(error, self.place)

    def prepare(self, connection: Connection) -> None:
        encoding = _connection(connection.connection.driver_connection).info.parameter_status(
            "server_encoding"
        )
        if encoding != "UTF8":
            raise StoreError(
                f"The store {self.place} is a database with the encoding {encoding}, which has not all characters."
                " Make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."
            )

    def _begin(self, *, alone: bool = False, telling: bool = False) -> tuple[str, ...]:
        locks = [key for key, asked in ((_MIGRATING, alone), (INBOX_LOCK, telling)) if asked]
        return ("BEGIN", *(f"SELECT pg_advisory_xact_lock({key})" for key in locks))

    def shut(self, connection: Connection, table: Table) -> None:
        connection.exec_driver_sql(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE")

    @contextmanager
    def _lent(self) -> Iterator[psycopg.Connection]:
        with self.explained():
            pooled = self.engine.raw_connection()
            connection = _connection(pooled.driver_connection)
            try:
                yield connection
            finally:
                if connection.closed:
                    pooled.invalidate()
                pooled.close()

    @contextmanager
    def driver(self) -> Iterator[Driver]:
        with self._lent() as connection:
            yield _Driver(connection)

    @contextmanager
    def driver_transaction(self, *, telling: bool = False) -> Iterator[Driver]:
        with self._lent() as connection:
            connection.execute("; ".join(self._begin(telling=telling)).encode())
            with _rolled_back(connection):
                yield _Driver(connection)
                connection.execute("COMMIT")

    def commit(self, work: Work) -> set[str]:
        """A connection that was lost before COMMIT is made anew, once; a deadlock's victim tries again."""
        attempt = 0
        while True:
            attempt += 1
            writer = _Commit(self._writer())
            try:
                return writer.run(work)
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                if attempt == _ATTEMPTS:
                    raise
            except psycopg.Error as error:
                if not writer.connection.closed:
                    raise
                if writer.committing or attempt > 1:
                    raise ConnectionLost(str(self.explain(error)), doubtful=writer.committing) from None

    def _writer(self) -> psycopg.Connection:
        """The connection that is held for batches."""
        if self._closed:
            raise StoreError(f"The store {self.place} is closed.")
        if self._held is not None:
            held = _connection(self._held.driver_connection)
            if _lives(held):
                return held
            self._held.invalidate()
            self._held = None
        try:
            self._held = self.engine.raw_connection()
        except self.errors as error:
            raise ConnectionLost(str(self.explain(error)), doubtful=False) from None
        return _connection(self._held.driver_connection)

    def changes(self) -> int:
        """Counts the notifications that have come: no query. A connection of its own listens."""
        with self._listening:
            now = time.monotonic()
            if self._ear is None and now >= self._deaf_until and not self._closed:
                self._listen(now)
            if self._ear is not None and self._notified():
                self._heard += 1
                self._heard_at = now
            if now - self._heard_at >= _NET:
                self._heard += 1
                self._heard_at = now
            return self._heard

    def _listen(self, now: float) -> None:
        """Begin to listen; what was said meanwhile may have been missed. Only the first failure is told."""
        told, self._deaf_until = self._deaf_until > 0, now + _DEAF
        try:
            with self.explained():
                pooled = self.engine.raw_connection()
                ear = _connection(pooled.driver_connection)
                pooled.detach()
                ear.execute(f"LISTEN {CHANNEL}".encode())
        except StoreError:
            if not told:
                raise
            return
        self._ear = ear
        self._heard += 1
        self._deaf_until = 0.0

    def _notified(self) -> bool:
        """Whether a notification has come; none will, any more, where the connection has ended."""
        assert self._ear is not None
        heard = False
        if not _lives(self._ear):
            self._ear.close()
            self._ear = None
            return True
        while self._ear.pgconn.notifies() is not None:
            heard = True
        return heard

    def elapsed(self) -> float:
        """On the server's clock, which all machines share."""
        with self._lent() as connection:
            found = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
        assert found is not None
        return float(found[0])

    def close(self) -> None:
        self._closed = True
        if self._held is not None:
            if _connection(self._held.driver_connection).closed:
                self._held.invalidate()
            self._held.close()
            self._held = None
        with self._listening:
            if self._ear is not None:
                self._ear.close()
                self._ear = None
        self.engine.dispose()


class _Commit:
    """One attempt to commit a batch."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.committing = False
        """From now on, who loses the connection does not know whether the batch is written."""

    def run(self, work: Work) -> set[str]:
        """Those who have collided."""
        if len(work) == 1 and len(work[0][1]) == 1:  # one statement is a transaction by itself
            [(arn, [write])] = work
            self.committing = True
            return set() if self._execute(write.statement.postgresql, write.parameters).rowcount else {arn}
        with _rolled_back(self.connection):
            losers = self._written(work)
            self.committing = not losers
            self._execute(b"ROLLBACK" if losers else b"COMMIT")
        return losers

    def _written(self, work: Work) -> set[str]:
        """All statements on one way to the server and back."""
        certain = []
        with self.connection.pipeline():
            self._execute(b"BEGIN")
            if any(write.statement.tells for _, writes in work for write in writes):
                self._execute(f"SELECT pg_advisory_xact_lock({INBOX_LOCK})".encode())
            for arn, writes in work:
                for write in writes:
                    done = self._execute(write.statement.postgresql, write.parameters)
                    if write.certain:
                        certain.append((arn, done))
        return {arn for arn, done in certain if not done.rowcount}

    def _execute(self, statement: bytes, parameters: Mapping[str, Any] | None = None) -> psycopg.Cursor:
        return self.connection.execute(statement, parameters)


@contextmanager
def _rolled_back(connection: psycopg.Connection) -> Iterator[None]:
    """Rolls back what fails, where there is still a connection."""
    try:
        yield
    except BaseException:
        with suppress(psycopg.Error):
            connection.rollback()
        raise


def _explain(error: Exception, place: str) -> StoreError:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    text = " ".join(str(cause).split())
    code = getattr(cause, "sqlstate", None) or ""
    if code:
        advice = _ADVICE.get(code) or _ADVICE.get(code[:2], "failed")
    else:
        known = (advice for words, advice in _AT_THE_DOOR if words in text)
        reached = not isinstance(cause, psycopg.OperationalError)
        advice = next(known, "failed" if reached else _UNREACHABLE)
    return StoreError(f"The store {place} {advice} ({text.rstrip('.')}).")


def _configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    _connection(connection).adapters.register_dumper(str, _Text)


def _check(connection: DBAPIConnection, _entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
    if not _lives(_connection(connection)):
        raise InvalidatePoolError  # nor will the others: it is made anew


def _lives(connection: psycopg.Connection) -> bool:
    """Whether the server has not hung up, as far as is known here: nothing is sent."""
    try:
        for _ in range(2):  # its last words, and the end behind them
            connection.pgconn.consume_input()
    except psycopg.Error:
        return False
    return not connection.closed


def _connection(connection: object) -> psycopg.Connection:
    assert isinstance(connection, psycopg.Connection)
    return connection
