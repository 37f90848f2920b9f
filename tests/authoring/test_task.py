"""``nf.task`` and ``nf.notebook``."""

import inspect
import pickle
from pathlib import Path

import cloudpickle
import pytest

from nbflow.authoring.task import Notebook, Task, notebook, task


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


def test_calling_a_task_wrongly_is_pythons_own_error() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'width'"):
        task(area)()  # type: ignore[call-arg]


def test_a_task_travels() -> None:
    assert pickle.loads(cloudpickle.dumps(task(area)))(2) == 2


def test_a_notebook_is_a_path() -> None:
    assert notebook("a/b.ipynb") == notebook(Path("a/b.ipynb")) == Notebook(Path("a/b.ipynb"))
