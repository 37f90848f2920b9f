"""The turn: take in what has arrived, decide, remember in one transaction, act. Ordinary functions, without the thread.

What the store refuses is kept and tried again, unchanged, before anything else of that execution; the others go on.
What could not be carried out after it was remembered is tried again, too. An execution that cannot even be decided on
(a mistake of our own) is rebuilt from its journal and recorded as failed: it must not take others with it, nor stay
RUNNING for ever.
"""

import heapq
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import Final

from nbflow.artifacts.shelf import Shelf
from nbflow.engine.bus import Bus
from nbflow.engine.clock import Clock
from nbflow.engine.decide import decide
from nbflow.engine.hands import Hands, Over
from nbflow.engine.known import KnownArtifacts
from nbflow.engine.lease import Lease
from nbflow.engine.live import AlreadyExists, Arrival, Decided, EngineError, Live, Owed, tokens_of
from nbflow.engine.map_runs import MapRuns, Spawn
from nbflow.engine.outside import Outside
from nbflow.engine.rebuilding import rebuilt, recorded_codes, recorded_steps
from nbflow.engine.sleepers import Sleepers
from nbflow.errors import NbflowError
from nbflow.language.values import Chance
from nbflow.machine import Machine, facts, orders
from nbflow.machine.turn import HasActivity
from nbflow.pools.port import Pool
from nbflow.store.port import Store, StoreError
from nbflow.store.rows import ExecutionRow

_log = logging.getLogger(__name__)

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
        lease: Lease,
        arrived: Callable[[], None],
        queued: Callable[[str], None],
        chance: Chance,
        has_activity: HasActivity,
        spawn: Spawn,
        over: Over = lambda execution, attempt: None,
    ) -> None:
        self.live: dict[str, Live] = {}
        self._store = store
        self._clock = clock
        self._bus = bus
        self._lease = lease
        self._chance = chance
        self._arrived = arrived
        self._has_activity = has_activity
        self._queued = queued
        self._inbox: deque[tuple[str, Arrival]] = deque()
        self._with_mail: dict[str, Live] = {}
        self._undone: list[Decided] = []
        """What the store refused."""
        self._owed: deque[tuple[Live, deque[Owed]]] = deque()
        """What is durable and not carried out yet."""
        self._paused_until = 0.0
        """When the refused and the owed are tried again."""
        self._timers: list[tuple[float, str]] = []
        self.outside = Outside(store, clock, lease.row.id)
        self.sleepers = Sleepers(store, clock, lease.row.id)
        self._known = KnownArtifacts(store)
        self.map_runs = MapRuns(store, shelf, scattered, self._known, clock, chance, self, spawn)
        self.hands = Hands(
            store, shelf, ordinary, scattered, clock, self.map_runs, self._known, self.put, over
        )
        self.astray: set[str] = set()
        """Executions that were dropped when somebody had, perhaps, written a step: they may be this engine's."""
        self._later: deque[Callable[[], None]] = deque()
        self._unable: deque[Callable[[], None]] = deque()
        """Work of Map Runs that the store has refused."""
        self._unheard: dict[int, int] = {}
        """Inbox rows that have changed nothing, and how many steps their executions had then."""
        self._unsettled: list[tuple[str, Arrival]] = []
        """Ends of tasks that the store has refused."""
        self._deaf = False
        """The store does not tell what comes from outside, and a word has said so."""

    def put(self, execution: str, arrival: Arrival) -> None:
        """Something has happened to an execution. From any thread."""
        self._inbox.append((execution, arrival))
        self._arrived()

    def state_of(self, execution: str, attempt: int) -> str | None:
        """The name of the state that an attempt is at; None if it is not under way here. From any thread."""
        live = self.live.get(execution)
        if live is None:
            return None
        run = live.machine.run
        frame = run.frames.get(run.attempts.get(attempt, -1))
        return None if frame is None else frame.state

    def admit(self, live: Live, start: facts.Start) -> None:
        """Take in an execution that a Map Run has made."""
        self.live[live.row.arn] = live
        self.put(live.row.arn, Arrival(start))

    def take_in(self, live: Live, *, stop: bool = False) -> None:
        """Go on with an execution that is as its journal has left it, or take it in to stop it. Raises StoreError."""
        self.live[live.row.arn] = live
        self.outside.adopt(live.row.arn)
        live.started.set_result(None)
        owed: deque[Owed] = deque()
        for order in [] if stop else live.machine.outstanding():
            if type(order) is orders.WakeAt:
                self._arm(live, order.due)
            else:
                owed.append(order)
        self._owed.append((live, owed))

    def later(self, work: Callable[[], None]) -> None:
        """Do something in the next turn. From any thread. If it raises StoreError, it is tried again."""
        self._later.append(work)
        self._arrived()

    def again(self, work: Callable[[], None], error: StoreError) -> None:
        """The store has refused: do it in a while. From any thread."""
        _log.warning("%s A Map Run waits, and is tried again.", error)
        self._unable.append(work)
        self._paused_until = self._clock.now() + PAUSE
        self._arrived()

    @property
    def busy(self) -> bool:
        """Whether a turn would find something to do now."""
        return bool(
            self._inbox
            or self._later
            or (self.outside.changed and self._clock.now() >= self._paused_until)
            or any(not live.refusals for live in self._with_mail.values())
        )

    def next_due(self) -> float | None:
        """When a turn will find something to do by itself (seconds since the epoch)."""
        dues = [self._timers[0][0]] if self._timers else []
        if self.outside.next_due is not None:
            dues.append(max(self.outside.next_due, self._paused_until))
        if self.sleepers.next_due not in (None, inf):
            dues.append(max(self.sleepers.next_due, self._paused_until))
        if self._undone or self._owed or self.outside.changed or self._unable:
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
                self._lose(
                    made.live, f"execution {made.live.row.arn} is recorded by another process", astray=True
                )
        self._act()
        self._rest()

    def drop(self, live: Live, error: NbflowError, *, astray: bool = False) -> None:
        """Forget the execution, give up its jobs, and tell who waits; it stays in the store as it was last recorded."""
        self.live.pop(live.row.arn, None)
        if astray:
            self.astray.add(live.row.arn)
        self._with_mail.pop(live.row.arn, None)
        self.hands.let_go(live)
        self._turn_away(live, error)
        for future in (live.started, live.ended):
            if not future.done():
                future.set_exception(error)
        self._later += live.gone

    def _lose(self, live: Live, text: str, *, astray: bool = False) -> None:
        """Another process has it. Where it ran here, a word says so: nobody else would tell why it is silent now."""
        if live.started.done() and not live.ending and live.row.map_run_arn is None:
            _log.warning("Another process goes on with execution %s, or has ended it.", live.row.name)
        self.drop(live, AlreadyExists(text), astray=astray)

    def _turn_away(self, live: Live, error: NbflowError) -> None:
        """Empty the mailbox, and tell those who ask for a redrive."""
        for arrival in live.mailbox:
            if arrival.redrive is not None and arrival.redrive is not live:
                arrival.redrive.started.set_exception(error)
        live.mailbox.clear()

    def leave(self) -> None:
        """Forget all executions: the engine is closed."""
        self._deliver()  # whoever asks for a redrive waits for an answer
        # children of what has been stopped: else they would be RUNNING for ever
        while self._some_are_told_to_stop:
            self.turn()
            self._deliver()
        for live in list(self.live.values()):
            self.drop(live, EngineError(f"{live.row.arn} was left as last recorded: its engine was closed"))

    @property
    def _some_are_told_to_stop(self) -> bool:
        able = [live for live in self._with_mail.values() if not live.refusals]
        return any(type(arrival.fact) is facts.Stop for live in able for arrival in live.mailbox)

    # --- take in

    def _deliver(self) -> None:
        """Sort what has arrived, and the timers that are due, into the mailboxes."""
        now = self._clock.now()
        while self._unable and now >= self._paused_until:
            self._later.append(self._unable.popleft())
        for _ in range(len(self._later)):  # what is put off by these, has its turn after all others
            work = self._later.popleft()
            try:
                work()
            except StoreError as error:
                self.again(work, error)
        if now >= self._paused_until and self._something_outside(now):
            self._listen()
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
                if arrival.token is not None:
                    self._settle(live, arrival, arrival.token)
                    continue
                if isinstance(arrival.fact, facts.Retire):
                    # before what comes from outside: it undoes none of that, and no state may begin after it
                    live.mailbox.appendleft(arrival)
                else:
                    live.mailbox.append(arrival)
                self._with_mail[execution] = live

    def _rest(self) -> None:
        """Let those that wait for long leave the memory, if there are many."""
        try:
            back = self._let_leave(self.sleepers.put_to_sleep(self.live))
            if back:
                self.sleepers.woken(back)
        except StoreError as error:
            _log.warning("%s Executions that wait stay in memory.", error)

    def _let_leave(self, asleep: list[Live]) -> list[ExecutionRow]:
        """Forget them; answers those that stay after all."""
        for live in asleep:
            del self.live[live.row.arn]
        # Others have told it something before they could see that it is gone: it stays.
        told = {execution for execution, _ in self._inbox.copy()}
        back = [live for live in asleep if live.row.arn in told]
        for live in back:
            self.live.setdefault(live.row.arn, live)
        self.outside.forget(
            [token for live in asleep if live.row.arn not in told for token in live.tokens.values()]
        )
        if len(back) < len(asleep):
            self._timers = [timer for timer in self._timers if timer[1] in self.live]
            heapq.heapify(self._timers)
        return [live.row for live in back]

    def _wake(self) -> None:
        """Take in those that are due again. Raises StoreError."""
        rows = self.sleepers.due()
        for row in rows:
            if row.arn not in self.live:
                self._bring_back(row)
        self.sleepers.woken(rows)

    def _bring_back(self, row: ExecutionRow) -> None:
        """Have an execution in memory again, which is this engine's. Raises StoreError."""
        codes = recorded_codes(self._store, row)
        live = rebuilt(self._store, row, self._chance, self._has_activity, codes, row.directory or "")
        live.started.set_result(None)
        self.outside.watch_all(live)
        if self.live.setdefault(row.arn, live) is not live:
            return  # somebody has adopted it meanwhile
        self.put(row.arn, Arrival(facts.Tick()))
        if live.machine.run.next_due is not None:
            self._arm(live, live.machine.run.next_due)

    def _wake_up(self, execution: str) -> bool:
        """Somebody has told an execution something that is this engine's and asleep. Raises StoreError."""
        row = self._store.execution(execution)
        if row is None or row.asleep_until is None or row.owner != self._lease.row.id:
            return False
        self._bring_back(row)
        self.sleepers.woken([row])
        return True

    def _something_outside(self, now: float) -> bool:
        dues = (self.outside.next_due, self.sleepers.next_due)
        return bool(
            self.outside.changed
            or self._unsettled
            or self._unheard
            or any(due is not None and due <= now for due in dues)
        )

    def _listen(self) -> None:
        """Take in what has come from outside, and delete what had nothing to say."""
        try:
            if self.map_runs.at_work and self.outside.changed:
                self.map_runs.refresh()
            self._inbox.extend(self._unsettled)
            self._unsettled = []
            self.outside.expire()
            if self.sleepers.next_due is not None and self.sleepers.next_due <= self._clock.now():
                self._wake()
            said = deque[tuple[str, Arrival]]()
            try:
                for execution, arrival in self.outside.arrivals(self.live, self._wake_up):
                    said.append((execution, self._told(self.live[execution], arrival)))
            finally:  # before what was asked for here meanwhile: a stop does not undo what had been accepted
                self._inbox.extendleft(reversed(said))
            if self._unheard:
                self._store.forget_unheard(self._unheard)
                self._unheard = {}
            self._deaf = False
        except StoreError as error:
            self.outside.changed = True
            if not self._deaf:
                _log.warning("%s What comes from outside is looked for again.", error)
            self._deaf = True
            self._paused_until = self._clock.now() + PAUSE

    def _settle(self, live: Live, arrival: Arrival, token: str) -> None:
        """End a task that others may end, too: the inbox tells of it, in this turn or, if the store refuses, later."""
        if arrival.outcome is not None:
            live.failed[arrival.outcome.attempt] = arrival.outcome
        try:
            self.outside.settle(token, arrival.fact)
        except StoreError as error:
            _log.warning("%s The end of a task of %s is tried again.", error, live.row.arn)
            self._unsettled.append((live.row.arn, arrival))
            self.outside.changed = True
            self._paused_until = self._clock.now() + PAUSE

    def _told(self, live: Live, arrival: Arrival) -> Arrival:
        """The arrival, with what its attempt printed, if it is the end of a submission that failed."""
        if type(arrival.fact) is facts.TaskStarted:
            self.outside.started(live, arrival.fact.attempt)
        if type(arrival.fact) is facts.TaskFailed:
            return arrival._replace(outcome=live.failed.pop(arrival.fact.attempt, None))
        return arrival

    # --- decide

    def _decide(self, live: Live) -> Decided | None:
        try:
            return self._stepped(live)
        except Exception as error:  # noqa: BLE001  # our own mistake must not take other executions with it
            _log.exception("execution %s cannot go on", live.row.arn)
            return self._give_up(live, error)

    def _stepped(self, live: Live) -> Decided | None:
        made = decide(live, self._clock.now(), self.outside, self.hands.nesting, self._refuse)
        if not live.mailbox:
            self._with_mail.pop(live.row.arn, None)
        self._unheard |= dict.fromkeys(live.unheard, live.step)
        live.unheard.clear()
        if made is not None:
            if live.kept:
                self._known.add(made.artifacts)
            else:
                live.made += made.artifacts
                live.printed += [log.text for log in made.append.logs]
        run = live.machine.run
        wake = made.wake if made is not None else None if run.ended else run.next_due
        if wake is not None:  # also when nothing came of a timer: what it was for had ended before
            self._arm(live, wake)
        return made

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
            steps = recorded_steps(self._store, live.row.arn)
            live.machine, live.step = (
                Machine.rebuilt(run.definition, chance, steps, live.machine.has_activity),
                len(steps),
            )
            live.tokens = tokens_of(live.machine)
            if live.step and not live.machine.run.ended:
                self._turn_away(live, EngineError(text))
                live.mailbox.append(Arrival(facts.Fail("States.Runtime", reason)))
                return self._stepped(live)
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
            self._lease.hold()
            yield from zip(batch, self._store.append([made.append for made in batch]), strict=True)
            return
        except StoreError as refused:
            error = refused
        if len(batch) > 1:
            batch.sort(key=lambda made: made.live.refusals)
            while batch:
                try:
                    self._lease.hold()
                    [kept] = self._store.append([batch[0].append])
                except StoreError as refused:
                    error = refused
                    break
                yield batch.pop(0), kept
        self._refused(batch, error)

    def _refused(self, batch: Sequence[Decided], error: StoreError) -> None:
        """A start or a redrive is refused to whoever asks. One that runs, or a Map Run starts, waits, with a word."""
        self._paused_until = self._clock.now() + PAUSE
        for made in batch:
            asked = made.append.opened is not None or made.append.redriven is not None
            if asked and made.live.row.map_run_arn is None:
                self.drop(made.live, error, astray=True)  # its answer may be lost where the step is not
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
        self._owed.append((live, made.orders))
        if not live.started.done():
            live.started.set_result(None)
        self._bus.publish(live.row.arn, made.records)
        for token in made.append.tokens:
            self.outside.watch(token)
            if token.activity is not None:
                self._queued(token.activity)
        if made.append.told or made.append.settled:  # of an execution that perhaps is live here
            self.outside.changed = True
        if live.machine.run.ended and not live.ended.done():
            live.ended.set_result(None)

    # --- act

    def _act(self) -> None:
        """Carry out what is durable, as far as it is still this engine's to do."""
        if self._owed and not self._is_ours():
            return
        while self._owed and self._clock.now() >= self._paused_until:
            live, owed = self._owed[0]
            try:
                while owed and self.live.get(live.row.arn) is live:
                    self.hands.carry_out(live, owed[0])
                    owed.popleft()
            except StoreError as error:
                _log.warning("%s Execution %s waits, and is tried again.", error, live.row.arn)
                self._paused_until = self._clock.now() + PAUSE
                return
            self._owed.popleft()
            run = live.machine.run
            if run.ready:  # GoOn, once for all steps of the turn
                self.put(live.row.arn, Arrival(facts.Continue()))
            if run.ended and not run.cancelling and self.live.get(live.row.arn) is live:
                self._dismiss(live)

    def _is_ours(self) -> bool:
        """Forget what others have taken over while the lease was over. False: the store does not say it now."""
        if not self._lease.lapsed:
            return True
        try:
            self._lease.renew()
            owned = set(self._store.owned(self._lease.row.id))
        except StoreError as error:
            _log.warning("%s Nothing is done until it says which executions are still this process's.", error)
            self._paused_until = self._clock.now() + PAUSE
            return False
        self._lease.accept()
        for arn, live in list(self.live.items()):
            running = live.step > 0 and not live.machine.run.ended and live.row.map_run_arn is None
            if live.kept and running and arn not in owned:
                self._lose(live, f"execution {arn} was taken over by another process")
        return True

    def _dismiss(self, live: Live) -> None:
        """It has ended, and nothing is owed. Who has asked to redrive it meanwhile is to look at what it is now."""
        del self.live[live.row.arn]
        self._later += live.gone
        self._with_mail.pop(live.row.arn, None)
        self._unheard |= {arrival.inbox: live.step for arrival in live.mailbox if arrival.inbox is not None}
        self._turn_away(live, AlreadyExists(f"execution {live.row.arn} has gone on meanwhile"))
