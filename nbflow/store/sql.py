"""The store over SQL, and its hot path, the group commit.

Reads are ordinary SQLAlchemy on pooled connections. ``append`` is not: it runs once per step of every
execution, and a pooled connection would cost several times the commit itself. So

* the statements are compiled once, and run on one driver connection that is held
  (:meth:`nbflow.store.database.Database.commit`);
* rows are encoded before BEGIN, so that the write lock is held for the writing alone;
* **there are no savepoints.** The statements of an append must each change exactly one row. An insert that hits
  ``ON CONFLICT DO NOTHING`` changes none, and so its execution has lost. If any has, the transaction is
  rolled back and run again without the losers. That is as safe as a savepoint per execution, for the only
  thing ever committed is a run in which nobody lost; it costs nothing where there is no collision, and
  collisions are as rare as one engine taking over from another.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, fields
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, literal_column, null, select, update
from sqlalchemy.dialects.postgresql import insert

from nbflow.store import schema, search
from nbflow.store.database import ConnectionLost, Database, Work, Write, compiled
from nbflow.store.housekeeping import SqlHousekeeping
from nbflow.store.opening import open_database
from nbflow.store.owners import EXECUTIONS
from nbflow.store.port import StoreError
from nbflow.store.registry import closing_map_run
from nbflow.store.rows import Append, ArtifactRow, Closing, ExecutionRow, JournalRow, Redriving, TokenRow
from nbflow.store.tokens import SETTLE
from nbflow.store.where import Condition

_PAGE: Final = 200
"""Rows per read of the journal, and hashes per look-up of artifacts (the number of parameters is bounded)."""


_AGAIN: Final = 0.05
"""Seconds between two attempts to learn whether a batch is written."""


def open_store(url: str, *, busy_timeout: float = 5.0, create: bool = True) -> "SqlStore":
    """Opens ``sqlite:///PATH`` or ``postgresql+psycopg://…``; makes the schema where it is missing, or migrates it.

    ``busy_timeout``: seconds to wait for another process's write. Without ``create``, nothing is made where there is no
    store. Raises StoreError.
    """
    return SqlStore(open_database(url, busy_timeout=busy_timeout, create=create), patience=busy_timeout)


_ID: Final = (
    select(schema.executions.c.id).where(schema.executions.c.arn == bindparam("of_arn")).scalar_subquery()
)
_OPENED: Final = tuple(column for column in schema.executions.c.keys() if column != "id")  # noqa: SIM118 (no dict)
_ARTIFACT: Final = tuple(schema.artifacts.c.keys())

_OPEN: Final = compiled(
    insert(schema.executions).on_conflict_do_nothing(index_elements=["arn"]).inline(), _OPENED
)
_STEP: Final = compiled(
    insert(schema.journal)
    .values(execution=_ID)
    .on_conflict_do_nothing(index_elements=["execution", "step"])
    .inline(),
    ("execution", "step", "format", "first_event", "at", "records"),
)
_J: Final = schema.journal.c
_JOURNAL: Final = compiled(
    select(_J.step, _J.format, _J.first_event, _J.at, _J.records)
    .where(_J.execution == _ID, _J.step > bindparam("after"))
    .order_by(_J.step),
    tail=f" LIMIT {_PAGE}",
)
_of = update(schema.executions).where(schema.executions.c.arn == bindparam("of_arn"))
_ENDED: Final = ("status", "output", "error", "cause", "stopped_at")
_CLOSE: Final = compiled(_of.values(asleep_until=null()), _ENDED)
_REDRIVEN: Final = ("redrive_count", "redrive_date", "redrive_tokens", "bindings", "owner", "directory")
_REDRIVE: Final = compiled(_of, _REDRIVEN)
_RELEASE: Final = compiled(_of.values(owner=null()), ())
_log = insert(schema.logs).values(execution=_ID)
_LOG: Final = compiled(
    _log.on_conflict_do_update(
        index_elements=["execution", "attempt"], set_={"text": _log.excluded.text}
    ).inline(),
    ("execution", "attempt", "text"),
)
_shelve = insert(schema.artifacts)
_SHELVE: Final = compiled(
    _shelve.on_conflict_do_update(
        index_elements=["sha256"], set_={"touched_at": _shelve.excluded.touched_at}
    ).inline(),
    _ARTIFACT,
)


_CODE: Final = compiled(
    insert(schema.codes).on_conflict_do_nothing(index_elements=["sha256"]).inline(), schema.codes.c.keys()
)
_TOKEN: Final = compiled(
    insert(schema.tokens).values(execution=_ID).on_conflict_do_nothing(index_elements=["token"]).inline(),
    ("execution", *(field.name for field in fields(TokenRow) if field.name != "execution")),
)
_MAP_RUN: Final = compiled(closing_map_run().inline(), schema.map_runs.c.keys())
_succeeded = schema.map_runs.c.status == literal_column("'SUCCEEDED'")
_DROP_PARTS: Final = compiled(
    delete(schema.map_parts).where(
        schema.map_parts.c.map_run == bindparam("of_run"),
        select(schema.map_runs.c.arn)
        .where(schema.map_runs.c.arn == bindparam("of_run"), _succeeded)
        .exists(),
    ),
    (),
)
_CLOSE_TOKEN: Final = compiled(
    update(schema.tokens).where(schema.tokens.c.token == bindparam("of_token")), ("state", "input")
)
_CONSUME: Final = compiled(delete(schema.inbox).where(schema.inbox.c.id == bindparam("of_id")), ())
_TELL, _END = SETTLE
# The very step that an Append holds; with the parameters of _STEP.
_SAME: Final = compiled(
    select(schema.journal.c.id).where(
        schema.journal.c.execution == _ID,
        *(schema.journal.c[name] == bindparam(name) for name in ("step", "first_event", "at", "records")),
    )
)


def _encoded(append: Append) -> list[Write]:
    """The statements of one step. Each certain one changes exactly one row, or the execution has lost a collision."""
    arn = append.execution
    writes: list[Write] = []
    ended = None if append.closed is None else _columns(arn, append.closed, _ENDED)
    if append.opened is not None:
        row = {name: getattr(append.opened, name) for name in _OPENED}
        if append.released:
            row["owner"] = None
        writes.append(Write(_OPEN, {**row, **(ended or {})}))  # one that ends at once is written once
        ended = None
    writes.append(Write(_STEP, _step(append)))
    if append.redriven is not None:
        writes.append(Write(_CLOSE, _columns(arn, Closing("RUNNING"), _ENDED)))
        writes.append(Write(_REDRIVE, _columns(arn, append.redriven, _REDRIVEN)))
    if ended is not None:
        writes.append(Write(_CLOSE, ended))
    if append.released and append.opened is None:
        writes.append(Write(_RELEASE, {"of_arn": arn}))
    writes += [Write(_CODE, asdict(code), certain=False) for code in append.codes]
    writes += [Write(_LOG, {"of_arn": arn, "attempt": log.attempt, "text": log.text}) for log in append.logs]
    writes += [Write(_SHELVE, {name: getattr(row, name) for name in _ARTIFACT}) for row in append.artifacts]
    if (
        append.consumed
        or append.tokens
        or append.closed_tokens
        or append.map_runs
        or append.told
        or append.settled
    ):
        writes += _outside_writes(append)
    return writes


def _step(append: Append) -> dict[str, Any]:
    return {
        "of_arn": append.execution,
        "step": append.step,
        "format": append.format,
        "first_event": append.first_event,
        "at": append.at,
        "records": append.records.decode(),  # bytes would become a BLOB, which SQLite's JSON functions refuse
    }


def _outside_writes(append: Append) -> list[Write]:
    writes = [Write(_CONSUME, {"of_id": id}) for id in append.consumed]
    writes += [Write(_TOKEN, {**asdict(row), "of_arn": append.execution}) for row in append.tokens]
    writes += [Write(_MAP_RUN, asdict(row), certain=False) for row in append.map_runs]
    succeeded = [row.arn for row in append.map_runs if row.status == "SUCCEEDED"]
    writes += [Write(_DROP_PARTS, {"of_run": arn}, certain=False) for arn in succeeded]
    closed = {"state": "closed", "input": None}
    writes += [Write(_CLOSE_TOKEN, {"of_token": token, **closed}) for token in append.closed_tokens]
    for statement, said in ((_TELL, append.told), (_TELL, append.settled), (_END, append.settled)):
        writes += [
            Write(statement, {"of_token": each.token, "fact": each.fact}, certain=False) for each in said
        ]
    return writes


def _columns(arn: str, change: Closing | Redriving, names: Collection[str]) -> dict[str, Any]:
    return {"of_arn": arn, **{name: getattr(change, name) for name in names}}


class SqlStore(SqlHousekeeping):
    """A :class:`nbflow.store.port.Store` over an open, migrated database; see :func:`open_store`."""

    def __init__(self, database: Database, *, patience: float) -> None:
        super().__init__(database)
        self._patience = patience
        self._doubtful: set[tuple[str, int]] = set()
        """Steps of which nobody has said whether they are written."""

    def close(self) -> None:
        self._database.close()

    def append(self, batch: Sequence[Append]) -> list[bool]:
        work = [(append.execution, _encoded(append)) for append in batch]
        lost: set[str] = set()
        try:
            while work and (losers := self._commit(work, batch)):
                lost |= losers - self._written_before(losers, batch)
                work = [(arn, writes) for arn, writes in work if arn not in losers]
        except self._database.unknown as error:
            raise StoreError(
                f"A step was appended to an execution that the store {self._place} does not know:"
                f" the first Append of an execution must carry `opened` ({error})."
            ) from None
        except self._database.errors as error:
            raise self._database.explain(error) from None
        if self._doubtful:
            self._doubtful -= {(append.execution, append.step) for append in batch}
        return [append.execution not in lost for append in batch]

    def _commit(self, work: Work, batch: Sequence[Append]) -> set[str]:
        """Those who have collided.

        Where the answer to COMMIT was lost with the connection, the batch is given again, for a while: perhaps it
        collides with itself, and so one learns that it is written.
        """
        until = None
        while True:
            try:
                return self._database.commit(work)
            except ConnectionLost as lost:
                if lost.doubtful:
                    self._doubtful |= {(append.execution, append.step) for append in batch}
                    until = until or time.monotonic() + self._patience
                if until is None or time.monotonic() >= until:
                    raise
                time.sleep(_AGAIN)

    def _written_before(self, losers: set[str], batch: Sequence[Append]) -> set[str]:
        """Those who have collided with themselves: all their steps were in doubt, and are there as they are here."""
        if not self._doubtful:
            return set()
        mine = [append for append in batch if append.execution in losers]
        return losers - {append.execution for append in mine if not self._is_written(append)}

    def _is_written(self, append: Append) -> bool:
        if (append.execution, append.step) not in self._doubtful:
            return False
        with self._driver() as driver:
            return driver.execute(_SAME, _step(append)).fetchone() is not None

    def execution(self, arn: str) -> ExecutionRow | None:
        rows = self._rows(EXECUTIONS.where(schema.executions.c.arn == arn))
        return ExecutionRow(**rows[0]._mapping) if rows else None

    def executions(
        self,
        *,
        machine_arn: str | None = None,
        version_arn: str | None = None,
        alias_arn: str | None = None,
        map_run_arn: str | None = None,
        children: bool = True,
        status: str | None = None,
        redriven: bool | None = None,
        name_prefix: str = "",
        started_after: float | None = None,
        started_before: float | None = None,
        where: Condition | None = None,
        limit: int = 1000,
        before: int | None = None,
    ) -> list[ExecutionRow]:
        table = schema.executions.c
        query = select(table.id).order_by(table.id.desc()).limit(limit)
        wanted = {
            table.machine_arn: machine_arn,
            table.version_arn: version_arn,
            table.alias_arn: alias_arn,
            table.map_run_arn: map_run_arn,
            table.status: status,
        }
        query = query.where(*(column == value for column, value in wanted.items() if value is not None))
        if redriven is not None:
            query = query.where(table.redrive_count > 0 if redriven else table.redrive_count == 0)
        if not children:
            query = query.where(table.map_run_arn.is_(None))
        if before is not None:
            query = query.where(table.id < before)
        if name_prefix:
            query = query.where(func.substr(table.name, 1, len(name_prefix)) == name_prefix)
        if started_after is not None:
            query = query.where(table.started_at >= started_after)
        if started_before is not None:
            query = query.where(table.started_at < started_before)
        if where is not None:
            query = query.where(search.sql(where, self._engine.dialect.name))
        # Ids first: where they must be sorted, nothing else is carried along.
        found = EXECUTIONS.where(table.id.in_(query)).order_by(table.id.desc())
        return [ExecutionRow(**row._mapping) for row in self._rows(found)]

    def journal(self, arn: str, after: int = -1) -> Iterator[JournalRow]:
        more = True
        while more:
            with self._driver() as driver:
                rows = driver.execute(_JOURNAL, {"of_arn": arn, "after": after}).fetchall()
            for step, layout, first_event, at, records in rows:
                yield JournalRow(step, layout, first_event, at, records.encode())
                after = step
            more = len(rows) == _PAGE

    def log(self, arn: str, attempt: int) -> str | None:
        query = select(schema.logs.c.text).where(
            schema.logs.c.execution == _ID, schema.logs.c.attempt == attempt
        )
        rows = self._rows(query, of_arn=arn)
        return str(rows[0].text) if rows else None

    def logs(self, arn: str) -> dict[int, str]:
        table = schema.logs.c
        query = select(table.attempt, table.text).where(table.execution == _ID).order_by(table.attempt)
        return {row.attempt: row.text for row in self._rows(query, of_arn=arn)}

    def artifacts(self, hashes: Collection[str]) -> dict[str, ArtifactRow]:
        wanted = list(hashes)
        known: dict[str, ArtifactRow] = {}
        for start in range(0, len(wanted), _PAGE):
            some = schema.artifacts.c.sha256.in_(wanted[start : start + _PAGE])
            for row in self._rows(select(schema.artifacts).where(some)):
                known[row.sha256] = ArtifactRow(**row._mapping)
        return known
