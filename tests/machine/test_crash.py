"""Crash anywhere: lose the memory at any step, rebuild it from the journal, and nothing is different.

Redrive anywhere: go on at any time with what failed, timed out or was stopped, and nothing that succeeded is done a
second time. Fork anywhere: begin where an execution has been, and end.

``NBFLOW_CRASH_EXAMPLES=20000`` draws so many definitions, for a long run; what it then draws differs each time.
"""

import os
import random
from collections.abc import Sequence
from typing import Final, TypeAlias

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nbflow.language.values import Json
from nbflow.machine import facts
from nbflow.machine import records as r
from nbflow.machine.entries import entries
from nbflow.machine.turn import BOUND
from tests.machine.definitions import machines
from tests.machine.driver import CONTEXT, Driver
from tests.machine.world import World

LONG: Final = int(os.environ.get("NBFLOW_CRASH_EXAMPLES", "0"))

LIVES: Final = 6
"""Of each definition: to draw one takes longer than to live."""

Moves: TypeAlias = list[tuple[str, int]]

MOVES: Final = ("settle", "settle", "stop", "redrive", "redrive", "retire")
"""What is done to an execution between two stretches of a few steps, or of as many as it takes."""


def check_successes(records: Sequence[r.Record]) -> None:
    """What was left is not entered again but by its turn, nor its tasks done; a branch that succeeded is silent.

    (A Retry around a fork starts it over. A Fail state is entered again by a redrive.) And no state is entered any more
    once the machine is to be deleted.
    """
    retired = False
    to_enter: dict[int, str | None] = {}
    within: dict[int, str] = {}
    succeeded: set[int] = set()
    forked: set[int] = set()
    for record in records:
        frame = getattr(record, "frame", -1)
        assert frame not in succeeded
        match record:
            case r.ExecutionRetired():
                retired = True
            case r.StateEntered(name=name):
                assert not retired
                assert within.get(frame, name) == name, "two states at once"
                assert to_enter.pop(frame, name) == name, "another state than the one that was next"
                within[frame] = name
            case r.StateExited(name=name, next=next):
                assert within.pop(frame) == name
                to_enter[frame] = next
                forked.discard(frame)
            case r.TaskScheduled():
                assert frame in within, "a task of a state that was left"
            case r.BranchSucceeded():
                succeeded.add(frame)
            case r.RetryScheduled():
                forked.discard(frame)
            case r.ForkStarted():
                assert frame not in forked
                forked.add(frame)


def moves() -> st.SearchStrategy[Moves]:
    """What is done to an execution, each after so many steps."""
    steps = st.sampled_from([0, 1, 3, 10, 30, 100_000])
    return st.lists(st.tuples(st.sampled_from(MOVES), steps), min_size=1, max_size=8)


def lived(definition: Json, seed: int, moves: Moves) -> World:
    """The life of an execution, to its end."""
    world = World(definition, seed)
    world.start({})
    for move, steps in moves:
        world.settle(steps)
        match move:
            case "stop":
                world.step(facts.Stop("Stopped", "by the test"))
            case "retire":
                world.step(facts.Retire())
            case "redrive" if world.run.last_event < 1000:
                world.step(facts.Redrive())
    return world.settle()


def check(world: World) -> None:
    """What must hold of any execution at its end."""
    assert world.run.ended
    assert not world.run.cancelling
    assert max(world.rows) < BOUND + 20
    ids = [event["id"] for event in world.events]
    assert ids == list(range(1, len(ids) + 1))
    assert all(event["previousEventId"] < event["id"] for event in world.events)
    assert all(child.run.ended for child in world.children)
    check_successes(world.records)
    world.restart()


@pytest.mark.timeout(600 + LONG)  # of which a failure takes the most, until it has been made small
def test_a_crash_changes_nothing() -> None:
    crashes, redrives, forks, children, seen = 0, 0, 0, 0, set[str]()

    def live(definition: Json, seed: int, moves: Moves) -> None:
        nonlocal crashes, redrives, forks, children
        world = lived(definition, seed, moves)
        check(world)
        entered = list(entries(world.definition, world.records))
        if entered:
            entry = random.Random(seed).choice(entered)
            fork = World(definition, seed + LIVES)
            fork.step(facts.Start({}, CONTEXT, entry))
            check(fork.settle())
            assert next(entries(fork.definition, fork.records)) == entry
            forks += 1
        crashes += world.crashes
        redrives += world.run.redrives
        children += len(world.children)
        seen.update(world.seen, (event["type"] for event in world.events))

    @settings(
        max_examples=LONG or 80,
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(machines(), st.integers(0, 2**32), moves())
    def anything(definition: Json, seed: int, moves: Moves) -> None:
        for life in range(LIVES):
            live(definition, seed + life, moves)

    anything()
    assert crashes > 100
    assert redrives > 20
    assert forks > 100
    assert children > 5
    assert seen >= {
        "ActivityScheduled",
        "ActivityStarted",
        "ActivityTimedOut",
        "TaskSubmitted",
        "TaskTimedOut",
        "answered together",
    }


def test_an_endless_loop_stays_bounded_and_stoppable() -> None:
    again = {"Variable": "$", "IsPresent": True, "Next": "A"}
    states = {
        "A": {"Type": "Pass", "Next": "B"},
        "B": {"Type": "Choice", "Choices": [again], "Default": "C"},
        "C": {"Type": "Succeed"},
    }
    driver = Driver({"StartAt": "A", "States": states}, crash=lambda: True).start().settle(50)
    assert not driver.run.ended
    assert max(driver.rows) <= BOUND + 2
    driver.step(facts.Stop("Enough"))
    assert driver.settle().run.status == "ABORTED"
    assert driver.machine.outstanding() == []


def test_a_map_of_100_000_items_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbflow.machine.states.MOST_BRANCHES", 1000)  # each step looks at all of them
    definition = {
        "StartAt": "Map",
        "States": {
            "Map": {
                "Type": "Map",
                "ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}},
                "End": True,
            }
        },
    }
    most_frames = 0
    crash_rng = random.Random(1)

    def crash() -> bool:
        nonlocal most_frames
        most_frames = max(most_frames, len(driver.run.frames))
        return crash_rng.random() < 0.002

    driver = Driver(definition, crash=crash)
    driver.go(list(range(100_000)))
    assert driver.run.output == list(range(100_000))
    assert max(driver.rows) <= BOUND + 10
    assert most_frames <= 1001
    assert driver.crashes >= 1
