"""From a graph to layers of cells: the first half of a layered drawing.

A cell is what takes room in a layer: a box, or the place where a link passes on its way to a farther layer. Links that
close a cycle are turned round, so that all lead down; a box's layer is the longest path to it.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Generic, Literal, TypeAlias, TypeVar

Name = TypeVar("Name", bound=Hashable)
Side: TypeAlias = Literal["below", "beside"]

STUB: Final = 14.0
"""Pixels that a link goes sideways before it turns."""
_ASIDE: Final = 0.02
"""The weight of a link back."""


@dataclass(frozen=True, slots=True)
class Link(Generic[Name]):
    """A link to be drawn. It leaves its source below, or beside it; its label takes the room of ``label``."""

    source: Name
    target: Name
    leaves: Side = "below"
    weight: float = 4.0
    """How much it wants to be straight."""
    label: tuple[float, float] | None = None
    """Width and height."""


@dataclass(slots=True, eq=False)
class Cell:
    """A box, or the place where a link passes a rank. ``x`` is its middle."""

    width: float
    height: float
    rank: int = 0
    box: bool = False
    x: float = 0.0
    y: float = 0.0
    floor: float = 0.0
    """Where its layer ends."""
    up: list["Near"] = field(default_factory=list)
    down: list["Near"] = field(default_factory=list)
    """Neighbours in the layers above and below."""

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2


@dataclass(frozen=True, slots=True)
class Near:
    """A neighbour, and the link to it."""

    cell: Cell
    weight: float
    beside: bool
    """Whether the link runs along the neighbour's side, and not from or to its middle."""

    def wish(self, x: float) -> float:
        """Where a cell that is now at ``x`` would like to be because of this neighbour."""
        if not self.beside:
            return self.cell.x
        return (self.cell.left - STUB) if x < self.cell.x else (self.cell.right + STUB)


Layers: TypeAlias = list[list[Cell]]


def cells_of(
    boxes: Mapping[Name, tuple[float, float]], links: Sequence[Link[Name]]
) -> tuple[dict[Name, Cell], list[list[Cell]], Layers]:
    """The cell of each box, the cells that each link passes (from its source to its target), and the layers of all."""
    order, turned = _walk(boxes, links)
    ranks = _ranks(order, links, turned)
    cells = {name: Cell(*boxes[name], ranks[name], box=True) for name in order}
    chains = [_chain(link, cells, turned=at in turned) for at, link in enumerate(links)]
    return cells, chains, _layers(list(cells.values()))


def _walk(
    boxes: Mapping[Name, tuple[float, float]], links: Sequence[Link[Name]]
) -> tuple[list[Name], set[int]]:
    """The boxes in an order of depth-first search, and the links that lead back to one on the way (by index)."""
    leaving: dict[Name, list[int]] = {name: [] for name in boxes}
    for at, link in enumerate(links):
        leaving[link.source].append(at)
    order: dict[Name, None] = {}
    way: dict[Name, Iterator[int]] = {}
    back: set[int] = set()
    for root in boxes:
        name: Name | None = root if root not in order else None
        while name is not None:
            order.setdefault(name)
            steps = way.setdefault(name, iter(leaving[name]))
            for at in steps:
                target = links[at].target
                if target in way:
                    back.add(at)
                elif target not in order:
                    name = target
                    break
            else:
                del way[name]
                name = next(reversed(way), None)
    return list(order), back


def _ranks(order: list[Name], links: Sequence[Link[Name]], turned: set[int]) -> dict[Name, int]:
    """The longest path to each box; a link with a label needs a rank in between."""
    below: dict[Name, list[tuple[Name, int]]] = {name: [] for name in order}
    missing = dict.fromkeys(order, 0)
    for at, link in enumerate(links):
        if link.source != link.target:
            upper, lower = (link.target, link.source) if at in turned else (link.source, link.target)
            below[upper].append((lower, 1 if link.label is None else 2))
            missing[lower] += 1
    ranks = dict.fromkeys(order, 0)
    ready = [name for name in order if not missing[name]]
    while ready:
        name = ready.pop()
        for lower, length in below[name]:
            ranks[lower] = max(ranks[lower], ranks[name] + length)
            missing[lower] -= 1
            if not missing[lower]:
                ready.append(lower)
    return ranks


def _chain(link: Link[Name], cells: Mapping[Name, Cell], turned: bool) -> list[Cell]:
    """The cells through which a link passes, from its source to its target; they become neighbours."""
    source, target = cells[link.source], cells[link.target]
    step = -1 if turned else 1
    passed = [Cell(8.0, 0.0, rank) for rank in range(source.rank + step, target.rank, step)]
    if source is target:
        return []
    if link.label is not None:
        passed[0].width, passed[0].height = link.label
    for one, other in pairwise([source, *passed, target]):
        upper, lower = (other, one) if turned else (one, other)
        straight = 1.0 if one.box or other.box else 4.0
        weight = straight * (_ASIDE if turned else link.weight)
        beside = [
            each.box and (turned or (each is source and link.leaves == "beside")) for each in (upper, lower)
        ]
        # A link back is drawn on the left: it is read against the direction of all others.
        upper.down.insert(0 if turned else len(upper.down), Near(lower, weight, beside[1]))
        lower.up.append(Near(upper, weight, beside[0]))
    return passed


def _layers(boxes: Sequence[Cell]) -> Layers:
    """All cells by rank, in an order of depth-first search: what belongs together is together."""
    layers: Layers = [[] for _ in range(1 + max(cell.rank for cell in boxes))]
    seen: set[int] = set()
    waiting = [cell for cell in reversed(boxes) if not cell.up]
    while waiting:
        cell = waiting.pop()
        if id(cell) not in seen:
            seen.add(id(cell))
            layers[cell.rank].append(cell)
            waiting += [near.cell for near in reversed(cell.down)]
    return layers
