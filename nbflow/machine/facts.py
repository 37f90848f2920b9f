"""Facts: what happened in the world, as the shell tells it to the machine."""

from typing import TypeAlias

from msgspec import Struct

from nbflow.language.values import Json


class Start(Struct, frozen=True):
    """The execution begins."""

    input: Json
    context: dict[str, Json]
    """The unchanging members of the context object: ``Execution`` without Input, and ``StateMachine``.

    ``Express`` beside them, if true, says of which type the execution is.
    """


class TaskSucceeded(Struct, frozen=True):
    """An attempt at a task has its result."""

    attempt: int
    output: Json


class TaskFailed(Struct, frozen=True):
    """An attempt at a task has failed."""

    attempt: int
    error: str | None
    cause: str | None


class Cancelled(Struct, frozen=True):
    """An attempt that the machine gave up is no longer at work."""

    attempt: int


class Tick(Struct, frozen=True):
    """Time has passed: whatever is due at ``now`` acts."""


class Continue(Struct, frozen=True):
    """Go on with a step that stopped at its bound."""


class Stop(Struct, frozen=True):
    """Someone ends the execution (StopExecution)."""

    error: str | None = None
    cause: str | None = None


class Redrive(Struct, frozen=True):
    """Someone goes on with an execution that has failed, timed out or been stopped (RedriveExecution)."""


class Fail(Struct, frozen=True):
    """The shell cannot go on with the execution."""

    error: str
    cause: str


Fact: TypeAlias = Start | TaskSucceeded | TaskFailed | Cancelled | Tick | Continue | Stop | Redrive | Fail
