"""The words of a flow, called as plain Python, and what a handler gets to see."""

import json
import time
from typing import Any

import pytest

import nbflow as nf
from nbflow.authoring import words
from nbflow.authoring.task import task
from nbflow.authoring.words import TaskFailed
from nbflow.errors import NbflowError


@task
def double(n: int) -> int:
    return 2 * n


def test_parallel_gives_its_arguments() -> None:
    number, text = words.parallel(double(1), "a")
    assert (number + 1, text.upper()) == (3, "A")


def test_map_calls_the_task_for_each_item() -> None:
    doubled = words.map(double, [1, 2], concurrency=3, distributed=True, express=True, tolerate=0.1)
    assert sum(doubled) == 6


def test_wait_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[Any] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    words.wait(5)
    assert waited == [5]


@pytest.mark.parametrize(
    ("error", "cause", "known", "message"),
    [
        (
            "OSError",
            json.dumps({"errorMessage": "no", "errorType": "ConnectionError"}),
            "ConnectionError",
            "no",
        ),
        ("OSError", json.dumps({"errorMessage": ""}), "OSError", ""),
        ("NoData", "nothing to report", "NoData", "nothing to report"),
        ("NoData", '{"a": 1}', "NoData", '{"a": 1}'),
        ("NoData", "[1]", "NoData", "[1]"),
        ("States.Timeout", None, "States.Timeout", ""),
        (None, None, None, ""),
    ],
)
def test_a_failure_has_the_exceptions_own_message(
    error: str | None, cause: str | None, known: str | None, message: str
) -> None:
    failed = TaskFailed(error, cause)
    assert isinstance(failed, NbflowError)
    assert (failed.error, failed.cause, str(failed)) == (known, message, message)


def test_the_words_are_nbflows() -> None:
    assert nf.parallel is words.parallel
    assert nf.map is words.map
    assert nf.wait is words.wait
