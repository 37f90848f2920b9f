"""Express executions: run in memory, remembered by nobody, and over after five minutes."""

import json
import math
import uuid
from concurrent.futures import Future
from typing import Final

from nbflow.engine.live import Script
from nbflow.language import model
from nbflow.language.values import Json
from nbflow.service.arns import check_name, express_arn
from nbflow.service.definitions import check_definition
from nbflow.service.desk import Desk
from nbflow.service.lookup import Target
from nbflow.service.parameters import check_input, without_none
from nbflow.service.starting import (
    Work,
    bound,
    constants,
    definition_of,
    new_row,
    not_for_this_type,
    payloads,
    script_of,
    startable,
)
from nbflow.store.rows import Closing, ExecutionRow

LONGEST_EXPRESS: Final = 300
"""Seconds that an Express execution may take (AWS guide, "Choosing workflow type")."""

_BILLED_STEP: Final = 100
"""Milliseconds: Express durations are rounded up to these (AWS, BillingDetails)."""

_BILLED_MEMORY: Final = 64
"""MB: the smallest amount that AWS bills. Nothing is billed here, and nothing measured."""


def start_express(
    desk: Desk,
    target: Target,
    definition: model.StateMachine,
    name: str,
    input: str,
    work: Work,
    script: Script | None,
) -> tuple[ExecutionRow, Future[Closing]]:
    """An execution that nobody remembers; it is given AWS's five minutes."""
    row = new_row(desk, target, express_arn(target.machine.name, name, str(uuid.uuid4())), name, input)
    limit = min(definition.timeout_seconds or LONGEST_EXPRESS, LONGEST_EXPRESS)
    definition = definition.model_copy(update={"timeout_seconds": limit})
    desk.engine.open()
    ended = desk.engine.express(row, definition, work.tasks, constants(desk, row, target), script=script)
    return row, ended


def start_sync_execution(
    desk: Desk,
    state_machine_arn: str,
    *,
    input: str = "{}",
    name: str | None = None,
    trace_header: str | None = None,
    included_data: str = "ALL_DATA",
) -> dict[str, Json]:
    """AWS, StartSyncExecution: of an Express machine. It returns when the execution has ended, however it did.

    Raises ApiError as ``start_execution``, and StateMachineTypeNotSupported for a Standard machine.
    """
    target = startable(desk, state_machine_arn)
    if target.machine.type != "EXPRESS":
        raise not_for_this_type()
    check_input(input)
    name = str(uuid.uuid4()) if name is None else check_name(name)
    definition = definition_of(desk, target)
    work = Work(bound(desk, definition, target.machine.arn))
    row, future = start_express(desk, target, definition, name, input, work, script_of(desk, target))
    end = future.result()
    stopped = end.stopped_at or row.started_at
    steps = max(1, math.ceil((stopped - row.started_at) * 1000 / _BILLED_STEP))
    return without_none(
        {
            "executionArn": row.arn,
            "stateMachineArn": target.machine.arn,
            "name": name,
            "startDate": row.started_at,
            "stopDate": stopped,
            "status": end.status,
            "traceHeader": trace_header,
            "billingDetails": {
                "billedMemoryUsedInMB": _BILLED_MEMORY,
                "billedDurationInMilliseconds": steps * _BILLED_STEP,
            },
            **payloads(input, end.output, end.error, end.cause, included_data),
        }
    )


def run_task(desk: Desk, resource: str, arguments: Json) -> Closing:
    """Do one task by itself, as an Express execution of a machine that nobody stores."""
    task = {"Type": "Task", "Resource": resource, "TimeoutSeconds": LONGEST_EXPRESS, "End": True}
    definition = check_definition(json.dumps({"StartAt": "Task", "States": {"Task": task}}))
    now, input = desk.engine.now(), json.dumps(arguments)
    arn = express_arn("TestState", "Task", str(uuid.uuid4()))
    row = ExecutionRow(arn, "Task", "", "", "RUNNING", input, now)
    desk.engine.open()
    return desk.engine.express(row, definition, bound(desk, definition), {"Express": True}).result()
