"""The panel: a widget that shows runs while they go on, with their graphs and whatever is in their steps.

Python knows, the browser draws. Python writes how the runs stand into the widget's traits, and answers questions
(:mod:`nbflow.jupyter.messages` has all of what is said). The graph is drawn once, in Python
(:mod:`nbflow.drawing.svg`); the script in ``panel.js`` changes its classes, notes and bars.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import anywidget
from traitlets import Dict, List, Unicode

from nbflow.drawing.svg import svg
from nbflow.jupyter.details import details
from nbflow.jupyter.live import Followed, Following
from nbflow.jupyter.messages import Answer, Ask, Details, Request, RunHead

_HERE: Final = Path(__file__).parent

_log = logging.getLogger(__name__)


class Panel(anywidget.AnyWidget):
    """The runs of a :class:`Following`, one row each. ``now`` is the kernel's clock, in seconds since the epoch."""

    _esm = _HERE / "panel.js"
    _css = _HERE / "panel.css"

    runs = List(Dict()).tag(sync=True)
    pictures = Dict().tag(sync=True)
    live = Dict().tag(sync=True)
    problem = Unicode().tag(sync=True)

    def __init__(self, following: Following, *, now: Callable[[], float] = time.time) -> None:
        self._following = following
        self._now = now
        super().__init__()
        self.on_msg(self._hear)
        following.listeners.append(self._news)

    def open(self) -> None:
        """Make the widget known to the front end."""
        super().open()
        _let_questions_through(self.comm)

    def _news(self, changed: Sequence[Followed]) -> None:
        """Bring the traits up to date. Another dict each time: that is how a trait notices."""
        now = self._now()
        news = self._following.read(lambda _: {run.execution.arn: run.live(now) for run in changed})
        fresh = [run for run in changed if run.execution.arn not in self.live]
        self.live = {**self.live, **news}
        if fresh:
            self.pictures = self.pictures | _pictures(fresh, self.pictures)
            self.runs = [*self.runs, *(dict(_head(run)) for run in fresh)]
        self.problem = self._following.problem

    # --- questions

    def _hear(self, _: object, content: Mapping[str, Any], buffers: object) -> None:
        """A message of the front end's; an answer goes back whatever happens."""
        answer: Answer | None
        try:
            answer = self._answer(cast(Request, content))
        except Exception as error:  # noqa: BLE001  # it is the reader's to know
            _log.debug("a question of the panel's could not be answered: %s", content, exc_info=True)
            answer = {
                "type": "trouble",
                "id": content.get("id", 0),
                "text": f"{type(error).__name__}: {error}",
            }
        if answer is not None:
            self.send(answer)

    def _answer(self, request: Request) -> Answer | None:
        if request["type"] == "ready":
            return {"type": "hello", "now": self._now()}
        run = self._following.runs[request["run"]]
        if request["type"] == "stop":
            run.execution.stop()
            return None
        return self._following.read(_about(run, request))


def _head(run: Followed) -> RunHead:
    execution = run.execution
    row = execution.row
    return {
        "run": row.arn,
        "machine": execution.machine,
        "name": row.name,
        "origin": execution.origin,
        "picture": row.definition,
    }


def _pictures(runs: Sequence[Followed], known: Mapping[str, str]) -> dict[str, str]:
    """The graphs that are not known yet."""
    definitions = {run.execution.row.definition: run.board.definition for run in runs}
    return {sha: svg(definition) for sha, definition in definitions.items() if sha not in known}


def _about(run: Followed, ask: Ask) -> Callable[[Sequence[Followed]], Details]:
    return lambda _: details(run.execution, run.board.trace, ask)


def _let_questions_through(comm: Any) -> None:
    """Let the front end's messages be heard while a cell blocks the kernel.

    JupyterLab sends a widget's messages to a subshell, which is free then. But ipykernel (7.2 and later) gives them to
    the shell that spoke last through the widget's comm, which is the cell's. So what is said here is not said as part
    of a cell: it has no parent. Kernels without subshells do not mind.
    """
    kernel = getattr(comm, "kernel", None)
    if kernel is not None:
        comm.kernel = _NoCell(kernel)
        vars(comm).pop("_reply_subshell_id", None)  # what opening the comm has left


class _NoCell:
    """As much of a kernel as a comm needs, while no cell runs in it."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel

    def get_parent(self) -> dict[str, Any]:
        return {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernel, name)
