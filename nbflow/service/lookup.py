"""From an ARN to what it names, or AWS's error."""

import json
from typing import NamedTuple

from nbflow.language.values import Json
from nbflow.service.arns import MachineRef, check_arn, machine_ref
from nbflow.service.desk import Desk
from nbflow.service.errors import ApiError
from nbflow.store.rows import AliasRow, ExecutionRow, MachineRow, VersionRow


class Target(NamedTuple):
    """What the ARN of a state machine names: the machine, and perhaps a version of it, and the alias that chose it."""

    ref: MachineRef
    machine: MachineRow
    version: VersionRow | None = None
    alias: AliasRow | None = None


def present(desk: Desk, arn: str) -> MachineRow | None:
    """The machine with this ARN, if there is one.

    One that is being deleted goes when somebody looks for it after its last execution has ended: that may be in
    another process than the one that was asked to delete it.
    """
    row = desk.store.machine(arn)
    if row is None or row.status == "ACTIVE":
        return row
    if desk.store.executions(machine_arn=arn, status="RUNNING", limit=1):
        return row
    desk.store.delete_machine(arn)
    return None


def machine_of(desk: Desk, arn: str) -> MachineRow:
    """The machine with this unqualified ARN. Raises ApiError InvalidArn or StateMachineDoesNotExist."""
    ref = machine_ref(arn)
    row = None if ref.qualifier else present(desk, ref.arn)
    if row is None:
        raise does_not_exist(desk, arn)
    return row


def target_of(desk: Desk, arn: str, *, draw: bool = False) -> Target:
    """What a perhaps qualified ARN names; of an alias, its first version, or one drawn by the weights.

    Raises ApiError InvalidArn or StateMachineDoesNotExist.
    """
    ref = machine_ref(arn)
    machine = present(desk, ref.arn)
    if machine is None:
        raise does_not_exist(desk, arn)
    if not ref.qualifier:
        return Target(ref, machine)
    alias = desk.store.alias(ref.qualified)
    version = desk.store.version(ref.qualified if alias is None else _routed(desk, alias, draw))
    if version is None:
        raise does_not_exist(desk, arn)
    return Target(ref, machine, version, alias)


def _routed(desk: Desk, alias: AliasRow, draw: bool) -> str:
    """The ARN of one of the alias's versions (AWS guide, "Aliases": weights are percentages, drawn at random)."""
    routes: list[dict[str, Json]] = json.loads(alias.routing)
    left = desk.engine.chance.random() * 100 if draw else 0.0
    for route in routes:
        left -= route["weight"]
        if left < 0:
            return str(route["stateMachineVersionArn"])
    return str(routes[-1]["stateMachineVersionArn"])


def does_not_exist(desk: Desk, arn: str) -> ApiError:
    """AWS's error for a machine that there is not; the hint says which there are."""
    names = [machine.name for machine in desk.store.machines()]
    hint = (
        f"the store has {', '.join(names[:10])}{', …' * (len(names) > 10)}" if names else "the store has none"
    )
    return ApiError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'", hint)


def deleting(arn: str) -> ApiError:
    """AWS's error for a machine that is being deleted."""
    return ApiError(
        "StateMachineDeleting", f"State Machine Deleting: '{arn}'", "its last executions are ending"
    )


def not_found(arn: str) -> ApiError:
    """AWS's error for what has no error of its own: tagged resources, Map Runs."""
    return ApiError("ResourceNotFound", f"Resource not found: '{arn}'")


def execution_of(desk: Desk, arn: str) -> ExecutionRow:
    """The execution with this ARN. Raises ApiError InvalidArn or ExecutionDoesNotExist.

    Express executions are not kept, so that their ARNs are not valid here (AWS, DescribeExecution).
    """
    row = desk.store.execution(check_arn(arn, "execution"))
    if row is None:
        raise ApiError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
    return row
