"""Who owns which execution, over SQL; and the code that a new owner needs."""

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import ColumnElement, bindparam, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from nbflow.store import schema
from nbflow.store.database import compiled
from nbflow.store.rows import CodeRow, EngineRow, ExecutionRow
from nbflow.store.tokens import SqlTokens

_E: Final = schema.executions.c

# Steps are counted when they are asked for: a column would cost every append another write.
_STEPS: Final = (
    select(func.coalesce(func.max(schema.journal.c.step) + 1, 0))
    .where(schema.journal.c.execution == _E.id)
    .scalar_subquery()
)
EXECUTIONS: Final = select(schema.executions, _STEPS.label("steps"))
"""Selects ExecutionRows."""

_OWNED: Final[ColumnElement[bool]] = _E.owner.is_not(None)
_told = exists().where(schema.inbox.c.execution == _E.id)
_lease = insert(schema.engines)
_HOLD: Final = compiled(
    _lease.on_conflict_do_update(index_elements=["id"], set_={"until": _lease.excluded.until}),
    schema.engines.c.keys(),
)
_mine = update(schema.executions).where(_E.owner == bindparam("of_owner"))
_SLEEP: Final = compiled(_mine.where(_E.arn == bindparam("of_arn")), ("asleep_until",))


def _nobodys(alive: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    """Whose owner is none of those alive."""
    return _OWNED, _E.owner.not_in(list(alive)), _E.map_run_arn.is_(None)


class SqlOwners(SqlTokens):
    """A :class:`nbflow.store.port.Ownership` over an open, migrated database."""

    def hold(self, engine: EngineRow, seconds: float) -> None:
        row = {name: getattr(engine, name) for name in ("id", "host", "pid", "born")}
        now = self._database.elapsed()
        with self._driver() as driver:
            driver.execute(_HOLD, {**row, "until": now + seconds})

    def release(self, engine: str) -> None:
        self._write(schema.engines.delete().where(schema.engines.c.id == engine))

    def engines(self) -> list[tuple[EngineRow, float]]:
        now = self._database.elapsed()
        rows = self._rows(select(schema.engines))
        return [(EngineRow(row.id, row.host, row.pid, row.born), row.until - now) for row in rows]

    def left(
        self, alive: Collection[str], due: float | None = None, limit: int = 1000, after: int = 0
    ) -> list[ExecutionRow]:
        query = EXECUTIONS.where(*_nobodys(alive), _E.id > after)
        if due is not None:
            query = query.where(or_(_E.asleep_until.is_(None), _E.asleep_until <= due, _told))
        return [ExecutionRow(**row._mapping) for row in self._rows(query.order_by(_E.id).limit(limit))]

    def forsaken(self, alive: Collection[str], most: int) -> tuple[int, list[str]]:
        running = (*_nobodys(alive), _E.status == "RUNNING")
        [[count]] = self._rows(select(func.count()).select_from(schema.executions).where(*running))
        oldest = select(_E.arn).where(*running).order_by(_E.id).limit(most)
        return count, [row.arn for row in self._rows(oldest)] if count else []

    def take_over(self, arn: str, owner: str, new: str) -> bool:
        taken = update(schema.executions).where(_E.arn == arn, _E.owner == owner)
        return self._write(taken.values(owner=new, asleep_until=None)) > 0

    def owned(self, owner: str) -> list[str]:
        running = (_E.owner == owner, _E.status == "RUNNING", _E.map_run_arn.is_(None))
        return [row.arn for row in self._rows(select(_E.arn).where(*running).order_by(_E.id))]

    def put_to_sleep(self, arns: Mapping[str, float], owner: str) -> None:
        with self._driver_transaction() as driver:
            for arn, until in arns.items():
                driver.execute(_SLEEP, {"of_owner": owner, "of_arn": arn, "asleep_until": until})

    def sleepers(self, owner: str, now: float, limit: int = 500) -> list[ExecutionRow]:
        due = EXECUTIONS.where(_E.owner == owner, _E.asleep_until <= now).order_by(_E.asleep_until)
        return [ExecutionRow(**row._mapping) for row in self._rows(due.limit(limit))]

    def wake(self, arns: Collection[str], owner: str) -> None:
        with self._driver_transaction() as driver:
            for arn in arns:
                driver.execute(_SLEEP, {"of_owner": owner, "of_arn": arn, "asleep_until": None})

    def next_sleeper(self, owner: str) -> float | None:
        asleep = (_E.owner == owner, _E.asleep_until.is_not(None))
        [row] = self._rows(select(func.min(_E.asleep_until)).where(*asleep))
        return None if row[0] is None else float(row[0])

    def codes(self, hashes: Collection[str]) -> dict[str, CodeRow]:
        rows = self._rows(select(schema.codes).where(schema.codes.c.sha256.in_(list(hashes))))
        return {row.sha256: CodeRow(**row._mapping) for row in rows}
