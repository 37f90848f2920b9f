"""Map Runs by themselves: children, items, results and tolerance."""

import json
from collections.abc import Iterator

import pandas as pd
import pytest

from nbflow.artifacts.values import references
from nbflow.engine.chunks import CHUNK
from nbflow.engine.map_runs import MOST_CHILDREN
from nbflow.language.values import Json
from nbflow.machine import facts
from nbflow.machine.context import LIMITS
from nbflow.machine.distributed import Item
from nbflow.machine.records import decode
from tests.engine.floor import BY_ITEM, GET, MACHINE, PUT, STATES, WAIT, Floor, odd
from tests.engine.test_engine import double, task
from tests.machine.driver import TASK

# --- children and results


@pytest.mark.parametrize("type", ["STANDARD", "EXPRESS"])
def test_results_come_in_the_order_of_the_items(floor: Floor, type: str) -> None:
    floor.map(BY_ITEM, [9, 1, 5], type=type)
    floor.settle()
    assert floor.output == [9, 1, 5]
    assert floor.map_run.status == "SUCCEEDED"
    assert floor.counts == {"executions": {"SUCCEEDED": 3}, "items": {"SUCCEEDED": 3}}
    assert floor.map_run.stopped_at == floor.row().stopped_at == floor.row().started_at + 9


@pytest.mark.parametrize("type", ["STANDARD", "EXPRESS"])
def test_quotas_hold_in_children(floor: Floor, type: str) -> None:
    floor.context = {LIMITS: "aws"}
    floor.map(task(), [10, 300_000], {"f": long}, type=type, ToleratedFailureCount=1)
    floor.settle()
    assert floor.output == ["x" * 10]
    assert floor.counts["items"] == {"SUCCEEDED": 1, "FAILED": 1}


def long(characters: int) -> str:
    return "x" * characters


def test_no_items(floor: Floor) -> None:
    floor.map(input=[])
    floor.settle()
    assert floor.output == []
    assert floor.counts == {"executions": {}, "items": {}}


def test_standard_children_are_executions_of_their_own(floor: Floor) -> None:
    inner = {"Type": "Pass", "Parameters": {"x.$": "$", "c.$": "$$"}, "End": True}
    floor.map(inner, [7])
    floor.settle()
    [child] = floor.children
    arn = floor.map_run.arn
    assert arn.startswith(f"{STATES}:mapRun:machine/each:")
    assert child.arn == f"{STATES}:execution:machine/each:{child.name}"
    assert (child.machine_arn, child.status, child.input) == (f"{MACHINE}/each", "SUCCEEDED", "7")
    definition = {"StartAt": "T", "States": {"T": inner}}
    assert json.loads(floor.store.definition(child.definition)) == definition
    [output] = floor.output
    assert output["x"] == 7
    assert output["c"]["Execution"] == {
        "Id": child.arn,
        "Name": child.name,
        "RoleArn": "arn:role",
        "Input": 7,
        "StartTime": output["c"]["Execution"]["StartTime"],
        "RedriveCount": 0,
    }
    assert output["c"]["StateMachine"] == {"Id": f"{MACHINE}/each", "Name": "machine/each"}
    assert [
        type(record).__name__ for row in floor.store.journal(child.arn) for record in decode(row.records)
    ] == [
        "ExecutionStarted",
        "StateEntered",
        "StateExited",
        "ExecutionSucceeded",
    ]


def test_express_children_leave_no_trace_but_their_artifacts(floor: Floor) -> None:
    def frame(n: int) -> pd.DataFrame:
        return pd.DataFrame({"n": [n]})

    floor.map(task("frame"), [1, 2], {"frame": frame}, type="EXPRESS")
    floor.settle()
    assert floor.children == []
    hashes = references(floor.output)
    assert len(hashes) == 2
    assert set(floor.store.artifacts(hashes)) == set(hashes)


def test_childrens_tasks_go_to_the_scattered_pool(floor: Floor) -> None:
    floor.map(task(), [1, 2], {"f": double})
    floor.settle()
    assert floor.output == [2, 4]
    assert (len(floor.dask.done), floor.threads.done) == (2, [])


def test_a_childs_task_that_prints_is_logged_with_the_child(floor: Floor) -> None:
    floor.map(task(), [1], {"f": double})
    floor.settle()
    [child] = floor.children
    assert list(floor.store.logs(child.arn).values()) == ["doubling 1\n"]
    assert floor.store.logs(floor.arn) == {}


@pytest.mark.parametrize("type", ["STANDARD", "EXPRESS"])
def test_a_child_that_runs_is_known_by_its_arn(holding: Floor, type: str) -> None:
    holding.map(task(), [1, 2, 3, 4, 5, 6], {"f": double}, type=type, MaxConcurrency=2)
    holding.turns()
    step_of = holding.engine._turns.map_runs.step_of
    known: list[str] = []
    while holding.dask.held:
        job, _ = holding.dask.held[0]
        known.append(job.execution)
        parent, attempt, number = step_of(job.execution, job.attempt) or ("", 0, 0)
        assert (parent, number) == (holding.arn, len(known) - 1)
        assert holding.engine._turns.state_of(parent, attempt) == "M"
        holding.dask.release()
        holding.turns()
        assert step_of(job.execution, job.attempt) is None
    assert len(known) == 6
    assert step_of(holding.arn, 1) is None


def test_at_most_max_concurrency_at_once(holding: Floor) -> None:
    holding.map(task(), [1, 2, 3, 4, 5], {"f": double}, MaxConcurrency=2)
    most = 0
    holding.turns()
    while holding.dask.held:
        most = max(most, len(holding.dask.held))
        assert holding.counts["executions"]["RUNNING"] == len(holding.dask.held)
        holding.dask.release()
        holding.turns()
    assert (most, holding.output) == (2, [2, 4, 6, 8, 10])


def test_more_items_than_are_read_or_run_at_once(floor: Floor) -> None:
    items = list(range(MOST_CHILDREN + CHUNK + 1))
    floor.map(WAIT, items, type="EXPRESS")
    floor.turns()
    assert floor.counts["executions"] == {"RUNNING": MOST_CHILDREN, "PENDING": CHUNK}
    floor.settle()
    assert floor.output == items


def test_a_map_in_a_child(floor: Floor) -> None:
    inner = {
        "Type": "Map",
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "I",
            "States": {"I": {"Type": "Pass", "End": True}},
        },
        "End": True,
    }
    floor.map(inner, [[1, 2], [3]])
    floor.settle()
    assert floor.output == [[1, 2], [3]]
    runs = [floor.store.map_runs(child.arn) for child in floor.children]
    assert [len(each) for each in runs] == [1, 1]
    assert runs[0][0].arn.startswith(f"{STATES}:mapRun:machine/each/T:")


def test_the_childrens_language_is_the_machines(floor: Floor) -> None:
    floor.begin(
        {
            "QueryLanguage": "JSONata",
            "StartAt": "M",
            "States": {
                "M": {
                    "Type": "Map",
                    "Items": [1, 2],
                    "ItemProcessor": {
                        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                        "StartAt": "T",
                        "States": {"T": {"Type": "Pass", "Output": "{% $states.input * 3 %}", "End": True}},
                    },
                    "End": True,
                }
            },
        }
    )
    floor.settle()
    assert floor.output == [3, 6]


# --- items


def test_selector_and_batcher(floor: Floor) -> None:
    floor.map(
        input={"i": [1, 2, 3], "b": "x"},
        ItemsPath="$.i",
        ItemSelector={"v.$": "$$.Map.Item.Value", "n.$": "$$.Map.Item.Index"},
        ItemBatcher={"MaxItemsPerBatch": 2, "BatchInput": {"b.$": "$.b"}},
    )
    floor.settle()
    assert floor.output == [
        {"BatchInput": {"b": "x"}, "Items": [{"v": 1, "n": 0}, {"v": 2, "n": 1}]},
        {"BatchInput": {"b": "x"}, "Items": [{"v": 3, "n": 2}]},
    ]
    assert floor.counts == {"executions": {"SUCCEEDED": 2}, "items": {"SUCCEEDED": 3}}


def test_batched_items_are_counted_before_their_child_has_begun(floor: Floor) -> None:
    floor.map(WAIT, [1, 2, 3], ItemBatcher={"MaxItemsPerBatch": 2}, MaxConcurrency=1)
    floor.turns()
    assert floor.counts == {"executions": {"RUNNING": 1, "PENDING": 1}, "items": {"RUNNING": 2, "PENDING": 1}}
    floor.engine.post(floor.arn, facts.Stop())
    floor.turns()
    assert floor.counts == {"executions": {"ABORTED": 1, "PENDING": 1}, "items": {"ABORTED": 2, "PENDING": 1}}


def test_items_are_read_from_files_beside_the_execution(floor: Floor) -> None:
    (floor.folder / "data").mkdir()
    for name, first in (("b", 2), ("a", 0)):
        text = "".join(f'{{"n": {n}}}\n' for n in (first, first + 1))
        (floor.folder / "data" / f"{name}.jsonl").write_text(text)
    reader = {"Resource": GET, "ReaderConfig": {"InputType": "JSONL"}, "Parameters": {"Uri": "data/*.jsonl"}}
    floor.map(ItemReader=reader)
    floor.settle()
    assert floor.output == [{"n": n} for n in range(4)]
    assert [type(each).__name__ for each in floor.records()][2:4] == ["MapStarted", "MapRunStarted"]


def test_reading_goes_on_while_children_run(floor: Floor) -> None:
    floor.reading = []
    (floor.folder / "items.json").write_text(json.dumps(list(range(CHUNK + 3))))
    reader = {"Resource": GET, "ReaderConfig": {"InputType": "JSON"}, "Parameters": {"Uri": "items.json"}}
    floor.map(WAIT, ItemReader=reader, type="EXPRESS", MaxConcurrency=10)
    floor.turns()
    assert floor.counts == {"executions": {}, "items": {}}
    floor.reading.pop()()
    floor.turns()
    assert floor.counts["items"] == {"RUNNING": 10, "PENDING": CHUNK - 10}
    floor.reading.pop()()
    floor.turns()
    assert floor.counts["items"] == {"RUNNING": 10, "PENDING": CHUNK - 7}
    floor.settle()
    floor.reading.pop()()  # the results, too, are read where that may take its time
    floor.settle()
    assert floor.output == list(range(CHUNK + 3))
    assert floor.reading == []


def test_a_reader_that_fails_is_the_maps_failure(floor: Floor) -> None:
    (floor.folder / "items.jsonl").write_text('{"n": 1}\nnot JSON\n')
    reader = {"Resource": GET, "ReaderConfig": {"InputType": "JSONL"}, "Parameters": {"Uri": "items.jsonl"}}
    floor.map(ItemReader=reader)
    floor.settle()
    error, cause = floor.failure
    assert error == "States.ItemReaderFailed"
    assert "items.jsonl: line 2 is not JSON" in (cause or "")
    assert floor.map_run.status == "FAILED"


def test_a_reader_that_fails_later_stops_the_children(floor: Floor) -> None:
    lines = [json.dumps(n) for n in range(CHUNK)]
    (floor.folder / "items.jsonl").write_text("\n".join([*lines, "not JSON"]))
    reader = {"Resource": GET, "ReaderConfig": {"InputType": "JSONL"}, "Parameters": {"Uri": "items.jsonl"}}
    floor.map(WAIT, ItemReader=reader, MaxConcurrency=3)
    floor.settle()
    assert floor.failure[0] == "States.ItemReaderFailed"
    assert [child.status for child in floor.children] == ["ABORTED"] * 3
    assert floor.row().stopped_at == floor.row().started_at


def test_a_selector_that_fails_stops_the_children(floor: Floor) -> None:
    floor.map(WAIT, [{"v": 1}, {}], ItemSelector={"v.$": "$$.Map.Item.Value.v"})
    floor.settle()
    error, cause = floor.failure
    assert error == "States.Runtime"
    assert "$$.Map.Item.Value.v" in (cause or "")


def test_an_item_that_fits_in_no_batch(floor: Floor) -> None:
    floor.map(input=["x" * 50], ItemBatcher={"MaxInputBytesPerBatch": 20})
    floor.settle()
    assert floor.failure[0] == "States.DataLimitExceeded"


def test_whatever_a_library_raises_is_the_readers_failure(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(*_: object) -> Iterator[Item]:
        yield Item(1)
        raise RuntimeError("a bug")

    monkeypatch.setattr("nbflow.tasks.items.read_items", raising)
    floor.map(ItemReader={"Resource": GET, "ReaderConfig": {"InputType": "JSON"}})
    floor.settle()
    assert floor.failure == ("States.ItemReaderFailed", "RuntimeError: a bug")


def test_members_of_an_object_are_items(floor: Floor) -> None:
    floor.map(input={"a": 1, "b": [2]})
    floor.settle()
    assert floor.output == [{"Key": "a", "Value": 1}, {"Key": "b", "Value": [2]}]


def test_the_rows_of_a_frame_that_a_task_has_made_are_items(floor: Floor) -> None:
    make = {"Type": "Task", "Resource": TASK, "Next": "M"}
    floor.map(
        around={"F": make},
        start="F",
        tasks={"f": lambda _: pd.DataFrame({"n": range(3)})},
        ItemSelector={"row.$": "$$.Map.Item.Value", "of.$": "$$.Map.Item.Source"},
    )
    floor.settle()
    assert floor.output == [{"row": {"n": n}, "of": "STATE_DATA"} for n in range(3)]


def test_what_looks_like_a_reference_is_an_object(floor: Floor) -> None:
    floor.map(input={"nbflow": "dataframe", "sha256": "0" * 64})
    floor.settle()
    assert [each["Key"] for each in floor.output] == ["nbflow", "sha256"]


# --- results


def test_results_are_written_beside_the_execution(floor: Floor) -> None:
    writer = {"Resource": PUT, "Parameters": {"Uri": "out"}}
    floor.map(task("odd"), [2, 1], {"odd": odd}, ResultWriter=writer, ToleratedFailureCount=1)
    floor.settle()
    run = floor.map_run.arn.rpartition(":")[2]
    manifest = floor.folder / "out" / run / "manifest.json"
    assert floor.output == {
        "MapRunArn": floor.map_run.arn,
        "ResultWriterDetails": {"Uri": str(manifest)},
    }
    [succeeded] = json.loads((manifest.parent / "SUCCEEDED_0.json").read_text())
    [failed] = json.loads((manifest.parent / "FAILED_0.json").read_text())
    assert (succeeded["Input"], succeeded["Output"], succeeded["Status"]) == ("2", "2", "SUCCEEDED")
    assert (failed["Input"], failed["Error"], failed["StateMachineArn"]) == (
        "1",
        "ValueError",
        f"{MACHINE}/each",
    )


def test_results_that_cannot_be_written(floor: Floor) -> None:
    (floor.folder / "out").write_text("a file, not a folder")
    floor.map(input=[1], ResultWriter={"Resource": PUT, "Parameters": {"Uri": "out"}})
    floor.settle()
    assert floor.failure[0] == "States.ResultWriterFailed"
    assert floor.map_run.status == "FAILED"
    assert floor.counts["executions"] == {"SUCCEEDED": 1}


def test_whatever_a_library_raises_is_the_writers_failure(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("nbflow.engine.map_results.write_results", raising)
    floor.map(input=[1], ResultWriter={"Resource": PUT, "Parameters": {"Uri": "out"}})
    floor.settle()
    assert floor.failure == ("States.ResultWriterFailed", "RuntimeError: a bug")


def test_results_that_are_only_transformed(floor: Floor) -> None:
    floor.map(input=[[1, 2], [3]], ResultWriter={"WriterConfig": {"Transformation": "FLATTEN"}})
    floor.settle()
    assert floor.output == [1, 2, 3]


def test_a_transformation_that_there_is_not(floor: Floor) -> None:
    floor.map(input=[1], ResultWriter={"WriterConfig": {"Transformation": "SQUEEZE"}})
    floor.settle()
    assert floor.failure[0] == "States.ResultWriterFailed"


def test_a_stop_while_results_are_written(floor: Floor) -> None:
    floor.reading = []
    floor.map(input=[1], ResultWriter={"Resource": PUT, "Parameters": {"Uri": "out"}})
    floor.turns()
    floor.engine.post(floor.arn, facts.Stop())
    floor.turns()
    assert (floor.row().status, floor.map_run.status) == ("ABORTED", "ABORTED")
    floor.reading.pop()()
    floor.turns()
    assert (floor.row().status, floor.map_run.status) == ("ABORTED", "ABORTED")


# --- tolerance


@pytest.mark.parametrize(
    ("state", "items", "expected"),
    [
        ({}, [2, 1, 4], None),
        ({"ToleratedFailureCount": 0}, [2, 1, 4], None),
        ({"ToleratedFailureCount": 1}, [2, 1, 4], [2, 4]),
        ({"ToleratedFailureCount": 1}, [1, 3], None),
        ({"ToleratedFailurePercentage": 33}, [2, 1, 4], None),
        ({"ToleratedFailurePercentage": 34}, [2, 1, 4], [2, 4]),
        ({"ToleratedFailurePercentage": 100}, [1, 3], []),
        ({"ToleratedFailureCount": 1, "ToleratedFailurePercentage": 100}, [1, 3, 4], None),
        ({"ToleratedFailureCount": 9, "ToleratedFailurePercentage": 1}, [1, 4, 6], None),
        ({"ToleratedFailureCount": 0, "ToleratedFailurePercentage": 100}, [1, 4, 6], None),
    ],
)
@pytest.mark.parametrize("type", ["STANDARD", "EXPRESS"])
def test_tolerated_failures(
    floor: Floor, type: str, state: dict[str, Json], items: list[int], expected: list[int] | None
) -> None:
    floor.map(task("odd"), items, {"odd": odd}, type=type, **state)
    floor.settle()
    if expected is not None:
        assert floor.output == expected
        return
    assert floor.failure == (
        "States.ExceedToleratedFailureThreshold",
        "The specified tolerated failure threshold was exceeded",
    )
    assert floor.map_run.status == "FAILED"


def test_batched_items_fail_together(floor: Floor) -> None:
    floor.map({"Type": "Fail"}, [1, 2], ItemBatcher={"MaxItemsPerBatch": 2}, ToleratedFailureCount=1)
    floor.settle()
    assert floor.failure[0] == "States.ExceedToleratedFailureThreshold"
    assert floor.counts == {"executions": {"FAILED": 1}, "items": {"FAILED": 2}}


def test_nothing_is_begun_after_the_failure_that_is_one_too_many(holding: Floor) -> None:
    holding.map(task("odd"), [1, 2, 4], {"odd": odd}, MaxConcurrency=2)
    holding.turns()
    holding.dask.release()
    holding.turns()
    assert holding.failure[0] == "States.ExceedToleratedFailureThreshold"
    assert [child.status for child in holding.children] == ["FAILED", "ABORTED"]
    assert holding.dask.held == []
    assert holding.counts["executions"] == {"FAILED": 1, "ABORTED": 1, "PENDING": 1}


def test_a_stopped_child_counts_as_a_failure(floor: Floor) -> None:
    floor.map(WAIT, [1, 2, 3], ToleratedFailureCount=1)
    floor.turns()
    first, second, _ = floor.children
    floor.engine.post(first.arn, facts.Stop())
    floor.turns()
    assert floor.counts["items"] == {"ABORTED": 1, "RUNNING": 2}
    floor.engine.post(second.arn, facts.Stop())
    floor.turns()
    assert floor.failure[0] == "States.ExceedToleratedFailureThreshold"
    assert [child.status for child in floor.children] == ["ABORTED"] * 3


def test_a_childs_timeout(floor: Floor) -> None:
    floor.map(task(TimeoutSeconds=5), [1], {"f": double})
    floor.dask.hold = True
    floor.settle()
    assert floor.failure[0] == "States.ExceedToleratedFailureThreshold"
    [child] = floor.children
    assert (child.status, child.error) == ("FAILED", "States.Timeout")


def test_retry_and_catch_of_the_map(floor: Floor) -> None:
    retry = [{"ErrorEquals": ["States.ExceedToleratedFailureThreshold"], "MaxAttempts": 1}]
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "C"}]
    caught: Json = {"Type": "Pass", "Result": "caught", "End": True}
    floor.map({"Type": "Fail"}, [1], Retry=retry, Catch=catch, around={"C": caught})
    floor.settle()
    assert floor.output == "caught"
    assert [run.status for run in floor.store.map_runs(floor.arn)] == ["FAILED", "FAILED"]


@pytest.mark.parametrize("type", ["STANDARD", "EXPRESS"])
def test_an_item_that_utf_8_cannot_hold(floor: Floor, type: str) -> None:
    floor.map(input=["\ud800"], type=type)
    floor.settle()
    assert floor.output == ["\ud800"]
