"""The transitions of a definition, scope by scope, in the order in which they are written.

A transition stays within its scope (ASL, "Transitions"), so a picture of a machine is a picture of each scope, one
inside the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from nbflow.drawing import words
from nbflow.language import model

Kind: TypeAlias = Literal["next", "choice", "catch"]


@dataclass(frozen=True, slots=True)
class Transition:
    """A way from one state to another of its scope."""

    source: str
    target: str
    kind: Kind = "next"
    label: str = ""
    """The condition of a Choice, or the errors of a Catch."""


def transitions(scope: model.Branch) -> list[Transition]:
    """Every transition between the states of a scope, those of one state together and in their order."""
    return [each for name, state in scope.states.items() for each in leaving(name, state)]


def leaving(name: str, state: model.AnyState) -> list[Transition]:
    """The transitions out of one state. Those of the same kind with the same target are one, with both labels."""
    found: list[Transition] = []
    if isinstance(state, model.Choice):
        found += [
            Transition(name, str(rule["Next"]), "choice", words.condition(rule)) for rule in state.choices
        ]
        if state.default is not None:
            found.append(Transition(name, state.default, "choice", "default"))
    if isinstance(state, model.Step) and state.next is not None:
        found.append(Transition(name, state.next, "next"))
    if isinstance(state, model.Work):
        found += [Transition(name, each.next, "catch", words.caught(each)) for each in state.catch]
    return _merged(found)


def _merged(found: Sequence[Transition]) -> list[Transition]:
    labels: dict[tuple[str, str, Kind], list[str]] = {}
    for each in found:
        labels.setdefault((each.source, each.target, each.kind), []).append(each.label)
    return [Transition(*key, " or ".join(dict.fromkeys(texts))) for key, texts in labels.items()]


def ends(state: model.AnyState) -> bool:
    """Whether the scope can end with success after this state."""
    return isinstance(state, model.Succeed) or (isinstance(state, model.Step) and state.end)


def scopes(state: model.AnyState) -> Sequence[model.Branch]:
    """The scopes inside a state: a Map's one, a Parallel's branches."""
    match state:
        case model.Map():
            return [state.item_processor]
        case model.Parallel():
            return state.branches
        case _:
            return []


def every_state(scope: model.Branch) -> Iterator[tuple[str, model.AnyState]]:
    """Every state at any depth with its name, a Map or Parallel before what is in it."""
    for name, state in scope.states.items():
        yield name, state
        for inner in scopes(state):
            yield from every_state(inner)
