"""A cluster whose processes were started by hand, and what becomes of jobs when its scheduler goes."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest

from nbflow.artifacts.shelf import Shelf
from nbflow.pools.cluster import Cluster
from nbflow.pools.dask import DaskPool
from tests.pools.by_hand import ByHand
from tests.pools.support import LONG, Answers, outputs


@pytest.fixture
def by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ByHand]:
    monkeypatch.setattr("distributed.client._global_clients", {})
    with ByHand(tmp_path) as cluster:
        yield cluster.scheduler().workers()


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """A folder with a file for each time that an item was done."""
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


def done(marks: Path) -> Counter[int]:
    return Counter(int(mark.name.partition("-")[0]) for mark in marks.iterdir())


def until(what: Any) -> None:
    end = time.monotonic() + LONG
    while not what():
        assert time.monotonic() < end


@pytest.mark.parametrize("mine", [False, True], ids=["by address", "by the active client"])
def test_a_scheduler_that_is_killed_and_comes_back(
    by_hand: ByHand, marks: Path, shelf: Shelf, mine: bool
) -> None:
    """Every item has one result; what was answered is not done again. A worker is killed on the way, too."""

    def mark(x: int) -> int:
        time.sleep(0.02)
        if x == 30 and not (marks / "30-killed").exists():
            (marks / "30-killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        (marks / f"{x}-{os.getpid()}-{time.monotonic_ns()}").touch()
        return x

    said: list[str] = []
    client = distributed.Client(by_hand.address) if mine else None
    pool = DaskPool(Cluster(None if mine else by_hand.address, said.append))
    answers = Answers(pool, shelf)
    answers.send(mark, *range(300))
    early = answers.wait(40)
    by_hand.kill_scheduler()
    before = {outcome.attempt for outcome in early} | {o.attempt for o in list(answers.came.queue)}
    until(lambda: said)
    by_hand.scheduler().workers()
    outcomes = [*early, *answers.wait(260)]
    assert sorted(outputs(outcomes)) == list(range(300))
    assert answers.came.empty()
    counted = done(marks)
    assert sorted(counted) == list(range(300))
    assert {x for x in before if counted[x] > 1} == set()
    assert len(said) == 1
    assert said[0].startswith(f"the Dask scheduler at {by_hand.address} is gone; what has not ended is sent")
    pool.close()
    if client is not None:
        client.close()


def test_a_scheduler_that_stays_away(by_hand: ByHand, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbflow.pools.dask.PATIENCE", 0.5)
    monkeypatch.setattr("nbflow.pools.cluster.KNOCK", 0.2)
    pool = DaskPool(Cluster(by_hand.address))
    answers = Answers(pool, shelf)
    answers.send(time.sleep, *[600] * 5, name="rest")
    until(lambda: pool._flights)  # others are being sent at this moment
    by_hand.kill_scheduler()
    outcomes = answers.wait()
    assert {outcome.error for outcome in outcomes} == {"Dask.SchedulerLost"}
    assert (outcomes[0].cause or "").startswith(
        f"rest() had not ended: the Dask scheduler at {by_hand.address} is gone, and was looked for"
    )
    assert (outcomes[0].cause or "").endswith("then redrive the execution.")
    pool.close()
