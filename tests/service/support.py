"""A service whose engine runs on its own thread, on a virtual clock, over a pool that the test answers for."""

import json
import queue
import random
from collections.abc import Callable
from pathlib import Path

from nbflow.artifacts.shelf import Shelf
from nbflow.engine.engine import Engine
from nbflow.language.values import Json
from nbflow.pools.port import Answer
from nbflow.service.errors import ApiError
from nbflow.service.service import Service
from nbflow.store.sql import open_store
from nbflow.tasks.child import Ending
from nbflow.tasks.job import Code, Job, Outcome
from nbflow.testing import VirtualClock

WORK = "arn:aws:lambda:us-east-1:000000000000:function:work"
CODES = {WORK: Code("function", "work", "0" * 64, b"", path="work.py")}

PASS: Json = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
WAIT: Json = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": True}}}
TASK: Json = {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": WORK, "End": True}}}


def text(definition: Json) -> str:
    return json.dumps(definition)


class AskingPool:
    """Keeps each job until the test answers it."""

    def __init__(self) -> None:
        self.jobs: queue.Queue[tuple[Job, Answer]] = queue.Queue()
        self.cancelled: list[int] = []

    def submit(self, job: Job, answer: Answer) -> None:
        self.jobs.put((job, answer))

    def next(self) -> tuple[Job, Answer]:
        """The next job, as soon as it is there."""
        return self.jobs.get(timeout=10)

    def finish(self, output: Json = None, error: str | None = None, cause: str | None = None) -> Job:
        """Answer the next job. Of a child that is done whole, it is how that ends."""
        job, answer = self.next()
        if job.code.kind == "express":
            text, now = json.dumps(output) if error is None else None, 0.0
            status = "SUCCEEDED" if error is None else "FAILED"
            answer(Outcome(job.execution, job.attempt, Ending(status, text, error, cause, now, now)))
            return job
        answer(Outcome(job.execution, job.attempt, output, error, cause))
        return job

    def cancel(self, execution: str, attempt: int) -> bool:
        self.cancelled.append(attempt)
        return False

    def limit(self, sha256: str, most: int) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing to let go of."""


class Office:
    """A service over a store in a folder. Two offices over one folder are two processes, for what the store knows."""

    def __init__(self, folder: Path) -> None:
        self.store = open_store(f"sqlite:///{folder / 'nbflow.sqlite'}")
        self.clock = VirtualClock()
        self.pool = AskingPool()
        self.engine = Engine(
            self.store,
            Shelf(str(folder / "artifacts")),
            ordinary=self.pool,
            scattered=self.pool,
            clock=self.clock,
            chance=random.Random(0),
        )
        self.service = Service(self.store, self.engine)

    def call(self, action: str, **parameters: Json) -> dict[str, Json]:
        """An action as it arrives over the API."""
        return self.service.call(action, parameters)

    def refused(self, action: str, **parameters: Json) -> tuple[str, str]:
        """The code and the message of the error that an action must end with."""
        try:
            answer = self.call(action, **parameters)
        except ApiError as error:
            return error.code, error.message
        raise AssertionError(f"{action} was not refused: {answer}")

    def machine(self, definition: Json = PASS, name: str = "m") -> str:
        """The ARN of a machine with this definition."""
        arn: str = self.service.create_state_machine(name, text(definition))["stateMachineArn"]
        return arn

    def start(self, machine: str, input: str = "{}", name: str | None = None) -> str:
        """The ARN of a new execution."""
        arn: str = self.service.start_execution(machine, input, name, tasks=CODES)["executionArn"]
        return arn

    def ended(self, execution: str) -> str:
        """Wait until it has ended; its status."""
        ended = self.engine.ended(execution)
        if ended is not None:
            ended.result(timeout=10)
        status: str = self.service.describe_execution(execution)["status"]
        return status

    def settled(self) -> None:
        """Return when the engine has done all that it can do at this time."""
        idle = queue.Queue[bool]()

        def look() -> None:  # between two turns
            due = self.engine.next_due()
            idle.put(not self.engine.busy and (due is None or due > self.clock.now()))

        while True:
            self._in_thread(look)
            if idle.get(timeout=10):
                return

    def until(self, holds: Callable[[], bool]) -> None:
        """Return when this holds; the engine's turns are waited for, but other threads have a say."""
        for _ in range(10_000):
            if holds():
                return
            self.settled()
        raise AssertionError("it never holds")

    def nudge(self) -> None:
        """Let the engine look at its clock, which has been moved."""
        self.engine._signal()
        self.settled()

    def _in_thread(self, function: Callable[[], None]) -> None:
        loop = self.engine._loop
        assert loop is not None
        loop.call_soon_threadsafe(function)

    def close(self) -> None:
        self.engine.close()
        self.store.close()
