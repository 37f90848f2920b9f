"""``nf.serve_activity``: a worker, put together."""

import os
from collections.abc import Callable
from typing import Any

from nbflow.authoring.task import Task
from nbflow.client.connection import current
from nbflow.server.inprocess import ENDPOINT
from nbflow.worker.line import Line, to_connection, to_server
from nbflow.worker.work import work_of
from nbflow.worker.worker import HEARTBEAT, Worker


def serve_activity(
    activity: str,
    function: Callable[..., Any] | Task[..., Any],
    *,
    url: str | None = None,
    concurrency: int = 1,
    heartbeat: float | None = HEARTBEAT,
    name: str | None = None,
) -> Worker:
    """Do the tasks of an activity with a function, in the background, until ``.stop()``. Returns at once.

    ``activity``: its name or ARN; it is made if it is not there. ``function`` gets a task's input as its one argument;
    an ``nf.task`` gets the input's members as keywords. What it returns must be JSON, what it raises is the task's
    failure. ``url``: a server's; by default ``$AWS_ENDPOINT_URL_SFN``, else the store of this process, without any
    server. ``concurrency``: how many tasks at once, each on a thread. ``heartbeat``: seconds between two heartbeats,
    at most a third of the state's HeartbeatSeconds; None sends none. ``name``: what histories call the worker, by
    default ``host:pid``.

    Raises NbflowError for wrong keys, or an option that makes no sense. An API that cannot be reached is waited for.
    """
    return open_worker(
        activity, function, url, create=True, concurrency=concurrency, heartbeat=heartbeat, name=name
    ).start()


def open_worker(
    activity: str,
    function: Callable[..., Any] | Task[..., Any],
    url: str | None,
    *,
    create: bool,
    concurrency: int,
    **options: Any,
) -> Worker:
    """A worker that has not begun. ``create``: make the activity if it is not there. ``options`` are Worker's."""
    line = line_to(url, concurrency)

    def find() -> str:
        return line.create(activity) if create else line.find(activity)

    return Worker(line, find, work_of(function), concurrency=concurrency, **options)


def line_to(url: str | None, concurrency: int) -> Line:
    """The line to a server, if one is named here or by the environment; else to this process's connection."""
    if url is None and not os.environ.get(ENDPOINT):
        return to_connection(current())
    return to_server(url, concurrency)
