import os
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from nbflow.artifacts.shelf import Artifact, Shelf, live
from nbflow.artifacts.values import reference
from nbflow.pools.cluster import Cluster
from nbflow.pools.dask import DaskPool
from nbflow.pools.locality import AT_ONCE, WORTH, Locality, make_room
from nbflow.tasks.function import pin
from nbflow.tasks.job import Code, Job, Outcome
from tests.pools.support import Answers

CODE = Code("function", "task", "0", b"")


def table(name: str, size: int = 2 * WORTH) -> Artifact:
    return Artifact(name, "dataframe", size, 1, 1, f"{name}.parquet")


def job(*known: Artifact) -> Job:
    return Job("execution", 1, CODE, None, Shelf("here"), {each.sha256: each for each in known})


def made(worker: str, *artifacts: Artifact) -> Outcome:
    return Outcome("execution", 1, artifacts=artifacts, worker=worker)


def test_the_next_task_goes_to_most_of_its_data() -> None:
    places = Locality()
    large, small = table("large", 9 * WORTH), table("small")
    places.note([job(), job()], [made("a", small), made("b", large)])
    assert places.wish([job(small, large)]) == "b"
    assert places.wish([job(small)]) == "a"
    assert places.wish([job(table("unknown"))]) is None


def test_a_map_over_one_table_is_not_done_by_one_worker() -> None:
    places = Locality()
    places.note([job()], [made("a", table("x"))])
    wishes = [places.wish([job(table("x"))]) for _ in range(AT_ONCE + 1)]
    assert wishes == ["a"] * AT_ONCE + [None]
    places.note([job(table("x"))], [made("b")])
    assert places.wish([job(table("x"))]) == "b", "it has loaded the table"
    places.over("a")
    assert places.wish([job(table("x"))]) == "a"


def test_what_is_small_or_was_made_by_a_thread_or_died_is_not_looked_for() -> None:
    places = Locality()
    places.note([job()] * 3, [made("a", table("s", 9)), made("", table("t")), made("c", table("u"))])
    places.gone("c")
    assert [places.wish([job(table(name))]) for name in "stu"] == [None] * 3


@pytest.fixture
def kept(shelf: Shelf) -> Iterator[Artifact]:
    """A table that is live in this process."""
    artifact = shelf.put(pd.DataFrame({"x": range(1000)}))
    yield artifact
    live.forget(time.monotonic())
    live.resize(256 * 2**20)


@pytest.mark.parametrize(("used", "stays"), [(100, True), (700_000, False)])
def test_live_objects_give_way_to_what_a_worker_does(kept: Artifact, used: int, stays: bool) -> None:
    worker: Any = SimpleNamespace(
        memory_manager=SimpleNamespace(memory_limit=1_000_000),
        monitor=SimpleNamespace(get_process_memory=lambda: used),
    )
    assert live.get(kept) is not None
    make_room(worker)
    assert (live.get(kept) is not None) == stays


def test_data_stays_where_it_was_made(dask_client: Any, shelf: Shelf) -> None:
    """Four tasks on one table are done where it is; not a file is read, here or there."""

    def make(_: object) -> pd.DataFrame:
        return pd.DataFrame({"x": [0.5 * x for x in range(300_000)], "worker": os.getpid()})

    def more(frame: pd.DataFrame) -> pd.DataFrame:
        frame["x"] += 1.0
        return frame

    def where(frame: pd.DataFrame) -> list[int]:
        return [os.getpid(), int(frame["worker"].iloc[0]), len(frame)]

    pool = DaskPool(Cluster())
    answers = Answers(pool, shelf)
    answers.send(make, None)
    (outcome,) = answers.wait()
    for attempt, function in enumerate((more, more, where), start=1):
        (artifact,) = outcome.artifacts
        shelf_file = shelf.path_of(artifact)
        hidden = f"{shelf_file}.hidden"
        os.rename(shelf_file, hidden)  # who would read it finds nothing
        code = pin(function, "task", keywords=False)
        pool.submit(
            Job("execution", attempt, code, reference(artifact), shelf, {artifact.sha256: artifact}),
            answers.came.put,
        )
        (outcome,) = answers.wait(1)
        assert outcome.error is None, outcome.cause
        os.rename(hidden, shelf_file)
    there, made_at, rows = outcome.output
    assert (there, rows) == (made_at, 300_000)
    assert outcome.worker in dask_client.nthreads()
    pool.close()
