"""Distributed Maps: what is planned when one is entered, what its history shows, and how it ends."""

import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.language.values import Json
from nbflow.machine import facts, orders, records
from nbflow.machine.distributed import child
from nbflow.machine.trace import Trace
from tests.machine.driver import TASK, Driver, Script
from tests.machine.test_states import RUNTIME, echo, fails, one

READER = {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "JSON"}}
MACHINE = "arn:aws:states:us-east-1:000000000000:mapRun:machine"


def distributed(inner: dict[str, Json] | None = None, **state: Json) -> dict[str, Json]:
    """A machine of the Distributed Map ``S`` over Pass states ``I``."""
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "I",
        "States": {"I": inner or {"Type": "Pass", "End": True}},
    }
    return one(Type="Map", ItemProcessor=processor, **state)


def ordered(definition: dict[str, Json], input: Json) -> orders.RunMap:
    """The order of the Map Run."""
    driver = Driver(definition).start(input)
    [order] = [order for order in driver.todo if isinstance(order, orders.RunMap)]
    assert driver.machine.outstanding() == [order]
    return order


# --- the plan


@dataclass(frozen=True)
class Planned:
    id: str
    state: dict[str, Json]
    input: Json
    plan: dict[str, Json] = field(default_factory=dict)
    """Members of MapRunStarted."""
    items: Json = None


PLANS = [
    Planned("nothing said", {}, [1, 2], {"concurrency": 0, "tolerated_count": None, "reader": None}, [1, 2]),
    Planned("no items", {}, [], {}, []),
    Planned("ItemsPath", {"ItemsPath": "$.a"}, {"a": [1]}, {"origin": "value"}, [1]),
    Planned("the input itself is not written twice", {}, [1], {"origin": "input", "items": None}, [1]),
    Planned(
        "Items in JSONata",
        {"QueryLanguage": "JSONata", "Items": "{% $states.input.a[$ > 1] %}"},
        {"a": [1, 2, 3]},
        {},
        [2, 3],
    ),
    Planned(
        "numbers",
        {"MaxConcurrency": 2, "ToleratedFailureCount": 0, "ToleratedFailurePercentage": 12.5},
        [],
        {"concurrency": 2, "tolerated_count": 0, "tolerated_percentage": 12.5},
        [],
    ),
    Planned(
        "numbers by paths",
        {
            "ItemsPath": "$.i",
            "MaxConcurrencyPath": "$.c",
            "ToleratedFailureCountPath": "$.n",
            "ToleratedFailurePercentagePath": "$.p",
        },
        {"i": [], "c": 3, "n": "4", "p": 0.5},
        {"concurrency": 3, "tolerated_count": 4, "tolerated_percentage": 0.5},
        [],
    ),
    Planned(
        "numbers in JSONata",
        {
            "QueryLanguage": "JSONata",
            "Items": [1],
            "MaxConcurrency": "{% $states.input.c %}",
            "ToleratedFailureCount": "{% 1 + 1 %}",
            "ToleratedFailurePercentage": "{% 2.5 %}",
        },
        {"c": 7},
        {"concurrency": 7, "tolerated_count": 2, "tolerated_percentage": 2.5},
        [1],
    ),
    Planned(
        "a reader: ItemsPath means nothing, MaxItemsPath is read, InputPath holds for Parameters",
        {
            "InputPath": "$.at",
            "ItemsPath": "$.none",
            "ItemReader": {
                **READER,
                "Parameters": {"Bucket.$": "$.bucket", "Key": "k"},
                "ReaderConfig": {"InputType": "JSON", "MaxItemsPath": "$.most"},
            },
        },
        {"at": {"bucket": "b"}, "most": 2},
        {
            "reader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "Parameters": {"Bucket": "b", "Key": "k"},
                "ReaderConfig": {"InputType": "JSON", "MaxItems": 2},
            },
            "origin": "value",
        },
        None,
    ),
    Planned(
        "a reader in JSONata",
        {
            "QueryLanguage": "JSONata",
            "ItemReader": {
                **READER,
                "Arguments": {"Bucket": "{% $states.input.b %}"},
                "ReaderConfig": {"InputType": "CSV", "MaxItems": "{% $states.input.most %}"},
            },
        },
        {"b": "bucket", "most": 5},
        {
            "reader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "Parameters": {"Bucket": "bucket"},
                "ReaderConfig": {"InputType": "CSV", "MaxItems": 5},
            }
        },
        None,
    ),
    Planned(
        "batches",
        {
            "ItemsPath": "$.i",
            "ItemBatcher": {
                "MaxItemsPerBatchPath": "$.n",
                "MaxInputBytesPerBatch": 1000,
                "BatchInput": {"of.$": "$$.State.Name", "n.$": "$.n"},
            },
        },
        {"i": [1], "n": 3},
        {
            "batcher": {
                "MaxItemsPerBatch": 3,
                "MaxInputBytesPerBatch": 1000,
                "BatchInput": {"of": "S", "n": 3},
            }
        },
        [1],
    ),
    Planned(
        "batches in JSONata",
        {
            "QueryLanguage": "JSONata",
            "Items": [1],
            "ItemBatcher": {"MaxItemsPerBatch": "{% 2 %}", "BatchInput": "{% $states.input %}"},
        },
        {"x": 1},
        {"batcher": {"MaxItemsPerBatch": 2, "MaxInputBytesPerBatch": None, "BatchInput": {"x": 1}}},
        [1],
    ),
    Planned(
        "a writer",
        {
            "ItemsPath": "$.i",
            "ResultWriter": {
                "Resource": "arn:aws:states:::s3:putObject",
                "Parameters": {"Bucket": "b", "Prefix.$": "$.p"},
                "WriterConfig": {"OutputType": "JSONL", "Transformation": "COMPACT"},
            },
        },
        {"i": [], "p": "out"},
        {
            "writer": {
                "Resource": "arn:aws:states:::s3:putObject",
                "Parameters": {"Bucket": "b", "Prefix": "out"},
                "WriterConfig": {"OutputType": "JSONL", "Transformation": "COMPACT"},
            }
        },
        [],
    ),
    Planned(
        "a writer without a place",
        {"ResultWriter": {"WriterConfig": {"Transformation": "FLATTEN"}}},
        [],
        {
            "writer": {
                "Resource": None,
                "Parameters": None,
                "WriterConfig": {"Transformation": "FLATTEN"},
            }
        },
        [],
    ),
]


@pytest.mark.parametrize("case", PLANS, ids=lambda case: case.id)
def test_the_plan_is_evaluated_when_the_map_is_entered(case: Planned) -> None:
    order = ordered(distributed(**case.state), case.input)
    assert {name: getattr(order.plan, name) for name in case.plan} == case.plan
    assert (order.items, order.attempt, order.name, order.input) == (case.items, 4, "S", case.input)


def test_a_map_run_is_named_by_machine_label_and_chance() -> None:
    definition = distributed(Label="each")
    first, second = (
        ordered(definition, []).plan.arn,
        Driver(definition, seed=1).start([]).records[-1].arn,  # type: ignore[union-attr]
    )
    assert first != second
    assert first.startswith(f"{MACHINE}/each:")
    state = definition["States"].pop("S")
    odd = {**definition, "StartAt": "Wörter / Zeile", "States": {"Wörter / Zeile": {**state}}}
    del odd["States"]["Wörter / Zeile"]["Label"]
    driver = Driver(odd).start([])
    [plan] = [each for each in driver.records if isinstance(each, records.MapRunStarted)]
    assert plan.arn.startswith(f"{MACHINE}/Wörter---Zeile:")


ERRORS = [
    ("MaxConcurrencyPath", {"MaxConcurrencyPath": "$.n"}, "MaxConcurrency cannot be negative."),
    (
        "ToleratedFailureCountPath",
        {"ToleratedFailureCountPath": "$.n"},
        "ToleratedFailureCount cannot be negative.",
    ),
    (
        "ToleratedFailurePercentagePath",
        {"ToleratedFailurePercentagePath": "$.n"},
        "ToleratedFailurePercentage must be between 0 and 100.",
    ),
    (
        "MaxItemsPerBatchPath",
        {"ItemBatcher": {"MaxItemsPerBatchPath": "$.n"}},
        "MaxItemsPerBatch must be positive.",
    ),
    (
        "MaxItemsPath",
        {"ItemReader": {**READER, "ReaderConfig": {"InputType": "JSON", "MaxItemsPath": "$.n"}}},
        "MaxItems cannot be negative.",
    ),
]


@pytest.mark.parametrize(("state", "cause"), [error[1:] for error in ERRORS], ids=[e[0] for e in ERRORS])
def test_a_plan_that_fails_starts_no_run(state: dict[str, Json], cause: str) -> None:
    driver = Driver(distributed(ItemsPath="$.i", **state)).go({"i": [1], "n": -1})
    assert (driver.run.error, driver.run.cause) == ("States.Runtime", RUNTIME + cause)
    assert driver.story == [
        "1<0 ExecutionStarted",
        "2<0 MapStateEntered",
        "3<2 MapStateStarted",
        "4<3 ExecutionFailed",
    ]


def test_what_is_no_array_does_not_even_start_the_map() -> None:
    driver = Driver(distributed(ItemsPath="$.i")).go({"i": 1})
    assert driver.story == ["1<0 ExecutionStarted", "2<0 MapStateEntered", "3<2 ExecutionFailed"]


def test_a_failing_plan_in_jsonata_can_be_caught() -> None:
    definition = distributed(
        QueryLanguage="JSONata",
        Items=[1],
        ItemBatcher={"MaxItemsPerBatch": "{% 'x' %}"},
        Catch=[{"ErrorEquals": ["States.QueryEvaluationError"], "Next": "C"}],
    )
    definition["States"]["C"] = {"Type": "Pass", "End": True}
    driver = Driver(definition).go()
    assert driver.run.status == "SUCCEEDED"
    assert [event["type"] for event in driver.events] == [
        "ExecutionStarted",
        "MapStateEntered",
        "MapStateStarted",
        "EvaluationFailed",
        "MapStateFailed",
        "MapStateExited",
        "PassStateEntered",
        "PassStateExited",
        "ExecutionSucceeded",
    ]


# --- how it ends


def test_the_history_of_a_run_that_succeeds() -> None:
    driver = Driver(distributed(Label="L")).go([5, 6])
    assert driver.run.output == [5, 6]
    assert driver.story == [
        "1<0 ExecutionStarted",
        "2<0 MapStateEntered",
        "3<2 MapStateStarted",
        "4<3 MapRunStarted",
        "5<4 MapRunSucceeded",
        "6<5 MapStateSucceeded",
        "7<5 MapStateExited",  # so AWS counts
        "8<7 ExecutionSucceeded",
    ]
    assert driver.events[2]["mapStateStartedEventDetails"] == {"length": 2}
    assert driver.events[3]["mapRunStartedEventDetails"]["mapRunArn"].startswith(f"{MACHINE}/L:")
    assert "mapRunSucceededEventDetails" not in driver.events[4]


def test_the_history_of_a_run_that_fails() -> None:
    definition = distributed({"Type": "Fail", "Error": "E"})
    driver = Driver(definition).go([1])
    assert driver.story[3:] == [
        "4<3 MapRunStarted",
        "5<4 MapRunFailed",
        "6<5 MapStateFailed",
        "7<6 ExecutionFailed",
    ]
    error = {"error": "States.ExceedToleratedFailureThreshold", "cause": "too many"}
    assert driver.events[4]["mapRunFailedEventDetails"] == error
    assert driver.events[6]["executionFailedEventDetails"] == error


def test_a_selector_that_fails_is_the_runs_failure_and_shown_as_the_maps() -> None:
    driver = Driver(distributed(ItemSelector={"x.$": "$$.Map.Item.Value.none"})).go([{}])
    assert (driver.run.status, driver.run.error) == ("FAILED", "States.Runtime")
    assert [event["type"] for event in driver.events[4:]] == [
        "MapRunFailed",
        "MapStateFailed",
        "ExecutionFailed",
    ]


def tried(definition: dict[str, Json], script: Script, input: Json) -> Driver:
    return Driver(definition, {"I": script}).go(input)


def once_failing(number: int, arguments: Json) -> Json:
    return (fails("Boom") if number == 0 else echo)(number, arguments)


def test_a_retry_of_the_map_is_a_new_run() -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 5, "MaxAttempts": 1}]
    driver = tried(distributed(work(), Retry=retry), once_failing, [1, 2])
    assert (driver.run.output, driver.now) == ([1, 2], 1005.0)
    started = [each for each in driver.records if isinstance(each, records.MapRunStarted)]
    assert len({each.arn for each in started}) == 2
    assert driver.story[3:8] == [
        "4<3 MapRunStarted",
        "5<4 MapRunFailed",
        "6<5 MapStateStarted",
        "7<6 MapRunStarted",
        "8<7 MapRunSucceeded",
    ]


def work() -> dict[str, Json]:
    return {"Type": "Task", "Resource": TASK, "End": True}


def test_a_catch_takes_the_runs_error() -> None:
    catch = [{"ErrorEquals": ["States.ExceedToleratedFailureThreshold"], "Next": "C"}]
    definition = distributed({"Type": "Fail"}, Catch=catch)
    definition["States"]["C"] = {"Type": "Pass", "End": True}
    driver = Driver(definition).go([1])
    assert driver.run.output == {
        "Error": "States.ExceedToleratedFailureThreshold",
        "Cause": "too many",
    }
    assert driver.story[4:8] == [
        "5<4 MapRunFailed",
        "6<5 MapStateFailed",
        "7<6 MapStateExited",
        "8<7 PassStateEntered",
    ]


def test_result_selector_and_result_path_and_assign() -> None:
    definition = distributed(
        ItemsPath="$.i",
        ResultSelector={"n.$": "States.ArrayLength($)"},
        ResultPath="$.counted",
        Assign={"kept.$": "$.n"},
        Next="P",
    )
    definition["States"]["P"] = {"Type": "Pass", "Parameters": {"is.$": "$", "v.$": "$kept"}, "End": True}
    assert Driver(definition).go({"i": [1, 2]}).run.output == {
        "is": {"i": [1, 2], "counted": {"n": 2}},
        "v": 2,
    }


# --- ItemSelector


def selected(definition: dict[str, Json], input: Json) -> list[Json]:
    driver = Driver(definition).go(input)
    return [child.run.input for child in driver.children]


def test_a_selector_sees_item_input_and_context() -> None:
    selector = {
        "i.$": "$$.Map.Item.Index",
        "v.$": "$$.Map.Item.Value",
        "all.$": "$.i",
        "of.$": "$$.State.Name",
        "run.$": "$$.Execution.Name",
    }
    definition = distributed(InputPath="$.at", ItemsPath="$.i", ItemSelector=selector)
    common = {"all": [5, 6], "of": "S", "run": "run"}
    assert selected(definition, {"at": {"i": [5, 6]}}) == [
        {"i": 0, "v": 5, **common},
        {"i": 1, "v": 6, **common},
    ]
    assert selected(distributed(InputPath=None, ItemReader=READER), {}) == []


def test_a_selector_in_jsonata_sees_variables() -> None:
    selector = "{% $states.context.Map.Item.Value * $factor + $states.context.Map.Item.Index %}"
    definition = distributed(QueryLanguage="JSONata", Items="{% $states.input %}", ItemSelector=selector)
    definition["States"]["V"] = {"Type": "Pass", "Assign": {"factor": 10}, "Next": "S"}
    definition["StartAt"] = "V"
    assert selected(definition, [1, 2]) == [10, 21]


def test_members_of_an_object_are_items_with_their_names() -> None:
    assert selected(distributed(), {"a": 1, "b": None}) == [
        {"Key": "a", "Value": 1},
        {"Key": "b", "Value": None},
    ]
    selector = {"k.$": "$$.Map.Item.Key", "v.$": "$$.Map.Item.Value", "s.$": "$$.Map.Item.Source"}
    assert selected(distributed(ItemsPath="$.o", ItemSelector=selector), {"o": {"a": 1}}) == [
        {"k": "a", "v": 1, "s": "STATE_DATA"}
    ]
    jsonata = distributed(QueryLanguage="JSONata", Items={"a": "{% $states.input %}"})
    assert selected(jsonata, 5) == [{"Key": "a", "Value": 5}]


# --- facts at odd times


def under_way(definition: dict[str, Json], input: Json) -> tuple[Driver, int]:
    driver = Driver(definition).start(input)
    [order] = [order for order in driver.todo if isinstance(order, orders.RunMap)]
    driver.todo.clear()
    return driver, order.attempt


def test_a_stop_gives_the_run_up() -> None:
    driver, attempt = under_way(distributed(), [1])
    driver.step(facts.Stop())
    assert (driver.run.status, driver.todo) == ("ABORTED", [orders.CancelTask(attempt)])
    driver.settle()
    assert driver.machine.outstanding() == []


def test_the_machines_timeout_gives_the_run_up() -> None:
    driver, attempt = under_way({**distributed(), "TimeoutSeconds": 10}, [1])
    assert driver.run.deadline == 1010.0
    driver.now = 1010.0
    driver.step(facts.Tick())
    assert (driver.run.status, driver.todo) == ("TIMED_OUT", [orders.CancelTask(attempt)])


def test_a_late_answer_changes_nothing() -> None:
    driver, attempt = under_way(distributed(), [1])
    driver.step(facts.TaskSucceeded(attempt, []))
    assert driver.step(facts.TaskSucceeded(attempt, [1])) == []
    assert driver.run.output == []


def test_a_restart_orders_the_same_run_again() -> None:
    definition = distributed(ItemsPath="$.i", ItemSelector={"x": 1}, ItemBatcher={"MaxItemsPerBatch": 1})
    driver, _ = under_way(definition, {"i": [1, 2]})
    before = driver.machine.outstanding()
    driver.restart()  # compares the orders, too
    assert driver.todo == before
    [order] = before
    assert isinstance(order, orders.RunMap)
    assert order.items == [1, 2]


def test_a_failing_sibling_gives_the_run_up() -> None:
    fail = {
        "StartAt": "F",
        "States": {"F": {"Type": "Wait", "Seconds": 1, "Next": "G"}, "G": {"Type": "Fail"}},
    }
    scope = distributed()
    parallel: dict[str, Any] = one(Type="Parallel", Branches=[{**scope}, fail])
    parallel["States"]["P"] = parallel["States"].pop("S")
    parallel["StartAt"] = "P"
    driver = Driver(parallel).start([1])
    [order] = [order for order in driver.todo if isinstance(order, orders.RunMap)]
    driver.todo.remove(order)
    driver.settle()
    assert driver.run.status == "FAILED"
    assert not driver.run.cancelling


# --- what people look at


def test_the_trace_of_a_run() -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}]
    driver = Driver(distributed(work(), Retry=retry), {"I": once_failing}).go([1, 2])
    trace = Trace(driver.definition)
    for record in driver.records:
        visit = trace.add(record)
        if isinstance(record, records.MapRunStarted):
            assert visit is not None
            assert (visit.status, visit.done, visit.total, visit.map_run) == ("RUNNING", 0, 2, record.arn)
        if isinstance(record, records.RetryScheduled):
            assert visit is not None
            assert (visit.error, visit.retry_due) == ("States.ExceedToleratedFailureThreshold", 1001.0)
    [visit] = trace.visits
    assert (visit.status, visit.done, visit.total, visit.branches) == ("SUCCEEDED", 2, 2, {})
    assert [(each.id, each.error) for each in visit.attempts] == [
        (4, "States.ExceedToleratedFailureThreshold"),
        (7, None),
    ]


@given(st.text(), st.integers(0, 10**9))
def test_a_child_is_named_by_a_uuid_of_its_run_and_number(run: str, number: int) -> None:
    arn = (
        f"arn:aws:states:us-east-1:000000000000:mapRun:machine/each:{run.encode('utf-8', 'replace').decode()}"
    )
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{arn}#{number}"))
    assert child(arn, number, express=False).name == name
