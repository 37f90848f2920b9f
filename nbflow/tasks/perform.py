"""``perform``: do a job, and say how it went. It never raises."""

import json
import os
import time
import traceback
from collections.abc import Sequence
from typing import Final

from nbflow.artifacts.shelf import Artifact
from nbflow.artifacts.values import pack
from nbflow.errors import NbflowError
from nbflow.language.values import Json
from nbflow.tasks import function, notebook
from nbflow.tasks.capture import captured
from nbflow.tasks.job import Job, Outcome

LONGEST_CAUSE: Final = 32_768
"""Characters: AWS's limit for a cause."""


def perform(job: Job) -> Outcome:
    """Do the job here and now."""
    begun = time.perf_counter()
    with captured() as log:
        try:
            output, artifacts = _DO[job.code.kind](job)
        except BaseException as error:  # noqa: BLE001  # sys.exit() and KeyboardInterrupt of a task are its failures too
            outcome = _failed(job, error)
        else:
            outcome = Outcome(job.execution, job.attempt, output, artifacts=tuple(artifacts))
    return Outcome(
        outcome.execution,
        outcome.attempt,
        outcome.output,
        outcome.error,
        outcome.cause,
        outcome.artifacts,
        log.text(),
        time.perf_counter() - begun,
    )


def perform_all(jobs: Sequence[Job]) -> list[Outcome]:
    """Do several jobs one after the other (what travels to a Dask worker as one task)."""
    if jobs and jobs[0].directory and os.path.isdir(jobs[0].directory):
        os.chdir(jobs[0].directory)  # a worker's own process: tasks run where their starter is
    return [perform(job) for job in jobs]


def _function(job: Job) -> tuple[Json, list[Artifact]]:
    return pack(function.call(job), job.shelf)


_DO: Final = {"function": _function, "notebook": notebook.run}


def _failed(job: Job, error: BaseException) -> Outcome:
    """The failure as Lambda reports it: the exception's name, and message and traceback as a JSON text."""
    artifacts: tuple[Artifact, ...] = ()
    if isinstance(error, notebook.CellFailed):
        name, stack, artifacts = error.error, error.traceback, (error.executed,)
    else:
        name, stack = _name(error, job.expected), _stack(error)
    cause = {"errorMessage": str(error), "errorType": name, "stackTrace": stack}
    return Outcome(job.execution, job.attempt, error=name, cause=_bounded(cause), artifacts=artifacts)


def _name(error: BaseException, expected: Sequence[str]) -> str:
    """The first class of the exception that Retry or Catch lists, so that ``OSError`` means what Python means by it."""
    names = [_class_name(kind) for kind in type(error).__mro__]
    return next((name for name in names if name in expected), names[0])


def _class_name(kind: type) -> str:
    """Lambda's way: the bare name; but our own errors say whose they are."""
    return f"nbflow.{kind.__name__}" if issubclass(kind, NbflowError) else kind.__name__


def _stack(error: BaseException) -> list[str]:
    """The traceback below our own frames, then the exceptions that led to it."""
    ours = os.path.dirname(__file__)
    formatted = traceback.TracebackException.from_exception(error)
    formatted.stack = traceback.StackSummary.from_list(
        [frame for frame in formatted.stack if os.path.dirname(frame.filename) != ours]
    )
    return "".join(formatted.format()).splitlines(keepends=True)


def _bounded(cause: dict[str, Json]) -> str:
    """The cause as JSON text within AWS's limit: a long traceback loses its middle, a long message its end."""
    text = json.dumps(cause, ensure_ascii=False)
    stack: list[str] = cause["stackTrace"]
    while len(text) > LONGEST_CAUSE and len(stack) > 2:
        middle = len(stack) // 2
        stack = [*stack[: middle // 2], "…\n", *stack[-(middle // 2) :]] if middle > 2 else stack[-1:]
        text = json.dumps({**cause, "stackTrace": stack}, ensure_ascii=False)
    if len(text) > LONGEST_CAUSE:
        room = LONGEST_CAUSE // 4
        short = {**cause, "errorMessage": cause["errorMessage"][:room] + " …", "stackTrace": []}
        text = json.dumps(short, ensure_ascii=False)
    return text
