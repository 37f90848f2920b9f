"""The state of a running execution. Only :mod:`nbflow.machine.evolve` writes to it.

JSON values in it are shared freely (a frame's variables are its parent's dict until it assigns one of its own), so
nobody may change one in place.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from nbflow.language import model
from nbflow.language.values import Json
from nbflow.machine.records import MapRunStarted

Phase: TypeAlias = Literal["READY", "ENTERED", "WAITING", "BACKOFF", "TASK", "FORK", "ENDED"]
"""READY: ``state`` is to be entered. ENTERED: only within a step. WAITING: a Wait state. BACKOFF: before a retry.
TASK: an attempt is under way. FORK: branches or iterations are. ENDED: the parent has not yet taken note."""

Status: TypeAlias = Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"]


@dataclass(slots=True)
class Fork:
    """The branches of a Parallel, or the iterations of a Map, while they run."""

    total: int
    concurrency: int
    payload: Json
    """Parallel: the input of every branch. Map: the items."""
    tolerated: int
    spawn_from: int
    """The event that the next MapIterationStarted points back to."""
    spawned: int = 0
    live: dict[int, None] = field(default_factory=dict)
    """Ids of the frames that have not ended, in the order of their start (a dict, for its order)."""
    pending: list[int] = field(default_factory=list)
    """Ids of the frames that have ended or failed, and that the parent has yet to take note of."""
    lost: list[int] = field(default_factory=list)
    """Ids of the frames that failed within what is tolerated, or were aborted: a redrive takes them up again."""
    again: list[int] = field(default_factory=list)
    """After a redrive: ids of the frames that are still to be taken up again. The last one is the next."""
    results: dict[int, Json] = field(default_factory=dict)
    failed: int = 0

    @property
    def room(self) -> bool:
        """Whether another branch may start, or be taken up again, now."""
        if self.pending or len(self.live) >= self.concurrency:
            return False
        return self.spawned < self.total or bool(self.again)

    @property
    def over(self) -> bool:
        """Whether all branches have started and none is under way."""
        return not self.live and self.spawned == self.total and not self.again


@dataclass(slots=True)
class Frame:
    """One thread of control."""

    id: int
    parent: int | None
    index: int
    """Which branch or iteration of the parent's state it is."""
    branch: model.Branch = field(compare=False, repr=False)
    """The states that it runs through."""
    state: str
    """The present state; in READY, the one to enter."""
    data: Json
    """The input of the present state. After the last state, the frame's output."""
    variables: dict[str, Json]
    last: int
    """The id of its latest event."""
    phase: Phase = "READY"
    before: int = 0
    """The id of its latest event before the present state was entered."""
    entered: int = 0
    """The id of the present state's StateEntered event."""
    entered_at: float = 0.0
    due: float | None = None
    """When the wait, the backoff or the attempt's time ends."""
    attempt: int | None = None
    arguments: Json = None
    resource: str = ""
    token: str | None = None
    """Of the attempt that is under way, where somebody outside ends it."""
    limits: tuple[int | None, int | None] = (None, None)
    """TimeoutSeconds and HeartbeatSeconds of an attempt that has a token."""
    started: bool = False
    """Whether the attempt has been taken on."""
    submitted: bool = False
    """Whether a job has been started for it, or somebody told to call back."""
    result: Json = None
    retries: dict[int, int] = field(default_factory=dict)
    """Retries so far in this state, by index of the Retry member."""
    fork: Fork | None = None
    map_run: MapRunStarted | None = None
    """The plan of the Map Run that is under way (an attempt like a task's)."""
    unfinished: MapRunStarted | None = None
    """The plan of the state's Map Run that has ended without success: a redrive goes on with it."""
    map_redrives: int = 0
    """How often the Map Run has been redriven."""
    item: Json = None
    """Map iterations: the item, for ``$$.Map.Item``."""
    error: str | None = None
    """With what the frame has failed; ``cause`` likewise."""
    cause: str | None = None

    @property
    def current(self) -> model.AnyState:
        return self.branch.states[self.state]


@dataclass(slots=True)
class Run:
    """An execution: its frames, and what the world still owes it."""

    definition: model.StateMachine = field(compare=False, repr=False)
    status: Status = "PENDING"
    input: Json = None
    context: dict[str, Json] = field(default_factory=dict)
    started_at: float = 0.0
    limited: bool = False
    """Whether AWS's quotas hold for it: 256 KiB for a payload, 25,000 events."""
    retired: bool = False
    """Whether it ends before its next state."""
    deadline: float | None = None
    last_event: int = 0
    next_frame: int = 0
    frames: dict[int, Frame] = field(default_factory=dict)
    lost: dict[int, Frame] = field(default_factory=dict)
    """Frames that failed or were given up, as they were then, with all below them. They are kept until the state
    around them is left, for a redrive."""
    ready: OrderedDict[int, None] = field(default_factory=OrderedDict)
    """Ids of the frames that can move, in turn. (A plain dict would be slow at its head, where this queue is read.)"""
    dues: list[tuple[float, int]] = field(default_factory=list)
    """A heap of times and frames: what a Tick looks at. Its first entry is always one that still holds."""
    attempts: dict[int, int] = field(default_factory=dict)
    """The frame of each attempt that is under way."""
    cancelling: dict[int, None] = field(default_factory=dict)
    """Attempts that were given up and have not been reported Cancelled."""
    output: Json = None
    error: str | None = None
    cause: str | None = None
    stopped_at: float | None = None
    redrives: int = 0
    redriven_at: float | None = None
    """When it was last redriven."""

    @property
    def next_due(self) -> float | None:
        """The earliest time at which something is to happen by itself."""
        first = self.dues[0][0] if self.dues else None
        if first is None or self.deadline is None:
            return first if self.deadline is None else self.deadline
        return min(first, self.deadline)

    @property
    def ended(self) -> bool:
        return self.status not in ("PENDING", "RUNNING")

    @property
    def redrivable(self) -> bool:
        """Whether it has ended without success, and there is something to go on with."""
        return self.ended and bool(self.lost)
