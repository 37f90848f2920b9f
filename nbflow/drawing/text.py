"""A machine, or a run of it, as text for a terminal.

States stand below each other in the order of the flow; a line on the left joins those that follow each other, and ends
where the flow goes elsewhere. What a state leads to besides the next line stands below it: the rules of a Choice, the
errors of a Catch, a jump. What is in a Map or Parallel is indented, each branch with a line of its own::

    ┌ List months                              Task                ✓ 1.4 s
    ├ Each month                               Map                 … 7/12
    │   ╶ Monthly                              Task                … 7/12
    └ Good enough?                             Choice
        lost_share ≤ 0.1 → Report
        default → Too much lost
    ╶ Report                                   Task
    ╶ Too much lost                            Fail
"""

from collections.abc import Iterator
from typing import Final

from nbflow.drawing import flow, words
from nbflow.drawing.board import Board, StateStatus
from nbflow.drawing.notes import note
from nbflow.language import model

MARKS: Final[dict[StateStatus, str]] = {
    "": " ",
    "RUNNING": "…",
    "RETRYING": "↻",
    "SUCCEEDED": "✓",
    "FAILED": "✗",
    "CAUGHT": "!",
    "ABORTED": "■",
}
_WIDTH: Final = 80
_NAME: Final = 42
"""Columns of the names, with what is drawn before them."""
_KIND: Final = 17
_LEAST: Final = 12
"""Columns that are left to a name however deep it is."""


def draw(machine: model.StateMachine, board: Board | None = None, *, now: float | None = None) -> str:
    """The machine in lines of at most 80 columns (more only if it is nested very deeply); with a board, its run.

    ``now`` (seconds since the epoch) is what states under way have taken until; without it, they show no time.
    """
    return "\n".join(line.rstrip() for line in _scope(machine, "", board, now))


def _scope(scope: model.Branch, before: str, board: Board | None, now: float | None) -> Iterator[str]:
    for chain in _chains(scope):
        for at, name in enumerate(chain):
            state = scope.states[name]
            following = chain[at + 1] if at + 1 < len(chain) else None
            yield _line(f"{before}{_joint(at, len(chain))} ", name, state, board, now)
            inner = before + ("│   " if following is not None else "    ")
            for each in flow.leaving(name, state):
                if each.kind != "next" or each.target != following:
                    yield _way(inner, each)
            for part in flow.scopes(state):
                yield from _scope(part, inner, board, now)


def _joint(at: int, length: int) -> str:
    if length == 1:
        return "╶"
    return "┌" if at == 0 else "└" if at == length - 1 else "├"


def _chains(scope: model.Branch) -> Iterator[list[str]]:
    """The states of a scope in the order of the flow, those together that follow each other by Next."""
    seen: set[str] = set()
    for first in _order(scope):
        name: str | None = first
        chain: list[str] = []
        while name is not None and name not in seen:
            seen.add(name)
            chain.append(name)
            state = scope.states[name]
            name = state.next if isinstance(state, model.Step) else None
        if chain:
            yield chain


def _order(scope: model.Branch) -> list[str]:
    """Every state before what it leads to, but for loops; what goes well before what a Catch leads to."""
    order: list[str] = []
    way, begun = [scope.start_at], {scope.start_at}
    while way:
        # The last of its targets first, as the order is reversed in the end.
        targets = [each.target for each in reversed(flow.leaving(way[-1], scope.states[way[-1]]))]
        ahead = next((target for target in targets if target not in begun), None)
        if ahead is None:
            order.append(way.pop())
        else:
            begun.add(ahead)
            way.append(ahead)
    return order[::-1]


def _line(before: str, name: str, state: model.AnyState, board: Board | None, now: float | None) -> str:
    named = before + _cut(name, max(_NAME - len(before), _LEAST))
    line = _padded(named, _NAME + 1) + _padded(words.kind_of(state), _KIND)
    if board is None:
        return line
    view = board.states[name]
    return f"{line} {MARKS[view.status]} {note(view, now)}"


def _way(before: str, way: flow.Transition) -> str:
    arrow = "⇢" if way.kind == "catch" else "→"
    target = _cut(way.target, max((_WIDTH - len(before)) // 2, _LEAST))
    room = _WIDTH - len(before) - words.columns(target) - 3
    return (
        f"{before}{_cut(way.label, max(room, _LEAST))} {arrow} {target}"
        if way.label
        else f"{before}{arrow} {target}"
    )


def _cut(text: str, columns: int) -> str:
    """A text in one line, without control characters (a terminal would obey them), cut to so many columns."""
    text = words.plain(text)
    if words.columns(text) <= columns:
        return text
    while words.columns(text) >= columns:
        text = text[:-1]
    return f"{text}…"


def _padded(text: str, columns: int) -> str:
    return text + " " * (columns - words.columns(text))
