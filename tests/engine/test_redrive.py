"""An ended execution goes on: from its journal or from memory, once, with the code bound now."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from nbflow.engine.live import AlreadyExists, EngineError, NothingToRedrive
from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.machine import facts
from nbflow.machine.records import ExecutionRedriven, TaskCancelled, decode
from nbflow.store.port import StoreError
from nbflow.store.rows import Append
from nbflow.tasks import function
from nbflow.tasks.job import Outcome
from tests.engine.test_engine import Desk, double, mapped, task
from tests.machine.driver import TASK


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    close(desk)


def close(desk: Desk) -> None:
    desk.engine.close()
    desk.store.close()


def broken(value: Json) -> Json:
    raise ValueError("broken")


def redrive(desk: Desk, task: Callable[..., object] = double) -> Future[None]:
    """Go on with the execution ``run``, whose task is this from now on."""
    row = replace(desk.row(), bindings='{"f":"new"}', redrive_tokens="[]")
    steps = [decode(each.records) for each in desk.store.journal(row.arn)]
    codes = {TASK: function.pin(task, "f", keywords=False)}
    return desk.engine.redrive(row, parse(desk.store.definition(row.definition)), steps, codes, "")


def failed(desk: Desk, states: dict[str, Json] | None = None, input: Json = 21) -> None:
    desk.start(states or {"T": task()}, input, {"f": broken})
    desk.settle()
    assert desk.row().status == "FAILED"


def test_it_goes_on_with_the_code_of_now(desk: Desk) -> None:
    failed(desk)
    desk.clock.advance_to(desk.clock.now() + 60)
    redriven = redrive(desk)
    assert not redriven.done()
    desk.engine.turn()
    redriven.result(timeout=0)
    row = desk.row()
    assert (row.status, row.error, row.cause, row.stopped_at) == ("RUNNING", None, None, None)
    assert (row.redrive_count, row.redrive_date) == (1, desk.clock.now())
    assert (row.bindings, row.redrive_tokens) == ('{"f":"new"}', "[]")
    ended = desk.engine.ended("arn:run")
    assert ended is not None
    assert not ended.done()
    desk.settle()
    assert ended.done()
    assert (desk.row().status, desk.row().output) == ("SUCCEEDED", "42")
    assert desk.engine.ended("arn:run") is None


def test_another_process_goes_on_with_it(tmp_path: Path) -> None:
    """Only what failed is done, and only there; and what the first one owed is said to be over."""
    one, two = Desk(tmp_path, hold=True), Desk(tmp_path)
    one.start({"M": mapped(task())}, [1, 2, 3], {"f": broken})
    one.engine.turn()
    attempts = [job.attempt for job, _ in one.dask.held]
    one.dask.release(Outcome("arn:run", attempts[0], output=2))
    one.dask.release(Outcome("arn:run", attempts[1], error="Boom"))
    one.dask.held.clear()  # the third is being done, and nobody will ever hear of it
    one.engine.turn()
    assert one.row().status == "FAILED"
    redrive(two)
    two.settle()
    assert (two.row().status, two.row().output) == ("SUCCEEDED", "[2,4,6]")
    assert [job.arguments for job in two.dask.done] == [2, 3]
    assert [record.attempt for record in two.records() if isinstance(record, TaskCancelled)] == attempts[2:]
    assert two.engine.ended("arn:run") is None
    close(one)
    close(two)


def test_of_two_processes_one_goes_on(tmp_path: Path) -> None:
    one, two = Desk(tmp_path), Desk(tmp_path)
    failed(one)
    first, second = redrive(one), redrive(two)
    one.settle()
    two.settle()
    first.result(timeout=0)
    with pytest.raises(AlreadyExists):
        second.result(timeout=0)
    assert two.engine.ended("arn:run") is None
    assert two.threads.done == []
    assert sum(isinstance(record, ExecutionRedriven) for record in one.records()) == 1
    close(one)
    close(two)


def test_of_two_threads_one_goes_on(desk: Desk) -> None:
    failed(desk)
    first, second = redrive(desk), redrive(desk)
    desk.settle()
    first.result(timeout=0)
    with pytest.raises(AlreadyExists, match="gone on meanwhile"):
        second.result(timeout=0)
    assert desk.row().redrive_count == 1


@pytest.mark.parametrize("tasks", [{"f": double}, {}], ids=["succeeded", "running"])
def test_what_is_not_over_or_has_succeeded_is_left_alone(desk: Desk, tasks: dict[str, Json]) -> None:
    desk.threads.hold = not tasks
    desk.start({"T": task()}, 1, {"f": double})
    desk.engine.turn()
    desk.engine.turn()
    before = desk.row()
    redriven = redrive(desk)
    desk.engine.turn()
    with pytest.raises(AlreadyExists):
        redriven.result(timeout=0)
    assert desk.row() == before
    assert (desk.engine.ended("arn:run") is None) == bool(tasks)


def test_it_goes_on_while_the_end_still_owes_a_cancel(tmp_path: Path) -> None:
    desk = Desk(tmp_path, hold=True)
    desk.start({"T": task()}, 1, {"f": broken})
    desk.engine.turn()
    [(job, late)] = desk.threads.held
    desk.threads.held.clear()  # it is being done: it can no longer be taken back
    desk.engine.post("arn:run", facts.Stop())
    desk.engine.turn()
    ended = desk.engine.ended("arn:run")
    assert ended is not None
    assert ended.done()
    desk.threads.hold = False
    redriven = redrive(desk)
    desk.engine.turn()
    redriven.result(timeout=0)
    late(Outcome(job.execution, job.attempt, output=99))
    desk.settle()
    assert (desk.row().status, desk.row().output) == ("SUCCEEDED", "2")
    assert desk.engine.ended("arn:run") is None
    close(desk)


def test_it_may_end_again_at_once(desk: Desk) -> None:
    failed(desk, {"F": {"Type": "Fail", "Error": "No"}})
    for number in (1, 2):
        desk.clock.advance_to(desk.clock.now() + 60)
        redriven = redrive(desk)
        desk.settle()
        redriven.result(timeout=0)
        row = desk.row()
        assert (row.status, row.error, row.redrive_count) == ("FAILED", "No", number)
        assert row.redrive_date == row.stopped_at == desk.clock.now()


def test_whoever_asks_while_it_ends_again_is_answered(desk: Desk) -> None:
    """It fails in the very step that redrives it: the second asks one that is gone, the third finds it anew."""
    failed(desk, {"F": {"Type": "Fail", "Error": "no"}})
    first, second = redrive(desk), redrive(desk)
    desk.engine.turn()
    third = redrive(desk)
    desk.settle()
    first.result(timeout=0)
    assert isinstance(second.exception(timeout=0), AlreadyExists)
    third.result(timeout=0)
    assert desk.row().redrive_count == 2


def test_a_wait_is_waited_for(desk: Desk) -> None:
    desk.start({"W": {"Type": "Wait", "Seconds": 500, "End": True}})
    begun = desk.clock.now()
    desk.engine.turn()
    desk.engine.post("arn:run", facts.Stop())
    desk.engine.turn()
    redrive(desk)
    desk.settle()
    assert (desk.row().status, desk.row().stopped_at) == ("SUCCEEDED", begun + 500)


def test_a_redrive_that_the_store_refuses_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    failed(desk)
    append = desk.store.append

    def failing(batch: Sequence[Append]) -> list[bool]:
        raise StoreError("the disk is full")

    monkeypatch.setattr(desk.store, "append", failing)
    redriven = redrive(desk)
    desk.settle()
    with pytest.raises(StoreError, match="disk is full"):
        redriven.result(timeout=0)
    assert desk.row().status == "FAILED"
    monkeypatch.setattr(desk.store, "append", append)
    redrive(desk)
    desk.settle()
    assert desk.row().output == "42"


def test_an_execution_that_could_not_begin_has_nothing_to_go_on_with(desk: Desk) -> None:
    desk.start({"P": {"Type": "Pass", "End": True}})
    desk.engine._turns._inbox.clear()
    deep: Json = 0
    for _ in range(100_000):
        deep = [deep]
    desk.engine.post("arn:run", facts.Start(deep, {}))
    desk.settle()
    assert desk.row().error == "States.DataLimitExceeded"
    with pytest.raises(NothingToRedrive, match="start it anew"):
        redrive(desk)


def test_a_closed_engine_says_so_to_who_asks(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    failed(desk)
    waiting = redrive(desk)
    desk.engine.close()
    with pytest.raises(EngineError, match="closed"):
        waiting.result(timeout=0)
    with pytest.raises(EngineError, match="closed"):
        redrive(desk)
    desk.store.close()


def test_a_mistake_of_ours_is_told_to_who_asks(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    failed(desk)
    waiting, second = redrive(desk), redrive(desk)

    def mistaken(*args: object) -> None:
        raise RuntimeError("our mistake")

    monkeypatch.setattr("nbflow.machine.step._go_on", mistaken)
    desk.settle()
    for future in (waiting, second):
        with pytest.raises(EngineError, match="our mistake"):
            future.result(timeout=0)
    assert desk.row().status == "FAILED"
    monkeypatch.undo()
    redrive(desk)
    desk.settle()
    assert desk.row().output == "42"
