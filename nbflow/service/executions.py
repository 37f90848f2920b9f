"""Executions: start, describe, list, stop."""

import json
import uuid
from concurrent.futures import wait
from dataclasses import dataclass

from nbflow.engine.live import AlreadyExists
from nbflow.language.values import Json
from nbflow.service.arns import check_name, execution_arn
from nbflow.service.desk import Desk
from nbflow.service.errors import ApiError
from nbflow.service.express import start_express
from nbflow.service.lookup import execution_of, target_of
from nbflow.service.map_runs import map_run_of
from nbflow.service.parameters import (
    DEFAULT_RESULTS,
    check_input,
    check_status,
    limit_of,
    make_token,
    read_token,
    without_none,
)
from nbflow.service.redriving import reason_against
from nbflow.service.starting import (
    Parent,
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
from nbflow.service.stopping import end, stop_left
from nbflow.store.rows import ExecutionRow
from nbflow.store.where import parse


def start_execution(
    desk: Desk,
    state_machine_arn: str,
    *,
    input: str = "{}",
    name: str | None = None,
    trace_header: str | None = None,
    work: Work | None = None,
    parent: Parent | None = None,
    only_callers: bool = False,
) -> dict[str, Json]:
    """AWS, StartExecution: of a machine, a version, an alias, or a test case. It returns when the execution is durable.

    ``work`` comes from Python; over the API the tasks are what the desk knows. ``parent`` is told of the end.
    ``only_callers``: nobody else gives this name; so an execution that has it was started by this same call, before a
    crash.

    Raises ApiError InvalidArn, StateMachineDoesNotExist, StateMachineDeleting, InvalidName, InvalidExecutionInput or
    ExecutionAlreadyExists (the name is taken; but if that one runs with the same input, this answers as if it had
    started it).
    """
    target = startable(desk, state_machine_arn)
    check_input(input)
    name = str(uuid.uuid4()) if name is None else check_name(name)
    definition = definition_of(desk, target)
    script = script_of(desk, target)
    known = bound(desk, definition, target.machine.arn)
    work = Work(known) if work is None else work._replace(tasks={**known, **work.tasks})
    if target.machine.type == "EXPRESS":
        row, _ = start_express(desk, target, definition, name, input, work, script)
        return {"executionArn": row.arn, "startDate": row.started_at}
    row = new_row(
        desk, target, execution_arn(target.machine.name, name), name, input, work, trace_header, parent
    )
    context = constants(desk, row, target)
    desk.engine.open()
    while True:
        try:
            desk.engine.start(
                row, definition, work.tasks, work.directory, context, work.artifacts, script=script
            ).result()
        except AlreadyExists as error:
            present = _present(desk, row.arn)
            if present is None:
                continue  # another thread was about to start it, and the store has refused that
            return _already(row, present, error, only_callers=only_callers)
        return {"executionArn": row.arn, "startDate": row.started_at}


def _present(desk: Desk, arn: str) -> ExecutionRow | None:
    """The execution as it is in the store. If another thread starts it in this moment, the outcome of that decides."""
    started = desk.engine.started(arn)
    if started is not None:
        wait([started])
    return desk.store.execution(arn)


def _already(
    row: ExecutionRow, present: ExecutionRow, error: AlreadyExists, *, only_callers: bool
) -> dict[str, Json]:
    """The name is taken: fine, if it is by a running execution with the same input, or only this caller gives it.

    A task that waits for the end would not be told of it, unless it was this task that started the execution.
    """
    same = present.status == "RUNNING" and present.input == row.input
    own = present.parent_token == row.parent_token
    if own if row.parent_token else same or only_callers:
        return {"executionArn": row.arn, "startDate": present.started_at}
    raise ApiError(
        "ExecutionAlreadyExists",
        f"Execution Already Exists: '{row.arn}'",
        "choose another name, or none to get a new one",
    ) from error


# --- describe, list, stop


def describe_execution(desk: Desk, execution_arn: str, *, included_data: str = "ALL_DATA") -> dict[str, Json]:
    """AWS, DescribeExecution: ``input`` and ``output`` are JSON texts; members without a value are left out."""
    row = execution_of(desk, execution_arn)
    data = payloads(row.input, row.output, row.error, row.cause, included_data)
    header = {"traceHeader": json.loads(row.revision or "{}").get("traceHeader")}
    return without_none({**_listed(row), **header, **_redrivable(desk, row), **data})


def _redrivable(desk: Desk, row: ExecutionRow) -> dict[str, Json]:
    reason = reason_against(desk, row)
    if reason is None:
        return {"redriveStatus": "REDRIVABLE"}
    return {"redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": reason}


def _listed(row: ExecutionRow) -> dict[str, Json]:
    """AWS, ExecutionListItem."""
    return {
        "executionArn": row.arn,
        "stateMachineArn": row.machine_arn,
        "stateMachineVersionArn": row.version_arn,
        "stateMachineAliasArn": row.alias_arn,
        "mapRunArn": row.map_run_arn,
        "name": row.name,
        "status": row.status,
        "startDate": row.started_at,
        "stopDate": row.stopped_at,
        "redriveCount": row.redrive_count,
        "redriveDate": row.redrive_date,
    }


def list_executions(
    desk: Desk,
    *,
    state_machine_arn: str | None = None,
    map_run_arn: str | None = None,
    status_filter: str | None = None,
    redrive_filter: str | None = None,
    max_results: int = DEFAULT_RESULTS,
    next_token: str | None = None,
) -> dict[str, Json]:
    """AWS, ListExecutions, newest first: those of a machine, or of one of its versions or aliases.

    Or the children of a Map Run. Raises ApiError InvalidArn, StateMachineDoesNotExist, StateMachineTypeNotSupported,
    ResourceNotFound (of a Map Run), ValidationException or InvalidToken.
    """
    if (state_machine_arn is None) == (map_run_arn is None):
        message = "Exactly one of stateMachineArn and mapRunArn must be specified"
        raise ApiError("ValidationException", message)
    redriven = None if redrive_filter is None else redrive_filter == "REDRIVEN"
    return listed(
        desk, state_machine_arn, status_filter, max_results, next_token, redriven, map_run=map_run_arn
    )


@dataclass(frozen=True, slots=True)
class Search:
    """What a list can be narrowed by beside what AWS knows."""

    where: str | None = None
    """A condition on input and output, see :mod:`nbflow.store.where`."""
    name_prefix: str = ""
    started_after: float | None = None
    """Seconds since the epoch: the first moment of those wanted."""
    started_before: float | None = None
    """The first moment after those wanted."""


def listed(
    desk: Desk,
    machine: str | None,
    status: str | None,
    max_results: int,
    next_token: str | None,
    redriven: bool | None = None,
    *,
    map_run: str | None = None,
    search: Search = Search(),
) -> dict[str, Json]:
    """A page of executions, newest first; with neither a machine's nor a Map Run's ARN, those of all machines.

    The children of Map Runs are listed by their Map Run only. Raises ApiError, and WhereError for a condition that
    cannot be read.
    """
    if status is not None:
        check_status(status)
    of_machine = of_version = of_alias = None
    if machine is not None:
        target = target_of(desk, machine)
        if target.machine.type == "EXPRESS":
            raise not_for_this_type()
        of_machine = target.machine.arn
        of_alias = None if target.alias is None else target.alias.arn
        of_version = target.version.arn if target.version is not None and target.alias is None else None
    if map_run is not None:
        map_run_of(desk, map_run)
    limit = limit_of(max_results)
    question = f"executions {machine} {map_run} {status} {redriven} {search}"
    rows = desk.store.executions(
        machine_arn=of_machine,
        version_arn=of_version,
        alias_arn=of_alias,
        map_run_arn=map_run,
        children=map_run is not None,
        status=status,
        redriven=redriven,
        name_prefix=search.name_prefix,
        started_after=search.started_after,
        started_before=search.started_before,
        where=None if search.where is None else parse(search.where),
        limit=limit + 1,
        before=None if next_token is None else read_token(next_token, question),
    )
    answer: dict[str, Json] = {"executions": [without_none(_listed(row)) for row in rows[:limit]]}
    if len(rows) > limit:
        answer["nextToken"] = make_token(rows[limit - 1].id, question)
    return answer


def stop_execution(
    desk: Desk, execution_arn: str, *, error: str | None = None, cause: str | None = None
) -> dict[str, Json]:
    """AWS, StopExecution. It returns when the end is durable; one that has ended already stays as it ended.

    Also one that another process runs, which ends it, or ran before it was killed (see :mod:`nbflow.service.stopping`).
    What an execution has left running that ended just before its process was killed, is ended, too.
    Raises ApiError InvalidArn or ExecutionDoesNotExist.
    """
    stop_left(desk, execution_of(desk, execution_arn))
    return {"stopDate": end(desk, execution_arn, error, cause).stopped_at}
