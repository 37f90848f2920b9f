"""An execution that goes straight ahead: one state after the other, and nothing is written down.

Thousands of short executions that live in memory only need no records while nothing goes wrong. So the machine's own
handlers are asked, in its order and at its times, without the rest of it. What is anything else (a failure, a Wait, a
fork, a time limit) is for a :class:`~nbflow.machine.Machine`: told the same facts at the same times, with the same
draws of chance, it comes to the same point, and goes on.

Bounds of what can be recorded are the machine's: nothing is too large or too deep here but the last output.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from nbflow.language import model
from nbflow.language.integrations import integration, wrong_parameters
from nbflow.language.values import Chance, Failure, Json
from nbflow.machine import facts, flow, orders, records
from nbflow.machine.context import MAP_RUN
from nbflow.machine.evolve import ROOT, evolve
from nbflow.machine.run import Frame, Run
from nbflow.machine.states import ENTER
from nbflow.machine.turn import Done, Turn

T = TypeVar("T")

MOST_STATES: Final = 1000
"""Then a machine goes on: it may never end."""

_PURE: Final = frozenset({model.Pass, model.Choice, model.Succeed})
"""States that are left as soon as they are entered, or fail."""


class Dice:
    """Chance whose draws can be had again, in their order."""

    def __init__(self, source: Chance) -> None:
        self._source = source
        self._drawn: list[Any] = []
        self._again: deque[Any] = deque()

    def random(self) -> float:
        return self._draw(self._source.random)

    def getrandbits(self, k: int, /) -> int:
        return self._draw(partial(self._source.getrandbits, k))

    def _draw(self, draw: Callable[[], T]) -> T:
        drawn = self._again.popleft() if self._again else draw()
        self._drawn.append(drawn)
        return drawn

    def rewind(self) -> None:
        """The next draws are those of the past."""
        self._again, self._drawn = deque(self._drawn), []


class Straight:
    """One execution, as far as it goes straight ahead.

    ``order`` is the task that is to be done now. If there is none, it has ``succeeded``, with ``output``; or it is for
    a machine.
    """

    def __init__(
        self, definition: model.StateMachine, chance: Chance, start: facts.Start, now: float
    ) -> None:
        self.order: orders.RunTask | None = None
        self.succeeded = False
        self.output: Json = None
        self._run = Run(definition)
        self._turn = Turn(self._run, now, chance)
        self._states = 0
        evolve(self._run, records.ExecutionStarted(now, start.input, start.context))
        self._frame = self._run.frames[ROOT]
        if self._run.deadline is None and not self._run.limited:
            self._go_on()

    def answer(self, output: Json, now: float) -> None:
        """The task has succeeded."""
        self.order = None
        self._turn.now = now
        state = self._frame.current
        assert isinstance(state, model.Task)
        self._run.last_event += 3  # its TaskScheduled (the attempt's number), TaskStarted, TaskSucceeded
        done = flow.leave_work(self._turn, self._frame, state, output)
        if type(done) is Done and self._leave(done):
            self._go_on()

    def _go_on(self) -> None:
        """To the next task, or to the end, or as far as it goes."""
        turn, frame, run = self._turn, self._frame, self._run
        while self._states < MOST_STATES:
            self._states += 1
            run.last_event += 1
            frame.entered_at = turn.now
            state = frame.current
            if isinstance(state, model.Task):
                self.order = _order(turn, frame, state)
                return
            done = ENTER[type(state)](turn, frame, state) if type(state) in _PURE else None
            if type(done) is not Done or not self._leave(done):
                return

    def _leave(self, done: Done) -> bool:
        """The state is left. Whether there is another one."""
        frame = self._frame
        frame.data = done.output
        if done.assigned:
            frame.variables = {**frame.variables, **done.assigned}
        self._run.last_event += 1
        if done.next is not None:
            frame.state = done.next
            return True
        self.succeeded, self.output = True, done.output
        return False


def _order(turn: Turn, frame: Frame, state: model.Task) -> orders.RunTask | None:
    """What is to be done, if nobody outside ends it, and nothing limits its time."""
    named = integration(state.resource)
    if named.family == "Activity" or named.has_token or state.is_timed or state.credentials is not None:
        return None
    arguments = flow.arguments(turn, frame, state)
    if isinstance(arguments, Failure) or (named.service and wrong_parameters(state.resource, arguments)):
        return None
    attempt = turn.run.last_event + 1
    scattered = MAP_RUN in turn.run.context
    return orders.RunTask(attempt, frame.state, state.resource, arguments, scattered, state.expected)
