"""Crash anywhere: lose the memory at a random step, rebuild it from the journal, and nothing is different.

Redrive anywhere: go on at a random time with what failed, timed out or was stopped, and nothing that succeeded is done
a second time.
"""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from nbflow.language.values import Json
from nbflow.machine import facts, orders
from nbflow.machine import records as r
from nbflow.machine.records import Record
from nbflow.machine.turn import BOUND
from tests.machine.driver import ACTIVITY, CALLBACK, SYNC, TASK, Driver, Raised, TimedOut

SEEDS = 1000

DISTRIBUTED: Json = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}


def random_states(rng: random.Random, depth: int, prefix: str) -> dict[str, Json]:
    """``{"StartAt", "States"}``: one to four states in a row, some of them Map or Parallel with states of their own."""
    names = [f"{prefix}{index}" for index in range(rng.randint(1, 4))]
    states: dict[str, Json] = {}
    for name, next in zip(names, [*names[1:], None], strict=True):
        kinds = ["Pass", "Task", "Wait", "Choice", "Task"] + (["Map", "Parallel"] if depth else [])
        states[name] = random_state(rng, rng.choice(kinds), depth, name)
        if states[name]["Type"] == "Choice":
            target = next or f"{prefix}end"
            states[name]["Choices"] = [{"Variable": "$", "IsPresent": True, "Next": target}]
            states[name]["Default"] = target
        else:
            states[name] |= {"End": True} if next is None else {"Next": next}
    last = states[names[-1]]
    if last["Type"] == "Choice":
        states[f"{prefix}end"] = {"Type": rng.choice(["Succeed", "Succeed", "Fail"])}
    for state in list(states.values()):
        if state["Type"] in ("Task", "Map", "Parallel") and rng.random() < 0.4:
            states.setdefault(f"{prefix}caught", {"Type": "Pass", "End": True})
            catcher = {"ErrorEquals": ["States.ALL"], "Next": f"{prefix}caught"}
            state["Catch"] = [catcher | ({} if state["Type"] == "Map" else {"ResultPath": "$.error"})]
        if state["Type"] in ("Task", "Map", "Parallel") and rng.random() < 0.5:
            retry = {
                "ErrorEquals": ["States.ALL"],
                "MaxAttempts": rng.randint(0, 3),
                "JitterStrategy": "FULL",
            }
            state["Retry"] = [retry]
    return {"StartAt": names[0], "States": states}


def random_state(rng: random.Random, kind: str, depth: int, name: str) -> dict[str, Json]:
    state: dict[str, Json] = {"Type": kind}
    match kind:
        case "Pass":
            state |= {"Assign": {f"v_{name}": rng.random()}}
            if rng.random() < 0.5:
                state |= {"Parameters": {"n.$": "$$.State.Name", "id.$": "States.UUID()"}}
        case "Task":
            state |= {"Resource": rng.choice([TASK, TASK, TASK, ACTIVITY, CALLBACK, SYNC])}
            if state["Resource"] == CALLBACK:
                state |= {"Parameters": {"token.$": "$$.Task.Token"}}
            if rng.random() < 0.3:
                state |= {"TimeoutSeconds": rng.randint(2, 5)}
            if state["Resource"] != TASK and rng.random() < 0.3:
                state |= {"HeartbeatSeconds": 1}
        case "Wait":
            state |= {"Seconds": rng.randint(0, 9)}
        case "Map":
            items = list(range(rng.choice([0, 1, 3, 30])))
            state |= {
                "QueryLanguage": "JSONata",
                "Items": items,
                "MaxConcurrency": rng.randint(0, 4),
                "ItemSelector": {"index": "{% $states.context.Map.Item.Index %}"},
                "ItemProcessor": random_states(rng, depth - 1, f"{name}_"),
            }
            if rng.random() < 0.3:
                state["ItemProcessor"]["ProcessorConfig"] = DISTRIBUTED
                state["ToleratedFailureCount"] = rng.choice([0, 1, 30])
        case "Parallel":
            branches = [random_states(rng, depth - 1, f"{name}_{b}_") for b in range(rng.randint(1, 3))]
            state |= {"Branches": branches}
    return state


class AnyTask(dict[str, Any]):
    """Every state's task: succeeds, fails or times out at random, by a generator of its own."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def __missing__(self, state: str) -> Any:
        def task(number: int, arguments: Json) -> Json:
            if self.rng.random() < 0.1:
                raise TimedOut(heartbeat=self.rng.random() < 0.5)
            if self.rng.random() < 0.25:
                raise Raised(self.rng.choice(["Boom", "States.Timeout", None]), "on purpose")
            return {"state": state, "number": number}

        return task


class Outsiders(Driver):
    """Workers and callers at random: what they say travels as text; and some tasks fail before anybody was told."""

    def step(self, fact: facts.Fact) -> list[Record]:
        return super().step(facts.decode(facts.encode(fact)))

    def taken_on(self, order: orders.RunTask) -> facts.Fact | None:
        first = super().taken_on(order)
        unsaid = isinstance(first, facts.TaskSubmitted) and self.chance.random() < 0.2
        return None if unsaid else first

    @property
    def chance(self) -> random.Random:
        found = self.tasks
        assert isinstance(found, AnyTask)
        return found.rng


def drive(seed: int, crashing: bool) -> Driver:
    rng = random.Random(seed)
    definition = random_states(rng, 2, "s") | ({"TimeoutSeconds": 50} if rng.random() < 0.2 else {})
    stop_at = rng.randint(1, 200)
    crash_rng = random.Random(seed + 1)

    def crash() -> bool:  # more rarely in a long run: to rebuild it takes ever longer
        return crashing and crash_rng.random() < 0.3 / (1 + len(driver.rows) / 100)

    driver = Outsiders(definition, crash=crash, seed=seed)
    driver.tasks = AnyTask(random.Random(seed + 2))
    driver.start({}).settle(stop_at)
    if rng.random() < 0.4:
        driver.step(facts.Stop("Stopped", "by the test"))
    for _ in range(rng.randint(0, 6)):
        # Sometimes at once, when the cancels of the attempts that were under way are still owed.
        driver.settle(rng.choice([0, 100_000]))
        if driver.run.last_event > 1000:  # to rebuild it at every other step takes a while
            break
        driver.step(facts.Redrive())
        driver.settle(rng.choice([rng.randint(0, 30), 100_000]))
        if rng.random() < 0.5:
            driver.step(facts.Stop("Stopped", "again"))
    return driver.settle()


def check_successes(records: Sequence[r.Record]) -> None:
    """What was left is not entered again, nor its tasks done; a branch that succeeded is not heard of again.

    (The random machines have no loops; a Retry around a fork starts it over.)
    """
    left: set[tuple[int, str]] = set()
    within: dict[int, str] = {}
    succeeded: set[int] = set()
    forked: set[int] = set()
    for record in records:
        frame = getattr(record, "frame", -1)
        assert frame not in succeeded
        match record:
            case r.StateEntered(name=name):
                assert (frame, name) not in left
                within[frame] = name
            case r.StateExited(name=name):
                left.add((frame, name))
                forked.discard(frame)
            case r.TaskScheduled():
                assert (frame, within[frame]) not in left
            case r.BranchSucceeded():
                succeeded.add(frame)
            case r.RetryScheduled():
                forked.discard(frame)
            case r.ForkStarted():
                assert frame not in forked
                forked.add(frame)


@pytest.mark.parametrize("block", range(10))
def test_a_crash_changes_nothing(block: int) -> None:
    crashes, redrives, children, seen = 0, 0, 0, set[str]()
    for seed in range(block * SEEDS // 10, (block + 1) * SEEDS // 10):
        driver = drive(seed, crashing=True)
        assert driver.run.ended, f"seed {seed} does not end"
        assert not driver.run.cancelling
        assert max(driver.rows) < BOUND + 20
        ids = [event["id"] for event in driver.events]
        assert ids == list(range(1, len(ids) + 1))
        assert all(event["previousEventId"] < event["id"] for event in driver.events)
        assert all(child.run.ended for child in driver.children)
        check_successes(driver.records)
        crashes += driver.crashes
        redrives += driver.run.redrives
        children += len(driver.children)
        seen |= {event["type"] for event in driver.events}
    assert crashes > 100
    assert redrives > 30
    assert children > 30
    assert seen >= {
        "ActivityScheduled",
        "ActivityStarted",
        "ActivityTimedOut",
        "TaskSubmitted",
        "TaskTimedOut",
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


def test_a_map_of_100_000_items_stays_bounded() -> None:
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
