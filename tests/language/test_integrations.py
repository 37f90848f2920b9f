"""Which Resources a Task may have."""

import pytest

from nbflow.language.integrations import Integration, check, integration, is_invocation, wrong_parameters

KNOWN = [
    "arn:aws:lambda:eu-west-1:123456789012:function:work",
    "arn:aws-cn:lambda:cn-north-1:123456789012:function:work:7",
    "arn:aws:states:eu-west-1:123456789012:activity:by-hand",
    "arn:aws:states:::lambda:invoke",
    "arn:aws:states:::lambda:invoke.waitForTaskToken",
    "arn:aws:states:::dynamodb:getItem",
    "arn:aws:states:::ecs:runTask.sync",
    "arn:aws:states:::states:startExecution.sync:2",
    "arn:aws:states:::aws-sdk:dynamodb:query",
    "arn:aws:states:::aws-sdk:sfn:startExecution.waitForTaskToken",
    "arn:aws:states:::sagemaker:createTrainingJob.sync",
    "arn:aws:states:::http:invoke",
]

UNKNOWN = [
    "arn:aws:states:::dynamodb:scan",
    "arn:aws:states:::lambda:invoke.sync",
    "arn:aws:states:::ecs:runTask.sync:2",
    "arn:aws:states:::aws-sdk:s3:getObject.sync",
    "arn:aws:states:::dynamodb:getItem.waitForTaskToken",
    "arn:aws:states:::teleport:beam",
]

NO_ARN = ["", "work", "arn:aws:lambda", "arn:aws:states:::", "{% $resource %}", "arn:aws:lambda:a:b: "]


@pytest.mark.parametrize("resource", KNOWN)
def test_known(resource: str) -> None:
    assert check(resource) is None


@pytest.mark.parametrize("resource", UNKNOWN)
def test_not_recognized(resource: str) -> None:
    assert (check(resource) or "").startswith(f"The resource provided {resource} is not recognized.")


@pytest.mark.parametrize("resource", NO_ARN)
def test_no_arn(resource: str) -> None:
    assert check(resource) == "Value is not a valid resource ARN"


NAMED = {
    "arn:aws:states:::sqs:sendMessage": Integration("Task", "sqs", "sendMessage"),
    "arn:aws:states:::sqs:sendMessage.waitForTaskToken": Integration(
        "Task", "sqs", "sendMessage.waitForTaskToken", ".waitForTaskToken"
    ),
    "arn:aws:states:::states:startExecution.sync": Integration(
        "Task", "states", "startExecution.sync", ".sync"
    ),
    "arn:aws:states:::states:startExecution.sync:2": Integration(
        "Task", "states", "startExecution.sync:2", ".sync:2"
    ),
    "arn:aws:states:::aws-sdk:s3:getObject": Integration("Task", "aws-sdk:s3", "getObject"),
    "arn:aws:states:::aws-sdk:sfn:startExecution.waitForTaskToken": Integration(
        "Task", "aws-sdk:sfn", "startExecution.waitForTaskToken", ".waitForTaskToken"
    ),
    "arn:aws-cn:states:::lambda:invoke": Integration("Task", "lambda", "invoke"),
    "arn:aws:states:us-east-1:000000000000:activity:a.sync": Integration("Activity"),
    "arn:aws:lambda:us-east-1:000000000000:function:f.sync": Integration("LambdaFunction"),
    "arn:aws:states:us-east-1:000000000000:activity:a": Integration("Activity"),
}


@pytest.mark.parametrize("resource", NAMED)
def test_what_a_resource_names(resource: str) -> None:
    named = integration(resource)
    assert named == NAMED[resource]
    assert named.has_token is (named.pattern != "" or named.family == "Activity")


def test_an_invocation_names_its_function_in_the_arguments() -> None:
    assert is_invocation("arn:aws:states:::lambda:invoke")
    assert is_invocation("arn:aws:states:::lambda:invoke.waitForTaskToken")
    assert not is_invocation("arn:aws:states:::aws-sdk:lambda:invoke")
    assert not is_invocation("arn:aws:states:::http:invoke")
    assert not is_invocation("arn:aws:lambda:us-east-1:000000000000:function:invoke")


GATEWAY = "arn:aws:states:::apigateway:invoke"

WRONG = [
    (GATEWAY, "text", []),
    (GATEWAY, {}, []),
    (GATEWAY, {"Headers": {"a": ["b"]}, "QueryParameters": {}}, []),
    (GATEWAY, {"Headers": {"a": "b"}}, ["The value of the field 'Headers' has an invalid format"]),
    (GATEWAY, {"Headers": [], "QueryParameters": {"a": [1]}}, [
        "The value of the field 'Headers' has an invalid format",
        "The value of the field 'QueryParameters' has an invalid format",
    ]),
    ("arn:aws:lambda:us-east-1:000000000000:function:f", {}, []),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "parameters", "wrong"), WRONG)
def test_parameters_that_do_not_fit(resource: str, parameters: object, wrong: list[str]) -> None:
    assert wrong_parameters(resource, parameters) == wrong
