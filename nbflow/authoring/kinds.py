"""What is known of a value: its kind, and on whose word.

Only literals prove a kind. An annotation promises one, and a promise that the definition relies on is checked: a
task's result by the worker, a parameter by the flow's first state.
"""

import builtins
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args, get_origin

Name: TypeAlias = Literal[
    "any", "null", "boolean", "number", "string", "array", "tuple", "object", "frame", "failure"
]


class Promise(NamedTuple):
    """Somebody's word that a value is of a kind."""

    who: Literal["task", "parameter"]
    name: str
    """The task's NAME, or the parameter's."""
    kind: str
    """The kind as a check: "number", "array[2]", …"""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of a value."""

    name: Name = "any"
    size: int | None = None
    """Of an array or tuple, where it is known."""
    items: tuple["Kind", ...] = ()
    """Of each value of a tuple, if they are known."""
    exact: bool = False
    """A number that a double holds exactly, with its neighbours: of less than 2**53."""
    promises: frozenset[Promise] = frozenset()
    """On whose word it is so: none, if it is proven."""

    def promised(self, who: Literal["task", "parameter"], name: str) -> "Kind":
        """The same kind, on this word."""
        if self.name == "any":
            return self
        return replace(self, promises=frozenset({Promise(who, name, _check(self))}))

    def part(self, part: str) -> "Kind":
        """The kind of a part of the value: "" is all of it, "[0]" the first of a tuple's values."""
        if not part:
            return self
        return self.items[int(part[1:-1])] if self.items and part[0] == "[" else ANY


def _check(kind: Kind) -> str:
    if kind.name == "tuple":
        return "array" if kind.size is None else f"array[{kind.size}]"
    return "dataframe" if kind.name == "frame" else kind.name


ANY: Final = Kind()
BOOLEAN: Final = Kind("boolean")
ARRAY: Final = Kind("array")
STRING: Final = Kind("string")
COUNT: Final = Kind("number", exact=True)


def join(one: Kind, other: Kind) -> Kind:
    """What is known of a value that is of the one kind or of the other."""
    if one == other:
        return one
    if one.name != other.name:
        return ANY
    size = one.size if one.size == other.size else None
    return Kind(one.name, size, (), one.exact and other.exact, one.promises | other.promises)


def of_value(value: object) -> Kind:
    """The kind of a constant."""
    if isinstance(value, bool):
        return BOOLEAN
    if isinstance(value, int | float):
        return Kind("number", exact=abs(value) < 2**53)
    if isinstance(value, list):
        return ARRAY
    return STRING if isinstance(value, str) else Kind("null") if value is None else ANY


_BY_TYPE: Final[dict[Any, Kind]] = {
    bool: BOOLEAN,
    int: Kind("number"),
    float: Kind("number"),
    str: STRING,
    list: ARRAY,
    tuple: Kind("tuple"),
}


def of_annotation(annotation: object, namespace: dict[str, Any]) -> Kind:
    """What an annotation promises; a text is read in ``namespace``. Any other annotation promises nothing."""
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, namespace, vars(builtins))
        except Exception:  # noqa: BLE001  # what cannot be read (it may be for a type checker only) promises nothing
            return ANY
    origin = get_origin(annotation)
    if origin is tuple:
        parts = get_args(annotation)
        return Kind("tuple", None if Ellipsis in parts else len(parts))
    if origin is list:
        return ARRAY
    frame = getattr(sys.modules.get("pandas"), "DataFrame", None)
    if frame is not None and annotation is frame:
        return Kind("frame")
    try:
        return _BY_TYPE.get(annotation, ANY)
    except TypeError:  # unhashable
        return ANY


def of_result(function: Callable[..., Any]) -> Kind:
    """What a function's annotation promises of its result."""
    annotation = getattr(function, "__annotations__", {}).get("return", ANY)
    return of_annotation(annotation, getattr(function, "__globals__", {}))
