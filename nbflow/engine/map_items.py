"""The items of a Map Run on their way to the children: read, selected, batched; some of them at a time."""

from collections.abc import Generator, Iterator
from itertools import islice
from typing import Final, NamedTuple

from nbflow.engine.clock import Clock
from nbflow.language.values import Chance, Failure, Json
from nbflow.machine import distributed, orders
from nbflow.tasks.batching import batches
from nbflow.tasks.places import ItemsFailed, located
from nbflow.tasks.reading import read_items

CHUNK: Final = 500
"""Items that are read at a time; another chunk is asked for when fewer than these wait."""


class Chunk(NamedTuple):
    """What reading has brought."""

    inputs: list[Json]
    last: bool
    failed: ItemsFailed | None = None


def inputs(order: orders.RunMap, directory: str, clock: Clock, chance: Chance) -> Generator[Json, None, None]:
    """What the children are given, one by one. Paths in the ItemReader are relative to ``directory``.

    Raises ItemsFailed. Close it to close what it reads.
    """
    items: Iterator[Json] = iter(order.items or ())
    if (reader := order.plan.reader) is not None:
        parameters = located(reader["Parameters"], directory)
        items = read_items(reader["Resource"], parameters, reader["ReaderConfig"])
    selected = _selected(order, items, clock, chance)
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
    order: orders.RunMap, items: Iterator[Json], clock: Clock, chance: Chance
) -> Generator[Json, None, None]:
    for index, item in enumerate(items):
        selected = distributed.select(order, index, item, clock.now(), chance)
        if isinstance(selected, Failure):
            raise ItemsFailed(selected.error, selected.cause or "")
        yield selected


def next_chunk(source: Iterator[Json]) -> Chunk:
    """Read on. Whatever goes wrong is in the answer."""
    try:
        found = list(islice(source, CHUNK))
    except ItemsFailed as failed:
        return Chunk([], True, failed)
    except Exception as error:  # noqa: BLE001  # of a file system's or a format's library
        return Chunk([], True, ItemsFailed("States.ItemReaderFailed", f"{type(error).__name__}: {error}"))
    return Chunk(found, len(found) < CHUNK)
