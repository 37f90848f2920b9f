"""Facts: what happened in the world, as the shell tells it to the machine."""

from dataclasses import dataclass
from typing import TypeAlias

from nbflow.language.values import Json


@dataclass(frozen=True, slots=True)
class Start:
    """The execution begins."""

    input: Json
    context: dict[str, Json]
    """The unchanging members of the context object: ``Execution`` without Input, and ``StateMachine``."""


@dataclass(frozen=True, slots=True)
class TaskSucceeded:
    """An attempt at a task has its result."""

    attempt: int
    output: Json


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """An attempt at a task has failed."""

    attempt: int
    error: str | None
    cause: str | None


@dataclass(frozen=True, slots=True)
class Cancelled:
    """An attempt that the machine gave up is no longer at work."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: whatever is due at ``now`` acts."""


@dataclass(frozen=True, slots=True)
class Continue:
    """Go on with a step that stopped at its bound."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Someone ends the execution (StopExecution)."""

    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Fail:
    """The shell cannot go on with the execution."""

    error: str
    cause: str


Fact: TypeAlias = Start | TaskSucceeded | TaskFailed | Cancelled | Tick | Continue | Stop | Fail
