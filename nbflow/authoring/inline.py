"""Inline tasks: pieces of a flow's text that stay Python.

An expression becomes a function of the variables that it reads, made from the flow's own syntax tree. So its lines are
those of the file, its globals are the flow's, and what it computes is what Python computes. Between two steps a flow's
values are data: a piece that changes one in place would change a copy, and so it fails.
"""

import ast
import functools
import keyword
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from nbflow.authoring.names import Namespace, free
from nbflow.authoring.words import TaskFailed
from nbflow.errors import NbflowError
from nbflow.language.values import Json


class ValueChanged(NbflowError):
    """A piece of a flow changed one of the flow's values in place."""


def slug(text: str) -> str:
    """A name for a Lambda ARN and for a function, like the text: ``max(fits, key=…)`` → ``max_fits_key``."""
    words = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")[:48].rstrip("_")
    usable = words.isidentifier() and not keyword.iskeyword(words)
    return words if usable else f"value_{words}".rstrip("_")


def function(
    name: str,
    parameters: list[str],
    body: list[ast.stmt],
    *,
    flow: Callable[..., Any],
    filename: str,
    namespace: Namespace,
    given: Mapping[str, str],
) -> Callable[..., Any]:
    """A function of keyword parameters with this body, as if it stood in the flow.

    ``given`` says which of the parameters are more than their JSON: "tuple" or "failure".
    """
    read = {each.id for statement in body for each in free(statement)}
    closure = {
        each: namespace.closure[each] for each in sorted(read - {*parameters}) if each in namespace.closure
    }
    while name in read:  # or it would hide what it reads
        name += "_"
    module = ast.parse(
        f"def outer({_keywords(closure)}):\n def {name}({_keywords(parameters)}): 0\n return {name}"
    )
    outer = module.body[0]
    assert isinstance(outer, ast.FunctionDef)
    definition, give = outer.body
    assert isinstance(definition, ast.FunctionDef)
    definition.body = body
    for node in (outer, definition, give):
        ast.copy_location(node, body[0])
    ast.fix_missing_locations(module)
    made: dict[str, Any] = {}
    exec(compile(module, filename, "exec", dont_inherit=True), flow.__globals__, made)
    inner: Callable[..., Any] = made["outer"](**closure)
    inner.__qualname__ = f"{flow.__qualname__}.<locals>.{name}"
    may_change = any(_may_change(statement, namespace) for statement in body)
    return _guarded(inner, dict(given)) if given or (parameters and may_change) else inner


def _keywords(names: Collection[str]) -> str:
    return f"*, {', '.join(names)}" if names else ""


_HARMLESS: Final = frozenset(
    {abs, all, any, bool, dict, enumerate, float, int, isinstance, len, list, max, min, range, repr, round}
    | {set, sorted, str, sum, tuple, zip, reversed}
)


def _may_change(body: ast.AST, namespace: Namespace) -> bool:
    """Whether the code could change its values in place: it calls something, or has an operator like ``+=``."""
    return any(
        isinstance(node, ast.AugAssign) or (isinstance(node, ast.Call) and not _harmless(node, namespace))
        for node in ast.walk(body)
    )


def _harmless(call: ast.Call, namespace: Namespace) -> bool:
    value = namespace.value(call.func.id) if isinstance(call.func, ast.Name) else None
    return isinstance(value, type | type(len)) and value in _HARMLESS and not call.keywords


_GIVEN: Final[dict[str, Callable[[Json], Any]]] = {
    "tuple": lambda value: tuple(value) if isinstance(value, list) else value,
    "failure": lambda value: TaskFailed(value["Error"], value["Cause"]),
}
"""How a value that is more than its JSON is made from it."""


def _guarded(inner: Callable[..., Any], given: dict[str, str]) -> Callable[..., Any]:
    @functools.wraps(inner)
    def step(**values: Any) -> Any:
        before = {name: _copy(value) for name, value in values.items()}
        made = {name: _GIVEN[kind](values[name]) for name, kind in given.items()}
        result = inner(**{**values, **made})
        for name, value in values.items():
            if not _same(value, before[name]):
                raise ValueChanged(
                    f"{name} was changed in place, but a flow's values are not: between two steps they are data. Write "
                    f"an expression with a new value, such as {name} = [*{name}, item], or change it within a task "
                    "that returns it"
                )
        return result

    return step


def _copy(value: Any) -> Any:
    """The lists and dicts of a value, copied."""
    if type(value) is list:
        return [_copy(item) for item in value]
    if type(value) is dict:
        return {key: _copy(item) for key, item in value.items()}
    return value


def _same(value: Any, before: Any) -> bool:
    """Whether nothing was changed. Objects that are no JSON cannot be compared cheaply: they count as unchanged."""
    if type(value) is not type(before):
        return False
    if type(value) is list:
        return len(value) == len(before) and all(map(_same, value, before))
    if type(value) is dict:
        return list(value) == list(before) and all(_same(item, before[key]) for key, item in value.items())
    return value is before or not isinstance(value, str | int | float) or value == before
