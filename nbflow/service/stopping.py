"""How a running execution is ended, whichever process runs it.

One that another process runs is ended by that one: it has the tasks in hand. Where it does not do so within a second,
because it is stuck, or because it is gone, the end is recorded here; if it lives, it finds at its next step that the
execution is no longer its own.
"""

import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from typing import Final

from nbflow.engine.live import AlreadyExists
from nbflow.engine.rebuilding import recorded_steps
from nbflow.language.paths import compact
from nbflow.machine import facts
from nbflow.service.definitions import check_definition
from nbflow.service.desk import Desk
from nbflow.service.lookup import execution_of
from nbflow.service.starting import bound
from nbflow.store.rows import ExecutionRow

PATIENCE: Final = 1.0
"""Seconds that the process which runs an execution has to end it."""

LOOK: Final = 0.02
"""Seconds between looks at whether it has."""


def stop(desk: Desk, row: ExecutionRow, error: str | None = None, cause: str | None = None) -> Future[None]:
    """Ask the execution to end. The future is done when its end is durable.

    It fails with AlreadyExists if another process was quicker with the next step of its execution.
    """
    while True:
        ended = desk.engine.ended(row.arn) or _adopt(desk, row)
        desk.engine.post(row.arn, facts.Stop(error, cause))
        if ended.done() or desk.engine.ended(row.arn) is not None:
            return ended
        # Between the look and the word it has left the memory, and has not heard it.


def end(desk: Desk, execution_arn: str, error: str | None = None, cause: str | None = None) -> ExecutionRow:
    """End the execution, and return when its end is durable; what it has started and waits for, ends, too.

    Raises ApiError as ``execution_of``.
    """
    row = _ended_by_its_owner(desk, execution_of(desk, execution_arn), error, cause)
    while row.status == "RUNNING":
        elsewhere = desk.engine.ended(row.arn) is None
        try:
            stop(desk, row, error, cause).result()
        except AlreadyExists:  # the other process was quicker with its next step: look at what it did
            row = execution_of(desk, execution_arn)
            continue
        if elsewhere:
            _stop_below(desk, row)
        row = execution_of(desk, execution_arn)
    return row


def _ended_by_its_owner(desk: Desk, row: ExecutionRow, error: str | None, cause: str | None) -> ExecutionRow:
    """Tell the other process that runs it, if one does, and wait a little. Answers what the store says then."""
    if row.status != "RUNNING" or row.owner in (None, desk.engine.id) or row.owner not in desk.engine.alive():
        return row
    desk.store.tell(row.arn, facts.encode(facts.Stop(error, cause)))
    until = time.monotonic() + PATIENCE
    while row.status == "RUNNING" and time.monotonic() < until:
        time.sleep(LOOK)
        row = execution_of(desk, row.arn)
    return row


def _stop_below(desk: Desk, row: ExecutionRow) -> None:
    """End what an execution that has ended has left running: it ran in another process, perhaps one that was killed.

    If that process lives, it starts no more children, and lets go of those that it has.
    """
    _stop_map_runs(desk, row)
    for child in desk.store.children(row.arn):
        end(desk, child)


def stop_left(desk: Desk, row: ExecutionRow) -> None:
    """End what an execution has left running that had ended when its process was killed. (If it is here: no need.)"""
    if row.status != "RUNNING" and desk.engine.ended(row.arn) is None:
        _stop_below(desk, row)


def _stop_map_runs(desk: Desk, row: ExecutionRow) -> None:
    for run in desk.store.map_runs(row.arn):
        if run.status != "RUNNING":
            continue
        children = desk.store.children_by_status(run.arn)
        children["ABORTED"] = children.get("ABORTED", 0) + children.pop("RUNNING", 0)
        counts = compact({"executions": children, "items": children})
        ended = replace(run, status="ABORTED", stopped_at=desk.engine.now(), counts=counts)
        desk.store.put_map_run(ended)
        desk.store.tell(row.arn, facts.encode(facts.Continue()))  # wakes the engine that ran it
        while left := desk.store.executions(map_run_arn=run.arn, status="RUNNING"):
            ends = [stop(desk, child) for child in left]
            for end in ends:
                with suppress(AlreadyExists):  # the other process has stopped it, or is about to
                    end.result()
            for child in left:
                _stop_below(desk, child)


def _adopt(desk: Desk, row: ExecutionRow) -> Future[None]:
    desk.engine.open()
    steps = recorded_steps(desk.store, row.arn)
    definition = check_definition(desk.store.definition(row.definition))
    return desk.engine.adopt(row, definition, steps, bound(desk, definition))
