"""The results of a Map Run whose children have all ended: the output of the state, or files."""

import json
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TypeAlias

from nbflow.engine.map_run import MapRun, result
from nbflow.language.values import Json
from nbflow.machine import facts
from nbflow.store.port import Store, StoreError
from nbflow.store.rows import Closing, ExecutionRow
from nbflow.tasks.places import ItemsFailed, located
from nbflow.tasks.writing import WRITER_FAILED, ChildResult, transformed, write_results

End: TypeAlias = facts.TaskSucceeded | facts.TaskFailed


def exports(run: MapRun) -> bool:
    """Whether the results are written to files."""
    writer = run.order.plan.writer
    return writer is not None and writer["Resource"] is not None


def written(store: Store, run: MapRun, pending: Sequence[ExecutionRow] = ()) -> End:
    """How the run ends. ``pending``: children that were never started. From any thread. Raises StoreError."""
    unstarted = (result(row, Closing("PENDING"))._replace(start=None) for row in pending)
    try:
        output = _output(run, run.order.plan.writer, chain(_results(store, run), unstarted))
    except StoreError:
        raise
    except ItemsFailed as failed:
        return facts.TaskFailed(run.order.attempt, failed.error, failed.cause)
    except Exception as error:  # noqa: BLE001  # of a file system's library
        return facts.TaskFailed(run.order.attempt, WRITER_FAILED, f"{type(error).__name__}: {error}")
    return facts.TaskSucceeded(run.order.attempt, output)


def _results(store: Store, run: MapRun) -> Iterable[ChildResult]:
    """In the order of the items; those of STANDARD children as they are read from the store."""
    if run.express:
        return (run.results[number] for number in sorted(run.results))
    return (
        result(row, Closing(row.status, row.output, row.error, row.cause, row.stopped_at))
        for row in store.child_rows(run.row.arn)
    )


def _output(run: MapRun, writer: Json, results: Iterable[ChildResult]) -> Json:
    """Without a ResultWriter, the outputs of those that succeeded, in the items' order."""
    if writer is None:
        return [json.loads(each.output) for each in results if each.output is not None]
    if not exports(run):
        return transformed(results, writer["WriterConfig"])
    parameters = located(writer["Parameters"], run.parent.directory)
    return write_results(parameters, writer["WriterConfig"], run.row.arn, results)
