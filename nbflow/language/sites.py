"""The objects of a definition, and what a mistake in one looks like.

A definition is a tree of JSON objects. :func:`sites` lists them: where each one is, what it is (the name of
its model: ``Task``, ``Catcher``, ``ItemReader`` …) and which query language it speaks. The rules then look
at one site at a time and need not know how the tree is walked; a malformed part is simply not a site.

A location is the path of an object or field as Step Functions writes it, with array indices in brackets and
names as they are (``/States/Work/Catch[0]/Next``); "/" is the definition itself.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Final, Literal

from pydantic.alias_generators import to_pascal

from nbflow.language import model
from nbflow.language.values import Json


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake (API reference, "ValidateStateMachineDefinitionDiagnostic")."""

    severity: Literal["ERROR", "WARNING"]
    code: str
    """Step Functions' name for the kind of mistake, such as ``MISSING_TRANSITION_TARGET``."""
    message: str
    location: str | None = None
    """Where, such as ``/States/Work/Next``; None where no place can be named."""
    hint: str | None = None
    """What helps a person, in addition to Step Functions' own words."""

    def __str__(self) -> str:
        place = f" at {self.location}" if self.location else ""
        return f"{self.code}{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


def error(
    location: str, message: str, *, code: str = "SCHEMA_VALIDATION_FAILED", hint: str | None = None
) -> Diagnostic:
    """An ERROR; ``location`` is "" for the definition itself."""
    return Diagnostic("ERROR", code, message, location or "/", hint)


def did_you_mean(name: str, names: Iterable[str]) -> str | None:
    """The hint that names the likeliest of (the first hundred) ``names``, or None if none is close."""
    close = get_close_matches(name, islice(names, 100), n=1)
    return f"did you mean '{close[0]}'?" if close else None


_MODELS: Final[tuple[type[model.Node], ...]] = (
    *(model.StateMachine, model.Branch, model.ItemProcessor, model.ProcessorConfig),
    *(model.Pass, model.Task, model.Choice, model.Wait, model.Succeed, model.Fail, model.Parallel, model.Map),
    *(model.Retrier, model.Catcher, model.ItemReader, model.ItemBatcher, model.ResultWriter),
)
FIELDS: Final = {each.__name__: frozenset(map(to_pascal, each.model_fields)) for each in _MODELS}
"""The fields of each kind of object. Those of a Choice rule and of ReaderConfig are not in the model."""

SCOPES: Final = frozenset({"StateMachine", "Branch", "ItemProcessor"})
"""What has StartAt and States."""

_PARTS: Final = {
    "Retry": "Retrier",
    "Catch": "Catcher",
    "Choices": "Rule",
    "Branches": "Branch",
    "ItemProcessor": "ItemProcessor",
    "Iterator": "ItemProcessor",
    "ProcessorConfig": "ProcessorConfig",
    "ItemReader": "ItemReader",
    "ReaderConfig": "ReaderConfig",
    "ItemBatcher": "ItemBatcher",
    "ResultWriter": "ResultWriter",
}
"""The fields that hold an object, or a list of objects, with rules of its own."""


@dataclass(frozen=True, slots=True)
class Site:
    """One JSON object of a definition."""

    location: str
    value: dict[str, Json]
    kind: str
    """The name of its model (a state's Type), "Rule", "ReaderConfig", or "" for a state of unknown Type."""
    jsonata: bool
    """The query language that its fields are read in."""


def speaks_jsonata(node: Json, inherited: bool) -> bool:
    """Whether an object's fields are JSONata.

    Nested states take the machine's language, never that of the Map or Parallel around them. As in Step
    Functions, a value that is no query language counts as JSONata.
    """
    return bool(node["QueryLanguage"] != "JSONPath") if "QueryLanguage" in node else inherited


def _type(state: dict[str, Json]) -> str:
    name = state.get("Type")
    return name if isinstance(name, str) and "QueryLanguage" in FIELDS.get(name, ()) else ""


def sites(definition: dict[str, Json]) -> Iterator[Site]:
    """All objects of a definition, each before its parts, in the order of the text."""
    machine = speaks_jsonata(definition, inherited=False)
    return _sites("", definition, "StateMachine", jsonata=machine, machine=machine)


def _sites(location: str, node: Json, kind: str, *, jsonata: bool, machine: bool) -> Iterator[Site]:
    if not isinstance(node, dict):
        return
    yield Site(location, node, kind, jsonata)
    for field, value in node.items():
        place = f"{location}/{field}"
        if kind in SCOPES and field == "States" and isinstance(value, dict):
            for name, state in value.items():
                if isinstance(state, dict):
                    language = speaks_jsonata(state, machine)
                    yield from _sites(
                        f"{place}/{name}", state, _type(state), jsonata=language, machine=machine
                    )
        elif part := _PARTS.get(field):
            language = machine if part in SCOPES else jsonata
            if isinstance(value, list):
                for index, each in enumerate(value):
                    yield from _sites(f"{place}[{index}]", each, part, jsonata=language, machine=machine)
            else:
                yield from _sites(place, value, part, jsonata=language, machine=machine)
