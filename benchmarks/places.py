"""Where a benchmark runs: a store, and a cluster in this process or in processes of its own."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

WORKERS: Final = 2
PATIENCE: Final = 60
"""Seconds in which a cluster's processes must have begun."""


@contextmanager
def cluster() -> Iterator[Any]:
    """A client of a LocalCluster of two workers, active within the block. Its scheduler is in this process."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address="127.0.0.1:0") as local,
        Client(local) as client,
    ):
        yield client


@contextmanager
def store() -> Iterator[Path]:
    """A store in a folder of its own, the default one within the block."""
    import nbflow as nf

    with tempfile.TemporaryDirectory() as folder:
        nf.connect(f"sqlite:///{folder}/nbflow.sqlite")
        try:
            yield Path(folder)
        finally:
            nf.disconnect()


@contextmanager
def processes(
    settings: Mapping[str, str] | None = None,
) -> Iterator[tuple[str, dict[str, psutil.Process]]]:
    """A scheduler's address, and the processes that do the work: the scheduler's and its workers', by name.

    ``settings``: of these processes, as variables of their environment.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        known = folder / "scheduler.json"
        quiet = ("--no-dashboard", "--host", "127.0.0.1")
        begun: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("scheduler", *(f"worker {number + 1}" for number in range(WORKERS))):
            role = name.partition(" ")[0]
            single = (
                ("--no-nanny", "--nthreads", "1", "--local-directory", str(folder))
                if role == "worker"
                else ()
            )
            command = [sys.executable, "-m", f"distributed.cli.dask_{role}", "--scheduler-file", str(known)]
            port = ("--port", "0") if role == "scheduler" else ()
            begun[name] = subprocess.Popen(
                [*command, *quiet, *port, *single],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **(settings or {})},
            )
            stack.callback(_end, begun[name])
            if role == "scheduler":
                _wait_for(known)
        from distributed import Client

        with Client(scheduler_file=str(known), set_as_default=False) as client:
            client.wait_for_workers(WORKERS, timeout=PATIENCE)
            address = client.scheduler.address
        yield address, {name: psutil.Process(process.pid) for name, process in begun.items()}


def _wait_for(file: Path) -> None:
    until = time.monotonic() + PATIENCE
    while not file.exists():
        if time.monotonic() > until:
            raise TimeoutError("Dask's scheduler does not begin")
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Memory:
    """How much memory processes hold at most within the block, by name: a look every ``every`` seconds."""

    def __init__(self, processes: Mapping[str, psutil.Process], every: float = 0.05) -> None:
        self._processes = processes
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self.peaks: dict[str, int] = {}
        """Bytes of each."""
        self.peak = 0
        """Bytes of all together, at the same time."""

    def __enter__(self) -> "Memory":
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def _look_on(self) -> None:
        while not self._over.wait(self._every):
            self._look()

    def _look(self) -> None:
        held = {name: process.memory_info().rss for name, process in self._processes.items()}
        self.peak = max(self.peak, sum(held.values()))
        for name, bytes in held.items():
            self.peaks[name] = max(self.peaks.get(name, 0), bytes)
