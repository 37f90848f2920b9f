"""``@nf.task``, ``nf.notebook`` and ``nf.Retry``: Python functions and notebooks that a Task state can name."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, Literal, NoReturn, ParamSpec, TypeAlias, TypeVar, cast, overload

from nbflow.errors import NbflowError

P = ParamSpec("P")
R = TypeVar("R")

Place: TypeAlias = Literal["dask", "local"]

_ACTIVITY: Final = re.compile(r"arn:[^:]+:states:[^:]+:[0-9]{12}:activity:[^:]+")
"""The ARN of an activity (AWS, "Step Functions resource types")."""

_LONGEST: Final = 99_999_999
"""Seconds: AWS's limit of TimeoutSeconds and IntervalSeconds."""


@dataclass(frozen=True, slots=True, init=False)
class Retry:
    """Try a task again when it fails with one of ``errors``: names, or exception classes; all errors, if none is given.

    ``interval`` is the wait before the first retry, in seconds; it grows by the factor ``backoff`` up to ``max_delay``.
    With ``jitter`` each wait is drawn at random between nothing and that. (ASL, "Retrying after error".)
    """

    errors: tuple[str | type[BaseException], ...]
    max_attempts: int
    interval: int
    backoff: float
    max_delay: int | None
    jitter: bool

    def __init__(
        self,
        *errors: str | type[BaseException],
        max_attempts: int = 3,
        interval: int = 1,
        backoff: float = 2.0,
        max_delay: int | None = None,
        jitter: bool = False,
    ) -> None:
        for error in errors:
            if not (isinstance(error, str) and error) and not _is_exception(error):
                raise NbflowError(
                    f"nf.Retry takes the errors' names or exception classes, not {error!r}: nf.Retry(OSError)"
                )
        _check_whole("nf.Retry(max_attempts=…)", max_attempts, 0)
        _check_whole("nf.Retry(interval=…)", interval, 0)
        if (
            isinstance(backoff, bool)
            or not isinstance(backoff, int | float)
            or not 1 <= backoff < float("inf")
        ):
            raise NbflowError(f"nf.Retry(backoff=…) is a factor of at least 1.0, not {backoff!r}")
        if max_delay is not None:
            _check_whole("nf.Retry(max_delay=…)", max_delay, 1, 31_622_400)
        values = (errors, max_attempts, interval, float(backoff), max_delay, bool(jitter))
        for name, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, name, value)


def _is_exception(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)


def _check_whole(what: str, value: object, least: int, most: int = _LONGEST) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise NbflowError(f"{what} is a whole number from {least} to {most}, not {value!r}")


class _Options:
    """What a Task state can be told about a task, checked."""

    retry: tuple[Retry, ...]
    timeout: int | None
    on: Place | None
    activity: str | None
    """The ARN of the activity whose workers do it; None: it is done by its function."""
    heartbeat: int | None
    resources: tuple[tuple[str, float], ...]
    """What a Dask worker must have for it, and how much, by name."""
    concurrency: int
    """How many attempts may be under way at once; 0: as many as there is room for."""

    def __init__(
        self,
        retry: Retry | Sequence[Retry],
        timeout: int | None,
        on: str | None,
        heartbeat: int | None = None,
        resources: Mapping[str, float] | None = None,
        concurrency: int | None = None,
    ) -> None:
        retries: tuple[Any, ...] = tuple(retry) if isinstance(retry, list | tuple) else (retry,)
        for index, member in enumerate(retries):
            if not isinstance(member, Retry):
                raise NbflowError(f"retry= takes nf.Retry(…) or a list of them, not {member!r}")
            if not member.errors and index < len(retries) - 1:
                raise NbflowError("an nf.Retry of all errors hides those after it: put it last")
        if timeout is not None:
            _check_whole("timeout=", timeout, 1)
        self.activity = on if isinstance(on, str) and _ACTIVITY.fullmatch(on) else None
        if self.activity is None and on not in (None, "dask", "local"):
            raise NbflowError(f"on= is 'dask', 'local' or the ARN of an activity, not {on!r}")
        self._check_heartbeat(heartbeat, timeout)
        self.retry, self.timeout, self.heartbeat = retries, timeout, heartbeat
        self.on = None if self.activity else cast(Place | None, on)
        self.resources = _checked(resources)
        if self.resources:
            if on not in (None, "dask"):
                raise NbflowError(f"resources= are what Dask workers have: leave out on={on!r}")
            self.on = "dask"
        self.concurrency = concurrency or 0
        if concurrency is not None:
            _check_whole("concurrency=", concurrency, 1)
            if self.activity:
                raise NbflowError(
                    "concurrency= is not for activities: as many are done at once as workers poll "
                    "(nbflow worker --concurrency)"
                )

    @property
    def placing(self) -> dict[str, Any]:
        """Where and how many at once: the fields of a ``Code``."""
        return {"on": self.on or "", "resources": self.resources, "concurrency": self.concurrency}

    def _check_heartbeat(self, heartbeat: int | None, timeout: int | None) -> None:
        if heartbeat is None:
            return
        _check_whole("heartbeat=", heartbeat, 1)
        if self.activity is None:
            raise NbflowError("heartbeat= is for the workers of an activity: on='arn:…:activity:NAME'")
        if timeout is not None and heartbeat >= timeout:
            raise NbflowError(
                f"heartbeat={heartbeat} is not less than timeout={timeout}: it would say nothing"
            )


def _checked(resources: Mapping[str, float] | None) -> tuple[tuple[str, float], ...]:
    """What ``resources=`` says, by name. Raises NbflowError."""
    if resources is None:
        return ()
    if not isinstance(resources, Mapping) or not resources:
        raise NbflowError(f"resources= says how much of what, as in {{'GPU': 1}}, not {resources!r}")
    for name, amount in resources.items():
        if not isinstance(name, str) or not name:
            raise NbflowError(
                f"resources= has names as Dask workers know them, as in {{'GPU': 1}}, not {name!r}"
            )
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 < amount < float("inf"):
            raise NbflowError(f"resources={{{name!r}: …}} is a number greater than 0, not {amount!r}")
    return tuple(sorted(resources.items()))


class Task(_Options, Generic[P, R]):
    """A function that a Task state runs. Calling it is plain Python, and records nothing.

    A state that names it calls it with the members of its input (after Parameters or Arguments) as keyword arguments.
    The options become part of the states that a flow makes of its calls. Raises NbflowError for a senseless one.
    """

    def __init__(
        self,
        function: Callable[P, R],
        name: str | None = None,
        *,
        retry: Retry | Sequence[Retry] = (),
        timeout: int | None = None,
        on: str | None = None,
        heartbeat: int | None = None,
        resources: Mapping[str, float] | None = None,
        concurrency: int | None = None,
    ) -> None:
        named = name or getattr(function, "__name__", None)
        if not callable(function) or not named:
            raise NbflowError(f"a task is a function; {function!r} needs a name: nf.task(name=…)")
        functools.update_wrapper(self, function)
        self.function = function
        self.name: str = named
        super().__init__(retry, timeout, on, heartbeat, resources, concurrency)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<nbflow task {self.name}>"


@overload
def task(
    function: Callable[P, R],
    /,
    *,
    name: str | None = None,
    retry: Retry | Sequence[Retry] = (),
    timeout: int | None = None,
    on: str | None = None,
    heartbeat: int | None = None,
    resources: Mapping[str, float] | None = None,
    concurrency: int | None = None,
) -> Task[P, R]: ...
@overload
def task(
    *,
    name: str | None = None,
    retry: Retry | Sequence[Retry] = (),
    timeout: int | None = None,
    on: str | None = None,
    heartbeat: int | None = None,
    resources: Mapping[str, float] | None = None,
    concurrency: int | None = None,
) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    retry: Retry | Sequence[Retry] = (),
    timeout: int | None = None,
    on: str | None = None,
    heartbeat: int | None = None,
    resources: Mapping[str, float] | None = None,
    concurrency: int | None = None,
) -> Task[P, R] | Callable[[Callable[P, R]], Task[P, R]]:
    """Mark a function as a task: ``@nf.task``, ``@nf.task(retry=nf.Retry("OSError"))`` or ``nf.task(f, timeout=60)``.

    ``name`` is what the definition's Lambda ARN ends with; by default the function's own name. ``retry`` says what to
    try again, ``timeout`` (seconds) how long one attempt may take, ``on`` where to run it: "dask" or "local"; by
    default on Dask inside a Map or Parallel. With the ARN of an activity, its workers do it, and the function's
    parameters only say what they are given; ``heartbeat`` (seconds) is how long a worker may then be silent.
    ``resources`` is what a Dask worker must have for it, and how much each attempt takes (``{"GPU": 1}``): it runs on
    Dask. ``concurrency`` is how many attempts may be under way at once, over all executions of this process.
    """
    # At once: a mistake shows where it is written.
    options = _Options(retry, timeout, on, heartbeat, resources, concurrency)

    def mark(function: Callable[P, R]) -> Task[P, R]:
        return Task(
            function,
            name,
            retry=options.retry,
            timeout=timeout,
            on=on,
            heartbeat=heartbeat,
            resources=resources,
            concurrency=concurrency,
        )

    return mark if function is None else mark(function)


class Notebook(_Options):
    """A notebook that a Task state runs; its result is ``{"notebook": reference of the executed copy}``.

    A relative path is taken from the working directory. The options are those of :class:`Task`.
    """

    def __init__(
        self,
        path: Path,
        name: str | None = None,
        *,
        retry: Retry | Sequence[Retry] = (),
        timeout: int | None = None,
        on: Place | None = None,
        concurrency: int | None = None,
    ) -> None:
        self.path = path
        self.name = name or path.stem
        super().__init__(retry, timeout, on, concurrency=concurrency)
        if self.activity:
            raise NbflowError("the workers of an activity do functions; a notebook runs on 'dask' or 'local'")

    def __call__(self, **parameters: object) -> NoReturn:
        """Raises NbflowError: a notebook runs as a step of a flow only."""
        raise NbflowError(
            f"the notebook {self.path} runs as a step only: call it in a flow, or bind it to a definition by "
            f"nf.StateMachine(…, tasks={{{self.name!r}: …}})"
        )

    def _key(self) -> tuple[Any, ...]:
        return self.path, self.name, self.retry, self.timeout, self.on, self.concurrency

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Notebook) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"<nbflow notebook {self.path}>"


def notebook(
    path: str | Path,
    *,
    name: str | None = None,
    retry: Retry | Sequence[Retry] = (),
    timeout: int | None = None,
    on: Place | None = None,
    concurrency: int | None = None,
) -> Notebook:
    """A notebook as a task: the members of the state's input become its parameters.

    A parameter that is a reference (a DataFrame that another step returned) arrives as the live object. The
    executed copy is kept as an artifact of the run. ``name`` is by default the file's, without its ending; the options
    are those of :func:`task`. In a flow it is called with keywords: ``train(year=2013)``.
    """
    return Notebook(Path(path), name, retry=retry, timeout=timeout, on=on, concurrency=concurrency)
