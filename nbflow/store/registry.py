"""What is neither journal nor token: machines, their versions and aliases, activities, Map Runs, tags. Ordinary SQL.

What has to be true together is written in one transaction, which locks the machine's row (SQLite: all) first; so a
version's number is drawn only once, whichever process asks.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any, Final, TypeVar

from sqlalchemy import (
    Connection,
    Executable,
    Row,
    Select,
    Table,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import Insert, insert  # what it adds to SQL is spelt the same for SQLite

from nbflow.store import schema
from nbflow.store.database import Database, Driver, Statement, compiled
from nbflow.store.port import StoreError, digest
from nbflow.store.rows import ActivityRow, AliasRow, MachineRow, MapRunRow, VersionRow

_T = TypeVar("_T")


_MOST_KNOWN: Final = 100
"""Definitions that are remembered here."""


class SqlRegistry:
    """A :class:`nbflow.store.port.Registry` and ``MapRuns`` over an open, migrated database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._engine = database.engine
        self._place = database.place
        self._definitions: dict[str, str] = {}

    # --- machines

    def add_machine(self, row: MachineRow, definition: str) -> None:
        if row.definition != digest(definition):
            raise StoreError(
                f"The machine {row.arn} does not name the digest of the definition given with it."
            )
        text = insert(schema.definitions).values(sha256=row.definition, text=definition)
        self._write(
            text.on_conflict_do_nothing(index_elements=["sha256"]),
            _upsert(schema.machines, row, kept=("created_at", "published")),
        )

    def machine(self, arn: str) -> MachineRow | None:
        return self._one(MachineRow, schema.machines, arn)

    def machines(self) -> list[MachineRow]:
        order = (schema.machines.c.created_at, schema.machines.c.arn)
        return [MachineRow(**row._mapping) for row in self._rows(select(schema.machines).order_by(*order))]

    def definition(self, sha256: str) -> str:
        known = self._definitions.get(sha256)
        if known is not None:  # its digest is its name: it never changes
            return known
        rows = self._rows(select(schema.definitions.c.text).where(schema.definitions.c.sha256 == sha256))
        if not rows:
            raise StoreError(f"The store {self._place} holds no definition {sha256}.")
        if len(self._definitions) >= _MOST_KNOWN:
            self._definitions.clear()
        self._definitions[sha256] = text = str(rows[0].text)
        return text

    def add_definition(self, definition: str) -> str:
        sha256 = digest(definition)
        text = insert(schema.definitions).values(sha256=sha256, text=definition)
        self._write(text.on_conflict_do_nothing(index_elements=["sha256"]))
        return sha256

    def set_machine_status(self, arn: str, status: str) -> None:
        self._write(update(schema.machines).where(schema.machines.c.arn == arn).values(status=status))

    def delete_machine(self, arn: str) -> None:
        self._write(
            delete(schema.machines).where(schema.machines.c.arn == arn),
            delete(schema.versions).where(schema.versions.c.machine_arn == arn),
            delete(schema.aliases).where(schema.aliases.c.machine_arn == arn),
            delete(schema.tags).where(schema.tags.c.resource == arn),
        )

    # --- versions

    def publish(self, machine_arn: str, description: str | None, now: float) -> VersionRow:
        machines, versions = schema.machines, schema.versions
        with self._transaction() as connection:
            of_arn = select(machines).where(machines.c.arn == machine_arn).with_for_update()
            found = connection.execute(of_arn).first()
            if found is None:
                raise StoreError(f"The store {self._place} has no machine {machine_arn}.")
            machine = MachineRow(**found._mapping)
            of_revision = select(versions).where(
                versions.c.machine_arn == machine_arn, versions.c.revision_id == machine.revision_id
            )
            present = connection.execute(of_revision).first()
            if present is not None:
                return VersionRow(**present._mapping)
            number = machine.published + 1
            row = VersionRow(
                arn=f"{machine_arn}:{number}",
                machine_arn=machine_arn,
                number=number,
                revision_id=machine.revision_id,
                definition=machine.definition,
                role_arn=machine.role_arn,
                options=machine.options,
                description=description,
                created_at=now,
                updated_at=machine.updated_at,
            )
            connection.execute(insert(versions).values(_values(versions, row)))
            connection.execute(update(machines).where(machines.c.arn == machine_arn).values(published=number))
            return row

    def version(self, arn: str) -> VersionRow | None:
        return self._one(VersionRow, schema.versions, arn)

    def versions(self, machine_arn: str) -> list[VersionRow]:
        table = schema.versions
        query = select(table).where(table.c.machine_arn == machine_arn).order_by(table.c.number.desc())
        return [VersionRow(**row._mapping) for row in self._rows(query)]

    def delete_version(self, arn: str) -> None:
        self._write(delete(schema.versions).where(schema.versions.c.arn == arn))

    # --- aliases

    def put_alias(self, row: AliasRow) -> None:
        self._write(_upsert(schema.aliases, row, kept=("created_at",)))

    def alias(self, arn: str) -> AliasRow | None:
        return self._one(AliasRow, schema.aliases, arn)

    def aliases(self, machine_arn: str) -> list[AliasRow]:
        table = schema.aliases
        query = select(table).where(table.c.machine_arn == machine_arn)
        return [
            AliasRow(**row._mapping) for row in self._rows(query.order_by(table.c.created_at, table.c.arn))
        ]

    def delete_alias(self, arn: str) -> bool:
        return self._write(delete(schema.aliases).where(schema.aliases.c.arn == arn)) > 0

    # --- activities

    def add_activity(self, row: ActivityRow) -> ActivityRow:
        added = insert(schema.activities).values(_values(schema.activities, row))
        self._write(added.on_conflict_do_nothing(index_elements=["arn"]))
        return self.activity(row.arn) or row

    def activity(self, arn: str) -> ActivityRow | None:
        return self._one(ActivityRow, schema.activities, arn)

    def activities(self) -> list[ActivityRow]:
        order = (schema.activities.c.created_at, schema.activities.c.arn)
        return [ActivityRow(**row._mapping) for row in self._rows(select(schema.activities).order_by(*order))]

    def delete_activity(self, arn: str) -> None:
        self._write(
            delete(schema.activities).where(schema.activities.c.arn == arn),
            delete(schema.tags).where(schema.tags.c.resource == arn),
        )

    # --- Map Runs

    def map_run(self, arn: str) -> MapRunRow | None:
        return self._one(MapRunRow, schema.map_runs, arn)

    def map_runs(self, execution: str) -> list[MapRunRow]:
        table = schema.map_runs
        query = select(table).where(table.c.execution == execution)
        return [MapRunRow(**row._mapping) for row in self._rows(query.order_by(table.c.attempt))]

    def put_map_run(self, row: MapRunRow) -> None:
        self._write(closing_map_run().values(_values(schema.map_runs, row)))

    def limit_map_run(
        self,
        arn: str,
        *,
        max_concurrency: int | None = None,
        tolerated_count: int | None = None,
        tolerated_percentage: float | None = None,
    ) -> bool:
        table = schema.map_runs
        limits = {
            table.c.max_concurrency: max_concurrency,
            table.c.tolerated_count: tolerated_count,
            table.c.tolerated_percentage: tolerated_percentage,
        }
        values = {column.name: limit for column, limit in limits.items() if limit is not None}
        running = (table.c.arn == arn, table.c.status == "RUNNING")
        return self._write(update(table).where(*running).values(status="RUNNING", **values)) > 0

    def children_by_status(self, map_run_arn: str) -> dict[str, int]:
        table = schema.executions.c
        query = select(table.status, func.count()).where(table.map_run_arn == map_run_arn)
        return {row[0]: row[1] for row in self._rows(query.group_by(table.status))}

    # --- tags

    def tags(self, resource: str) -> dict[str, str]:
        table = schema.tags
        rows = self._rows(select(table).where(table.c.resource == resource).order_by(table.c.key))
        return {row.key: row.value for row in rows}

    def put_tags(self, resource: str, tags: Mapping[str, str]) -> None:
        statement = insert(schema.tags)
        upsert = statement.on_conflict_do_update(
            index_elements=["resource", "key"], set_={"value": statement.excluded.value}
        )
        self._write(*(upsert.values(resource=resource, key=key, value=tags[key]) for key in tags))

    def delete_tags(self, resource: str, keys: Collection[str]) -> None:
        table = schema.tags
        self._write(delete(table).where(table.c.resource == resource, table.c.key.in_(list(keys))))

    # --- statements

    def _one(self, make: Callable[..., _T], table: Table, arn: str) -> _T | None:
        with self._driver() as driver:
            row = driver.execute(by_arn(table), {"arn": arn}).fetchone()
        return None if row is None else make(**dict(zip(table.c.keys(), row, strict=True)))

    def _driver(self) -> AbstractContextManager[Driver]:
        """The driver's own connection: compiled statements run on it in a third of SQLAlchemy's time."""
        return self._database.driver()

    def _driver_transaction(self, *, telling: bool = False) -> AbstractContextManager[Driver]:
        """The same within a transaction. ``telling``: it will put something into the inbox."""
        return self._database.driver_transaction(telling=telling)

    def _rows(self, query: Select[*tuple[Any, ...]], **parameters: Any) -> Sequence[Row[*tuple[Any, ...]]]:
        with self._database.explained(), self._engine.connect() as connection:
            return connection.execute(query, parameters).all()

    def _write(self, *statements: Executable, telling: bool = False) -> int:
        """All or nothing. Answers how many rows were changed."""
        with self._transaction(telling=telling) as connection:
            return sum(connection.execute(statement).rowcount for statement in statements)

    @contextmanager
    def _transaction(self, *, telling: bool = False) -> Iterator[Connection]:
        database = self._database
        with (
            database.explained(),
            self._engine.connect() as connection,
            database.transaction(connection, telling=telling),
        ):
            yield connection


@cache
def by_arn(table: Table) -> Statement:
    """The statement that selects the row of an ARN, with all columns in their order."""
    return compiled(select(table).where(table.c.arn == bindparam("arn")))


_OF_MAP_RUN: Final = ("status", "stopped_at", "counts", "attempt", "redrive_count")


def closing_map_run() -> Insert:
    """Inserts a Map Run; of one that runs, takes over how it has ended; and one that has ended, may be redriven."""
    put = insert(schema.map_runs)
    known = schema.map_runs.c
    runs = known.status == literal_column("'RUNNING'")  # no parameter: it is compiled once
    redriven = put.excluded.redrive_count > known.redrive_count
    changed: dict[str, Any] = {name: put.excluded[name] for name in _OF_MAP_RUN}
    # Ordered again, as after a crash, it has not been redriven again.
    changed["redrive_date"] = case((redriven, put.excluded.redrive_date), else_=known.redrive_date)
    return put.on_conflict_do_update(
        index_elements=["arn"],
        set_=changed,
        where=or_(redriven, and_(put.excluded.redrive_count == known.redrive_count, runs)),
    )


def _values(table: Table, row: object) -> dict[str, Any]:
    return {name: getattr(row, name) for name in table.c.keys()}  # noqa: SIM118 (no dict)


def _upsert(table: Table, row: object, *, kept: Collection[str]) -> Executable:
    """Insert the row, or update all but ``kept`` of the one with its ARN."""
    values = _values(table, row)
    changed = {name: value for name, value in values.items() if name not in ("arn", *kept)}
    return insert(table).values(values).on_conflict_do_update(index_elements=["arn"], set_=changed)
