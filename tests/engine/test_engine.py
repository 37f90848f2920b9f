"""The engine on a virtual clock: turns are called by the test, jobs are done by a scripted pool."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from nbflow.artifacts.shelf import Shelf
from nbflow.engine.engine import MOST_RECORDS, AlreadyExists, Engine
from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.machine import Machine, Step, facts
from nbflow.machine.records import Record, decode
from nbflow.pools.port import Answer
from nbflow.store.port import Append, ExecutionRow, MachineRow, StoreError, digest
from nbflow.store.sql import SqlStore, open_store
from nbflow.tasks import function
from nbflow.tasks.job import Job, Outcome
from nbflow.testing import ScriptedPool, VirtualClock
from tests.machine.driver import CONTEXT, TASK


class Desk:
    """An engine with a store in a folder, driven by hand."""

    def __init__(self, folder: Path, *, hold: bool = False) -> None:
        self.store = open_store(f"sqlite:///{folder / 'nbflow.sqlite'}")
        self.clock = VirtualClock()
        self.threads, self.dask = ScriptedPool(hold), ScriptedPool(hold)
        self.engine = Engine(
            self.store,
            Shelf(str(folder / "artifacts")),
            ordinary=self.threads,
            scattered=self.dask,
            clock=self.clock,
            chance=random.Random(0),
        )

    def start(
        self,
        states: dict[str, Json],
        input: Json = None,
        tasks: dict[str, Callable[..., object]] | None = None,
        name: str = "run",
        **fields: Json,
    ) -> Future[None]:
        text = json.dumps({"StartAt": next(iter(states)), "States": states, **fields})
        machine = MachineRow(
            "arn:machine", "machine", "STANDARD", "arn:role", digest(text), 0.0, 0.0, "1", "{}"
        )
        self.store.add_machine(machine, text)
        row = ExecutionRow(
            arn=f"arn:{name}",
            name=name,
            machine_arn="arn:machine",
            definition=digest(text),
            status="RUNNING",
            input=json.dumps({} if input is None else input),
            started_at=self.clock.now(),
        )
        codes = {
            f"{TASK[:-1]}{name}": function.pin(task, name, keywords=False)
            for name, task in (tasks or {}).items()
        }
        return self.engine.start(row, parse(text), codes, "", CONTEXT)

    def settle(self) -> None:
        """Turn until there is nothing to take in, then let time pass to the next timer, until nothing is due."""
        while self.engine.busy or self.engine.next_due() is not None:
            if not self.engine.busy:
                self.clock.advance_to(self.engine.next_due() or 0.0)
            self.engine.turn()

    def row(self, name: str = "run") -> ExecutionRow:
        row = self.store.execution(f"arn:{name}")
        assert row is not None
        return row

    def records(self, name: str = "run") -> list[Record]:
        return [record for row in self.store.journal(f"arn:{name}") for record in decode(row.records)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.engine.close()
    desk.store.close()


def task(name: str = "f", **fields: Json) -> dict[str, Json]:
    return {"Type": "Task", "Resource": f"{TASK[:-1]}{name}", "End": True, **fields}


def mapped(state: dict[str, Json]) -> dict[str, Json]:
    return {"Type": "Map", "ItemProcessor": {"StartAt": "T", "States": {"T": state}}, "End": True}


def double(value: int) -> int:
    print("doubling", value)
    return 2 * value


def test_a_task_runs_and_its_output_and_print_are_recorded(desk: Desk) -> None:
    started = desk.start({"T": task()}, 21, {"f": double})
    assert not started.done()
    desk.settle()
    assert started.done()
    assert (desk.row().status, desk.row().output) == ("SUCCEEDED", "42")
    assert list(desk.store.logs("arn:run").values()) == ["doubling 21\n"]
    assert [type(record).__name__ for record in desk.records()] == [
        "ExecutionStarted",
        "StateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSucceeded",
        "StateExited",
        "ExecutionSucceeded",
    ]
    assert desk.engine.running == []


def test_a_journal_row_is_a_turn_and_is_durable_before_the_task_runs(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def submit(job: Job, answer: Answer) -> None:
        seen.append(len(desk.records()))
        answer(Outcome(job.execution, job.attempt, 1))

    monkeypatch.setattr(desk.threads, "submit", submit)
    desk.start({"T": task()}, 1, {"f": double})
    desk.settle()
    assert seen == [4]
    assert [row.step for row in desk.store.journal("arn:run")] == [0, 1]
    assert [row.first_event for row in desk.store.journal("arn:run")] == [1, 5]


def test_what_is_inside_a_map_goes_to_the_scattered_pool(desk: Desk) -> None:
    desk.start({"M": mapped(task())}, [1, 2, 3], {"f": double})
    desk.settle()
    assert desk.row().output == "[2,4,6]"
    assert (len(desk.threads.done), len(desk.dask.done)) == (0, 3)


def test_a_wait_of_a_year_takes_no_time(desk: Desk) -> None:
    desk.start({"W": {"Type": "Wait", "Seconds": 31_536_000, "End": True}})
    begun = desk.clock.now()
    desk.settle()
    assert desk.row().status == "SUCCEEDED"
    assert desk.clock.now() == begun + 31_536_000
    assert desk.row().stopped_at == desk.clock.now()


def test_a_task_that_takes_too_long_is_cancelled_and_its_late_answer_dropped(tmp_path: Path) -> None:
    desk = Desk(tmp_path, hold=True)
    desk.start({"T": task(TimeoutSeconds=5)}, 1, {"f": double})
    desk.engine.turn()
    [(job, answer)] = desk.threads.held
    desk.threads.held.clear()  # it is being done: it can no longer be taken back
    desk.settle()
    assert (desk.row().status, desk.row().error) == ("FAILED", "States.Timeout")
    before = len(desk.records())
    answer(Outcome(job.execution, job.attempt, output=99))
    desk.settle()
    assert [type(record).__name__ for record in desk.records()[before:]] == ["TaskCancelled"]
    assert desk.row().output is None
    desk.store.close()


def test_a_job_that_has_not_begun_is_taken_back(tmp_path: Path) -> None:
    desk = Desk(tmp_path, hold=True)
    desk.start({"T": task()}, 1, {"f": double})
    desk.engine.turn()
    desk.engine.post("arn:run", facts.Stop("Enough", "really"))
    desk.settle()
    assert desk.threads.held == []
    assert (desk.row().status, desk.row().error, desk.row().cause) == ("ABORTED", "Enough", "really")
    assert desk.engine.running == []
    desk.store.close()


def test_many_answers_become_few_rows_of_one_commit(tmp_path: Path) -> None:
    desk = Desk(tmp_path, hold=True)
    desk.start({"M": mapped(task())}, list(range(900)), {"f": double})
    while desk.engine.busy:
        desk.engine.turn()
    assert len(desk.dask.held) == 900
    rows = len(list(desk.store.journal("arn:run")))
    while desk.dask.held:
        job, _ = desk.dask.held[0]
        desk.dask.release(Outcome(job.execution, job.attempt, job.arguments))
    desk.settle()
    assert desk.row().output == json.dumps(list(range(900)), separators=(",", ":"))
    records_each = [len(decode(row.records)) for row in desk.store.journal("arn:run")]
    assert len(records_each) - rows < 10
    assert max(records_each) < MOST_RECORDS + 300
    desk.store.close()


def test_two_executions_share_a_commit(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    append = desk.store.append

    def counting(batch: Sequence[Append]) -> list[bool]:
        batches.append(len(batch))
        return append(batch)

    monkeypatch.setattr(desk.store, "append", counting)
    for name in ("a", "b", "c"):
        desk.start({"P": {"Type": "Pass", "End": True}}, name=name)
    desk.settle()
    assert batches == [3]
    assert {desk.row(name).status for name in ("a", "b", "c")} == {"SUCCEEDED"}


def test_a_failed_append_is_repeated_unchanged_and_its_orders_wait(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, tried = desk.store.append, []

    def failing(batch: Sequence[Append]) -> list[bool]:
        tried.append(list(batch))
        if len(tried) < 3:
            raise StoreError("the disk is full")
        return append(batch)

    monkeypatch.setattr(desk.store, "append", failing)
    desk.start({"T": task()}, 1, {"f": double})
    for _ in range(2):
        with pytest.raises(StoreError):
            desk.engine.turn()
        assert desk.threads.done == []
        assert desk.engine.busy
    desk.settle()
    assert tried[0] == tried[1] == tried[2]
    assert desk.row().output == "2"


def test_who_loses_a_step_drops_the_execution_and_leaves_the_others(desk: Desk) -> None:
    lost = desk.start({"W": {"Type": "Wait", "Seconds": 5, "End": True}}, name="lost")
    desk.start({"W": {"Type": "Wait", "Seconds": 5, "End": True}}, name="kept")
    desk.engine.turn()
    ended = desk.engine.ended("arn:lost")
    desk.store.append([Append("arn:lost", 1, 99, desk.clock.now(), b"[]")])  # another engine was here
    desk.settle()
    assert lost.done()
    assert ended is not None
    with pytest.raises(AlreadyExists, match="another process"):
        ended.result()
    assert (desk.row("lost").status, desk.row("kept").status) == ("RUNNING", "SUCCEEDED")


def test_a_name_that_is_taken_is_refused(desk: Desk) -> None:
    states = {"P": {"Type": "Pass", "End": True}}
    desk.start(states)
    with pytest.raises(AlreadyExists):
        desk.start(states)
    desk.settle()
    again = desk.start(states)
    desk.settle()
    with pytest.raises(AlreadyExists):
        again.result()


def test_listeners_hear_what_is_durable_and_one_that_raises_harms_nobody(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def raises(execution: str, records: Sequence[Record]) -> None:
        raise ValueError("a listener's mistake")

    def listens(execution: str, records: Sequence[Record]) -> None:
        assert desk.records()[-len(records) :] == list(records)
        heard.extend(type(record).__name__ for record in records)

    desk.engine.bus.subscribe(raises)
    end = desk.engine.bus.subscribe(listens)
    desk.start({"T": task()}, 1, {"f": double})
    desk.settle()
    assert heard[0] == "ExecutionStarted"
    assert heard[-1] == "ExecutionSucceeded"
    assert "a listener's mistake" in caplog.text
    end()
    before = len(heard)
    desk.start({"P": {"Type": "Pass", "End": True}}, name="again")
    desk.settle()
    assert len(heard) == before


def test_a_mistake_of_our_own_takes_down_one_execution_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk.start({"P": {"Type": "Wait", "Seconds": 1, "End": True}}, name="good")
    started = desk.start({"P": {"Type": "Wait", "Seconds": 1, "End": True}}, name="bad")
    desk.engine.turn()
    ended = desk.engine.ended("arn:bad")
    bad, step = desk.engine._live["arn:bad"].machine, Machine.step

    def broken(machine: Machine, fact: facts.Fact, now: float) -> Step:
        if machine is bad:
            raise RuntimeError("a bug")
        return step(machine, fact, now)

    monkeypatch.setattr(Machine, "step", broken)
    desk.settle()
    assert started.done()
    assert ended is not None
    with pytest.raises(Exception, match=r"cannot go on.*a bug"):
        ended.result()
    assert desk.row("good").status == "SUCCEEDED"
    assert "cannot go on" in caplog.text


def test_the_thread_runs_executions_and_stops(tmp_path: Path) -> None:
    store: SqlStore | None = None
    desk = Desk(tmp_path)
    store = desk.store
    desk.engine.open()
    desk.start({"T": task()}, 4, {"f": double})
    ended = desk.engine.ended("arn:run")
    if ended is not None:
        ended.result(timeout=10)
    assert desk.row().output == "8"
    desk.engine.close()
    store.close()


def test_an_unknown_resource_says_what_to_do(desk: Desk) -> None:
    desk.start({"T": task("missing")}, 1)
    desk.settle()
    assert desk.row().status == "FAILED"
    assert "tasks=" in (desk.row().cause or "")
