"""What differs between SQLite and PostgreSQL, behind one class; and statements that both take.

The statements of the store are written once. Those that run often are compiled once (:class:`Statement`), and run on
the driver's own connection in a third of SQLAlchemy's time; sqlite3's connections and psycopg's have the same
``execute``. What the two databases do differently is the table of a :class:`Database`: how a transaction begins, how a
batch is committed, how one hears of others, whose clock counts, and what an error means.

All connections are in autocommit mode: a read is one statement and needs no transaction, and a write says BEGIN itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any, ClassVar, Final, NamedTuple, Protocol, TypeAlias

from sqlalchemy import Connection, Engine, Executable, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.engine import Dialect

from nbflow.store.port import StoreError


class Statement:
    """A statement as the drivers take it, with named parameters: those of ``names``, or those bound in it."""

    def __init__(
        self, statement: Executable, names: Collection[str] | None, *, tail: str, tells: bool
    ) -> None:
        self._statement = statement
        self._names = None if names is None else list(names)
        self._tail = tail
        self.tells: Final = tells
        """Whether it inserts into the inbox."""
        self.sqlite: Final = self._spelt(sqlite.dialect(paramstyle="named"))

    @cached_property
    def postgresql(self) -> bytes:
        """For psycopg."""
        return self._spelt(psycopg.dialect()).encode()  # type: ignore[no-untyped-call]

    def _spelt(self, dialect: Dialect) -> str:
        spelt = self._statement.compile(dialect=dialect, column_keys=self._names)  # type: ignore[attr-defined]  # what is executed can be compiled
        return f"{spelt}{self._tail}"


def compiled(
    statement: Executable, names: Collection[str] | None = None, *, tail: str = "", tells: bool = False
) -> Statement:
    """The statement for :class:`Driver`; ``tail`` is written behind it."""
    return Statement(statement, names, tail=tail, tells=tells)


class Write(NamedTuple):
    """A statement of a batch."""

    statement: Statement
    parameters: dict[str, Any]
    certain: bool = True
    """Whether it must change exactly one row."""


Work: TypeAlias = list[tuple[str, list[Write]]]
"""What a batch writes for each of its executions (by ARN), in order."""


class Cursor(Protocol):
    """What a statement has done."""

    @property
    def rowcount(self) -> int:
        """How many rows it has changed."""
        ...

    def fetchone(self) -> Any:
        """The next row."""
        ...

    def fetchall(self) -> list[Any]:
        """All further rows."""
        ...


class Driver(Protocol):
    """A connection of the driver's own."""

    def execute(self, statement: Statement, parameters: Mapping[str, Any] = ..., /) -> Cursor:
        """Run a compiled statement."""
        ...


class ConnectionLost(StoreError):
    """The connection to the server has ended while a batch was written."""

    def __init__(self, text: str, *, doubtful: bool) -> None:
        super().__init__(text)
        self.doubtful: Final = doubtful
        """COMMIT was sent, and its answer has not come: the batch is written, or it is not."""


class Database(ABC):
    """An open database."""

    errors: ClassVar[tuple[type[Exception], ...]]
    """What its driver and SQLAlchemy raise."""
    unknown: ClassVar[type[Exception]]
    """What the driver raises where a row refers to one that is not there."""

    def __init__(self, engine: Engine, place: str) -> None:
        self.engine: Final = engine
        self.place: Final = place
        """What to call it in messages."""

    @abstractmethod
    def explain(self, error: Exception) -> StoreError:
        """The driver's error as a sentence for people, that says where and what to do."""

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turns the database's errors into StoreError, which has their text: a reader needs no traceback of theirs."""
        try:
            yield
        except self.errors as error:
            raise self.explain(error) from None

    @abstractmethod
    def prepare(self, connection: Connection) -> None:
        """Make a database that is empty or ours ready for use. Raises StoreError if it cannot be used."""

    @contextmanager
    def transaction(
        self, connection: Connection, *, alone: bool = False, telling: bool = False
    ) -> Iterator[None]:
        """All or nothing. ``alone``: nobody else migrates meanwhile. ``telling``: as of :meth:`driver_transaction`."""
        for statement in self._begin(alone=alone, telling=telling):
            connection.exec_driver_sql(statement)
        try:
            yield
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            connection.rollback()
            raise

    @abstractmethod
    def _begin(self, *, alone: bool = False, telling: bool = False) -> tuple[str, ...]:
        """The statements that begin a transaction."""

    @abstractmethod
    def shut(self, connection: Connection, table: Table) -> None:
        """Nobody else writes to the table until this transaction ends."""

    @abstractmethod
    def driver(self) -> AbstractContextManager[Driver]:
        """Lends a connection of the driver's."""

    @abstractmethod
    def driver_transaction(self, *, telling: bool = False) -> AbstractContextManager[Driver]:
        """The same within a transaction. ``telling``: it will put something into the inbox."""

    @abstractmethod
    def commit(self, work: Work) -> set[str]:
        """Commits all of it, or (if any execution has collided) none of it; answers those that have.

        On a connection of its own, which is held. Raises the driver's errors, and ConnectionLost.
        """

    @abstractmethod
    def changes(self) -> int:
        """A number that grows when anybody tells somebody something."""

    @abstractmethod
    def elapsed(self) -> float:
        """Seconds on the clock of leases."""

    @abstractmethod
    def close(self) -> None:
        """Gives the database back."""
