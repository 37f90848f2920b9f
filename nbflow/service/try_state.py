"""TestState: one state, run by itself on the pure machine, with a scripted result or error in place of its work.

The state is entered as the machine enters it, in a frame made for it; nothing is recorded. What the mock gives is
taken for the result of its task, of its branches or iterations, or for their error. Retry and Catch are asked once, and
the answer is what they would do: nothing waits.

A Task without a mock is really done, by an Express execution of its own, if a function is bound to it.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from nbflow.language import model
from nbflow.language.paths import compact
from nbflow.language.validate import DefinitionError, all_states, parse
from nbflow.language.values import Failure, Json, Scope
from nbflow.machine import flow, records, retries
from nbflow.machine.context import context_object
from nbflow.machine.evolve import ROOT
from nbflow.machine.run import Frame, Run
from nbflow.machine.states import ENTER, leave_wait
from nbflow.machine.turn import Done, Failed, Turn
from nbflow.service import inspection
from nbflow.service.arns import ACCOUNT, REGION, machine_arn
from nbflow.service.definitions import in_aws_words
from nbflow.service.desk import Desk
from nbflow.service.errors import ApiError
from nbflow.service.express import LONGEST_EXPRESS, run_task
from nbflow.service.mock_context import check_context
from nbflow.service.mock_results import check_mock, mocked_result, refuse
from nbflow.service.parameters import check_input, read_json, without_none

NAME: Final = "StateName"
"""What AWS calls the state under test, whatever its name is."""

_NOTHING: Final[Mapping[str, Json]] = {}


class Subject(NamedTuple):
    """The state under test, where it stands."""

    machine: model.StateMachine
    branch: model.Branch
    name: str

    @property
    def state(self) -> model.AnyState:
        return self.branch.states[self.name]


@dataclass(slots=True)
class Trial(Turn):
    """A turn whose context object is the one that the caller gives, or one that calls the state StateName."""

    context: dict[str, Json] | None = field(default=None)

    def scope(
        self,
        frame: Frame,
        input: Json,
        extras: Mapping[str, Json] = _NOTHING,
        item: tuple[int, Json] | None = None,
    ) -> Scope:
        token = self.token

        def context() -> Mapping[str, Json]:
            if self.context is not None:
                return self.context
            made = context_object(self.run, frame, item, token)
            return made | {"State": made["State"] | {"Name": NAME}}

        return Scope(input, context, frame.variables, self.now, self.chance, extras)


def try_state(
    desk: Desk,
    definition: str,
    *,
    role_arn: str | None = None,
    input: str = "{}",
    inspection_level: str = "INFO",
    reveal_secrets: bool = False,
    variables: str | None = None,
    state_name: str | None = None,
    mock: dict[str, Json] | None = None,
    context: str | None = None,
    state_configuration: dict[str, Json] | None = None,
) -> dict[str, Json]:
    """AWS, TestState. Raises ApiError InvalidDefinition, InvalidExecutionInput or ValidationException."""
    subject = _subject(definition, state_name)
    state = subject.state
    if mock is not None and reveal_secrets:
        raise refuse("TestState does not support RevealSecrets when a mock is specified.")
    check_mock(state, mock)
    if context is not None and mock is None:
        raise refuse("A Context object can only be specified when a mock is specified.")
    given = None if context is None else check_context(context, state)
    data, bound = check_input(input), _object(variables, "variables")
    config = state_configuration or {}
    turn = _turn(desk, subject, data, bound, role_arn, given)
    frame = turn.run.frames[ROOT]
    outcome = _outcome(desk, turn, frame, state, mock, config)
    answer, assigned = _answer(turn, frame, state, outcome, config)
    if inspection_level == "INFO":
        answer.pop("errorDetails", None)
        return without_none(answer)
    seen = inspection.inspect(turn, frame, state, config)
    if isinstance(outcome, Done):
        seen |= inspection.results(turn, frame, state)
    known = {**bound, **assigned}
    seen["variables"] = compact(known) if known else None
    seen["errorDetails"] = answer.pop("errorDetails", None)
    return without_none({**answer, "inspectionData": without_none(seen)})


def _object(text: str | None, member: str) -> dict[str, Json]:
    value, wrong = ({}, None) if text is None else read_json(text)
    if wrong is not None or not isinstance(value, dict):
        raise refuse(f"Invalid {member}: {wrong or 'it must be a JSON object'}")
    return value


# --- the state


def _subject(definition: str, state_name: str | None) -> Subject:
    """The state that a definition is, or that it has under this name at any depth.

    Raises ApiError InvalidDefinition, or ValidationException if there is no such state.
    """
    if state_name is None:
        machine = _parsed(_wrapped(definition))
        return Subject(machine, machine, NAME)
    machine = _parsed(definition)
    scopes: list[model.Branch] = [machine]
    for _, state in all_states(machine):
        scopes += [state.item_processor] if isinstance(state, model.Map) else []
        scopes += state.branches if isinstance(state, model.Parallel) else []
    for scope in scopes:
        if state_name in scope.states:
            return Subject(machine, scope, state_name)
    raise refuse("State not found in definition")


def _parsed(definition: str) -> model.StateMachine:
    try:
        return parse(definition)
    except DefinitionError as wrong:
        raise ApiError("InvalidDefinition", in_aws_words(wrong.diagnostics)) from wrong


def _wrapped(definition: str) -> str:
    """A machine around a single state, in which whatever it points to is there."""
    state, wrong = read_json(definition)
    if wrong is not None or not isinstance(state, dict):
        return definition  # the parser says what is wrong with it
    others = {target: {"Type": "Succeed"} for target in _targets(state) if target != NAME}
    return json.dumps({"StartAt": NAME, "States": {NAME: state, **others}})


def _targets(state: dict[str, Json]) -> set[str]:
    """The names of the states that a state can go on to."""
    members: list[Any] = [state]
    for name in ("Choices", "Catch"):
        members += state[name] if isinstance(state.get(name), list) else []
    found = [state.get("Default"), *(each.get("Next") for each in members if isinstance(each, dict))]
    return {target for target in found if isinstance(target, str)}


def _turn(
    desk: Desk,
    subject: Subject,
    data: Json,
    variables: dict[str, Json],
    role: str | None,
    context: dict[str, Json] | None,
) -> Trial:
    """A turn in which the state has just been entered."""
    machine, name = str(uuid.uuid4()), str(uuid.uuid4())
    now = desk.engine.now()
    run = Run(subject.machine)
    turn = Trial(run, now, desk.engine.chance, context=context)
    members = {
        "Execution": {
            "Id": f"arn:aws:states:{REGION}:{ACCOUNT}:express:{machine}:{name}",
            "Name": name,
            "RoleArn": role,
        },
        "StateMachine": {"Id": machine_arn(machine), "Name": machine},
        "Express": True,
    }
    turn.emit(records.ExecutionStarted(now, data, members))
    run.frames[ROOT].branch, run.frames[ROOT].state = subject.branch, subject.name
    run.frames[ROOT].variables = variables
    turn.emit(records.StateEntered(now, ROOT, subject.name))
    return turn


# --- its work


def _outcome(
    desk: Desk,
    turn: Trial,
    frame: Frame,
    state: model.AnyState,
    mock: dict[str, Json] | None,
    config: Mapping[str, Json],
) -> Done | Failed | Failure:
    """How the state is left, or why it fails, before Retry and Catch."""
    if isinstance(state, model.Map):
        failure = _iterations(turn, frame, state, mock or {}, config)
        return failure or _worked(turn, frame, state, mock or {})
    entered = ENTER[type(state)](turn, frame, state)
    if entered is None and isinstance(state, model.Wait):
        if frame.due is not None and frame.due - turn.now > LONGEST_EXPRESS:
            return Failed("States.Timeout", None)
        entered = leave_wait(turn, frame, state)  # nobody has to wait for the answer
    if entered is None and isinstance(state, model.Task) and mock is None:
        end = run_task(desk, state.resource, frame.arguments)
        if end.output is None:
            return Failed(end.error, end.cause)
        return _left(turn, frame, state, json.loads(end.output))
    if entered is None:
        assert isinstance(state, model.Work)
        return _worked(turn, frame, state, mock or {})
    return entered


def _worked(
    turn: Trial, frame: Frame, state: model.Work, mock: Mapping[str, Json]
) -> Done | Failed | Failure:
    if "errorOutput" in mock:
        return Failed(mock["errorOutput"].get("error"), mock["errorOutput"].get("cause"))
    return _left(turn, frame, state, mocked_result(mock))


def _left(turn: Trial, frame: Frame, state: model.Work, result: Json) -> Done | Failure:
    frame.result = result
    return flow.leave_work(turn, frame, state, result)


def _iterations(
    turn: Trial, frame: Frame, state: model.Map, mock: Mapping[str, Json], config: Mapping[str, Json]
) -> Failed | Failure | None:
    """What is wrong with the items of a Map, or with how many of its iterations are said to have failed."""
    if state.item_reader is None:
        entered = ENTER[model.Map](turn, frame, state)
        assert not isinstance(entered, Done)
        if entered is not None:
            return entered
    total = len(inspection.items(frame, state, config))
    count = flow.number(turn, frame, state, "ToleratedFailureCount")
    share = flow.number(turn, frame, state, "ToleratedFailurePercentage")
    for each in (count, share):
        if isinstance(each, Failure):
            return each
    failed = config.get("mapIterationFailureCount", 0)
    # Without a threshold AWS takes any number of failures for tolerated, unlike in an execution.
    exceeded = (isinstance(count, int | float) and failed > count) or (
        isinstance(share, int | float) and failed * 100 > share * total
    )
    if exceeded and "errorOutput" not in mock:
        cause = "The specified tolerated failure threshold was exceeded"
        return Failed("States.ExceedToleratedFailureThreshold", cause)
    return None


# --- Retry, Catch, and the answer


def _answer(
    turn: Trial,
    frame: Frame,
    state: model.AnyState,
    outcome: Done | Failed | Failure,
    config: Mapping[str, Json],
) -> tuple[dict[str, Json], dict[str, Json]]:
    """The members of the answer apart from inspectionData, with errorDetails; and the variables that were assigned."""
    if isinstance(outcome, Done):
        succeeded = {"status": "SUCCEEDED", "output": compact(outcome.output), "nextState": outcome.next}
        return succeeded, outcome.assigned or {}
    failed = _failed(outcome)
    answer: dict[str, Json] = {"status": "FAILED", "error": failed.error, "cause": failed.cause}
    if not isinstance(state, model.Work):
        return answer, {}
    details: dict[str, Json] = {}
    used: int = config.get("retrierRetryCount", 0)
    for index, retrier in enumerate(state.retry):
        if retries.matches(retrier.error_equals, failed.error):
            details["retryIndex"] = index
            break
    again = retries.retry(
        state.retry, failed.error, dict.fromkeys(range(len(state.retry)), used), turn.chance
    )
    if again is not None:
        seconds = again[1]
        details["retryBackoffIntervalSeconds"] = int(seconds) if seconds == int(seconds) else seconds
        return answer | {"status": "RETRIABLE", "errorDetails": details}, {}
    catcher = retries.catcher(state.catch, failed.error)
    left = None if catcher is None else flow.leave_caught(turn, frame, catcher, failed)
    if isinstance(left, Failure):
        wrong = _failed(left)
        answer |= {"error": wrong.error, "cause": wrong.cause}
    elif left is not None and catcher is not None:
        details["catchIndex"] = state.catch.index(catcher)
        caught = {"status": "CAUGHT_ERROR", "output": compact(left.output), "nextState": left.next}
        return answer | caught | {"errorDetails": details}, left.assigned or {}
    return answer | ({"errorDetails": details} if details else {}), {}


def _failed(outcome: Failed | Failure) -> Failed:
    """An expression's failure in the words of an execution's cause: the state was entered by the second event."""
    if isinstance(outcome, Failed):
        return outcome
    where = f"An error occurred while executing the state '{NAME}' (entered at the event id #2)."
    return Failed(outcome.error, f"{where} {outcome.cause or ''}".rstrip())
