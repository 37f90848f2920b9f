"""Paths: how a JSONPath state points into its data (ASL, "Paths" and "Reference Paths").

A path starts at one of three roots: ``$`` is the input, ``$$`` the context object, ``$name`` a variable.
Nearly all paths in practice are *reference paths*: names and indices only, so that they identify at most one
value. A regular expression splits them, once per text, and plain look-ups read them. Whatever else JSONPath
knows (wildcards, slices, filters, unions, ``..``) goes to python-jsonpath.

AWS evaluates paths with Jayway's JsonPath, and so its rules hold here: a definite path gives a value, and
fails when there is none; an indefinite path gives the list of all that it matches, which may be empty.
"""

import json
import re
from functools import lru_cache
from types import NoneType
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, overload

from nbflow.language.values import ABSENT, Absent, Failure, Json, Scope

if TYPE_CHECKING:
    from jsonpath import JSONPath

Step: TypeAlias = str | int
"""One step of a reference path: a member name or an array index (a negative one counts from the end)."""

_ROOT: Final = re.compile(r"\$(?:(\$)|([^\W\d]\w*))?")
_STEP: Final = re.compile(
    r"""\.(?P<name>[^\s.,\[\]()*?@'"]+)"""
    r"""|\[(?P<index>-?[0-9]{1,9})\]"""
    r"""|\[\s*(?:'(?P<single>(?:[^'\\]|\\.)*)'|"(?P<double>(?:[^"\\]|\\.)*)")\s*\]"""
)
_ESCAPE: Final = re.compile(r"\\(.)")
_CACHED: Final = 4096
"""How many distinct paths stay parsed: far more than one definition holds, and bounded for a server."""
_KINDS: Final = {
    NoneType: "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
}


class Reference(NamedTuple):
    """A parsed reference path."""

    root: str
    """Empty for ``$``, ``$`` for ``$$``, else the name of a variable."""
    steps: tuple[Step, ...]


def compact(value: Json) -> str:
    """The JSON text of a value as AWS prints it in messages: no blanks, and characters as they are."""
    return _COMPACT(value)


_COMPACT: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=dict).encode
"""``default``: the context object is read-only mappings. Made once: json.dumps would make an encoder at each call."""


@overload
def spelt(text: str) -> str: ...
@overload
def spelt(text: None) -> None: ...
@overload
def spelt(text: str | None) -> str | None: ...
def spelt(text: str | None) -> str | None:
    """Text that a database takes: a lone surrogate, which UTF-8 does not have, as JSON escapes it."""
    return text if text is None or text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def kind(value: Json) -> str:
    """The type of a value by its name in JSON: null, boolean, number, string, array or object."""
    return _KINDS.get(type(value), "object")


@lru_cache(_CACHED)
def tokens(path: str) -> Reference | None:
    """Split a reference path into its root and steps; None if it is not one (ASL, "Reference Paths")."""
    start = _root(path)
    if start is None:
        return None
    root, at = start
    steps: list[Step] = []
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            return None
        form = match.lastgroup or ""
        text = match[form]
        steps.append(int(text) if form == "index" else text if form == "name" else _ESCAPE.sub(r"\1", text))
        at = match.end()
    return Reference(root, tuple(steps))


def read(path: str, scope: Scope, *, field: str | None = None) -> Json | Failure:
    """The value that a path selects.

    ``field`` names the field that holds the path (``value.$``, ``CausePath``). It only chooses between AWS's
    two wordings: without it, the message is that of InputPath and OutputPath.

    Fails with ``States.Runtime`` when a definite path finds nothing, or when the text is no path.
    """
    reference = tokens(path)
    if reference is None:
        return _search(path, scope, field)
    value = document = _document(reference.root, scope)
    for depth, step in enumerate(reference.steps):
        if step.__class__ is int and not isinstance(value, list):  # Python could index a string, too
            return _missing(path, document, scope, field, _why(value, reference.steps, depth))
        try:
            value = value[step]  # type: ignore[index]  # whatever cannot be indexed so raises
        except (KeyError, IndexError, TypeError):
            return _missing(path, document, scope, field, _why(value, reference.steps, depth))
    return _missing(path, ABSENT, scope, field, "") if value is ABSENT else value


def put(document: Json, path: str, value: Json) -> Json | Failure:
    """``document`` with ``value`` at ``path``: how ResultPath combines a state's input with its result.

    The document itself is never changed; only the objects and arrays on the way to the place are copied.
    Members that are missing on the way are made (ASL, "Input and Output Processing"); an array never grows.

    Fails with ``States.ResultPathMatchFailure`` when a step does not fit what it meets, in AWS's wording.
    """
    reference = tokens(path)
    if reference is None or reference.root:
        return Failure("States.Runtime", f"Invalid path '{path}' : it is no Reference Path into the input")
    if not reference.steps:
        return value
    top = node = _copied(document)
    *way, last = reference.steps
    for step in way:
        if not _fits(node, step):
            return _conflict(step, document)
        child = _copied(node[step]) if isinstance(step, int) or step in node else {}
        node[step] = child
        node = child
    if not _fits(node, last):
        return _conflict(last, document)
    node[last] = value
    return top


def check(path: str) -> str | None:
    """What is wrong with the text of a path from any of the three roots, or None if it parses."""
    query = None if tokens(path) is not None else _query(path)
    return f"Value is not a valid JSONPath: {query}" if isinstance(query, str) else None


def check_reference(path: str) -> str | None:
    """What is wrong with the text of a reference path, or None if it is one (ASL, "Reference Paths")."""
    if tokens(path) is not None:
        return None
    start = _root(path)
    if start is None:
        return f"Value is not a Reference Path: Reference path didn't start with '$': '{path}'"
    at = start[1]
    while step := _STEP.match(path, at):
        at = step.end()
    wrong = f"expected .name, ['name'] or [index], but found '{path[at : at + 12]}'"
    return f"Value is not a Reference Path: {wrong} at position {at} of '{path}'"


def _root(path: str) -> tuple[str, int] | None:
    """The root that a path names (as in :class:`Reference`), and where its steps begin."""
    match = _ROOT.match(path)
    return None if match is None else (match[1] or match[2] or "", match.end())


def _document(root: str, scope: Scope) -> Json | Absent:
    """What the steps of a path are applied to; ABSENT for a variable that is not defined."""
    if not root:
        return scope.input
    return scope.context() if root == "$" else scope.variables.get(root, ABSENT)


def _missing(path: str, document: Json | Absent, scope: Scope, field: str | None, why: str) -> Failure:
    if field is not None:
        shown = compact(scope.input if document is ABSENT else document)
        text = f"The JSONPath '{path}' specified for the field '{field}' could not be found in the input"
        return Failure("States.Runtime", f"{text} '{shown}'")
    if document is None:
        return Failure("States.Runtime", "Unable to apply Path transformation to null or empty input.")
    why = "the variable is not defined" if document is ABSENT else why
    return Failure("States.Runtime", f"Invalid path '{path}' : {why}")


def _why(value: Json, steps: tuple[Step, ...], depth: int) -> str:
    """Why the step at ``depth`` failed on ``value``: the sentences of Jayway's PathNotFoundException."""
    step = steps[depth]
    if isinstance(step, int):
        if isinstance(value, list):
            return f"No results for path: {_brackets(steps)}"
        return f"Filter: [{step}] can only be applied to arrays. Current context is: {_shown(value)}"
    if not isinstance(value, dict):
        place = f"with property ['{step}'] in path {_brackets(steps[:depth])}"
        return f"Expected to find an object {place} but found '{kind(value)}'."
    if depth == len(steps) - 1:
        return f"No results for path: {_brackets(steps)}"
    return f"Missing property in path {_brackets(steps[: depth + 1])}"


def _shown(value: Json) -> str:
    return "" if value is ABSENT else compact(value)


def _brackets(steps: tuple[Step, ...]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f"['{step}']" for step in steps)


def _fits(node: Json, step: Step) -> bool:
    if isinstance(step, int):
        return isinstance(node, list) and -len(node) <= step < len(node)
    return isinstance(node, dict)


def _copied(node: Json) -> Json:
    return node.copy() if isinstance(node, dict | list) else node


def _conflict(step: Step, document: Json) -> Failure:
    cause = f'Unable to apply step "{step}" to input {compact(document)}'
    return Failure("States.ResultPathMatchFailure", cause)


@lru_cache(_CACHED)
def _query(path: str) -> "JSONPath | str":
    """A path that is no reference path as a query on its document; or what is wrong with it."""
    import jsonpath  # 70 ms, which few definitions need to pay

    start = _root(path)
    if start is None:
        return f"it must start with '$': '{path}'"
    steps = path[start[1] :]
    try:
        query = jsonpath.compile("$" + steps)
    except jsonpath.JSONPathError as error:
        index = error.token.index if error.token is not None else -1
        at = len(path) if index < 0 else start[1] + index - 1
        return f"{_sentence(error)} at position {at} of '{path}'"
    except RecursionError:
        return f"it is nested too deeply: '{path[:80]}'"
    # python-jsonpath alone combines whole paths by | and &.
    return query if isinstance(query, jsonpath.JSONPath) else f"it is more than one path: '{path}'"


def _search(path: str, scope: Scope, field: str | None) -> Json | Failure:
    """Read a path that is no reference path."""
    import jsonpath

    query, start = _query(path), _root(path)
    if isinstance(query, str) or start is None:
        return Failure("States.Runtime", f"Invalid path '{path}' : {query}")
    document = _document(start[0], scope)
    if document is ABSENT:
        return _missing(path, ABSENT, scope, field, "")
    try:  # a scalar has no children, and python-jsonpath would take a string for JSON text
        matches = list(query.finditer(document)) if isinstance(document, dict | list) else []
    except jsonpath.JSONPathError as error:
        return Failure("States.Runtime", f"Invalid path '{path}' : {_sentence(error)}")
    if query.singular_query():
        return matches[0].obj if matches else _missing(path, document, scope, field, "No results")
    if _selects_members(query):
        return {match.parts[-1]: match.obj for match in matches}
    return [match.obj for match in matches]


def _sentence(error: Exception) -> str:
    """The first line of python-jsonpath's message; the rest draws the place."""
    return str(error).partition("\n")[0]


def _selects_members(query: "JSONPath") -> bool:
    """Whether a path ends in ``['a','b']`` after definite steps: Jayway makes one object of these members."""
    from jsonpath.segments import JSONPathChildSegment
    from jsonpath.selectors import IndexSelector, NameSelector

    *way, last = query.segments
    definite = all(
        isinstance(segment, JSONPathChildSegment)
        and len(segment.selectors) == 1
        and isinstance(segment.selectors[0], NameSelector | IndexSelector)
        for segment in way
    )
    names = isinstance(last, JSONPathChildSegment) and len(last.selectors) > 1
    return definite and names and all(isinstance(selector, NameSelector) for selector in last.selectors)
