"""The turn: take in what has arrived, decide, remember in one transaction, act. Ordinary functions, without the thread.

What the store refuses is kept and tried again, unchanged, before anything else of that execution; the others go on.
What could not be carried out after it was remembered is tried again, too. An execution that cannot even be decided on
(a mistake of our own) is rebuilt from its journal and recorded as failed: it must not take others with it, nor stay
RUNNING for ever.
"""

import heapq
import logging
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from nbflow.artifacts.shelf import Artifact, Shelf
from nbflow.artifacts.values import references
from nbflow.engine.bus import Bus
from nbflow.engine.clock import Clock
from nbflow.engine.live import AlreadyExists, Arrival, Decided, EngineError, Live
from nbflow.engine.rows import artifact_of, artifact_row, closing, redriving
from nbflow.errors import NbflowError
from nbflow.machine import Machine, facts, orders
from nbflow.machine.records import FORMAT, Record, decode, join
from nbflow.pools.port import Pool
from nbflow.store.port import Append, LogRow, Store, StoreError
from nbflow.tasks.job import Job, Outcome

_log = logging.getLogger(__name__)

MOST_RECORDS: Final = 1024
"""A journal row takes no further fact in beyond this: a burst of answers becomes several rows of one commit."""

MOST_BYTES: Final = 64 * 2**20
"""Nor beyond this much JSON text."""

MOST_KNOWN: Final = 10_000
"""Artifacts that are remembered here; the store knows them all."""

PAUSE: Final = 1.0
"""Seconds until what the store refused is tried again."""


class Turns:
    """The live executions of one engine, and the work on them. Of one thread; only ``put`` may come from others."""

    def __init__(
        self,
        store: Store,
        shelf: Shelf,
        ordinary: Pool,
        scattered: Pool,
        clock: Clock,
        bus: Bus,
        arrived: Callable[[], None],
    ) -> None:
        self.live: dict[str, Live] = {}
        self._store = store
        self._shelf = shelf
        self._ordinary = ordinary
        self._scattered = scattered
        self._clock = clock
        self._bus = bus
        self._arrived = arrived
        self._inbox: deque[tuple[str, Arrival]] = deque()
        self._with_mail: dict[str, Live] = {}
        self._undone: list[Decided] = []
        """What the store refused."""
        self._owed: deque[Decided] = deque()
        """What is durable and not carried out yet."""
        self._paused_until = 0.0
        """When the refused and the owed are tried again."""
        self._timers: list[tuple[float, str]] = []
        self._known: dict[str, Artifact] = {}

    def put(self, execution: str, arrival: Arrival) -> None:
        """Something has happened to an execution. From any thread."""
        self._inbox.append((execution, arrival))
        self._arrived()

    def answer(self, outcome: Outcome) -> None:
        """A pool's answer to a job. From any thread."""
        fact: facts.Fact = facts.TaskSucceeded(outcome.attempt, outcome.output)
        if outcome.error is not None:
            fact = facts.TaskFailed(outcome.attempt, outcome.error, outcome.cause)
        self.put(outcome.execution, Arrival(fact, outcome))

    @property
    def busy(self) -> bool:
        """Whether a turn would find something to do now."""
        return bool(self._inbox or any(not live.refusals for live in self._with_mail.values()))

    def next_due(self) -> float | None:
        """When a turn will find something to do by itself (seconds since the epoch)."""
        dues = [self._timers[0][0]] if self._timers else []
        if self._undone or self._owed:
            dues.append(self._paused_until)
        return min(dues, default=None)

    def turn(self) -> None:
        """Take in what has arrived and what is due; decide, remember, act."""
        self._act()
        self._deliver()
        batch: list[Decided] = []
        if self._undone and self._clock.now() >= self._paused_until:
            batch, self._undone = self._undone, []
        for live in list(self._with_mail.values()):
            if not live.refusals and (made := self._decide(live)) is not None:
                batch.append(made)
        for made, kept in self._remember(batch):
            if kept:
                self._remembered(made)
            else:
                text = f"execution {made.live.row.arn} is recorded by another process"
                self.drop(made.live, AlreadyExists(text))
        self._act()

    def drop(self, live: Live, error: NbflowError) -> None:
        """Forget the execution, give up its jobs, and tell who waits; it stays in the store as it was last recorded."""
        self.live.pop(live.row.arn, None)
        self._with_mail.pop(live.row.arn, None)
        for attempt in live.submitted:
            for pool in (self._ordinary, self._scattered):
                pool.cancel(live.row.arn, attempt)
        self._turn_away(live, error)
        for future in (live.started, live.ended):
            if not future.done():
                future.set_exception(error)

    def _turn_away(self, live: Live, error: NbflowError) -> None:
        """Empty the mailbox, and tell those who ask for a redrive."""
        for arrival in live.mailbox:
            if arrival.redrive is not None and arrival.redrive is not live:
                arrival.redrive.started.set_exception(error)
        live.mailbox.clear()

    def leave(self) -> None:
        """Forget all executions: the engine is closed."""
        self._deliver()  # whoever asks for a redrive waits for an answer
        for live in list(self.live.values()):
            self.drop(live, EngineError(f"{live.row.arn} was left as last recorded: its engine was closed"))

    # --- take in

    def _deliver(self) -> None:
        """Sort what has arrived, and the timers that are due, into the mailboxes."""
        now = self._clock.now()
        while self._timers and self._timers[0][0] <= now:
            due, execution = heapq.heappop(self._timers)
            live = self.live.get(execution)
            if live is not None and live.wake == due:
                live.wake = None
                self._inbox.append((execution, Arrival(facts.Tick(), at=due)))
        while self._inbox:
            execution, arrival = self._inbox.popleft()
            live = self.live.get(execution)
            if live is None and arrival.redrive is not None:
                live = self.live[execution] = arrival.redrive
            if live is not None:
                if arrival.outcome is not None:
                    live.submitted.discard(arrival.outcome.attempt)
                live.mailbox.append(arrival)
                self._with_mail[execution] = live

    # --- decide

    def _decide(self, live: Live) -> Decided | None:
        try:
            return self._steps(live)
        except Exception as error:  # noqa: BLE001  # our own mistake must not take other executions with it
            _log.exception("execution %s cannot go on", live.row.arn)
            return self._give_up(live, error)

    def _steps(self, live: Live) -> Decided | None:
        machine, now = live.machine, self._clock.now()
        ended, first_event, redrives = machine.run.ended, machine.run.last_event + 1, machine.run.redrives
        records: list[Record] = []
        encoded: list[bytes] = []
        new_orders: deque[orders.Order] = deque()
        outcomes: list[Outcome] = []
        size = 0
        while live.mailbox and len(records) < MOST_RECORDS and size < MOST_BYTES:
            arrival = live.mailbox.popleft()
            if arrival.redrive is not None:
                if records or not machine.run.redrivable:
                    self._refuse(live, arrival.redrive)
                    continue
                new_orders += self._take_over(live, arrival.redrive)
            step = machine.step(arrival.fact, max(now, arrival.at))
            records += step.records
            encoded += step.encoded
            size += sum(map(len, step.encoded))
            for order in step.orders:
                if type(order) is orders.WakeAt:
                    self._arm(live, order.due)
                else:
                    new_orders.append(order)
            if arrival.outcome is not None and step.records:
                outcomes.append(arrival.outcome)
            if arrival.redrive is not None:
                break  # whoever redrives it too finds it as this one has left it
        if not live.mailbox:
            self._with_mail.pop(live.row.arn, None)
        if not records:
            return None
        redriven = machine.run.redrives > redrives
        made = [artifact for outcome in outcomes for artifact in outcome.artifacts]
        if live.step == 0:
            made += live.brought
        append = Append(
            execution=live.row.arn,
            step=live.step,
            first_event=first_event,
            at=now,
            records=join(encoded),
            format=FORMAT,
            opened=live.row if live.step == 0 else None,
            redriven=redriving(machine.run, live.row) if redriven else None,
            closed=closing(machine.run) if machine.run.ended and (redriven or not ended) else None,
            logs=tuple(LogRow(outcome.attempt, outcome.log) for outcome in outcomes if outcome.log),
            artifacts=tuple(artifact_row(artifact, now) for artifact in made),
        )
        self._know(made)
        return Decided(live, records, new_orders, append)

    def _take_over(self, live: Live, fresh: Live) -> list[orders.Order]:
        """An ended execution is redriven. Returns what it owes still, if it has not been here."""
        if live is fresh:
            return [orders.CancelTask(attempt) for attempt in live.machine.run.cancelling]
        live.row, live.codes, live.directory, live.script = fresh.row, fresh.codes, fresh.directory, None
        live.started, live.ended = fresh.started, fresh.ended
        return []

    def _refuse(self, live: Live, fresh: Live) -> None:
        """Somebody else has redriven it, or it is only about to end."""
        error = AlreadyExists(f"execution {live.row.arn} has gone on meanwhile")
        if live is fresh:
            self.drop(live, error)
        else:
            fresh.started.set_exception(error)

    def _arm(self, live: Live, due: float) -> None:
        """Wake the execution at its earliest time; later ones are armed when that has come."""
        if live.wake is None or due < live.wake:
            live.wake = due
            heapq.heappush(self._timers, (due, live.row.arn))

    def _give_up(self, live: Live, error: Exception) -> Decided | None:
        """Forget what was decided and not remembered, and record that the execution failed."""
        reason = f"nbflow could not go on with it ({type(error).__name__}: {error})"
        text = f"execution {live.row.arn} cannot go on: {reason}"
        try:
            run, chance = live.machine.run, live.machine.chance
            steps = [decode(row.records, row.format) for row in self._store.journal(live.row.arn)]
            live.machine, live.step = Machine.rebuilt(run.definition, chance, steps), len(steps)
            if live.step and not live.machine.run.ended:
                self._turn_away(live, EngineError(text))
                live.mailbox.append(Arrival(facts.Fail("States.Runtime", reason)))
                return self._steps(live)
        except Exception:  # noqa: BLE001  # the journal cannot be read either: leave it as it is
            _log.exception("execution %s cannot be rebuilt", live.row.arn)
        self.drop(live, EngineError(text))
        return None

    # --- remember

    def _remember(self, batch: list[Decided]) -> Iterator[tuple[Decided, bool]]:
        """Append all at once. If the store refuses, one by one: what it never takes must not stop the rest."""
        yield from ((made, True) for made in batch if not made.live.kept)
        batch = [made for made in batch if made.live.kept]
        if not batch:
            return
        try:
            yield from zip(batch, self._store.append([made.append for made in batch]), strict=True)
            return
        except StoreError as refused:
            error = refused
        if len(batch) > 1:
            batch.sort(key=lambda made: made.live.refusals)
            while batch:
                try:
                    [kept] = self._store.append([batch[0].append])
                except StoreError as refused:
                    error = refused
                    break
                yield batch.pop(0), kept
        self._refused(batch, error)

    def _refused(self, batch: Sequence[Decided], error: StoreError) -> None:
        """A start or a redrive is refused to whoever asks for it. An execution that runs waits, with a word."""
        self._paused_until = self._clock.now() + PAUSE
        for made in batch:
            if made.append.opened is not None or made.append.redriven is not None:
                self.drop(made.live, error)
                continue
            if not made.live.refusals:
                _log.warning("%s Execution %s waits, and is tried again.", error, made.live.row.arn)
            made.live.refusals += 1
            self._undone.append(made)

    def _remembered(self, made: Decided) -> None:
        """What was decided is durable: tell those who wait for it."""
        live = made.live
        live.step += 1
        live.refusals = 0
        self._owed.append(made)
        if not live.started.done():
            live.started.set_result(None)
        self._bus.publish(live.row.arn, made.records)
        if live.machine.run.ended and not live.ended.done():
            live.ended.set_result(None)

    # --- act

    def _act(self) -> None:
        """Carry out what is durable."""
        while self._owed and self._clock.now() >= self._paused_until:
            live, _, owed, _ = self._owed[0]
            try:
                while owed and self.live.get(live.row.arn) is live:
                    self._carry_out(live, owed[0])
                    owed.popleft()
            except StoreError as error:
                _log.warning("%s Execution %s waits, and is tried again.", error, live.row.arn)
                self._paused_until = self._clock.now() + PAUSE
                return
            self._owed.popleft()
            run = live.machine.run
            if run.ready:  # GoOn, once for all steps of the turn
                self.put(live.row.arn, Arrival(facts.Continue()))
            if run.ended and not run.cancelling:
                self.live.pop(live.row.arn, None)

    def _carry_out(self, live: Live, order: orders.Order) -> None:
        if type(order) is orders.RunTask and order.attempt in live.machine.run.attempts:
            self._run_task(live, order)
        elif type(order) is orders.CancelTask:
            gave_up = [pool.cancel(live.row.arn, order.attempt) for pool in (self._ordinary, self._scattered)]
            if any(gave_up) or order.attempt not in live.submitted:
                live.submitted.discard(order.attempt)
                self.put(live.row.arn, Arrival(facts.Cancelled(order.attempt)))

    def _run_task(self, live: Live, order: orders.RunTask) -> None:
        """Give the job to a pool. Whatever keeps it from there is the task's failure. Raises StoreError."""
        scripted = live.script(order.state) if live.script is not None else None
        if scripted is not None:
            self.answer(scripted._replace(execution=live.row.arn, attempt=order.attempt))
            return
        known = self._artifacts(references(order.arguments))
        code = live.codes.get(order.resource)
        if code is None:
            cause = f"no function is bound to {order.resource}; pass it in tasks= of the StateMachine"
            self.put(live.row.arn, Arrival(facts.TaskFailed(order.attempt, "States.TaskFailed", cause)))
            return
        job = Job(
            execution=live.row.arn,
            attempt=order.attempt,
            code=code,
            arguments=order.arguments,
            shelf=self._shelf,
            known=known,
            expected=order.expected,
            directory=live.directory,
        )
        on_dask = code.on == "dask" if code.on else order.scattered
        pool = self._scattered if on_dask and code.kind == "function" else self._ordinary
        live.submitted.add(order.attempt)
        try:
            pool.submit(job, self.answer)
        except Exception as error:  # noqa: BLE001  # a pool that is shut down, no threads left, …
            live.submitted.discard(order.attempt)
            cause = f"the task could not be submitted: {type(error).__name__}: {error}"
            self.put(live.row.arn, Arrival(facts.TaskFailed(order.attempt, "States.TaskFailed", cause)))

    def _artifacts(self, hashes: Collection[str]) -> dict[str, Artifact]:
        """Those of the references that the store knows: only these are loaded. Raises StoreError."""
        missing = [sha for sha in hashes if sha not in self._known]
        if missing:
            self._know([artifact_of(row) for row in self._store.artifacts(missing).values()])
        return {sha: self._known[sha] for sha in hashes if sha in self._known}

    def _know(self, artifacts: Sequence[Artifact]) -> None:
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        self._known.update((artifact.sha256, artifact) for artifact in artifacts)
