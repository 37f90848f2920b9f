"""Named crash points: an engine dies at each of them, every time that it comes by; another takes over, and all is well.

To die is to raise what nobody catches, and never to be used again: what it had in memory is gone, what is durable stays.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.machine import Machine, facts, orders
from nbflow.machine.records import TaskScheduled, decode
from nbflow.store.rows import ActivityRow, Append, Settled
from nbflow.tasks import function
from tests.chaos.checker import Recorded, check_execution
from tests.engine.test_engine import Desk, double, mapped, task
from tests.engine.test_outside import activity, callback, tell, turn
from tests.machine.driver import ACTIVITY, TASK


class Died(BaseException):
    """The process is no more. Nothing of nbflow catches it."""


# --- what runs


def flaky(given: dict[str, Json]) -> Json:
    if given["retry"] == 0:
        raise ConnectionError("the first time")
    return given["retry"]


def broken(value: Json) -> Json:
    raise ValueError("broken")


FUNCTIONS: Final[Mapping[str, Callable[..., object]]] = {
    "double": double,
    "flaky": flaky,
    "broken": broken,
    "tell": tell,
}


@dataclass(frozen=True)
class Play:
    """An execution, and what comes of it however often its engine dies."""

    states: dict[str, Json]
    input: Json = None
    status: str = "SUCCEEDED"
    output: str | None = None
    answered: bool = True
    """Whether somebody ends the tasks that have a token."""
    stop: bool = False
    """Whether somebody stops it, as soon as a task waits."""
    hold: bool = False
    """Whether its functions take for ever."""


def _called(name: str, **fields: Json) -> dict[str, Json]:
    return task(name, **fields)


def _then(state: dict[str, Json], **more: Json) -> dict[str, Json]:
    return {name: value for name, value in state.items() if name != "End"} | more


CAUGHT: Final[dict[str, Json]] = {"Caught": {"Type": "Pass", "Result": "caught", "End": True}}
CATCH: Final[dict[str, Json]] = {"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]}
TELL: Final[dict[str, Json]] = {
    "Parameters": {"FunctionName": "tell", "Payload": {"token.$": "$$.Task.Token"}}
}
FAILING_FAST: Final[dict[str, Json]] = {
    "Type": "Parallel",
    "Branches": [
        {"StartAt": "A", "States": {"A": activity()}},
        {"StartAt": "F", "States": {"F": _called("double")}},
        {
            "StartAt": "W",
            "States": {
                "W": {"Type": "Wait", "Seconds": 5, "Next": "X"},
                "X": {"Type": "Fail", "Error": "Boom"},
            },
        },
    ],
    **CATCH,
    "End": True,
}
RETRIED: Final[dict[str, Json]] = {
    "Parameters": {"retry.$": "$$.State.RetryCount"},
    "Retry": [{"ErrorEquals": ["ConnectionError"]}],
}
LONG: Final[dict[str, Json]] = {f"P{n}": {"Type": "Pass", "Next": f"P{n + 1}"} for n in range(130)}

PLAYS: Final[Mapping[str, Play]] = {
    "task": Play({"T": _called("double")}, 21, output="42"),
    "map": Play({"M": mapped(_called("double")) | {"MaxConcurrency": 2}}, [1, 2, 3], output="[2,4,6]"),
    "retry": Play({"T": _called("flaky", **RETRIED)}, output="1"),
    "wait": Play(
        {"W": {"Type": "Wait", "Seconds": 60, "Next": "T"}, "T": _called("double")}, 21, output="42"
    ),
    "catch": Play({"T": _called("broken", **CATCH), **CAUGHT}, output='"caught"'),
    "fail": Play({"T": _called("broken")}, status="FAILED"),
    "failing fast": Play({"P": FAILING_FAST, **CAUGHT}, 1, output='"caught"', answered=False),
    "failing fast under way": Play(
        {"P": FAILING_FAST, **CAUGHT}, 1, output='"caught"', answered=False, hold=True
    ),
    "callback": Play({"T": callback(**TELL)}, output='"answered"'),
    "callback that times out": Play(
        {"T": callback(**TELL, **CATCH, TimeoutSeconds=50), **CAUGHT}, output='"caught"', answered=False
    ),
    "activity": Play({"T": activity(HeartbeatSeconds=9)}, output='"answered"'),
    "stop": Play({"T": callback(**TELL)}, status="ABORTED", answered=False, stop=True),
    "stop under way": Play({"T": _called("double")}, 1, status="ABORTED", stop=True, hold=True),
    "long": Play({**LONG, "P130": _called("double")}, 21, output="42"),
}


# --- where it dies


@dataclass(frozen=True)
class Point:
    """A call: the engine dies just before it, or just after."""

    of: Callable[[Desk], Any]
    call: str
    after: bool = False
    counts: Callable[..., bool] = lambda *_: True
    """Whether a call with these arguments is meant."""


def _store(desk: Desk) -> Any:
    return desk.store


def _hands(desk: Desk) -> Any:
    return desk.engine._turns.hands


def _turns(desk: Desk) -> Any:
    return desk.engine._turns


def _bus(desk: Desk) -> Any:
    return desk.engine.bus


def _consumes(batch: list[Append]) -> bool:
    return any(append.consumed for append in batch)


def _is(kind: type) -> Callable[..., bool]:
    def meant(live: object, order: object) -> bool:
        return type(order) is kind

    return meant


def _around(name: str, point: Point) -> dict[str, Point]:
    return {
        f"before {name}": point,
        f"after {name}": Point(point.of, point.call, after=True, counts=point.counts),
    }


POINTS: Final[Mapping[str, Point]] = {
    **_around("a commit", Point(_store, "append", counts=lambda batch: not _consumes(batch))),
    **_around("a commit that takes in a message", Point(_store, "append", counts=_consumes)),
    "before anybody is told of a commit": Point(_bus, "publish"),
    **_around("a timer is set", Point(_turns, "_arm")),
    **_around("a task is given to its pool", Point(_hands, "carry_out", counts=_is(orders.RunTask))),
    **_around("a task is taken back", Point(_hands, "carry_out", counts=_is(orders.CancelTask))),
    **_around("going on from a bound", Point(_hands, "carry_out", counts=_is(orders.GoOn))),
    **_around("an answer is in the inbox", Point(_store, "settle")),
    **_around("a worker's claim is in the inbox", Point(_store, "claim")),
    **_around("a stop is in the inbox", Point(_store, "tell")),
    **_around("a time's end is in the inbox", Point(_store, "expire")),
    **_around("a message that says nothing is deleted", Point(_store, "forget")),
    **_around("the lease is held", Point(_store, "hold")),
}


class Fuse:
    """Lets an engine die when it comes by a point for the nth time (from 0); without a number, it counts."""

    def __init__(self, desk: Desk, point: Point, nth: int | None = None) -> None:
        self.passed = 0
        thing = point.of(desk)
        real = getattr(thing, point.call)

        def call(*arguments: Any) -> Any:
            meant = point.counts(*arguments)
            dies = meant and self.passed == nth
            self.passed += meant
            if dies and not point.after:
                raise Died
            answer = real(*arguments)
            if dies:
                raise Died
            return answer

        setattr(thing, point.call, call)


# --- how it is run


@dataclass
class House:
    """Engines after one another on one store."""

    folder: Path
    desks: list[Desk] = field(default_factory=list)

    def open(self, play: Play) -> Desk:
        """Another one."""
        desk = Desk(self.folder, hold=play.hold, seed=len(self.desks))  # tokens are drawn by it
        if self.desks:
            desk.clock.advance_to(self.desks[-1].clock.now())
        else:
            desk.store.add_activity(ActivityRow(ACTIVITY, "a", "{}", 0.0))
        self.desks.append(desk)
        return desk

    def close(self) -> None:
        """Only threads and files are given back: an engine that has died must not do anything more."""
        for desk in self.desks:
            desk.engine._watch.close()
            desk.engine._lease.close()
            desk.store.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def run(desk: Desk, play: Play, name: str) -> None:
    """Start it, or go on with it, until it has ended and nothing is owed."""
    begin(desk, play, name)
    until_it_ends(desk, play, name)
    if play.stop:
        tell_to_stop(desk, name)  # too late: it says nothing
        turn(desk)


def tell_to_stop(desk: Desk, name: str) -> None:
    desk.store.tell(f"arn:{name}", facts.encode(facts.Stop("Enough")))
    desk.engine.heed()


def begin(desk: Desk, play: Play, name: str) -> None:
    """Start it, or go on with it, if it was started durably."""
    row = desk.store.execution(f"arn:{name}")
    if row is None:
        desk.start(play.states, play.input, dict(FUNCTIONS), name=name)
    elif row.owner is not None:
        assert desk.store.take_over(row.arn, row.owner, desk.engine.id)
        steps = [decode(each.records) for each in desk.store.journal(row.arn)]
        codes = {name: function.pin(each, name, keywords=False) for name, each in FUNCTIONS.items()}
        codes |= {f"{TASK[:-1]}{name}": code for name, code in codes.items()}
        desk.engine.resume(row, parse(desk.store.definition(row.definition)), steps, codes)


def until_it_ends(desk: Desk, play: Play, name: str) -> None:
    """Turn, and do what others do: whatever is possible at this time; else let time pass."""
    while True:
        turn(desk)
        row = desk.row(name)
        if row.status != "RUNNING" and not desk.engine.busy and desk.engine.next_due() is None:
            return
        if row.status == "RUNNING" and others_do_something(desk, play, name):
            continue
        due = desk.engine.next_due()
        assert due is not None, "nothing will ever happen"
        desk.clock.advance_to(due)
        desk.engine.turn()


def others_do_something(desk: Desk, play: Play, name: str) -> bool:
    if play.stop:
        tell_to_stop(desk, name)
        return True
    if not play.answered:
        return False
    tokens = [record.token for record in desk.records(name) if isinstance(record, TaskScheduled)]
    for row in (desk.store.token(token) for token in tokens if token is not None):
        if row is not None and row.state == "queued":
            desk.store.claim(ACTIVITY, desk.clock.now(), facts.encode(facts.TaskStarted(0, "w")))
        elif row is not None and row.state == "open":
            assert desk.store.settle(Settled(row.token, facts.encode(facts.TaskSucceeded(0, "answered"))))
        else:
            continue
        desk.engine.heed()
        return True
    return False


def ran(desk: Desk, play: Play, name: str) -> Recorded:
    """What is remembered of it, which is in order."""
    row = desk.row(name)
    assert (row.status, row.output) == (play.status, play.output)
    definition = parse(desk.store.definition(row.definition))
    recorded = Recorded(row, definition, list(desk.store.journal(row.arn)))
    assert check_execution(recorded) == []
    assert desk.store.inbox_of(row.arn) == []
    tokens = [record.token for record in recorded.records if isinstance(record, TaskScheduled)]
    states = [desk.store.token(token) for token in tokens if token is not None]
    assert {None if row is None else row.state for row in states} <= {"closed"}
    return recorded


def kinds(recorded: Recorded) -> Counter[str]:
    """Its records by type, but for those that say who goes on."""
    found = Counter(type(record).__name__ for record in recorded.records)
    del found["ExecutionOwned"]
    return found


def left_by(desk: Desk, name: str) -> Callable[[int], bool]:
    """Whether whoever goes on may still do this attempt: it has no result yet."""
    row = desk.store.execution(f"arn:{name}")
    if row is None:
        return lambda attempt: True
    steps = [decode(each.records) for each in desk.store.journal(row.arn)]
    was = Machine.rebuilt(parse(desk.store.definition(row.definition)), desk.engine.chance, steps).run
    return lambda attempt: attempt in was.attempts or attempt > was.last_event


class Undisturbed(NamedTuple):
    """How it goes when nobody dies."""

    records: Counter[str]
    passes: Mapping[str, int]
    """How often it comes by each point."""


_undisturbed: Final[dict[str, Undisturbed]] = {}
"""By the play's name."""


def undisturbed(house: House, name: str) -> Undisturbed:
    if name not in _undisturbed:
        desk = house.open(PLAYS[name])
        fuses = {point: Fuse(desk, POINTS[point]) for point in POINTS}
        run(desk, PLAYS[name], "undisturbed")
        found = kinds(ran(desk, PLAYS[name], "undisturbed"))
        _undisturbed[name] = Undisturbed(found, {point: fuse.passed for point, fuse in fuses.items()})
    return _undisturbed[name]


@pytest.mark.parametrize("play", PLAYS)
@pytest.mark.parametrize("point", POINTS)
def test_whoever_takes_over_brings_it_to_the_same_end(house: House, point: str, play: str) -> None:
    expected = undisturbed(house, play)
    for nth in range(expected.passes[point]):
        name = f"run-{nth}"
        dying = house.open(PLAYS[play])
        Fuse(dying, POINTS[point], nth)
        with pytest.raises(Died):
            run(dying, PLAYS[play], name)
        may_do = left_by(dying, name)
        heir = house.open(PLAYS[play])
        run(heir, PLAYS[play], name)
        assert kinds(ran(heir, PLAYS[play], name)) == expected.records
        done = [job.attempt for job in heir.threads.done + heir.dask.done]
        assert [attempt for attempt in done if not may_do(attempt)] == []


@pytest.mark.parametrize("play", PLAYS)
@pytest.mark.parametrize("point", ["before a commit", "after a commit", "before anybody is told of a commit"])
def test_an_heir_may_die_too(house: House, point: str, play: str) -> None:
    """Its first commit says that it goes on."""
    expected = undisturbed(house, play)
    for each in ("before anybody is told of a commit", point):
        dying = house.open(PLAYS[play])
        Fuse(dying, POINTS[each], 0)
        with pytest.raises(Died):
            run(dying, PLAYS[play], "run")
    heir = house.open(PLAYS[play])
    run(heir, PLAYS[play], "run")
    assert kinds(ran(heir, PLAYS[play], "run")) == expected.records


def test_each_point_is_come_by(house: House) -> None:
    passes = [undisturbed(house, play).passes for play in PLAYS]
    assert [point for point in POINTS if not any(each[point] for each in passes)] == []
