"""Where the boxes and edges of a state machine are.

ASL's transitions stay within their scope, so each scope is laid out by itself (:mod:`nbflow.drawing.layers`), from
the inside out: a Map or Parallel is, to the scope around it, a box that is as large as what it contains.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import Final, Literal, TypeAlias

from nbflow.drawing import flow, words
from nbflow.drawing.cells import Link, Side
from nbflow.drawing.layers import Point, arrange
from nbflow.drawing.places import BETWEEN
from nbflow.language import model
from nbflow.machine.distributed import is_distributed

Kind: TypeAlias = flow.Kind
BoxType: TypeAlias = Literal[
    "Task", "Pass", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map", "Start", "End"
]

MARGIN: Final = 20.0
"""Pixels around the whole picture, and inside a Map or Parallel."""
LEAF_HEIGHT: Final = 48.0
LINE_HEIGHT: Final = 17.0
"""Pixels that a second line of a name takes more."""
HEADER: Final = 60.0
"""Pixels at the top of a Map or Parallel, for its name and its progress."""
_LEAST: Final = 176.0
_MANY: Final = 288.0
"""Of a Distributed Map: there is room for "300,000/1,000,000 · 12 min left" beside what it is."""
_STEP: Final = 16.0
"""Boxes are so many pixels wide, or this much more, and more: many are equal, which looks calm."""
_BESIDE_TITLE: Final = 46.0 + 30.0
"""Pixels left and right of a name: the icon, and the mark of its status."""
_DOT: Final = 14.0
_LABEL_HEIGHT: Final = 20.0
_WEIGHTS: Final[dict[Kind, float]] = {"next": 4.0, "choice": 2.0, "catch": 0.02}
"""What goes well is straight; what fails turns aside."""

_Key: TypeAlias = str | tuple[Literal["Start", "End"]]
"""A state's name, which may be any text, or a dot."""
_START: Final[_Key] = ("Start",)
_END: Final[_Key] = ("End",)


@dataclass(frozen=True, slots=True)
class Box:
    """A state; or a dot where the run starts or ends, which has no name. Pixels from the upper left corner."""

    name: str
    type: BoxType
    x: float
    y: float
    width: float
    height: float
    depth: int
    """How many Maps and Parallels it is in."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A transition, from the border of its source to the border of its target."""

    points: tuple[Point, ...]
    """Where a smooth line goes; it is vertical or horizontal at its ends."""
    label: str
    kind: Kind
    source: str
    """Empty for the dot at the start."""
    target: str
    """Empty for the dot at the end."""
    label_at: Point | None = None
    """The middle of the label. None where it is not written: at a Catch it would be in the way."""


@dataclass(frozen=True, slots=True)
class Picture:
    """All of a machine, in pixels. A box comes before those that are in it."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]


def lay_out(machine: model.StateMachine) -> Picture:
    """Lay a machine out, from top to bottom."""
    inner = _moved(_scope(machine, 0), MARGIN, MARGIN)
    return replace(inner, width=inner.width + 2 * MARGIN, height=inner.height + 2 * MARGIN)


def _scope(scope: model.Branch, depth: int) -> Picture:
    """The states of a scope, with its upper left corner at (0, 0). The outermost one has a start and an end."""
    inside = {name: _inside(state, depth + 1) for name, state in scope.states.items()}
    sizes: dict[_Key, tuple[float, float]] = {} if depth else {_START: (_DOT, _DOT)}
    sizes |= {name: _size(name, scope.states[name], inside[name]) for name in (scope.start_at, *scope.states)}
    edges = flow.transitions(scope)
    links = [_link(each) for each in edges]
    if depth == 0:
        ending = [name for name, state in scope.states.items() if flow.ends(state)]
        if ending:
            sizes[_END] = (_DOT, _DOT)
        edges = [flow.Transition("", scope.start_at), *edges, *(flow.Transition(name, "") for name in ending)]
        links = [Link(_START, scope.start_at), *links, *(Link(name, _END) for name in ending)]
    drawn = arrange(sizes, links)
    boxes: list[Box] = []
    lines = [
        Edge(route.points, each.label, each.kind, each.source, each.target, route.label)
        for each, route in zip(edges, drawn.routes, strict=True)
    ]
    for name, (x, y) in drawn.places.items():
        if not isinstance(name, str):
            boxes.append(Box("", name[0], x, y, _DOT, _DOT, depth))
            continue
        width, height = sizes[name]
        boxes.append(Box(name, scope.states[name].type, x, y, width, height, depth))
        content = inside[name]
        if content is not None:
            below = height - MARGIN - content.height
            part = _moved(content, x + (width - content.width) / 2, y + below)
            boxes += part.boxes
            lines += part.edges
    return Picture(drawn.width, drawn.height, tuple(boxes), tuple(lines))


def _link(each: flow.Transition) -> Link[_Key]:
    label = None
    if each.kind == "choice":
        text = words.cut(each.label, words.LABEL_WIDTH)
        label = (2 * ceil(words.width_of(text, words.LABEL_SIZE) / 2 + 6), _LABEL_HEIGHT)
    leaves: Side = "beside" if each.kind == "catch" else "below"
    return Link(each.source, each.target, leaves, _WEIGHTS[each.kind], label)


def _inside(state: model.AnyState, depth: int) -> Picture | None:
    """What a Map or Parallel contains: its scopes, side by side."""
    boxes: list[Box] = []
    edges: list[Edge] = []
    x = height = 0.0
    for scope in flow.scopes(state):
        part = _moved(_scope(scope, depth), x, 0.0)
        boxes += part.boxes
        edges += part.edges
        x, height = x + part.width + BETWEEN, max(height, part.height)
    return Picture(x - BETWEEN, height, tuple(boxes), tuple(edges)) if boxes else None


def _size(name: str, state: model.AnyState, inside: Picture | None) -> tuple[float, float]:
    lines = words.lines(name)
    width = max(_MANY if is_distributed(state) else _LEAST, max(map(words.width_of, lines)) + _BESIDE_TITLE)
    width = ceil(width / _STEP) * _STEP
    more = LINE_HEIGHT * (len(lines) - 1)
    if inside is None:
        return width, LEAF_HEIGHT + more
    return max(width, 2 * ceil(inside.width / 2 + MARGIN)), HEADER + more + inside.height + MARGIN


def _moved(picture: Picture, x: float, y: float) -> Picture:
    """The picture, of the same size, at another place."""

    def moved(point: Point) -> Point:
        return round(point[0] + x, 1), round(point[1] + y, 1)

    boxes = [replace(box, x=round(box.x + x, 1), y=round(box.y + y, 1)) for box in picture.boxes]
    edges = [
        replace(
            edge,
            points=tuple(map(moved, edge.points)),
            label_at=None if edge.label_at is None else moved(edge.label_at),
        )
        for edge in picture.edges
    ]
    return replace(picture, boxes=tuple(boxes), edges=tuple(edges))
