import functools
import importlib
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import dask.utils
import distributed
import pytest

from nbflow.artifacts.shelf import Shelf
from nbflow.pools.chunk import LARGE, encode
from nbflow.pools.cluster import Cluster
from nbflow.pools.dask import DaskPool
from nbflow.tasks.function import pin
from nbflow.tasks.job import Job
from tests.pools.support import LONG, Answers, outputs

# --- on a cluster


@pytest.fixture
def pool(dask_client: Any) -> Iterator[DaskPool]:
    pool = DaskPool(Cluster())
    yield pool
    pool.close()
    assert dask_client.status == "running", "the user's own client stays open"
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("nbflow-dask")] == []


def double(x: int) -> int:
    return 2 * x


def process(_: object) -> int:
    return os.getpid()


def test_short_jobs_are_spread_and_each_answered_once(pool: DaskPool, shelf: Shelf) -> None:
    answers = Answers(pool, shelf)
    answers.send(lambda x: [x, os.getpid()], *range(3_000))
    results = outputs(answers.wait())
    assert [x for x, _ in results] == list(range(3_000))
    workers = {process for _, process in results}
    assert len(workers) == 2
    assert os.getpid() not in workers
    assert answers.came.empty()


def test_a_worker_that_lacks_a_large_code_gets_it(
    pool: DaskPool, dask_client: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bool] = []

    def noting(jobs: list[Job], *, bare: bool = False) -> bytes:
        sent.append(bare)
        return encode(jobs, bare=bare)

    monkeypatch.setattr("nbflow.pools.dask.encode", noting)
    load = os.urandom(2 * LARGE)
    answers = Answers(pool, shelf)
    code = pin(lambda x: x + len(load), "heavy", keywords=False)
    answers.send(code, 1)
    answers.wait()
    answers.sent = 0
    answers.send(code, 2)
    answers.wait()
    dask_client.run(_forget_contents)
    answers.sent = 0
    answers.send(code, 3)
    assert outputs(answers.wait()) == [3 + 2 * LARGE]
    first, *later = sent
    assert not first
    assert later[0]
    assert later[-2:] == [True, False]


def _forget_contents() -> None:
    from nbflow.pools import chunk

    chunk._contents = chunk._Contents()  # type: ignore[misc]  # as a worker that is new


def test_dask_does_not_keep_what_has_been_answered(pool: DaskPool, dask_client: Any, shelf: Shelf) -> None:
    """Else it would do it again, if the worker that has the result died."""
    answers = Answers(pool, shelf)
    answers.send(abs, -1, name="answered")
    answers.wait()
    dask_client.run_on_scheduler(lambda: None)  # after what the client has been told before
    assert [key for key in dask_client.refcount if key.startswith("answered-")] == []


def test_failures_prints_and_directories(pool: DaskPool, shelf: Shelf, tmp_path: Path) -> None:
    def task(x: int) -> float:
        print(os.getcwd())
        return 1 / x

    answers = Answers(pool, shelf)
    answers.send(task, 1, 0, 1, directory=str(tmp_path))
    answers.send(task, 1, directory=str(tmp_path / "that is not there"))
    outcomes = answers.wait()
    assert [outcome.error for outcome in outcomes] == [None, "ZeroDivisionError", None, None]
    assert [outcome.log for outcome in outcomes[:3]] == [f"{tmp_path}\n"] * 3
    assert outcomes[3].log


def test_two_executions_and_two_codes_at_once(pool: DaskPool, shelf: Shelf) -> None:
    first, second = Answers(pool, shelf, "first"), Answers(pool, shelf, "second")
    for start in range(0, 200, 20):
        first.send(double, *range(start, start + 20))
        second.send(double, *range(start, start + 20))
        second.send(lambda x: -x, *range(start, start + 20))
    assert outputs(first.wait()) == [2 * x for x in range(200)]
    halves = [[2 * x for x in range(s, s + 20)] + [-x for x in range(s, s + 20)] for s in range(0, 200, 20)]
    assert outputs(second.wait()) == [x for half in halves for x in half]


def test_two_pools_with_the_same_names(pool: DaskPool, shelf: Shelf) -> None:
    """Two stores on one cluster: to Dask, equal keys would be one and the same task."""
    other = DaskPool(Cluster())
    first, second = Answers(pool, shelf), Answers(other, shelf)
    first.send(lambda x: "first", *range(8))
    second.send(lambda x: "second", *range(8))
    assert (set(outputs(first.wait())), set(outputs(second.wait()))) == ({"first"}, {"second"})
    other.close()


def test_what_a_task_does_to_its_input_is_not_seen_by_others(pool: DaskPool, shelf: Shelf) -> None:
    def spoil(items: list[int]) -> int:
        items.append(0)
        return len(items)

    shared = [1, 2]
    answers = Answers(pool, shelf)
    answers.send(spoil, *([shared] * 300))
    assert set(outputs(answers.wait())) == {3}
    assert shared == [1, 2]


# --- what cannot be done


class Explosive:
    """Cannot be unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return importlib.import_module, ("nowhere_to_be_found",)


explosive = Explosive()


def test_a_function_that_the_worker_cannot_load(pool: DaskPool, shelf: Shelf) -> None:
    answers = Answers(pool, shelf)
    answers.send(lambda x: explosive, 1, 2, name="lost")
    outcomes = answers.wait()
    assert {outcome.error for outcome in outcomes} == {"nbflow.NotPortable"}
    assert "task 'lost' cannot be loaded by this worker" in (outcomes[0].cause or "")
    assert "nowhere_to_be_found" in (outcomes[0].cause or "")


def test_a_module_that_the_worker_lacks(
    pool: DaskPool, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("def helper(x):\n    return x\n")
    monkeypatch.syspath_prepend(tmp_path)
    only_here = importlib.import_module("only_here")
    answers = Answers(pool, shelf)
    answers.send(lambda x: only_here.helper(x), 1)
    (outcome,) = answers.wait()
    assert outcome.error == "nbflow.NotPortable"
    assert "No module named 'only_here'" in (outcome.cause or "")
    del sys.modules["only_here"]


def test_a_job_that_cannot_be_sent(pool: DaskPool, shelf: Shelf) -> None:
    answers = Answers(pool, shelf)
    answers.send(double, threading.Lock())
    (outcome,) = answers.wait()
    assert (outcome.error, outcome.cause) == ("Dask.TypeError", "cannot pickle '_thread.lock' object")
    answers.send(double, *range(8))
    assert outputs(answers.wait(8)) == [2 * x for x in range(8)]


def test_a_scheduler_that_does_not_answer(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distributed.client._get_global_client", lambda: None)
    pool = DaskPool(Cluster("tcp://127.0.0.1:1"))
    answers = Answers(pool, shelf)
    with dask.config.set({"distributed.comm.timeouts.connect": "100ms"}):
        answers.send(double, *range(3))
        outcomes = answers.wait()
    assert {outcome.error for outcome in outcomes} == {"Dask.NoCluster"}
    assert "no Dask cluster could be used: " in (outcomes[0].cause or "")
    assert "127.0.0.1:1" in (outcomes[0].cause or "")
    pool.close()


# --- tasks that are held


def hold(name: str) -> str:
    """Says that it has begun, and goes on when the test says so."""
    distributed.Queue("began").put(name)
    assert distributed.Event("go").wait(LONG)
    return name


@pytest.fixture
def began(dask_client: Any) -> Iterator[Any]:
    """The names of the held tasks that have begun."""
    queue = distributed.Queue("began", client=dask_client)
    yield queue
    distributed.Event("go", client=dask_client).set()
    dask_client.run(lambda: None)
    queue.close()


@pytest.fixture
def go(dask_client: Any, began: Any) -> Iterator[Any]:
    event = distributed.Event("go", client=dask_client)
    event.clear()
    yield event
    event.set()


def until_workers_know(client: Any, tasks: int) -> None:
    """Releasing a task is not acknowledged: ask the workers, which know those that run and those sent ahead."""
    end = time.monotonic() + LONG
    while sum(client.run(lambda dask_worker: len(dask_worker.state.tasks)).values()) != tasks:
        assert time.monotonic() < end


def test_what_waits_and_what_was_sent_is_given_up(
    dask_client: Any, pool: DaskPool, shelf: Shelf, began: Any, go: Any
) -> None:
    answers = Answers(pool, shelf)
    answers.send(hold, *range(6))
    running = {began.get(timeout=LONG), began.get(timeout=LONG)}
    others = set(range(6)) - running  # some of them sent ahead, some still here
    assert [pool.cancel("execution", attempt) for attempt in others] == [True] * 4
    assert [pool.cancel("execution", attempt) for attempt in others] == [False] * 4
    assert not pool.cancel("another", min(running))
    unheard, heard = sorted(running)
    assert pool.cancel("execution", unheard), "Dask does not tell whether it has begun"
    until_workers_know(dask_client, 2)
    go.set()
    assert [outcome.attempt for outcome in answers.wait(1)] == [heard]
    answers.send(double, *range(20))
    assert outputs(answers.wait(20)) == [2 * x for x in range(20)], "there is room again"
    assert began.qsize() == 0, "what was given up has not begun"
    assert answers.came.empty()


def test_a_job_of_a_chunk_is_answered(pool: DaskPool, shelf: Shelf, began: Any, go: Any) -> None:
    def quick_or_held(name: int) -> int:
        return hold(name) if name < 0 else name  # type: ignore[arg-type,return-value]

    answers = Answers(pool, shelf)
    answers.send(quick_or_held, 0, 1, 2, 3)
    answers.wait(4)
    with pool._condition:  # so that they are taken together
        answers.send(pin(quick_or_held, "task", keywords=False), -1, *range(9))
    assert began.get(timeout=LONG) == -1
    assert not pool.cancel("execution", 4)
    go.set()
    assert sorted(outputs(answers.wait(10))) == [-1, *range(9)]


def test_after_close_nothing_is_answered(dask_client: Any, shelf: Shelf, began: Any, go: Any) -> None:
    pool = DaskPool(Cluster())
    answers = Answers(pool, shelf)
    answers.send(hold, *range(6))
    running = {began.get(timeout=LONG), began.get(timeout=LONG)}
    pool.close()
    answers.send(hold, 7)
    until_workers_know(dask_client, 2)
    go.set()
    assert dask_client.submit(double, 4).result(LONG) == 8
    assert began.qsize() == 0, f"only {running} had begun"
    assert answers.came.empty()


def test_a_client_that_is_closed_meanwhile(
    dask_client: Any, pool: DaskPool, shelf: Shelf, began: Any, go: Any
) -> None:
    answers = Answers(pool, shelf)
    with distributed.Client(dask_client.scheduler.address):
        answers.send(hold, 1)
        began.get(timeout=LONG)
    (outcome,) = answers.wait()
    cause = "the Dask client was closed before task() had ended. Start the execution again."
    assert (outcome.error, outcome.cause) == ("Dask.ClientClosed", cause)
    go.set()
    answers.send(double, 4)
    assert outputs(answers.wait(1)) == [8], "the client that is active now is used"


def test_a_cluster_that_is_restarted_meanwhile(
    dask_client: Any, pool: DaskPool, shelf: Shelf, began: Any, go: Any
) -> None:
    answers = Answers(pool, shelf)
    answers.send(hold, *range(3))
    held = {began.get(timeout=LONG), began.get(timeout=LONG)}
    assert not held - {0, 1, 2}
    dask_client.restart(timeout=LONG)
    distributed.Event("go", client=dask_client).set()
    assert outputs(answers.wait()) == [0, 1, 2]
    assert answers.came.empty()


# --- a cluster of its own, whose workers die


def kills(x: int) -> int:
    if x % 100 == 13:
        os._exit(1)
    return x


def test_only_the_culprits_fail_when_workers_die(
    dask_client: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distributed.client._get_global_client", lambda: None)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    children = set(multiprocessing.active_children())
    said: list[str] = []
    pool = DaskPool(Cluster(say=said.append))
    answers = Answers(pool, shelf)
    answers.send(kills, *range(8))
    answers.wait(8)
    answers.send(kills, *range(8, 150), name="kills")
    outcomes = answers.wait(142)
    failed = [outcome for outcome in outcomes if outcome.error]
    assert [(outcome.attempt, outcome.error) for outcome in failed] == [
        (13, "Dask.KilledWorker"),
        (113, "Dask.KilledWorker"),
    ]
    assert (failed[0].cause or "").startswith(
        "the worker process died while it ran kills() on 13 (killed by the system, out of"
    )
    assert "Try less data at once, or fewer workers" in (failed[0].cause or "")
    assert outputs([o for o in outcomes if not o.error]) == [x for x in range(8, 150) if x % 100 != 13]
    assert answers.came.empty()
    assert said == [
        "starting a Dask LocalCluster with 2 workers (make your own distributed.Client to use another)"
    ]
    pool.close()
    assert set(multiprocessing.active_children()) <= children
    assert dask_client.status == "running"


def hungry(x: int) -> int:
    held = []
    for _ in range(40 * x):
        held.append(b"x" * 50_000_000)
        time.sleep(0.02)
    return x


@pytest.mark.usefixtures("dask_client")
def test_a_task_that_takes_too_much_memory(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cause names the item and the memory; the other items are none the worse."""
    monkeypatch.setattr("distributed.client._get_global_client", lambda: None)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    small = functools.partial(distributed.LocalCluster, memory_limit="600MB")
    monkeypatch.setattr(distributed, "LocalCluster", small)
    pool = DaskPool(Cluster())
    answers = Answers(pool, shelf)
    answers.send(hungry, 0, 1, 0, name="hungry")
    outcomes = answers.wait()
    assert [outcome.error for outcome in outcomes] == [None, "Dask.KilledWorker", None]
    cause = outcomes[1].cause or ""
    assert cause.startswith("the worker process died while it ran hungry() on 1 (it took ")
    assert "MiB of memory, and is allowed 572 MiB; see the worker's log)" in cause
    pool.close()


def test_a_job_is_never_sent_twice_under_one_key(shelf: Shelf) -> None:
    pool = DaskPool(Cluster())
    job = Job("execution", 1, pin(double, "my-task", keywords=False), 1, shelf)
    keys = [pool._key([job]), pool._key([job]), pool._key([job, job])]
    assert len(set(keys)) == 3
    assert [dask.utils.key_split(key) for key in keys] == ["my_task"] * 3
