"""``run_machine`` of distributed Maps: children on the same mocks and the same clock."""

import json
from pathlib import Path

import pytest

import nbflow as nf
from nbflow.language.values import Json
from nbflow.testing import NEVER, After, MockError, NeverEnds, Return, Throw, run_machine
from tests.testing.test_running import machine, task

READER = {
    "Resource": "arn:aws:states:::s3:getObject",
    "ReaderConfig": {"InputType": "JSON"},
    "Parameters": {"Bucket": "b", "Key": "k"},
}
WRITER = {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b", "Prefix": "p"}}
EXCEEDED = "States.ExceedToleratedFailureThreshold"


def distributed(inner: Json = None, *, type: str = "STANDARD", **fields: Json) -> dict[str, Json]:
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": type},
        **machine(T=inner or task()),
    }
    return {"Type": "Map", "ItemProcessor": processor, "End": True, **fields}


def test_children_are_played_on_the_mocks() -> None:
    run = run_machine(machine(M=distributed()), [1, 2, 3], {"T": lambda n: 10 * n})
    assert run.result() == [10, 20, 30]
    assert (run.states, run.calls("T")) == (["M"], [1, 2, 3])
    assert [event["type"] for event in run.events][3:5] == ["MapRunStarted", "MapRunSucceeded"]
    assert [(child.machine, child.status, child.output) for child in run.children("M")] == [
        ("machine/M", "SUCCEEDED", 10),
        ("machine/M", "SUCCEEDED", 20),
        ("machine/M", "SUCCEEDED", 30),
    ]
    assert run.children("M")[0].states == ["T"]
    with pytest.raises(KeyError, match="there is no distributed Map 'N' in machine"):
        run.children("N")


def test_children_are_played_on_the_functions_too() -> None:
    run = run_machine(machine(M=distributed(type="EXPRESS")), [-1, 2], tasks={"f": abs})
    assert run.result() == [1, 2]


def test_attempts_are_counted_over_all_children() -> None:
    retry = [{"ErrorEquals": ["OSError"], "IntervalSeconds": 3}]
    inner = task(Retry=retry)
    run = run_machine(machine(M=distributed(inner)), ["a", "b"], {"T": [OSError(), 2, 1]})
    assert (run.result(), run.attempts("T"), run.seconds) == ([1, 2], 3, 3)


@pytest.mark.parametrize(("concurrency", "seconds"), [(0, 10), (1, 30), (2, 20)])
def test_time_is_the_same_for_all(concurrency: int, seconds: int) -> None:
    definition = machine(M=distributed(MaxConcurrency=concurrency))
    run = run_machine(definition, [1, 2, 3], {"T": After(10, "done")})
    assert (run.result(), run.seconds) == (["done"] * 3, seconds)


def test_a_wait_and_a_timeout_in_children() -> None:
    wait = {"Type": "Wait", "SecondsPath": "$", "End": True}
    run = run_machine(machine(M=distributed(wait)), [300, 5, 60])
    assert (run.result(), run.seconds) == ([300, 5, 60], 300)
    run = run_machine(machine(M=distributed(task(TimeoutSeconds=7))), [1], {"T": NEVER})
    assert (run.error, run.seconds) == (EXCEEDED, 7)
    [child] = run.children("M")
    assert (child.status, child.error) == ("FAILED", "States.Timeout")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"ToleratedFailureCount": 1}, [1, 3]),
        ({"ToleratedFailurePercentage": 33}, None),
        ({"ToleratedFailurePercentage": 34}, [1, 3]),
    ],
)
def test_tolerated_failures(fields: dict[str, Json], expected: Json) -> None:
    run = run_machine(machine(M=distributed(**fields)), [1, 2, 3], {"T": [1, Throw("E"), 3]})
    assert (run.output, run.error) == (expected, None if expected else EXCEEDED)


def test_children_that_are_given_up_are_aborted() -> None:
    definition = machine(M=distributed(MaxConcurrency=2))
    run = run_machine(definition, [1, 2, 3], {"T": [After(1, Throw("E")), After(2, "late")]})
    assert (run.error, run.seconds) == (EXCEEDED, 1)
    assert [child.status for child in run.children("M")] == ["FAILED", "ABORTED"]


def test_a_retried_map_plays_its_children_again() -> None:
    retry = [{"ErrorEquals": [EXCEEDED], "IntervalSeconds": 5}]
    run = run_machine(machine(M=distributed(Retry=retry)), [1], {"T": [Throw("E"), "well"]})
    assert (run.result(), run.seconds) == (["well"], 5)
    assert [child.status for child in run.children("M")] == ["FAILED", "SUCCEEDED"]


def test_selector_and_batches() -> None:
    definition = machine(
        M=distributed(
            ItemsPath="$.i",
            ItemSelector={"v.$": "$$.Map.Item.Value"},
            ItemBatcher={"MaxItemsPerBatch": 2, "BatchInput": {"b.$": "$.b"}},
        )
    )
    run = run_machine(definition, {"i": [1, 2, 3], "b": 9}, {"T": "done"})
    assert run.result() == ["done"] * 2
    assert run.calls("T") == [
        {"BatchInput": {"b": 9}, "Items": [{"v": 1}, {"v": 2}]},
        {"BatchInput": {"b": 9}, "Items": [{"v": 3}]},
    ]
    failing = machine(M=distributed(ItemSelector={"v.$": "$$.Map.Item.Value.none"}))
    assert run_machine(failing, [1], {"T": 1}).error == "States.Runtime"


def test_the_mock_of_a_reader_is_its_items() -> None:
    definition = machine(M=distributed(ItemReader=READER))
    run = run_machine(definition, {}, {"M": [4, 5], "T": lambda n: -n})
    assert run.result() == [-4, -5]
    assert run_machine(definition, {}, {"M": Return([6]), "T": 1}).result() == [1]
    assert run_machine(definition, {}, {"M": []}).result() == []
    run = run_machine(definition, {}, {"M": Throw("States.ItemReaderFailed", "no such bucket")})
    assert (run.error, run.cause) == ("States.ItemReaderFailed", "no such bucket")


def test_what_a_writer_would_write_is_not_written() -> None:
    run = run_machine(machine(M=distributed(ResultWriter=WRITER)), [1], {"T": 1})
    output = run.output
    name = output["MapRunArn"].rpartition(":")[2]
    assert output["ResultWriterDetails"] == {"Bucket": "b", "Key": f"p/{name}/manifest.json"}
    flat = distributed(ResultWriter={"WriterConfig": {"Transformation": "FLATTEN"}})
    assert run_machine(machine(M=flat), [1, 2], {"T": Return([7, 8])}).output == [7, 8, 7, 8]
    nowhere = distributed(ResultWriter={**WRITER, "Parameters": {}})
    assert run_machine(machine(M=nowhere), [1], {"T": 1}).error == "States.ResultWriterFailed"


def test_a_map_in_a_child() -> None:
    definition = machine(M=distributed(distributed(ItemProcessor=distributed()["ItemProcessor"])))
    inner = definition["States"]["M"]["ItemProcessor"]["States"]["T"]["ItemProcessor"]
    inner["StartAt"] = "U"
    inner["States"] = {"U": task()}
    run = run_machine(definition, [[1, 2], [3]], {"U": lambda n: n + 1})
    assert run.result() == [[2, 3], [4]]
    assert [child.output for child in run.children("M")[0].children("T")] == [2, 3]


def test_the_machines_timeout() -> None:
    definition = {**machine(M=distributed()), "TimeoutSeconds": 30}
    run = run_machine(definition, [1], {"T": NEVER})
    assert (run.status, run.seconds) == ("TIMED_OUT", 30)
    assert [child.status for child in run.children("M")] == ["ABORTED"]


def test_mistakes_say_what_to_write() -> None:
    definition = machine(M=distributed(ItemReader=READER))
    with pytest.raises(MockError, match=r"state 'M' reads its items, .* mocks=\{'M': \[<its items>\]\}"):
        run_machine(definition, {}, {"T": 1})
    with pytest.raises(
        MockError, match="the mock of Map state 'M' is the list of the items that it reads, not 7"
    ):
        run_machine(definition, {}, {"M": 7})
    with pytest.raises(MockError, match="state 'M' is a Map state: only Task states are mocked"):
        run_machine(machine(M=distributed()), [], {"M": []})
    with pytest.raises(NeverEnds, match="an attempt at 'T', an attempt at 'T' does not end"):
        run_machine(machine(M=distributed()), [1, 2], {"T": NEVER})


def test_a_case_of_a_mock_configuration_has_the_items_too(tmp_path: Path) -> None:
    config = {
        "StateMachines": {"machine": {"TestCases": {"c": {"M": "items", "T": "done"}}}},
        "MockedResponses": {
            "items": {"0": {"Return": [1, 2]}},
            "done": {"0-1": {"Return": "done"}},
        },
    }
    path = tmp_path / "mocks.json"
    path.write_text(json.dumps(config))
    run = run_machine(machine(M=distributed(ItemReader=READER)), {}, path, case="c")
    assert run.result() == ["done", "done"]


def test_a_run_with_a_map_run_has_no_test_but_its_children_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dask_client: object
) -> None:
    monkeypatch.chdir(tmp_path)
    nf.connect(f"sqlite:///{tmp_path / 'nbflow.sqlite'}")
    run = nf.StateMachine(machine(M=distributed()), name="orders", tasks={"f": abs}).start([-3]).wait()
    with pytest.raises(nf.NbflowError, match=r"has a distributed Map, .*\.children\[0\]\.to_test"):
        run.to_test()
    path = run["M"].children[0].to_test()
    assert path.name == "test_orders_m.py"
    names: dict[str, Json] = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    names["test_orders_m"]()
