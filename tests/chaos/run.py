"""One run of chaos: a seed says who is killed or paused, and when."""

import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nbflow.store.sql import open_store
from tests.chaos import checker
from tests.chaos.checker import Figures
from tests.chaos.driver import Driver
from tests.chaos.world import Member, World

LEASE: Final = 11.0
"""Seconds: a pause of this length is longer than an engine's lease."""
SETTLING: Final = 240.0
"""Seconds that may pass until all has ended, when nobody is killed any more. It takes a few."""


@dataclass(frozen=True)
class Plan:
    """How much of what."""

    seed: int
    executions: int = 120
    """Without the children that they start."""
    kills: int = 24
    pauses: int = 12
    seconds: float = 55.0
    """For so long things are started, killed and paused."""


@dataclass(frozen=True)
class Blow:
    """What happens to a process at a time."""

    at: float
    victim: str
    pause: float | None = None
    """For so many seconds; None: it is killed."""


def blows(plan: Plan, victims: list[str]) -> list[Blow]:
    """In the order of their times. Of the pauses, each third one is longer than a lease."""
    chance = random.Random(plan.seed)
    times = [chance.uniform(1, plan.seconds) for _ in range(plan.kills + plan.pauses)]
    pauses = [LEASE + chance.random() if n % 3 == 0 else chance.uniform(0.2, 3) for n in range(plan.pauses)]
    kinds: list[float | None] = [*pauses, *[None] * plan.kills]
    engines = [name for name in victims if "server" in name]
    chosen = [chance.choice(engines if chance.random() < 0.6 else victims) for _ in times]
    return sorted(map(Blow, times, chosen, kinds), key=lambda blow: blow.at)


def run(folder: Path, store: str, plan: Plan) -> Figures:
    """Let it happen, and check. ``lost`` of the figures is what is wrong.

    Raises AssertionError if the world itself cannot be had, or if executions do not end.
    """
    with World(folder, store) as world:
        driver = Driver(folder, world.urls, plan.seed, plan.executions)
        try:
            driver.make_machines()
            driver.begin(plan.seconds)
            struck = _strike(world, blows(plan, [each.name for each in world.victims]), driver)
            left = driver.wait_for_all(SETTLING)
            wrong = [f"{name}: has not ended" for name in left]
            wrong += _settle(store) if not left else []
            figures = _check(folder, store, driver)
            figures.kills, figures.pauses = struck
        finally:
            driver.close()
        wrong += [f"{each.name} has ended by itself" for each in world.members.values() if not each.alive]
        codes = {each.name: each.end() for each in reversed(world.members.values())}
    wrong += [f"{name} did not end when it was told to: {code}" for name, code in codes.items() if code == -9]
    figures.lost[:0] = wrong
    return figures


def in_words(plan: Plan, figures: Figures, seconds: float) -> str:
    """The figures of a run."""
    found = (
        f"seed {plan.seed}: {figures.kills} kills, {figures.pauses} pauses, {figures.executions} executions, "
        f"{figures.events} events, {figures.results} results, {figures.tokens} tokens with two answers each, "
        f"{figures.taken_over} taken over, {figures.repeated} attempts repeated ({figures.repeated_late} of them "
        f"after their result), in {seconds:.0f} s: lost = {len(figures.lost)}"
    )
    return "\n  ".join([found, *figures.lost])


def _strike(world: World, plan: list[Blow], driver: Driver) -> tuple[int, int]:
    """Kill, pause, start again and let go on. How many were killed, and paused until they went on."""
    begun = time.monotonic()
    paused: list[tuple[float, Member]] = []
    kills = pauses = 0
    for blow in [*plan, Blow(float("inf"), "")]:
        while paused and (first := min(paused, key=lambda each: each[0]))[0] <= blow.at:
            paused.remove(first)
            _sleep_until(begun + first[0])
            first[1].go_on()
            pauses += 1
        if not blow.victim:
            break
        _sleep_until(begun + blow.at)
        driver.check()
        member = _victim(world, blow.victim, [each.name for _, each in paused])
        if blow.pause is None:
            member.kill()
            member.start()
            kills += 1
        else:
            member.pause()
            paused.append((blow.at + blow.pause, member))
    return kills, pauses


def _victim(world: World, name: str, paused: list[str]) -> Member:
    """The one of this name, or the next one of its kind, or of any, that is not paused.

    Whoever is paused is to go on, and to find what has become of its executions.
    """
    names = [each.name for each in world.victims]
    start = names.index(name)
    after = names[start:] + names[:start]
    kind = name.rpartition("-")[0]
    free = [each for each in after if each not in paused]
    return world.members[next((each for each in free if each.startswith(kind)), free[0])]


def _sleep_until(time_: float) -> None:
    time.sleep(max(0.0, time_ - time.monotonic()))


def _settle(url: str) -> list[str]:
    """Wait until the children have ended, too, and nothing is owed to anybody."""
    store = open_store(url)
    try:
        until = time.monotonic() + SETTLING
        while True:
            left = checker.still_running(checker.read_all(store))
            if not left:
                wrong = checker.check_leftovers(store)
                if not wrong or time.monotonic() > until:
                    return wrong
            elif time.monotonic() > until:
                return [f"{name}: has not ended, or its end owes something" for name in left]
            time.sleep(0.5)
    finally:
        store.close()


def _check(folder: Path, url: str, driver: Driver) -> Figures:
    store = open_store(url)
    try:
        recorded = checker.read_all(store)
    finally:
        store.close()
    figures = checker.figures_of(folder, driver.notes, recorded)
    for each in recorded:
        figures.lost += checker.check_execution(each)
        lives = 1 + each.row.redrive_count
        shown = driver.history(each.row.arn)
        figures.lost += (
            f"{each.row.name}, by the API: {text}" for text in checker.check_events(shown, lives=lives)
        )
    figures.lost += checker.check_notes(driver.notes, recorded)
    return figures
