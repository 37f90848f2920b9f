"""Ordinary tasks run on threads of this process: no round trip, and live objects stay where they are."""

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from nbflow.pools.port import Answer
from nbflow.tasks.heard import Hear
from nbflow.tasks.job import Job
from nbflow.tasks.perform import perform
from nbflow.tasks.stopping import forget, stop


class ThreadPool:
    """Jobs on at most ``size`` threads at once. ``hear`` is told what they say while they run."""

    def __init__(self, size: int | None = None, hear: Hear | None = None) -> None:
        self._hear = hear
        self._executor = ThreadPoolExecutor(size or min(32, (os.cpu_count() or 1) + 4), "nbflow-task")
        self._futures: dict[tuple[str, int], Future[None]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, job: Job, answer: Answer) -> None:
        key = (job.execution, job.attempt)
        with self._lock:  # held, so that a job that ends at once finds its entry
            if not self._closed:
                self._futures[key] = self._executor.submit(self._do, key, job, answer)

    def _do(self, key: tuple[str, int], job: Job, answer: Answer) -> None:
        outcome = perform(job, self._hear)
        with self._lock:
            self._futures.pop(key, None)
        forget([key])
        answer(outcome)

    def cancel(self, execution: str, attempt: int) -> bool:
        """A thread cannot be killed: a job that has begun is told to stop, and answers when it has."""
        key = (execution, attempt)
        with self._lock:
            future = self._futures.get(key)
            if future is None:
                return False
            if future.cancel():
                del self._futures[key]
                return True
            stop([key])
            return False

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)
