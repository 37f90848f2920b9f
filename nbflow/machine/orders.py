"""Orders: what the world still owes an execution."""

from dataclasses import dataclass
from typing import TypeAlias

from nbflow.language.values import Json


@dataclass(frozen=True, slots=True)
class RunTask:
    """Do one attempt at a task, and answer with TaskSucceeded or TaskFailed under the same attempt id."""

    attempt: int
    state: str
    """The name of the Task state."""
    resource: str
    arguments: Json
    scattered: bool
    """True inside a Map or Parallel: there are siblings that could run at the same time."""
    expected: tuple[str, ...]
    """The error names that the state's Retry and Catch list."""


@dataclass(frozen=True, slots=True)
class CancelTask:
    """Give an attempt up, and say so with Cancelled. Repeated until it is said, also after the execution has ended."""

    attempt: int


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send a Tick at this time (seconds since the epoch), or later."""

    due: float


@dataclass(frozen=True, slots=True)
class GoOn:
    """The step stopped at its bound: send Continue when others have had their turn."""


Order: TypeAlias = RunTask | CancelTask | WakeAt | GoOn
