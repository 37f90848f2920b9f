"""The test kit that is shipped to users."""

from pathlib import Path

from nbflow.artifacts.shelf import Shelf
from nbflow.tasks import function
from nbflow.tasks.job import Job, Outcome
from nbflow.testing import ScriptedPool, VirtualClock


def job(attempt: int, folder: Path) -> Job:
    return Job(
        "arn:run", attempt, function.pin(lambda value: value + 1, "f", keywords=False), 1, Shelf(str(folder))
    )


def test_the_clock_moves_when_it_is_told_and_never_back() -> None:
    clock = VirtualClock(10.0)
    clock.advance_to(30.0)
    clock.advance_to(20.0)
    assert clock.now() == 30.0


def test_a_scripted_pool_does_jobs_on_the_spot(tmp_path: Path) -> None:
    answers: list[Outcome] = []
    pool = ScriptedPool()
    pool.submit(job(1, tmp_path), answers.append)
    assert [(answer.attempt, answer.output) for answer in answers] == [(1, 2)]
    assert pool.held == []


def test_a_holding_pool_waits_for_the_test(tmp_path: Path) -> None:
    answers: list[Outcome] = []
    pool = ScriptedPool(hold=True)
    for attempt in (1, 2, 3):
        pool.submit(job(attempt, tmp_path), answers.append)
    assert answers == []
    assert pool.cancel("arn:run", 2)
    assert not pool.cancel("arn:run", 2)
    pool.release(Outcome("arn:run", 1, error="Boom"))
    pool.release()
    assert [(answer.attempt, answer.error, answer.output) for answer in answers] == [
        (1, "Boom", None),
        (3, None, 2),
    ]
    assert [done.attempt for done in pool.done] == [1, 3]
