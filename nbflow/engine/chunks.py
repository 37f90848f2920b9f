"""The inputs of a Map Run's children, in numbered chunks. A chunk is durable before its children begin.

What a second reading could find otherwise (a listing, a glob, a query, what ItemSelector draws at random) is kept in
the store, and recalled from there when the run goes on in another process, or is redriven. Items that stand in the
state's input are in the journal, and are not kept twice.
"""

import json
from collections.abc import Callable, Generator, Iterator
from functools import partial
from itertools import chain, islice
from typing import Final, NamedTuple

from nbflow.artifacts.shelf import Shelf
from nbflow.artifacts.values import references
from nbflow.engine.rows import artifact_of
from nbflow.language.paths import compact, spelt
from nbflow.language.values import ABSENT, Chance, Json
from nbflow.machine import distributed, orders
from nbflow.machine.retries import DATA_LIMIT
from nbflow.store.port import Store
from nbflow.tasks.items import inputs, items_of, size
from nbflow.tasks.parsing import READER_FAILED
from nbflow.tasks.places import ItemsFailed

CHUNK: Final = 500
"""Inputs that are read at a time."""

MOST_CHARACTERS: Final = 16 * 2**20
"""Of JSON text in a part of a run that is kept: what goes beyond, is the last in it."""


class Chunk(NamedTuple):
    """What reading has brought."""

    number: int
    inputs: list[Json]
    last: bool
    failed: ItemsFailed | None = None
    text: str | None = None
    """As it is to be kept, if it is."""


class Chunks:
    """The inputs of one run. Of the engine's thread, but that ``read`` may be called from one other at a time."""

    def __init__(
        self,
        store: Store,
        shelf: Shelf,
        order: orders.RunMap,
        directory: str,
        now: Callable[[], float],
        chance: Chance,
    ) -> None:
        self.aside: Final = order.plan.reader is not None or distributed.is_reference(order.items)
        """Whether reading may wait for files and networks."""
        self._kept = self.aside or order.state.item_selector is not ABSENT
        self._recalls = self._kept
        self._store = store
        self._shelf = shelf
        self._order = order
        self._directory = directory
        self._now = now
        self._chance = chance
        self._number = 0
        self._items = 0
        self._again = partial(Chunks, store, shelf, order, directory, now, chance)
        self._source: Generator[Json, None, None] | None = None

    def recall(self) -> Chunk | None:
        """The next chunk, if it is in the store. Raises StoreError."""
        if not self._recalls:
            return None
        text = self._store.map_part(self._order.plan.arn, "chunk", self._number)
        if text is None:
            self._recalls = False
            return None
        try:
            kept = json.loads(text)
        except RecursionError:
            return self._failed(_too_deep())
        return self._chunk(kept["inputs"], last=kept["last"])

    def read(self) -> Chunk:
        """Read on. Whatever goes wrong is in the answer."""
        try:
            return self._read()
        except ItemsFailed as failed:
            return self._failed(failed)
        except RecursionError:
            return self._failed(_too_deep())
        except Exception as error:  # noqa: BLE001  # of a file system's or a format's library
            return self._failed(ItemsFailed(READER_FAILED, f"{type(error).__name__}: {error}"))

    def inputs(self, count: int) -> Iterator[Json]:
        """The first inputs, from the first one on again: what was read is known. From any thread. Raises StoreError."""
        return islice(chain.from_iterable(chunk.inputs for chunk in self._again()._known()), count)

    def _known(self) -> Iterator[Chunk]:
        """The chunks that were read."""
        chunk = None
        while chunk is None or not chunk.last:
            chunk = self.recall() if self._kept else self.read()
            if chunk is None:
                return
            yield chunk

    def close(self) -> None:
        """Close what is read."""
        if self._source is not None:
            self._source.close()

    def _read(self) -> Chunk:
        if self._source is None:
            # Items of the chunks that were recalled are passed over: those of a file are where they were.
            known = self._store.artifacts(references(self._order.items)) if self.aside else {}
            artifacts = {sha256: artifact_of(row) for sha256, row in known.items()}
            items = items_of(self._order, self._directory, artifacts, self._shelf)
            rest = islice(items, self._items, None)
            self._source = inputs(self._order, rest, self._now, self._chance, first=self._items)
        found: list[Json] = []
        texts: list[str] = []
        characters = 0
        last = False
        for input in self._source:
            found.append(input)
            if self._kept:
                texts.append(spelt(compact(input)))
                characters += len(texts[-1])
            if len(found) == CHUNK or characters >= MOST_CHARACTERS:
                break
        else:
            last = True
        text = f'{{"inputs":[{",".join(texts)}],"last":{"true" if last else "false"}}}'
        return self._chunk(found, last=last, text=text if self._kept else None)

    def _chunk(self, inputs: list[Json], *, last: bool, text: str | None = None) -> Chunk:
        chunk = Chunk(self._number, inputs, last, text=text)
        self._number += 1
        self._items += sum(size(self._order, input) for input in inputs)
        return chunk

    def _failed(self, failed: ItemsFailed) -> Chunk:
        return Chunk(self._number, [], last=True, failed=failed)


def _too_deep() -> ItemsFailed:
    return ItemsFailed(DATA_LIMIT, "An item is nested too deeply.")
