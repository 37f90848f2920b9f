"""What TestState shows of the way from a state's input to its output (AWS, InspectionData).

The steps are those of :mod:`nbflow.machine.flow`, done once more, one by one. Which of them AWS shows differs by type
and query language, for no reason that one could name; a step that fails is not shown, nor those behind it.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from nbflow.language import model
from nbflow.language.paths import compact, put, read
from nbflow.language.payload import fill
from nbflow.language.values import ABSENT, Failure, Json
from nbflow.machine import flow
from nbflow.machine.run import Frame
from nbflow.machine.turn import Turn
from nbflow.service.parameters import read_json

_LIMITS: Final = {
    "toleratedFailureCount": "ToleratedFailureCount",
    "toleratedFailurePercentage": "ToleratedFailurePercentage",
}


def inspect(turn: Turn, frame: Frame, state: model.AnyState, config: Mapping[str, Json]) -> dict[str, Json]:
    """What comes before the state's work. JSON texts, but for the limits of a Map, which are numbers."""
    seen: dict[str, Json] = {"input": compact(frame.data)}
    for name, value in _before(turn, frame, state, config):
        if isinstance(value, Failure):
            break
        seen[name] = compact(value)
    if isinstance(state, model.Map):
        seen |= _limits(turn, frame, state)
    return seen


def results(turn: Turn, frame: Frame, state: model.AnyState) -> dict[str, Json]:
    """What comes after the work of a state that has succeeded."""
    seen: dict[str, Json] = {}
    for name, value in _after(turn, frame, state):
        if isinstance(value, Failure):
            break
        seen[name] = compact(value)
    return seen


def items(frame: Frame, state: model.Map, config: Mapping[str, Json]) -> list[Json]:
    """The items of a Map: those that it was entered with, or the data that its ItemReader is said to have read."""
    if frame.fork is not None:
        return list(frame.fork.payload)
    if frame.map_run is not None:
        return list(frame.arguments)
    data, _ = read_json(config.get("mapItemReaderData", "[]"))
    return data if isinstance(data, list) else []


def _before(
    turn: Turn, frame: Frame, state: model.AnyState, config: Mapping[str, Json]
) -> Iterator[tuple[str, Json]]:
    match state:
        case model.Parallel() | model.Pass(jsonata=True):
            return
        case model.Task(jsonata=True):
            yield "afterArguments", flow.arguments(turn, frame, state)
        case model.Pass(result=result) if result is not ABSENT:
            return
        case model.Fail(jsonata=False):
            yield "afterInputPath", frame.data
        case model.State(jsonata=False):
            yield "afterInputPath", flow.effective_input(turn, frame, state)
    if isinstance(state, model.Task | model.Pass) and not state.jsonata:
        yield "afterParameters", flow.parameters(turn, frame, state, state.parameters)
    if isinstance(state, model.Map):
        yield from _map(turn, frame, state, config)


def _map(
    turn: Turn, frame: Frame, state: model.Map, config: Mapping[str, Json]
) -> Iterator[tuple[str, Json]]:
    data = flow.effective_input(turn, frame, state)
    if not state.jsonata and state.item_reader is None:
        yield "afterItemsPath", read(state.items_path, turn.scope(frame, data))
    if state.item_selector is ABSENT:
        return
    selected = [
        fill(
            state.item_selector,
            turn.scope(frame, data, item=each),
            jsonata=state.jsonata,
            field="ItemSelector",
        )
        for each in enumerate(items(frame, state, config))
    ]
    failure = next((each for each in selected if isinstance(each, Failure)), None)
    yield "afterItemSelector", selected if failure is None else failure


def _limits(turn: Turn, frame: Frame, state: model.Map) -> dict[str, Json]:
    """The numbers that a Map runs under; a concurrency of 0 is none."""
    found = {name: flow.number(turn, frame, state, field) for name, field in _LIMITS.items()}
    concurrency = flow.number(turn, frame, state, "MaxConcurrency")
    seen = {name: value for name, value in found.items() if isinstance(value, int | float)}
    if not isinstance(concurrency, Failure):
        seen["maxConcurrency"] = int(concurrency or 0)
    return seen


def _after(turn: Turn, frame: Frame, state: model.AnyState) -> Iterator[tuple[str, Json]]:
    result, selected = frame.result, frame.result
    match state:
        case model.Task():
            yield "result", result
        case model.Pass(jsonata=False):
            result = state.result
            if result is not ABSENT:
                yield "result", result
            selected = flow.parameters(turn, frame, state, state.parameters) if result is ABSENT else result
        case model.Map() | model.Parallel():
            pass
        case _:
            return
    if state.jsonata:
        return
    if isinstance(state, model.Work) and state.result_selector is not None:
        scope = turn.scope(frame, result)
        selected = fill(state.result_selector, scope, jsonata=False, field="ResultSelector")
    yield "afterResultSelector", selected
    yield "afterResultPath", _combined(frame, state.result_path, selected)


def _combined(frame: Frame, path: str | None, result: Json) -> Json:
    if path is None:
        return frame.data
    return result if path == "$" else put(frame.data, path, result)
