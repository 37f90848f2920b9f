"""Map Runs: the items of a Distributed Map become children, a bounded number of them at once.

A child is an execution like any other: STANDARD ones are durable, with a history of their own, EXPRESS ones live in
memory. Items are read as a stream, on a thread beside the engine's, some of them ahead of the children. Everything
else happens on the engine's thread, between its turns: a child's end is told by the future of the execution.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import Final, NamedTuple, Protocol, TypeAlias

from nbflow.engine.clock import Clock
from nbflow.engine.live import Arrival, Live
from nbflow.engine.map_run import Child, Counts, MapRun, opened
from nbflow.engine.rows import closing, spelt
from nbflow.language.paths import compact
from nbflow.language.processors import processor
from nbflow.language.validate import parse
from nbflow.language.values import Chance, Json
from nbflow.machine import Machine, distributed, facts, orders
from nbflow.machine.retries import DATA_LIMIT
from nbflow.store.port import Closing, ExecutionRow, Store, StoreError
from nbflow.tasks.items import inputs, items_of
from nbflow.tasks.job import Outcome
from nbflow.tasks.parsing import READER_FAILED
from nbflow.tasks.places import ItemsFailed, located
from nbflow.tasks.writing import WRITER_FAILED, ChildResult, transformed, write_results

MOST_CHILDREN: Final = 1000
"""Children at once, whatever MaxConcurrency allows (AWS: 10,000)."""

CHUNK: Final = 500
"""Items that are read at a time; another chunk is asked for when fewer than these wait."""

Spawn: TypeAlias = Callable[[Callable[[], None]], object]
"""Calls a function soon, on a thread that may wait for files and networks."""

_End: TypeAlias = facts.TaskSucceeded | facts.TaskFailed


class Host(Protocol):
    """What a Map Run asks of the engine."""

    def admit(self, live: Live, start: facts.Start) -> None:
        """Begin an execution. On the engine's thread."""
        ...

    def put(self, execution: str, arrival: Arrival) -> None: ...

    def later(self, work: Callable[[], None]) -> None:
        """Do something in the engine's next turn. From any thread."""
        ...


class Chunk(NamedTuple):
    """What reading has brought."""

    inputs: list[Json]
    last: bool
    failed: ItemsFailed | None = None


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
        definition = processor(json.loads(self._store.definition(live.row.definition)), order.name)
        text = json.dumps(definition, ensure_ascii=False)
        # The row is in the store already: somebody may have changed its limits before the run could begin.
        row = self._store.map_run(order.plan.arn) or opened(live.row.arn, order, self._clock.now())
        source = inputs(order, items_of(order, live.directory), self._clock.now, self._chance)
        run = MapRun(live, order, row, parse(text), self._store.add_definition(text), source)
        self._runs[row.arn] = run
        self._read(run)

    def cancel(self, execution: str, attempt: int) -> bool:
        """The run is given up: its children are stopped. Raises StoreError."""
        for run in list(self._runs.values()):
            if (run.row.execution, run.row.attempt) == (execution, attempt):
                self._store.put_map_run(run.closed("ABORTED", self._clock.now()))
                self._stop(run)
                return True
        return False

    def let_go(self, execution: str) -> None:
        """The execution is no longer this engine's: the children of its runs are stopped."""
        for run in list(self._runs.values()):
            if run.row.execution == execution:
                self._stop(run)

    def refresh(self) -> None:
        """Take over what other processes have changed (UpdateMapRun), or ended. Raises StoreError."""
        for run in list(self._runs.values()):
            row = self._store.map_run(run.row.arn)
            if row is None or row == run.row:
                continue
            run.row = row
            if row.status == "RUNNING":
                self._advance(run)
            else:  # its execution has been, too: that shows when the next step collides
                self._fail(run, "States.TaskFailed", "another process has ended the Map Run")

    def counts(self, arn: str) -> Counts | None:
        """Of a run that is at work here. From any thread."""
        run = self._runs.get(arn)
        return None if run is None else run.counts

    @property
    def at_work(self) -> bool:
        return bool(self._runs)

    # --- items

    def _read(self, run: MapRun) -> None:
        """Read the next chunk: here, if the items are in memory already."""
        run.reading = True
        if run.order.plan.reader is None:
            self._arrived(run, next_chunk(run.source))
            return

        def read() -> None:
            chunk = next_chunk(run.source)
            self._host.later(lambda: self._arrived(run, chunk))

        self._spawn(read)

    def _arrived(self, run: MapRun, chunk: Chunk) -> None:
        run.reading = False
        if run.over:
            run.source.close()
            return
        run.take(chunk.inputs)
        run.whole = chunk.last
        if chunk.failed is not None:
            self._fail(run, chunk.failed.error, chunk.failed.cause)
        self._advance(run)

    # --- children

    def _advance(self, run: MapRun) -> None:
        """Start the children that there is room for, read on, and finish after the last one."""
        if run.over:
            return
        if run.exceeded:
            self._fail(run, *distributed.EXCEEDED)
            return
        limit = min(run.row.max_concurrency or MOST_CHILDREN, MOST_CHILDREN)
        try:
            while run.waiting and len(run.running) < limit:
                self._start(run, run.begun, run.waiting.popleft())
                run.begun += 1
        except RecursionError:  # the thread that has read it could just hold it
            self._fail(run, DATA_LIMIT, f"The input of child {run.begun} is nested too deeply.")
            return
        if not run.whole and not run.reading and len(run.waiting) < CHUNK:
            self._read(run)
        elif run.whole and not run.waiting and not run.running:
            self._finish(run)

    def _start(self, run: MapRun, index: int, input: Json) -> None:
        parent, row = run.parent, _child_row(run, index, input, self._clock.now())
        context = distributed.constants(parent.machine.run, run.row.arn, index, express=run.express)
        live = Live(
            row,
            Machine.of(run.definition, self._chance, parent.machine.has_activity),
            parent.codes,
            parent.directory,
            script=parent.script,
            kept=not run.express,
        )
        run.running[index] = Child(live, run.size(input))
        live.ended.add_done_callback(lambda ended: self._ended(run, index, live, ended))
        self._host.admit(live, facts.Start(input, context))

    def _ended(self, run: MapRun, index: int, live: Live, ended: "Future[None]") -> None:
        if run.over:
            return
        error = ended.exception()
        end = closing(live.machine.run) if error is None else self._lost(live, error)
        run.end(index, live.row, end)
        run.made += live.made
        self._host.later(lambda: self._advance(run))

    def _lost(self, live: Live, error: BaseException) -> Closing:
        """How a child ended that this engine has lost: as another process says, or it could not go on."""
        try:
            row = self._store.execution(live.row.arn) if live.kept else None
        except StoreError:
            row = None
        if row is None or row.status == "RUNNING":
            return Closing("FAILED", None, "States.Runtime", str(error), self._clock.now())
        return Closing(row.status, row.output, row.error, row.cause, row.stopped_at)

    # --- the end

    def _finish(self, run: MapRun) -> None:
        run.over = True
        writer = run.order.plan.writer
        if writer is None or writer["Resource"] is None:
            self._answer(run, _written(run))
            return

        def write() -> None:
            end = _written(run)
            self._host.later(lambda: self._answer(run, end))

        self._spawn(write)

    def _fail(self, run: MapRun, error: str, cause: str | None) -> None:
        self._answer(run, facts.TaskFailed(run.row.attempt, error, cause))
        self._stop(run)

    def _answer(self, run: MapRun, end: _End) -> None:
        """Tell the parent; its next step records the end of the run, too."""
        run.over = True
        if self._runs.pop(run.row.arn, None) is None:  # given up, while its results were written
            return
        status = "SUCCEEDED" if isinstance(end, facts.TaskSucceeded) else "FAILED"
        outcome = Outcome(run.row.execution, run.row.attempt, artifacts=tuple(run.made))
        arrival = Arrival(end, outcome, map_run=run.closed(status, self._clock.now()))
        self._host.put(run.row.execution, arrival)

    def _stop(self, run: MapRun) -> None:
        run.over = True
        self._runs.pop(run.row.arn, None)
        if not run.reading:
            run.source.close()
        for child in list(run.running.values()):
            self._host.put(child.live.row.arn, Arrival(facts.Stop()))


def next_chunk(source: Iterator[Json]) -> Chunk:
    """Read on. Whatever goes wrong is in the answer."""
    try:
        found = list(islice(source, CHUNK))
    except ItemsFailed as failed:
        return Chunk([], True, failed)
    except Exception as error:  # noqa: BLE001  # of a file system's or a format's library
        return Chunk([], True, ItemsFailed(READER_FAILED, f"{type(error).__name__}: {error}"))
    return Chunk(found, len(found) < CHUNK)


def _written(run: MapRun) -> _End:
    """The end of a run whose children have all ended: the results become the state's output, or files."""
    writer = run.order.plan.writer
    results = [run.results[index] for index in sorted(run.results)]
    try:
        output = _output(run, writer, results)
    except ItemsFailed as failed:
        return facts.TaskFailed(run.row.attempt, failed.error, failed.cause)
    except Exception as error:  # noqa: BLE001  # of a file system's library
        return facts.TaskFailed(run.row.attempt, WRITER_FAILED, f"{type(error).__name__}: {error}")
    return facts.TaskSucceeded(run.row.attempt, output)


def _output(run: MapRun, writer: Json, results: list[ChildResult]) -> Json:
    """Without a ResultWriter, the outputs of those that succeeded, in the items' order."""
    if writer is None:
        return [json.loads(each.output) for each in results if each.output is not None]
    if writer["Resource"] is None:
        return transformed(results, writer["WriterConfig"])
    parameters = located(writer["Parameters"], run.parent.directory)
    return write_results(parameters, writer["WriterConfig"], run.row.arn, iter(results))


def _child_row(run: MapRun, index: int, input: Json, now: float) -> ExecutionRow:
    named = distributed.child(run.row.arn, index, express=run.express)
    return ExecutionRow(
        arn=named.arn,
        name=named.name,
        machine_arn=named.machine_arn,
        definition=run.digest,
        status="RUNNING",
        input=spelt(compact(input)),
        started_at=now,
        revision=run.parent.row.revision,
        map_run_arn=run.row.arn,
    )
