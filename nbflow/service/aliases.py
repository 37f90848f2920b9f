"""Aliases: names for one or two versions of a state machine, between which starts are shared out by weight."""

import json
import re
from dataclasses import replace
from typing import Final

from nbflow.language.values import Json
from nbflow.service.arns import machine_ref
from nbflow.service.desk import Desk
from nbflow.service.errors import ApiError
from nbflow.service.lookup import deleting, does_not_exist, present
from nbflow.service.parameters import DEFAULT_RESULTS, page, without_none
from nbflow.store.rows import AliasRow

_VERSION: Final = re.compile(r"arn:[^:]+:states:[^:]*:[^:]*:stateMachine:[^:/#]+:\d+")

MOST_ALIASES: Final = 100
"""Of one machine (AWS guide, "Quotas related to state machine versions and aliases")."""


def create_state_machine_alias(
    desk: Desk, name: str, routing_configuration: list[dict[str, Json]], *, description: str | None = None
) -> dict[str, Json]:
    """AWS, CreateStateMachineAlias: idempotent for the same name, description and routing.

    Raises ApiError ValidationException, ResourceNotFound, StateMachineDeleting, ConflictException or
    ServiceQuotaExceededException.
    """
    machine = _routed(desk, routing_configuration)
    arn = f"{machine}:{name}"
    row = desk.store.alias(arn)
    if row is None:
        if len(desk.store.aliases(machine)) >= MOST_ALIASES:
            message = f"A state machine can have at most {MOST_ALIASES} aliases"
            raise ApiError("ServiceQuotaExceededException", message)
        now = desk.engine.now()
        routing = json.dumps(routing_configuration)
        row = AliasRow(arn, machine, name, description, routing, now, now)
        desk.store.put_alias(row)
    elif (row.description, json.loads(row.routing)) != (description, routing_configuration):
        raise ApiError(
            "ConflictException",
            "Failed to create alias because an alias with the same name and a different routing configuration "
            "already exists.",
        )
    return {"stateMachineAliasArn": arn, "creationDate": row.created_at}


def update_state_machine_alias(
    desk: Desk,
    state_machine_alias_arn: str,
    *,
    description: str | None = None,
    routing_configuration: list[dict[str, Json]] | None = None,
) -> dict[str, Json]:
    """AWS, UpdateStateMachineAlias. Raises ApiError ResourceNotFound or ValidationException."""
    row = _alias(desk, state_machine_alias_arn)
    if description is None and routing_configuration is None:
        message = "Either the description or the routing configuration must be specified"
        raise ApiError("ValidationException", message)
    if routing_configuration is not None:
        if _routed(desk, routing_configuration) != row.machine_arn:
            message = "Routing configuration must contain versions of the alias's own state machine"
            raise ApiError("ValidationException", message)
        row = replace(row, routing=json.dumps(routing_configuration))
    if description is not None:
        row = replace(row, description=description)
    row = replace(row, updated_at=desk.engine.now())
    desk.store.put_alias(row)
    return {"updateDate": row.updated_at}


def describe_state_machine_alias(desk: Desk, state_machine_alias_arn: str) -> dict[str, Json]:
    """AWS, DescribeStateMachineAlias. Raises ApiError ResourceNotFound."""
    row = _alias(desk, state_machine_alias_arn)
    return without_none(
        {
            "stateMachineAliasArn": row.arn,
            "name": row.name,
            "description": row.description,
            "routingConfiguration": json.loads(row.routing),
            "creationDate": row.created_at,
            "updateDate": row.updated_at,
        }
    )


def list_state_machine_aliases(
    desk: Desk, state_machine_arn: str, *, max_results: int = DEFAULT_RESULTS, next_token: str | None = None
) -> dict[str, Json]:
    """AWS, ListStateMachineAliases: those of a machine, or those that route to a version of it.

    Raises ApiError StateMachineDoesNotExist, or ResourceNotFound for a version that there is not.
    """
    ref = machine_ref(state_machine_arn)
    if present(desk, ref.arn) is None:
        raise does_not_exist(desk, state_machine_arn)
    if ref.qualifier and desk.store.version(ref.qualified) is None:
        raise _no_such_resource()
    listed = [
        {"stateMachineAliasArn": row.arn, "creationDate": row.created_at}
        for row in desk.store.aliases(ref.arn)
        if not ref.qualifier or ref.qualified in _versions(json.loads(row.routing))
    ]
    return page("stateMachineAliases", listed, max_results, next_token, of=state_machine_arn)


def delete_state_machine_alias(desk: Desk, state_machine_alias_arn: str) -> dict[str, Json]:
    """AWS, DeleteStateMachineAlias; no error if there is none."""
    desk.store.delete_alias(machine_ref(state_machine_alias_arn).qualified)
    return {}


def _alias(desk: Desk, arn: str) -> AliasRow:
    row = desk.store.alias(machine_ref(arn).qualified)
    if row is None:
        raise _no_such_resource()
    return row


def _no_such_resource() -> ApiError:
    return ApiError("ResourceNotFound", "Request references a resource that does not exist.")


def _versions(routing: list[dict[str, Json]]) -> list[str]:
    return [str(route["stateMachineVersionArn"]) for route in routing]


def _routed(desk: Desk, routing: list[dict[str, Json]]) -> str:
    """The ARN of the machine whose versions are routed to.

    Raises ApiError ValidationException, StateMachineDeleting or ResourceNotFound.
    """
    arns = _versions(routing)
    received = f"Received: [{', '.join(arns)}]"
    if not all(map(_VERSION.fullmatch, arns)):
        message = f"Routing configuration must contain state machine version ARNs. {received}"
        raise ApiError("ValidationException", message)
    refs = [machine_ref(arn) for arn in arns]
    if len({ref.arn for ref in refs}) > 1:
        message = f"Routing configuration must contain versions of one state machine. {received}"
        raise ApiError("ValidationException", message)
    if len(set(arns)) < len(arns):
        message = f"Routing configuration must contain distinct state machine version ARNs. {received}"
        raise ApiError("ValidationException", message)
    weights = [route["weight"] for route in routing]
    if sum(weights) != 100:
        message = f"Sum of routing configuration weights must equal 100. Received: {json.dumps(weights)}"
        raise ApiError("ValidationException", message)
    machine = present(desk, refs[0].arn)
    if machine is not None and machine.status == "DELETING":
        raise deleting(machine.arn)
    if machine is None or any(desk.store.version(arn) is None for arn in arns):
        raise _no_such_resource()
    return refs[0].arn
