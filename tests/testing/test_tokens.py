"""``run_machine`` of tasks that somebody outside ends: activities, callbacks and jobs."""

import pytest

from nbflow.language.values import Json
from nbflow.testing import NEVER, After, NeverEnds, Throw, run_machine
from tests.testing.test_running import machine

ACTIVITY = "arn:aws:states:us-east-1:000000000000:activity:a"
CALLBACK = "arn:aws:states:::lambda:invoke.waitForTaskToken"
NESTED = "arn:aws:states:::states:startExecution.sync"


def waiting(resource: str, **fields: Json) -> dict[str, Json]:
    parameters = {"FunctionName": "f", "Payload": {"token.$": "$$.Task.Token"}}
    if resource == NESTED:
        parameters = {"StateMachineArn": "arn:aws:states:us-east-1:000000000000:stateMachine:m"}
    given: dict[str, Json] = {} if resource == ACTIVITY else {"Parameters": parameters}
    return machine(T={"Type": "Task", "Resource": resource, "End": True, **given, **fields})


@pytest.mark.parametrize(
    ("resource", "begun", "ended"),
    [
        (ACTIVITY, "ActivityStarted", "ActivitySucceeded"),
        (CALLBACK, "TaskSubmitted", "TaskSucceeded"),
        (NESTED, "TaskSubmitted", "TaskSucceeded"),
    ],
)
def test_it_begins_before_it_ends(resource: str, begun: str, ended: str) -> None:
    run = run_machine(waiting(resource), {"n": 1}, {"T": {"done": True}})
    assert run.result() == {"done": True}
    types = [event["type"] for event in run.events]
    assert types.index(begun) + 1 == types.index(ended)
    run = run_machine(waiting(resource), {}, {"T": Throw("Declined", "no")})
    assert (run.error, run.cause) == ("Declined", "no")
    assert begun in [event["type"] for event in run.events]


def test_a_callbacks_token_is_in_its_arguments() -> None:
    run = run_machine(waiting(CALLBACK), {}, {"T": 1})
    [call] = run.calls("T")
    assert len(call["Payload"]["token"]) > 40


@pytest.mark.parametrize("resource", [ACTIVITY, CALLBACK, NESTED])
@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        ({"TimeoutSeconds": 30}, 30),
        ({"TimeoutSeconds": 30, "HeartbeatSeconds": 10}, 10),
        ({"HeartbeatSeconds": 5}, 5),
    ],
)
def test_what_never_ends_times_out(resource: str, limits: dict[str, Json], seconds: int) -> None:
    run = run_machine(waiting(resource, **limits), {}, {"T": NEVER})
    assert (run.error, run.seconds) == ("States.Timeout", seconds)
    assert run.events[-2]["type"] == ("ActivityTimedOut" if resource == ACTIVITY else "TaskTimedOut")


def test_a_heartbeat_that_stays_away_is_caught_by_its_name() -> None:
    catch = [{"ErrorEquals": ["States.HeartbeatTimeout"], "Next": "C"}]
    definition = waiting(CALLBACK, HeartbeatSeconds=5, TimeoutSeconds=60, Catch=catch)
    definition["States"]["C"] = {"Type": "Pass", "End": True}
    run = run_machine(definition, {}, {"T": NEVER})
    assert (run.status, run.states, run.seconds) == ("SUCCEEDED", ["T", "C"], 5)


def test_an_answer_in_time_needs_no_more_heartbeats() -> None:
    definition = waiting(CALLBACK, HeartbeatSeconds=5, TimeoutSeconds=60)
    run = run_machine(definition, {}, {"T": After(50, "done")})
    assert (run.result(), run.seconds) == ("done", 50)
    run = run_machine(definition, {}, {"T": After(61, "late")})
    assert (run.error, run.seconds) == ("States.Timeout", 60)


def test_a_retry_has_a_token_and_a_time_of_its_own() -> None:
    retry = [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    definition = waiting(CALLBACK, TimeoutSeconds=10, Retry=retry)
    run = run_machine(definition, {}, {"T": [NEVER, After(9, "done")]})
    assert (run.result(), run.seconds) == ("done", 10 + 1 + 9)
    first, second = (call["Payload"]["token"] for call in run.calls("T"))
    assert first != second


def test_what_never_ends_and_has_no_limit() -> None:
    with pytest.raises(NeverEnds, match="an attempt at 'T' does not end"):
        run_machine(waiting(ACTIVITY), {}, {"T": NEVER})
