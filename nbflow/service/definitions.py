"""What the API says of a definition: its mistakes, and the variables that its states read."""

import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from nbflow.language import model, sites
from nbflow.language.integrations import integration
from nbflow.language.sites import Diagnostic, error
from nbflow.language.validate import DefinitionError, all_states, diagnose, parse
from nbflow.language.values import Json
from nbflow.machine.distributed import is_distributed
from nbflow.service.errors import ApiError


def diagnostics(definition: str, type: str = "STANDARD") -> list[Diagnostic]:
    """All mistakes of a definition, also those that only Express executions make."""
    found = diagnose(definition)
    if not any(each.severity == "ERROR" for each in found):
        found += _not_express(parse(definition), type)
    return found


@lru_cache(maxsize=128)
def check_definition(definition: str, type: str = "STANDARD") -> model.StateMachine:
    """The model of a definition; the last ones are remembered. Raises ApiError InvalidDefinition with every mistake."""
    try:
        machine = parse(definition)
    except DefinitionError as wrong:
        raise ApiError("InvalidDefinition", in_aws_words(wrong.diagnostics)) from wrong
    if found := _not_express(machine, type):
        raise ApiError("InvalidDefinition", in_aws_words(found))
    return machine


def in_aws_words(wrong: Sequence[Diagnostic]) -> str:
    """The message of InvalidDefinition."""
    mistakes = [
        f"{d.code}: {d.message}" + (f" at {d.location}" if d.location else "")
        for d in wrong
        if d.severity == "ERROR"
    ]
    return f"Invalid State Machine Definition: '{', '.join(mistakes)}'"


def _not_express(machine: model.StateMachine, type: str) -> list[Diagnostic]:
    """What Express has not, in an Express machine, or in a Distributed Map whose children are Express executions.

    AWS guide, "Choosing workflow type": no activities, no jobs, no callbacks, no Distributed Map.
    """
    found = []
    express = [""] if type == "EXPRESS" else []
    for place, state in all_states(machine):
        message = _never_express(state) if place.startswith(tuple(express)) else None
        if message is not None:
            found.append(error(place + message[0], f"Express state machine does not support {message[1]}"))
        elif is_distributed(state) and state.item_processor.processor_config.execution_type == "EXPRESS":
            express.append(f"{place}/ItemProcessor/")
    return found


def _never_express(state: model.AnyState) -> tuple[str, str] | None:
    """Where in the state, and what it is."""
    if is_distributed(state):
        return "/ItemProcessor/ProcessorConfig/Mode", "Distributed Map"
    if not isinstance(state, model.Task):
        return None
    named = integration(state.resource)
    if named.family == "Activity":
        return "/Resource", "Activity ARN"
    return ("/Resource", f"'{named.pattern}' service integration") if named.pattern else None


# --- the variables that states read

_NAME: Final = re.compile(r"(?<!\$)\$([^\W\d]\w*)(?!\w*\s*\()")
"""A variable: not a function that is called, and not a member of the context object."""
_QUOTED: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|/\*.*?\*/", re.DOTALL)
_BOUND: Final = re.compile(r"\$([^\W\d]\w*)\s*:=|function\s*\(([^)]*)\)")
_RESERVED: Final = frozenset({"states"})
_OTHER_STATES: Final = frozenset({"Branches", "ItemProcessor", "Iterator"})
"""Fields in which other states stand; what those read is theirs."""


def variable_references(definition: str) -> dict[str, list[str]]:
    """For each state that reads variables, their names in alphabetical order (AWS, DescribeStateMachine)."""
    document = json.loads(definition)
    machine = sites.speaks_jsonata(document, inherited=False)
    found: dict[str, list[str]] = {}
    for site in sites.sites(document):
        for name, state in site.value["States"].items() if site.kind in sites.SCOPES else ():
            own = {field: value for field, value in state.items() if field not in _OTHER_STATES}
            texts = _texts(own, sites.speaks_jsonata(state, machine))
            if names := sorted(set[str]().union(*map(_names, texts))):
                found[name] = names
    return found


_READS_INPUT: Final = re.compile(r"\$states\b(?!\s*\.\s*(?:result|errorOutput|context)\b)")
_IN_PLACE: Final = {"Task": "Arguments", "Parallel": "Arguments", "Map": "Items"}
"""The field that stands in place of the state's input, in JSONata."""


def reads_input(definition: str, name: str) -> bool:
    """Whether it can matter with what input a state of the top level is entered: a flow's data are variables."""
    document = json.loads(definition)
    state = document["States"][name]
    if not sites.speaks_jsonata(state, sites.speaks_jsonata(document, inherited=False)):
        return True
    own = {field: value for field, value in state.items() if field not in _OTHER_STATES}
    return _IN_PLACE.get(state["Type"]) not in own or any(map(_READS_INPUT.search, _texts(own, True)))


def _texts(value: Json, jsonata: bool, dynamic: bool = False) -> Iterator[str]:
    """The paths and intrinsic functions, or the JSONata expressions, in a state."""
    if isinstance(value, str):
        if (value.startswith("{%") and value.endswith("%}")) if jsonata else dynamic:
            yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, jsonata)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _texts(each, jsonata, key == "Variable" or key.endswith(("Path", ".$")))


def _names(text: str) -> set[str]:
    """The variables in an expression, without those that it binds itself."""
    code = _QUOTED.sub("''", text)
    bound = set[str]()
    for variable, parameters in _BOUND.findall(code):
        bound |= {variable, *(each.strip().lstrip("$") for each in parameters.split(","))}
    return set(_NAME.findall(code)) - bound - _RESERVED
