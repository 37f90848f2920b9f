"""Runs a machine in virtual time on scripted tasks, checks every invariant after each step, and crashes it on demand."""

import random
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from nbflow.language.processors import processor
from nbflow.language.validate import parse
from nbflow.language.values import Failure, Json
from nbflow.machine import Machine, distributed, facts, orders
from nbflow.machine.history import Event, history
from nbflow.machine.records import Record, decode, join
from nbflow.machine.run import Fork, Frame, Run
from nbflow.machine.tokens import is_token

Script = Callable[[int, Json], Json]
"""A task: gets the number of its call (from 0, by state) and its arguments; returns its output or raises Raised."""

CONTEXT: dict[str, Json] = {
    "Execution": {"Id": "arn:execution", "Name": "run", "RoleArn": "arn:role"},
    "StateMachine": {"Id": "arn:aws:states:us-east-1:000000000000:stateMachine:machine", "Name": "machine"},
}

TASK = "arn:aws:lambda:us-east-1:000000000000:function:f"
ACTIVITY = "arn:aws:states:us-east-1:000000000000:activity:a"
CALLBACK = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
SYNC = "arn:aws:states:::states:startExecution.sync:2"


class Raised(Exception):
    """What a scripted task raises: an ASL error name and a cause."""

    def __init__(self, error: str | None, cause: str | None = None) -> None:
        super().__init__(error, cause)
        self.error, self.cause = error, cause


class TimedOut(Exception):
    """What a scripted task that has a token raises when nobody ends it within its time, or its heartbeat's."""

    def __init__(self, *, heartbeat: bool = False) -> None:
        super().__init__(heartbeat)
        self.heartbeat = heartbeat


class Driver:
    """One execution. ``crash`` decides after each step whether memory is lost and rebuilt from the journal."""

    def __init__(
        self,
        definition: Mapping[str, Json],
        tasks: Mapping[str, Script] | None = None,
        *,
        crash: Callable[[], bool] = lambda: False,
        seed: int = 0,
    ) -> None:
        self.source = dict(definition)
        self.definition = parse(self.source)
        self.tasks = dict(tasks or {})
        self.crash = crash
        self.now = 1000.0
        self.seed = seed
        self.machine = Machine.of(self.definition, random.Random(seed))
        self.journal: list[bytes] = []
        self.records: list[Record] = []
        self.rows: list[int] = []
        """How many records each step had."""
        self.todo: list[orders.Order] = []
        self.calls: dict[str, int] = {}
        self.answered: set[int] = set()
        self.children: list[Driver] = []
        """Those of its Map Runs, in the order of their start."""
        self.map_runs: dict[str, dict[int, Driver]] = {}
        """The children of each Map Run, by the number of their item."""
        self.crashes = 0
        self.unheard: Sequence[facts.Fact] = ()
        """Of the facts of the last step, those beyond its bound."""

    @property
    def run(self) -> Run:
        return self.machine.run

    def step(self, fact: facts.Fact, *more: facts.Fact) -> list[Record]:
        """``more`` come together with it."""
        before = named(self.machine.outstanding())
        step = self.machine.step(fact, self.now, more)
        self.unheard = (fact, *more)[len(step.heeded) :]
        if step.records:
            self.journal.append(join(step.encoded))
            self.records += step.records
            self.rows.append(len(step.records))
        check(self.run, self.records)
        # What a step orders is what has become outstanding, and when to wake it next.
        after, new = named(self.machine.outstanding()), named(step.orders)
        assert after - before <= new, "an order was not given"
        assert new <= after, "an order is not outstanding"
        self.todo = [order for order in self.todo if not isinstance(order, orders.WakeAt | orders.GoOn)]
        self.todo += step.orders
        if self.crash():
            self.restart()
        return step.records

    def restart(self) -> None:
        """Lose the memory, rebuild it from the journal, and find the same state and the same orders."""
        self.crashes += 1
        steps = [decode(row) for row in self.journal]
        rebuilt = Machine.rebuilt(self.definition, self.machine.chance, steps)
        assert rebuilt.run == self.run
        assert list(rebuilt.run.ready) == list(self.run.ready)
        assert rebuilt.outstanding() == self.machine.outstanding()
        self.machine = rebuilt
        self.todo = rebuilt.outstanding()

    def start(self, input: Json = None) -> "Driver":
        self.step(facts.Start({} if input is None else input, CONTEXT))
        return self

    def go(self, input: Json = None, steps: int = 100_000) -> "Driver":
        """Start, and do what is ordered until nothing is left to do."""
        self.start(input)
        return self.settle(steps)

    def redrive(self) -> "Driver":
        """Go on with it, and do what is ordered until nothing is left to do."""
        self.step(facts.Redrive())
        return self.settle()

    def settle(self, steps: int = 100_000) -> "Driver":
        while self.todo and steps:
            steps -= 1
            self.todo.sort(key=lambda order: order.due if isinstance(order, orders.WakeAt) else 0.0)
            order = self.todo.pop(0)
            match order:
                case orders.GoOn():
                    self.step(facts.Continue())
                case orders.WakeAt(due=due):
                    self.now = max(self.now, due)
                    self.step(facts.Tick())
                case orders.CancelTask(attempt=attempt):
                    self.step(facts.Cancelled(attempt))
                case orders.RunTask():
                    self.work(order)
                case orders.RunMap():
                    self.step(self.play(order))
        return self

    def work(self, order: orders.RunTask) -> None:
        """What comes of an order: the answer; before it, of a task that others end, that one of them has taken it on."""
        first = self.taken_on(order)
        if first is None:
            self.step(self.answer(order))
            return
        self.step(first)
        again = any(
            isinstance(other, orders.RunTask) and other.attempt == order.attempt for other in self.todo
        )
        if not again and order.attempt in self.run.attempts:
            self.todo.append(order)

    def taken_on(self, order: orders.RunTask) -> facts.Fact | None:
        """A worker takes an activity's task; whoever is to call back is told. None: that has happened already."""
        id = self.run.attempts.get(order.attempt)
        if order.token is None or id is None:
            return None
        frame = self.run.frames[id]
        if order.resource == ACTIVITY:
            return None if frame.started else facts.TaskStarted(order.attempt, "worker")
        return None if frame.submitted else facts.TaskSubmitted(order.attempt, {"told": True})

    def answer(self, order: orders.RunTask) -> facts.Fact:
        assert order.attempt not in self.answered, "a task whose result is recorded was ordered again"
        self.answered.add(order.attempt)
        number = self.calls.get(order.state, 0)
        self.calls[order.state] = number + 1
        try:
            output = self.tasks[order.state](number, order.arguments)
        except Raised as error:
            return facts.TaskFailed(order.attempt, error.error, error.cause)
        except TimedOut as late:
            return facts.TaskTimedOut(order.attempt, late.heartbeat)
        return facts.TaskSucceeded(order.attempt, output)

    def play(self, order: orders.RunMap) -> facts.Fact:
        """A Map Run: each item is played to its end by an execution of its own, on the same tasks.

        The driver has no reader: it gives the Map no items then. More failures than the count allows are the run's.
        If the run has been redriven, the children that did not succeed are, too.
        """
        assert order.attempt not in self.answered, "a Map Run that has ended was ordered again"
        self.answered.add(order.attempt)
        known = self.map_runs.setdefault(order.plan.arn, {})
        assert order.redrives or not known
        outputs: list[Json] = []
        failed = 0
        for index, item in enumerate(distributed.items_in(order.items)):
            input = distributed.select(order, index, item, self.now, self.machine.chance)
            if isinstance(input, Failure):
                return facts.TaskFailed(order.attempt, input.error, input.cause)
            if index not in known:
                child = known[index] = Driver(processor(self.source, order.name), seed=index)
                child.now, child.calls, child.tasks = self.now, self.calls, self.tasks
                child.go(input)
                self.children.append(child)
            elif (child := known[index]).run.status != "SUCCEEDED":
                child.now = self.now
                child.redrive()
            if child.run.status == "SUCCEEDED":
                outputs.append(child.run.output)
            else:
                failed += 1
        if failed > (order.plan.tolerated_count or 0):
            return facts.TaskFailed(order.attempt, "States.ExceedToleratedFailureThreshold", "too many")
        return facts.TaskSucceeded(order.attempt, outputs)

    @property
    def events(self) -> list[Event]:
        return list(history(self.definition, self.records))

    @property
    def story(self) -> list[str]:
        """The history as short lines, such as ``7<6 PassStateExited``."""
        return [f"{e['id']}<{e['previousEventId']} {e['type']}" for e in self.events]


def named(given: Sequence[orders.Order]) -> set[str]:
    """Orders to compare. One whose task has been submitted since is the same order."""
    return {repr(replace(o, submitted=False)) if isinstance(o, orders.RunTask) else repr(o) for o in given}


def check(run: Run, records: Sequence[Record]) -> None:
    """All that must hold of a state at rest, whatever happened."""
    if run.ended:
        assert not run.frames
        assert not run.dues
        assert run.lost or run.status == "SUCCEEDED" or not run.context
        assert not run.ready
        assert not run.attempts
        assert run.stopped_at is not None
    in_task = {frame.attempt: id for id, frame in run.frames.items() if frame.phase == "TASK"}
    assert in_task == run.attempts
    assert not set(run.attempts) & set(run.cancelling)
    for id, frame in run.frames.items():
        assert frame.id == id
        assert frame.phase != "ENTERED", "a handler left a frame half way"
        assert (id in run.ready) == _can_move(run, id)
        assert (frame.fork is not None) == (frame.phase == "FORK")
        if frame.phase in ("WAITING", "BACKOFF"):
            assert frame.due is not None
        assert frame.due is None or (frame.due, id) in run.dues
        check_attempt(frame)
        if frame.fork is not None:
            fork = frame.fork
            children = _children(fork)
            assert len(children) == len(set(children))
            assert all((run.frames.get(child) or run.lost[child]).parent == id for child in children)
            assert all(child in run.frames for child in fork.live)
            assert all(child in run.lost for child in (*fork.lost, *fork.again))
            assert fork.spawned == len(fork.results) + len(children)
            assert len(fork.live) <= fork.concurrency
        if frame.parent is not None:
            around = run.frames[frame.parent].fork
            assert around is not None
            assert id in around.live or id in around.pending
    forks = [frame.fork for frame in (*run.frames.values(), *run.lost.values()) if frame.fork is not None]
    kept = {id for fork in forks for id in _children(fork)}
    for id, frame in run.lost.items():
        assert frame.id == id
        assert frame.attempt is None
        assert id in kept or frame.parent is None, "a frame is kept though the state around it was left"


def _children(fork: Fork) -> list[int]:
    return [*fork.live, *fork.pending, *fork.lost, *fork.again]


def check_attempt(frame: Frame) -> None:
    """What is known of the attempt that is under way, and is forgotten with it."""
    if frame.phase != "TASK":
        assert frame.token is None
        assert not frame.started
        assert not frame.submitted
    elif frame.token is not None:
        assert is_token(frame.token)
        assert frame.due is None, "a token's time is kept beside it"


def _can_move(run: Run, id: int) -> bool:
    frame = run.frames[id]
    fork = frame.fork
    if frame.phase == "READY":
        return True
    if fork is None:
        return False
    return bool(fork.pending) or fork.room or fork.over
