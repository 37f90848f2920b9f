"""``@nf.task`` and ``nf.notebook``: Python functions and notebooks that a Task state can name."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, ParamSpec, TypeVar, overload

P = ParamSpec("P")
R = TypeVar("R")


class Task(Generic[P, R]):
    """A function that a Task state runs. Calling it is plain Python, and records nothing.

    A state that names it calls it with the members of its input (after Parameters or Arguments) as keyword arguments.
    """

    def __init__(self, function: Callable[P, R], name: str | None = None) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name or function.__name__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<nbflow task {self.name}>"


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(*, name: str | None = None) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(
    function: Callable[P, R] | None = None, /, *, name: str | None = None
) -> Task[P, R] | Callable[[Callable[P, R]], Task[P, R]]:
    """Mark a function as a task: ``@nf.task`` or ``@nf.task(name="…")``.

    ``name`` is what the definition's Lambda ARN ends with; by default the function's own name.
    """
    if function is not None:
        return Task(function)
    return lambda function: Task(function, name)


@dataclass(frozen=True, slots=True)
class Notebook:
    """A notebook that a Task state runs; its result is ``{"notebook": reference of the executed copy}``."""

    path: Path
    """Relative paths are taken from the working directory."""


def notebook(path: str | Path) -> Notebook:
    """A notebook as a task: the members of the state's input become its parameters.

    A parameter that is a reference (a DataFrame that another step returned) arrives as the live object. The
    executed copy is kept as an artifact of the run.
    """
    return Notebook(Path(path))
