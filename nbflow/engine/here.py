"""Children of Map Runs that run in the engine: STANDARD ones, and those of EXPRESS runs that are not done whole.

How one ends is told by the future of its execution.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Protocol

from nbflow.artifacts.shelf import Artifact
from nbflow.engine import children
from nbflow.engine.clock import Clock
from nbflow.engine.leftovers import Host
from nbflow.engine.live import AlreadyExists, Arrival, Live
from nbflow.engine.map_run import PENDING, RUNNING, STUCK, Child, Ended, MapRun, child_row
from nbflow.engine.rows import closing
from nbflow.language.values import Chance
from nbflow.machine import Machine, distributed, facts
from nbflow.machine.records import decode
from nbflow.store.port import Store, StoreError
from nbflow.store.rows import Closing, ExecutionRow
from nbflow.tasks.child import Ending, HandedBack


class Runs(Protocol):
    """The Map Runs of the engine. On its thread, where nothing else is said."""

    def has(self, run: MapRun) -> bool:
        """Whether the run is still this engine's."""
        ...

    def soon(self, run: MapRun) -> None:
        """Look at it in the next turn. From any thread."""
        ...

    def forget(self, run: MapRun) -> None:
        """It is another engine's, and so are its children."""
        ...


class Here:
    """Begins children, and hears how they end. Of the engine's thread."""

    def __init__(self, store: Store, clock: Clock, chance: Chance, host: Host, runs: Runs) -> None:
        self._store = store
        self._clock = clock
        self._chance = chance
        self._host = host
        self._runs = runs

    def begin(self, run: MapRun, child: Child) -> None:
        """A child begins."""
        row = child_row(run, child.number, child.input, self._clock.now())
        earlier = self._host.live.get(row.arn)
        if earlier is not None:  # an answer to its attempts would be taken for one to the new child's
            run.held += 1
            earlier.gone.append(partial(self._unhold, run, child))
            return
        parent = run.parent
        constants = distributed.constants(parent.machine.run, run.row.arn, express=run.express)
        live = self._live(run, row, Machine.of(run.definition, self._chance, parent.machine.has_activity))
        self._hear(run, run.begin(child, live))
        self._host.admit(live, facts.Start(child.input, distributed.named(constants, row.arn)))

    def _live(self, run: MapRun, row: ExecutionRow, machine: Machine) -> Live:
        parent = run.parent
        return Live(row, machine, parent.codes, parent.directory, script=parent.script, kept=not run.express)

    def take_over(self, run: MapRun, child: Child, back: HandedBack, made: Sequence[Artifact]) -> None:
        """A child that was handed back goes on here. Raises StoreError."""
        if run.running.get(child.number) is not child:  # the run has been forgotten meanwhile
            return
        steps, has_activity = [decode(back.records)], run.parent.machine.has_activity
        machine = Machine.rebuilt(run.definition, self._chance, steps, has_activity)
        row = child_row(run, child.number, child.input, machine.run.started_at)
        earlier = self._host.live.get(row.arn)
        if earlier is not None:  # as in begin
            earlier.gone.append(partial(self.take_over, run, child, back, made))
            return
        live = self._live(run, row, machine)
        live.made += made
        self._hear(run, run.go_on_here(child, live))
        self._host.take_in(live, stop=run.over)
        if run.over:
            self._host.put(live.row.arn, Arrival(facts.Stop()))

    def _unhold(self, run: MapRun, child: Child) -> None:
        run.held -= 1
        run.waiting.append(child)
        self._runs.soon(run)  # by itself: if the store refuses, this is not done twice

    def go_on(self, run: MapRun, child: Child) -> None:
        """A STANDARD child that is there already goes on, or is redriven. Raises StoreError."""
        arn = distributed.child(run.row.arn, child.number, express=False).arn
        here = self._host.live.get(arn)
        row = self._store.execution(arn)
        if row is None:
            raise StoreError(f"The store does not know the child {arn} of a Map Run any more.")
        fresh = children.rebuilt(self._store, row, run.parent, self._chance)
        again = child.before != RUNNING
        live = here if here is not None and not again else fresh
        self._hear(run, run.begin(child, live))
        if again:
            self._host.put(arn, Arrival(facts.Redrive(), redrive=fresh))
        elif live is fresh and row.status != "RUNNING":  # somebody has ended it meanwhile
            live.ended.set_result(None)
        elif live is fresh:
            self._host.take_in(fresh, stop=run.over)
        if run.over:
            self._host.put(arn, Arrival(facts.Stop()))

    def _hear(self, run: MapRun, child: Child) -> None:
        """Hear how the child ends. A redrive that is refused has not even been started."""
        live = child.live
        assert live is not None
        live.ended.add_done_callback(lambda ended: self._ended(run, child, ended))
        if not run.express and child.before not in (PENDING, RUNNING):
            live.started.add_done_callback(lambda started: self._refused(run, child, started))

    def _refused(self, run: MapRun, child: Child, started: "Future[None]") -> None:
        if started.exception() is not None:
            self._ended(run, child, started)

    def _ended(self, run: MapRun, child: Child, ended: "Future[None]") -> None:
        if run.running.get(child.number) is not child:
            return
        error = ended.exception()
        if error is not None:
            self._host.later(partial(self._lost, run, child, error))
            return
        assert child.live is not None
        self._count(run, child, child.live, closing(child.live.machine.run))
        self._runs.soon(run)

    def _count(self, run: MapRun, child: Child, live: Live, end: Closing) -> None:
        if run.express:
            ending = Ending(end.status, end.output, end.error, end.cause, live.row.started_at, end.stopped_at)
            run.ended.append(Ended(child, ending, live.made))
            run.note(child, "".join(live.printed))
        else:
            run.end(child, end.status)

    def _lost(self, run: MapRun, child: Child, error: BaseException) -> None:
        """A child that this engine has lost: it ended as another process says, or cannot go on. Raises StoreError."""
        if run.running.get(child.number) is not child or not self._runs.has(run):
            return
        live = child.live
        assert live is not None
        row = self._store.execution(live.row.arn) if live.kept else None
        if row is not None and row.status == RUNNING and isinstance(error, AlreadyExists):
            parent = self._store.execution(run.row.execution)
            if parent is None or parent.steps > run.parent.step:
                self._runs.forget(run)
                return
            run.let_go(child)
            run.waiting.appendleft(Child(child.number, None, child.items, RUNNING))
            if run.over:
                run.left.append(child.number)
            self._runs.soon(run)
            return
        end = Closing("FAILED", None, "States.Runtime", str(error), self._clock.now())
        if row is not None and row.status != RUNNING:
            end = Closing(row.status, row.output, row.error, row.cause, row.stopped_at)
            if child.before not in (PENDING, RUNNING) and row.redrive_count == live.row.redrive_count:
                run.tally.add(STUCK, child.items)
        self._count(run, child, live, end)
        self._runs.soon(run)  # as in _unhold
