"""The Context object that TestState may be given: which members it can have, and of which kind."""

from collections.abc import Iterator
from typing import Final

from nbflow.language import model
from nbflow.language.integrations import integration
from nbflow.language.values import Json
from nbflow.service.errors import ApiError
from nbflow.service.parameters import read_json

_MEMBERS: Final[dict[str, dict[str, tuple[str, type | tuple[type, ...]] | None]]] = {
    "Execution": {
        "Id": ("a string", str),
        "Input": None,
        "Name": ("a string", str),
        "RedriveCount": ("a number", (int, float)),
        "RedriveTime": ("a string", str),
        "RoleArn": ("a string", str),
        "StartTime": ("a string", str),
    },
    "State": {
        "EnteredTime": ("a string", str),
        "Name": ("a string", str),
        "RetryCount": ("a number", (int, float)),
    },
    "StateMachine": {"Id": ("a string", str), "Name": ("a string", str)},
    "Task": {"Token": ("a string", str)},
}
"""AWS guide, "Context object": its members, and what AWS calls their values; None: any value."""


def check_context(text: str, state: model.AnyState) -> dict[str, Json]:
    """The Context object. Raises ApiError ValidationException if the state cannot have it."""
    context, unreadable = read_json(text)
    if unreadable is not None or not isinstance(context, dict):
        raise _invalid(unreadable or "Context object must be a JSON object")
    for wrong in _mistakes(context, state):
        raise _invalid(wrong)
    return context


def _invalid(wrong: str) -> ApiError:
    return ApiError("ValidationException", f"Invalid Context object provided: {wrong}")


def _mistakes(context: dict[str, Json], state: model.AnyState) -> Iterator[str]:
    for name, value in context.items():
        if name == "Map":
            yield "'Map' field is not supported when mocking a Context object"
        elif name not in _MEMBERS:
            yield f"Field '{name}' is not allowed"
        elif not isinstance(value, dict):
            yield f"{name} must be an object"
        else:
            yield from _members(name, value)
    if "Task" in context and not (isinstance(state, model.Task) and integration(state.resource).pattern):
        yield (
            "Context object contains 'Task' when state is not a Task state with a '.sync' or '.waitForTaskToken' "
            "service integration pattern"
        )


def _members(name: str, value: dict[str, Json]) -> Iterator[str]:
    known = _MEMBERS[name]
    for member, each in value.items():
        kind = known.get(member)
        if member not in known:
            yield f"Field '{member}' is not allowed"
        elif kind is not None and (not isinstance(each, kind[1]) or isinstance(each, bool)):
            yield f"{name}.{member} must be {kind[0]}"
