"""Activities: create, describe, list, delete."""

import json

from nbflow.language.values import Json
from nbflow.service import options
from nbflow.service import tags as tagging
from nbflow.service.arns import activity_arn, check_arn, check_name
from nbflow.service.desk import Desk
from nbflow.service.errors import ApiError
from nbflow.service.parameters import DEFAULT_RESULTS, page
from nbflow.store.rows import ActivityRow


def create_activity(
    desk: Desk, name: str, *, tags: Json = None, encryption_configuration: Json = None
) -> dict[str, Json]:
    """AWS, CreateActivity: idempotent for the same name and encryption; other tags are ignored then.

    Raises ApiError InvalidName, TooManyTags, InvalidEncryptionConfiguration or ActivityAlreadyExists.
    """
    arn = activity_arn(check_name(name))
    tagged = tagging.checked({}, tags or [])
    stored = json.dumps(options.checked(encryption=encryption_configuration))
    fresh = desk.store.activity(arn) is None
    row = desk.store.add_activity(ActivityRow(arn, name, stored, desk.engine.now()))
    if row.options != stored:
        message = f"Activity already exists. EncryptionConfiguration may not be updated: '{arn}'"
        raise ApiError("ActivityAlreadyExists", message)
    if fresh:
        desk.store.put_tags(arn, tagged)
    return {"activityArn": arn, "creationDate": row.created_at}


def describe_activity(desk: Desk, activity_arn: str) -> dict[str, Json]:
    """AWS, DescribeActivity. Raises ApiError InvalidArn or ActivityDoesNotExist."""
    row = activity_of(desk, activity_arn)
    return {
        "activityArn": row.arn,
        "name": row.name,
        "creationDate": row.created_at,
        "encryptionConfiguration": options.shown(row.options)["encryptionConfiguration"],
    }


def list_activities(
    desk: Desk, *, max_results: int = DEFAULT_RESULTS, next_token: str | None = None
) -> dict[str, Json]:
    """AWS, ListActivities, in the order of their creation."""
    listed = [
        {"activityArn": row.arn, "name": row.name, "creationDate": row.created_at}
        for row in desk.store.activities()
    ]
    return page("activities", listed, max_results, next_token)


def delete_activity(desk: Desk, activity_arn: str) -> dict[str, Json]:
    """AWS, DeleteActivity; no error if there is none. Raises ApiError InvalidArn."""
    desk.store.delete_activity(check_arn(activity_arn, "activity"))
    return {}


def activity_of(desk: Desk, arn: str) -> ActivityRow:
    """The activity with this ARN. Raises ApiError InvalidArn or ActivityDoesNotExist."""
    row = desk.store.activity(check_arn(arn, "activity"))
    if row is None:
        raise ApiError("ActivityDoesNotExist", f"Activity Does Not Exist: '{arn}'")
    return row
