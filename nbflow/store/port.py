"""The contract of a store: the protocol :class:`Store`, in parts, and its error. Its rows are in ``rows``."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Protocol

from nbflow.errors import NbflowError
from nbflow.store.rows import (
    ActivityRow,
    AliasRow,
    Append,
    ArtifactRow,
    ChildStatus,
    CodeRow,
    EngineRow,
    ExecutionRow,
    InboxRow,
    JournalRow,
    MachineRow,
    MapRunRow,
    PartKind,
    Settled,
    TokenRow,
    VersionRow,
)
from nbflow.store.where import Condition


class StoreError(NbflowError):
    """The store cannot do what was asked: says which database, what is wrong and what to do."""


def digest(definition: str) -> str:
    """The key under which a definition's text is stored: the SHA-256 of its UTF-8 bytes, in hex."""
    return sha256(definition.encode()).hexdigest()


class Registry(Protocol):
    """The names that a store knows: machines with their versions and aliases, activities, tags."""

    def add_machine(self, row: MachineRow, definition: str) -> None:
        """Inserts the machine, or updates all but ``created_at`` of the one with this ARN.

        The definition's text is stored once, under ``row.definition``, which must be its :func:`digest`.
        """
        ...

    def machine(self, arn: str) -> MachineRow | None:
        """The machine with this ARN."""
        ...

    def machines(self) -> list[MachineRow]:
        """All machines in the order of their creation."""
        ...

    def definition(self, sha256: str) -> str:
        """The text of a definition that was added with a machine; StoreError if it was not."""
        ...

    def set_machine_status(self, arn: str, status: str) -> None:
        """Nothing happens to a machine that there is not."""
        ...

    def delete_machine(self, arn: str) -> None:
        """The machine with its versions, aliases and tags. Its executions and their definitions stay."""
        ...

    def publish(self, machine_arn: str, description: str | None, now: float) -> VersionRow:
        """The version of the machine's present revision; a new one, with the next number, if there is none yet.

        StoreError if there is no such machine.
        """
        ...

    def version(self, arn: str) -> VersionRow | None:
        """The version with this ARN."""
        ...

    def versions(self, machine_arn: str) -> list[VersionRow]:
        """All versions of a machine, newest first."""
        ...

    def delete_version(self, arn: str) -> None:
        """Nothing happens if there is none."""
        ...

    def put_alias(self, row: AliasRow) -> None:
        """Inserts the alias, or updates all but ``created_at`` of the one with this ARN."""
        ...

    def alias(self, arn: str) -> AliasRow | None:
        """The alias with this ARN."""
        ...

    def aliases(self, machine_arn: str) -> list[AliasRow]:
        """All aliases of a machine in the order of their creation."""
        ...

    def delete_alias(self, arn: str) -> bool:
        """Whether there was one."""
        ...

    def add_activity(self, row: ActivityRow) -> ActivityRow:
        """The activity with this ARN: this one, if there was none."""
        ...

    def activity(self, arn: str) -> ActivityRow | None:
        """The activity with this ARN."""
        ...

    def activities(self) -> list[ActivityRow]:
        """All activities in the order of their creation."""
        ...

    def delete_activity(self, arn: str) -> None:
        """The activity with its tags. Nothing happens if there is none."""
        ...

    def tags(self, resource: str) -> dict[str, str]:
        """What a resource (an ARN) is tagged with, by key, in the order of the keys."""
        ...

    def put_tags(self, resource: str, tags: Mapping[str, str]) -> None:
        """Adds tags, or replaces the values of those that are there."""
        ...

    def delete_tags(self, resource: str, keys: Collection[str]) -> None:
        """Those that are not there do not matter."""
        ...


class Tokens(Protocol):
    """Tasks that somebody outside ends, and the inbox of what those outside have said."""

    def token(self, token: str) -> TokenRow | None:
        """The task of this token."""
        ...

    def settle(self, settled: Settled) -> bool:
        """Close an open token, and put the fact into the inbox. False: it was not open, and nothing is written."""
        ...

    def expire(self, settled: Settled, now: float) -> bool:
        """The same, if at ``now`` its time or its heartbeat is over."""
        ...

    def beat(self, token: str, now: float) -> bool:
        """A sign of life: its heartbeat is due anew. False: the token is not open."""
        ...

    def queued(self) -> dict[str, int]:
        """How many tasks wait for a worker, by the ARN of their activity."""
        ...

    def claim(self, activity: str, now: float, fact: str) -> TokenRow | None:
        """Give the activity's oldest queued task to one worker, and tell its execution by the fact (JSON text).

        When this returns, the claim is committed. None: no task waits.
        """
        ...

    def tell(self, execution: str, fact: str) -> None:
        """Put a fact (JSON text) that is about no attempt into the inbox of an execution, if it runs."""
        ...

    def children(self, execution: str, attempt: int | None = None) -> list[str]:
        """The ARNs of the executions whose ends this attempt waits for, or has waited for; or any of the execution."""
        ...

    def inbox(self, after: int = 0) -> list[InboxRow]:
        """What has arrived with an id greater than ``after``."""
        ...

    def inbox_of(self, execution: str) -> list[InboxRow]:
        """All that has arrived for an execution and that it has not taken in."""
        ...

    def forget(self, ids: Collection[int]) -> None:
        """Delete inbox rows that nobody waits for."""
        ...

    def forget_unheard(self, steps: Mapping[int, int]) -> None:
        """Delete inbox rows, by id, that have changed nothing in an execution of so many steps.

        If it has more by now, the row stays: another engine has gone on with it, and to that one it may mean something.
        """
        ...

    def changes(self) -> int:
        """A number that grows when anybody puts something into the inbox, or makes a token that a worker may take.

        At once, or, over a network, soon after; it may grow for nothing. Cheap enough to be asked for often.
        """
        ...


class Ownership(Protocol):
    """Which engine runs what. An engine holds a lease; what belongs to one without, others may take over.

    A lease only says whom to leave in peace. What keeps two engines from going on with one execution is its journal's
    unique (execution, step). Time is that of the store: the machine's since it started (SQLite's processes share one
    machine), or the database server's.
    """

    def hold(self, engine: EngineRow, seconds: float) -> None:
        """Begin or renew the engine's lease: for so many seconds from now."""
        ...

    def release(self, engine: str) -> None:
        """End its lease. Nothing happens if it has none."""
        ...

    def engines(self) -> list[tuple[EngineRow, float]]:
        """Those that have not released their lease, each with the seconds that it has left (below 0: it is over)."""
        ...

    def left(
        self, alive: Collection[str], due: float | None = None, limit: int = 1000, after: int = 0
    ) -> list[ExecutionRow]:
        """Executions whose owner is none of those ``alive``, oldest first, those ``after`` an id.

        With ``due``, those that are asleep are left out until that time, or until somebody tells them something. Never
        those that a Map Run has started: they belong to whoever has that.
        """
        ...

    def forsaken(self, alive: Collection[str], most: int) -> tuple[int, list[str]]:
        """How many of those that ``left`` answers are RUNNING; and the ARNs of the oldest of these, at most so many."""
        ...

    def take_over(self, arn: str, owner: str, new: str) -> bool:
        """Make an execution a new owner's, and awake. False: it is not, or no longer, the ``owner``'s."""
        ...

    def owned(self, owner: str) -> list[str]:
        """The ARNs of the owner's executions that run, oldest first. Not those that a Map Run has started."""
        ...

    def put_to_sleep(self, arns: Mapping[str, float], owner: str) -> None:
        """The owner forgets these executions until they are due (infinity: until somebody tells them something)."""
        ...

    def sleepers(self, owner: str, now: float, limit: int = 500) -> list[ExecutionRow]:
        """Those of the owner's that are asleep and due; who is due first, comes first."""
        ...

    def wake(self, arns: Collection[str], owner: str) -> None:
        """The owner has these executions in its memory again."""
        ...

    def next_sleeper(self, owner: str) -> float | None:
        """When the first of the owner's that are asleep is due."""
        ...

    def codes(self, hashes: Collection[str]) -> dict[str, CodeRow]:
        """Those that this store knows, by hash."""
        ...


class MapRuns(Protocol):
    """The Map Runs of executions."""

    def map_run(self, arn: str) -> MapRunRow | None:
        """The Map Run with this ARN."""
        ...

    def map_runs(self, execution: str) -> list[MapRunRow]:
        """Those of an execution, in the order of their start."""
        ...

    def put_map_run(self, row: MapRunRow) -> None:
        """Inserts it. Of one that runs, takes over how it has ended: status, ``stopped_at`` and counts.

        One that has ended stays as it ended, here and in :class:`Append`, until it is redriven: a row whose
        ``redrive_count`` is greater makes it run again, as another attempt. Its start and its limits stay. The parts of
        one that ends SUCCEEDED with an Append are dropped: nobody goes on with it.
        """
        ...

    def put_map_part(
        self,
        map_run: str,
        kind: PartKind,
        number: int,
        text: str,
        artifacts: Sequence[ArtifactRow] = (),
    ) -> bool:
        """Keeps a part of a Map Run, and the artifacts that it refers to.

        False: this part is there already, with another text.
        """
        ...

    def map_part(self, map_run: str, kind: PartKind, number: int) -> str | None:
        """The text of a part."""
        ...

    def map_parts(self, map_run: str, kind: PartKind) -> Iterator[str]:
        """The texts of all parts of a kind, by their numbers; each is read when it is asked for."""
        ...

    def children_of(self, map_run: str) -> list[ChildStatus]:
        """How the children of a Map Run are, by the numbers of their items."""
        ...

    def child_rows(self, map_run: str, after: int = -1) -> Iterator[ExecutionRow]:
        """The children of a Map Run by the numbers of their items, from the one after that. In pages, as a journal."""
        ...

    def limit_map_run(
        self,
        arn: str,
        *,
        max_concurrency: int | None = None,
        tolerated_count: int | None = None,
        tolerated_percentage: float | None = None,
    ) -> bool:
        """Change how a Map Run goes on, where something is given. False: it does not run."""
        ...

    def add_definition(self, definition: str) -> str:
        """Keeps a definition that belongs to no machine, and answers its :func:`digest`."""
        ...

    def children_by_status(self, map_run_arn: str) -> dict[str, int]:
        """How many executions of a Map Run there are, by status."""
        ...


class Housekeeping(Protocol):
    """What nobody needs any more."""

    def disposable(self, *, before: float | None, keep: int | None) -> Iterator[list[int]]:
        """Ids of executions that nobody needs, in pages: ended before then, or not of their machine's ``keep`` newest.

        With all their children they have ended and owe nothing. Children are not among them: they go with their
        parents.
        """
        ...

    def orphans(self) -> Iterator[list[int]]:
        """Ids of executions whose Map Run has been disposed of, in pages."""
        ...

    def family(self, ids: Sequence[int]) -> int:
        """How many executions go with these: themselves, the children of their Map Runs, and so on down."""
        ...

    def dispose(self, ids: Sequence[int], seconds: float = 0.05) -> tuple[int, int]:
        """Delete executions with all that is theirs, in one transaction of about so many seconds.

        Answers how many of the ids it has come to (one that is needed now stays), and how many executions it has
        deleted, with those that their tasks have waited for. The children of their Map Runs are orphans now.
        """
        ...

    def unused_artifacts(self, before: float, *, forget: bool) -> Iterator[list[ArtifactRow]]:
        """Artifacts that no text of the store names, and that were not touched since ``before``, in pages.

        ``forget``: their rows have been deleted.
        """
        ...

    def busy_since(self) -> float | None:
        """When the oldest Map Run that is RUNNING began: what its items have made may not be recorded yet."""
        ...

    def forget_codes(self) -> int:
        """Delete the codes that no execution names; how many there were."""
        ...

    def vacuum(self) -> None:
        """Give the free space of the database's file back. Nobody else may use it meanwhile."""
        ...


class Store(Registry, Tokens, Ownership, MapRuns, Housekeeping, Protocol):
    """``append`` is called from one thread (the engine's), everything else from any thread.

    Every method raises :class:`StoreError` where the database fails. Several processes may open one store.
    """

    def append(self, batch: Sequence[Append]) -> list[bool]:
        """The group commit: one transaction, one answer per Append, in order.

        False for *every* Append of an execution one of whose steps exists already, or which was ``opened``
        though its ARN exists: nothing of that execution's is written, and all the others' is. When this
        returns, everything is committed. Each execution has its ``opened`` before or with its first step, in
        this batch or an earlier one; a batch that names an unknown one is refused whole with StoreError.

        After a StoreError (disk full, locked for longer than the busy timeout, …) nothing of the batch is
        written, and the same batch may be given again.
        """
        ...

    def execution(self, arn: str) -> ExecutionRow | None:
        """The execution with this ARN."""
        ...

    def executions(
        self,
        *,
        machine_arn: str | None = None,
        version_arn: str | None = None,
        alias_arn: str | None = None,
        map_run_arn: str | None = None,
        children: bool = True,
        status: str | None = None,
        redriven: bool | None = None,
        name_prefix: str = "",
        started_after: float | None = None,
        started_before: float | None = None,
        where: Condition | None = None,
        limit: int = 1000,
        before: int | None = None,
    ) -> list[ExecutionRow]:
        """At most ``limit`` executions, newest first; the next page is ``before`` the last row's id.

        ``redriven``: only those that have been redriven, or only those that have not.
        ``started_after`` is the first moment of those wanted, ``started_before`` the first after them.
        Without ``children``, those that a Map Run has started are left out.
        """
        ...

    def journal(self, arn: str, after: int = -1) -> Iterator[JournalRow]:
        """The steps greater than ``after`` in their order; none for an unknown execution.

        Read in pages: no transaction stays open between two rows. Steps appended meanwhile may follow.
        """
        ...

    def log(self, arn: str, attempt: int) -> str | None:
        """What this attempt printed."""
        ...

    def logs(self, arn: str) -> dict[int, str]:
        """What the attempts of an execution printed, by attempt."""
        ...

    def artifacts(self, hashes: Collection[str]) -> dict[str, ArtifactRow]:
        """Those of the artifacts that this store knows, by hash."""
        ...

    def close(self) -> None:
        """Gives the database back; the store cannot be used afterwards."""
        ...
