"""State machines: create, update, describe, list, delete, validate."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from nbflow.language.values import Json
from nbflow.machine import facts
from nbflow.service import options, tags
from nbflow.service.arns import ROLE, check_name, machine_arn, machine_ref, map_state_of
from nbflow.service.definitions import check_definition, diagnostics, variable_references
from nbflow.service.desk import Desk
from nbflow.service.errors import ApiError
from nbflow.service.lookup import deleting, execution_of, machine_of, present, target_of
from nbflow.service.parameters import DEFAULT_RESULTS, METADATA_ONLY, page, without_none
from nbflow.service.stopping import end
from nbflow.store.port import digest
from nbflow.store.rows import ExecutionRow, MachineRow

AT_ONCE: Final = 1000
"""Executions of a machine that is deleted, which are looked up together."""

MOST_DIAGNOSTICS: Final = 100
"""AWS, ValidateStateMachineDefinition, maxResults: the default, which 0 stands for, too."""


def create_state_machine(
    desk: Desk,
    name: str,
    definition: str,
    *,
    role_arn: str = ROLE,
    type: str = "STANDARD",
    logging_configuration: Json = None,
    tracing_configuration: Json = None,
    encryption_configuration: Json = None,
    publish: bool = False,
    version_description: str | None = None,
    tags: Json = None,
) -> dict[str, Json]:
    """AWS, CreateStateMachine: idempotent for the same name, definition, type, configurations and publishing.

    Raises ApiError InvalidName, InvalidDefinition, StateMachineAlreadyExists, StateMachineDeleting, TooManyTags,
    InvalidLoggingConfiguration, InvalidEncryptionConfiguration or ValidationException.
    """
    arn = machine_arn(check_name(name))
    _check_version_description(publish, version_description)
    chosen = options.checked(logging_configuration, tracing_configuration, encryption_configuration)
    check_definition(definition, type)
    stored = json.dumps(options.DEFAULTS | chosen | {"created": [publish, version_description]})
    row = present(desk, arn)
    if row is None:
        now = desk.engine.now()
        tagged = _tags(tags)
        # AWS has no revision id before the first update.
        row = MachineRow(arn, name, type, role_arn, digest(definition), now, now, "", stored)
        desk.store.add_machine(row, definition)
        desk.store.put_tags(arn, tagged)
    elif row.status == "DELETING":
        raise deleting(arn)
    elif (row.definition, row.type, _chosen(row)) != (
        digest(definition),
        type,
        json.loads(stored),
    ):
        raise ApiError(
            "StateMachineAlreadyExists",
            f"State Machine Already Exists: '{arn}'",
            "with another definition, type or configuration; update it, or choose another name",
        )
    answer: dict[str, Json] = {"stateMachineArn": arn, "creationDate": row.created_at}
    if publish:
        answer["stateMachineVersionArn"] = desk.store.publish(arn, version_description, row.created_at).arn
    return answer


def _tags(given: Json) -> dict[str, str]:
    return tags.checked({}, given or [])


def _chosen(machine: MachineRow) -> dict[str, Json]:
    """The machine's options, with what is idempotent about its creation."""
    return {
        **options.shown(machine.options),
        "created": json.loads(machine.options).get("created", [False, None]),
    }


def _check_version_description(publish: bool, description: str | None) -> None:
    if description is not None and not publish:
        raise ApiError("ValidationException", "Version description can only be set when publish is true")


def update_state_machine(
    desk: Desk,
    state_machine_arn: str,
    definition: str | None = None,
    *,
    role_arn: str | None = None,
    logging_configuration: Json = None,
    tracing_configuration: Json = None,
    encryption_configuration: Json = None,
    publish: bool = False,
    version_description: str | None = None,
) -> dict[str, Json]:
    """AWS, UpdateStateMachine: executions that run keep the definition that they started with.

    There is a new revision only if something has changed; of a role that comes alone, AWS's recorded answers have one
    in any case. Raises ApiError StateMachineDoesNotExist,
    StateMachineDeleting, InvalidDefinition, MissingRequiredParameter, ValidationException and those of the options.
    """
    was = machine_of(desk, state_machine_arn)
    if was.status == "DELETING":
        raise deleting(state_machine_arn)
    chosen = options.checked(logging_configuration, tracing_configuration, encryption_configuration)
    if definition is None and role_arn is None and not chosen:
        message = (
            "Either the definition, the role ARN, the LoggingConfiguration, the TracingConfiguration or the "
            "EncryptionConfiguration must be specified"
        )
        raise ApiError("MissingRequiredParameter", message)
    _check_version_description(publish, version_description)
    text = desk.store.definition(was.definition) if definition is None else definition
    check_definition(text, was.type)
    row = replace(
        was,
        definition=digest(text),
        role_arn=role_arn or was.role_arn,
        options=json.dumps(json.loads(was.options) | chosen),
    )
    if row != was or (definition is None and not chosen):
        row = replace(row, updated_at=desk.engine.now(), revision_id=str(uuid.uuid4()))
        desk.store.add_machine(row, text)
    version = desk.store.publish(row.arn, version_description, desk.engine.now()).arn if publish else None
    return without_none(
        {
            "updateDate": row.updated_at,
            "revisionId": row.revision_id or None,
            "stateMachineVersionArn": version,
        }
    )


def describe_state_machine(
    desk: Desk, state_machine_arn: str, *, included_data: str = "ALL_DATA"
) -> dict[str, Json]:
    """AWS, DescribeStateMachine: the machine as it is now, or as a version of it is."""
    target = target_of(desk, state_machine_arn)
    shown = target.version or target.machine
    definition = desk.store.definition(shown.definition)
    hidden = included_data == METADATA_ONLY
    return without_none(
        {
            "stateMachineArn": shown.arn,
            "name": target.machine.name,
            "status": target.machine.status,
            "definition": "{}" if hidden else definition,
            "roleArn": shown.role_arn,
            "type": target.machine.type,
            "creationDate": shown.created_at,
            "revisionId": shown.revision_id or None,
            "description": None if target.version is None else target.version.description,
            "variableReferences": None if hidden else variable_references(definition) or None,
            **options.shown(shown.options),
        }
    )


def describe_state_machine_for_execution(
    desk: Desk, execution_arn: str, *, included_data: str = "ALL_DATA"
) -> dict[str, Json]:
    """AWS, DescribeStateMachineForExecution: the machine as it was when the execution started.

    Of the child of a Map Run, what is in the Map's ItemProcessor.
    """
    row = execution_of(desk, execution_arn)
    definition = desk.store.definition(row.definition)
    hidden = included_data == METADATA_ONLY
    was = json.loads(row.revision or "{}")
    machine, label = map_state_of(row.machine_arn)
    return without_none(
        {
            "stateMachineArn": row.machine_arn,
            "name": machine.rpartition(":")[2],
            "definition": "{}" if hidden else definition,
            "roleArn": was.get("roleArn", ROLE),
            "updateDate": was.get("updateDate", row.started_at),
            "revisionId": was.get("revisionId") or None,
            "mapRunArn": row.map_run_arn,
            "label": label,
            "variableReferences": None if hidden else variable_references(definition) or None,
            **{name: was.get(name, default) for name, default in options.DEFAULTS.items()},
        }
    )


def list_state_machines(
    desk: Desk, *, max_results: int = DEFAULT_RESULTS, next_token: str | None = None
) -> dict[str, Json]:
    """AWS, ListStateMachines, in the order of their creation."""
    listed = [
        {"stateMachineArn": row.arn, "name": row.name, "type": row.type, "creationDate": row.created_at}
        for row in desk.store.machines()
        if row.status == "ACTIVE" or present(desk, row.arn) is not None
    ]
    return page("stateMachines", listed, max_results, next_token)


def delete_state_machine(desk: Desk, state_machine_arn: str) -> dict[str, Json]:
    """AWS, DeleteStateMachine: also its versions and aliases; no error if there is none.

    Its executions end before their next state; until the last one has ended, the machine is there with the status
    DELETING. Those that run in another process hear of it by their inbox, and may have begun a state by then. Those
    whose process is no more are stopped.
    """
    ref = machine_ref(state_machine_arn)
    if ref.qualifier:
        message = "The ARN of a version or alias is not supported by this operation"
        raise ApiError("ValidationException", message, "give the state machine's own ARN")
    desk.store.set_machine_status(ref.arn, "DELETING")
    alive = desk.engine.alive()
    for row in _running(desk, ref.arn):
        if desk.engine.ended(row.arn) is not None:
            desk.engine.post(row.arn, facts.Retire())
        elif row.owner in alive:
            desk.store.tell(row.arn, facts.encode(facts.Retire()))
        else:
            end(desk, row.arn)
    present(desk, ref.arn)
    return {}


def _running(desk: Desk, arn: str) -> Iterator[ExecutionRow]:
    """All its executions that are RUNNING, newest first."""
    before: int | None = None
    while rows := desk.store.executions(machine_arn=arn, status="RUNNING", limit=AT_ONCE, before=before):
        yield from rows
        before = rows[-1].id


def validate_state_machine_definition(
    desk: Desk, definition: str, *, type: str = "STANDARD", severity: str = "ERROR", max_results: int = 0
) -> dict[str, Json]:
    """AWS, ValidateStateMachineDefinition: the errors, or with severity WARNING also the warnings."""
    found = diagnostics(definition, type)
    failed = any(each.severity == "ERROR" for each in found)
    asked = [each for each in found if severity == "WARNING" or each.severity == "ERROR"]
    limit = max_results or MOST_DIAGNOSTICS
    return {
        "result": "FAIL" if failed else "OK",
        "diagnostics": [
            without_none(
                {"severity": d.severity, "code": d.code, "message": d.message, "location": d.location}
            )
            for d in asked[:limit]
        ],
        "truncated": len(asked) > limit,
    }
