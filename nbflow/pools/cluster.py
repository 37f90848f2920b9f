"""Which Dask cluster: the active client, else the one that was asked for, else a local one of our own."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from typing import Any

from nbflow.errors import NbflowError


class NoMainGuard(NbflowError):
    """A script starts a cluster while it is being imported by one of the cluster's own workers."""


class Cluster:
    """Finds or starts the cluster on first need.

    ``address``: a scheduler's, such as ``tcp://127.0.0.1:8786``; None: a LocalCluster if no client is active.
    ``say`` is called with a sentence when a cluster is started, since that takes a second or two.
    """

    def __init__(self, address: str | None = None, say: Callable[[str], None] = lambda text: None) -> None:
        self._address = address
        self._say = say
        self._own: Any = None
        self._own_cluster: Any = None

    def client(self) -> Any:
        """The ``distributed.Client`` to use now. A client that the user has made active comes first."""
        from distributed.client import default_client

        try:
            active = default_client()
        except ValueError:  # Dask's way to say that there is none
            active = None
        if active is not None and active is not self._own and active.status == "running":
            return active
        if self._own is None or self._own.status != "running":
            self._start()
        return self._own

    def _start(self) -> None:
        from distributed import Client, LocalCluster

        if self._address is not None:
            self._own = Client(self._address, set_as_default=False)
            return
        import dask

        cores = os.cpu_count() or 1
        self._say(f"starting a Dask LocalCluster with {cores} workers (make your own distributed.Client to use another)")
        # One suspicion is enough: jobs that died with a worker are sent again singly anyway, and each death costs seconds.
        with dask.config.set({"distributed.scheduler.allowed-failures": 1}):
            self._own_cluster = LocalCluster(n_workers=cores, threads_per_worker=1, dashboard_address=None)
        self._own = Client(self._own_cluster, set_as_default=False)

    def close(self) -> None:
        """Close what this object started; never the user's own client or cluster."""
        for mine in (self._own, self._own_cluster):
            if mine is not None:
                mine.close()
        self._own = self._own_cluster = None


def refuse_in_worker() -> None:
    """Raise NoMainGuard if this process is a worker that is importing the user's script.

    Worker processes import the main script; one that starts executions at its top level would start a cluster within the
    cluster, without end.
    """
    parent = multiprocessing.parent_process()
    if parent is not None and getattr(multiprocessing.current_process(), "_inheriting", False):
        script = getattr(sys.modules.get("__mp_main__"), "__file__", "this script")
        raise NoMainGuard(
            f"{script} starts an execution while a Dask worker imports it. Put what starts it under\n"
            '    if __name__ == "__main__":\nso that workers can import the script without running it.'
        )
