"""The history: a projection of the records into the events of GetExecutionHistory (AWS API, HistoryEvent).

The records are folded with the machine's own ``evolve``; each event is described from the state just before its record
is taken in. So an id, or an event that another one points back to, is computed in one place only.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

from nbflow.language import model
from nbflow.language.integrations import integration
from nbflow.language.paths import compact
from nbflow.language.values import Json
from nbflow.machine import records as r
from nbflow.machine.evolve import ROOT, evolve, forking, visible
from nbflow.machine.run import Run

Event: TypeAlias = dict[str, Json]
"""``{"timestamp": seconds, "type", "id", "previousEventId", "<type>EventDetails": {…}}``; payloads are JSON texts."""

Described: TypeAlias = tuple[str, dict[str, Json] | None]


def history(definition: model.StateMachine, records: Iterable[r.Record], after: int = 0) -> Iterator[Event]:
    """The events of an execution, in AWS's shapes; those with an id greater than ``after``."""
    run = Run(definition)
    for record in records:
        if run.last_event < after or not visible(run, record):
            evolve(run, record)
            continue
        previous = _previous(run, record)
        type_, details = _DESCRIBE[type(record)](run, record)
        evolve(run, record)
        event: Event = {
            "timestamp": record.at,
            "type": type_,
            "id": run.last_event,
            "previousEventId": previous,
        }
        if details is not None:
            event[_details_member(type_)] = {k: v for k, v in details.items() if v is not None}
        yield event


def _previous(run: Run, record: r.Record) -> int:
    """The event that this one points back to, as AWS counts it."""
    match record:
        case r.ExecutionStarted() | r.ExecutionAborted() | r.ExecutionTimedOut():
            return 0
        case r.ExecutionRedriven():
            return run.last_event
        case r.ExecutionSucceeded() | r.ExecutionFailed():
            return run.frames[ROOT].last if ROOT in run.frames else 0
        case r.BranchStarted(frame=id):
            fork = run.frames[id].fork
            assert fork is not None
            return fork.spawn_from
        case r.EvaluationFailed(frame=id):
            frame = run.frames[id]
            # Until something has happened in the state, AWS points to the event before it was entered.
            fresh = frame.last == frame.entered and not isinstance(frame.current, model.Wait)
            return frame.before if fresh else frame.last
        case r.TaskCancelled() | r.ExecutionRetired() | r.ExecutionOwned():  # never shown
            raise AssertionError(record)
        case _:
            return run.frames[record.frame].last


def _details_member(type_: str) -> str:
    for suffix in ("StateEntered", "StateExited"):
        if type_.endswith(suffix):
            type_ = suffix
    return f"{type_[0].lower()}{type_[1:]}EventDetails"


def _payload(member: str, value: Json) -> dict[str, Json]:
    return {member: compact(value), f"{member}Details": {"truncated": False}}


def _resolve(run: Run, frame: int, value: Json, origin: r.Origin) -> Json:
    if origin == "value":
        return value
    return run.frames[frame].data if origin == "input" else run.frames[frame].result


def _execution_started(run: Run, record: r.ExecutionStarted) -> Described:
    role = record.context.get("Execution", {}).get("RoleArn")
    return "ExecutionStarted", {**_payload("input", record.input), "roleArn": role}


def _execution_succeeded(run: Run, record: r.ExecutionSucceeded) -> Described:
    return "ExecutionSucceeded", _payload("output", run.frames[ROOT].data)


def _ended(run: Run, record: r.ExecutionFailed | r.ExecutionAborted | r.ExecutionTimedOut) -> Described:
    return type(record).__name__, {"error": record.error, "cause": record.cause}


def _redriven(run: Run, record: r.ExecutionRedriven) -> Described:
    return "ExecutionRedriven", {"redriveCount": run.redrives + 1}


def _state_entered(run: Run, record: r.StateEntered) -> Described:
    frame = run.frames[record.frame]
    return f"{frame.current.type}StateEntered", {"name": record.name, **_payload("input", frame.data)}


def _state_exited(run: Run, record: r.StateExited) -> Described:
    frame = run.frames[record.frame]
    details = {
        "name": record.name,
        **_payload("output", _resolve(run, record.frame, record.output, record.origin)),
    }
    if record.assigned:
        details["assignedVariables"] = {name: compact(value) for name, value in record.assigned.items()}
        details["assignedVariablesDetails"] = {"truncated": False}
    return f"{frame.current.type}StateExited", details


def _service(resource: str) -> dict[str, Json]:
    """``arn:aws:states:::sqs:sendMessage.sync`` → resourceType sqs, resource sendMessage.sync."""
    named = integration(resource)
    return {"resourceType": named.service, "resource": named.action} if named.family == "Task" else {}


def _task_scheduled(run: Run, record: r.TaskScheduled) -> Described:
    kind = integration(record.resource).family
    arguments = _resolve(run, record.frame, record.arguments, record.origin)
    limits: dict[str, Json] = {
        "timeoutInSeconds": record.timeout,
        "heartbeatInSeconds": record.heartbeat,
        "taskCredentials": record.credentials,
    }
    if kind == "Task":
        region = record.resource.split(":")[3] or "us-east-1"
        service = _service(record.resource)
        return "TaskScheduled", {**service, "region": region, "parameters": compact(arguments), **limits}
    if kind == "LambdaFunction":
        del limits["heartbeatInSeconds"]
    return f"{kind}Scheduled", {"resource": record.resource, **_payload("input", arguments), **limits}


def _task_started(run: Run, record: r.TaskStarted) -> Described:
    resource = run.frames[record.frame].resource
    worker: dict[str, Json] = {} if record.worker is None else {"workerName": record.worker}
    return f"{integration(resource).family}Started", {**_service(resource), **worker} or None


def _task_submitted(run: Run, record: r.TaskSubmitted) -> Described:
    resource = run.frames[record.frame].resource
    return "TaskSubmitted", {**_service(resource), **_payload("output", record.output)}


def _task_succeeded(run: Run, record: r.TaskSucceeded) -> Described:
    resource = run.frames[record.frame].resource
    return f"{integration(resource).family}Succeeded", {
        **_service(resource),
        **_payload("output", record.output),
    }


def _task_ended(run: Run, record: r.TaskFailed | r.TaskTimedOut) -> Described:
    resource = run.frames[record.frame].resource
    outcome = type(record).__name__.removeprefix("Task")
    details = {**_service(resource), "error": record.error, "cause": record.cause}
    return f"{integration(resource).family}{outcome}", details


def _evaluation_failed(run: Run, record: r.EvaluationFailed) -> Described:
    state = run.frames[record.frame].state
    return "EvaluationFailed", {
        "error": record.error,
        "cause": record.cause,
        "location": record.location,
        "state": state,
    }


def _fork(run: Run, record: r.ForkStarted | r.ForkSucceeded | r.ForkFailed) -> Described:
    state = run.frames[record.frame].current
    outcome = type(record).__name__.removeprefix("Fork")
    of_map = isinstance(record, r.ForkStarted) and isinstance(state, model.Map)
    return f"{state.type}State{outcome}", {"length": record.total} if of_map else None  # type: ignore[union-attr]


def _map_started(run: Run, record: r.MapStarted) -> Described:
    return "MapStateStarted", {"length": record.length}


def _map_run(
    run: Run, record: r.MapRunStarted | r.MapRunRedriven | r.MapRunSucceeded | r.MapRunFailed
) -> Described:
    if isinstance(record, r.MapRunSucceeded):
        return "MapRunSucceeded", None
    if isinstance(record, r.MapRunFailed):
        return "MapRunFailed", {"error": record.error, "cause": record.cause}
    if isinstance(record, r.MapRunRedriven):
        count = run.frames[record.frame].map_redrives + 1
        return "MapRunRedriven", {"mapRunArn": record.arn, "redriveCount": count}
    return "MapRunStarted", {"mapRunArn": record.arn}


def _iteration(
    run: Run, record: r.BranchStarted | r.BranchSucceeded | r.BranchFailed | r.BranchAborted
) -> Described:
    index = record.index if isinstance(record, r.BranchStarted) else run.frames[record.frame].index
    outcome = type(record).__name__.removeprefix("Branch")
    return f"MapIteration{outcome}", {"name": forking(run, record).state, "index": index}


_DESCRIBE: Final[dict[type[Any], Callable[[Run, Any], Described]]] = {
    r.ExecutionStarted: _execution_started,
    r.ExecutionSucceeded: _execution_succeeded,
    r.ExecutionFailed: _ended,
    r.ExecutionAborted: _ended,
    r.ExecutionTimedOut: _ended,
    r.ExecutionRedriven: _redriven,
    r.StateEntered: _state_entered,
    r.StateExited: _state_exited,
    r.TaskScheduled: _task_scheduled,
    r.TaskStarted: _task_started,
    r.TaskSubmitted: _task_submitted,
    r.TaskSucceeded: _task_succeeded,
    r.TaskFailed: _task_ended,
    r.TaskTimedOut: _task_ended,
    r.EvaluationFailed: _evaluation_failed,
    r.ForkStarted: _fork,
    r.ForkSucceeded: _fork,
    r.ForkFailed: _fork,
    r.MapStarted: _map_started,
    r.MapRunStarted: _map_run,
    r.MapRunRedriven: _map_run,
    r.MapRunSucceeded: _map_run,
    r.MapRunFailed: _map_run,
    r.BranchStarted: _iteration,
    r.BranchSucceeded: _iteration,
    r.BranchFailed: _iteration,
    r.BranchAborted: _iteration,
}
