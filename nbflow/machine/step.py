"""``step``: a fact comes in, records and orders go out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

from nbflow.language import model
from nbflow.language.paths import compact
from nbflow.language.values import Chance, Failure
from nbflow.machine import facts, orders, records, retries
from nbflow.machine.context import MAP_RUN, context_object
from nbflow.machine.evolve import ROOT, evolve
from nbflow.machine.flow import leave_caught, leave_work
from nbflow.machine.run import Frame, Run
from nbflow.machine.states import ENTER, Outcome, leave_wait, start_branch
from nbflow.machine.turn import MOST_EVENTS, Done, Failed, HasActivity, TooManyEvents, Turn, always

MOST_PAYLOAD: Final = 262_144
"""Bytes of JSON in UTF-8, under AWS's quotas (AWS guide, "Quotas related to task executions")."""


class Step(NamedTuple):
    """What a step decided. The orders may be acted on once the records are durable."""

    records: list[records.Record]
    orders: list[orders.Order]
    encoded: list[bytes]
    """Each record as JSON text, for the journal."""
    size: int
    """Bytes of all those texts."""
    heeded: list[bool]
    """Of each fact, whether it changed anything."""


@dataclass(slots=True)
class Machine:
    """A definition, one execution of it, and a source of random bits for jitter and UUIDs."""

    run: Run
    chance: Chance
    has_activity: HasActivity = always

    @classmethod
    def of(
        cls, definition: model.StateMachine, chance: Chance, has_activity: HasActivity = always
    ) -> "Machine":
        """A machine whose execution has not started."""
        return cls(Run(definition), chance, has_activity)

    @classmethod
    def rebuilt(
        cls,
        definition: model.StateMachine,
        chance: Chance,
        steps: Iterable[Iterable[records.Record]],
        has_activity: HasActivity = always,
    ) -> "Machine":
        """The machine as the recorded steps of its execution have left it."""
        machine = cls.of(definition, chance, has_activity)
        for step in steps:
            for record in step:
                machine.evolve(record)
        return machine

    def evolve(self, record: records.Record) -> None:
        """Take a record into the state, as when rebuilding it from the journal."""
        evolve(self.run, record)

    def step(self, fact: facts.Fact, now: float, more: Sequence[facts.Fact] = ()) -> Step:
        """Take a fact in and run to rest, or to the bound. ``now`` is seconds since the epoch.

        A fact about an attempt that is no longer under way, or that reaches an ended execution, changes nothing.
        After Owned, which changes nothing either, the orders are all that are outstanding. ``more`` are facts that came
        together with it: they are taken in, as far as the bound lets, before anything goes on.
        """
        turn = Turn(self.run, now, self.chance, self.has_activity)
        if type(fact) is facts.Owned:
            turn.emit(records.ExecutionOwned(now, fact.engine))
            return Step(turn.records, self.outstanding(), turn.encoded, turn.size, [True])
        cancelling = len(self.run.cancelling)
        heeded: list[bool] = []
        try:
            for each in (fact, *more):
                before = len(turn.records)
                heeded.append(True)
                _TAKE[type(each)](turn, each)
                heeded[-1] = len(turn.records) > before
                if turn.full:
                    break
            _run_to_rest(turn)
        except records.TooMuchData as error:
            # Nothing can be said of the state but that it cannot go on: no Retry or Catch sees this.
            turn.emit(records.ExecutionFailed(now, retries.DATA_LIMIT, f"The execution holds {error}."))
        except TooManyEvents:
            cause = f"The execution reached the maximum number of history events ({MOST_EVENTS})."
            turn.emit(records.ExecutionFailed(now, retries.TERMINAL, cause))
        return Step(turn.records, _new_orders(turn, cancelling), turn.encoded, turn.size, heeded)

    def outstanding(self) -> list[orders.Order]:
        """All orders that the present state implies, the same after a step and after a crash."""
        run = self.run
        owed: list[orders.Order] = [orders.CancelTask(attempt) for attempt in run.cancelling]
        owed += [_ordered(run, attempt) for attempt in run.attempts]
        return owed + _what_is_next(run)


def _ordered(run: Run, attempt: int) -> orders.RunTask | orders.RunMap:
    frame = run.frames[run.attempts[attempt]]
    state = frame.current
    if isinstance(state, model.Map):
        assert frame.map_run is not None
        return orders.RunMap(
            attempt,
            frame.state,
            state,
            frame.map_run,
            frame.arguments,
            frame.data,
            frame.variables,
            context_object(run, frame),
            frame.map_redrives,
        )
    return orders.RunTask(
        attempt,
        frame.state,
        frame.resource,
        frame.arguments,
        scattered=frame.parent is not None or MAP_RUN in run.context,
        expected=_expected(run, frame),
        token=frame.token,
        timeout=frame.limits[0],
        heartbeat=frame.limits[1],
        submitted=frame.submitted,
    )


def _expected(run: Run, frame: Frame) -> tuple[str, ...]:
    """The error names that the state lists, and then those of the Maps and Parallels around it.

    An iteration's failure becomes its Map's. So the name under which a task fails has to be one that the Map knows, if
    the task's own state lists none: ``except OSError`` around a Map means what Python means by it.
    """
    state = frame.current
    assert isinstance(state, model.Work)
    if frame.parent is None:
        return state.expected
    return state.expected + _expected(run, run.frames[frame.parent])


_ORDERING: Final = frozenset({records.TaskScheduled, records.MapRunStarted, records.MapRunRedriven})
"""What orders an attempt."""


def _new_orders(turn: Turn, cancelling_before: int) -> list[orders.Order]:
    """The orders that this turn adds to what was outstanding before it, and when the execution is to be woken next."""
    run = turn.run
    new: list[orders.Order] = []
    said = 0
    for record in turn.records:
        # Not isinstance: msgspec's metaclass makes it several times slower, and this is walked for every record.
        if type(record) in _ORDERING:
            frame = run.frames.get(record.frame)  # type: ignore[union-attr]  # those have one
            if frame is not None and frame.attempt is not None:
                new.append(_ordered(run, frame.attempt))
        elif type(record) is records.TaskCancelled:
            said += 1
    # Those that were given up in this turn stand at the end, in their order.
    added = len(run.cancelling) - (cancelling_before - said)
    if added:
        given_up = list(islice(reversed(run.cancelling), added))
        new += [orders.CancelTask(attempt) for attempt in reversed(given_up)]
    return new + _what_is_next(run)


def _what_is_next(run: Run) -> list[orders.Order]:
    due = run.next_due
    next: list[orders.Order] = [] if due is None else [orders.WakeAt(due)]
    return [*next, orders.GoOn()] if run.ready else next


# --- facts


def _start(turn: Turn, fact: facts.Start) -> None:
    if turn.run.status == "PENDING":
        turn.emit(records.ExecutionStarted(turn.now, fact.input, fact.context, fact.entry))


def _task_started(turn: Turn, fact: facts.TaskStarted) -> None:
    frame = _attempted(turn, fact.attempt)
    if frame is not None and not frame.started:
        turn.emit(records.TaskStarted(turn.now, frame.id, fact.worker))


def _task_submitted(turn: Turn, fact: facts.TaskSubmitted) -> None:
    frame = _attempted(turn, fact.attempt)
    if frame is not None and not frame.submitted:
        turn.emit(records.TaskSubmitted(turn.now, frame.id, fact.output))


def _task_succeeded(turn: Turn, fact: facts.TaskSucceeded) -> None:
    frame = _attempted(turn, fact.attempt)
    if frame is None:
        return
    if _exceeds(turn, fact.output):
        _task_failed(
            turn,
            facts.TaskFailed(
                fact.attempt,
                retries.DATA_LIMIT,
                _too_large(frame.resource or frame.state),
                fact.worker,
                fact.queued,
                fact.ran,
            ),
        )
        return
    if frame.map_run is None:
        done = fact.worker, fact.queued, fact.ran
        turn.emit(records.TaskSucceeded(turn.now, frame.id, fact.output, *done))
    else:
        turn.emit(records.MapRunSucceeded(turn.now, frame.id, fact.output))
        turn.emit(records.ForkSucceeded(turn.now, frame.id))
    _settle(turn, frame, _leave_work(turn, frame))


def _task_failed(turn: Turn, fact: facts.TaskFailed) -> None:
    frame = _attempted(turn, fact.attempt)
    if frame is None:
        return
    of_map = frame.map_run is not None
    if of_map:
        turn.emit(records.MapRunFailed(turn.now, frame.id, fact.error, fact.cause))
    else:
        done = fact.worker, fact.queued, fact.ran
        turn.emit(records.TaskFailed(turn.now, frame.id, fact.error, fact.cause, *done))
    if of_map and fact.error == retries.TERMINAL:
        # the Map has begun: its failure is shown, as an inline one's
        turn.emit(records.ForkFailed(turn.now, frame.id, fact.error, fact.cause))
    _settle(turn, frame, Failed(fact.error, fact.cause))


def _task_timed_out(turn: Turn, fact: facts.TaskTimedOut) -> None:
    """AWS names the error States.Timeout, also where the heartbeat stayed away; Retry and Catch know both names."""
    frame = _attempted(turn, fact.attempt)
    if frame is not None:
        turn.emit(records.TaskTimedOut(turn.now, frame.id, retries.TIMEOUT))
        narrower = retries.HEARTBEAT if fact.heartbeat else None
        _settle(turn, frame, Failed(retries.TIMEOUT, None, narrower))


def _attempted(turn: Turn, attempt: int) -> Frame | None:
    """The frame that waits for this attempt. A late answer to an attempt that was given up says that it has ended."""
    if attempt in turn.run.cancelling:
        turn.emit(records.TaskCancelled(turn.now, attempt))
    frame = turn.run.attempts.get(attempt)
    return None if frame is None else turn.run.frames[frame]


def _cancelled(turn: Turn, fact: facts.Cancelled) -> None:
    if fact.attempt in turn.run.cancelling:
        turn.emit(records.TaskCancelled(turn.now, fact.attempt))


def _tick(turn: Turn, fact: facts.Tick) -> None:
    run = turn.run
    if run.deadline is not None and run.deadline <= turn.now:
        turn.emit(records.ExecutionTimedOut(turn.now))
        return
    while run.dues and run.dues[0][0] <= turn.now and not turn.full:
        frame = run.frames[run.dues[0][1]]
        _settle(turn, frame, _due(turn, frame))


def _due(turn: Turn, frame: Frame) -> Outcome:
    """The frame's time has come: a Wait ends, a retry begins, an attempt has taken too long."""
    state = frame.current
    if frame.phase == "WAITING":
        assert isinstance(state, model.Wait)
        return leave_wait(turn, frame, state)
    if frame.phase == "BACKOFF":
        return ENTER[type(state)](turn, frame, state)
    turn.emit(records.TaskTimedOut(turn.now, frame.id, retries.TIMEOUT))
    return Failed(retries.TIMEOUT, None)


def _stop(turn: Turn, fact: facts.Stop) -> None:
    if turn.run.status == "RUNNING":
        turn.emit(records.ExecutionAborted(turn.now, fact.error, fact.cause))


def _retire(turn: Turn, fact: facts.Retire) -> None:
    if turn.run.status == "RUNNING" and not turn.run.retired:
        turn.emit(records.ExecutionRetired(turn.now))


def _redrive(turn: Turn, fact: facts.Redrive) -> None:
    if turn.run.redrivable:
        turn.emit(records.ExecutionRedriven(turn.now))
        _go_on(turn, turn.run.frames[ROOT])


def _go_on(turn: Turn, frame: Frame) -> None:
    """A frame has been taken up again: its handler acts once more, though the state is not entered again.

    A Parallel or Map whose branches had all succeeded is left with their results. A Map Run goes on.
    """
    if frame.phase != "ENTERED":
        return
    state = frame.current
    if isinstance(state, model.Map | model.Parallel) and frame.result is not None:
        _settle(turn, frame, _leave_work(turn, frame))
    elif frame.unfinished is not None:
        turn.emit(records.MapRunRedriven(turn.now, frame.id, frame.unfinished.arn))
    else:
        _settle(turn, frame, ENTER[type(state)](turn, frame, state))


def _fail_all(turn: Turn, fact: facts.Fail) -> None:
    if turn.run.status == "RUNNING":
        turn.emit(records.ExecutionFailed(turn.now, fact.error, fact.cause))


def _continue(turn: Turn, fact: facts.Continue) -> None:
    """Nothing to take in: the loop goes on by itself."""


_TAKE: Final[dict[type[Any], Callable[[Turn, Any], None]]] = {
    facts.Start: _start,
    facts.TaskStarted: _task_started,
    facts.TaskSubmitted: _task_submitted,
    facts.TaskSucceeded: _task_succeeded,
    facts.TaskFailed: _task_failed,
    facts.TaskTimedOut: _task_timed_out,
    facts.Cancelled: _cancelled,
    facts.Tick: _tick,
    facts.Continue: _continue,
    facts.Stop: _stop,
    facts.Retire: _retire,
    facts.Redrive: _redrive,
    facts.Fail: _fail_all,
}


# --- the loop


def _run_to_rest(turn: Turn) -> None:
    run = turn.run
    while run.ready and not turn.full:
        frame = run.frames[next(iter(run.ready))]
        if frame.phase == "FORK":
            _advance_fork(turn, frame)
        elif run.retired:
            turn.emit(records.ExecutionAborted(turn.now))
        else:
            turn.emit(records.StateEntered(turn.now, frame.id, frame.state))
            state = frame.current
            _settle(turn, frame, ENTER[type(state)](turn, frame, state))


def _settle(turn: Turn, frame: Frame, outcome: Outcome) -> None:
    """What a handler answered becomes records."""
    if isinstance(outcome, Done):
        _exit(turn, frame, outcome)
    elif isinstance(outcome, Failed):
        _fail(turn, frame, outcome)
    elif outcome is not None:
        _fail(turn, frame, _evaluation_failed(turn, frame, outcome))


def _exit(turn: Turn, frame: Frame, done: Done) -> None:
    output, origin = done.output, _origin(frame, done.output)
    if origin == "value" and _exceeds(turn, output):
        _fail(turn, frame, Failed(retries.DATA_LIMIT, _too_large(frame.state)))
        return
    kept = output if origin == "value" else None
    turn.emit(
        records.StateExited(turn.now, frame.id, frame.state, done.next, kept, origin, done.assigned or None)
    )
    if done.next is None and frame.id == ROOT:
        turn.emit(records.ExecutionSucceeded(turn.now))


def _exceeds(turn: Turn, payload: object) -> bool:
    """Whether a payload is larger than AWS allows, where that counts."""
    return turn.run.limited and len(compact(payload).encode("utf-8", "surrogatepass")) > MOST_PAYLOAD


def _too_large(name: str) -> str:
    what = "returned a result with a size exceeding the maximum number of bytes service limit."
    return f"The state/task '{name}' {what}"


def _origin(frame: Frame, output: object) -> records.Origin:
    if output is frame.data:
        return "input"
    return "result" if output is frame.result else "value"


def _evaluation_failed(turn: Turn, frame: Frame, failure: Failure) -> Failed:
    cause = (
        f"An error occurred while executing the state '{frame.state}' (entered at the event id #{frame.entered}). "
        f"{failure.cause or ''}"
    ).rstrip()
    if frame.current.jsonata:
        turn.emit(records.EvaluationFailed(turn.now, frame.id, failure.error, cause, failure.location))
    return Failed(failure.error, cause)


def _fail(turn: Turn, frame: Frame, failed: Failed) -> None:
    """Retry, else Catch, else the failure climbs to the parent (ASL, "Errors")."""
    state = frame.current
    if isinstance(state, model.Work):
        again = retries.retry(state.retry, failed.specific, frame.retries, turn.chance)
        if again is not None:
            index, delay = again
            turn.emit(records.RetryScheduled(turn.now, frame.id, index, turn.now + delay))
            return
        never_began = frame.fork is None and failed.error == retries.TERMINAL
        if isinstance(state, model.Map | model.Parallel) and not never_began:
            turn.emit(records.ForkFailed(turn.now, frame.id, failed.error, failed.cause))
        catcher = retries.catcher(state.catch, failed.specific)
        if catcher is not None:
            outcome = leave_caught(turn, frame, catcher, failed)
            if isinstance(outcome, Done):
                _exit(turn, frame, outcome)
                return
            failed = _evaluation_failed(turn, frame, outcome)
    if frame.id == ROOT:
        turn.emit(records.ExecutionFailed(turn.now, failed.error, failed.cause))
    else:
        turn.emit(records.BranchFailed(turn.now, frame.id, failed.error, failed.cause))


def _leave_work(turn: Turn, frame: Frame) -> Done | Failure:
    state = frame.current
    assert isinstance(state, model.Work)
    return leave_work(turn, frame, state, frame.result)


# --- Parallel and Map


def _advance_fork(turn: Turn, frame: Frame) -> None:
    """Take note of branches that ended, start those that there is room for, and leave the state after the last one."""
    fork, state = frame.fork, frame.current
    assert fork is not None
    assert isinstance(state, model.Map | model.Parallel)
    failed: Frame | None = None
    for id in list(fork.pending) if fork.pending else ():
        if id in turn.run.lost:
            failed = failed or turn.run.lost[id]
        elif turn.full:
            return
        else:
            turn.emit(records.BranchSucceeded(turn.now, id))
    if failed is not None:
        _fork_failed(turn, frame, failed)
        return
    while fork.room and not turn.full:
        if fork.again:
            child = turn.run.lost[fork.again[-1]]
            turn.emit(records.BranchRedriven(turn.now, child.id))
            _go_on(turn, child)
            continue
        failure = start_branch(turn, frame, state)
        if failure is not None:
            if _abort_live(turn, frame):
                _settle(turn, frame, failure)
            return
    if not fork.pending and fork.over:
        turn.emit(records.ForkSucceeded(turn.now, frame.id))
        _settle(turn, frame, _leave_work(turn, frame))


def _fork_failed(turn: Turn, frame: Frame, child: Frame) -> None:
    """A failure that is not tolerated: the other branches are aborted, then it is the whole state's."""
    fork = frame.fork
    assert fork is not None
    if not _abort_live(turn, frame):
        return
    failed = Failed(child.error, child.cause)
    if fork.tolerated:
        cause = "The specified tolerated failure threshold was exceeded"
        failed = Failed("States.ExceedToleratedFailureThreshold", cause)
    _settle(turn, frame, failed)


def _abort_live(turn: Turn, frame: Frame) -> bool:
    """Abort the branches that have not ended. False: the bound came first, and the frame stays ready to go on."""
    assert frame.fork is not None
    for sibling in list(frame.fork.live):
        if turn.full:
            return False
        turn.emit(records.BranchAborted(turn.now, sibling))
    return True
