"""Tags of state machines and activities."""

from collections.abc import Mapping
from typing import Final

from nbflow.language.values import Json
from nbflow.service.arns import check_arn, machine_ref
from nbflow.service.desk import Desk
from nbflow.service.errors import ApiError
from nbflow.service.lookup import not_found, present

MOST_TAGS: Final = 50
"""Of one resource (AWS guide, "Tagging in Step Functions")."""


def tag_resource(desk: Desk, resource_arn: str, tags: list[dict[str, str]]) -> dict[str, Json]:
    """AWS, TagResource. Raises ApiError InvalidArn, ResourceNotFound or TooManyTags."""
    _check_resource(desk, resource_arn)
    desk.store.put_tags(resource_arn, checked(desk.store.tags(resource_arn), tags))
    return {}


def untag_resource(desk: Desk, resource_arn: str, tag_keys: list[str]) -> dict[str, Json]:
    """AWS, UntagResource; keys that are not there do not matter. Raises ApiError InvalidArn or ResourceNotFound."""
    _check_resource(desk, resource_arn)
    desk.store.delete_tags(resource_arn, tag_keys)
    return {}


def list_tags_for_resource(desk: Desk, resource_arn: str) -> dict[str, Json]:
    """AWS, ListTagsForResource. Raises ApiError InvalidArn or ResourceNotFound."""
    _check_resource(desk, resource_arn)
    return {"tags": [{"key": key, "value": value} for key, value in desk.store.tags(resource_arn).items()]}


def checked(present: Mapping[str, str], tags: list[dict[str, str]]) -> dict[str, str]:
    """New tags by key, if the resource may have them beside those that it has. Raises ApiError TooManyTags."""
    added = {tag["key"]: tag.get("value", "") for tag in tags if "key" in tag}
    if len(present.keys() | added.keys()) > MOST_TAGS:
        raise ApiError("TooManyTags", f"A resource can have at most {MOST_TAGS} tags")
    return added


def _check_resource(desk: Desk, arn: str) -> None:
    if ":activity:" in check_arn(arn, "stateMachine", "activity"):
        found = desk.store.activity(arn) is not None
    else:
        found = machine_ref(arn).qualified == arn and present(desk, arn) is not None
    if not found:
        raise not_found(arn)
