"""Definitions that Hypothesis draws: every state type, in each other, with what can be said of errors, times and data."""

from collections.abc import Callable
from typing import Final, TypeAlias

from hypothesis import strategies as st

from nbflow.language.values import Json
from tests.machine.driver import ACTIVITY, CALLBACK, SYNC, TASK

Draw: TypeAlias = Callable[..., Json]

_FORKS: Final = ("Map", "Parallel")
_LEAVES: Final = ("Task", "Task", "Pass", "Wait", "Choice", "Loop")
_DISTRIBUTED: Final[Json] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}


@st.composite
def machines(draw: Draw) -> dict[str, Json]:
    """A definition whose executions end, if every task ends or has a timeout."""
    drawn = _scope(draw, 2, "s")
    if draw(st.sampled_from([False, False, False, True])):
        drawn["TimeoutSeconds"] = draw(st.integers(1, 60))
    return drawn


def _scope(draw: Draw, depth: int, prefix: str) -> dict[str, Json]:
    """``{"StartAt", "States"}``: a few states in a row, with what they need beside them."""
    kinds = draw(st.lists(st.sampled_from(_LEAVES + (_FORKS * depth)), min_size=max(1, depth), max_size=4))
    names = [f"{prefix}{index}" for index in range(len(kinds))]
    states: dict[str, Json] = {}
    for kind, name, next in zip(kinds, names, [*names[1:], f"{prefix}end"], strict=True):
        if kind == "Loop":
            _loop(draw, states, name, next)
        elif kind == "Choice":
            states[name] = _choice(draw, next, f"{prefix}end")
        else:
            states[name] = {**_STATES[kind](draw, depth, name), "Next": next}
            if kind in ("Task", *_FORKS):
                _errors(draw, states, name, prefix)
    states[f"{prefix}end"] = {"Type": draw(st.sampled_from(["Succeed", "Succeed", "Succeed", "Fail"]))}
    return {"StartAt": names[0], "States": states}


def _loop(draw: Draw, states: dict[str, Json], name: str, next: str) -> None:
    """A Pass that counts, a task, and a Choice that goes back."""
    count, body, again = f"c_{name}", f"{name}_body", f"{name}_again"
    task = _task(draw, 0, body)
    if task.pop("Parameters", None) is not None:
        task["Arguments"] = {"token": "{% $states.context.Task.Token %}"}
    more = {count: f"{{% ${count} + 1 %}}"}
    states[name] = {"Type": "Pass", "Assign": {count: 0}, "Next": body}
    states[body] = {**task, "QueryLanguage": "JSONata", "Assign": more, "Next": again}
    back = {"Variable": f"${count}", "NumericLessThan": draw(st.integers(1, 3)), "Next": body}
    states[again] = {"Type": "Choice", "Choices": [back], "Default": next}


def _choice(draw: Draw, next: str, end: str) -> Json:
    rule = draw(
        st.sampled_from([{"Variable": "$", "IsPresent": True}, {"Variable": "$.state", "IsPresent": True}])
    )
    return {
        "Type": "Choice",
        "Choices": [{**rule, "Next": next}],
        "Default": draw(st.sampled_from([next, end])),
    }


def _errors(draw: Draw, states: dict[str, Json], name: str, prefix: str) -> None:
    """Perhaps Retry, perhaps Catch."""
    state = states[name]
    if draw(st.booleans()):
        state["Retry"] = [
            {
                "ErrorEquals": [draw(st.sampled_from(["States.ALL", "Boom", "States.Timeout"]))],
                "MaxAttempts": draw(st.integers(0, 3)),
                "IntervalSeconds": draw(st.integers(1, 4)),
                "JitterStrategy": draw(st.sampled_from(["FULL", "NONE"])),
            }
        ]
    if draw(st.booleans()):
        errors = [draw(st.sampled_from(["States.ALL", "Boom", "States.HeartbeatTimeout"]))]
        state["Catch"] = [{"ErrorEquals": errors, "Next": f"{prefix}caught"}]
        states.setdefault(f"{prefix}caught", {"Type": "Pass", "End": True})


def _pass(draw: Draw, depth: int, name: str) -> dict[str, Json]:
    fields: list[dict[str, Json]] = [
        {"Assign": {f"v_{name}.$": "$"}},
        {"Assign": {f"v_{name}.$": "States.UUID()"}},
        {"Parameters": {"n.$": "$$.State.Name", "id.$": "States.UUID()", "in.$": "$"}},
        {
            "QueryLanguage": "JSONata",
            "Assign": {f"v_{name}": "{% $random() %}"},
            "Output": "{% $states.input %}",
        },
        {"ResultPath": None, "Result": 1},
        {"InputPath": "$.state"},  # which is not always there
    ]
    return {"Type": "Pass", **draw(st.sampled_from(fields))}


def _task(draw: Draw, depth: int, name: str) -> dict[str, Json]:
    resource = draw(st.sampled_from([TASK, TASK, ACTIVITY, CALLBACK, SYNC]))
    state: dict[str, Json] = {"Type": "Task", "Resource": resource}
    if resource == CALLBACK:
        state["Parameters"] = {"token.$": "$$.Task.Token"}
    if draw(st.booleans()):
        state["TimeoutSeconds"] = draw(st.integers(2, 5))
    if resource != TASK and draw(st.booleans()):
        state["HeartbeatSeconds"] = 1
    return state


def _wait(draw: Draw, depth: int, name: str) -> dict[str, Json]:
    return {"Type": "Wait", "Seconds": draw(st.integers(0, 9))}


def _map(draw: Draw, depth: int, name: str) -> dict[str, Json]:
    state: dict[str, Json] = {
        "Type": "Map",
        "QueryLanguage": "JSONata",
        "Items": list(range(draw(st.sampled_from([0, 1, 2, 3, 8])))),
        "MaxConcurrency": draw(st.integers(0, 3)),
        "ItemProcessor": _scope(draw, depth - 1, f"{name}_"),
    }
    if draw(st.booleans()):
        state["ItemSelector"] = {"index": "{% $states.context.Map.Item.Index %}", "r": "{% $random() %}"}
    if draw(st.sampled_from([False, False, True])):
        state["ItemProcessor"]["ProcessorConfig"] = _DISTRIBUTED
        state["ToleratedFailureCount"] = draw(st.sampled_from([0, 1, 30]))
    return state


def _parallel(draw: Draw, depth: int, name: str) -> dict[str, Json]:
    count = draw(st.integers(1, 3))
    return {"Type": "Parallel", "Branches": [_scope(draw, depth - 1, f"{name}_{b}_") for b in range(count)]}


_STATES: Final[dict[str, Callable[[Draw, int, str], dict[str, Json]]]] = {
    "Pass": _pass,
    "Task": _task,
    "Wait": _wait,
    "Map": _map,
    "Parallel": _parallel,
}
