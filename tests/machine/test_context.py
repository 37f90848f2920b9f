"""The context object, as states and ItemSelectors see it."""

from nbflow.machine import facts
from nbflow.machine.context import timestamp
from tests.machine.driver import CONTEXT, TASK, Driver
from tests.machine.test_states import echo, mapped, one

EXECUTION = {
    "Id": "arn:execution",
    "Name": "run",
    "RoleArn": "arn:role",
    "Input": {"a": 1},
    "StartTime": "1970-01-01T00:16:40.000Z",
    "RedriveCount": 0,
}
MACHINE = CONTEXT["StateMachine"]


def test_the_whole_object() -> None:
    output = Driver(one(Type="Pass", InputPath="$$")).go({"a": 1}).run.output
    state = {"Name": "S", "EnteredTime": "1970-01-01T00:16:40.000Z"}
    assert output == {"Execution": EXECUTION, "StateMachine": MACHINE, "State": state}


def test_states_that_can_be_retried_know_their_count() -> None:
    driver = Driver(one(Type="Task", Resource=TASK, Parameters={"state.$": "$$.State"}), {"S": echo}).go()
    assert driver.run.output["state"]["RetryCount"] == 0


def test_the_item_is_that_of_the_innermost_map() -> None:
    inner = {"Type": "Pass", "Parameters": {"item.$": "$$.Map.Item"}, "End": True}
    nested = {
        **mapped(inner)["States"]["S"],
        "ItemProcessor": {"StartAt": "J", "States": {"J": inner}},
        "End": True,
    }
    output = Driver(mapped(nested)).go([["a", "b"]]).run.output
    assert output == [[{"item": {"Index": 0, "Value": "a"}}, {"item": {"Index": 1, "Value": "b"}}]]


def test_timestamps_have_milliseconds() -> None:
    assert timestamp(0.1245) == "1970-01-01T00:00:00.124Z"
    assert timestamp(1_700_000_000.0) == "2023-11-14T22:13:20.000Z"


def test_an_express_execution_has_no_redrives() -> None:
    driver = Driver(one(Type="Pass", InputPath="$$.Execution"))
    driver.step(facts.Start({"a": 1}, {**CONTEXT, "Express": True}))
    assert driver.run.output == {name: value for name, value in EXECUTION.items() if name != "RedriveCount"}
