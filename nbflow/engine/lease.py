"""The lease of an engine: it says to the others that the executions it owns are in good hands.

It is held while executions of the store are live here, and renewed from a thread of its own, since a turn may take
long. An engine that was paused (a laptop's lid, SIGSTOP, a debugger) finds its lease over: before it acts again, it
asks the store which executions are still its own. Where it is too late for that, the journal's unique (execution, step)
says so; all that can happen in between is that one attempt at a task is made twice, under the same name.
"""

import os
import platform
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from nbflow.store.port import Store, StoreError
from nbflow.store.rows import EngineRow

SECONDS: Final = 10.0
"""How long a lease lasts, if nobody renews it."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE: Final = Path("/proc/self/ns/pid")


class Lease:
    """One engine's lease. ``lapsed`` is the engine's thread's; the rest may come from any."""

    def __init__(self, store: Store, wanted: Callable[[], bool], seconds: float = SECONDS) -> None:
        """``wanted``: whether there is anything to hold it for. Asked from the lease's own thread."""
        self.row = EngineRow(
            f"{platform.node()}:{os.getpid()}:{uuid.uuid4().hex[:12]}",
            _host(),
            os.getpid(),
            _born(os.getpid()),
        )
        self._store = store
        self._wanted = wanted
        self._seconds = seconds
        self._until = 0.0
        """By this machine's clock, which goes on while it is suspended. 0: it is not held."""
        self._lapsed = False
        self._closed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def hold(self, *, anew: bool = False) -> None:
        """Have a lease from now on; ``anew``: for its whole time.

        Raises StoreError; then there is none, or no longer than before.
        """
        if not anew and self._until > _elapsed() + self._seconds / 2:
            return
        with self._changed:
            self._renew()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="nbflow-lease", daemon=True)
                self._thread.start()
            self._changed.notify()

    @property
    def lapsed(self) -> bool:
        """Whether the lease has been over since it was last found good (:meth:`accept`)."""
        return self._lapsed or 0.0 < self._until < _elapsed()

    def renew(self) -> None:
        """Before the engine asks what is still its own. Raises StoreError."""
        with self._changed:
            self._renew()

    def accept(self) -> None:
        """The engine has asked what is still its own, and the lease has not been over since ``renew``."""
        self._lapsed = False

    def look(self) -> None:
        """Renew it, or release it if there is nothing any more to hold it for. Raises StoreError."""
        with self._changed:
            self._renew() if self._wanted() else self._release_if_unwanted()

    def close(self) -> None:
        """Release it: what is left is free for others."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()
        with suppress(StoreError):  # then it runs out by itself
            self._release()

    def _renew(self) -> None:
        now = _elapsed()
        if 0.0 < self._until < now:
            self._lapsed = True
        self._store.hold(self.row, self._seconds)
        self._until = now + self._seconds

    def _release(self) -> None:
        if self._until:
            self._until = 0.0
            self._store.release(self.row.id)

    def _release_if_unwanted(self) -> None:
        """Look once more: who has found it held until now, had something live before. Others wait for the lock."""
        until, self._until = self._until, 0.0
        if self._wanted():
            self._until = until
            self._renew()
        else:
            self._store.release(self.row.id)

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                self._changed.wait(self._seconds / 4 if self._until else None)
                if self._closed or not self._until:
                    continue
                # The engine's own writes say so; once the lease is over, it asks before it acts.
                with suppress(StoreError):
                    self.look()


def alive(store: Store) -> set[str]:
    """The ids of the engines that are to be left in peace: the lease lasts, and the process is not known to have gone.

    Raises StoreError.
    """
    return {row.id for row, left in store.engines() if left > 0 and not _has_gone(row)}


def _has_gone(row: EngineRow) -> bool:
    """Whether it was a process of this machine that is no more. Of others, only their lease tells."""
    return row.host == _host() and bool(row.born) and _born(row.pid) != row.born


@cache
def _host() -> str:
    """This machine, since it started, as far as pids mean the same: containers count theirs apart."""
    try:
        return f"{_BOOT_ID.read_text().strip()}:{os.readlink(_PID_NAMESPACE)}"
    except OSError:  # not Linux: there, processes are not looked at
        return f"{platform.node()}:{uuid.uuid4().hex}"


def _born(pid: int) -> float:
    """When the process began, in ticks since the machine's start; 0 if there is none (proc(5), /proc/pid/stat)."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return 0.0 if state == "Z" else float(fields[18])


def _elapsed() -> float:
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
