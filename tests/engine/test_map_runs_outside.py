"""Map Runs and the world: stops, the store's refusals, changed limits, and other processes."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nbflow.engine.live import AlreadyExists
from nbflow.engine.map_run import MapRun
from nbflow.engine.map_runs import MapRuns
from nbflow.engine.turns import PAUSE
from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.machine import facts
from nbflow.machine.records import decode
from nbflow.store.port import StoreError
from nbflow.store.rows import Append
from nbflow.store.sql import open_store
from nbflow.tasks.job import Job
from tests.engine.floor import BY_ITEM, GET, WAIT, Floor, odd
from tests.engine.test_engine import double, task

# --- the end from outside


@pytest.mark.parametrize("type", ["STANDARD", "EXPRESS"])
def test_a_stop_stops_the_children(holding: Floor, type: str) -> None:
    holding.map(task(), [1, 2, 3], {"f": double}, type=type, MaxConcurrency=2)
    holding.turns()
    holding.engine.post(holding.arn, facts.Stop("Enough"))
    holding.settle()
    assert (holding.row().status, holding.map_run.status) == ("ABORTED", "ABORTED")
    assert holding.counts == {
        "executions": {"ABORTED": 2, "PENDING": 1},
        "items": {"ABORTED": 2, "PENDING": 1},
    }
    assert holding.dask.held == []
    assert [child.status for child in holding.children] == (["ABORTED"] * 2 if type == "STANDARD" else [])
    assert holding.engine._turns.live == {}


def test_a_stop_while_items_are_read(floor: Floor) -> None:
    floor.reading = []
    (floor.folder / "items.json").write_text("[1]")
    reader = {"Resource": GET, "ReaderConfig": {"InputType": "JSON"}, "Parameters": {"Uri": "items.json"}}
    floor.map(ItemReader=reader)
    floor.turns()
    floor.engine.post(floor.arn, facts.Stop())
    floor.turns()
    floor.reading.pop()()
    floor.turns()
    assert (floor.map_run.status, floor.children) == ("ABORTED", [])


def test_the_machines_timeout_stops_the_children(floor: Floor) -> None:
    floor.begin({**_waiting(), "TimeoutSeconds": 10}, [1])
    floor.settle()
    assert (floor.row().status, floor.map_run.status) == ("TIMED_OUT", "ABORTED")
    assert [child.status for child in floor.children] == ["ABORTED"]
    assert floor.children[0].stopped_at == floor.row().started_at + 10


def _waiting() -> dict[str, Json]:
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "T",
        "States": {"T": WAIT},
    }
    return {"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": processor, "End": True}}}


def test_an_engine_that_is_closed_leaves_what_is_recorded(floor: Floor) -> None:
    floor.map(WAIT, [1, 2])
    floor.turns()
    assert floor.engine.running == [floor.arn]
    floor.engine.close()
    assert (floor.row().status, floor.map_run.status) == ("RUNNING", "RUNNING")
    assert [child.status for child in floor.children] == ["RUNNING"] * 2


# --- the store


class Refusals:
    """A store that refuses what it is told to."""

    def __init__(self, floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: dict[str, int] = {}
        for name in ("definition", "put_map_run", "map_run"):
            self._guard(floor.store, name, monkeypatch)
        self._append = floor.store.append
        monkeypatch.setattr(floor.store, "append", self.append)

    def _guard(self, store: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        really = getattr(store, name)

        def guarded(*args: object) -> object:
            self._check(name)
            return really(*args)

        monkeypatch.setattr(store, name, guarded)

    def append(self, batch: Sequence[Append]) -> list[bool]:
        if any(each.opened is not None and each.opened.map_run_arn for each in batch):
            self._check("child")
        return self._append(batch)

    def _check(self, name: str) -> None:
        if self.left.get(name, 0):
            self.left[name] -= 1
            raise StoreError(f"The store refuses {name}.")


@pytest.mark.parametrize("refused", ["definition", "map_run", "child"])
def test_what_the_store_refuses_is_tried_again(
    floor: Floor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, refused: str
) -> None:
    refusals = Refusals(floor, monkeypatch)
    refusals.left[refused] = 2
    with caplog.at_level(logging.ERROR):
        floor.map(input=[1, 2])
        floor.settle()
    assert floor.output == [1, 2]
    assert not refusals.left[refused]
    assert floor.clock.now() >= floor.row().started_at + PAUSE
    assert len(floor.store.map_runs(floor.arn)) == 1


def test_a_stop_that_the_store_refuses_to_record_is_tried_again(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = Refusals(floor, monkeypatch)
    floor.map(WAIT, [1])
    floor.turns()
    refusals.left["put_map_run"] = 1
    floor.engine.post(floor.arn, facts.Stop())
    floor.settle()
    assert floor.map_run.status == "ABORTED"
    assert [child.status for child in floor.children] == ["ABORTED"]


def test_limits_that_change_meanwhile_hold_at_once(holding: Floor) -> None:
    holding.map(task("odd"), [1, 3, 5, 2], {"odd": odd}, MaxConcurrency=1)
    holding.turns()
    assert len(holding.dask.held) == 1
    other = open_store(f"sqlite:///{holding.folder / 'nbflow.sqlite'}")
    assert other.limit_map_run(holding.map_run.arn, max_concurrency=2, tolerated_count=3)
    other.tell(holding.arn, facts.encode(facts.Continue()))
    holding.engine.heed()  # as the watch does when it sees the change
    holding.turns()
    assert len(holding.dask.held) == 2
    while holding.dask.held:
        holding.dask.release()
        holding.turns()
    assert holding.output == [2]
    assert not other.limit_map_run(holding.map_run.arn, max_concurrency=9)
    assert (holding.map_run.max_concurrency, holding.map_run.tolerated_count) == (2, 3)
    other.close()


def test_limits_that_change_hold_though_the_store_refuses_at_first(
    holding: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    holding.map(task(), [1, 2, 3], {"f": double}, MaxConcurrency=1)
    holding.turns()
    really, refusals = MapRuns._start_some, iter(range(1))

    def refusing(runs: MapRuns, run: MapRun) -> None:
        if next(refusals, None) is not None:
            raise StoreError("The store is locked.")
        really(runs, run)

    monkeypatch.setattr(MapRuns, "_start_some", refusing)
    holding.store.limit_map_run(holding.map_run.arn, max_concurrency=2)
    holding.engine.heed()
    holding.turns()
    holding.clock.advance_to(holding.clock.now() + PAUSE)
    holding.engine.turn()
    holding.turns()
    assert len(holding.dask.held) == 2


def test_a_smaller_tolerance_ends_the_run_at_once(floor: Floor) -> None:
    floor.map(BY_ITEM, [100, 1], ToleratedFailureCount=1)
    floor.turns()
    floor.engine.post(floor.children[1].arn, facts.Stop())
    floor.turns()
    floor.store.limit_map_run(floor.map_run.arn, tolerated_count=0)
    floor.engine.heed()
    floor.turns()
    assert floor.failure[0] == "States.ExceedToleratedFailureThreshold"


def test_limits_that_change_before_the_run_could_begin(
    holding: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = Refusals(holding, monkeypatch)
    refusals.left["definition"] = 1
    holding.map(task(), [1, 2, 3], {"f": double}, MaxConcurrency=1)
    holding.turns()
    assert holding.store.limit_map_run(holding.map_run.arn, max_concurrency=3)
    holding.clock.advance_to(holding.clock.now() + PAUSE)
    holding.engine.turn()
    holding.turns()
    assert len(holding.dask.held) == 3


def test_a_child_that_another_process_ends_counts_as_it_ended(floor: Floor, tmp_path: Path) -> None:
    floor.map(BY_ITEM, [5, 6], ToleratedFailureCount=1)
    floor.turns()
    elsewhere = Floor(tmp_path)
    child = floor.children[0]
    steps = [decode(row.records) for row in floor.store.journal(child.arn)]
    definition = parse(json.loads(floor.store.definition(child.definition)))
    ended = elsewhere.engine.adopt(child, definition, steps, {})
    elsewhere.engine.post(child.arn, facts.Stop())
    elsewhere.turns()
    assert ended.done()
    floor.settle()
    assert floor.output == [6]
    assert floor.counts["executions"] == {"ABORTED": 1, "SUCCEEDED": 1}
    elsewhere.engine.close()
    elsewhere.store.close()


@pytest.mark.parametrize("type", ["STANDARD", "EXPRESS"])
def test_a_run_that_another_process_ends_is_let_go(floor: Floor, type: str) -> None:
    floor.map(WAIT, [1, 2], type=type)
    floor.turns()
    ended = floor.engine.ended(floor.arn)
    assert ended is not None
    floor.store.put_map_run(replace(floor.map_run, status="ABORTED", stopped_at=1.0, counts="{}"))
    # The other process has written the next step of the execution, too.
    steps = list(floor.store.journal(floor.arn))
    floor.store.append([Append(floor.arn, len(steps), 99, 1.0, b"[]")])
    floor.engine.heed()
    floor.turns()
    assert isinstance(ended.exception(), AlreadyExists)
    assert floor.map_run.stopped_at == 1.0
    assert floor.engine._turns.live == {}
    assert not floor.engine._turns.map_runs.at_work


def test_a_child_that_cannot_go_on_has_failed(
    floor: Floor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    floor.map(WAIT, [1, 2], type="EXPRESS", ToleratedFailureCount=1)
    floor.turns()
    [first, _] = [live for live in floor.engine._turns.live.values() if not live.kept]

    def broken(fact: facts.Fact, now: float) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(first, "machine", _Broken(first.machine, broken))
    with caplog.at_level(logging.CRITICAL):
        floor.settle()
    assert floor.output == [2]
    assert floor.counts["executions"] == {"FAILED": 1, "SUCCEEDED": 1}


class _Broken:
    """A machine that cannot take a step."""

    def __init__(self, machine: Any, step: Callable[..., None]) -> None:
        self.run, self.chance, self.has_activity = machine.run, machine.chance, machine.has_activity
        self.step = step


def test_the_jobs_of_children_carry_their_own_names(holding: Floor) -> None:
    holding.map(task(), [1], {"f": double})
    holding.turns()
    job: Job = holding.dask.held[0][0]
    assert (job.execution, job.directory) == (holding.children[0].arn, str(holding.folder))


def test_children_of_a_stopped_execution_end_though_the_engine_is_closed_at_once(floor: Floor) -> None:
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    inner = {"ProcessorConfig": config, "StartAt": "W", "States": {"W": WAIT}}
    floor.map({"Type": "Map", "Label": "inner", "ItemProcessor": inner, "End": True}, [[1, 2]])
    floor.turns()
    floor.engine.post(floor.arn, facts.Stop())
    floor.engine.turn()
    assert floor.row().status == "ABORTED"
    floor.engine.close()
    statuses = [row.status for row in floor.store.executions()]
    assert statuses == ["ABORTED"] * 4


def test_a_store_that_refuses_does_not_keep_an_engine_from_closing(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor.map(WAIT, [1, 2])
    floor.turns()
    floor.engine.post(floor.arn, facts.Stop())
    floor.engine.turn()

    def refuse(batch: object) -> list[bool]:
        raise StoreError("the disk is full.")

    monkeypatch.setattr(floor.store, "append", refuse)
    floor.engine.close()
    assert [row.status for row in floor.children] == ["RUNNING"] * 2
