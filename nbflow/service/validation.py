"""Parameters against AWS's own model of the API, with the words that its servers use.

The model is the one that botocore ships: which members there are, which are required, their types, lengths, ranges,
patterns and enumerations. It is read once, when the first action arrives over the API. Members that the model does not
know are ignored, and a null is as good as an absent member, as on AWS.

A wrong *type* stops the reading of a request (SerializationException); everything else is collected, and told in one
ValidationException.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, TypeAlias

from botocore import xform_name
from botocore.loaders import Loader

from nbflow.language.values import Json
from nbflow.service.errors import ApiError
from nbflow.service.parameters import STATUSES, invalid

Shape: TypeAlias = Mapping[str, Any]
"""One shape of the model, such as ``{"type": "string", "min": 1, "max": 80}``."""

SERVICE: Final = "stepfunctions"

_ORDER: Final[dict[str, tuple[str, ...]]] = {
    "ExecutionStatus": STATUSES,
}
"""Enumerations that AWS's servers list in another order than the model."""


@cache
def service_model(service: str) -> Mapping[str, Any]:
    """botocore's model of an AWS service: its ``operations`` and ``shapes``. Raises botocore's UnknownServiceError."""
    model: Mapping[str, Any] = Loader().load_service_model(service, "service-2")
    return model


def operations() -> frozenset[str]:
    """The names of all actions of the Step Functions API."""
    return frozenset(service_model(SERVICE)["operations"])


def check(action: str, parameters: Mapping[str, Json]) -> dict[str, Json]:
    """The parameters of an action under their Python names, if they are what the API allows.

    Raises ApiError SerializationException (a type is wrong) or ValidationException (with all that is wrong).
    """
    model = service_model(SERVICE)
    shapes = model["shapes"]
    shape = shapes[model["operations"][action]["input"]["shape"]]
    wrong = list(_structure(shapes, shape, parameters, ""))
    if wrong:
        raise invalid(*wrong)
    names = _names(action)
    return {names[name]: value for name, value in parameters.items() if name in names and value is not None}


@cache
def _names(action: str) -> dict[str, str]:
    model = service_model(SERVICE)
    members = model["shapes"][model["operations"][action]["input"]["shape"]].get("members", {})
    return {name: xform_name(name) for name in members}


# --- one value against its shape


def _structure(shapes: Shape, shape: Shape, value: Json, place: str) -> Iterator[str]:
    if not isinstance(value, dict):
        raise _unreadable("Unexpected field type")
    within = f"{place}." if place else ""
    required = shape.get("required", ())
    for name, member in shape.get("members", {}).items():
        given = value.get(name)
        if given is not None:
            yield from _value(shapes, member["shape"], given, within + name)
        elif name in required:
            yield f"Value null at '{within}{name}' failed to satisfy constraint: Member must not be null"


def _value(shapes: Shape, name: str, value: Json, place: str) -> Iterator[str]:
    shape = shapes[name]
    kind = shape["type"]
    if kind == "structure":
        yield from _structure(shapes, shape, value, place)
        return
    _check_type(kind, value)
    shown = "Value" if shape.get("sensitive") else f"Value '{_text(shapes, name, value)}'"
    for constraint in _constraints(name, shape, value):
        yield f"{shown} at '{place}' failed to satisfy constraint: {constraint}"
    if kind == "list":
        for number, each in enumerate(value, 1):
            yield from _value(shapes, shape["member"]["shape"], each, f"{place}.{number}.member")


def _constraints(name: str, shape: Shape, value: Json) -> Iterator[str]:
    """The constraints of the shape that the value breaks."""
    sized = isinstance(value, str | list)
    measure, what = (len(value), "length") if sized else (value, "value")
    if "min" in shape and measure < shape["min"]:
        yield f"Member must have {what} greater than or equal to {shape['min']}"
    if "max" in shape and measure > shape["max"]:
        yield f"Member must have {what} less than or equal to {shape['max']}"
    if "enum" in shape and value not in shape["enum"]:
        yield f"Member must satisfy enum value set: [{', '.join(_ORDER.get(name, tuple(shape['enum'])))}]"
    if "pattern" in shape and not _pattern(shape["pattern"]).fullmatch(value):
        yield f"Member must satisfy regular expression pattern: {shape['pattern']}"


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    """A Java pattern: all of Java's own syntax that the API uses is the class of ASCII characters."""
    return re.compile(pattern.replace(r"\p{ASCII}", r"[\x00-\x7f]"))


def _text(shapes: Shape, name: str, value: Json) -> str:
    """A value as AWS shows it in a message: as Java writes it."""
    shape = shapes[name]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_text(shapes, shape['member']['shape'], each) for each in value)}]"
    if isinstance(value, dict):
        known = shape.get("members", {})
        members = (f"{key}={_text(shapes, known[key]['shape'], value[key])}" for key in known if key in value)
        return f"{name}({', '.join(members)})"
    return str(value)


_TYPES: Final[dict[str, tuple[str, type | tuple[type, ...]]]] = {
    "string": ("String", str),
    "integer": ("Integer", int),
    "long": ("Long", int),
    "float": ("Float", (int, float)),
    "boolean": ("Boolean", bool),
}
"""What the model's types are called in AWS's messages, and what JSON values they are."""


def _check_type(kind: str, value: Json) -> None:
    """Raises ApiError SerializationException if the value is not of this type."""
    if kind == "list":
        if not isinstance(value, list):
            raise _unreadable("Expected list or null")
        return
    name, types = _TYPES[kind]
    if isinstance(value, dict):
        raise _unreadable("Start of structure or map found where not expected.")
    if isinstance(value, list):
        raise _unreadable("Start of list found where not expected")
    if not isinstance(value, types) or (isinstance(value, bool) and kind != "boolean"):
        raise _unreadable(f"{_token(value)} can not be converted to {_article(name)} {name}")


def _article(name: str) -> str:
    return "an" if name[0] in "AEIOU" else "a"


def _token(value: Json) -> str:
    """What AWS's parser calls a scalar."""
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    return "STRING_VALUE" if isinstance(value, str) else "NUMBER_VALUE"


def _unreadable(message: str) -> ApiError:
    return ApiError("SerializationException", message)
