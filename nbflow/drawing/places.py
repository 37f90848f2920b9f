"""Where the cells of a layered drawing are: their order in each layer, and their pixels.

Layers are ordered by the barycenters of their neighbours (Sugiyama, Tagawa and Toda 1981), and then moved sideways in
that order, layer by layer. Given where each cell would like to be, the nearest places that keep the order and the
distances are an isotonic regression, which pooling adjacent violators solves exactly.
"""

from bisect import bisect_right, insort
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Final

from nbflow.drawing.cells import STUB, Cell, Layers, Near

BETWEEN: Final = 40.0
"""Pixels between two boxes that are side by side."""
PASSING: Final = 24.0
"""Pixels between a box and a link that passes it."""
_GAP: Final = 34.0
_NARROW: Final = 20.0
"""Pixels between layers; narrow before and after one that has labels only."""
_SWEEPS: Final = 8
_STILL: Final = 0.5
"""Pixels of movement that are none."""


def place(layers: Layers) -> None:
    """Order the cells of each layer, and set ``x``, ``y`` and ``floor`` of all."""
    _reorder(layers)
    _spread(layers)
    _straighten(layers)
    for cell in (cell for layer in layers for cell in layer):
        cell.x = round(cell.x)  # whole pixels are sharp
    _stack(layers)


def _reorder(layers: Layers) -> None:
    """Order each layer by the barycenters of its neighbours, down and up; the first of the best orders is kept."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for layer, fixed in _pairs(layers, down):
            _sort(layer, fixed, down)
        crossings = _crossings(layers)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    layers[:] = best


def _pairs(layers: Layers, down: bool) -> Iterator[tuple[list[Cell], list[Cell]]]:
    """Each layer after the one that it follows, in the direction of a sweep."""
    way = layers if down else layers[::-1]
    return ((layer, fixed) for fixed, layer in pairwise(way))


def _sort(layer: list[Cell], fixed: list[Cell], down: bool) -> None:
    place = {id(cell): float(at) for at, cell in enumerate(fixed)}
    own = {id(cell): float(at) for at, cell in enumerate(layer)}

    def port(cell: Cell, other: Cell) -> float:
        """Where on ``other`` the link to ``cell`` is, as a part of its width: links do not change their order."""
        links = other.down if down else other.up
        at = next(i for i, near in enumerate(links) if near.cell is cell)
        return place[id(other)] + (at + 1) / (len(links) + 1) - 0.5

    def center(cell: Cell) -> float:
        links = cell.up if down else cell.down
        return sum(port(cell, near.cell) for near in links) / len(links) if links else own[id(cell)]

    layer.sort(key=center)


def _crossings(layers: Layers) -> int:
    """How many pairs of links cross."""
    total = 0
    for upper, lower in pairwise(layers):
        place = {id(cell): at for at, cell in enumerate(lower)}
        ends: list[int] = []  # where the links so far arrive, in order
        for cell in upper:
            arriving = [place[id(near.cell)] for near in cell.down]
            total += sum(len(ends) - bisect_right(ends, end) for end in arriving)
            for end in arriving:
                insort(ends, end)
    return total


def _distance(left: Cell, right: Cell) -> float:
    """Pixels between the middles of two neighbours."""
    between = BETWEEN if left.box and right.box else PASSING if left.box or right.box else STUB
    return (left.width + right.width) / 2 + between


def _spread(layers: Layers) -> None:
    """Move the cells of each layer to where their neighbours are, down and up in turn."""
    for layer in layers:
        _settle(layer, lambda cell: (0.0, 1.0))
    for _ in range(_SWEEPS):
        moved = 0.0
        for down in (True, False):
            for layer, _ in _pairs(layers, down):
                moved = max(moved, _settle(layer, _wish_down if down else _wish_up))
        if moved < _STILL:
            break


def _wish_down(cell: Cell) -> tuple[float, float]:
    return _wish(cell, cell.up)


def _wish_up(cell: Cell) -> tuple[float, float]:
    return _wish(cell, cell.down)


def _wish(cell: Cell, links: list[Near]) -> tuple[float, float]:
    """Where a cell would like to be, and how much: only its strongest links have a say."""
    if not links:
        return cell.x, 0.1
    strong = _strong(links)
    return sum(near.wish(cell.x) for near in strong) / len(strong), strong[0].weight


def _settle(layer: list[Cell], wish: Callable[[Cell], tuple[float, float]]) -> float:
    """Give each cell the place nearest to its wish (least weighted squares) that keeps order and distances.

    Returns how far any of them has moved.
    """
    offsets = [0.0]
    for left, right in pairwise(layer):
        offsets.append(offsets[-1] + _distance(left, right))
    pools: list[tuple[float, float, int]] = []  # mean, weight, cells
    for cell, offset in zip(layer, offsets, strict=True):
        x, weight = wish(cell)
        mean, size = x - offset, 1
        while pools and pools[-1][0] > mean:
            other, more, cells = pools.pop()
            mean, weight, size = (mean * weight + other * more) / (weight + more), weight + more, size + cells
        pools.append((mean, weight, size))
    means = (mean for mean, _, size in pools for _ in range(size))
    moved = 0.0
    for cell, mean, offset in zip(layer, means, offsets, strict=True):
        moved = max(moved, abs(mean + offset - cell.x))
        cell.x = mean + offset
    return moved


def _strong(links: list[Near]) -> list[Near]:
    strongest = max((near.weight for near in links), default=0.0)
    return [near for near in links if near.weight > strongest / 2]


def _straighten(layers: Layers) -> None:
    """Make what is one way, without a fork or a join, vertical, where there is room for that.

    A run of cells is drawn towards its mean, again and again, and the stronger ones make room for themselves. In the
    end each stands where all of its cells can, if there is such a place.
    """
    runs = sorted(_runs(layers), key=len, reverse=True)
    for _ in range(_SWEEPS):
        means = {id(cell): sum(each.x for each in run) / len(run) for run in runs for cell in run}
        if max(_settle(layer, _drawn_to(means)) for layer in layers) < _STILL:
            break
    beside: dict[int, tuple[Cell | None, Cell | None]] = {}
    for layer in layers:
        around = [None, *layer, None]
        for at, cell in enumerate(layer):
            beside[id(cell)] = (around[at], around[at + 2])
    for run in runs:
        low, high = float("-inf"), float("inf")
        for cell in run:
            left, right = beside[id(cell)]
            low = low if left is None else max(low, left.x + _distance(left, cell))
            high = high if right is None else min(high, right.x - _distance(cell, right))
        if low <= high + 1:  # a pixel nearer is not seen, a line that is a pixel askew is
            x = min(max(sum(cell.x for cell in run) / len(run), low), high)
            for cell in run:
                cell.x = x


def _drawn_to(means: Mapping[int, float]) -> Callable[[Cell], tuple[float, float]]:
    return lambda cell: (means.get(id(cell), cell.x), _weight(cell))


def _weight(cell: Cell) -> float:
    return max((near.weight for near in (*cell.up, *cell.down)), default=0.1)


def _runs(layers: Layers) -> Iterator[list[Cell]]:
    """The longest paths in which each cell is the only strong neighbour of the next."""
    seen: set[int] = set()
    for cell in (cell for layer in layers for cell in layer if id(cell) not in seen):
        run = [cell]
        while (following := _only(run[-1].down)) and (back := _only(following.cell.up)) and not back.beside:
            if back.cell is not run[-1] or following.beside:
                break
            run.append(following.cell)
        seen.update(map(id, run))
        if len(run) > 1:
            yield run


def _only(links: list[Near]) -> Near | None:
    strong = _strong(links)
    return strong[0] if len(strong) == 1 else None


def _stack(layers: Layers) -> None:
    """Put the layers below each other."""
    y = 0.0
    for at, layer in enumerate(layers):
        y += _gap(layers[at - 1], layer) if at else 0.0
        floor = y + max(cell.height for cell in layer)
        for cell in layer:
            cell.y, cell.floor = y, floor
        y = floor


def _gap(upper: list[Cell], lower: list[Cell]) -> float:
    """Pixels between two layers: more where links have far to go sideways, so that none is flat."""
    narrow = not any(cell.box for cell in upper) or not any(cell.box for cell in lower)
    far = max(
        (abs(cell.x - near.cell.x) for cell in lower for near in cell.up if not near.beside), default=0.0
    )
    return (_NARROW if narrow else _GAP) + round(min(far * 0.1, _GAP))
