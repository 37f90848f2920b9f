"""Executions that a task starts (AWS guide, "Start workflow executions from a task state")."""

import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nbflow.engine.hands import Hands
from nbflow.language.values import Json
from nbflow.service import nested
from nbflow.service.arns import ROLE, execution_arn, machine_arn
from nbflow.service.desk import Desk
from nbflow.service.executions import start_execution
from nbflow.service.lookup import execution_of
from nbflow.service.resuming import resume
from nbflow.store.port import StoreError
from nbflow.tasks.job import Job, Outcome
from tests.service.support import CODES, PASS, TASK, WAIT, WORK, Office, text

CHILD = machine_arn("child")
FAIL: Json = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E", "Cause": "why"}}}
METADATA = {
    "SdkHttpMetadata": {"AllHttpHeaders": {}, "HttpHeaders": {}, "HttpStatusCode": 200},
    "SdkResponseMetadata": {"RequestId": ""},
}


@pytest.fixture
def other(tmp_path: Path, office: Office) -> Iterator[Office]:
    """Another process on the same store."""
    other = Office(tmp_path)
    yield other
    other.close()


def starting(pattern: str = "", *, arguments: Json = None, **fields: Json) -> dict[str, Json]:
    """A task that starts the machine ``child`` under the name c, with its own input."""
    asked = {"StateMachineArn": CHILD, "Name": "c", "Input.$": "$"} if arguments is None else arguments
    resource = f"arn:aws:states:::states:startExecution{pattern}"
    return {"Type": "Task", "Resource": resource, "Parameters": asked, "End": True, **fields}


def started(office: Office, task: Json, input: str = '{"a": 1}', name: str = "p") -> str:
    """A run of a machine with this task."""
    machine = office.machine({"StartAt": "T", "States": {"T": task}}, "parent")
    arn: str = office.call("StartExecution", stateMachineArn=machine, input=input, name=name)["executionArn"]
    return arn


def output(office: Office, run: str) -> Json:
    assert office.ended(run) == "SUCCEEDED"
    return json.loads(office.call("DescribeExecution", executionArn=run)["output"])


def error(office: Office, run: str) -> tuple[str, str]:
    assert office.ended(run) == "FAILED"
    described = office.call("DescribeExecution", executionArn=run)
    return described["error"], described.get("cause", "")


def types(office: Office, run: str) -> list[str]:
    return [event["type"] for event in office.service.events(run)]


def status(office: Office, run: str) -> str:
    row = office.store.execution(run)
    return "none" if row is None else row.status


RUN = execution_arn("child", "c")


# --- start and go on


def test_a_task_starts_an_execution_and_goes_on(office: Office) -> None:
    office.machine(WAIT, "child")
    begun = office.clock.now()
    run = started(office, starting())
    assert output(office, run) == {"ExecutionArn": RUN, "StartDate": begun * 1000, **METADATA}
    assert types(office, run)[2:5] == ["TaskScheduled", "TaskStarted", "TaskSucceeded"]
    row = office.store.execution(RUN)
    assert row is not None
    assert (row.status, row.input, row.parent_token) == ("RUNNING", '{"a":1}', None)


@dataclass(frozen=True)
class Given:
    id: str
    input: Json
    becomes: str


GIVEN = [
    Given("object", {"a": [1, "ä"]}, '{"a":[1,"ä"]}'),
    Given("null", None, "{}"),
    Given("text that is JSON", '{"b": 2}', '{"b": 2}'),
    Given("number", 7, "7"),
    Given("half a character", {"a": "\ud800"}, '{"a":"\\ud800"}'),
]


@pytest.mark.parametrize("case", GIVEN, ids=lambda case: case.id)
def test_the_input_of_a_child(office: Office, case: Given) -> None:
    office.machine(PASS, "child")
    arguments = {"StateMachineArn": CHILD, "Name": "c", "Input.$": "$.given"}
    run = started(office, starting(arguments=arguments), json.dumps({"given": case.input}))
    output(office, run)
    office.ended(RUN)
    assert office.call("DescribeExecution", executionArn=RUN)["input"] == case.becomes


def test_without_an_input_there_is_an_empty_object(office: Office) -> None:
    office.machine(PASS, "child")
    run = started(
        office, starting(arguments={"StateMachineArn": CHILD, "Name": "c", "TraceHeader": "Root=1"})
    )
    output(office, run)
    described = office.call("DescribeExecution", executionArn=RUN)
    assert (described["input"], described["traceHeader"]) == ("{}", "Root=1")


@pytest.mark.parametrize("pattern", ["", ".sync"])
def test_a_name_of_its_own_comes_from_the_attempt(office: Office, pattern: str) -> None:
    office.machine(PASS, "child")
    run = started(office, starting(pattern, arguments={"StateMachineArn": CHILD}))
    arn = output(office, run)["ExecutionArn"]
    assert arn == execution_arn("child", str(uuid.uuid5(uuid.NAMESPACE_URL, f"{run}#3")))


@pytest.mark.parametrize("pattern", ["", ".sync"])
@pytest.mark.parametrize("child", [PASS, WAIT], ids=["ended", "running"])
def test_what_is_started_once_more_after_a_crash_is_the_same_child(
    office: Office, other: Office, monkeypatch: pytest.MonkeyPatch, pattern: str, child: Json
) -> None:
    """The one before has started it, and was no more when it should have heard of that."""
    office.machine(child, "child")
    begun, gone = threading.Event(), threading.Event()
    done = nested._done

    def unheard(desk: Desk, job: Job) -> Outcome:
        outcome = done(desk, job)
        begun.set()
        assert gone.wait(10)
        return outcome

    monkeypatch.setattr(nested, "_done", unheard)
    run = started(office, starting(pattern, arguments={"StateMachineArn": CHILD}))
    assert begun.wait(10)
    office.settled()
    office.engine.close()
    gone.set()
    monkeypatch.undo()
    [before] = other.store.executions(machine_arn=CHILD)
    row = other.store.execution(run)
    assert row is not None
    if row.status == "RUNNING":  # its child may have ended it
        assert resume(other.service.desk, row)
    if pattern and child == WAIT:
        other.until(lambda: "TaskSubmitted" in types(other, run))
    else:
        assert output(other, run)["ExecutionArn"] == before.arn
    assert len(other.store.executions(machine_arn=CHILD)) == 1


def test_an_express_child(office: Office) -> None:
    office.call("CreateStateMachine", name="child", definition=text(PASS), roleArn=ROLE, type="EXPRESS")
    arn = output(office, started(office, starting()))["ExecutionArn"]
    assert arn.startswith("arn:aws:states:us-east-1:000000000000:express:child:c:")


def test_the_functions_of_a_registered_machine_do_its_tasks(office: Office) -> None:
    arn = office.machine(TASK, "child")
    office.service.desk.own_functions[arn] = {"work": CODES[WORK]}
    run = started(office, starting(".sync:2"))
    assert office.pool.finish(output="worked").code == CODES[WORK]
    assert output(office, run)["Output"] == "worked"


# --- wait for the end


@pytest.mark.parametrize("pattern", [".sync", ".sync:2"])
def test_a_task_waits_for_the_end_and_is_told_all(office: Office, pattern: str) -> None:
    office.machine(TASK, "child")
    office.service.functions = {"work": CODES[WORK]}
    begun = office.clock.now()
    run = started(office, starting(pattern))
    job, answer = office.pool.next()
    office.clock.advance_to(begun + 7.5)
    answer(Outcome(job.execution, job.attempt, {"b": "ä"}))
    plain = pattern == ".sync"
    assert output(office, run) == {
        "ExecutionArn": RUN,
        "Input": '{"a":1}' if plain else {"a": 1},
        "InputDetails": {"Included": True},
        "Name": "c",
        "Output": '{"b":"ä"}' if plain else {"b": "ä"},
        "OutputDetails": {"Included": True},
        "RedriveCount": 0,
        "RedriveStatus": "NOT_REDRIVABLE",
        "RedriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
        "StartDate": begun * 1000,
        "StateMachineArn": CHILD,
        "Status": "SUCCEEDED",
        "StopDate": begun * 1000 + 7500,
    }
    [submitted] = [event for event in office.service.events(run) if event["type"] == "TaskSubmitted"]
    told = json.loads(submitted["taskSubmittedEventDetails"]["output"])
    assert told == {"ExecutionArn": RUN, "StartDate": begun * 1000, **METADATA}


@pytest.mark.parametrize("child", [PASS, FAIL], ids=["succeeds", "fails"])
def test_a_child_that_ends_in_its_first_step_is_submitted_first(office: Office, child: Json) -> None:
    office.machine(child, "child")
    run = started(office, starting(".sync"))
    office.ended(run)
    assert types(office, run)[2:5] == ["TaskScheduled", "TaskStarted", "TaskSubmitted"]
    assert types(office, run).count("TaskSubmitted") == 1
    assert office.store.inbox() == []


@pytest.mark.parametrize("pattern", [".sync", ".sync:2"])
def test_a_child_that_fails(office: Office, pattern: str) -> None:
    office.machine(FAIL, "child")
    begun = office.clock.now()
    name, cause = error(office, started(office, starting(pattern)))
    assert name == "States.TaskFailed"
    told = json.loads(cause)
    assert list(told) == sorted(told)
    assert told == {
        "Cause": "why",
        "Error": "E",
        "ExecutionArn": RUN,
        "Input": '{"a":1}' if pattern == ".sync" else {"a": 1},
        "InputDetails": {"Included": True},
        "Name": "c",
        "RedriveCount": 0,
        "RedriveStatus": "REDRIVABLE",
        "StartDate": begun * 1000,
        "StateMachineArn": CHILD,
        "Status": "FAILED",
        "StopDate": begun * 1000,
    }


def test_a_child_that_is_stopped(office: Office) -> None:
    office.machine(WAIT, "child")
    run = started(office, starting(".sync"))
    office.until(lambda: status(office, RUN) == "RUNNING")
    office.call("StopExecution", executionArn=RUN, error="Enough")
    told = json.loads(error(office, run)[1])
    assert (told["Status"], told["Error"]) == ("ABORTED", "Enough")


def test_a_child_that_times_out(office: Office) -> None:
    office.machine({**WAIT, "TimeoutSeconds": 10}, "child")
    run = started(office, starting(".sync"))
    office.until(lambda: "TaskSubmitted" in types(office, run))
    office.clock.advance_to(office.clock.now() + 10)
    office.nudge()
    assert json.loads(error(office, run)[1])["Status"] == "TIMED_OUT"


def test_a_child_that_another_process_stops(office: Office, other: Office) -> None:
    office.machine(WAIT, "child")
    run = started(office, starting(".sync"))
    office.until(lambda: status(office, RUN) == "RUNNING")
    other.call("StopExecution", executionArn=RUN)
    assert json.loads(error(office, run)[1])["Status"] == "ABORTED"


def test_a_failed_child_may_be_tried_again(office: Office) -> None:
    office.machine(FAIL, "child")
    retry = [{"ErrorEquals": ["States.TaskFailed"], "MaxAttempts": 1, "IntervalSeconds": 0}]
    run = started(office, starting(".sync", arguments={"StateMachineArn": CHILD}, Retry=retry))
    assert error(office, run)[0] == "States.TaskFailed"
    children = [row.name for row in office.store.executions(machine_arn=CHILD)]
    assert len(set(children)) == 2


# --- a callback of the child


def test_a_child_that_is_to_call_back(office: Office) -> None:
    office.machine(PASS, "child")
    arguments = {"StateMachineArn": CHILD, "Name": "c", "Input": {"token.$": "$$.Task.Token"}}
    run = started(office, starting(".waitForTaskToken", arguments=arguments))
    office.until(lambda: status(office, RUN) == "SUCCEEDED" and "TaskSubmitted" in types(office, run))
    assert status(office, run) == "RUNNING", "the child's end is not the task's"
    token = json.loads(office.call("DescribeExecution", executionArn=RUN)["input"])["token"]
    office.call("SendTaskSuccess", taskToken=token, output='"called back"')
    assert output(office, run) == "called back"


# --- given up


def test_the_stop_of_the_parent_stops_the_child(office: Office) -> None:
    office.machine(WAIT, "child")
    run = started(office, starting(".sync"))
    office.until(lambda: "TaskSubmitted" in types(office, run))
    office.call("StopExecution", executionArn=run, error="Enough")
    assert office.ended(RUN) == "ABORTED"
    assert "error" not in office.call("DescribeExecution", executionArn=RUN)
    office.until(lambda: office.engine.ended(run) is None)
    assert office.store.inbox() == []


def test_a_task_that_takes_too_long_stops_its_child(office: Office) -> None:
    office.machine(WAIT, "child")
    run = started(office, starting(".sync", TimeoutSeconds=60))
    office.until(lambda: "TaskSubmitted" in types(office, run))
    office.clock.advance_to(office.clock.now() + 60)
    office.nudge()
    assert error(office, run) == ("States.Timeout", "")
    assert office.ended(RUN) == "ABORTED"


@pytest.mark.parametrize("alive", [True, False])
def test_a_stop_by_another_process_stops_the_child(office: Office, other: Office, alive: bool) -> None:
    office.machine(WAIT, "child")
    run = started(office, starting(".sync"))
    office.until(lambda: "TaskSubmitted" in types(office, run))
    if not alive:
        office.engine.close()
    other.call("StopExecution", executionArn=run)
    office.until(lambda: status(other, RUN) == "ABORTED")


def test_a_stop_that_a_killed_process_has_recorded_is_carried_out_by_the_next(
    office: Office, other: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.machine(WAIT, "child")
    run = started(office, starting(".sync"))
    office.until(lambda: "TaskSubmitted" in types(office, run))
    # the answer of the start itself may come after what the inbox tells of it
    office.until(lambda: not office.engine._turns.live[run].submitted)
    with monkeypatch.context() as killed:  # between the record and the act
        killed.setattr(Hands, "carry_out", lambda *_: None)
        office.call("StopExecution", executionArn=run)
        office.engine.close()
    assert (status(other, run), status(other, RUN)) == ("ABORTED", "RUNNING")
    [left] = [row for row in other.service.interrupted() if row.arn == run]
    assert other.service.resume(left)
    other.until(lambda: status(other, RUN) == "ABORTED")
    other.until(lambda: execution_of(other.service.desk, run).owner is None)
    assert other.store.inbox() == []


def test_the_stop_of_the_parent_leaves_a_child_that_nobody_waits_for(office: Office) -> None:
    office.machine(WAIT, "child")
    states = {"T": {**starting(), "Next": "W"}, "W": WAIT["States"]["W"]}
    del states["T"]["End"]
    machine = office.machine({"StartAt": "T", "States": states}, "parent")
    run = office.call("StartExecution", stateMachineArn=machine)["executionArn"]
    office.until(lambda: "WaitStateEntered" in types(office, run))
    office.call("StopExecution", executionArn=run)
    office.until(lambda: office.engine.ended(run) is None)
    assert status(office, RUN) == "RUNNING"


def test_a_child_that_begins_when_its_parent_has_been_stopped(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.machine(WAIT, "child")
    asked, stopped = threading.Event(), threading.Event()

    def late(*arguments: object, **options: object) -> dict[str, Json]:
        asked.set()
        assert stopped.wait(10)
        return start_execution(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(nested, "start_execution", late)
    run = started(office, starting(".sync"))
    assert asked.wait(10)
    office.call("StopExecution", executionArn=run)
    office.settled()
    stopped.set()
    office.until(lambda: status(office, RUN) == "ABORTED")
    office.until(lambda: office.engine.ended(run) is None)


# --- what cannot be started


@dataclass(frozen=True)
class Refused:
    id: str
    arguments: dict[str, Json]
    error: str
    says: str
    pattern: str = ""
    taken: list[str] = field(default_factory=list)


NONE = machine_arn("none")
REFUSED = [
    Refused("no such machine", {"StateMachineArn": NONE}, "StepFunctions.StateMachineDoesNotExistException", f"State Machine Does Not Exist: '{NONE}'"),
    Refused("no such machine to wait for", {"StateMachineArn": NONE}, "StepFunctions.StateMachineDoesNotExistException", f"State Machine Does Not Exist: '{NONE}'", ".sync"),
    Refused("no ARN", {"StateMachineArn": "x"}, "StepFunctions.InvalidArnException", "Invalid Arn: 'Invalid ARN prefix: x'"),
    Refused("no name", {"StateMachineArn": CHILD, "Name": "a b"}, "StepFunctions.InvalidNameException", "Invalid Name: 'a b'"),
    Refused("no JSON", {"StateMachineArn": CHILD, "Input": "{"}, "StepFunctions.InvalidExecutionInputException", "Invalid State Machine Execution Input"),
    Refused("the name is taken", {"StateMachineArn": CHILD, "Name": "c", "Input": {"other": 1}}, "StepFunctions.ExecutionAlreadyExistsException", f"Execution Already Exists: '{RUN}'", taken=["c"]),
    Refused("taken by one that tells somebody else", {"StateMachineArn": CHILD, "Name": "c"}, "StepFunctions.ExecutionAlreadyExistsException", f"Execution Already Exists: '{RUN}'", ".sync", ["c"]),
    Refused("a name that is a number", {"StateMachineArn": CHILD, "Name": 5}, "States.TaskFailed", "the execution could not be started: TypeError"),
    Refused("Express to wait for", {"StateMachineArn": machine_arn("express")}, "StepFunctions.ValidationException", "an Express execution cannot be waited for", ".sync:2"),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_what_cannot_be_started_is_the_tasks_failure(office: Office, case: Refused) -> None:
    office.machine(WAIT, "child")
    office.call("CreateStateMachine", name="express", definition=text(PASS), roleArn=ROLE, type="EXPRESS")
    for name in case.taken:
        office.call("StartExecution", stateMachineArn=CHILD, name=name, input="{}")
    name, cause = error(office, started(office, starting(case.pattern, arguments=case.arguments)))
    assert name == case.error
    assert cause.startswith(case.says)
    assert len(office.store.executions(machine_arn=CHILD)) == len(case.taken)


def test_the_same_name_and_input_are_the_same_execution_to_one_that_does_not_wait(office: Office) -> None:
    office.machine(WAIT, "child")
    office.call("StartExecution", stateMachineArn=CHILD, name="c", input='{"a":1}')
    assert output(office, started(office, starting()))["ExecutionArn"] == RUN
    assert len(office.store.executions(machine_arn=CHILD)) == 1


def test_a_store_that_refuses_the_child_is_the_tasks_failure(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.machine(PASS, "child")

    def refuse(*arguments: object, **options: object) -> object:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(nested, "start_execution", refuse)
    assert error(office, started(office, starting(".sync"))) == ("States.TaskFailed", "The disk is full.")


# --- many


def test_a_map_of_children(office: Office) -> None:
    office.machine({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}, "child")
    child = starting(".sync:2", arguments={"StateMachineArn": CHILD, "Input.$": "$"}, OutputPath="$.Output")
    processor = {"StartAt": "I", "States": {"I": child}}
    run = started(
        office, {"Type": "Map", "ItemProcessor": processor, "End": True}, json.dumps(list(range(20)))
    )
    assert output(office, run) == list(range(20))
    office.until(lambda: office.store.inbox() == [])


def test_the_failure_of_one_stops_the_others(office: Office) -> None:
    office.machine(WAIT, "child")
    arguments = {"StateMachineArn": CHILD, "Name.$": "States.Format('c{}', $)"}
    processor = {"StartAt": "I", "States": {"I": starting(".sync", arguments=arguments)}}
    run = started(office, {"Type": "Map", "ItemProcessor": processor, "End": True}, "[0, 1, 2]")
    arns = [execution_arn("child", f"c{n}") for n in range(3)]
    office.until(lambda: all(status(office, arn) == "RUNNING" for arn in arns))
    office.call("StopExecution", executionArn=arns[1])
    assert office.ended(run) == "FAILED"
    assert [office.ended(arn) for arn in arns] == ["ABORTED"] * 3


def test_a_chain_of_executions(office: Office) -> None:
    office.machine(PASS, "child")
    middle = starting(".sync:2", arguments={"StateMachineArn": CHILD, "Input.$": "$"}, OutputPath="$.Output")
    office.machine({"StartAt": "T", "States": {"T": middle}}, "middle")
    top = starting(
        ".sync:2", arguments={"StateMachineArn": machine_arn("middle"), "Input.$": "$"}, OutputPath="$.Output"
    )
    assert output(office, started(office, top, '{"deep": true}')) == {"deep": True}
