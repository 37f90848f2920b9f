"""What the tasks of an execution have printed, as it is recorded: a text for each attempt, when that has ended.

It is read along the journal, so that it comes in the order of those ends. The children of a Map Run are executions of
their own, but that EXPRESS ones are logged at the step of their Map; of those that have ended nothing is kept here,
however many they are.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from nbflow.client.executions import Execution, Step, attempted
from nbflow.drawing.flow import every_state
from nbflow.errors import NbflowError
from nbflow.language import model
from nbflow.machine import records as r
from nbflow.machine.records import Record, decode
from nbflow.machine.trace import Trace, Visit
from nbflow.store.port import Store
from nbflow.store.rows import ExecutionRow

LOOK: Final = 0.5
"""Seconds between two looks at an execution that is followed."""

_PAGE: Final = 100
_MOST_RUNNING: Final = 10_000

Seen = TypeVar("Seen")


class Log(NamedTuple):
    """What an attempt has printed."""

    label: str
    """The step, as :attr:`nf.Step.label` has it; in a Map Run's child, with the number of the child's item."""
    number: int
    """Which attempt at the step it is: 1, 2, …"""
    attempt: Mapping[str, object]
    """As one of :attr:`nf.Step.attempts`."""
    text: str


class _Ask(Protocol):
    """Asks the store; while that fails, it may wait."""

    def __call__(self, look: Callable[[], Seen], /) -> Seen: ...


def logs(execution: Execution, step: str | None = None, *, follow: bool = False) -> Iterator[Log]:
    """What is recorded by now of attempts that have printed anything; with ``follow``, what will be, too, to the end.

    ``step``: only of the state with this name, and of what is in it. Raises NbflowError if there is none.
    """
    connection, arn = execution.connection, execution.arn
    definition = connection.service.definition_of(arn)
    _check(definition, step)
    reader = _Reader(execution, definition, step, connection.patiently if follow else _once)
    while True:
        over = not follow or connection.patiently(partial(connection.row, arn)).status != "RUNNING"
        yield from reader.news()  # after the look at its status: nothing can come after its end
        if over:
            return
        _rest(execution)


def _once(look: Callable[[], Seen]) -> Seen:
    return look()


def _rest(execution: Execution) -> None:
    try:
        execution.connection.wait(execution.arn, LOOK)
    except TimeoutError:
        return


def _check(definition: model.StateMachine, step: str | None) -> None:
    names = _names(definition)
    if step is not None and step not in names:
        raise NbflowError(f"there is no step {step!r}; the steps are: {', '.join(names)}")


def _names(scope: model.Branch) -> list[str]:
    return [name for name, _ in every_state(scope)]


class _Reader:
    """One execution, as far as its journal has been read."""

    def __init__(
        self,
        execution: Execution,
        definition: model.StateMachine,
        step: str | None,
        ask: _Ask,
        of: str = "",
        told: int = -1,
    ) -> None:
        self.execution = execution
        self.ask = ask
        self.of = of
        """Behind the labels: of which item it is the child."""
        self.step = step
        self._told = told
        """The steps up to this one have been told of."""
        self.trace = Trace(definition)
        self.read = -1
        """The last step that was read."""
        self._open: dict[int, Visit] = {}
        """The visits whose attempts, by their ids, have not ended."""
        self._map_runs: dict[str, _Children] = {}
        self._at_work: set[str] = set()
        """Those of them that have not ended."""

    def news(self) -> Iterator[Log]:
        """What has been recorded since the last time."""
        journal = self.execution.connection.store.journal
        for row in self.ask(lambda: list(journal(self.execution.arn, after=self.read))):
            self.read = row.step
            for record in decode(row.records, row.format):
                yield from self._take(record)
        for arn in self._at_work:
            yield from self._map_runs[arn].news()

    def wants(self, visit: Visit) -> bool:
        """Whether the step is this one, or it is around it."""
        return self.step is None or self.step in (visit.name, *(outer.name for outer in visit.around))

    def _take(self, record: Record) -> Iterator[Log]:
        visit = self.trace.add(record)
        if visit is not None and isinstance(record, r.TaskScheduled | r.MapRunStarted | r.MapRunRedriven):
            self._open[visit.attempts[-1].id] = visit
        match record:
            case r.TaskCancelled():
                yield from self._ended(record.attempt, record.at)
            case r.TaskSucceeded() | r.TaskFailed() if visit is not None:
                yield from self._ended(visit.attempts[-1].id, record.at)
            case r.MapRunStarted() if visit is not None:
                self._map_runs[record.arn] = _Children(self, visit, record.arn)
                self._at_work.add(record.arn)
            case r.MapRunRedriven():
                self._map_runs[record.arn].redriven = True
                self._at_work.add(record.arn)
            case r.MapRunSucceeded() | r.MapRunFailed() if visit is not None and visit.map_run is not None:
                self._at_work.discard(visit.map_run)
                yield from self._map_runs[visit.map_run].news()
                yield from self._ended(visit.attempts[-1].id, record.at)
            case _:
                pass

    def _ended(self, id: int, at: float) -> Iterator[Log]:
        visit = self._open.pop(id, None)
        if visit is None or self.read <= self._told or not self.wants(visit):
            return
        text = self.ask(partial(self.execution.connection.store.log, self.execution.arn, id))
        if text:
            number, attempt = next(each for each in enumerate(visit.attempts, 1) if each[1].id == id)
            attempt.ended_at = attempt.ended_at or at  # it was given up
            label = Step(self.execution, [visit]).label + self.of
            yield Log(label, number, attempted(attempt), text)


class _Children:
    """The children of a Map Run, as far as they have been read."""

    def __init__(self, parent: _Reader, visit: Visit, map_run: str) -> None:
        self._parent = parent
        self._inside = visit.items
        """The items that the Map itself is in."""
        self._map_run = map_run
        self._step = None if parent.wants(visit) else parent.step
        self._definition: model.StateMachine | None = None
        self.redriven = False
        """Some that had ended may go on since the last time."""
        self._seen = 0
        """The id of the latest row."""
        self._running: dict[str, _Reader] = {}
        self._unsuccessful: dict[str, int] = {}
        """Of those that may be redriven, the last step that was read."""

    def news(self) -> Iterator[Log]:
        """What has been recorded since the last time: of those that run, and of those that have begun since."""
        running = {row.arn for row in self._rows(status="RUNNING", limit=_MOST_RUNNING)}
        for arn, reader in list(self._running.items()):
            yield from reader.news()
            if arn not in running:  # before its journal was read
                del self._running[arn]
                self._keep(reader)
        rows = self._all() if self.redriven or not self._seen else self._fresh()
        self.redriven, seen = False, self._seen
        for row in rows:
            self._seen = max(self._seen, row.id)
            if row.id > seen or row.steps - 1 > self._unsuccessful.get(row.arn, row.steps):
                reader = self._reader(row, self._unsuccessful.pop(row.arn, -1))
                yield from reader.news()
                self._keep(reader)

    def _keep(self, reader: _Reader) -> None:
        """What has been read of a child, as far as there may be more."""
        arn, status = reader.execution.arn, reader.trace.run.status
        if status == "RUNNING":
            self._running[arn] = reader
        elif status != "SUCCEEDED":
            self._unsuccessful[arn] = reader.read

    def _rows(self, **options: Any) -> list[ExecutionRow]:
        store = self._parent.execution.connection.store
        return self._parent.ask(lambda: store.executions(map_run_arn=self._map_run, **options))

    def _all(self) -> Iterator[ExecutionRow]:
        """By the numbers of their items."""
        store, after = self._parent.execution.connection.store, -1
        while page := self._parent.ask(partial(self._page, store, after)):
            yield from page
            after = page[-1].item or 0

    def _page(self, store: Store, after: int) -> list[ExecutionRow]:
        return list(islice(store.child_rows(self._map_run, after), _PAGE))

    def _fresh(self) -> list[ExecutionRow]:
        """Those that have begun since the last time, in that order."""
        found: list[ExecutionRow] = []
        page = self._rows(limit=_PAGE)
        while page and page[0].id > self._seen:
            found += [row for row in page if row.id > self._seen]
            page = self._rows(limit=_PAGE, before=page[-1].id)
        return found[::-1]

    def _reader(self, row: ExecutionRow, told: int) -> _Reader:
        parent = self._parent
        connection = parent.execution.connection
        if self._definition is None:  # it is the same for all
            self._definition = parent.ask(partial(connection.service.definition_of, row.arn))
        of = "".join(f" of item {number}" for number in (row.item, *self._inside)) + parent.of
        return _Reader(Execution(row.arn, connection), self._definition, self._step, parent.ask, of, told)
