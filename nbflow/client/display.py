"""What people read in a terminal: executions, steps and events as rich's renderables and markup.

Whatever comes from a user (names, errors, output) is escaped: ``[`` in it is text, not markup. Nothing is cut off at
the terminal's width, so that a name can be copied and a pipe gets whole lines; :func:`put` prints so.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Final

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

from nbflow.client.executions import Execution, Step, standing
from nbflow.language.values import Json
from nbflow.machine.context import timestamp
from nbflow.machine.history import Event
from nbflow.machine.trace import STOPPING, Visit

MARKS: Final = {
    "RUNNING": "[cyan]…[/]",
    "SUCCEEDED": "[green]✓[/]",
    "FAILED": "[red]✗[/]",
    "CAUGHT": "[yellow]![/]",
    "ABORTED": "[red]■[/]",
    "TIMED_OUT": "[red]✗[/]",
}

_COLOURS: Final = {"SUCCEEDED": "green", "RUNNING": "cyan", "CAUGHT": "yellow"}

MOST_ITEMS: Final = 5
"""Items of a Map that are listed; the failed ones come first."""

MOST_TEXT: Final = 4000
"""Characters of a JSON value that are shown; ``--json`` has all of it."""


def put(console: Console, what: RenderableType = "") -> None:
    """Print as it is: no line is broken or cut at the terminal's width, and nothing is coloured by guess."""
    console.print(what, highlight=False, soft_wrap=True, emoji=False)


def when(at: float) -> str:
    """A time as people read it: UTC, to the second."""
    return timestamp(at)[:19].replace("T", " ")


def coloured(status: str) -> str:
    """A status in its colour."""
    return f"[{_COLOURS.get(status.partition(' ')[0], 'red')}]{status}[/]"


def line(visit: Visit, *, stopping: bool = False) -> str:
    """A visit in one line: mark, name (after the number of its item or branch), seconds, what it is, error.

    ``stopping``: it was given up, and its task has not ended yet.
    """
    name = visit.name if visit.index is None else f"[{visit.index}] {visit.name}"
    what = visit.type
    if visit.total:
        succeeded, failed, stopped = visit.ends
        what += f", {succeeded} of {visit.total}"
        what += f", {failed} failed" if failed else ""
        what += f", {stopped} stopped" if stopped else ""
    if len(visit.attempts) > 1:
        what += f", {len(visit.attempts)} attempts"
    if visit.waits_for:
        what += f", waits for {visit.waits_for}"
    if visit.wakes_at is not None and visit.exited_at is None:
        what += f", until {when(visit.wakes_at)} UTC"
    if stopping:
        what += f", waits for {STOPPING}"
    seconds = "" if visit.exited_at is None else f"{visit.exited_at - visit.entered_at:.2f} s"
    error = f"  [red]{escape(visit.error)}[/]" if visit.error and visit.status != "SUCCEEDED" else ""
    return f"{MARKS[visit.status]} {escape(f'{name:<44}')} {seconds:>9}  [dim]{what}[/]{error}"


def tree(
    visits: Iterable[Visit], depth: int = 0, *, stopping: Callable[[Visit], bool] = lambda _: False
) -> Iterator[str]:
    """A line for each visit; those of branches and iterations stand below their parent's."""
    for visit in visits:
        yield f"{'  ' * depth}{line(visit, stopping=stopping(visit))}"
        order = sorted(visit.branches, key=lambda at: (visit.branch_status[at] == "SUCCEEDED", at))
        for index in order[:MOST_ITEMS]:
            yield from tree(visit.branches[index], depth + 2, stopping=stopping)
        if len(order) > MOST_ITEMS:
            yield f"{'  ' * (depth + 2)}[dim]… and {len(order) - MOST_ITEMS} more[/]"


def table(rows: Iterable[Iterable[str]], *headings: str) -> Table:
    """A table without lines, as wide as its cells (which are markup)."""
    made = Table(*headings, box=None, pad_edge=False, header_style="dim")
    for column in made.columns:
        column.no_wrap = True
        column.overflow = "ignore"
    for row in rows:
        made.add_row(*row)
    made.width = made.__rich_measure__(_WIDE, _WIDE.options).maximum
    return made


_WIDE: Final = Console(width=10_000)
"""Measures tables, and prints nothing."""


def runs(executions: Iterable[Execution]) -> Table:
    """``nbflow list``."""
    listed = list(executions)
    rows = [run.row for run in listed]
    statuses = standing(listed[0].connection, rows) if listed else []
    return table(
        (
            (
                row.name,
                run.machine,
                coloured(status),
                when(row.started_at),
                "" if row.stopped_at is None else f"{row.stopped_at - row.started_at:.1f}",
                escape(row.error or ""),
            )
            for run, row, status in zip(listed, rows, statuses, strict=True)
        ),
        *("execution", "machine", "status", "started (UTC)", "seconds", "error"),
    )


def events(history: Iterable[Event]) -> Table:
    """``nbflow history``."""
    return table(
        (
            (str(event["id"]), when(event["timestamp"]), event["type"], escape(_detail(event)))
            for event in history
        ),
        *("id", "time (UTC)", "event", "detail"),
    )


def _detail(event: Event) -> str:
    """What matters of an event, in one line."""
    details: dict[str, Json] = next((v for k, v in event.items() if k.endswith("EventDetails")), {})
    parts = [str(details[key]) for key in ("name", "index", "resource", "length", "error") if key in details]
    text = details.get("cause") or details.get("output") or details.get("input") or details.get("parameters")
    if text is not None:
        first = " ".join(text.split())
        parts.append(first if len(first) <= 70 else f"{first[:69]}…")
    return "  ".join(parts)


def show_execution(console: Console, run: Execution) -> None:
    """``nbflow show RUN``: the steps, input and output, or how it ended."""
    row = run.row
    [status] = standing(run.connection, [row])
    put(
        console,
        f"[bold]{run.name}[/] of {run.machine}: {coloured(status)}, started {when(row.started_at)} UTC",
    )
    put(console, f"[dim]{run.arn}[/]")
    if run.origin:
        put(console, escape(run.origin))
    put(console)
    trace = run.trace
    for each in tree(trace.visits, stopping=partial(run.is_stopping, trace)):
        put(console, each)
    if status != row.status:
        put(console, f"[yellow]interrupted[/]: {escape(run.connection.how_to_resume(row))}")
    show_value(console, "input", json.loads(row.input))
    if row.output is not None:
        output = json.loads(row.output)
        show_value(console, "output", output)
        _show_artifacts(console, run, output)
    elif row.status != "RUNNING":
        show_error(console, run.explain())


def show_step(console: Console, step: Step) -> None:
    """``nbflow show RUN STEP``: attempts, input, output, error, and what was printed."""
    put(console, f"[bold]{escape(step.label)}[/] ({step.type}): {coloured(step.status)}")
    for number, attempt in enumerate(step.attempts, 1):
        put(console, f"  {_attempted(number, attempt)}")
    show_value(console, "input", step.input)
    if step.status in ("SUCCEEDED", "CAUGHT"):
        show_value(console, "output", step.output)
    if step.error:
        show_error(console, step.describe_error())
    if step.log:
        put(console, "\n[bold]printed[/]")
        _show_printed(console, step.log)


def _attempted(number: int, attempt: Mapping[str, object]) -> str:
    """An attempt of :attr:`Step.attempts` in a line: when it began, how long it took, who did it, its error."""
    error = f"  [red]{escape(str(attempt['error']))}[/]" if attempt["error"] else ""
    begun = datetime.fromisoformat(str(attempt["started"]))
    ended = attempt["ended"]
    took = (
        "under way"
        if ended is None
        else f"{(datetime.fromisoformat(str(ended)) - begun).total_seconds():.2f} s"
    )
    if attempt["waits_for"]:
        took += f", waits for {attempt['waits_for']}"
    if attempt["worker"]:
        took += f", taken by {escape(str(attempt['worker']))}"
    if attempt["queued"]:
        took += f", queued {attempt['queued']:.2f} s"
    return f"attempt {number}: {begun:%Y-%m-%d %H:%M:%S} UTC, {took}{error}"


def show_log(console: Console, label: str, number: int, attempt: Mapping[str, object], text: str) -> None:
    """``nbflow logs``: an attempt at a step, and what it printed."""
    put(console, f"[bold]{escape(label)}[/], {_attempted(number, attempt)}")
    _show_printed(console, text)


def _show_printed(console: Console, text: str) -> None:
    """As it is: rich would make spaces of its tabs."""
    console.file.write(text.rstrip("\n") + "\n")
    console.file.flush()


def show_error(console: Console, text: str) -> None:
    """An error: its first line in red, then the rest, such as a traceback."""
    first, _, rest = text.rstrip().partition("\n")
    put(console, f"\n[red]{escape(first)}[/]")
    if rest:
        put(console, escape(rest))


def show_value(console: Console, title: str, value: Json) -> None:
    """A JSON value under its title."""
    text = pretty(value)
    put(console, f"\n[bold]{title}[/]")
    put(console, escape(text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}\n… (--json has all of it)"))


def pretty(value: Json) -> str:
    """JSON on several lines; pure ASCII only where UTF-8 cannot hold it (a lone surrogate)."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=2)
    return text


def _show_artifacts(console: Console, run: Execution, output: Json) -> None:
    rows = [
        (
            artifact.kind,
            *("" if n is None else f"{n:,}" for n in (artifact.rows, artifact.columns, artifact.bytes)),
            escape(run.path_of(artifact)),
        )
        for artifact in run.artifacts(output).values()
    ]
    if rows:
        put(console, "\n[bold]artifacts of the output[/]")
        put(console, table(rows, "artifact", "rows", "columns", "bytes", "file"))
