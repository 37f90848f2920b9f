"""The items of a Map Run on their way to the children: read, selected, batched."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

from nbflow.artifacts.shelf import Artifact, Shelf
from nbflow.language.values import Chance, Failure, Json
from nbflow.machine import distributed, orders
from nbflow.machine.distributed import Item
from nbflow.tasks.batching import batches
from nbflow.tasks.frames import shelved_items
from nbflow.tasks.places import ItemsFailed, located
from nbflow.tasks.reading import read_items


def items_of(
    order: orders.RunMap, directory: str, known: Mapping[str, Artifact], shelf: Shelf
) -> Iterator[Item]:
    """The items themselves: the state's, or those that its ItemReader reads; paths are relative to ``directory``.

    ``known`` has the artifact, by its hash, if the items are those of a value on the ``shelf``: a DataFrame's rows.
    What looks like a reference to anything else is an object. Raises ItemsFailed.
    """
    reader = order.plan.reader
    if reader is None:
        artifact = known.get(order.items["sha256"]) if distributed.is_reference(order.items) else None
        return distributed.items_in(order.items) if artifact is None else shelved_items(artifact, shelf)
    return read_items(reader["Resource"], located(reader["Parameters"], directory), reader["ReaderConfig"])


def inputs(
    order: orders.RunMap, items: Iterable[Item], now: Callable[[], float], chance: Chance, *, first: int = 0
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
    order: orders.RunMap, items: Iterable[Item], now: Callable[[], float], chance: Chance, first: int
) -> Generator[Json, None, None]:
    for index, item in enumerate(items, first):
        selected = distributed.select(order, index, item, now(), chance)
        if isinstance(selected, Failure):
            raise ItemsFailed(selected.error, selected.cause or "")
        yield selected


def size(order: orders.RunMap, input: Json) -> int:
    """How many items a child of this input has."""
    return 1 if order.plan.batcher is None else len(input["Items"])
