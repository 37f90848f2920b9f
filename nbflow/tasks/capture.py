"""Printed output goes to the step that printed it.

``contextlib.redirect_stdout`` is process-wide; steps on threads would catch each other's prints. Here ``sys.stdout``
and ``sys.stderr`` are replaced, while any step runs, by routers that look in a context variable for the present step's
buffer. A context variable is inherited by asyncio tasks, but not by threads: what a step's own threads print goes to
the stream that was there before.
"""

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import Any, Final, TextIO

HEAD: Final = 256 * 1024
TAIL: Final = 256 * 1024
"""Characters kept of a step's output, from its beginning and from its end."""


class Buffer:
    """Text with a bound: of long output, the beginning and the end are kept, and the gap is said.

    It never holds more than HEAD + 2 · TAIL characters and what is being written.
    """

    def __init__(self) -> None:
        self._head = io.StringIO()
        self._tail = io.StringIO()
        self._room = HEAD
        self._dropped = 0
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        with self._lock:
            self._head.write(text[: self._room])
            rest = text[self._room :]
            self._room -= min(self._room, len(text))
            if rest:
                self._tail.write(rest[-TAIL:])
                self._dropped += max(0, len(rest) - TAIL)
                if self._tail.tell() > 2 * TAIL:
                    self._shorten()

    def text(self) -> str:
        """What was written. Lone surrogates and NUL, which no database takes, are spelt out."""
        with self._lock:
            if self._tail.tell() > TAIL:
                self._shorten()
            gap = f"\n… {self._dropped:,} characters left out …\n" if self._dropped else ""
            text = self._head.getvalue() + gap + self._tail.getvalue()
        return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()

    def _shorten(self) -> None:
        """Keep the last TAIL characters of the tail. Done at twice that size, so that a character costs O(1)."""
        kept = self._tail.getvalue()[-TAIL:]
        self._dropped += self._tail.tell() - len(kept)
        self._tail = io.StringIO()
        self._tail.write(kept)


_buffer: ContextVar[Buffer | None] = ContextVar("nbflow_step_output", default=None)


class _Router(io.TextIOBase):
    """Writes to the present step's buffer; outside of steps, it is the stream that was there before."""

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

    def close(self) -> None:
        """A step that closes its ``sys.stdout`` must not close everybody's."""

    def isatty(self) -> bool:
        return _buffer.get() is None and self.stream.isatty()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed has a plain attribute
        return self.stream.encoding

    def __getattr__(self, name: str) -> Any:
        """All else is the stream's own: ``buffer``, and ``set_parent``, by which ipykernel says which cell prints."""
        return getattr(self.stream, name)


_lock: Final = threading.Lock()
_users = 0


@contextmanager
def captured() -> Iterator[Buffer]:
    """Collect what this thread prints within the block."""
    buffer = Buffer()
    _enter()
    token = _buffer.set(buffer)
    try:
        yield buffer
    finally:
        _buffer.reset(token)
        _leave()


def _enter() -> None:
    global _users
    with _lock:
        _users += 1
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None and not isinstance(stream, _Router):  # None: pythonw has no streams
                setattr(sys, name, _Router(stream))


def _leave() -> None:
    """The last one out restores the streams; not those that somebody else has put there in the meantime."""
    global _users
    with _lock:
        _users -= 1
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if not _users and isinstance(stream, _Router):
                setattr(sys, name, stream.stream)


def fresh_context() -> Context:
    """A context that knows the present step's output, and nothing else that libraries keep in context variables."""
    context = Context()
    context.run(_buffer.set, _buffer.get())
    return context
