"""The trace: a projection of the records into *steps*, for people to look at.

Where the history (:mod:`nbflow.machine.history`) is a list of events in AWS's shapes, a trace is a tree: each
visit of a state is a :class:`Visit`, with its input, output, error and attempts; a visit of Parallel or Map
holds the visits of its branches or iterations. It is built record by record, so that a live view and a look
back are the same.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias

from nbflow.language import model
from nbflow.language.integrations import integration
from nbflow.language.values import Json
from nbflow.machine import records as r
from nbflow.machine.evolve import ROOT, evolve
from nbflow.machine.run import Frame, Run

VisitStatus: TypeAlias = Literal["RUNNING", "SUCCEEDED", "FAILED", "CAUGHT", "ABORTED"]
"""CAUGHT: it failed, and a Catch took it on."""

WaitsFor: TypeAlias = Literal["", "a worker", "a callback", "its job"]
"""What a task that others end waits for."""


class Ends(NamedTuple):
    """How many branches, iterations or items have ended, and how."""

    succeeded: int = 0
    failed: int = 0
    stopped: int = 0


@dataclass(slots=True)
class Attempt:
    """One attempt at a task, or one Map Run."""

    id: int
    """The event id of its TaskScheduled (under which its log is stored), MapRunStarted or MapRunRedriven."""
    started_at: float
    ended_at: float | None = None
    error: str | None = None
    cause: str | None = None
    waits_for: WaitsFor = ""
    """Who is to end it, or first to take it, while it is under way; empty where it is being done."""
    worker: str | None = None
    """The name of the activity worker that has taken it, if it gave one, or the Dask worker that did it."""
    queued: float = 0.0
    """Seconds before anybody was at it, as far as that is known."""
    ran: float | None = None
    """Seconds that it took whoever did it; of one that was ended from outside, all but what it was queued for."""


@dataclass(slots=True)
class Visit:
    """A state, from its StateEntered to its StateExited."""

    name: str
    type: str
    index: int | None
    """Which iteration or branch of the parent it is in; None at the top."""
    input: Json
    entered_at: float
    status: VisitStatus = "RUNNING"
    exited_at: float | None = None
    output: Json = None
    error: str | None = None
    cause: str | None = None
    failed: bool = False
    """Whether its latest attempt failed (an error need not have a name)."""
    attempts: list[Attempt] = field(default_factory=list)
    retry_due: float | None = None
    """While it waits for its next attempt."""
    wakes_at: float | None = None
    """Wait: until when it waits, or would have."""
    total: int = 0
    """Parallel and Map: how many branches or iterations there are. Of a Map Run, how many items are known of."""
    branches: dict[int, list["Visit"]] = field(default_factory=dict)
    """Parallel and Map: the visits of each branch or iteration, by its index."""
    branch_status: dict[int, VisitStatus] = field(default_factory=dict)
    map_run: str | None = None
    """Distributed Map: the ARN of its latest Map Run. What is in it, its children remember."""
    counted: Ends | None = None
    """Of a Map Run, how its items have ended. The records do not say that; somebody may count them here."""
    sure: bool = True
    """Whether ``total`` is known to be all. Of a Map Run that reads its items, nobody knows until it has."""
    parent: "Visit | None" = field(default=None, repr=False, compare=False)
    """The visit whose branch or iteration it is in."""

    @property
    def waits_for(self) -> WaitsFor:
        """What its present attempt waits for."""
        return self.attempts[-1].waits_for if self.attempts and self.exited_at is None else ""

    @property
    def ends(self) -> Ends:
        """Parallel and Map: how their branches, iterations or items have ended."""
        if self.map_run is not None:
            return self.counted or Ends()
        count = Counter(self.branch_status.values())
        return Ends(count["SUCCEEDED"], count["FAILED"], count["ABORTED"])

    @property
    def done(self) -> int:
        """Parallel and Map: how many branches, iterations or items have ended."""
        return sum(self.ends)

    def count(self, ends: Ends, total: int, whole: bool) -> None:
        """Somebody has counted the items of the Map Run. ``whole``: no more will be read."""
        self.counted = ends
        self.total = max(self.total, total)  # of those that stand in its input, not all may have been read
        self.sure = self.sure or whole

    @property
    def around(self) -> Iterator["Visit"]:
        """The visits that it is in, from the inside out."""
        outer = self.parent
        while outer is not None:
            yield outer
            outer = outer.parent

    @property
    def items(self) -> list[int]:
        """The numbers of the iterations or branches that it is in, from the inside out."""
        return [visit.index for visit in (self, *self.around) if visit.index is not None]

    def walk(self) -> Iterator["Visit"]:
        """This visit and all below it, in the order in which they began."""
        yield self
        for index in sorted(self.branches):
            for visit in self.branches[index]:
                yield from visit.walk()


STOPPING: Final = "its task, which was told to stop"
"""What a visit waits for that was given up (:meth:`Trace.is_stopping`)."""


class Trace:
    """The visits of one execution, up to the last record that it was given."""

    def __init__(self, definition: model.StateMachine) -> None:
        self.run = Run(definition)
        self.visits: list[Visit] = []
        """The visits of the top level, in their order."""
        self._current: dict[int, Visit] = {}
        """The visit that each frame is in."""
        self._within: dict[int, tuple[Visit, int]] = {}
        """For each branch's frame: its parent's visit, and its index there."""

    def walk(self) -> Iterator[Visit]:
        """All visits, parents before what is in them."""
        for visit in self.visits:
            yield from visit.walk()

    def is_stopping(self, visit: Visit) -> bool:
        """Whether a task of the visit was given up and has not ended yet: a thread, say, cannot be killed."""
        return any(attempt.id in self.run.cancelling for attempt in visit.attempts)

    def add(self, record: r.Record) -> Visit | None:
        """Take the next record in. Returns the visit that it changed, if any."""
        visit = self._change(record)
        evolve(self.run, record)
        if isinstance(record, r.BranchStarted):
            child = self.run.next_frame - 1
            parent = self._current[record.frame]
            self._within[child] = (parent, record.index)
            parent.branches[record.index] = []
            parent.branch_status[record.index] = "RUNNING"
        elif isinstance(record, r.ExecutionRedriven):
            return self._taken_up(ROOT)
        elif isinstance(record, r.BranchRedriven):
            parent, index = self._within[record.frame]
            parent.branch_status[index] = "RUNNING"
            self._taken_up(record.frame)
            return parent
        elif isinstance(record, r.TaskScheduled | r.MapRunStarted | r.MapRunRedriven) and visit is not None:
            waits: WaitsFor = ""
            if isinstance(record, r.TaskScheduled) and integration(record.resource).family == "Activity":
                waits = "a worker"
            visit.attempts.append(Attempt(self.run.last_event, record.at, waits_for=waits))
        return visit

    def _change(self, record: r.Record) -> Visit | None:
        match record:
            case r.StateEntered():
                return self._entered(record, self.run.frames[record.frame])
            case r.StateExited(frame=id):
                return self._exited(record, self.run.frames[id])
            case r.TaskStarted() | r.TaskSubmitted():
                return self._taken_on(record, self.run.frames[record.frame])
            case (
                r.TaskSucceeded() | r.TaskFailed() | r.TaskTimedOut() | r.MapRunSucceeded() | r.MapRunFailed()
            ):
                return _attempt_ended(self._current[record.frame], record)
            case r.EvaluationFailed() | r.ForkFailed():
                visit = self._current[record.frame]
                _fail(visit, record.error, record.cause)
                _abort_below(visit, record.at)
                return visit
            case r.WaitStarted():
                visit = self._current[record.frame]
                visit.wakes_at = record.due
                return visit
            case r.RetryScheduled():
                visit = self._current[record.frame]
                visit.retry_due = record.due
                _abort_below(visit, record.at)
                return visit
            case (
                r.TaskScheduled() | r.ForkStarted() | r.MapStarted() | r.MapRunStarted() | r.MapRunRedriven()
            ):
                visit = self._current[record.frame]
                visit.error = visit.cause = visit.retry_due = None
                visit.failed = False
                if isinstance(record, r.ForkStarted):
                    visit.total = record.total
                    visit.branches, visit.branch_status = {}, {}
                elif isinstance(record, r.MapStarted):
                    visit.total, visit.counted = record.length, None
                elif isinstance(record, r.MapRunStarted | r.MapRunRedriven):
                    visit.map_run, visit.counted, visit.sure = record.arn, None, visit.total > 0
                return visit
            case r.BranchSucceeded() | r.BranchFailed() | r.BranchAborted():
                return self._branch_ended(record)
            case r.ExecutionFailed() | r.ExecutionAborted() | r.ExecutionTimedOut():
                return self._ended(record)
            case _:
                return None

    def _taken_up(self, id: int) -> Visit | None:
        """The visit that a frame was in goes on, unless its state is yet to be entered."""
        visit = self._current.get(id)
        if visit is None or self.run.frames[id].phase == "READY":
            return None
        visit.status, visit.exited_at = "RUNNING", None
        visit.failed, visit.error, visit.cause = False, None, None
        return visit

    def _taken_on(self, record: r.TaskStarted | r.TaskSubmitted, frame: Frame) -> Visit | None:
        visit = self._current[frame.id]
        attempt, before = visit.attempts[-1], visit.waits_for
        if isinstance(record, r.TaskStarted):
            attempt.waits_for, attempt.worker = "", record.worker
            attempt.queued = record.at - attempt.started_at
        else:
            pattern = integration(frame.resource).pattern
            attempt.waits_for = "a callback" if pattern == ".waitForTaskToken" else "its job"
        return visit if attempt.waits_for != before else None

    def _entered(self, record: r.StateEntered, frame: Frame) -> Visit:
        parent, index = self._within.get(frame.id, (None, None))
        visit = Visit(record.name, frame.current.type, index, frame.data, record.at, parent=parent)
        self._current[frame.id] = visit
        if parent is None or index is None:
            self.visits.append(visit)
        else:
            parent.branches[index].append(visit)
        return visit

    def _exited(self, record: r.StateExited, frame: Frame) -> Visit:
        visit = self._current[frame.id]
        _close(visit, "CAUGHT" if visit.failed else "SUCCEEDED", record.at)
        visit.output = (
            record.output
            if record.origin == "value"
            else (frame.data if record.origin == "input" else frame.result)
        )
        return visit

    def _branch_ended(self, record: r.BranchSucceeded | r.BranchFailed | r.BranchAborted) -> Visit:
        parent, index = self._within[record.frame]
        status: VisitStatus = "SUCCEEDED"
        if not isinstance(record, r.BranchSucceeded):
            status = "FAILED" if isinstance(record, r.BranchFailed) else "ABORTED"
            last = self._current.get(record.frame)
            if last is not None and last.exited_at is None:
                _close(last, status, record.at)
                _abort_below(last, record.at)
                if isinstance(record, r.BranchFailed):
                    _fail(last, record.error, record.cause)
        parent.branch_status[index] = status
        return parent

    def _ended(self, record: r.ExecutionFailed | r.ExecutionAborted | r.ExecutionTimedOut) -> Visit | None:
        if isinstance(record, r.ExecutionFailed) and ROOT in self._current:
            last = self._current[ROOT]
            _close(last, "FAILED", record.at)
            _fail(last, record.error, record.cause)
        for visit in self.visits:
            if visit.exited_at is None:
                _close(visit, "ABORTED", record.at)
            _abort_below(visit, record.at)
        return self._current.get(ROOT)


def _attempt_ended(
    visit: Visit,
    record: r.TaskSucceeded | r.TaskFailed | r.TaskTimedOut | r.MapRunSucceeded | r.MapRunFailed,
) -> Visit:
    attempt = visit.attempts[-1]
    attempt.ended_at, attempt.waits_for = record.at, ""
    if isinstance(record, r.TaskSucceeded | r.TaskFailed):
        attempt.worker = record.worker or attempt.worker
        attempt.queued = record.queued or attempt.queued
        attempt.ran = record.ran or max(0.0, record.at - attempt.started_at - attempt.queued)
    if isinstance(record, r.MapRunSucceeded):
        visit.counted = visit.counted or Ends(visit.total)
    elif not isinstance(record, r.TaskSucceeded):
        attempt.error, attempt.cause = record.error, record.cause
        _fail(visit, record.error, record.cause)
    return visit


def _close(visit: Visit, status: VisitStatus, at: float) -> None:
    visit.status, visit.exited_at, visit.retry_due = status, at, None


def _fail(visit: Visit, error: str | None, cause: str | None) -> None:
    visit.failed, visit.error, visit.cause = True, error, cause


def _abort_below(visit: Visit, at: float) -> None:
    """Whatever is still under way inside this visit has been given up with it."""
    for index, visits in visit.branches.items():
        if visit.branch_status[index] == "RUNNING":
            visit.branch_status[index] = "ABORTED"
        for inner in visits:
            if inner.exited_at is None:
                _close(inner, "ABORTED", at)
            _abort_below(inner, at)


def culprit(visits: Sequence[Visit]) -> Visit | None:
    """The visit in which the failure of the last of these visits began: down through Maps and Parallels."""
    if not visits or visits[-1].status != "FAILED":
        return None
    outer = visits[-1]
    for inner in outer.branches.values():
        found = culprit(inner)
        if found is not None and (found.error, found.cause) == (outer.error, outer.cause):
            return found  # one with another error was tolerated
    return outer
