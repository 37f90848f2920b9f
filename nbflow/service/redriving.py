"""Redrive: going on with an execution that has failed, timed out or been stopped."""

import json
from dataclasses import replace
from typing import Final

from nbflow.engine.live import AlreadyExists, NothingToRedrive
from nbflow.engine.rebuilding import recorded_steps
from nbflow.engine.rows import bindings
from nbflow.language.values import Json
from nbflow.service.arns import map_state_of
from nbflow.service.definitions import check_definition
from nbflow.service.desk import Desk
from nbflow.service.errors import ApiError
from nbflow.service.lookup import execution_of, present
from nbflow.service.starting import Work, bound
from nbflow.service.stopping import stop_left
from nbflow.store.rows import ExecutionRow

TOKEN_SECONDS: Final = 15 * 60.0
"""For how long a client token stands for the redrive that it was first used for (AWS, RedriveExecution)."""

MOST_TOKENS: Final = 10
"""So many are remembered of an execution (the same paragraph)."""

_HINTS: Final = {
    "RUNNING": "if the process that ran it is gone, stop it first",
    "SUCCEEDED": "there is nothing left to do; start it anew",
}


def redrive_execution(
    desk: Desk, execution_arn: str, *, client_token: str | None = None, work: Work | None = None
) -> dict[str, Json]:
    """AWS, RedriveExecution. It returns when the execution goes on durably; it runs on the definition it started with.

    ``work`` comes from Python; over the API the tasks are what the desk knows now. AWS's limits of time and of events
    (14 days, a year, 24,999) are about what it stores, and do not apply here. Of two who redrive at once, one is
    refused. Raises ApiError InvalidArn, ExecutionDoesNotExist or ExecutionNotRedrivable.
    """
    while True:
        row = execution_of(desk, execution_arn)
        known = dict(_tokens(row, desk.engine.now()))
        if client_token in known:
            return {"redriveDate": known[client_token]}
        reason = reason_against(desk, row)
        if reason is not None:
            raise ApiError("ExecutionNotRedrivable", reason, _HINTS.get(row.status, ""))
        stop_left(desk, row)  # what a killed process has left must not run beside what is begun now
        try:
            return {"redriveDate": _redrive(desk, row, client_token, work)}
        except AlreadyExists:
            continue  # somebody else was quicker with the next step: look at what it is now
        except NothingToRedrive as error:
            raise ApiError("ExecutionNotRedrivable", str(error)) from error


def reason_against(desk: Desk, row: ExecutionRow) -> str | None:
    """Why the execution cannot be redriven, if it cannot (AWS, DescribeExecution, redriveStatusReason)."""
    if row.status in ("RUNNING", "SUCCEEDED"):
        return f"Execution is {row.status} and cannot be redriven"
    machine = present(desk, map_state_of(row.machine_arn)[0])
    if machine is None or machine.status == "DELETING":
        return "State machine is in DELETING status"
    return None


def _redrive(desk: Desk, row: ExecutionRow, token: str | None, work: Work | None) -> float:
    """Go on with it. Returns when that was decided. Raises AlreadyExists and NothingToRedrive."""
    definition = check_definition(desk.store.definition(row.definition))
    work = work or Work(bound(desk, definition))
    steps = recorded_steps(desk.store, row.arn)
    now = desk.engine.now()
    tokens = _tokens(row, now) + ([] if token is None else [(token, now)])
    changed = replace(row, bindings=bindings(work.tasks), redrive_tokens=json.dumps(tokens[-MOST_TOKENS:]))
    desk.engine.open()
    desk.engine.redrive(changed, definition, steps, work.tasks, work.directory).result()
    return execution_of(desk, row.arn).redrive_date or now


def _tokens(row: ExecutionRow, now: float) -> list[tuple[str, float]]:
    """The client tokens that still stand for a redrive, with its time."""
    stored: list[tuple[str, float]] = json.loads(row.redrive_tokens or "[]")
    return [(token, at) for token, at in stored if now - at <= TOKEN_SECONDS]
