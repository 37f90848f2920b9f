"""The board: how every state of a definition stands, folded record by record.

A state inside a Map is visited once an item, and in a loop once a round. On the board it is one line. What its visits
come to is *counted*, never looked through again: a record costs the same whether a Map has ten items or ten thousand.

Which visits count: those of the latest try. When a state is entered again in the same branch or iteration (a loop),
or starts its branches again (a retry), what it and the states within it came to before counts no more.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from nbflow.drawing import flow
from nbflow.language import model
from nbflow.machine import records as r
from nbflow.machine.evolve import ROOT
from nbflow.machine.trace import Trace, Visit, VisitStatus

StateStatus: TypeAlias = Literal["", "RUNNING", "RETRYING", "SUCCEEDED", "FAILED", "CAUGHT", "ABORTED"]
"""Empty: not entered. RETRYING: it failed and waits for its next attempt. CAUGHT: it failed, and a Catch took it on."""

PRECEDENCE: Final[tuple[StateStatus, ...]] = (
    "FAILED",  # what one looks for, and it does not get better by waiting
    "RETRYING",  # it may still succeed, but there was trouble
    "RUNNING",  # nothing is certain before the last one has ended
    "ABORTED",  # did not come to its end, through no fault of its own
    "CAUGHT",  # failed, and that was provided for
    "SUCCEEDED",  # only if all did
)
"""The status of a state with many visits is the first of these that any visit has."""

ITEM: Final[dict[VisitStatus, str]] = {
    "RUNNING": "r",
    "SUCCEEDED": "s",
    "FAILED": "f",
    "CAUGHT": "c",
    "ABORTED": "a",
}
"""A branch or iteration in one character; one that has not begun is a blank."""


_NOT_DONE: Final = (" ", ITEM["RUNNING"])


@dataclass(slots=True)
class StateView:
    """How one state stands, over all its visits that count."""

    name: str
    type: str
    entered_at: float | None = None
    """When it was first entered (seconds since the epoch)."""
    exited_at: float | None = None
    """When it was last left; None while any visit is under way."""
    visits: int = 0
    """How often it has been entered, in all."""
    counts: Counter[StateStatus] = field(default_factory=Counter)
    """The visits that count, by status."""
    total: int = 0
    """Map and Parallel: branches or iterations of the latest visit; of a Map Run, the items that are known of."""
    done: int = 0
    """Map and Parallel: how many of them have ended."""
    sure: bool = True
    """Whether ``total`` is known to be all; see :class:`nbflow.machine.trace.Visit`."""
    waits: str = ""
    """What the visit that was last heard of waits for, outside: a worker, a callback, its job."""
    codes: bytearray = field(default_factory=bytearray, repr=False)

    @property
    def status(self) -> StateStatus:
        return next((status for status in PRECEDENCE if self.counts[status]), "")

    @property
    def running(self) -> int:
        """Visits under way, also those that wait for their next attempt."""
        return self.counts["RUNNING"] + self.counts["RETRYING"]

    @property
    def succeeded(self) -> int:
        return self.counts["SUCCEEDED"]

    @property
    def failed(self) -> int:
        return self.counts["FAILED"]

    @property
    def items(self) -> str:
        """Map and Parallel: a character for each branch or iteration of the latest visit, see :data:`ITEM`."""
        return self.codes.decode()


_Tally: TypeAlias = Counter[tuple[str, StateStatus]]
"""How many visits of a state, by its name, have come to a status."""


@dataclass(slots=True)
class _Fork:
    """The branches or iterations of one visit."""

    view: StateView
    codes: bytearray
    live: set[int] = field(default_factory=set)
    """The frames of those that have not ended."""


@dataclass(slots=True)
class _Place:
    """A frame: the run itself, a branch or an iteration; the visit that it is in, and what it has come to."""

    parent: int | None
    index: int
    visit: Visit | None = None
    status: StateStatus = ""
    """What the visit is counted as."""
    fork: _Fork | None = None
    below: dict[str, _Tally] = field(default_factory=dict)
    """For each state, what its latest visit counts for: itself and all that ended within it."""


class Board:
    """How the states of a definition stand after the records so far. Give it each record once, in their order."""

    def __init__(self, definition: model.StateMachine) -> None:
        self.definition = definition
        self.trace = Trace(definition)
        self.states: dict[str, StateView] = {
            name: StateView(name, state.type) for name, state in flow.every_state(definition)
        }
        """Every state of the definition, at any depth, by its name."""
        self.taken: set[tuple[str, str]] = set()
        """The transitions that were taken, as (source, target)."""
        self.map_runs: dict[str, str] = {}
        """The Map Runs of the latest visits, by their ARNs: the states' names."""
        self._changed: set[str] = set()
        self._places: dict[int, _Place] = {ROOT: _Place(None, 0)}
        self._lost: dict[int, _Place] = {}
        """Branches and iterations that failed or were aborted: a redrive takes them up again."""

    @property
    def status(self) -> str:
        """The run's: PENDING, RUNNING, SUCCEEDED, FAILED, ABORTED or TIMED_OUT."""
        return self.trace.run.status

    @property
    def started_at(self) -> float:
        """Seconds since the epoch; 0 before the first record."""
        return self.trace.run.started_at

    @property
    def stopped_at(self) -> float | None:
        return self.trace.run.stopped_at

    def changed(self) -> dict[str, StateView]:
        """The states that have changed since the last call."""
        names, self._changed = self._changed, set()
        return {name: self.states[name] for name in names}

    def add(self, record: r.Record) -> None:
        """Take the next record in."""
        visit = self.trace.add(record)
        match record:
            case r.StateEntered(frame=frame):
                assert visit is not None
                self._enter(self._places[frame], visit)
            case r.StateExited(frame=frame, name=name, next=target):
                self._recount(frame, record.at)
                if target is not None:
                    self.taken.add((name, target))
            case r.ForkStarted(frame=frame, total=total):
                self._fork(self._places[frame], total)
            case r.BranchStarted(frame=frame, index=index):
                self._begin(frame, self.trace.run.next_frame - 1, index)
            case r.BranchRedriven(frame=frame):
                self._take_up(frame, record.at)
            case r.BranchSucceeded(frame=frame):
                self._end(frame, "SUCCEEDED", record.at)
            case r.BranchFailed(frame=frame):
                self._end(frame, "FAILED", record.at)
            case r.BranchAborted(frame=frame):
                self._end(frame, "ABORTED", record.at)
            case r.EvaluationFailed(frame=frame) | r.ForkFailed(frame=frame) | r.RetryScheduled(frame=frame):
                self._abort_below(self._places[frame], record.at)
                self._recount(frame, record.at)
            case r.TaskScheduled(frame=frame):
                self._recount(frame, record.at)
                self._wait(visit)
            case r.TaskStarted() | r.TaskSubmitted() | r.TaskSucceeded() | r.TaskFailed() | r.TaskTimedOut():
                self._wait(visit)
            case r.MapRunStarted(frame=frame, arn=arn) | r.MapRunRedriven(frame=frame, arn=arn):
                self._recount(frame, record.at)
                assert visit is not None
                self.map_runs = {run: name for run, name in self.map_runs.items() if name != visit.name}
                self.map_runs[arn] = visit.name
                view = self.states[visit.name]
                view.codes, view.done, view.total, view.sure = bytearray(), 0, visit.total, visit.sure
                self._changed.add(visit.name)
            case r.MapRunSucceeded():
                assert visit is not None
                assert visit.map_run is not None
                self.progress(visit.map_run, visit.done, visit.total)
            case r.ExecutionFailed() | r.ExecutionAborted() | r.ExecutionTimedOut():
                self._abort_below(self._places[ROOT], record.at)
                self._recount(ROOT, record.at)
            case r.ExecutionRedriven():
                self._recount(ROOT, record.at)
            case _:
                pass  # the others change nothing that a board shows

    def _wait(self, visit: Visit | None) -> None:
        """Show what a visit waits for, if that has changed."""
        if visit is not None and self.states[visit.name].waits != visit.waits_for:
            self.states[visit.name].waits = visit.waits_for
            self._changed.add(visit.name)

    def progress(self, map_run: str, done: int, total: int, whole: bool = False) -> bool:
        """Somebody has counted the items of a Map Run, which the records do not. Returns whether that is new here."""
        name = self.map_runs.get(map_run)
        if name is None:
            return False
        view = self.states[name]
        before = view.done, view.total, view.sure
        view.done, view.total, view.sure = done, max(view.total, total), view.sure or whole
        if before == (view.done, view.total, view.sure):
            return False
        self._changed.add(name)
        return True

    def _enter(self, place: _Place, visit: Visit) -> None:
        view = self.states[visit.name]
        self._discount(place.below.pop(visit.name, Counter()))
        view.visits += 1
        view.exited_at = None
        if view.entered_at is None:
            view.entered_at = visit.entered_at
        place.visit, place.status, place.fork = visit, "", None
        place.below[visit.name] = Counter()
        self._count(place, "RUNNING")

    def _recount(self, frame: int, at: float) -> None:
        """Count the visit that a frame is in as what the trace says of it now."""
        place = self._places[frame]
        visit = place.visit
        if visit is None:
            return
        waits = visit.status == "RUNNING" and visit.retry_due is not None
        self._count(place, "RETRYING" if waits else visit.status)
        view = self.states[visit.name]
        if view.running:
            view.exited_at = None
        elif visit.exited_at is not None:
            view.exited_at, view.waits = at, ""

    def _count(self, place: _Place, status: StateStatus) -> None:
        assert place.visit is not None
        name = place.visit.name
        if status != place.status:
            counts, tally = self.states[name].counts, place.below[name]
            if place.status:
                counts[place.status] -= 1
                tally[name, place.status] -= 1
            counts[status] += 1
            tally[name, status] += 1
            place.status = status
        self._changed.add(name)

    def _discount(self, tally: _Tally) -> None:
        for (name, status), number in tally.items():
            self.states[name].counts[status] -= number
            self._changed.add(name)

    def _fork(self, place: _Place, total: int) -> None:
        assert place.visit is not None
        name = place.visit.name
        # An earlier try's branches count no more; the visit itself does.
        self._discount(place.below[name])
        place.below[name], place.status = Counter(), ""
        self._count(place, "RUNNING")
        view = self.states[name]
        view.total, view.done, view.codes, view.sure = total, 0, bytearray(b" " * total), True
        place.fork = _Fork(view, view.codes)

    def _begin(self, parent: int, child: int, index: int) -> None:
        fork = self._places[parent].fork
        assert fork is not None
        fork.live.add(child)
        self._places[child] = _Place(parent, index)
        self._mark(fork, index, "RUNNING")

    def _mark(self, fork: _Fork, index: int, status: VisitStatus) -> None:
        before = chr(fork.codes[index])
        fork.codes[index] = ord(ITEM[status])
        if fork.view.codes is fork.codes:  # else the view shows a later visit
            fork.view.done += (status != "RUNNING") - (before not in _NOT_DONE)
            self._changed.add(fork.view.name)

    def _end(self, frame: int, status: VisitStatus, at: float) -> None:
        """A branch or iteration has ended: its counts are now its parent's."""
        if frame not in self._places:  # it had ended, and then the run did before that was noted
            self._take_up(frame, at)
        place = self._places[frame]
        self._abort_below(place, at)
        self._recount(frame, at)
        del self._places[frame]
        assert place.parent is not None
        parent = self._places[place.parent]
        assert parent.fork is not None
        assert parent.visit is not None
        parent.fork.live.discard(frame)
        self._mark(parent.fork, place.index, status)
        if status != "SUCCEEDED":
            self._lost[frame] = place
        for tally in place.below.values():
            parent.below[parent.visit.name].update(tally)

    def _take_up(self, frame: int, at: float) -> None:
        """A branch or iteration that had ended goes on: its counts are its own again."""
        place = self._places[frame] = self._lost.pop(frame)
        assert place.parent is not None
        parent = self._places[place.parent]
        assert parent.fork is not None
        assert parent.visit is not None
        for tally in place.below.values():
            parent.below[parent.visit.name].subtract(tally)
        parent.fork.live.add(frame)
        self._mark(parent.fork, place.index, "RUNNING")
        self._recount(frame, at)

    def _abort_below(self, place: _Place, at: float) -> None:
        """What is still under way within a visit has been given up with it."""
        if place.fork is not None:
            for frame in sorted(place.fork.live):
                self._end(frame, "ABORTED", at)
