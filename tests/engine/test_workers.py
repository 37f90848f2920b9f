"""Workers' polls: each task is given to one, as soon as it is there, and nobody sleeps through a task."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from nbflow.engine.watch import Watch
from nbflow.engine.workers import Workers
from nbflow.machine import facts
from nbflow.store.port import StoreError
from nbflow.store.rows import TokenRow
from nbflow.store.sql import SqlStore, open_store
from nbflow.testing import VirtualClock
from tests.store.test_contract import A, opening, step

ACTIVITY = "arn:activity"
LONG = 60.0
"""Seconds that no test waits for."""


class Scene:
    """Workers on a store, and another process on the same file."""

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder / 'nbflow.sqlite'}"
        self.store, self.other = open_store(url), open_store(url)
        self.watch = Watch(self.store.changes)
        self.workers = Workers(self.store, VirtualClock(), self.watch)
        self.polls = ThreadPoolExecutor(8)
        self.steps = 1
        self._vain = threading.Semaphore(0)
        self._claim = self.store.claim
        self.store.claim = self.claim  # type: ignore[method-assign]
        self.refuse = False
        """Whether the store refuses the next claim."""
        self.store.append([opening(A)])

    def claim(self, activity: str, now: float, fact: str) -> TokenRow | None:
        if self.refuse:
            self.refuse = False
            raise StoreError("The store is locked.")
        row = self._claim(activity, now, fact)
        if row is None:
            self._vain.release()
        return row

    def poll(
        self, worker: str = "w", gone: Future[None] | None = None, activity: str = ACTIVITY
    ) -> Future[TokenRow | None]:
        """A worker that has asked in vain and waits."""
        poll = self.polls.submit(self.workers.take, activity, worker, LONG, gone)
        self.asked_in_vain()
        return poll

    def asked_in_vain(self) -> None:
        assert self._vain.acquire(timeout=10), "nobody asks"

    def put(self, *tokens: str, by: SqlStore | None = None, activity: str = ACTIVITY) -> None:
        """Queue tasks, without a word."""
        rows = tuple(TokenRow(token, A.arn, 1, "queued", activity=activity, input="{}") for token in tokens)
        (by or self.store).append([replace(step(A, self.steps), tokens=rows)])
        self.steps += 1

    def close(self) -> None:
        self.workers.close()
        self.polls.shutdown()
        self.watch.close()
        self.store.close()
        self.other.close()


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Only the test looks at the store."""
    monkeypatch.setattr(Watch, "_run", lambda self: None)
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def token(poll: Future[TokenRow | None]) -> str | None:
    row = poll.result(timeout=10)
    return None if row is None else row.token


def test_a_task_that_is_there_is_given_at_once(scene: Scene) -> None:
    scene.put("t1", "t2")
    first = scene.workers.take(ACTIVITY, "worker-7", 0.0)
    assert first is not None
    assert (first.token, first.state) == ("t1", "open")
    second = scene.workers.take(ACTIVITY, None, LONG)
    assert second is not None
    assert second.token == "t2"
    told = [facts.decode(row.fact) for row in scene.store.inbox()]
    assert told == [facts.TaskStarted(0, "worker-7"), facts.TaskStarted(0)]


def test_without_a_task_the_time_runs_out(scene: Scene) -> None:
    scene.put("of another", activity="arn:other")
    assert scene.workers.take(ACTIVITY, "w", 0.0) is None


def test_who_waits_is_woken(scene: Scene) -> None:
    poll = scene.poll()
    scene.put("t")
    scene.workers.queued(ACTIVITY)
    assert token(poll) == "t"


def test_a_task_of_another_activity_wakes_nobody(scene: Scene) -> None:
    poll, other = scene.poll(), scene.poll(activity="arn:other")
    scene.put("t", activity="arn:other")
    scene.workers.queued("arn:other")
    scene.workers.queued("arn:nobody asks for it")
    assert token(other) == "t"
    assert not poll.done()


def test_who_waits_longest_is_woken_first(scene: Scene) -> None:
    polls = [scene.poll(f"{n}") for n in range(3)]
    for number in range(3):
        scene.put(f"t{number}")
        scene.workers.queued(ACTIVITY)
        assert token(polls[number]) == f"t{number}"


def test_who_is_woken_in_vain_waits_on_behind_the_others(scene: Scene) -> None:
    first, second = scene.poll("1"), scene.poll("2")
    scene.workers.queued(ACTIVITY)
    scene.asked_in_vain()
    scene.put("t1")
    scene.workers.queued(ACTIVITY)
    assert token(second) == "t1"
    scene.put("t2")
    scene.workers.queued(ACTIVITY)
    assert token(first) == "t2"


def test_another_process_queues_tasks(scene: Scene) -> None:
    polls = [scene.poll(f"{n}") for n in range(3)]
    scene.watch.look()
    scene.put("t1", "t2", by=scene.other)
    scene.watch.look()
    assert {token(poll) for poll in polls[:2]} == {"t1", "t2"}
    assert not polls[2].done()
    scene.workers.close()
    assert token(polls[2]) is None


def test_a_watch_that_looks_by_itself(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    poll = scene.poll()
    scene.put("t", by=scene.other)
    assert token(poll) == "t"
    scene.close()


def test_nothing_is_watched_for_nobody(scene: Scene) -> None:
    def watched() -> bool:
        return scene.workers._changed in scene.watch._listeners

    assert not watched()
    poll, other = scene.poll(), scene.poll(activity="arn:other")
    assert watched()
    scene.put("t")
    scene.workers.queued(ACTIVITY)
    token(poll)
    assert watched(), "one still waits"
    scene.put("o", activity="arn:other")
    scene.workers.queued("arn:other")
    token(other)
    assert not watched()
    assert scene.workers._waiting == {}


# --- who leaves


def test_a_worker_that_goes_away_is_given_nothing(scene: Scene) -> None:
    gone: Future[None] = Future()
    poll = scene.poll(gone=gone)
    gone.set_result(None)
    assert token(poll) is None
    scene.put("t")
    assert scene.workers.take(ACTIVITY, "w", LONG, gone) is None, "it had gone before it asked"
    assert scene.store.queued() == {ACTIVITY: 1}


class Gone(Future[None]):
    """Done when ``has_gone``, without a word to anybody."""

    has_gone = False

    def done(self) -> bool:
        return self.has_gone


def test_the_wake_of_one_who_has_gone_goes_on_to_the_next(scene: Scene) -> None:
    gone = Gone()
    leaving, staying = scene.poll(gone=gone), scene.poll()
    gone.has_gone = True
    scene.put("t")
    scene.workers.queued(ACTIVITY)
    assert token(leaving) is None
    assert token(staying) == "t"


def test_the_wake_of_one_whom_the_store_refuses_goes_on_to_the_next(scene: Scene) -> None:
    failing, staying = scene.poll(), scene.poll()
    scene.put("t")
    scene.refuse = True
    scene.workers.queued(ACTIVITY)
    with pytest.raises(StoreError):
        failing.result(timeout=10)
    assert token(staying) == "t"


def test_everybody_is_sent_home_at_the_end(scene: Scene) -> None:
    polls = [scene.poll(), scene.poll(activity="arn:other")]
    scene.workers.close()
    assert [token(poll) for poll in polls] == [None, None]
    scene.put("t")
    assert scene.workers.take(ACTIVITY, "w", LONG) is None
    assert scene.store.queued() == {ACTIVITY: 1}


def test_many_workers_and_many_tasks(scene: Scene) -> None:
    polls = [scene.poll(f"{n}") for n in range(8)]
    for number in range(8):
        scene.put(f"t{number}")
        scene.workers.queued(ACTIVITY)
    assert sorted(token(poll) or "" for poll in polls) == [f"t{n}" for n in range(8)]
