"""A scheduler and workers that are started by hand: each is a process of its own, ended by its id."""

import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.pools.support import LONG


class ByHand:
    """On a port of its own; at the end of the block, all of its processes have ended."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as asked:
            asked.bind(("127.0.0.1", 0))
            self.port = asked.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._folder = folder
        self._scheduler: subprocess.Popen[bytes] | None = None
        self._started: list[subprocess.Popen[bytes]] = []

    def scheduler(self) -> Self:
        where = ("--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard")
        self._scheduler = self._start("scheduler", *where)
        return self

    def workers(self, count: int = 2) -> Self:
        for _ in range(count):
            self._start("worker", self.address, "--nthreads", "1", "--no-dashboard", "--no-nanny")
        return self

    def kill_scheduler(self) -> None:
        assert self._scheduler is not None
        self._scheduler.kill()
        self._scheduler.wait(LONG)

    def _start(self, which: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{which}", *options]
        with open(self._folder / f"{which}.log", "ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)
        self._started.append(process)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._started:
            process.kill()
        for process in self._started:
            process.wait(LONG)
