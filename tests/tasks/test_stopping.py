import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from nbflow.tasks import stopping
from nbflow.tasks.stopping import Key, Stopped, forget, stop, stop_by, stoppable

KEY: Key = ("execution", 5)
LONG = 30.0


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    assert not stopping._at_work
    stopping._given_up.clear()


class Doing:
    """A job on a thread of its own; and what the thread does after it."""

    def __init__(self, work: Callable[["Doing"], object], *, interruptible: bool = True) -> None:
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        self.raised: BaseException | None = None
        self.tidied = self.survived = False
        self._work, self._interruptible = work, interruptible
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self.begun.wait(LONG)

    def _run(self) -> None:
        try:
            stoppable(KEY, lambda: self._work(self), interruptible=self._interruptible)
        except BaseException as error:  # noqa: BLE001
            self.raised = error
        self.survived = sum(range(10_000)) > 0

    def end(self) -> None:
        self.may_go_on.set()
        self._thread.join(LONG)
        assert self.survived


def spin(doing: Doing) -> None:
    doing.begun.set()
    try:
        while not doing.may_go_on.is_set():
            pass
    finally:
        doing.tidied = True


def waits(doing: Doing) -> None:
    """In a call that nothing interrupts."""
    doing.begun.set()
    doing.may_go_on.wait(LONG)


def stubborn(doing: Doing) -> None:
    with suppress(Stopped):
        spin(doing)
    doing.may_go_on.wait(LONG)


def careful(doing: Doing) -> None:
    """What catches exceptions of any kind does not catch this one."""
    with suppress(Exception):
        spin(doing)


@pytest.mark.parametrize("work", [spin, careful])
def test_a_function_ends_by_an_exception_and_tidies_up(work: Callable[[Doing], object]) -> None:
    doing = Doing(work)
    stop([KEY])
    doing._thread.join(LONG)
    assert type(doing.raised) is Stopped
    assert doing.tidied
    doing.end()


def test_what_waits_in_a_call_ends_after_it() -> None:
    doing = Doing(waits)
    stop([KEY])
    doing.end()
    assert type(doing.raised) is Stopped


def test_who_catches_it_goes_on_and_is_not_told_again() -> None:
    doing = Doing(stubborn)
    stop([KEY])
    stop([KEY])
    doing.end()
    assert doing.raised is None


def test_others_go_on() -> None:
    doing = Doing(waits)
    stop([("execution", 6), ("another", 5)])
    doing.end()
    assert doing.raised is None


def test_a_job_that_has_not_begun_does_not_begin() -> None:
    stop([KEY])
    with pytest.raises(Stopped):
        stoppable(KEY, lambda: pytest.fail("it has begun"))
    assert stoppable(KEY, lambda: 42) == 42, "told once"


def test_a_job_of_the_same_name_is_another_one() -> None:
    stop([KEY])
    forget([KEY, ("another", 1)])
    assert stoppable(KEY, lambda: 42) == 42


def test_those_that_never_begin_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "MOST_GIVEN_UP", 2)
    stop([("execution", 1), ("execution", 2), ("execution", 3)])
    assert stoppable(("execution", 1), lambda: 42) == 42
    with pytest.raises(Stopped):
        stoppable(("execution", 3), lambda: 42)


def test_it_never_hits_what_the_thread_does_next() -> None:
    """Jobs end at the moment at which they are told: whatever comes, it comes within the job."""
    told = threading.Event()

    def tell() -> None:
        while not told.is_set():
            stop([KEY])

    teller = threading.Thread(target=tell)
    teller.start()
    try:
        for _ in range(3_000):
            with suppress(Stopped):
                stoppable(KEY, lambda: None)
            sum(range(50))  # it would come here
    finally:
        told.set()
        teller.join(LONG)


def test_a_debugger_goes_on_afterwards() -> None:
    """CPython looks for an exception that was taken back for ever, and a traced thread looks for nothing else."""
    script = """
import sys, threading
from contextlib import suppress
from nbflow.tasks.stopping import Stopped, stop, stoppable

key, told = ("execution", 1), threading.Event()

def tell():
    while not told.is_set():
        stop([key])

teller = threading.Thread(target=tell)
teller.start()
for _ in range(5_000):  # jobs end at the moment at which they are told
    with suppress(Stopped):
        stoppable(key, lambda: None)
told.set()
teller.join()
sys.settrace(lambda *_: None)
(lambda: print("on"))()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=LONG, check=True
    )
    assert done.stdout == "on\n"


def test_what_brings_its_own_way_is_ended_by_it() -> None:
    ended = threading.Event()

    def work(doing: Doing) -> None:
        stop_by(ended.set)
        waits(doing)
        stop_by(None)

    doing = Doing(work, interruptible=False)
    stop([KEY])
    assert ended.is_set()
    doing.end()
    assert doing.raised is None


def test_a_way_that_comes_after_the_word_is_taken_at_once() -> None:
    ended = threading.Event()

    def work(doing: Doing) -> None:
        waits(doing)
        stop_by(ended.set)

    doing = Doing(work, interruptible=False)
    stop([KEY])
    assert not ended.is_set()
    doing.end()
    assert ended.is_set()


def test_outside_of_jobs_there_is_nothing_to_end() -> None:
    stop_by(lambda: pytest.fail("nothing was told"))
    stop([KEY])
