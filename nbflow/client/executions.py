"""``nf.Execution``: a run, its result and its steps."""

import asyncio
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nbflow.artifacts.shelf import Artifact
from nbflow.artifacts.values import references, unpack
from nbflow.client.connection import Connection, StoppedWaiting
from nbflow.client.presentation import presenter
from nbflow.drawing.words import status_word
from nbflow.engine.hearing import marked
from nbflow.engine.rebuilding import recorded_codes
from nbflow.engine.rows import artifact_of
from nbflow.errors import NbflowError
from nbflow.language.validate import all_states
from nbflow.language.values import ABSENT, Json
from nbflow.machine.context import timestamp
from nbflow.machine.history import Event
from nbflow.machine.records import Record, decode
from nbflow.machine.trace import Attempt, Trace, Visit, culprit
from nbflow.service.arns import names_of
from nbflow.store.rows import ExecutionRow, JournalRow

if TYPE_CHECKING:
    from nbflow.client.flows import Flow
    from nbflow.client.machines import Bound, StateMachine
    from nbflow.drawing.board import Board

_PATIENCE: Final = 2.0
"""Seconds of waiting after which a notebook is told of a better way to wait."""

MOST_CHILDREN: Final = 100_000
"""Of a Map Run, that are listed."""

LAST_CHILDREN: Final = 50
"""Of a Map Run, whose logs are at hand at its step: those that have begun last."""

_LOOK: Final = 0.05
"""Seconds between looks for new records of an execution that is followed."""


class ExecutionFailed(NbflowError):
    """The execution did not succeed. ``error`` and ``cause`` are ASL's; ``execution`` is the run."""

    def __init__(self, message: str, execution: "Execution", error: str | None, cause: str | None) -> None:
        super().__init__(message)
        self.execution = execution
        self.error = error
        self.cause = cause


class Execution:
    """One run of a state machine, running or ended, of this process or of an earlier one."""

    def __init__(self, arn: str, connection: Connection) -> None:
        self.arn = arn
        self.connection = connection

    @property
    def row(self) -> ExecutionRow:
        """What the store says of it at this moment: for several members that fit together."""
        return self.connection.row(self.arn)

    @property
    def name(self) -> str:
        return names_of(self.arn)[1]

    @property
    def machine(self) -> str:
        """The state machine's name."""
        return names_of(self.arn)[0]

    @property
    def status(self) -> str:
        """RUNNING, SUCCEEDED, FAILED, ABORTED or TIMED_OUT.

        RUNNING is also what a killed process leaves behind (``interrupted``).
        """
        return self.row.status

    @property
    def interrupted(self) -> bool:
        """Whether it is RUNNING, and its process is no more: ``nf.resume()`` goes on with it, ``stop()`` ends it."""
        return bool(self.connection.service.forsaken([self.row]))

    @property
    def started(self) -> datetime:
        """When it began (UTC)."""
        return datetime.fromtimestamp(self.row.started_at, UTC)

    @property
    def stopped(self) -> datetime | None:
        """When it ended (UTC); None while it runs."""
        at = self.row.stopped_at
        return None if at is None else datetime.fromtimestamp(at, UTC)

    @property
    def input(self) -> Json:
        return json.loads(self.row.input)

    @property
    def output(self) -> Json:
        """The output as JSON: references stay references. None until it has succeeded."""
        text = self.row.output
        return None if text is None else json.loads(text)

    @property
    def error(self) -> str | None:
        return self.row.error

    @property
    def cause(self) -> str | None:
        return self.row.cause

    @property
    def redrives(self) -> int:
        """How often it has been redriven."""
        return self.row.redrive_count

    def wait(self, timeout: float | None = None) -> "Execution":
        """Wait until it has ended. Raises TimeoutError after ``timeout`` seconds; the execution goes on.

        An execution that does not run in this process is waited for, too, with a word on standard error: what another
        process records is seen here. Ctrl-C ends the waiting, and not the execution.
        """
        try:
            if timeout is None:
                self._wait_patiently()
            else:
                self.connection.wait(self.arn, timeout)
        except KeyboardInterrupt:
            raise self._stopped_waiting() from None
        return self

    def _wait_patiently(self) -> None:
        try:
            self.connection.wait(self.arn, _PATIENCE)
        except TimeoutError:
            presenter().still_waiting(self)
            self.connection.wait(self.arn)

    def _stopped_waiting(self) -> StoppedWaiting:
        goes_on = "which has not ended (run.stop() ends it)"
        if self.connection.engine.ended(self.arn) is not None:
            later = f"after that, nf.resume({self.name!r}) goes on with it; run.stop() ends it"
            goes_on = f"which goes on as long as this process does ({later})"
        return StoppedWaiting(f"stopped waiting for execution {self.name}, {goes_on}")

    def __await__(self) -> Generator[Any, None, object]:
        """``await run`` is ``run.result()``, and leaves the event loop (of a notebook, say) free meanwhile."""
        return self._awaited().__await__()

    async def _awaited(self) -> object:
        try:
            await self.connection.ended(self.arn)
        except asyncio.CancelledError as cancelled:
            # Perhaps a notebook's Stop. IPython asks the exception how to show it.
            cancelled._render_traceback_ = self._stopped_waiting()._render_traceback_  # type: ignore[attr-defined]
            raise
        return self.result()

    def result(self, timeout: float | None = None) -> object:
        """Wait, and return the output with references loaded. Raises ExecutionFailed if it did not succeed."""
        row = self.wait(timeout).row
        if row.status != "SUCCEEDED":
            raise ExecutionFailed(self.explain(), self, row.error, row.cause)
        return self._load(self.output)

    def stop(self, error: str | None = None, cause: str | None = None) -> None:
        """End it now; it is ABORTED. One that has ended already stays as it ended.

        Also one of another process. What it has under way is told to stop: notebooks' kernels and Dask's tasks end,
        functions on threads get an exception, as by Ctrl-C; until they heed it, ``stopping`` names their steps.
        """
        self.connection.service.stop_execution(self.arn, error, cause)

    def redrive(
        self,
        flow: "StateMachine | Flow[..., Any] | None" = None,
        /,
        *,
        tasks: "Mapping[str, Bound] | None" = None,
    ) -> "Execution":
        """Go on where it failed, timed out or was stopped, in this process; what succeeded is not done again.

        It keeps its definition and its input. Its tasks are what they are now: those of ``flow`` and ``tasks`` (by the
        names at the end of the definition's Lambda ARNs), by default of what this process has defined under its name.
        Returns itself, as soon as it goes on durably. Raises ApiError ExecutionNotRedrivable if it runs or has
        succeeded, and NbflowError if a task is not known here.
        """
        from nbflow.client.redriving import redrive

        redrive(self, flow, tasks)
        presenter().started(self)
        return self

    def fork(
        self,
        at: str,
        *,
        input: object = ABSENT,
        variables: Mapping[str, object] | None = None,
        definition: "StateMachine | Flow[..., Any] | Mapping[str, Json] | str | Path | None" = None,
        tasks: "Mapping[str, Bound] | None" = None,
        visit: int = -1,
        execution_name: str | None = None,
    ) -> "Execution":
        """Begin a new execution that goes on from the middle of this one; nothing happens to this one.

        It begins at the state ``at`` of the top level, as this one has entered it: with that state's input and with the
        variables of that moment. ``input`` stands in place of that input; ``variables`` in place of those of these
        names (in a flow, its names are the variables). ``visit`` counts the entries of the state from 0; negative, from
        the last one.

        ``definition``: on what it goes on: a flow, a state machine, or a definition as :class:`nf.StateMachine` takes
        it. By default on this one's own definition. The tasks are what they are now, as in :meth:`redrive`; ``tasks``
        are by the names at the end of the definition's Lambda ARNs.

        Returns the new execution, as soon as it is durable. Raises ApiError ValidationException for a state that is not
        there or was not entered so often, NbflowError if a task is not known here, and what ``start`` raises.
        """
        from nbflow.client.forking import fork

        forked = fork(self, at, input, variables, definition, tasks, visit, execution_name)
        presenter().started(forked)
        return forked

    @property
    def forked_from(self) -> "Execution | None":
        """The execution that it was forked from; None if it is no fork."""
        arn = self.row.forked_from
        return None if arn is None else Execution(arn, self.connection)

    @cached_property
    def origin(self) -> str:
        """``forked from NAME at STATE``; empty if it is no fork."""
        original = self.forked_from
        if original is None:
            return ""
        return f"forked from {original.name} at {self.connection.service.forked_at(self.arn)}"

    def panel(self) -> None:
        """Show it under this cell: the steps as they happen, or happened. Raises NbflowError outside a notebook."""
        presenter().panel(self)

    def history(self) -> list[Event]:
        """The events of GetExecutionHistory, in AWS's shapes; ``timestamp`` is seconds since the epoch."""
        return self.connection.service.events(self.arn)

    def to_test(self, path: str | Path | None = None, *, name: str | None = None) -> Path:
        """Write a pytest file that repeats this run, its tasks mocked with the results that it recorded.

        ``path``: the file, or a folder for ``test_<name>.py``; by default the working directory. ``name``: the test's;
        by default the machine's. Returns the file's path. Raises NbflowError if the file exists, if the run has not
        ended or was stopped, and if it would not go the same way on the same results.
        """
        from nbflow.testing.recorded import Recording, write_test

        row = self.row
        definition = self.connection.store.definition(row.definition)
        records = self.connection.service.records(self.arn)
        return write_test(Recording(self.machine, row, definition, records), path, name)

    @property
    def trace(self) -> Trace:
        """The visits of its states so far."""
        trace = Trace(self.connection.service.definition_of(self.arn))
        for record in self.connection.service.records(self.arn):
            trace.add(record)
        for visit in trace.walk():
            if visit.map_run is not None:
                visit.count(*self.connection.service.map_run_progress(visit.map_run))
        return trace

    @property
    def board(self) -> "Board":
        """How each state of the definition stands, however often it was visited."""
        from nbflow.drawing.board import Board

        board = Board(self.connection.service.definition_of(self.arn))
        for record in self.connection.service.records(self.arn):
            board.add(record)
        self.count(board)
        return board

    def count(self, board: "Board") -> bool:
        """Tell the board how far the Map Runs are. Returns whether that is new to it."""
        counted = {arn: self.connection.service.map_run_progress(arn) for arn in board.map_runs}
        return (
            sum(board.progress(arn, sum(far.ends), far.total, far.whole) for arn, far in counted.items()) > 0
        )

    @property
    def waits_outside(self) -> bool:
        """Whether all that is under way waits for an activity's worker or a callback."""
        under_way = [
            visit
            for visit in self.trace.walk()
            if visit.status == "RUNNING" and visit.type not in ("Map", "Parallel")
        ]
        return bool(under_way) and all(visit.waits_for in ("a worker", "a callback") for visit in under_way)

    @property
    def steps(self) -> list["Step"]:
        """The steps of the top level, in the order in which they began."""
        return [Step(self, [visit]) for visit in self.trace.visits]

    @property
    def stopping(self) -> list["Step"]:
        """The steps, at any depth, that were given up, and whose tasks have been told so and have not ended yet."""
        trace = self.trace
        return [Step(self, [visit]) for visit in trace.walk() if self.is_stopping(trace, visit)]

    def is_stopping(self, trace: Trace, visit: Visit) -> bool:
        """Whether a visit was given up and its task has not ended yet: not if the process is gone that ran it."""
        return trace.is_stopping(visit) and self.connection.service.keeper(self.row) is not None

    @property
    def failed(self) -> "Step | None":
        """The innermost step that made it fail; None unless it is FAILED."""
        visit = culprit(self.trace.visits)
        return None if visit is None else Step(self, [visit])

    def __getitem__(self, name: str) -> "Step":
        """The latest visit of the state with this name, at any depth."""
        trace = self.trace
        for visit in reversed(list(trace.walk())):
            if visit.name == name:
                return Step(self, [visit])
        known = ", ".join(dict.fromkeys(visit.name for visit in trace.walk()))
        raise KeyError(
            f"execution {self.name} has not entered a state {name!r}; it has entered: {known or 'none'}"
        )

    def follow(self, *, pulse: bool = False) -> Iterator[list[Record]]:
        """The records as they become durable, from the first to the last, in batches; it ends with the execution.

        With ``pulse``, there is an empty batch at each look that finds nothing. A store that fails is waited for.
        """
        step = -1
        while True:
            over, rows = self.connection.patiently(partial(self._news, step))
            batch: list[Record] = []
            for row in rows:
                step = row.step
                batch += decode(row.records, row.format)
            if batch or pulse:
                yield batch
            if over:
                return
            with suppress(TimeoutError):  # not over yet: look for more records
                self.connection.wait(self.arn, _LOOK)

    def _news(self, after: int) -> tuple[bool, list[JournalRow]]:
        """Whether it has ended, and the steps after that one."""
        over = self.status != "RUNNING"  # asked before the journal is read: nothing can come after its end
        return over, list(self.connection.store.journal(self.arn, after=after))

    def artifacts(self, value: Json) -> dict[str, Artifact]:
        """The artifacts that a JSON value refers to, by hash."""
        rows = self.connection.store.artifacts(references(value))
        return {sha: artifact_of(row) for sha, row in rows.items()}

    def path_of(self, artifact: Artifact) -> str:
        """Where the artifact lies."""
        return self.connection.shelf.path_of(artifact)

    def _load(self, value: Json) -> object:
        return unpack(value, self.artifacts(value), self.connection.shelf)

    def log_of(self, attempt: int) -> str:
        """What an attempt at a task printed; while it runs in this process or on its Dask, what was heard so far."""
        told = self.connection.engine.heard(self.arn).get(attempt)  # first: it may end in between
        log = self.connection.store.log(self.arn, attempt)
        return log or ("" if told is None else told.log)

    def explain(self) -> str:
        """How it stands, in words: which step failed, with what error, and a Python task's traceback.

        Of a Map Run, also how the first child failed.
        """
        row = self.row
        step = self.failed if row.status == "FAILED" else None
        lying = bool(self.connection.service.forsaken([row]))
        what = {
            "RUNNING": f"is interrupted: {self.connection.how_to_resume(row)}" if lying else "is running",
            "SUCCEEDED": "succeeded",
            "FAILED": "failed" if step is None else f"failed in step {step.label}",
            "ABORTED": "was stopped",
            "TIMED_OUT": "timed out",
        }[row.status]
        reason = f": {row.error}" if row.error else ""
        child = None if step is None else step.failed_child
        below = "" if child is None else f"\n\nthe first child that failed: {child.explain()}"
        return f"execution {self.name} of {self.machine} {what}{reason}{_readable(row.cause)}{below}"

    def __repr__(self) -> str:
        origin = f", {self.origin}" if self.origin else ""
        [status] = standing(self.connection, [self.row])
        return f"<nbflow execution {self.name} of {self.machine}: {status}{origin}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What IPython prints of it: the states, and how they stand."""
        from nbflow.drawing.text import draw

        board = self.board
        printer.text(f"{self!r}\n{draw(board.definition, board)}")

    def _repr_html_(self) -> str:
        """What a viewer without a panel shows of it: a picture and a table of the steps."""
        from nbflow.drawing.html import heading, rows_of, static_html
        from nbflow.drawing.svg import svg

        board = self.board
        title = heading(self.machine, self.name, board.trace, self.origin, interrupted=self.interrupted)
        return static_html(svg(board.definition, board), rows_of(board.trace), title)


def standing(connection: Connection, rows: Sequence[ExecutionRow]) -> list[str]:
    """The status of each execution for people, who want to know whether it is interrupted."""
    lying = connection.service.forsaken(rows)
    return [status_word(row.status, interrupted=row.arn in lying) for row in rows]


def _readable(cause: str | None) -> str:
    """A cause for people: a Python task's message and traceback, or the text itself."""
    if not cause:
        return ""
    try:
        parsed = json.loads(cause)
    except json.JSONDecodeError:
        return f": {cause}"
    if not isinstance(parsed, dict) or "errorMessage" not in parsed:
        return f": {cause}"
    message = str(parsed["errorMessage"])
    stack = "\n".join(line.rstrip("\n") for line in parsed.get("stackTrace", [])).rstrip()
    more = len(stack.splitlines()) > len(message.splitlines())  # otherwise it is the message once more
    return f": {message}" + (f"\n\n{stack}" if more else "")


class Step:
    """A step of a run: one visit of a state, or one iteration or branch (which may be several states in a row)."""

    def __init__(self, execution: Execution, visits: list[Visit]) -> None:
        self._execution = execution
        self._visits = visits

    @property
    def _last(self) -> Visit:
        return self._visits[-1]

    @property
    def name(self) -> str:
        return self._last.name

    @property
    def label(self) -> str:
        """The name, with the number of the iteration or branch that it is in; if that is in another one, with both."""
        return repr(self.name) + "".join(f" of item {number}" for number in self._last.items)

    @property
    def type(self) -> str:
        """Task, Map, Choice, …"""
        return self._last.type

    @property
    def status(self) -> str:
        """RUNNING, SUCCEEDED, FAILED, CAUGHT (it failed, and a Catch took it on) or ABORTED."""
        return self._last.status

    @property
    def input(self) -> Json:
        return self._visits[0].input

    @property
    def output(self) -> Json:
        """The output as JSON: references stay references."""
        return self._last.output

    def result(self) -> object:
        """The output with references loaded. Raises ExecutionFailed if the step did not succeed."""
        if self.status != "SUCCEEDED":
            message = f"step {self.label} is {self.status}: {self.describe_error()}"
            raise ExecutionFailed(message, self._execution, self.error, self.cause)
        return self._execution._load(self.output)

    @property
    def error(self) -> str | None:
        return self._last.error

    @property
    def cause(self) -> str | None:
        return self._last.cause

    def describe_error(self) -> str:
        """The error for people: its name, the message, and a Python task's traceback."""
        return f"{self.error or 'no error'}{_readable(self.cause)}"

    @property
    def attempts(self) -> list[Mapping[str, object]]:
        """One mapping an attempt: started and ended (ISO times), error and cause, who is waited for, its worker.

        ``queued`` is for how many seconds it waited for its turn, ``ran`` how many it took; None if that is unknown.
        """
        return [attempted(attempt) for visit in self._visits for attempt in visit.attempts]

    @property
    def log(self) -> str:
        """What its attempts printed; of a Map Run, what is known of it here: the last lines of the last children."""
        text = "".join(
            self._execution.log_of(attempt.id) for visit in self._visits for attempt in visit.attempts
        )
        return text or "".join(line for child in self._children(most=LAST_CHILDREN) for line in _said(child))

    @property
    def source(self) -> str | None:
        """The text of the function that does it, as it was when the run began or was last redriven; None if unknown."""
        execution = self._execution
        states = all_states(execution.connection.service.definition_of(execution.arn))
        named = {
            getattr(state, "resource", None)
            for place, state in states
            if place.endswith(f"/States/{self.name}")
        }
        codes = recorded_codes(execution.connection.store, execution.row)
        return next((codes[name].source or None for name in named if name in codes), None)

    @property
    def map_run(self) -> dict[str, Json] | None:
        """Of a Distributed Map, what DescribeMapRun answers of its latest Map Run."""
        arn = self._last.map_run
        return None if arn is None else self._execution.connection.service.describe_map_run(arn)

    @property
    def children(self) -> list[Execution]:
        """Of a Distributed Map, the executions of its latest Map Run, in the order of their start.

        EXPRESS ones are not kept.
        """
        return self._children()

    @property
    def failed_child(self) -> Execution | None:
        """Of a Distributed Map, the first child of its latest Map Run that is FAILED."""
        return next(iter(self._children(status="FAILED")), None)

    def _children(self, status: str | None = None, most: int = MOST_CHILDREN) -> list[Execution]:
        connection, arn = self._execution.connection, self._last.map_run
        if arn is None:
            return []
        rows = connection.store.executions(map_run_arn=arn, status=status, limit=most)
        return [Execution(row.arn, connection) for row in reversed(rows)]

    def __len__(self) -> int:
        """Map and Parallel: how many iterations or branches there are; of a Map Run, items."""
        return self._last.total

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, index: int) -> "Step":
        """Map and Parallel: one iteration or branch."""
        total = self._last.total
        if not total:
            raise IndexError(f"step {self.label} is a {self.type} without iterations or branches")
        index = index + total if index < 0 else index
        if not 0 <= index < total:
            raise IndexError(f"step {self.label} has {total} iterations or branches, numbered from 0")
        if self._last.map_run is not None:
            hint = "see .children and .map_run of the step"
            raise NbflowError(f"the items of step {self.label} are executions of their own: {hint}")
        visits = self._last.branches.get(index)
        if not visits:
            raise NbflowError(f"item {index} of step {self.label} has not begun")
        return Step(self._execution, visits)

    def __repr__(self) -> str:
        return f"<step {self.label}: {self.status}>"


def attempted(attempt: Attempt) -> Mapping[str, object]:
    """An attempt as one of :attr:`Step.attempts`."""
    return {
        "id": attempt.id,
        "started": timestamp(attempt.started_at),
        "ended": None if attempt.ended_at is None else timestamp(attempt.ended_at),
        "error": attempt.error,
        "cause": attempt.cause,
        "waits_for": attempt.waits_for or None,
        "worker": attempt.worker,
        "queued": None if attempt.ran is None and not attempt.queued else round(attempt.queued, 3),
        "ran": None if attempt.ran is None else round(attempt.ran, 3),
    }


def _said(child: Execution) -> list[str]:
    """What is recorded that a child of a Map Run has printed, as it was heard at the run's step while it ran."""
    text = "".join(child.connection.store.logs(child.arn).values())
    return marked(text, f"[{child.row.item}] ") if text else []
