"""The port that the engine sees."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from nbflow.tasks.job import Job, Outcome

Answer: TypeAlias = Callable[[Outcome], None]
"""Called once for each job, from any thread."""


class Pool(Protocol):
    """Somewhere that jobs are done."""

    def submit(self, job: Job, answer: Answer) -> None:
        """Do the job soon, and call ``answer`` with its outcome. Returns at once."""
        ...

    def cancel(self, execution: str, attempt: int) -> bool:
        """Give a job up. True: it will not run (any more) and will not be answered. False: its answer will come."""
        ...

    def close(self) -> None:
        """Take no more jobs, and let go of threads, clients and clusters that this pool started."""
        ...
