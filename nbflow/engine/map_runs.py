"""Map Runs: the items of a Distributed Map become children, a bounded number of them at once.

A child is an execution like any other: STANDARD ones are durable, with a history of their own, EXPRESS ones live in
memory. Items are read as a stream, on a thread beside the engine's, some of them ahead of the children. Everything
else happens on the engine's thread, between its turns: a child's end is told by the future of the execution.
"""

import json
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from typing import Final, NamedTuple, Protocol, TypeAlias

from nbflow.artifacts.shelf import Artifact
from nbflow.engine.clock import Clock
from nbflow.engine.live import Arrival, Live
from nbflow.engine.rows import closing
from nbflow.language import model
from nbflow.language.paths import compact
from nbflow.language.processors import processor
from nbflow.language.validate import parse
from nbflow.language.values import Chance, Failure, Json
from nbflow.machine import Machine, distributed, facts, orders
from nbflow.machine.context import LIMITS, MAP_RUN
from nbflow.store.port import ExecutionRow, MapRunRow, Store
from nbflow.tasks.batching import batches
from nbflow.tasks.job import Outcome
from nbflow.tasks.places import ItemsFailed
from nbflow.tasks.reading import read_items
from nbflow.tasks.writing import ChildResult, transformed, write_results

MOST_CHILDREN: Final = 1000
"""Children at once, whatever MaxConcurrency allows (AWS: 10,000)."""

CHUNK: Final = 500
"""Items that are read at a time; another chunk is asked for when fewer than these wait."""

EXCEEDED: Final = "States.ExceedToleratedFailureThreshold"

Counts: TypeAlias = dict[str, dict[str, int]]

Spawn: TypeAlias = Callable[[Callable[[], None]], object]
"""Calls a function soon, on a thread that may wait for files and networks."""


class Host(Protocol):
    """What a Map Run asks of the engine."""

    def admit(self, live: Live, start: facts.Start) -> None:
        """Begin an execution. On the engine's thread."""
        ...

    def put(self, execution: str, arrival: Arrival) -> None: ...

    def later(self, work: Callable[[], None]) -> None:
        """Do something in the engine's next turn. From any thread."""
        ...


class _Chunk(NamedTuple):
    """What reading has brought."""

    inputs: list[Json]
    last: bool
    failed: ItemsFailed | None = None


@dataclass(slots=True)
class MapRun:
    """One Map Run at work."""

    parent: Live
    order: orders.RunMap
    row: MapRunRow
    definition: model.StateMachine
    digest: str
    source: Iterator[Json]
    waiting: deque[Json] = field(default_factory=deque)
    """Inputs that have been read and not begun."""
    reading: bool = False
    whole: bool = False
    """Everything has been read."""
    begun: int = 0
    running: dict[int, Live] = field(default_factory=dict)
    results: dict[int, ChildResult] = field(default_factory=dict)
    made: list[Artifact] = field(default_factory=list)
    """Of EXPRESS children, which record nothing themselves."""
    read: int = 0
    """Items that have been read."""
    ended: Counter[str] = field(default_factory=Counter)
    """Children by how they ended."""
    items: Counter[str] = field(default_factory=Counter)
    """Their items likewise."""
    over: bool = False

    def size(self, input: Json) -> int:
        """How many items a child has."""
        return 1 if self.order.plan.batcher is None else len(input["Items"])

    @property
    def exceeded(self) -> bool:
        """Whether more items failed than is tolerated. A percentage is one of all items: it waits for the last one."""
        failed = self.items.total() - self.items["SUCCEEDED"]
        allowed = []
        if self.row.tolerated_count:
            allowed.append(self.row.tolerated_count)
        if self.row.tolerated_percentage:
            share = int(Fraction(str(self.row.tolerated_percentage)) * self.read / 100)
            allowed.append(share if self.whole else failed)
        return failed > min(allowed, default=0)


class MapRuns:
    """The Map Runs of one engine, on its thread."""

    def __init__(self, store: Store, clock: Clock, chance: Chance, host: Host, spawn: Spawn) -> None:
        self._store = store
        self._clock = clock
        self._chance = chance
        self._host = host
        self._spawn = spawn
        self._runs: dict[str, MapRun] = {}

    # --- from the engine

    def begin(self, live: Live, order: orders.RunMap) -> None:
        """Carry the order out. Raises StoreError; then nothing has been done."""
        plan = order.plan
        text = json.dumps(
            processor(json.loads(self._store.definition(live.row.definition)), order.name),
            ensure_ascii=False,
        )
        row = opened(live.row.arn, order, self._clock.now())
        run = MapRun(live, order, row, parse(text), self._store.add_definition(text), self._inputs(order))
        self._runs[plan.arn] = run
        self._read(run)

    def cancel(self, execution: str, attempt: int) -> bool:
        """The run is given up: its children are stopped. Raises StoreError."""
        for run in list(self._runs.values()):
            if (run.row.execution, run.row.attempt) == (execution, attempt):
                self._store.put_map_run(self._closed(run, "ABORTED"))
                self._stop(run)
                return True
        return False

    def refresh(self) -> None:
        """Take over what UpdateMapRun has changed. Raises StoreError."""
        for run in list(self._runs.values()):
            row = self._store.map_run(run.row.arn)
            if row is not None and row != run.row:
                run.row = row
                self._advance(run)

    def counts(self, arn: str) -> Counts | None:
        """Of a run that is at work here. From any thread."""
        run = self._runs.get(arn)
        return None if run is None else counted(run)

    @property
    def at_work(self) -> bool:
        return bool(self._runs)

    # --- items

    def _inputs(self, order: orders.RunMap) -> Iterator[Json]:
        """What the children are given, one by one. Raises ItemsFailed."""
        plan = order.plan
        items: Iterator[Json] = iter(order.items or ())
        if plan.reader is not None:
            reader = plan.reader
            items = read_items(reader["Resource"], reader["Parameters"], reader["ReaderConfig"])
        selected = self._selected(order, items)
        if plan.batcher is None:
            return selected
        batcher = plan.batcher
        return batches(
            selected,
            max_items=batcher.get("MaxItemsPerBatch"),
            max_bytes=batcher.get("MaxInputBytesPerBatch"),
            batch_input=batcher.get("BatchInput"),
        )

    def _selected(self, order: orders.RunMap, items: Iterator[Json]) -> Iterator[Json]:
        for index, item in enumerate(items):
            selected = distributed.select(order, index, item, self._clock.now(), self._chance)
            if isinstance(selected, Failure):
                raise ItemsFailed(selected.error, selected.cause or "")
            yield selected

    def _read(self, run: MapRun) -> None:
        """Read the next chunk: here, if the items are in memory already."""
        run.reading = True
        if run.order.plan.reader is None:
            self._arrived(run, _next_chunk(run.source))
            return

        def read() -> None:
            chunk = _next_chunk(run.source)
            self._host.later(lambda: self._arrived(run, chunk))

        self._spawn(read)

    def _arrived(self, run: MapRun, chunk: _Chunk) -> None:
        run.reading = False
        run.waiting.extend(chunk.inputs)
        run.read += sum(map(run.size, chunk.inputs))
        run.whole = chunk.last
        if chunk.failed is not None and not run.over:
            self._fail(run, chunk.failed.error, chunk.failed.cause)
        self._advance(run)

    # --- children

    def _advance(self, run: MapRun) -> None:
        """Start the children that there is room for, read on, and finish after the last one."""
        if run.over:
            return
        limit = min(run.row.max_concurrency or MOST_CHILDREN, MOST_CHILDREN)
        while run.waiting and len(run.running) < limit:
            self._start(run, run.begun, run.waiting.popleft())
            run.begun += 1
        if run.exceeded:
            self._fail(run, EXCEEDED, "The specified tolerated failure threshold was exceeded")
        elif not run.whole and not run.reading and len(run.waiting) < CHUNK:
            self._read(run)
        elif run.whole and not run.waiting and not run.running:
            self._finish(run)

    def _start(self, run: MapRun, index: int, input: Json) -> None:
        arn = run.row.arn
        name = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{arn}#{index}"))
        machine = arn.rpartition(":")[0]
        express = run.order.state.item_processor.processor_config.execution_type == "EXPRESS"
        row = ExecutionRow(
            arn=f"{machine.replace(':mapRun:', ':express:' if express else ':execution:', 1)}:{name}",
            name=name,
            machine_arn=machine.replace(":mapRun:", ":stateMachine:", 1),
            definition=run.digest,
            status="RUNNING",
            input=compact(input),
            started_at=self._clock.now(),
            revision=run.parent.row.revision,
            map_run_arn=arn,
        )
        parent = run.parent
        live = Live(
            row,
            Machine.of(run.definition, self._chance, parent.machine.has_activity),
            parent.codes,
            parent.directory,
            script=parent.script,
            kept=not express,
        )
        run.running[index] = live
        live.ended.add_done_callback(lambda ended: self._ended(run, index, live, ended))
        self._host.admit(live, facts.Start(input, _context(row, parent, express=express)))

    def _ended(self, run: MapRun, index: int, live: Live, ended: "Future[None]") -> None:
        run.running.pop(index, None)
        if run.over or ended.exception() is not None:  # the engine is closed, or somebody else has the child
            return
        end, row = closing(live.machine.run), live.row
        run.ended[end.status] += 1
        run.items[end.status] += run.size(live.machine.run.input)
        run.made += live.made
        run.results[index] = ChildResult(
            row.arn,
            row.name,
            row.machine_arn,
            end.status,
            row.input,
            end.output,
            end.error,
            end.cause,
            row.started_at,
            end.stopped_at,
        )
        self._host.later(lambda: self._advance(run))

    # --- the end

    def _finish(self, run: MapRun) -> None:
        run.over = True
        writer = run.order.plan.writer
        results = [run.results[index] for index in sorted(run.results)]
        if writer is None or writer["Resource"] is None:
            config = None if writer is None else writer["WriterConfig"]
            self._succeed(run, _output(results, config))
            return

        def write() -> None:
            try:
                output = write_results(
                    writer["Parameters"], writer["WriterConfig"], run.row.arn, iter(results)
                )
            except ItemsFailed as failed:
                error = failed
                self._host.later(lambda: self._fail(run, error.error, error.cause))
            else:
                self._host.later(lambda: self._succeed(run, output))

        self._spawn(write)

    def _succeed(self, run: MapRun, output: Json) -> None:
        self._answer(run, "SUCCEEDED", facts.TaskSucceeded(run.row.attempt, output))

    def _fail(self, run: MapRun, error: str, cause: str | None) -> None:
        self._answer(run, "FAILED", facts.TaskFailed(run.row.attempt, error, cause))
        self._stop(run)

    def _answer(self, run: MapRun, status: str, fact: facts.TaskSucceeded | facts.TaskFailed) -> None:
        """Tell the parent; its next step records the end of the run, too."""
        run.over = True
        self._runs.pop(run.row.arn, None)
        outcome = Outcome(run.row.execution, run.row.attempt, artifacts=tuple(run.made))
        arrival = Arrival(fact, outcome, map_run=self._closed(run, status))
        self._host.put(run.row.execution, arrival)

    def _stop(self, run: MapRun) -> None:
        run.over = True
        self._runs.pop(run.row.arn, None)
        for live in list(run.running.values()):
            self._host.put(live.row.arn, Arrival(facts.Stop()))

    def _closed(self, run: MapRun, status: str) -> MapRunRow:
        counts = counted(run)
        for each in counts.values():  # what runs, is being stopped
            each["ABORTED"] = each.get("ABORTED", 0) + each.pop("RUNNING")
        return replace(run.row, status=status, stopped_at=self._clock.now(), counts=compact(counts))


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
        plan.tolerated_count or 0,
        plan.tolerated_percentage or 0.0,
    )


def counted(run: MapRun) -> Counts:
    """``executions`` and ``items`` by status, those that run and those that wait among them."""
    running = sum(run.size(live.machine.run.input) for live in list(run.running.values()))
    waiting = run.read - running - run.items.total()
    return {
        "executions": {**run.ended, "RUNNING": len(run.running), "PENDING": len(run.waiting)},
        "items": {**run.items, "RUNNING": running, "PENDING": waiting},
    }


def _next_chunk(source: Iterator[Json]) -> _Chunk:
    try:
        inputs = list(islice(source, CHUNK))
    except ItemsFailed as failed:
        return _Chunk([], True, failed)
    except Exception as error:  # noqa: BLE001  # of a file system's or a format's library
        return _Chunk([], True, ItemsFailed("States.ItemReaderFailed", f"{type(error).__name__}: {error}"))
    return _Chunk(inputs, len(inputs) < CHUNK)


def _output(results: list[ChildResult], config: Json) -> Json:
    """The state's output where nothing is exported: the outputs of those that succeeded, in the items' order."""
    if config is not None:
        return transformed(results, config)
    return [json.loads(each.output) for each in results if each.output is not None]


def _context(row: ExecutionRow, parent: Live, *, express: bool) -> dict[str, Json]:
    """The members of a child's context object that do not change."""
    given = parent.machine.run.context
    return {
        "Execution": {**given.get("Execution", {}), "Id": row.arn, "Name": row.name},
        "StateMachine": {"Id": row.machine_arn, "Name": row.machine_arn.rpartition(":")[2]},
        "Express": express,
        LIMITS: given.get(LIMITS),
        MAP_RUN: row.map_run_arn,
    }
