"""``make bench``: what nbflow costs, as ratios to a floor or a peer measured in the same run.

    python -m benchmarks [NAME …]      names: import, compile, memory, durable, transitions, api, map, inline, etl,
                                       frame, million, job, panel, search

Absolute times depend on the machine; ratios much less. Each figure is the median of several rounds, and where two
things are compared their rounds take turns. The aims are those that the project has set itself.
"""

import json
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.places import cluster, store

Aim = tuple[str, float]
"""How the ratio should be, ``<=`` or ``>=``, and the bound."""


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def in_turn(rounds: int, *works: Callable[[], object]) -> list[float]:
    """The median seconds of each, measured A B A B …"""
    times = [[timed(work) for work in works] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def say(what: str, figure: str, value: float, aim: Aim) -> None:
    """One line: what, the figure, and whether it is as aimed at."""
    reached = value <= aim[1] if aim[0] == "<=" else value >= aim[1]
    print(
        f"{'reached' if reached else 'MISSED ':8} {what:58} {figure:>34}   aim {aim[0]} {aim[1]:g}",
        flush=True,
    )


def bench_import() -> None:
    """``import nbflow`` in a fresh interpreter, less the interpreter's own start."""
    seconds = in_turn(
        7,
        lambda: subprocess.run([sys.executable, "-c", "import nbflow"], check=True),
        lambda: subprocess.run([sys.executable, "-c", "pass"], check=True),
    )
    cost = seconds[0] - seconds[1]
    say("import nbflow", f"{cost * 1000:.1f} ms", cost, ("<=", 0.1))


def bench_compile() -> None:
    """A flow of thirty states, from Python to ASL, as each start does it."""
    from benchmarks.thirty_states import thirty
    from nbflow.authoring.flow import compile_flow
    from nbflow.language.validate import all_states, parse

    states = sum(1 for _ in all_states(parse(thirty.definition)))
    [seconds] = in_turn(30, lambda: compile_flow(thirty.function))
    say(f"a flow of {states} states compiled", f"{seconds * 1000:.1f} ms", seconds, ("<=", 0.05))


def bench_memory() -> None:
    """A chain of 1,000 Pass states in memory."""
    from nbflow.language.validate import parse
    from nbflow.machine import Machine, facts

    count = 1000
    states: dict[str, Any] = {f"S{n}": {"Type": "Pass", "Next": f"S{n + 1}"} for n in range(count)}
    states[f"S{count}"] = {"Type": "Succeed"}
    definition = parse({"StartAt": "S0", "States": states})

    def states_in_a_row() -> None:
        machine = Machine.of(definition, random.Random(0))
        machine.step(facts.Start({"rows": 3}, {}), 0.0)
        while not machine.run.ended:
            machine.step(facts.Continue(), 0.0)

    micros = in_turn(9, states_in_a_row)[0] / count * 1e6
    say("a Pass transition in memory", f"{micros:.1f} µs", micros, ("<=", 25))


def bench_durable() -> None:
    """Steps that are remembered, on each kind of store; recovery; and the memory of what waits."""
    from benchmarks.durable import measure

    measure(say, in_turn)


def bench_transitions(rounds: int = 5, count: int = 1000) -> None:
    """Pass states one after the other, Express and Standard, against raw commits: AWS allows 1,500 a second."""
    import nbflow as nf
    from nbflow.client.connection import current

    states: dict[str, Any] = {f"S{n}": {"Type": "Pass", "Next": f"S{n + 1}"} for n in range(count)}
    states[f"S{count}"] = {"Type": "Succeed"}
    definition = json.dumps({"StartAt": "S0", "States": states})
    with store() as folder:
        call = current().service.call
        role = "arn:aws:iam::000000000000:role/bench"
        arns = {
            type: call(
                "CreateStateMachine", {"name": type, "definition": definition, "roleArn": role, "type": type}
            )["stateMachineArn"]
            for type in ("EXPRESS", "STANDARD")
        }
        raw = raw_database(folder)

        def express() -> None:
            assert call("StartSyncExecution", {"stateMachineArn": arns["EXPRESS"]})["status"] == "SUCCEEDED"

        def standard() -> None:
            started = call("StartExecution", {"stateMachineArn": arns["STANDARD"]})["executionArn"]
            nf.Execution(started, current()).wait()

        def floor() -> None:
            for _ in range(count):
                raw.execute("INSERT INTO t (body) VALUES (?)", ("x" * 200,))

        express(), standard()
        seconds = in_turn(rounds, express, standard, floor)
        for name, taken in zip(("Express", "Standard"), seconds, strict=False):
            figure = f"{count / taken:,.0f}/s ({count / seconds[2]:,.0f} raw commits/s)"
            say(f"{name} transitions (Pass)", figure, count / taken, (">=", 1500))
        raw.close()


def raw_database(folder: Path) -> sqlite3.Connection:
    """A table in SQLite, as nbflow's is set up."""
    raw = sqlite3.connect(folder / "raw.sqlite", isolation_level=None)
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute("PRAGMA synchronous=NORMAL")
    raw.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
    return raw


def bench_api() -> None:
    """Starts over HTTP, and an activity worker's wait for its task."""
    from benchmarks.api import measure

    measure(say)


def bench_map() -> None:
    """Ten thousand no-op items, and tasks of half a second, against ``client.map``."""
    from benchmarks.fanout import measure

    measure(say, in_turn)


def bench_inline() -> None:
    """A durable Map of 100,000 items in this process."""
    from benchmarks.fanout import measure_in_process

    measure_in_process(say, in_turn)


def bench_etl() -> None:
    """40 files, against hand-written Dask that writes the same Parquet."""
    from benchmarks.frames import measure_etl

    measure_etl(say, in_turn)


def bench_frame() -> None:
    """A DataFrame of 1 GB through four tasks on workers."""
    from benchmarks.frames import measure_large

    measure_large(say)


def bench_million() -> None:
    """A million EXPRESS items, and the memory of all who take part."""
    from benchmarks.million import measure

    measure(say)


def bench_job() -> None:
    """The main job up to its three tables, against the same work written by hand with ``client.map``.

    The retries' waiting (two seconds, on purpose) and the report are left out: the floor has neither.
    """
    from benchmarks.flights_by_hand import by_hand, main_job

    job = main_job()
    with cluster() as client, store() as folder:
        data, out = str(job.lay_out("data")), folder / "by-hand"
        out.mkdir()
        machine = without_report(job).machine

        def ours() -> None:
            machine.run({"folder": data, "max_lost_share": 0.05})

        def floor() -> None:
            by_hand(client, job, data, out)

        ours(), floor()
        mine, least = in_turn(9, ours, floor)
        figure = f"{mine / least:.2f}× ({mine:.2f} s : {least:.2f} s)"
        say("the main job : the same work by hand", figure, mine / least, ("<=", 1.1))


def bench_panel() -> None:
    """From Python to what is seen, in a real JupyterLab."""
    from benchmarks.panel import measure

    measure(say)


def bench_search() -> None:
    """Lists, filters and searches among 100,000 executions."""
    from benchmarks.search import measure

    with tempfile.TemporaryDirectory() as folder:
        measure(say, Path(folder))


def without_report(job: Any) -> Any:
    """The main job's flow without the failures on purpose and without the notebook."""
    import nbflow as nf

    list_months, monthly, measure_quality = job.list_months, job.monthly, job.measure_quality
    carriers, hours, ages = job.carriers, job.hours, job.ages

    @nf.flow
    def flights(folder: str, max_lost_share: float) -> Any:
        months = list_months(folder)
        parts = [monthly(folder, month) for month in months]
        tables = nf.parallel(carriers(parts), hours(parts), ages(parts))
        quality = measure_quality(parts=parts)
        if quality["lost_share"] > max_lost_share:
            raise nf.Fail("TooMuchLost")
        return tables

    return flights


BENCHES = {
    "import": bench_import,
    "compile": bench_compile,
    "memory": bench_memory,
    "durable": bench_durable,
    "transitions": bench_transitions,
    "api": bench_api,
    "map": bench_map,
    "inline": bench_inline,
    "etl": bench_etl,
    "frame": bench_frame,
    "million": bench_million,
    "job": bench_job,
    "panel": bench_panel,
    "search": bench_search,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHES:
        BENCHES[name]()
