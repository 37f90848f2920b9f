"""What tasks let hear while they run."""

import sys
import threading
import warnings
from collections.abc import Callable, Sequence

import pytest

import nbflow as nf
from nbflow.artifacts.shelf import Shelf
from nbflow.tasks import heard
from nbflow.tasks.capture import captured
from nbflow.tasks.function import pin
from nbflow.tasks.heard import MOST_TEXT, Crier, Heard, NotANumber, Progress, Speaker
from nbflow.tasks.job import Job
from nbflow.tasks.perform import perform


class Desk:
    """A crier whose thread is the test, and what is heard from it."""

    def __init__(self) -> None:
        self.started: list[Callable[[], None]] = []
        self.crier = Crier(self.started.append)
        self.heard: list[list[Heard]] = []

    def hear(self, said: Sequence[Heard]) -> None:
        self.heard.append(list(said))

    def speaker(self, attempt: int = 1) -> Speaker:
        return Speaker("run", attempt, self.hear, self.crier)


def test_only_what_is_new_is_told_and_many_lines_at_once() -> None:
    desk = Desk()
    speaker = desk.speaker()
    with captured(speaker) as speaker.buffer:
        for line in range(3):
            print(line)
        desk.crier.pass_on()
        desk.crier.pass_on()
        print("ä\0")
        nf.progress(1, 4, "rows")
        desk.crier.pass_on()
    assert desk.heard == [
        [Heard("run", 1, 0, "0\n1\n2\n")],
        [Heard("run", 1, 6, "ä\\0\n", Progress(1.0, 4.0, "rows"))],
    ]
    assert len(desk.started) == 1, "one thread"


def test_all_speakers_of_a_process_are_told_of_together() -> None:
    desk = Desk()
    one, two = desk.speaker(1), desk.speaker(2)
    for speaker in (one, two):
        with captured(speaker) as speaker.buffer:
            nf.progress(speaker is two)
    desk.crier.pass_on()
    [said] = desk.heard
    assert {(each.attempt, each.progress) for each in said} == {(1, Progress(0.0)), (2, Progress(1.0))}


def test_of_much_text_the_end_is_told_and_where_it_begins() -> None:
    desk = Desk()
    speaker = desk.speaker()
    with captured(speaker) as speaker.buffer:
        for _ in range(100):
            print("x" * 9_999)
        print("end", end="")
        desk.crier.pass_on()
    [[said]] = desk.heard
    assert (said.start + len(said.printed), len(said.printed)) == (1_000_003, MOST_TEXT)
    assert said.printed.endswith("x\nend")


def test_a_silent_task_and_one_that_has_ended_are_not_told_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    desk = Desk()
    monkeypatch.setattr(heard, "_crier", desk.crier)
    for function in (lambda x: x, print):
        job = Job("run", 1, pin(function, "task", keywords=False), 7, Shelf(str(tmp_path)))
        perform(job, desk.hear)
    desk.crier.pass_on()
    assert desk.heard == []
    assert len(desk.started) == 1, "the first one needs no thread"


def test_a_step_within_a_step_speaks_with_the_outer_voice() -> None:
    desk = Desk()
    speaker = desk.speaker()
    with captured(speaker) as speaker.buffer, captured():
        print("within")
        nf.progress(3)
        desk.crier.pass_on()
    assert desk.heard == [[Heard("run", 1, 0, "within\n", Progress(3.0))]]


def test_the_thread_passes_on_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heard, "REST", 0.0)
    monkeypatch.setattr(heard, "LINGER", 0.0)
    came = threading.Event()
    speaker = Speaker("run", 1, lambda said: came.set(), Crier())
    with captured(speaker) as speaker.buffer:
        print("hello")
        assert came.wait(10)


def test_outside_of_a_task_progress_does_nothing() -> None:
    nf.progress(1, 2)


@pytest.mark.parametrize("wrong", ["three", None, [1]])
def test_progress_takes_numbers(wrong: object) -> None:
    with pytest.raises(NotANumber, match=r"nf.progress\(done, total\) takes numbers, not "):
        nf.progress(wrong)  # type: ignore[arg-type]


def test_a_warning_is_in_the_log_of_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    logs = []
    show = lambda message, *_: print(message, file=sys.stderr)  # noqa: E731  # pytest's own keeps them to itself
    with warnings.catch_warnings():
        monkeypatch.setattr(warnings, "showwarning", show)
        warnings.simplefilter("default")
        for _ in range(2):
            with captured() as log:
                warnings.warn("mind the gap", stacklevel=1)
            logs.append(log.text())
    assert all("mind the gap" in log for log in logs)
