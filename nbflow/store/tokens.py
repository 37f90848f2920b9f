"""Tokens and the inbox over SQL. The token's row is the arbiter: whoever closes it, ends the task, and nobody else.

To close a token and to put the fact into the inbox is one transaction. So the caller who is told that it is done can
rely on it, whatever becomes of the engine that runs the execution; and of a result and a timeout that come at the same
moment, one finds the token closed.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Delete,
    bindparam,
    delete,
    exists,
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
from nbflow.store.database import Driver, Statement, compiled
from nbflow.store.registry import SqlRegistry
from nbflow.store.rows import InboxRow, Settled, TokenRow

_T: Final = schema.tokens.c
_PAGE: Final = 1000
"""Inbox rows that are read at once."""

_OPEN: Final[ColumnElement[str]] = literal_column("'open'")
_CLOSED: Final[ColumnElement[str]] = literal_column("'closed'")
_WAITING: Final[ColumnElement[str]] = literal_column("'queued'")
"""Written out: the statements run outside SQLAlchemy, which would bind them."""

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


def settling(*conditions: ColumnElement[bool]) -> tuple[Statement, Statement]:
    """The statements that end the task of the open token ``:of_token`` with ``:fact``: into the inbox, then close.

    Where the token is not open, or the conditions do not hold, they change nothing. The first locks the token's row:
    of two who do so at once, the later one finds it closed.
    """
    wanted = (_T.token == bindparam("of_token"), _T.state == _OPEN, *conditions)
    put = insert(schema.inbox).from_select(
        ["execution", "attempt", "fact"],
        select(_T.execution, _T.attempt, bindparam("fact")).where(*wanted).with_for_update(),
    )
    end = update(schema.tokens).where(*wanted).values(state=_CLOSED, input=null())
    return compiled(put, tells=True), compiled(end)


SETTLE: Final = settling()
_EXPIRE: Final = settling(or_(_T.due <= bindparam("now"), _T.heartbeat_due <= bindparam("now")))
_OF_TOKEN: Final = compiled(_TOKENS.where(_T.token == bindparam("token")))
_BEAT: Final = compiled(
    update(schema.tokens)
    .where(_T.token == bindparam("of_token"), _T.state == _OPEN)
    .values(heartbeat_due=bindparam("now") + _T.heartbeat)
)
_QUEUED: Final = compiled(select(_T.activity, func.count()).where(_T.state == _WAITING).group_by(_T.activity))
_oldest = _TOKENS.where(_T.activity == bindparam("activity"), _T.state == _WAITING).order_by(_T.id)
_WAITS: Final = compiled(_oldest, tail=" LIMIT 1")
# Of two workers who look at once, one gets the row, and the other passes on to the next.
_OLDEST: Final = compiled(_oldest.with_for_update(skip_locked=True, of=schema.tokens), tail=" LIMIT 1")
_TELL: Final = compiled(
    insert(schema.inbox).from_select(
        ["execution", "attempt", "fact"],
        select(_T.execution, _T.attempt, bindparam("fact")).where(_T.token == bindparam("of_token")),
    ),
    tells=True,
)
_TAKE: Final = compiled(
    update(schema.tokens)
    .where(_T.token == bindparam("of_token"))
    .values(state=_OPEN, input=null(), due=bindparam("due"), heartbeat_due=bindparam("heartbeat_due"))
)
_inbox = (
    select(
        schema.inbox.c.id,
        schema.executions.c.arn,
        schema.inbox.c.attempt,
        schema.inbox.c.fact,
        schema.executions.c.stopped_at.is_not(null()),
        schema.executions.c.owner,
    )
    .join(schema.executions, schema.executions.c.id == schema.inbox.c.execution)
    .order_by(schema.inbox.c.id)
)
_INBOX: Final = compiled(_inbox.where(schema.inbox.c.id > bindparam("after")), tail=f" LIMIT {_PAGE}")
_INBOX_OF: Final = compiled(_inbox.where(schema.executions.c.arn == bindparam("arn")))


class SqlTokens(SqlRegistry):
    """A :class:`nbflow.store.port.Tokens` over an open, migrated database."""

    def token(self, token: str) -> TokenRow | None:
        with self._driver() as driver:
            found = driver.execute(_OF_TOKEN, {"token": token}).fetchone()
        return None if found is None else TokenRow(*found)

    def settle(self, settled: Settled) -> bool:
        return self._settle(SETTLE, {"of_token": settled.token, "fact": settled.fact})

    def expire(self, settled: Settled, now: float) -> bool:
        return self._settle(_EXPIRE, {"of_token": settled.token, "fact": settled.fact, "now": now})

    def _settle(self, statements: tuple[Statement, Statement], parameters: dict[str, Any]) -> bool:
        with self._driver_transaction(telling=True) as driver:
            return all(driver.execute(statement, parameters).rowcount for statement in statements)

    def beat(self, token: str, now: float) -> bool:
        with self._driver() as driver:
            return driver.execute(_BEAT, {"of_token": token, "now": now}).rowcount > 0

    def queued(self) -> dict[str, int]:
        with self._driver() as driver:
            return dict(driver.execute(_QUEUED).fetchall())

    def claim(self, activity: str, now: float, fact: str) -> TokenRow | None:
        oldest = {"activity": activity}
        with self._driver() as driver:  # most polls find nothing, without a lock
            if driver.execute(_WAITS, oldest).fetchone() is None:
                return None
        with self._driver_transaction(telling=True) as driver:
            found = driver.execute(_OLDEST, oldest).fetchone()
            return None if found is None else _taken(driver, TokenRow(*found), now, fact)

    def tell(self, execution: str, fact: str) -> None:
        table = schema.executions.c
        told = select(table.id, literal(fact)).where(table.arn == execution)
        self._write(insert(schema.inbox).from_select(["execution", "fact"], told), telling=True)

    def children(self, execution: str, attempt: int | None = None) -> list[str]:
        child, parent = schema.executions.alias(), schema.executions.alias()
        query = (
            select(child.c.arn)
            .join(schema.tokens, _T.token == child.c.parent_token)
            .join(parent, parent.c.id == _T.execution)
            .where(parent.c.arn == execution)
        )
        if attempt is not None:
            query = query.where(_T.attempt == attempt)
        return [row.arn for row in self._rows(query)]

    def inbox(self, after: int = 0) -> list[InboxRow]:
        with self._driver() as driver:
            return [_inbox_row(*row) for row in driver.execute(_INBOX, {"after": after}).fetchall()]

    def inbox_of(self, execution: str) -> list[InboxRow]:
        with self._driver() as driver:
            return [_inbox_row(*row) for row in driver.execute(_INBOX_OF, {"arn": execution}).fetchall()]

    def forget(self, ids: Collection[int]) -> None:
        self._write(*(delete(schema.inbox).where(schema.inbox.c.id == id) for id in ids))

    def forget_unheard(self, steps: Mapping[int, int]) -> None:
        self._write(*(_forget_unheard(id, known) for id, known in steps.items()))

    def changes(self) -> int:
        return self._database.changes()


def _forget_unheard(id: int, known: int) -> Delete:
    step = schema.journal.c
    later = exists().where(step.execution == schema.inbox.c.execution, step.step >= known)
    return delete(schema.inbox).where(schema.inbox.c.id == id, ~later)


def _inbox_row(
    id: int, execution: str, attempt: int | None, fact: str, ended: int, owner: str | None
) -> InboxRow:
    return InboxRow(id, execution, attempt, fact, bool(ended), owner)


def _taken(driver: Driver, row: TokenRow, now: float, fact: str) -> TokenRow:
    due = None if row.timeout is None else now + row.timeout
    heartbeat_due = None if row.heartbeat is None else now + row.heartbeat
    driver.execute(_TELL, {"of_token": row.token, "fact": fact})
    driver.execute(_TAKE, {"of_token": row.token, "due": due, "heartbeat_due": heartbeat_due})
    return replace(row, state="open", due=due, heartbeat_due=heartbeat_due)
