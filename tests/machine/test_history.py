"""The history's ids, what each event points back to, and its details, in AWS's shapes."""

from dataclasses import dataclass

import pytest

from nbflow.language.values import Json
from nbflow.machine.history import Event
from tests.machine.driver import TASK, Driver, Raised
from tests.machine.test_states import by_call, echo, fails, jsonata, mapped, one
from tests.machine.test_step import caught, task


@dataclass(frozen=True)
class Story:
    id: str
    driver: Driver
    input: Json
    events: str
    """Each event as ``id<previousEventId Type``; the ids follow AWS's recorded behaviour."""


STORIES = [
    Story(
        "pass",
        Driver(one(Type="Pass")),
        {},
        "1<0 ExecutionStarted 2<0 PassStateEntered 3<2 PassStateExited 4<3 ExecutionSucceeded",
    ),
    Story(
        "a retried task points on in one line",
        Driver(task(Retry=[{"ErrorEquals": ["Boom"]}]), {"S": by_call(Raised("Boom"), 1)}),
        {},
        "1<0 ExecutionStarted 2<0 TaskStateEntered 3<2 LambdaFunctionScheduled 4<3 LambdaFunctionStarted 5<4 LambdaFunctionFailed "
        "6<5 LambdaFunctionScheduled 7<6 LambdaFunctionStarted 8<7 LambdaFunctionSucceeded 9<8 TaskStateExited 10<9 ExecutionSucceeded",
    ),
    Story(
        "a caught task leaves its state",
        Driver(caught(), {"S": fails("Boom")}),
        {},
        "1<0 ExecutionStarted 2<0 TaskStateEntered 3<2 LambdaFunctionScheduled 4<3 LambdaFunctionStarted 5<4 LambdaFunctionFailed "
        "6<5 TaskStateExited 7<6 PassStateEntered 8<7 PassStateExited 9<8 ExecutionSucceeded",
    ),
    Story(
        "a Fail state has no exit",
        Driver(one(Type="Fail", Error="E")),
        {},
        "1<0 ExecutionStarted 2<0 FailStateEntered 3<2 ExecutionFailed",
    ),
    Story(
        "iterations one by one: the next start points at the last exit, the state's exit at the last success",
        Driver(mapped(MaxConcurrency=1)),
        [1, 2],
        "1<0 ExecutionStarted 2<0 MapStateEntered 3<2 MapStateStarted 4<3 MapIterationStarted 5<4 PassStateEntered 6<5 PassStateExited "
        "7<6 MapIterationSucceeded 8<6 MapIterationStarted 9<8 PassStateEntered 10<9 PassStateExited 11<10 MapIterationSucceeded "
        "12<11 MapStateSucceeded 13<11 MapStateExited 14<13 ExecutionSucceeded",
    ),
    Story(
        "a failed iteration: the Map's failure points at what failed",
        Driver(mapped({"Type": "Fail"})),
        [1],
        "1<0 ExecutionStarted 2<0 MapStateEntered 3<2 MapStateStarted 4<3 MapIterationStarted 5<4 FailStateEntered 6<5 MapIterationFailed "
        "7<5 MapStateFailed 8<7 ExecutionFailed",
    ),
    Story(
        "a retried Map starts again from what failed",
        Driver(mapped({"Type": "Fail", "Error": "E"}, Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 1}])),
        [1],
        "1<0 ExecutionStarted 2<0 MapStateEntered 3<2 MapStateStarted 4<3 MapIterationStarted 5<4 FailStateEntered 6<5 MapIterationFailed "
        "7<5 MapStateStarted 8<7 MapIterationStarted 9<8 FailStateEntered 10<9 MapIterationFailed 11<9 MapStateFailed 12<11 ExecutionFailed",
    ),
    Story(
        "a Parallel of one branch: no event for the branch",
        Driver(
            one(Type="Parallel", Branches=[{"StartAt": "B", "States": {"B": {"Type": "Pass", "End": True}}}])
        ),
        {},
        "1<0 ExecutionStarted 2<0 ParallelStateEntered 3<2 ParallelStateStarted 4<3 PassStateEntered 5<4 PassStateExited "
        "6<5 ParallelStateSucceeded 7<5 ParallelStateExited 8<7 ExecutionSucceeded",
    ),
    Story(
        "a failed evaluation points before the state",
        Driver(jsonata(Type="Pass", Output="{% $nope %}")),
        {},
        "1<0 ExecutionStarted 2<0 PassStateEntered 3<0 EvaluationFailed 4<3 ExecutionFailed",
    ),
    Story(
        "but in a Wait at its entry",
        Driver(jsonata(Type="Wait", Timestamp="{% 'never' %}")),
        {},
        "1<0 ExecutionStarted 2<0 WaitStateEntered 3<2 EvaluationFailed 4<3 ExecutionFailed",
    ),
    Story(
        "Items that cannot be evaluated fail the Map before it starts",
        Driver(mapped(QueryLanguage="JSONata", Items="{% null %}")),
        {},
        "1<0 ExecutionStarted 2<0 MapStateEntered 3<0 EvaluationFailed 4<3 MapStateFailed 5<4 ExecutionFailed",
    ),
    Story(
        "a timeout of the whole",
        Driver(one(Type="Wait", Seconds=9) | {"TimeoutSeconds": 1}),
        {},
        "1<0 ExecutionStarted 2<0 WaitStateEntered 3<0 ExecutionTimedOut",
    ),
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.id)
def test_ids(story: Story) -> None:
    assert " ".join(story.driver.go(story.input).story) == story.events


def event(driver: Driver, type_: str) -> Event:
    return next(event for event in driver.events if event["type"] == type_)


def test_payloads_are_json_texts_and_ids_and_times_are_numbers() -> None:
    driver = Driver(task(Parameters={"n.$": "$.n"}, TimeoutSeconds=9), {"S": echo}).go({"n": [1, 2.5, "ü"]})
    text = '{"n":[1,2.5,"ü"]}'
    whole = {"truncated": False}
    assert [{k: v for k, v in e.items() if k.endswith("Details")} for e in driver.events] == [
        {"executionStartedEventDetails": {"input": text, "inputDetails": whole, "roleArn": "arn:role"}},
        {"stateEnteredEventDetails": {"name": "S", "input": text, "inputDetails": whole}},
        {
            "lambdaFunctionScheduledEventDetails": {
                "resource": TASK,
                "input": text,
                "inputDetails": whole,
                "timeoutInSeconds": 9,
            }
        },
        {},
        {"lambdaFunctionSucceededEventDetails": {"output": text, "outputDetails": whole}},
        {"stateExitedEventDetails": {"name": "S", "output": text, "outputDetails": whole}},
        {"executionSucceededEventDetails": {"output": text, "outputDetails": whole}},
    ]
    assert driver.events[0]["timestamp"] == 1000.0


def test_assigned_variables_are_shown_as_texts() -> None:
    details = event(Driver(one(Type="Pass", Assign={"x": 42, "y": "t"})).go(), "PassStateExited")[
        "stateExitedEventDetails"
    ]
    assert details["assignedVariables"] == {"x": "42", "y": '"t"'}
    assert details["assignedVariablesDetails"] == {"truncated": False}


def test_iterations_are_named_by_their_map() -> None:
    driver = Driver(mapped()).go([7])
    assert event(driver, "MapStateStarted")["mapStateStartedEventDetails"] == {"length": 1}
    for outcome in ("Started", "Succeeded"):
        details = event(driver, f"MapIteration{outcome}")[f"mapIteration{outcome}EventDetails"]
        assert details == {"name": "S", "index": 0}


def test_siblings_of_a_failure_are_aborted() -> None:
    inner = {"Type": "Task", "Resource": TASK, "End": True}
    driver = Driver(mapped(inner), {"I": fails("Boom", "why")}).go([1, 2, 3])
    types = [event["type"] for event in driver.events]
    assert types.count("MapIterationFailed") == 1
    assert types.count("MapIterationAborted") == 2
    assert types[-2:] == ["MapStateFailed", "ExecutionFailed"]
    assert driver.run.ended
    assert not driver.run.cancelling


RESOURCES = {
    "arn:aws:states:::sqs:sendMessage.waitForTaskToken": ("sqs", "sendMessage.waitForTaskToken"),
    "arn:aws:states:::states:startExecution.sync:2": ("states", "startExecution.sync:2"),
    "arn:aws:states:::aws-sdk:s3:getObject": ("aws-sdk:s3", "getObject"),
}


@pytest.mark.parametrize("resource", RESOURCES)
def test_service_tasks_have_a_type_and_a_resource(resource: str) -> None:
    driver = Driver(one(Type="Task", Resource=resource, Parameters={"StateMachineArn": 1}), {"S": echo}).go()
    kind, action = RESOURCES[resource]
    assert event(driver, "TaskScheduled")["taskScheduledEventDetails"] == {
        "resourceType": kind,
        "resource": action,
        "region": "us-east-1",
        "parameters": '{"StateMachineArn":1}',
    }
    assert event(driver, "TaskSucceeded")["taskSucceededEventDetails"]["resource"] == action


def test_an_activity_has_events_of_its_own() -> None:
    resource = "arn:aws:states:us-east-1:000000000000:activity:a"
    driver = Driver(one(Type="Task", Resource=resource, HeartbeatSeconds=3), {"S": fails("Boom", "why")}).go()
    assert event(driver, "ActivityScheduled")["activityScheduledEventDetails"]["heartbeatInSeconds"] == 3
    assert event(driver, "ActivityFailed")["activityFailedEventDetails"] == {"error": "Boom", "cause": "why"}
