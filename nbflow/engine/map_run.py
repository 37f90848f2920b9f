"""One Map Run at work: what it has read and begun, and how that has ended."""

from collections import Counter, deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from nbflow.artifacts.shelf import Artifact
from nbflow.engine.live import Live
from nbflow.language import model
from nbflow.language.paths import compact
from nbflow.language.values import Json
from nbflow.machine import orders
from nbflow.machine.distributed import exceeds
from nbflow.store.port import Closing, ExecutionRow, MapRunRow
from nbflow.tasks.items import size
from nbflow.tasks.writing import ChildResult

Counts: TypeAlias = dict[str, dict[str, int]]
"""``executions`` and ``items`` by status, those that run (RUNNING) and those that wait (PENDING) among them."""


class Child(NamedTuple):
    """A child that has not ended."""

    live: Live
    items: int
    """How many it has: more than one, if they are batched."""


@dataclass(slots=True)
class MapRun:
    """Of the engine's thread; only :attr:`counts` may be asked for from any."""

    parent: Live
    order: orders.RunMap
    row: MapRunRow
    definition: model.StateMachine
    digest: str
    source: Generator[Json, None, None]
    waiting: deque[Json] = field(default_factory=deque)
    """Inputs that have been read and not begun."""
    reading: bool = False
    whole: bool = False
    """Everything has been read."""
    read: int = 0
    """Items that have been read."""
    begun: int = 0
    """Children that have been."""
    running: dict[int, Child] = field(default_factory=dict)
    results: dict[int, ChildResult] = field(default_factory=dict)
    made: list[Artifact] = field(default_factory=list)
    """Of EXPRESS children, which record nothing themselves."""
    ended: Counter[str] = field(default_factory=Counter)
    """Children by how they ended."""
    items: Counter[str] = field(default_factory=Counter)
    """Their items likewise."""
    over: bool = False
    """Nothing more is begun: the results are being written, or the run has ended."""

    @property
    def express(self) -> bool:
        return self.order.state.item_processor.processor_config.execution_type == "EXPRESS"

    def take(self, inputs: Iterable[Json]) -> None:
        """Inputs have been read."""
        for input in inputs:
            self.waiting.append(input)
            self.read += self.size(input)

    def size(self, input: Json) -> int:
        """How many items a child of this input has."""
        return size(self.order, input)

    def end(self, index: int, row: ExecutionRow, closing: Closing) -> None:
        """A child has ended so."""
        items = self.running.pop(index).items
        self.ended[closing.status] += 1
        self.items[closing.status] += items
        self.results[index] = ChildResult(
            row.arn,
            row.name,
            row.machine_arn,
            closing.status,
            row.input,
            closing.output,
            closing.error,
            closing.cause,
            row.started_at,
            closing.stopped_at,
        )

    @property
    def exceeded(self) -> bool:
        """Whether more items failed than is tolerated. A percentage is one of all items: it waits for the last one."""
        failed = self.items.total() - self.items["SUCCEEDED"]
        total = self.read if self.whole else None
        return exceeds(failed, total, self.row.tolerated_count, self.row.tolerated_percentage)

    @property
    def counts(self) -> Counts:
        running = list(self.running.values())
        items = sum(child.items for child in running)
        waiting = self.read - items - self.items.total()
        return {
            "executions": {**self.ended, "RUNNING": len(running), "PENDING": len(self.waiting)},
            "items": {**self.items, "RUNNING": items, "PENDING": waiting},
        }

    def closed(self, status: str, at: float) -> MapRunRow:
        """Its row, as it ends: what still runs, is being stopped."""
        counts = self.counts
        for each in counts.values():
            each["ABORTED"] = each.get("ABORTED", 0) + each.pop("RUNNING")
        return replace(self.row, status=status, stopped_at=at, counts=compact(counts))


def opened(execution: str, order: orders.RunMap, now: float) -> MapRunRow:
    """The row of a Map Run that begins."""
    plan = order.plan
    return MapRunRow(
        plan.arn,
        execution,
        order.attempt,
        "RUNNING",
        now,
        plan.concurrency,
        plan.tolerated_count,
        plan.tolerated_percentage,
    )
