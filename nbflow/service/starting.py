"""What every start has in common: what is started, what does its tasks, and how it is remembered."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nbflow.artifacts.shelf import Artifact
from nbflow.engine.live import Script
from nbflow.engine.rows import bindings
from nbflow.language import model
from nbflow.language.integrations import integration, is_invocation
from nbflow.language.validate import resources
from nbflow.language.values import Json
from nbflow.machine.context import LIMITS
from nbflow.service import options
from nbflow.service.definitions import check_definition
from nbflow.service.desk import Desk
from nbflow.service.errors import ApiError
from nbflow.service.lookup import Target, deleting, target_of
from nbflow.service.parameters import METADATA_ONLY
from nbflow.store.rows import ExecutionRow
from nbflow.tasks.job import Code
from nbflow.tasks.lambdas import function_name


class Work(NamedTuple):
    """What does the tasks of an execution that Python starts."""

    tasks: Mapping[str, Code]
    """The code of each task, by the resource that names it."""
    artifacts: Sequence[Artifact] = ()
    """Those that the input refers to, if they are new."""
    directory: str = ""
    """Where the tasks run."""


class Parent(NamedTuple):
    """The task that waits for an execution."""

    token: str
    pattern: str
    """``.sync`` or ``.sync:2``: how it is told of the end."""


def startable(desk: Desk, arn: str) -> Target:
    """What an execution is started on. Raises ApiError as ``target_of``, and StateMachineDeleting."""
    target = target_of(desk, arn, draw=True)
    if target.machine.status == "DELETING":
        raise deleting(arn)
    return target


def definition_of(desk: Desk, target: Target) -> model.StateMachine:
    """The definition that it runs."""
    return check_definition(desk.store.definition((target.version or target.machine).definition))


def script_of(desk: Desk, target: Target) -> Script | None:
    """The scripted results of the test case that the ARN names."""
    case = target.ref.test_case
    return script_of_case(desk, target.machine.name, case) if case else None


def script_of_case(desk: Desk, machine: str, case: str) -> Script:
    """The scripted results of a machine's test case. Raises ApiError InvalidArn if there is none of this name."""
    known = desk.mocks.cases.get(machine, {})
    if case not in known:
        hint = f"the mock configuration has {', '.join(sorted(known)) or 'none'} for {machine}"
        raise ApiError("InvalidArn", f"Invalid Arn: 'There is no test case {case}'", hint)
    return desk.mocks.script(machine, case)


def bound(desk: Desk, definition: model.StateMachine, machine: str = "") -> dict[str, Code]:
    """The code of the tasks: functions that are bound here, and executions that nbflow itself starts.

    A Lambda ARN means the function by whose name it ends; where functions are invoked by name, any of them can be
    meant. ``machine`` is the ARN of a machine whose own functions come first, if it is known here with them.
    """
    functions = {**desk.functions, **desk.own_functions.get(machine, {})}
    found: dict[str, Code] = {}
    for resource in resources(definition).values():
        if is_invocation(resource):
            found |= functions
        elif integration(resource).family == "LambdaFunction":
            if (code := functions.get(function_name(resource))) is not None:
                found[resource] = code
        elif integration(resource).service == "states":
            found[resource] = Code("nested", resource, sha256="", content=b"")
    return found


def new_row(
    desk: Desk,
    target: Target,
    arn: str,
    name: str,
    input: str,
    work: Work | None = None,
    trace_header: str | None = None,
    parent: Parent | None = None,
) -> ExecutionRow:
    """The row of a new execution, with what its machine is at this moment. The trace header is only echoed."""
    shown = target.version or target.machine
    revision = {
        "roleArn": shown.role_arn,
        "updateDate": shown.updated_at,
        "revisionId": shown.revision_id,
        "traceHeader": trace_header,
        **({"testCase": target.ref.test_case} if target.ref.test_case else {}),
        **({} if parent is None else {"waitedFor": parent.pattern}),
        **options.shown(shown.options),
    }
    return ExecutionRow(
        arn=arn,
        name=name,
        machine_arn=target.machine.arn,
        definition=shown.definition,
        status="RUNNING",
        input=input,
        started_at=desk.engine.now(),
        bindings=bindings(work.tasks) if work is not None and work.tasks else None,
        version_arn=None if target.version is None else target.version.arn,
        alias_arn=None if target.alias is None else target.alias.arn,
        revision=json.dumps(revision),
        parent_token=None if parent is None else parent.token,
    )


def constants(desk: Desk, row: ExecutionRow, target: Target) -> dict[str, Json]:
    """The members of the context object that do not change."""
    role = (target.version or target.machine).role_arn
    return {
        "Execution": {"Id": row.arn, "Name": row.name, "RoleArn": role},
        "StateMachine": {"Id": target.machine.arn, "Name": target.machine.name},
        "Express": target.machine.type == "EXPRESS",
        **({LIMITS: desk.limits} if desk.limits != "local" else {}),
    }


def not_for_this_type() -> ApiError:
    """AWS's error for an action on a Standard machine that only Express has, or the other way round."""
    return ApiError(
        "StateMachineTypeNotSupported", "This operation is not supported by this type of state machine"
    )


def payloads(
    input: str, output: str | None, error: str | None, cause: str | None, included: str
) -> dict[str, Json]:
    """The payloads of an execution; none for those who may only see metadata."""
    if included == METADATA_ONLY:
        return {}
    return {
        "input": input,
        "inputDetails": {"included": True},
        "output": output,
        "outputDetails": None if output is None else {"included": True},
        "error": error,
        "cause": cause,
    }
