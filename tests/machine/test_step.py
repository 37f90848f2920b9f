"""Facts against time: retries, catches, timeouts, late answers, stops, variables and the bound."""

import random
from dataclasses import dataclass

import pytest

from nbflow.language.values import Json
from nbflow.machine import Machine, facts, orders, records
from nbflow.machine.turn import BOUND
from tests.machine.driver import CONTEXT, TASK, Driver, Raised
from tests.machine.test_states import by_call, echo, fails, mapped, one


def task(**fields: Json) -> dict[str, Json]:
    return one(Type="Task", Resource=TASK, **fields)


def caught(language: str = "JSONPath", **catcher: Json) -> dict[str, Json]:
    """A Task ``S`` whose errors are caught by ``C``."""
    state = {"Type": "Task", "Resource": TASK, "End": True, "QueryLanguage": language}
    state["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": "C", **catcher}]
    return {"StartAt": "S", "States": {"S": state, "C": {"Type": "Pass", "End": True}}}


RETRY = [{"ErrorEquals": ["Boom"], "IntervalSeconds": 2, "MaxAttempts": 2, "BackoffRate": 3}]


def test_a_retry_waits_and_then_sees_its_number() -> None:
    definition = task(Retry=RETRY, Parameters={"n.$": "$$.State.RetryCount"})
    driver = Driver(definition, {"S": lambda number, n: n if number == 2 else _raise("Boom")}).go()
    assert driver.run.output == {"n": 2}
    assert driver.now == 1000 + 2 + 6
    assert driver.calls == {"S": 3}


def _raise(error: str | None) -> Json:
    raise Raised(error)


def test_when_retries_are_used_up_the_error_stands() -> None:
    driver = Driver(task(Retry=RETRY), {"S": fails("Boom", "why")}).go()
    assert (driver.run.status, driver.run.error, driver.run.cause) == ("FAILED", "Boom", "why")
    assert driver.calls == {"S": 3}


def test_retries_are_counted_anew_at_each_visit() -> None:
    states = {
        "S": {
            "Type": "Task",
            "Resource": TASK,
            "Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}],
            "Next": "L",
        },
        "L": {
            "Type": "Choice",
            "Choices": [{"Variable": "$", "NumericEquals": 3, "Next": "E"}],
            "Default": "S",
        },
        "E": {"Type": "Succeed"},
    }
    script = by_call(Raised("A"), 1, Raised("B"), 3)
    assert Driver({"StartAt": "S", "States": states}, {"S": script}).go().run.output == 3


def test_a_map_is_tried_again_as_a_whole() -> None:
    inner = {"Type": "Task", "Resource": TASK, "End": True}
    definition = mapped(inner, Retry=[{"ErrorEquals": ["Boom"]}])
    driver = Driver(definition, {"I": by_call(1, Raised("Boom"), 10, 20)}).go([1, 2])
    assert driver.run.output == [10, 20]


@dataclass(frozen=True)
class Caught:
    definition: dict[str, Json]
    output: Json


CAUGHT = [
    Caught(caught(), {"Error": "Boom", "Cause": "why"}),
    Caught(caught(ResultPath="$.err"), {"a": 1, "err": {"Error": "Boom", "Cause": "why"}}),
    Caught(caught(ResultPath=None), {"a": 1}),
    Caught(caught("JSONata"), {"Error": "Boom", "Cause": "why"}),
    Caught(caught("JSONata", Output="{% $states.errorOutput.Error & $string($states.input.a) %}"), "Boom1"),
]


@pytest.mark.parametrize("case", CAUGHT, ids=str)
def test_catch(case: Caught) -> None:
    driver = Driver(case.definition, {"S": fails("Boom", "why")}).go({"a": 1})
    assert (driver.run.status, driver.run.output) == ("SUCCEEDED", case.output)


def test_a_catch_may_assign() -> None:
    definition = caught(Assign={"why.$": "$.Cause"})
    definition["States"]["C"]["Parameters"] = {"said.$": "$why"}
    assert Driver(definition, {"S": fails("Boom", "because")}).go().run.output == {"said": "because"}


def test_a_catch_that_cannot_be_evaluated_fails_the_run() -> None:
    definition = caught("JSONata", Output="{% $nope %}")
    driver = Driver(definition, {"S": fails("Boom")}).go()
    assert driver.run.error == "States.QueryEvaluationError"


def test_an_attempt_that_takes_too_long_is_cancelled_and_may_be_retried() -> None:
    driver = Driver(task(TimeoutSeconds=5, Retry=[{"ErrorEquals": ["States.Timeout"]}])).start()
    [ordered] = [order for order in driver.todo if isinstance(order, orders.RunTask)]
    driver.now += 5
    driver.todo.clear()
    driver.step(facts.Tick())
    assert orders.WakeAt(1006.0) in driver.todo
    assert orders.CancelTask(ordered.attempt) in driver.machine.outstanding()
    assert driver.step(facts.TaskSucceeded(ordered.attempt, "late")) == [
        records.TaskCancelled(1005.0, ordered.attempt)
    ]
    assert driver.machine.outstanding() == [orders.WakeAt(1006.0)]
    driver.tasks = {"S": echo}
    assert driver.settle().run.status == "SUCCEEDED"


def test_the_timeout_may_come_from_the_input() -> None:
    driver = Driver(task(TimeoutSecondsPath="$.limit")).start({"limit": 3})
    assert orders.WakeAt(1003.0) in driver.todo


def test_the_whole_execution_may_time_out() -> None:
    definition = one(Type="Wait", Seconds=99) | {"TimeoutSeconds": 10}
    driver = Driver(definition).go()
    assert (driver.run.status, driver.run.stopped_at) == ("TIMED_OUT", 1010)


NOTHING = [
    facts.TaskSucceeded(99, 1),
    facts.TaskFailed(99, "E", None),
    facts.Cancelled(99),
    facts.Tick(),
    facts.Continue(),
    facts.Start({}, {}),
]


@pytest.mark.parametrize("fact", NOTHING, ids=lambda fact: type(fact).__name__)
@pytest.mark.parametrize("ended", [False, True])
def test_facts_that_mean_nothing_here_change_nothing(fact: facts.Fact, ended: bool) -> None:
    driver = Driver(task(), {"S": echo}).start()
    if ended:
        driver.settle()
    before = driver.machine.outstanding()
    assert driver.step(fact) == []
    assert driver.machine.outstanding() == before


def test_a_second_answer_to_an_attempt_is_dropped() -> None:
    definition = {
        "StartAt": "S",
        "States": {**task(Next="W")["States"], "W": {"Type": "Wait", "Seconds": 5, "End": True}},
    }
    driver = Driver(definition).start()
    attempt = driver.run.frames[0].attempt
    assert attempt is not None
    driver.todo.clear()
    assert driver.step(facts.TaskSucceeded(attempt, "first"))
    assert driver.step(facts.TaskFailed(attempt, "Late", None)) == []
    assert driver.settle().run.output == "first"


def test_stop_cancels_what_is_under_way_until_it_is_said_to_be_gone() -> None:
    driver = Driver(mapped({"Type": "Task", "Resource": TASK, "End": True})).start([1, 2, 3])
    attempts = list(driver.run.attempts)
    assert len(attempts) == 3
    driver.todo.clear()
    driver.step(facts.Stop("E", "C"))
    assert (driver.run.status, driver.run.error, driver.run.cause) == ("ABORTED", "E", "C")
    assert driver.machine.outstanding() == [orders.CancelTask(attempt) for attempt in attempts]
    driver.restart()
    driver.step(facts.Cancelled(attempts[1]))
    assert driver.machine.outstanding() == [orders.CancelTask(attempts[0]), orders.CancelTask(attempts[2])]
    assert driver.step(facts.Stop()) == []


def test_branches_see_the_variables_around_them_and_keep_their_own() -> None:
    definition = mapped(
        {"Type": "Pass", "Assign": {"mine.$": "$"}, "Parameters": {"outer.$": "$outer"}, "End": True},
        Next="After",
    )
    definition["States"]["After"] = {"Type": "Pass", "Parameters": {"outer.$": "$outer"}, "End": True}
    definition["States"]["Before"] = {"Type": "Pass", "Assign": {"outer": 7}, "Next": "S"}
    driver = Driver({**definition, "StartAt": "Before"}).go([1, 2])
    assert driver.run.output == {"outer": 7}
    exits = [
        event["stateExitedEventDetails"] for event in driver.events if event["type"] == "PassStateExited"
    ]
    inner = [(exit["output"], exit["assignedVariables"]) for exit in exits if exit["name"] == "I"]
    assert inner == [('{"outer":7}', {"mine": '{"outer":7}'})] * 2


def test_assign_and_output_see_the_variables_as_they_were() -> None:
    states = {
        "A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "B"},
        "B": {
            "Type": "Pass",
            "QueryLanguage": "JSONata",
            "Assign": {"x": "{% $x + 1 %}"},
            "Output": "{% $x %}",
            "Next": "C",
        },
        "C": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% [$states.input, $x] %}", "End": True},
    }
    assert Driver({"StartAt": "A", "States": states}).go().run.output == [1, 2]


def test_a_step_ends_at_its_bound_and_says_that_it_is_not_done() -> None:
    driver = Driver(mapped()).start(list(range(200)))
    assert BOUND <= driver.rows[0] < BOUND + 10
    assert orders.GoOn() in driver.todo
    assert driver.settle().run.output == list(range(200))


def test_what_is_due_beyond_the_bound_is_due_again_at_once() -> None:
    driver = Driver(mapped({"Type": "Wait", "Seconds": 5, "End": True})).start(list(range(300)))
    while orders.GoOn() in driver.todo:
        driver.todo.remove(orders.GoOn())
        driver.step(facts.Continue())
    driver.todo.clear()
    driver.now += 5
    driver.step(facts.Tick())
    assert driver.rows[-1] < BOUND + 10
    assert orders.WakeAt(1005.0) in driver.todo
    assert driver.settle().run.status == "SUCCEEDED"


def test_an_order_carries_what_a_pool_needs() -> None:
    machine = Machine.of(
        Driver(mapped({"Type": "Task", "Resource": TASK, "Retry": RETRY, "End": True})).definition,
        random.Random(0),
    )
    step = machine.step(facts.Start([5], CONTEXT), 0.0)
    [order] = [order for order in step.orders if isinstance(order, orders.RunTask)]
    assert order == orders.RunTask(6, "I", TASK, 5, scattered=True, expected=("Boom",))


def test_an_order_knows_the_errors_that_the_states_around_it_expect() -> None:
    catch = [{"ErrorEquals": ["OSError"], "Next": "E"}]
    task = {"Type": "Task", "Resource": TASK, "Retry": RETRY, "End": True}
    inner = {"Type": "Parallel", "Branches": [{"StartAt": "T", "States": {"T": task}}], "End": True}
    outer = {**mapped(inner)["States"]["S"], "Catch": catch, "Next": "E"}
    del outer["End"]
    driver = Driver({"StartAt": "M", "States": {"M": outer, "E": {"Type": "Succeed"}}}).start([5])
    [order] = [order for order in driver.todo if isinstance(order, orders.RunTask)]
    assert order.expected == ("Boom", "OSError")


def test_a_failure_at_the_bound_of_a_step() -> None:
    """300 waits end at once, and the failure of the first falls beyond what one step takes in."""
    inner = {"Type": "Wait", "Seconds": 1, "QueryLanguage": "JSONata", "Output": "{% $nope %}", "End": True}
    driver = Driver(mapped(inner), crash=lambda: True).go(list(range(300)))
    assert (driver.run.status, driver.run.error) == ("FAILED", "States.QueryEvaluationError")


def test_the_siblings_of_a_failure_order_nothing_more() -> None:
    states = {
        "P": {"Type": "Pass", "Next": "T"},
        "T": {"Type": "Task", "Resource": TASK, "End": True},
    }
    fail = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "E"}}}
    driver = Driver(one(Type="Parallel", Branches=[fail, {"StartAt": "P", "States": states}])).go()
    assert driver.run.error == "E"
    assert not any(event["type"].startswith("Lambda") for event in driver.events)


def test_every_iteration_that_starts_ends_in_the_history() -> None:
    """Also those that had succeeded when another's failure was noted, and those under way when ItemSelector fails."""
    choice = {
        "Type": "Choice",
        "Choices": [{"Variable": "$", "NumericEquals": 1, "Next": "F"}],
        "Default": "G",
    }
    processor = {"StartAt": "C", "States": {"C": choice, "F": {"Type": "Fail"}, "G": {"Type": "Succeed"}}}
    failing = Driver(one(Type="Map", ItemProcessor=processor)).go([0, 0, 1, 0])
    selector = "{% $states.context.Map.Item.Index = 2 ? $nope : 1 %}"
    waiting = {"Type": "Wait", "Seconds": 1, "End": True}
    selecting = Driver(mapped(waiting, QueryLanguage="JSONata", ItemSelector={"n": selector})).go([1, 2, 3])
    for driver in (failing, selecting):
        assert driver.run.status == "FAILED"
        types = [event["type"] for event in driver.events if event["type"].startswith("MapIteration")]
        assert types.count("MapIterationStarted") * 2 == len(types)


OUT_OF_RANGE: list[tuple[dict[str, Json], Json, str]] = [
    (
        mapped(ItemsPath="$.i", MaxConcurrencyPath="$.n"),
        {"i": [1], "n": -1},
        "MaxConcurrency cannot be negative.",
    ),
    (task(TimeoutSecondsPath="$.n"), {"n": 0}, "TimeoutSeconds must be between 1 and 99999999."),
    (task(TimeoutSecondsPath="$.n"), {"n": 10**400}, "which is not a valid integer: $.n"),
    (task(HeartbeatSecondsPath="$.n"), {"n": -5}, "HeartbeatSeconds must be between 1 and 99999999."),
    (one(Type="Wait", SecondsPath="$.n"), {"n": 10**400}, "cannot be parsed as a long value"),
    (one(Type="Wait", SecondsPath="$.n"), {"n": True}, "cannot be parsed as a long value: $.n == true"),
]


@pytest.mark.parametrize(("definition", "input", "cause"), OUT_OF_RANGE)
def test_numbers_out_of_range_fail_the_state(definition: dict[str, Json], input: Json, cause: str) -> None:
    driver = Driver(definition).go(input)
    assert driver.run.error == "States.Runtime"
    assert cause in (driver.run.cause or "")


def test_tolerated_shares_are_exact() -> None:
    definition = mapped({"Type": "Task", "Resource": TASK, "End": True}, ToleratedFailurePercentage=18.4)
    calls = [Raised("E")] * 69 + [1]
    assert Driver(definition, {"I": by_call(*calls)}).go(list(range(375))).run.status == "SUCCEEDED"


def looped(**grow: Json) -> dict[str, Json]:
    """A loop that puts its data through ``Parameters`` again and again."""
    again = {"Variable": "$", "IsPresent": True, "Next": "S"}
    states = {
        "S": {"Type": "Pass", "Parameters": grow, "Next": "L"},
        "L": {"Type": "Choice", "Choices": [again], "Default": "E"},
        "E": {"Type": "Succeed"},
    }
    return {"StartAt": "S", "States": states}


GROWING = {"deeper": looped(**{"a.$": "$"}), "twice as big": looped(**{"a.$": "$", "b.$": "$"})}


@pytest.mark.parametrize("definition", GROWING.values(), ids=GROWING)
def test_data_that_grows_without_end_ends_the_execution(
    definition: dict[str, Json], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbflow.machine.turn.MOST_BYTES", 2**20)
    driver = Driver(definition).go()
    assert (driver.run.status, driver.run.error) == ("FAILED", "States.DataLimitExceeded")
    assert driver.run.ended
