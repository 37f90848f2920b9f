"""``python -m tests.chaos.on_dask``: a Map goes on while the workers of its cluster, and the scheduler, are killed.

Each item adds a line to a file when it is begun. Meanwhile the store is looked at: when was an item's result accepted
at the latest? A line after that is work that was done again, though its result was there.

(The module is not called ``dask``: the folder of a task's file is where its process imports from.)
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from nbflow.engine.ends import Batch
from nbflow.machine import records as r
from nbflow.machine.history import history
from nbflow.machine.records import decode
from nbflow.store.sql import SqlStore, open_store
from tests.chaos import checker
from tests.chaos.fanned import EXPRESS, INLINE
from tests.chaos.world import Member, free_port, wait_for

WORKERS: Final = 3
LOOK: Final = 0.05
SLACK: Final = 0.02
"""Seconds: a line's time is taken before it is written."""


@dataclass(frozen=True)
class Plan:
    """How much of what."""

    seed: int = 1
    kind: str = EXPRESS
    items: int = 10_000
    kills: int = 4
    """Of workers, spread over the items."""
    schedulers: int = 1
    """How often the scheduler is killed, with its workers; 0 or 1: in the middle."""
    seconds: float = 0.002
    """That an item takes."""
    patience: float = 300.0
    """Seconds in which the Map must have ended."""


@dataclass
class Figures:
    """What is printed in the end."""

    kills: int = 0
    schedulers: int = 0
    results: int = 0
    lines: int = 0
    """Items that were begun, each as often as it was."""
    lost: list[str] = field(default_factory=list)
    """All that is wrong."""


@dataclass
class DaskWorld:
    """A scheduler and its workers, each with a nanny that starts it anew."""

    folder: Path
    members: dict[str, Member] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        quiet = ("--no-dashboard", "--host", "127.0.0.1")
        self._add("scheduler", *quiet, "--port", str(self.port), port=self.port)
        for number in range(WORKERS):
            name = f"worker-{number}"
            own = ("--name", name, "--nthreads", "1", "--local-directory", str(self.folder / name))
            self._add(name, self.address, *quiet, *own)

    def _add(self, name: str, *arguments: str, port: int = 0) -> None:
        command = [sys.executable, "-m", f"distributed.cli.dask_{name.partition('-')[0]}", *arguments]
        self.members[name] = Member(name, command, self.folder, port=port)

    @property
    def address(self) -> str:
        """The scheduler's."""
        return f"tcp://127.0.0.1:{self.port}"

    @property
    def nannies(self) -> list[Member]:
        return [member for name, member in self.members.items() if "worker" in name]

    def begin(self) -> None:
        """Start all of it. Raises AssertionError if the scheduler does not begin to listen."""
        scheduler = self.members["scheduler"]
        scheduler.start()
        wait_for(scheduler)
        for nanny in self.nannies:
            nanny.start()

    def kill_worker(self, chance: random.Random) -> bool:
        """SIGKILL for a worker; its nanny starts it anew. False: none runs now."""
        running = [worker for nanny in self.nannies for worker in _worker_of(nanny)]
        if running:
            chance.choice(running).kill()
        return bool(running)

    def close(self) -> None:
        """SIGKILL for all, workers before their nannies: a nanny that is gone ends none."""
        for nanny in self.nannies:
            for worker in _worker_of(nanny):
                with suppress(psutil.NoSuchProcess):
                    worker.kill()
            nanny.kill()
        self.members["scheduler"].kill()

    def __enter__(self) -> "DaskWorld":
        try:
            self.begin()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _worker_of(nanny: Member) -> list[psutil.Process]:
    """The process of a nanny's worker; none while it is started."""
    if nanny.process is None:
        return []
    with suppress(psutil.NoSuchProcess):
        found = psutil.Process(nanny.process.pid).children()
        return [each for each in found if any("spawn_main" in word for word in each.cmdline())]
    return []


# --- what is accepted, and when


class Accepted:
    """The results that the store has, as they come: a look tells what is new since the last one."""

    def __init__(self, store: SqlStore) -> None:
        self.by: dict[int, float] = {}
        """When an item's result was there, at the latest."""
        self.times: Counter[int] = Counter()
        """How many results an item has."""
        self._store = store
        self._execution: str | None = None
        self._step = -1
        self._batches = 0

    def look(self) -> None:
        """Note what is new."""
        if self._execution is None:
            rows = self._store.executions(limit=1)
            if not rows:
                return
            self._execution = rows[0].arn
        for number in [*self._of_journal(self._execution), *self._of_batches(self._execution)]:
            self.times[number] += 1
            self.by.setdefault(number, time.time())

    def _of_journal(self, execution: str) -> Iterator[int]:
        for row in self._store.journal(execution, self._step):
            self._step = row.step
            for record in decode(row.records, row.format):
                if isinstance(record, r.TaskSucceeded):
                    assert isinstance(record.output, int)
                    yield record.output

    def _of_batches(self, execution: str) -> Iterator[int]:
        for run in self._store.map_runs(execution):
            while (text := self._store.map_part(run.arn, "batch", self._batches)) is not None:
                self._batches += 1
                yield from (number for number, end in Batch.of(text).ends if end.status == "SUCCEEDED")


# --- one run


def run(folder: Path, plan: Plan) -> Figures:
    """Let it happen, and check. ``lost`` of the figures is what is wrong."""
    url = f"sqlite:///{folder / 'nbflow.sqlite'}"
    figures, store = Figures(), open_store(url)
    try:
        accepted = Accepted(store)
        with DaskWorld(folder) as world:
            arguments = [url, world.address, plan.kind, str(plan.items), str(plan.seconds)]
            command = [sys.executable, "-m", "tests.chaos.fanned", *arguments]
            engine = Member("engine", command, folder)
            engine.start()
            try:
                _strike(world, engine, accepted, plan, figures)
            finally:
                engine.kill()
        code = engine.process.returncode if engine.process is not None else None
        if code != 0:
            figures.lost.append(f"the Map's process ended with {code}: {engine.said()}")
        accepted.look()
        _check(folder, store, accepted, plan, figures)
    finally:
        store.close()
    return figures


def _strike(world: DaskWorld, engine: Member, accepted: Accepted, plan: Plan, figures: Figures) -> None:
    """Kill by how far the Map is, until it ends."""
    chance = random.Random(plan.seed)
    marks = sorted(int(chance.uniform(0.05, 0.85) * plan.items) for _ in range(plan.kills))
    until = time.monotonic() + plan.patience
    while engine.alive:
        if time.monotonic() > until:
            figures.lost.append(f"it has not ended after {plan.patience} s, with {len(accepted.by)} results")
            return
        accepted.look()
        if figures.schedulers < plan.schedulers and len(accepted.by) >= plan.items // 2:
            world.close()
            accepted.look()
            world.begin()
            figures.schedulers += 1
        elif marks and len(accepted.by) >= marks[0] and world.kill_worker(chance):
            del marks[0]
            figures.kills += 1
        time.sleep(LOOK)


def _check(folder: Path, store: SqlStore, accepted: Accepted, plan: Plan, figures: Figures) -> None:
    lines = [line.split("\t") for file in folder.glob("did-*") for line in file.read_text().splitlines()]
    marks = [(int(line[0]), float(line[2])) for line in lines]
    for recorded in checker.read_all(store):
        if recorded.row.map_run_arn is None:
            results = json.loads(recorded.row.output or "[]")
            figures.lines, figures.results = len(lines), len(results)
            figures.lost += check_marks(marks, results, accepted, plan.items)
            figures.lost += checker.check_execution(recorded)
            kinds = Counter(str(event["type"]) for event in history(recorded.definition, recorded.records))
            figures.lost += check_counts(kinds, plan.kind, plan.items)
            for each in store.map_runs(recorded.row.arn):
                counts = json.loads(each.counts or "{}").get("items", {})
                found = {status: number for status, number in counts.items() if number}
                if found != {"SUCCEEDED": plan.items}:
                    figures.lost.append(f"the Map Run counts {found}")


def check_marks(
    lines: list[tuple[int, float]], results: list[int], accepted: Accepted, items: int
) -> Iterator[str]:
    """Each item was begun, has one result, and was not begun after that.

    ``lines``: which was begun, and when. ``results``: the output. What was accepted between the last look at it and the
    end of a Map Run, whose batches are deleted then, is in the output only.
    """
    begun = {number for number, _ in lines}
    every = set(range(items))
    if every - begun:
        yield f"{len(every - begun)} items were never begun, such as {min(every - begun)}"
    if results != list(range(items)):
        yield f"the output has {len(results)} results, such as {results[:5]}"
    yield from (f"item {number} has {times} results" for number, times in accepted.times.items() if times > 1)
    yield from (
        f"item {number} was begun {at - accepted.by[number]:.2f} s after its result was accepted"
        for number, at in lines
        if at > accepted.by.get(number, float("inf")) + SLACK
    )


def check_counts(kinds: Counter[str], kind: str, items: int) -> Iterator[str]:
    """How often each kind of event is in the history, by its type."""
    once = {"MapStateEntered": 1, "MapStateExited": 1, "ExecutionSucceeded": 1}
    each = ("MapIterationStarted", "MapIterationSucceeded", "LambdaFunctionSucceeded")
    runs = {"MapRunStarted": 1, "MapRunSucceeded": 1, "MapRunFailed": 0}
    wanted = once | (dict.fromkeys(each, items) if kind == INLINE else runs)
    yield from (f"the history has {kinds[name]} {name}" for name in wanted if kinds[name] != wanted[name])


def in_words(plan: Plan, figures: Figures, seconds: float) -> str:
    """The figures of a run."""
    found = (
        f"seed {plan.seed}: {plan.items:,} items ({plan.kind}), {figures.kills} workers and "
        f"{figures.schedulers} schedulers killed, {figures.results:,} results, "
        f"{figures.lines - figures.results:,} items begun again, in {seconds:.0f} s: lost = {len(figures.lost)}"
    )
    return "\n  ".join([found, *figures.lost[:20]])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.on_dask", description=__doc__)
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=list(range(1, 4)), help="one run of each kind each"
    )
    parser.add_argument("--items", type=int, default=30_000)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--schedulers", type=int, choices=(0, 1), default=1)
    asked = parser.parse_args()
    failed = 0
    for seed in asked.seeds:
        for kind, items in ((EXPRESS, asked.items), (INLINE, asked.items // 10)):
            plan = Plan(seed, kind, items, asked.kills, asked.schedulers, patience=900)
            folder, begun = Path(tempfile.mkdtemp(prefix=f"chaos-dask-{seed}-")), time.monotonic()
            figures = run(folder, plan)
            print(in_words(plan, figures, time.monotonic() - begun), flush=True)
            failed += bool(figures.lost)
            if figures.lost:
                print(f"  {folder}")
            else:
                shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
