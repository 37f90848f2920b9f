"""``evolve``: the only writer of a :class:`~nbflow.machine.run.Run`. It evaluates nothing and knows no clock."""

import heapq
from collections.abc import Callable
from typing import Any, Final

from nbflow.language import model
from nbflow.language.values import Json
from nbflow.machine import records as r
from nbflow.machine.aside import drop_fork, refresh, set_aside, set_due, take_up
from nbflow.machine.context import LIMITS
from nbflow.machine.retries import DATA_LIMIT, TERMINAL
from nbflow.machine.run import Fork, Frame, Run, Status

ROOT: Final = 0
"""The id of the frame that is the run itself."""

HIDDEN: Final = frozenset(
    {
        r.TaskCancelled,
        r.WaitStarted,
        r.RetryScheduled,
        r.ExecutionRetired,
        r.ExecutionOwned,
        r.BranchRedriven,
    }
)
"""Records that AWS never shows; they take no event id."""

STARTS_OVER: Final = frozenset({DATA_LIMIT, TERMINAL})
"""Errors of a Map Run after which a redrive starts a new one (AWS guide, "Redriving Map Runs": eligibility)."""

_OF_BRANCHES: Final = frozenset({r.BranchStarted, r.BranchSucceeded, r.BranchFailed, r.BranchAborted})


def visible(run: Run, record: r.Record) -> bool:
    """Whether AWS's history shows this record. Of branches, it shows only the iterations of a Map."""
    shown = _EVOLVE[type(record)][1]
    return isinstance(forking(run, record).current, model.Map) if shown is None else shown


def forking(run: Run, record: Any) -> Frame:
    """The frame whose fork a branch record is about: BranchStarted names it, the others name the child."""
    frame = run.frames[record.frame]
    if type(record) is r.BranchStarted:
        return frame
    assert frame.parent is not None
    return run.frames[frame.parent]


def evolve(run: Run, record: r.Record) -> None:
    """Take a record into the state."""
    take, shown = _EVOLVE[type(record)]
    if shown or (shown is None and visible(run, record)):
        run.last_event += 1
    take(run, record)
    while run.dues and not _holds(run, *run.dues[0]):
        heapq.heappop(run.dues)


def _holds(run: Run, due: float, frame: int) -> bool:
    return frame in run.frames and run.frames[frame].due == due


def _payload(frame: Frame, value: Json, origin: r.Origin) -> Json:
    if origin == "value":
        return value
    return frame.data if origin == "input" else frame.result


def _execution_started(run: Run, record: r.ExecutionStarted) -> None:
    run.status = "RUNNING"
    run.input = record.input
    run.context = record.context
    run.started_at = record.at
    run.limited = record.context.get(LIMITS) == "aws"
    _set_deadline(run, record.at)
    definition = run.definition
    entry = record.entry or r.Entry(definition.start_at, record.input)
    # The first StateEntered points back to 0, not to ExecutionStarted: so AWS counts.
    run.frames[ROOT] = Frame(ROOT, None, 0, definition, entry.state, entry.input, entry.variables, last=0)
    run.next_frame = ROOT + 1
    run.ready[ROOT] = None


def _set_deadline(run: Run, at: float) -> None:
    timeout = run.definition.timeout_seconds
    run.deadline = None if timeout is None else at + timeout


def _state_entered(run: Run, record: r.StateEntered) -> None:
    frame = run.frames[record.frame]
    frame.phase = "ENTERED"
    frame.before = frame.last
    frame.last = frame.entered = run.last_event
    frame.entered_at = record.at
    run.ready.pop(frame.id, None)


def _state_exited(run: Run, record: r.StateExited) -> None:
    frame = run.frames[record.frame]
    frame.data = _payload(frame, record.output, record.origin)
    if record.assigned:
        frame.variables = {**frame.variables, **record.assigned}
    frame.last = run.last_event
    frame.due = frame.result = frame.arguments = frame.unfinished = None
    drop_fork(run, frame)
    frame.entered = 0
    if frame.retries:
        frame.retries = {}
    if record.next is not None:
        frame.state = record.next
        frame.phase = "READY"
        run.ready[frame.id] = None
        return
    frame.phase = "ENDED"
    run.ready.pop(frame.id, None)
    if frame.parent is not None:
        parent, fork = _parent_fork(run, frame)
        del fork.live[frame.id]
        fork.pending.append(frame.id)
        run.ready[parent.id] = None  # it has something to take note of


def _task_scheduled(run: Run, record: r.TaskScheduled) -> None:
    frame = run.frames[record.frame]
    frame.phase = "TASK"
    frame.last = frame.attempt = run.last_event
    frame.arguments = _payload(frame, record.arguments, record.origin)
    frame.resource = record.resource
    frame.token = record.token
    timed = record.token is None and record.timeout is not None  # a token's times are kept beside it
    set_due(run, frame, record.at + (record.timeout or 0) if timed else None)
    frame.limits = record.timeout, record.heartbeat
    run.attempts[run.last_event] = frame.id


def _task_started(run: Run, record: r.TaskStarted) -> None:
    frame = run.frames[record.frame]
    frame.started = True
    frame.last = run.last_event


def _task_submitted(run: Run, record: r.TaskSubmitted) -> None:
    frame = run.frames[record.frame]
    frame.submitted = True
    frame.last = run.last_event


def _end_attempt(run: Run, frame: Frame) -> int:
    attempt = frame.attempt
    assert attempt is not None
    del run.attempts[attempt]
    frame.attempt = frame.due = frame.arguments = frame.token = frame.map_run = None
    frame.started = frame.submitted = False
    frame.phase = "ENTERED"
    frame.last = run.last_event
    return attempt


def _task_succeeded(run: Run, record: r.TaskSucceeded) -> None:
    frame = run.frames[record.frame]
    _end_attempt(run, frame)
    frame.result = record.output


def _task_failed(run: Run, record: r.TaskFailed) -> None:
    _end_attempt(run, run.frames[record.frame])


def _task_timed_out(run: Run, record: r.TaskTimedOut) -> None:
    run.cancelling[_end_attempt(run, run.frames[record.frame])] = None


def _task_cancelled(run: Run, record: r.TaskCancelled) -> None:
    del run.cancelling[record.attempt]


def _evaluation_failed(run: Run, record: r.EvaluationFailed) -> None:
    run.frames[record.frame].last = run.last_event


def _wait_started(run: Run, record: r.WaitStarted) -> None:
    frame = run.frames[record.frame]
    frame.phase = "WAITING"
    set_due(run, frame, record.due)


def _retry_scheduled(run: Run, record: r.RetryScheduled) -> None:
    frame = run.frames[record.frame]
    frame.phase = "BACKOFF"
    set_due(run, frame, record.due)
    frame.retries = {**frame.retries, record.retrier: frame.retries.get(record.retrier, 0) + 1}
    frame.result = frame.unfinished = None
    drop_fork(run, frame)
    refresh(run, frame)


def _fork_started(run: Run, record: r.ForkStarted) -> None:
    frame = run.frames[record.frame]
    frame.phase = "FORK"
    frame.due = None
    frame.last = run.last_event
    frame.fork = Fork(
        total=record.total,
        concurrency=record.concurrency,
        payload=_payload(frame, record.payload, record.origin),
        tolerated=record.tolerated,
        spawn_from=run.last_event,
    )
    refresh(run, frame)


def _branch_started(run: Run, record: r.BranchStarted) -> None:
    parent = run.frames[record.frame]
    fork, state = parent.fork, parent.current
    assert fork is not None
    item: Json = None
    if isinstance(state, model.Map):
        branch: model.Branch = state.item_processor
        item = fork.payload[record.index]
        data, last = (item if record.origin == "item" else record.input), run.last_event
    else:
        assert isinstance(state, model.Parallel)
        branch, data, last = state.branches[record.index], fork.payload, fork.spawn_from
    child = Frame(
        id=run.next_frame,
        parent=parent.id,
        index=record.index,
        branch=branch,
        state=branch.start_at,
        data=data,
        variables=parent.variables,
        last=last,
        item=item,
    )
    run.next_frame += 1
    run.frames[child.id] = child
    run.ready[child.id] = None
    fork.spawned += 1
    fork.live[child.id] = None
    if not fork.room:  # nothing is pending when a branch starts, and with a live one it is not over
        run.ready.pop(parent.id, None)


def _branch_succeeded(run: Run, record: r.BranchSucceeded) -> None:
    child = run.frames.pop(record.frame)
    parent, fork = _parent_fork(run, child)
    fork.pending.remove(child.id)
    fork.results[child.index] = child.data
    fork.spawn_from = child.last
    parent.last = run.last_event if isinstance(parent.current, model.Map) else child.last
    refresh(run, parent)


def _branch_failed(run: Run, record: r.BranchFailed) -> None:
    """Of a failure that is not tolerated the parent has to take note.

    What follows points back to the child's last event, not to MapIterationFailed (so AWS counts).
    """
    child = run.frames[record.frame]
    parent, fork = _parent_fork(run, child)
    fork.failed += 1
    parent.last = fork.spawn_from = child.last
    del fork.live[child.id]
    child.error, child.cause = record.error, record.cause
    set_aside(run, child)
    (fork.lost if fork.failed <= fork.tolerated else fork.pending).append(child.id)
    refresh(run, parent)
    if fork.pending:
        run.ready.move_to_end(parent.id, last=False)  # before the siblings order anything more


def _branch_aborted(run: Run, record: r.BranchAborted) -> None:
    child = run.frames[record.frame]
    parent, fork = _parent_fork(run, child)
    del fork.live[child.id]
    fork.lost.append(child.id)
    set_aside(run, child)
    refresh(run, parent)


def _parent_fork(run: Run, child: Frame) -> tuple[Frame, Fork]:
    assert child.parent is not None
    parent = run.frames[child.parent]
    assert parent.fork is not None
    return parent, parent.fork


def _map_started(run: Run, record: r.MapStarted) -> None:
    frame = run.frames[record.frame]
    set_due(run, frame, None)
    frame.last = run.last_event


def _map_run_started(run: Run, record: r.MapRunStarted) -> None:
    frame = run.frames[record.frame]
    frame.map_redrives = 0
    _map_run_ordered(run, frame, record)


def _map_run_redriven(run: Run, record: r.MapRunRedriven) -> None:
    frame = run.frames[record.frame]
    assert frame.unfinished is not None
    frame.map_redrives += 1
    _map_run_ordered(run, frame, frame.unfinished)


def _map_run_ordered(run: Run, frame: Frame, plan: r.MapRunStarted) -> None:
    frame.phase = "TASK"
    frame.last = frame.attempt = run.last_event
    frame.map_run, frame.unfinished = plan, None
    frame.arguments = _payload(frame, plan.items, plan.origin)
    run.attempts[run.last_event] = frame.id


def _map_run_succeeded(run: Run, record: r.MapRunSucceeded) -> None:
    frame = run.frames[record.frame]
    _end_attempt(run, frame)
    frame.result = record.output


def _map_run_failed(run: Run, record: r.MapRunFailed) -> None:
    frame = run.frames[record.frame]
    plan = frame.map_run
    _end_attempt(run, frame)
    frame.unfinished = None if record.error in STARTS_OVER else plan


def _fork_succeeded(run: Run, record: r.ForkSucceeded) -> None:
    frame = run.frames[record.frame]
    if frame.fork is not None:  # a Map Run has its result already
        results = frame.fork.results
        frame.result = [results[index] for index in sorted(results)]
    drop_fork(run, frame)
    frame.phase = "ENTERED"
    refresh(run, frame)


def _fork_failed(run: Run, record: r.ForkFailed) -> None:
    """The branches are kept: if the failure is not caught, a redrive goes on with them."""
    frame = run.frames[record.frame]
    frame.phase = "ENTERED"
    frame.due = None
    frame.last = run.last_event
    refresh(run, frame)


def _execution_owned(run: Run, record: r.ExecutionOwned) -> None:
    """It is as it was: the record only takes its place in the journal."""


def _execution_retired(run: Run, record: r.ExecutionRetired) -> None:
    run.retired = True


def _execution_succeeded(run: Run, record: r.ExecutionSucceeded) -> None:
    run.output = run.frames[ROOT].data
    _end(run, "SUCCEEDED", record.at)
    run.lost.clear()


def _execution_ended(
    status: Status,
) -> Callable[[Run, r.ExecutionFailed | r.ExecutionAborted | r.ExecutionTimedOut], None]:
    def ended(run: Run, record: r.ExecutionFailed | r.ExecutionAborted | r.ExecutionTimedOut) -> None:
        run.error, run.cause = record.error, record.cause
        if status == "FAILED" and ROOT in run.frames:
            run.frames[ROOT].error = record.error
        _end(run, status, record.at)

    return ended


def _end(run: Run, status: Status, at: float) -> None:
    run.status = status
    run.stopped_at = at
    run.deadline = None
    if ROOT in run.frames:  # else it could not even be started
        set_aside(run, run.frames[ROOT])
    run.dues.clear()


def _execution_redriven(run: Run, record: r.ExecutionRedriven) -> None:
    run.status = "RUNNING"
    run.error = run.cause = run.stopped_at = None
    run.redrives += 1
    run.redriven_at = record.at
    _set_deadline(run, record.at)
    take_up(run, ROOT, run.last_event)


def _branch_redriven(run: Run, record: r.BranchRedriven) -> None:
    parent, fork = _parent_fork(run, run.lost[record.frame])
    fork.live[fork.again.pop()] = None
    take_up(run, record.frame, fork.spawn_from)
    refresh(run, parent)


_TAKE: Final[dict[type[Any], Callable[[Run, Any], None]]] = {
    r.ExecutionStarted: _execution_started,
    r.StateEntered: _state_entered,
    r.StateExited: _state_exited,
    r.TaskScheduled: _task_scheduled,
    r.TaskStarted: _task_started,
    r.TaskSubmitted: _task_submitted,
    r.TaskSucceeded: _task_succeeded,
    r.TaskFailed: _task_failed,
    r.TaskTimedOut: _task_timed_out,
    r.TaskCancelled: _task_cancelled,
    r.EvaluationFailed: _evaluation_failed,
    r.WaitStarted: _wait_started,
    r.RetryScheduled: _retry_scheduled,
    r.ForkStarted: _fork_started,
    r.MapStarted: _map_started,
    r.MapRunStarted: _map_run_started,
    r.MapRunRedriven: _map_run_redriven,
    r.MapRunSucceeded: _map_run_succeeded,
    r.MapRunFailed: _map_run_failed,
    r.BranchStarted: _branch_started,
    r.BranchSucceeded: _branch_succeeded,
    r.BranchFailed: _branch_failed,
    r.BranchAborted: _branch_aborted,
    r.ForkSucceeded: _fork_succeeded,
    r.ForkFailed: _fork_failed,
    r.ExecutionRetired: _execution_retired,
    r.ExecutionOwned: _execution_owned,
    r.ExecutionSucceeded: _execution_succeeded,
    r.ExecutionFailed: _execution_ended("FAILED"),
    r.ExecutionAborted: _execution_ended("ABORTED"),
    r.ExecutionTimedOut: _execution_ended("TIMED_OUT"),
    r.ExecutionRedriven: _execution_redriven,
    r.BranchRedriven: _branch_redriven,
}

_EVOLVE: Final = {
    kind: (take, None if kind in _OF_BRANCHES else kind not in HIDDEN) for kind, take in _TAKE.items()
}
"""How each record is taken in, and whether AWS shows it; None: of a Map only."""
