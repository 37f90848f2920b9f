"""An execution in the engine's memory, and what a turn decided for it."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

from nbflow.artifacts.shelf import Artifact
from nbflow.errors import NbflowError
from nbflow.machine import Machine, facts, orders
from nbflow.machine.records import Record
from nbflow.pools.port import Pool
from nbflow.store.rows import Append, Closing, ExecutionRow, MapRunRow
from nbflow.tasks.job import Code, Outcome

Script: TypeAlias = Callable[[str], Outcome | None]
"""Asked before a pool, with the name of a Task state: what comes of this attempt, or None to really do it.

The outcome's execution and attempt are not read.
"""


class EngineError(NbflowError):
    """The engine could not go on with an execution; what it had recorded is unharmed."""


class AlreadyExists(NbflowError):
    """An execution of this ARN is in the store already."""


class NothingToRedrive(EngineError):
    """The execution failed before it began."""


class Arrival(NamedTuple):
    """A fact with what is to be recorded beside it."""

    fact: facts.Fact
    outcome: Outcome | None = None
    at: float = 0.0
    """A timer's time: the step's time is not before it, even if the clock has been set back."""
    inbox: int | None = None
    """The inbox row that it came by."""
    map_run: MapRunRow | None = None
    """The Map Run that it ends."""
    token: str | None = None
    """It is to end a task that has this token, which others may end too: it goes by the inbox."""
    redrive: "Live | None" = None
    """With Redrive: the execution as its journal tells of it, with what does its tasks from now on."""


def promise() -> Future[None]:
    """A future that whoever waits for it cannot cancel: others may wait too."""
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()
    return future


def tokens_of(machine: Machine) -> dict[int, str]:
    """The tokens of the attempts under way that others end."""
    owed = [order for order in machine.outstanding() if isinstance(order, orders.RunTask)]
    return {order.attempt: order.token for order in owed if order.token is not None}


@dataclass(slots=True)
class Live:
    """An execution that has not ended, or whose end still owes a cancel."""

    row: ExecutionRow
    machine: Machine
    codes: Mapping[str, Code]
    """The code of each task, by the resource that names it."""
    directory: str
    brought: Sequence[Artifact] = ()
    """Artifacts that the input refers to, to be recorded with the first step."""
    script: Script | None = None
    kept: bool = True
    """Whether the store remembers it. An Express execution lives in memory only."""
    step: int = 0
    ending: bool = False
    """It was adopted in order to be ended: whoever asked for that, ends what it has left running."""
    mailbox: deque[Arrival] = field(default_factory=deque)
    wake: float | None = None
    """The earliest of its timers."""
    submitted: set[int] = field(default_factory=set)
    """Attempts that a pool has, and has not answered."""
    tokens: dict[int, str] = field(init=False)
    """Of the attempts under way that others end."""
    failed: dict[int, Outcome] = field(default_factory=dict)
    """Of such attempts, how their submission failed: what they printed is kept with the end that the inbox tells."""
    unheard: list[int] = field(default_factory=list)
    """Inbox rows that have changed nothing, and are to be deleted."""
    refusals: int = 0
    """How often in a row the store has refused its next step. Until it takes it, nothing more is decided."""
    started: Future[None] = field(default_factory=promise)
    """Done when its first step is durable, or that by which it is redriven."""
    ended: Future[None] = field(default_factory=promise)
    """Done when its end is durable."""
    gone: list[Callable[[], None]] = field(default_factory=list)
    """To be done when nothing more is owed to it, or the engine has forgotten it."""
    made: list[Artifact] = field(default_factory=list)
    """What its tasks have put on the shelf, if it is not kept: who has started it, may want to keep that."""
    printed: list[str] = field(default_factory=list)
    """What they have printed, if it is not kept."""
    nests: bool = field(init=False)
    """Whether its tasks may have started other executions."""

    def __post_init__(self) -> None:
        self.tokens = tokens_of(self.machine)
        self.nests = any(code.kind == "nested" for code in self.codes.values())


class Scripted(NamedTuple):
    """A task whose script has answered."""

    order: orders.RunTask
    outcome: Outcome


Owed: TypeAlias = orders.Order | Scripted


class Decided(NamedTuple):
    """What one turn decided for one execution."""

    live: Live
    records: list[Record]
    orders: deque[Owed]
    append: Append
    artifacts: tuple[Artifact, ...]
    """What the append records as made."""
    wake: float | None
    """When the execution is to be woken."""


class Nesting(Pool, Protocol):
    """What starts other executions for a task, and tells a task of the one that it waits for."""

    def begun(self, row: ExecutionRow) -> facts.Fact:
        """What the begin of an execution means to the task that waits for its end (``row.parent_token``)."""
        ...

    def report(self, row: ExecutionRow, closing: Closing) -> facts.Fact:
        """What the end of an execution means to the task that waits for it (``row.parent_token``)."""
        ...
