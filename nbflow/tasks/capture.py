"""Printed output goes to the step that printed it.

``contextlib.redirect_stdout`` is process-wide; steps on threads would catch each other's prints. Here ``sys.stdout``
and ``sys.stderr`` are replaced, while any step runs, by routers that look in a context variable for the present step's
buffer. The streams beneath look there, too: a logging handler has kept one, and a redirection that ends while the step
runs (``%%capture`` in a notebook) puts one back. A context variable is inherited by asyncio tasks, but not by threads:
what a step's own threads print goes to the stream that was there before.

Logging needs no way of its own: its handlers write to these streams. Python shows a warning once for each place in the
code; after a step that has printed anything, they are shown again, so that each step's log has its own.
"""

import io
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar
from typing import Any, Final, Protocol, TextIO

HEAD: Final = 256 * 1024
TAIL: Final = 256 * 1024
"""Characters kept of a step's output, from its beginning and from its end."""


class Buffer:
    """Text with a bound: of long output, the beginning and the end are kept, and the gap is said.

    It never holds more than HEAD + 2 · TAIL characters and what is being written. ``outer``: what is written here is
    written there, too. ``voice``: whoever tells of it while it grows.
    """

    def __init__(self, outer: "Buffer | None" = None, voice: "Voice | None" = None) -> None:
        self.voice = voice
        self._outer = outer
        self._head = io.StringIO()
        self._tail = io.StringIO()
        self._room = HEAD
        self._dropped = 0
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Lone surrogates and NUL, which no database takes, are spelt out."""
        if not text.isascii() or "\0" in text:
            text = text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
        with self._lock:
            self._head.write(text[: self._room])
            rest = text[self._room :]
            self._room -= min(self._room, len(text))
            if rest:
                self._tail.write(rest[-TAIL:])
                self._dropped += max(0, len(rest) - TAIL)
                if self._tail.tell() > 2 * TAIL:
                    self._shorten()
        if self.voice is not None:
            self.voice.spoke()
        if self._outer is not None:
            self._outer.write(text)

    def text(self) -> str:
        """What was written."""
        with self._lock:
            if self._tail.tell() > TAIL:
                self._shorten()
            gap = f"\n… {self._dropped:,} characters left out …\n" if self._dropped else ""
            return self._head.getvalue() + gap + self._tail.getvalue()

    @property
    def empty(self) -> bool:
        """Whether nothing was written."""
        return not self._head.tell()

    def since(self, position: int, most: int) -> tuple[int, str]:
        """What was written after so many characters, and where that begins: no more than the last ``most``."""
        with self._lock:
            kept = self._tail.tell()
            written = self._head.tell() + self._dropped + kept
            start = max(position, written - most)
            in_tail = written - kept
            if start < in_tail:
                return start, self._head.getvalue()[start:] + self._tail.getvalue()
            self._tail.seek(start - in_tail)
            return start, self._tail.read()

    def _shorten(self) -> None:
        """Keep the last TAIL characters of the tail. Done at twice that size, so that a character costs O(1)."""
        kept = self._tail.getvalue()[-TAIL:]
        self._dropped += self._tail.tell() - len(kept)
        self._tail = io.StringIO()
        self._tail.write(kept)


class Voice(Protocol):
    """Whoever tells of a step while it runs."""

    def spoke(self) -> None:
        """Something was written. It must cost next to nothing."""
        ...

    def progressed(self, done: float, total: float | None, text: str) -> None:
        """The step says how far it is."""
        ...


_buffer: ContextVar[Buffer | None] = ContextVar("nbflow_step_output", default=None)


def present() -> Buffer | None:
    """Where the present step's output goes; None outside of steps."""
    return _buffer.get()


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
_routers: Final[deque[_Router]] = deque(maxlen=16)
_guarded: Final[list[tuple[TextIO, "_Guarded"]]] = []
"""The streams beneath the routers, and what stands in for their ``write``."""


class captured:  # noqa: N801  # used as a function is; a generator would take twice the time of a short step
    """Collect what this thread prints within the block; ``voice`` tells of it meanwhile.

    Of a step within a step, the outer one has all, too, and its voice tells of it.
    """

    def __init__(self, voice: Voice | None = None) -> None:
        outer = _buffer.get()
        self._buffer = Buffer(outer, voice or (outer.voice if outer is not None else None))

    def __enter__(self) -> Buffer:
        _enter()
        self._token = _buffer.set(self._buffer)
        return self._buffer

    def __exit__(self, *_: object) -> None:
        _buffer.reset(self._token)
        _leave()
        if not self._buffer.empty:
            _forget_warnings()


class _Nothing(Warning):
    """Nobody warns of it."""


def _forget_warnings() -> None:
    """Have warnings shown again that were shown: any change of the filters does that, also one that filters nothing."""
    warnings.simplefilter("default", _Nothing, append=True)


@contextmanager
def routed() -> Iterator[None]:
    """Keep the routers in place within the block, for many short steps: to put them there takes longer than a step."""
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _users
    with _lock:
        _users += 1
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None and not isinstance(stream, _Router):  # None: pythonw has no streams
                _guard(stream)
                setattr(sys, name, _router(stream))


def _router(stream: TextIO) -> _Router:
    """The stream's router: always the same one, so that it outlives whoever prints to it at the moment.

    ``print`` holds no reference to ``sys.stdout`` (before Python 3.14): the last step's end would free it underneath.
    """
    router = next((each for each in _routers if each.stream is stream), None)
    if router is None:
        router = _Router(stream)
        _routers.append(router)
    return router


class _Guarded:
    """A stream's ``write``, for whoever writes outside of steps; what a step writes goes to its buffer."""

    def __init__(self, write: Callable[[str], int]) -> None:
        self.write = write

    def __call__(self, text: str) -> int:
        buffer = _buffer.get()
        if buffer is None:
            return self.write(text)
        buffer.write(text)
        return len(text)


def _guard(stream: TextIO) -> None:
    """Guard a stream while steps run."""
    write = stream.write
    if not isinstance(write, _Guarded):
        with suppress(AttributeError):  # an object whose attributes cannot be set is not guarded
            stream.write = guard = _Guarded(write)  # type: ignore[method-assign]
            _guarded.append((stream, guard))


def watch(stream: Any) -> None:
    """Guard a stream of a notebook's kernel for good.

    For each cell, IPython puts another ``write`` into the stream, and puts back what was there when the cell began: so
    ``write`` becomes a property, which guards whatever is put there. ``stream`` is of a class written in Python.
    """
    if isinstance(stream, _Router):
        stream = stream.stream
    kind = type(stream)
    if not isinstance(kind.write, property):
        write = stream.__dict__.pop("write", None) or kind.write.__get__(stream)
        stream.__class__ = type(kind.__name__, (kind,), {"write": property(_get_write, _set_write)})
        stream.write = write


def _get_write(stream: Any) -> _Guarded:
    return _Guarded(stream.__dict__["_nbflow_write"])


def _set_write(stream: Any, write: Callable[[str], int]) -> None:
    stream.__dict__["_nbflow_write"] = write.write if isinstance(write, _Guarded) else write


def _leave() -> None:
    """The last one out restores the streams; not those that somebody else has put there in the meantime."""
    global _users
    with _lock:
        _users -= 1
        if _users:
            return
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if isinstance(stream, _Router):
                setattr(sys, name, stream.stream)
        while _guarded:
            stream, guard = _guarded.pop()
            if getattr(stream, "write", None) is guard:  # else somebody has put something else there
                del stream.write


def fresh_context() -> Context:
    """A context that knows the present step's output, and nothing else that libraries keep in context variables."""
    context = Context()
    context.run(_buffer.set, _buffer.get())
    return context
