"""``nf.task`` and ``nf.notebook``."""

import functools
import inspect
import pickle
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from nbflow.authoring.task import Notebook, Retry, Task, notebook, task
from nbflow.errors import NbflowError


def area(width: float, height: float = 1.0) -> float:
    """Width times height."""
    return width * height


def test_a_task_is_its_function() -> None:
    marked = task(area)
    assert isinstance(marked, Task)
    assert marked(2, height=3) == 6
    assert (marked.name, marked.__doc__) == ("area", "Width times height.")
    assert inspect.signature(marked) == inspect.signature(area)
    assert repr(marked) == "<nbflow task area>"


def test_a_task_may_have_another_name() -> None:
    marked = task(name="the-area")(area)
    assert (marked.name, marked(2)) == ("the-area", 2)
    assert task()(area).name == "area"


def test_options_hold_for_a_function_that_is_given_at_once() -> None:
    made = task(abs, name="size", on="dask", concurrency=2)
    assert (made.name, made.on, made.concurrency, made(-1)) == ("size", "dask", 2, 1)


def test_calling_a_task_wrongly_is_pythons_own_error() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'width'"):
        task(area)()  # type: ignore[call-arg]


def test_a_task_travels() -> None:
    assert pickle.loads(cloudpickle.dumps(task(area)))(2) == 2


def test_a_notebook_is_a_path() -> None:
    assert notebook("a/b.ipynb") == notebook(Path("a/b.ipynb")) == Notebook(Path("a/b.ipynb"))


def test_a_notebook_runs_as_a_step_only() -> None:
    book = notebook("steps/train.ipynb")
    assert book.name == "train"
    assert repr(book) == "<nbflow notebook steps/train.ipynb>"
    with pytest.raises(NbflowError, match=r"runs as a step only: call it in a flow, .*tasks={'train': …}"):
        book(year=2013)


def test_a_task_and_a_notebook_have_the_same_options() -> None:
    retry = Retry("ConnectionError")
    for made in (
        task(retry=retry, timeout=60, on="dask")(area),
        task(retry=[retry], timeout=60, on="dask")(area),
        notebook("a.ipynb", retry=retry, timeout=60, on="dask"),
    ):
        assert (made.retry, made.timeout, made.on) == ((retry,), 60, "dask")
    assert (task(area).retry, task(area).timeout, task(area).on) == ((), None, None)
    assert notebook("a.ipynb", name="b").name == "b"
    assert notebook("a.ipynb", timeout=1) != notebook("a.ipynb")
    assert hash(notebook("a.ipynb")) == hash(notebook("a.ipynb"))


def test_a_retry_is_a_value() -> None:
    retry = Retry(OSError, "Mine")
    assert retry == Retry(
        OSError, "Mine", max_attempts=3, interval=1, backoff=2, max_delay=None, jitter=False
    )
    assert (retry.errors, retry.max_attempts, retry.interval, retry.backoff) == ((OSError, "Mine"), 3, 1, 2.0)
    assert retry != Retry(OSError)
    assert pickle.loads(pickle.dumps(retry)) == retry


ACTIVITY = "arn:aws:states:us-east-1:000000000000:activity:area"


def test_a_task_may_be_done_by_an_activity() -> None:
    marked = task(on=ACTIVITY, timeout=60, heartbeat=15)(area)
    assert (marked.activity, marked.heartbeat, marked.on) == (ACTIVITY, 15, None)
    assert marked(2, 3) == 6
    assert (task(area).activity, task(area).heartbeat) == (None, None)


def test_what_a_task_needs_and_how_many_may_run() -> None:
    marked = task(resources={"GPU": 1, "DISK": 0.5}, concurrency=4)(area)
    assert marked.placing == {"on": "dask", "resources": (("DISK", 0.5), ("GPU", 1)), "concurrency": 4}
    assert task(area).placing == {"on": "", "resources": (), "concurrency": 0}
    book = notebook("a.ipynb", concurrency=1)
    assert book.placing == {"on": "", "resources": (), "concurrency": 1}
    assert book != notebook("a.ipynb")


wrong: Any = task
wrong_retry: Any = Retry
wrong_notebook: Any = notebook


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: wrong_retry(3), "errors' names or exception classes, not 3"),
        (lambda: wrong_retry(""), "errors' names"),
        (lambda: wrong_retry(int), "exception classes"),
        (lambda: wrong_retry(max_attempts=-1), "max_attempts=…. is a whole number from 0"),
        (lambda: wrong_retry(max_attempts=True), "whole number"),
        (lambda: wrong_retry(interval=0.5), "interval=…. is a whole number from 0"),
        (lambda: wrong_retry(backoff=0.5), "at least 1.0, not 0.5"),
        (lambda: wrong_retry(backoff=float("nan")), "at least 1.0"),
        (lambda: wrong_retry(max_delay=0), "from 1 to 31622400"),
        (lambda: wrong(retry=OSError), "takes nf.Retry"),
        (lambda: wrong(retry=["OSError"]), "takes nf.Retry"),
        (lambda: wrong(retry=[Retry(), Retry(OSError)]), "put it last"),
        (lambda: wrong(timeout=0), "timeout= is a whole number from 1"),
        (lambda: wrong(timeout=1.5), "timeout= is a whole number"),
        (lambda: wrong(on="moon"), "'dask', 'local' or the ARN of an activity, not 'moon'"),
        (lambda: wrong(on="activity:area"), "the ARN of an activity, not 'activity:area'"),
        (lambda: wrong(on=f"{ACTIVITY}:1"), "the ARN of an activity"),
        (lambda: wrong(heartbeat=5), "heartbeat= is for the workers of an activity"),
        (lambda: wrong(on=ACTIVITY, heartbeat=0.5), "heartbeat= is a whole number from 1"),
        (lambda: wrong(on=ACTIVITY, heartbeat=9, timeout=9), "heartbeat=9 is not less than timeout=9"),
        (lambda: wrong(resources={}), "as in {'GPU': 1}, not {}"),
        (lambda: wrong(resources="GPU"), "as in {'GPU': 1}, not 'GPU'"),
        (lambda: wrong(resources={1: 1}), "as Dask workers know them"),
        (lambda: wrong(resources={"GPU": 0}), "resources={'GPU': …} is a number greater than 0, not 0"),
        (lambda: wrong(resources={"GPU": True}), "a number greater than 0, not True"),
        (lambda: wrong(resources={"GPU": 1}, on="local"), "leave out on='local'"),
        (lambda: wrong(resources={"GPU": 1}, on=ACTIVITY), "what Dask workers have"),
        (lambda: wrong(concurrency=0), "concurrency= is a whole number from 1"),
        (lambda: wrong(concurrency=1.5), "concurrency= is a whole number from 1"),
        (lambda: wrong(concurrency=4, on=ACTIVITY), "concurrency= is not for activities"),
        (lambda: wrong_notebook("a.ipynb", concurrency=0), "concurrency= is a whole number"),
        (lambda: wrong_notebook("a.ipynb", on=ACTIVITY), "a notebook runs on 'dask' or 'local'"),
        (lambda: notebook("a.ipynb", timeout=-1), "timeout= is a whole number"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(make: Any, words: str) -> None:
    with pytest.raises(NbflowError, match=words):
        make()


def test_a_function_without_a_name_needs_one() -> None:
    with pytest.raises(NbflowError, match=r"needs a name: nf.task\(name=…\)"):
        task(functools.partial(area, 1))
    assert task(name="one")(functools.partial(area, 1))(2) == 2
