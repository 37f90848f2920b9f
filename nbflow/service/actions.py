"""The table of AWS's actions, and the one door to them: parameters and answers as JSON, under AWS's names."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final

from nbflow.language.values import Json
from nbflow.service import (
    activities,
    aliases,
    executions,
    express,
    histories,
    machines,
    map_runs,
    redriving,
    tags,
    tasks,
    try_state,
    validation,
    versions,
)
from nbflow.service.desk import Desk
from nbflow.service.errors import ApiError

Action = Callable[..., dict[str, Json]]
"""Called with the desk and the parameters, by name in Python's spelling."""

ACTIONS: Final[Mapping[str, Action]] = {
    "CreateActivity": activities.create_activity,
    "CreateStateMachine": machines.create_state_machine,
    "CreateStateMachineAlias": aliases.create_state_machine_alias,
    "DeleteActivity": activities.delete_activity,
    "DeleteStateMachine": machines.delete_state_machine,
    "DeleteStateMachineAlias": aliases.delete_state_machine_alias,
    "DeleteStateMachineVersion": versions.delete_state_machine_version,
    "DescribeActivity": activities.describe_activity,
    "DescribeExecution": executions.describe_execution,
    "DescribeMapRun": map_runs.describe_map_run,
    "DescribeStateMachine": machines.describe_state_machine,
    "DescribeStateMachineAlias": aliases.describe_state_machine_alias,
    "DescribeStateMachineForExecution": machines.describe_state_machine_for_execution,
    "GetActivityTask": tasks.get_activity_task,
    "GetExecutionHistory": histories.get_execution_history,
    "ListActivities": activities.list_activities,
    "ListExecutions": executions.list_executions,
    "ListMapRuns": map_runs.list_map_runs,
    "ListStateMachineAliases": aliases.list_state_machine_aliases,
    "ListStateMachineVersions": versions.list_state_machine_versions,
    "ListStateMachines": machines.list_state_machines,
    "ListTagsForResource": tags.list_tags_for_resource,
    "PublishStateMachineVersion": versions.publish_state_machine_version,
    "RedriveExecution": redriving.redrive_execution,
    "SendTaskFailure": tasks.send_task_failure,
    "SendTaskHeartbeat": tasks.send_task_heartbeat,
    "SendTaskSuccess": tasks.send_task_success,
    "StartExecution": executions.start_execution,
    "StartSyncExecution": express.start_sync_execution,
    "StopExecution": executions.stop_execution,
    "TagResource": tags.tag_resource,
    "TestState": try_state.try_state,
    "UpdateMapRun": map_runs.update_map_run,
    "UntagResource": tags.untag_resource,
    "UpdateStateMachine": machines.update_state_machine,
    "UpdateStateMachineAlias": aliases.update_state_machine_alias,
    "ValidateStateMachineDefinition": machines.validate_state_machine_definition,
}


def call(
    desk: Desk, action: str, parameters: Mapping[str, Any], gone: Future[None] | None = None
) -> dict[str, Json]:
    """Do what AWS's action of this name does. ``gone`` is done when nobody waits for the answer any more.

    Raises ApiError, with UnknownOperationException for no such action.
    """
    function = ACTIONS.get(action)
    if function is None:
        raise ApiError("UnknownOperationException", f"There is no action {action}")
    checked = validation.check(action, parameters)
    if function is tasks.get_activity_task:  # the only one that waits for something that may never come
        checked["gone"] = gone
    return function(desk, **checked)
