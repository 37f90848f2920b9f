"""How long a list, a filter and a search take in a store of 100,000 executions, with input and output of 500 B each.

The floor is one plain scan of all rows, which also reads the length of each input: what a search of all rows must do
at least. Every figure is that of the store's own call, with the rows fetched.
"""

import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from nbflow.store.rows import Append, ExecutionRow
from nbflow.store.sql import SqlStore, open_store
from nbflow.store.where import parse

COUNT: Final = 100_000
MACHINE: Final = "arn:aws:states:us-east-1:000000000000:stateMachine:m"
MOST: Final = 0.2
"""Seconds that any of them may take."""

CASES: Final[dict[str, dict[str, Any]]] = {
    "list": {},
    "list of one machine": {"machine_arn": f"{MACHINE}1"},
    "filter by status, 1 %": {"status": "FAILED"},
    "filter by status, none": {"status": "RUNNING"},
    "filter by start, the oldest 10": {"started_before": 10.0},
    "search, every fourth": {"where": "$.input.region = 'eu'"},
    "search, a text of one": {"where": "$.input.key = 'k17'"},
    "search, a number of one": {"where": "$.input.customer.id = 17"},
    "search, a number of none": {"where": "$.output.total > 5000"},
    "search, none, in one machine of five": {"where": "$.output.total > 5000", "machine_arn": f"{MACHINE}1"},
}

Say = Callable[[str, str, float, tuple[str, float]], None]


def measure(say: Say, folder: Path, rounds: int = 7) -> None:
    """Print the figures."""
    store = open_store(f"sqlite:///{folder / 'search.sqlite'}")
    fill(store)
    calls = {
        name: {key: parse(value) if key == "where" else value for key, value in asked.items()}
        for name, asked in CASES.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in ("floor", *calls)}
    with store._engine.connect() as connection:
        for _ in range(rounds):
            begun = time.perf_counter()
            connection.exec_driver_sql("SELECT sum(length(input)) FROM executions NOT INDEXED").all()
            seconds["floor"].append(time.perf_counter() - begun)
            for name, asked in calls.items():
                begun = time.perf_counter()
                store.executions(children=False, limit=100, **asked)
                seconds[name].append(time.perf_counter() - begun)
    store.close()
    floor = statistics.median(seconds.pop("floor"))
    for name, times in seconds.items():
        taken = statistics.median(times)
        figure = f"{taken * 1000:.1f} ms ({taken / floor:.2f}× a scan of {floor * 1000:.0f} ms)"
        say(f"{name}, of {COUNT:,}", figure, taken, ("<=", MOST))


def fill(store: SqlStore) -> None:
    """Executions of five machines, as they are after a while."""
    chance = random.Random(1)
    batch: list[Append] = []
    for number in range(COUNT):
        failed = number % 100 == 3
        row = ExecutionRow(
            f"{MACHINE.replace('stateMachine', 'execution')}{number // 7 % 5}:e{number}",
            f"e{number}",
            f"{MACHINE}{number // 7 % 5}",
            "d" * 64,
            "FAILED" if failed else "SUCCEEDED",
            json.dumps(_input(number, chance)),
            float(number),
            output=None if failed else json.dumps(_output(chance)),
            stopped_at=number + 5.0,
            bindings=json.dumps(
                {"arn:aws:lambda:us-east-1:000000000000:function:f": {"sha256": f"{number:064d}"}}
            ),
            revision='{"revisionId":"0123","roleArn":"arn:aws:iam::000000000000:role/x"}',
            directory="/home/somebody/project",
        )
        batch.append(Append(row.arn, 0, 1, float(number), b"[]", opened=row))
        if len(batch) == 1000:
            store.append(batch)
            batch = []


def _input(number: int, chance: random.Random) -> dict[str, Any]:
    lines = [
        {
            "sku": f"{chance.randrange(10**8):08d}",
            "count": chance.randrange(9),
            "price": chance.randrange(9999) / 100,
        }
        for _ in range(7)
    ]
    customer = {"id": number, "name": f"customer {chance.randrange(1000)}"}
    return {
        "region": chance.choice(["eu", "us", "asia", "africa"]),
        "customer": customer,
        "key": f"k{number}",
        "lines": lines,
    }


def _output(chance: random.Random) -> dict[str, Any]:
    rows = [{"a": chance.random(), "b": chance.randrange(100)} for _ in range(6)]
    return {"total": chance.randrange(1000), "ok": True, "message": "x" * 200, "rows": rows}
