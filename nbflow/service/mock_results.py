"""What TestState checks of a mock: whether the state can have one, and whether the result looks like the service's own.

The models of the services are those that botocore ships. A Task's result has the members of the operation's output,
their names with a capital letter, as Step Functions passes them on.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from botocore.exceptions import UnknownServiceError

from nbflow.language import model
from nbflow.language.integrations import integration
from nbflow.language.values import Json
from nbflow.service.errors import ApiError
from nbflow.service.parameters import read_json
from nbflow.service.validation import service_model


def refuse(message: str) -> ApiError:
    """TestState's error for a request that does not hold together."""
    return ApiError("ValidationException", message)


def check_mock(state: model.AnyState, mock: Mapping[str, Json] | None) -> None:
    """Raises ApiError ValidationException if the state needs a mock, or cannot have this one."""
    if mock is None:
        if isinstance(state, model.Map | model.Parallel):
            raise refuse(f"State type '{state.type}' is only supported when a mock is specified")
        if isinstance(state, model.Task) and integration(state.resource).has_token:
            raise refuse(f"Resource '{state.resource}' is only supported when a mock is specified")
        return
    if len(mock.keys() & {"result", "errorOutput"}) != 1:
        raise refuse("A test mock should have only one of the following fields: [result, errorOutput].")
    if "errorOutput" in mock and not mock["errorOutput"].get("error"):
        raise refuse("The field error is required in the errorOutput of a test mock.")
    if not isinstance(state, model.Work):
        raise refuse(f"State type '{state.type}' is not supported when a mock is specified")
    if "result" in mock:
        _check_result(state, mocked_result(mock), mock.get("fieldValidationMode", "STRICT"))


def mocked_result(mock: Mapping[str, Json]) -> Json:
    """The value of ``mock.result``. Raises ApiError ValidationException if it is no JSON text."""
    value, wrong = read_json(mock["result"])
    if wrong is not None:
        raise refuse(f"Mocked result must be valid JSON: {wrong}")
    return value


def _check_result(state: model.Work, result: Json, mode: str) -> None:
    match state:
        case model.Map(result_writer=None) if not isinstance(result, list):
            raise refuse("Mocked result must be an array.")
        case model.Parallel() if not isinstance(result, list):
            raise refuse("Mocked result must be an array.")
        case model.Parallel(branches=branches) if len(result) != len(branches):
            raise refuse(
                "Mocked result must contain the same number of items as number of Parallel branches."
            )
        case model.Task() if mode != "NONE":
            for wrong in _mismatches(state.resource, result, strict=mode == "STRICT"):
                raise refuse(f"Mock result schema validation error: {wrong}")


# --- the result of a service against the service's model

_BOTOCORE: Final = {
    "states": "stepfunctions",
    "sfn": "stepfunctions",
    "eventbridge": "events",
    "cloudwatchlogs": "logs",
    "elasticmapreduce": "emr",
    "cognitoidentityprovider": "cognito-idp",
}
"""Services that are called otherwise in a Resource than in botocore."""

_ANYTHING: Final = frozenset({("lambda", "Invoke", "Payload")})
"""Members that Step Functions decodes: they may be any JSON value."""


def _mismatches(resource: str, result: Json, *, strict: bool) -> Iterator[str]:
    """What in the result is not as the called operation answers; nothing, if the operation is not known."""
    parts = resource.split(":")
    if parts[1:5] != ["aws", "states", "", ""] or integration(resource).pattern or len(parts) < 7:
        return
    service, action = parts[-2], parts[-1]
    service = _BOTOCORE.get(service, service)
    try:
        api = service_model(service)
    except UnknownServiceError:
        return
    operation = next((name for name in api["operations"] if name.lower() == action.lower()), None)
    output = api["operations"].get(operation, {}).get("output")
    if output is None:
        return
    free = {member for of, by, member in _ANYTHING if (of, by) == (service, operation)}
    yield from _structure(api["shapes"], output["shape"], result, strict, free)


def _structure(
    shapes: Mapping[str, Any], name: str, value: Json, strict: bool, free: set[str]
) -> Iterator[str]:
    shape = shapes[name]
    members = {member[0].upper() + member[1:]: each["shape"] for member, each in shape["members"].items()}
    if not isinstance(value, dict):
        yield "Mocked result must be an object"
        return
    for member in shape.get("required", ()) if strict else ():
        field = member[0].upper() + member[1:]
        if field not in value:
            yield f"Required field '{field}' is missing"
    for field, each in value.items():
        if field in members and field not in free and each is not None:
            yield from _value(shapes, members[field], each, strict, field)


_KINDS: Final[dict[str, tuple[str, type | tuple[type, ...]]]] = {
    **dict.fromkeys(("string", "timestamp", "blob", "character"), ("a string", str)),
    **dict.fromkeys(
        ("integer", "long", "float", "double", "short", "byte", "bigdecimal", "biginteger"),
        ("a number", (int, float)),
    ),
    "boolean": ("a boolean", bool),
    "list": ("an array", list),
    "map": ("an object", dict),
    "structure": ("an object", dict),
}
"""The kinds of shapes: what AWS calls their values, and what JSON values they are."""


def _value(shapes: Mapping[str, Any], name: str, value: Json, strict: bool, field: str) -> Iterator[str]:
    shape = shapes[name]
    kind = shape["type"]
    called, types = _KINDS[kind]
    if not isinstance(value, types) or (isinstance(value, bool) and kind != "boolean"):
        yield f"Field '{field}' must be {called}"
    elif kind == "structure":
        yield from _structure(shapes, name, value, strict, set())
    elif isinstance(value, list | dict):
        inner, members = (
            (shape["member"], value) if isinstance(value, list) else (shape["value"], value.values())
        )
        for each in members:
            yield from _value(shapes, inner["shape"], each, strict, field)
    elif "enum" in shape and value not in shape["enum"]:
        yield f"Field '{field}' is not an expected value"
    elif kind not in ("boolean", "timestamp"):
        yield from _bounds(shape, value, field)


def _bounds(shape: Mapping[str, Any], value: Json, field: str) -> Iterator[str]:
    measure, what = (len(value), "length") if isinstance(value, str) else (value, "value")
    if measure < shape.get("min", measure):
        yield f"Field '{field}' is smaller than the minimum {what}"
    if measure > shape.get("max", measure):
        yield f"Field '{field}' is larger than the maximum {what}"
