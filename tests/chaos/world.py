"""The processes: a Dask scheduler and its workers, three servers on one store, activity workers.

A server is an engine with a door. Whatever is killed is started again, where it was; all that is killed is killed by
the handle of the process that was started here.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

import nbflow as nf
from tests.chaos.samples import ACTIVITY

SERVERS: Final = 3
PATIENCE: Final = 60.0
"""Seconds in which a process must have begun to listen."""

_CODE: Final = str(Path(nf.__file__).parents[1])
"""The nbflow of the processes is the one of this test."""

_TASKS: Final = Path(__file__).with_name("tasks.py")


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Member:
    """A process of the world, and how it is started."""

    name: str
    command: Sequence[str]
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    port: int = 0
    """Where it listens, if it does."""

    def start(self) -> None:
        """Start it, or start it again. What it says is added to its own file."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": _CODE, **_KEYS},
            )

    def said(self) -> str:
        """The end of what it has said."""
        return (self.folder / f"{self.name}.log").read_text(errors="replace")[-3000:]

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def pause(self) -> None:
        """SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def end(self) -> int:
        """Ask it to end; its exit code. What does not end is killed."""
        if self.process is None:
            return 0
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(PATIENCE)
        self.kill()
        return -signal.SIGKILL

    @property
    def alive(self) -> bool:
        """Whether it runs. (Only its own end is looked for here; it is not restarted by that.)"""
        return self.process is not None and self.process.poll() is None

    def _signal(self, number: signal.Signals) -> None:
        if self.alive and self.process is not None:
            self.process.send_signal(number)


def wait_for(member: Member) -> None:
    """Wait until it listens. Raises AssertionError if it does not begin to."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", member.port), timeout=1).close()
            return
        except OSError as error:
            if not member.alive or time.monotonic() > until:
                raise AssertionError(f"{member.name} does not begin:\n{member.said()}") from error
        time.sleep(0.05)


_KEYS: Final = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
"""Nobody asks for them here, but clients want some."""


@dataclass
class World:
    """All processes on one store. As a context manager it starts them, and ends them however the block ends."""

    folder: Path
    store: str
    """Its URL."""
    members: dict[str, Member] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scheduler = free_port()
        dask = f"tcp://127.0.0.1:{scheduler}"
        quiet = ("--no-dashboard", "--host", "127.0.0.1")
        self._add(
            "scheduler", "distributed.cli.dask_scheduler", *quiet, "--port", str(scheduler), port=scheduler
        )
        for number in range(2):
            name = f"dask-{number}"
            single = (
                "--no-nanny",
                "--nthreads",
                "1",
                "--name",
                name,
                "--local-directory",
                str(self.folder / name),
            )
            self._add(name, "distributed.cli.dask_worker", dask, *quiet, *single)
        for number in range(SERVERS):
            port = free_port()
            options = ("--port", str(port), "--no-auth", "--dask", dask, "--tasks", str(_TASKS))
            self._add(f"server-{number}", "nbflow.cli", "server", "--store", self.store, *options, port=port)
        function = (ACTIVITY, f"{_TASKS}:double", "--create", "--heartbeat", "1")
        self._add("worker-0", "nbflow.cli", "worker", *function, "--url", self.urls[0])
        self._add("worker-1", "nbflow.cli", "worker", *function, "--store", self.store)

    def _add(self, name: str, module: str, *arguments: str, port: int = 0) -> None:
        self.members[name] = Member(name, [sys.executable, "-m", module, *arguments], self.folder, port=port)

    @property
    def urls(self) -> list[str]:
        """Of the servers."""
        return [f"http://127.0.0.1:{each.port}" for name, each in self.members.items() if "server" in name]

    @property
    def victims(self) -> list[Member]:
        """Those that may be killed and paused: all but Dask's scheduler, which is none of ours."""
        return [each for name, each in self.members.items() if name != "scheduler"]

    def __enter__(self) -> "World":
        try:
            self._begin("scheduler")
            self._begin("dask-")
            self._begin("server-0")  # it makes the store
            self._begin("server-")
            self._begin("worker-")
        except BaseException:
            self.close()
            raise
        return self

    def _begin(self, prefix: str) -> None:
        begun = [
            each for name, each in self.members.items() if name.startswith(prefix) and each.process is None
        ]
        for member in begun:
            member.start()
        for member in begun:
            if member.port:
                wait_for(member)

    def close(self) -> None:
        """End all of them, and kill what does not end."""
        for member in self.members.values():
            member.kill()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
