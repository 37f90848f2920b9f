"""Runs for the panel's tests: an engine that is turned by hand, jobs that the test answers, time that stands still."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from nbflow.artifacts.shelf import Shelf
from nbflow.client.connection import Connection
from nbflow.client.executions import Execution
from nbflow.engine.engine import Engine
from nbflow.engine.hearing import Hearing
from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.machine import facts
from nbflow.machine.records import decode
from nbflow.service.arns import execution_arn, machine_arn
from nbflow.service.service import Service
from nbflow.store.port import StoreError, digest
from nbflow.store.rows import ExecutionRow, MachineRow
from nbflow.store.sql import open_store
from nbflow.tasks.heard import Heard, Progress
from nbflow.tasks.job import Code, Job, Outcome
from nbflow.testing import ScriptedPool, VirtualClock

FUNCTION: Final = "arn:aws:lambda:us-east-1:000000000000:function:"
NAMES: Final = ("list", "load", "fit", "combine", "worst", "publish")


def task(name: str, **fields: Json) -> Json:
    return {
        "Type": "Task",
        "Resource": FUNCTION + name,
        **({} if "Next" in fields else {"End": True}),
        **fields,
    }


def scope(**states: Json) -> dict[str, Json]:
    return {"StartAt": next(iter(states)), "States": states}


REPORT: Final = scope(
    List=task("list", Next="Each month"),
    **{
        "Each month": {
            "Type": "Map",
            "ItemProcessor": scope(Load=task("load", Next="Fit"), Fit=task("fit")),
            "ToleratedFailureCount": 3,
            "Next": "Both",
        },
        "Both": {
            "Type": "Parallel",
            "Branches": [scope(Combine=task("combine")), scope(Worst=task("worst"))],
            "Next": "Enough?",
        },
        "Enough?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$[0]", "NumericGreaterThan": 0, "Next": "Publish"}],
            "Default": "Nothing",
        },
        "Publish": task("publish"),
        "Nothing": {"Type": "Fail", "Error": "NoData", "Cause": "nothing to report"},
    },
)
"""A machine with one of everything."""

TRACEBACK: Final = json.dumps(
    {
        "errorMessage": "no such column: 'delay'",
        "errorType": "KeyError",
        "stackTrace": [
            "Traceback (most recent call last):\n",
            '  File "<cell 7>", line 3, in fit\n    return frame["delay"].mean()\n',
            "KeyError: 'delay'\n",
        ],
    }
)
"""The cause of a Python task's failure, as :mod:`nbflow.tasks` writes it."""


class Desk:
    """What a Connection is to an execution, without threads."""

    def __init__(self, folder: Path) -> None:
        self.store = open_store(f"sqlite:///{folder / 'nbflow.sqlite'}")
        self.shelf = Shelf(str(folder / "artifacts"))
        self.clock = VirtualClock(1_700_000_000.0)
        self.pool = ScriptedPool(hold=True)
        self.hearing = Hearing()
        self.engine = Engine(
            self.store,
            self.shelf,
            ordinary=self.pool,
            scattered=self.pool,
            clock=self.clock,
            chance=random.Random(0),
            hearing=self.hearing,
        )
        self.service = Service(self.store, self.engine)
        self.service.stop_execution = self._stop  # type: ignore[assignment, method-assign]  # else it waits for the engine's turn

    def row(self, arn: str) -> ExecutionRow:
        row = self.store.execution(arn)
        if row is None:
            raise StoreError(f"no {arn}")
        return row

    def start(
        self, definition: Json, input: Json = None, *, machine: str = "report", name: str = "run-1"
    ) -> Execution:
        """Begin a run, up to where it waits for the test."""
        text = json.dumps(definition)
        arn = machine_arn(machine)
        now = self.clock.now()
        self.store.add_machine(
            MachineRow(arn, machine, "STANDARD", "", digest(text), now, now, "", "{}"), text
        )
        row = ExecutionRow(
            arn=execution_arn(machine, name),
            name=name,
            machine_arn=arn,
            definition=digest(text),
            status="RUNNING",
            input=json.dumps({} if input is None else input),
            started_at=now,
        )
        model = parse(text)
        named = {each: Code("function", each, "0" * 64, b"") for each in NAMES}
        codes = named | {FUNCTION + each: code for each, code in named.items()}
        self.engine.start(row, model, codes, "", {})
        self.turn()
        return Execution(row.arn, cast(Connection, self))

    def redrive(self, execution: Execution) -> None:
        """Go on with a run that has ended."""
        row = self.row(execution.arn)
        model = parse(self.store.definition(row.definition))
        steps = [decode(step.records, step.format) for step in self.store.journal(row.arn)]
        codes = {FUNCTION + each: Code("function", each, "0" * 64, b"") for each in NAMES}
        self.engine.redrive(row, model, steps, codes, "")
        self.turn()

    def turn(self, seconds: float = 0.0) -> None:
        """Let time pass, and then the engine do all that there is to do."""
        self.clock.advance_to(self.clock.now() + seconds)
        self.engine.turn()  # for what is due
        while self.engine.busy:
            self.engine.turn()

    def say(
        self, printed: str = "", progress: Progress | None = None, *, start: int = 0, worker: str = ""
    ) -> None:
        """The first job is at work, and says so much."""
        job, _ = self.pool.held[0]
        self.hearing.hear([Heard(job.execution, job.attempt, start, printed, progress, worker)])

    def finish(
        self,
        output: Json = None,
        error: str | None = None,
        cause: str | None = None,
        *,
        log: str = "",
        seconds: float = 0.5,
        which: Callable[[Job], bool] = lambda job: True,
    ) -> None:
        """After so many seconds, the first job of this kind is done."""
        number = next(n for n, (job, _) in enumerate(self.pool.held) if which(job))
        job, answer = self.pool.held.pop(number)
        self.turn(seconds)
        answer(Outcome(job.execution, job.attempt, output, error, cause, log=log))
        self.turn()

    def _stop(self, arn: str, error: str | None = None, cause: str | None = None) -> dict[str, Json]:
        self.engine.post(arn, facts.Stop(error, cause))
        self.turn()
        return {}

    def close(self) -> None:
        self.engine.close()
        self.store.close()
