"""What the tests of the pools share: jobs, and somewhere for their answers."""

import queue
from collections.abc import Callable, Sequence
from typing import Any

from nbflow.artifacts.shelf import Shelf
from nbflow.language.values import Json
from nbflow.pools.port import Pool
from nbflow.tasks.function import pin
from nbflow.tasks.job import Code, Job, Outcome

LONG = 30.0
"""Seconds: what should come has come long before."""


class Answers:
    """Sends jobs to a pool and collects their outcomes by attempt; each may come once."""

    def __init__(self, pool: Pool, shelf: Shelf, execution: str = "execution") -> None:
        self.pool = pool
        self.shelf = shelf
        self.execution = execution
        self.came: queue.Queue[Outcome] = queue.Queue()
        self.sent = 0

    def send(
        self, function: Callable[..., Any] | Code, *inputs: Json, name: str = "task", directory: str = ""
    ) -> None:
        """A job for each input; their attempts count from 0 on."""
        code = function if isinstance(function, Code) else pin(function, name, keywords=False)
        for value in inputs:
            job = Job(self.execution, self.sent, code, value, self.shelf, directory=directory)
            self.sent += 1
            self.pool.submit(job, self.came.put)

    def wait(self, count: int | None = None) -> list[Outcome]:
        """The outcomes of all jobs (or of so many), in the order of their attempts."""
        outcomes = [self.came.get(timeout=LONG) for _ in range(self.sent if count is None else count)]
        assert {outcome.execution for outcome in outcomes} <= {self.execution}
        attempts = [outcome.attempt for outcome in outcomes]
        assert len(set(attempts)) == len(attempts), "answered twice"
        return sorted(outcomes, key=lambda outcome: outcome.attempt)


def outputs(outcomes: Sequence[Outcome]) -> list[Json]:
    """What the jobs returned; all of them must have succeeded."""
    assert [outcome.cause for outcome in outcomes if outcome.error] == []
    return [outcome.output for outcome in outcomes]
