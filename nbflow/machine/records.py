"""Records: what an execution remembers, in the order in which it was decided.

Each is a small frozen struct. In the journal a record is a JSON object: its class name as ``type`` and the
fields that differ from their defaults. ``frame`` is the thread of control that the record is about; ``at`` is
seconds since the epoch.

``origin`` says where a payload is, so that none is stored twice: ``value`` (in the record itself), ``input``
(the input of the frame's state), ``result`` (the result of its task, branches or iterations), ``item`` (the
Map's item of that index).
"""

import json
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

import msgspec

from nbflow.language.values import Json

Origin: TypeAlias = Literal["value", "input", "result", "item"]

FORMAT: Final = 1
"""The format that :func:`encode` writes; the journal keeps it beside each row. ``decode`` reads every released one."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A state of the top level as it was entered, or is to be."""

    state: str
    input: Json
    variables: dict[str, Json] = {}


class _Record(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Made, written and read several times faster than a frozen dataclass (docs/decisions/0002)."""


class ExecutionStarted(_Record, frozen=True):
    at: float
    input: Json
    context: dict[str, Json]
    entry: Entry | None = None
    """Where a fork begins; any other execution begins at StartAt, with its input."""


class StateEntered(_Record, frozen=True):
    at: float
    frame: int
    name: str


class StateExited(_Record, frozen=True):
    """The state is left for ``next``; without one, its frame has ended with this output."""

    at: float
    frame: int
    name: str
    next: str | None = None
    output: Json = None
    origin: Origin = "value"
    assigned: dict[str, Json] | None = None


class TaskScheduled(_Record, frozen=True):
    """An attempt at a task is ordered. Its event id is the attempt's name. Times are in seconds."""

    at: float
    frame: int
    resource: str
    arguments: Json = None
    origin: Origin = "value"
    timeout: int | None = None
    heartbeat: int | None = None
    credentials: dict[str, Json] | None = None
    """``{"roleArn": …}``, where the state names a role to act in (ASL, "Credentials")."""
    token: str | None = None
    """By which somebody outside ends the attempt: an activity's worker, a callback, a job. Its times are not kept here,
    but beside the token, where heartbeats arrive."""


class TaskStarted(_Record, frozen=True):
    at: float
    frame: int
    worker: str | None = None
    """An activity's: the name that its worker gives itself."""


class TaskSubmitted(_Record, frozen=True):
    """A job has been started, or whoever is to call back has been told."""

    at: float
    frame: int
    output: Json = None


class TaskSucceeded(_Record, frozen=True):
    at: float
    frame: int
    output: Json = None
    worker: str = ""
    """The address of the Dask worker that did it, if one did."""
    queued: float = 0.0
    """Seconds that it waited for its turn, or travelled; 0 also where that was next to nothing."""
    ran: float = 0.0
    """Seconds that it took, by the clock of whoever did it; 0 also where that was next to nothing, or is unknown."""


class TaskFailed(_Record, frozen=True):
    """``worker``, ``queued`` and ``ran`` as in TaskSucceeded."""

    at: float
    frame: int
    error: str | None = None
    cause: str | None = None
    worker: str = ""
    queued: float = 0.0
    ran: float = 0.0


class TaskTimedOut(_Record, frozen=True):
    at: float
    frame: int
    error: str | None = None
    cause: str | None = None


class TaskCancelled(_Record, frozen=True):
    """An attempt that was given up is no longer at work. Not shown by AWS."""

    at: float
    attempt: int


class EvaluationFailed(_Record, frozen=True):
    """A JSONata expression failed."""

    at: float
    frame: int
    error: str
    cause: str | None = None
    location: str | None = None


class WaitStarted(_Record, frozen=True):
    """A Wait state sleeps until ``due``. Not shown by AWS."""

    at: float
    frame: int
    due: float


class RetryScheduled(_Record, frozen=True):
    """A failed state will be tried again at ``due`` under its Retry member ``retrier``. Not shown by AWS."""

    at: float
    frame: int
    retrier: int
    due: float


class ForkStarted(_Record, frozen=True):
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


class MapStarted(_Record, frozen=True):
    """A Distributed Map has its items, if no ItemReader brings them."""

    at: float
    frame: int
    length: int


class MapRunStarted(_Record, frozen=True):
    """A Map Run is ordered. Its event id names it, as TaskScheduled's does an attempt."""

    at: float
    frame: int
    arn: str
    concurrency: int = 0
    """Children at once; 0: as many as there may be."""
    tolerated_count: int | None = None
    tolerated_percentage: float | None = None
    items: Json = None
    origin: Origin = "value"
    reader: Json = None
    """``{"Resource", "Parameters", "ReaderConfig"}``"""
    batcher: Json = None
    """``{"MaxItemsPerBatch", "MaxInputBytesPerBatch", "BatchInput"}``"""
    writer: Json = None
    """``{"Resource", "Parameters", "WriterConfig"}``"""


class MapRunRedriven(_Record, frozen=True):
    """A Map Run that had ended without success goes on, by the plan of its MapRunStarted, as another attempt."""

    at: float
    frame: int
    arn: str


class MapRunSucceeded(_Record, frozen=True):
    at: float
    frame: int
    output: Json = None


class MapRunFailed(_Record, frozen=True):
    at: float
    frame: int
    error: str | None = None
    cause: str | None = None


class BranchStarted(_Record, frozen=True):
    """A branch of Parallel or an iteration of Map starts as a new frame; ``frame`` is the parent."""

    at: float
    frame: int
    index: int
    input: Json = None
    origin: Origin = "value"


class BranchSucceeded(_Record, frozen=True):
    at: float
    frame: int


class BranchFailed(_Record, frozen=True):
    at: float
    frame: int
    error: str | None = None
    cause: str | None = None


class BranchAborted(_Record, frozen=True):
    at: float
    frame: int


class ForkSucceeded(_Record, frozen=True):
    at: float
    frame: int


class ForkFailed(_Record, frozen=True):
    at: float
    frame: int
    error: str | None = None
    cause: str | None = None


class ExecutionRetired(_Record, frozen=True):
    """No further state is to be entered. Not shown by AWS."""

    at: float


class ExecutionSucceeded(_Record, frozen=True):
    at: float


class ExecutionFailed(_Record, frozen=True):
    at: float
    error: str | None = None
    cause: str | None = None


class ExecutionAborted(_Record, frozen=True):
    at: float
    error: str | None = None
    cause: str | None = None


class ExecutionTimedOut(_Record, frozen=True):
    at: float
    error: str | None = None
    cause: str | None = None


class ExecutionRedriven(_Record, frozen=True):
    """The execution goes on where it failed, timed out or was stopped."""

    at: float


class ExecutionOwned(_Record, frozen=True):
    """From this step on, another engine goes on with it: one that does not know of this has lost. Not shown by AWS."""

    at: float
    engine: str


class BranchRedriven(_Record, frozen=True):
    """A branch or iteration that failed or was given up goes on; ``frame`` is its own. Not shown by AWS."""

    at: float
    frame: int


Record: TypeAlias = (
    ExecutionStarted
    | StateEntered
    | StateExited
    | TaskScheduled
    | TaskStarted
    | TaskSubmitted
    | TaskSucceeded
    | TaskFailed
    | TaskTimedOut
    | TaskCancelled
    | EvaluationFailed
    | WaitStarted
    | RetryScheduled
    | ForkStarted
    | MapStarted
    | MapRunStarted
    | MapRunRedriven
    | MapRunSucceeded
    | MapRunFailed
    | BranchStarted
    | BranchSucceeded
    | BranchFailed
    | BranchAborted
    | ForkSucceeded
    | ForkFailed
    | ExecutionRetired
    | ExecutionSucceeded
    | ExecutionFailed
    | ExecutionAborted
    | ExecutionTimedOut
    | ExecutionRedriven
    | ExecutionOwned
    | BranchRedriven
)

EXECUTION_ENDED: Final = (ExecutionSucceeded, ExecutionFailed, ExecutionAborted, ExecutionTimedOut)

_ENCODE: Final = msgspec.json.Encoder().encode
_DECODE: Final = msgspec.json.Decoder(list[Record]).decode


class TooMuchData(Exception):
    """A payload cannot be written down: it is too big, or nested too deeply. Never leaves the machine."""


def encode(record: Record) -> bytes:
    """A record as JSON text (UTF-8), format :data:`FORMAT`. Raises TooMuchData."""
    try:
        return _ENCODE(record)
    except UnicodeEncodeError:
        # A lone surrogate, which JSON text can escape and UTF-8 cannot hold.
        return json.dumps(msgspec.to_builtins(record), separators=(",", ":")).encode()
    except RecursionError as error:
        raise TooMuchData("data that is nested too deeply") from error


def join(encoded: Iterable[bytes]) -> bytes:
    """The text of a journal row: the records of one turn as a JSON array."""
    return b"[" + b",".join(encoded) + b"]"


def decode(text: bytes, format: int = FORMAT) -> list[Record]:
    """The records of one journal row.

    Raises ValueError for a format of a newer nbflow, and msgspec.ValidationError for text that is no list of records.
    """
    if format != FORMAT:
        raise ValueError(f"journal format {format} was written by a newer nbflow (this one reads {FORMAT})")
    try:
        return _DECODE(text)
    except msgspec.DecodeError as error:
        if isinstance(error, msgspec.ValidationError):
            raise
        decoded: list[Record] = msgspec.convert(json.loads(text), list[Record])
        return decoded
