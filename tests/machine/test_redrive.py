"""Redrive: what goes on, what is kept, and what the history shows, per state type.

The rules are those of the AWS guide, "Redriving executions" ("Redrive behavior of individual states", "Retry behavior
of redriven executions", "Redrive eligibility"). Its pages show no history of a redriven execution. What they leave
open is read here as:

- ``ExecutionRedriven`` points back to the event that ended the execution, and what a state does then to it;
- a state has one Entered event for its one Exited event ("Redriving Map Runs" tells unsuccessful states by the lack of
  the latter), so that it is not entered again, but for Fail, of which the guide says so;
- an iteration that goes on has no second MapIterationStarted;
- a Wait of any kind ends when it would have ended, at once if that has passed (the guide says it of timestamps);
- an iteration whose failure was tolerated failed, and goes on with the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from nbflow.language.values import Json
from nbflow.machine import facts, orders, records
from nbflow.machine.evolve import ROOT
from nbflow.machine.trace import Trace
from tests.machine.driver import TASK, Driver, Raised, Script
from tests.machine.test_crash import check_successes
from tests.machine.test_distributed import distributed
from tests.machine.test_states import by_call, echo, fails, mapped, one
from tests.machine.test_step import caught, task

RETRY = [{"ErrorEquals": ["Boom"], "MaxAttempts": 1, "IntervalSeconds": 1}]
BOOM = Raised("Boom", "why")
WORK = {"Type": "Task", "Resource": TASK, "End": True}
COUNT = "{% $states.context.Execution.RedriveCount %}"
FIRST_TIME = "{% $states.context.Execution.RedriveCount = 0 ? $error('not yet') : 7 %}"
"""An expression that fails until the execution has been redriven."""


def parallel(*branches: dict[str, Json], **fields: Json) -> dict[str, Json]:
    """A Parallel ``S`` of branches of one state each: ``B0``, ``B1``, …"""
    scopes = [{"StartAt": f"B{i}", "States": {f"B{i}": state}} for i, state in enumerate(branches)]
    return one(Type="Parallel", Branches=scopes, **fields)


def by_item(*bad: Json) -> Script:
    """Fails for each of these items, once; else returns the item."""
    left = list(bad)

    def script(number: int, item: Json) -> Json:
        if item in left:
            left.remove(item)
            raise BOOM
        return item

    return script


@dataclass(frozen=True)
class Case:
    id: str
    definition: Mapping[str, Json]
    tasks: Mapping[str, Script]
    story: list[str]
    """What follows the end of the first run, in the history; its events count from there."""
    input: Json = None
    output: Json = None
    status: str = "SUCCEEDED"
    calls: Mapping[str, int] = field(default_factory=dict)


# fmt: off
CASES = [
    # "Schedules and starts the Task state again."
    Case("task", task(), {"S": by_call(BOOM, 5)},
        ["1<0 ExecutionRedriven", "2<1 LambdaFunctionScheduled", "3<2 LambdaFunctionStarted",
         "4<3 LambdaFunctionSucceeded", "5<4 TaskStateExited", "6<5 ExecutionSucceeded"],
        output=5, calls={"S": 2}),
    # "the retry attempt count for these states is reset to 0"
    Case("retries count anew", task(Retry=RETRY), {"S": by_call(BOOM, BOOM, BOOM, 5)},
        ["1<0 ExecutionRedriven", "2<1 LambdaFunctionScheduled", "3<2 LambdaFunctionStarted",
         "4<3 LambdaFunctionFailed", "5<4 LambdaFunctionScheduled", "6<5 LambdaFunctionStarted",
         "7<6 LambdaFunctionSucceeded", "8<7 TaskStateExited", "9<8 ExecutionSucceeded"],
        output=5, calls={"S": 4}),
    # "Reenters the Fail state and fails again."
    Case("fail", one(Type="Fail", Error="No"), {},
        ["1<0 ExecutionRedriven", "2<1 FailStateEntered", "3<2 ExecutionFailed"], status="FAILED"),
    # "Reevaluates the Choice state rules."
    Case("choice", {"StartAt": "S", "States": {
            "S": {"Type": "Choice", "QueryLanguage": "JSONata", "Choices": [
                {"Condition": "{% $states.context.Execution.RedriveCount > 0 %}", "Next": "P"}]},
            "P": {"Type": "Pass", "End": True}}}, {},
        ["1<0 ExecutionRedriven", "2<1 ChoiceStateExited", "3<2 PassStateEntered", "4<3 PassStateExited",
         "5<4 ExecutionSucceeded"], output={}),
    # An expression that failed is evaluated again: of a state that had not begun its work …
    Case("pass", one(Type="Pass", QueryLanguage="JSONata", Output=FIRST_TIME), {},
        ["1<0 ExecutionRedriven", "2<1 PassStateExited", "3<2 ExecutionSucceeded"], output=7),
    Case("succeed", one(Type="Succeed", QueryLanguage="JSONata", Output=FIRST_TIME), {},
        ["1<0 ExecutionRedriven", "2<1 SucceedStateExited", "3<2 ExecutionSucceeded"], output=7),
    Case("wait that could not begin", one(Type="Wait", QueryLanguage="JSONata", Seconds=FIRST_TIME), {},
        ["1<0 ExecutionRedriven", "2<1 WaitStateExited", "3<2 ExecutionSucceeded"], output={}),
    Case("arguments", task(QueryLanguage="JSONata", Arguments=FIRST_TIME), {"S": echo},
        ["1<0 ExecutionRedriven", "2<1 LambdaFunctionScheduled", "3<2 LambdaFunctionStarted",
         "4<3 LambdaFunctionSucceeded", "5<4 TaskStateExited", "6<5 ExecutionSucceeded"],
        output=7, calls={"S": 1}),
    # … and of a task that had: it is scheduled again, for its state has failed.
    Case("output", task(QueryLanguage="JSONata", Output=FIRST_TIME), {"S": echo},
        ["1<0 ExecutionRedriven", "2<1 LambdaFunctionScheduled", "3<2 LambdaFunctionStarted",
         "4<3 LambdaFunctionSucceeded", "5<4 TaskStateExited", "6<5 ExecutionSucceeded"],
        output=7, calls={"S": 2}),
    Case("output that fails again", task(QueryLanguage="JSONata", Output="{% $error('never') %}"), {"S": echo},
        ["1<0 ExecutionRedriven", "2<1 LambdaFunctionScheduled", "3<2 LambdaFunctionStarted",
         "4<3 LambdaFunctionSucceeded", "5<4 EvaluationFailed", "6<5 ExecutionFailed"],
        status="FAILED", calls={"S": 2}),
    # States.Runtime: the path is still not there.
    Case("runtime", one(Type="Pass", InputPath="$.nope"), {},
        ["1<0 ExecutionRedriven", "2<1 ExecutionFailed"], status="FAILED"),
    # "Reschedules and redrives only those branches that failed or aborted."
    Case("parallel", parallel(WORK, WORK, WORK), {"B0": by_call(0), "B1": by_call(BOOM, 1), "B2": by_call(2)},
        ["1<0 ExecutionRedriven", "2<1 LambdaFunctionScheduled", "3<2 LambdaFunctionStarted",
         "4<1 LambdaFunctionScheduled", "5<4 LambdaFunctionStarted", "6<3 LambdaFunctionSucceeded",
         "7<6 TaskStateExited", "8<5 LambdaFunctionSucceeded", "9<8 TaskStateExited",
         "10<9 ParallelStateSucceeded", "11<9 ParallelStateExited", "12<11 ExecutionSucceeded"],
        output=[0, 1, 2], calls={"B0": 1, "B1": 2, "B2": 2}),  # B2's first answer came when it had been given up
    # "Reschedules and redrives only those iterations that failed or aborted." Those that had not begun begin.
    Case("map", mapped(WORK, MaxConcurrency=1), {"I": by_item(2)},
        ["1<0 ExecutionRedriven", "2<1 LambdaFunctionScheduled", "3<2 LambdaFunctionStarted",
         "4<3 LambdaFunctionSucceeded", "5<4 TaskStateExited", "6<5 MapIterationSucceeded",
         "7<5 MapIterationStarted", "8<7 TaskStateEntered", "9<8 LambdaFunctionScheduled",
         "10<9 LambdaFunctionStarted", "11<10 LambdaFunctionSucceeded", "12<11 TaskStateExited",
         "13<12 MapIterationSucceeded", "14<13 MapStateSucceeded", "15<13 MapStateExited",
         "16<15 ExecutionSucceeded"],
        input=[1, 2, 3], output=[1, 2, 3], calls={"I": 4}),
    # A state that was left (its error was caught) is over.
    Case("caught", {**caught(), "States": {**caught()["States"], "C": WORK}},
        {"S": fails("Boom"), "C": by_call(BOOM, 3)},
        ["1<0 ExecutionRedriven", "2<1 LambdaFunctionScheduled", "3<2 LambdaFunctionStarted",
         "4<3 LambdaFunctionSucceeded", "5<4 TaskStateExited", "6<5 ExecutionSucceeded"],
        output=3, calls={"S": 1, "C": 2}),
]
# fmt: on


def story(driver: Driver, after: int) -> list[str]:
    """The events after the one with this id, numbered from there."""
    return [f"{e['id'] - after}<{e['previousEventId'] - after} {e['type']}" for e in driver.events[after:]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_goes_on(case: Case) -> None:
    driver = Driver(case.definition, case.tasks).go(case.input)
    assert driver.run.status == "FAILED"
    before = driver.run.last_event
    driver.redrive()
    assert story(driver, before) == case.story
    assert (driver.run.status, driver.run.output) == (case.status, case.output)
    assert driver.calls == case.calls
    assert driver.events[before]["executionRedrivenEventDetails"] == {"redriveCount": 1}


# --- when


@pytest.mark.parametrize("at_work", [False, True], ids=["succeeded", "running"])
def test_what_runs_or_has_succeeded_is_not_redriven(at_work: bool) -> None:
    driver = Driver(task(), {"S": echo}).start()
    if not at_work:
        driver.settle()
    assert driver.step(facts.Redrive()) == []


def test_an_execution_that_could_not_be_started_is_not_redriven() -> None:
    deep: Json = 0
    for _ in range(100_000):
        deep = [deep]
    driver = Driver(one(Type="Pass")).go(deep)
    assert (driver.run.status, driver.run.error) == ("FAILED", "States.DataLimitExceeded")
    assert driver.step(facts.Redrive()) == []


def test_it_can_be_redriven_again_and_again() -> None:
    driver = Driver(
        task(Parameters={"n.$": "$$.Execution.RedriveCount"}), {"S": by_call(BOOM, BOOM, BOOM, 4)}
    )
    driver.go().redrive().redrive()
    assert driver.run.status == "FAILED"
    driver.redrive()
    assert (driver.run.output, driver.run.redrives) == (4, 3)
    redriven = [e for e in driver.events if e["type"] == "ExecutionRedriven"]
    assert [e["executionRedrivenEventDetails"]["redriveCount"] for e in redriven] == [1, 2, 3]


def test_the_context_object_tells_of_it() -> None:
    driver = Driver(task(Parameters={"execution.$": "$$.Execution"}), {"S": by_call(BOOM, 1)}).go()
    assert "RedriveTime" not in driver.events[2]["lambdaFunctionScheduledEventDetails"]["input"]
    driver.now = 1060.5
    driver.redrive()
    scheduled = driver.events[7]["lambdaFunctionScheduledEventDetails"]["input"]
    assert '"StartTime":"1970-01-01T00:16:40.000Z"' in scheduled
    assert '"RedriveCount":1' in scheduled
    assert '"RedriveTime":"1970-01-01T00:17:40.500Z"' in scheduled


def test_what_a_first_run_has_decided_is_not_kept_when_it_succeeds_at_last() -> None:
    driver = Driver(mapped(WORK), {"I": by_item(1, 2)}).go([1, 2, 3]).redrive().redrive()
    assert driver.run.output == [1, 2, 3]
    assert driver.run.lost == {}
    assert (driver.run.error, driver.run.cause) == (None, None)


# --- time


def test_the_time_of_a_task_and_of_the_execution_count_anew() -> None:
    """ "the state machine level timeout, if defined, is reset to 0" and so is that of a Task."""
    driver = Driver({**task(TimeoutSeconds=10), "TimeoutSeconds": 15}, {}).start()
    driver.now = 1010.0
    driver.step(facts.Tick())
    assert (driver.run.status, driver.run.error) == ("FAILED", "States.Timeout")
    driver.now = 1100.0
    driver.step(facts.Redrive())
    assert driver.run.deadline == 1115.0
    assert driver.run.next_due == 1110.0


def test_an_execution_that_timed_out_goes_on_with_what_was_under_way() -> None:
    states = {"W": {"Type": "Wait", "Seconds": 8, "Next": "S"}, "S": WORK}
    driver = Driver({"StartAt": "W", "States": states, "TimeoutSeconds": 10}, {"S": echo}).start()
    driver.now = 1008.0
    driver.step(facts.Tick())
    driver.now = 1010.0
    driver.step(facts.Tick())
    assert len(driver.run.cancelling) == 1
    driver.redrive()
    assert driver.run.status == "SUCCEEDED"
    assert driver.story[6:9] == [
        "7<0 ExecutionTimedOut",
        "8<7 ExecutionRedriven",
        "9<8 LambdaFunctionScheduled",
    ]


@pytest.mark.parametrize(("redriven", "left"), [(1030.0, 1060.0), (1090.0, 1090.0)], ids=["before", "after"])
def test_a_wait_ends_when_it_would_have_ended(redriven: float, left: float) -> None:
    driver = Driver(one(Type="Wait", Seconds=60)).start()
    driver.now = 1010.0
    driver.step(facts.Stop())
    driver.now = redriven
    driver.redrive()
    assert (driver.run.status, driver.run.stopped_at) == ("SUCCEEDED", left)


def test_what_waited_to_be_tried_again_is_tried_at_once() -> None:
    driver = Driver(task(Retry=[{"ErrorEquals": ["Boom"], "IntervalSeconds": 600}]), {"S": by_call(BOOM, 2)})
    driver.start().settle(1)
    assert driver.run.frames[ROOT].phase == "BACKOFF"
    driver.step(facts.Stop())
    driver.todo.clear()
    driver.redrive()
    assert (driver.run.output, driver.run.stopped_at) == (2, 1000.0)


def test_what_the_shell_could_not_go_on_with_goes_on() -> None:
    driver = Driver(mapped(WORK), {"I": echo}).start([1, 2]).settle(1)
    driver.step(facts.Fail("States.Runtime", "a mistake"))
    assert driver.redrive().run.output == [1, 2]
    check_successes(driver.records)


def test_a_late_answer_from_before_is_dropped() -> None:
    driver = Driver(task(), {"S": by_call(5)}).start()
    driver.step(facts.Stop())
    driver.step(facts.Redrive())
    driver.step(facts.TaskSucceeded(3, "late"))
    assert driver.run.status == "RUNNING"
    driver.settle()
    assert driver.run.output == 5


# --- Parallel and Map


def test_a_branch_goes_on_in_the_middle() -> None:
    """Its earlier states are not done again, and its variables are what they were."""
    first = {"Type": "Task", "Resource": TASK, "Assign": {"x.$": "$"}, "Next": "B"}
    scope = {"StartAt": "A", "States": {"A": first, "B": {**WORK, "Parameters": {"x.$": "$x"}}}}
    driver = Driver(one(Type="Parallel", Branches=[scope]), {"A": by_call(3), "B": by_call(BOOM, 4)}).go()
    driver.redrive()
    inputs = [
        e["lambdaFunctionScheduledEventDetails"]["input"] for e in driver.events if "Scheduled" in e["type"]
    ]
    assert inputs == ["{}", '{"x":3}', '{"x":3}']
    assert (driver.run.output, driver.calls) == ([4], {"A": 1, "B": 2})


def test_no_more_iterations_go_on_at_once_than_may_run() -> None:
    driver = Driver(mapped(WORK, MaxConcurrency=2, ToleratedFailureCount=4), {"I": by_item(*range(5))})
    driver.go(list(range(8)))
    assert driver.run.error == "States.ExceedToleratedFailureThreshold"
    driver.step(facts.Redrive())
    assert len(driver.run.attempts) == 2
    driver.settle()
    assert driver.run.output == list(range(8))
    assert sum(isinstance(record, records.TaskSucceeded) for record in driver.records) == 8


def test_tolerated_failures_go_on_and_count_anew() -> None:
    script = by_item("a", "a", "b", "c")
    driver = Driver(mapped(WORK, MaxConcurrency=1, ToleratedFailureCount=1), {"I": script}).go(
        ["a", "b", "c"]
    )
    assert driver.run.status == "FAILED"
    driver.redrive()  # a fails again, and is tolerated; c fails, and is not
    assert (driver.run.status, driver.run.error) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    driver.redrive()
    assert driver.run.output == ["a", "b", "c"]


def test_a_map_that_tolerated_its_failures_is_over_once_it_is_left() -> None:
    definition = mapped(WORK, ToleratedFailureCount=1, Next="T")
    definition["States"]["T"] = WORK
    driver = Driver(definition, {"I": by_item(1), "T": by_call(BOOM, "done")}).go([1, 2])
    assert driver.run.status == "FAILED"
    assert driver.redrive().run.output == "done"
    assert driver.calls == {"I": 2, "T": 2}


def test_a_fork_within_a_fork_goes_on_where_it_was() -> None:
    inner = {
        "Type": "Map",
        "MaxConcurrency": 1,
        "ItemProcessor": {"StartAt": "T", "States": {"T": WORK}},
        "End": True,
    }
    driver = Driver(mapped(inner), {"T": by_item(2, 12)}).go([[1, 2, 3], [11, 12, 13]])
    assert driver.run.status == "FAILED"
    while driver.run.status == "FAILED":
        driver.redrive()
    assert driver.run.output == [[1, 2, 3], [11, 12, 13]]
    assert sum(isinstance(record, records.TaskSucceeded) for record in driver.records) == 6


def test_a_fork_that_was_to_be_tried_again_starts_over() -> None:
    definition = mapped(WORK, Retry=[{"ErrorEquals": ["Boom"], "IntervalSeconds": 600}])
    driver = Driver(definition, {"I": by_item(2)}).start([1, 2]).settle(2)
    assert driver.run.frames[ROOT].phase == "BACKOFF"
    driver.step(facts.Stop())
    assert driver.redrive().run.output == [1, 2]
    assert driver.calls == {"I": 4}


def test_an_iteration_that_could_not_be_started_is_started() -> None:
    selector = f"{{% $states.context.Map.Item.Index = 1 ? {FIRST_TIME[3:-3]} : 0 %}}"
    driver = Driver(mapped(WORK, QueryLanguage="JSONata", ItemSelector=selector), {"I": echo}).go([1, 2, 3])
    assert (driver.run.status, driver.run.error) == ("FAILED", "States.QueryEvaluationError")
    driver.redrive()
    assert driver.run.output == [0, 7, 0]


def test_results_that_could_not_be_put_out_are_kept() -> None:
    """All branches had succeeded: none is to be redriven, and the state is left with what they returned."""
    driver = Driver(
        parallel(WORK, WORK, QueryLanguage="JSONata", Output=FIRST_TIME), {"B0": echo, "B1": echo}
    )
    driver.go()
    assert driver.run.status == "FAILED"
    assert driver.redrive().run.output == 7
    assert driver.calls == {"B0": 1, "B1": 1}


def test_what_failed_for_too_much_data_starts_over() -> None:
    """ "the Parallel state is rerun, including the branches that were successful"."""
    tasks = {"B0": by_call(1), "B1": by_call(Raised("States.DataLimitExceeded"), 2)}
    driver = Driver(parallel(WORK, WORK), tasks).go().redrive()
    assert driver.run.output == [1, 2]
    assert driver.calls == {"B0": 2, "B1": 2}


def test_a_result_that_was_too_big_to_remember_starts_over() -> None:
    """The whole execution failed, and not the state; its Map is rerun all the same."""
    big = "x" * 40_000_000
    driver = Driver(mapped(WORK, ItemsPath="$.i", ResultPath="$.r"), {"I": by_call(big, big, 1, 2)})
    driver.go({"i": [1, 2]})
    assert (driver.run.status, driver.run.error) == ("FAILED", "States.DataLimitExceeded")
    driver.redrive()
    assert (driver.run.output, driver.calls) == ({"i": [1, 2], "r": [1, 2]}, {"I": 4})


def test_what_had_succeeded_unnoted_is_not_done_again() -> None:
    """It is stopped at the bound of a step: iterations have ended, and their Map has not taken note of it."""
    driver = Driver(mapped()).start(list(range(300)))
    while not any(frame.phase == "ENDED" for frame in driver.run.frames.values()):
        driver.settle(1)
    driver.step(facts.Stop())
    driver.redrive()
    assert driver.run.output == list(range(300))
    check_successes(driver.records)


# --- looking at it


def test_a_trace_goes_from_failed_to_running_and_on() -> None:
    driver = Driver(mapped(WORK, MaxConcurrency=1), {"I": by_item(2)}).go([1, 2, 3])
    trace = Trace(driver.definition)
    for record in driver.records:
        trace.add(record)
    [visit] = trace.visits
    assert (visit.status, visit.error, visit.branch_status) == (
        "FAILED",
        "Boom",
        {0: "SUCCEEDED", 1: "FAILED"},
    )
    for record in driver.step(facts.Redrive()):
        trace.add(record)
    [inner] = visit.branches[1]
    assert (visit.status, visit.exited_at, visit.error) == ("RUNNING", None, None)
    assert visit.branch_status == {0: "SUCCEEDED", 1: "RUNNING"}
    assert (inner.status, inner.error, [a.error for a in inner.attempts]) == ("RUNNING", None, ["Boom", None])
    done = len(driver.records)
    driver.settle()
    for record in driver.records[done:]:
        trace.add(record)
    assert (visit.status, visit.output, visit.done) == ("SUCCEEDED", [1, 2, 3], 3)
    assert [v.status for v in trace.walk()] == ["SUCCEEDED"] * 4


def test_a_fail_state_is_visited_again() -> None:
    driver = Driver(one(Type="Fail", Error="No")).go().redrive()
    trace = Trace(driver.definition)
    for record in driver.records:
        trace.add(record)
    assert [(v.name, v.status, v.error) for v in trace.visits] == [("S", "FAILED", "No")] * 2


# --- Map Runs (AWS guide, "Redriving Map Runs"; its pages show no history of one, either)


def items_of(driver: Driver) -> list[tuple[str, int]]:
    """Of each child: how it is, and how often it was redriven."""
    return [(child.run.status, child.run.redrives) for child in driver.children]


def test_a_map_run_goes_on_with_the_children_that_did_not_succeed() -> None:
    """ "redrive all the unsuccessful child workflow executions in the Map Run": of Standard ones "from the last state
    in ItemProcessor that resulted in their unsuccessful execution"."""
    driver = Driver(distributed(WORK, Label="L"), {"I": by_item(2)}).go([1, 2, 3])
    assert (driver.run.status, driver.run.error) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    assert driver.run.frames == {}
    before = driver.run.last_event
    driver.now = 1060.0
    driver.redrive()
    assert (driver.run.status, driver.run.output) == ("SUCCEEDED", [1, 2, 3])
    assert story(driver, before) == [
        "1<0 ExecutionRedriven",
        "2<1 MapRunRedriven",
        "3<2 MapRunSucceeded",
        "4<3 MapStateSucceeded",
        "5<3 MapStateExited",
        "6<5 ExecutionSucceeded",
    ]
    [started] = [each for each in driver.records if isinstance(each, records.MapRunStarted)]
    details = {"mapRunArn": started.arn, "redriveCount": 1}
    assert driver.events[before + 1]["mapRunRedrivenEventDetails"] == details
    assert items_of(driver) == [("SUCCEEDED", 0), ("SUCCEEDED", 1), ("SUCCEEDED", 0)]
    assert driver.calls == {"I": 4}


def test_a_map_run_is_redriven_again_and_again() -> None:
    driver = Driver(distributed(WORK), {"I": by_item(1, 1, 1)}, crash=lambda: True).go([1])
    driver.redrive().redrive().redrive()
    assert (driver.run.output, items_of(driver)) == ([1], [("SUCCEEDED", 3)])
    redriven = [e for e in driver.events if e["type"] == "MapRunRedriven"]
    assert [e["mapRunRedrivenEventDetails"]["redriveCount"] for e in redriven] == [1, 2, 3]


@pytest.mark.parametrize("end", [facts.Stop(), facts.Fail("States.Runtime", "a mistake")])
def test_a_map_run_that_was_given_up_goes_on(end: facts.Fact) -> None:
    driver = Driver(distributed(WORK), {"I": echo}).start([1, 2])
    [order] = [each for each in driver.todo if isinstance(each, orders.RunMap)]
    driver.step(end)
    driver.step(facts.Redrive())
    [again] = [each for each in driver.machine.outstanding() if isinstance(each, orders.RunMap)]
    assert (again.plan, again.items, again.redrives) == (order.plan, [1, 2], 1)
    assert again.attempt != order.attempt
    assert driver.machine.outstanding()[0] == orders.CancelTask(order.attempt)
    driver.step(facts.TaskSucceeded(order.attempt, "late"))
    driver.step(facts.TaskSucceeded(again.attempt, [1, 2]))
    assert driver.run.output == [1, 2]


@pytest.mark.parametrize("error", ["States.DataLimitExceeded", "States.Runtime"])
def test_after_some_errors_a_new_map_run_is_started(error: str) -> None:
    """ "A new Map Run is started and the existing Map Run isn't redriven in the following cases" """
    driver = Driver(distributed(WORK), {"I": echo}).start([1])
    [order] = [each for each in driver.todo if isinstance(each, orders.RunMap)]
    driver.step(facts.TaskFailed(order.attempt, error, None))
    driver.todo.clear()
    driver.redrive()
    assert driver.run.output == [1]
    arns = [each.arn for each in driver.records if isinstance(each, records.MapRunStarted)]
    assert len(set(arns)) == 2


def test_a_map_run_that_had_not_begun_is_started() -> None:
    """ "If the Map Run wasn't started in the original execution attempt …, redriving … starts the Map Run for the first
    time"."""
    driver = Driver(
        distributed(WORK, QueryLanguage="JSONata", Items=[1], MaxConcurrency=FIRST_TIME), {"I": echo}
    ).go()
    assert driver.run.status == "FAILED"
    driver.redrive()
    assert [e["type"] for e in driver.events if "MapRun" in e["type"]] == ["MapRunStarted", "MapRunSucceeded"]


def test_the_output_of_a_map_run_that_succeeded_is_kept() -> None:
    driver = Driver(
        distributed(WORK, QueryLanguage="JSONata", Items=[1], Output=FIRST_TIME), {"I": echo}
    ).go()
    assert driver.run.status == "FAILED"
    assert driver.redrive().run.output == 7
    assert driver.calls == {"I": 1}


def test_a_retry_of_the_map_starts_another_run_and_that_one_is_redriven() -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 5, "MaxAttempts": 1}]
    driver = Driver(distributed(WORK, Retry=retry), {"I": by_item(1, 1)}).go([1, 2])
    assert driver.run.status == "FAILED"
    driver.redrive()
    runs = [each for each in driver.records if isinstance(each, records.MapRunStarted)]
    [redriven] = [each for each in driver.records if isinstance(each, records.MapRunRedriven)]
    assert (len(runs), redriven.arn) == (2, runs[1].arn)
    assert driver.run.output == [1, 2]


INNER = {
    **distributed()["States"]["S"],
    "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "T",
        "States": {"T": WORK},
    },
}


@pytest.mark.parametrize(
    ("around", "input"),
    [(parallel(WORK, INNER), [1, 2]), (distributed(INNER), [[1, 2]])],
    ids=["in a branch", "in a child"],
)
def test_a_map_run_in_another_state(around: dict[str, Json], input: Json) -> None:
    driver = Driver(around, {"T": by_item(2), "B0": echo}).go(input)
    assert driver.run.error is not None
    driver.redrive()
    assert (driver.run.status, driver.calls["T"]) == ("SUCCEEDED", 3)


def test_the_trace_of_a_redriven_map_run() -> None:
    driver = Driver(distributed(WORK), {"I": by_item(2)}).go([1, 2])
    trace = Trace(driver.definition)
    for record in driver.records:
        trace.add(record)
    for record in driver.step(facts.Redrive()):
        trace.add(record)
    [visit] = trace.visits
    assert (visit.status, visit.error, visit.total, visit.done) == ("RUNNING", None, 2, 0)
    assert [attempt.error for attempt in visit.attempts] == ["States.ExceedToleratedFailureThreshold", None]
