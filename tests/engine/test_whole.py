"""EXPRESS children that a pool does whole, and how their ends are kept."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from nbflow.artifacts.values import references
from nbflow.engine import ends as ends_module
from nbflow.engine import known as known_module
from nbflow.engine.ends import STATUSES, Batch, Endings, Ends, ends_of
from nbflow.engine.rows import artifact_of
from nbflow.errors import NbflowError
from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.machine import facts
from nbflow.tasks.child import Ending
from nbflow.tasks.job import Outcome
from tests.engine.floor import PUT, WAIT, Floor, odd
from tests.engine.test_engine import double, task
from tests.engine.test_map_runs_again import redrive
from tests.machine.definitions import machines
from tests.machine.driver import ACTIVITY, TASK

RETRY: dict[str, Json] = {"Retry": [{"ErrorEquals": ["ValueError"], "IntervalSeconds": 5, "MaxAttempts": 1}]}
KILLED = Outcome("", 0, error="Dask.KilledWorker", cause="a worker died")


def kinds(floor: Floor) -> list[str]:
    """Of the jobs that the Dask pool has or had."""
    return [job.code.kind for job in [*floor.dask.done, *(job for job, _ in floor.dask.held)]]


def killed(floor: Floor) -> None:
    """The worker of the job that waits longest dies."""
    job, _ = floor.dask.held[0]
    floor.dask.release(KILLED._replace(execution=job.execution, attempt=job.attempt))
    floor.turns()


def test_a_child_is_one_job(floor: Floor) -> None:
    floor.map(task(), [1, 2, 3], {"f": double}, type="EXPRESS")
    floor.settle()
    assert floor.output == [2, 4, 6]
    assert kinds(floor) == ["express"] * 3
    assert len({job.code for job in floor.dask.done}) == 1


@pytest.mark.parametrize(
    "inner",
    [
        {**task(), "Resource": ACTIVITY},
        {**task(), "Resource": f"{TASK[:-1]}unbound"},
        {"Type": "Pass", "End": True},
        WAIT,
    ],
)
def test_where_a_task_is_done_elsewhere_children_run_in_the_engine(floor: Floor, inner: Json) -> None:
    floor.map(inner, [1], {"f": double}, type="EXPRESS")
    floor.turns()
    assert kinds(floor) == []
    assert sum(floor.counts["items"].values()) == 1


def test_what_waits_goes_on_in_the_engine(floor: Floor) -> None:
    floor.map(task("odd", **RETRY), [2, 1], {"odd": odd}, type="EXPRESS", ToleratedFailureCount=1)
    floor.turns()
    assert floor.counts["executions"] == {"SUCCEEDED": 1, "RUNNING": 1}
    floor.settle()
    assert floor.counts["executions"] == {"SUCCEEDED": 1, "FAILED": 1}
    assert floor.output == [2]
    assert kinds(floor) == ["express", "express", "function"]
    assert floor.row().stopped_at == floor.row().started_at + 5


def test_a_child_whose_worker_dies_is_begun_again_at_its_step(holding: Floor) -> None:
    catch = [{"ErrorEquals": ["Dask.KilledWorker"], "Next": "C"}]
    inner = {"Type": "Task", "Resource": TASK, "Catch": catch, "End": True}
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
        "StartAt": "T",
        "States": {"T": inner, "C": {"Type": "Pass", "Result": "caught", "End": True}},
    }
    made = {"Type": "Map", "ItemProcessor": processor, "End": True}
    holding.begin({"StartAt": "M", "States": {"M": made}}, [1, 2], {"f": double})
    holding.turns()
    killed(holding)
    assert kinds(holding) == ["express", "express", "function"]
    holding.dask.release()
    killed(holding)
    holding.settle()
    assert holding.output == ["caught", 4]


def test_those_in_the_engine_count_for_max_concurrency(holding: Floor) -> None:
    holding.map(
        task("odd", **RETRY),
        [1, 3, 2],
        {"odd": odd},
        type="EXPRESS",
        MaxConcurrency=2,
        ToleratedFailureCount=2,
    )
    holding.turns()
    [sha] = {job.code.sha256 for job, _ in holding.dask.held}
    limits = [holding.dask.limits[sha]]
    for _ in range(2):
        holding.dask.release()
        holding.turns()
        limits.append(holding.dask.limits[sha])
    assert limits == [2, 1, -1]  # both wait for their retry
    holding.dask.hold = False
    holding.dask.release()
    holding.settle()
    assert holding.dask.limits[sha] == 2
    assert holding.output == [2]


def test_another_limit_is_heeded(holding: Floor) -> None:
    holding.map(task(), [1, 2, 3], {"f": double}, type="EXPRESS", MaxConcurrency=1)
    holding.turns()
    assert holding.counts["items"] == {"RUNNING": 1, "PENDING": 2}
    holding.store.limit_map_run(holding.map_run.arn, max_concurrency=2)
    holding.engine.heed()
    holding.turns()
    assert list(holding.dask.limits.values()) == [2]
    assert holding.counts["items"] == {"RUNNING": 2, "PENDING": 1}


@pytest.mark.parametrize("remembered", [known_module.MOST_KNOWN, 0])
def test_artifacts_travel_with_a_child_that_is_handed_back(
    floor: Floor, monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    """However many others there are: the store does not know them before the child has ended."""
    monkeypatch.setattr(known_module, "MOST_KNOWN", remembered)

    def frame(n: int) -> pd.DataFrame:
        return pd.DataFrame({"n": range(n)})

    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
        "StartAt": "A",
        "States": {
            "A": {**task("frame"), "Next": "W"},
            "W": {"Type": "Wait", "Seconds": 3, "Next": "B"},
            "B": task("len"),
        },
    }
    del processor["States"]["A"]["End"]  # type: ignore[index]
    made = {"Type": "Map", "ItemProcessor": processor, "End": True}
    floor.begin({"StartAt": "M", "States": {"M": made}}, [5, 6], {"frame": frame, "len": len})
    floor.settle()
    assert floor.output == [5, 6]


def test_what_is_forgotten_for_one_artifact_is_not_asked_for_meanwhile(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task gets all of its artifacts, those that were remembered and those that were not."""
    floor.begin(
        {"StartAt": "F", "States": {"F": task("frame")}}, 3, {"frame": lambda n: pd.DataFrame({"n": [n]})}
    )
    floor.settle()
    [kept] = floor.store.artifacts(references(floor.output)).values()
    known = known_module.KnownArtifacts(floor.store)
    known.add([artifact_of(replace(kept, sha256="other"))])
    monkeypatch.setattr(known_module, "MOST_KNOWN", 0)
    assert set(known.of(["other", kept.sha256])) == {"other", kept.sha256}


def test_a_late_answer_is_nobodys(holding: Floor) -> None:
    """A child that was given up may still be at work when the run is redriven: it does not end the new one."""
    holding.map(task(), [1], {"f": double}, type="EXPRESS")
    holding.turns()
    [(old, answer)] = holding.dask.held
    holding.engine.post(holding.arn, facts.Stop())
    holding.settle()
    assert holding.counts["executions"] == {"ABORTED": 1}
    assert holding.row().status == "ABORTED"
    answer(Outcome(old.execution, old.attempt, Ending("SUCCEEDED", "7", None, None, 0.0, 0.0)))
    holding.turns()
    assert holding.counts["executions"] == {"ABORTED": 1}


def test_what_is_handed_back_waits_for_its_earlier_self(
    holding: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task of the earlier time cannot be stopped: its answer must not be taken for one to the child of now."""
    monkeypatch.setattr(holding.dask, "cancel", lambda execution, attempt: False)
    holding.map(task("odd", **RETRY), [1], {"odd": odd}, type="EXPRESS")
    holding.turns()
    holding.dask.release()
    holding.clock.advance_to(holding.clock.now() + 5)
    holding.turns()
    [(old, answer)] = holding.dask.held
    assert old.code.kind == "function"
    holding.dask.held.clear()
    holding.engine.post(holding.arn, facts.Stop())
    holding.turns()
    assert holding.row().status == "ABORTED"
    redrive(holding, {"odd": odd})
    holding.turns()
    holding.dask.release()
    holding.clock.advance_to(holding.clock.now() + 5)
    holding.turns()
    assert holding.dask.held == []
    answer(Outcome(old.execution, old.attempt, 7))
    holding.turns()
    holding.dask.release()
    holding.settle()
    assert holding.failure[0] == "States.ExceedToleratedFailureThreshold"


def test_children_that_run_answer_when_they_are_stopped(
    holding: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    holding.map(task(), [1, 2, 3], {"f": double}, type="EXPRESS")
    holding.turns()
    monkeypatch.setattr(holding.dask, "cancel", lambda execution, attempt: False)
    holding.engine.post(holding.arn, facts.Stop())
    holding.turns()
    assert holding.map_run.status == "RUNNING"
    killed(holding)
    holding.dask.release()
    holding.dask.release()
    holding.settle()
    assert holding.counts["executions"] == {"ABORTED": 1, "SUCCEEDED": 2}


@pytest.mark.parametrize("kept", [True, False])
def test_results_have_their_inputs(floor: Floor, kept: bool) -> None:
    """Those of the children that were not begun, too."""
    more: dict[str, Json] = {"ItemSelector": {"n.$": "$$.Map.Item.Value"}} if kept else {}
    inner = {**task("odd"), **({"InputPath": "$.n"} if kept else {})}
    writer = {
        "Resource": PUT,
        "Parameters": {"Uri": str(floor.folder / "out")},
        "WriterConfig": {"OutputType": "JSONL"},
    }
    floor.map(
        inner, [2, 1, 4], {"odd": odd}, type="EXPRESS", ResultWriter=writer, ToleratedFailureCount=1, **more
    )
    floor.settle()
    found = [
        json.loads(line)
        for file in floor.folder.glob("out/*/*.jsonl")
        for line in file.read_text().splitlines()
    ]
    inputs = {each["Status"]: json.loads(each["Input"]) for each in found if each["Status"] != "SUCCEEDED"}
    assert inputs == {"FAILED": {"n": 1} if kept else 1}
    assert sorted(json.loads(each["Output"]) for each in found if "Output" in each) == [2, 4]


def test_what_children_print_is_logged_at_their_maps_step(floor: Floor) -> None:
    """Also what those print that go on in the engine."""

    def doubt(value: int) -> int:
        print(f"doubting {value}\nvery much")
        return odd(value)

    floor.map(task("doubt", **RETRY), [2, 1], {"doubt": doubt}, type="EXPRESS", ToleratedFailureCount=1)
    floor.settle()
    [(attempt, text)] = floor.store.logs(floor.arn).items()
    assert attempt == floor.map_run.attempt
    assert text.splitlines() == [
        f"[{number}] {line}"
        for number, value in ((0, 2), (1, 1), (1, 1))
        for line in (f"doubting {value}", "very much")
    ]


def test_no_more_go_on_in_the_engine_than_may(holding: Floor) -> None:
    """A chunk of children may come back at once."""
    inner = task("odd", **RETRY)
    holding.map(inner, [1, 3, 5, 7], {"odd": odd}, type="EXPRESS", MaxConcurrency=2, ToleratedFailureCount=4)
    holding.turns()
    for _ in range(4):
        holding.dask.release()
    holding.turns()
    assert sum(name != holding.arn for name in holding.engine._turns.live) == 2
    holding.dask.hold = False
    holding.settle()
    assert holding.output == []
    assert holding.counts["executions"] == {"FAILED": 4}


def test_those_that_wait_for_room_are_stopped_too(holding: Floor) -> None:
    holding.map(task("odd", **RETRY), [1, 3, 5], {"odd": odd}, type="EXPRESS", MaxConcurrency=1)
    holding.turns()
    for _ in range(3):
        holding.dask.release()
    holding.turns()
    holding.engine.post(holding.arn, facts.Stop())
    holding.settle()
    assert (holding.row().status, holding.map_run.status) == ("ABORTED", "ABORTED")
    assert holding.counts["executions"] == {"ABORTED": 3}


def test_time_limits_in_branches_are_for_the_engine(floor: Floor) -> None:
    """Done whole, branches take turns: the time of a task would run while another one has its turn."""
    branch = {"StartAt": "A", "States": {"A": task(TimeoutSeconds=5)}}
    floor.map({"Type": "Parallel", "Branches": [branch], "End": True}, [1], {"f": double}, type="EXPRESS")
    floor.settle()
    assert kinds(floor) == ["function"]
    assert floor.output == [[2]]


# --- whole, or in the engine


def portable(value: Json) -> Json:
    """The definition with function tasks only, and nothing that is drawn at random."""
    if isinstance(value, list):
        return [portable(each) for each in value]
    if isinstance(value, str):
        return value.replace("States.UUID()", "$$.State.Name").replace("$random()", "7")
    if not isinstance(value, dict):
        return value
    left_out = {"ProcessorConfig", "JitterStrategy"}
    if value.get("Type") == "Task":
        value = {**value, "Resource": TASK}
        left_out |= {"HeartbeatSeconds", "Parameters", "Arguments"}
    return {name: portable(each) for name, each in value.items() if name not in left_out}


class Boom(Exception):
    """What a task fails with."""


def moody(value: Json) -> Json:
    mood = sum(map(ord, json.dumps(value, sort_keys=True))) % 5
    if mood == 0:
        raise Boom("no")
    return {"state": mood, "in": value} if mood == 1 else value


def ends_by_name(definition: dict[str, Json], items: list[Json]) -> object:
    """How a Map Run of such children ends, and each of them."""
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}
    writer = {"Resource": PUT, "Parameters": {"Uri": "out"}, "WriterConfig": {"OutputType": "JSONL"}}
    made = {
        "Type": "Map",
        "Label": "each",
        "ItemProcessor": {**definition, "ProcessorConfig": config},
        "ToleratedFailurePercentage": 100,
        "ResultWriter": writer,
        "End": True,
    }
    with tempfile.TemporaryDirectory() as folder:
        floor = Floor(Path(folder))
        try:
            floor.begin({"StartAt": "M", "States": {"M": made}}, items, {"f": moody})
            floor.settle()
            lines = [
                line for file in Path(folder).glob("out/*/*.jsonl") for line in file.read_text().splitlines()
            ]
            found = [json.loads(line) for line in lines]
            said = ("Status", "Output", "Error", "Cause")
            by_name = {each["Name"]: [each.get(name) for name in said] for each in found}
            return floor.row().status, floor.row().error, floor.counts, by_name
        finally:
            floor.engine.close()
            floor.store.close()


ITEMS: list[Json] = [None, 1, "x", {"state": 1}, [1, 2], {"a": "é"}]


@settings(max_examples=20, deadline=None)
@given(machines().map(portable), st.lists(st.sampled_from(ITEMS), min_size=1, max_size=3))
def test_a_child_ends_as_it_would_in_the_engine(definition: dict[str, Json], items: list[Json]) -> None:
    definition.pop("TimeoutSeconds", None)
    try:
        parse(json.dumps(definition))
    except NbflowError:
        reject()  # without its parameters, say
    whole = ends_by_name(definition, items)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nbflow.engine.map_runs.parcel", lambda *_: None)
        assert ends_by_name(definition, items) == whole


# --- the ends


endings = st.builds(
    Ending,
    st.sampled_from(STATUSES[1:]),
    st.none() | st.text().map(json.dumps),
    st.none() | st.text(),
    st.none() | st.text(),
    st.none() | st.floats(0, 1e10),
    st.floats(0, 1e10),
)


@given(st.integers(0, 1000), st.lists(st.tuples(st.integers(0, 10**6), endings)))
def test_a_batch_is_read_as_it_was_written(redrives: int, found: list[tuple[int, Ending]]) -> None:
    assert Batch.of(Batch(redrives, found).text) == Batch(redrives, found)


def test_a_batch_of_the_first_form_is_read() -> None:
    result = ["arn", "name", "machine", "FAILED", "", None, "E", "why", 1.0, 2.0, 0]
    old = json.dumps([[7, 1, *result]])
    assert Batch.of(old) == Batch(1, [(7, Ending("FAILED", None, "E", "why", 1.0, 2.0))])


@given(st.lists(st.dictionaries(st.integers(0, 300), st.sampled_from(STATUSES[1:])), max_size=8))
def test_a_later_batch_knows_better(batches: list[dict[int, str]]) -> None:
    ends, model = Ends(), dict[int, tuple[str, int]]()
    for number, batch in enumerate(batches):
        ends.add(number * 2, iter(batch.items()))
        model |= {child: (status, number) for child, status in batch.items()}
    assert ends.batches == len(batches)
    assert list(ends) == sorted(model)
    for child in range(310):
        status, batch_number = model.get(child, (None, None))
        assert ends.status(child) == status
        if batch_number is not None:
            assert (ends.batch(child), ends.redrives(child)) == (batch_number, batch_number * 2)


def test_ends_are_read_from_the_store_with_few_at_hand(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends_module, "MOST_CHARACTERS", 300)
    floor.map(WAIT, [1], type="EXPRESS")
    floor.turns()
    run = floor.map_run
    found = {number: Ending("SUCCEEDED", str(number), None, None, 0.0, 1.0) for number in range(20)}
    for batch, first in enumerate(range(0, 20, 4)):
        some = [(number, found[number]) for number in range(first, first + 4)]
        assert floor.store.put_map_part(run.arn, "batch", batch, Batch(0, some).text)
    ends = ends_of(floor.store, run.arn)
    read = Endings(floor.store, run.arn, ends)
    assert [read[number] for number in ends] == list(found.values())
    assert 1 <= len(read._read) < 5
    assert read[0] == found[0]
