"""Which of the waiting jobs begin next: decisions without side effects.

Jobs wait in lanes, one for each code (by the hash of its content), whichever executions they belong to. Those of a lane
begin in the order of their coming; lanes take turns, so that thousands of jobs of one task delay no other's.

What does the jobs of a lane, one after the other, is a *run*: a job on a thread, a chunk on Dask. A lane's limit is the
number of its runs at once.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from nbflow.pools.port import Answer
from nbflow.tasks.job import Code, Job
from nbflow.tasks.stopping import Key


class Entry(NamedTuple):
    """A job, and who hears of its outcome."""

    job: Job
    answer: Answer

    @property
    def key(self) -> Key:
        """By which the job is given up."""
        return self.job.execution, self.job.attempt


@dataclass(slots=True, eq=False)
class Lane:
    """The jobs of one task's code, and what is known about them."""

    sha256: str
    waiting: OrderedDict[Key, Entry] = field(default_factory=OrderedDict)
    """By execution and attempt."""
    under_way: int = 0
    """Jobs that have begun or were sent, and are not yet answered."""
    runs: int = 0
    """What does those jobs: threads or chunks."""
    most: int = 0
    """Runs at once; 0: as many as there is room for; -1: none begins."""
    asked: int = 0
    """The ``concurrency`` of the code that came last."""
    seconds: float | None = None
    """How long one job takes, about."""

    @property
    def code(self) -> Code:
        """Of the job that waits longest; there must be one."""
        return next(iter(self.waiting.values())).job.code

    @property
    def free(self) -> bool:
        """Whether the limit lets another run begin."""
        return not self.most or self.runs < self.most

    def width(self, room: int) -> int:
        """How many runs there may be at once, where there is room for so many."""
        return min(room, max(0, self.most)) if self.most else room

    def take(self, count: int = 1) -> list[Entry]:
        """A run of at most so many jobs begins: those that wait longest, of one code. They wait no more."""
        taken: list[Entry] = []
        while self.waiting and len(taken) < count:
            key, entry = next(iter(self.waiting.items()))
            if taken and entry.job.code is not taken[0].job.code and entry.job.code != taken[0].job.code:
                break  # the content is the same, but not what is done with it: keywords, results, …
            taken.append(entry)
            del self.waiting[key]
        self.begun(len(taken))
        return taken

    def put_back(self, entries: list[Entry]) -> None:
        """They wait again, before all others; their run is over already."""
        for entry in reversed(entries):
            self.waiting[entry.key] = entry
            self.waiting.move_to_end(entry.key, last=False)

    def clear(self) -> list[Entry]:
        """Nothing waits here any more: what did."""
        entries = list(self.waiting.values())
        self.waiting.clear()
        return entries

    def begun(self, jobs: int) -> None:
        """A run of so many jobs begins."""
        self.under_way += jobs
        self.runs += 1

    def over(self, jobs: int) -> None:
        """A run of so many jobs is over."""
        self.under_way -= jobs
        self.runs -= 1


class Lanes:
    """All lanes of a pool."""

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._paces: dict[str, float] = {}
        """Seconds that one job takes, by the ``kin`` of its code."""
        self._line: OrderedDict[str, Lane] = OrderedDict()
        """Lanes in which something may wait: first, whose turn it is."""

    def __getitem__(self, sha256: str) -> Lane:
        lane = self._lanes.get(sha256)
        if lane is None:
            lane = self._lanes[sha256] = Lane(sha256)
        return lane

    def waiting(self) -> Iterator[Lane]:
        """Those in which something waits."""
        return (lane for lane in self._lanes.values() if lane.waiting)

    def add(self, entry: Entry) -> Lane:
        """A job comes; its lane. Of a code, the ``concurrency`` that was said last is the limit."""
        code = entry.job.code
        lane = self[code.sha256]
        if lane.seconds is None:
            lane.seconds = self._paces.get(code.kin)
        if code.concurrency != lane.asked:
            lane.asked = lane.most = code.concurrency
        lane.waiting[entry.key] = entry
        self._line.setdefault(lane.sha256, lane)
        return lane

    def learn(self, lane: Lane, code: Code, seconds: float) -> None:
        """So long took a job. The mean of old and new follows a change, and one slow job does not decide."""
        lane.seconds = seconds if lane.seconds is None else (lane.seconds + seconds) / 2
        if code.kin:
            self._paces[code.kin] = lane.seconds

    def give_up(self, key: Key) -> bool:
        """Whether the job was waiting; it does not any more."""
        return any(lane.waiting.pop(key, None) for lane in self._lanes.values())

    def next(self, may_begin: Callable[[Lane], bool]) -> Lane | None:
        """The lane whose turn it is, of those in which something waits that may begin."""
        for sha, lane in list(self._line.items()):
            if not lane.waiting:
                del self._line[sha]
            elif may_begin(lane):
                self._line.move_to_end(sha)
                return lane
        return None

    def clear(self) -> list[Entry]:
        """Nothing waits any more: what did."""
        return [entry for lane in self._lanes.values() for entry in lane.clear()]
