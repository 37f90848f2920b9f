"""Map Runs of Distributed Maps: list, describe, update."""

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from nbflow.engine.map_run import AGAIN, PENDING, RUNNING, STUCK
from nbflow.language.values import Json
from nbflow.machine import facts
from nbflow.machine.trace import Ends
from nbflow.service.arns import check_arn
from nbflow.service.desk import Desk
from nbflow.service.errors import ApiError
from nbflow.service.lookup import execution_of, not_found
from nbflow.service.parameters import DEFAULT_RESULTS, page, without_none
from nbflow.store.rows import MapRunRow

_COUNTS: Final = {
    "pending": PENDING,
    "running": RUNNING,
    "succeeded": "SUCCEEDED",
    "failed": "FAILED",
    "timedOut": "TIMED_OUT",
    "aborted": "ABORTED",
}


def list_map_runs(
    desk: Desk, execution_arn: str, *, max_results: int = DEFAULT_RESULTS, next_token: str | None = None
) -> dict[str, Json]:
    """AWS, ListMapRuns. Raises ApiError InvalidArn, ExecutionDoesNotExist or InvalidToken."""
    execution = execution_of(desk, execution_arn)
    listed = [
        without_none(
            {
                "executionArn": row.execution,
                "mapRunArn": row.arn,
                "stateMachineArn": execution.machine_arn,
                "startDate": row.started_at,
                "stopDate": row.stopped_at,
            }
        )
        for row in desk.store.map_runs(execution.arn)
    ]
    return page("mapRuns", listed, max_results, next_token, of=execution_arn)


def describe_map_run(desk: Desk, map_run_arn: str) -> dict[str, Json]:
    """AWS, DescribeMapRun. Raises ApiError InvalidArn or ResourceNotFound."""
    row = map_run_of(desk, map_run_arn)
    counts = _counts(desk, row)
    exported = row.status == "SUCCEEDED"
    return without_none(
        {
            "mapRunArn": row.arn,
            "executionArn": row.execution,
            "status": row.status,
            "startDate": row.started_at,
            "stopDate": row.stopped_at,
            "maxConcurrency": row.max_concurrency,
            "toleratedFailurePercentage": row.tolerated_percentage or 0.0,
            "toleratedFailureCount": row.tolerated_count or 0,
            "itemCounts": _shown(counts["items"], exported),
            "executionCounts": _shown(counts["executions"], exported),
            "redriveCount": row.redrive_count,
            "redriveDate": row.redrive_date,
        }
    )


class Progress(NamedTuple):
    """How far a Map Run is."""

    ends: Ends
    """How its items have ended."""
    total: int
    """How many are known of."""
    whole: bool
    """Whether these are all: it is known here that no more will be read."""


def progress(desk: Desk, map_run_arn: str) -> Progress:
    """How far it is. Raises ApiError InvalidArn or ResourceNotFound."""
    row = map_run_of(desk, map_run_arn)
    whole = row.status != "RUNNING" or desk.engine.map_run_is_read(
        row.arn
    )  # first: the rest may come in between
    items = _counts(desk, row)["items"]
    total = sum(items.get(status, 0) for status in (*_COUNTS.values(), AGAIN))
    succeeded, failed, late, stopped = (
        items.get(_COUNTS[name], 0) for name in ("succeeded", "failed", "timedOut", "aborted")
    )
    return Progress(Ends(succeeded, failed + late, stopped), total, whole)


def update_map_run(
    desk: Desk,
    map_run_arn: str,
    *,
    max_concurrency: int | None = None,
    tolerated_failure_count: int | None = None,
    tolerated_failure_percentage: float | None = None,
) -> dict[str, Json]:
    """AWS, UpdateMapRun: it takes effect at once, in whichever process the run is at work.

    Raises ApiError InvalidArn, ResourceNotFound, or ValidationException if the run has ended.
    """
    row = map_run_of(desk, map_run_arn)
    limited = desk.store.limit_map_run(
        row.arn,
        max_concurrency=max_concurrency,
        tolerated_count=tolerated_failure_count,
        tolerated_percentage=tolerated_failure_percentage,
    )
    if not limited:
        status = map_run_of(desk, map_run_arn).status
        raise ApiError("ValidationException", f"Map Run is {status} and cannot be updated: '{row.arn}'")
    desk.store.tell(row.execution, facts.encode(facts.Continue()))  # wakes the engine that runs it
    desk.engine.heed()
    return {}


def map_run_of(desk: Desk, arn: str) -> MapRunRow:
    """The Map Run with this ARN. Raises ApiError InvalidArn or ResourceNotFound."""
    row = desk.store.map_run(check_arn(arn, "mapRun"))
    if row is None:
        raise not_found(arn)
    return row


def _counts(desk: Desk, row: MapRunRow) -> Mapping[str, Mapping[str, int]]:
    """As the engine here counts, as it was at the end, or (another process runs it) as many children as there are."""
    live = desk.engine.map_run_counts(row.arn)
    if live is not None:
        return live
    if row.counts is not None:
        recorded: Mapping[str, Mapping[str, int]] = json.loads(row.counts)
        return recorded
    children = desk.store.children_by_status(row.arn)
    return {"executions": children, "items": children}


def _shown(counts: Mapping[str, int], exported: bool) -> dict[str, Json]:
    """AWS, MapRunItemCounts and MapRunExecutionCounts. What waits to be redriven, is counted as that only."""
    shown = {name: counts.get(status, 0) for name, status in _COUNTS.items()}
    total = sum(shown.values()) + counts.get(AGAIN, 0)
    failed = shown["failed"] + shown["timedOut"] + shown["aborted"]
    return {
        **shown,
        "total": total,
        "resultsWritten": shown["succeeded"] + failed if exported else 0,
        "failuresNotRedrivable": counts.get(STUCK, 0),
        "pendingRedrive": counts.get(AGAIN, 0),
    }
