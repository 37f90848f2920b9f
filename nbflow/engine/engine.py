"""The engine: live executions, their mailbox, the turn, and the thread that runs it."""

import asyncio
import heapq
import json
import logging
import threading
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from nbflow.artifacts.shelf import Artifact, Shelf
from nbflow.artifacts.values import references
from nbflow.engine.bus import Bus
from nbflow.engine.clock import Clock
from nbflow.engine.rows import artifact_of, artifact_row, closing
from nbflow.errors import NbflowError
from nbflow.language import model
from nbflow.language.values import Chance, Json
from nbflow.machine import Machine, facts, orders
from nbflow.machine.records import FORMAT, Record, encode
from nbflow.pools.port import Pool
from nbflow.store.port import Append, ExecutionRow, LogRow, Store, StoreError
from nbflow.tasks.job import Code, Job, Outcome

_log = logging.getLogger(__name__)

MOST_RECORDS: Final = 1024
"""A journal row takes no further fact in beyond this: a burst of answers becomes several rows of one commit."""

RETRY_APPEND: Final = 1.0
"""Seconds between attempts to append what the store refused."""


class AlreadyExists(NbflowError):
    """An execution of this ARN is in the store already."""


class EngineError(NbflowError):
    """The engine could not go on with an execution; what it had recorded is unharmed."""


class Arrival(NamedTuple):
    """A fact with what is to be recorded beside it."""

    fact: facts.Fact
    outcome: Outcome | None = None


@dataclass(slots=True)
class Live:
    """An execution in this engine's memory."""

    row: ExecutionRow
    machine: Machine
    codes: Mapping[str, Code]
    """The code of each task, by the resource that names it."""
    directory: str
    brought: Sequence[Artifact] = ()
    """Artifacts that the input refers to, to be recorded with the first step."""
    step: int = 0
    mailbox: deque[Arrival] = field(default_factory=deque)
    started: Future[None] = field(default_factory=Future)
    ended: Future[None] = field(default_factory=Future)


class Decided(NamedTuple):
    """What one turn decided for one execution."""

    live: Live
    records: list[Record]
    orders: list[orders.Order]
    append: Append


class Engine:
    """Runs executions on a store and two pools. ``start`` and ``post`` may be called from any thread."""

    def __init__(
        self,
        store: Store,
        shelf: Shelf,
        *,
        ordinary: Pool,
        scattered: Pool,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self.bus = Bus()
        self._store = store
        self._shelf = shelf
        self._ordinary = ordinary
        self._scattered = scattered
        self._clock = clock
        self._chance = chance
        self._live: dict[str, Live] = {}
        self._with_mail: dict[str, Live] = {}
        self._undone: list[Decided] | None = None
        """What could not be appended: decided already, and withheld until it is durable."""
        self._inbox: deque[tuple[str, Arrival]] = deque()
        self._timers: list[tuple[float, str]] = []
        self._known: dict[str, Artifact] = {}
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._signalled = False
        self._closing = False
        self._lock = threading.Lock()

    # --- from any thread

    def now(self) -> float:
        """Seconds since the epoch, by this engine's clock."""
        return self._clock.now()

    def start(
        self,
        row: ExecutionRow,
        definition: model.StateMachine,
        codes: Mapping[str, Code],
        directory: str,
        context: dict[str, Json],
        artifacts: Sequence[Artifact] = (),
    ) -> Future[None]:
        """Begin an execution. The future is done when its first step is durable; AlreadyExists if its ARN is taken."""
        live = Live(row, Machine.of(definition, self._chance), codes, directory, artifacts)
        with self._lock:
            if row.arn in self._live:
                raise AlreadyExists(row.arn)
            self._live[row.arn] = live
        self.post(row.arn, facts.Start(json.loads(row.input), context))
        return live.started

    def post(self, execution: str, fact: facts.Fact, outcome: Outcome | None = None) -> None:
        """Tell an execution what happened."""
        self._inbox.append((execution, Arrival(fact, outcome)))
        if not self._signalled and self._loop is not None:
            self._signalled = True
            self._loop.call_soon_threadsafe(self._wake.set)

    def answer(self, outcome: Outcome) -> None:
        """A pool's answer to a job."""
        if outcome.error is None:
            fact: facts.Fact = facts.TaskSucceeded(outcome.attempt, outcome.output)
        else:
            fact = facts.TaskFailed(outcome.attempt, outcome.error, outcome.cause)
        self.post(outcome.execution, fact, outcome)

    def ended(self, execution: str) -> Future[None] | None:
        """Done when the execution has ended durably. None if it is not in this engine."""
        live = self._live.get(execution)
        return None if live is None else live.ended

    @property
    def running(self) -> list[str]:
        """The ARNs of the executions that have not ended, in the order of their start."""
        return [arn for arn, live in list(self._live.items()) if not live.machine.run.ended]

    def open(self) -> None:
        """Start the thread, if it does not run yet."""
        with self._lock:
            if self._thread is None:
                up = threading.Event()
                self._thread = threading.Thread(
                    target=lambda: asyncio.run(self._main(up)), name="nbflow-engine", daemon=True
                )
                self._thread.start()
                up.wait()

    def close(self) -> None:
        """Stop the thread after the present turn. Executions that run stay as recorded."""
        self._closing = True
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._wake.set)
            self._thread.join()
            self._thread = None
        for pool in (self._ordinary, self._scattered):
            pool.close()

    # --- the thread

    async def _main(self, up: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._signalled = bool(self._inbox)
        up.set()
        while not self._closing:
            if not self.busy:
                await self._until_something()
            self._wake.clear()
            self._signalled = False
            while not await self._try_turn():
                await asyncio.sleep(RETRY_APPEND)
        self._loop = None

    async def _until_something(self) -> None:
        """Wait for a fact or for the next timer."""
        timeout = max(0.0, self._timers[0][0] - self._clock.now()) if self._timers else None
        try:
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        except TimeoutError:
            return  # a timer is due: the turn finds it

    async def _try_turn(self) -> bool:
        try:
            self.turn()
        except StoreError as error:
            _log.warning("%s; what is under way waits, and is tried again", error)
            return self._closing
        await asyncio.sleep(0)  # let other tasks of the loop run
        return True

    # --- a turn

    def turn(self) -> None:
        """Take in what has arrived and what is due; decide, remember, act. Raises StoreError if remembering failed.

        After a StoreError call it again: it first appends, unchanged, what it decided.
        """
        decided = self._undone
        if decided is None:
            self._deliver()
            decided = [made for live in list(self._with_mail.values()) if (made := self._decide(live))]
        if not decided:
            return
        self._undone = decided
        kept = self._store.append([made.append for made in decided])
        self._undone = None
        for made, ok in zip(decided, kept, strict=True):
            if ok:
                self._remembered(made)
            else:
                self._lost(made.live)
        for made, ok in zip(decided, kept, strict=True):
            if ok:
                self._act(made)

    def next_due(self) -> float | None:
        """When the next timer is due (seconds since the epoch)."""
        return self._timers[0][0] if self._timers else None

    @property
    def busy(self) -> bool:
        """Whether a turn would find facts to take in."""
        return bool(self._inbox or self._undone or self._with_mail)

    def _deliver(self) -> None:
        """Sort what has arrived, and the timers that are due, into the mailboxes."""
        now = self._clock.now()
        while self._timers and self._timers[0][0] <= now:
            _, execution = heapq.heappop(self._timers)
            self._inbox.append((execution, Arrival(facts.Tick())))
        while self._inbox:
            execution, arrival = self._inbox.popleft()
            live = self._live.get(execution)
            if live is not None:
                live.mailbox.append(arrival)
                self._with_mail[execution] = live

    def _decide(self, live: Live) -> Decided | None:
        machine, now = live.machine, self._clock.now()
        first_event = machine.run.last_event + 1
        records: list[Record] = []
        new_orders: list[orders.Order] = []
        outcomes: list[Outcome] = []
        while live.mailbox and len(records) < MOST_RECORDS:
            arrival = live.mailbox.popleft()
            try:
                step = machine.step(arrival.fact, now)
            except Exception as error:  # noqa: BLE001  # our own mistake must not take other executions with it
                _log.exception("execution %s cannot go on", live.row.arn)
                self._drop(live, EngineError(f"execution {live.row.arn} cannot go on: {error!r}"))
                return None
            records += step.records
            new_orders += step.orders
            if arrival.outcome is not None and step.records:
                outcomes.append(arrival.outcome)
        if not live.mailbox:
            self._with_mail.pop(live.row.arn, None)
        if not records:
            return None
        return Decided(live, records, new_orders, self._append_of(live, records, first_event, now, outcomes))

    def _append_of(
        self, live: Live, records: list[Record], first_event: int, now: float, outcomes: Sequence[Outcome]
    ) -> Append:
        made = [artifact for outcome in outcomes for artifact in outcome.artifacts]
        if live.step == 0:
            made += live.brought
        self._known.update((artifact.sha256, artifact) for artifact in made)
        run = live.machine.run
        return Append(
            execution=live.row.arn,
            step=live.step,
            first_event=first_event,
            at=now,
            records=encode(records),
            format=FORMAT,
            opened=live.row if live.step == 0 else None,
            closed=closing(run) if run.ended and not live.ended.done() else None,
            logs=tuple(LogRow(outcome.attempt, outcome.log) for outcome in outcomes if outcome.log),
            artifacts=tuple(artifact_row(artifact, now) for artifact in made),
        )

    def _remembered(self, made: Decided) -> None:
        """What was decided is durable: tell those who wait for it."""
        live = made.live
        live.step += 1
        if not live.started.done():
            live.started.set_result(None)
        self.bus.publish(live.row.arn, made.records)
        if live.machine.run.ended and not live.ended.done():
            live.ended.set_result(None)

    def _lost(self, live: Live) -> None:
        """Someone else has written this step: the execution is theirs, our memory of it is worth nothing."""
        self._drop(live, AlreadyExists(f"execution {live.row.arn} is recorded by another process"))

    def _drop(self, live: Live, error: NbflowError) -> None:
        """Forget the execution; it stays in the store as it was last recorded."""
        self._live.pop(live.row.arn, None)
        self._with_mail.pop(live.row.arn, None)
        for future in (live.started, live.ended):
            if not future.done():
                future.set_exception(error)

    def _act(self, made: Decided) -> None:
        live = made.live
        for order in made.orders:
            match order:
                case orders.RunTask():
                    self._run_task(live, order)
                case orders.WakeAt(due=due):
                    heapq.heappush(self._timers, (due, live.row.arn))
                case orders.CancelTask(attempt=attempt):
                    self._cancel(live, attempt)
        run = live.machine.run
        if run.ready:  # GoOn: once for all steps of the turn
            self._inbox.append((live.row.arn, Arrival(facts.Continue())))
        if run.ended and not run.cancelling:
            self._live.pop(live.row.arn, None)

    def _run_task(self, live: Live, order: orders.RunTask) -> None:
        if order.attempt not in live.machine.run.attempts:
            return  # ended or aborted later in the same turn
        code = live.codes.get(order.resource)
        if code is None:
            cause = f"no function is bound to {order.resource}; pass it in tasks= of the StateMachine"
            self.post(live.row.arn, facts.TaskFailed(order.attempt, "States.TaskFailed", cause))
            return
        job = Job(
            execution=live.row.arn,
            attempt=order.attempt,
            code=code,
            arguments=order.arguments,
            shelf=self._shelf,
            known=self._artifacts(references(order.arguments)),
            expected=order.expected,
            directory=live.directory,
        )
        pool = self._scattered if order.scattered and code.kind == "function" else self._ordinary
        pool.submit(job, self.answer)

    def _cancel(self, live: Live, attempt: int) -> None:
        gone = [pool.cancel(live.row.arn, attempt) for pool in (self._ordinary, self._scattered)]
        if any(gone):
            self.post(live.row.arn, facts.Cancelled(attempt))

    def _artifacts(self, hashes: Collection[str]) -> dict[str, Artifact]:
        """Those of the references that the store knows: only these are loaded."""
        missing = [sha for sha in hashes if sha not in self._known]
        if missing:
            rows = self._store.artifacts(missing)
            self._known.update((sha, artifact_of(row)) for sha, row in rows.items())
        return {sha: self._known[sha] for sha in hashes if sha in self._known}
