"""A machine, or a run of it, as one SVG that stands by itself.

The panel changes this very picture while a run goes on, by these handles only:

``<g class="nbflow-state nbflow-STATUS" data-state="NAME">``
    a state; without the second class it has not been entered. All marks are in it, and the class shows the right one.
``<text class="nbflow-note">`` in it
    a duration or counts (:func:`nbflow.drawing.notes.note`).
``<rect class="nbflow-bar" data-width="…">`` in a Map's or Parallel's
    its progress: ``width`` is ``data-width`` times what is done.
``<path class="nbflow-edge nbflow-KIND" data-source="NAME" data-target="NAME">``, and its ``nbflow-head``
    a transition; ``nbflow-taken`` is added when it has been taken.

``nbflow-run`` on the root says that there is a run: states that have not been entered are then pale.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final
from xml.sax.saxutils import quoteattr

from nbflow.drawing import words
from nbflow.drawing.board import Board, StateView
from nbflow.drawing.flow import every_state
from nbflow.drawing.layers import Point
from nbflow.drawing.layout import HEADER, LINE_HEIGHT, Box, Edge, lay_out
from nbflow.drawing.notes import note
from nbflow.drawing.style import style
from nbflow.language import model

_ICONS: Final = {
    "Task": "M4.5 3 1 7l3.5 4M9.5 3 13 7l-3.5 4",
    "Pass": "M1.5 7h11M8.5 3l4 4-4 4",
    "Choice": "M7 1 13 7 7 13 1 7Z",
    "Wait": "M7 1.2a5.8 5.8 0 1 0 .01 0ZM7 4v3.2l2.2 1.4",
    "Succeed": "M2 7.5 5.5 11 12 3.5",
    "Fail": "M3 3l8 8M11 3l-8 8",
    "Map": "M1.5 1.5h4.2v4.2H1.5ZM8.3 1.5h4.2v4.2H8.3ZM1.5 8.3h4.2v4.2H1.5ZM8.3 8.3h4.2v4.2H8.3Z",
    "Parallel": "M4 1.5v11M10 1.5v11",
}
"""What a type looks like, as lines in a square of 14 pixels."""

_MARKS: Final = {
    "RUNNING": "M-3 0h.01M0 0h.01M3 0h.01",
    "RETRYING": "M2.9-1.6A3.4 3.4 0 1 0 3.3.8M3.3-3.6v2.3H1",
    "SUCCEEDED": "M-3 .2-.8 2.5 3.2-2.2",
    "FAILED": "M-2.4-2.4 2.4 2.4M2.4-2.4-2.4 2.4",
    "CAUGHT": "M0-3.2V.6M0 3.1h.01",
    "ABORTED": "M-2.2 0h4.4",
}
"""What a status looks like, around the middle of its badge."""

_ROUND: Final = 8.0


def svg(machine: model.StateMachine, board: Board | None = None, *, now: float | None = None) -> str:
    """The picture of a machine; with a board, of the run that it shows.

    ``now`` (seconds since the epoch) is what states under way have taken until; without it, they show no time.
    """
    picture = lay_out(machine)
    states = dict(every_state(machine))
    width, height = f"{picture.width:g}", f"{picture.height:g}"
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="nbflow-svg{" nbflow-run" if board is not None else ""}" '
            f'width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
            f"<style>{style()}</style>",
            f'<rect class="nbflow-canvas" width="{width}" height="{height}" rx="10"/>',
            *(_box(box, states, board, now) for box in picture.boxes),
            *(_edge(edge, board) for edge in picture.edges),
            *(_label(edge) for edge in picture.edges if edge.label_at is not None),
            "</svg>\n",
        )
    )


def _box(box: Box, states: dict[str, model.AnyState], board: Board | None, now: float | None) -> str:
    if not box.name:
        return _dot(box)
    state = states[box.name]
    view = StateView(box.name, box.type) if board is None else board.states[box.name]
    status = f" nbflow-{view.status}" if view.status else ""
    parts = _container(box, view) if box.type in ("Map", "Parallel") else _leaf(box)
    return "".join(
        (
            f'<g class="nbflow-state{status}" data-state={_attribute(box.name)} data-type="{box.type}">',
            f"<title>{_text(box.name)}</title>",
            *parts,
            *_words(box, state, note(view, now)),
            *_mark(box),
            "</g>",
        )
    )


def _dot(box: Box) -> str:
    x, y, r = box.x + box.width / 2, box.y + box.height / 2, box.width / 2
    inner = (
        f'<circle class="nbflow-dot" cx="{x:g}" cy="{y:g}" r="{r - 2.5 if box.type == "End" else r - 1:g}"/>'
    )
    if box.type == "Start":
        return inner
    return f'<circle class="nbflow-ring" cx="{x:g}" cy="{y:g}" r="{r - 0.5:g}"/>{inner}'


def _leaf(box: Box) -> Iterator[str]:
    yield _rect("box", box, _ROUND)
    yield _side(box)


def _container(box: Box, view: StateView) -> Iterator[str]:
    if box.type == "Map":  # a sheet behind it: what is in it happens many times
        yield (
            f'<path class="nbflow-sheet" d="M{box.x + 8:g} {box.y + box.height:g}v1a4 4 0 0 0 4 4'
            f'H{box.x + box.width - 2:g}a6 6 0 0 0 6-6V{box.y + 12:g}a4 4 0 0 0-4-4h-1"/>'
        )
    yield _rect("frame", box, _ROUND)
    yield _side(box)
    width = box.width - 28
    y = box.y + HEADER - 15 + LINE_HEIGHT * (len(words.lines(box.name)) - 1)
    done = width * view.done / view.total if view.total else 0
    at = f'x="{box.x + 16:g}" y="{y:g}" height="3" rx="1.5"'
    yield f'<rect class="nbflow-bar-back" {at} width="{width:g}"/>'
    yield f'<rect class="nbflow-bar" {at} width="{done:.4g}" data-width="{width:g}"/>'


def _side(box: Box) -> str:
    """The coloured left border."""
    return (
        f'<path class="nbflow-side" d="M{box.x + 4:g} {box.y:g}a4 {_ROUND:g} 0 0 0-4 {_ROUND:g}'
        f'v{box.height - 2 * _ROUND:g}a4 {_ROUND:g} 0 0 0 4 {_ROUND:g}Z"/>'
    )


def _rect(name: str, box: Box, radius: float) -> str:
    return (
        f'<rect class="nbflow-{name}" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" '
        f'height="{box.height:g}" rx="{radius:g}"/>'
    )


def _words(box: Box, state: model.AnyState, noted: str) -> Iterator[str]:
    at = f"translate({box.x + 17:g} {box.y + 11:g})"
    yield f'<path class="nbflow-icon nbflow-{box.type}" transform="{at}" d="{_ICONS[box.type]}"/>'
    x, y = box.x + 42, box.y + 21
    for line in words.lines(box.name):
        yield f'<text class="nbflow-title" x="{x:g}" y="{y:g}">{_text(line)}</text>'
        y += LINE_HEIGHT
    yield f'<text class="nbflow-kind" x="{x:g}" y="{y:g}">{_text(words.kind_of(state))}</text>'
    right = box.x + box.width - 12
    yield f'<text class="nbflow-note" x="{right:g}" y="{y:g}" text-anchor="end">{_text(noted)}</text>'


def _mark(box: Box) -> Iterator[str]:
    x, y = box.x + box.width - 19, box.y + 17
    yield f'<circle class="nbflow-badge" cx="{x:g}" cy="{y:g}" r="7.5"/>'
    for status, path in _MARKS.items():
        yield f'<path class="nbflow-mark nbflow-mark-{status}" transform="translate({x:g} {y:g})" d="{path}"/>'


def _edge(edge: Edge, board: Board | None) -> str:
    taken = " nbflow-taken" if board is not None and _is_taken(edge, board) else ""
    ends = f"data-source={_attribute(edge.source)} data-target={_attribute(edge.target)}"
    title = f"<title>{_text(edge.label)}</title>" if edge.label else ""
    return (
        f'<path class="nbflow-edge nbflow-{edge.kind}{taken}" {ends} d="{_line(edge)}">{title}</path>'
        f'<path class="nbflow-head nbflow-{edge.kind}{taken}" {ends} d="{_head(edge.points)}"/>'
    )


def _is_taken(edge: Edge, board: Board) -> bool:
    if edge.source and edge.target:
        return (edge.source, edge.target) in board.taken
    if edge.target:
        return bool(board.states[edge.target].visits)
    return board.status == "SUCCEEDED" and board.states[edge.source].status == "SUCCEEDED"


def _line(edge: Edge) -> str:
    """A smooth line: straight where it is vertical or horizontal, else an S; its label interrupts it."""
    points = edge.points
    path = [f"M{_at(points[0])}"]
    for at, (one, two) in enumerate(pairwise(points)):
        if one[0] != two[0] and one[1] != two[1]:
            middle = (one[1] + two[1]) / 2
            path.append(f"C{_at((one[0], middle))} {_at((two[0], middle))} {_at(two)}")
        elif at + 2 < len(points) and _is_corner(one, two, points[at + 2]):
            path.append(f"L{_at(_toward(two, one))}Q{_at(two)} {_at(_toward(two, points[at + 2]))}")
        else:
            path.append(f"{'M' if _is_label(edge, one, two) else 'L'}{_at(two)}")
    return "".join(path)


def _is_label(edge: Edge, one: Point, two: Point) -> bool:
    if edge.label_at is None:
        return False
    x, y = edge.label_at
    return one[0] == two[0] == x and min(one[1], two[1]) <= y <= max(one[1], two[1])


def _is_corner(one: Point, two: Point, three: Point) -> bool:
    return (one[1] == two[1] and two[0] == three[0]) or (one[0] == two[0] and two[1] == three[1])


def _toward(corner: Point, other: Point) -> Point:
    """The place where the rounding of a corner begins, on the way to the other point."""
    length = abs(other[0] - corner[0]) + abs(other[1] - corner[1])
    part = min(_ROUND, length / 2) / length
    return corner[0] + (other[0] - corner[0]) * part, corner[1] + (other[1] - corner[1]) * part


def _head(points: tuple[Point, ...]) -> str:
    """The arrow's head at the last point."""
    (x, y), (fx, fy) = points[-1], points[-2]
    if fy == y:
        back = 7 if fx > x else -7
        return f"M{_at((x, y))}l{back} -4v8Z"
    return f"M{_at((x, y))}l-4 -7h8Z"


def _label(edge: Edge) -> str:
    assert edge.label_at is not None
    x, y = edge.label_at
    return (
        f'<text class="nbflow-label" x="{x:g}" y="{y + 4:g}" text-anchor="middle"><title>{_text(edge.label)}</title>'
        f"{_text(words.cut(edge.label, words.LABEL_WIDTH))}</text>"
    )


def _at(point: Point) -> str:
    return f"{point[0]:g} {point[1]:g}"


def _attribute(text: str) -> str:
    return quoteattr(words.printable(text), {"\n": "&#10;", "\t": "&#9;", "\r": "&#13;"})


def _text(text: str) -> str:
    return words.printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
