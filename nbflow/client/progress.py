"""``watch``: progress in the terminal.

A line for each state that is left, and a bar for each Map and Parallel, and for tasks that say how far they are.
"""

import sys
from collections.abc import Hashable, Iterator
from contextlib import nullcontext
from functools import partial
from itertools import islice
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from nbflow.client.display import MARKS, line, put
from nbflow.client.executions import Execution
from nbflow.drawing.pace import Paces
from nbflow.machine.trace import Trace, Visit
from nbflow.tasks.heard import Progress as Far

MOST_BARS: Final = 5
"""Tasks that have a bar at once: those that have begun first."""


def watch(execution: Execution, console: Console | None = None, *, redrive: int = 0) -> Execution:
    """Follow the execution until it ends, printing a line for each state of its top level. Returns it.

    ``console`` is standard error by default. ``redrive``: print only what comes after the redrive of this number.
    Ctrl-C stops watching, not the execution.
    """
    console = console or Console(file=sys.stderr)
    connection = execution.connection
    trace = Trace(connection.patiently(partial(connection.service.definition_of, execution.arn)))
    progress = Progress(*_columns(), console=console, transient=True)
    bars, far = _Bars(progress), _Bars(progress)
    """Of visits, and of tasks, by their attempts' ids."""
    left: set[int] = set()
    """Visits whose line has been printed: the end of the execution touches the last one again."""
    with progress if console.is_terminal else nullcontext():
        for batch in execution.follow(pulse=True):
            for record in batch:
                visit = trace.add(record)
                if visit is None or visit.index is not None:
                    continue
                if visit.exited_at is None:
                    left.discard(id(visit))  # it goes on after a redrive
                elif id(visit) not in left:
                    _count(execution, visit)
                if id(visit) not in left and trace.run.redrives >= redrive:
                    _show(visit, bars, console)
                if visit.exited_at is not None:
                    left.add(id(visit))
            for visit in trace.visits[-1:]:
                if visit.exited_at is None and _count(execution, visit) and visit.total:
                    _move(visit, bars)
            _hear(execution, far)
    run = trace.run
    begun = run.redriven_at or run.started_at
    seconds = (run.stopped_at or begun) - begun
    put(console, f"  {MARKS[run.status]} {execution.name} {run.status} in {seconds:.1f} s")
    return execution


def _count(execution: Execution, visit: Visit) -> bool:
    """Count the items of a Map Run: its children remember how they end, and not this execution. Whether it is one."""
    if visit.map_run is not None:
        connection = execution.connection
        progress = partial(connection.service.map_run_progress, visit.map_run)
        visit.count(*connection.patiently(progress))
    return visit.map_run is not None


class _Bars:
    """Bars by any key."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[Hashable, TaskID] = {}
        self._paces = Paces()

    def keys(self) -> set[Hashable]:
        return set(self._tasks)

    def move(self, key: Hashable, words: str, done: float, total: float | None, *, sure: bool = True) -> None:
        """``sure``: the total is all that there is to do."""
        left = self._paces.left(key, done, total if sure else None, self._progress.get_time())
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(escape(words), total=total, left=left)
        self._progress.update(
            self._tasks[key], description=escape(words), completed=done, total=total, left=left
        )

    def remove(self, key: Hashable) -> None:
        if key in self._tasks:
            self._progress.remove_task(self._tasks.pop(key))


def _columns() -> tuple[ProgressColumn, ...]:
    return (
        TextColumn("  [cyan]…[/] {task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )


def _hear(execution: Execution, bars: _Bars) -> None:
    """Bring the bars of the tasks up to date that say how far they are, and run in this process or on its Dask."""
    shown = dict(islice(_far(execution), MOST_BARS))
    for key in bars.keys() - set(shown):
        bars.remove(key)
    for key, (name, far) in shown.items():
        bars.move(key, f"{name}: {far.text}" if far.text else name, far.done, far.total)


def _far(execution: Execution) -> Iterator[tuple[Hashable, tuple[str, Far]]]:
    """How far each task is that says so, or a child of a Map Run, under its state's name."""
    for attempt, told in sorted(execution.connection.engine.heard(execution.arn).items()):
        if told.progress is not None:
            yield attempt, (told.state, told.progress)
        for item in told.items:
            yield (attempt, item.number), (f"{told.state} [{item.number}]", item.progress)


def _move(visit: Visit, bars: _Bars) -> None:
    bars.move(id(visit), visit.name, visit.done, visit.total, sure=visit.sure)


def _show(visit: Visit, bars: _Bars, console: Console) -> None:
    """Bring the bar of a Map or Parallel up to date; print a line for a state that is left or will be tried again."""
    if visit.total and visit.exited_at is None:
        _move(visit, bars)
    if visit.retry_due is not None:
        error, attempt = escape(visit.error or "an error"), len(visit.attempts) or 1
        put(
            console,
            f"  [yellow]↻[/] {escape(visit.name)}: attempt {attempt} failed with {error}; trying again",
        )
    elif visit.exited_at is not None:
        bars.remove(id(visit))
        put(console, f"  {line(visit)}")
