"""On real workers. Whether a task has ended is told by a pipe: its other end is closed with it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbflow.artifacts.shelf import Shelf
from nbflow.pools.cluster import Cluster
from nbflow.pools.dask import DaskPool
from nbflow.tasks.function import pin
from tests.pools.support import Answers, outputs


@pytest.fixture
def pipe(tmp_path: Path) -> str:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return str(path)


@pytest.fixture
def pool(dask_client: Any) -> Iterator[DaskPool]:
    pool = DaskPool(Cluster())
    yield pool
    pool.close()


def spins(path: str) -> None:
    if not path:
        return
    with open(path, "w") as pipe:
        print("begun", file=pipe, flush=True)
        try:
            while True:
                time.sleep(0.001)
        finally:
            print("tidied", file=pipe)


def test_a_function_that_runs_is_told_to_stop(pool: DaskPool, shelf: Shelf, pipe: str) -> None:
    answers = Answers(pool, shelf)
    answers.send(spins, pipe)
    with open(pipe) as words:
        assert words.readline() == "begun\n"
        assert pool.cancel("execution", 0)
        assert words.read() == "tidied\n"
    answers.send(lambda x: x, 1)
    assert outputs(answers.wait(1)) == [1]
    assert answers.came.empty()


def test_a_chunk_is_told_to_stop_when_nobody_wants_any_of_it(pool: DaskPool, shelf: Shelf, pipe: str) -> None:
    answers = Answers(pool, shelf)
    code = pin(spins, "spins", keywords=False)
    answers.send(code, "", "", "", "")
    answers.wait(4)  # they are short: the next ones travel together
    with pool._condition:
        answers.send(code, pipe, *[""] * 9)
    with open(pipe) as words:
        assert words.readline() == "begun\n"
        given_up = [
            pool.cancel("execution", attempt) for attempt in range(5, 14)
        ]  # some are with it, some elsewhere
        assert pool.cancel("execution", 4)
        assert words.read() == "tidied\n"
    heard = answers.wait(given_up.count(False))
    assert "Dask.Stopped" in [outcome.error for outcome in heard], "those that were with it are answered"
    assert answers.came.empty()


def stuck(path: str) -> None:
    with open(path, "w") as pipe:
        print(os.getpid(), file=pipe, flush=True)
        time.sleep(600)


def test_what_cannot_be_told_is_ended_with_its_process_on_a_cluster_of_our_own(
    shelf: Shelf, pipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distributed.client._get_global_client", lambda: None)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    pool = DaskPool(Cluster())
    answers = Answers(pool, shelf)
    answers.send(stuck, pipe)
    with open(pipe) as words:
        process = int(words.readline())
        assert pool.cancel("execution", 0)
        assert words.read() == ""
    answers.send(lambda _: os.getpid(), None)
    [other] = answers.wait(1)
    assert other.error is None
    assert other.output != process
    pool.close()
