"""What nobody needs any more: old executions with all that is theirs, and what no history names.

**Executions** go in families. What may be asked for is one that nobody waits for: neither a Map Run's child nor one
that a task of another execution has started and waited for; these go with their parents. A family goes when all of it
has ended and is nobody's. The children of its Map Runs may be many, so that they follow in transactions of their own:
they are known by their Map Run having gone, also after a crash in between (:meth:`SqlHousekeeping.orphans`).

**Artifacts and codes** are named by their hash, wherever they are used: in any text of any table. So a name is looked
for in all of them (:class:`_Marks`), and any 64 hex digits count as one; that can only spare too much. What is written
while the search goes on is not missed: whoever makes an artifact or passes one on touches its row in the same
transaction, and what has been added to the store since is searched within the transaction that deletes.

All transactions are short, so that other writers wait little.
"""

import re
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    String,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
)

from nbflow.store import schema
from nbflow.store.map_parts import SqlMapParts
from nbflow.store.rows import ArtifactRow

_E: Final = schema.executions.c
_PAGE: Final = 500
_AT_ONCE: Final = 25
"""Executions that are deleted by the same statements."""
_MOST_NAMES: Final = 100_000
"""Names that are looked for in one search: they are kept in memory."""
_ENDED: Final = ("SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT")
_NAME: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_NAMELESS: Final = ("artifacts", "codes", "engines", schema.VERSION_TABLE)
"""Tables that name nothing but themselves."""

_VACUUM: Final = {
    "sqlite": "VACUUM",
    "postgresql": f"VACUUM FULL {', '.join(schema.metadata.tables)}",  # the database may be others', too
}

_own = schema.tokens.alias()
_child = schema.executions.alias()
_run = schema.map_runs.alias()
_needed: Final = or_(_child.c.status.not_in(_ENDED), _child.c.owner.is_not(None))
_NOBODYS: Final[ColumnElement[bool]] = and_(
    _E.status.in_(_ENDED),
    _E.owner.is_(None),
    ~exists().where(_own.c.execution == _E.id, _child.c.parent_token == _own.c.token, _needed),
    ~exists().where(_run.c.execution == _E.arn, _child.c.map_run_arn == _run.c.arn, _needed),
)
"""It has ended and owes nothing, and so have its children."""
_TOP: Final[ColumnElement[bool]] = and_(
    _E.map_run_arn.is_(None),
    or_(_E.parent_token.is_(None), ~exists().where(schema.tokens.c.token == _E.parent_token)),
)
_ORPHAN: Final[ColumnElement[bool]] = and_(
    _E.map_run_arn.is_not(None), ~exists().where(schema.map_runs.c.arn == _E.map_run_arn)
)


class SqlHousekeeping(SqlMapParts):
    """A :class:`nbflow.store.port.Housekeeping` over an open, migrated database."""

    def disposable(self, *, before: float | None, keep: int | None) -> Iterator[list[int]]:
        for [arn] in self._rows(select(_E.machine_arn).group_by(_E.machine_arn)):
            beyond: list[ColumnElement[bool]] = []
            if before is not None:
                beyond.append(_E.stopped_at < before)
            if keep is not None:
                ended = select(_E.id).where(_E.machine_arn == arn, _TOP, _E.status.in_(_ENDED))
                rows = self._rows(ended.order_by(_E.id.desc()).limit(1).offset(keep))
                beyond += [_E.id <= row.id for row in rows]
            if beyond:
                yield from self._pages(_E.machine_arn == arn, _TOP, _NOBODYS, or_(*beyond))

    def orphans(self) -> Iterator[list[int]]:
        return self._pages(_ORPHAN, _NOBODYS)

    def _pages(self, *conditions: ColumnElement[bool]) -> Iterator[list[int]]:
        page = select(_E.id).where(*conditions).order_by(_E.id).limit(_PAGE)
        after = 0
        while rows := self._rows(page.where(_E.id > after)):
            after = rows[-1].id
            yield [row.id for row in rows]

    def family(self, ids: Sequence[int]) -> int:
        found, todo = len(ids), list(ids)
        while todo:
            some, todo = todo[:_PAGE], todo[_PAGE:]
            started = _E.parent_token.in_(
                select(schema.tokens.c.token).where(schema.tokens.c.execution.in_(some))
            )
            run = schema.map_runs.c
            runs = select(run.arn).where(run.execution.in_(select(_E.arn).where(_E.id.in_(some))))
            children = [
                row.id for row in self._rows(select(_E.id).where(or_(started, _E.map_run_arn.in_(runs))))
            ]
            found += len(children)
            todo += children
        return found

    def dispose(self, ids: Sequence[int], seconds: float = 0.05) -> tuple[int, int]:
        begun, done, deleted = time.monotonic(), 0, 0
        with self._transaction() as connection:
            while done < len(ids):
                some = ids[done : done + _AT_ONCE]
                gone = _dispose(connection, some)
                if gone is None:  # one of them is needed; that is rare
                    gone = sum(_dispose(connection, [id]) or 0 for id in some)
                deleted += gone
                done += len(some)
                if time.monotonic() - begun >= seconds:
                    break
        return done, deleted

    def unused_artifacts(self, before: float, *, forget: bool) -> Iterator[list[ArtifactRow]]:
        table = schema.artifacts
        old = table.c.touched_at < before
        after = ""
        while True:
            page = select(table.c.sha256).where(old, table.c.sha256 > after)
            names = [row.sha256 for row in self._rows(page.order_by(table.c.sha256).limit(_MOST_NAMES))]
            if not names:
                return
            after = names[-1]
            marks = self._searched(names)
            unused = sorted(marks.missing)
            for start in range(0, len(unused), _PAGE):
                some = select(table).where(table.c.sha256.in_(unused[start : start + _PAGE]), old)
                rows = [ArtifactRow(**row._mapping) for row in self._rows(some)]
                yield self._forgotten(rows, old, marks) if forget else rows

    def _forgotten(
        self, rows: list[ArtifactRow], old: ColumnElement[bool], marks: "_Marks"
    ) -> list[ArtifactRow]:
        """Delete the rows, but for those that have been touched or named meanwhile."""
        table = schema.artifacts
        with self._transaction() as connection:
            marks.search(connection, only_new=True)
            return [
                row
                for row in rows
                if row.sha256 in marks.missing
                and connection.execute(delete(table).where(table.c.sha256 == row.sha256, old)).rowcount
            ]

    def _searched(self, names: Collection[str]) -> "_Marks":
        marks = _Marks(names)
        with self._database.explained(), self._database.engine.connect() as connection:
            marks.search(connection)
        return marks

    def busy_since(self) -> float | None:
        table = schema.map_runs.c
        [row] = self._rows(select(func.min(table.started_at)).where(table.status == "RUNNING"))
        return None if row[0] is None else float(row[0])

    def forget_codes(self) -> int:
        table = schema.codes.c
        names = [row.sha256 for row in self._rows(select(table.sha256))]
        unnamed = ~exists().where(_E.bindings.contains(table.sha256))
        deleted = 0
        for name in sorted(self._searched(names).missing):  # one by one: each reads all bindings under a lock
            with self._transaction() as connection:
                self._database.shut(connection, schema.codes)  # whoever names it meanwhile writes it, too
                gone = connection.execute(delete(schema.codes).where(table.sha256 == name, unnamed))
                deleted += gone.rowcount
        return deleted

    def vacuum(self) -> None:
        with self._database.explained(), self._database.engine.connect() as connection:
            connection.exec_driver_sql(_VACUUM[self._engine.dialect.name])


def _dispose(connection: Connection, ids: Sequence[int]) -> int | None:
    """Delete executions and those that their tasks have waited for; how many there were. None: some are needed."""
    family: list[int] = []
    arns: list[str] = []
    wanted = list(ids)
    while wanted:
        idle = select(_E.id, _E.arn).where(_E.id.in_(wanted), _NOBODYS).order_by(_E.id)
        # nobody redrives them meanwhile
        found = connection.execute(idle.with_for_update(of=schema.executions)).all()
        if len(found) < len(wanted):
            return None
        family += wanted
        arns += [row.arn for row in found]
        own = select(schema.tokens.c.token).where(schema.tokens.c.execution.in_(wanted))
        wanted = [row.id for row in connection.execute(select(_E.id).where(_E.parent_token.in_(own)))]
    for table in (schema.journal, schema.logs, schema.tokens, schema.inbox):
        connection.execute(delete(table).where(table.c.execution.in_(family)))
    runs = schema.map_runs.c.execution.in_(arns)
    parts = schema.map_parts.c.map_run.in_(select(schema.map_runs.c.arn).where(runs))
    connection.execute(delete(schema.map_parts).where(parts))
    connection.execute(delete(schema.map_runs).where(runs))
    connection.execute(delete(schema.executions).where(_E.id.in_(family)))
    return len(family)


class _Marks:
    """Which of some names occur in no text of the store."""

    def __init__(self, names: Collection[str]) -> None:
        self.missing = set(names)
        self._searched: dict[str, Any] = {}
        """By table: up to which key."""

    def search(self, connection: Connection, *, only_new: bool = False) -> None:
        """Read all texts, in pages; ``only_new``: those with a counted id that have come since."""
        for table in schema.metadata.sorted_tables:
            columns = [c for c in table.c if isinstance(c.type, String | LargeBinary)]
            [key, *more] = table.primary_key.columns
            counted = not isinstance(key.type, String) and not more
            if table.name in _NAMELESS or not columns or (only_new and not counted):
                continue
            if counted:
                self._in_pages(connection, key, select(key, *columns))
            else:
                for row in connection.execute(select(*columns)):
                    self._strike(row)

    def _in_pages(self, connection: Connection, key: ColumnElement[int], query: Select[Any]) -> None:
        name = str(key)
        while self.missing:
            page = query.where(key > self._searched.get(name, -1)).order_by(key).limit(_PAGE)
            rows = connection.execute(page).all()
            if not rows:
                return
            for row in rows:
                self._strike(row[1:])
            self._searched[name] = rows[-1][0]

    def _strike(self, texts: Sequence[Any]) -> None:
        for text in texts:
            if isinstance(text, str):
                self.missing.difference_update(_NAME.findall(text))
