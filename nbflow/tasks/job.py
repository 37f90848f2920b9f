"""What travels to a pool and back: named tuples, since thousands are made in a second."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from nbflow.artifacts.shelf import Artifact, Shelf
from nbflow.language.values import Json

Kind: TypeAlias = Literal["function", "notebook", "nested", "express"]
"""nested: another execution, which the front desk starts; its name is the Resource, and it has no content. express: a
child of a Map Run, which is done whole (:mod:`nbflow.tasks.child`)."""
Place: TypeAlias = Literal["", "dask", "local"]


@dataclass(frozen=True, slots=True)
class Code:
    """A task's code, pinned by content when the execution started."""

    kind: Kind
    name: str
    """For people: the function's or the notebook's name."""
    sha256: str
    """Of the content: what workers cache it by."""
    content: bytes = field(repr=False)
    """A function: its cloudpickle. A notebook: its JSON text."""
    keywords: bool = False
    """A function: takes the members of the arguments as keywords (``nf.task``), not the arguments as one value."""
    path: str = ""
    """Where it was read from, for people; a notebook runs in this file's folder."""
    sources: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """A function: the text of the cells that it comes from, by their file names, for tracebacks."""
    source: str = field(default="", repr=False)
    """A function: its text as it was, for people."""
    on: Place = ""
    """Where it wants to run; by default on Dask inside a Map or Parallel, else in the starter's process."""
    returns: str = ""
    """What its result has to be, since the definition relies on it: number, string, boolean, array, array[2] (of two)
    or dataframe."""
    resources: tuple[tuple[str, float], ...] = ()
    """What a Dask worker must have for each attempt, and how much of it is taken, such as ("GPU", 1)."""
    concurrency: int = 0
    """How many attempts may be under way at once, over all executions of an engine; 0: as many as there is room for."""
    python: str = ""
    """A function: the version of Python that has pickled it, such as 3.11. Another cannot read its byte code."""
    kin: str = ""
    """Codes that do the same have the same, where their contents differ: how long one takes, is known of all."""


class Job(NamedTuple):
    """One attempt at a task."""

    execution: str
    attempt: int
    code: Code
    arguments: Json
    shelf: Shelf
    known: Mapping[str, Artifact] = {}  # nobody writes to it
    """The artifacts that the arguments refer to, by hash: only these are loaded."""
    expected: tuple[str, ...] = ()
    """The error names that Retry and Catch list, of the state and of those around it: an exception is reported by the
    first of its classes among them."""
    directory: str = ""
    """The starter's working directory."""
    enveloped: bool = False
    """Answer as Lambda does to an invocation (``lambda:invoke``)."""
    token: str | None = None
    """By which somebody else will end the task: doing the job only submits it."""


class Outcome(NamedTuple):
    """How the attempt went. ``error`` is None when it succeeded."""

    execution: str
    attempt: int
    output: Json = None
    error: str | None = None
    cause: str | None = None
    artifacts: tuple[Artifact, ...] = ()
    """What it put on the shelf, to be recorded together with the output."""
    log: str = ""
    """What it printed."""
    seconds: float = 0.0
    """How long it took, by the clock of whoever did it."""
    worker: str = ""
    """The address of the Dask worker that did it; "" for a thread here."""
    queued: float = 0.0
    """Seconds that it was under way and nobody was at it: it waited for its turn, or travelled."""
