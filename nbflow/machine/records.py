"""Records: what an execution remembers, in the order in which it was decided.

Each is a small frozen dataclass. In the journal a record is a JSON object: its class name as ``type`` and the fields that
differ from their defaults. ``frame`` is the thread of control that the record is about; ``at`` is seconds since the epoch.

``origin`` says where a payload is, so that none is stored twice: ``value`` (in the record itself), ``input`` (the input of
the frame's state), ``result`` (the result of its task, branches or iterations), ``item`` (the Map's item of that index).
"""

import json
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from typing import Any, Final, Literal, TypeAlias

import orjson

from nbflow.language.values import Json

Origin: TypeAlias = Literal["value", "input", "result", "item"]

FORMAT: Final = 1
"""The format that :func:`encode` writes; the journal keeps it beside each row. ``decode`` reads every released one."""


@dataclass(frozen=True, slots=True)
class ExecutionStarted:
    at: float
    input: Json
    context: dict[str, Json]


@dataclass(frozen=True, slots=True)
class StateEntered:
    at: float
    frame: int
    name: str


@dataclass(frozen=True, slots=True)
class StateExited:
    """The state is left for ``next``; without one, its frame has ended with this output."""

    at: float
    frame: int
    name: str
    next: str | None = None
    output: Json = None
    origin: Origin = "value"
    assigned: dict[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class TaskScheduled:
    """An attempt at a task is ordered. Its event id is the attempt's name. ``timeout`` and ``heartbeat`` are seconds."""

    at: float
    frame: int
    resource: str
    arguments: Json = None
    origin: Origin = "value"
    timeout: int | None = None
    heartbeat: int | None = None


@dataclass(frozen=True, slots=True)
class TaskStarted:
    at: float
    frame: int


@dataclass(frozen=True, slots=True)
class TaskSucceeded:
    at: float
    frame: int
    output: Json = None


@dataclass(frozen=True, slots=True)
class TaskFailed:
    at: float
    frame: int
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class TaskTimedOut:
    at: float
    frame: int
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class TaskCancelled:
    """An attempt that was given up is no longer at work. Not shown by AWS."""

    at: float
    attempt: int


@dataclass(frozen=True, slots=True)
class EvaluationFailed:
    """A JSONata expression failed."""

    at: float
    frame: int
    error: str
    cause: str | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class WaitStarted:
    """A Wait state sleeps until ``due``. Not shown by AWS."""

    at: float
    frame: int
    due: float


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """A failed state will be tried again at ``due`` under its Retry member ``retrier``. Not shown by AWS."""

    at: float
    frame: int
    retrier: int
    due: float


@dataclass(frozen=True, slots=True)
class ForkStarted:
    """A Parallel or Map state starts ``total`` branches or iterations, at most ``concurrency`` of them at once."""

    at: float
    frame: int
    total: int
    concurrency: int
    payload: Json = None
    """Parallel: the input of every branch. Map: the array of items."""
    origin: Origin = "value"
    tolerated: int = 0
    """Map: how many iterations may fail."""


@dataclass(frozen=True, slots=True)
class BranchStarted:
    """A branch of Parallel or an iteration of Map starts as a new frame; ``frame`` is the parent."""

    at: float
    frame: int
    index: int
    input: Json = None
    origin: Origin = "value"


@dataclass(frozen=True, slots=True)
class BranchSucceeded:
    at: float
    frame: int


@dataclass(frozen=True, slots=True)
class BranchFailed:
    at: float
    frame: int
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class BranchAborted:
    at: float
    frame: int


@dataclass(frozen=True, slots=True)
class ForkSucceeded:
    at: float
    frame: int


@dataclass(frozen=True, slots=True)
class ForkFailed:
    at: float
    frame: int
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class ExecutionSucceeded:
    at: float


@dataclass(frozen=True, slots=True)
class ExecutionFailed:
    at: float
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class ExecutionAborted:
    at: float
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class ExecutionTimedOut:
    at: float
    error: str | None = None
    cause: str | None = None


Record: TypeAlias = (
    ExecutionStarted
    | StateEntered
    | StateExited
    | TaskScheduled
    | TaskStarted
    | TaskSucceeded
    | TaskFailed
    | TaskTimedOut
    | TaskCancelled
    | EvaluationFailed
    | WaitStarted
    | RetryScheduled
    | ForkStarted
    | BranchStarted
    | BranchSucceeded
    | BranchFailed
    | BranchAborted
    | ForkSucceeded
    | ForkFailed
    | ExecutionSucceeded
    | ExecutionFailed
    | ExecutionAborted
    | ExecutionTimedOut
)

TYPES: Final[dict[str, type[Any]]] = {cls.__name__: cls for cls in Record.__args__}  # type: ignore[attr-defined]

# Per class: its fields that have no default, and those that have one. Reading this once makes encoding three times faster
# than dataclasses.asdict.
_FIELDS: Final = {
    cls: (
        tuple(f.name for f in fields(cls) if f.default is MISSING),
        tuple((f.name, f.default) for f in fields(cls) if f.default is not MISSING),
    )
    for cls in TYPES.values()
}


def _as_object(record: Record) -> dict[str, Json]:
    required, optional = _FIELDS[type(record)]
    body: dict[str, Json] = {"type": type(record).__name__}
    for name in required:
        body[name] = getattr(record, name)
    for name, default in optional:
        value = getattr(record, name)
        # Not `!=`: a payload of 0, False or "" is equal to some defaults, and must be kept.
        if value is not default:
            body[name] = value
    return body


def encode(records: Iterable[Record]) -> bytes:
    """The records of one step as JSON text (UTF-8), format :data:`FORMAT`."""
    bodies = [_as_object(record) for record in records]
    try:
        return orjson.dumps(bodies)
    except TypeError:
        # JSON allows what orjson does not: lone surrogates, and integers beyond 64 bits.
        return json.dumps(bodies, separators=(",", ":"), allow_nan=False).encode()


def decode(text: bytes | str, format: int = FORMAT) -> list[Record]:
    """The records of one journal row. Raises ValueError for a format of a newer nbflow."""
    if format != FORMAT:
        raise ValueError(f"journal format {format} was written by a newer nbflow (this one reads {FORMAT})")
    try:
        bodies = orjson.loads(text)
    except orjson.JSONDecodeError:
        bodies = json.loads(text)
    return [TYPES[body.pop("type")](**body) for body in bodies]
