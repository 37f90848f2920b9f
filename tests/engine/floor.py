"""An engine on a virtual clock for Map Runs: turns are called by the test, items are read inline."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path

from nbflow.engine.engine import Engine
from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.machine.records import Record, decode
from nbflow.store.port import digest
from nbflow.store.rows import ExecutionRow, MachineRow, MapRunRow
from nbflow.tasks import function
from tests.engine.test_engine import Desk
from tests.machine.driver import TASK

STATES = "arn:aws:states:us-east-1:000000000000"
MACHINE = f"{STATES}:stateMachine:machine"
GET = "arn:aws:states:::s3:getObject"
PUT = "arn:aws:states:::s3:putObject"


class Floor(Desk):
    """A desk whose executions have ARNs as AWS's."""

    reading: list[Callable[[], None]] | None = None
    """What is to be read or written, where the test wants to wait with it."""

    def __init__(self, folder: Path, *, hold: bool = False) -> None:
        super().__init__(folder, hold=hold)
        self.folder = folder
        self.engine = Engine(
            self.store,
            self.engine._turns.hands._shelf,
            ordinary=self.threads,
            scattered=self.dask,
            clock=self.clock,
            chance=self.engine.chance,
            spawn=self._spawn,
        )

    def _spawn(self, work: Callable[[], None]) -> None:
        if self.reading is None:
            work()
        else:
            self.reading.append(work)

    def map(
        self,
        inner: dict[str, Json] | None = None,
        input: Json = None,
        tasks: dict[str, Callable[..., object]] | None = None,
        *,
        type: str = "STANDARD",
        around: dict[str, Json] | None = None,
        start: str = "M",
        **state: Json,
    ) -> Future[None]:
        """Start an execution ``run`` of the Distributed Map ``M`` over states ``T``."""
        processor = {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": type},
            "StartAt": "T",
            "States": {"T": inner or {"Type": "Pass", "End": True}},
        }
        made = {"Type": "Map", "Label": "each", "ItemProcessor": processor, **state}
        states = {"M": made if "Next" in made else {**made, "End": True}, **(around or {})}
        return self.begin({"StartAt": start, "States": states}, input, tasks)

    def begin(
        self,
        definition: dict[str, Json],
        input: Json = None,
        tasks: dict[str, Callable[..., object]] | None = None,
    ) -> Future[None]:
        text = json.dumps(definition)
        machine = MachineRow(MACHINE, "machine", "STANDARD", "arn:role", digest(text), 0.0, 0.0, "1", "{}")
        self.store.add_machine(machine, text)
        row = ExecutionRow(
            arn=self.arn,
            name="run",
            machine_arn=MACHINE,
            definition=digest(text),
            status="RUNNING",
            input=json.dumps([] if input is None else input),
            started_at=self.clock.now(),
        )
        codes = {
            f"{TASK[:-1]}{name}": function.pin(task, name, keywords=False)
            for name, task in (tasks or {}).items()
        }
        context = {
            "Execution": {"Id": self.arn, "Name": "run", "RoleArn": "arn:role"},
            "StateMachine": {"Id": MACHINE, "Name": "machine"},
            **self.context,
        }
        return self.engine.start(row, parse(text), codes, str(self.folder), context)

    context: Mapping[str, Json] = {}
    """Further members of what executions are started with."""

    arn = f"{STATES}:execution:machine:run"

    def turns(self) -> None:
        """Turn until there is nothing to take in; no time passes."""
        while self.engine.busy:
            self.engine.turn()

    def row(self, name: str = "run") -> ExecutionRow:
        row = self.store.execution(self.arn)
        assert row is not None
        return row

    def records(self, name: str = "run") -> list[Record]:
        return [record for row in self.store.journal(self.arn) for record in decode(row.records)]

    @property
    def output(self) -> Json:
        assert self.row().status == "SUCCEEDED", (self.row().error, self.row().cause)
        return json.loads(self.row().output or "")

    @property
    def failure(self) -> tuple[str | None, str | None]:
        assert self.row().status == "FAILED"
        return self.row().error, self.row().cause

    @property
    def map_run(self) -> MapRunRow:
        return self.store.map_runs(self.arn)[-1]

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Of the run, those that are not 0."""
        counts = self.engine.map_run_counts(self.map_run.arn) or json.loads(self.map_run.counts or "")
        return {kind: {name: n for name, n in each.items() if n} for kind, each in counts.items()}

    @property
    def children(self) -> list[ExecutionRow]:
        """In the order of their start."""
        return self.store.executions(map_run_arn=self.map_run.arn, limit=10_000)[::-1]

    def inputs(self) -> list[Json]:
        return [json.loads(row.input) for row in self.children]


WAIT: Json = {"Type": "Wait", "Seconds": 100, "End": True}
BY_ITEM: Json = {"Type": "Wait", "SecondsPath": "$", "End": True}


def odd(value: int) -> int:
    if value % 2:
        raise ValueError("odd")
    return value
