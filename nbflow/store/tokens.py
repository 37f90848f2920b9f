"""Tokens and the inbox over SQL. The token's row is the arbiter: whoever closes it, ends the task, and nobody else.

To close a token and to put the fact into the inbox is one transaction. So the caller who is told that it is done can
rely on it, whatever becomes of the engine that runs the execution; and of a result and a timeout that come at the same
moment, one finds the token closed.
"""

import sqlite3
import threading
from collections.abc import Collection
from dataclasses import replace
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    bindparam,
    delete,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    update,
)

from nbflow.store import schema
from nbflow.store.opening import explain, explained, transaction
from nbflow.store.port import InboxRow, Settled, TokenRow
from nbflow.store.registry import SqlRegistry

_T: Final = schema.tokens.c
_PAGE: Final = 1000
"""Inbox rows that are read at once."""

_OPEN: Final[ColumnElement[str]] = literal_column("'open'")
_CLOSED: Final[ColumnElement[str]] = literal_column("'closed'")
"""Written out: the statements of :func:`settling` also run outside SQLAlchemy, which would bind them."""

_TOKENS: Final = select(
    _T.token,
    schema.executions.c.arn.label("execution"),
    _T.attempt,
    _T.state,
    _T.activity,
    _T.input,
    _T.timeout,
    _T.heartbeat,
    _T.due,
    _T.heartbeat_due,
).join(schema.executions, schema.executions.c.id == _T.execution)


def settling(*conditions: ColumnElement[bool]) -> tuple[Executable, Executable]:
    """The statements that end the task of the open token ``:of_token`` with ``:fact``: into the inbox, then close.

    Where the token is not open, or the conditions do not hold, they change nothing.
    """
    wanted = (_T.token == bindparam("of_token"), _T.state == _OPEN, *conditions)
    put = insert(schema.inbox).from_select(
        ["execution", "attempt", "fact"], select(_T.execution, _T.attempt, bindparam("fact")).where(*wanted)
    )
    return put, update(schema.tokens).where(*wanted).values(state=_CLOSED, input=null())


class SqlTokens(SqlRegistry):
    """A :class:`nbflow.store.port.Tokens` over an open, migrated database."""

    _observer: sqlite3.Connection | None = None
    _observing = threading.Lock()

    def token(self, token: str) -> TokenRow | None:
        rows = self._rows(_TOKENS.where(_T.token == token))
        return TokenRow(**rows[0]._mapping) if rows else None

    def settle(self, settled: Settled) -> bool:
        return self._settle(settled)

    def expire(self, settled: Settled, now: float) -> bool:
        return self._settle(settled, or_(_T.due <= now, _T.heartbeat_due <= now))

    def _settle(self, settled: Settled, *conditions: ColumnElement[bool]) -> bool:
        parameters = {"of_token": settled.token, "fact": settled.fact}
        put, close = settling(*conditions)
        with explained(self._place), self._engine.connect() as connection, transaction(connection):
            return connection.execute(put, parameters).rowcount > 0 and bool(
                connection.execute(close, parameters).rowcount
            )

    def beat(self, token: str, now: float) -> bool:
        open_token = update(schema.tokens).where(_T.token == token, _T.state == "open")
        return self._write(open_token.values(heartbeat_due=now + _T.heartbeat)) > 0

    def queued(self) -> dict[str, int]:
        query = select(_T.activity, func.count()).where(_T.state == "queued").group_by(_T.activity)
        return {row[0]: row[1] for row in self._rows(query)}

    def claim(self, activity: str, now: float, fact: str) -> TokenRow | None:
        oldest = _TOKENS.where(_T.activity == activity, _T.state == "queued").order_by(_T.id).limit(1)
        if not self._rows(oldest):  # most polls: without the write lock
            return None
        with explained(self._place), self._engine.connect() as connection, transaction(connection):
            found = connection.execute(oldest).first()
            return None if found is None else _taken(connection, TokenRow(**found._mapping), now, fact)

    def tell(self, execution: str, fact: str) -> None:
        table = schema.executions.c
        told = select(table.id, literal(fact)).where(table.arn == execution, table.status == "RUNNING")
        self._write(insert(schema.inbox).from_select(["execution", "fact"], told))

    def children(self, execution: str, attempt: int) -> list[str]:
        child, parent = schema.executions.alias(), schema.executions.alias()
        query = (
            select(child.c.arn)
            .join(schema.tokens, _T.token == child.c.parent_token)
            .join(parent, parent.c.id == _T.execution)
            .where(parent.c.arn == execution, _T.attempt == attempt)
        )
        return [row.arn for row in self._rows(query)]

    def inbox(self, after: int = 0) -> list[InboxRow]:
        table = schema.inbox.c
        query = (
            select(table.id, schema.executions.c.arn, table.attempt, table.fact)
            .join(schema.executions, schema.executions.c.id == table.execution)
            .where(table.id > after)
            .order_by(table.id)
            .limit(_PAGE)
        )
        return [InboxRow(*row) for row in self._rows(query)]

    def forget(self, ids: Collection[int]) -> None:
        self._write(*(delete(schema.inbox).where(schema.inbox.c.id == id) for id in ids))

    def changes(self) -> int:
        try:
            with self._observing:
                if self._observer is None:
                    self._observer = sqlite3.connect(self._place, check_same_thread=False)
                [[version]] = self._observer.execute("PRAGMA data_version")
        except sqlite3.Error as error:
            raise explain(error, self._place) from error
        return int(version)

    def close(self) -> None:
        """Gives the database back."""
        if self._observer is not None:
            self._observer.close()
        self._engine.dispose()


def _taken(connection: Connection, row: TokenRow, now: float, fact: str) -> TokenRow:
    due = None if row.timeout is None else now + row.timeout
    heartbeat_due = None if row.heartbeat is None else now + row.heartbeat
    told = select(_T.execution, _T.attempt, literal(fact)).where(_T.token == row.token)
    connection.execute(insert(schema.inbox).from_select(["execution", "attempt", "fact"], told))
    opened = {"state": "open", "due": due, "heartbeat_due": heartbeat_due}
    connection.execute(update(schema.tokens).where(_T.token == row.token).values(**opened, input=None))
    return replace(row, state="open", due=due, heartbeat_due=heartbeat_due)
