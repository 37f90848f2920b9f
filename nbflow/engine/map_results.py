"""The results of a Map Run whose children have all ended: the output of the state, or files."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeAlias

from nbflow.engine.ends import Endings
from nbflow.engine.map_run import PENDING, MapRun, result
from nbflow.language.paths import compact, spelt
from nbflow.language.values import Json
from nbflow.machine import distributed, facts
from nbflow.store.port import Store, StoreError
from nbflow.store.rows import Closing, ExecutionRow
from nbflow.tasks.child import Ending
from nbflow.tasks.places import ItemsFailed, located
from nbflow.tasks.writing import WRITER_FAILED, ChildResult, transformed, write_results

End: TypeAlias = facts.TaskSucceeded | facts.TaskFailed


def exports(run: MapRun) -> bool:
    """Whether the results are written to files."""
    writer = run.order.plan.writer
    return writer is not None and writer["Resource"] is not None


def written(store: Store, run: MapRun, pending: Sequence[ExecutionRow] = ()) -> End:
    """How the run ends. ``pending``: STANDARD children that were never started. From any thread. Raises StoreError."""
    try:
        output = _output(store, run, pending)
    except StoreError:
        raise
    except ItemsFailed as failed:
        return facts.TaskFailed(run.order.attempt, failed.error, failed.cause)
    except Exception as error:  # noqa: BLE001  # of a file system's library
        return facts.TaskFailed(run.order.attempt, WRITER_FAILED, f"{type(error).__name__}: {error}")
    return facts.TaskSucceeded(run.order.attempt, output)


def _output(store: Store, run: MapRun, pending: Sequence[ExecutionRow]) -> Json:
    """Without a ResultWriter, the outputs of those that succeeded, in the items' order."""
    writer = run.order.plan.writer
    if writer is None:
        succeeded = (output for output in _outputs(store, run) if output is not None)
        return json.loads(f"[{','.join(succeeded)}]")
    results = _of_express(store, run) if run.express else _of_standard(store, run, pending)
    if not exports(run):
        return transformed(results, writer["WriterConfig"])
    parameters = located(writer["Parameters"], run.parent.directory)
    return write_results(parameters, writer["WriterConfig"], run.row.arn, results)


def _outputs(store: Store, run: MapRun) -> Iterator[str | None]:
    if not run.express:
        return (row.output for row in store.child_rows(run.row.arn))
    endings = Endings(store, run.row.arn, run.ends)
    return (endings[number].output for number in run.ends)


def _of_standard(store: Store, run: MapRun, pending: Sequence[ExecutionRow]) -> Iterable[ChildResult]:
    """As they are read from the store."""
    ended = (
        result(row, Closing(row.status, row.output, row.error, row.cause, row.stopped_at))
        for row in store.child_rows(run.row.arn)
    )
    return chain(ended, (result(row, Closing(PENDING))._replace(start=None) for row in pending))


def _of_express(store: Store, run: MapRun) -> Iterator[ChildResult]:
    """Inputs and ends, as they are read from the store; those that have no end were not begun."""
    endings = Endings(store, run.row.arn, run.ends)
    for number, input in enumerate(run.chunks.inputs(run.read)):
        ended = run.ends.status(number) is not None
        end = endings[number] if ended else Ending(PENDING, None, None, None, None, None)
        named = distributed.child(run.row.arn, number, express=True)
        text = spelt(compact(input))
        yield ChildResult(named.arn, named.name, named.machine_arn, end.status, text, *end[1:])
