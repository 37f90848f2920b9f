"""Makes a golden store: what the present code leaves in a store of the present schema.

    python -m tests.store.golden.make

writes ``SCHEMA.sql`` (SQLite's own dump) and ``SCHEMA.json`` (what was true of it, and its artifacts) beside this
file. One is made with each release, and never again: the tests open them all with the code that there is then.

What an earlier schema's code cannot do is not asked of it: so those were made, by this file, from their last commits.
"""

import base64
import json
import linecache
import os
import platform
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import nbflow as nf
from nbflow.client.connection import Connection, current
from nbflow.store.schema import HEAD

HERE = Path(__file__).resolve().parent
LAMBDA = "arn:aws:lambda:us-east-1:000000000000:function:"


def loaded(path: Path) -> ModuleType:
    """A module from a file, without that file's path in its functions."""
    text, name = path.read_text(encoding="utf-8"), f"golden_{path.stem}"
    module = sys.modules[name] = ModuleType(name)
    linecache.cache[path.name] = (len(text), None, text.splitlines(keepends=True), path.name)
    exec(compile(text, path.name, "exec"), vars(module))
    return module


work: Any = loaded(HERE / "work.py")


def task(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": LAMBDA + name,
        **({} if "Next" in fields else {"End": True}),
        **fields,
    }


def each(**fields: Any) -> dict[str, Any]:
    """A Map with a retry and a catch in it."""
    tried = task(
        "price",
        Parameters={"item.$": "$.item", "tries.$": "$$.State.RetryCount"},
        Retry=[{"ErrorEquals": ["Flaky"], "IntervalSeconds": 1, "MaxAttempts": 1}],
        Catch=[{"ErrorEquals": ["NoPrice"], "ResultPath": "$.error", "Next": "Free"}],
    )
    return {
        "Type": "Map",
        "ItemsPath": "$.items",
        "ItemSelector": {"item.$": "$$.Map.Item.Value"},
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "INLINE"},
            "StartAt": "Price",
            "States": {"Price": tried, "Free": {"Type": "Pass", "End": True}},
        },
        "End": True,
        **fields,
    }


def machine(name: str, tasks: dict[str, Any], **states: Any) -> nf.StateMachine:
    return nf.StateMachine({"StartAt": next(iter(states)), "States": states}, name=name, tasks=tasks)


def two_steps(function: Any) -> nf.StateMachine:
    """The second of two steps counts the rows of a table."""
    first = task("table", Assign={"table.$": "$"}, ResultPath=None, Next="Count")
    second = task("count", Parameters={"data.$": "$table"}, ResultPath="$.count")
    return machine("steps", {"table": work.table, "count": function}, Table=first, Count=second)


# --- what each schema's code can do first


def prices() -> None:
    machine("prices", {"price": work.price}, Each=each()).start(
        {"items": [0, 1, 2, 3]}, execution_name="retried"
    ).wait()


def steps() -> None:
    two_steps(work.count).start({"rows": 3}, execution_name="whole").wait()
    two_steps(work.broken).start({"rows": 3}, execution_name="failed").wait()
    machine("tables", {"table": work.table}, Table=task("table")).start(
        {"rows": 5}, execution_name="table"
    ).wait()


def waiting() -> None:
    wait = {"Type": "Wait", "Seconds": 99_999_999, "End": True}
    machine("waiting", {}, Wait=wait).start({"a": 1}, execution_name="waits")
    branches = [{"StartAt": name, "States": {name: wait}} for name in ("One", "Two")]
    machine("both", {}, Both={"Type": "Parallel", "Branches": branches, "End": True}).start(
        execution_name="waits-twice"
    )


def versions() -> None:
    call = current().service.call
    arn = next(each["stateMachineArn"] for each in call("ListStateMachines", {})["stateMachines"])
    version = call("PublishStateMachineVersion", {"stateMachineArn": arn, "description": "golden"})
    routes = [{"stateMachineVersionArn": version["stateMachineVersionArn"], "weight": 100}]
    call("CreateStateMachineAlias", {"name": "latest", "routingConfiguration": routes})
    call("TagResource", {"resourceArn": arn, "tags": [{"key": "kind", "value": "golden"}]})


def outside() -> None:
    call = current().service.call
    activity = call("CreateActivity", {"name": "by-hand"})["activityArn"]
    state = {"Type": "Task", "Resource": activity, "TimeoutSeconds": 99_999_999, "End": True}
    machine("manual", {}, Hand=state).start({"a": 1}, execution_name="waits-for-a-worker")
    asking = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": "ask", "Payload": {"token.$": "$$.Task.Token"}},
        "End": True,
    }
    asked = machine("asking", {"ask": work.ask}, Ask=asking).start(execution_name="waits-for-an-answer")
    for _ in asked.follow(pulse=True):
        if asked.waits_outside:
            break


def redriven() -> None:
    run = two_steps(work.broken).start({"rows": 2}, execution_name="redriven").wait()
    run.redrive(tasks={"table": work.table, "count": work.count}).wait()


def map_run() -> None:
    state = each(MaxConcurrency=2)
    state["ItemProcessor"]["ProcessorConfig"] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    machine("many", {"price": work.price}, Each=state).start(
        {"items": [0, 1, 2]}, execution_name="map-run"
    ).wait()


def forked() -> None:
    nf.execution("failed").fork(
        "Count", tasks={"table": work.table, "count": work.count}, execution_name="forked"
    ).wait()


PARTS: dict[str, list[Callable[[], None]]] = {
    "0001": [prices, steps, waiting],
    "0002": [versions],
    "0003": [outside, redriven, map_run],
    "0004": [forked],
}
"""By the schema since which there is such a thing."""


# --- what is kept


def truth(connection: Connection, database: sqlite3.Connection) -> dict[str, Any]:
    """What is true of each execution, by its ARN."""
    kept: dict[str, Any] = {}
    for id, arn, status, output, error in database.execute(
        "SELECT id, arn, status, output, error FROM executions ORDER BY id"
    ):
        logs = database.execute("SELECT attempt, text FROM logs WHERE execution = ? ORDER BY attempt", (id,))
        kept[arn] = {
            "status": status,
            "output": None if output is None else json.loads(output),
            "error": error,
            "events": len(nf.Execution(arn, connection).history()),
            "logs": {str(attempt): text for attempt, text in logs},
        }
    return kept


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.chdir("/")  # it is recorded as where tasks run
        platform.node = lambda: "host"  # and this as who runs them
        connection = nf.connect(f"sqlite:///{folder / 'nbflow.sqlite'}", artifacts=folder / "artifacts")
        for since in sorted(PARTS):
            for part in PARTS[since]:
                if since <= HEAD:
                    part()
        database = sqlite3.connect(folder / "nbflow.sqlite")
        executions = truth(connection, database)
        nf.disconnect()
        dump = "\n".join(database.iterdump()) + "\n"
        database.close()
        artifacts = {
            str(path.relative_to(folder / "artifacts")): base64.b64encode(path.read_bytes()).decode()
            for path in sorted((folder / "artifacts").rglob("*"))
            if path.is_file()
        }
    told = json.dumps({"executions": executions, "artifacts": artifacts}, indent=1, ensure_ascii=False) + "\n"
    for private in (temporary, str(Path.home()), str(HERE), os.path.dirname(nf.__file__)):
        if private in dump + told:
            raise SystemExit(f"the golden store would hold a path of this machine: {private}")
    (target / f"{HEAD}.sql").write_text(dump, encoding="utf-8")
    (target / f"{HEAD}.json").write_text(told, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else HERE)
