"""A world for one execution: it answers as tasks, workers, callers and clocks do, and now and then takes its memory."""

import random
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from nbflow.language.values import Json
from nbflow.machine import Machine, facts, orders
from nbflow.machine import records as r
from nbflow.machine.records import Record, decode
from tests.machine.driver import Driver, Raised, TimedOut

ERRORS: Final = ("Boom", "Boom", "States.Timeout", "Other", None)


_ENDS: Final = (facts.TaskSucceeded, facts.TaskFailed, facts.TaskTimedOut, facts.Cancelled)


class Fate(NamedTuple):
    """What becomes of one attempt."""

    end: Literal["succeeds", "fails", "is late", "misses a heartbeat", "is silent"]
    error: str | None
    delay: int
    """How many other things happen before it is answered."""
    told: bool
    """Of a task that others end: whether one of them has first taken it on."""
    again: bool
    """Whether it is answered twice; or, if it was given up, in place of a report that it was cancelled."""


def fate(seed: int, state: str, number: int) -> Fate:
    """The fate of the attempt of this number at this state: no other choice of the world has a part in it."""
    rng = random.Random(f"{seed} {state} {number}")
    ends: list[Any] = ["succeeds"] * 6 + ["fails"] * 3 + ["is late", "misses a heartbeat", "is silent"]
    return Fate(
        rng.choice(ends),
        rng.choice(ERRORS),
        rng.choice([0, 0, 1, 5, 20]),
        rng.random() < 0.8,
        rng.random() < 0.3,
    )


class AnyTask(dict[str, Any]):
    """Every state's task, for the children of Map Runs: succeeds, fails or times out."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __missing__(self, state: str) -> Any:
        def task(number: int, arguments: Json) -> Json:
            drawn = fate(self.seed, state, number)
            if drawn.end == "fails":
                raise Raised(drawn.error, "on purpose")
            if drawn.end in ("is late", "misses a heartbeat"):
                raise TimedOut(heartbeat=drawn.end == "misses a heartbeat")
            return {"state": state, "number": number}

        return task


class World(Driver):
    """A driver that checks after each step that the records tell everything: a second machine only hears of those.

    A crash changes the two, so that the one which was rebuilt goes on.
    """

    def __init__(self, definition: Mapping[str, Json], seed: int) -> None:
        super().__init__(definition, seed=seed)
        self.tasks = AnyTask(seed)
        self.rng = random.Random(seed)
        self.shadow = Machine.of(self.definition, self.machine.chance)
        self.fates: dict[int, Fate] = {}
        self.waiting: dict[int, int] = {}
        """By attempt: how many more things happen before it is answered."""
        self.at_work: set[int] = set()
        """Attempts that were ordered, and of which the machine has not been told that they are over."""
        self.seen: set[str] = set()
        """What has happened in this world, for a look at what the examples cover."""

    def step(self, fact: facts.Fact, *more: facts.Fact) -> list[Record]:
        taken = super().step(*(facts.decode(facts.encode(each)) for each in (fact, *more)))
        if taken:
            for record in decode(self.journal[-1]):
                self.shadow.evolve(record)
        for each in (fact, *more)[: 1 + len(more) - len(self.unheard)]:
            if isinstance(each, _ENDS):
                self.at_work.discard(each.attempt)
        self.at_work.update(self.run.attempts)
        owed = self.run.attempts.keys() | self.run.cancelling.keys()
        assert self.at_work & owed == self.at_work, "an attempt was forgotten, and not given up"
        assert self.shadow.run == self.machine.run
        assert list(self.shadow.run.ready) == list(self.machine.run.ready)
        assert self.shadow.outstanding() == self.machine.outstanding()
        if self.rng.random() < 0.3:
            self.crashes += 1
            self.machine, self.shadow = self.shadow, self.machine
            self.todo = self.machine.outstanding()
        return taken

    def settle(self, steps: int = 100_000) -> "World":
        while self.todo and steps:
            steps -= 1
            self.do(self.todo.pop(self.choose()))
            if self.rng.random() < 0.03:
                self.disturb()
        return self

    def choose(self) -> int:
        """Which of the orders is next: time passes when all is done, or sometimes before."""
        now = [i for i, order in enumerate(self.todo) if not isinstance(order, orders.WakeAt)]
        if now and (len(now) == len(self.todo) or self.rng.random() < 0.9):
            return self.rng.choice(now)
        return next(i for i, order in enumerate(self.todo) if isinstance(order, orders.WakeAt))

    def do(self, order: orders.Order) -> None:
        match order:
            case orders.GoOn():
                self.step(facts.Continue())
            case orders.WakeAt(due=due):
                self.now = max(self.now, due)
                self.step(facts.Tick())
            case orders.CancelTask(attempt=attempt):
                drawn = self.fates.get(attempt)
                late = drawn is not None and drawn.again and attempt in self.run.cancelling
                if late:
                    self.seen.add("answered when given up")
                quiet = not self.run.ready
                said = self.step(facts.TaskSucceeded(attempt, "late") if late else facts.Cancelled(attempt))
                assert not quiet or [type(record) for record in said] in ([r.TaskCancelled], [])
            case orders.RunTask():
                self.work(order)
            case orders.RunMap():
                if order.attempt in self.run.attempts:
                    self.step(self.play(order))

    def work(self, order: orders.RunTask) -> None:
        attempt = order.attempt
        assert attempt not in self.answered, "a task whose result is recorded was ordered again"
        if attempt not in self.run.attempts:
            return  # it was given up meanwhile
        if attempt not in self.fates:
            number = self.calls.get(order.state, 0)
            self.calls[order.state] = number + 1
            self.fates[attempt] = fate(self.seed, order.state, number)
            self.waiting[attempt] = self.fates[attempt].delay
        drawn = self.fates[attempt]
        first = self.taken_on(order) if drawn.told else None
        if first is not None:
            self.step(first)
            self.changes_nothing(first)
            self.put_off(order)
        elif self.waiting[attempt] > 0:
            self.waiting[attempt] -= 1
            self.put_off(order)
        else:
            self.end(order, drawn)

    def put_off(self, order: orders.RunTask) -> None:
        """It is done later. After a crash it is ordered already."""
        again = any(
            isinstance(other, orders.RunTask) and other.attempt == order.attempt for other in self.todo
        )
        if not again:
            self.todo.append(order)

    def end(self, order: orders.RunTask, drawn: Fate) -> None:
        attempt = order.attempt
        if drawn.end == "is silent" and order.token is None and order.timeout is not None:
            self.seen.add("silent")
            return  # its time runs out
        self.answered.add(attempt)
        answer: facts.Fact = facts.TaskSucceeded(attempt, {"state": order.state, "of": order.arguments})
        if drawn.end == "fails":
            answer = facts.TaskFailed(attempt, drawn.error, "on purpose")
        elif drawn.end != "succeeds" and order.token is not None:
            answer = facts.TaskTimedOut(attempt, drawn.end == "misses a heartbeat")
        self.seen.add(type(answer).__name__)
        more = self.at_once() if type(answer) is facts.TaskSucceeded and self.rng.random() < 0.5 else []
        self.step(answer, *more)
        while self.unheard:
            self.step(*self.unheard)
        if drawn.again and attempt not in self.run.cancelling:
            self.seen.add("answered twice")
            self.changes_nothing(facts.TaskSucceeded(attempt, "another"))
            self.changes_nothing(facts.TaskFailed(attempt, "Another", None))

    def at_once(self) -> list[facts.Fact]:
        """The answers of others that have ended, too."""
        found: dict[int, facts.Fact] = {}
        for order in [order for order in self.todo if isinstance(order, orders.RunTask)]:
            attempt, drawn = order.attempt, self.fates.get(order.attempt)
            if attempt not in self.run.attempts or attempt in self.answered or drawn is None:
                continue
            if drawn.end == "succeeds" and not drawn.told and self.waiting[attempt] <= 1:
                found[attempt] = facts.TaskSucceeded(attempt, {"state": order.state, "of": order.arguments})
        self.todo = [
            order for order in self.todo if not (isinstance(order, orders.RunTask) and order.attempt in found)
        ]
        self.answered |= found.keys()
        if found:
            self.seen.add("answered together")
        return list(found.values())

    def disturb(self) -> None:
        """Something that means nothing to the execution."""
        nothing: list[facts.Fact] = [
            facts.Start("again", {}),
            facts.TaskSucceeded(10**9, 1),
            facts.TaskTimedOut(10**9),
            facts.Cancelled(10**9),
            facts.TaskStarted(10**9, "nobody"),
        ]
        if self.run.ended:
            nothing += [facts.Stop(), facts.Tick(), facts.Continue(), facts.Fail("E", "C"), facts.Retire()]
        else:
            nothing.append(facts.Redrive())
        self.changes_nothing(self.rng.choice(nothing))

    def changes_nothing(self, fact: facts.Fact) -> None:
        """It is told, and nothing comes of it. (Where the execution is to go on by itself, any fact makes it do so.)"""
        if not self.run.ready:
            assert self.step(fact) == []
