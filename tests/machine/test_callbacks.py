"""Tasks that somebody outside ends: activities, callbacks and jobs, from their order to their end."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from nbflow.language.values import Json
from nbflow.machine import Machine, facts, orders, records
from nbflow.machine.tokens import is_token
from tests.machine.driver import ACTIVITY, CALLBACK, CONTEXT, SYNC, TASK, Driver, Raised, TimedOut
from tests.machine.test_states import by_call, echo, jsonata, mapped, one

INVOKE = "arn:aws:states:::lambda:invoke"


def ordered(driver: Driver) -> orders.RunTask:
    """The one task that is under way."""
    [order] = [order for order in driver.machine.outstanding() if isinstance(order, orders.RunTask)]
    return order


def started(resource: str, **fields: Json) -> tuple[Driver, orders.RunTask]:
    """A machine of one such task, just started; nothing is done by itself."""
    driver = Driver(one(Type="Task", Resource=resource, **fields)).start({"a": 1})
    driver.todo.clear()
    return driver, ordered(driver)


def details(driver: Driver, type_: str) -> Json:
    [event] = [event for event in driver.events if event["type"] == type_]
    return event.get(f"{type_[0].lower()}{type_[1:]}EventDetails")


# --- the order


@pytest.mark.parametrize("resource", [ACTIVITY, CALLBACK, SYNC, f"{INVOKE}.waitForTaskToken"])
def test_an_order_has_a_token_and_its_times_and_wakes_nobody(resource: str) -> None:
    driver, order = started(resource, TimeoutSeconds=60, HeartbeatSeconds=5)
    assert order.token is not None
    assert is_token(order.token)
    assert (order.timeout, order.heartbeat, order.submitted) == (60, 5, False)
    assert driver.machine.outstanding() == [order]
    [scheduled] = [record for record in driver.records if isinstance(record, records.TaskScheduled)]
    assert (scheduled.token, scheduled.timeout, scheduled.heartbeat) == (order.token, 60, 5)
    driver.restart()
    assert ordered(driver) == order


@pytest.mark.parametrize("resource", [TASK, INVOKE, "arn:aws:states:::states:startExecution"])
def test_what_is_done_here_has_no_token_and_is_woken(resource: str) -> None:
    driver, order = started(resource, TimeoutSeconds=60)
    assert order.token is None
    assert driver.machine.outstanding() == [order, orders.WakeAt(1060.0)]


def test_each_attempt_has_a_token_of_its_own() -> None:
    definition = mapped(
        {"Type": "Task", "Resource": ACTIVITY, "Retry": [{"ErrorEquals": ["E"]}], "End": True}
    )
    driver = Driver(definition, {"I": by_call(Raised("E"), Raised("E"), 1, 2)}).go([1, 2])
    tokens = [record.token for record in driver.records if isinstance(record, records.TaskScheduled)]
    assert len(set(tokens)) == len(tokens) == 4


# --- the token in the arguments


READS = {"Parameters": {"token.$": "$$.Task.Token", "a.$": "$.a"}}
READS_TOO = {"QueryLanguage": "JSONata", "Arguments": {"token": "{% $states.context.Task.Token %}", "a": 1}}


@pytest.mark.parametrize("fields", [READS, READS_TOO], ids=["JSONPath", "JSONata"])
@pytest.mark.parametrize("resource", [CALLBACK, SYNC, f"{INVOKE}.waitForTaskToken"])
def test_whoever_is_to_call_back_is_told_the_token(resource: str, fields: dict[str, Json]) -> None:
    _, order = started(resource, **fields)
    assert order.arguments == {"token": order.token, "a": 1}


@pytest.mark.parametrize("fields", [READS, READS_TOO], ids=["JSONPath", "JSONata"])
@pytest.mark.parametrize("resource", [ACTIVITY, TASK, INVOKE])
def test_others_have_no_token_to_tell(resource: str, fields: dict[str, Json]) -> None:
    driver = Driver(one(Type="Task", Resource=resource, **fields)).go({"a": 1})
    assert driver.run.error in ("States.Runtime", "States.QueryEvaluationError")
    assert not any(isinstance(record, records.TaskScheduled) for record in driver.records)


def test_the_next_state_does_not_see_the_token() -> None:
    callback = {"Type": "Task", "Resource": CALLBACK, **READS, "Next": "After"}
    after = {"Type": "Pass", "Parameters": {"token.$": "$$.Task.Token"}, "End": True}
    driver = Driver({"StartAt": "S", "States": {"S": callback, "After": after}}, {"S": echo}).go({"a": 1})
    assert (driver.run.status, driver.run.error) == ("FAILED", "States.Runtime")


def test_each_try_tells_its_own_token() -> None:
    told: list[str] = []

    def tell(number: int, arguments: Json) -> Json:
        told.append(arguments["token"])
        if number < 2:
            raise TimedOut
        return None

    Driver(
        one(Type="Task", Resource=CALLBACK, Retry=[{"ErrorEquals": ["States.ALL"]}], **READS), {"S": tell}
    ).go({"a": 1})
    assert len(set(told)) == 3


# --- taken on


def test_an_activity_is_started_by_its_worker_once() -> None:
    driver, order = started(ACTIVITY)
    assert [type(record).__name__ for record in driver.records][-1] == "TaskScheduled", (
        "nobody has started it"
    )
    [record] = driver.step(facts.TaskStarted(order.attempt, "worker-7"))
    assert record == records.TaskStarted(1000.0, 0, "worker-7")
    assert driver.step(facts.TaskStarted(order.attempt, "another")) == []
    driver.step(facts.TaskSucceeded(order.attempt, "done"))
    assert driver.run.output == "done"
    assert details(driver, "ActivityStarted") == {"workerName": "worker-7"}
    assert [event["type"] for event in driver.events][2:5] == [
        "ActivityScheduled",
        "ActivityStarted",
        "ActivitySucceeded",
    ]


def test_a_worker_without_a_name() -> None:
    driver, order = started(ACTIVITY)
    driver.step(facts.TaskStarted(order.attempt))
    assert details(driver, "ActivityStarted") is None


def test_a_job_is_submitted_once_and_the_order_knows() -> None:
    driver, order = started(SYNC)
    assert [type(record).__name__ for record in driver.records][-1] == "TaskStarted"
    [record] = driver.step(facts.TaskSubmitted(order.attempt, {"ExecutionArn": "arn:x"}))
    assert record == records.TaskSubmitted(1000.0, 0, {"ExecutionArn": "arn:x"})
    assert driver.step(facts.TaskSubmitted(order.attempt, {"again": True})) == []
    assert ordered(driver).submitted
    driver.restart()
    assert ordered(driver).submitted, "also after a crash"
    assert details(driver, "TaskSubmitted") == {
        "resourceType": "states",
        "resource": "startExecution.sync:2",
        "output": '{"ExecutionArn":"arn:x"}',
        "outputDetails": {"truncated": False},
    }
    driver.step(facts.TaskSucceeded(order.attempt, 5))
    assert driver.run.output == 5, "what the submission answered is not the result"


def test_the_events_point_back_in_one_line() -> None:
    driver = Driver(one(Type="Task", Resource=CALLBACK), {"S": echo}).go()
    assert driver.story[2:7] == [
        "3<2 TaskScheduled",
        "4<3 TaskStarted",
        "5<4 TaskSubmitted",
        "6<5 TaskSucceeded",
        "7<6 TaskStateExited",
    ]


@pytest.mark.parametrize("ahead", [facts.TaskStarted, facts.TaskSubmitted])
def test_news_of_an_attempt_that_is_over_changes_nothing(ahead: Callable[[int], facts.Fact]) -> None:
    driver, order = started(ACTIVITY)
    driver.step(facts.TaskSucceeded(order.attempt, 1))
    assert driver.step(ahead(order.attempt)) == []
    assert driver.step(ahead(99)) == []


def test_a_task_may_end_before_anybody_is_known_to_have_it() -> None:
    """The callback can be quicker than the answer to its submission."""
    driver, order = started(CALLBACK)
    driver.step(facts.TaskSucceeded(order.attempt, "quick"))
    assert driver.step(facts.TaskSubmitted(order.attempt, {})) == []
    assert driver.run.output == "quick"


def test_a_submission_that_fails_is_the_tasks_failure() -> None:
    driver, order = started(CALLBACK)
    driver.step(facts.TaskFailed(order.attempt, "SQS.Gone", "no queue"))
    assert (driver.run.error, driver.run.cause) == ("SQS.Gone", "no queue")
    assert not any(event["type"] == "TaskSubmitted" for event in driver.events)


# --- timed out


@dataclass(frozen=True)
class Covered:
    patterns: list[str]
    heartbeat: bool
    covered: bool


COVERED = [
    Covered(["States.Timeout"], False, True),
    Covered(["States.Timeout"], True, True),
    Covered(["States.HeartbeatTimeout"], True, True),
    Covered(["States.HeartbeatTimeout"], False, False),
    Covered(["States.TaskFailed"], False, False),
    Covered(["States.TaskFailed"], True, False),
    Covered(["States.ALL"], True, True),
]


@pytest.mark.parametrize("resource", [ACTIVITY, CALLBACK])
@pytest.mark.parametrize("case", COVERED, ids=str)
def test_who_catches_a_timeout(case: Covered, resource: str) -> None:
    catch = [{"ErrorEquals": case.patterns, "Next": "C"}]
    states = {
        "S": {"Type": "Task", "Resource": resource, "Catch": catch, "End": True},
        "C": {"Type": "Pass", "End": True},
    }
    driver = Driver({"StartAt": "S", "States": states}, {"S": by_call_timed_out(case.heartbeat)}).go()
    if case.covered:
        assert driver.run.output == {"Error": "States.Timeout", "Cause": None}
    else:
        assert (driver.run.status, driver.run.error, driver.run.cause) == ("FAILED", "States.Timeout", None)
    kind = "Activity" if resource == ACTIVITY else "Task"
    assert details(driver, f"{kind}TimedOut")["error"] == "States.Timeout"
    assert not driver.run.cancelling


def by_call_timed_out(heartbeat: bool, *then: Json) -> Callable[[int, Json], Json]:
    """Times out once, then returns."""

    def script(number: int, arguments: Json) -> Json:
        if number < 1 or not then:
            raise TimedOut(heartbeat=heartbeat)
        return then[0]

    return script


@pytest.mark.parametrize("case", COVERED, ids=str)
def test_who_retries_a_timeout(case: Covered) -> None:
    retry = [{"ErrorEquals": case.patterns, "IntervalSeconds": 7}]
    driver = Driver(
        one(Type="Task", Resource=CALLBACK, Retry=retry), {"S": by_call_timed_out(case.heartbeat, "ok")}
    ).go()
    assert (driver.run.output, driver.run.error) == (
        ("ok", None) if case.covered else (None, "States.Timeout")
    )
    assert driver.now == (1007.0 if case.covered else 1000.0)


def test_a_timed_out_attempt_is_cancelled() -> None:
    driver, order = started(CALLBACK)
    driver.step(facts.TaskTimedOut(order.attempt))
    assert driver.machine.outstanding() == [orders.CancelTask(order.attempt)]
    driver.step(facts.Cancelled(order.attempt))
    assert driver.machine.outstanding() == []


def test_a_retry_after_a_backoff_has_no_due_of_the_backoff() -> None:
    """The backoff's due is past when the task is ordered again: it must not be taken for the attempt's time."""
    retry = [{"ErrorEquals": ["Boom"], "IntervalSeconds": 3}]
    driver, order = started(ACTIVITY, Retry=retry, TimeoutSeconds=60)
    driver.step(facts.TaskFailed(order.attempt, "Boom", None))
    assert driver.machine.outstanding() == [orders.WakeAt(1003.0)]
    driver.now = 1003.0
    driver.step(facts.Tick())
    again = ordered(driver)
    assert driver.machine.outstanding() == [again]
    driver.now = 99_999.0
    assert driver.step(facts.Tick()) == [], "its time is the token's, not the machine's"
    driver.restart()
    assert driver.run.frames[0].due is None
    assert ordered(driver) == again


def test_a_task_that_is_done_here_after_a_wait_keeps_no_due_either() -> None:
    states = {
        "W": {"Type": "Wait", "Seconds": 2, "Next": "S"},
        "S": {"Type": "Task", "Resource": CALLBACK, "End": True},
    }
    driver = Driver({"StartAt": "W", "States": states}).start()
    driver.todo.clear()
    driver.now += 2
    driver.step(facts.Tick())
    assert driver.machine.outstanding() == [ordered(driver)]


# --- given up


@pytest.mark.parametrize("taken", [False, True])
def test_the_aborted_iterations_tasks_are_cancelled(taken: bool) -> None:
    driver = Driver(mapped({"Type": "Task", "Resource": ACTIVITY, "End": True})).start([1, 2, 3])
    driver.todo.clear()
    first, second, third = driver.run.attempts
    if taken:
        driver.step(facts.TaskStarted(second, "w"))
    driver.step(facts.TaskFailed(first, "Boom", None))
    assert driver.machine.outstanding() == [orders.CancelTask(second), orders.CancelTask(third)]
    driver.restart()


# --- an activity that there is not


@pytest.mark.parametrize("definition", [one, jsonata], ids=["JSONPath", "JSONata"])
def test_an_activity_that_there_is_not(definition: Callable[..., dict[str, Json]]) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "S"}]
    driver = Driver(
        definition(Type="Task", Resource=ACTIVITY, Catch=catch, Retry=[{"ErrorEquals": ["States.ALL"]}])
    )
    asked: list[str] = []

    def has_activity(arn: str) -> bool:
        asked.append(arn)
        return False

    driver.machine = Machine.of(driver.definition, random.Random(0), has_activity)
    driver.start()
    assert asked == [ACTIVITY]
    assert (driver.run.status, driver.run.error) == ("FAILED", "States.Runtime")
    assert driver.run.cause == (
        "An error occurred while executing the state 'S' (entered at the event id #2). The activity a does not exist."
    )
    assert not any(event["type"].startswith("Activity") for event in driver.events)


def test_an_activity_is_asked_for_at_each_attempt_and_not_when_it_is_rebuilt() -> None:
    there = [True, False]
    machine = Machine.of(
        Driver(one(Type="Task", Resource=ACTIVITY, Retry=[{"ErrorEquals": ["Boom"]}])).definition,
        random.Random(0),
        lambda _: there.pop(0),
    )
    steps = [machine.step(facts.Start({}, CONTEXT), 0.0).records]
    [attempt] = machine.run.attempts
    steps.append(machine.step(facts.TaskFailed(attempt, "Boom", None), 1.0).records)
    steps.append(machine.step(facts.Tick(), 2.0).records)
    assert (machine.run.error, there) == ("States.Runtime", [])
    rebuilt = Machine.rebuilt(machine.run.definition, random.Random(1), steps, machine.has_activity)
    assert rebuilt.run == machine.run
