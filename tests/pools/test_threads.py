import os
import threading
from collections.abc import Iterator

import pytest

from nbflow.artifacts.shelf import Shelf
from nbflow.pools.threads import ThreadPool
from tests.pools.support import LONG, Answers, outputs

began, may_end = threading.Event(), threading.Event()


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
