"""Fork: where it can begin, on what, and what is remembered of it."""

import json
from typing import Any

import pytest

from nbflow.language.values import Json
from nbflow.service.arns import execution_arn, machine_arn
from nbflow.service.errors import ApiError
from tests.service.support import CODES, PASS, WORK, Office

ARN = machine_arn("m")

STEPS: Json = {
    "StartAt": "Load",
    "QueryLanguage": "JSONata",
    "States": {
        "Load": {"Type": "Task", "Resource": WORK, "Assign": {"k": 3, "j": 4}, "Next": "Fit"},
        "Fit": {
            "Type": "Task",
            "Resource": WORK,
            "Arguments": {"data": "{% $states.input %}", "k": "{% $k %}", "j": "{% $j %}"},
            "Next": "All",
        },
        "All": {
            "Type": "Map",
            "Items": [1],
            "ItemProcessor": {"StartAt": "In", "States": {"In": {"Type": "Pass", "End": True}}},
            "End": True,
        },
    },
}


def failed(office: Office, definition: Json = STEPS) -> str:
    """An execution whose second state has failed."""
    run = office.start(office.machine(definition), '{"a": 1}', "r")
    office.pool.finish(output=[1, 2])
    office.pool.finish(error="Boom")
    assert office.ended(run) == "FAILED"
    return run


def fork(office: Office, run: str, at: str = "Fit", **options: Any) -> str:
    arn: str = office.service.fork_execution(run, at, tasks=CODES, **options)["executionArn"]
    return arn


def test_a_fork_begins_in_the_middle_and_is_linked(office: Office) -> None:
    run = failed(office)
    office.clock.advance_to(office.clock.now() + 60)
    forked = fork(office, run, name="again")
    assert forked == execution_arn("m", "again")
    job = office.pool.finish(output="fitted")
    assert (job.attempt, job.arguments) == (3, {"data": [1, 2], "k": 3, "j": 4})
    assert office.ended(forked) == "SUCCEEDED"
    row = office.store.execution(forked)
    assert row is not None
    assert (row.forked_from, row.started_at) == (run, office.clock.now())
    assert office.service.forked_at(forked) == "Fit"
    assert office.service.forked_at(run) is None
    described = office.call("DescribeExecution", executionArn=forked)
    assert (described["input"], described["redriveCount"]) == ('{"a": 1}', 0)
    events = office.call("GetExecutionHistory", executionArn=forked)["events"]
    assert [event["type"] for event in events[:3]] == [
        "ExecutionStarted",
        "TaskStateEntered",
        "LambdaFunctionScheduled",
    ]
    assert json.loads(events[0]["executionStartedEventDetails"]["input"]) == {"a": 1}
    assert office.call("DescribeExecution", executionArn=run)["status"] == "FAILED"


def test_input_and_variables_may_be_given(office: Office) -> None:
    run = failed(office)
    fork(office, run, input='"mine"', variables={"k": 5})
    assert office.pool.finish().arguments == {"data": "mine", "k": 5, "j": 4}
    fork(office, run, input="null")
    assert office.pool.finish().arguments == {"data": None, "k": 3, "j": 4}


def test_what_runs_can_be_forked(office: Office) -> None:
    run = office.start(office.machine(STEPS))
    office.pool.finish(output=[1, 2])
    office.pool.next()
    forked = fork(office, run)
    office.pool.finish(output="fitted")
    assert office.ended(forked) == "SUCCEEDED"
    assert office.call("DescribeExecution", executionArn=run)["status"] == "RUNNING"


def test_it_keeps_the_definition_that_the_original_has(office: Office) -> None:
    office.machine(STEPS)
    version = office.call("PublishStateMachineVersion", stateMachineArn=ARN)["stateMachineVersionArn"]
    run = office.call("StartExecution", stateMachineArn=version)["executionArn"]
    assert office.ended(run) == "FAILED", "no function is bound"
    before = office.call("DescribeStateMachineForExecution", executionArn=run)
    office.call("UpdateStateMachine", stateMachineArn=ARN, definition=json.dumps(PASS))
    forked = fork(office, run, "Load")
    office.pool.finish(output=[])
    office.pool.finish(output="fitted")
    assert office.ended(forked) == "SUCCEEDED"
    described = office.call("DescribeExecution", executionArn=forked)
    assert described["stateMachineVersionArn"] == version
    assert json.loads(before["definition"]) == STEPS
    assert office.call("DescribeStateMachineForExecution", executionArn=forked) == before


def test_it_goes_on_on_another_definition(office: Office) -> None:
    run = failed(office)
    mended = json.loads(json.dumps(STEPS))
    mended["States"]["Fit"] |= {"Arguments": "{% $k %}", "Next": "End"}
    mended["States"]["End"] = {"Type": "Pass", "End": True}
    del mended["States"]["All"]
    arn = office.machine(mended, "other")
    forked = fork(office, run, state_machine_arn=arn, name="r")
    assert forked == execution_arn("other", "r")
    assert office.pool.finish(output=7).arguments == 3
    assert office.ended(forked) == "SUCCEEDED"
    assert office.call("DescribeExecution", executionArn=forked)["stateMachineArn"] == arn


def test_the_last_visit_is_meant_unless_another_is_chosen(office: Office) -> None:
    loop: Json = {
        "StartAt": "A",
        "QueryLanguage": "JSONata",
        "States": {
            "A": {"Type": "Pass", "Output": "{% $states.input + 1 %}", "Next": "B"},
            "B": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $states.input < 3 %}", "Next": "A"}],
                "Default": "C",
            },
            "C": {"Type": "Task", "Resource": WORK, "End": True},
        },
    }
    run = office.start(office.machine(loop), "0")
    office.pool.finish()
    assert office.ended(run) == "SUCCEEDED"
    for visit, input in [(-1, 2), (0, 0), (1, 1), (-3, 0)]:
        forked = fork(office, run, "A", visit=visit)
        office.pool.finish()
        events = office.call("GetExecutionHistory", executionArn=forked)["events"]
        assert events[1]["stateEnteredEventDetails"]["input"] == str(input)
    assert refused(office, run, "A", visit=3) == (
        "Execution r has entered the state 'A' 3 times: there is no visit 3 (they are numbered from 0 to 2; from the "
        "last one back, from -1 to -3)"
    ).replace("Execution r", f"Execution {run.rpartition(':')[2]}")
    refused(office, run, "A", visit=-4)


# --- what is refused


def refused(office: Office, run: str, at: str, **options: Any) -> str:
    before = len(office.store.executions(limit=100))
    with pytest.raises(ApiError) as caught:
        fork(office, run, at, **options)
    assert caught.value.code == "ValidationException"
    assert len(office.store.executions(limit=100)) == before
    return str(caught.value)


def test_a_state_that_there_is_not_is_refused(office: Office) -> None:
    assert refused(office, failed(office), "Fitt") == (
        "There is no state 'Fitt' in the definition (did you mean 'Fit'? At the top level there are 'Load', 'Fit', 'All')"
    )


def test_a_state_within_a_map_is_refused(office: Office) -> None:
    assert refused(office, failed(office), "In") == (
        "The state 'In' is inside of 'All' (a fork begins at a state of the top level, such as 'All')"
    )


def test_a_state_that_was_never_entered_is_refused(office: Office) -> None:
    assert refused(office, failed(office), "All") == (
        "Execution r has not entered the state 'All' (it has entered 'Load', 'Fit')"
    )


def test_a_state_of_the_old_definition_only_is_refused(office: Office) -> None:
    run = failed(office)
    message = refused(office, run, "Fit", state_machine_arn=office.machine(PASS, "other"))
    assert message.startswith("There is no state 'Fit' in the definition (at the top level there are 'P')")


def test_a_variable_that_there_is_not_is_refused(office: Office) -> None:
    run = failed(office)
    assert refused(office, run, "Fit", variables={"kk": 5}) == (
        "There is no variable 'kk' at 'Fit' (did you mean 'k'? There are 'k', 'j')"
    )
    assert refused(office, run, "Load", variables={"nope": 5}) == (
        "There is no variable 'nope' at 'Load' (there are none)"
    )


def test_a_variable_that_another_definition_reads_may_be_given(office: Office) -> None:
    run = failed(office)
    more = json.loads(json.dumps(STEPS))
    more["States"]["Fit"]["Arguments"] = {"new": "{% $new %}"}
    other = office.machine(more, "other")
    fork(office, run, state_machine_arn=other, variables={"new": 1, "j": 0})
    assert office.pool.finish().arguments == {"new": 1}
    assert "(there are 'k', 'j', 'new')" in refused(
        office, run, "Fit", state_machine_arn=other, variables={"strange": 1}
    )


def test_an_input_that_is_not_read_is_refused(office: Office) -> None:
    definition = json.loads(json.dumps(STEPS))
    definition["States"]["Fit"]["Arguments"] = {"k": "{% $k %}", "run": "{% $states.context.Execution.Id %}"}
    assert refused(office, failed(office, definition), "Fit", input="1") == (
        "The state 'Fit' does not read its input (what it works on are the variables 'k': give other values to these)"
    )


def test_a_state_that_only_the_original_has_entered_names_it(office: Office) -> None:
    forked = fork(office, failed(office), name="again")
    assert refused(office, forked, "Load") == (
        "Execution again has not entered the state 'Load' "
        "(it has entered 'Fit'; r, which it was forked from, has entered 'Load': fork that)"
    )


def test_a_child_of_a_map_run_is_refused(office: Office) -> None:
    each = json.loads(json.dumps(STEPS["States"]["All"]))
    each["ItemProcessor"]["ProcessorConfig"] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    run = office.start(
        office.machine({"StartAt": "All", "QueryLanguage": "JSONata", "States": {"All": each}})
    )
    assert office.ended(run) == "SUCCEEDED"
    [map_run] = office.call("ListMapRuns", executionArn=run)["mapRuns"]
    [child] = office.store.executions(map_run_arn=map_run["mapRunArn"], children=True)
    assert "is a child of a Map Run (fork the execution that the Map is in)" in refused(
        office, child.arn, "In"
    )


def test_other_refusals_are_those_of_a_start(office: Office) -> None:
    run = failed(office)
    express = office.service.create_state_machine("x", json.dumps(STEPS), type="EXPRESS")["stateMachineArn"]
    for code, options in [
        ("ExecutionAlreadyExists", {"name": "r"}),
        ("InvalidName", {"name": "a b"}),
        ("InvalidExecutionInput", {"input": "{"}),
        ("StateMachineDoesNotExist", {"state_machine_arn": machine_arn("none")}),
        ("StateMachineTypeNotSupported", {"state_machine_arn": express}),
    ]:
        with pytest.raises(ApiError) as caught:
            fork(office, run, **options)
        assert caught.value.code == code
    with pytest.raises(ApiError) as caught:
        fork(office, execution_arn("m", "none"))
    assert caught.value.code == "ExecutionDoesNotExist"
    office.call("DeleteStateMachine", stateMachineArn=ARN)
    with pytest.raises(ApiError) as caught:
        fork(office, run)
    assert caught.value.code in ("StateMachineDeleting", "StateMachineDoesNotExist")
