"""Following runs: from the journal to boards, as soon as something is durable, and not too often.

A run is followed by reading what its journal has after the last step that was read. The engine's bus only says *when*
to look; so a run of this process, a run of another one and a run of last week are followed by the same few lines, and
a board can neither miss a record nor take one twice. Where no bus speaks of a run, the journal is looked at every now
and then.

The looking, the folding and the telling of others is done by a thread of its own (:class:`Pump`): the engine's thread
only sets an event.
"""

import contextvars
import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias, TypeVar, cast

from nbflow.client.executions import Execution
from nbflow.drawing.board import Board, StateView
from nbflow.drawing.pace import Paces
from nbflow.engine.hearing import Told
from nbflow.jupyter.messages import Far, RunLive, StateLive
from nbflow.machine.records import decode
from nbflow.store.port import StoreError
from nbflow.tasks.heard import Progress

SHORTEST_REST: Final = 0.04
"""Seconds between two looks in a burst: 25 a second look fluent."""

BYTES_PER_SECOND: Final = 250_000
"""What the news may amount to: of a Map of 100,000 items there are news twice a second."""

_LOOK: Final = (0.5, 5.0)
"""Seconds between looks where no bus speaks: at first, and at most (while nothing comes, they become rarer)."""

_log = logging.getLogger(__name__)


def rest_after(size: int) -> float:
    """Seconds to wait after news of so many bytes."""
    return max(SHORTEST_REST, size / BYTES_PER_SECOND)


class Followed:
    """One run and its board, as far as its journal has been read."""

    def __init__(self, execution: Execution, wake: Callable[[], None]) -> None:
        self.execution = execution
        self.board = Board(execution.connection.service.definition_of(execution.arn))
        self.here = False
        """Whether it goes on in this process, so that the bus speaks of it."""
        self.interrupted = False
        self.missing = ""
        """What this process lacks to go on with it, if it is interrupted."""
        """Whether nobody goes on with it: its process is no more."""
        self.failed = ""
        """The name of the state that made it fail."""
        self.error = ""
        self._told: list[Told] = []
        self._paces = Paces()
        self._times = 0
        """How often the tasks that run were heard."""
        self._read = -1
        """The last step that was read."""
        self._behind = True
        """Its last look was cut short: there is news, or more to look at."""
        arn = execution.arn
        self.close = execution.connection.engine.bus.subscribe(
            lambda of, records: wake() if of == arn else None
        )
        """Stop listening."""

    @property
    def ended(self) -> bool:
        return self.board.status not in ("PENDING", "RUNNING") and not self._behind

    @property
    def outdated(self) -> bool:
        """Whether it has been redriven since its end was read."""
        return self.ended and self.execution.redrives > self.board.trace.run.redrives

    def catch_up(self) -> bool:
        """Take in what the journal has since the last time. Returns whether there is any news.

        Raises StoreError; then it is the next time that brings the news.
        """
        before = None if self._behind else (self._read, self.here, self.interrupted, self._times)
        self._behind = True
        connection, arn = self.execution.connection, self.execution.arn
        self.here = self._is_here()  # asked first: its last step may come in between
        for row in connection.store.journal(arn, after=self._read):
            for record in decode(row.records, row.format):
                self.board.add(record)
            self._read = row.step
        counted = self.execution.count(self.board)
        was_interrupted, self.interrupted = self.interrupted, self._is_interrupted()
        if self.interrupted and not was_interrupted:
            self.missing = connection.service.why_not_here(self.execution.row) or ""
        self._told = list(connection.engine.heard(arn).values())
        self._times = sum(told.times for told in self._told)
        news = counted or (self._read, self.here, self.interrupted, self._times) != before
        if news and self.board.status not in ("PENDING", "RUNNING"):
            self.close()
            self._explain()
        self._behind = False
        return news

    def _is_here(self) -> bool:
        """In memory, or asleep until it is due."""
        engine = self.execution.connection.engine
        if engine.ended(self.execution.arn) is not None:
            return True
        row = self.execution.row
        return row.asleep_until is not None and row.owner == engine.id

    def _is_interrupted(self) -> bool:
        return not self.here and self.board.status == "RUNNING" and self.execution.interrupted

    def _explain(self) -> None:
        """Why it did not succeed; that somebody stopped it without a word, the status says already."""
        if self.board.status == "SUCCEEDED":
            return
        run = self.execution
        step = run.failed
        if step is not None or run.error or run.cause:
            self.failed = "" if step is None else step.name
            explained = run.explain().removeprefix(f"execution {run.name} of {run.machine} ")
            self.error = explained.partition("\n")[0]

    def live(self, now: float) -> RunLive:
        """How it stands, for the front end."""
        board = self.board
        told: defaultdict[str, list[Told]] = defaultdict(list)
        for each in self._told:
            told[each.state].append(each)
        return {
            "status": board.status,
            "started": board.started_at or now,
            "stopped": board.stopped_at,
            "error": self.missing if self.interrupted else self.error,
            "failed": self.failed,
            "here": self.here,
            "interrupted": self.interrupted,
            "now": now,
            "states": {name: self._state(view, told[name], now) for name, view in board.states.items()},
            "taken": sorted(board.taken),
        }

    def _state(self, view: StateView, told: Sequence[Told], now: float) -> StateLive:
        far = told[0].progress if len(told) == 1 and view.running == 1 else None
        pace = far or Progress(view.done, view.total if view.total and view.sure else None)
        return {
            "heard": sum(each.times for each in told),
            "far": far_of(far),
            "left": self._paces.left(view.name, pace.done, pace.total, now) if view.running == 1 else "",
            "status": view.status,
            "entered": view.entered_at,
            "exited": view.exited_at,
            "visits": view.visits,
            "running": view.running,
            "succeeded": view.succeeded,
            "failed": view.failed,
            "total": view.total,
            "done": view.done,
            "items": view.items,
            "waits": view.waits,
        }

    @property
    def size(self) -> int:
        """About how many bytes :meth:`live` is as JSON, without making it."""
        return 200 + sum(200 + len(view.codes) for view in self.board.states.values())


def far_of(progress: Progress | None) -> Far | None:
    """How far a task is, for the front end."""
    return None if progress is None else cast(Far, progress._asdict())


# --- the thread

Turn: TypeAlias = Callable[[], float | None]
"""Looks for news. Returns the seconds until it may be called again, or None if there is nothing more to come."""

Start: TypeAlias = Callable[[Callable[[], None]], None]
"""Lets a function run beside everything else."""


def in_a_thread(work: Callable[[], None]) -> None:
    """A daemon thread in a copy of the caller's context: what it shows belongs to the cell that the caller runs in."""
    context = contextvars.copy_context()
    threading.Thread(target=lambda: context.run(work), name="nbflow-panel", daemon=True).start()


class Pump:
    """Calls ``turn`` soon after each :meth:`wake`; several during one rest are one.

    It runs until ``turn`` says that there is nothing more to come, and again after the next :meth:`run`. ``heard``
    tells whether a bus will wake it: otherwise it looks by itself.
    """

    def __init__(self, turn: Turn, heard: Callable[[], bool], start: Start = in_a_thread) -> None:
        self._turn = turn
        self._heard = heard
        self._start = start
        self._lock = threading.Lock()
        self._running = False
        self._again = False
        self._woken = threading.Event()
        self._closed = threading.Event()

    def wake(self) -> None:
        """There may be something new. Returns at once."""
        self._woken.set()

    def run(self) -> None:
        """There is something to follow."""
        self._woken.set()
        with self._lock:
            self._again = True
            if self._running:
                return
            self._running = True
        self._start(self._loop)

    def close(self) -> None:
        """Let go of everything, soon."""
        self._closed.set()
        self._woken.set()

    def _loop(self) -> None:
        patience = _LOOK[0]
        while self._goes_on():
            self._woken.clear()
            rest = self._turn()
            if rest is None:
                continue
            self._again = True
            self._closed.wait(rest)
            told = self._woken.wait(_LOOK[1] if self._heard() else patience)
            patience = _LOOK[0] if told else min(2 * patience, _LOOK[1])

    def _goes_on(self) -> bool:
        """Whether another turn is due. Decided under the lock: a ``run`` in this moment is heard by one of the two."""
        with self._lock:
            self._running = self._again and not self._closed.is_set()
            self._again = False
            return self._running


# --- several runs

News: TypeAlias = Callable[[Sequence[Followed]], None]
"""Called with the runs of which there is something new, in the thread that looks. None of them: following has ended."""

Read = TypeVar("Read")


class Following:
    """Runs that are followed together, until the last one has ended, and who is told of them.

    A store that fails is looked at again, with a word in the log. Whatever else goes wrong ends the following, with a
    word in ``problem``; it never reaches a run.
    """

    def __init__(self, start: Start = in_a_thread) -> None:
        self.runs: dict[str, Followed] = {}
        """By their ARNs, in the order in which they were added."""
        self.listeners: list[News] = []
        self.problem = ""
        """Why nothing is followed any more, in words."""
        self._troubled = False
        """The store has failed, and has not answered since."""
        self._fresh: list[Followed] = []
        """Those that nobody has heard of yet."""
        self._boards = threading.RLock()
        """Held while boards change or are read: there are questions in other threads."""
        self._pump = Pump(self.turn, heard=self._is_heard, start=start)

    def add(self, execution: Execution) -> bool:
        """Follow this run too. Returns whether it is new here. Of the first one, the listeners hear at once.

        One that had ended, and has been redriven since, is followed anew.
        """
        with self._boards:
            known = self.runs.get(execution.arn)
            if known is not None and not known.outdated:
                return False
            run = Followed(execution, self._pump.wake)
            run.catch_up()
            first = not self.runs or known is not None
            self.runs[execution.arn] = run
            if not first:  # a cell may start many: they are told of together
                self._fresh.append(run)
        if first:
            self._tell([run])
        if not self.ended:
            self._pump.run()
        return True

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to tell."""
        return bool(self.problem) or not (self._fresh or any(not run.ended for run in self.runs.values()))

    def read(self, reader: Callable[[Sequence[Followed]], Read]) -> Read:
        """What a function makes of the runs, while nothing changes them."""
        with self._boards:
            return reader(list(self.runs.values()))

    def turn(self) -> float | None:
        """Look for news, and tell of them. Returns the seconds to rest after that; None: nothing more will come."""
        try:
            with self._boards:
                fresh, self._fresh = self._fresh, []
                older = [run for run in self.runs.values() if not run.ended and run not in fresh]
                changed = [*self._changed(older), *fresh]
            if changed:
                self._tell(changed)
        except Exception as error:  # noqa: BLE001  # a picture of a run must not harm it, nor fill the log
            self._give_up(error)
        if self.ended:
            return None
        return rest_after(sum(run.size for run in self.runs.values())) if changed else 0.0

    def _changed(self, runs: Sequence[Followed]) -> Iterator[Followed]:
        """Those of which there is news; where the store fails, those before it did."""
        try:
            for run in runs:
                if run.catch_up():
                    yield run
            self._troubled = False
        except StoreError as error:
            if not self._troubled:
                _log.warning("%s It is looked at again.", error)
            self._troubled = True

    def let_go(self) -> None:
        """Follow nothing any more."""
        self._pump.close()
        for run in self.runs.values():
            run.close()

    def _is_heard(self) -> bool:
        return all(run.ended or run.here for run in self.runs.values())

    def _give_up(self, error: Exception) -> None:
        known = isinstance(error, StoreError)
        _log.warning("runs are no longer shown as they go on: %s", error, exc_info=None if known else error)
        self.problem = f"What comes now is not shown any more ({error}). The run goes on."
        self.let_go()
        self._tell([])

    def _tell(self, changed: Sequence[Followed]) -> None:
        for listener in self.listeners:
            listener(changed)
