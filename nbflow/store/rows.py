"""The rows of a store, as frozen values; and :class:`Append`, what a step writes.

Times are seconds since the epoch (UTC) as floats. JSON columns hold JSON *text*, into which the store never looks. An
execution is named by its ARN everywhere; the store's own integer ids only serve paging.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias


@dataclass(frozen=True, slots=True)
class MachineRow:
    """A state machine as it is now (AWS, DescribeStateMachine)."""

    arn: str
    name: str
    type: str
    """``STANDARD`` or ``EXPRESS``."""
    role_arn: str
    definition: str
    """The :func:`digest` of the definition's text."""
    created_at: float
    """Kept from the first time that the machine was added."""
    updated_at: float
    revision_id: str
    options: str
    """JSON text: whatever else belongs to the machine (logging, tracing, encryption, …)."""
    status: str = "ACTIVE"
    """``ACTIVE`` or ``DELETING``."""
    published: int = 0
    """The number of the latest version: numbers are never used twice. Only ``publish`` changes it."""


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version: what its machine was when it was published (AWS, PublishStateMachineVersion)."""

    arn: str
    machine_arn: str
    number: int
    revision_id: str
    definition: str
    """The :func:`digest` of the definition's text."""
    role_arn: str
    options: str
    description: str | None
    created_at: float
    updated_at: float
    """When the machine was last changed before."""


@dataclass(frozen=True, slots=True)
class AliasRow:
    """A name for one or two versions of a machine (AWS, CreateStateMachineAlias)."""

    arn: str
    machine_arn: str
    name: str
    description: str | None
    routing: str
    """JSON text: AWS's routingConfiguration."""
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class ActivityRow:
    """A queue that workers take tasks from (AWS, CreateActivity)."""

    arn: str
    name: str
    options: str
    """JSON text: its encryption."""
    created_at: float


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """An execution as a whole (AWS, DescribeExecution)."""

    arn: str
    name: str
    machine_arn: str
    definition: str
    """The :func:`digest` of the definition that it runs, whatever becomes of the machine."""
    status: str
    input: str
    """JSON text."""
    started_at: float
    output: str | None = None
    """JSON text, once it has succeeded."""
    error: str | None = None
    cause: str | None = None
    stopped_at: float | None = None
    bindings: str | None = None
    """JSON text: what the names of its tasks were bound to when it started, or was last redriven."""
    version_arn: str | None = None
    """The version that it was started on, directly or by an alias."""
    alias_arn: str | None = None
    revision: str | None = None
    """JSON text: what its machine was when it started (revision, role, logging, …), and its trace header."""
    parent_token: str | None = None
    """The token of the task that waits for its end, in another execution."""
    map_run_arn: str | None = None
    """The Map Run that it is a child of."""
    redrive_count: int = 0
    redrive_date: float | None = None
    """When it was last redriven."""
    redrive_tokens: str | None = None
    """JSON text: the latest client tokens of redrives, each with its time."""
    owner: str | None = None
    """The engine that owes it something: its next step, or the cancels of its end. See :class:`Ownership`."""
    directory: str | None = None
    """Where its tasks run."""
    asleep_until: float | None = None
    """When it is due, if it has left its owner's memory until then; infinity: when somebody tells it something."""
    forked_from: str | None = None
    """The ARN of the execution that it goes on from at one of its states."""
    item: int | None = None
    """Of a Map Run's child, which one it is: 0, 1, 2, …"""
    id: int = 0
    """Set by the store: grows in the order of opening; the ``before`` of paging."""
    steps: int = 0
    """Set by the store: how many steps its journal holds."""


@dataclass(frozen=True, slots=True)
class EngineRow:
    """An engine that runs executions on the store, and the process that it lives in."""

    id: str
    host: str
    """Which machine, since which start of it, and which of its namespaces of process ids."""
    pid: int
    born: float
    """When the process began: the same pid may be another's later."""


@dataclass(frozen=True, slots=True)
class CodeRow:
    """What does a task, for whoever goes on with the execution."""

    sha256: str
    kind: str
    name: str
    content: bytes
    about: str
    """JSON text: whatever else is known of it."""


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One step of an execution."""

    step: int
    format: int
    """The version of the encoding of ``records``."""
    first_event: int
    """The id of the first history event of this step (AWS, HistoryEvent.id)."""
    at: float
    records: bytes
    """JSON text in UTF-8."""


@dataclass(frozen=True, slots=True)
class ArtifactRow:
    """A value that lies on the shelf (:mod:`nbflow.artifacts`); only what is in this table may be loaded."""

    sha256: str
    kind: str
    bytes: int
    rows: int | None
    columns: int | None
    file: str
    """Where it lies, relative to the shelf."""
    preview: str | None
    """JSON text: the first rows, the dtypes, …"""
    made_at: float
    touched_at: float
    """When it was last made or passed on; collection spares what is young."""


@dataclass(frozen=True, slots=True)
class LogRow:
    """What one attempt of a task printed. Written again, the later text stands."""

    attempt: int
    text: str


TokenState: TypeAlias = Literal["queued", "open", "closed"]
"""queued: an activity's task that no worker has taken. open: somebody may end it. closed: it has ended."""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A task that somebody outside ends by its token. The row decides who does: whoever closes it."""

    token: str
    execution: str
    """The ARN."""
    attempt: int
    state: TokenState
    activity: str | None = None
    """The ARN of the activity whose workers may take it."""
    input: str | None = None
    """JSON text: what a worker is given; nothing once it is closed."""
    timeout: int | None = None
    """Seconds from its start on (of an activity's task, from when a worker takes it)."""
    heartbeat: int | None = None
    """Seconds between two signs of life."""
    due: float | None = None
    """When it has timed out."""
    heartbeat_due: float | None = None


@dataclass(frozen=True, slots=True)
class InboxRow:
    """A fact that has reached the store from outside, and that its execution has yet to take in."""

    id: int
    """Grows in the order of arrival."""
    execution: str
    """The ARN."""
    attempt: int | None
    """Which of its attempts the fact is about, if it is about one."""
    fact: str
    """JSON text."""
    ended: bool = False
    """Whether the execution has ended: nobody waits for the fact, unless its end still owes something."""
    owner: str | None = None
    """Of the execution."""


@dataclass(frozen=True, slots=True)
class MapRunRow:
    """A Map Run (AWS, DescribeMapRun)."""

    arn: str
    execution: str
    """The ARN of the execution whose Map it is."""
    attempt: int
    """Which of its attempts."""
    status: str
    """``RUNNING``, ``SUCCEEDED``, ``FAILED`` or ``ABORTED``."""
    started_at: float
    max_concurrency: int
    """0: no limit."""
    tolerated_count: int | None
    """How many items may fail; None where that is not said, which alone means none."""
    tolerated_percentage: float | None
    """The same as a share of all items."""
    stopped_at: float | None = None
    counts: str | None = None
    """JSON text: how many children there were, by status, and how many items; once it has ended."""
    redrive_count: int = 0
    redrive_date: float | None = None
    """When it was last redriven."""


PartKind: TypeAlias = Literal["chunk", "batch", "again"]
"""What is kept of a Map Run in numbered parts: inputs of its children, ends of EXPRESS ones, what a redrive is to take
up again (its number is the redrive's)."""


class ChildStatus(NamedTuple):
    """How a child of a Map Run is."""

    item: int
    """Which one it is."""
    status: str
    redrive_count: int


@dataclass(frozen=True, slots=True)
class Settled:
    """The end of a task that has a token, as a fact for the inbox; the row of the token knows the attempt."""

    token: str
    fact: str
    """JSON text."""


@dataclass(frozen=True, slots=True)
class Closing:
    """What changes in the execution's row when it ends."""

    status: str
    output: str | None = None
    error: str | None = None
    cause: str | None = None
    stopped_at: float | None = None


@dataclass(frozen=True, slots=True)
class Redriving:
    """What changes in the execution's row when it is redriven. It is RUNNING again; how it had ended is forgotten."""

    redrive_count: int
    redrive_date: float
    redrive_tokens: str | None = None
    bindings: str | None = None
    owner: str | None = None
    directory: str | None = None


@dataclass(frozen=True, slots=True)
class Append:
    """One step, with everything that becomes true with it; whole or not at all."""

    execution: str
    """The ARN."""
    step: int
    """0, 1, 2, …: unique in its execution."""
    first_event: int
    at: float
    records: bytes
    """JSON text in UTF-8."""
    format: int = 1
    opened: ExecutionRow | None = None
    """With the first step: the new execution (``id`` and ``steps`` are not read)."""
    redriven: Redriving | None = None
    closed: Closing | None = None
    """It may be redriven and end again within one step."""
    released: bool = False
    """Nothing is owed to the execution any more: nobody owns it from now on."""
    codes: tuple[CodeRow, ...] = ()
    """What does its tasks; those that are there already stay."""
    logs: tuple[LogRow, ...] = ()
    artifacts: tuple[ArtifactRow, ...] = ()
    """Those that exist already are touched: they keep everything but ``touched_at``."""
    tokens: tuple[TokenRow, ...] = ()
    """Those that this step has made."""
    closed_tokens: tuple[str, ...] = ()
    """Nobody outside may end these tasks any more."""
    consumed: tuple[int, ...] = ()
    """Ids of the inbox rows that this step has taken in; another engine that has taken one in is a collision."""
    map_runs: tuple[MapRunRow, ...] = ()
    """Those that begin, go on or end with this step, as by ``put_map_run``."""
    settled: tuple[Settled, ...] = ()
    """Tasks of other executions that end with this step, where they still wait for it."""
    told: tuple[Settled, ...] = ()
    """What such tasks are told by this step, and go on: it is in their inbox before their end is."""
