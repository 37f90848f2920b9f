"""Which Resources a Task may have."""

import pytest

from nbflow.language.integrations import check

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
