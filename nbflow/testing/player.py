"""Plays an execution: the pure machine in virtual time, without engine, thread or store.

It goes round by round, as the engine does turn by turn: all that is ordered is carried out, in the order of scheduling,
and then all answers are taken in. So attempts are counted as the engine counts them for a MockConfigFile.
"""

import heapq
import random
from collections.abc import Callable
from itertools import count
from typing import Final, NamedTuple, TypeAlias

from nbflow.errors import NbflowError
from nbflow.language import model
from nbflow.language.values import Json
from nbflow.machine import Machine, facts, orders
from nbflow.machine.records import Record
from nbflow.machine.run import Run
from nbflow.testing.clock import VirtualClock

MOST_RECORDS: Final = 200_000
"""An execution that has not ended after so many is taken for an endless loop. (AWS ends one after 25,000 events.)"""


class NeverEnds(NbflowError):
    """The execution waits for what will never come, or goes round in circles: says where."""


class Answer(NamedTuple):
    """What comes of an attempt, and how long it takes."""

    fact: facts.Fact
    seconds: float = 0.0


Do: TypeAlias = Callable[[orders.RunTask, Run], Answer | None]
"""Does an attempt. None: it never ends by itself."""


class Player:
    """One execution, from its start to its end."""

    def __init__(self, definition: model.StateMachine, do: Do, clock: VirtualClock) -> None:
        self.machine = Machine.of(definition, random.Random(0))
        self.records: list[Record] = []
        self._do = do
        self._clock = clock
        self._orders: list[orders.Order] = []
        self._facts: list[facts.Fact] = []
        self._later: list[tuple[float, int, facts.Fact]] = []
        """Answers that take their time: a heap by when they come, and in the order of the attempts."""
        self._number = count()

    def play(self, input: Json, context: dict[str, Json]) -> Run:
        """Run it to its end, and let time pass where it waits. Raises NeverEnds."""
        run = self.machine.run
        self._take(facts.Start(input, context))
        while not run.ended:
            if self._orders or self._facts:
                self._round()
            elif not self._let_time_pass():
                raise NeverEnds(f"the execution waits for what will never come: {_waiting(run)}")
            if len(self.records) > MOST_RECORDS:
                raise NeverEnds(
                    f"the execution has not ended after {MOST_RECORDS:,} records; it is in {_places(run)}. If it "
                    "loops until a task says something else, let its mock say it: a list has an answer an attempt"
                )
        return run

    def _round(self) -> None:
        ordered, self._orders = self._orders, []
        for order in ordered:
            self._carry_out(order)
        arrived, self._facts = self._facts, []
        for fact in arrived:
            self._take(fact)

    def _take(self, fact: facts.Fact) -> None:
        """Take a fact in, after the timers that are due: a mock may have moved the clock."""
        due = self.machine.run.next_due
        if due is not None and due <= self._clock.now() and type(fact) is not facts.Tick:
            self._take(facts.Tick())
        step = self.machine.step(fact, self._clock.now())
        self.records += step.records
        self._orders += step.orders

    def _carry_out(self, order: orders.Order) -> None:
        match order:
            case orders.RunTask(attempt=attempt):
                answer = self._do(order, self.machine.run) if attempt in self.machine.run.attempts else None
                if answer is not None and not answer.seconds:
                    self._facts.append(answer.fact)
                elif answer is not None:
                    due = self._clock.now() + answer.seconds
                    heapq.heappush(self._later, (due, next(self._number), answer.fact))
            case orders.CancelTask(attempt=attempt):
                self._facts.append(facts.Cancelled(attempt))
            case orders.GoOn():
                self._facts.append(facts.Continue())
            case orders.WakeAt():
                pass  # the run knows when it is due

    def _let_time_pass(self) -> bool:
        """To the next timer, or the next answer if that comes before it. False if there is neither."""
        due, later = self.machine.run.next_due, self._later[0][0] if self._later else None
        if due is not None and (later is None or due <= later):
            self._clock.advance_to(due)
            self._take(facts.Tick())
        elif later is not None:
            self._clock.advance_to(later)
            self._take(heapq.heappop(self._later)[2])
        return due is not None or later is not None


def _waiting(run: Run) -> str:
    """The attempts under way, and what to do."""
    names = [f"an attempt at {run.frames[frame].state!r}" for frame in run.attempts.values()]
    if not names:
        return f"it is in {_places(run)}, where nothing is due and no task is at work"
    return (
        f"{_few(names)} does not end. Give the state TimeoutSeconds, or a mock that answers in place of NEVER"
    )


def _places(run: Run) -> str:
    return "state " + _few([repr(frame.state) for frame in run.frames.values() if frame.fork is None])


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
