"""``perform``: do a job, and say how it went. It never raises."""

import json
import os
import reprlib
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from nbflow.artifacts.shelf import Artifact
from nbflow.artifacts.values import pack
from nbflow.errors import Fail, NbflowError
from nbflow.language.paths import spelt
from nbflow.language.values import Json
from nbflow.tasks import child, function, notebook
from nbflow.tasks.capture import captured
from nbflow.tasks.heard import Hear, Speaker
from nbflow.tasks.job import Code, Job, Outcome
from nbflow.tasks.lambdas import enveloped
from nbflow.tasks.stopping import Stopped, stoppable

LONGEST_CAUSE: Final = 32_768
"""Characters (AWS API reference, "SendTaskFailure": cause)."""

LONGEST_ERROR: Final = 256
"""Characters (AWS API reference, "SendTaskFailure": error)."""


def perform(job: Job, hear: Hear | None = None, now: Callable[[], float] = time.time) -> Outcome:
    """Do the job here and now. ``hear`` is told what it says meanwhile; ``now`` is in seconds since the epoch."""
    speaker = None if hear is None else Speaker(job.execution, job.attempt, hear)
    begun = time.perf_counter()
    output, error, cause = None, None, None
    artifacts: list[Artifact] = []
    key, do = (job.execution, job.attempt), partial(_DO[job.code.kind], job, now)
    with captured(speaker) as log:
        if speaker is not None:
            speaker.buffer = log
        try:
            output, artifacts = stoppable(key, do, interruptible=job.code.kind != "notebook")
        except BaseException as raised:  # noqa: BLE001  # sys.exit() and KeyboardInterrupt of a task are its failures too
            error, cause, artifacts = failure(raised, job.expected)
    if speaker is not None:
        speaker.buffer = None
    return Outcome(
        job.execution,
        job.attempt,
        output,
        error,
        cause,
        tuple(artifacts),
        log.text(),
        time.perf_counter() - begun,
    )


def _function(job: Job, now: Callable[[], float]) -> tuple[Json, list[Artifact]]:
    output, artifacts = pack(function.call(job), job.shelf)
    if job.code.returns:
        _check(output, job.code)
    return enveloped(output) if job.enveloped else output, artifacts


class WrongResult(NbflowError):
    """A task's result is not what its annotation says, and the definition relies on that."""


def _check(output: Json, code: Code) -> None:
    """Raises WrongResult if the output is not what the code's ``returns`` says."""
    kind, _, size = code.returns.rstrip("]").partition("[")
    if not _IS[kind](output):
        found = "null" if output is None else f"the {type(output).__name__} {reprlib.repr(output)}"
        raise WrongResult(
            f"{code.name}() returned {found}, but its annotation says {_MEANS[kind]}, which the flow relies on; "
            "mend one of the two"
        )
    if size and isinstance(output, list) and len(output) != int(size):
        raise WrongResult(f"{code.name}() returned {len(output)} values, but its annotation says {size}")


_IS: Final[Mapping[str, Callable[[Json], bool]]] = {
    "number": lambda output: isinstance(output, int | float) and not isinstance(output, bool),
    "string": lambda output: isinstance(output, str),
    "boolean": lambda output: isinstance(output, bool),
    "array": lambda output: isinstance(output, list),
    "dataframe": lambda output: isinstance(output, dict) and {"nbflow", "rows", "columns"} <= output.keys(),
}
_MEANS: Final = {
    "number": "a number",
    "string": "a str",
    "boolean": "a bool",
    "array": "a list",
    "dataframe": "a DataFrame",
}


def _notebook(job: Job, now: Callable[[], float]) -> tuple[Json, list[Artifact]]:
    output, artifacts = notebook.run(job)
    return enveloped(output) if job.enveloped else output, artifacts


def _express(job: Job, now: Callable[[], float]) -> tuple[Json, list[Artifact]]:
    return child.run(job, partial(_attempted, now=now), now)


def _attempted(job: Job, now: Callable[[], float]) -> Outcome:
    """An attempt within a child: what it prints is the child's, and it is stopped with it. Raises Stopped."""
    output, error, cause = None, None, None
    artifacts: list[Artifact] = []
    try:
        output, artifacts = _DO[job.code.kind](job, now)
    except Stopped:
        raise
    except BaseException as raised:  # noqa: BLE001  # as in perform
        error, cause, artifacts = failure(raised, job.expected)
    return Outcome(job.execution, job.attempt, output, error, cause, tuple(artifacts))


_DO: Final[Mapping[str, Callable[[Job, Callable[[], float]], tuple[Json, list[Artifact]]]]] = {
    "function": _function,
    "notebook": _notebook,
    "express": _express,
}


class Failed(NamedTuple):
    """A failure as it is recorded."""

    error: str
    cause: str
    artifacts: list[Artifact]
    """What is kept of it: of a notebook, the executed copy."""


def failure(raised: BaseException, expected: Sequence[str] = ()) -> Failed:
    """The failure as Lambda reports it: the exception's name, and message and traceback as a JSON text.

    The name is the first class of the exception that Retry or Catch lists, so that ``OSError`` means what Python means
    by it; in the cause it is the exception's own. An nf.Fail under its own name is as its author worded it.
    """
    if isinstance(raised, notebook.CellFailed):
        own, stack, artifacts = raised.error, raised.traceback, [raised.executed]
        name = own
    else:
        names = [_class_name(kind) for kind in type(raised).__mro__]
        own, stack, artifacts = raised.error if isinstance(raised, Fail) else names[0], _stack(raised), []
        name = next((each for each in names if each in expected), own)
    name = spelt(name)
    if isinstance(raised, Fail) and name == spelt(own):
        return Failed(name[:LONGEST_ERROR], _cut(spelt(raised.cause), LONGEST_CAUSE), [])
    return Failed(name[:LONGEST_ERROR], _cause(_message(raised), own[:LONGEST_ERROR], stack), artifacts)


def _class_name(kind: type) -> str:
    """Lambda's way: the bare name; but our own errors say whose they are."""
    return f"nbflow.{kind.__name__}" if issubclass(kind, NbflowError) else kind.__name__


def _message(raised: BaseException) -> str:
    try:
        return str(raised)
    except Exception as error:  # noqa: BLE001  # the exception's own __str__
        return f"(its message cannot be shown: str() raised {type(error).__name__})"


_OURS: Final = f"{Path(__file__).parents[1]}{os.sep}"


def _stack(raised: BaseException) -> list[str]:
    """The traceback without our own frames, also of the exceptions that led to it."""
    formatted = traceback.TracebackException.from_exception(raised)
    _strip(formatted)
    return "".join(formatted.format()).splitlines(keepends=True)


def _strip(formatted: traceback.TracebackException) -> None:
    chain: list[traceback.TracebackException | None] = [formatted]
    while chain:
        link = chain.pop()
        if link is not None:
            link.stack = traceback.StackSummary.from_list(
                [frame for frame in link.stack if not frame.filename.startswith(_OURS)]
            )
            chain += [link.__cause__, link.__context__, *(link.exceptions or ())]


def _cause(message: str, kind: str, stack: Sequence[str]) -> str:
    """The cause as JSON text within AWS's limit: a long message loses its end, a long traceback its middle."""
    kept = [_cut(line, LONGEST_CAUSE // 16) for line in stack]
    head = {"errorMessage": _cut(message, LONGEST_CAUSE // 2), "errorType": kind}
    text = _json({**head, "stackTrace": kept})
    while len(text) > LONGEST_CAUSE:
        quarter = (len(kept) - 1) // 4
        kept = [*kept[:quarter], "…\n", *kept[len(kept) - 2 * quarter :]]
        text = _json({**head, "stackTrace": kept})
    return text


def _cut(text: str, room: int) -> str:
    """The text, without its end if it would take more than ``room`` characters of JSON."""
    if len(text) <= room // 6 or len(_json(text)) <= room:  # a character takes six at most: \\u001b
        return text
    text = text[:room]
    while len(_json(text)) > room - 2:
        text = text[: len(text) * 7 // 8]
    return text + " …"


def _json(value: Json) -> str:
    """JSON text that can be encoded."""
    return spelt(json.dumps(value, ensure_ascii=False))
