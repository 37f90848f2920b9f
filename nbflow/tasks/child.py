"""A child of an EXPRESS Map Run, done whole where its job is: the machine runs here, and its tasks one after the other.

So an item costs no round trip for each of its tasks. What cannot be done here (to wait for long, a task that somebody
else ends) is handed back, as the records of what has been done: whoever asked goes on from there.

The branches of a Parallel and the iterations of an inline Map take turns on the one thread: what runs at the same time
are the children.
"""

import hashlib
import pickle
import random
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import copy_context
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from nbflow.artifacts.shelf import Artifact
from nbflow.artifacts.values import references
from nbflow.language import model
from nbflow.language.integrations import is_invocation
from nbflow.language.paths import compact, spelt
from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.machine import Machine, distributed, facts, orders
from nbflow.machine.records import join
from nbflow.machine.straight import Dice, Straight
from nbflow.machine.turn import MOST_BYTES
from nbflow.tasks.job import Code, Job, Outcome
from nbflow.tasks.lambdas import bound
from nbflow.tasks.stopping import Stopped, forget, stop, stop_by, stoppable

MOST_RECORDS: Final = 10_000
"""A child that has written so many is handed back: it may never end, and others wait behind it."""

_CHANCE: Final = random.SystemRandom()

_NONE: Final[Mapping[str, Artifact]] = {}

Attempt: TypeAlias = Callable[[Job], Outcome]
"""Does one attempt at a task on this thread, whatever comes of it. Raises Stopped if it is told to stop."""


_MOST_CHILDREN: Final = 2**40
"""More than any Map Run has."""


def attempt_of(number: int, time: int) -> int:
    """By which attempt a pool knows the child of this number, the Map Run being its execution.

    ``time`` tells it from the same child at another time. It is none of the child's own attempts: those are positive.
    """
    return -(time * _MOST_CHILDREN + number) - 1


def number_of(attempt: int) -> int:
    """Whose attempt it is."""
    return (-attempt - 1) % _MOST_CHILDREN


class Ending(NamedTuple):
    """How a child ended."""

    status: str
    output: str | None
    """JSON text; None unless it succeeded."""
    error: str | None
    cause: str | None
    start: float | None
    """Seconds since the epoch; None if it had not begun."""
    stop: float | None


class HandedBack(NamedTuple):
    """A child that cannot go on here."""

    records: bytes
    """What it has done: JSON text, as in a row of the journal."""


class _Plan(NamedTuple):
    definition: model.StateMachine
    codes: Mapping[str, Code]
    context: Mapping[str, Json]


def pin(name: str, definition: str, codes: Mapping[str, Code], context: Mapping[str, Json]) -> Code:
    """What travels with the children of one Map Run.

    ``definition`` is the JSON text of the children's machine, ``codes`` do its tasks by their Resources, and
    ``context`` are the members of the children's context object that do not change, but for their ARNs and names.
    """
    content = pickle.dumps((definition, dict(codes), dict(context)), pickle.HIGHEST_PROTOCOL)
    does = "".join([definition, *(code.sha256 for code in codes.values())])
    kin = hashlib.sha256(does.encode("utf-8", "backslashreplace")).hexdigest()
    return Code("express", name, hashlib.sha256(content).hexdigest(), content, kin=kin)


@lru_cache(16)
def plan(content: bytes) -> _Plan:
    """What the content of such a code means; it is read once."""
    definition, codes, context = pickle.loads(content)
    return _Plan(parse(definition), codes, context)


def run(job: Job, attempt: Attempt, now: Callable[[], float]) -> tuple[Ending | HandedBack, list[Artifact]]:
    """Do a child of the Map Run whose ARN is the job's execution; its input are the arguments (:func:`attempt_of`).

    Answers how it ended, or what it has done, and the artifacts that its tasks have made. ``now`` is in seconds since
    the epoch. Raises Stopped.
    """
    work = _Work(job, attempt, now)
    ended = _go_straight(work) or _go_on(work)
    return ended, list(work.made.values())


def _go_straight(work: "_Work") -> Ending | None:
    """Its end, if nothing but its tasks has to be done for it, and all of them succeed."""
    at = work.begun
    straight = Straight(work.definition, work.dice, work.start, at)
    while straight.order is not None and (outcome := work.do(straight.order)) is not None:
        at = work.now()
        work.past.append(_Past(straight.order.attempt, outcome, at))
        if outcome.error is not None:
            return None
        straight.answer(outcome.output, at)
    if not straight.succeeded:
        return None
    try:
        output = spelt(compact(straight.output))
    except RecursionError:  # a machine says so in words
        return None
    return (
        None if len(output.encode()) > MOST_BYTES else Ending("SUCCEEDED", output, None, None, work.begun, at)
    )


def _go_on(work: "_Work") -> Ending | HandedBack:
    """A machine comes to the same point, and goes on: its end, or what it has done."""
    work.dice.rewind()
    child = _Child(work)
    while not child.machine.run.ended:
        if not child.go_on():
            return HandedBack(join(child.encoded))
    return child.ending


class _Past(NamedTuple):
    """A task that is done."""

    attempt: int
    outcome: Outcome
    at: float
    """When it had ended."""


class _Work:
    """What is there for one child, and what its tasks have answered."""

    def __init__(self, job: Job, attempt: Attempt, now: Callable[[], float]) -> None:
        self.definition, self._codes, context = plan(job.code.content)
        self.now = now
        self.attempt = attempt
        self.begun = now()
        self.dice = Dice(_CHANCE)
        self.made: dict[str, Artifact] = {}
        self.past: deque[_Past] = deque()
        """The tasks that were done before there was a machine."""
        self._job = job
        self._arn = distributed.child(job.execution, number_of(job.attempt), express=True).arn
        self.start = facts.Start(job.arguments, distributed.named(context, self._arn))

    def do(self, order: orders.RunTask) -> Outcome | None:
        """A task, on this thread. None: it cannot be done here."""
        job = self.job(order)
        return None if job is None else self.note(self.attempt(job))

    def note(self, outcome: Outcome) -> Outcome:
        """What a task has made is known to the next ones."""
        self.made.update((artifact.sha256, artifact) for artifact in outcome.artifacts)
        return outcome

    def job(self, order: orders.RunTask) -> Job | None:
        """What does a task. None: it cannot be done here."""
        code, arguments = bound(order, self._codes)
        if code is None or order.token is not None:
            return None
        return Job(
            self._arn,
            order.attempt,
            code,
            arguments,
            self._job.shelf,
            self._known(arguments),
            order.expected,
            self._job.directory,
            is_invocation(order.resource),
        )

    def _known(self, arguments: Json) -> Mapping[str, Artifact]:
        """The artifacts that they refer to, and that the store knows, or will."""
        if not (self._job.known or self.made):
            return _NONE
        known = {**self._job.known, **self.made}
        return {sha: known[sha] for sha in references(arguments) if sha in known}


class _Child:
    """One child, by its machine."""

    def __init__(self, work: _Work) -> None:
        self.machine = Machine.of(work.definition, work.dice)
        self.encoded: list[bytes] = []
        self._work = work
        self._at = work.begun
        """When it last heard something."""
        self._owed: deque[orders.Order] = deque()
        self._hear(work.start, work.begun)

    def _hear(self, fact: facts.Fact, at: float | None = None) -> None:
        self._at = self._work.now() if at is None else at
        step = self.machine.step(fact, self._at)
        self.encoded += step.encoded
        self._owed += step.orders

    def go_on(self) -> bool:
        """Do what comes next. False: that cannot be done here."""
        if len(self.encoded) > MOST_RECORDS:
            return False
        if not self._owed:
            return self._tick()
        order = self._owed.popleft()
        match order:
            case orders.RunTask():
                return self._run_task(order)
            case orders.GoOn():
                self._hear(facts.Continue(), self._at if self._work.past else None)
            case orders.CancelTask():  # nothing is at work beside this
                self._hear(facts.Cancelled(order.attempt))
            case orders.RunMap():
                return False
        return True

    def _tick(self) -> bool:
        due, now = self.machine.run.next_due, self._work.now()
        if due is None or due > now:
            return False
        self._hear(facts.Tick(), now)
        return True

    def _run_task(self, order: orders.RunTask) -> bool:
        if order.attempt not in self.machine.run.attempts:
            return True
        if self._work.past:
            past = self._work.past.popleft()
            assert past.attempt == order.attempt, "the machine has come elsewhere"
            self._answer(past.attempt, past.outcome, past.at)
            return True
        job = self._work.job(order)
        if job is None:
            return False
        outcome = self._work.attempt(job) if self.machine.run.next_due is None else self._in_time(job)
        if outcome is not None:
            self._answer(order.attempt, self._work.note(outcome))
        return True

    def _answer(self, attempt: int, outcome: Outcome, at: float | None = None) -> None:
        if outcome.error is None:
            self._hear(facts.TaskSucceeded(attempt, outcome.output), at)
        else:
            self._hear(facts.TaskFailed(attempt, outcome.error, outcome.cause), at)

    def _in_time(self, job: Job) -> Outcome | None:
        """The task's outcome, while something else may become due. None: its time was over before."""
        aside = _Aside(job, self._work.attempt)
        try:
            stop_by(aside.leave)
            aside.start()
            while not aside.ended(self._left):
                self._tick()
                if job.attempt not in self.machine.run.attempts:
                    return None
            return aside.outcome
        finally:
            aside.stop()
            stop_by(None)  # who has been told to stop, is told again here: nothing after it would be done

    @property
    def _left(self) -> float | None:
        """Seconds until something is due."""
        due = self.machine.run.next_due
        return None if due is None else max(0.0, due - self._work.now())

    @property
    def ending(self) -> Ending:
        """How it ended."""
        run = self.machine.run
        output = spelt(compact(run.output)) if run.status == "SUCCEEDED" else None
        return Ending(run.status, output, spelt(run.error), spelt(run.cause), run.started_at, run.stopped_at)


class _Aside:
    """An attempt on a thread of its own, since it may have to be left alone."""

    def __init__(self, job: Job, attempt: Attempt) -> None:
        self._key = job.execution, job.attempt
        self._left = threading.Event()
        self._lock = threading.Lock()
        self._over = False
        self._outcome: Outcome | None = None
        context = copy_context()  # what it prints is the child's
        self._work = threading.Thread(target=context.run, args=(self._do, job, attempt), daemon=True)

    def start(self) -> None:
        """Begin it: not before somebody can tell it to stop."""
        self._work.start()

    def _do(self, job: Job, attempt: Attempt) -> None:
        try:
            with suppress(Stopped):  # then there is none
                self._outcome = stoppable(self._key, lambda: attempt(job))
        finally:
            with self._lock:
                self._over = True
                forget([self._key])
            self.leave()

    def ended(self, seconds: float | None) -> bool:
        """Wait for so long. Whether it has ended, or is waited for no more."""
        return self._left.wait(seconds)

    def leave(self) -> None:
        """Nobody is to wait for it any more. It waits for nothing itself."""
        self._left.set()

    @property
    def outcome(self) -> Outcome:
        """Raises Stopped."""
        if self._outcome is None:
            raise Stopped
        return self._outcome

    def stop(self) -> None:
        """It is told, and goes on until it hears that."""
        with self._lock:
            if self._work.is_alive() and not self._over:
                stop([self._key])
