"""Activity tasks and task tokens over the API (AWS, GetActivityTask, SendTaskSuccess, SendTaskFailure,
SendTaskHeartbeat)."""

import json
import random
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from nbflow.language.values import Json
from nbflow.machine import tokens
from nbflow.service import tasks
from nbflow.service.arns import activity_arn, machine_arn
from nbflow.service.desk import Desk
from nbflow.service.errors import ApiError
from nbflow.store.rows import TokenRow
from nbflow.tasks.job import Outcome
from tests.service.support import CODES, WORK, Office

ARN = activity_arn("a")
FOREIGN = tokens.make(random.Random(99))
"""A token, but of another store."""

GONE = ("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")


@pytest.fixture
def other(tmp_path: Path, office: Office) -> Iterator[Office]:
    """Another process on the same store."""
    other = Office(tmp_path)
    yield other
    other.close()


@pytest.fixture(autouse=True)
def activity(office: Office) -> None:
    office.call("CreateActivity", name="a")


def activities(**fields: Json) -> Json:
    return {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": ARN, "End": True, **fields}}}


def callbacks(**fields: Json) -> Json:
    """A machine whose task asks the function ``work`` to call back."""
    told = {"FunctionName": "work", "Payload": {"token.$": "$$.Task.Token", "input.$": "$"}}
    resource = "arn:aws:states:::lambda:invoke.waitForTaskToken"
    task = {"Type": "Task", "Resource": resource, "Parameters": told, "End": True, **fields}
    return {"StartAt": "T", "States": {"T": task}}


def started(office: Office, definition: Json, input: str = "{}") -> str:
    office.service.functions = {"work": CODES[WORK]}
    arn: str = office.call("StartExecution", stateMachineArn=office.machine(definition), input=input)[
        "executionArn"
    ]
    return arn


def taken(office: Office, **worker: Json) -> str:
    """The token of the activity's next task."""
    token: str = office.call("GetActivityTask", activityArn=ARN, **worker)["taskToken"]
    return token


def details(office: Office, run: str, type: str) -> Json:
    [event] = [event for event in office.service.events(run) if event["type"] == type]
    return event.get(f"{type[0].lower()}{type[1:]}EventDetails")


# --- workers


def test_a_worker_takes_a_task_and_ends_it(office: Office) -> None:
    run = started(office, activities(TimeoutSeconds=60, HeartbeatSeconds=10), '{"a": "ä"}')
    given = office.call("GetActivityTask", activityArn=ARN, workerName="worker-7")
    assert tokens.is_token(given["taskToken"])
    assert json.loads(given["input"]) == {"a": "ä"}
    assert office.call("SendTaskHeartbeat", taskToken=given["taskToken"]) == {}
    assert office.call("SendTaskSuccess", taskToken=given["taskToken"], output='{"b": [1, 2.5]}') == {}
    assert office.ended(run) == "SUCCEEDED"
    assert office.call("DescribeExecution", executionArn=run)["output"] == '{"b":[1,2.5]}'
    events = office.service.events(run)
    assert [event["type"] for event in events][2:5] == [
        "ActivityScheduled",
        "ActivityStarted",
        "ActivitySucceeded",
    ]
    assert details(office, run, "ActivityStarted") == {"workerName": "worker-7"}
    scheduled = details(office, run, "ActivityScheduled")
    assert (scheduled["resource"], scheduled["input"]) == (ARN, '{"a":"ä"}')
    assert (scheduled["timeoutInSeconds"], scheduled["heartbeatInSeconds"]) == (60, 10)


def test_a_worker_reports_a_failure(office: Office) -> None:
    run = started(office, activities())
    assert office.call("SendTaskFailure", taskToken=taken(office), error="E", cause="why") == {}
    assert office.ended(run) == "FAILED"
    assert details(office, run, "ActivityFailed") == {"error": "E", "cause": "why"}
    described = office.call("DescribeExecution", executionArn=run)
    assert (described["error"], described["cause"]) == ("E", "why")


def test_a_failure_needs_no_words(office: Office) -> None:
    run = started(office, activities())
    office.call("SendTaskFailure", taskToken=taken(office))
    assert office.ended(run) == "FAILED"
    assert details(office, run, "ActivityFailed") == {}


def test_without_a_task_the_answer_is_empty(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "POLL_SECONDS", 0.0)
    assert office.call("GetActivityTask", activityArn=ARN) == {}
    started(office, activities())
    assert office.call("GetActivityTask", activityArn=ARN)["taskToken"]
    assert office.call("GetActivityTask", activityArn=ARN) == {}, "it has been given away"


def test_a_poll_waits_for_the_next_task(office: Office) -> None:
    with ThreadPoolExecutor(1) as worker:
        poll = worker.submit(taken, office)
        run = started(office, activities())
        office.call("SendTaskSuccess", taskToken=poll.result(timeout=10), output="1")
    assert office.ended(run) == "SUCCEEDED"


def test_a_worker_of_another_process(office: Office, other: Office) -> None:
    with ThreadPoolExecutor(1) as worker:
        poll = worker.submit(taken, other, workerName="far away")
        run = started(office, activities())
        other.call("SendTaskSuccess", taskToken=poll.result(timeout=10), output='"from afar"')
    assert office.ended(run) == "SUCCEEDED"
    assert details(office, run, "ActivityStarted") == {"workerName": "far away"}
    assert office.store.inbox() == []


def test_a_worker_who_has_gone_is_given_nothing(office: Office) -> None:
    gone: Future[None] = Future()
    gone.set_result(None)
    started(office, activities())
    assert office.service.call("GetActivityTask", {"activityArn": ARN}, gone) == {}
    assert office.store.queued() == {ARN: 1}


def test_the_end_of_the_engine_ends_the_polls(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, claim = threading.Event(), office.store.claim

    def claimed(activity: str, now: float, fact: str) -> object:
        waiting.set()
        return claim(activity, now, fact)

    monkeypatch.setattr(office.store, "claim", claimed)
    with ThreadPoolExecutor(1) as worker:
        poll = worker.submit(office.call, "GetActivityTask", activityArn=ARN)
        assert waiting.wait(10)
        office.engine.close()
        assert poll.result(timeout=10) == {}


@pytest.mark.parametrize(
    ("arn", "refusal"),
    [
        (
            activity_arn("none"),
            ("ActivityDoesNotExist", f"Activity Does Not Exist: '{activity_arn('none')}'"),
        ),
        ("a", ("InvalidArn", "Invalid Arn: 'Invalid ARN prefix: a'")),
        (
            machine_arn("a"),
            ("InvalidArn", "Invalid Arn: 'Resource type not valid in this context: statemachine'"),
        ),
    ],
)
def test_polls_that_are_refused(office: Office, arn: str, refusal: tuple[str, str]) -> None:
    assert office.refused("GetActivityTask", activityArn=arn) == refusal


# --- tokens

CALLS: dict[str, dict[str, Json]] = {
    "SendTaskSuccess": {"output": "1"},
    "SendTaskFailure": {"error": "E"},
    "SendTaskHeartbeat": {},
}


@pytest.mark.parametrize("action", CALLS)
def test_what_is_no_token(office: Office, action: str) -> None:
    for token in ("x", FOREIGN[:-1], f"{FOREIGN}=", "ä" * 10):
        assert office.refused(action, taskToken=token, **CALLS[action]) == (
            "InvalidToken",
            "Invalid Token: 'Invalid token'",
        )


@pytest.mark.parametrize("action", CALLS)
def test_a_token_of_another_store(office: Office, action: str) -> None:
    refused = office.refused(action, taskToken=FOREIGN, **CALLS[action])
    assert refused == ("TaskDoesNotExist", "Task Does Not Exist: 'Task does not exist'")


@pytest.mark.parametrize("action", CALLS)
def test_a_task_that_has_ended(office: Office, action: str) -> None:
    run = started(office, activities())
    token = taken(office)
    office.call("SendTaskSuccess", taskToken=token, output="1")
    assert office.refused(action, taskToken=token, **CALLS[action]) == GONE, "at once"
    office.ended(run)
    assert office.refused(action, taskToken=token, **CALLS[action]) == GONE, "and for ever"


@pytest.mark.parametrize("action", CALLS)
def test_a_task_of_an_execution_that_was_stopped(office: Office, action: str) -> None:
    run = started(office, activities())
    token = taken(office)
    office.call("StopExecution", executionArn=run)
    assert office.refused(action, taskToken=token, **CALLS[action]) == GONE


@pytest.mark.parametrize("action", CALLS)
def test_a_task_that_nobody_has_taken(office: Office, action: str) -> None:
    run = started(office, activities())
    attempt = next(
        event["id"] for event in office.service.events(run) if event["type"] == "ActivityScheduled"
    )
    token = next(record.token for record in office.service.records(run) if hasattr(record, "token"))
    assert attempt == 3
    assert office.refused(action, taskToken=token, **CALLS[action]) == GONE


@pytest.mark.parametrize("action", CALLS)
def test_a_task_whose_time_is_over(office: Office, action: str) -> None:
    run = started(office, activities(HeartbeatSeconds=5))
    token = taken(office)
    office.settled()
    office.clock.advance_to(office.clock.now() + 5)
    office.nudge()
    assert office.ended(run) == "FAILED"
    assert office.refused(action, taskToken=token, **CALLS[action]) == GONE
    assert details(office, run, "ActivityTimedOut") == {"error": "States.Timeout"}


@pytest.mark.parametrize("action", CALLS)
def test_a_token_that_is_closed_while_the_call_is_checked(
    office: Office, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    run = started(office, activities())
    token = taken(office)
    look = tasks.open_task

    def then_stopped(desk: Desk, token: str) -> TokenRow:
        row = look(desk, token)
        office.call("StopExecution", executionArn=run)
        return row

    monkeypatch.setattr(tasks, "open_task", then_stopped)
    assert office.refused(action, taskToken=token, **CALLS[action]) == GONE


def test_a_heartbeat_keeps_a_task(office: Office) -> None:
    run = started(office, activities(HeartbeatSeconds=5))
    token = taken(office)
    for _ in range(3):
        office.clock.advance_to(office.clock.now() + 4)
        office.call("SendTaskHeartbeat", taskToken=token)
        office.nudge()
    office.call("SendTaskSuccess", taskToken=token, output="1")
    assert office.ended(run) == "SUCCEEDED"


OUTPUTS = {
    "": "Expecting value at line 1 column 1",
    "{": "Expecting property name enclosed in double quotes at line 1 column 2",
    "[1,]": "Expecting value at line 1 column 4",
    "NaN": "NaN is no JSON number",
    "1e999": "1e999 is no JSON number",
    "[" * 50_000: "it is nested too deeply",
}


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output[:8])
def test_an_output_that_is_no_json(office: Office, output: str) -> None:
    run = started(office, activities())
    token = taken(office)
    refused = office.refused("SendTaskSuccess", taskToken=token, output=output)
    assert refused == ("InvalidOutput", f"Invalid Output: '{OUTPUTS[output]}'")
    assert office.refused("SendTaskSuccess", taskToken="x", output=output)[0] == "InvalidToken", (
        "the token first"
    )
    office.call("SendTaskSuccess", taskToken=token, output="1")
    assert office.ended(run) == "SUCCEEDED", "the task still waits for a good one"


@pytest.mark.parametrize(
    "output", ["null", "0", '"ä"', '"\\ud800"', "123456789012345678901234567890", "[[[]]]", "{}"]
)
def test_outputs_of_every_kind(office: Office, output: str) -> None:
    run = started(office, activities())
    office.call("SendTaskSuccess", taskToken=taken(office), output=output)
    assert office.ended(run) == "SUCCEEDED"
    assert json.loads(office.call("DescribeExecution", executionArn=run)["output"]) == json.loads(output)


# --- callbacks


def test_a_function_that_is_invoked_with_a_token(office: Office) -> None:
    run = started(office, callbacks(), '{"a": 1}')
    job, answer = office.pool.next()
    token = job.arguments["token"]
    assert (job.arguments["input"], job.enveloped, job.token) == ({"a": 1}, True, token)
    answer(Outcome(run, job.attempt, {"StatusCode": 200}))
    office.until(lambda: "TaskSubmitted" in [event["type"] for event in office.service.events(run)])
    office.call("SendTaskSuccess", taskToken=token, output='{"approved": true}')
    assert office.ended(run) == "SUCCEEDED"
    submitted = details(office, run, "TaskSubmitted")
    assert (submitted["resource"], submitted["output"]) == ("invoke.waitForTaskToken", '{"StatusCode":200}')
    assert details(office, run, "TaskSucceeded")["output"] == '{"approved":true}'


def test_a_callback_to_another_process(office: Office, other: Office) -> None:
    run = started(office, callbacks())
    job = office.pool.finish()
    other.call("SendTaskFailure", taskToken=job.arguments["token"], error="Rejected")
    assert office.ended(run) == "FAILED"
    assert other.call("DescribeExecution", executionArn=run)["error"] == "Rejected"


def test_a_stop_by_another_process_closes_the_token(office: Office, other: Office) -> None:
    run = started(office, callbacks())
    token = office.pool.finish().arguments["token"]
    other.call("StopExecution", executionArn=run)
    assert office.refused("SendTaskSuccess", taskToken=token, output="1") == GONE


# --- lambda:invoke


def invoked(office: Office, arguments: Json) -> str:
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": arguments,
        "End": True,
    }
    return started(office, {"StartAt": "T", "States": {"T": task}})


@pytest.mark.parametrize("name", ["work", "work:7", WORK, f"{WORK}:$LATEST", "000000000000:function:work"])
def test_a_function_is_invoked_by_its_name(office: Office, name: str) -> None:
    run = invoked(office, {"FunctionName": name, "Payload": {"a": 1}})
    job = office.pool.finish(output={"Payload": 7})
    assert (job.code, job.arguments, job.enveloped, job.token) == (CODES[WORK], {"a": 1}, True, None)
    assert office.ended(run) == "SUCCEEDED"
    types = [event["type"] for event in office.service.events(run)]
    assert types[2:5] == ["TaskScheduled", "TaskStarted", "TaskSucceeded"]


def test_an_invocation_without_a_payload(office: Office) -> None:
    invoked(office, {"FunctionName": "work"})
    assert office.pool.finish().arguments == {}


@pytest.mark.parametrize("name", ["play", 7, None])
def test_an_invocation_of_what_is_not_bound(office: Office, name: Json) -> None:
    run = invoked(office, {"FunctionName": name})
    assert office.ended(run) == "FAILED"
    described = office.call("DescribeExecution", executionArn=run)
    assert described["error"] == "States.TaskFailed"
    called = name if isinstance(name, str) else ""
    assert described["cause"].startswith(
        f"no function is bound to the function {called!r}; pass it in tasks= of the StateMachine"
    )


def test_what_was_accepted_before_a_stop_counts(office: Office, tmp_path: Path) -> None:
    """The process that ran the execution is gone; another takes the result in, and only then the stop."""
    activity = office.call("CreateActivity", name="work")["activityArn"]
    states = {"T": {"Type": "Task", "Resource": activity, "Next": "P"}, "P": {"Type": "Pass", "End": True}}
    run = office.start(office.machine({"StartAt": "T", "States": states}))
    token = office.call("GetActivityTask", activityArn=activity)["taskToken"]
    office.settled()
    office.engine.close()
    other = Office(tmp_path)
    other.engine.open()
    other.settled()  # it has looked at the inbox before
    assert other.call("SendTaskSuccess", taskToken=token, output='"in time"') == {}
    other.settled()
    other.call("StopExecution", executionArn=run)
    ended = other.call("DescribeExecution", executionArn=run)
    assert (ended["status"], ended["output"]) == ("SUCCEEDED", '"in time"')
    assert other.store.inbox() == []
    other.close()


def test_a_result_nested_as_deeply_as_can_be_does_not_stop_the_engine(office: Office) -> None:
    """A thread that reads the result has room for a few levels more than the engine's."""

    def send(token: str, depth: int) -> dict[str, Json]:
        return office.call("SendTaskSuccess", taskToken=token, output="[" * depth + "]" * depth)

    errors = set[str | None]()
    with ThreadPoolExecutor(1) as shallow:
        for depth in range(950, 1000):
            execution = started(office, activities())
            token = office.call("GetActivityTask", activityArn=ARN)["taskToken"]
            try:
                shallow.submit(send, token, depth).result()
            except ApiError as refused:
                errors.add(refused.code)
                break
            office.ended(execution)
            errors.add(office.service.describe_execution(execution).get("error"))
    assert errors <= {None, "States.Runtime", "States.DataLimitExceeded", "InvalidOutput"}
    assert office.ended(office.start(office.machine(name="another"))) == "SUCCEEDED"
