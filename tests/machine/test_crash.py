"""Crash anywhere: lose the memory at a random step, rebuild it from the journal, and nothing is different."""

import random
from typing import Any

import pytest

from nbflow.language.values import Json
from nbflow.machine import facts
from nbflow.machine.turn import BOUND
from tests.machine.driver import TASK, Driver, Raised

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
            state |= {"Resource": TASK}
            if rng.random() < 0.3:
                state |= {"TimeoutSeconds": rng.randint(1, 5)}
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
    """Every state's task: succeeds or fails at random, by a generator of its own."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def __missing__(self, state: str) -> Any:
        def task(number: int, arguments: Json) -> Json:
            if self.rng.random() < 0.3:
                raise Raised(self.rng.choice(["Boom", "States.Timeout", None]), "on purpose")
            return {"state": state, "number": number}

        return task


def drive(seed: int, crashing: bool) -> Driver:
    rng = random.Random(seed)
    definition = random_states(rng, 2, "s") | ({"TimeoutSeconds": 50} if rng.random() < 0.2 else {})
    stop_at = rng.randint(1, 200)
    crash_rng = random.Random(seed + 1)
    driver = Driver(definition, crash=lambda: crashing and crash_rng.random() < 0.3, seed=seed)
    driver.tasks = AnyTask(random.Random(seed + 2))
    driver.start({}).settle(stop_at)
    if rng.random() < 0.2:
        driver.step(facts.Stop("Stopped", "by the test"))
    return driver.settle()


@pytest.mark.parametrize("block", range(10))
def test_a_crash_changes_nothing(block: int) -> None:
    crashes = children = 0
    for seed in range(block * SEEDS // 10, (block + 1) * SEEDS // 10):
        driver = drive(seed, crashing=True)
        assert driver.run.ended, f"seed {seed} does not end"
        assert not driver.run.cancelling
        assert max(driver.rows) < BOUND + 20
        ids = [event["id"] for event in driver.events]
        assert ids == list(range(1, len(ids) + 1))
        assert all(event["previousEventId"] < event["id"] for event in driver.events)
        assert all(child.run.ended for child in driver.children)
        crashes += driver.crashes
        children += len(driver.children)
    assert crashes > 100
    assert children > 30


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
