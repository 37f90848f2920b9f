"""Layered drawing of a directed graph, top to bottom, for boxes of any size.

:mod:`nbflow.drawing.cells` cuts the graph into layers, :mod:`nbflow.drawing.places` says where everything is in them,
and here the links get their routes: down from the middle of a box into the middle of the next, past others on ways of
their own, and from side to side where a link leads back or is beside the main way. The same input always gives the
same picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias

from nbflow.drawing.cells import STUB, Cell, Layers, Link, Name, Side, cells_of
from nbflow.drawing.places import place

_CLEAR: Final = 8.0
"""Pixels that a link keeps from boxes that are not its own."""

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Route:
    """Where a link runs: from border to border, and the middle of its label."""

    points: tuple[Point, ...]
    label: Point | None


@dataclass(frozen=True, slots=True)
class Arranged(Generic[Name]):
    """A drawing: its size, the upper left corner of each box, and the route of each link, in the order given."""

    width: float
    height: float
    places: dict[Name, Point]
    routes: list[Route]


def arrange(boxes: Mapping[Name, tuple[float, float]], links: Sequence[Link[Name]]) -> Arranged[Name]:
    """Place boxes, given as (width, height), and route the links between them.

    The first box is where one begins to read. Links of a box are drawn from left to right in the order given.
    """
    cells, chains, layers = cells_of(boxes, links)
    place(layers)
    routes = [_route(link, chain, cells, layers) for link, chain in zip(links, chains, strict=True)]
    return _fitted(cells, chains, routes)


def _route(link: Link[Name], chain: list[Cell], cells: Mapping[Name, Cell], layers: Layers) -> Route:
    source, target = cells[link.source], cells[link.target]
    if source is target:
        return Route(_loop(source), None)
    if source.rank > target.rank:
        points = _back(source, chain, target, layers)
    else:
        passed = [point for cell in chain for point in _passed(cell, down=True)]
        first = chain[0] if chain else target
        points = [*_leave(link.leaves, source, first, layers), *passed, *_enter(target)]
    label = None if link.label is None else _label(chain[0], down=source.rank < target.rank)
    return Route(tuple(points), label)


def _label(cell: Cell, down: bool) -> Point:
    """The middle of a label: at the border of its layer that is nearer to the link's source."""
    return cell.x, cell.y + cell.height / 2 if down else cell.floor - cell.height / 2


def _passed(cell: Cell, down: bool) -> list[Point]:
    """The points in a layer that a link passes, around its label."""
    x, y = _label(cell, down)
    points = [(x, cell.y), (x, y - cell.height / 2), (x, y + cell.height / 2), (x, cell.floor)]
    return points if down else points[::-1]


def _leave(leaves: Side, source: Cell, toward: Cell, layers: Layers) -> list[Point]:
    if leaves == "below":
        return [(source.x, source.y + source.height), (source.x, source.floor)]
    y = source.y + source.height * 0.55
    edge, x = _beside(source, toward.x, layers)
    return [(edge, y), (x, y), (x, source.floor)]


def _enter(target: Cell) -> list[Point]:
    """Into the middle of a box from above, straight for the length of an arrow."""
    return [(target.x, target.y - _CLEAR), (target.x, target.y)]


def _back(source: Cell, chain: list[Cell], target: Cell, layers: Layers) -> list[Point]:
    """From the side of a box up to the side of one above it."""
    out, into = _ends(source, target)
    if chain:
        edge, x = _beside(source, chain[0].x, layers)
        last, column = _beside(target, chain[-1].x, layers)
    else:
        left = min(source.left, target.left) - STUB
        edge, x = _beside(source, left, layers)
        last, column = _beside(target, left, layers)
    passed = [point for cell in chain for point in _passed(cell, down=False)]
    away, there = (
        [(edge, out), (x, out), (x, source.y)],
        [(column, target.floor), (column, into), (last, into)],
    )
    return [*away, *passed, *there]


def _ends(source: Cell, target: Cell) -> tuple[float, float]:
    """Where a link back leaves and enters: low on the one side, high on the other."""
    return source.y + source.height - min(source.height / 4, 2 * STUB), target.y + min(
        target.height * 0.3, 2 * STUB
    )


def _beside(cell: Cell, x: float, layers: Layers) -> tuple[float, float]:
    """The side of a box towards ``x``, and how far a link can go from there: to ``x``, if no box is in the way."""
    right = x >= cell.x
    edge, stub = (cell.right, cell.right + STUB) if right else (cell.left, cell.left - STUB)
    low, high = (edge, x) if right else (x, edge)
    beyond = x >= stub if right else x <= stub
    free = all(
        other is cell or not other.height or other.right < low - _CLEAR or other.left > high + _CLEAR
        for other in layers[cell.rank]
    )
    return edge, x if beyond and free else stub


def _loop(cell: Cell) -> tuple[Point, ...]:
    """From a box to itself, on its right."""
    out, back = _ends(cell, cell)
    x = cell.right + STUB
    return ((cell.right, out), (x, out), (x, back), (cell.right, back))


def _fitted(cells: Mapping[Name, Cell], chains: list[list[Cell]], routes: list[Route]) -> Arranged[Name]:
    """The drawing with its upper left corner at (0, 0)."""
    everything = [*cells.values(), *(cell for chain in chains for cell in chain)]
    xs = [x for route in routes for x, _ in route.points]
    left = min([cell.left for cell in everything] + xs)
    right = max([cell.right for cell in everything] + xs)
    height = max(cell.y + cell.height for cell in everything)

    def moved(point: Point) -> Point:
        return round(point[0] - left, 1), round(point[1], 1)

    return Arranged(
        round(right - left, 1),
        height,
        {name: moved((cell.left, cell.y)) for name, cell in cells.items()},
        [
            Route(
                tuple(dict.fromkeys(map(moved, route.points))),
                None if route.label is None else moved(route.label),
            )
            for route in routes
        ],
    )
