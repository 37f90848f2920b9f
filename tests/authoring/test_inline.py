"""Inline tasks: pieces of a flow that stay Python, also in another process."""

import json
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import cloudpickle
import pandas as pd
import pytest

from nbflow.authoring.flow import compile_flow
from nbflow.authoring.inline import ValueChanged, slug
from nbflow.authoring.task import Notebook
from tests.authoring.making import code, defined
from tests.authoring.running import Ended, run


def piece(source: str, name: str, world: dict[str, Any] | None = None) -> Any:
    """The function of a compiled flow's task."""
    task = code(source, world).tasks[name]
    assert not isinstance(task, Notebook)
    return task.function


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("max(fits, key=…)", "max_fits_key"),
        ("x + 1", "x_1"),
        ("3 * x", "value_3_x"),
        ("not", "value_not"),
        ("…", "value"),
        ("é", "value"),
        ("a" * 100, "a" * 48),
    ],
)
def test_a_slug_is_a_name(text: str, name: str) -> None:
    assert slug(text) == name


def test_a_traceback_shows_the_flows_own_line() -> None:
    function = piece("def flow(x):\n    y = 1\n    return [\n        x\n        / 0, y]\n", "x_0")
    with pytest.raises(ZeroDivisionError) as raised:
        function(x=1)
    last = traceback.extract_tb(raised.value.__traceback__)[-1]
    assert (last.filename, last.lineno, last.line) == ("<cell>", 4, "x")


def test_a_piece_belongs_to_the_flow() -> None:
    flow = defined("def flow(x):\n    return x + 1\n")
    task = compile_flow(flow).tasks["x_1"]
    assert not isinstance(task, Notebook)
    assert task.function.__module__ == "cell"
    assert task.function.__qualname__ == "flow.<locals>.x_1"
    assert task.function.__globals__ is flow.__globals__


def test_a_piece_sees_globals_as_they_are_when_it_runs_and_the_closure_as_it_was() -> None:
    source = "def make(step):\n    def flow(x):\n        return x + step + offset\n    return flow\nflow = make(10)"
    flow = defined(source, {"offset": 100})
    task = compile_flow(flow).tasks["x_step_offset"]
    flow.__globals__["offset"] = 200
    assert task(x=1) == 211


@pytest.mark.parametrize(
    ("expression", "x"),
    [
        ("x.pop()", [1, 2]),
        ("x.append(1) or x", []),
        ("x['a'].update(b=1)", {"a": {}}),
        ("x.sort()", [2, 1]),
        ("setattr(x, 'a', 1) if 0 else x.__setitem__(0, True)", [1]),
        ("x.setdefault('b', x.pop('a'))", {"a": 1, "b": 1}),
    ],
)
def test_a_value_that_is_changed_in_place_fails(expression: str, x: Any) -> None:
    before = json.dumps(x)
    with pytest.raises(Ended, match="x was changed in place") as raised:
        run(code(f"def flow(x):\n    y = {expression}\n    return y\n"), {"x": x})
    assert raised.value.error == "nbflow.ValueChanged"
    assert json.dumps(x) == before


def test_a_statement_that_changes_a_value_fails_with_a_remedy() -> None:
    with pytest.raises(Ended, match=r"xs = \[\*xs, item\]"):
        run(code("def flow():\n    xs = []\n    xs.append(1)\n    return xs\n"))
    with pytest.raises(Ended, match="changed in place"):
        run(code("def flow():\n    xs = [1]\n    xs += [2]\n    return xs\n"))


@pytest.mark.parametrize("expression", ["sorted(x)", "x.copy()", "[*map(str, x)]", "x.index(2)", "helper(x)"])
def test_a_call_that_changes_nothing_is_fine(expression: str) -> None:
    helper = {"helper": lambda value: value[::-1]}
    assert run(code(f"def flow(x):\n    return {expression}\n", helper), {"x": [1, 2]}) is not None


def test_a_statements_value_is_not_kept() -> None:
    assert run(code("def flow(x):\n    {1, x}\n    print\n    return 1\n"), {"x": 2}) == 1


def test_objects_are_left_alone() -> None:
    """They cannot be compared cheaply."""
    function = piece("def flow(x):\n    return x.insert(0, 'b', 1)\n", "x_insert_0_b_1")
    assert function(x=pd.DataFrame({"a": [1]})) is None


def test_a_helper_of_the_same_name_is_not_hidden() -> None:
    assert run(code("def flow():\n    return double(4)\n", {"double": lambda n: 2 * n, "double_4": 1})) == 8
    assert run(code("def flow():\n    return [ONES]\n", {"ONES": [1]})) == [[1]]


def test_a_piece_travels_to_another_process(tmp_path: Path) -> None:
    """By value, with the helpers and constants of the cell that it uses."""
    source = """
    import math

    RATE = 0.5

    def scaled(x):
        return math.floor(x * RATE)

    def flow(x, y):
        return max(scaled(x), *[scaled(v) for v in y], key=lambda v: -v) + len(y)
    """
    [(name, task)] = compile_flow(defined(source)).tasks.items()
    assert not isinstance(task, Notebook)
    (tmp_path / "piece").write_bytes(cloudpickle.dumps(task.function))
    script = (
        "import pickle, sys\n"
        "piece = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(piece.__name__, piece(x=9, y=[4, 8]))\n"
        "try:\n    piece(x=9, y=None)\nexcept TypeError as error:\n    print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "piece")], capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines() == [f"{name} 4", "'NoneType' object is not iterable"]


def test_a_change_is_noticed_in_another_process_too() -> None:
    function = cloudpickle.loads(cloudpickle.dumps(piece("def flow(x):\n    return x.pop()\n", "x_pop")))
    with pytest.raises(ValueChanged):
        function(x=[1])
