"""On a Dask worker: what the scheduler takes back is told to stop.

Dask lets go of a task that runs without a word to it; the thread works on, and keeps the worker from other tasks. The
scheduler takes a task back when nobody wants it any more: it was given up, or the process that wanted it has died. So
this is also how the tasks of a killed engine end.

A thread that does not heed it can only be ended with its process. That is done where the process is for nobody else's
tasks: on a cluster of our own, whose workers have one thread each.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from distributed.diagnostics.plugin import WorkerPlugin

from nbflow.pools.quiet import hush
from nbflow.tasks.stopping import Key, forget, stop

NAME: Final = "nbflow-released"

GRACE: Final = 0.5
"""Seconds that a thread has to heed it, before its process is ended."""

FAREWELL: Final = 0.5
"""Seconds in which results that lie in that process are given to others."""

ADDING: Final = 10.0

_running: Final[dict[str, tuple[tuple[Key, ...], bool]]] = {}
"""Of the Dask tasks that run in this process, by their keys: their jobs, and whether the process may be ended."""


@contextmanager
def heeding(worker: Any, jobs: Sequence[Key], *, expendable: bool) -> Iterator[None]:
    """While this thread does these jobs as a Dask task of the worker: they stop if the task is taken back."""
    key = worker.get_current_task()
    expendable = expendable and worker.state.nthreads == 1 and worker.nanny is not None
    _running[key] = (tuple(jobs), expendable)
    if expendable:
        hush()
    try:
        if NAME not in worker.plugins:
            adding = worker.plugin_add(_Released(), NAME)
            asyncio.run_coroutine_threadsafe(adding, worker.loop.asyncio_loop).result(ADDING)
        yield
    finally:
        del _running[key]
        forget(jobs)


class _Released(WorkerPlugin):
    """Hears of each change of a task on its worker, on the worker's loop."""

    def setup(self, worker: Any) -> None:
        self._worker = worker
        for key in list(_running):  # before this was listening
            task = worker.state.tasks.get(key)
            if task is not None and task.state == "cancelled":
                self._tell(key)

    def transition(self, key: Any, start: str, finish: str, **_: object) -> None:
        if start in ("executing", "long-running") and finish == "released" and key in _running:
            self._tell(key)

    def _tell(self, key: str) -> None:
        jobs, expendable = _running[key]
        stop(jobs)
        if expendable:
            self._worker.loop.call_later(GRACE, self._look_again, key)

    async def _look_again(self, key: str) -> None:
        if key not in _running:
            return
        leaving = self._worker.scheduler.retire_workers(
            workers=[self._worker.address], close_workers=False, remove=True, stimulus_id=NAME
        )
        with suppress(Exception):  # there is nobody to take them; the scheduler is gone; it takes too long
            await asyncio.wait_for(leaving, FAREWELL)
        os._exit(1)  # its nanny starts another one
