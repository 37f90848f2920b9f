"""How much of a cluster there is for a task: what its workers have, and how many attempts may be under way."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import distributed
import pytest

from nbflow.artifacts.shelf import Shelf
from nbflow.pools.cluster import Cluster
from nbflow.pools.dask import DaskPool
from nbflow.pools.width import missing, suitable
from nbflow.tasks.function import pin
from nbflow.tasks.job import Code
from tests.pools.support import LONG, Answers, outputs

GPU = (("GPU", 1.0),)


def worker(nthreads: int, **resources: float) -> dict[str, Any]:
    return {"nthreads": nthreads, "resources": resources}


def test_a_worker_is_as_wide_as_its_threads_and_amounts_allow() -> None:
    workers = [worker(4), worker(4, GPU=1), worker(2, GPU=8), worker(4, GPU=3, MEM=10)]
    assert suitable(workers, GPU) == 0 + 1 + 2 + 3
    assert suitable(workers, (("GPU", 2.0),)) == 0 + 0 + 2 + 1
    assert suitable(workers, (("GPU", 1.0), ("MEM", 5.0))) == 2
    assert suitable([], GPU) == 0


def test_the_words_say_how_to_start_a_worker_that_has_it() -> None:
    assert missing("fit", (("GPU", 1.0), ("MEM", 0.5))).endswith("--resources 'GPU=1 MEM=0.5'")


@pytest.fixture
def client() -> Iterator[Any]:
    """Of a cluster of one worker, of one thread, in this process: there it begins at once."""
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def pool(client: Any, said: list[str]) -> Iterator[DaskPool]:
    pool = DaskPool(Cluster(), said.append)
    yield pool
    pool.close()


def name(_: object) -> object:
    return distributed.get_worker().name


def ordinary(_: object) -> object:
    return distributed.get_worker().name


def together(x: int) -> int:
    """Ends when as many are at work as it takes."""
    begun = distributed.Queue("begun")
    begun.put(x)
    assert distributed.Event("enough").wait(LONG)
    return x


def code(function: Any, **fields: Any) -> Code:
    return replace(pin(function, function.__name__, keywords=False), **fields)


def test_what_no_worker_has_is_waited_for_with_one_word(
    client: Any, pool: DaskPool, said: list[str], shelf: Shelf
) -> None:
    needy, others = Answers(pool, shelf, "needy"), Answers(pool, shelf, "others")
    needy.send(code(name, resources=GPU), 1, 2)
    others.send(code(ordinary), 3)
    assert outputs(others.wait()) == [0], "others are not kept waiting"
    assert needy.came.empty()
    client.cluster.sync(_add_worker, client.cluster.scheduler_address)
    assert outputs(needy.wait()) == ["has it", "has it"]
    assert len(said) == 1
    assert "the task name needs GPU=1" in said[0]


_added: list[Any] = []


async def _add_worker(address: str) -> None:
    _added.append(await distributed.Worker(address, nthreads=1, name="has it", resources={"GPU": 1}))


@pytest.fixture(autouse=True)
def _close_workers(client: Any) -> Iterator[None]:
    yield
    for each in _added:
        client.cluster.sync(each.close)
    _added.clear()


def test_workers_that_come_get_work_while_long_tasks_go_on(client: Any, pool: DaskPool, shelf: Shelf) -> None:
    answers = Answers(pool, shelf)
    answers.send(code(together), *range(8))
    begun = distributed.Queue("begun", client=client)
    begun.get(timeout=LONG)
    client.cluster.scale(4)
    for _ in range(3):
        begun.get(timeout=LONG)
    distributed.Event("enough", client=client).set()
    assert outputs(answers.wait()) == list(range(8))


def test_no_more_are_under_way_than_the_task_allows(client: Any, pool: DaskPool, shelf: Shelf) -> None:
    client.cluster.scale(3)
    client.wait_for_workers(3)
    limited, others = Answers(pool, shelf, "limited"), Answers(pool, shelf, "others")
    limited.send(code(together, concurrency=2), *range(4))
    begun = distributed.Queue("begun", client=client)
    for _ in range(2):
        begun.get(timeout=LONG)
    others.send(code(ordinary), 1)
    others.wait()  # there is a worker that has nothing to do
    assert begun.qsize() == 0
    distributed.Event("enough", client=client).set()
    assert outputs(limited.wait()) == list(range(4))


def test_an_adaptive_cluster_grows_from_nothing(client: Any, pool: DaskPool, shelf: Shelf) -> None:
    client.cluster.scale(0)
    client.cluster.adapt(minimum=0, maximum=2, interval="20 ms")
    answers = Answers(pool, shelf)
    answers.send(code(together), 0, 1)
    begun = distributed.Queue("begun", client=client)
    assert {begun.get(timeout=LONG), begun.get(timeout=LONG)} == {0, 1}, "on two workers"
    distributed.Event("enough", client=client).set()
    assert outputs(answers.wait()) == [0, 1]
