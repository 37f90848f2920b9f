"""How states relate to each other: transitions, names and labels.

A transition stays within its scope, the States that it is written in (ASL, "Transitions"); names are unique
in the whole machine (ASL, "States").
"""

from collections.abc import Iterator
from typing import Final

from nbflow.language.sites import SCOPES, Diagnostic, Site, did_you_mean, error, sites
from nbflow.language.values import Json

_NAME_LIMIT: Final = 80
_LABEL_LIMIT: Final = 40


def check(definition: dict[str, Json]) -> Iterator[Diagnostic]:
    """All mistakes in transitions, state names and labels, scope by scope."""
    names: set[str] = set()
    labels: set[str] = set()
    for site in sites(definition):
        if site.kind in SCOPES:
            yield from _transitions(site)
            yield from _state_names(site, names)
        elif site.kind == "Map":
            yield from _label(site, labels)


def _targets(state: Json) -> Iterator[tuple[str, str]]:
    """(where, target) of every transition out of a state; "where" is relative to the state."""
    if not isinstance(state, dict):
        return
    for field in ("Next", "Default"):
        if isinstance(state.get(field), str):
            yield field, state[field]
    for field in ("Choices", "Catch"):
        members = state.get(field)
        for index, member in enumerate(members if isinstance(members, list) else ()):
            if isinstance(member, dict) and isinstance(member.get("Next"), str):
                yield f"{field}[{index}]/Next", member["Next"]


def _is_terminal(state: Json) -> bool:
    return isinstance(state, dict) and (state.get("End") is True or state.get("Type") in ("Succeed", "Fail"))


def _reachable(start: str, states: dict[str, Json]) -> set[str]:
    found, waiting = set[str](), [start]
    while waiting:
        name = waiting.pop()
        if name in states and name not in found:
            found.add(name)
            waiting += [target for _, target in _targets(states[name])]
    return found


def _transitions(scope: Site) -> Iterator[Diagnostic]:
    states, start = scope.value.get("States"), scope.value.get("StartAt")
    if not isinstance(states, dict):
        return
    targets = [("/StartAt", start)] if isinstance(start, str) else []
    for name, state in states.items():
        targets += [(f"/States/{name}/{where}", target) for where, target in _targets(state)]
    code = "MISSING_TRANSITION_TARGET"
    for where, target in targets:
        if target not in states:
            message, hint = f"Missing 'Next' target: {target}", did_you_mean(target, states)
            yield error(scope.location + where, message, code=code, hint=hint)
    if scope.kind == "StateMachine" and states and not any(map(_is_terminal, states.values())):
        # Asked of the machine only. Step Functions names no place, and then says nothing about reachability.
        yield Diagnostic("ERROR", "MISSING_END_STATE", "Workflow has no terminal state")
    elif isinstance(start, str):
        reachable = _reachable(start, states)
        for name in states:
            if name not in reachable:
                message = f'State "{name}" is not reachable.'
                yield error(f"{scope.location}/States/{name}", message, code=code)


def _state_names(scope: Site, seen: set[str]) -> Iterator[Diagnostic]:
    states = scope.value.get("States")
    for name in states if isinstance(states, dict) else ():
        location = f"{scope.location}/States/{name}"
        if name in seen:
            yield error(location, f"Duplicate State name: {name}", code="DUPLICATE_STATE_NAME")
        seen.add(name)
        if not name:
            yield error(location, "The state name cannot be empty", code="INVALID_STATE_NAME")
        if len(name) > _NAME_LIMIT:
            message = f"The state name exceeds the {_NAME_LIMIT}-character limit allowed by the service"
            yield error(location, message, code="INVALID_STATE_NAME")


def _label(site: Site, seen: set[str]) -> Iterator[Diagnostic]:
    label, location = site.value.get("Label"), f"{site.location}/Label"
    if not isinstance(label, str):
        return
    if label in seen:
        yield error(location, f"Duplicate Label name: {label}", code="DUPLICATE_LABEL_NAME")
    seen.add(label)
    if len(label) > _LABEL_LIMIT:
        message = f"The label exceeds the {_LABEL_LIMIT}-character limit allowed by the service"
        yield error(location, message, code="INVALID_LABEL_NAME")
