"""The trace: visits as a tree, the same when it is built live and when it is built afterwards."""

import pytest

from nbflow.language.values import Json
from nbflow.machine import facts
from nbflow.machine.trace import Trace, Visit
from tests.machine.driver import ACTIVITY, CALLBACK, SYNC, TASK, Driver, Raised
from tests.machine.test_states import by_call, echo, fails, mapped, one
from tests.machine.test_step import caught, task


def traced(driver: Driver) -> Trace:
    trace = Trace(driver.definition)
    for record in driver.records:
        trace.add(record)
    return trace


def told(visits: list[Visit]) -> list[Json]:
    """Each visit as name and status, with what is in it."""
    return [
        [
            visit.name,
            visit.status,
            *([{i: told(v) for i, v in visit.branches.items()}] if visit.branches else []),
        ]
        for visit in visits
    ]


def test_a_task_with_a_retry() -> None:
    trace = traced(
        Driver(task(Retry=[{"ErrorEquals": ["Boom"]}]), {"S": by_call(Raised("Boom", "why"), 5)}).go({"a": 1})
    )
    [visit] = trace.visits
    assert (visit.name, visit.type, visit.status, visit.input, visit.output) == (
        "S",
        "Task",
        "SUCCEEDED",
        {"a": 1},
        5,
    )
    assert [(a.id, a.error, a.cause) for a in visit.attempts] == [(3, "Boom", "why"), (6, None, None)]
    assert (visit.error, visit.entered_at, visit.exited_at, visit.retry_due) == (None, 1000.0, 1001.0, None)


def test_while_it_waits_to_be_tried_again() -> None:
    driver = Driver(task(Retry=[{"ErrorEquals": ["Boom"]}])).start()
    attempt = driver.run.frames[0].attempt
    assert attempt is not None
    driver.step(facts.TaskFailed(attempt, "Boom", "why"))
    [visit] = traced(driver).visits
    assert (visit.status, visit.error, visit.retry_due) == ("RUNNING", "Boom", 1001.0)


def test_a_caught_error_and_what_came_after() -> None:
    trace = traced(Driver(caught(), {"S": fails("Boom")}).go())
    assert told(trace.visits) == [["S", "CAUGHT"], ["C", "SUCCEEDED"]]


def test_a_map_with_a_failure() -> None:
    inner = {"Type": "Task", "Resource": TASK, "End": True}
    trace = traced(Driver(mapped(inner), {"I": by_call(1, Raised("Boom", "why"))}).go([7, 8, 9]))
    assert told(trace.visits) == [
        ["S", "FAILED", {0: [["I", "SUCCEEDED"]], 1: [["I", "FAILED"]], 2: [["I", "ABORTED"]]}]
    ]
    visit = trace.visits[0]
    assert (visit.total, visit.done, visit.error) == (3, 3, "Boom")
    assert [inner.index for inner in visit.walk()] == [None, 0, 1, 2]
    assert (visit.branches[1][0].error, visit.branches[1][0].cause) == ("Boom", "why")


def test_nested_scopes() -> None:
    inner = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": 1, "End": True}}}
    parallel = {
        "Type": "Parallel",
        "Branches": [inner, {"StartAt": "Q", "States": {"Q": {"Type": "Pass", "End": True}}}],
        "End": True,
    }
    trace = traced(Driver(mapped(parallel)).go([5]))
    expected = [
        ["S", "SUCCEEDED", {0: [["I", "SUCCEEDED", {0: [["P", "SUCCEEDED"]], 1: [["Q", "SUCCEEDED"]]}]]}]
    ]
    assert told(trace.visits) == expected
    assert trace.visits[0].branches[0][0].output == [1, 5]


def test_a_stop_aborts_what_is_under_way() -> None:
    driver = Driver(mapped({"Type": "Wait", "Seconds": 9, "End": True})).start([1])
    driver.step(facts.Stop())
    assert told(traced(driver).visits) == [["S", "ABORTED", {0: [["I", "ABORTED"]]}]]


def test_a_wait_says_until_when() -> None:
    driver = Driver(mapped({"Type": "Wait", "Seconds": 9, "End": True})).start([1])
    [inner] = traced(driver).visits[0].branches[0]
    assert inner.wakes_at == 1009.0


def test_what_was_given_up_is_stopping_until_its_task_has_ended() -> None:
    driver = Driver(mapped({"Type": "Task", "Resource": TASK, "End": True})).start([1])
    driver.step(facts.Stop())
    trace = traced(driver)
    [inner] = trace.visits[0].branches[0]
    assert [trace.is_stopping(visit) for visit in trace.walk()] == [False, True]
    driver.step(facts.TaskSucceeded(inner.attempts[0].id, 1))
    trace = traced(driver)
    assert [trace.is_stopping(visit) for visit in trace.walk()] == [False, False]


def test_each_record_names_the_visit_that_it_changed() -> None:
    driver = Driver(task(), {"S": echo}).go()
    trace = Trace(driver.definition)
    changed = [
        (type(record).__name__, visit and visit.name)
        for record in driver.records
        for visit in [trace.add(record)]
    ]
    assert changed == [
        ("ExecutionStarted", None),
        ("StateEntered", "S"),
        ("TaskScheduled", "S"),
        ("TaskStarted", None),
        ("TaskSucceeded", "S"),
        ("StateExited", "S"),
        ("ExecutionSucceeded", None),
    ]


def waits(driver: Driver) -> tuple[str, str, str | None]:
    [visit] = traced(driver).visits
    return visit.status, visit.waits_for, visit.attempts[-1].worker


def test_an_activity_waits_for_a_worker_until_one_has_taken_it() -> None:
    driver = Driver(one(Type="Task", Resource=ACTIVITY, Retry=[{"ErrorEquals": ["Boom"]}])).start()
    [attempt] = driver.run.attempts
    assert waits(driver) == ("RUNNING", "a worker", None)
    driver.step(facts.TaskStarted(attempt, "worker-7"))
    assert waits(driver) == ("RUNNING", "", "worker-7")
    driver.step(facts.TaskFailed(attempt, "Boom", None))
    assert waits(driver) == ("RUNNING", "", "worker-7")
    driver.now += 1
    driver.step(facts.Tick())
    assert waits(driver) == ("RUNNING", "a worker", None), "the next attempt"
    driver.step(facts.Stop())
    assert waits(driver) == ("ABORTED", "", None)


@pytest.mark.parametrize(("resource", "what"), [(CALLBACK, "a callback"), (SYNC, "its job")])
def test_what_was_submitted_is_waited_for(resource: str, what: str) -> None:
    driver = Driver(one(Type="Task", Resource=resource)).start()
    [attempt] = driver.run.attempts
    assert waits(driver) == ("RUNNING", "", None), "it is being submitted"
    driver.step(facts.TaskSubmitted(attempt, {}))
    assert waits(driver) == ("RUNNING", what, None)
    driver.step(facts.TaskTimedOut(attempt))
    [visit] = traced(driver).visits
    assert (visit.status, visit.waits_for, visit.attempts[-1].error) == ("FAILED", "", "States.Timeout")


def test_a_failure_at_the_top() -> None:
    [visit] = traced(Driver(one(Type="Fail", Error="E", Cause="C")).go()).visits
    assert (visit.status, visit.error, visit.cause) == ("FAILED", "E", "C")


def test_what_is_inside_an_aborted_branch_is_aborted_too() -> None:
    fail = {"StartAt": "F", "States": {"F": {"Type": "Task", "Resource": TASK, "End": True}}}
    waits = {
        "StartAt": "M",
        "States": {"M": mapped({"Type": "Wait", "Seconds": 9, "End": True})["States"]["S"]},
    }
    driver = Driver(one(Type="Parallel", Branches=[fail, waits]), {"F": fails("Boom")}).go([1])
    assert told(traced(driver).visits) == [
        ["S", "FAILED", {0: [["F", "FAILED"]], 1: [["M", "ABORTED", {0: [["I", "ABORTED"]]}]]}]
    ]


def test_an_error_without_a_name_is_an_error() -> None:
    [visit, _] = traced(Driver(caught(), {"S": fails(None)}).go()).visits
    assert visit.status == "CAUGHT"


def test_who_did_an_attempt_and_for_how_long_it_was_queued() -> None:
    driver = Driver(one(Type="Task", Resource=ACTIVITY)).start()
    [attempt] = driver.run.attempts
    driver.step(facts.TaskSucceeded(attempt, 1, "tcp://w", 1.5, 0.5))
    [made] = traced(driver).visits[0].attempts
    assert (made.worker, made.queued, made.ran) == ("tcp://w", 1.5, 0.5)
