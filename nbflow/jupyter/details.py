"""What is in a step: the answer to a click.

A state's name says which Maps and Parallels are around it, for names are unique in a definition. A Parallel's branch
follows from the name too; of a Map the front end may choose the item. Where it has not, the item is chosen that people
look for: the first that failed, else one that runs, else the first. Whoever asks for an item of a Map, and not for a
state in it, is told of the state where the item stopped or is.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from nbflow.client.executions import Execution, Step
from nbflow.drawing.board import ITEM
from nbflow.drawing.flow import every_state
from nbflow.engine.hearing import Item
from nbflow.jupyter.live import far_of
from nbflow.jupyter.messages import Ask, AttemptMade, Details, ItemFar, MapItem, Visited
from nbflow.language import model
from nbflow.language.paths import spelt
from nbflow.language.values import Json
from nbflow.machine.trace import STOPPING, Trace, Visit

MOST_TEXT: Final = 20_000
"""Characters of a JSON value, an error or a log that are shown."""

_LOOKED_FOR: Final = "fars"
"""Which item is chosen where none is: the first of the first kind that there is."""

Way = tuple[tuple[str, int | None], ...]
"""The forks around a state, outermost first; of a Parallel with the branch that the state is in, of a Map with None."""


def details(execution: Execution, trace: Trace, ask: Ask) -> Details:
    """The visit that is asked for. KeyError: there is no such state."""
    state, way = ask["state"], ways(trace.run.definition)
    path, visits = _find(trace, way[state], state, ask["items"])
    if visits and visits[-1].type == "Map" and state in ask["items"]:
        state = _where(visits[-1], ask["items"][state], trace.run.definition)
        path, visits = _find(trace, way[state], state, ask["items"])
    number = len(visits) - 1 if ask["visit"] is None else max(0, min(ask["visit"], len(visits) - 1))
    return {
        "type": "details",
        "id": ask["id"],
        "run": ask["run"],
        "state": state,
        "path": path,
        "visit": max(number, 0),
        "visits": len(visits),
        **(_in(execution, trace, visits[number]) if visits else _NOT_ENTERED),
    }


_NOT_ENTERED: Final[Visited] = {
    "kind": "",
    "status": "",
    "entered": None,
    "exited": None,
    "attempts": [],
    "waits": "",
    "retry": None,
    "far": None,
    "fars": [],
    "error": "",
    "printed": "",
    "input": "",
    "output": "",
}


def _in(execution: Execution, trace: Trace, visit: Visit) -> Visited:
    step = Step(execution, [visit])
    # The panel stops following a run that has ended; whether its tasks have, too, comes after that.
    stopping = trace.is_stopping(visit) and execution.is_stopping(execution.trace, visit)
    told = execution.connection.engine.heard(execution.arn)
    now = told.get(visit.attempts[-1].id) if visit.attempts else None
    attempts: list[AttemptMade] = [
        {
            "started": made.started_at,
            "ended": made.ended_at,
            "error": made.error or "",
            "queued": made.queued,
            "ran": made.ran,
            "worker": made.worker or (told[made.id].worker if made.id in told else ""),
        }
        for made in visit.attempts
    ]
    return {
        "kind": visit.type,
        "status": visit.status,
        "entered": visit.entered_at,
        "exited": visit.exited_at,
        "attempts": attempts,
        "waits": STOPPING if stopping else visit.waits_for,
        "retry": visit.retry_due,
        "far": None if now is None else far_of(now.progress),
        "fars": [] if now is None else [_far(item) for item in now.items],
        "error": _tail(step.describe_error()) if visit.failed else "",
        "printed": _tail(step.log),
        "input": shown(visit.input),
        "output": shown(visit.output) if visit.status in ("SUCCEEDED", "CAUGHT") else "",
    }


def _far(item: Item) -> ItemFar:
    done, total, text = item.progress
    return {"item": item.number, "done": done, "total": total, "text": text}


def ways(definition: model.StateMachine) -> dict[str, Way]:
    """Every state of the definition, at any depth, and the forks around it."""
    return dict(_ways(definition, ()))


def _ways(scope: model.Branch, way: Way) -> Iterator[tuple[str, Way]]:
    for name, state in scope.states.items():
        yield name, way
        if isinstance(state, model.Map):
            yield from _ways(state.item_processor, (*way, (name, None)))
        elif isinstance(state, model.Parallel):
            for index, branch in enumerate(state.branches):
                yield from _ways(branch, (*way, (name, index)))


def _find(trace: Trace, way: Way, state: str, chosen: Mapping[str, int]) -> tuple[list[MapItem], list[Visit]]:
    """The Maps on the way, and the state's visits at its end."""
    path: list[MapItem] = []
    here: Sequence[Visit] = trace.visits
    for fork, branch in way:
        around = [visit for visit in here if visit.name == fork]
        if not around:
            return path, []
        items = marks(around[-1])
        if branch is None:
            branch = chosen[fork] if 0 <= chosen.get(fork, -1) < len(items) else _choose(items)
            path.append({"state": fork, "item": branch, "items": items})
        here = around[-1].branches.get(branch, [])
    visits = [visit for visit in here if visit.name == state]
    if visits and visits[-1].type == "Map" and visits[-1].map_run is None:
        path.append({"state": state, "item": None, "items": marks(visits[-1])})
    return path, visits


def _where(map: Visit, item: int, definition: model.StateMachine) -> str:
    """The state that an item of a Map stopped in, or is in; the first one if it has not begun."""
    visits = map.branches.get(item)
    if visits:
        return visits[-1].name
    states = dict(every_state(definition))
    processor = states[map.name]
    assert isinstance(processor, model.Map)
    return processor.item_processor.start_at


def marks(fork: Visit) -> str:
    """How its iterations or branches stand: a character for each, as in :class:`nbflow.jupyter.messages.StateLive`.

    The items of a Map Run are executions of their own, and have none.
    """
    if fork.map_run is not None:
        return ""
    ends = fork.branch_status
    return "".join(ITEM[ends[at]] if at in ends else " " for at in range(fork.total))


def _choose(items: str) -> int:
    return next((items.index(mark) for mark in _LOOKED_FOR if mark in items), 0)


def shown(value: Json) -> str:
    """JSON on several lines, cut where it is long. What is cut off is not even made."""
    parts: list[str] = []
    room = MOST_TEXT
    for part in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(value):
        parts.append(part[:room])
        room -= len(part)
        if room < 0:
            return spelt("".join(parts)) + "\n… cut off here: run[…].input or .output has all of it"
    return spelt("".join(parts))


def _tail(text: str) -> str:
    """The end of a text, where what matters of a traceback or a log stands."""
    if len(text) <= MOST_TEXT:
        return spelt(text)
    return f"… {len(text) - MOST_TEXT:,} characters before this are not shown\n{spelt(text[-MOST_TEXT:])}"
