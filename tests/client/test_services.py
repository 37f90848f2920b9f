"""Machines whose tasks others do: functions by name, other executions, activities, callbacks; from Python."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import nbflow as nf
from nbflow.client.connection import Connection
from nbflow.language.values import Json
from nbflow.service.arns import activity_arn, machine_arn
from tests.client.gates import GATES
from tests.client.machines import LAMBDA, gated, one, task

INVOKE = "arn:aws:states:::lambda:invoke"
START = "arn:aws:states:::states:startExecution"


def work(input: Any) -> Any:
    return {"got": input}


def asking(resource: str, parameters: Json = None, **fields: Json) -> dict[str, Json]:
    """A machine of one such task, ``Ask``."""
    state = {"Type": "Task", "Resource": resource, "End": True, **fields}
    if parameters is not None:
        state["Parameters"] = parameters
    return {"StartAt": "Ask", "States": {"Ask": state}}


# --- functions by name


def test_a_function_is_invoked_by_its_name(connection: Connection) -> None:
    definition = asking(INVOKE, {"FunctionName": "work", "Payload.$": "$"})
    answer = nf.StateMachine(definition, tasks={"work": work}).run({"a": 1})
    assert isinstance(answer, dict)
    assert (answer["Payload"], answer["StatusCode"]) == ({"got": {"a": 1}}, 200)


def test_which_function_may_be_computed(connection: Connection) -> None:
    definition = asking(INVOKE, {"FunctionName.$": "$.which", "Payload": {"n": 1}}, OutputPath="$.Payload")
    machine = nf.StateMachine(definition, tasks={"work": work, "play": lambda input: "played"})
    assert machine.run(which="work") == {"got": {"n": 1}}
    assert machine.run(which=f"{LAMBDA}play:PROD") == "played"
    with pytest.raises(
        nf.ExecutionFailed, match="no function is bound to the function 'rest'; pass it in tasks="
    ):
        machine.run(which="rest")


def test_functions_that_are_named_both_ways(connection: Connection) -> None:
    states = {
        "A": task("work", Next="B"),
        "B": {
            "Type": "Task",
            "Resource": INVOKE,
            "Parameters": {"FunctionName": "work", "Payload.$": "$"},
            "OutputPath": "$.Payload",
            "End": True,
        },
    }
    machine = nf.StateMachine({"StartAt": "A", "States": states}, tasks={"work": work})
    assert machine.run(1) == {"got": {"got": 1}}


# --- callbacks


def test_a_function_that_calls_back(connection: Connection) -> None:
    def approve(input: Any) -> str:
        import json

        import nbflow

        sfn = nbflow.boto3_client()
        sfn.send_task_success(taskToken=input["token"], output=json.dumps({"by": input["whom"]}))
        return "asked"

    parameters = {"FunctionName": "approve", "Payload": {"token.$": "$$.Task.Token", "whom": "Ann"}}
    run = nf.StateMachine(
        asking(f"{INVOKE}.waitForTaskToken", parameters), tasks={"approve": approve}
    ).start()
    assert run.result() == {"by": "Ann"}


def test_nobody_calls_back(connection: Connection) -> None:
    parameters = {"FunctionName": "work", "Payload": {"token.$": "$$.Task.Token"}}
    definition = asking(f"{INVOKE}.waitForTaskToken", parameters, TimeoutSeconds=1)
    run = nf.StateMachine(definition, tasks={"work": work}).start()
    with pytest.raises(nf.ExecutionFailed, match=r"States\.Timeout"):
        run.result()
    assert run["Ask"].attempts[0]["error"] == "States.Timeout"


# --- other executions


def test_a_registered_machine_is_started_by_a_task(connection: Connection) -> None:
    arn = one(work, name="child").register()
    assert arn == machine_arn("child")
    assert nf.executions() == []
    definition = asking(f"{START}.sync:2", {"StateMachineArn": arn, "Input.$": "$"}, OutputPath="$.Output")
    assert nf.StateMachine(definition, name="parent").run({"a": 1}) == {"got": {"a": 1}}
    [child] = nf.executions("child")
    assert (child.status, child.result()) == ("SUCCEEDED", {"got": {"a": 1}})


def test_each_machine_has_its_own_functions(connection: Connection) -> None:
    """Two functions of one name, in two machines."""
    states = {"Work": task("work")}
    child = nf.StateMachine(
        {"StartAt": "Work", "States": states}, name="child", tasks={"work": work}
    ).register()
    ask = {
        "Type": "Task",
        "Resource": f"{START}.sync:2",
        "Parameters": {"StateMachineArn": child, "Input.$": "$"},
        "OutputPath": "$.Output",
        "End": True,
    }
    definition = {"StartAt": "Work", "States": {"Work": task("work", Next="Ask"), "Ask": ask}}
    parent = nf.StateMachine(definition, name="parent", tasks={"work": lambda input: {"by": "the parent"}})
    assert parent.run(1) == {"got": {"by": "the parent"}}


def test_to_register_again_is_to_change(connection: Connection) -> None:
    sfn = nf.boto3_client()

    def run() -> Json:
        arn = sfn.start_execution(stateMachineArn=machine_arn("child"), input="1")["executionArn"]
        return nf.execution(arn).result()

    one(work, name="child").register()
    assert run() == {"got": 1}
    one(lambda_two, name="child").register()
    assert run() == 2


def lambda_two(input: int) -> int:
    return 2 * input


def test_a_child_that_fails_explains_itself(connection: Connection) -> None:
    def broken(input: Any) -> None:
        raise ValueError("no good")

    arn = one(broken, name="child").register()
    parent = nf.StateMachine(asking(f"{START}.sync", {"StateMachineArn": arn}), name="parent")
    with pytest.raises(nf.ExecutionFailed, match=r"States\.TaskFailed") as failed:
        parent.run()
    assert "no good" in str(failed.value.cause)


def test_to_stop_a_run_stops_what_it_waits_for(connection: Connection) -> None:
    arn = one(gated, name="child").register()
    asked = {"StateMachineArn": arn, "Name": "c", "Input": {"gate": "g"}}
    run = nf.StateMachine(asking(f"{START}.sync", asked), name="parent").start()
    GATES.reached("g")
    run.stop()
    child = nf.execution("c")
    child.wait(timeout=10)
    assert (run.status, child.status) == ("ABORTED", "ABORTED")


# --- activities


def test_an_activity_needs_no_function(connection: Connection) -> None:
    sfn = nf.boto3_client()
    sfn.create_activity(name="by-hand")
    machine = nf.StateMachine(asking(activity_arn("by-hand")))
    with ThreadPoolExecutor(1) as worker:
        poll = worker.submit(sfn.get_activity_task, activityArn=activity_arn("by-hand"), workerName="Ann")
        run = machine.start({"a": 1})
        given = poll.result(timeout=20)
    assert given["input"] == '{"a":1}'
    sfn.send_task_success(taskToken=given["taskToken"], output='"done"')
    assert run.result() == "done"
    assert run["Ask"].attempts[0]["worker"] == "Ann"


def test_an_activity_that_there_is_not(connection: Connection) -> None:
    with pytest.raises(nf.ExecutionFailed, match="The activity nobody does not exist"):
        nf.StateMachine(asking(activity_arn("nobody"))).run()


def test_an_activity_on_another_connection(connection: Connection, elsewhere: Connection) -> None:
    """A worker in another process, as far as the store knows."""
    elsewhere.service.call("CreateActivity", {"name": "by-hand"})
    run = nf.StateMachine(asking(activity_arn("by-hand"))).start()
    given = elsewhere.service.call("GetActivityTask", {"activityArn": activity_arn("by-hand")})
    elsewhere.service.call("SendTaskFailure", {"taskToken": given["taskToken"], "error": "Tired"})
    with pytest.raises(nf.ExecutionFailed, match="Tired"):
        run.result()


# --- what does not fit


@pytest.mark.parametrize("resource", [activity_arn("a"), f"{START}.sync"])
def test_a_function_that_nothing_names(resource: str) -> None:
    with pytest.raises(nf.BindingError, match=r"tasks\['work'\] is not named by any Task state"):
        nf.StateMachine(asking(resource), tasks={"work": work})


def test_a_service_that_cannot_be_called() -> None:
    with pytest.raises(
        nf.BindingError, match=r"sendMessage\.waitForTaskToken is a service that nbflow cannot call"
    ):
        nf.StateMachine(asking("arn:aws:states:::sqs:sendMessage.waitForTaskToken"))
