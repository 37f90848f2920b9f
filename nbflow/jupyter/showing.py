"""Showing runs under the cell that started them.

A cell has one panel; further runs that it starts become rows in it. What a notebook *keeps* cannot be the panel: a
widget is gone with its kernel. So there are two outputs, one after the other:

- the panel's, with an empty text where there are no widgets;
- a static one: a picture and a table, which is renewed now and then, and at the end, under its display id.

Where nobody attends the notebook (nbclient, papermill), there is only the second. Else one of the two is seen. Where
the panel is live, its style sheet hides the static one. Where it is not (no kernel, another kernel, a viewer without
widgets), the static one brings a style that hides what says "model not found". A notebook that is not trusted loses
that style, and with it nothing: JupyterLab shows the panel's empty text there.
"""

import html
import logging
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from IPython.core.getipython import get_ipython
from IPython.display import display

from nbflow.client.executions import Execution
from nbflow.drawing.html import heading, rows_of, static_html
from nbflow.drawing.svg import svg
from nbflow.drawing.text import draw
from nbflow.errors import NbflowError
from nbflow.jupyter.live import Followed, Following
from nbflow.machine.context import timestamp

STATIC_REST: Final = 10.0
"""Seconds between two renewals of the static output while runs go on: each changes the notebook's file."""

MOST_PICTURES: Final = 5
"""Runs of one cell that the static output has pictures of: the latest; of the others it has a line."""

_WIDGET: Final = "application/vnd.jupyter.widget-view+json"

_HIDE_THE_DEAD: Final = (
    "<style>.jp-OutputArea-child:has(> .jp-OutputArea-output.lm-Panel):not(:has(.nbflow-panel))"
    ":has(+ * .nbflow-static){display:none}</style>"
)
"""The panel's output while, or where, it is no panel: what JupyterLab says instead is a panel of its own kind."""

_log = logging.getLogger(__name__)


def show(execution: Execution) -> None:
    """Show a run under this cell, unless this cell shows it already.

    Raises NbflowError where there is no kernel, and so no place for a panel.
    """
    shown = _shown_here()
    if shown is None:
        raise NbflowError(
            f"a panel needs a notebook; here, `nbflow show {execution.name}` prints the steps of the run"
        )
    shown.add(execution)


def show_started(execution: Execution) -> None:
    """The same for a run that has just been started. Outside a kernel nothing is shown, and nothing is ever raised."""
    try:
        shown = _shown_here()
        if shown is not None:
            shown.add(execution)
    except Exception:  # noqa: BLE001  # the run has begun, and is not to fail for want of a picture
        _log.exception("execution %s cannot be shown; it goes on", execution.name)


def settle(seconds: float) -> None:
    """Wait until what is kept of the runs that have ended shows their ends, but no longer than this.

    For whoever takes the notebook away as soon as the last cell has ended. Runs that go on are not waited for.
    """
    deadline = time.monotonic() + seconds
    for shown in list(_open):
        shown.settle(deadline - time.monotonic())


# --- what a cell shows


class Shown:
    """The outputs of one cell. Without ``attended`` there is nobody to see a panel, and only the static one is made."""

    def __init__(self, cell: str, attended: bool) -> None:
        self.cell = cell
        """The id of the request that runs the cell."""
        self.following = Following()
        self._view = _view(self.following) if attended else None
        self._id = uuid.uuid4().hex
        self._kept: set[str] = set()
        """The runs whose end the static output shows."""
        self._renewed = threading.Condition()
        self._at: float | None = None
        """When the static output was shown last."""
        self.following.listeners.append(self._news)

    def add(self, execution: Execution) -> None:
        """Show this run too, unless it is shown, and goes on."""
        known = self.following.runs.get(execution.arn)
        if known is None or known.outdated:
            _open.add(self)
            self._kept.discard(execution.arn)
            self.following.add(execution)

    def settle(self, seconds: float) -> None:
        """See :func:`settle`."""
        ended = {arn for arn, run in self.following.runs.items() if run.execution.status != "RUNNING"}
        with self._renewed:
            self._renewed.wait_for(lambda: self.following.problem or ended <= self._kept, max(seconds, 0.0))

    def _news(self, changed: Sequence[Followed]) -> None:
        """In the cell's thread when a run is added, then in the panel's, which runs in the cell's context."""
        if self._at is None and self._view is not None:
            _put(self._view)
        ended = {run.execution.arn for run in changed if run.ended}
        if self._at is None or ended or time.monotonic() - self._at > STATIC_REST:
            self._renew()
        if self.following.ended:
            _open.discard(self)

    def _renew(self) -> None:
        with self._renewed:
            bundle, ended = self.following.read(_static)
            _put(bundle, display_id=self._id, update=self._at is not None)
            self._at = time.monotonic()
            self._kept |= ended
            self._renewed.notify_all()


def _view(following: Following) -> dict[str, object]:
    """A new panel, as an output."""
    from nbflow.jupyter.panel import Panel  # its libraries take a while to import, and are of use here only

    view = {"version_major": 2, "version_minor": 0, "model_id": Panel(following).model_id}
    return {_WIDGET: view, "text/plain": ""}


def _put(bundle: Mapping[str, object], **how: object) -> None:
    display(bundle, raw=True, **how)


def _static(runs: Sequence[Followed]) -> tuple[dict[str, str], set[str]]:
    """What is kept, and the runs that have ended there."""
    now = time.time()
    pictures = [_picture(run, now) for run in runs[-MOST_PICTURES:]]
    others = [f"<div>{html.escape(_title(run))}</div>" for run in runs[:-MOST_PICTURES]]
    page = f"{_HIDE_THE_DEAD}<div>{''.join(others + pictures)}</div>"
    text = "\n\n".join(f"{_title(run)}\n{draw(run.board.definition, run.board)}" for run in runs)
    return {"text/html": page, "text/plain": text}, {run.execution.arn for run in runs if run.ended}


def _picture(run: Followed, now: float) -> str:
    board = run.board
    return static_html(svg(board.definition, board, now=now), rows_of(board.trace), _title(run))


def _title(run: Followed) -> str:
    """A run in a line, with what made it fail; or when it was last seen to go on, for then nobody renews this."""
    of = run.execution
    line = heading(of.machine, of.name, run.board.trace, of.origin, interrupted=run.interrupted)
    if not run.ended:
        return f"{line} · seen {timestamp(time.time())[11:19]} UTC"
    return f"{line} · {run.error}" if run.error else line


_open: set[Shown] = set()
"""Those with runs that go on. A panel lives as long as its kernel: the widgets' registry holds it."""

_latest: Shown | None = None


def _shown_here() -> Shown | None:
    """The outputs of the cell that runs now; None outside a kernel.

    Whoever runs a notebook by itself says that nobody can be asked for input (``allow_stdin``).
    """
    global _latest
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return None
    request = kernel.get_parent()
    cell = str(request.get("header", {}).get("msg_id", ""))
    if _latest is None or _latest.cell != cell:
        _latest = Shown(cell, attended=bool(request.get("content", {}).get("allow_stdin", True)))
    return _latest
