"""Plays an execution: the pure machine in virtual time, without engine, thread or store.

It goes round by round, as the engine does turn by turn: all that is ordered is carried out, in the order of scheduling,
and then all answers are taken in. So attempts are counted as the engine counts them for a MockConfigFile. The children
of a Map Run are players too, on the same clock, and take part in the rounds of their parent.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, NamedTuple, TypeAlias

from nbflow.errors import NbflowError
from nbflow.language import model
from nbflow.language.integrations import integration
from nbflow.language.processors import processor
from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.machine import Machine, distributed, facts, orders
from nbflow.machine.records import Record
from nbflow.machine.run import Run
from nbflow.tasks.items import inputs
from nbflow.tasks.places import ItemsFailed
from nbflow.testing.clock import VirtualClock
from nbflow.testing.map_play import MapPlay

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

Read: TypeAlias = Callable[[orders.RunMap], list[Json]]
"""The items that an ItemReader reads. Raises ItemsFailed."""


@dataclass(slots=True)
class World:
    """What a player shares with the players of the children."""

    do: Do
    clock: VirtualClock
    read: Read | None = None
    number: "count[int]" = field(default_factory=count)
    """Of the answers, in the order of the attempts."""
    written: int = 0
    """Records of all of them."""


class Player:
    """One execution, from its start to its end. ``source`` is what the definition was parsed from."""

    def __init__(self, definition: model.StateMachine, source: dict[str, Json], world: World) -> None:
        self.machine = Machine.of(definition, random.Random(0))
        self.records: list[Record] = []
        self.children: dict[str, list[Player]] = {}
        """Those of its Map Runs, by the name of the Map state, in the order of their start."""
        self._source = source
        self._world = world
        self._orders: list[orders.Order] = []
        self._facts: list[facts.Fact] = []
        self._later: list[tuple[float, int, facts.Fact]] = []
        """Answers that take their time: a heap by when they come, and in the order of the attempts."""
        self._maps: dict[int, MapPlay[Player]] = {}
        """The Map Runs under way, by attempt."""

    @property
    def run(self) -> Run:
        return self.machine.run

    def play(self, input: Json, context: dict[str, Json]) -> Run:
        """Run it to its end, and let time pass where it waits. Raises NeverEnds."""
        self.begin(input, context)
        while not self.run.ended:
            due = None if self.busy else self.next_due
            if self.busy:
                self.round()
            elif due is None:
                raise NeverEnds(f"the execution waits for what will never come: {_waiting(self)}")
            else:
                self._world.clock.advance_to(due)
                self.wake(due)
            if self._world.written > MOST_RECORDS:
                raise NeverEnds(
                    f"the execution has not ended after {MOST_RECORDS:,} records; it is in {_places(self.run)}. If "
                    "it loops until a task says something else, let its mock say it: a list has an answer an attempt"
                )
        return self.run

    # --- a round

    def begin(self, input: Json, context: dict[str, Json]) -> None:
        """Start it."""
        self._take(facts.Start(input, context))

    @property
    def busy(self) -> bool:
        """Whether there is something to do now."""
        return bool(self._orders or self._facts or any(play.busy for play in self._maps.values()))

    def round(self) -> None:
        """Carry out what is ordered, then take in the answers; and the children likewise."""
        ordered, self._orders = self._orders, []
        for order in ordered:
            self._carry_out(order)
        arrived, self._facts = self._facts, []
        for fact in arrived:
            self._take(fact)
        for attempt, play in list(self._maps.items()):
            play.round()
            self._advance(attempt, play)

    def _take(self, fact: facts.Fact) -> None:
        """Take a fact in, after the timers that are due: a mock may have moved the clock."""
        now = self._world.clock.now()
        due = self.run.next_due
        if due is not None and due <= now and type(fact) is not facts.Tick:
            self._take(facts.Tick())
        step = self.machine.step(fact, now)
        self.records += step.records
        self._world.written += len(step.records)
        self._orders += step.orders

    def _carry_out(self, order: orders.Order) -> None:
        match order:
            case orders.RunTask(attempt=attempt) if attempt in self.run.attempts:
                answer = self._world.do(order, self.run)
                if order.token is not None:
                    self._by_token(order, answer)
                if answer is not None:
                    self._say(answer)
            case orders.RunMap(attempt=attempt) if attempt in self.run.attempts:
                self._begin_map(order)
            case orders.CancelTask(attempt=attempt):
                self._maps.pop(attempt, None)
                self._facts.append(facts.Cancelled(attempt))
            case orders.GoOn():
                self._facts.append(facts.Continue())
            case _:
                pass  # given up meanwhile; and when to wake, the run knows

    def _say(self, answer: Answer) -> None:
        if answer.seconds:
            due = self._world.clock.now() + answer.seconds
            heapq.heappush(self._later, (due, next(self._world.number), answer.fact))
        else:
            self._facts.append(answer.fact)

    def _by_token(self, order: orders.RunTask, answer: Answer | None) -> None:
        """Somebody outside ends the attempt: first it begins, and its time is not the machine's to watch.

        Whoever answers in the end gives signs of life until then.
        """
        if integration(order.resource).family == "Activity":
            self._facts.append(facts.TaskStarted(order.attempt))
        else:
            self._facts.append(facts.TaskSubmitted(order.attempt, {}))
        limits = [] if order.timeout is None else [(order.timeout, False)]
        if answer is None and order.heartbeat is not None:
            limits.append((order.heartbeat, True))
        if limits:
            seconds, heartbeat = min(limits)
            self._say(Answer(facts.TaskTimedOut(order.attempt, heartbeat), seconds))

    # --- Map Runs

    def _begin_map(self, order: orders.RunMap) -> None:
        definition = processor(self._source, order.name)
        machine = parse(definition)
        run, express = order.plan.arn, order.state.item_processor.processor_config.execution_type == "EXPRESS"
        constants = distributed.constants(self.run, run, express=express)

        def begin(index: int, input: Json) -> Player:
            child = Player(machine, definition, self._world)
            self.children.setdefault(order.name, []).append(child)
            child.begin(
                input, distributed.named(constants, distributed.child(run, index, express=express).arn)
            )
            return child

        try:
            items = order.items
            if order.plan.reader is not None and self._world.read is not None:
                items = self._world.read(order)
            found = distributed.items_in(items)
            given = list(inputs(order, found, self._world.clock.now, self.machine.chance))
        except ItemsFailed as failed:
            self._facts.append(facts.TaskFailed(order.attempt, failed.error, failed.cause))
            return
        play = MapPlay(order, given, begin)
        self._maps[order.attempt] = play
        self._advance(order.attempt, play)

    def _advance(self, attempt: int, play: "MapPlay[Player]") -> None:
        end = play.advance()
        if end is not None:
            self._maps.pop(attempt, None)
            self._facts.append(end)

    # --- time

    @property
    def next_due(self) -> float | None:
        """The next timer or answer, of it or of its children."""
        dues = [play.next_due for play in self._maps.values()]
        dues += [self.run.next_due, self._later[0][0] if self._later else None]
        return min((due for due in dues if due is not None), default=None)

    def wake(self, due: float) -> None:
        """It is so late: the first that waits for that time acts, timers before answers, and it before its children."""
        own = self.run.next_due
        if own is not None and own <= due:
            self._take(facts.Tick())
        elif self._later and self._later[0][0] <= due:
            self._take(heapq.heappop(self._later)[2])
        else:
            for attempt, play in list(self._maps.items()):
                play.wake(due)
                self._advance(attempt, play)


def _waiting(player: Player) -> str:
    """The attempts under way, and what to do."""
    names = [f"an attempt at {name!r}" for name in _tried(player)]
    if not names:
        return f"it is in {_places(player.run)}, where nothing is due and no task is at work"
    return (
        f"{_few(names)} does not end. Give the state TimeoutSeconds, or a mock that answers in place of NEVER"
    )


def _tried(player: Player) -> list[str]:
    frames: dict[int, Any] = player.run.frames
    tried = [(attempt, frames[frame].state) for attempt, frame in player.run.attempts.items()]
    names: list[str] = []
    for attempt, name in tried:
        play = player._maps.get(attempt)
        names += [name] if play is None else [each for child in play.running for each in _tried(child)]
    return names


def _places(run: Run) -> str:
    return "state " + _few([repr(frame.state) for frame in run.frames.values() if frame.fork is None])


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
