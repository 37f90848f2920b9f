"""Activity workers: they wait for a task, and each task is given to one of them.

A worker's poll waits on an event of its own. What is queued in this process wakes one waiter at once; what another
process has queued is seen by the :class:`~nbflow.engine.watch.Watch`. Who gets the task is the store's to decide, in
the transaction that claims it; so a waiter that is woken in vain just waits on.
"""

import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from nbflow.engine.clock import Clock
from nbflow.engine.watch import Watch
from nbflow.machine import facts
from nbflow.store.port import Store
from nbflow.store.rows import TokenRow


@dataclass(slots=True, eq=False)
class _Waiter:
    woken: threading.Event = field(default_factory=threading.Event)


class Workers:
    """The workers that poll in this process, by activity, in the order of their coming."""

    def __init__(self, store: Store, clock: Clock, watch: Watch) -> None:
        self._store = store
        self._clock = clock
        self._watch = watch
        self._waiting: dict[str, deque[_Waiter]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def take(
        self, activity: str, worker: str | None, seconds: float, gone: Future[None] | None = None
    ) -> TokenRow | None:
        """The activity's next task, as soon as there is one. It is this worker's when this returns.

        None: there was none for so many ``seconds``, the worker has ``gone`` away, or the connection is closed. Raises
        StoreError.
        """
        deadline = time.monotonic() + seconds
        waiter = _Waiter()
        if gone is not None:
            gone.add_done_callback(lambda _: waiter.woken.set())
        self._line_up(activity, waiter)
        row = None
        try:
            while not self._closed and not (gone is not None and gone.done()):
                row = self._store.claim(
                    activity, self._clock.now(), facts.encode(facts.TaskStarted(0, worker))
                )
                if row is not None or not waiter.woken.wait(max(0.0, deadline - time.monotonic())):
                    return row
                waiter.woken.clear()
            return None
        finally:
            self._leave(activity, waiter, served=row is not None)

    def queued(self, activity: str) -> None:
        """A task has been queued here: whoever waits longest is woken, and waits longest no more."""
        with self._lock:
            waiting = self._waiting.get(activity)
            if waiting:
                waiting.rotate(-1)
                waiting[-1].woken.set()

    def close(self) -> None:
        """Send everybody home."""
        self._closed = True
        with self._lock:
            for waiting in self._waiting.values():
                for waiter in waiting:
                    waiter.woken.set()

    def _line_up(self, activity: str, waiter: _Waiter) -> None:
        with self._lock:
            if not self._waiting:
                self._watch.subscribe(self._changed)
            self._waiting.setdefault(activity, deque()).append(waiter)

    def _leave(self, activity: str, waiter: _Waiter, *, served: bool) -> None:
        with self._lock:
            waiting = self._waiting[activity]
            waiting.remove(waiter)
            if not waiting:
                del self._waiting[activity]
            elif (
                waiter.woken.is_set() or not served
            ):  # it may have been woken for a task that it did not stay for
                waiting[0].woken.set()
            if not self._waiting:
                self._watch.unsubscribe(self._changed)

    def _changed(self) -> None:
        """Another process may have queued something: wake as many as there are tasks."""
        for activity, count in self._store.queued().items():
            for _ in range(min(count, len(self._waiting.get(activity, ())))):
                self.queued(activity)
