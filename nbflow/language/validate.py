"""From a definition's text to the model, or all of its mistakes at once.

Four steps, and each one reports what it can say for sure:

1. the text becomes JSON (a dict goes through its text too: what is no JSON is noticed, and the model shares
   nothing with the dict);
2. the JSON, *normalised*, becomes the models of :mod:`nbflow.language.model`, which know the fields, their
   types and ranges; pydantic's errors are put into Step Functions' words by a table;
3. :mod:`nbflow.language.rules` looks at each JSON object of the original text;
4. :mod:`nbflow.language.graph` looks at the transitions and names.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Final, TypeAlias

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nbflow.errors import NbflowError
from nbflow.language import graph, model, rules, sites
from nbflow.language.model import StateMachine
from nbflow.language.sites import Diagnostic, did_you_mean, error
from nbflow.language.values import Json

__all__ = ["DefinitionError", "Diagnostic", "all_states", "diagnose", "parse", "resources"]

Definition: TypeAlias = str | bytes | dict[str, Json]


class DefinitionError(NbflowError):
    """A definition that is no state machine; ``diagnostics`` has all errors and warnings."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        self.diagnostics = diagnostics
        errors = [str(each) for each in diagnostics if each.severity == "ERROR"]
        super().__init__("\n".join(["The definition is not valid:", *errors]))


def diagnose(definition: Definition) -> list[Diagnostic]:
    """All mistakes of a definition, which is JSON text or the dict of it.

    Never raises: what is no JSON at all is a diagnostic too. :func:`parse` accepts a definition without an
    ERROR (API reference, "ValidateStateMachineDefinition").
    """
    return _examine(definition)[1]


def parse(definition: Definition) -> StateMachine:
    """The model of a definition, which is JSON text or the dict of it.

    Raises DefinitionError, with every mistake, if there is an ERROR among them.
    """
    machine, diagnostics = _examine(definition)
    if machine is None:
        raise DefinitionError(diagnostics)
    return machine


def resources(machine: StateMachine) -> dict[str, str]:
    """The Resource of every Task at any depth, by location: ``/States/Each/ItemProcessor/States/Work``."""
    return {place: state.resource for place, state in all_states(machine) if isinstance(state, model.Task)}


def all_states(machine: StateMachine) -> Iterator[tuple[str, model.AnyState]]:
    """Every state at any depth with its location, a Map or Parallel before what is in it."""
    return _all_states("", machine)


def _all_states(location: str, scope: model.Branch) -> Iterator[tuple[str, model.AnyState]]:
    for name, state in scope.states.items():
        place = f"{location}/States/{name}"
        yield place, state
        if isinstance(state, model.Map):
            yield from _all_states(f"{place}/ItemProcessor", state.item_processor)
        elif isinstance(state, model.Parallel):
            for index, branch in enumerate(state.branches):
                yield from _all_states(f"{place}/Branches[{index}]", branch)


def _examine(definition: Definition) -> tuple[StateMachine | None, list[Diagnostic]]:
    document, diagnostics = _read(definition)
    if document is None:
        return None, diagnostics
    machine, mistakes = _build(document)
    diagnostics += [*mistakes, *rules.check(document), *graph.check(document)]
    if any(each.severity == "ERROR" for each in diagnostics):
        machine = None
    return machine, list(dict.fromkeys(diagnostics))


# --- text to JSON -----------------------------------------------------------------------------------------

_DEEPEST: Final = 200
"""Levels of JSON. Fifty Maps within each other fit, and every recursion over a definition stays bounded."""


class _Repeated:
    """Collects the JSON objects that have a member twice; Python's own dict would silently keep the last."""

    def __init__(self) -> None:
        self.found: dict[int, tuple[dict[str, Json], list[str]]] = {}
        """By identity of the object, which is kept so that the identity stays its own."""

    def collect(self, members: list[tuple[str, Json]]) -> dict[str, Json]:
        result: dict[str, Json] = {}
        for name, value in members:
            if name in result:
                self.found.setdefault(id(result), (result, []))[1].append(name)
            result[name] = value
        return result

    def names(self, container: Json) -> list[str]:
        return self.found[id(container)][1] if id(container) in self.found else []


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is no JSON number")
    return number


def _unread(code: str, message: str) -> tuple[None, list[Diagnostic]]:
    return None, [Diagnostic("ERROR", code, message)]


def _read(definition: Definition) -> tuple[dict[str, Json] | None, list[Diagnostic]]:
    """The JSON object that a definition is, and what is wrong with it as JSON."""
    repeated = _Repeated()
    try:
        text = definition if isinstance(definition, str | bytes) else json.dumps(definition, allow_nan=False)
        if not text.strip():
            return _unread("MISSING_DESCRIPTION", "The definition is empty")
        document = json.loads(
            text, object_pairs_hook=repeated.collect, parse_constant=_finite, parse_float=_finite
        )
        json.dumps(document, ensure_ascii=False).encode()  # an escape may be half a character: no text
    except json.JSONDecodeError as wrong:
        message = f"{wrong.msg} at line {wrong.lineno}, column {wrong.colno}"
        return _unread("INVALID_JSON_DESCRIPTION", message)
    except (TypeError, ValueError) as wrong:
        # A dict that is no JSON; bytes that are no text; NaN, and numbers that Python will not read.
        return _unread("INVALID_JSON_DESCRIPTION", str(wrong))
    except RecursionError:
        return _unread("TOO_DEEPLY_NESTED", "The states are too deeply nested")
    if document is None:
        return _unread("MISSING_DESCRIPTION", "The definition is null")
    if not isinstance(document, dict):
        return None, [error("", "Expected value of type [OBJECT]")]
    diagnostics: list[Diagnostic] = []
    for location, container, depth in _containers(document):
        if depth > _DEEPEST:
            return _unread("TOO_DEEPLY_NESTED", f"The definition has more than {_DEEPEST} levels of JSON")
        diagnostics += [_duplicate(location, name) for name in repeated.names(container)]
    return document, diagnostics


def _duplicate(location: str, name: str) -> Diagnostic:
    if location.endswith("/States"):
        return error(f"{location}/{name}", f"Duplicate State name: {name}", code="DUPLICATE_STATE_NAME")
    return error(f"{location}/{name}", f"Duplicate field '{name}'")


def _containers(document: Json) -> Iterator[tuple[str, Json, int]]:
    """(location, container, depth) of all objects and arrays, without recursion."""
    waiting: list[tuple[str, Json, int]] = [("", document, 1)]
    while waiting:
        location, container, depth = here = waiting.pop()
        yield here
        members = (
            [(f"{location}/{name}", value) for name, value in container.items()]
            if isinstance(container, dict)
            else [(f"{location}[{index}]", value) for index, value in enumerate(container)]
        )
        waiting += [(place, each, depth + 1) for place, each in members if isinstance(each, dict | list)]


# --- JSON to model ----------------------------------------------------------------------------------------

_OLD_NAMES: Final = {"ItemProcessor": "Iterator", "ItemSelector": "Parameters"}
"""Fields of Map, and what they were called before 2022 (developer guide, "Deprecated Map state fields")."""


def _normal_scope(scope: Json, machine: bool) -> Json:
    """A copy of a scope in which every state names its query language and every Map uses today's fields."""
    if not isinstance(scope, dict) or not isinstance(scope.get("States"), dict):
        return scope
    states = {name: _normal_state(state, machine) for name, state in scope["States"].items()}
    return scope | {"States": states}


def _normal_state(state: Json, machine: bool) -> Json:
    if not isinstance(state, dict):
        return state
    state = {"QueryLanguage": "JSONata" if machine else "JSONPath"} | state
    if state.get("Type") == "Map":
        for name, old in _OLD_NAMES.items():
            if old in state:  # both is a mistake that the rules report
                state.setdefault(name, state.pop(old))
    if "ItemProcessor" in state:
        state["ItemProcessor"] = _normal_scope(state["ItemProcessor"], machine)
    if isinstance(state.get("Branches"), list):
        state["Branches"] = [_normal_scope(branch, machine) for branch in state["Branches"]]
    return state


def _build(document: dict[str, Json]) -> tuple[StateMachine | None, list[Diagnostic]]:
    try:
        normal = _normal_scope(document, sites.speaks_jsonata(document, inherited=False))
        return StateMachine.model_validate(normal), []
    except ValidationError as wrong:
        return None, _translate(wrong.errors(include_url=False), document)


_EXPECTED: Final = {
    "string_type": "Expected value of type [STRING]",
    "int_type": "Expected value of type Integer",
    "float_type": "Expected value of type [NUMBER]",
    "bool_type": "Expected value of type [BOOLEAN]",
    "list_type": "Expected value of type [ARRAY]",
    "dict_type": "Expected value of type [OBJECT]",
    "model_type": "Expected value of type [OBJECT]",
    "model_attributes_type": "Expected value of type [OBJECT]",
}
_WORDS: Final = _EXPECTED | {
    "greater_than_equal": "Minimum value is {ge}",
    "less_than_equal": "Maximum value is {le}",
    "too_short": "Value cannot be empty",
    "string_too_short": "Value cannot be empty",
    "literal_error": "Value should be one of the following: [{expected}]",
    "union_tag_invalid": "Value should be one of the following: [{expected_tags}]",
}
"""pydantic's error types in Step Functions' words."""

_MEMBERS: Final = frozenset({"str", "constrained-int", "constrained-float"})
"""What pydantic calls the members of "int or str", as the last step of the way to a mistake."""


def _translate(errors: list[ErrorDetails], document: dict[str, Json]) -> list[Diagnostic]:
    """One diagnostic for each place; the missing fields of an object are one diagnostic."""
    kinds = {site.location: site.kind for site in sites.sites(document)}
    missing: dict[str, list[str]] = {}
    found: dict[tuple[str, str], Diagnostic] = {}
    for each in errors:
        kind, steps = each["type"], each["loc"]
        name = str(steps[-1]) if steps else ""
        if name in _MEMBERS and kind in _WORDS:
            steps = steps[:-1]
        location, parent = _location(steps, document), _location(steps[:-1], document)
        if kind == "union_tag_not_found":
            missing.setdefault(location, []).append("Type")
        elif kind == "missing":
            if name != "ItemProcessor":  # or Iterator: a rule asks for one of the two
                missing.setdefault(parent, []).append(name)
        elif kind == "extra_forbidden":
            hint = did_you_mean(name, sites.FIELDS.get(kinds.get(parent, ""), ()))
            found[parent, name] = error(parent, f"Field '{name}' is not supported", hint=hint)
        elif kind == "union_tag_invalid":
            found[location, "Type"] = error(f"{location}/Type", _message(each))
        elif (location, "") not in found or kind not in _EXPECTED:
            # What is neither of "int or str" is told to be no int, and an int out of range is told its range.
            found[location, ""] = error(location, _message(each))
    required = [
        error(place, f"These fields are required: [{', '.join(names)}]") for place, names in missing.items()
    ]
    return [*required, *found.values()]


def _message(wrong: ErrorDetails) -> str:
    kind, context = wrong["type"], wrong.get("ctx", {})
    if kind == "literal_error" and not isinstance(wrong["input"], str):
        kind = "string_type"
    # pydantic lists choices as "'a', 'b' or 'c'".
    words = {name: re.sub(r"' or '|', '", ", ", str(value)).strip("'") for name, value in context.items()}
    return _WORDS[kind].format_map(words) if kind in _WORDS else wrong["msg"]


def _location(steps: tuple[int | str, ...], document: dict[str, Json]) -> str:
    """Step Functions' location for pydantic's, which knows no old names and has each state's Type in it."""
    place = ""
    here: Json = document
    waiting = iter(steps)
    for step in waiting:
        if isinstance(step, int):
            place, here = f"{place}[{step}]", here[step]
            continue
        if step not in here and _OLD_NAMES.get(step) in here:
            step = _OLD_NAMES[step]
        place, here = f"{place}/{step}", here.get(step, {})
        if step == "States" and (name := next(waiting, None)) is not None:
            place, here = f"{place}/{name}", here[name]
            next(waiting, None)
    return place
