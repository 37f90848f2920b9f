"""Data stays put: a worker keeps what it has made or loaded as live objects, and the next task is sent there.

That is a wish, not a demand: each object lies on the shelf too, and where its worker is busy or gone, another one loads
it. Only a few tasks at once wish for one worker, so that a Map over one table is not done by one worker alone; whoever
else has loaded the table is then as good.
"""

import time
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from nbflow.artifacts.shelf import live
from nbflow.tasks.job import Job, Outcome

WORTH: Final = 2**20
"""Bytes: what is smaller is loaded in no time."""

MOST: Final = 10_000
"""Artifacts of which it is remembered who has them."""

AT_ONCE: Final = 2
"""Tasks under way that wish for one worker: the one that it does, and the next."""

SHARE: Final = 0.3
"""Of a worker's memory: what live objects may take."""

PRESSURE: Final = 0.6
"""Of a worker's memory: when so much is taken in all, live objects give way."""

IDLE: Final = 120.0
"""Seconds that an object is kept live which nobody asks for: its execution may have ended."""


class Locality:
    """Who has which data. Of a pool, under its lock."""

    def __init__(self) -> None:
        self._holders: OrderedDict[str, dict[str, None]] = OrderedDict()
        """Addresses of workers, by the artifact's hash."""
        self._under_way: Counter[str] = Counter()

    def wish(self, jobs: Sequence[Job]) -> str | None:
        """The worker that has most of what the jobs refer to, if it has not enough to do."""
        there = Counter[str]()
        for artifact in {a.sha256: a for job in jobs for a in job.known.values()}.values():
            for address in self._holders.get(artifact.sha256, ()):
                there[address] += artifact.bytes
        for address, _ in there.most_common():
            if self._under_way[address] < AT_ONCE:
                self._under_way[address] += 1
                return address
        return None

    def over(self, address: str | None) -> None:
        """Jobs that wished for this worker are not under way any more."""
        if address is not None:
            self._under_way[address] -= 1
            if self._under_way[address] <= 0:
                del self._under_way[address]

    def note(self, jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> None:
        """The worker that did the jobs has what they were given, and what they made."""
        for job, outcome in zip(jobs, outcomes, strict=True):
            for artifact in (*job.known.values(), *outcome.artifacts):
                if outcome.worker and artifact.bytes >= WORTH:
                    self._holders.setdefault(artifact.sha256, {})[outcome.worker] = None
                    self._holders.move_to_end(artifact.sha256)
        while len(self._holders) > MOST:
            self._holders.popitem(last=False)

    def gone(self, address: str) -> None:
        """The worker has died."""
        for holders in self._holders.values():
            holders.pop(address, None)


def make_room(worker: Any) -> None:
    """On a Dask worker, before it does something: its live objects take their share of its memory, and no more."""
    limit = worker.memory_manager.memory_limit
    live.forget(time.monotonic() - IDLE)
    if limit:
        full = worker.monitor.get_process_memory() > PRESSURE * limit
        live.resize(0 if full else int(SHARE * limit))


def look_again(worker: Any) -> None:
    """After it has done something: what nobody asks for is forgotten, also if nothing else comes."""
    if not live.is_empty and not getattr(worker, "_nbflow_looks", False):
        worker._nbflow_looks = True
        worker.loop.add_callback(worker.loop.call_later, IDLE + 1, _look, worker)


def _look(worker: Any) -> None:
    worker._nbflow_looks = False
    live.forget(time.monotonic() - IDLE)
    look_again(worker)
