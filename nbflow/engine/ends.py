"""How the EXPRESS children of a Map Run have ended, as far as that is durable: in batches, which are parts of the run.

In memory there is an index of a few bytes a child; whoever writes the results reads the batches.
"""

from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from nbflow.store.port import Store, StoreError
from nbflow.tasks.child import Ending

STATUSES: Final = ("", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")
"""By their codes in the index; first, that a child has no end."""

MOST_CHARACTERS: Final = 4 * 2**20
"""Of the batches that are at hand while results are read."""

_CODES: Final = {status: code for code, status in enumerate(STATUSES)}


class Ends:
    """Which children have ended, how, and in which batch that stands: a later one knows better."""

    def __init__(self) -> None:
        self._status = bytearray()
        self._batch = array("I")
        self._redrives = array("I")
        """By batch: how often the run had been redriven."""

    @property
    def batches(self) -> int:
        """How many batches there are."""
        return len(self._redrives)

    def add(self, redrives: int, ends: Iterator[tuple[int, str]]) -> None:
        """The next batch: the numbers of children, and their statuses."""
        batch = len(self._redrives)
        self._redrives.append(redrives)
        for number, status in ends:
            if number >= len(self._status):
                more = number + 1 - len(self._status)
                self._status.extend(bytes(more))
                self._batch.extend([0] * more)
            self._status[number] = _CODES[status]
            self._batch[number] = batch

    def status(self, number: int) -> str | None:
        """How the child of this number has ended; None if it has not."""
        return STATUSES[self._status[number]] or None if number < len(self._status) else None

    def batch(self, number: int) -> int:
        """Where the end of a child stands that has ended."""
        return self._batch[number]

    def redrives(self, number: int) -> int:
        """How often the run had been redriven, when a child ended that has ended."""
        return self._redrives[self._batch[number]]

    def __iter__(self) -> Iterator[int]:
        """The numbers of those that have ended."""
        return (number for number, code in enumerate(self._status) if code)


class Batch(NamedTuple):
    """The children that ended together."""

    redrives: int
    """How often the run had been redriven."""
    ends: Sequence[tuple[int, Ending]]
    """By their numbers."""

    @property
    def text(self) -> str:
        """As it is kept."""
        kept = {"redrives": self.redrives, "ends": [(number, *end) for number, end in self.ends]}
        return msgspec.json.encode(kept).decode()  # all texts in it are spelt out: UTF-8 has them

    @classmethod
    def of(cls, text: str) -> "Batch":
        """As it was kept. At first, each child had the whole of its result."""
        kept = msgspec.json.decode(text)
        if isinstance(kept, dict):
            return cls(kept["redrives"], [(number, Ending(*end)) for number, *end in kept["ends"]])
        ends = [(number, Ending(result[3], *result[5:10])) for number, _, *result in kept]
        return cls(kept[0][1], ends)


def ends_of(store: Store, map_run: str) -> Ends:
    """What the store knows of the ends. Raises StoreError."""
    ends = Ends()
    for text in store.map_parts(map_run, "batch"):
        batch = Batch.of(text)
        ends.add(batch.redrives, ((number, end.status) for number, end in batch.ends))
    return ends


class Endings:
    """The ends in full, read from the store; best by their numbers. From any thread, one at a time."""

    def __init__(self, store: Store, map_run: str, ends: Ends) -> None:
        self._store = store
        self._map_run = map_run
        self._ends = ends
        self._read: OrderedDict[int, tuple[int, dict[int, Ending]]] = OrderedDict()
        """Batches that are at hand: how long their texts are, and what stands in them."""
        self._characters = 0
        self._latest: tuple[int, dict[int, Ending]] = (-1, {})

    def __getitem__(self, number: int) -> Ending:
        """Of a child that has ended. Raises StoreError."""
        batch = self._ends.batch(number)
        if batch != self._latest[0]:
            if batch not in self._read:
                self._fetch(batch)
            self._read.move_to_end(batch)
            self._latest = batch, self._read[batch][1]
        return self._latest[1][number]

    def _fetch(self, batch: int) -> None:
        text = self._store.map_part(self._map_run, "batch", batch)
        if text is None:
            raise StoreError(
                f"The store does not have batch {batch} of the Map Run {self._map_run} any more."
            )
        self._read[batch] = len(text), dict(Batch.of(text).ends)
        self._characters += len(text)
        while self._characters > MOST_CHARACTERS and len(self._read) > 1:
            _, (characters, _) = self._read.popitem(last=False)
            self._characters -= characters
