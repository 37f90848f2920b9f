"""The watch: whoever listens hears of every change, by a look of the test's or of its own thread."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbflow.engine.watch import Watch
from nbflow.store.port import StoreError
from nbflow.store.sql import SqlStore, open_store
from tests.store.test_contract import A, opening


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the test looks."""
    monkeypatch.setattr(Watch, "_run", lambda self: None)


class Number:
    """What the store answers; ``fails`` times it refuses first."""

    def __init__(self, fails: int = 0) -> None:
        self.now = 1
        self.fails = fails

    def __call__(self) -> int:
        if self.fails:
            self.fails -= 1
            raise StoreError("The store is locked.")
        return self.now


@pytest.mark.usefixtures("by_hand")
def test_listeners_are_told_of_changes_only() -> None:
    number, heard = Number(), list[str]()
    watch = Watch(number)

    def first() -> None:
        heard.append("first")

    watch.subscribe(first)
    watch.subscribe(lambda: heard.append("second"))
    watch.look()
    assert heard == ["first", "second"], "before the first look, anything may have happened"
    watch.look()
    assert len(heard) == 2
    number.now = 7
    watch.look()
    assert heard == ["first", "second"] * 2
    watch.unsubscribe(first)
    watch.unsubscribe(first)
    number.now = 3
    watch.look()
    assert heard[4:] == ["second"]
    watch.close()
    number.now = 4
    watch.look()
    assert len(heard) == 5


@pytest.mark.usefixtures("by_hand")
def test_a_change_is_told_again_after_a_listener_that_could_not_hear_it() -> None:
    heard: list[str] = []
    watch = Watch(Number())

    def fails_once() -> None:
        heard.append("tried")
        if len(heard) == 1:
            raise StoreError("The store is locked.")

    watch.subscribe(fails_once)
    watch.subscribe(lambda: heard.append("other"))
    with pytest.raises(StoreError):
        watch.look()
    watch.look()
    assert heard == ["tried", "tried", "other"]
    watch.look()
    assert len(heard) == 3


@pytest.mark.usefixtures("by_hand")
def test_a_store_that_does_not_answer_has_not_changed() -> None:
    number, heard = Number(fails=1), list[str]()
    watch = Watch(number)
    watch.subscribe(lambda: heard.append("heard"))
    with pytest.raises(StoreError):
        watch.look()
    assert heard == []
    watch.look()
    assert heard == ["heard"]


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[tuple[SqlStore, SqlStore]]:
    """Two stores on one file: two processes."""
    one, other = (open_store(f"sqlite:///{tmp_path / 'nbflow.sqlite'}") for _ in range(2))
    one.append([opening(A)])
    yield one, other
    one.close()
    other.close()


class Heard:
    """A listener that can be waited for."""

    def __init__(self, watch: Watch, then: Callable[[], None] = lambda: None) -> None:
        self._heard = threading.Semaphore(0)
        self._then = then
        watch.subscribe(self)

    def __call__(self) -> None:
        self._heard.release()
        self._then()

    def wait(self) -> None:
        assert self._heard.acquire(timeout=10), "nobody told it"


def test_the_thread_sees_what_others_commit(stores: tuple[SqlStore, SqlStore]) -> None:
    one, other = stores
    watch = Watch(one.changes)
    heard = Heard(watch)
    heard.wait()
    for number in range(3):
        other.tell(A.arn, f"{number}")
        heard.wait()
    watch.close()


def test_the_thread_goes_on_after_an_error(caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch(Number(fails=2))
    heard = Heard(watch)
    heard.wait()
    watch.close()
    assert caplog.text.count("The store is locked. It is looked at again.") == 2


def test_the_thread_ends_when_nobody_listens_and_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbflow.engine.watch.LINGER", 0.01)
    number = Number()
    watch = Watch(number)
    for _ in range(2):
        heard = Heard(watch)
        heard.wait()
        thread = watch._thread
        assert thread is not None
        watch.unsubscribe(heard)
        thread.join(10)
        assert not thread.is_alive()
        number.now += 1
    watch.close()


def test_a_listener_may_close() -> None:
    watch = Watch(Number())
    heard = Heard(watch, then=watch.close)
    heard.wait()
    watch.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "nbflow-watch"]
