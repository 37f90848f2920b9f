"""The definitions that are run, and what must come of each.

A sample whose execution can only end in one way says its output; so a result that is lost or counted twice is seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from nbflow.language.values import Json
from nbflow.service.arns import activity_arn, machine_arn

LAMBDA: Final = "arn:aws:lambda:us-east-1:000000000000:function:"
ACTIVITY: Final = "chaos"
_ITEMS: Final = 6

Treatment = Literal["", "redrive", "stop"]
"""What the driver does to an execution beside starting it."""


@dataclass(frozen=True)
class Sample:
    """A machine, and what comes of an execution of it."""

    definition: Json
    status: str = "SUCCEEDED"
    output: Json = None
    treatment: Treatment = ""
    answered: bool = False
    """The output is what somebody answered by a token: ``[execution's name, who]``."""


def given(key: str, **more: Json) -> dict[str, Json]:
    """The Parameters of a task: by ``key`` and what follows it in ``attempt``, each attempt has a name of its own."""
    retry = "States.Format('{}/{}/{}', $$.State.Name, $$.State.RetryCount, $$.Execution.RedriveCount)"
    attempt = retry if not key else f"States.Format('{{}}#{{}}', {key}, {retry})"
    return {
        "folder.$": "$$.Execution.Input.folder",
        "execution.$": "$$.Execution.Name",
        "attempt.$": attempt,
        "retry.$": "$$.State.RetryCount",
        "redrives.$": "$$.Execution.RedriveCount",
        **more,
    }


PATIENT: Final[Json] = [
    {"ErrorEquals": ["States.ALL"], "MaxAttempts": 100, "IntervalSeconds": 1, "BackoffRate": 1}
]
"""A cluster whose workers are killed fails a task now and then, and a killed worker's heartbeat stays away."""


def task(function: str, key: str = "", *, retry: Json = PATIENT, **more: Json) -> dict[str, Json]:
    parameters = given(key, **more)
    return {
        "Type": "Task",
        "Resource": LAMBDA + function,
        "Parameters": parameters,
        "Retry": retry,
        "End": True,
    }


def then(state: dict[str, Json], next: str) -> dict[str, Json]:
    return {**{name: value for name, value in state.items() if name != "End"}, "Next": next}


def machine(**states: Json) -> Json:
    return {"StartAt": next(iter(states)), "States": states}


_INDEX: Final = "States.Format('{}', $$.Map.Item.Index)"
_SQUARES: Final = sum(number * number for number in range(_ITEMS))


def _map(*, seconds: float = 0.05, end: bool = False) -> dict[str, Json]:
    return {
        "Type": "Map",
        "ItemsPath": "$$.Execution.Input.items",
        "MaxConcurrency": 4,
        "ItemProcessor": machine(
            Square=task("square", _INDEX, **{"item.$": "$$.Map.Item.Value", "seconds": seconds})
        ),
        "End": True,
    }


def _map_run() -> dict[str, Json]:
    """Its children are executions of their own, each with an input that has the folder, too."""
    each = machine(Square=task("square", seconds=0.05, **{"item.$": "$.item"}))
    return {
        "Type": "Map",
        "ItemsPath": "$.items",
        "MaxConcurrency": 3,
        "ItemSelector": {"folder.$": "$$.Execution.Input.folder", "item.$": "$$.Map.Item.Value"},
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, **each},
        "End": True,
    }


def _waiting(resource: str, parameters: dict[str, Json], **more: Json) -> dict[str, Json]:
    state = {"Type": "Task", "Resource": resource, "Parameters": parameters, "Retry": PATIENT, "End": True}
    return {**state, **more}


def _activity() -> dict[str, Json]:
    return _waiting(activity_arn(ACTIVITY), given("", item=21), HeartbeatSeconds=6, TimeoutSeconds=120)


def _callback() -> dict[str, Json]:
    payload = given("", **{"token.$": "$$.Task.Token"})
    return _waiting(
        "arn:aws:states:::lambda:invoke.waitForTaskToken", {"FunctionName": "ask", "Payload": payload}
    )


def _child(pattern: str, machine: str = "mapped") -> dict[str, Json]:
    arguments = {"StateMachineArn": machine_arn(machine), "Input.$": "$$.Execution.Input"}
    return _waiting(f"arn:aws:states:::states:startExecution{pattern}", arguments)


SAMPLES: Final[Mapping[str, Sample]] = {
    "mapped": Sample(
        machine(Map=then(_map(), "Total"), Total=task("total", **{"numbers.$": "$"})), output=_SQUARES
    ),
    "parallel": Sample(
        machine(
            Parallel={
                "Type": "Parallel",
                "Branches": [
                    machine(
                        Wait={"Type": "Wait", "Seconds": 1, "Next": "After"},
                        After=task("square", item=3),
                    ),
                    machine(Flaky=task("flaky", item=4)),
                    machine(Alone={"Type": "Wait", "Seconds": 2, "Next": "Said"}, Said={"Type": "Pass", "Result": 0, "End": True}),
                ],
                "End": True,
            }
        ),
        output=[9, 5, 0],
    ),
    "distributed": Sample(
        machine(Map=then(_map_run(), "Total"), Total=task("total", **{"numbers.$": "$"})), output=_SQUARES
    ),
    "callback": Sample(machine(Ask=_callback()), answered=True),
    "activity": Sample(machine(Double=_activity()), output=42),
    "nested": Sample(
        machine(
            Go=then(_child(""), "Child"),
            Child={**_child(".sync:2"), "OutputPath": "$.Output"},
        ),
        output=_SQUARES,
    ),
    "caught": Sample(
        machine(
            Broken={
                **task("broken", retry=[{"ErrorEquals": ["ValueError"], "MaxAttempts": 1, "IntervalSeconds": 1}]),
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
            },
            Caught={"Type": "Pass", "Result": "caught", "End": True},
        ),
        output="caught",
    ),
    "redriven": Sample(
        machine(
            Before=then(task("square", item=2), "Mended"),
            Mended=task("mended", retry=[]),
        ),
        output="mended",
        treatment="redrive",
    ),
    "waiting": Sample(
        machine(Long={"Type": "Wait", "Seconds": 3600, "End": True}), status="ABORTED", treatment="stop"
    ),
    "stopped": Sample(
        machine(
            Parallel={
                "Type": "Parallel",
                "Branches": [
                    machine(Long={"Type": "Wait", "Seconds": 3600, "End": True}),
                    machine(Map=_map(seconds=0.5)),
                    machine(Double=_activity()),
                    machine(Child=_child(".sync", "waiting")),
                ],
                "End": True,
            }
        ),
        status="ABORTED",
        treatment="stop",
    ),
}  # fmt: skip
"""By the machine's name. Another kind of state is another entry here."""


def input_of(folder: str) -> dict[str, Any]:
    """The input of each execution."""
    return {"folder": folder, "items": list(range(_ITEMS))}
