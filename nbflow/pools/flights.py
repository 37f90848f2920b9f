"""Chunks under way at the scheduler: what they carry, and what is decided about them, without side effects."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from nbflow.pools.chunk import LACKING, decode
from nbflow.pools.lanes import Entry, Lane, Lanes
from nbflow.pools.pace import chunk_sizes
from nbflow.pools.results import Lacking
from nbflow.pools.width import Resources
from nbflow.tasks.job import Outcome
from nbflow.tasks.stopping import Key

HEAVY: Final = 2.0
"""Seconds: workers' heartbeats, at least one a second, show what they run."""


@dataclass(slots=True, eq=False)
class Flight:
    """A chunk that has been sent."""

    entries: list[Entry]
    alone: Literal["", "worker", "cluster"] = ""
    """Of a suspect, one job: where there must be nothing else."""
    given_up: set[Key] = field(default_factory=set)
    wish: str | None = None
    """The worker that has its data."""
    keys: frozenset[Key] = field(init=False)
    """Of its jobs, as in ``Lane.waiting``."""

    def __post_init__(self) -> None:
        self.keys = frozenset(entry.key for entry in self.entries)

    @property
    def wanted(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.key not in self.given_up]

    @property
    def unwanted(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.key in self.given_up]

    @property
    def resources(self) -> Resources:
        """What a worker must have for it."""
        return self.entries[0].job.code.resources

    def lane(self, lanes: Lanes) -> Lane:
        """Of its jobs."""
        return lanes[self.entries[0].job.code.sha256]


def chunks_of(lane: Lane, room: int, ahead: float) -> list[list[Entry]]:
    """What is sent now of a lane. Where there is no worker, something is sent too: an adaptive cluster begins so."""
    if not lane.free:
        return []
    sizes = chunk_sizes(len(lane.waiting), lane.under_way, lane.seconds, lane.width(max(1, room)), ahead)
    if lane.most:
        sizes = sizes[: max(0, lane.most - lane.runs)]
    return [lane.take(size) for size in sizes]


def is_culprit(future: Any, flight: Flight, killed: Any) -> bool:
    """Whether the job was alone when its worker died, or was what a worker of one thread ran for a while."""
    return flight.alone == "cluster" or (
        flight.alone == "worker" and future.key in killed.last_worker.executing
    )


def where_alone(flight: Flight, killed: Any, seconds: float | None) -> Literal["worker", "cluster"]:
    """Where a suspect must be alone next. ``seconds``: how long such a job takes, if known.

    Where a worker has several threads, or Dask itself tries again on another worker (on others' clusters it does so
    three times), an idle worker proves nothing.
    """
    one_try = killed.allowed_failures == 0 and killed.last_worker.nthreads == 1
    heavy = seconds is None or seconds > HEAVY
    return "worker" if one_try and heavy and not flight.alone else "cluster"


def decoded(flight: Flight, result: bytes | BaseException) -> list[Outcome] | BaseException:
    if isinstance(result, BaseException):
        return result
    if result == LACKING:
        return Lacking()
    try:
        return decode([entry.job for entry in flight.entries], result)
    except Exception as error:  # noqa: BLE001  # unpickling what a worker with other versions has made
        return error


def tell(entries: Sequence[Entry], outcomes: Sequence[Outcome]) -> None:
    for entry, outcome in zip(entries, outcomes, strict=True):
        entry.answer(outcome)
