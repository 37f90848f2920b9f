"""Where states are collected: a scope is one ``States`` object (the flow's, a branch's, an iteration's).

States are added in the order in which they run. What has nowhere to go yet is an *exit*, a place for the name of a
state, and the next state that is added is where all open exits lead to. Without open exits nothing that follows can be
reached.
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

from nbflow.authoring.kinds import Kind, Promise, join
from nbflow.authoring.names import MISSING, Namespace, free, member, variable
from nbflow.authoring.source import Source
from nbflow.authoring.task import Notebook, Task
from nbflow.language.values import Json

ARN: Final = "arn:aws:lambda:us-east-1:000000000000:function:"

_LONGEST: Final = 80
"""Characters of a state's name."""

_HOLE: Final = re.compile("\0(.*?)\0")

Exit: TypeAlias = tuple[dict[str, Json], str]
"""An object of the definition, and the field that takes the name of the next state."""

State: TypeAlias = dict[str, Json]
Kinds: TypeAlias = dict[str, Kind]
"""The variables that are certainly set, and what is known of them."""


@dataclass(frozen=True, slots=True)
class Sink:
    """Where a value goes: nowhere, to variables, or out of the scope as its result."""

    places: dict[str, str] = field(default_factory=dict)
    """By variable, the part of the value that it gets: "" for all of it, "[0]", ".name"."""
    returns: bool = False


NOWHERE: Final = Sink()
RESULT: Final = Sink(returns=True)


def to(*names: str) -> Sink:
    """The sink that these variables are."""
    return Sink(dict.fromkeys(names, ""))


Rule: TypeAlias = Callable[["Scope", Any, Sink, str], None]
"""Makes the states for one form of expression: where, the expression, where its value goes, the statement's text."""


@dataclass(slots=True)
class Machine:
    """What the scopes of one flow share."""

    function: Callable[..., Any]
    source: Source
    namespace: Namespace
    locals: frozenset[str]
    """The flow's local variables: a name that is assigned anywhere is local everywhere, as in Python."""
    form: Callable[["Scope", ast.expr], Rule | None]
    """The rule for a form of expression that becomes states, if it is one (:mod:`nbflow.authoring.forms`)."""
    calling: set[ast.AST]
    """The nodes with a task call in them."""
    identifiers: set[str]
    """Python's names in the flow's text, and those of temporary variables."""
    tasks: dict[str, Task[..., Any] | Notebook] = field(default_factory=dict)
    promises: set[Promise] = field(default_factory=set)
    """Those that the definition relies on."""
    errors: dict[str, type[BaseException]] = field(default_factory=dict)
    """The exception classes that Retry and Catch list, by name."""
    open_rules: list[tuple[State, tuple[type[BaseException], ...]]] = field(default_factory=list)
    """Rules of Choices whose conditions are to list the names of these classes."""
    open_fails: list[tuple[State, str]] = field(default_factory=list)
    """Fail states that are to get the name of the error that a variable holds."""
    state_names: set[str] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)
    """ASL's names of variables: an inner scope must not assign one of an outer scope."""

    def state_name(self, *candidates: str) -> str:
        """The first candidate that no state has yet, as short as AWS wants it; else the last one, numbered."""
        short = [_shortened(" ".join(each.split()), _LONGEST) for each in candidates if each]
        numbered = (f"{_shortened(short[-1], _LONGEST - 6)} ({number})" for number in range(2, 10**6))
        return _first_free([*short], numbered, self.state_names)

    def identifier(self, base: str) -> str:
        """A new name for a temporary variable."""
        return _first_free([base], (f"{base}_{number}" for number in range(2, 10**6)), self.identifiers)

    def bind(self, task: Task[..., Any] | Notebook, base: str) -> str:
        """The NAME of a task; a new one, numbered if need be, if it is new."""
        for name, known in self.tasks.items():
            if known == task or _same_function(known, task):
                return name
        base = re.sub(r"[^A-Za-z0-9_-]", "_", base)[:60] or "task"
        names = set(self.tasks)
        name = _first_free([base], (f"{base}_{number}" for number in range(2, 10**6)), names)
        self.tasks[name] = task
        return name


def _same_function(one: Task[..., Any] | Notebook, other: Task[..., Any] | Notebook) -> bool:
    """Whether two tasks are the same code in the same place; their other options belong to states."""
    return (
        isinstance(one, Task)
        and isinstance(other, Task)
        and (one.function, one.placing) == (other.function, other.placing)
    )


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _first_free(candidates: Iterable[str], more: Iterable[str], taken: set[str]) -> str:
    chosen = next((each for each in candidates if each not in taken), None) or next(
        each for each in more if each not in taken
    )
    taken.add(chosen)
    return chosen


class Handler(NamedTuple):
    """An ``except`` clause while the body of its try is compiled."""

    node: ast.ExceptHandler
    classes: tuple[type[BaseException], ...]
    variable: str | None
    """What holds the error."""
    raises: bool
    """Whether it raises the error again."""
    within: tuple[type[BaseException], ...]
    """The classes that except clauses within it name: they may take what it raises again."""
    exits: list[Exit]
    """Where it is entered from."""
    kinds: list[Kinds]
    """The variables that are set there."""


@dataclass(slots=True)
class Scope:
    """One ``States`` object that is being filled."""

    machine: Machine
    kinds: Kinds
    inner: bool = False
    """A branch or an iteration: variables that it does not assign are members of its input."""
    states: dict[str, State] = field(default_factory=dict)
    definition: dict[str, Json] = field(default_factory=dict)
    exits: list[Exit] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    """ASL's names of its variables, as far as they are settled."""
    results: list[Kind] = field(default_factory=list)
    """What is known of what the scope gives, for each of its ends."""
    tries: list[list[Handler]] = field(default_factory=list)
    """The try statements around, the innermost last."""
    members: dict[str, str] = field(default_factory=dict)
    """Of an inner scope: which members of its input its variables are, where these are called otherwise."""

    def __post_init__(self) -> None:
        self.definition |= {"StartAt": "", "States": self.states}
        self.exits = [(self.definition, "StartAt")]

    # What expressions see

    def kind(self, name: str) -> Kind | None:
        return self.kinds.get(name)

    def is_variable(self, name: str) -> bool:
        return name in self.kinds or name in self.machine.locals

    def meaning(self, node: ast.expr) -> Any:
        return self.machine.namespace.resolve(node, self.is_variable)

    def check(self, node: ast.AST) -> list[str]:
        """The variables that the node reads, in order. Raises FlowError for names that mean nothing, or nothing yet."""
        found: dict[str, None] = {}
        for name in free(node):
            if name.id in self.kinds:
                found[name.id] = None
            elif name.id in self.machine.locals:
                raise self.machine.source.error(
                    name,
                    f"{name.id} may not be set here: it is set on some ways to this line only. Set it before, such as "
                    f"{name.id} = None, or in each branch",
                )
            elif self.machine.namespace.value(name.id) is MISSING:
                raise self.machine.source.error(
                    name, f"{name.id} is not defined: define or import it before the flow"
                )
        return list(found)

    # States

    @property
    def dead(self) -> bool:
        """Whether what follows cannot be reached."""
        return not self.exits

    def add(self, name: str, state: State) -> None:
        """Add a state: it is where the open exits lead to. It has none itself yet."""
        for holder, key in self.exits:
            holder[key] = name
        self.exits = []
        self.states[name] = state

    def merge(self, others: list[tuple[list[Exit], Kinds]]) -> None:
        """Go on where several ways meet: what is set on all of them is set."""
        alive = [(exits, kinds) for exits, kinds in others if exits]
        self.exits = [each for exits, _ in alive for each in exits]
        if alive:
            first, *rest = (kinds for _, kinds in alive)
            self.kinds = dict(first)
            for kinds in rest:
                self.kinds = {
                    name: join(kind, kinds[name]) for name, kind in self.kinds.items() if name in kinds
                }

    # Completion

    def close(self, entry: str = "") -> list[str]:
        """Fill the holes, now that the scope is complete.

        Returns the variables that an inner scope takes from outside, as members of its input. The first state reads
        them there; if a later state needs one, the first state keeps it (a new Pass named ``entry``, if the first state
        is a Choice).
        """
        names = self.names
        read = {name: list(_reads(state)) for name, state in self.states.items()}
        inputs = self._inputs(read) if self.inner else []
        start: str = self.definition["StartAt"]
        later = {name for state, found in read.items() if state != start for name in found}
        kept = [name for name in inputs if name in later]
        if kept and self.states[start]["Type"] == "Choice":
            start, kept = self._enter(start, entry), inputs
        at_start = {name: f"states.input{member(self.members.get(name, name))}" for name in inputs}
        for name in kept:
            self.states[start].setdefault("Assign", {})[f"\0{name}\0"] = f"{{% ${at_start[name]} %}}"
        for name, state in self.states.items():
            self.states[name] = _filled(
                state, names, at_start if name == start else {}, self.machine.variables
            )
            if "Next" in self.states[name]:
                self.states[name]["Next"] = self.states[name].pop("Next")
        return inputs

    def _inputs(self, read: dict[str, list[str]]) -> list[str]:
        """The variables that no state of this scope assigns."""
        own = {name for state in self.states.values() for name in _assigns(state)}
        return list(dict.fromkeys(name for found in read.values() for name in found if name not in own))

    def _enter(self, start: str, entry: str) -> str:
        name = self.machine.state_name(entry)
        states = dict(self.states)
        self.states.clear()
        self.states[name] = {"Type": "Pass", "Next": start}
        self.states.update(states)
        self.definition["StartAt"] = name
        return name


def _assigns(state: State) -> Iterator[str]:
    for holder in (state, *state.get("Choices", ()), *state.get("Catch", ())):
        for key in holder.get("Assign", ()):
            yield key.strip("\0")


def _reads(value: Json) -> Iterator[str]:
    """The variables that a state reads, wherever in it."""
    if isinstance(value, str):
        if value.startswith("{%"):
            yield from _HOLE.findall(value)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _reads(each)
    elif isinstance(value, list):
        for each in value:
            yield from _reads(each)


def _filled(value: Json, names: dict[str, str], given: dict[str, str], taken: set[str]) -> Json:
    """The value with ``$name`` in its holes, or what is ``given`` instead."""

    def named(name: str) -> str:
        if name not in names:
            names[name] = variable(name, taken.__contains__)
            taken.add(names[name])
        return names[name]

    def filled(value: Json) -> Json:
        if isinstance(value, str):
            if value.startswith("{%") and "\0" in value:
                return _HOLE.sub(lambda match: f"${given.get(match[1]) or named(match[1])}", value)
            return value
        if isinstance(value, dict):
            return {named(key[1:-1]) if key[:1] == "\0" else key: filled(each) for key, each in value.items()}
        return [filled(each) for each in value] if isinstance(value, list) else value

    return filled(value)
