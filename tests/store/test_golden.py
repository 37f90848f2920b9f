"""Stores that earlier releases have left are opened, migrated, read to the last record, and gone on with.

``tests/store/golden`` has one for each schema; ``python -m tests.store.golden.make`` makes that of the present one.
"""

import base64
import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pytest

import nbflow as nf
from nbflow.client.connection import Connection
from nbflow.machine import Machine
from nbflow.machine.entries import entries
from nbflow.machine.records import decode
from nbflow.machine.trace import Trace
from nbflow.service.arns import machine_arn
from nbflow.store.schema import HEAD, VERSION_TABLE
from tests.store.golden import make

FOLDER: Final = Path(make.__file__).parent
SCHEMAS: Final = sorted(path.stem for path in FOLDER.glob("*.sql"))

Truth = dict[str, Any]


def since(schema: str) -> list[str]:
    """The schemas from this one on."""
    return [each for each in SCHEMAS if each >= schema]


class Golden:
    """A golden store, opened by the code of today, and what was true of it."""

    def __init__(self, schema: str, folder: Path) -> None:
        self.schema = schema
        told = json.loads((FOLDER / f"{schema}.json").read_text(encoding="utf-8"))
        self.executions: dict[str, Truth] = told["executions"]
        for name, content in told["artifacts"].items():
            path = folder / "artifacts" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(base64.b64decode(content))
        self.file = folder / "nbflow.sqlite"
        database = sqlite3.connect(self.file)
        database.executescript((FOLDER / f"{schema}.sql").read_text(encoding="utf-8"))
        assert self.versions(database) == [schema]
        database.close()
        self.connection = Connection(f"sqlite:///{self.file}", str(folder / "artifacts"))

    @staticmethod
    def versions(database: sqlite3.Connection) -> list[str]:
        return [version for (version,) in database.execute(f"SELECT version_num FROM {VERSION_TABLE}")]

    def named(self, name: str) -> nf.Execution:
        [arn] = [arn for arn in self.executions if arn.endswith(f":{name}")]
        return nf.Execution(arn, self.connection)


@pytest.fixture(params=SCHEMAS)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Golden]:
    opened = Golden(request.param, tmp_path)
    yield opened
    opened.connection.close()


def test_every_released_schema_has_one() -> None:
    assert SCHEMAS[:3] == ["0001", "0002", "0003"]
    assert SCHEMAS[-1] <= HEAD


def test_it_is_migrated(golden: Golden) -> None:
    database = sqlite3.connect(golden.file)
    assert golden.versions(database) == [HEAD]
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()


def test_every_execution_is_what_it_was(golden: Golden) -> None:
    service = golden.connection.service
    for arn, truth in golden.executions.items():
        described = service.describe_execution(arn)
        assert (described["status"], described.get("error")) == (truth["status"], truth["error"])
        output = described.get("output")
        assert (None if output is None else json.loads(output)) == truth["output"]
        logs = golden.connection.store.logs(arn)
        assert {str(attempt): text for attempt, text in logs.items()} == truth["logs"]
    assert {row.arn for row in golden.connection.store.executions(limit=1000)} <= golden.executions.keys()


def test_every_record_is_read(golden: Golden) -> None:
    service, store = golden.connection.service, golden.connection.store
    for arn, truth in golden.executions.items():
        events = service.events(arn)
        assert [event["id"] for event in events] == list(range(1, truth["events"] + 1))
        definition = service.definition_of(arn)
        steps = [decode(row.records, row.format) for row in store.journal(arn)]
        machine = Machine.rebuilt(definition, random.Random(0), steps)
        run = machine.run
        assert (run.status, run.error, run.last_event) == (truth["status"], truth["error"], truth["events"])
        assert run.output == truth["output"]
        assert bool(machine.outstanding()) == (run.status == "RUNNING")
        assert run.redrivable == (run.status == "FAILED")
        trace = Trace(definition)
        for step in steps:
            for record in step:
                trace.add(record)
        assert [
            entry.state for entry in entries(definition, (record for step in steps for record in step))
        ] == [visit.name for visit in trace.visits]


def test_values_are_loaded(golden: Golden) -> None:
    table = golden.named("table").result()
    assert isinstance(table, pd.DataFrame)
    assert table["x"].tolist() == [0, 1, 2, 3, 4]


def test_what_runs_can_be_stopped(golden: Golden) -> None:
    running = [arn for arn, truth in golden.executions.items() if truth["status"] == "RUNNING"]
    assert len(running) >= 2
    for arn in running:
        run = nf.Execution(arn, golden.connection)
        run.stop("Enough")
        assert (run.status, run.error) == ("ABORTED", "Enough")
        assert run.history()[-1]["type"] == "ExecutionAborted"


def test_what_failed_goes_on(golden: Golden) -> None:
    functions = {"table": make.work.table, "count": make.work.count}
    failed = golden.named("failed")
    assert failed.fork("Count", tasks=functions).result() == {"rows": 3, "count": 3}
    assert failed.redrive(tasks=functions).result() == {"rows": 3, "count": 3}


def test_names_are_known(golden: Golden) -> None:
    call = golden.connection.service.call
    machines = call("ListStateMachines", {})["stateMachines"]
    assert {"prices", "steps", "waiting"} <= {machine["name"] for machine in machines}


@pytest.mark.parametrize("golden", since("0002"), indirect=True)
def test_versions_aliases_and_tags_are_known(golden: Golden) -> None:
    call, arn = golden.connection.service.call, machine_arn("prices")
    alias = call("DescribeStateMachineAlias", {"stateMachineAliasArn": f"{arn}:latest"})
    assert alias["routingConfiguration"] == [{"stateMachineVersionArn": f"{arn}:1", "weight": 100}]
    assert call("ListTagsForResource", {"resourceArn": arn})["tags"] == [{"key": "kind", "value": "golden"}]


@pytest.mark.parametrize("golden", since("0003"), indirect=True)
def test_what_waits_for_others_is_told(golden: Golden) -> None:
    call = golden.connection.service.call
    [activity] = call("ListActivities", {})["activities"]
    task = call("GetActivityTask", {"activityArn": activity["activityArn"]})
    assert task["input"] == '{"a":1}'
    call("SendTaskSuccess", {"taskToken": task["taskToken"], "output": "5"})
    manual = golden.named("waits-for-a-worker")
    manual.stop()  # an accepted result counts before it
    assert manual.result() == 5


@pytest.mark.parametrize("golden", since("0003"), indirect=True)
def test_map_runs_and_redrives_are_known(golden: Golden) -> None:
    step = golden.named("map-run")["Each"]
    assert [child.status for child in step.children] == ["SUCCEEDED"] * 3
    assert step.map_run is not None
    assert step.map_run["itemCounts"]["succeeded"] == 3
    assert golden.named("redriven").redrives == 1


def test_a_store_that_is_made_now_could_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command for the next release works, and what it makes holds no path of this machine."""
    monkeypatch.chdir(tmp_path)
    make.main(tmp_path)
    told = json.loads((tmp_path / f"{HEAD}.json").read_text(encoding="utf-8"))
    names = {arn.rpartition(":")[2] for arn in told["executions"]}
    assert {"retried", "failed", "waits", "waits-for-an-answer", "redriven", "map-run", "forked"} <= names
