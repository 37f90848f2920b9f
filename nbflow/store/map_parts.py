"""What a Map Run keeps, so that another process can go on with it, over SQL: parts of it as text, and its children."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from nbflow.store import schema
from nbflow.store.owners import EXECUTIONS, SqlOwners
from nbflow.store.rows import ArtifactRow, ChildStatus, ExecutionRow, PartKind

_E: Final = schema.executions.c
_P: Final = schema.map_parts.c
_PAGE: Final = 500


class SqlMapParts(SqlOwners):
    """The rest of a :class:`nbflow.store.port.MapRuns` over an open, migrated database."""

    def put_map_part(
        self, map_run: str, kind: PartKind, number: int, text: str, artifacts: Sequence[ArtifactRow] = ()
    ) -> bool:
        put = insert(schema.map_parts).values(map_run=map_run, kind=kind, number=number, text=text)
        shelve = insert(schema.artifacts)
        touch = shelve.on_conflict_do_update(
            index_elements=["sha256"], set_={"touched_at": shelve.excluded.touched_at}
        )
        with self._transaction() as connection:
            added = connection.execute(put.on_conflict_do_nothing().returning(_P.number)).first() is not None
            for row in artifacts:
                connection.execute(touch, asdict(row))
        return added or self.map_part(map_run, kind, number) == text

    def map_part(self, map_run: str, kind: PartKind, number: int) -> str | None:
        query = select(_P.text).where(_P.map_run == map_run, _P.kind == kind, _P.number == number)
        rows = self._rows(query)
        return str(rows[0].text) if rows else None

    def map_parts(self, map_run: str, kind: PartKind) -> Iterator[str]:
        query = select(_P.number).where(_P.map_run == map_run, _P.kind == kind).order_by(_P.number)
        for row in self._rows(query):
            text = self.map_part(map_run, kind, row.number)
            if text is not None:
                yield text

    def children_of(self, map_run: str) -> list[ChildStatus]:
        query = select(_E.item, _E.status, _E.redrive_count).where(
            _E.map_run_arn == map_run, _E.item.is_not(None)
        )
        return [ChildStatus(*row) for row in self._rows(query.order_by(_E.item))]

    def child_rows(self, map_run: str, after: int = -1) -> Iterator[ExecutionRow]:
        query = EXECUTIONS.where(_E.map_run_arn == map_run).order_by(_E.item).limit(_PAGE)
        while rows := self._rows(query.where(_E.item > after)):
            yield from (ExecutionRow(**row._mapping) for row in rows)
            after = rows[-1].item
