"""Ordinary tasks run on threads of this process: no round trip, and live objects stay where they are.

Threads are cheap, waiting is not: each task's code has threads of its own. Ten heavy jobs of one code take all of its
threads, and none of another's.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from nbflow.pools.lanes import Entry, Lane, Lanes
from nbflow.pools.port import Answer
from nbflow.tasks.capture import routed
from nbflow.tasks.heard import Hear
from nbflow.tasks.job import Job
from nbflow.tasks.perform import perform
from nbflow.tasks.stopping import Key, forget, stop

MOST_THREADS: Final = 256
"""At work at once. Beyond this, codes take turns; but the first job of a code never waits for another's."""


class ThreadPool:
    """Jobs on at most ``size`` threads at once for each code; on more, if the code's ``concurrency`` says so.

    ``hear`` is told what they say while they run.
    """

    def __init__(self, size: int | None = None, hear: Hear | None = None) -> None:
        self._hear = hear
        self._size = size or min(32, (os.cpu_count() or 1) + 4)
        self._executor = ThreadPoolExecutor(100 * MOST_THREADS, "nbflow-task")  # it starts none in advance
        self._lanes = Lanes()
        self._at_work: set[Key] = set()
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, job: Job, answer: Answer) -> None:
        with self._lock:
            if not self._closed:
                self._lanes.add(Entry(job, answer))
                self._begin()

    def limit(self, sha256: str, most: int) -> None:
        with self._lock:
            self._lanes[sha256].most = most
            self._begin()

    def _begin(self) -> None:
        """Begin whatever may begin, each on a thread."""
        while (begun := self._next()) is not None:
            self._executor.submit(self._work, *begun)

    def _next(self) -> tuple[Lane, Entry] | None:
        """The job that begins now, if one may."""
        lane = None if self._closed else self._lanes.next(self._may_begin)
        if lane is None:
            return None
        (entry,) = lane.take()
        self._at_work.add((entry.job.execution, entry.job.attempt))
        return lane, entry

    def _may_begin(self, lane: Lane) -> bool:
        width = lane.width(max(self._size, lane.asked))
        return lane.runs < width and (len(self._at_work) < MOST_THREADS or not lane.runs)

    def _work(self, lane: Lane, entry: Entry) -> None:
        """Do a job on this thread, and then others, as long as there is one that may begin."""
        begun: tuple[Lane, Entry] | None = lane, entry
        with routed():
            while begun is not None:
                lane, (job, answer) = begun
                outcome = perform(job, self._hear)
                with self._lock:
                    self._at_work.discard((job.execution, job.attempt))
                    lane.over(1)
                    begun = self._next()
                    self._begin()
                forget([(job.execution, job.attempt)])
                answer(outcome)

    def cancel(self, execution: str, attempt: int) -> bool:
        """A thread cannot be killed: a job that has begun is told to stop, and answers when it has."""
        key = (execution, attempt)
        with self._lock:
            if self._lanes.give_up(key):
                return True
            if key in self._at_work:
                stop([key])
            return False

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._lanes.clear()
        self._executor.shutdown(wait=False, cancel_futures=True)
