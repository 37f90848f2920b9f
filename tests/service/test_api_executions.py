"""Executions that arrive over the API: their tasks, Express, test cases, lists and histories."""

import json
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import pytest

from nbflow.engine.rows import code_of
from nbflow.language.values import Json
from nbflow.service import executions
from nbflow.service.arns import ROLE, execution_arn, machine_arn
from nbflow.store.port import StoreError
from nbflow.store.rows import Append
from nbflow.testing import mock_config
from tests.service.support import CODES, PASS, TASK, WAIT, WORK, Office, text

ARN = machine_arn("m")


def started(office: Office, arn: str = ARN, **options: Json) -> str:
    run: str = office.call("StartExecution", stateMachineArn=arn, **options)["executionArn"]
    return run


def express(office: Office, definition: Json) -> None:
    office.call("CreateStateMachine", name="m", definition=text(definition), roleArn=ROLE, type="EXPRESS")


# --- twice at once


def test_a_start_that_is_refused_does_not_refuse_another_of_the_same_name(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one's caller has given up waiting for the store, and asks again: nothing is there by that name."""
    office.machine(PASS)
    append, waiting = office.store.append, threading.Event()
    appends = 0

    def refuse(batch: Sequence[Append]) -> list[bool]:
        nonlocal appends
        appends += 1
        if appends > 1:
            return append(batch)
        assert waiting.wait(10)
        raise StoreError("The store is locked.")

    def wait_for(futures: Sequence[Future[None]]) -> None:
        waiting.set()
        wait(futures)

    monkeypatch.setattr(office.store, "append", refuse)
    monkeypatch.setattr(executions, "wait", wait_for)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(started, office, name="e")
        run = execution_arn("m", "e")
        while office.engine.started(run) is None:
            assert not first.done()
        assert started(office, name="e") == run
        assert isinstance(first.exception(10), StoreError)
    assert office.ended(run) == "SUCCEEDED"


# --- tasks


def test_a_lambda_arn_is_done_by_the_function_of_its_name(office: Office) -> None:
    office.service.functions = {"work": CODES[WORK]}
    arn = WORK.replace("000000000000", "111111111111") + ":$LATEST"
    office.machine({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": arn, "End": True}}})
    run = started(office, input='{"a": 1}')
    job = office.pool.finish(output=7)
    assert (job.code, job.arguments) == (CODES[WORK], {"a": 1})
    assert office.ended(run) == "SUCCEEDED"
    row = office.store.execution(run)
    assert row is not None
    [(resource, bound)] = json.loads(row.bindings or "").items()
    assert resource == arn
    assert code_of(bound, office.store.codes(["0" * 64])["0" * 64]) == CODES[WORK]


def test_a_task_that_nobody_can_do_fails_with_words(office: Office) -> None:
    office.machine(TASK)
    run = started(office)
    assert office.ended(run) == "FAILED"
    described = office.call("DescribeExecution", executionArn=run)
    assert described["error"] == "States.TaskFailed"
    assert WORK in described["cause"]


# --- test cases of a mock configuration


def scripted(office: Office, **answers: Json) -> None:
    """A machine with a Task that is retried at once, and its test case Case."""
    retry = [{"ErrorEquals": ["Boom"], "IntervalSeconds": 0, "MaxAttempts": 5}]
    office.machine({"StartAt": "T", "States": {"T": TASK["States"]["T"] | {"Retry": retry}}})
    office.service.mocks = mock_config.parse(
        {
            "StateMachines": {"m": {"TestCases": {"Case": {"T": "R"}}}},
            "MockedResponses": {
                "R": {key.replace("_", "-").strip("-"): value for key, value in answers.items()}
            },
        }
    )


BOOM = {"Throw": {"Error": "Boom", "Cause": "it blew up"}}


def test_a_scripted_task_is_never_done(office: Office) -> None:
    scripted(office, **{"0_1": BOOM, "2": {"Return": {"ok": True}}})
    run = started(office, f"{ARN}#Case")
    assert office.ended(run) == "SUCCEEDED"
    assert office.pool.jobs.empty()
    described = office.call("DescribeExecution", executionArn=run)
    assert (described["output"], described["stateMachineArn"]) == ('{"ok":true}', ARN)
    types = [event["type"] for event in office.service.events(run)]
    assert types.count("LambdaFunctionScheduled") == 3
    assert types.count("LambdaFunctionFailed") == 2


def test_every_execution_begins_the_script_anew(office: Office) -> None:
    scripted(office, **{"0": {"Return": 1}})
    for _ in range(3):
        assert office.ended(started(office, f"{ARN}#Case")) == "SUCCEEDED"


def test_a_script_that_is_too_short_fails_the_execution(office: Office) -> None:
    scripted(office, **{"0": BOOM})
    run = started(office, f"{ARN}#Case")
    assert office.ended(run) == "FAILED"
    described = office.call("DescribeExecution", executionArn=run)
    assert described["error"] == "States.Runtime"
    assert described["cause"] == "The mocked response 'R' of state 'T' has no answer to attempt 1."


def test_a_test_case_that_there_is_not(office: Office) -> None:
    scripted(office, **{"0": BOOM})
    with pytest.raises(Exception, match="the mock configuration has Case for m") as caught:
        started(office, f"{ARN}#Other")
    assert getattr(caught.value, "code", "") == "InvalidArn"


# --- Express


def synced(office: Office, **options: Json) -> dict[str, Json]:
    return office.call("StartSyncExecution", stateMachineArn=ARN, **options)


def test_a_synchronous_express_execution_is_answered_whole(office: Office) -> None:
    express(
        office, {"StartAt": "P", "States": {"P": {"Type": "Pass", "Parameters": {"c.$": "$$"}, "End": True}}}
    )
    begun = office.clock.now()
    answer = synced(office, name="r", input='{"a": 1}', traceHeader="Root=1")
    context = json.loads(answer.pop("output"))["c"]
    arn = answer["executionArn"]
    assert arn.startswith("arn:aws:states:us-east-1:000000000000:express:m:r:")
    assert context["Execution"].keys() == {"Id", "Name", "RoleArn", "Input", "StartTime"}, "no RedriveCount"
    assert context["Execution"]["Id"] == arn
    assert answer == {
        "executionArn": arn,
        "stateMachineArn": ARN,
        "name": "r",
        "startDate": begun,
        "stopDate": begun,
        "status": "SUCCEEDED",
        "input": '{"a": 1}',
        "inputDetails": {"included": True},
        "outputDetails": {"included": True},
        "traceHeader": "Root=1",
        "billingDetails": {"billedMemoryUsedInMB": 64, "billedDurationInMilliseconds": 100},
    }


def test_a_failed_synchronous_execution_is_an_answer_too(office: Office) -> None:
    express(office, {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E", "Cause": "C"}}})
    answer = synced(office)
    assert (answer["status"], answer["error"], answer["cause"]) == ("FAILED", "E", "C")
    assert "output" not in answer


def test_metadata_only_hides_the_payloads(office: Office) -> None:
    express(office, PASS)
    answer = synced(office, includedData="METADATA_ONLY")
    assert not answer.keys() & {"input", "output", "inputDetails", "outputDetails"}


def test_an_express_execution_ends_after_five_minutes(office: Office) -> None:
    office.service.functions = {"work": CODES[WORK]}
    express(office, TASK)
    run = started(office)
    office.pool.next()
    ended = office.engine.ended(run)
    assert ended is not None
    office.clock.advance_to(office.clock.now() + 299)
    office.nudge()
    assert not ended.done()
    office.clock.advance_to(office.clock.now() + 1)
    office.nudge()
    ended.result(timeout=10)


def test_express_executions_are_nowhere_to_be_found(office: Office) -> None:
    express(office, PASS)
    runs = [started(office, name="r"), started(office, name="r")]
    assert len({*runs}) == 2, "the same name twice is no error"
    invalid = ("InvalidArn", "Invalid Arn: 'Resource type not valid in this context: express'")
    for action in (
        "DescribeExecution",
        "GetExecutionHistory",
        "StopExecution",
        "DescribeStateMachineForExecution",
    ):
        assert office.refused(action, executionArn=runs[0]) == invalid
    unsupported = (
        "StateMachineTypeNotSupported",
        "This operation is not supported by this type of state machine",
    )
    assert office.refused("ListExecutions", stateMachineArn=ARN) == unsupported
    assert office.store.executions() == []
    assert office.engine.running == []


def test_test_cases_are_for_express_machines_too(office: Office) -> None:
    express(office, TASK)
    office.service.mocks = mock_config.parse(
        {
            "StateMachines": {"m": {"TestCases": {"Case": {"T": "R"}}}},
            "MockedResponses": {"R": {"0": {"Return": 42}}},
        }
    )
    assert office.call("StartSyncExecution", stateMachineArn=f"{ARN}#Case")["output"] == "42"


# --- describe and list


@dataclass(frozen=True)
class Redrivable:
    id: str
    definition: Json
    status: str
    reason: str = ""


REDRIVABLE = [
    Redrivable("running", WAIT, "RUNNING", "Execution is RUNNING and cannot be redriven"),
    Redrivable("succeeded", PASS, "SUCCEEDED", "Execution is SUCCEEDED and cannot be redriven"),
    Redrivable("failed", {"StartAt": "F", "States": {"F": {"Type": "Fail"}}}, "FAILED"),
]


@pytest.mark.parametrize("case", REDRIVABLE, ids=lambda case: case.id)
def test_whether_an_execution_can_be_redriven(office: Office, case: Redrivable) -> None:
    office.machine(case.definition)
    run = started(office)
    if case.status != "RUNNING":
        office.ended(run)
    described = office.call("DescribeExecution", executionArn=run)
    assert described["status"] == case.status
    assert described["redriveStatus"] == ("NOT_REDRIVABLE" if case.reason else "REDRIVABLE")
    assert described.get("redriveStatusReason", "") == case.reason


def test_a_deleted_machine_leaves_nothing_to_redrive(office: Office) -> None:
    office.machine(REDRIVABLE[2].definition)
    run = started(office)
    office.ended(run)
    office.call("DeleteStateMachine", stateMachineArn=ARN)
    described = office.call("DescribeExecution", executionArn=run)
    assert described["redriveStatusReason"] == "State machine is in DELETING status"


def test_metadata_only_describes_no_payloads(office: Office) -> None:
    office.machine()
    run = started(office)
    office.ended(run)
    described = office.call("DescribeExecution", executionArn=run, includedData="METADATA_ONLY")
    assert described["status"] == "SUCCEEDED"
    assert not described.keys() & {"input", "output", "error", "cause", "inputDetails", "outputDetails"}


def test_a_trace_header_is_echoed(office: Office) -> None:
    run = started(office, office.machine(), traceHeader="Root=1-2")
    assert office.call("DescribeExecution", executionArn=run)["traceHeader"] == "Root=1-2"


def test_nothing_has_been_redriven(office: Office) -> None:
    run = started(office, office.machine())
    assert office.call("ListExecutions", stateMachineArn=ARN, redriveFilter="REDRIVEN") == {"executions": []}
    [only] = office.call("ListExecutions", stateMachineArn=ARN, redriveFilter="NOT_REDRIVEN")["executions"]
    assert only["executionArn"] == run


def test_lists_come_in_pages_newest_first(office: Office) -> None:
    office.machine()
    runs = [started(office) for _ in range(5)]
    found: list[str] = []
    more: dict[str, Json] = {}
    while True:
        answer = office.call("ListExecutions", stateMachineArn=ARN, maxResults=2, **more)
        found += [each["executionArn"] for each in answer["executions"]]
        if "nextToken" not in answer:
            break
        more = {"nextToken": answer["nextToken"]}
    assert found == runs[::-1]
    refused = office.refused("ListExecutions", stateMachineArn=ARN, statusFilter="FAILED", **more)
    assert refused == ("InvalidToken", "Invalid Token: 'Invalid token'")


NONE = execution_arn("m", "none")


@dataclass(frozen=True)
class Refused:
    id: str
    action: str
    code: str
    message: str
    parameters: dict[str, Any] = field(default_factory=dict)


# fmt: off
REFUSED = [
    Refused("machine", "StartExecution", "StateMachineDoesNotExist", f"State Machine Does Not Exist: '{machine_arn('n')}'", {"stateMachineArn": machine_arn("n")}),
    Refused("arn", "StartExecution", "InvalidArn", "Invalid Arn: 'Resource type not valid in this context: execution'", {"stateMachineArn": NONE}),
    Refused("name", "StartExecution", "InvalidName", "Invalid Name: 'a b'", {"stateMachineArn": ARN, "name": "a b"}),
    Refused("input", "StartExecution", "InvalidExecutionInput", "Invalid State Machine Execution Input: 'Expecting value at line 1 column 1'", {"stateMachineArn": ARN, "input": "not json"}),
    Refused("standard", "StartSyncExecution", "StateMachineTypeNotSupported", "This operation is not supported by this type of state machine", {"stateMachineArn": ARN}),
    Refused("none", "DescribeExecution", "ExecutionDoesNotExist", f"Execution Does Not Exist: '{NONE}'", {"executionArn": NONE}),
    Refused("none", "StopExecution", "ExecutionDoesNotExist", f"Execution Does Not Exist: '{NONE}'", {"executionArn": NONE}),
    Refused("none", "GetExecutionHistory", "ExecutionDoesNotExist", f"Execution Does Not Exist: '{NONE}'", {"executionArn": NONE}),
    Refused("prefix", "GetExecutionHistory", "InvalidArn", "Invalid Arn: 'Invalid ARN prefix: x'", {"executionArn": "x"}),
    Refused("machine", "DescribeExecution", "InvalidArn", "Invalid Arn: 'Resource type not valid in this context: statemachine'", {"executionArn": ARN}),
    Refused("nothing", "ListExecutions", "ValidationException", "Exactly one of stateMachineArn and mapRunArn must be specified"),
    Refused("machine", "ListExecutions", "StateMachineDoesNotExist", f"State Machine Does Not Exist: '{machine_arn('n')}'", {"stateMachineArn": machine_arn("n")}),
    Refused("redriven machine", "ListExecutions", "StateMachineDoesNotExist", f"State Machine Does Not Exist: '{machine_arn('n')}'", {"stateMachineArn": machine_arn("n"), "redriveFilter": "REDRIVEN"}),
    Refused("token", "ListExecutions", "InvalidToken", "Invalid Token: 'Invalid token'", {"stateMachineArn": ARN, "nextToken": "x"}),
]
# fmt: on


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case.action}-{case.id}")
def test_what_is_refused(office: Office, case: Refused) -> None:
    office.machine()
    assert office.refused(case.action, **case.parameters) == (case.code, case.message)


# --- history


def test_a_history_backwards_in_pages_and_without_data(office: Office) -> None:
    office.machine()
    run = started(office, input='{"a": 1}')
    office.ended(run)
    whole = office.call("GetExecutionHistory", executionArn=run)["events"]
    assert [event["id"] for event in whole] == [1, 2, 3, 4]
    backwards = office.call("GetExecutionHistory", executionArn=run, reverseOrder=True, maxResults=3)
    assert [event["id"] for event in backwards["events"]] == [4, 3, 2]
    token = backwards["nextToken"]
    assert office.refused("GetExecutionHistory", executionArn=run, nextToken=token)[0] == "InvalidToken"
    bare = office.call("GetExecutionHistory", executionArn=run, includeExecutionData=False)["events"]
    assert bare[0]["executionStartedEventDetails"] == {"roleArn": ROLE}
    assert bare[1]["stateEnteredEventDetails"] == {"name": "P"}
    assert [event["id"] for event in bare] == [1, 2, 3, 4]
