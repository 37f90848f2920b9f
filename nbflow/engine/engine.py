"""The engine: turns on a thread of its own, and the door through which other threads reach it."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Final

from nbflow.artifacts.shelf import Artifact, Shelf
from nbflow.engine.bus import Bus
from nbflow.engine.clock import Clock
from nbflow.engine.hearing import Hearing, Told
from nbflow.engine.lease import Lease, alive
from nbflow.engine.live import (
    AlreadyExists,
    Arrival,
    EngineError,
    Live,
    Nesting,
    NothingToRedrive,
    Script,
)
from nbflow.engine.map_run import Counts
from nbflow.engine.map_runs import Spawn
from nbflow.engine.rows import closing
from nbflow.engine.turns import Turns
from nbflow.engine.watch import Watch
from nbflow.engine.workers import Workers
from nbflow.language import model
from nbflow.language.values import Chance, Json
from nbflow.machine import Machine, facts
from nbflow.machine.records import Entry, Record
from nbflow.pools.port import Pool
from nbflow.store.port import Store, StoreError
from nbflow.store.rows import Closing, ExecutionRow
from nbflow.tasks.job import Code

_log = logging.getLogger(__name__)

READERS: Final = 4
"""Threads that read the items of Map Runs, and write their results."""


class Engine:
    """Runs executions on a store and two pools. Its methods may be called from any thread."""

    def __init__(
        self,
        store: Store,
        shelf: Shelf,
        *,
        ordinary: Pool,
        scattered: Pool,
        clock: Clock,
        chance: Chance,
        spawn: Spawn | None = None,
        hearing: Hearing | None = None,
    ) -> None:
        """``spawn`` reads the items of Map Runs and writes their results; by default on threads of the engine's own.

        ``hearing`` is what the pools tell of tasks that run.
        """
        self.bus = Bus()
        self._hearing = hearing or Hearing()
        self._watch = Watch(store.changes)
        self.workers = Workers(store, clock, self._watch)
        self._lease = Lease(store, self._runs_some)
        self._watching = False
        self._readers: ThreadPoolExecutor | None = None
        self._turns = Turns(
            store,
            shelf,
            ordinary,
            scattered,
            clock,
            self.bus,
            self._lease,
            arrived=self._signal,
            queued=self.workers.queued,
            chance=chance,
            has_activity=self._has_activity,
            spawn=spawn or self._spawn,
            over=self._hearing.over,
        )
        turns, bus = self._turns, self.bus
        self._hearing.attach(
            turns.state_of, turns.map_runs.step_of, lambda execution: bus.publish(execution, ())
        )
        self._store = store
        self._clock = clock
        self._chance = chance
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._signalled = False
        self._closing = False
        self._lock = threading.Lock()

    @property
    def id(self) -> str:
        """By which the store knows the executions that it runs."""
        return self._lease.row.id

    @property
    def astray(self) -> set[str]:
        """The ARNs of executions that were forgotten, since a step of theirs is in the store, or may be.

        If the store still says that they are this engine's, nobody else goes on with them. Whoever has looked, removes
        what needs no further look.
        """
        return self._turns.astray

    def _runs_some(self) -> bool:
        """Or has put some to sleep."""
        awake = any(live.kept for live in list(self._turns.live.values()))  # others add to it
        return awake or self._turns.sleepers.next_due is not None

    def now(self) -> float:
        """Seconds since the epoch, by this engine's clock."""
        return self._clock.now()

    def _spawn(self, work: Callable[[], None]) -> None:
        if self._readers is None:
            self._readers = ThreadPoolExecutor(READERS, "nbflow-items")
        self._readers.submit(work)

    def map_run_counts(self, arn: str) -> Counts | None:
        """Of a Map Run that is at work here: its children and items by status."""
        return self._turns.map_runs.counts(arn)

    def map_run_is_read(self, arn: str) -> bool:
        """Whether a Map Run is at work here and has read all of its items."""
        return self._turns.map_runs.is_read(arn)

    def heard(self, execution: str) -> Mapping[int, Told]:
        """What its tasks that run here have said so far, by their attempts' ids. Nothing of it is durable."""
        return self._hearing.of(execution)

    def nest(self, nesting: Nesting) -> None:
        """From now on, tasks can be other executions."""
        self._turns.hands.nesting = nesting

    def heed(self) -> None:
        """The store's inbox holds something new. From any thread."""
        self._turns.outside.changed = True
        self._signal()

    @property
    def chance(self) -> Chance:
        """Where this engine's random bits come from."""
        return self._chance

    def start(
        self,
        row: ExecutionRow,
        definition: model.StateMachine,
        codes: Mapping[str, Code],
        directory: str,
        context: dict[str, Json],
        artifacts: Sequence[Artifact] = (),
        *,
        script: Script | None = None,
        entry: Entry | None = None,
    ) -> Future[None]:
        """Begin an execution. The future is done when its first step is durable.

        ``script`` answers for tasks in place of their code; ``entry`` is where a fork begins. The future fails with
        AlreadyExists if the store has an execution of this ARN, and with StoreError if the store refuses the first
        step. Raises AlreadyExists if it is live here, and EngineError if the engine is closed.
        """
        row = replace(row, owner=self.id, directory=directory)
        live = Live(
            row, Machine.of(definition, self._chance, self._has_activity), codes, directory, artifacts, script
        )
        self._admit(live, context, entry)
        return live.started

    def express(
        self,
        row: ExecutionRow,
        definition: model.StateMachine,
        codes: Mapping[str, Code],
        context: dict[str, Json],
        *,
        script: Script | None = None,
    ) -> Future[Closing]:
        """Run an execution that the store never hears of. The future holds how it ended.

        It fails with EngineError if the engine is closed meanwhile. Raises AlreadyExists and EngineError as ``start``.
        """
        live = Live(
            row,
            Machine.of(definition, self._chance, self._has_activity),
            codes,
            "",
            script=script,
            kept=False,
        )
        answer: Future[Closing] = Future()

        def end(ended: Future[None]) -> None:
            if (error := ended.exception()) is None:
                answer.set_result(closing(live.machine.run))
            else:
                answer.set_exception(error)

        live.ended.add_done_callback(end)
        self._admit(live, context)
        return answer

    def _has_activity(self, arn: str) -> bool:
        try:
            return self._store.activity(arn) is not None
        except StoreError:
            return True  # the step that relies on it is refused too, and tried again

    def _admit(self, live: Live, context: dict[str, Json], entry: Entry | None = None) -> None:
        with self._lock:
            self._check_open()
            if live.row.arn in self._turns.live:
                raise AlreadyExists(live.row.arn)
            self._turns.live[live.row.arn] = live
        self.post(live.row.arn, facts.Start(json.loads(live.row.input), context, entry))

    def adopt(
        self,
        row: ExecutionRow,
        definition: model.StateMachine,
        steps: Sequence[Sequence[Record]],
        codes: Mapping[str, Code],
    ) -> Future[None]:
        """Take over, in order to end it, an execution that another engine runs or ran: it is as ``steps`` left it.

        Nothing is ordered again. The store's unique (execution, step) decides between the two engines: the future is
        done when the end is durable, and fails with AlreadyExists if the other one wrote the next step.
        """
        live = Live(row, self._rebuilt(definition, steps), codes, "", step=len(steps))
        live.started.set_result(None)
        live.ending = True
        if live.machine.run.ended:
            live.ended.set_result(None)
            return live.ended
        with self._lock:
            self._check_open()
            adopted = self._turns.live.setdefault(row.arn, live)
        if adopted is live:
            self._turns.outside.adopt(row.arn)
        return adopted.ended

    def alive(self) -> set[str]:
        """The engines whose executions are to be left to them, this one among them. Raises StoreError."""
        return alive(self._store) | {self.id}

    def take_over(self, arn: str, owner: str) -> bool:
        """Make an execution this engine's, if it is the ``owner``'s. Raises StoreError."""
        self._lease.hold(anew=True)  # else others would find it interrupted still
        return self._store.take_over(arn, owner, self.id)

    def resume(
        self,
        row: ExecutionRow,
        definition: model.StateMachine,
        steps: Sequence[Sequence[Record]],
        codes: Mapping[str, Code],
        script: Script | None = None,
    ) -> Future[None]:
        """Go on with an execution that was taken over: it is as ``steps`` left it.

        What is outstanding is ordered again: attempts at tasks keep their names. The future is done when a step says
        durably who goes on with it; it fails with AlreadyExists if whoever ran it before has written a further step.
        Raises EngineError if the engine is closed.
        """
        row = replace(row, owner=self.id)
        directory = row.directory or ""
        live = Live(row, self._rebuilt(definition, steps), codes, directory, script=script, step=len(steps))
        with self._lock:
            self._check_open()
            present = self._turns.live.setdefault(row.arn, live)
        if present is live:
            self._turns.outside.adopt(row.arn)
            self.post(row.arn, facts.Owned(self.id))
        return present.started

    def _rebuilt(self, definition: model.StateMachine, steps: Sequence[Sequence[Record]]) -> Machine:
        return Machine.rebuilt(definition, self._chance, steps, self._has_activity)

    def redrive(
        self,
        row: ExecutionRow,
        definition: model.StateMachine,
        steps: Sequence[Sequence[Record]],
        codes: Mapping[str, Code],
        directory: str,
    ) -> Future[None]:
        """Go on with an execution that has ended without success: it is as ``steps`` left it.

        ``codes`` does its tasks from now on; of ``row``, the bindings and the tokens become the execution's. The future
        is done when this is durable. It fails with AlreadyExists if another process (the store's unique (execution,
        step) decides) or another thread was quicker with the next step, and with StoreError if the store refuses it.
        Raises NothingToRedrive if there is nothing to go on with, and EngineError if the engine is closed.
        """
        row = replace(row, owner=self.id, directory=directory)
        live = Live(row, self._rebuilt(definition, steps), codes, directory, step=len(steps))
        run = live.machine.run
        if run.ended and run.status != "SUCCEEDED" and not run.redrivable:
            raise NothingToRedrive(f"execution {row.arn} failed before it began: start it anew")
        with self._lock:
            self._check_open()
            self._turns.put(row.arn, Arrival(facts.Redrive(), redrive=live))
        return live.started

    def post(self, execution: str, fact: facts.Fact) -> None:
        """Tell an execution what happened. One that is not live here does not hear it."""
        self._turns.put(execution, Arrival(fact))

    def started(self, execution: str) -> Future[None] | None:
        """Done when the first step of the execution is durable. None if it is not live here."""
        live = self._turns.live.get(execution)
        return None if live is None else live.started

    def ended(self, execution: str) -> Future[None] | None:
        """Done when the execution has ended durably. None if it is not live here."""
        live = self._turns.live.get(execution)
        return None if live is None else live.ended

    @property
    def running(self) -> list[str]:
        """The ARNs of the live executions of the store that have not ended, in the order of their start.

        The children of Map Runs are not listed beside those whose Maps they are.
        """
        items = list(self._turns.live.items())
        return [
            arn
            for arn, live in items
            if live.kept and live.row.map_run_arn is None and not live.machine.run.ended
        ]

    def _check_open(self) -> None:
        if threading.current_thread() is self._thread:
            raise EngineError("a listener cannot start or stop executions: the engine would wait for itself")
        if self._closing:
            raise EngineError("this connection is closed; nf.connect() makes a new one")

    # --- turns by hand, for tests on a virtual clock

    def turn(self) -> None:
        """Take in what has arrived and what is due; decide, remember, act. Only while the thread does not run."""
        self._turns.turn()

    @property
    def busy(self) -> bool:
        """Whether a turn would find something to do now."""
        return self._turns.busy

    def next_due(self) -> float | None:
        """When a turn will find something to do by itself (seconds since the epoch)."""
        return self._turns.next_due()

    # --- the thread

    def open(self) -> None:
        """Start the thread, if it does not run yet. Raises EngineError if the engine is closed."""
        with self._lock:
            self._check_open()
            if self._thread is None:
                up = threading.Event()
                self._thread = threading.Thread(
                    target=lambda: asyncio.run(self._main(up)), name="nbflow-engine", daemon=True
                )
                self._thread.start()
                up.wait()

    def close(self) -> None:
        """Stop after the present turn. Executions that run stay as recorded, and who waits for them is told."""
        with self._lock:
            self._closing = True
            thread = self._thread
        self.workers.close()
        if thread is None:
            self._finish()
        else:
            self._signal()
            if thread is not threading.current_thread():
                thread.join()
        self._watch.close()

    def _signal(self) -> None:
        """Something has arrived."""
        loop = self._loop
        if not self._signalled and loop is not None:
            self._signalled = True
            with suppress(RuntimeError):  # the loop has closed in this moment: nobody needs waking
                loop.call_soon_threadsafe(self._wake.set)

    async def _main(self, up: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        up.set()
        try:
            while not self._closing:
                if not self._turns.busy:
                    await self._until_something()
                self._wake.clear()
                self._signalled = False
                self._turns.turn()
                await asyncio.sleep(0)  # let other tasks of the loop run
        except Exception:
            _log.exception("the engine stops; what has been recorded is unharmed")
            raise
        finally:
            self._closing = True
            self._loop = None
            self._finish()

    def _mind_the_store(self) -> None:
        """While executions are live here, what other processes tell them is to be heard."""
        wanted = self._runs_some()
        if wanted and not self._watching:
            self._watch.subscribe(self.heed)
        elif self._watching and not wanted:
            self._watch.unsubscribe(self.heed)
        self._watching = wanted

    async def _until_something(self) -> None:
        """Wait for a fact or for the next time at which something is due."""
        self._mind_the_store()
        due = self._turns.next_due()
        timeout = None if due is None else max(0.0, due - self._clock.now())
        with suppress(TimeoutError):  # it is due: the turn finds it
            async with asyncio.timeout(timeout):
                await self._wake.wait()

    def _finish(self) -> None:
        try:
            self._turns.leave()
        finally:  # now, not when the pools have ended, which may take seconds: others may go on
            self._lease.close()
        for pool in self._turns.hands.pools:
            pool.close()
        if self._readers is not None:
            self._readers.shutdown(wait=False, cancel_futures=True)
