"""Map Runs over the API (AWS, ListMapRuns, DescribeMapRun, UpdateMapRun), and their children."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbflow.language.values import Json
from nbflow.machine.trace import Ends
from nbflow.service.arns import execution_arn
from nbflow.service.map_runs import Progress
from tests.service.support import CODES, PASS, TASK, WAIT, WORK, Office

MAP_RUN = "arn:aws:states:us-east-1:000000000000:mapRun:m/label:1"
STATES = "arn:aws:states:us-east-1:000000000000"


def mapped(inner: Json = WAIT, *, type: str = "STANDARD", **state: Json) -> Json:
    """A machine of the Distributed Map ``M`` over the states of another machine."""
    processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": type}, **inner}
    made = {"Type": "Map", "Label": "each", "ItemProcessor": processor, "End": True, **state}
    return {"StartAt": "M", "States": {"M": made}}


BY_ITEM: Json = {"StartAt": "W", "States": {"W": {"Type": "Wait", "SecondsPath": "$", "End": True}}}


def begin(office: Office, definition: Json, items: Json = (1, 2)) -> tuple[str, str]:
    """Start the machine; the ARNs of the execution and of its Map Run."""
    run = office.start(office.machine(definition), json.dumps(items))
    office.settled()
    [listed] = office.call("ListMapRuns", executionArn=run)["mapRuns"]
    return run, listed["mapRunArn"]


def children(office: Office, map_run: str) -> list[dict[str, Json]]:
    """In the order of their start."""
    listed: list[dict[str, Json]] = office.call("ListExecutions", mapRunArn=map_run)["executions"]
    return listed[::-1]


def counts(office: Office, map_run: str, kind: str = "itemCounts") -> dict[str, int]:
    """Those that are not 0."""
    described = office.call("DescribeMapRun", mapRunArn=map_run)[kind]
    return {name: count for name, count in described.items() if count}


@pytest.fixture
def other(office: Office, tmp_path: Path) -> Iterator[Office]:
    """Another process on the same store."""
    other = Office(tmp_path)
    yield other
    other.close()


def test_there_are_none(office: Office) -> None:
    run = office.start(office.machine())
    assert office.call("ListMapRuns", executionArn=run) == {"mapRuns": []}
    missing = ("ResourceNotFound", f"Resource not found: '{MAP_RUN}'")
    assert office.refused("DescribeMapRun", mapRunArn=MAP_RUN) == missing
    assert office.refused("UpdateMapRun", mapRunArn=MAP_RUN, maxConcurrency=1) == missing
    assert office.refused("ListExecutions", mapRunArn=MAP_RUN) == missing


def test_what_is_refused(office: Office) -> None:
    none = execution_arn("m", "none")
    assert office.refused("ListMapRuns", executionArn=none)[0] == "ExecutionDoesNotExist"
    assert office.refused("DescribeMapRun", mapRunArn=none)[0] == "InvalidArn"
    assert office.refused("UpdateMapRun", mapRunArn=none)[0] == "InvalidArn"
    for wrong in ({"maxConcurrency": -1}, {"toleratedFailureCount": -1}, {"toleratedFailurePercentage": 101}):
        assert office.refused("UpdateMapRun", mapRunArn=MAP_RUN, **wrong)[0] == "ValidationException"


def test_a_run_while_it_runs_and_after_it(office: Office) -> None:
    run, map_run = begin(
        office, mapped(BY_ITEM, MaxConcurrency=2, ToleratedFailurePercentage=5.5), [60, 9, 5]
    )
    started = office.clock.now()
    shown = {
        "mapRunArn": map_run,
        "executionArn": run,
        "status": "RUNNING",
        "startDate": started,
        "maxConcurrency": 2,
        "toleratedFailurePercentage": 5.5,
        "toleratedFailureCount": 0,
        "redriveCount": 0,
    }
    described = office.call("DescribeMapRun", mapRunArn=map_run)
    assert {name: described[name] for name in described if not name.endswith("Counts")} == shown
    none = dict.fromkeys(
        (
            "succeeded",
            "failed",
            "timedOut",
            "aborted",
            "resultsWritten",
            "failuresNotRedrivable",
            "pendingRedrive",
        ),
        0,
    )
    assert described["itemCounts"] == {**none, "pending": 1, "running": 2, "total": 3}
    assert described["executionCounts"] == {**none, "pending": 1, "running": 2, "total": 3}
    office.clock.advance_to(started + 9)
    office.nudge()
    assert counts(office, map_run) == {"running": 2, "succeeded": 1, "total": 3}
    office.clock.advance_to(started + 60)
    office.nudge()
    assert office.ended(run) == "SUCCEEDED"
    described = office.call("DescribeMapRun", mapRunArn=map_run)
    assert (described["status"], described["stopDate"]) == ("SUCCEEDED", started + 60)
    assert counts(office, map_run) == {"succeeded": 3, "total": 3, "resultsWritten": 3}
    [listed] = office.call("ListMapRuns", executionArn=run)["mapRuns"]
    assert listed == {
        "executionArn": run,
        "mapRunArn": map_run,
        "stateMachineArn": f"{STATES}:stateMachine:m",
        "startDate": started,
        "stopDate": started + 60,
    }


def test_map_runs_are_listed_in_pages(office: Office) -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2}]
    fail: Json = {"StartAt": "F", "States": {"F": {"Type": "Fail"}}}
    run = office.start(office.machine(mapped(fail, Retry=retry)), "[1]")
    for _ in range(3):
        office.settled()
        office.clock.advance_to(office.clock.now() + 2)
        office.nudge()
    assert office.ended(run) == "FAILED"
    first = office.call("ListMapRuns", executionArn=run, maxResults=2)
    rest = office.call("ListMapRuns", executionArn=run, maxResults=2, nextToken=first["nextToken"])
    starts = [each["startDate"] for each in [*first["mapRuns"], *rest["mapRuns"]]]
    assert (len(starts), starts) == (3, sorted(starts))
    assert office.refused("ListMapRuns", executionArn=run, nextToken="none")[0] == "InvalidToken"


def test_items_of_batches(office: Office) -> None:
    _, map_run = begin(office, mapped(ItemBatcher={"MaxItemsPerBatch": 2}), [1, 2, 3])
    assert counts(office, map_run) == {"running": 3, "total": 3}
    assert counts(office, map_run, "executionCounts") == {"running": 2, "total": 2}


def test_of_another_processs_run_the_children_are_counted(office: Office, other: Office) -> None:
    _, map_run = begin(office, mapped(BY_ITEM), [5, 60])
    office.clock.advance_to(office.clock.now() + 5)
    office.nudge()
    assert counts(other, map_run, "executionCounts") == {"succeeded": 1, "running": 1, "total": 2}


# --- UpdateMapRun


def test_an_update_takes_effect_at_once(office: Office) -> None:
    _, map_run = begin(office, mapped(TASK, MaxConcurrency=1), [1, 2, 3])
    assert office.call("UpdateMapRun", mapRunArn=map_run, maxConcurrency=2, toleratedFailureCount=1) == {}
    office.settled()
    assert counts(office, map_run) == {"running": 2, "pending": 1, "total": 3}
    described = office.call("DescribeMapRun", mapRunArn=map_run)
    assert (described["maxConcurrency"], described["toleratedFailureCount"]) == (2, 1)
    office.call("UpdateMapRun", mapRunArn=map_run, toleratedFailurePercentage=50)
    described = office.call("DescribeMapRun", mapRunArn=map_run)
    assert described["toleratedFailurePercentage"] == 50


def test_an_update_from_another_process(office: Office, other: Office) -> None:
    _, map_run = begin(office, mapped(TASK, MaxConcurrency=1), [1, 2, 3])
    other.call("UpdateMapRun", mapRunArn=map_run, maxConcurrency=0)
    office.engine._watch.look()
    office.settled()
    assert counts(office, map_run) == {"running": 3, "total": 3}


def test_a_run_that_has_ended_is_not_updated(office: Office) -> None:
    run, map_run = begin(office, mapped(TASK), [1])
    office.pool.finish(1)
    assert office.ended(run) == "SUCCEEDED"
    code, message = office.refused("UpdateMapRun", mapRunArn=map_run, maxConcurrency=1)
    assert (code, "Map Run is SUCCEEDED" in message) == ("ValidationException", True)
    assert office.call("DescribeMapRun", mapRunArn=map_run)["maxConcurrency"] == 0


# --- children


def test_children_over_the_api(office: Office) -> None:
    run, map_run = begin(office, mapped(TASK), ["a", "b"])
    first, second = children(office, map_run)
    assert first == {
        "executionArn": f"{STATES}:execution:m/each:{first['name']}",
        "stateMachineArn": f"{STATES}:stateMachine:m/each",
        "mapRunArn": map_run,
        "name": first["name"],
        "status": "RUNNING",
        "startDate": office.clock.now(),
        "redriveCount": 0,
    }
    office.pool.finish("done")
    office.settled()
    described = office.call("DescribeExecution", executionArn=first["executionArn"])
    assert (described["input"], described["output"], described["mapRunArn"]) == ('"a"', '"done"', map_run)
    assert described["stateMachineArn"] == f"{STATES}:stateMachine:m/each"
    running = office.call("ListExecutions", mapRunArn=map_run, statusFilter="RUNNING")["executions"]
    assert [each["name"] for each in running] == [second["name"]]
    events = office.call("GetExecutionHistory", executionArn=first["executionArn"])["events"]
    assert [event["type"] for event in events] == [
        "ExecutionStarted",
        "TaskStateEntered",
        "LambdaFunctionScheduled",
        "LambdaFunctionStarted",
        "LambdaFunctionSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]
    # Those of the machine are its own.
    listed = office.call("ListExecutions", stateMachineArn=f"{STATES}:stateMachine:m")["executions"]
    assert [each["executionArn"] for each in listed] == [run]
    everywhere = office.service.list_executions()["executions"]
    assert [each["executionArn"] for each in everywhere] == [run]


def test_the_machine_of_a_child(office: Office) -> None:
    _, map_run = begin(office, mapped(TASK), [1])
    [child] = children(office, map_run)
    described = office.call("DescribeStateMachineForExecution", executionArn=child["executionArn"])
    assert json.loads(described["definition"]) == TASK
    assert {name: described[name] for name in ("stateMachineArn", "name", "mapRunArn", "label")} == {
        "stateMachineArn": f"{STATES}:stateMachine:m/each",
        "name": "m",
        "mapRunArn": map_run,
        "label": "each",
    }
    [parent] = office.call("ListExecutions", stateMachineArn=f"{STATES}:stateMachine:m")["executions"]
    of_parent = office.call("DescribeStateMachineForExecution", executionArn=parent["executionArn"])
    assert not {"mapRunArn", "label"} & of_parent.keys()


def test_a_map_states_arn_is_no_machines(office: Office) -> None:
    begin(office, mapped(), [1])
    arn = f"{STATES}:stateMachine:m/each"
    assert office.refused("DescribeStateMachine", stateMachineArn=arn)[0] == "ValidationException"
    assert office.refused("StartExecution", stateMachineArn=arn)[0] == "ValidationException"


def test_a_child_can_be_redriven_as_long_as_its_machine_is_there(office: Office) -> None:
    _, map_run = begin(office, mapped(ToleratedFailureCount=2), [1, 2])
    first, _ = children(office, map_run)
    office.call("StopExecution", executionArn=first["executionArn"])
    described = office.call("DescribeExecution", executionArn=first["executionArn"])
    assert (described["status"], described["redriveStatus"]) == ("ABORTED", "REDRIVABLE")


def test_a_stopped_child_counts_as_aborted(office: Office) -> None:
    run, map_run = begin(office, mapped(ToleratedFailureCount=1), [1, 2, 3])
    first, second, _ = children(office, map_run)
    office.call("StopExecution", executionArn=first["executionArn"], error="E", cause="C")
    office.settled()
    assert counts(office, map_run) == {"aborted": 1, "running": 2, "total": 3}
    office.call("StopExecution", executionArn=second["executionArn"])
    assert office.ended(run) == "FAILED"
    described = office.call("DescribeExecution", executionArn=run)
    assert described["error"] == "States.ExceedToleratedFailureThreshold"
    assert counts(office, map_run, "executionCounts") == {"aborted": 3, "total": 3}


def test_a_child_that_another_process_stops(office: Office, other: Office) -> None:
    run, map_run = begin(office, mapped(BY_ITEM, ToleratedFailureCount=1), [5, 60])
    first, _ = children(other, map_run)
    assert "stopDate" in other.call("StopExecution", executionArn=first["executionArn"])
    office.clock.advance_to(office.clock.now() + 60)
    office.nudge()
    assert office.ended(run) == "SUCCEEDED"
    assert counts(office, map_run) == {"aborted": 1, "succeeded": 1, "total": 2, "resultsWritten": 2}


# --- the end of the parent


def test_a_stop_of_the_parent_stops_the_children(office: Office) -> None:
    run, map_run = begin(office, mapped())
    office.call("StopExecution", executionArn=run)
    office.settled()
    assert [child["status"] for child in children(office, map_run)] == ["ABORTED", "ABORTED"]
    assert office.call("DescribeMapRun", mapRunArn=map_run)["status"] == "ABORTED"
    assert counts(office, map_run) == {"aborted": 2, "total": 2}


@pytest.mark.parametrize("alive", [True, False])
def test_a_stop_of_the_parent_from_another_process(office: Office, other: Office, alive: bool) -> None:
    run, map_run = begin(office, mapped())
    if not alive:
        office.engine.close()
    other.call("StopExecution", executionArn=run)
    assert [child["status"] for child in children(other, map_run)] == ["ABORTED", "ABORTED"]
    assert other.call("DescribeMapRun", mapRunArn=map_run)["status"] == "ABORTED"
    assert counts(other, map_run) == {"aborted": 2, "total": 2}
    if alive:
        office.engine._watch.look()
        office.settled()
        assert office.engine.map_run_counts(map_run) is None
        assert office.engine.ended(run) is None


def test_express_children_of_a_parent_that_another_process_stops(office: Office, other: Office) -> None:
    run, map_run = begin(office, mapped(type="EXPRESS"))
    assert counts(office, map_run) == {"running": 2, "total": 2}
    other.call("StopExecution", executionArn=run)
    office.engine._watch.look()
    office.settled()
    assert office.engine.map_run_counts(map_run) is None
    assert office.engine._turns.live == {}


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_machine_that_is_deleted_ends_after_its_map(office: Office, other: Office, elsewhere: bool) -> None:
    definition = mapped(Next="P")
    del definition["States"]["M"]["End"]
    definition["States"]["P"] = {"Type": "Pass", "End": True}
    run, map_run = begin(office, definition)
    (other if elsewhere else office).call("DeleteStateMachine", stateMachineArn=f"{STATES}:stateMachine:m")
    office.engine._watch.look()
    office.settled()
    assert office.call("DescribeExecution", executionArn=run)["status"] == "RUNNING"
    office.clock.advance_to(office.clock.now() + 3600)
    office.nudge()
    assert office.ended(run) == "ABORTED", "before its next state"
    assert [child["status"] for child in children(office, map_run)] == ["SUCCEEDED", "SUCCEEDED"]
    assert office.refused("DescribeStateMachine", stateMachineArn=f"{STATES}:stateMachine:m")[0] == (
        "StateMachineDoesNotExist"
    )


def test_a_machine_that_is_deleted_when_its_process_is_no_more(office: Office, other: Office) -> None:
    run, map_run = begin(office, mapped())
    office.engine.close()
    other.call("DeleteStateMachine", stateMachineArn=f"{STATES}:stateMachine:m")
    assert other.call("DescribeExecution", executionArn=run)["status"] == "ABORTED"
    assert [child["status"] for child in children(other, map_run)] == ["ABORTED", "ABORTED"]


# --- definitions


ACTIVITY: Json = {"Type": "Task", "Resource": f"{STATES}:activity:a", "End": True}
CALLBACK: Json = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "End": True}


@pytest.mark.parametrize(
    ("state", "what"),
    [
        (ACTIVITY, "Activity ARN"),
        ({**CALLBACK, "Parameters": {"FunctionName": WORK}}, "'.waitForTaskToken' service integration"),
        ({**mapped()["States"]["M"], "Label": "inner"}, "Distributed Map"),
    ],
)
def test_express_children_cannot_do_what_express_cannot(office: Office, state: Json, what: str) -> None:
    inner = {"StartAt": "T", "States": {"T": state}}
    call = {
        "name": "m",
        "definition": json.dumps(mapped(inner, type="EXPRESS")),
        "roleArn": "arn:aws:iam::1:role/r",
    }
    code, message = office.refused("CreateStateMachine", **call)
    assert code == "InvalidDefinition"
    assert f"Express state machine does not support {what} at /States/M/ItemProcessor/States/T/" in message


def test_an_express_machine_has_no_distributed_map(office: Office) -> None:
    call = {
        "name": "m",
        "definition": json.dumps(mapped()),
        "roleArn": "arn:aws:iam::1:role/r",
        "type": "EXPRESS",
    }
    code, message = office.refused("CreateStateMachine", **call)
    assert (code, "Express state machine does not support Distributed Map at /States/M" in message) == (
        "InvalidDefinition",
        True,
    )


def test_items_nested_as_deeply_as_can_be_do_not_stop_the_engine(office: Office, tmp_path: Path) -> None:
    """A thread that reads the items has room for a few levels more than the engine's."""
    path = tmp_path / "items.jsonl"
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSONL"},
        "Parameters": {"Uri": str(path)},
    }
    machine = office.machine(mapped(PASS, ItemReader=reader))
    errors = set()
    for depth in range(965, 1000):
        path.write_text("[" * depth + "]" * depth)
        run = office.start(machine)
        office.ended(run)
        errors.add(office.call("DescribeExecution", executionArn=run).get("error"))
    assert errors <= {None, "States.Runtime", "States.DataLimitExceeded", "States.ItemReaderFailed"}


def test_a_stop_of_what_a_killed_process_ran_ends_all_that_it_had_started(
    office: Office, other: Office
) -> None:
    """A Map Run, whose children wait for executions."""
    child = office.machine(WAIT, "child")
    nested = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync",
        "Parameters": {"StateMachineArn": child},
        "End": True,
    }
    run, _ = begin(office, mapped({"StartAt": "N", "States": {"N": nested}}))
    office.until(lambda: len(office.store.executions()) == 5)
    office.engine.close()
    other.call("StopExecution", executionArn=run)
    assert [row.status for row in other.store.executions()] == ["ABORTED"] * 5


@pytest.mark.parametrize("action", ["StopExecution", "RedriveExecution"])
def test_what_a_process_left_that_was_killed_when_it_had_ended_an_execution(
    office: Office, other: Office, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """The end is durable, and the children have not heard of it."""
    run, map_run = begin(office, mapped())
    monkeypatch.setattr(office.engine._turns, "_act", lambda: None)
    office.call("StopExecution", executionArn=run)
    office.engine.close()
    left = children(other, map_run)
    assert [child["status"] for child in left] == ["RUNNING", "RUNNING"]
    other.call(action, executionArn=run)
    other.settled()
    status, redriven = ("ABORTED", 0) if action == "StopExecution" else ("RUNNING", 1)
    assert [(child["status"], child["redriveCount"]) for child in children(other, map_run)] == [
        (status, redriven)
    ] * 2
    assert other.call("DescribeMapRun", mapRunArn=map_run)["status"] == status


# --- redrive


@pytest.mark.parametrize("type", ["STANDARD", "EXPRESS"])
def test_a_redriven_run_over_the_api(office: Office, type: str) -> None:
    """AWS guide, "Redriving Map Runs"; MapRunExecutionCounts: those without room are "waiting to be redriven"."""
    office.service.functions = {"work": CODES[WORK]}
    run, map_run = begin(
        office, mapped(TASK, type=type, MaxConcurrency=1, ToleratedFailureCount=1), [1, 2, 3]
    )
    for error in (None, "Boom", "Boom"):
        office.pool.finish("done", error)
        office.settled()
    assert office.ended(run) == "FAILED"
    before = office.call("DescribeMapRun", mapRunArn=map_run)
    assert (before["status"], before["redriveCount"], "redriveDate" in before) == ("FAILED", 0, False)
    office.clock.advance_to(office.clock.now() + 60)
    date = office.call("RedriveExecution", executionArn=run)["redriveDate"]
    office.settled()
    described = office.call("DescribeMapRun", mapRunArn=map_run)
    assert (described["status"], described["redriveCount"], described["redriveDate"]) == ("RUNNING", 1, date)
    assert "stopDate" not in described
    expected = {"succeeded": 1, "running": 1, "pendingRedrive": 1, "total": 3}
    assert counts(office, map_run) == counts(office, map_run, "executionCounts") == expected
    assert office.service.map_run_progress(map_run) == Progress(Ends(1), 3, whole=True)
    for _ in range(2):
        office.pool.finish("done")
        office.settled()
    assert office.ended(run) == "SUCCEEDED"
    assert counts(office, map_run) == {"succeeded": 3, "total": 3, "resultsWritten": 3}
    [listed] = office.call("ListMapRuns", executionArn=run)["mapRuns"]
    assert listed["mapRunArn"] == map_run
    events = office.call("GetExecutionHistory", executionArn=run)["events"]
    assert [event["type"] for event in events][-6:-3] == [
        "ExecutionRedriven",
        "MapRunRedriven",
        "MapRunSucceeded",
    ]
    [redriven] = [event for event in events if event["type"] == "MapRunRedriven"]
    assert redriven["mapRunRedrivenEventDetails"] == {"mapRunArn": map_run, "redriveCount": 1}
    if type == "STANDARD":
        assert [child["redriveCount"] for child in children(office, map_run)] == [0, 1, 1]
        last = children(office, map_run)[-1]["executionArn"]
        types = [each["type"] for each in office.call("GetExecutionHistory", executionArn=last)["events"]]
        assert types[6:8] == ["ExecutionRedriven", "LambdaFunctionScheduled"]
