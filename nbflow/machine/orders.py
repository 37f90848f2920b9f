"""Orders: what the world still owes an execution."""

from typing import TypeAlias

from msgspec import Struct

from nbflow.language import model
from nbflow.language.values import Json
from nbflow.machine.records import MapRunStarted


class RunTask(Struct, frozen=True):
    """Do one attempt at a task, and answer with TaskSucceeded or TaskFailed under the same attempt id."""

    attempt: int
    state: str
    """The name of the Task state."""
    resource: str
    arguments: Json
    scattered: bool
    """True inside a Map or Parallel: there are siblings that could run at the same time."""
    expected: tuple[str, ...]
    """The error names that Retry and Catch list, of the state and of the Maps and Parallels around it."""
    token: str | None = None
    """Somebody outside ends the attempt by this token. What is done here only submits it (of an activity: nothing)."""
    timeout: int | None = None
    """Seconds, from its start on; only where there is a token."""
    heartbeat: int | None = None
    """Seconds between two signs of life; only where there is a token."""
    submitted: bool = False
    """What is done here has been done."""


class RunMap(Struct, frozen=True):
    """Do a Map Run: read the items, run a child for each, and answer with TaskSucceeded or TaskFailed.

    Of one that has been at work before, the children are there already: those that run go on, and those that have
    ended stay, but that each redrive takes up once more those that did not succeed.
    """

    attempt: int
    name: str
    """The name of the Map state."""
    state: model.Map
    plan: MapRunStarted
    items: Json
    """An array, an object or the reference of a value, if the plan has no reader."""
    input: Json
    """The state's raw input, and below its variables and context object: what ItemSelector sees."""
    variables: dict[str, Json]
    context: dict[str, Json]
    redrives: int = 0
    """How often the run has been redriven."""


class CancelTask(Struct, frozen=True):
    """Give an attempt up, and say so with Cancelled. Repeated until it is said, also after the execution has ended."""

    attempt: int


class WakeAt(Struct, frozen=True):
    """Send a Tick at this time (seconds since the epoch), or later."""

    due: float


class GoOn(Struct, frozen=True):
    """The step stopped at its bound: send Continue when others have had their turn."""


Order: TypeAlias = RunTask | RunMap | CancelTask | WakeAt | GoOn
