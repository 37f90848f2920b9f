"""Which Dask cluster: the active client, else the one that was asked for, else a local one of our own."""

import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any, Final
from weakref import WeakSet

from nbflow.errors import NbflowError
from nbflow.pools import versions
from nbflow.pools.quiet import hush, speak

PATIENCE: Final = 60.0
"""Seconds that jobs wait for a scheduler that is gone."""

KNOCK: Final = 2.0
"""Seconds that it has to answer each time that it is looked for."""


ANSWER: Final = 5.0
"""Seconds that a scheduler has to answer a question: of one that is gone, Dask would wait for it much longer."""


class NoCluster(NbflowError):
    """No Dask cluster could be reached or started."""


class SchedulerLost(NbflowError):
    """The scheduler that was in use is gone; it may come back."""


def ask(client: Any, what: str, **about: Any) -> Any:
    """What a client's scheduler answers; ``what`` is one of the calls that it takes. Raises OSError if it does not."""
    return client.sync(getattr(client.scheduler, what), callback_timeout=ANSWER, **about)


class Cluster:
    """Finds or starts the cluster on first need. Of one thread, the one that sends.

    ``address``: a scheduler's, such as ``tcp://127.0.0.1:8786``; None: a LocalCluster if no client is active.
    ``say`` is called with a sentence when a cluster is started, since that takes a second or two.
    """

    def __init__(self, address: str | None = None, say: Callable[[str], None] = lambda text: None) -> None:
        self._address = address
        self._say = say
        self._own: Any = None
        self._own_cluster: Any = None
        self._made: WeakSet[Any] = WeakSet()
        """Clients that were made here."""
        self._compared: WeakSet[Any] = WeakSet()
        """Clients whose workers' versions are known."""
        self._asked = ""
        """The address that the own client was made for; "" with a cluster of its own."""
        self._lost = ""
        """The address of a scheduler that was in use and is gone."""

    def client(self) -> Any:
        """The ``distributed.Client`` to use now. A client that the user has made active comes first.

        Raises NoCluster, or, as long as it is worth while to ask again, SchedulerLost.
        """
        client = self._active() or self._mine()
        self._lost = ""
        if client not in self._compared and not self.is_own(client):
            self._compare(client)
        return client

    def give_up(self) -> None:
        """Look no longer for a scheduler that is gone."""
        self._lost = self._asked = ""

    def _active(self) -> Any:
        """The client that the user has made active, if there is one."""
        from distributed.client import default_client

        try:
            active = default_client()
        except ValueError:  # Dask's way to say that there is none
            active = None
        if active is None or active is self._own or active.status not in ("running", "connecting"):
            return None
        if active.asynchronous:
            raise NoCluster(
                "the active distributed.Client is asynchronous; make one with asynchronous=False, "
                "which may use the same cluster."
            )
        if active.status == "connecting":  # Dask tries for a while, and then closes it
            raise self._gone(active.scheduler.address)
        return active

    def _mine(self) -> Any:
        """A client of this object's: the one that it has, or a new one."""
        if self._own is not None and self._own.status == "running":
            return self._own
        seek = self._lost or self._asked
        self.close()
        try:
            self._start(seek)
        except Exception as error:
            if seek:
                raise self._gone(seek) from error
            raise NoCluster(
                f"no Dask cluster could be used: {error}. Start a scheduler and its workers, or leave out dask= "
                "for a local cluster."
            ) from error
        return self._own

    def _compare(self, client: Any) -> None:
        """Say once what the workers have in other versions. Raises NoCluster if they cannot work at all."""
        found = versions.of(client)
        lacking = versions.lacking(found)
        if lacking:
            raise NoCluster(
                f"nbflow is not installed on the Dask workers {', '.join(lacking[:3])}{' …' * (len(lacking) > 3)}: "
                f"install it there (pip install nbflow=={found['client']['packages']['nbflow']}), and start them again."
            )
        if found["workers"]:  # else they are still to come
            self._compared.add(client)
        if text := versions.differences(found):
            self._say(text)

    def _gone(self, address: str) -> SchedulerLost:
        if not self._lost:
            self._say(
                f"the Dask scheduler at {address} is gone; what has not ended is sent again when it is back "
                f"(it is looked for during {PATIENCE:.0f} seconds)"
            )
        self._lost = address
        return SchedulerLost(
            f"the Dask scheduler at {address} is gone, and was looked for during {PATIENCE:.0f} seconds. Start it and "
            "its workers again, or make a distributed.Client of another cluster; then redrive the execution."
        )

    def _start(self, seek: str) -> None:
        """``seek``: the address of a scheduler that has been in use."""
        from distributed import Client, LocalCluster
        from distributed.versions import VersionMismatchWarning

        self._asked = ""
        if address := self._address or seek:
            knock = {"timeout": KNOCK} if seek else {}
            with warnings.catch_warnings():  # it is said in words, once, what differs
                warnings.simplefilter("ignore", VersionMismatchWarning)
                self._own = Client(address, set_as_default=False, **knock)
            self._made.add(self._own)
            self._asked = address
            return
        import dask

        cores = os.cpu_count() or 1
        self._say(
            f"starting a Dask LocalCluster with {cores} workers (make your own distributed.Client to use another)"
        )
        hush()
        # Jobs that died with a worker are sent again, each alone, by the pool; each death costs seconds.
        with dask.config.set({"distributed.scheduler.allowed-failures": 0}), _deaf_to_ctrl_c():
            self._own_cluster = LocalCluster(
                n_workers=cores, threads_per_worker=1, dashboard_address="127.0.0.1:0"
            )
        self._own = Client(self._own_cluster, set_as_default=False)
        self._made.add(self._own)

    def is_own(self, client: Any) -> bool:
        """Whether the client is that of a cluster that was started here, for nobody else."""
        return client is self._own and self._own_cluster is not None

    def is_users(self, client: Any) -> bool:
        """Whether it is the user who made the client, and closes it."""
        return client not in self._made

    def keep_up(self) -> None:
        """Start workers of our own cluster anew that Dask has written off: a LocalCluster does so with one that
        happens to be starting again a while after it died (``distributed.deploy.lost-worker-timeout``)."""
        cluster = self._own_cluster
        if cluster is not None and len(cluster.workers) < len(cluster.worker_spec):
            cluster.scale(len(cluster.worker_spec))

    def close(self) -> None:
        """Close what this object started; never the user's own client or cluster."""
        for mine in (self._own, self._own_cluster):
            if mine is not None:
                mine.close()
        if self._own_cluster is not None:
            speak()
        self._own = self._own_cluster = None


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes that are started by threads that are started here do not hear of SIGINT.

    A terminal, or Jupyter's Stop, sends it to the whole process group: it is meant for who waits, and must not kill
    the workers under the executions that go on.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # starting it would unblock the signal again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
