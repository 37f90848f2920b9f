"""TestState (AWS API reference, "TestState"; developer guide, "Testing state machines with the TestState API")."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from nbflow.language.values import Json
from nbflow.tasks.job import Outcome
from tests.service.support import CODES, TASK, WORK, Office, text

INVOKE: dict[str, Json] = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}
BRANCH: dict[str, Json] = {"StartAt": "B", "States": {"B": {"Type": "Pass", "End": True}}}
OTHER: dict[str, Json] = {"StartAt": "C", "States": {"C": {"Type": "Succeed"}}}
PARALLEL: dict[str, Json] = {"Type": "Parallel", "Branches": [BRANCH, OTHER], "End": True}
MAP: dict[str, Json] = {"Type": "Map", "ItemProcessor": BRANCH, "End": True}
BOOM: dict[str, Json] = {"errorOutput": {"error": "Boom", "cause": "it blew up"}}


def result(value: Json) -> dict[str, Json]:
    return {"result": text(value)}


def tried(office: Office, state: Json, data: Json = None, **options: Any) -> dict[str, Json]:
    """The answer, its JSON texts read."""
    answer = office.call(
        "TestState", definition=text(state), input=text({} if data is None else data), **options
    )
    seen = answer.get("inspectionData", {})
    for members in (answer, seen):
        for name, value in members.items():
            if isinstance(value, str) and (
                name in ("output", "input", "result", "variables") or name.startswith("after")
            ):
                members[name] = json.loads(value)
    return answer


@dataclass(frozen=True)
class Case:
    id: str
    state: dict[str, Json]
    answer: dict[str, Json]
    input: Json = None
    options: dict[str, Any] = field(default_factory=dict)


PATHS = {"InputPath": "$.in", "Parameters": {"p.$": "$.x"}, "ResultPath": "$.out"}
DATA: dict[str, Json] = {"in": {"x": 1}, "y": 2}
RETRY = {
    "Retry": [{"ErrorEquals": ["Other"]}, {"ErrorEquals": ["Boom"], "IntervalSeconds": 3, "MaxAttempts": 2}]
}
CATCH = {"Catch": [{"ErrorEquals": ["Other"], "Next": "X"}, {"ErrorEquals": ["States.ALL"], "Next": "Y"}]}
FAILED: dict[str, Json] = {"status": "FAILED", "error": "Boom", "cause": "it blew up"}
TOO_MANY = {
    "error": "States.ExceedToleratedFailureThreshold",
    "cause": "The specified tolerated failure threshold was exceeded",
}
JSONATA = {"QueryLanguage": "JSONata"}
# fmt: off
INFO = [
    Case("pass", {"Type": "Pass", "Next": "N"}, {"status": "SUCCEEDED", "output": DATA, "nextState": "N"}, DATA),
    Case("succeed", {"Type": "Succeed", "OutputPath": "$.y"}, {"status": "SUCCEEDED", "output": 2}, DATA),
    Case("choice", {"Type": "Choice", "Choices": [{"Variable": "$.y", "NumericEquals": 2, "Next": "Two"}], "Default": "D"}, {"status": "SUCCEEDED", "output": DATA, "nextState": "Two"}, DATA),
    Case("fail", {"Type": "Fail", "Error": "E", "Cause": "C"}, {"status": "FAILED", "error": "E", "cause": "C"}),
    Case("wait is not waited for", {"Type": "Wait", "Seconds": 300, "End": True}, {"status": "SUCCEEDED", "output": {}}),
    Case("but not longer than five minutes", {"Type": "Wait", "Seconds": 301, "End": True}, {"status": "FAILED", "error": "States.Timeout"}),
    Case("expression fails", {"Type": "Pass", "InputPath": "$.no", "End": True}, {"status": "FAILED", "error": "States.Runtime", "cause": "An error occurred while executing the state 'StateName' (entered at the event id #2). Invalid path '$.no' : No results for path: $['no']"}),
    Case("task", INVOKE | PATHS, {"status": "SUCCEEDED", "output": DATA | {"out": {"StatusCode": 200}}}, DATA, {"mock": result({"StatusCode": 200})}),
    Case("task fails", INVOKE, FAILED, None, {"mock": BOOM}),
    Case("retriable", INVOKE | RETRY | CATCH, FAILED | {"status": "RETRIABLE"}, None, {"mock": BOOM}),
    Case("retried enough", INVOKE | RETRY, FAILED, None, {"mock": BOOM, "stateConfiguration": {"retrierRetryCount": 2}}),
    Case("caught", INVOKE | CATCH, FAILED | {"status": "CAUGHT_ERROR", "nextState": "Y", "output": {"Error": "Boom", "Cause": "it blew up"}}, None, {"mock": BOOM}),
    Case("catch fails", INVOKE | {"Catch": [{"ErrorEquals": ["Boom"], "ResultPath": "$.a", "Next": "N"}]}, {"status": "FAILED", "error": "States.ResultPathMatchFailure"}, [], {"mock": BOOM}),
    Case("parallel", PARALLEL, {"status": "SUCCEEDED", "output": [1, 2]}, None, {"mock": result([1, 2])}),
    Case("map", MAP, {"status": "SUCCEEDED", "output": [2, 3]}, [1, 2], {"mock": result([2, 3])}),
    Case("map of no array", MAP, {"status": "FAILED", "error": "States.Runtime"}, {}, {"mock": result([])}),
    Case("map, failures tolerated", MAP | {"ToleratedFailureCount": 1}, {"status": "SUCCEEDED", "output": []}, [1, 2], {"mock": result([]), "stateConfiguration": {"mapIterationFailureCount": 1}}),
    Case("map, failures not tolerated", MAP | {"ToleratedFailureCount": 1}, {"status": "FAILED", **TOO_MANY}, [1, 2], {"mock": result([]), "stateConfiguration": {"mapIterationFailureCount": 2}}),
    Case("map, share not tolerated", MAP | {"ToleratedFailurePercentage": 50}, {"status": "FAILED", **TOO_MANY}, [1, 2, 3], {"mock": result([]), "stateConfiguration": {"mapIterationFailureCount": 2}}),
    Case("map without threshold", MAP, {"status": "SUCCEEDED", "output": []}, [1, 2], {"mock": result([]), "stateConfiguration": {"mapIterationFailureCount": 2}}),
    Case("map, its error", MAP, FAILED, [1], {"mock": BOOM, "stateConfiguration": {"errorCausedByState": "B"}}),
    Case("variables", JSONATA | {"Type": "Pass", "Output": "{% $v + 1 %}", "End": True}, {"status": "SUCCEEDED", "output": 42}, None, {"variables": '{"v": 41}'}),
    Case("context", INVOKE | {"ResultSelector": {"c.$": "$$.State.Name"}}, {"status": "SUCCEEDED", "output": {"c": "Mine"}}, None, {"mock": result({}), "context": '{"State": {"Name": "Mine"}}'}),
    Case("context of a callback", INVOKE | {"Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "Parameters": {"t.$": "$$.Task.Token"}}, {"status": "SUCCEEDED", "output": 1}, None, {"mock": result(1), "context": '{"Task": {"Token": "abc"}}'}),
    Case("context of its own", INVOKE | {"ResultSelector": {"c.$": "$$.State.Name", "n.$": "$$.State.RetryCount"}}, {"status": "SUCCEEDED", "output": {"c": "StateName", "n": 0}}, None, {"mock": result({})}),
]
# fmt: on


@pytest.mark.parametrize("case", INFO, ids=lambda case: case.id)
def test_what_comes_of_a_state(office: Office, case: Case) -> None:
    answer = tried(office, case.state, case.input, **case.options)
    if "cause" not in case.answer:
        answer.pop("cause", None)
    assert answer == case.answer


FILLED = {"p": 1}
OUT = DATA | {"out": {"r": 1}}
SELECT = {"ResultSelector": {"r.$": "$.StatusCode"}}
ARRAY = JSONATA | {
    "Items": "{% $states.input.a %}",
    "ItemSelector": {"i": "{% $states.context.Map.Item.Value %}"},
}
READER: dict[str, Json] = {
    "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "Parameters": {"Bucket": "b", "Key": "k"}},
    "ItemProcessor": BRANCH | {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}},
    "ToleratedFailurePercentage": 50,
}
# fmt: off
INSPECTED = [
    Case("pass", {"Type": "Pass", **PATHS, "End": True}, {"afterInputPath": {"x": 1}, "afterParameters": FILLED, "afterResultSelector": FILLED, "afterResultPath": DATA | {"out": FILLED}}, DATA),
    Case("pass with a result", {"Type": "Pass", "Result": 5, "ResultPath": None, "End": True}, {"result": 5, "afterResultSelector": 5, "afterResultPath": DATA}, DATA),
    Case("pass in JSONata", JSONATA | {"Type": "Pass", "End": True}, {}, DATA),
    Case("pass that assigns", {"Type": "Pass", "Assign": {"b": 2}, "End": True}, {"afterInputPath": DATA, "afterParameters": DATA, "afterResultSelector": DATA, "afterResultPath": DATA, "variables": {"a": 1, "b": 2}}, DATA, {"variables": '{"a": 1}'}),
    Case("fail", {"Type": "Fail"}, {"afterInputPath": DATA}, DATA),
    Case("task", INVOKE | PATHS | SELECT, {"afterInputPath": {"x": 1}, "afterParameters": FILLED, "result": {"StatusCode": 1}, "afterResultSelector": {"r": 1}, "afterResultPath": OUT}, DATA, {"mock": result({"StatusCode": 1})}),
    Case("task that fails", INVOKE | PATHS | RETRY, {"afterInputPath": {"x": 1}, "afterParameters": FILLED, "errorDetails": {"retryIndex": 1, "retryBackoffIntervalSeconds": 6}}, DATA, {"mock": BOOM, "stateConfiguration": {"retrierRetryCount": 1}}),
    Case("retried enough and caught", INVOKE | RETRY | CATCH, {"afterInputPath": DATA, "afterParameters": DATA, "errorDetails": {"retryIndex": 1, "catchIndex": 1}}, DATA, {"mock": BOOM, "stateConfiguration": {"retrierRetryCount": 2}}),
    Case("task in JSONata", INVOKE | JSONATA | {"Arguments": {"a": "{% $states.input.y %}"}}, {"afterArguments": {"a": 2}, "result": {}}, DATA, {"mock": result({})}),
    Case("arguments that fail", INVOKE | JSONATA | {"Arguments": "{% $error('no') %}"}, {}, DATA, {"mock": result({})}),
    Case("parallel", PARALLEL | {"ResultPath": "$.out"}, {"afterResultSelector": [1, 2], "afterResultPath": DATA | {"out": [1, 2]}}, DATA, {"mock": result([1, 2])}),
    Case("map", MAP | {"ItemsPath": "$.a", "ToleratedFailureCount": 1}, {"afterInputPath": {"a": [1]}, "afterItemsPath": [1], "maxConcurrency": 0, "toleratedFailureCount": 1, "afterResultSelector": [5], "afterResultPath": [5]}, {"a": [1]}, {"mock": result([5])}),
    Case("map in JSONata", MAP | ARRAY | {"MaxConcurrency": 3}, {"afterItemSelector": [{"i": 1}, {"i": 2}], "maxConcurrency": 3}, {"a": [1, 2]}, {"mock": result([5, 6])}),
    Case("map with a reader", MAP | READER, {"afterInputPath": {}, "maxConcurrency": 0, "toleratedFailurePercentage": 50.0, "afterResultSelector": [5], "afterResultPath": [5]}, {}, {"mock": result([5]), "stateConfiguration": {"mapItemReaderData": "[1, 2]", "mapIterationFailureCount": 1}}),
]
# fmt: on


@pytest.mark.parametrize("level", ["DEBUG", "TRACE"])
@pytest.mark.parametrize("case", INSPECTED, ids=lambda case: case.id)
def test_what_is_seen_on_the_way(office: Office, case: Case, level: str) -> None:
    seen = tried(office, case.state, case.input, inspectionLevel=level, **case.options)["inspectionData"]
    assert seen == {"input": case.input, **case.answer}


def test_a_state_of_a_machine_at_any_depth(office: Office) -> None:
    inner = {
        "StartAt": "I",
        "States": {"I": {"Type": "Pass", "Result": "inner", "Next": "J"}, "J": {"Type": "Succeed"}},
    }
    outer = {"StartAt": "S", "States": {"S": {"Type": "Parallel", "Branches": [inner], "End": True}}}
    answer = tried(office, outer, stateName="I")
    assert answer == {"status": "SUCCEEDED", "output": "inner", "nextState": "J"}


def test_a_machines_query_language_counts(office: Office) -> None:
    machine = JSONATA | {
        "StartAt": "S",
        "States": {"S": {"Type": "Pass", "Output": "{% 1 + 1 %}", "End": True}},
    }
    assert tried(office, machine, stateName="S")["output"] == 2


def test_a_task_without_a_mock_is_done(office: Office) -> None:
    office.service.functions = {"work": CODES[WORK]}
    submit = office.pool.submit

    def done(job: Any, answer: Any) -> None:
        submit(job, answer)
        answer(Outcome(job.execution, job.attempt, {"got": job.arguments}))

    office.pool.submit = done  # type: ignore[method-assign]
    answer = tried(office, TASK["States"]["T"] | {"Parameters": {"a.$": "$.y"}}, DATA)
    assert answer == {"status": "SUCCEEDED", "output": {"got": {"a": 2}}}
    assert office.store.executions() == []


def test_a_task_that_nobody_can_do(office: Office) -> None:
    answer = tried(office, TASK["States"]["T"])
    assert (answer["status"], answer["error"]) == ("FAILED", "States.TaskFailed")


# --- what is refused

KMS: dict[str, Json] = INVOKE | {"Resource": "arn:aws:states:::aws-sdk:kms:encrypt"}
START: dict[str, Json] = INVOKE | {"Resource": "arn:aws:states:::states:startExecution"}
GET: dict[str, Json] = INVOKE | {"Resource": "arn:aws:states:::aws-sdk:s3:getObject"}
PUT: dict[str, Json] = INVOKE | {"Resource": "arn:aws:states:::dynamodb:putItem"}
UNKNOWN: dict[str, Json] = INVOKE | {"Resource": "arn:aws:states:::aws-sdk:nosuchservice:doIt"}
SCHEMA = "Mock result schema validation error: "
CONTEXT = "Invalid Context object provided: "


@dataclass(frozen=True)
class Refused:
    id: str
    state: Json
    message: str
    options: dict[str, Any] = field(default_factory=dict)


def given(context: str) -> dict[str, Any]:
    return {"mock": result({}), "context": context}


# fmt: off
REFUSED = [
    Refused("two mocks", INVOKE, "A test mock should have only one of the following fields: [result, errorOutput].", {"mock": {"result": "{}", **BOOM}}),
    Refused("no mock at all", INVOKE, "A test mock should have only one of the following fields: [result, errorOutput].", {"mock": {}}),
    Refused("error without name", INVOKE, "The field error is required in the errorOutput of a test mock.", {"mock": {"errorOutput": {"cause": "c"}}}),
    Refused("secrets", INVOKE, "TestState does not support RevealSecrets when a mock is specified.", {"mock": BOOM, "revealSecrets": True}),
    Refused("mock of a Pass", {"Type": "Pass", "End": True}, "State type 'Pass' is not supported when a mock is specified", {"mock": BOOM}),
    Refused("Map without mock", MAP, "State type 'Map' is only supported when a mock is specified"),
    Refused("callback without mock", INVOKE | {"Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken"}, "Resource 'arn:aws:states:::sqs:sendMessage.waitForTaskToken' is only supported when a mock is specified"),
    Refused("no JSON", INVOKE, "Mocked result must be valid JSON: Expecting value at line 1 column 1", {"mock": {"result": "x"}}),
    Refused("Map of no array", MAP, "Mocked result must be an array.", {"mock": result({})}),
    Refused("branches", PARALLEL, "Mocked result must contain the same number of items as number of Parallel branches.", {"mock": result([1])}),
    Refused("branches of no array", PARALLEL, "Mocked result must be an array.", {"mock": result(1)}),
    Refused("context without mock", INVOKE, "A Context object can only be specified when a mock is specified.", {"context": "{}"}),
    Refused("no state", {"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}, "State not found in definition", {"stateName": "T"}),
    Refused("variables", {"Type": "Succeed"}, "Invalid variables: it must be a JSON object", {"variables": "[]"}),
    Refused("number", INVOKE, f"{SCHEMA}Field 'StatusCode' must be a number", {"mock": result({"StatusCode": "200"})}),
    Refused("text", START, f"{SCHEMA}Field 'ExecutionArn' must be a string", {"mock": {**result({"ExecutionArn": 1}), "fieldValidationMode": "PRESENT"}}),
    Refused("missing", START, f"{SCHEMA}Required field 'ExecutionArn' is missing", {"mock": result({"StartDate": "now"})}),
    Refused("blob", KMS, f"{SCHEMA}Field 'CiphertextBlob' is smaller than the minimum length", {"mock": result({"CiphertextBlob": ""})}),
    Refused("enum", GET, f"{SCHEMA}Field 'StorageClass' is not an expected value", {"mock": result({"StorageClass": "Papyrus"})}),
    Refused("truth", GET, f"{SCHEMA}Field 'DeleteMarker' must be a boolean", {"mock": result({"DeleteMarker": "no"})}),
    Refused("nested", PUT, f"{SCHEMA}Field 'CapacityUnits' must be a number", {"mock": result({"ConsumedCapacity": {"CapacityUnits": True}})}),
    Refused("in a map", PUT, f"{SCHEMA}Field 'Attributes' must be an object", {"mock": result({"Attributes": {"a": 1}})}),
    Refused("context, no object", INVOKE, f"{CONTEXT}Context object must be a JSON object", given("[]")),
    Refused("context, member", INVOKE, f"{CONTEXT}Field 'Nope' is not allowed", given('{"Nope": {}}')),
    Refused("context, inner member", INVOKE, f"{CONTEXT}Field 'nope' is not allowed", given('{"State": {"nope": 1}}')),
    Refused("context, kind", INVOKE, f"{CONTEXT}Execution.Id must be a string", given('{"Execution": {"Id": 1}}')),
    Refused("context, number", INVOKE, f"{CONTEXT}State.RetryCount must be a number", given('{"State": {"RetryCount": true}}')),
    Refused("context, structure", INVOKE, f"{CONTEXT}State must be an object", given('{"State": 1}')),
    Refused("context, Map", INVOKE, f"{CONTEXT}'Map' field is not supported when mocking a Context object", given('{"Map": {}}')),
    Refused("context, Task", INVOKE, f"{CONTEXT}Context object contains 'Task' when state is not a Task state with a '.sync' or '.waitForTaskToken' service integration pattern", given('{"Task": {}}')),
]
# fmt: on


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_what_does_not_hold_together(office: Office, case: Refused) -> None:
    refused = office.refused("TestState", definition=text(case.state), **case.options)
    assert refused == ("ValidationException", case.message)


ACCEPTED = [
    Case(
        "no validation",
        START,
        {},
        options={"mock": {**result({"ExecutionArn": 1}), "fieldValidationMode": "NONE"}},
    ),
    Case("what is not there", START, {}, options={"mock": {**result({}), "fieldValidationMode": "PRESENT"}}),
    Case("unknown members", INVOKE, {}, options={"mock": result({"new": 1})}),
    Case("any payload", INVOKE, {}, options={"mock": result({"Payload": {"a": [1]}})}),
    Case("unknown service", UNKNOWN, {}, options={"mock": result([])}),
]


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.id)
def test_mocks_that_are_taken(office: Office, case: Case) -> None:
    assert tried(office, case.state, **case.options)["output"] == json.loads(case.options["mock"]["result"])


@pytest.mark.parametrize("definition", ["{", "[]", '{"Type": "Pass"}', '{"Type": "Task", "End": true}'])
def test_a_state_that_is_none(office: Office, definition: str) -> None:
    assert office.refused("TestState", definition=definition)[0] == "InvalidDefinition"


def test_an_input_that_is_none(office: Office) -> None:
    refused = office.refused("TestState", definition=text({"Type": "Succeed"}), input="{")
    assert refused[0] == "InvalidExecutionInput"


def test_the_items_of_a_distributed_map_are_selected(office: Office) -> None:
    processor = {**BRANCH, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
    selector = {"v.$": "$$.Map.Item.Value"}
    state = {**MAP, "ItemProcessor": processor, "ItemSelector": selector, "ToleratedFailurePercentage": 50}
    options = {"inspectionLevel": "DEBUG", "mock": result([1, 2])}
    answer = tried(office, state, [1, 2], **options)
    assert answer["inspectionData"]["afterItemSelector"] == [{"v": 1}, {"v": 2}]
    failed = {"mapIterationFailureCount": 1}
    assert tried(office, state, [1, 2], stateConfiguration=failed, **options)["status"] == "SUCCEEDED"
