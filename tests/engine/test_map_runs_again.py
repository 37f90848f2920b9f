"""Map Runs that go on: in another process after a crash, and when they are redriven (AWS guide, "Redriving Map Runs").

A crash is an engine that takes no further turn. Its heir does what any heir does: it rebuilds the execution from its
journal, and carries out what is outstanding.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nbflow.artifacts.values import references
from nbflow.engine.chunks import CHUNK
from nbflow.engine.live import EngineError, Live
from nbflow.engine.map_run import MapRun
from nbflow.engine.map_runs import MapRuns
from nbflow.engine.turns import PAUSE
from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.machine import Machine, distributed, facts
from nbflow.machine.records import ExecutionRedriven, MapRunRedriven, TaskSucceeded, decode
from nbflow.machine.run import Run
from nbflow.store.port import StoreError
from nbflow.store.rows import PartKind
from nbflow.store.sql import SqlStore
from nbflow.tasks import function
from nbflow.tasks.job import Outcome
from tests.engine.floor import BY_ITEM, GET, PUT, WAIT, Floor, odd
from tests.engine.test_engine import double, task
from tests.machine.driver import TASK

Tasks = dict[str, Callable[..., object]]
Heir = Callable[..., Floor]


def even(value: int) -> int:
    """The task ``odd``, mended."""
    return value


@pytest.fixture
def heir(tmp_path: Path) -> Iterator[Heir]:
    """Makes the floor of another process, which goes on with what the first one has left."""
    made: list[Floor] = []

    def make(tasks: Tasks | None = None, *, hold: bool = False, now: float = 0.0) -> Floor:
        floor = Floor(tmp_path, hold=hold)
        made.append(floor)
        floor.clock.advance_to(max(floor.clock.now(), now))
        row = floor.row()
        steps = [decode(step.records) for step in floor.store.journal(row.arn)]
        definition = parse(floor.store.definition(row.definition))
        machine = Machine.rebuilt(definition, random.Random(1), steps)
        floor.engine._turns.take_in(Live(row, machine, codes(tasks), str(floor.folder), step=len(steps)))
        return floor

    yield make
    for floor in made:
        floor.engine.close()
        floor.store.close()


def codes(tasks: Tasks | None) -> dict[str, Any]:
    return {
        f"{TASK[:-1]}{name}": function.pin(task, name, keywords=False) for name, task in (tasks or {}).items()
    }


def redrive(floor: Floor, tasks: Tasks | None = None) -> None:
    """Go on with the execution, with this code."""
    row = replace(floor.row(), bindings="{}", redrive_tokens="[]")
    steps = [decode(each.records) for each in floor.store.journal(row.arn)]
    definition = parse(floor.store.definition(row.definition))
    floor.engine.redrive(row, definition, steps, codes(tasks), str(floor.folder))


def reader(folder: Path, items: Sequence[Json]) -> dict[str, Json]:
    (folder / "items.jsonl").write_text("".join(f"{json.dumps(item)}\n" for item in items))
    return {"Resource": GET, "ReaderConfig": {"InputType": "JSONL"}, "Parameters": {"Uri": "items.jsonl"}}


def calls(*floors: Floor) -> list[Json]:
    """What tasks have been called with, in all of these processes."""
    return [job.arguments for floor in floors for job in floor.dask.done]


# --- after a crash


def test_children_go_on_in_another_process(holding: Floor, heir: Heir) -> None:
    """Of five, two have ended, two are at work, and one has not begun."""
    holding.map(task(), [1, 2, 3, 4, 5], {"f": double}, MaxConcurrency=2)
    holding.turns()
    for _ in range(2):
        holding.dask.release()
        holding.turns()
    assert holding.counts["executions"] == {"SUCCEEDED": 2, "RUNNING": 2, "PENDING": 1}
    floor = heir({"f": double}, hold=True)
    floor.engine.turn()
    assert floor.counts["executions"] == {"SUCCEEDED": 2, "RUNNING": 2, "PENDING": 1}
    floor.turns()
    assert [job.arguments for job, _ in floor.dask.held] == [3, 4]
    while floor.dask.held:
        floor.dask.release()
        floor.turns()
    assert floor.output == [2, 4, 6, 8, 10]
    assert floor.counts == {"executions": {"SUCCEEDED": 5}, "items": {"SUCCEEDED": 5}}
    assert [child.item for child in floor.children] == [0, 1, 2, 3, 4]
    for child in floor.children:
        records = [record for row in floor.store.journal(child.arn) for record in decode(row.records)]
        assert sum(isinstance(record, TaskSucceeded) for record in records) == 1
    assert calls(holding, floor) == [1, 2, 3, 4, 5]


def test_a_wait_in_a_child_ends_when_it_would_have_ended(floor: Floor, heir: Heir) -> None:
    floor.map(BY_ITEM, [30, 5, 60])
    begun = floor.clock.now()
    floor.turns()
    floor.clock.advance_to(begun + 5)
    floor.engine.turn()
    after = heir(now=begun + 40)
    after.settle()
    assert after.output == [30, 5, 60]
    assert [child.stopped_at for child in after.children] == [begun + 40, begun + 5, begun + 60]


@pytest.mark.parametrize("type", ["STANDARD", "EXPRESS"])
def test_what_has_failed_counts_on(holding: Floor, heir: Heir, type: str) -> None:
    holding.map(task("odd"), [1, 2, 3], {"odd": odd}, type=type, MaxConcurrency=1, ToleratedFailureCount=1)
    holding.turns()
    holding.dask.release()
    holding.turns()
    assert holding.counts["items"] == {"FAILED": 1, "RUNNING": 1, "PENDING": 1}
    floor = heir({"odd": odd})
    floor.settle()
    assert floor.failure[0] == "States.ExceedToleratedFailureThreshold"
    assert floor.counts["items"] == {"FAILED": 2, "SUCCEEDED": 1}
    assert calls(holding, floor) == [1, 2, 3]


def test_the_ends_of_express_children_are_kept(holding: Floor, heir: Heir) -> None:
    """What has been accepted is not done again; what was at work, is."""

    def frame(n: int) -> pd.DataFrame:
        return pd.DataFrame({"n": [n]})

    holding.map(task("frame"), [1, 2, 3], {"frame": frame}, type="EXPRESS", MaxConcurrency=2)
    holding.turns()
    holding.dask.release()
    holding.turns()
    floor = heir({"frame": frame})
    floor.settle()
    assert len(floor.output) == 3
    assert calls(holding, floor) == [1, 2, 3]
    hashes = references(floor.output)
    assert set(floor.store.artifacts(hashes)) == set(hashes)
    assert list(floor.store.map_parts(floor.map_run.arn, "batch")) == []


def test_items_that_were_read_are_not_read_again(holding: Floor, heir: Heir) -> None:
    """The file has been written anew meanwhile: of what had been read, every child keeps its item."""
    items = list(range(CHUNK + 3))
    holding.map(task(), tasks={"f": double}, ItemReader=reader(holding.folder, items), MaxConcurrency=1)
    holding.turns()
    assert holding.counts["items"] == {"RUNNING": 1, "PENDING": CHUNK + 2}
    reader(holding.folder, [])
    floor = heir({"f": double})
    floor.settle()
    assert floor.output == [2 * item for item in items]


def test_reading_goes_on_where_it_was(holding: Floor, heir: Heir) -> None:
    holding.reading = []
    items = list(range(2 * CHUNK + 3))
    holding.map(
        task(),
        tasks={"f": double},
        ItemReader=reader(holding.folder, items),
        ItemBatcher={"MaxItemsPerBatch": 2},
        MaxConcurrency=1,
    )
    holding.turns()
    holding.reading.pop()()
    holding.turns()
    assert holding.map_run.status == "RUNNING"
    [chunk] = holding.store.map_parts(holding.map_run.arn, "chunk")
    assert [batch["Items"] for batch in json.loads(chunk)["inputs"]][-1] == items[2 * CHUNK - 2 : 2 * CHUNK]

    def added(value: dict[str, list[int]]) -> int:
        return sum(value["Items"])

    floor = heir({"f": added})
    floor.settle()
    assert sum(floor.output) == sum(items)
    assert floor.counts["items"] == {"SUCCEEDED": len(items)}


def test_a_chunk_is_durable_before_its_children_begin(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    put = floor.store.put_map_part
    refusals = iter([True, True])

    def refusing(*args: Any) -> bool:
        if next(refusals, False):
            assert floor.children == []
            raise StoreError("The disk is full.")
        return put(*args)

    monkeypatch.setattr(floor.store, "put_map_part", refusing)
    begun = floor.clock.now()
    floor.map(ItemReader=reader(floor.folder, [1, 2]))
    floor.settle()
    assert floor.output == [1, 2]
    assert floor.clock.now() == begun + 2 * PAUSE


def test_what_a_selector_draws_is_drawn_once(holding: Floor, heir: Heir) -> None:
    selector = {"v.$": "States.UUID()"}
    holding.map(task(), [1, 2, 3], {"f": double}, MaxConcurrency=1, ItemSelector=selector)
    holding.turns()
    [chunk] = holding.store.map_parts(holding.map_run.arn, "chunk")

    def same(value: Json) -> Json:
        return value

    floor = heir({"f": same})
    floor.settle()
    assert floor.output == json.loads(chunk)["inputs"]


def test_items_of_the_input_are_not_kept_twice(floor: Floor) -> None:
    floor.map(WAIT, [1, 2])
    floor.turns()
    assert list(floor.store.map_parts(floor.map_run.arn, "chunk")) == []


def test_the_parts_of_a_run_go_when_it_has_succeeded(floor: Floor) -> None:
    floor.map(ItemReader=reader(floor.folder, [1, 2]), type="EXPRESS")
    floor.settle()
    assert floor.output == [1, 2]
    for kind in ("chunk", "batch"):
        assert list(floor.store.map_parts(floor.map_run.arn, kind)) == []


def test_a_run_that_had_been_given_up_is_ended(holding: Floor, heir: Heir) -> None:
    """The process was gone after the execution's end, and before that of its children."""
    holding.map(task(), [1, 2], {"f": double})
    holding.turns()
    holding.engine.post(holding.arn, facts.Stop())
    holding.engine._turns._deliver()
    [made] = [holding.engine._turns._decide(live) for live in list(holding.engine._turns._with_mail.values())]
    assert made is not None
    holding.store.append([made.append])
    assert (holding.row().status, [child.status for child in holding.children]) == (
        "ABORTED",
        ["RUNNING", "RUNNING"],
    )
    floor = heir()
    floor.settle()
    assert [child.status for child in floor.children] == ["ABORTED", "ABORTED"]
    assert floor.map_run.status == "ABORTED"
    assert floor.counts == {"executions": {"ABORTED": 2}, "items": {"ABORTED": 2}}
    assert floor.engine._turns.live == {}
    assert floor.dask.done == []


def test_a_stop_before_all_children_are_at_work_again(holding: Floor, heir: Heir) -> None:
    holding.map(task(), [1, 2, 3], {"f": double})
    holding.turns()
    holding.store.limit_map_run(holding.map_run.arn, max_concurrency=1)
    floor = heir({"f": double}, hold=True)
    floor.turns()
    assert len(floor.dask.held) == 1
    floor.engine.post(floor.arn, facts.Stop())
    floor.settle()
    assert [child.status for child in floor.children] == ["ABORTED"] * 3
    assert floor.counts["executions"] == {"ABORTED": 3}
    assert floor.engine._turns.live == {}


def test_an_engine_that_has_lost_the_execution_leaves_the_children_alone(holding: Floor, heir: Heir) -> None:
    holding.map(task(), [1, 2, 3], {"f": double}, MaxConcurrency=2)
    holding.turns()
    floor = heir({"f": double})
    floor.settle()
    assert floor.output == [2, 4, 6]
    while holding.dask.held:  # it comes to life again, and answers
        holding.dask.release()
        holding.turns()
    assert [child.status for child in floor.children] == ["SUCCEEDED"] * 3
    assert floor.map_run.status == "SUCCEEDED"
    assert len(list(holding.store.journal(holding.arn))) == len(list(floor.store.journal(floor.arn)))


# --- redrive


def redriven_children(floor: Floor) -> list[tuple[str, int]]:
    return [(child.status, child.redrive_count) for child in floor.children]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_children_that_did_not_succeed_are_redriven(
    floor: Floor, tmp_path: Path, elsewhere: bool
) -> None:
    """ "All child workflow executions that failed, timed out, or canceled … are redriven using the RedriveExecution API
    action", and those that had not begun are begun; those that succeeded are kept."""
    floor.map(task("odd"), [2, 1, 4, 6], {"odd": odd}, MaxConcurrency=2)
    begun = floor.clock.now()
    floor.settle()
    assert floor.failure[0] == "States.ExceedToleratedFailureThreshold"
    before = floor.counts["executions"]
    assert before["PENDING"]
    other = Floor(tmp_path) if elsewhere else floor
    other.clock.advance_to(begun + 60)
    redrive(other, {"odd": even})
    other.settle()
    assert other.output == [2, 1, 4, 6]
    [run] = other.store.map_runs(other.arn)
    assert (run.status, run.redrive_count, run.redrive_date, run.started_at) == (
        "SUCCEEDED",
        1,
        begun + 60,
        begun,
    )
    assert other.counts == {"executions": {"SUCCEEDED": 4}, "items": {"SUCCEEDED": 4}}
    assert ("SUCCEEDED", 1) in redriven_children(other)
    assert redriven_children(other)[0] == ("SUCCEEDED", 0)
    [record] = [each for each in other.records() if isinstance(each, MapRunRedriven)]
    assert record.arn == run.arn
    [first, second] = other.children[:2]
    told = [
        [type(each) for row in other.store.journal(child.arn) for each in decode(row.records)]
        for child in (first, second)
    ]
    assert [ExecutionRedriven in each for each in told] == [False, True]
    if elsewhere:
        other.engine.close()
        other.store.close()


def test_express_children_run_again_from_the_start(holding: Floor) -> None:
    """ "Express child workflow executions are always started as new executions"; they keep their names."""
    inner = {**task("odd"), "Parameters": {"v.$": "$", "name.$": "$$.Execution.Name"}}

    def failing(value: dict[str, Any]) -> int:
        return odd(value["v"])

    def mended(value: dict[str, Any]) -> str:
        return str(value["name"])

    holding.map(inner, [2, 1, 4, 6], {"odd": failing}, type="EXPRESS", MaxConcurrency=1)
    holding.turns()
    assert holding.counts["executions"] == {"RUNNING": 1, "PENDING": 3}
    for _ in range(2):
        holding.dask.release()
    holding.settle()
    assert holding.counts["executions"] == {"SUCCEEDED": 1, "FAILED": 1, "ABORTED": 1, "PENDING": 1}
    holding.dask.hold = False
    redrive(holding, {"odd": mended})
    holding.settle()
    names = [distributed.child(holding.map_run.arn, number, express=True).name for number in range(4)]
    assert holding.output == [2, *names[1:]]
    assert holding.counts["executions"] == {"SUCCEEDED": 4}


def test_failures_count_anew_and_a_run_is_redriven_again(floor: Floor) -> None:
    floor.map(task("odd"), [1, 3, 5], {"odd": odd}, MaxConcurrency=1, ToleratedFailureCount=1)
    floor.settle()
    assert floor.counts["items"] == {"FAILED": 2, "PENDING": 1}
    redrive(floor, {"odd": odd})
    floor.settle()
    assert floor.failure[0] == "States.ExceedToleratedFailureThreshold"
    assert floor.counts["items"] == {"FAILED": 2, "PENDING": 1}
    assert redriven_children(floor) == [("FAILED", 1), ("FAILED", 1)]
    redrive(floor, {"odd": even})
    floor.settle()
    assert floor.output == [1, 3, 5]
    assert redriven_children(floor) == [("SUCCEEDED", 2), ("SUCCEEDED", 2), ("SUCCEEDED", 0)]
    assert floor.map_run.redrive_count == 2


def test_those_for_which_there_is_no_room_are_pending_redrive(floor: Floor) -> None:
    floor.map(task("odd"), [1, 2, 3, 5], {"odd": odd}, MaxConcurrency=1, ToleratedFailureCount=2)
    floor.settle()
    assert floor.counts["executions"] == {"SUCCEEDED": 1, "FAILED": 3}
    floor.dask.hold = True
    redrive(floor, {"odd": even})
    floor.turns()
    assert floor.counts["executions"] == {"SUCCEEDED": 1, "RUNNING": 1, "PENDING_REDRIVE": 2}
    floor.engine.post(floor.arn, facts.Stop())
    floor.turns()
    # "When a Map Run has completed its execution or is aborted, the count … is reset to 0."
    assert floor.counts["executions"] == {"SUCCEEDED": 1, "ABORTED": 1, "FAILED": 2}
    floor.dask.hold = False
    redrive(floor, {"odd": even})
    floor.settle()
    assert floor.output == [1, 2, 3, 5]


@pytest.mark.parametrize("type", ["STANDARD", "EXPRESS"])
def test_a_stopped_run_is_redriven(holding: Floor, type: str) -> None:
    holding.map(task(), [1, 2, 3], {"f": double}, type=type, MaxConcurrency=2)
    holding.turns()
    holding.dask.release()
    holding.turns()
    holding.engine.post(holding.arn, facts.Stop())
    holding.settle()
    assert holding.counts["executions"] == {"SUCCEEDED": 1, "ABORTED": 2}
    holding.dask.hold = False
    redrive(holding, {"f": double})
    holding.settle()
    assert holding.output == [2, 4, 6]
    assert calls(holding) == [1, 2, 3]


@pytest.mark.parametrize("type", ["STANDARD", "EXPRESS"])
def test_a_crash_during_a_redrive(holding: Floor, heir: Heir, type: str) -> None:
    """Each child is redriven once: one that has failed again, has failed."""
    holding.map(task("odd"), [1, 3, 5, 2], {"odd": odd}, type=type, MaxConcurrency=1, ToleratedFailureCount=2)
    while holding.engine.busy or holding.dask.held:
        holding.turns()
        if holding.dask.held:
            holding.dask.release()
    assert holding.row().status == "FAILED"
    redrive(holding, {"odd": odd})
    holding.turns()
    holding.dask.release()
    holding.turns()
    # The last one had no room before; that of an EXPRESS run was next in the pool, and has been aborted.
    waiting = {"PENDING_REDRIVE": 1, "PENDING": 1} if type == "STANDARD" else {"PENDING_REDRIVE": 2}
    assert holding.counts["executions"] == {"FAILED": 1, "RUNNING": 1, **waiting}
    floor = heir({"odd": even})
    floor.settle()
    assert floor.output == [3, 5, 2]
    assert floor.counts["executions"] == {"FAILED": 1, "SUCCEEDED": 3}


def test_a_reader_that_failed_reads_again(floor: Floor) -> None:
    """ "The redriven Map Run uses the input in the Amazon S3 bucket." """
    given = reader(floor.folder, [])
    (floor.folder / "items.jsonl").write_text("not JSON")
    floor.map(ItemReader=given)
    floor.settle()
    assert floor.failure[0] == "States.ItemReaderFailed"
    reader(floor.folder, [1, 2])
    redrive(floor)
    floor.settle()
    assert floor.output == [1, 2]
    assert len(floor.store.map_runs(floor.arn)) == 1


def test_results_are_written_again(floor: Floor) -> None:
    (floor.folder / "out").write_text("a file, not a folder")
    floor.map(task(), [1, 2], {"f": double}, ResultWriter={"Resource": PUT, "Parameters": {"Uri": "out"}})
    floor.settle()
    assert floor.failure[0] == "States.ResultWriterFailed"
    (floor.folder / "out").unlink()
    redrive(floor, {"f": double})
    floor.settle()
    manifest = json.loads(Path(floor.output["ResultWriterDetails"]["Uri"]).read_text())
    [file] = manifest["ResultFiles"]["SUCCEEDED"]
    assert [row["Output"] for row in json.loads(Path(file["Uri"]).read_text())] == ["2", "4"]
    assert calls(floor) == [1, 2]


def test_the_results_of_redriven_children_say_so(floor: Floor) -> None:
    writer = {"Resource": PUT, "Parameters": {"Uri": "out"}}
    floor.map(task("odd"), [1, 2], {"odd": odd}, ResultWriter=writer)
    floor.settle()
    redrive(floor, {"odd": even})
    floor.settle()
    manifest = json.loads(Path(floor.output["ResultWriterDetails"]["Uri"]).read_text())
    rows = json.loads(Path(manifest["ResultFiles"]["SUCCEEDED"][0]["Uri"]).read_text())
    assert [row["RedriveCount"] for row in rows] == [1, floor.children[1].redrive_count]


def test_a_map_run_in_a_child_is_redriven_with_it(floor: Floor) -> None:
    inner = {
        "Type": "Map",
        "Label": "inner",
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "I",
            "States": {"I": task("odd")},
        },
        "End": True,
    }
    floor.map(inner, [[2, 4], [2, 1]], {"odd": odd})
    floor.settle()
    assert floor.row().status == "FAILED"
    redrive(floor, {"odd": even})
    floor.settle()
    assert floor.output == [[2, 4], [2, 1]]
    runs = [run for child in floor.children for run in floor.store.map_runs(child.arn)]
    assert [run.redrive_count for run in runs] in ([0, 1], [1, 1])


def test_an_express_child_waits_until_its_earlier_run_is_gone(holding: Floor) -> None:
    """Its attempts have the same names: an answer that comes late must not be taken for one of the new child."""
    holding.map(task(), [1, 2], {"f": double}, type="EXPRESS")
    holding.turns()
    taken = list(holding.dask.held)
    holding.dask.held.clear()  # they are being done: they can no longer be taken back
    holding.engine.post(holding.arn, facts.Stop())
    holding.turns()
    holding.dask.hold = False
    redrive(holding, {"f": double})
    holding.settle()
    assert holding.row().status == "RUNNING"
    for job, answer in taken:
        answer(Outcome(job.execution, job.attempt, output="late"))
    holding.settle()
    assert holding.output == [2, 4]


# --- anywhere


@pytest.mark.parametrize("seed", range(8))
def test_a_crash_anywhere_changes_nothing(tmp_path: Path, heir: Heir, seed: int) -> None:
    """Processes die between two turns, again and again; redrives in between. No accepted end is asked for twice."""
    rng = random.Random(seed)
    items = [rng.randrange(12) for _ in range(rng.randint(1, 9))]
    type = rng.choice(["STANDARD", "EXPRESS"])
    state: dict[str, Json] = {"MaxConcurrency": rng.randint(1, 4), "ToleratedFailureCount": rng.randint(0, 1)}
    if rng.random() < 0.5:
        state["ItemReader"] = reader(tmp_path, items)
    if rng.random() < 0.5:
        state["ItemSelector"] = {"v.$": "$$.Map.Item.Value"}
    failing: Tasks = {"odd": lambda given: odd(given["v"] if isinstance(given, dict) else given)}
    mended: Tasks = {"odd": lambda given: given["v"] if isinstance(given, dict) else given}
    floor = Floor(tmp_path, hold=True)
    floors = [floor]
    floor.map(task("odd"), items, failing, type=type, **state)
    floor.engine.turn()
    redrives, tasks, lost = 0, failing, 0
    while floor.row().status == "RUNNING" or redrives < 3:
        if floor.row().status == "SUCCEEDED":
            break
        if floor.row().status != "RUNNING" and not floor.engine.busy:
            redrives += 1
            tasks = mended if redrives == 3 else failing
            redrive(floor, tasks)
        for _ in range(rng.randint(1, 4)):
            floor.engine.turn()
        if floor.dask.held and rng.random() < 0.7:
            rng.shuffle(floor.dask.held)
            floor.dask.release()
        if rng.random() < 0.2 and floor.row().status == "RUNNING":
            lost += sum(arrival.outcome is not None for _, arrival in floor.engine._turns._inbox)
            floor = heir(tasks, hold=True)
            floors.append(floor)
    while floor.engine.busy or floor.dask.held:
        floor.turns()
        if floor.dask.held:
            floor.dask.release()
    assert floor.row().status == "SUCCEEDED"
    kept = [item for item in items if item % 2 == 0 or redrives == 3]
    assert sorted(floor.output) == sorted(kept) or state["ToleratedFailureCount"]
    [run] = floor.store.map_runs(floor.arn)
    assert (run.status, run.redrive_count) == ("SUCCEEDED", redrives)
    ended = json.loads(run.counts or "")["executions"]
    assert sum(n for status, n in ended.items()) == len(items)
    if type == "STANDARD":
        for child in floor.children:
            records = [record for row in floor.store.journal(child.arn) for record in decode(row.records)]
            assert sum(isinstance(record, TaskSucceeded) for record in records) <= 1
            assert child.status in ("SUCCEEDED", "FAILED")
        attempts = [(job.execution, job.attempt) for each in floors for job in each.dask.done]
        again = len(attempts) - len(set(attempts))
        assert again <= lost, "an attempt whose answer had been recorded was made again"
    assert not any(live for live in floor.engine._turns.live.values())
    floors[0].engine.close()
    floors[0].store.close()


# --- who is in the way


def test_children_that_another_engine_has_begun_meanwhile(
    holding: Floor, heir: Heir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was slow to notice that the run is no longer its own."""
    holding.map(task("odd"), [2, 1, 4], {"odd": odd}, MaxConcurrency=2, ToleratedFailureCount=1)
    holding.turns()
    for _ in range(2):
        holding.dask.release()
        holding.turns()
    monkeypatch.setattr(SqlStore, "children_of", lambda *_: [])
    floor = heir({"odd": odd})
    floor.settle()
    assert floor.output == [2, 4]
    assert floor.counts["executions"] == {"SUCCEEDED": 2, "FAILED": 1}
    assert calls(holding, floor) == [2, 1, 4]


def ends_of_one_who_was_paused(holding: Floor, heir: Heir) -> Floor:
    """Of an EXPRESS run. Its new owner, who has not heard of them; of it, an end has come, too."""
    holding.map(task(), [1, 2, 3], {"f": double}, type="EXPRESS")
    holding.turns()
    floor = heir({"f": double}, hold=True)
    floor.turns()
    holding.dask.release()
    holding.dask.release()
    holding.turns()
    floor.dask.release()
    return floor


def test_the_owner_goes_on_with_ends_that_one_who_was_paused_has_written(holding: Floor, heir: Heir) -> None:
    floor = ends_of_one_who_was_paused(holding, heir)
    floor.turns()
    while floor.dask.held:
        floor.dask.release()
        floor.turns()
    assert floor.output == [2, 4, 6]


def test_a_stop_while_the_ends_of_one_who_was_paused_are_found(holding: Floor, heir: Heir) -> None:
    floor = ends_of_one_who_was_paused(holding, heir)
    floor.engine.post(floor.arn, facts.Stop())
    floor.turns()
    assert (floor.row().status, floor.row().owner) == ("ABORTED", None)
    assert floor.map_run.status == "ABORTED"


def test_a_child_that_somebody_has_ended_before_it_could_go_on(holding: Floor, heir: Heir) -> None:
    holding.map(BY_ITEM, [5, 60], ToleratedFailureCount=1)
    holding.turns()
    floor = heir()
    first = floor.children[0]
    holding.engine.post(first.arn, facts.Stop())
    holding.turns()
    floor.settle()
    assert floor.output == [60]
    assert floor.counts["executions"] == {"SUCCEEDED": 1, "ABORTED": 1}


def test_what_the_store_refuses_is_tried_again(
    holding: Floor, heir: Heir, monkeypatch: pytest.MonkeyPatch
) -> None:
    holding.map(task(), [1, 2], {"f": double})
    holding.turns()
    refusals = iter(range(3))
    for name in ("execution", "child_rows"):
        monkeypatch.setattr(SqlStore, name, _refusing(getattr(SqlStore, name), refusals))
    floor = heir({"f": double})
    floor.settle()
    assert next(refusals, None) is None
    assert floor.output == [2, 4]


def _refusing(really: Callable[..., Any], refusals: Iterator[int]) -> Callable[..., Any]:
    def refusing(store: SqlStore, arn: str) -> Any:
        if ":run" not in arn and next(refusals, None) is not None:
            raise StoreError("The store is locked.")
        return really(store, arn)

    return refusing


def _locked(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The store refuses so often when children are to be begun."""
    really, refusals = MapRuns._start_some, iter(range(times))

    def refusing(runs: MapRuns, run: MapRun) -> None:
        if next(refusals, None) is not None:
            raise StoreError("The store is locked.")
        really(runs, run)

    monkeypatch.setattr(MapRuns, "_start_some", refusing)


def _finish(floor: Floor) -> None:
    """Whatever is held is done, and whatever is due."""
    floor.dask.hold = False
    while floor.dask.held:
        floor.dask.release()
    floor.settle()


def test_children_that_waited_for_their_earlier_run_begin_once(
    holding: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the store refuses meanwhile."""
    monkeypatch.setattr(holding.dask, "cancel", lambda execution, attempt: False)
    holding.map(task(), [1, 2], {"f": double}, type="EXPRESS")
    holding.turns()
    _begin_in_the_engine(holding, 2)
    taken = list(holding.dask.held)
    holding.dask.held.clear()
    holding.engine.post(holding.arn, facts.Stop())
    holding.turns()
    redrive(holding, {"f": double})
    holding.turns()
    _begin_in_the_engine(holding, 2)
    assert holding.counts["items"] == {"PENDING_REDRIVE": 2}
    _locked(monkeypatch, 2)
    for job, answer in taken:
        answer(Outcome(job.execution, job.attempt, output="late"))
    holding.turns()
    for _ in range(2):
        holding.clock.advance_to(holding.clock.now() + PAUSE)
        holding.engine.turn()
        holding.turns()
    assert holding.counts["items"] == {"RUNNING": 2}
    _finish(holding)
    assert holding.output == [2, 4]
    assert holding.counts == {"executions": {"SUCCEEDED": 2}, "items": {"SUCCEEDED": 2}}


def _begin_in_the_engine(floor: Floor, children: int) -> None:
    """The workers of so many die."""
    for _ in range(children):
        job, _ = floor.dask.held[0]
        floor.dask.release(Outcome(job.execution, job.attempt, error="Dask.KilledWorker", cause="dead"))
    floor.turns()


@pytest.mark.parametrize("type", ["STANDARD", "EXPRESS"])
@pytest.mark.parametrize("again", [False, True])
def test_a_child_that_is_lost_counts_once(
    holding: Floor, monkeypatch: pytest.MonkeyPatch, type: str, again: bool
) -> None:
    """One with which the engine cannot go on, while the store refuses."""
    holding.map(task(), [1, 2], {"f": double}, type=type, MaxConcurrency=1, ToleratedFailureCount=2)
    holding.turns()
    if again and type == "EXPRESS":
        holding.engine.post(holding.arn, facts.Stop())
        holding.settle()
        redrive(holding, {"f": double})
        holding.turns()
    if type == "EXPRESS":
        _begin_in_the_engine(holding, 1)
    [live] = [live for live in holding.engine._turns.live.values() if live.row.arn != holding.arn]
    _locked(monkeypatch, 2)
    really, refusals = holding.store.put_map_part, iter(range(2))

    def refusing(*part: Any) -> bool:
        if next(refusals, None) is not None:
            raise StoreError("The store is locked.")
        return really(*part)

    monkeypatch.setattr(holding.store, "put_map_part", refusing)
    holding.engine._turns.drop(live, EngineError("It cannot go on."))
    holding.turns()
    _finish(holding)
    _finish(holding)
    assert holding.output == [4]
    assert holding.counts["executions"] == {"FAILED": 1, "SUCCEEDED": 1}


def test_a_child_that_failed_before_it_began_cannot_be_redriven(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor.map({"Type": "Fail"}, [1, 2], MaxConcurrency=1, ToleratedFailureCount=1)
    floor.settle()
    monkeypatch.setattr(Run, "redrivable", property(lambda run: run.ended and run.definition.start_at == "M"))
    redrive(floor)
    floor.settle()
    assert floor.failure[0] == "States.ExceedToleratedFailureThreshold"
    assert floor.counts["executions"] == {"FAILED": 2, "NOT_REDRIVABLE": 2}
    assert redriven_children(floor) == [("FAILED", 0), ("FAILED", 0)]


# --- results of a run that has failed


def test_the_results_of_a_run_that_has_failed_are_written_too(floor: Floor) -> None:
    """AWS guide, "ResultWriter": FAILED_n.json, PENDING_n.json and SUCCEEDED_n.json."""
    writer = {"Resource": PUT, "Parameters": {"Uri": "out"}}
    floor.map(task("odd"), [2, 1, 4], {"odd": odd}, ResultWriter=writer, MaxConcurrency=1)
    floor.settle()
    assert floor.failure[0] == "States.ExceedToleratedFailureThreshold"
    folder = floor.folder / "out" / floor.map_run.arn.rpartition(":")[2]
    written = {path.name: json.loads(path.read_text()) for path in folder.glob("*_0.json")}
    assert {name: [row["Input"] for row in rows] for name, rows in written.items()} == {
        "SUCCEEDED_0.json": ["2"],
        "FAILED_0.json": ["1"],
        "PENDING_0.json": ["4"],
    }
    redrive(floor, {"odd": even})
    floor.settle()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {name: len(files) for name, files in manifest["ResultFiles"].items()} == {
        "FAILED": 0,
        "PENDING": 0,
        "SUCCEEDED": 1,
    }


def test_a_failed_run_whose_results_cannot_be_written_has_failed_as_it_did(floor: Floor) -> None:
    (floor.folder / "out").write_text("a file, not a folder")
    floor.map({"Type": "Fail"}, [1], ResultWriter={"Resource": PUT, "Parameters": {"Uri": "out"}})
    floor.settle()
    assert floor.failure[0] == "States.ExceedToleratedFailureThreshold"


def test_a_stop_while_the_results_of_a_failed_run_are_written(floor: Floor) -> None:
    floor.reading = []
    floor.map({"Type": "Fail"}, [1], ResultWriter={"Resource": PUT, "Parameters": {"Uri": "out"}})
    floor.turns()
    assert floor.map_run.status == "RUNNING"
    floor.engine.post(floor.arn, facts.Stop())
    floor.turns()
    floor.reading.pop()()
    floor.turns()
    assert (floor.row().status, floor.map_run.status) == ("ABORTED", "ABORTED")
    assert floor.reading == []


# --- bounds


def test_parts_are_bounded(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database takes no text of any size."""
    for module in ("chunks", "map_run"):
        monkeypatch.setattr(f"nbflow.engine.{module}.MOST_CHARACTERS", 30)
    put, sizes = floor.store.put_map_part, list[tuple[str, int]]()

    def measured(run: str, kind: PartKind, number: int, text: str, *args: Any) -> bool:
        sizes.append((kind, len(json.loads(text)["inputs" if kind == "chunk" else "ends"])))
        return put(run, kind, number, text, *args)

    monkeypatch.setattr(floor.store, "put_map_part", measured)
    floor.map(ItemReader=reader(floor.folder, ["x" * 10] * 7), type="EXPRESS")
    floor.settle()
    assert floor.output == ["x" * 10] * 7
    assert [size for kind, size in sizes if kind == "chunk"] == [3, 3, 1]
    assert max(size for kind, size in sizes if kind == "batch") == 3
