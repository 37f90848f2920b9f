"""What other processes write to the store: it is asked for often while much happens, and rarely while nothing does.

SQLite tells nobody of a commit; to ask it for the number of its last one costs microseconds. A store on
PostgreSQL is told; to ask it what it has heard sends nothing.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, TypeAlias

from nbflow.store.port import StoreError

SHORTEST: Final = 0.002
LONGEST: Final = 0.05
"""Seconds between two looks: a twentieth of the time since the last change, within these."""

LINGER: Final = 5.0
"""Seconds for which the thread stays when nobody listens any more."""

_log = logging.getLogger(__name__)

Listener: TypeAlias = Callable[[], None]
"""Called after a change, from the watch's thread: return soon."""


class Watch:
    """Looks at the store, on a thread of its own, while anybody listens."""

    def __init__(self, changes: Callable[[], int]) -> None:
        self._changes = changes
        self._listeners: tuple[Listener, ...] = ()
        self._seen: int | None = None
        self._changed_at = 0.0
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._closed = False

    def subscribe(self, listener: Listener) -> None:
        """Listen from now on."""
        with self._lock:
            self._listeners = (*self._listeners, listener)
            self._changed_at = time.monotonic()
            self._wake.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="nbflow-watch", daemon=True)
                self._thread.start()

    def unsubscribe(self, listener: Listener) -> None:
        """Listen no longer. Nothing happens to one that does not."""
        with self._lock:
            self._listeners = tuple(other for other in self._listeners if other != listener)
            self._wake.notify()

    def close(self) -> None:
        """Nobody listens any longer. Waits for the look that is under way."""
        with self._lock:
            self._listeners = ()
            self._closed = True
            thread = self._thread
            self._wake.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def look(self) -> None:
        """Look at the store now, and tell the listeners if it has changed.

        Raises StoreError, also that of a listener; then the next look tells all of them again.
        """
        number = self._changes()
        if number != self._seen:
            self._changed_at = time.monotonic()
            for listener in self._listeners:
                listener()
            self._seen = number

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except StoreError as error:
                _log.warning("%s It is looked at again.", error)
            with self._lock:
                if not self._listeners and not self._closed:
                    self._wake.wait(LINGER)  # a thread is dearer than a rest
                if not self._listeners:
                    self._thread = None
                    return
                quiet = time.monotonic() - self._changed_at
                self._wake.wait(min(LONGEST, max(SHORTEST, quiet / 20)))
