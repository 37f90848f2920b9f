"""Jobs at work in this process, and how they are told to stop.

A function is told as Ctrl-C tells a cell: an exception is raised in its thread, between two steps of Python. Its
``finally`` and ``with`` blocks run. A call into C that takes long (``time.sleep``, a query, a fit) comes to its end
first, and whoever catches the exception goes on: a thread cannot be killed. What can be, brings its own way
(:func:`stop_by`): of a notebook, its kernel.

The exception must never hit what the thread does after the job. So it is raised at most once for each job, only while
the job is registered, and what has not come by its end is waited for. (It cannot be taken back: CPython then looks for
it for ever, and a traced thread looks for nothing else, 3.11.)
"""

import ctypes
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

T = TypeVar("T")

Key: TypeAlias = tuple[str, int]
"""Execution and attempt."""

MOST_GIVEN_UP: Final = 10_000
"""Jobs that are remembered as given up before they began here."""


class Stopped(KeyboardInterrupt):
    """The task is not wanted any more. What catches exceptions of any kind leaves this one, as a Ctrl-C, alone."""


@dataclass(slots=True, eq=False)
class _Work:
    thread: int
    interruptible: bool
    told: bool = False
    end: Callable[[], None] | None = None


class _Present(threading.local):
    work: _Work | None = None


_present: Final = _Present()
_at_work: Final[dict[Key, _Work]] = {}
_given_up: Final[OrderedDict[Key, None]] = OrderedDict()
_lock: Final = threading.Lock()


def stoppable(key: Key, do: Callable[[], T], *, interruptible: bool = True) -> T:
    """Do a job on this thread, such that :func:`stop` finds it. Raises Stopped, and what the job raises.

    ``interruptible``: by an exception in this thread; else only by what it gives to :func:`stop_by`.
    """
    work = _Work(threading.get_ident(), interruptible)
    try:
        try:
            _enter(key, work)
            return do()
        finally:
            _leave(key, work)
    finally:
        _settle(key, work)


def stop(keys: Iterable[Key]) -> None:
    """Tell these jobs to stop; one that has not begun will not. Returns at once. From any thread."""
    with _lock:
        for key in keys:
            work = _at_work.get(key)
            if work is None:
                _given_up[key] = None
                if len(_given_up) > MOST_GIVEN_UP:
                    _given_up.popitem(last=False)
            elif not work.told:
                work.told = True
                _tell(work)


def forget(keys: Iterable[Key]) -> None:
    """These jobs are over: what they were told too late must not meet another store's jobs of the same names."""
    with _lock:
        for key in keys:
            _given_up.pop(key, None)


def some_linger() -> bool:
    """Whether jobs are still at work in this process that were told to stop."""
    with _lock:
        return any(work.told for work in _at_work.values())


def stop_by(end: Callable[[], None] | None) -> None:
    """From now on, ``end`` stops the job that this thread does, from any thread; it must not wait for anything.

    None: there is nothing to be ended any more. Outside of jobs, nothing happens.
    """
    work = _present.work
    if work is not None:
        with _lock:
            work.end = end
            if work.told:
                _tell(work)


def _tell(work: _Work) -> None:
    if work.end is not None:
        work.end()
    elif work.interruptible:
        _raise_in(work.thread, Stopped)


def _enter(key: Key, work: _Work) -> None:
    with _lock:
        if key in _given_up:
            del _given_up[key]
            raise Stopped
        _at_work[key] = _present.work = work


def _leave(key: Key, work: _Work) -> None:
    with _lock:
        if _at_work.get(key) is work:
            del _at_work[key]
        _present.work = None


def _settle(key: Key, work: _Work) -> None:
    """The exception, which comes once, may have come in the midst of :func:`_leave`; or it comes here."""
    try:
        _leave(key, work)
        for _ in range(2):  # where a loop goes back, CPython looks for it
            pass
    except Stopped:
        _leave(key, work)


def _raise_in(thread: int, kind: type[BaseException]) -> None:
    """Raise an exception in a thread as soon as it runs Python."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))
