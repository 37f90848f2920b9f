"""``step``: a fact comes in, records and orders go out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from nbflow.language import model
from nbflow.language.values import Chance, Failure
from nbflow.machine import facts, orders, records, retries
from nbflow.machine.evolve import ROOT, evolve
from nbflow.machine.flow import leave_caught, leave_work
from nbflow.machine.run import Frame, Run
from nbflow.machine.states import ENTER, Outcome, leave_wait, start_branch
from nbflow.machine.turn import Done, Failed, Turn


class Step(NamedTuple):
    """What a step decided. The orders may be acted on once the records are durable."""

    records: list[records.Record]
    orders: list[orders.Order]


@dataclass(slots=True)
class Machine:
    """A definition, one execution of it, and a source of random bits for jitter and UUIDs."""

    run: Run
    chance: Chance

    @classmethod
    def of(cls, definition: model.StateMachine, chance: Chance) -> "Machine":
        """A machine whose execution has not started."""
        return cls(Run(definition), chance)

    def evolve(self, record: records.Record) -> None:
        """Take a record into the state, as when rebuilding it from the journal."""
        evolve(self.run, record)

    def step(self, fact: facts.Fact, now: float) -> Step:
        """Take a fact in and run to rest, or to the bound. ``now`` is seconds since the epoch.

        A fact about an attempt that is no longer under way, or that reaches an ended execution, changes nothing.
        """
        turn = Turn(self.run, now, self.chance)
        before = frozenset(self.run.cancelling)
        _TAKE[type(fact)](turn, fact)
        _run_to_rest(turn)
        return Step(turn.records, _new_orders(turn, before))

    def outstanding(self) -> list[orders.Order]:
        """All orders that the present state implies, the same after a step and after a crash."""
        run = self.run
        owed: list[orders.Order] = [orders.CancelTask(attempt) for attempt in run.cancelling]
        owed += [_run_task(run, attempt) for attempt in run.attempts]
        owed += [orders.WakeAt(frame.due) for frame in run.frames.values() if frame.due is not None]
        if run.deadline is not None:
            owed.append(orders.WakeAt(run.deadline))
        if run.ready:
            owed.append(orders.GoOn())
        return owed


def _run_task(run: Run, attempt: int) -> orders.RunTask:
    frame = run.frames[run.attempts[attempt]]
    state = frame.current
    assert isinstance(state, model.Task)
    listed = [
        *(member.error_equals for member in state.retry),
        *(member.error_equals for member in state.catch),
    ]
    expected = tuple(name for names in listed for name in names)
    return orders.RunTask(
        attempt, frame.state, frame.resource, frame.arguments, frame.parent is not None, expected
    )


def _new_orders(turn: Turn, cancelling_before: frozenset[int]) -> list[orders.Order]:
    """The orders that this turn adds to what was outstanding before it."""
    run = turn.run
    new: list[orders.Order] = []
    for record in turn.records:
        if isinstance(record, records.TaskScheduled):
            frame = run.frames.get(record.frame)
            if frame is not None and frame.attempt is not None:
                new.append(_run_task(run, frame.attempt))
                new += _wake(frame.due)
        elif isinstance(record, records.WaitStarted | records.RetryScheduled):
            new.append(orders.WakeAt(record.due))
        elif isinstance(record, records.ExecutionStarted):
            new += _wake(run.deadline)
    new += [orders.CancelTask(attempt) for attempt in run.cancelling if attempt not in cancelling_before]
    new += _wake(turn.overdue)
    if run.ready:
        new.append(orders.GoOn())
    return new


def _wake(due: float | None) -> list[orders.Order]:
    return [] if due is None else [orders.WakeAt(due)]


# --- facts


def _start(turn: Turn, fact: facts.Start) -> None:
    if turn.run.status == "PENDING":
        turn.emit(records.ExecutionStarted(turn.now, fact.input, fact.context))


def _task_succeeded(turn: Turn, fact: facts.TaskSucceeded) -> None:
    frame = _attempted(turn, fact.attempt)
    if frame is not None:
        turn.emit(records.TaskSucceeded(turn.now, frame.id, fact.output))
        _settle(turn, frame, _leave_work(turn, frame))


def _task_failed(turn: Turn, fact: facts.TaskFailed) -> None:
    frame = _attempted(turn, fact.attempt)
    if frame is not None:
        turn.emit(records.TaskFailed(turn.now, frame.id, fact.error, fact.cause))
        _settle(turn, frame, Failed(fact.error, fact.cause))


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
    for frame in list(run.frames.values()):
        if frame.due is None or frame.due > turn.now or run.frames.get(frame.id) is not frame:
            continue
        if turn.full:
            turn.overdue = frame.due
            return
        _settle(turn, frame, _due(turn, frame))


def _due(turn: Turn, frame: Frame) -> Outcome:
    """The frame's time has come: a Wait ends, a retry begins, an attempt has taken too long."""
    state = frame.current
    if frame.phase == "WAITING":
        assert isinstance(state, model.Wait)
        return leave_wait(turn, frame, state)
    if frame.phase == "BACKOFF":
        return ENTER[type(state)](turn, frame, state)
    turn.emit(records.TaskTimedOut(turn.now, frame.id, "States.Timeout"))
    return Failed("States.Timeout", None)


def _stop(turn: Turn, fact: facts.Stop) -> None:
    if turn.run.status == "RUNNING":
        turn.emit(records.ExecutionAborted(turn.now, fact.error, fact.cause))


def _continue(turn: Turn, fact: facts.Continue) -> None:
    """Nothing to take in: the loop goes on by itself."""


_TAKE: Final[dict[type[Any], Callable[[Turn, Any], None]]] = {
    facts.Start: _start,
    facts.TaskSucceeded: _task_succeeded,
    facts.TaskFailed: _task_failed,
    facts.Cancelled: _cancelled,
    facts.Tick: _tick,
    facts.Continue: _continue,
    facts.Stop: _stop,
}


# --- the loop


def _run_to_rest(turn: Turn) -> None:
    run = turn.run
    while run.ready and not turn.full:
        frame = run.frames[next(iter(run.ready))]
        if frame.phase == "FORK":
            _advance_fork(turn, frame)
        else:
            turn.emit(records.StateEntered(turn.now, frame.id, frame.state))
            state = frame.current
            _settle(turn, frame, ENTER[type(state)](turn, frame, state))


def _settle(turn: Turn, frame: Frame, outcome: Outcome) -> None:
    """What a handler answered becomes records."""
    match outcome:
        case Done():
            _exit(turn, frame, outcome)
        case Failed():
            _fail(turn, frame, outcome)
        case Failure():
            _fail(turn, frame, _evaluation_failed(turn, frame, outcome))


def _exit(turn: Turn, frame: Frame, done: Done) -> None:
    output, origin = done.output, _origin(frame, done.output)
    kept = output if origin == "value" else None
    turn.emit(
        records.StateExited(turn.now, frame.id, frame.state, done.next, kept, origin, done.assigned or None)
    )
    if done.next is None and frame.id == ROOT:
        turn.emit(records.ExecutionSucceeded(turn.now))


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
        again = retries.retry(state.retry, failed.error, frame.retries, turn.chance)
        if again is not None:
            index, delay = again
            turn.emit(records.RetryScheduled(turn.now, frame.id, index, turn.now + delay))
            return
        never_began = frame.fork is None and failed.error == retries.TERMINAL
        if isinstance(state, model.Map | model.Parallel) and not never_began:
            turn.emit(records.ForkFailed(turn.now, frame.id, failed.error, failed.cause))
        catcher = retries.catcher(state.catch, failed.error)
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
    while fork.pending and not turn.full:
        child = turn.run.frames[fork.pending[0]]
        if child.phase == "FAILED":
            _abort_siblings(turn, frame, child)
            return
        turn.emit(records.BranchSucceeded(turn.now, child.id))
    while fork.room and not turn.full:
        failure = start_branch(turn, frame, state)
        if failure is not None:
            _settle(turn, frame, failure)
            return
    if not fork.pending and not fork.live and fork.spawned == fork.total:
        turn.emit(records.ForkSucceeded(turn.now, frame.id))
        _settle(turn, frame, _leave_work(turn, frame))


def _abort_siblings(turn: Turn, frame: Frame, child: Frame) -> None:
    """A failure that is not tolerated: the others are aborted, then it is the whole state's."""
    fork = frame.fork
    assert fork is not None
    for sibling in list(fork.live):
        if turn.full:
            return
        turn.emit(records.BranchAborted(turn.now, sibling))
    failed = Failed(child.error, child.cause)
    if fork.tolerated:
        cause = "The specified tolerated failure threshold was exceeded"
        failed = Failed("States.ExceedToleratedFailureThreshold", cause)
    _settle(turn, frame, failed)
