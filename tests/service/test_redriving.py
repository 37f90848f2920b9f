"""RedriveExecution: what can be redriven, by whom, and what the other actions say of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from nbflow.language.values import Json
from nbflow.service.arns import execution_arn, machine_arn
from nbflow.testing import mock_config
from tests.service.support import CODES, PASS, TASK, WAIT, Office

ARN = machine_arn("m")
FAIL: Json = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "No"}}}


def failed(office: Office) -> str:
    """An execution whose one task has failed."""
    run = office.start(office.machine(TASK))
    office.pool.finish(error="Boom")
    assert office.ended(run) == "FAILED"
    return run


def redriven(office: Office, run: str, **parameters: Json) -> float:
    """When it was redriven, with the code of its task bound now."""
    office.service.functions = {"work": next(iter(CODES.values()))}
    answer = office.call("RedriveExecution", executionArn=run, **parameters)
    assert answer.keys() == {"redriveDate"}
    date: float = answer["redriveDate"]
    return date


def describe(office: Office, run: str) -> dict[str, Any]:
    return office.call("DescribeExecution", executionArn=run)


def test_a_redriven_execution_goes_on_and_says_so(office: Office) -> None:
    run = failed(office)
    before = describe(office, run)
    assert (before["redriveStatus"], before["redriveCount"]) == ("REDRIVABLE", 0)
    assert "redriveDate" not in before
    office.clock.advance_to(office.clock.now() + 60)
    date = redriven(office, run)
    assert date == office.clock.now()
    described = describe(office, run)
    assert described["status"] == "RUNNING"
    assert (described["redriveCount"], described["redriveDate"]) == (1, date)
    assert described["redriveStatusReason"] == "Execution is RUNNING and cannot be redriven"
    assert not described.keys() & {"stopDate", "error", "cause"}
    assert described["startDate"] == before["startDate"]
    office.pool.finish(output=5)
    assert office.ended(run) == "SUCCEEDED"
    assert describe(office, run)["output"] == "5"
    types = [e["type"] for e in office.call("GetExecutionHistory", executionArn=run)["events"]]
    assert types[5:8] == ["ExecutionFailed", "ExecutionRedriven", "LambdaFunctionScheduled"]


def test_its_tasks_are_what_is_bound_now(office: Office) -> None:
    run = failed(office)
    office.call("RedriveExecution", executionArn=run)
    assert office.ended(run) == "FAILED"
    assert "no function is bound" in describe(office, run)["cause"]
    redriven(office, run)
    office.pool.finish(output=5)
    assert office.ended(run) == "SUCCEEDED"


def test_the_scripted_results_of_a_test_case_are_not_for_a_redrive(office: Office) -> None:
    office.service.mocks = mock_config.parse(
        {
            "StateMachines": {"m": {"TestCases": {"Bad": {"T": "Boom"}}}},
            "MockedResponses": {"Boom": {"0": {"Throw": {"Error": "Boom", "Cause": "scripted"}}}},
        }
    )
    office.machine(TASK)
    run = office.call("StartExecution", stateMachineArn=f"{ARN}#Bad")["executionArn"]
    assert office.ended(run) == "FAILED"
    redriven(office, run)
    office.pool.finish(output=5)
    assert office.ended(run) == "SUCCEEDED"


def test_it_keeps_its_definition_and_its_version(office: Office) -> None:
    office.machine(TASK)
    version = office.call("PublishStateMachineVersion", stateMachineArn=ARN)["stateMachineVersionArn"]
    run = office.call("StartExecution", stateMachineArn=version)["executionArn"]
    assert office.ended(run) == "FAILED"
    office.call("UpdateStateMachine", stateMachineArn=ARN, definition=json.dumps(PASS))
    redriven(office, run)
    office.pool.finish(output=5)
    assert office.ended(run) == "SUCCEEDED"
    assert describe(office, run)["stateMachineVersionArn"] == version


# --- what is refused


@pytest.mark.parametrize(("definition", "status"), [(WAIT, "RUNNING"), (PASS, "SUCCEEDED")])
def test_what_runs_or_has_succeeded_cannot_be_redriven(office: Office, definition: Json, status: str) -> None:
    run = office.start(office.machine(definition))
    if status == "SUCCEEDED":
        office.ended(run)
    refused = office.refused("RedriveExecution", executionArn=run)
    assert refused == ("ExecutionNotRedrivable", f"Execution is {status} and cannot be redriven")


def test_nor_can_what_is_of_a_machine_that_goes(office: Office) -> None:
    run = failed(office)
    office.call("DeleteStateMachine", stateMachineArn=ARN)
    refused = office.refused("RedriveExecution", executionArn=run)
    assert refused == ("ExecutionNotRedrivable", "State machine is in DELETING status")


def test_nor_can_what_there_is_not(office: Office) -> None:
    none = execution_arn("m", "none")
    refused = office.refused("RedriveExecution", executionArn=none)
    assert refused == ("ExecutionDoesNotExist", f"Execution Does Not Exist: '{none}'")
    assert office.refused("RedriveExecution", executionArn=ARN)[0] == "InvalidArn"
    assert (
        office.refused("RedriveExecution", executionArn=none, clientToken="a b")[0] == "ValidationException"
    )


def test_an_express_execution_is_none_that_can_be_redriven(office: Office) -> None:
    office.service.create_state_machine("m", json.dumps(FAIL), type="EXPRESS")
    run = office.call("StartExecution", stateMachineArn=ARN)["executionArn"]
    assert office.refused("RedriveExecution", executionArn=run)[0] == "InvalidArn"


# --- the client token


def test_a_client_token_stands_for_its_redrive_for_a_quarter_of_an_hour(office: Office) -> None:
    run = office.start(office.machine(FAIL))
    office.ended(run)
    first = redriven(office, run, clientToken="a")
    office.ended(run)
    office.clock.advance_to(first + 900)
    assert redriven(office, run, clientToken="a") == first
    assert describe(office, run)["redriveCount"] == 1
    office.clock.advance_to(first + 901)
    assert redriven(office, run, clientToken="a") == first + 901
    assert describe(office, run)["redriveCount"] == 2


def test_the_last_ten_client_tokens_stand(office: Office) -> None:
    run = office.start(office.machine(FAIL))
    office.ended(run)
    for number in range(11):
        redriven(office, run, clientToken=str(number))
        office.ended(run)
    redriven(office, run, clientToken="1")
    assert describe(office, run)["redriveCount"] == 11
    redriven(office, run, clientToken="0")
    assert describe(office, run)["redriveCount"] == 12


def test_the_answer_is_the_same_while_it_runs(office: Office) -> None:
    run = failed(office)
    assert redriven(office, run, clientToken="a") == redriven(office, run, clientToken="a")
    assert (
        office.refused("RedriveExecution", executionArn=run, clientToken="b")[0] == "ExecutionNotRedrivable"
    )


# --- lists, and others


def test_lists_tell_the_redriven_from_the_others(office: Office) -> None:
    one, two = office.start(office.machine(FAIL)), office.start(office.machine(FAIL))
    for run in (one, two):
        office.ended(run)
    date = redriven(office, one)
    office.ended(one)

    def listed(**filters: Json) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = office.call("ListExecutions", stateMachineArn=ARN, **filters)[
            "executions"
        ]
        return found

    [only] = listed(redriveFilter="REDRIVEN")
    assert (only["executionArn"], only["redriveCount"], only["redriveDate"]) == (one, 1, date)
    [other] = listed(redriveFilter="NOT_REDRIVEN")
    assert (other["executionArn"], other["redriveCount"]) == (two, 0)
    assert len(listed()) == 2
    assert listed(redriveFilter="REDRIVEN", statusFilter="SUCCEEDED") == []


def test_a_redriven_execution_of_another_process(tmp_path: Path) -> None:
    """It goes on here; the other one sees it, and may not redrive it a second time meanwhile."""
    here, there = Office(tmp_path), Office(tmp_path)
    run = failed(there)
    redriven(here, run)
    assert describe(there, run)["status"] == "RUNNING"
    assert there.refused("RedriveExecution", executionArn=run)[0] == "ExecutionNotRedrivable"
    here.pool.finish(output=5)
    assert here.ended(run) == "SUCCEEDED"
    assert describe(there, run)["output"] == "5"
    for office in (here, there):
        office.close()


def test_who_is_too_late_is_told_what_it_is_now(tmp_path: Path) -> None:
    """Another process redrives it between the look at it and the step."""
    here, there = Office(tmp_path), Office(tmp_path)
    run = failed(there)
    journal = here.store.journal

    def overtaken(arn: str, after: int = -1) -> Any:
        steps = list(journal(arn, after))
        here.store.journal = journal  # type: ignore[method-assign]
        redriven(there, arn)
        return iter(steps)

    here.store.journal = overtaken  # type: ignore[method-assign]
    refused = here.refused("RedriveExecution", executionArn=run)
    assert refused == ("ExecutionNotRedrivable", "Execution is RUNNING and cannot be redriven")
    assert describe(here, run)["redriveCount"] == 1
    for office in (here, there):
        office.close()


def test_a_redriven_execution_can_be_stopped_and_redriven_again(office: Office) -> None:
    run = failed(office)
    redriven(office, run)
    office.pool.next()
    office.call("StopExecution", executionArn=run)
    assert describe(office, run)["status"] == "ABORTED"
    redriven(office, run)
    office.pool.finish(output=6)
    assert office.ended(run) == "SUCCEEDED"
    assert describe(office, run)["redriveCount"] == 2
