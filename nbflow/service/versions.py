"""Versions of state machines: publish, list, delete."""

from nbflow.language.values import Json
from nbflow.service.arns import machine_ref
from nbflow.service.desk import Desk
from nbflow.service.errors import ApiError
from nbflow.service.lookup import deleting, machine_of
from nbflow.service.parameters import DEFAULT_RESULTS, page


def publish_state_machine_version(
    desk: Desk, state_machine_arn: str, *, revision_id: str | None = None, description: str | None = None
) -> dict[str, Json]:
    """AWS, PublishStateMachineVersion: the version of the present revision, made if there is none yet.

    Raises ApiError StateMachineDoesNotExist, StateMachineDeleting or ConflictException (another revision was meant).
    """
    machine = machine_of(desk, state_machine_arn)
    if machine.status == "DELETING":
        raise deleting(state_machine_arn)
    if revision_id is not None and revision_id != (machine.revision_id or "INITIAL"):
        raise ApiError(
            "ConflictException",
            f"Failed to publish the State Machine version for revision {revision_id}. "
            f"The current State Machine revision is {machine.revision_id or 'INITIAL'}.",
        )
    version = desk.store.publish(machine.arn, description, desk.engine.now())
    return {"stateMachineVersionArn": version.arn, "creationDate": version.created_at}


def list_state_machine_versions(
    desk: Desk, state_machine_arn: str, *, max_results: int = DEFAULT_RESULTS, next_token: str | None = None
) -> dict[str, Json]:
    """AWS, ListStateMachineVersions, newest first; none for a machine that there is not."""
    listed = [
        {"stateMachineVersionArn": row.arn, "creationDate": row.created_at}
        for row in desk.store.versions(machine_ref(state_machine_arn).arn)
    ]
    return page("stateMachineVersions", listed, max_results, next_token, of=state_machine_arn)


def delete_state_machine_version(desk: Desk, state_machine_version_arn: str) -> dict[str, Json]:
    """AWS, DeleteStateMachineVersion; no error if there is none.

    Raises ApiError ValidationException (not the ARN of a version) or ConflictException (an alias routes to it).
    """
    ref = machine_ref(state_machine_version_arn)
    if not ref.qualifier.isdigit():
        message = f"Invalid state machine version ARN: '{state_machine_version_arn}'"
        raise ApiError("ValidationException", message, "it ends with the number of a version")
    using = [row.name for row in desk.store.aliases(ref.arn) if f'"{ref.qualified}"' in row.routing]
    if using:
        raise ApiError(
            "ConflictException",
            "Version to be deleted must not be referenced by an alias. "
            f"Current list of aliases referencing this version: [{', '.join(using)}]",
        )
    desk.store.delete_version(ref.qualified)
    return {}
