"""Map Runs: the items of a Distributed Map become children, a bounded number of them at once.

A child is an execution like any other: STANDARD ones are durable, with a history of their own; of EXPRESS ones, which
live in memory, the ends are durable, in batches. Those whose tasks are functions are done whole, on a worker
(:mod:`nbflow.engine.whole`); the others run in the engine (:mod:`nbflow.engine.here`). Items are read as a stream, on a
thread beside the engine's, some of them ahead of the children. Everything else happens on the engine's thread, between
its turns.

A run that was at work before (in a process that is gone, or until it failed and was redriven) reads its inputs from the
first one on again, and finds of each child how it is: what has ended stays, what runs goes on, and the rest begins.
A run ends after its children: so a crash leaves none behind that nobody would end.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, TypeAlias

from nbflow.artifacts.shelf import Shelf
from nbflow.engine import children
from nbflow.engine.chunks import CHUNK, Chunks
from nbflow.engine.clock import Clock
from nbflow.engine.ends import Ends, ends_of
from nbflow.engine.here import Here
from nbflow.engine.known import KnownArtifacts
from nbflow.engine.leftovers import Host, Leftovers
from nbflow.engine.live import AlreadyExists, Arrival, Live
from nbflow.engine.map_results import End, exports, written
from nbflow.engine.map_run import (
    PENDING,
    RUNNING,
    Child,
    Counts,
    MapRun,
    batch,
    child_row,
    opened,
)
from nbflow.engine.rows import artifact_row
from nbflow.engine.whole import MOST_SENT, Whole, parcel
from nbflow.language.processors import processor
from nbflow.language.validate import parse
from nbflow.language.values import Chance
from nbflow.machine import distributed, facts, orders
from nbflow.machine.retries import DATA_LIMIT
from nbflow.pools.port import Pool
from nbflow.store.port import Store, StoreError
from nbflow.tasks.child import number_of
from nbflow.tasks.job import Outcome

MOST_CHILDREN: Final = 1000
"""Children at once, whatever MaxConcurrency allows (AWS: 10,000)."""

Spawn: TypeAlias = Callable[[Callable[[], None]], object]
"""Calls a function soon, on a thread that may wait for files and networks."""

_ELSEWHERE: Final = ("States.TaskFailed", "another process has ended the Map Run")


class MapRuns:
    """The Map Runs of one engine, on its thread."""

    def __init__(
        self,
        store: Store,
        shelf: Shelf,
        pool: Pool,
        known: KnownArtifacts,
        clock: Clock,
        chance: Chance,
        host: Host,
        spawn: Spawn,
    ) -> None:
        """``pool`` does children whole."""
        self._store = store
        self._shelf = shelf
        self._clock = clock
        self._chance = chance
        self._host = host
        self._spawn = spawn
        self._runs: dict[str, MapRun] = {}
        self._leftovers = Leftovers(store, clock, chance, host)
        self._here = Here(store, clock, chance, host, self)
        self._whole = Whole(pool, shelf, known, clock, self._here, self.soon)

    # --- from the engine

    def begin(self, live: Live, order: orders.RunMap) -> None:
        """Carry the order out, or go on with it. Raises StoreError; then nothing has been done."""
        if order.attempt not in live.machine.run.attempts:
            return
        earlier = self._runs.get(order.plan.arn)
        if earlier is not None:  # it is being ended: AWS, too, does not redrive it before
            earlier.next = partial(self.begin, live, order)
            return
        definition = processor(json.loads(self._store.definition(live.row.definition)), order.name)
        text = json.dumps(definition, ensure_ascii=False)
        # The row is in the store already: somebody may have changed its limits before the run could begin.
        row = self._store.map_run(order.plan.arn) or opened(live.row.arn, order, self._clock.now())
        if row.status != "RUNNING":
            self._host.put(live.row.arn, Arrival(facts.TaskFailed(order.attempt, *_ELSEWHERE)))
            return
        express = order.state.item_processor.processor_config.execution_type == "EXPRESS"
        known = {} if express else children.known(self._store, row)
        ends = ends_of(self._store, row.arn) if express else Ends()
        digest = self._store.add_definition(text)
        chunks = Chunks(self._store, self._shelf, order, live.directory, self._clock.now, self._chance)
        machine = parse(text)
        work = parcel(live, row.arn, order.name, text, machine) if express else None
        run = MapRun(live, order, row, machine, digest, chunks, known, ends, work)
        self._runs[row.arn] = run
        self._whole.take_on(run)
        try:
            self.advance(run)
        except StoreError as error:
            self._host.again(partial(self.advance, run), error)

    def cancel(self, live: Live, attempt: int) -> bool:
        """The run is given up: its children are stopped, and then it is said to be Cancelled.

        False: the attempt is none of a Map Run with children that run. Raises StoreError.
        """
        for run in self._runs.values():
            if run.parent.row.arn == live.row.arn and run.order.attempt == attempt:
                self._wind_up(run, partial(self._give_up, run))
                return True
        return self._leftovers.cancel(live, attempt)

    def let_go(self, execution: str) -> None:
        """The execution is no longer this engine's, nor are the children of its runs, unless the run has ended."""
        for run in [run for run in self._runs.values() if run.row.execution == execution]:
            try:
                row = self._store.map_run(run.row.arn)
            except StoreError:
                row = None
            if row is None or row.status == "RUNNING":
                self.forget(run)
            else:
                self._wind_up(run, _nothing)
                del self._runs[run.row.arn]

    def refresh(self) -> None:
        """Take over what other processes have changed (UpdateMapRun), or ended. Raises StoreError."""
        for run in list(self._runs.values()):
            row = self._store.map_run(run.row.arn)
            if row is None or row == run.row:
                continue
            run.row = row
            if row.status == "RUNNING":
                self._whole.limit(run)
                self.soon(run)
            else:  # its execution has been, too: that shows when the next step collides
                self._fail(run, *_ELSEWHERE)

    def is_read(self, arn: str) -> bool:
        """Whether a run is at work here and has read all of its inputs. From any thread."""
        run = self._runs.get(arn)
        return run is not None and run.whole

    def counts(self, arn: str) -> Counts | None:
        """Of a run that is at work here. From any thread."""
        run = self._runs.get(arn)
        return None if run is None else run.counts

    def step_of(self, execution: str, attempt: int) -> tuple[str, int, int] | None:
        """Of an attempt of a child that runs here: its parent execution, the attempt that the run is there, its number.

        None for any other execution. From any thread.
        """
        arn, number = execution, number_of(attempt)  # as of a job that does a child whole
        if (live := self._host.live.get(execution)) is not None and live.row.item is not None:
            arn, number = live.row.map_run_arn or "", live.row.item
        run = self._runs.get(arn)
        if run is None or number not in run.running:
            return None
        return run.row.execution, run.order.attempt, number

    @property
    def at_work(self) -> bool:
        return bool(self._runs)

    def has(self, run: MapRun) -> bool:
        """Whether the run is still this engine's."""
        return self._runs.get(run.row.arn) is run

    # --- items

    def advance(self, run: MapRun) -> None:
        """Take in what has been read and what has ended, start the children that there is room for, read on.

        After the last one, finish. Raises StoreError: then it may be called again.
        """
        run.soon = False
        self._whole.heed(run)
        self._accept(run)
        self._whole.unpark(run)
        if run.over:
            self._settle(run)
            return
        try:
            self._take(run)
            if run.exceeded:
                self._fail(run, *distributed.EXCEEDED)
            if run.over:
                return
            self._start_some(run)
            if not (run.whole or run.reading or len(run.waiting) >= CHUNK):
                self._read(run)
                return
        except RecursionError:  # the thread that has read it could just hold it
            self._fail(run, DATA_LIMIT, "The input of a child is nested too deeply.")
            return
        if run.whole and not (run.waiting or run.running or run.held or run.ended):
            self._finish(run)

    def soon(self, run: MapRun) -> None:
        """Advance in the next turn, once for all that has happened in this one. From any thread."""
        if not run.soon:
            run.soon = True
            self._host.later(partial(self.advance, run))

    def _read(self, run: MapRun) -> None:
        """Read the next chunk. It is taken in the next turn, or later: there may be many. Raises StoreError."""
        run.chunk = run.chunks.recall()
        run.reading = True
        if run.chunk is None and run.chunks.aside:
            self._spawn(partial(self._read_aside, run))
            return
        if run.chunk is None:
            run.chunk = run.chunks.read()
        self._host.later(partial(self._arrived, run))

    def _read_aside(self, run: MapRun) -> None:
        """On another thread."""
        run.chunk = run.chunks.read()
        self._host.later(partial(self._arrived, run))

    def _arrived(self, run: MapRun) -> None:
        run.reading = False
        if run.over:
            run.chunks.close()
        self.advance(run)

    def _take(self, run: MapRun) -> None:
        """Take in a chunk that has been read, once it is durable. Raises StoreError."""
        chunk = run.chunk
        if chunk is None or run.reading:
            return
        if chunk.text is not None and not self._store.put_map_part(
            run.row.arn, "chunk", chunk.number, chunk.text
        ):
            self._collide(run)
            return
        run.chunk = None
        run.take(chunk)
        if chunk.failed is not None:
            self._fail(run, chunk.failed.error, chunk.failed.cause)

    # --- children

    def _start_some(self, run: MapRun) -> None:
        limit = min(run.row.max_concurrency or MOST_CHILDREN, MOST_CHILDREN)
        if run.parcel is not None:
            limit = MOST_SENT
        while run.waiting and len(run.running) < limit:
            self._start(run, run.waiting[0])
            run.waiting.popleft()

    def _start(self, run: MapRun, child: Child) -> None:
        """Begin a child, go on with it, or take it up again. Raises StoreError."""
        if run.parcel is not None:
            self._whole.begin(run, child)
        elif not run.express and child.before != PENDING:
            self._here.go_on(run, child)
        else:
            self._here.begin(run, child)

    def _accept(self, run: MapRun) -> None:
        """The ends of EXPRESS children count once they are durable. Raises StoreError."""
        while run.accepted or run.ended:
            if not run.accepted:
                run.accept()
            text = batch(run.accepted, run.row.redrive_count)
            now = self._clock.now()
            rows = [artifact_row(artifact, now) for each in run.accepted for artifact in each.made]
            if not self._store.put_map_part(run.row.arn, "batch", run.ends.batches, text, rows):
                self._collide(run)
                return
            here = run.here
            run.count_accepted()
            if run.here != here:
                self._whole.limit(run)

    # --- the end

    def _finish(self, run: MapRun) -> None:
        run.over = True

        def write() -> None:
            try:
                end = written(self._store, run)
            except StoreError as error:
                self._host.again(partial(self._write_again, run), error)
            else:
                self._host.later(partial(self._answer, run, end))

        self._spawn(write)

    def _write_again(self, run: MapRun) -> None:
        if run.last is None:
            self._finish(run)

    def _fail(self, run: MapRun, error: str, cause: str | None) -> None:
        if not run.over:
            end = facts.TaskFailed(run.order.attempt, error, cause)
            export = exports(run) and error == distributed.EXCEEDED[0]
            self._wind_up(run, partial(self._export if export else self._answer, run, end))

    def _export(self, run: MapRun, end: facts.TaskFailed) -> None:
        """Write the results of a run that has failed, too; whatever becomes of that, it has failed."""
        run.last = _nothing  # not twice
        pending = [] if run.express else [each for each in run.waiting if each.before == PENDING]
        rows = [child_row(run, each.number, each.input, run.row.started_at) for each in pending]

        def write() -> None:
            with suppress(StoreError):
                written(self._store, run, rows)
            self._host.later(partial(self._answer, run, end))

        self._spawn(write)

    def _wind_up(self, run: MapRun, last: Callable[[], None]) -> None:
        """Stop the children. After the last one, do this."""
        if not run.reading:
            run.chunks.close()
        if run.last is None:
            run.left = [] if run.express else run.unreached()
            self._stop(run)
        run.over, run.last = True, last
        if run.running or run.left or run.ended or run.accepted:
            self.soon(run)
        else:
            last()

    def _stop(self, run: MapRun) -> None:
        """Tell all children to stop that run."""
        for child in run.running.values():
            if child.live is not None:
                self._host.put(child.live.row.arn, Arrival(facts.Stop()))
        self._whole.stop(run)

    def _settle(self, run: MapRun) -> None:
        """The run is being ended: stop what was not at work here, and look whether all have ended.

        Raises StoreError.
        """
        if run.last is None:
            return
        while run.left:
            known = run.known.pop(run.left[-1], None)
            items = next((each.items for each in run.waiting if each.number == run.left[-1]), 1)
            self._here.go_on(run, Child(run.left[-1], None, items, known.status if known else RUNNING))
            run.left.pop()
        if not (run.running or run.ended or run.accepted):
            run.last()

    def _answer(self, run: MapRun, end: End) -> None:
        """Tell the parent; its next step records the end of the run, too."""
        status = "SUCCEEDED" if isinstance(end, facts.TaskSucceeded) else "FAILED"
        self._close(run, end, status)

    def _give_up(self, run: MapRun) -> None:
        self._close(run, facts.Cancelled(run.order.attempt), "ABORTED")

    def _close(self, run: MapRun, end: facts.Fact, status: str) -> None:
        if not self.has(run):  # given up, while its results were written
            return
        run.over = True
        del self._runs[run.row.arn]
        printed = Outcome(run.parent.row.arn, run.order.attempt, log=run.log.text())
        arrival = Arrival(end, printed, map_run=run.closed(status, self._clock.now()))
        self._host.put(run.parent.row.arn, arrival)
        if run.next is not None:
            self._host.later(run.next)

    def _collide(self, run: MapRun) -> None:
        """Another engine has written a part of it: its new owner, or one before that was paused. Raises StoreError.

        Who was paused writes at most one more, and then asks what is its own. So the owner begins again, with that.
        """
        parent = self._store.execution(run.row.execution)
        self.forget(run)
        if parent is not None and parent.steps <= run.parent.step:
            self._host.later(partial(self._begin_again, run.parent, run.order))

    def _begin_again(self, live: Live, order: orders.RunMap) -> None:
        """Raises StoreError."""
        if self._host.live.get(live.row.arn) is not live:
            return
        if order.attempt in live.machine.run.attempts:
            self.begin(live, order)
        elif order.attempt in live.machine.run.cancelling and not self.cancel(live, order.attempt):
            self._host.put(live.row.arn, Arrival(facts.Cancelled(order.attempt)))

    def forget(self, run: MapRun) -> None:
        """The run is another engine's, and so are its children."""
        run.over, run.last, run.ended, run.accepted = True, None, [], []
        self._runs.pop(run.row.arn, None)
        if not run.reading:
            run.chunks.close()
        running, run.running = run.running, {}
        for child in running.values():
            if child.live is None:
                self._whole.cancel(run, child)
                continue
            error = AlreadyExists(f"execution {child.live.row.arn} is another engine's, with its Map Run")
            self._host.drop(child.live, error)


def _nothing() -> None:
    """There is nothing to be done after the last child, or it is being done."""
