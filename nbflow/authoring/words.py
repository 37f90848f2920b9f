"""The words of a flow that are no statements of Python's: parallel, map, wait, and what a handler gets to see.

In a compiled flow they are states. Called as plain Python, they do what the states do, one after the other, so that a
flow can be tried out as the function that it is.
"""

import builtins
import json
import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Literal, Protocol, TypeVar, overload

from nbflow.authoring.sources import Place, Source, items_of
from nbflow.errors import NbflowError

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")
Item = TypeVar("Item")
Result = TypeVar("Result")


@overload
def parallel(a: A, /) -> tuple[A]: ...
@overload
def parallel(a: A, b: B, /) -> tuple[A, B]: ...
@overload
def parallel(a: A, b: B, c: C, /) -> tuple[A, B, C]: ...
@overload
def parallel(a: A, b: B, c: C, d: D, /) -> tuple[A, B, C, D]: ...
@overload
def parallel(a: A, b: B, c: C, d: D, e: E, /) -> tuple[A, B, C, D, E]: ...
@overload
def parallel(a: A, b: B, c: C, d: D, e: E, f: F, /) -> tuple[A, B, C, D, E, F]: ...
@overload
def parallel(*values: Any) -> tuple[Any, ...]: ...
def parallel(*values: Any) -> tuple[Any, ...]:
    """Its arguments at the same time: ``total, worst = nf.parallel(combine(parts), find_worst(parts))``.

    In a flow each argument is a branch of a Parallel state. Called as plain Python, it returns its arguments.
    """
    return values


class Frame(Protocol):
    """A DataFrame, of pandas or of Dask, to a type checker."""

    @property
    def columns(self) -> Any: ...


@overload
def map(
    task: Callable[[Item], Result],
    source: Iterable[Item],
    /,
    *,
    concurrency: int | None = None,
    distributed: bool | None = None,
    express: bool = False,
    tolerate: int | float | None = None,
    batch: None = None,
    write_to: None = None,
) -> list[Result]: ...
@overload
def map(
    task: Callable[[list[Item]], Result],
    source: Iterable[Item],
    /,
    *,
    concurrency: int | None = None,
    distributed: bool | None = None,
    express: bool = False,
    tolerate: int | float | None = None,
    batch: int,
    write_to: None = None,
) -> list[Result]: ...
@overload
def map(
    task: Callable[[Any], Result],
    source: Frame,
    /,
    *,
    concurrency: int | None = None,
    distributed: Literal[True],
    express: bool = False,
    tolerate: int | float | None = None,
    batch: int | None = None,
    write_to: None = None,
) -> list[Result]: ...
@overload
def map(
    task: Callable[[Any], Any],
    source: Iterable[Any] | Frame,
    /,
    *,
    concurrency: int | None = None,
    distributed: bool | None = None,
    express: bool = False,
    tolerate: int | float | None = None,
    batch: int | None = None,
    write_to: Place | Source,
) -> builtins.dict[str, Any]: ...
def map(
    task: Callable[[Any], Any],
    source: Any,
    /,
    *,
    concurrency: int | None = None,
    distributed: bool | None = None,
    express: bool = False,
    tolerate: int | float | None = None,
    batch: int | None = None,
    write_to: Place | Source | None = None,
) -> Any:
    """A task for each item of ``source``, like ``[task(item) for item in source]``, with options.

    ``concurrency``: how many at the same time. ``tolerate``: how many may fail, as a number, or as a share between 0.0
    and 1.0. ``distributed``: iterations are child executions (a Distributed Map); then the items of a DataFrame are its
    rows, those of a dict its values. A source (``nf.csv(…)`` and its like) is always distributed. For distributed only:

    ``express``: the child executions are express ones. ``batch``: the task is given lists of at most so many items, and
    there is a result a list. ``write_to``: the results are written to files in this folder or URL, as JSON Lines, or as
    ``nf.parquet(…)``, ``nf.jsonl(…)`` or ``nf.json(…)`` say; a batch's result that is a list, element by element. The
    value is then the state's output: where the files are listed (AWS guide, "ResultWriter").

    Called as plain Python, it does the same, one item after the other. Only ``write_to`` is for executions: it raises
    NbflowError.
    """
    if write_to is not None:
        raise NbflowError(
            "nf.map(write_to=…) writes the results of an execution: start the flow (flow.start(…)), or leave out "
            "write_to= to call it as plain Python"
        )
    if batch is not None and (type(batch) is not int or batch < 1):
        raise NbflowError(f"nf.map(batch=…) takes a whole number of at least 1, not {batch!r}")
    items = items_of(source) if distributed else source
    if batch is None:
        return [task(item) for item in items]
    rest = iter(items)
    return [task(several) for several in iter(lambda: list(islice(rest, batch)), [])]


def wait(seconds: int) -> None:
    """Wait for a whole number of seconds: a Wait state, which costs nothing and survives a restart."""
    time.sleep(seconds)


class TaskFailed(NbflowError):
    """What ``e`` is in the ``except … as e`` of a compiled flow: the failure of a step, as it was recorded.

    ``str(e)`` is the exception's own message.
    """

    def __init__(self, error: str | None, cause: str | None = None) -> None:
        super().__init__(error, cause)
        details = _details(cause)
        self.error: str | None = details.get("errorType", error)
        """The name of the exception's class, or the error of an nf.Fail."""
        self.cause: str = details.get("errorMessage", cause) or ""
        """The exception's message, or the cause of an nf.Fail."""

    def __str__(self) -> str:
        return self.cause


def _details(cause: str | None) -> dict[str, Any]:
    """The members of a cause as workers of Lambda functions write it: ``{"errorMessage": …, "errorType": …}``."""
    try:
        loaded = json.loads(cause or "")
    except ValueError:
        return {}
    return loaded if isinstance(loaded, builtins.dict) and "errorMessage" in loaded else {}
