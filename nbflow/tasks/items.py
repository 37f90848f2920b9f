"""The items of a Map Run on their way to the children: read, selected, batched."""

from collections.abc import Callable, Generator, Iterable, Iterator

from nbflow.language.values import Chance, Failure, Json
from nbflow.machine import distributed, orders
from nbflow.tasks.batching import batches
from nbflow.tasks.places import ItemsFailed, located
from nbflow.tasks.reading import read_items


def items_of(order: orders.RunMap, directory: str) -> Iterator[Json]:
    """The items themselves: the state's, or those that its ItemReader reads; paths are relative to ``directory``.

    Raises ItemsFailed.
    """
    reader = order.plan.reader
    if reader is None:
        return iter(order.items or ())
    return read_items(reader["Resource"], located(reader["Parameters"], directory), reader["ReaderConfig"])


def inputs(
    order: orders.RunMap, items: Iterable[Json], now: Callable[[], float], chance: Chance, *, first: int = 0
) -> Generator[Json, None, None]:
    """What the children are given, one by one: what ItemSelector and ItemBatcher make of the items.

    ``first`` is the number of the first of these items. Raises ItemsFailed. Close it to close what it reads.
    """
    selected = _selected(order, items, now, chance, first)
    if (batcher := order.plan.batcher) is None:
        yield from selected
        return
    yield from batches(
        selected,
        max_items=batcher.get("MaxItemsPerBatch"),
        max_bytes=batcher.get("MaxInputBytesPerBatch"),
        batch_input=batcher.get("BatchInput"),
    )


def _selected(
    order: orders.RunMap, items: Iterable[Json], now: Callable[[], float], chance: Chance, first: int
) -> Generator[Json, None, None]:
    for index, item in enumerate(items, first):
        selected = distributed.select(order, index, item, now(), chance)
        if isinstance(selected, Failure):
            raise ItemsFailed(selected.error, selected.cause or "")
        yield selected


def size(order: orders.RunMap, input: Json) -> int:
    """How many items a child of this input has."""
    return 1 if order.plan.batcher is None else len(input["Items"])
