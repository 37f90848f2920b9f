"""While a Map goes on, workers are killed, and the scheduler once: each item has one result, and none is done again."""

import time
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from nbflow.store.sql import open_store
from tests.chaos.fanned import EXPRESS, INLINE
from tests.chaos.on_dask import Accepted, Plan, check_counts, check_marks, in_words, run

PLANS: Final = [Plan(kind=EXPRESS), Plan(kind=INLINE, items=1_000, kills=2, seconds=0.01)]


@pytest.mark.timeout(600)  # each takes some twenty seconds, and longer on a machine that is busy
@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.kind)
def test_a_map_outlives_its_workers_and_scheduler(
    plan: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    figures = run(tmp_path, plan)
    with capsys.disabled():
        print(f"\nchaos on Dask, {in_words(plan, figures, time.monotonic() - begun)}")
    assert figures.lost == []
    assert figures.kills >= 1
    assert figures.schedulers == plan.schedulers


@pytest.mark.parametrize(
    ("lines", "results", "says"),
    [
        ([(0, 1.0), (1, 1.0)], [0, 1], ""),
        ([(0, 1.0), (0, 2.0), (1, 1.0)], [0, 1], ""),
        ([(0, 1.0)], [0, 1], "1 items were never begun, such as 1"),
        ([(0, 1.0), (1, 1.0)], [0], "the output has 1 results, such as [0]"),
        ([(0, 1.0), (1, 1.0)], [1, 0], "the output has 2 results, such as [1, 0]"),
        ([(0, 1.0), (1, 1.0), (1, 5.0)], [0, 1], "item 1 was begun 2.00 s after its result was accepted"),
    ],
)
def test_what_is_wrong_is_found(
    lines: list[tuple[int, float]], results: list[int], says: str, tmp_path: Path
) -> None:
    store = open_store(f"sqlite:///{tmp_path}/nbflow.sqlite")
    accepted = Accepted(store)
    accepted.look()  # there is nothing yet
    store.close()
    accepted.times.update(results)
    accepted.by |= dict.fromkeys(results, 3.0)
    assert "\n".join(check_marks(lines, results, accepted, 2)) == says
    accepted.times.update([1])
    assert ("item 1 has 2 results" in check_marks(lines, results, accepted, 2)) == (1 in results)


def test_events_are_counted_by_kind() -> None:
    run = {"MapStateEntered": 1, "MapStateExited": 1, "ExecutionSucceeded": 1}
    express = Counter({**run, "MapRunStarted": 1, "MapRunSucceeded": 1})
    assert list(check_counts(express, EXPRESS, 5)) == []
    assert list(check_counts(express + Counter({"MapRunStarted": 1}), EXPRESS, 5)) == [
        "the history has 2 MapRunStarted"
    ]
    assert "the history has 0 LambdaFunctionSucceeded" in list(check_counts(express, INLINE, 5))
