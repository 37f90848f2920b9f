"""What each of the eight state types does when it is entered: one short function per type.

A handler answers :class:`Done` (leave by this output), :class:`Failed` or :class:`Failure` (an expression failed), or
None: the state waits for the world, and its handler has emitted the record that says for what.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final, TypeAlias

from nbflow.language import model
from nbflow.language.choice import choose, instant
from nbflow.language.integrations import integration, wrong_parameters
from nbflow.language.intrinsics import evaluate as call_intrinsic
from nbflow.language.intrinsics import is_call
from nbflow.language.jsonata import evaluate, is_expression, mismatch
from nbflow.language.paths import compact, read
from nbflow.language.payload import fill
from nbflow.language.values import ABSENT, Failure, Json
from nbflow.machine import distributed, flow, records, retries, tokens
from nbflow.machine.run import Frame
from nbflow.machine.turn import Done, Failed, Turn

Outcome: TypeAlias = Done | Failed | Failure | None

LONGEST_WAIT: Final = 99_999_999
"""Seconds: AWS's limit."""

MOST_BRANCHES: Final = 4000
"""Live iterations of an inline Map. AWS allows 40; here they are tasks on a cluster, and the more there are, the more
short ones travel together."""


def enter_pass(turn: Turn, frame: Frame, state: model.Pass) -> Outcome:
    if state.jsonata:
        return flow.leave_jsonata(turn, frame, state, frame.data, {})
    if state.result is not ABSENT:
        result = state.result
    else:
        result = flow.parameters(turn, frame, state, state.parameters)
        if isinstance(result, Failure):
            return result
    return flow.leave_with_result(turn, frame, state, state.result_path, result)


def enter_succeed(turn: Turn, frame: Frame, state: model.Succeed) -> Outcome:
    if state.jsonata:
        return flow.leave_by(turn, frame, state.output, state.assign, None, frame.data, {})
    data = flow.effective_input(turn, frame, state)
    if isinstance(data, Failure):
        return data
    return flow.leave_jsonpath(turn, frame, state, data, None, state.assign, seen=data)


def enter_fail(turn: Turn, frame: Frame, state: model.Fail) -> Outcome:
    texts: list[str | None] = []
    for name, literal, path in (
        ("Error", state.error, state.error_path),
        ("Cause", state.cause, state.cause_path),
    ):
        text: Json = literal
        scope = turn.scope(frame, frame.data)
        if path is not None:
            field = f"{name}Path"
            text = (call_intrinsic if is_call(path) else read)(path, scope, field=field)
        elif is_expression(literal):
            assert literal is not None
            text = evaluate(literal, scope, location=name)
        if isinstance(text, Failure):
            return text
        texts.append(text if text is None or isinstance(text, str) else compact(text))
    return Failed(*texts)


def enter_choice(turn: Turn, frame: Frame, state: model.Choice) -> Outcome:
    data = flow.effective_input(turn, frame, state)
    if isinstance(data, Failure):
        return data
    rule = choose(state, turn.scope(frame, data))
    if isinstance(rule, Failure):
        return rule
    if rule is None and state.default is None:
        cause = "Failed to transition out of the state. The state does not point to a next state."
        return Failure("States.NoChoiceMatched", cause)
    next, assign, output = (
        (state.default, state.assign, state.output)
        if rule is None
        else (rule["Next"], rule.get("Assign"), rule.get("Output", ABSENT))
    )
    if state.jsonata:
        return flow.leave_by(turn, frame, output, assign, next, frame.data, {})
    return flow.leave_jsonpath(turn, frame, state, data, next, assign, seen=data)


def enter_wait(turn: Turn, frame: Frame, state: model.Wait) -> Outcome:
    data = flow.effective_input(turn, frame, state)
    if isinstance(data, Failure):
        return data
    due = _wait_until(turn, frame, state, data)
    if isinstance(due, Failure):
        return due
    if due <= turn.now:
        return leave_wait(turn, frame, state)
    turn.emit(records.WaitStarted(turn.now, frame.id, due))
    return None


def leave_wait(turn: Turn, frame: Frame, state: model.Wait) -> Outcome:
    """The time has come."""
    if state.jsonata:
        return flow.leave_jsonata(turn, frame, state, frame.data, {})
    data = flow.effective_input(turn, frame, state)
    if isinstance(data, Failure):
        return data
    return flow.leave_jsonpath(turn, frame, state, data, state.next, state.assign, seen=data)


def _wait_until(turn: Turn, frame: Frame, state: model.Wait, data: Json) -> float | Failure:
    """When the Wait ends, from whichever of its four fields is there (ASL, "Wait state")."""
    name, given, path = (
        ("Seconds", state.seconds, state.seconds_path)
        if state.seconds is not None or state.seconds_path is not None
        else ("Timestamp", state.timestamp, state.timestamp_path)
    )
    error = "States.QueryEvaluationError" if state.jsonata else "States.Runtime"
    location = name if state.jsonata else None
    value: Json = given
    if path is not None:
        value = read(path, turn.scope(frame, data))
        if isinstance(value, Failure):
            return Failure(error, f"The {name}Path parameter does not reference an input value: {path}")
    elif is_expression(given):
        value = evaluate(str(given), turn.scope(frame, data), location=name)
        if isinstance(value, Failure):
            return value
    if name == "Seconds":
        seconds = _seconds(value)
        if seconds is None:
            what = f"{path} == {compact(value)}" if path else compact(value)
            subject = "SecondsPath parameter" if path else "Seconds field"
            return Failure(error, f"The {subject} cannot be parsed as a long value: {what}", location)
        return turn.now + seconds
    moment = instant(value)
    if moment is None:
        form = "ISO-8601 extended offset date-time format string"
        cause = (
            f"The TimestampPath parameter does not reference a valid {form}: {path} == {flow.as_text(value)}"
            if path
            else f"The Timestamp field cannot be parsed as an {form}: {flow.as_text(value)}"
        )
        return Failure(error, cause, location)
    second, nanoseconds = moment
    return second.timestamp() + nanoseconds / 1e9


def _seconds(value: Json) -> int | None:
    """A whole number of seconds to wait, however it is written, if it is one that AWS would accept."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_WAIT:
        return None
    return int(value) if value == int(value) else None


def enter_task(turn: Turn, frame: Frame, state: model.Task) -> Outcome:
    """Order an attempt. Also how a retry begins: Parameters are filled in anew, and see the new RetryCount."""
    named = integration(state.resource)
    if named.family == "Activity" and not turn.has_activity(state.resource):
        name = state.resource.rpartition(":")[2]
        return Failure(retries.TERMINAL, f"The activity {name} does not exist.")
    token = tokens.make(turn.chance) if named.has_token else None
    turn.token = token if named.pattern else None
    given = _task_fields(turn, frame, state)
    turn.token = None
    if isinstance(given, Failure):
        return given
    arguments, timeout, heartbeat, credentials = given
    if named.service and (wrong := wrong_parameters(state.resource, arguments)):
        unfit = f"The Parameters '{compact(arguments)}' could not be used to start the Task"
        return Failure(retries.TERMINAL, f"{unfit}: [{', '.join(wrong)}]")
    origin: records.Origin = "input" if arguments is frame.data else "value"
    kept = None if origin == "input" else arguments
    turn.emit(
        records.TaskScheduled(
            turn.now, frame.id, state.resource, kept, origin, timeout, heartbeat, credentials, token
        )
    )
    if named.family != "Activity":  # whose worker starts it
        turn.emit(records.TaskStarted(turn.now, frame.id))
    return None


def _task_fields(
    turn: Turn, frame: Frame, state: model.Task
) -> tuple[Json, int | None, int | None, Json] | Failure:
    """What the attempt is given: arguments, TimeoutSeconds, HeartbeatSeconds, credentials."""
    arguments = flow.arguments(turn, frame, state)
    if isinstance(arguments, Failure):
        return arguments
    if not state.is_timed and state.credentials is None:
        return arguments, None, None, None
    limits: list[int | None] = []
    for name in ("TimeoutSeconds", "HeartbeatSeconds"):
        limit = flow.number(turn, frame, state, name)
        if isinstance(limit, Failure):
            return limit
        limits.append(None if limit is None else int(limit))
    credentials = _credentials(turn, frame, state)
    if isinstance(credentials, Failure):
        return credentials
    return arguments, limits[0], limits[1], credentials


def _credentials(turn: Turn, frame: Frame, state: model.Task) -> Json | Failure:
    """The role to act in, as ``{"roleArn": …}``."""
    if state.credentials is None:
        return None
    scope = turn.scope(frame, frame.data)
    filled = fill(state.credentials, scope, jsonata=state.jsonata, field="Credentials")
    return filled if isinstance(filled, Failure) else {"roleArn": filled.get("RoleArn")}


def enter_parallel(turn: Turn, frame: Frame, state: model.Parallel) -> Outcome:
    payload = flow.arguments(turn, frame, state)
    if isinstance(payload, Failure):
        return payload
    return _fork(turn, frame, payload, total=len(state.branches), concurrency=len(state.branches))


def enter_map(turn: Turn, frame: Frame, state: model.Map) -> Outcome:
    items = [] if state.item_reader is not None else _items(turn, frame, state)
    if isinstance(items, Failure):
        return items
    if distributed.is_distributed(state):
        return distributed.enter(turn, frame, state, items)
    concurrency = flow.number(turn, frame, state, "MaxConcurrency")
    if isinstance(concurrency, Failure):
        return concurrency
    tolerated = _tolerated(turn, frame, state, len(items))
    if isinstance(tolerated, Failure):
        return tolerated
    limit = min(int(concurrency or MOST_BRANCHES), MOST_BRANCHES)
    return _fork(turn, frame, items, total=len(items), concurrency=limit, tolerated=tolerated)


def _fork(
    turn: Turn, frame: Frame, payload: Json, *, total: int, concurrency: int, tolerated: int = 0
) -> Outcome:
    origin: records.Origin = "input" if payload is frame.data else "value"
    kept = None if origin == "input" else payload
    turn.emit(records.ForkStarted(turn.now, frame.id, total, concurrency, kept, origin, tolerated))
    return None


def _items(turn: Turn, frame: Frame, state: model.Map) -> Json | Failure:
    """What to map over: Items (JSONata), or ItemsPath on the effective input. An array; in distributed mode, also an
    object (AWS guide, "ItemsPath").
    """
    kinds = (list, dict) if distributed.is_distributed(state) else (list,)
    data = flow.effective_input(turn, frame, state)
    if isinstance(data, Failure):
        return data
    if state.jsonata:
        items = data
        if state.items is not ABSENT:
            items = fill(state.items, turn.scope(frame, data), jsonata=True, field="Items")
            if isinstance(items, Failure):
                return items
        if isinstance(items, kinds):
            return items
        if is_expression(state.items):
            return mismatch(state.items, items, location="Items", expected="array")
        return Failure(
            "States.QueryEvaluationError", f"Map state input must be an array but was: {compact(items)}"
        )
    items = data if state.items_path == "$" else read(state.items_path, turn.scope(frame, data))
    if isinstance(items, (Failure, *kinds)):
        return items
    return Failure("States.Runtime", f'Reference path "{state.items_path}" must point to array.')


def _tolerated(turn: Turn, frame: Frame, state: model.Map, total: int) -> int | Failure:
    """How many iterations may fail: the smaller of the thresholds given (AWS, "Tolerated failure threshold")."""
    count = flow.number(turn, frame, state, "ToleratedFailureCount")
    if isinstance(count, Failure):
        return count
    share = flow.number(turn, frame, state, "ToleratedFailurePercentage")
    if isinstance(share, Failure):
        return share
    thresholds = [int(count)] if count is not None else []
    if share is not None:
        # Exactly: in floats, 18.4 % of 375 would be 68.
        thresholds.append(int(total * Fraction(str(share)) / 100))
    return min(thresholds, default=0)


def start_branch(turn: Turn, frame: Frame, state: model.Parallel | model.Map) -> Failure | None:
    """Start the next branch or iteration of the frame's fork."""
    fork = frame.fork
    assert fork is not None
    index = fork.spawned
    if isinstance(state, model.Parallel):
        turn.emit(records.BranchStarted(turn.now, frame.id, index, None, "input"))
        return None
    if state.item_selector is ABSENT:
        turn.emit(records.BranchStarted(turn.now, frame.id, index, None, "item"))
        return None
    data = flow.effective_input(turn, frame, state)
    if isinstance(data, Failure):
        return data
    scope = turn.scope(frame, data, item=(index, fork.payload[index]))
    selected = fill(state.item_selector, scope, jsonata=state.jsonata, field="ItemSelector")
    if isinstance(selected, Failure):
        return selected
    turn.emit(records.BranchStarted(turn.now, frame.id, index, selected))
    return None


ENTER: Final[dict[type[Any], Callable[[Turn, Frame, Any], Outcome]]] = {
    model.Pass: enter_pass,
    model.Task: enter_task,
    model.Choice: enter_choice,
    model.Wait: enter_wait,
    model.Succeed: enter_succeed,
    model.Fail: enter_fail,
    model.Parallel: enter_parallel,
    model.Map: enter_map,
}
