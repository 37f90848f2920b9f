"""The worker: as many lanes as it may do tasks at once, each a thread that asks for a task, does it and answers.

A lane asks only when it is free, so that the worker never holds a task that it does not do. Heartbeats come from a
thread for each task, since its own is busy in the user's function.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from contextvars import copy_context
from types import TracebackType
from typing import Final, Protocol, TypeVar

from nbflow.client.connection import say
from nbflow.errors import NbflowError
from nbflow.worker.line import Given, Refused, TaskGone, Unreachable
from nbflow.worker.work import Answer, Work, perform, stop

T = TypeVar("T")

HEARTBEAT: Final = 5.0
"""Seconds. The API does not tell a worker the state's HeartbeatSeconds. A third of it is a good interval (one beat may
be lost); this one fits 15 seconds and more, and costs next to nothing."""

FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 30.0
"""Seconds between two attempts at an API that is not reachable: doubled each time."""


class Api(Protocol):
    """What a worker asks of :class:`nbflow.worker.line.Line`, which says what is raised."""

    place: str

    def poll(self, activity: str, worker: str, gone: "Future[None]") -> Given | None: ...
    def succeed(self, token: str, output: str) -> None: ...
    def fail(self, token: str, error: str, cause: str) -> None: ...
    def beat(self, token: str) -> None: ...


def default_name() -> str:
    """``host:pid``, within the API's 80 characters."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}"


class Worker:
    """A worker of one activity, at work until it is stopped. ``nf.serve_activity`` makes one.

    As a context manager it stops at the end of the block. Its numbers: ``done`` tasks have succeeded, ``failed`` ones
    raised, ``late`` ones had ended before their result came; ``busy`` are in hand.
    """

    def __init__(
        self,
        api: Api,
        find: Callable[[], str],
        work: Work,
        *,
        name: str | None = None,
        concurrency: int = 1,
        heartbeat: float | None = HEARTBEAT,
        tell: Callable[[str], None] = say,
        verbose: bool = False,
        pause: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        """``find`` gives the activity's ARN. ``tell`` gets a line about what a person should know; ``verbose``: about
        each task. ``pause`` waits for an event or so many seconds, and says whether it was the event.

        Raises NbflowError for an option that makes no sense.
        """
        if concurrency < 1:
            raise NbflowError(f"concurrency is the number of tasks at once, at least 1, not {concurrency!r}")
        if heartbeat is not None and not 0 < heartbeat < float("inf"):
            raise NbflowError(f"heartbeat is the seconds between two heartbeats, or None, not {heartbeat!r}")
        self.name = name or default_name()
        self.place = api.place
        """Where the API is, for people."""
        self.activity = ""
        """The activity's ARN; "" until it is known."""
        self.done = self.failed = self.late = self.busy = 0
        self.error: NbflowError | None = None
        """Why it has ended, if nobody has stopped it."""
        self._api, self._find, self._work = api, find, work
        self._heartbeat, self._tell, self._verbose, self._pause = heartbeat, tell, verbose, pause
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._polls: set[Future[None]] = set()
        self._reached = True
        lanes = [copy_context() for _ in range(concurrency)]  # where words and prints belong: under this cell
        self._lanes = [
            threading.Thread(target=lane.run, args=(self._lane,), name="nbflow-worker", daemon=True)
            for lane in lanes
        ]
        self._open = concurrency
        """Lanes that have not ended."""
        self._ended = threading.Event()

    def start(self) -> "Worker":
        """Begin to ask for tasks. Raises NbflowError if the API refuses that. (An API out of reach is waited for.)"""
        try:
            self.activity = self._find()
        except Unreachable as error:
            self._lost(error)
        for lane in self._lanes:
            lane.start()
        return self

    def stop(self, *, wait: bool = True) -> None:
        """Take no more tasks; with ``wait``, return when those in hand are done."""
        with self._lock:
            self._stopping.set()
            polls = list(self._polls)
        for poll in polls:
            _hang_up(poll)
        if wait:
            self._join()

    def wait(self) -> None:
        """Return when it has been stopped and has ended. Raises NbflowError if it has ended by itself."""
        self._join()
        if self.error is not None:
            raise self.error

    def _join(self) -> None:
        if threading.current_thread() not in self._lanes:  # a task may stop its own worker
            self._ended.wait()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(wait=kind is None)

    def __repr__(self) -> str:
        return f"<nbflow worker {self.name} of activity {self.title} {self.place}: {self._state()}>"

    @property
    def title(self) -> str:
        """The activity's name."""
        return self.activity.rpartition(":")[2] or "(not found yet)"

    @property
    def numbers(self) -> str:
        """What it has done so far, in words."""
        return f"{self.done} done, {self.failed} failed" + (f", {self.late} too late" if self.late else "")

    def _state(self) -> str:
        if self._ended.is_set():
            state = "stopped"
        elif self._stopping.is_set():
            state = f"stopping, {self.busy} at work"
        elif not self._reached:
            state = "out of reach"
        else:
            state = f"{self.busy} at work" if self.busy else "waiting"
        return f"{state}; {self.numbers}" + (f"; {self.error}" if self.error else "")

    # --- a lane

    def _lane(self) -> None:
        try:
            while not self._stopping.is_set():
                if not self.activity:
                    self.activity = self._reach(self._find, self._stopping) or ""
                    continue
                given = self._next()
                if given is not None:
                    self._do(given)
        except NbflowError as error:
            self._end(error)
        except Exception as error:  # noqa: BLE001  # a thread's exception would be nobody's
            self._end(NbflowError(f"{type(error).__name__}: {error}"))
        finally:
            self._count("_open", -1)
            if not self._open:
                self._ended.set()

    def _end(self, error: NbflowError) -> None:
        with self._lock:
            first, self.error = self.error is None, self.error or error
        if first and not self._stopping.is_set():
            self._tell(f"the worker of {self.title} has ended: {error}")
        self.stop(wait=False)

    def _next(self) -> Given | None:
        gone: Future[None] = Future()
        with self._lock:
            if self._stopping.is_set():
                return None
            self._polls.add(gone)
        try:
            return self._reach(lambda: self._api.poll(self.activity, self.name, gone), self._stopping)
        finally:
            with self._lock:
                self._polls.discard(gone)

    def _do(self, given: Given) -> None:
        self._count("busy", 1)
        begun = time.perf_counter()
        try:
            with self._beating(given.token) as over:
                answer = perform(self._work, given.input, given.token)
            if not over.is_set():
                self._report(given, answer, time.perf_counter() - begun)
        finally:
            self._count("busy", -1)

    def _report(self, given: Given, answer: Answer, seconds: float) -> None:
        try:
            answer = self._send(given.token, answer)
        except TaskGone as error:
            every = "not at all" if self._heartbeat is None else f"every {self._heartbeat:g} s"
            self._late(
                f"the result came too late, and nobody has it ({error}); heartbeats are sent {every}, and should be "
                "sent every third of the state's HeartbeatSeconds (heartbeat=, --heartbeat)"
            )
            return
        if answer.error is not None:
            self._count("failed", 1)
            self._tell(f"a task of {self.title} failed after {seconds:.1f} s: {answer.error}")
            return
        self._count("done", 1)
        if self._verbose:
            self._tell(f"a task of {self.title} is done, in {seconds:.1f} s")

    def _send(self, token: str, answer: Answer) -> Answer:
        """Send the answer however long it takes; what the API does not accept as a result, is a failure."""
        never = threading.Event()
        if answer.error is None:
            try:
                self._reach(lambda: self._api.succeed(token, answer.output), never)
                return answer
            except Refused as refused:
                answer = Answer(error=refused.code or "nbflow.Refused", cause=str(refused))
        error, cause = answer.error or "", answer.cause
        self._reach(lambda: self._api.fail(token, error, cause), never)
        return answer

    # --- heartbeats

    @contextmanager
    def _beating(self, token: str) -> Iterator[threading.Event]:
        """Send heartbeats during the block. The event is set if the task turns out to have ended."""
        done, over = threading.Event(), threading.Event()
        if self._heartbeat is not None:
            context = copy_context()
            arguments = (self._beat, token, self._heartbeat, done, over)
            threading.Thread(target=context.run, args=arguments, daemon=True).start()
        try:
            yield over
        finally:
            with self._lock:
                done.set()

    def _beat(self, token: str, seconds: float, done: threading.Event, over: threading.Event) -> None:
        while not self._pause(done, seconds):
            try:
                self._api.beat(token)
            except Unreachable as error:
                self._lost(error)
            except TaskGone as error:
                with self._lock:  # it may have been answered at this moment
                    ended = not done.is_set()
                    if ended:
                        over.set()
                if ended:
                    stop(token)
                    self._late(
                        f"it has been ended meanwhile ({error}); it is told to stop, and has no result"
                    )
                return
            except Refused:
                return  # whatever it is, the answer will meet it too
            else:
                self._found()

    # --- the API out of reach

    def _reach(self, call: Callable[[], T], given_up: threading.Event) -> T | None:
        """Make a call as often as it takes. None: it has been given up."""
        delay = FIRST_DELAY
        while True:
            try:
                answer = call()
            except Unreachable as error:
                if given_up.is_set():
                    return None
                self._lost(error)
                if self._pause(given_up, delay):
                    return None
                delay = min(2 * delay, LONGEST_DELAY)
            else:
                self._found()
                return answer

    def _lost(self, error: Unreachable) -> None:
        with self._lock:
            first, self._reached = self._reached, False
        if first:
            self._tell(f"the API {self.place} is not reachable ({error}); trying again until it is")

    def _found(self) -> None:
        with self._lock:
            first, self._reached = not self._reached, True
        if first:
            self._tell(f"the API {self.place} is reachable again")

    def _late(self, why: str) -> None:
        self._count("late", 1)
        self._tell(f"a task of {self.title}: {why}")

    def _count(self, what: str, number: int) -> None:
        with self._lock:
            setattr(self, what, getattr(self, what) + number)


def _hang_up(poll: "Future[None]") -> None:
    with suppress(InvalidStateError):  # another thread has stopped the worker at the same time
        poll.set_result(None)
