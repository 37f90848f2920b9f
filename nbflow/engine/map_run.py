"""One Map Run at work: what it has read and begun, and how that has ended."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, TypeAlias

from nbflow.artifacts.shelf import Artifact
from nbflow.engine.chunks import MOST_CHARACTERS, Chunk, Chunks
from nbflow.engine.ends import Batch, Ends
from nbflow.engine.live import Live
from nbflow.language import model
from nbflow.language.paths import compact, spelt
from nbflow.language.values import Json
from nbflow.machine import distributed, orders
from nbflow.store.rows import Closing, ExecutionRow, MapRunRow
from nbflow.tasks.capture import Buffer
from nbflow.tasks.child import Ending
from nbflow.tasks.items import size
from nbflow.tasks.job import Code, Outcome
from nbflow.tasks.writing import ChildResult

Counts: TypeAlias = dict[str, dict[str, int]]
"""``executions`` and ``items`` by status: among them those that run (RUNNING), those that wait for their begin
(PENDING), or to be taken up again (PENDING_REDRIVE). NOT_REDRIVABLE are some of those that did not succeed."""

PENDING: Final = "PENDING"
RUNNING: Final = "RUNNING"
AGAIN: Final = "PENDING_REDRIVE"
STUCK: Final = "NOT_REDRIVABLE"
_UNSUCCESSFUL: Final = ("FAILED", "TIMED_OUT", "ABORTED")


class Child(NamedTuple):
    """A child that has not ended."""

    number: int
    input: Json
    """None, if it has begun, and is durable."""
    items: int
    """How many it has: more than one, if they are batched."""
    before: str = PENDING
    """What it is, or was when it was begun: or RUNNING, or as it had ended, if it is redriven."""
    live: Live | None = None
    """None: it waits, or is done whole, in a pool."""


class Known(NamedTuple):
    """A child that was there when the run was taken up."""

    status: str
    again: bool = False
    """It did not succeed, and is redriven."""

    @property
    def counted(self) -> str:
        """What it counts as until it is reached."""
        return AGAIN if self.again else self.status


class Ended(NamedTuple):
    """An EXPRESS child whose end is not durable yet."""

    child: Child
    end: Ending
    made: Sequence[Artifact]
    """What its tasks have put on the shelf."""


@dataclass(slots=True)
class Tally:
    """Children and their items by status."""

    executions: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)

    def add(self, status: str, items: int, executions: int = 1) -> None:
        self.executions[status] += executions
        self.items[status] += items

    def move(self, before: str, after: str, items: int, executions: int = 1) -> None:
        """Children are something else from now on. (For millions of them: two calls less.)"""
        self.executions[before] -= executions
        self.executions[after] += executions
        self.items[before] -= items
        self.items[after] += items


@dataclass(slots=True)
class MapRun:
    """Of the engine's thread; only :attr:`counts` may be asked for from any."""

    parent: Live
    order: orders.RunMap
    row: MapRunRow
    definition: model.StateMachine
    digest: str
    chunks: Chunks
    known: dict[int, Known]
    """STANDARD children that were there already, and have not been reached."""
    ends: Ends
    """Of EXPRESS children, those that are durable."""
    parcel: Code | None = None
    """What does the children whole, if they can be."""
    chunk: Chunk | None = None
    """One that has been read, and not taken in."""
    waiting: deque[Child] = field(default_factory=deque)
    """Children whose inputs have been read, and that are not at work."""
    reading: bool = False
    whole: bool = False
    """Everything has been read."""
    read: int = 0
    """Children whose inputs have been read."""
    running: dict[int, Child] = field(default_factory=dict)
    here: int = 0
    """Children that run in the engine."""
    time: int = 0
    """Tells its jobs from those of the same run at another time: a late answer must not be taken for one of now."""
    answers: deque[Outcome] = field(default_factory=deque)
    """What the pool has said of them."""
    parked: deque[Outcome] = field(default_factory=deque)
    """Of those that are to go on in the engine, and for which there is no room there yet."""
    held: int = 0
    """EXPRESS children that wait until nothing of their earlier run is at work any more."""
    ended: list[Ended] = field(default_factory=list)
    accepted: list[Ended] = field(default_factory=list)
    """Those of them that are being written down."""
    tally: Tally = field(default_factory=Tally)
    redriven: Tally = field(default_factory=Tally)
    """Of those that wait to be taken up again, how they had ended."""
    log: Buffer = field(default_factory=Buffer)
    """What EXPRESS children have printed, as far as there is room."""
    soon: bool = False
    """It is to be looked at in the next turn."""
    over: bool = False
    """Nothing more is begun: the results are being written, or the run is being ended."""
    left: list[int] = field(default_factory=list)
    """When it is being ended: children that run, and are not at work here."""
    last: Callable[[], None] | None = None
    """When it is being ended: what is to be done after its last child."""
    next: Callable[[], None] | None = None
    """What waits for its end: the same run, redriven."""

    def __post_init__(self) -> None:
        for known in [*self.known.values(), *map(self._ended, self.ends)]:
            self._count(known, 1, 1)

    def _ended(self, number: int) -> Known:
        """An EXPRESS child whose end is durable."""
        status = self.ends.status(number)
        assert status is not None
        again = status in _UNSUCCESSFUL and self.ends.redrives(number) < self.row.redrive_count
        return Known(status, again)

    def _count(self, known: Known, items: int, executions: int = 0) -> None:
        self.tally.add(known.counted, items, executions)
        if known.again:
            self.redriven.add(known.status, items, executions)

    @property
    def express(self) -> bool:
        return self.order.state.item_processor.processor_config.execution_type == "EXPRESS"

    def take(self, chunk: Chunk) -> None:
        """Inputs have been read."""
        fresh = items = 0
        for number, input in enumerate(chunk.inputs, self.read):
            child = Child(number, input, size(self.order, input))
            known = self.known.pop(number, None) if self.ends.status(number) is None else self._ended(number)
            if known is None:
                fresh += 1
                items += child.items
                self.waiting.append(child)
            else:
                self._find(known, child)
        self.tally.add(PENDING, items, fresh)
        self.read += len(chunk.inputs)
        self.whole = chunk.last

    def _find(self, known: Known, child: Child) -> None:
        """A child that was there already has been reached."""
        self._count(known, child.items - 1)
        if known.again or known.status == RUNNING:
            self.waiting.append(child._replace(before=known.status))

    def begin(self, child: Child, live: Live | None = None) -> Child:
        """A child is at work from now on."""
        if child.before not in (PENDING, RUNNING):
            self.redriven.add(child.before, -child.items, -1)
            self.tally.move(AGAIN, RUNNING, child.items)
        elif child.before == PENDING:
            self.tally.move(PENDING, RUNNING, child.items)
        if live is not None:
            child = child._replace(live=live)
            self.here += 1
        self.running[child.number] = child
        return child

    def go_on_here(self, child: Child, live: Live) -> Child:
        """A child that could not be done whole runs in the engine from now on."""
        child = self.running[child.number] = child._replace(live=live)
        self.here += 1
        return child

    def take_back(self, child: Child) -> None:
        """A child has not even begun: it is what it was."""
        self.let_go(child)
        if child.before == PENDING:
            self.tally.move(RUNNING, PENDING, child.items)
        else:
            self.tally.move(RUNNING, AGAIN, child.items)
            self.redriven.add(child.before, child.items)

    @property
    def full(self) -> bool:
        """Whether no further child may run in the engine, beside those that do."""
        return 0 < self.row.max_concurrency <= self.here

    def let_go(self, child: Child) -> None:
        """It is no more at work as it was."""
        del self.running[child.number]
        self.here -= child.live is not None

    def end(self, child: Child, status: str) -> None:
        """A child has ended so."""
        self.let_go(child)
        self.tally.move(RUNNING, status, child.items)

    def note(self, child: Child, printed: str) -> None:
        """An EXPRESS child has printed something: each line stands behind its number."""
        for line in printed.splitlines():
            self.log.write(f"[{child.number}] {line}\n")

    def accept(self) -> None:
        """The next ends of EXPRESS children that are to be written down together."""
        characters = number = 0
        while number < len(self.ended) and characters < MOST_CHARACTERS:
            characters += len(self.ended[number].end.output or "")
            number += 1
        self.accepted, self.ended = self.ended[:number], self.ended[number:]

    def count_accepted(self) -> None:
        """They are durable."""
        self.ends.add(
            self.row.redrive_count, ((each.child.number, each.end.status) for each in self.accepted)
        )
        tally = Tally()
        for each in self.accepted:
            self.let_go(each.child)
            tally.add(each.end.status, each.child.items)
        for status, items in tally.items.items():
            self.tally.move(RUNNING, status, items, tally.executions[status])
        self.accepted = []

    @property
    def exceeded(self) -> bool:
        """Whether more items failed than is tolerated. A percentage is one of all items: it waits for the last one."""
        failed = sum(self.tally.items[status] for status in _UNSUCCESSFUL)
        total = None
        if self.whole:
            total = self.tally.items.total() - self.tally.items[STUCK]
        return distributed.exceeds(failed, total, self.row.tolerated_count, self.row.tolerated_percentage)

    @property
    def counts(self) -> Counts:
        """From any thread."""
        counts = {"executions": {**self.tally.executions}, "items": {**self.tally.items}}
        for child in self.in_line:
            waits = PENDING if child.before == PENDING else AGAIN
            for kind, number in (("executions", 1), ("items", child.items)):
                counts[kind][RUNNING] -= number
                counts[kind][waits] = counts[kind].get(waits, 0) + number
        return counts

    @property
    def in_line(self) -> list[Child]:
        """Children that a pool has, and that wait there, since no more may run at once. From any thread."""
        most = self.row.max_concurrency
        if self.parcel is None or not most or len(self.running) <= most:
            return []
        return [child for child in list(self.running.values()) if child.live is None][
            max(0, most - self.here) :
        ]

    def closed(self, status: str, at: float) -> MapRunRow:
        """Its row, as it ends. What waits to be taken up again, is what it was."""
        counts = self.counts
        for kind, before in (("executions", self.redriven.executions), ("items", self.redriven.items)):
            counts[kind].pop(AGAIN, None)
            for name, number in before.items():
                counts[kind][name] = counts[kind].get(name, 0) + number
        return replace(self.row, status=status, stopped_at=at, counts=compact(counts))

    def unreached(self) -> list[int]:
        """Children that run, as far as the store knows, and are not at work here."""
        waiting = [each.number for each in self.waiting if each.before == RUNNING]
        return waiting + [index for index, known in self.known.items() if known.status == RUNNING]


def opened(execution: str, order: orders.RunMap, now: float) -> MapRunRow:
    """The row of a Map Run that begins, or is redriven."""
    plan = order.plan
    return MapRunRow(
        plan.arn,
        execution,
        order.attempt,
        "RUNNING",
        now,
        plan.concurrency,
        plan.tolerated_count,
        plan.tolerated_percentage,
        redrive_count=order.redrives,
        redrive_date=now if order.redrives else None,
    )


def child_row(run: MapRun, index: int, input: Json, now: float) -> ExecutionRow:
    """The row of a child that begins."""
    named = distributed.child(run.row.arn, index, express=run.express)
    return ExecutionRow(
        arn=named.arn,
        name=named.name,
        machine_arn=named.machine_arn,
        definition=run.digest,
        status="RUNNING",
        input=spelt(compact(input)),
        started_at=now,
        revision=run.parent.row.revision,
        map_run_arn=run.row.arn,
        item=index,
    )


def result(row: ExecutionRow, closing: Closing) -> ChildResult:
    """How a STANDARD child has ended, for whoever writes the results."""
    return ChildResult(
        row.arn,
        row.name,
        row.machine_arn,
        closing.status,
        row.input,
        closing.output,
        closing.error,
        closing.cause,
        row.started_at,
        closing.stopped_at,
        row.redrive_count,
    )


def batch(ends: Sequence[Ended], redrives: int) -> str:
    """A batch of ends, as it is kept; ``redrives``: how often the run had been redriven."""
    return Batch(redrives, [(each.child.number, each.end) for each in ends]).text
