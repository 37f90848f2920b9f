"""The port that the engine sees."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from nbflow.tasks.job import Job, Outcome

Answer: TypeAlias = Callable[[Outcome], None]
"""Called once for each job, from any thread."""


class Pool(Protocol):
    """Somewhere that jobs are done."""

    def submit(self, job: Job, answer: Answer) -> None:
        """Do the job soon, and call ``answer`` with its outcome. Returns at once. After ``close`` it does nothing."""
        ...

    def cancel(self, execution: str, attempt: int) -> bool:
        """Give a job up. True: it will not begin, and will not be answered. False: its answer will come, or has come.

        Python code that runs cannot be stopped. A pool that cannot tell whether a job has begun may say True; then what
        the job still does is unheard.
        """
        ...

    def limit(self, sha256: str, most: int) -> None:
        """From now on do at most so many jobs of this code at once; 0: as many as there is room for; -1: begin none.

        It holds in this pool, over all executions, until it is said otherwise; what has begun goes on. At first it is
        the code's ``concurrency``. Jobs that travel together to a worker, and are done one after the other, count as
        one.
        """
        ...

    def close(self) -> None:
        """Take no more jobs, give up those that have not begun, and let go of what this pool started."""
        ...
