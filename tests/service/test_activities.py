"""Activities over the API (AWS, CreateActivity, DescribeActivity, ListActivities, DeleteActivity)."""

import pytest

from nbflow.language.values import Json
from nbflow.service.arns import activity_arn, machine_arn
from tests.service.support import Office

ARN = activity_arn("a")
KEY: dict[str, Json] = {"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": "alias/k"}


def test_an_activity_lives_and_is_forgotten(office: Office) -> None:
    begun = office.clock.now()
    made = {"activityArn": ARN, "creationDate": begun}
    assert office.call("CreateActivity", name="a", tags=[{"key": "k", "value": "v"}]) == made
    office.clock.advance_to(begun + 60)
    assert office.call("CreateActivity", name="a", tags=[{"key": "other", "value": "v"}]) == made
    assert office.call("ListTagsForResource", resourceArn=ARN) == {"tags": [{"key": "k", "value": "v"}]}
    described = {**made, "name": "a", "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}
    assert office.call("DescribeActivity", activityArn=ARN) == described
    assert office.call("DeleteActivity", activityArn=ARN) == {}
    assert office.call("DeleteActivity", activityArn=ARN) == {}, "again"
    refused = office.refused("DescribeActivity", activityArn=ARN)
    assert refused == ("ActivityDoesNotExist", f"Activity Does Not Exist: '{ARN}'")


def test_activities_are_listed_in_pages(office: Office) -> None:
    for name in "abc":
        office.call("CreateActivity", name=name)
    first = office.call("ListActivities", maxResults=2)
    rest = office.call("ListActivities", maxResults=2, nextToken=first["nextToken"])
    assert [each["name"] for each in first["activities"] + rest["activities"]] == ["a", "b", "c"]
    assert "nextToken" not in rest


def test_the_encryption_of_an_activity_stays(office: Office) -> None:
    office.call("CreateActivity", name="a", encryptionConfiguration=KEY)
    shown = office.call("DescribeActivity", activityArn=ARN)["encryptionConfiguration"]
    assert shown == {**KEY, "kmsDataKeyReusePeriodSeconds": 300}
    assert office.refused("CreateActivity", name="a")[0] == "ActivityAlreadyExists"


@pytest.mark.parametrize("name", ["activity name", "activity%name", "a/b", 'a"b'])
def test_bad_names(office: Office, name: str) -> None:
    assert office.refused("CreateActivity", name=name) == ("InvalidName", f"Invalid Name: '{name}'")


@pytest.mark.parametrize("action", ["DescribeActivity", "DeleteActivity"])
@pytest.mark.parametrize(
    ("arn", "message"),
    [
        ("a", "Invalid Arn: 'Invalid ARN prefix: a'"),
        (machine_arn("a"), "Invalid Arn: 'Resource type not valid in this context: statemachine'"),
    ],
)
def test_bad_arns(office: Office, action: str, arn: str, message: str) -> None:
    assert office.refused(action, activityArn=arn) == ("InvalidArn", message)
