"""Executions that a task starts: ``states:startExecution``, and its forms that wait for the end (AWS guide, "Start
workflow executions from a task state").

A ``.sync`` task has a token, like any that others end. The execution that it starts keeps that token, and the step that
ends it ends the task, in the same transaction: whatever crashes, the task is told once. If the task is given up, the
execution is told to stop.
"""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from nbflow.errors import NbflowError
from nbflow.language.integrations import integration
from nbflow.language.paths import compact, spelt
from nbflow.language.values import Json
from nbflow.machine import facts
from nbflow.pools.port import Answer
from nbflow.service.desk import Desk
from nbflow.service.errors import ApiError
from nbflow.service.executions import start_execution
from nbflow.service.lookup import execution_of, target_of
from nbflow.service.parameters import without_none
from nbflow.service.starting import Parent
from nbflow.store.rows import Closing, ExecutionRow
from nbflow.tasks.job import Job, Outcome

_THREADS: Final = 4
_METADATA: Final[dict[str, Json]] = {
    "SdkHttpMetadata": {"AllHttpHeaders": {}, "HttpHeaders": {}, "HttpStatusCode": 200},
    "SdkResponseMetadata": {"RequestId": ""},
}
"""AWS adds how it was asked; nothing is asked over HTTP here."""


class Nested:
    """The pool whose jobs are other executions. A :class:`nbflow.engine.live.Nesting`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._executor = ThreadPoolExecutor(_THREADS, "nbflow-nested")

    def submit(self, job: Job, answer: Answer) -> None:
        self._executor.submit(lambda: answer(_done(self._desk, job)))

    def cancel(self, execution: str, attempt: int) -> bool:
        """Tell the executions whose ends the attempt waits for to stop. They will: it is in their inbox."""
        children = self._desk.store.children(execution, attempt)
        for child in children:
            self._desk.store.tell(child, facts.encode(facts.Stop()))
        if children:
            self._desk.engine.heed()
        return bool(children)

    def limit(self, sha256: str, most: int) -> None:
        """Executions are no jobs of a code: a Map's MaxConcurrency holds their starts back."""

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def begun(self, row: ExecutionRow) -> facts.Fact:
        """The task's submission. By the inbox, too, lest an execution that ends at once is quicker than its answer."""
        return facts.TaskSubmitted(0, _answer(row.arn, row.started_at))

    def report(self, row: ExecutionRow, closing: Closing) -> facts.Fact:
        """The task's end: its result is what DescribeExecution answers; ``.sync:2`` has Input and Output as JSON.

        Whatever else than SUCCEEDED it is, the task fails with that answer as its cause.
        """
        parsed = json.loads(row.revision or "{}").get("waitedFor") == ".sync:2"
        described = _described(row, closing, parsed=parsed)
        if closing.status == "SUCCEEDED":
            return facts.TaskSucceeded(0, described)
        return facts.TaskFailed(0, "States.TaskFailed", compact(dict(sorted(described.items()))))


def _done(desk: Desk, job: Job) -> Outcome:
    """Do the job. Whatever keeps it from being done is the task's failure."""
    try:
        started = _start(desk, job)
        _stop_if_given_up(desk, job, started["executionArn"])
    except ApiError as error:
        return Outcome(job.execution, job.attempt, None, _error_name(error), str(error))
    except NbflowError as error:
        return Outcome(job.execution, job.attempt, None, "States.TaskFailed", str(error))
    except Exception as error:  # noqa: BLE001  # such as a Name that is a number: the task must hear of it
        cause = f"the execution could not be started: {type(error).__name__}: {error}"
        return Outcome(job.execution, job.attempt, None, "States.TaskFailed", cause)
    return Outcome(job.execution, job.attempt, _answer(started["executionArn"], started["startDate"]))


def _start(desk: Desk, job: Job) -> dict[str, Json]:
    """Start the execution that the job asks for; answers as ``start_execution``, and raises what it raises."""
    asked = job.arguments if isinstance(job.arguments, dict) else {}
    pattern = integration(job.code.name).pattern
    waiting = pattern in (".sync", ".sync:2")
    input = asked.get("Input")
    if not isinstance(input, str):
        input = "{}" if input is None else spelt(compact(input))
    arn = str(asked.get("StateMachineArn", ""))
    if waiting and target_of(desk, arn).machine.type == "EXPRESS":
        raise ApiError("ValidationException", f"an Express execution cannot be waited for: {arn}")
    name = asked.get("Name")
    return start_execution(
        desk,
        arn,
        input=input,
        # The same attempt, ordered once more after a crash, asks for the same execution, which may have ended.
        name=name or str(uuid.uuid5(uuid.NAMESPACE_URL, f"{job.execution}#{job.attempt}")),
        only_callers=not name,
        trace_header=asked.get("TraceHeader"),
        parent=Parent(job.token, pattern) if waiting and job.token is not None else None,
    )


def _stop_if_given_up(desk: Desk, job: Job, child: str) -> None:
    """The task may have been given up while its execution was being started: ``cancel`` did not find it yet."""
    token = None if job.token is None else desk.store.token(job.token)
    if (
        token is not None
        and token.state == "closed"
        and child in desk.store.children(job.execution, job.attempt)
        and execution_of(desk, child).status == "RUNNING"  # else it was its own end that has closed the token
    ):
        desk.store.tell(child, facts.encode(facts.Stop()))
        desk.engine.heed()


def _error_name(error: ApiError) -> str:
    """As AWS's Java client names its errors."""
    return f"StepFunctions.{error.code.removesuffix('Exception')}Exception"


def _answer(arn: str, started_at: float) -> dict[str, Json]:
    return {"ExecutionArn": arn, "StartDate": _milliseconds(started_at), **_METADATA}


def _described(row: ExecutionRow, closing: Closing, *, parsed: bool) -> dict[str, Json]:
    ended = f"Execution is {closing.status} and cannot be redriven" if closing.status == "SUCCEEDED" else None
    included = {"Included": True}
    return without_none(
        {
            "ExecutionArn": row.arn,
            "Input": json.loads(row.input) if parsed else row.input,
            "InputDetails": included,
            "Name": row.name,
            "Output": json.loads(closing.output) if parsed and closing.output else closing.output,
            "OutputDetails": None if closing.output is None else included,
            "Error": closing.error,
            "Cause": closing.cause,
            "RedriveCount": row.redrive_count,
            "RedriveStatus": "NOT_REDRIVABLE" if ended else "REDRIVABLE",
            "RedriveStatusReason": ended,
            "StartDate": _milliseconds(row.started_at),
            "StateMachineArn": row.machine_arn,
            "Status": closing.status,
            "StopDate": _milliseconds(closing.stopped_at),
        }
    )


def _milliseconds(at: float | None) -> int | None:
    return None if at is None else round(at * 1000)
