"""One Map Run at work: what it has read and begun, and how that has ended."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, TypeAlias

from nbflow.artifacts.shelf import Artifact
from nbflow.engine.chunks import MOST_CHARACTERS, Chunk, Chunks
from nbflow.engine.live import Live
from nbflow.engine.rows import spelt
from nbflow.language import model
from nbflow.language.paths import compact
from nbflow.language.values import Json
from nbflow.machine import distributed, orders
from nbflow.store.rows import Closing, ExecutionRow, MapRunRow
from nbflow.tasks.items import size
from nbflow.tasks.writing import ChildResult

Counts: TypeAlias = dict[str, dict[str, int]]
"""``executions`` and ``items`` by status: among them those that run (RUNNING), those that wait for their begin
(PENDING), or to be taken up again (PENDING_REDRIVE). NOT_REDRIVABLE are some of those that did not succeed."""

PENDING: Final = "PENDING"
RUNNING: Final = "RUNNING"
AGAIN: Final = "PENDING_REDRIVE"
STUCK: Final = "NOT_REDRIVABLE"
_UNSUCCESSFUL: Final = ("FAILED", "TIMED_OUT", "ABORTED")

_SPARE: Final = 1000
"""ARNs of children that have ended that may be kept, so that they need not be forgotten one by one."""


class Child(NamedTuple):
    """A child that has not ended."""

    live: Live
    items: int
    """How many it has: more than one, if they are batched."""
    before: str
    """How it had ended, if it is redriven."""


class Known(NamedTuple):
    """A child that was there when the run was taken up."""

    status: str
    again: bool = False
    """It did not succeed, and is redriven."""
    result: ChildResult | None = None
    """Of an EXPRESS child, without its input."""

    @property
    def counted(self) -> str:
        """What it counts as until it is reached."""
        return AGAIN if self.again else self.status


class Waiting(NamedTuple):
    """A child to be begun, or to go on."""

    number: int
    input: Json
    items: int
    status: str = PENDING
    """Or RUNNING, or as it had ended."""


class Ended(NamedTuple):
    """An EXPRESS child whose end is not durable yet."""

    number: int
    child: Child
    result: ChildResult


@dataclass(slots=True)
class Tally:
    """Children and their items by status."""

    executions: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)

    def add(self, status: str, items: int, executions: int = 1) -> None:
        self.executions[status] += executions
        self.items[status] += items

    def move(self, before: str, after: str, items: int) -> None:
        """One child is something else from now on."""
        self.add(after, items)
        self.add(before, -items, -1)


@dataclass(slots=True)
class MapRun:
    """Of the engine's thread; only :attr:`counts` and :meth:`number_of` may be asked for from any."""

    parent: Live
    order: orders.RunMap
    row: MapRunRow
    definition: model.StateMachine
    digest: str
    chunks: Chunks
    known: dict[int, Known]
    """Children that were there already, and have not been reached."""
    batches: int = 0
    """How many batches of ends are durable."""
    chunk: Chunk | None = None
    """One that has been read, and not taken in."""
    waiting: deque[Waiting] = field(default_factory=deque)
    """Children whose inputs have been read, and that are not at work."""
    reading: bool = False
    whole: bool = False
    """Everything has been read."""
    read: int = 0
    """Children whose inputs have been read."""
    running: dict[int, Child] = field(default_factory=dict)
    held: int = 0
    """EXPRESS children that wait until nothing of their earlier run is at work any more."""
    ended: list[Ended] = field(default_factory=list)
    accepted: list[Ended] = field(default_factory=list)
    """Those of them that are being written down."""
    results: dict[int, ChildResult] = field(default_factory=dict)
    """Of EXPRESS children; the others' are in the store."""
    tally: Tally = field(default_factory=Tally)
    redriven: Tally = field(default_factory=Tally)
    """Of those that wait to be taken up again, how they had ended."""
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
    numbers: dict[str, int] = field(default_factory=dict)
    """The children that run, by their ARNs, and some that did: :meth:`number_of` knows which."""

    def __post_init__(self) -> None:
        for known in self.known.values():
            self._count(known, 1, 1)

    def _count(self, known: Known, items: int, executions: int = 0) -> None:
        self.tally.add(known.counted, items, executions)
        if known.again:
            self.redriven.add(known.status, items, executions)

    @property
    def express(self) -> bool:
        return self.order.state.item_processor.processor_config.execution_type == "EXPRESS"

    def take(self, chunk: Chunk) -> None:
        """Inputs have been read."""
        for input in chunk.inputs:
            self._take(self.read, input)
            self.read += 1
        self.whole = chunk.last

    def _take(self, index: int, input: Json) -> None:
        items = size(self.order, input)
        known = self.known.pop(index, None)
        if known is None:
            self.tally.add(PENDING, items)
            self.waiting.append(Waiting(index, input, items))
            return
        self._count(known, items - 1)
        if known.again or known.status == RUNNING:
            self.waiting.append(Waiting(index, input, items, known.status))
        elif known.result is not None:
            self.results[index] = known.result._replace(input=spelt(compact(input)))

    def begin(self, waiting: Waiting, live: Live) -> Child:
        """A child is at work from now on."""
        items, before = waiting.items, waiting.status
        if before not in (PENDING, RUNNING):
            self.redriven.add(before, -items, -1)
            self.tally.move(AGAIN, RUNNING, items)
        elif before == PENDING:
            self.tally.move(PENDING, RUNNING, items)
        child = self.running[waiting.number] = Child(live, items, before)
        return child

    def end(self, index: int, child: Child, status: str) -> None:
        """A child has ended so."""
        del self.running[index]
        self.tally.move(RUNNING, status, child.items)

    def accept(self) -> None:
        """The next ends of EXPRESS children that are to be written down together."""
        characters = number = 0
        while number < len(self.ended) and characters < MOST_CHARACTERS:
            characters += len(self.ended[number].result.output or "")
            number += 1
        self.accepted, self.ended = self.ended[:number], self.ended[number:]

    def count_accepted(self) -> None:
        """They are durable."""
        self.batches += 1
        for number, child, ended in self.accepted:
            self.end(number, child, ended.status)
            self.results[number] = ended
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
        return {"executions": {**self.tally.executions}, "items": {**self.tally.items}}

    def closed(self, status: str, at: float) -> MapRunRow:
        """Its row, as it ends. What waits to be taken up again, is what it was."""
        counts = self.counts
        for kind, before in (("executions", self.redriven.executions), ("items", self.redriven.items)):
            counts[kind].pop(AGAIN, None)
            for name, number in before.items():
                counts[kind][name] = counts[kind].get(name, 0) + number
        return replace(self.row, status=status, stopped_at=at, counts=compact(counts))

    def called(self, arn: str, number: int) -> None:
        """The child of this number, which runs, has this ARN."""
        if len(self.numbers) > 2 * len(self.running) + _SPARE:
            self.numbers = {each: at for each, at in self.numbers.items() if at in self.running}
        self.numbers[arn] = number

    def number_of(self, arn: str) -> int | None:
        """The number of a child that runs. From any thread."""
        number = self.numbers.get(arn)
        return number if number in self.running else None

    def unreached(self) -> list[int]:
        """Children that run, as far as the store knows, and are not at work here."""
        waiting = [each.number for each in self.waiting if each.status == RUNNING]
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
    """How a child has ended, for whoever writes the results."""
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
    kept = [[each.number, redrives, *each.result._replace(input="")] for each in ends]
    return compact(kept)


def made(ends: Sequence[Ended]) -> list[Artifact]:
    """The artifacts that those children have made."""
    return [artifact for each in ends for artifact in each.child.live.made]
