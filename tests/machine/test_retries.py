"""Retry and Catch as tables."""

import random
from dataclasses import dataclass

import pytest

from nbflow.language.model import Catcher, Retrier
from nbflow.machine import retries


@dataclass(frozen=True)
class Match:
    patterns: tuple[str, ...]
    error: str | None
    covered: bool


MATCHES = [
    Match(("Boom",), "Boom", True),
    Match(("Boom",), "Bang", False),
    Match(("States.ALL",), "Boom", True),
    Match(("States.ALL",), None, True),
    Match(("States.ALL",), "States.Timeout", True),
    Match(("States.ALL",), "States.Runtime", False),
    Match(("States.Runtime",), "States.Runtime", False),
    Match(("States.ALL",), "States.DataLimitExceeded", True),
    Match(("States.DataLimitExceeded",), "States.DataLimitExceeded", True),
    Match(("States.TaskFailed",), "Boom", True),
    Match(("States.TaskFailed",), "States.Timeout", False),
    Match(("States.TaskFailed",), None, False),
    Match(("States.Timeout",), "States.HeartbeatTimeout", True),
    Match(("States.TaskFailed",), "States.HeartbeatTimeout", False),
    Match(("Bang", "Boom"), "Boom", True),
]


@pytest.mark.parametrize("case", MATCHES, ids=str)
def test_matches(case: Match) -> None:
    assert retries.matches(case.patterns, case.error) is case.covered


def retrier(**fields: object) -> Retrier:
    return Retrier.model_validate({"ErrorEquals": ["States.ALL"], **fields})


@dataclass(frozen=True)
class Delay:
    fields: dict[str, object]
    delays: list[float | None]


DELAYS = [
    Delay({}, [1, 2, 4, None]),
    Delay({"MaxAttempts": 0}, [None]),
    Delay({"IntervalSeconds": 3, "BackoffRate": 1.5, "MaxAttempts": 2}, [3, 4.5, None]),
    Delay({"MaxDelaySeconds": 3, "MaxAttempts": 4}, [1, 2, 3, 3, None]),
    Delay({"BackoffRate": 1e300, "MaxAttempts": 4}, [1, 31_622_400, 31_622_400, 31_622_400, None]),
]


@pytest.mark.parametrize("case", DELAYS, ids=str)
def test_delays(case: Delay) -> None:
    found = [
        retries.retry([retrier(**case.fields)], "E", {0: n}, random.Random(0))
        for n in range(len(case.delays))
    ]
    assert [None if answer is None else answer[1] for answer in found] == case.delays


def test_jitter_draws_between_zero_and_the_delay() -> None:
    member = retrier(JitterStrategy="FULL", IntervalSeconds=8)
    found = [retries.retry([member], "E", {}, random.Random(seed)) for seed in range(100)]
    drawn = [answer[1] for answer in found if answer is not None]
    assert len(drawn) == 100
    assert 0 <= min(drawn) < 1
    assert 7 < max(drawn) <= 8


def test_each_member_counts_its_own_retries_and_the_first_that_covers_decides() -> None:
    members = [
        Retrier.model_validate({"ErrorEquals": ["A"], "MaxAttempts": 1}),
        Retrier.model_validate({"ErrorEquals": ["States.ALL"], "IntervalSeconds": 7}),
    ]
    chance = random.Random(0)
    assert retries.retry(members, "A", {}, chance) == (0, 1)
    assert retries.retry(members, "A", {0: 1}, chance) is None
    assert retries.retry(members, "B", {0: 1}, chance) == (1, 7)
    assert retries.retry([], "B", {}, chance) is None


def test_catcher_is_the_first_that_covers() -> None:
    first = Catcher.model_validate({"ErrorEquals": ["A"], "Next": "X"})
    last = Catcher.model_validate({"ErrorEquals": ["States.ALL"], "Next": "Y"})
    assert retries.catcher([first, last], "A") is first
    assert retries.catcher([first, last], "B") is last
    assert retries.catcher([first], "B") is None
