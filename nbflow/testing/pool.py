"""A pool without threads: jobs are done in the caller's thread, at once or when the test says so."""

import time
from collections.abc import Callable

from nbflow.pools.port import Answer
from nbflow.tasks.job import Job, Outcome
from nbflow.tasks.perform import perform


class ScriptedPool:
    """Does each job when it is submitted, or, with ``hold=True``, keeps it in ``held`` until ``release``.

    ``now`` is the time for the jobs, in seconds since the epoch.
    """

    def __init__(self, hold: bool = False, now: Callable[[], float] = time.time) -> None:
        self.hold = hold
        self.now = now
        self.held: list[tuple[Job, Answer]] = []
        self.done: list[Job] = []
        self.limits: dict[str, int] = {}
        """The last that was said, by code; nothing is held back for them."""

    def submit(self, job: Job, answer: Answer) -> None:
        self.held.append((job, answer))
        if not self.hold:
            self.release()

    def release(self, outcome: Outcome | None = None) -> None:
        """Do the job that waits longest and answer it (with ``outcome``, if one is given, in place of doing it)."""
        job, answer = self.held.pop(0)
        self.done.append(job)
        answer(outcome or perform(job, now=self.now))

    def cancel(self, execution: str, attempt: int) -> bool:
        before = len(self.held)
        self.held = [(j, a) for j, a in self.held if (j.execution, j.attempt) != (execution, attempt)]
        return len(self.held) < before

    def limit(self, sha256: str, most: int) -> None:
        self.limits[sha256] = most

    def close(self) -> None:
        self.held.clear()
