"""Tags over the API (AWS, TagResource, UntagResource, ListTagsForResource)."""

import pytest

from nbflow.language.values import Json
from nbflow.service.arns import activity_arn, machine_arn
from tests.service.support import Office


@pytest.fixture(params=["machine", "activity"])
def resource(request: pytest.FixtureRequest, office: Office) -> str:
    if request.param == "machine":
        return office.machine()
    arn: str = office.call("CreateActivity", name="a")["activityArn"]
    return arn


def tags(**values: str) -> list[dict[str, Json]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def test_tags_are_added_replaced_and_taken_away(office: Office, resource: str) -> None:
    def now() -> Json:
        return office.call("ListTagsForResource", resourceArn=resource)["tags"]

    assert now() == []
    assert office.call("TagResource", resourceArn=resource, tags=[]) == {}
    assert office.call("TagResource", resourceArn=resource, tags=tags(b="2", a="") + tags(b="3")) == {}
    assert now() == tags(a="", b="3")
    assert office.call("UntagResource", resourceArn=resource, tagKeys=["b", "b", "none"]) == {}
    assert office.call("UntagResource", resourceArn=resource, tagKeys=[]) == {}
    assert now() == tags(a="")


def test_a_resource_has_at_most_fifty(office: Office, resource: str) -> None:
    office.call("TagResource", resourceArn=resource, tags=tags(**{f"k{n}": "" for n in range(50)}))
    office.call("TagResource", resourceArn=resource, tags=tags(k1="again"))
    refused = office.refused("TagResource", resourceArn=resource, tags=tags(new=""))
    assert refused == ("TooManyTags", "A resource can have at most 50 tags")


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        (machine_arn("none"), "ResourceNotFound"),
        (f"{machine_arn('m')}:1", "ResourceNotFound"),
        (activity_arn("none"), "ResourceNotFound"),
        (machine_arn("m").replace("stateMachine", "execution"), "InvalidArn"),
        ("m", "InvalidArn"),
    ],
)
def test_only_machines_and_activities_have_tags(office: Office, arn: str, code: str) -> None:
    office.machine()
    calls: dict[str, dict[str, Json]] = {
        "TagResource": {"tags": []},
        "UntagResource": {"tagKeys": []},
        "ListTagsForResource": {},
    }
    for action, more in calls.items():
        assert office.refused(action, resourceArn=arn, **more)[0] == code
