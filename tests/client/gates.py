"""Tasks that wait until the test lets them through.

A task's function is pinned by value, so it imports the gates when it runs; in this process, they are the test's own.
"""

import threading
from collections import defaultdict


class Gates:
    """Gates by name; closed until they are opened."""

    mended = False
    """For tasks that fail until something is mended."""

    def __init__(self) -> None:
        self._open: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self._reached: defaultdict[str, threading.Event] = defaultdict(threading.Event)

    def wait(self, name: str) -> None:
        """Called by a task: it is here, and goes on when the gate is opened."""
        self._reached[name].set()
        assert self._open[name].wait(10), f"nobody opened the gate {name}"

    def reached(self, name: str) -> None:
        """Wait until a task is at the gate."""
        assert self._reached[name].wait(10), f"no task came to the gate {name}"

    def open(self, name: str) -> None:
        self._open[name].set()

    def open_all(self) -> None:
        for event in list(self._open.values()):
            event.set()
        self._open.clear()
        self._reached.clear()


GATES = Gates()
