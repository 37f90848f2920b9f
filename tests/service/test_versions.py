"""Versions over the API (AWS, PublishStateMachineVersion, ListStateMachineVersions, DeleteStateMachineVersion)."""

import pytest

from nbflow.language.values import Json
from nbflow.service.arns import machine_arn
from tests.service.support import PASS, WAIT, Office, text

ARN = machine_arn("m")


@pytest.fixture
def machine(office: Office) -> str:
    return office.machine(PASS)


def published(office: Office, **options: Json) -> str:
    arn: str = office.call("PublishStateMachineVersion", stateMachineArn=ARN, **options)[
        "stateMachineVersionArn"
    ]
    return arn


def versions(office: Office) -> list[str]:
    listed = office.call("ListStateMachineVersions", stateMachineArn=ARN)["stateMachineVersions"]
    return [each["stateMachineVersionArn"].removeprefix(f"{ARN}:") for each in listed]


@pytest.mark.usefixtures("machine")
def test_a_revision_is_published_once(office: Office) -> None:
    assert published(office) == published(office, description="another") == f"{ARN}:1"
    office.call("UpdateStateMachine", stateMachineArn=ARN, definition=text(WAIT))
    assert published(office) == f"{ARN}:2"
    assert versions(office) == ["2", "1"]


@pytest.mark.usefixtures("machine")
def test_numbers_are_never_used_twice(office: Office) -> None:
    for number in (1, 2, 3):
        arn = published(office)
        assert arn == f"{ARN}:{number}"
        assert office.call("DeleteStateMachineVersion", stateMachineVersionArn=arn) == {}
        assert office.call("DeleteStateMachineVersion", stateMachineVersionArn=arn) == {}, "again"
    assert versions(office) == []


@pytest.mark.usefixtures("machine")
def test_a_version_is_what_the_machine_was(office: Office) -> None:
    version = published(office, description="as it was")
    office.clock.advance_to(office.clock.now() + 60)
    office.call("UpdateStateMachine", stateMachineArn=ARN, definition=text(WAIT))
    shown = office.call("DescribeStateMachine", stateMachineArn=version)
    assert (shown["stateMachineArn"], shown["definition"]) == (version, text(PASS))
    assert (shown["description"], shown["creationDate"]) == ("as it was", office.clock.now() - 60)


@pytest.mark.usefixtures("machine")
def test_versions_come_in_pages_newest_first(office: Office) -> None:
    for seconds in range(3):
        office.call(
            "UpdateStateMachine",
            stateMachineArn=ARN,
            definition=text(PASS | {"Comment": f"{seconds}"}),
            publish=True,
        )
    first = office.call("ListStateMachineVersions", stateMachineArn=ARN, maxResults=2)
    rest = office.call(
        "ListStateMachineVersions", stateMachineArn=ARN, maxResults=2, nextToken=first["nextToken"]
    )
    found = first["stateMachineVersions"] + rest["stateMachineVersions"]
    assert [each["stateMachineVersionArn"] for each in found] == [f"{ARN}:{n}" for n in (3, 2, 1)]
    refused = office.refused(
        "ListStateMachineVersions", stateMachineArn=machine_arn("n"), nextToken=first["nextToken"]
    )
    assert refused == ("InvalidToken", "Invalid Token: 'Invalid token'")


@pytest.mark.usefixtures("machine")
def test_what_is_refused(office: Office) -> None:
    first = office.call("UpdateStateMachine", stateMachineArn=ARN, definition=text(WAIT))["revisionId"]
    second = office.call("UpdateStateMachine", stateMachineArn=ARN, definition=text(PASS))["revisionId"]
    publish, delete = "PublishStateMachineVersion", "DeleteStateMachineVersion"
    assert office.refused(publish, stateMachineArn=ARN, revisionId=first) == (
        "ConflictException",
        f"Failed to publish the State Machine version for revision {first}. "
        f"The current State Machine revision is {second}.",
    )
    assert office.refused(publish, stateMachineArn=machine_arn("n"))[0] == "StateMachineDoesNotExist"
    assert office.refused(publish, stateMachineArn="m")[0] == "InvalidArn"
    assert office.refused(delete, stateMachineVersionArn=ARN)[0] == "ValidationException"
    version = published(office, revisionId=second)
    for name in ("blue", "green"):
        route = [{"stateMachineVersionArn": version, "weight": 100}]
        office.call("CreateStateMachineAlias", name=name, routingConfiguration=route)
    assert office.refused(delete, stateMachineVersionArn=version) == (
        "ConflictException",
        "Version to be deleted must not be referenced by an alias. "
        "Current list of aliases referencing this version: [blue, green]",
    )
