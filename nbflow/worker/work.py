"""One task: a function is called with its input, and what it returns or raises becomes the answer."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from nbflow.artifacts.values import plain
from nbflow.authoring.task import Notebook, Task
from nbflow.errors import Fail, NbflowError
from nbflow.tasks import stopping
from nbflow.tasks.function import invoke
from nbflow.tasks.perform import failure
from nbflow.tasks.stopping import stoppable

LONGEST_OUTPUT: Final = 262_144
"""Characters of a result (AWS API reference, "SendTaskSuccess": output)."""


class Work(NamedTuple):
    """What a worker does."""

    function: Callable[..., Any]
    name: str
    """For people."""
    keywords: bool
    """It takes the members of the input as keywords (``nf.task``), not the input as one value."""


class Answer(NamedTuple):
    """How a task went."""

    output: str = ""
    """The result as JSON text."""
    error: str | None = None
    """None: it succeeded."""
    cause: str = ""


def work_of(function: Callable[..., Any] | Task[..., Any]) -> Work:
    """What a function or an nf.task does. Raises NbflowError for what a worker cannot call."""
    if isinstance(function, Task):
        return Work(function.function, function.name, keywords=True)
    if isinstance(function, Notebook) or not callable(function):
        raise NbflowError(f"a worker calls a function or an nf.task, not {function!r}")
    return Work(function, getattr(function, "__name__", type(function).__name__), keywords=False)


def perform(work: Work, input: str, token: str = "") -> Answer:
    """Do a task here and now. It never raises: what the function raises is the task's failure, as Lambda reports it.

    :func:`stop` with its token tells it to stop. The result must be plain JSON: nothing travels by reference to whoever
    runs the execution.
    """
    try:
        arguments = json.loads(input)
        call = partial(
            invoke, work.function, arguments, name=work.name, keywords=work.keywords, given=arguments
        )
        result = stoppable((token, 0), call)
        output = json.dumps(plain(result), ensure_ascii=False)
        if len(output) > LONGEST_OUTPUT:
            raise Fail(
                "States.DataLimitExceeded",
                f"the result of {work.name} is JSON of {len(output):,} characters; the API takes {LONGEST_OUTPUT:,}. "
                "Store it, and return where it is",
            )
    except BaseException as raised:  # noqa: BLE001  # sys.exit() in a task is its failure, too
        failed = failure(raised)
        return Answer(error=failed.error, cause=failed.cause)
    return Answer(output)


def stop(token: str) -> None:
    """The task has been ended by somebody else: tell the function that does it here."""
    stopping.stop([(token, 0)])
