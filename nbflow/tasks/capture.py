"""Printed output goes to the step that printed it.

``contextlib.redirect_stdout`` is process-wide; steps on threads would catch each other's prints. Here ``sys.stdout`` and
``sys.stderr`` are replaced, while any step runs, by routers that look in a context variable for the present step's buffer.
"""

import io
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TextIO

HEAD: Final = 256 * 1024
TAIL: Final = 256 * 1024
"""Characters kept of a step's output, from its beginning and from its end."""


class Buffer:
    """Text with a bound: of long output, the beginning and the end are kept, and the gap is said."""

    def __init__(self) -> None:
        self._head: list[str] = []
        self._head_room = HEAD
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._dropped = 0
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        with self._lock:
            if self._head_room:
                self._head.append(text[: self._head_room])
                text = text[self._head_room :]
                self._head_room -= len(self._head[-1])
            if text:
                self._tail.append(text)
                self._tail_size += len(text)
                while self._tail_size - len(self._tail[0]) >= TAIL:
                    self._dropped += len(self._tail[0])
                    self._tail_size -= len(self._tail.popleft())

    def text(self) -> str:
        tail = "".join(self._tail)
        dropped = self._dropped + max(0, len(tail) - TAIL)
        gap = f"\n… {dropped:,} characters left out …\n" if dropped else ""
        return "".join(self._head) + gap + tail[-TAIL:]


_buffer: ContextVar[Buffer | None] = ContextVar("nbflow_step_output", default=None)


class _Router(io.TextIOBase):
    """Writes to the present step's buffer; outside of steps, to the stream that was there before."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        buffer = _buffer.get()
        if buffer is None:
            return self.stream.write(text)
        buffer.write(text)
        return len(text)

    def flush(self) -> None:
        if _buffer.get() is None:
            self.stream.flush()

    def isatty(self) -> bool:
        return _buffer.get() is None and self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed has a plain attribute
        return self.stream.encoding


_lock: Final = threading.Lock()
_routers: dict[str, _Router] = {}
_users = 0


@contextmanager
def captured() -> Iterator[Buffer]:
    """Collect what this thread prints within the block."""
    global _users
    with _lock:
        _users += 1
        for name in ("stdout", "stderr"):
            if not isinstance(getattr(sys, name), _Router):
                _routers[name] = _Router(getattr(sys, name))
                setattr(sys, name, _routers[name])
    buffer = Buffer()
    token = _buffer.set(buffer)
    try:
        yield buffer
    finally:
        _buffer.reset(token)
        with _lock:
            _users -= 1
            if not _users:
                for name, router in _routers.items():
                    if getattr(sys, name) is router:
                        setattr(sys, name, router.stream)
                _routers.clear()
