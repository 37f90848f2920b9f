"""What tasks on Dask's workers say while they run."""

import queue
from collections.abc import Sequence
from typing import Any

import distributed

import nbflow as nf
from nbflow.artifacts.shelf import Shelf
from nbflow.pools.cluster import Cluster
from nbflow.pools.dask import DaskPool
from nbflow.pools.heard import MOST_TEXT, Ears, teller
from nbflow.tasks.heard import Heard, Progress
from tests.pools.support import LONG, Answers


class Worker:
    """As much of one as it takes, whose scheduler gives its events to some ears at once."""

    address = "tcp://w"

    def __init__(self, ears: Ears) -> None:
        self.ears = ears
        self.topics: list[str] = []

    def log_event(self, topic: str, message: Any) -> None:
        self.topics.append(topic)
        self.ears._take((0.0, message))


def test_what_is_told_arrives_and_is_cut_to_a_message() -> None:
    came: list[Sequence[Heard]] = []
    worker = Worker(Ears("topic", came.append))
    said = [Heard("run", 1, 7, "hello", Progress(1.0, None, "rows")), Heard("run", 2, 0, "x" * MOST_TEXT)]
    teller(worker, "topic")(said)
    half = MOST_TEXT // 2
    assert came == [[said[0]._replace(worker="tcp://w"), Heard("run", 2, half, "x" * half, None, "tcp://w")]]
    assert teller(worker, "topic") == teller(worker, "topic"), "so that its tasks are told of together"


def test_where_nobody_listens_nothing_is_sent() -> None:
    ears = Ears("topic", None)
    ears.listen_to(object())
    assert ears.topic == ""


def speak(x: int) -> int:
    print("begun", x)
    nf.progress(1, 4, "rows")
    assert distributed.Event("heard").wait(LONG)
    return x


def test_a_task_on_a_cluster_is_heard_while_it_runs(dask_client: Any, shelf: Shelf) -> None:
    came: queue.Queue[Sequence[Heard]] = queue.Queue()
    go = distributed.Event("heard", client=dask_client)
    go.clear()
    pool = DaskPool(Cluster(), hear=came.put)
    answers = Answers(pool, shelf)
    answers.send(speak, 5)
    [heard] = came.get(timeout=LONG)
    go.set()
    [outcome] = answers.wait()
    workers = dask_client.scheduler_info(n_workers=-1)["workers"]
    assert heard == Heard("execution", 0, 0, "begun 5\n", Progress(1.0, 4.0, "rows"), outcome.worker)
    assert outcome.worker in workers
    assert outcome.log == "begun 5\n"
    pool.close()
