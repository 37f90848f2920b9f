"""A run as HTML that stays when nothing runs any more: in a closed notebook, on GitHub, after nbconvert.

What a notebook shows is sanitized where it is not trusted: scripts, style sheets and inline SVG are dropped. An image
with its data in it and a table survive everywhere, so this is made of these.
"""

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Final

from nbflow.drawing import words
from nbflow.machine.trace import Trace, Visit

MOST_ITEMS: Final = 5
"""Items of a Map that are listed; the failed ones come first."""
_MOST_TEXT: Final = 200
"""Characters of an error that are shown."""
_COLOURS: Final = {
    "SUCCEEDED": "#1f9d61",
    "RUNNING": "#2f6fed",
    "CAUGHT": "#c47f0c",
    "ABORTED": "#7d8496",
}
_FAILED: Final = "#d93a4a"


@dataclass(frozen=True, slots=True)
class StepRow:
    """A line of the table: a visit of a state, or an item of a Map or a branch of a Parallel."""

    name: str
    depth: int
    """0 at the top, 1 for what is in a Map or Parallel."""
    type: str
    """Such as ``Task``, or ``Map, 7 of 12``."""
    status: str
    attempts: int
    seconds: float | None
    """None while it is under way."""
    error: str
    """Its name and the first line of its message; empty if there was none."""


def rows_of(trace: Trace) -> list[StepRow]:
    """The visits of the top level, each with at most five of its items or branches, the failed ones first."""
    return [row for visit in trace.visits for row in (_row(visit, visit.name, 0, visit), *_items(visit))]


def _items(parent: Visit) -> Iterator[StepRow]:
    order = sorted(parent.branches, key=lambda at: (_URGENCY.index(parent.branch_status[at]), at))
    shown = [index for index in order if parent.branches[index]][:MOST_ITEMS]
    for index in shown:
        visits = parent.branches[index]
        yield _row(visits[-1], f"[{index}] {visits[-1].name}", 1, visits[0])
    if len(order) > len(shown) and shown:
        yield StepRow(f"… and {len(order) - len(shown)} more", 1, "", "", 0, None, "")


_URGENCY: Final = ("FAILED", "ABORTED", "CAUGHT", "RUNNING", "SUCCEEDED")


def _row(visit: Visit, name: str, depth: int, first: Visit) -> StepRow:
    seconds = None if visit.exited_at is None else visit.exited_at - first.entered_at
    kind = f"{visit.type}, {visit.done} of {visit.total}" if visit.total else visit.type
    error = _error(visit) if visit.failed and visit.status != "SUCCEEDED" else ""
    return StepRow(name, depth, kind, visit.status, len(visit.attempts), seconds, error)


def _error(visit: Visit) -> str:
    message = next(iter(_message(visit.cause or "").strip().splitlines()), "")
    return ": ".join(filter(None, (visit.error or "an error without a name", message)))


def _message(cause: str) -> str:
    """The message in a cause, which may be the JSON object that Lambda makes of an exception."""
    try:
        read = json.loads(cause)
    except ValueError:
        return cause
    message = read.get("errorMessage") if isinstance(read, dict) else None
    return message if isinstance(message, str) else cause


def heading(machine: str, run: str, trace: Trace, origin: str = "", *, interrupted: bool = False) -> str:
    """A run in a line: ``report · run-1 · SUCCEEDED in 8.2 s · started 2026-01-31 12:00:00 UTC``.

    ``origin``: of a fork, where it comes from. ``interrupted``: nobody goes on with it.
    """
    state = trace.run
    took = "" if state.stopped_at is None else f" in {words.duration(state.stopped_at - state.started_at)}"
    parts = [machine, run, f"{words.status_word(state.status, interrupted=interrupted)}{took}"]
    if state.started_at:
        parts.append(f"started {datetime.fromtimestamp(state.started_at, UTC):%Y-%m-%d %H:%M:%S} UTC")
    if origin:
        parts.append(origin)
    return " · ".join(parts)


def static_html(svg: str, rows: Sequence[StepRow], title: str) -> str:
    """One ``<div>``: the title, the picture, and the table of steps if there are any."""
    image = b64encode(svg.encode()).decode()
    return (
        f'<div class="nbflow-static"><p><b>{_escaped(title)}</b></p>'
        f'<img src="data:image/svg+xml;base64,{image}" alt="{_escaped(title)}" style="max-width:100%">'
        f"{_table(rows) if rows else ''}</div>"
    )


def _table(rows: Iterable[StepRow]) -> str:
    headings = "".join(f'<th style="text-align:left">{name}</th>' for name in _COLUMNS)
    lines = "".join(f"<tr>{''.join(_cells(row))}</tr>" for row in rows)
    return f"<table><thead><tr>{headings}</tr></thead><tbody>{lines}</tbody></table>"


_COLUMNS: Final = ("state", "type", "status", "attempts", "seconds", "error")


def _cells(row: StepRow) -> Iterator[str]:
    colour = _COLOURS.get(row.status, _FAILED)
    yield f'<td style="text-align:left">{"&nbsp;" * 4 * row.depth}{_escaped(row.name)}</td>'
    yield f'<td style="text-align:left">{_escaped(row.type)}</td>'
    yield f'<td style="text-align:left;color:{colour}">{_escaped(row.status)}</td>'
    yield f"<td>{row.attempts or ''}</td>"
    yield f"<td>{'' if row.seconds is None else f'{row.seconds:.2f}'}</td>"
    error = row.error if len(row.error) <= _MOST_TEXT else f"{row.error[: _MOST_TEXT - 1]}…"
    yield f'<td style="text-align:left">{_escaped(error)}</td>'


def _escaped(text: str) -> str:
    return escape(words.printable(text))
