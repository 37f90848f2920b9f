"""What the panel's two halves say to each other, all in one place.

**State** travels in synced traits, so that every view, also a second one or one after a page reload, has the
whole truth from its model, and nothing depends on whether a message was heard:

``runs``     a list of :class:`RunHead`, in the order of their starts: what does not change while a run goes on
``pictures`` a mapping from a definition's hash to its graph as SVG, drawn before anything has happened
``live``     a mapping from a run's ARN to its :class:`RunLive`: what does
``problem``  why the panel has stopped following, in words; "" while it follows

Between two updates of ``live`` there is a rest that grows with its size (:func:`nbflow.jupyter.live.rest_after`).

**Questions** come from the front end as custom messages, and are answered by custom messages: :class:`Ready` by
:class:`Hello`, :class:`Ask` by :class:`Details` or :class:`Trouble`. :class:`Stop` is answered by the state, or by
:class:`Trouble`. Times are seconds since the epoch, by the kernel's clock.
"""

from typing import Literal, TypeAlias, TypedDict

# --- the state


class RunHead(TypedDict):
    """A row of the panel."""

    run: str
    """The execution's ARN."""
    machine: str
    name: str
    origin: str
    """``forked from NAME at STATE``; empty if it is no fork."""
    picture: str
    """The key of its graph in ``pictures``."""


class Far(TypedDict):
    """How far a task is, as nf.progress says it."""

    done: float
    total: float | None
    text: str


class ItemFar(Far):
    """How far a child of a Map Run is."""

    item: int


class StateLive(TypedDict):
    """A state of the definition, over all its visits."""

    status: str
    """"" while it has not been entered, RUNNING, SUCCEEDED, FAILED, CAUGHT, ABORTED or RETRYING."""
    entered: float | None
    exited: float | None
    visits: int
    running: int
    succeeded: int
    failed: int
    total: int
    """Map and Parallel: iterations or branches of the latest visit; otherwise 0."""
    done: int
    items: str
    """Map and Parallel: a character for each of them: " " not begun, r running, s, f, c or a for how it ended."""
    waits: str
    """What it waits for, outside, as :class:`Visited` says it, of the visit that was last heard of."""
    heard: int
    """How often its tasks that run were heard: where it changes, there is more to show of one of them."""
    far: Far | None
    """Of the one task that runs."""
    left: str
    """How long that task, or a Map, will go on at the pace so far: "about 3 min left"; or ""."""


class RunLive(TypedDict):
    """How a run stands."""

    status: str
    started: float
    stopped: float | None
    error: str
    """Why it did not succeed, in one line for people; if it is interrupted, what is missing here to go on; else ""."""
    failed: str
    """The name of the state that made it fail, or ""."""
    here: bool
    """Whether it goes on in this kernel's process."""
    interrupted: bool
    """Whether nobody goes on with it: its process is no more."""
    now: float
    """When this was written down: the front end learns the difference between the two clocks from it."""
    states: dict[str, StateLive]
    taken: list[tuple[str, str]]
    """The transitions that were taken: source and target."""


# --- from the front end


class Ready(TypedDict):
    """A page has the panel's model now."""

    type: Literal["ready"]


class Ask(TypedDict):
    """What is in a step?"""

    type: Literal["ask"]
    id: int
    run: str
    state: str
    items: dict[str, int]
    """By the name of a Map around the state (or of the state itself): the chosen item."""
    visit: int | None
    """Which of its visits there, from 0; None for the latest."""


class Stop(TypedDict):
    """End the run."""

    type: Literal["stop"]
    id: int
    run: str


Request: TypeAlias = Ready | Ask | Stop


# --- to the front end


class Hello(TypedDict):
    type: Literal["hello"]
    now: float


class MapItem(TypedDict):
    """A Map on the way to the step, outermost first."""

    state: str
    item: int | None
    """The item that the way leads through; None for a Map that is itself the step."""
    items: str
    """As in :class:`StateLive`, of the visit that the way leads through."""


class AttemptMade(TypedDict):
    started: float
    ended: float | None
    error: str
    queued: float
    ran: float | None
    worker: str


class Visited(TypedDict):
    """What is in one visit of a state. Texts are cut at :data:`nbflow.jupyter.details.MOST_TEXT`, with a word."""

    kind: str
    """Task, Map, Choice, …; "" if the state has not been entered there."""
    status: str
    entered: float | None
    exited: float | None
    attempts: list[AttemptMade]
    waits: str
    """What it waits for, outside: a worker, a callback, its job; or ""."""
    retry: float | None
    """When it will be tried again."""
    far: Far | None
    """Of the attempt that runs."""
    fars: list[ItemFar]
    """Of a Map Run that goes on: of some of its children."""
    error: str
    """Name, message and a Python task's traceback."""
    printed: str
    input: str
    output: str


class Details(Visited):
    type: Literal["details"]
    id: int
    run: str
    state: str
    """The state that was asked for; where an item of a Map was asked for, the one that tells of it."""
    path: list[MapItem]
    visit: int
    visits: int


class Trouble(TypedDict):
    """A question without an answer: why, in words."""

    type: Literal["trouble"]
    id: int
    text: str


Answer: TypeAlias = Hello | Details | Trouble
