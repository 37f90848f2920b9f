"""The engine on a virtual clock: turns are called by the test, jobs are done by a scripted pool."""

import json
import random
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from nbflow.artifacts.shelf import Shelf
from nbflow.engine.decide import MOST_RECORDS
from nbflow.engine.engine import Engine
from nbflow.engine.live import AlreadyExists, Arrival, EngineError, Script
from nbflow.engine.turns import PAUSE
from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.machine import Machine, Step, facts
from nbflow.machine.evolve import HIDDEN
from nbflow.machine.records import Record, decode
from nbflow.pools.port import Answer
from nbflow.store.port import StoreError, digest
from nbflow.store.rows import Append, ArtifactRow, ExecutionRow, MachineRow
from nbflow.store.sql import SqlStore, open_store
from nbflow.tasks import function
from nbflow.tasks.job import Code, Job, Outcome
from nbflow.testing import ScriptedPool, VirtualClock
from tests.machine.driver import CONTEXT, TASK


class Desk:
    """An engine with a store in a folder, driven by hand."""

    def __init__(self, folder: Path, *, hold: bool = False, seed: int = 0) -> None:
        self.store = open_store(f"sqlite:///{folder / 'nbflow.sqlite'}")
        self.clock = VirtualClock()
        self.threads, self.dask = (ScriptedPool(hold, self.clock.now) for _ in range(2))
        self.engine = Engine(
            self.store,
            Shelf(str(folder / "artifacts")),
            ordinary=self.threads,
            scattered=self.dask,
            clock=self.clock,
            chance=random.Random(seed),
        )

    def start(
        self,
        states: dict[str, Json],
        input: Json = None,
        tasks: dict[str, Callable[..., object]] | None = None,
        name: str = "run",
        script: Script | None = None,
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
        named = {name: function.pin(task, name, keywords=False) for name, task in (tasks or {}).items()}
        codes = named | {f"{TASK[:-1]}{name}": code for name, code in named.items()}
        return self.engine.start(row, parse(text), codes, "", CONTEXT, script=script)

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


def task(name: str = "f", **fields: Json) -> dict[str, Json]:
    return {"Type": "Task", "Resource": f"{TASK[:-1]}{name}", "End": True, **fields}


def mapped(state: dict[str, Json]) -> dict[str, Json]:
    return {"Type": "Map", "ItemProcessor": {"StartAt": "T", "States": {"T": state}}, "End": True}


def double(value: int) -> int:
    print("doubling", value)
    return 2 * value


def test_answers_that_come_together_are_taken_in_together(desk: Desk) -> None:
    desk.start({"M": mapped(task())}, list(range(300)), {"f": double})
    desk.settle()
    assert json.loads(desk.row().output or "") == [2 * value for value in range(300)]
    kinds = [type(record).__name__ for record in desk.records()]
    assert "StateExited TaskSucceeded StateExited TaskSucceeded" in " ".join(kinds)
    logs = desk.store.logs("arn:run")
    scheduled = [number for number, kind in enumerate(visible(desk), 1) if kind == "TaskScheduled"]
    assert logs == {attempt: f"doubling {value}\n" for value, attempt in enumerate(scheduled)}


def visible(desk: Desk) -> list[str]:
    """The records that have an event's number, in their order."""
    return [type(each).__name__ for each in desk.records() if type(each) not in HIDDEN]


def test_what_comes_with_an_answer_that_is_too_late_is_not_kept(tmp_path: Path) -> None:
    """Also where it comes together with others."""
    desk = Desk(tmp_path, hold=True)
    desk.start({"M": mapped(task())}, [1, 2], {"f": double})
    while desk.engine.busy:
        desk.engine.turn()
    first, second = (job.attempt for job, _ in desk.dask.held)
    for attempt, said in [(first, "a"), (first, "again"), (second, "b")]:
        outcome = Outcome("arn:run", attempt, said, log=said)
        desk.engine._turns.put("arn:run", Arrival(facts.TaskSucceeded(attempt, said), outcome))
    desk.settle()
    assert json.loads(desk.row().output or "") == ["a", "b"]
    assert desk.store.logs("arn:run") == {first: "a", second: "b"}
    desk.engine.close()
    desk.store.close()


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


def test_a_task_runs_where_it_wants_to(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = function.pin

    def pinned(task: Callable[..., object], name: str, *, keywords: bool) -> Code:
        return replace(pin(task, name, keywords=keywords), on="dask" if name == "run" else "local")

    monkeypatch.setattr(function, "pin", pinned)
    desk.start({"T": task("run")}, 1, {"run": double})
    desk.start({"M": mapped(task("other"))}, [1, 2], {"other": double}, name="other")
    desk.settle()
    assert (len(desk.dask.done), len(desk.threads.done)) == (1, 2)


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

    desk.start({"T": task()}, 1, {"f": double})
    desk.threads.hold = True
    desk.engine.turn()
    monkeypatch.setattr(desk.store, "append", failing)
    desk.threads.release()
    begun = desk.clock.now()
    desk.engine.turn()
    assert not desk.engine.busy
    assert desk.row().status == "RUNNING"
    desk.settle()
    assert tried[0] == tried[1] == tried[2]
    assert desk.row().output == "2"
    assert desk.clock.now() == begun + 2 * PAUSE


def test_a_start_that_the_store_refuses_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    append = desk.store.append

    def failing(batch: Sequence[Append]) -> list[bool]:
        raise StoreError("the disk is full")

    monkeypatch.setattr(desk.store, "append", failing)
    started = desk.start({"T": task()}, 1, {"f": double})
    desk.settle()
    with pytest.raises(StoreError, match="disk is full"):
        started.result()
    monkeypatch.setattr(desk.store, "append", append)
    desk.start({"T": task()}, 1, {"f": double})
    desk.settle()
    assert desk.row().output == "2"


def test_what_the_store_never_takes_does_not_stop_the_others(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = desk.store.append

    def refusing(batch: Sequence[Append]) -> list[bool]:
        if any(step.execution == "arn:poison" and step.step > 0 for step in batch):
            raise StoreError("this row is too big")
        return append(batch)

    monkeypatch.setattr(desk.store, "append", refusing)
    for name in ("poison", "good"):
        desk.start({"W": {"Type": "Wait", "Seconds": 5, "End": True}}, name=name)
    for _ in range(20):
        desk.engine.turn()
        desk.clock.advance_to(desk.engine.next_due() or 0.0)
    assert (desk.row("poison").status, desk.row("good").status) == ("RUNNING", "SUCCEEDED")


def test_orders_that_cannot_be_carried_out_now_are_carried_out_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts, asked = desk.store.artifacts, []

    def failing(hashes: Collection[str]) -> dict[str, ArtifactRow]:
        asked.append(hashes)
        if len(asked) == 1:
            raise StoreError("locked")
        return artifacts(hashes)

    monkeypatch.setattr(desk.store, "artifacts", failing)
    reference = {"nbflow": "pickle", "sha256": "0" * 64}
    for name in ("a", "b"):
        desk.start({"T": task("len")}, reference, {"len": len}, name=name)
    desk.settle()
    assert (desk.row("a").output, desk.row("b").output) == ("2", "2")
    assert len(asked) == 3


def test_a_pool_that_takes_no_more_jobs_fails_the_task(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def submit(job: Job, answer: Answer) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr(desk.threads, "submit", submit)
    desk.start({"T": task()}, 1, {"f": double})
    desk.settle()
    assert desk.row().status == "FAILED"
    assert "after shutdown" in (desk.row().cause or "")


LONE: dict[str, dict[str, Json]] = {
    "output": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% '\\ud800' %}", "End": True},
    "cause": {"Type": "Fail", "ErrorPath": "$.e", "CausePath": "$.e"},
}


@pytest.mark.parametrize("state", LONE.values(), ids=LONE)
def test_a_lone_surrogate_is_spelt_out(desk: Desk, state: dict[str, Json]) -> None:
    desk.start({"S": state}, {"e": "\ud800"})
    desk.settle()
    row = desk.row()
    assert row.status in ("SUCCEEDED", "FAILED")
    assert "\\ud800" in (row.output or row.cause or "")


def test_an_attempt_that_was_aborted_before_it_ran_leaves_nothing_behind(desk: Desk) -> None:
    fail = {"StartAt": "F", "States": {"F": {"Type": "Pass", "Next": "G"}, "G": {"Type": "Fail"}}}
    branches = [{"StartAt": "T", "States": {"T": task()}}, fail]
    desk.start({"P": {"Type": "Parallel", "Branches": branches, "End": True}}, 1, {"f": double})
    desk.settle()
    assert desk.row().status == "FAILED"
    assert desk.dask.done == []
    assert not desk.engine.busy
    assert desk.engine.ended("arn:run") is None
    assert any(type(record).__name__ == "TaskCancelled" for record in desk.records())


def test_a_clock_that_is_set_back_loses_no_timer(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.start({"W": {"Type": "Wait", "Seconds": 5, "End": True}})
    desk.engine.turn()
    due = desk.engine.next_due()
    assert due is not None
    times = iter([due, due, due, due - 3600])
    monkeypatch.setattr(desk.clock, "now", lambda: next(times, due - 3600))
    desk.engine.turn()
    assert desk.row().status == "SUCCEEDED"


def test_only_the_earliest_timer_of_an_execution_is_kept(desk: Desk) -> None:
    desk.start({"M": mapped(task(TimeoutSeconds=99))}, list(range(50)), {"f": double})
    desk.settle()
    assert desk.row().status == "SUCCEEDED"
    assert desk.clock.now() < 1_000_200


@pytest.mark.parametrize("limit", [2, 3, 4])
def test_a_timer_of_what_has_ended_hides_no_later_one(desk: Desk, limit: int) -> None:
    """A task has ended before its time is over, and the execution waits for longer."""
    wait: Json = {"Type": "Wait", "Seconds": 3, "End": True}
    limited = {"Type": "Task", "Resource": f"{TASK[:-1]}f", "TimeoutSeconds": limit, "Next": "W"}
    begun = desk.clock.now()
    desk.start({"T": limited, "W": wait}, 1, {"f": double})
    desk.settle()
    assert desk.row().status == "SUCCEEDED"
    assert desk.row().stopped_at == begun + 3


def test_who_waits_cannot_cancel_for_others(desk: Desk) -> None:
    started = desk.start({"P": {"Type": "Pass", "End": True}})
    ended = desk.engine.ended("arn:run")
    assert ended is not None
    assert not ended.cancel()
    assert not started.cancel()
    desk.settle()
    assert desk.row().status == "SUCCEEDED"


def test_a_closed_engine_says_so(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.engine.open()
    desk.start({"W": {"Type": "Wait", "Seconds": 500, "End": True}}).result(timeout=10)
    ended = desk.engine.ended("arn:run")
    assert ended is not None
    desk.engine.close()
    with pytest.raises(EngineError, match="left as last recorded"):
        ended.result()
    for action in (desk.engine.open, lambda: desk.start({"P": {"Type": "Pass", "End": True}}, name="b")):
        with pytest.raises(EngineError, match="closed"):
            action()
    desk.engine.close()
    desk.store.close()


def test_a_listener_may_not_start_executions_but_may_close(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    told: list[Exception] = []

    def listens(execution: str, records: Sequence[Record]) -> None:
        try:
            desk.start({"P": {"Type": "Pass", "End": True}}, name="b")
        except EngineError as error:
            told.append(error)
        desk.engine.close()

    desk.engine.bus.subscribe(listens)
    desk.engine.open()
    desk.start({"P": {"Type": "Pass", "End": True}}).result(timeout=10)
    desk.engine.close()
    assert "listener" in str(told[0])
    desk.store.close()


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


def test_a_mistake_of_our_own_fails_one_execution_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("good", "bad"):
        desk.start({"P": {"Type": "Wait", "Seconds": 1, "End": True}}, name=name)
    desk.engine.turn()
    bad, step = desk.engine._turns.live["arn:bad"].machine, Machine.step

    def broken(machine: Machine, fact: facts.Fact, now: float, more: Sequence[facts.Fact] = ()) -> Step:
        if machine is bad:
            raise RuntimeError("a bug")
        return step(machine, fact, now, more)

    monkeypatch.setattr(Machine, "step", broken)
    desk.settle()
    assert desk.row("good").status == "SUCCEEDED"
    assert (desk.row("bad").status, desk.row("bad").error) == ("FAILED", "States.Runtime")
    assert "a bug" in (desk.row("bad").cause or "")
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
