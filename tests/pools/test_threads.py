import os
import queue
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from nbflow.artifacts.shelf import Shelf
from nbflow.pools import threads
from nbflow.pools.threads import ThreadPool
from nbflow.tasks.function import pin
from tests.pools.support import LONG, Answers, outputs

began, may_end = threading.Event(), threading.Event()
beginnings: queue.Queue[int] = queue.Queue()
gates: dict[int, threading.Event] = {}


def blocks(x: int) -> int:
    # Pickled by value, so its globals are copies: the events are looked up where they are.
    from tests.pools import test_threads

    test_threads.began.set()
    assert test_threads.may_end.wait(LONG)
    return x


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    began.clear()
    may_end.clear()
    pool = ThreadPool(1)
    yield pool
    may_end.set()
    pool.close()


def test_each_job_is_answered_once(shelf: Shelf) -> None:
    pool = ThreadPool(4)
    answers = Answers(pool, shelf)
    answers.send(lambda x: x * 2, *range(100))
    assert outputs(answers.wait()) == [x * 2 for x in range(100)]
    pool.close()
    assert answers.came.empty()


def test_a_failure_is_an_answer(pool: ThreadPool, shelf: Shelf) -> None:
    answers = Answers(pool, shelf)
    answers.send(lambda x: 1 / x, 0)
    assert [outcome.error for outcome in answers.wait()] == ["ZeroDivisionError"]


def test_jobs_run_in_this_process_and_its_directory(pool: ThreadPool, shelf: Shelf) -> None:
    answers = Answers(pool, shelf)
    answers.send(lambda _: [os.getpid(), os.getcwd()], None, directory="/")
    assert outputs(answers.wait()) == [[os.getpid(), os.getcwd()]]


def test_a_job_that_has_not_begun_is_given_up(pool: ThreadPool, shelf: Shelf) -> None:
    answers = Answers(pool, shelf)
    answers.send(blocks, 0, 1, 2)
    assert began.wait(LONG)
    assert pool.cancel("execution", 1)
    assert not pool.cancel("execution", 1), "it is gone already"
    may_end.set()
    assert [outcome.attempt for outcome in answers.wait(2)] == [0, 2]
    assert answers.came.empty()


def test_a_job_that_runs_is_told_to_stop_and_answered(pool: ThreadPool, shelf: Shelf) -> None:
    answers = Answers(pool, shelf)
    answers.send(blocks, 7)
    assert began.wait(LONG)
    assert not pool.cancel("execution", 0)
    may_end.set()
    assert [outcome.error for outcome in answers.wait()] == ["Stopped"]
    answers.send(blocks, 8)
    assert outputs(answers.wait(1)) == [8], "the thread goes on"


@pytest.mark.parametrize("key", [("another", 0), ("execution", 9)])
def test_what_is_not_there_is_not_given_up(key: tuple[str, int], pool: ThreadPool, shelf: Shelf) -> None:
    answers = Answers(pool, shelf)
    answers.send(blocks, 0)
    assert not pool.cancel(*key)
    may_end.set()
    answers.wait()
    assert not pool.cancel("execution", 0), "it has been answered"


def test_after_close_nothing_begins(pool: ThreadPool, shelf: Shelf) -> None:
    answers = Answers(pool, shelf)
    answers.send(blocks, 0, 1)
    assert began.wait(LONG)
    pool.close()
    answers.send(blocks, 2)
    may_end.set()
    assert [outcome.attempt for outcome in answers.wait(1)] == [0], "what ran is answered"
    pool.close()
    assert answers.came.empty()


# --- many codes


def gated(x: int) -> int:
    from tests.pools import test_threads

    test_threads.beginnings.put(x)
    assert test_threads.gates[x].wait(LONG)
    return x


def begun(count: int) -> list[int]:
    """What has begun: so many, and no more (a thread that may begin something does so at once)."""
    names = sorted(beginnings.get(timeout=LONG) for _ in range(count))
    assert beginnings.empty()
    return names


@pytest.fixture
def gate() -> Iterator[dict[int, threading.Event]]:
    """What lets the job of each input go on."""
    gates.update((x, threading.Event()) for x in range(20))
    yield gates
    for event in gates.values():
        event.set()


def test_a_heavy_code_takes_no_thread_of_another(shelf: Shelf, gate: dict[int, threading.Event]) -> None:
    pool = ThreadPool(2)
    answers = Answers(pool, shelf)
    answers.send(gated, 0, 1, 2)
    assert begun(2) == [0, 1]
    answers.send(lambda x: -x, *range(10))
    assert outputs(answers.wait(10)) == [-x for x in range(10)], "while the heavy ones go on"
    gate[0].set()
    assert outputs(answers.wait(1)) == [0]
    assert begun(1) == [2]
    gate[1].set()
    gate[2].set()
    assert outputs(answers.wait(2)) == [1, 2]
    pool.close()


def test_a_limit_holds_over_all_executions_and_may_change(
    shelf: Shelf, gate: dict[int, threading.Event]
) -> None:
    code = replace(pin(gated, "task", keywords=False), concurrency=1)
    pool = ThreadPool(3)
    one, other = Answers(pool, shelf, "one"), Answers(pool, shelf, "other")
    one.send(code, 0)
    other.send(code, 1, 2, 3, 4, 5)
    assert begun(1) == [0]
    gate[0].set()
    assert outputs(one.wait()) == [0]
    assert begun(1) == [1]
    pool.limit(code.sha256, 2)
    assert begun(1) == [2]
    pool.limit(code.sha256, 1)
    gate[1].set()
    assert outputs(other.wait(1)) == [1]
    assert beginnings.empty()
    pool.limit(code.sha256, 0)
    assert begun(2) == [3, 4]
    for event in gate.values():
        event.set()
    assert outputs(other.wait(4)) == [2, 3, 4, 5]
    assert begun(1) == [5]
    pool.close()


def test_a_code_that_says_so_has_more_threads(shelf: Shelf, gate: dict[int, threading.Event]) -> None:
    pool = ThreadPool(1)
    answers = Answers(pool, shelf)
    answers.send(replace(pin(gated, "task", keywords=False), concurrency=5), *range(7))
    assert begun(5) == [0, 1, 2, 3, 4]
    for event in gate.values():
        event.set()
    assert outputs(answers.wait()) == list(range(7))
    begun(2)
    pool.close()


def test_where_there_are_too_many_threads_a_code_has_one(
    shelf: Shelf, gate: dict[int, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "MOST_THREADS", 2)
    pool = ThreadPool(2)
    answers = Answers(pool, shelf)
    codes = [replace(pin(gated, "task", keywords=False), sha256=sha) for sha in "abc"]
    answers.send(codes[0], 0, 1, 2)
    assert begun(2) == [0, 1]
    answers.send(codes[1], 3, 4)
    assert begun(1) == [3]
    answers.send(codes[2], 5)
    assert begun(1) == [5]
    gate[0].set()
    gate[5].set()
    assert outputs(answers.wait(2)) == [0, 5]
    assert beginnings.empty()
    gate[3].set()
    assert outputs(answers.wait(1)) == [3]
    assert begun(2) == [2, 4], "whose turn it is; and a code that has none"
    for event in gate.values():
        event.set()
    assert outputs(answers.wait(3)) == [1, 2, 4]
    pool.close()
