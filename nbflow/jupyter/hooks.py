"""What nbflow does in a kernel: runs are shown under the cell that starts them, and nothing is lost at the end.

A kernel with a person before it goes on after a cell, and may be restarted at any time: it never waits for runs; they
stay as they are recorded. A kernel without one (papermill, nbconvert, nbclient) is ended seconds after its last cell,
so that waiting at the end comes too late: there, each cell waits for the runs that it has started.
"""

import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from nbflow.client import presentation
from nbflow.errors import NbflowError
from nbflow.tasks import capture

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nbflow.client.connection import Connection
    from nbflow.client.executions import Execution

LOOK: Final = 1.0
"""Seconds between looks at what a run waits for, where nobody attends."""

SETTLING: Final = 5.0
"""Seconds that are given to what is kept of a run to show its end."""


class Kernel:
    """The presenter of runs in a kernel."""

    waits_at_exit = False

    def __init__(self, shell: "InteractiveShell") -> None:
        self._shell: Any = shell
        self._started: list[Execution] = []
        self._lock = threading.Lock()

    def connected(self, connection: "Connection") -> None:
        connection.offer_to_resume()

    def started(self, execution: "Execution") -> None:
        from nbflow.jupyter.showing import show_started

        with self._lock:
            self._started.append(execution)
        show_started(execution)

    def panel(self, execution: "Execution") -> None:
        from nbflow.jupyter.showing import show

        show(execution)

    def still_waiting(self, execution: "Execution") -> None:
        from nbflow.client.connection import say

        if self._is_attended():
            say(
                f"this cell keeps the kernel busy until execution {execution.name} ends; `await run` instead of "
                "run.result() leaves it free, so that the panel's Stop works everywhere"
            )

    def after_cell(self, _: object = None) -> None:
        """Without a person: wait for what the cell has started."""
        with self._lock:
            started, self._started = self._started, []
        if started and not self._is_attended():
            _wait_for(started)

    def _is_attended(self) -> bool:
        """Whether a person is there, who could be asked something: whoever runs a notebook by itself says no."""
        request = self._shell.kernel.get_parent()
        return bool(request.get("content", {}).get("allow_stdin", True))


def _wait_for(started: "list[Execution]") -> None:
    from nbflow.client.connection import say
    from nbflow.jupyter.showing import settle

    running = [run for run in started if run.status == "RUNNING"]
    names = ", ".join(run.name for run in running)
    try:
        if running:
            say(
                f"waiting for {names}: nobody attends this notebook, and its kernel ends soon after its last cell"
            )
        for run in running:
            if not _ended(run):
                say(f"{run.name} waits for somebody outside: the next cells go on")
                continue
            if run.status != "SUCCEEDED":
                say(run.explain())
        settle(SETTLING)
    except KeyboardInterrupt:
        say(f"stopped waiting for {names}: what has not ended goes on as long as the kernel does")
    except NbflowError as error:
        say(str(error))


def _ended(run: "Execution") -> bool:
    """Wait until it ends; no longer once all that is under way waits for a worker or a callback.

    Those may be what a later cell brings.
    """
    while run.status == "RUNNING":
        with suppress(TimeoutError):
            run.wait(LOOK)
        if run.status == "RUNNING" and run.waits_outside:
            return False
    return True


def in_kernel(shell: "InteractiveShell") -> None:
    """Show runs in this kernel from now on."""
    if isinstance(presentation.presenter(), Kernel):
        return
    kernel = Kernel(shell)
    presentation.use(kernel)
    shell.events.register("post_run_cell", kernel.after_cell)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, TypeError):  # a stream that is not written in Python, of another kernel
            capture.watch(stream)
    _keep_what_steps_display(shell)
    if shell.display_formatter is not None:
        shown = shell.display_formatter.ipython_display_formatter
        shown.for_type_by_name("nbflow.client.executions", "Execution", kernel.panel)


def _keep_what_steps_display(shell: Any) -> None:
    """What a step on a thread displays goes to the step's log, as text; not under whatever cell runs at the time."""
    publish = shell.display_pub.publish

    def routed(data: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        log = capture.present()
        if log is None:
            publish(data, *args, **kwargs)
        else:
            log.write(f"{data.get('text/plain', '')}\n")

    shell.display_pub.publish = routed
