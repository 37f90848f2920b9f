"""Facts: what happened in the world, as the shell tells it to the machine."""

import json
from typing import Final, TypeAlias

import msgspec

from nbflow.language.values import Json
from nbflow.machine.records import Entry


class _Fact(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Those that come from another process travel as JSON text."""


class Start(_Fact, frozen=True):
    """The execution begins."""

    input: Json
    context: dict[str, Json]
    """The unchanging members of the context object: ``Execution`` without Input, and ``StateMachine``.

    ``Express`` beside them, if true, says of which type the execution is.
    """
    entry: Entry | None = None
    """Where it begins, if not at StartAt with its input: it is a fork of another execution."""


class TaskStarted(_Fact, frozen=True):
    """A worker has taken an attempt at an activity."""

    attempt: int
    worker: str | None = None


class TaskSubmitted(_Fact, frozen=True):
    """A job has been started, or whoever is to call back has been told."""

    attempt: int
    output: Json = None


class TaskSucceeded(_Fact, frozen=True):
    """An attempt at a task has its result."""

    attempt: int
    output: Json
    worker: str = ""
    queued: float = 0.0
    ran: float = 0.0


class TaskFailed(_Fact, frozen=True):
    """An attempt at a task has failed."""

    attempt: int
    error: str | None
    cause: str | None
    worker: str = ""
    queued: float = 0.0
    ran: float = 0.0


class TaskTimedOut(_Fact, frozen=True):
    """Nobody has ended an attempt that has a token, within its time or its heartbeat's."""

    attempt: int
    heartbeat: bool = False
    """It is the heartbeat that stayed away."""


class Cancelled(_Fact, frozen=True):
    """An attempt that the machine gave up is no longer at work."""

    attempt: int


class Tick(_Fact, frozen=True):
    """Time has passed: whatever is due at ``now`` acts."""


class Continue(_Fact, frozen=True):
    """Go on with a step that stopped at its bound."""


class Stop(_Fact, frozen=True):
    """Someone ends the execution (StopExecution)."""

    error: str | None = None
    cause: str | None = None


class Retire(_Fact, frozen=True):
    """Its state machine is deleted: the execution ends when it would enter its next state."""


class Redrive(_Fact, frozen=True):
    """Someone goes on with an execution that has failed, timed out or been stopped (RedriveExecution)."""


class Owned(_Fact, frozen=True):
    """Another engine has taken the execution over, and is to do whatever is outstanding."""

    engine: str


class Fail(_Fact, frozen=True):
    """The shell cannot go on with the execution."""

    error: str
    cause: str


Fact: TypeAlias = (
    Start
    | TaskStarted
    | TaskSubmitted
    | TaskSucceeded
    | TaskFailed
    | TaskTimedOut
    | Cancelled
    | Tick
    | Continue
    | Stop
    | Retire
    | Redrive
    | Owned
    | Fail
)

_DECODER: Final = msgspec.json.Decoder(Fact)


def encode(fact: Fact) -> str:
    """The fact as JSON text."""
    try:
        return msgspec.json.encode(fact).decode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON text can escape and UTF-8 cannot hold
        return json.dumps(msgspec.to_builtins(fact), separators=(",", ":"))


def decode(text: str) -> Fact:
    """The fact that :func:`encode` has written. Raises msgspec.DecodeError for any other text."""
    try:
        fact: Fact = _DECODER.decode(text)
    except msgspec.DecodeError as error:
        if isinstance(error, msgspec.ValidationError) or "\\u" not in text:
            raise
        fact = msgspec.convert(json.loads(text), Fact)
    return fact
