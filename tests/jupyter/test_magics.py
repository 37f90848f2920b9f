"""``%%task`` in IPython, without a kernel."""

import copy
import inspect
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import cloudpickle
import pytest

from nbflow import jupyter
from nbflow.authoring.task import Retry, Task
from nbflow.jupyter.body import OutputMissing
from nbflow.tasks import function

Capture = pytest.CaptureFixture[str]


def run(shell: Any, cell: str) -> Any:
    """Run a cell that must succeed; its value."""
    result = shell.run_cell(cell, store_history=True)
    result.raise_error()
    return result.result


def test_a_cell_becomes_a_task_and_runs_here(shell: Any, capsys: Capture) -> None:
    run(shell, "raw, limit = [3, 1, 2], 2")
    value = run(shell, "%%task clean\ntidy = [x for x in raw if x <= limit]\nprint('cleaned')\nlen(tidy)")
    assert value == 2
    assert capsys.readouterr().out == "task clean(raw, limit) → tidy\ncleaned\nOut[2]: 2\n"
    task = shell.user_ns["clean"]
    assert isinstance(task, Task)
    assert (task.name, task.retry, task.timeout, task.on) == ("clean", (), None, None)
    assert str(inspect.signature(task)) == "(raw, limit)"
    assert shell.user_ns["tidy"] == [1, 2]
    assert task([5, 1], 3) == task(raw=[5, 1], limit=3) == [1]
    assert shell.user_ns["tidy"] == [1, 2], "a call leaves the notebook's names alone"


@dataclass(frozen=True)
class Result:
    """What a call of the cell's task returns."""

    magic: str
    cell: str
    given: dict[str, Any]
    result: Any


RESULTS = [
    Result("t", "print('x')", {}, None),
    Result("t", "a = 1", {}, 1),
    Result("t", "b = 1\na = b + 1", {}, (1, 2)),
    Result("t -o a,b", "b = 1\na = b + 1", {}, (2, 1)),
    Result('t -o ""', "a = 1", {}, None),
    Result("t -o a -o b", "b = 1\na = b + 1", {}, (2, 1)),
    Result("t -o x", "x['k'] = 1", {"x": {}}, {"k": 1}),
    Result("t", "xs += [1]", {"xs": [0]}, [0, 1]),
    Result("t -i b,a", "c = a - b", {"b": 1, "a": 3}, 2),
    Result("t", "if c:\n    y = 1\nz = y", {"c": True}, (1, 1)),
    Result("t -o z", "if c:\n    y = 1\nz = y", {"c": False, "y": 4}, 4),
    Result("t", "a = max([1, 2])\nmax = 3", {}, (2, 3)),
    Result("t", "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\na = fib(9)", {}, 34),
    Result("t -o n", "n = 0\ndef bump():\n    global n\n    n += 1\nbump(); bump()", {}, 2),
    Result("t -o a", "class A:\n    x = [k for k in ks]\na = A().x", {"ks": [1, 2]}, [1, 2]),
    Result("t -o a", "from __future__ import annotations\ndef f(x: Nothing): return x\na = f(1)", {}, 1),
    Result("t -i x -o a", "import math as m\na = eval('m.floor(x) + x')", {"x": 1}, 2),
    Result("t -o m", "import math\nm = math.floor(factor * 2.5)", {"factor": 1}, 2),
    Result("t -o a", "if __name__ == '__main__':\n    a = 1", {}, 1),
]


@pytest.mark.parametrize("case", RESULTS, ids=lambda case: f"{case.magic}: {case.cell}".replace("\n", "⏎"))
def test_what_a_task_returns(shell: Any, case: Result) -> None:
    shell.user_ns |= copy.deepcopy(case.given)
    run(shell, f"%%task {case.magic}\n{case.cell}")
    for task in (shell.user_ns["t"], cloudpickle.loads(cloudpickle.dumps(shell.user_ns["t"]))):
        assert task(**copy.deepcopy(case.given)) == case.result


def test_what_no_analysis_sees_is_said_by_the_task(shell: Any) -> None:
    run(shell, "x = 1")
    run(shell, "%%task t\na = eval('x + 1')")
    with pytest.raises(NameError, match="name 'x' is not defined"):
        shell.user_ns["t"]()


def test_options(shell: Any) -> None:
    run(shell, "%%task t --retry 2 --timeout 60 --on dask\na = 1")
    task = shell.user_ns["t"]
    assert (task.retry, task.timeout, task.on) == ((Retry(max_attempts=2),), 60, "dask")
    run(shell, "%%task t --resources GPU=1 --resources DISK=0.5 --concurrency 4\na = 1")
    assert shell.user_ns["t"].placing == {
        "on": "dask",
        "resources": (("DISK", 0.5), ("GPU", 1.0)),
        "concurrency": 4,
    }


def test_an_input_without_a_value(shell: Any, capsys: Capture) -> None:
    run(shell, "%%task t\nb = a\nprint('never')")
    assert capsys.readouterr().out == "task t(a) → b\ndefined, not run: a has no value yet\n"
    run(shell, "%%task t\nb = (a, c)")
    assert capsys.readouterr().out == "task t(a, c) → b\ndefined, not run: a, c have no value yet\n"
    assert shell.user_ns["t"](1, 2) == (1, 2)


def test_what_is_said(shell: Any, capsys: Capture) -> None:
    run(shell, "xs = [1]")
    capsys.readouterr()
    run(shell, "%%task t\nfor x in xs: y = x\nxs.append(y)")
    assert capsys.readouterr().out == (
        "task t(xs, y=…) → y\n"
        "  line 3: xs.append(…) may change xs; if the change is wanted, name it: -o y,xs\n"
    )
    run(shell, "k = 3")
    capsys.readouterr()
    run(shell, "%%task u -i xs\nz = len(xs) + k")
    assert capsys.readouterr().out == "task u(xs) → z\n  k: as it is when a run starts\n"


def test_the_helpers_are_those_of_the_start(shell: Any) -> None:
    run(shell, "import math\ndef twice(x): return 2 * x")
    run(shell, "x = 1.6")
    run(shell, "%%task t\ny = math.floor(twice(x))")
    pinned = function.load(function.pin(shell.user_ns["t"].function, "t", keywords=True))
    run(shell, "def twice(x): return 20 * x")
    assert pinned(x=2.6) == 5
    assert shell.user_ns["t"](x=2.6) == 52


def test_pinned_code_says_where_it_is_from(shell: Any) -> None:
    run(shell, "%%task t\n'''What it does.\n\nAnd more.'''\ny = 1")
    code = function.pin(shell.user_ns["t"].function, "t", keywords=True)
    assert code.path == shell.user_ns["t"].function.__code__.co_filename
    assert shell.user_ns["t"].__doc__ == "What it does.\n\nAnd more."
    assert repr(shell.user_ns["t"].function) == "<cell t()>"


def test_several_outputs_are_announced_as_a_tuple(shell: Any) -> None:
    run(shell, "%%task t\na = 1\nb = 2")
    assert inspect.signature(shell.user_ns["t"]).return_annotation == tuple[Any, Any]


def test_an_output_that_is_not_set(shell: Any) -> None:
    run(shell, "c = True")
    run(shell, "%%task t\nif c:\n    y = 1")
    with pytest.raises(OutputMissing, match="the cell t has ended without setting y: set it on every path"):
        shell.user_ns["t"](c=False)


def test_wrong_arguments(shell: Any) -> None:
    run(shell, "%%task t\nb = a")
    with pytest.raises(TypeError, match=r"t\(\) missing a required argument: 'a'"):
        shell.user_ns["t"]()
    with pytest.raises(TypeError, match=r"t\(\) got an unexpected keyword argument 'c'"):
        shell.user_ns["t"](1, c=2)


@pytest.mark.parametrize(("end", "shown"), [("a", "Out[1]: 1\n"), ("a;", ""), ("a; # x", ""), ("b = a", "")])
def test_the_last_expression_is_shown_as_of_any_cell(
    shell: Any, capsys: Capture, end: str, shown: str
) -> None:
    run(shell, f"%%task t -o a\na = 1\n{end}")
    assert capsys.readouterr().out == f"task t() → a\n{shown}"


def test_defining_it_again(shell: Any) -> None:
    run(shell, "%%task t\na = 1")
    first = shell.user_ns["t"]
    run(shell, "%%task t\na = 2")
    assert (first(), shell.user_ns["t"]()) == (1, 2)


FAILING = "%%task t\nx = 0\n\ndef inner():\n    return 1 / x\n\ny = inner()\n"


def test_a_traceback_is_that_of_a_normal_cell(shell: Any, capsys: Capture) -> None:
    shown = []
    for cell in (FAILING, FAILING.replace("%%", "# %%")):
        result = shell.run_cell(cell, store_history=True)
        assert isinstance(result.error_in_exec, ZeroDivisionError)
        text = capsys.readouterr().out
        shown.append(text[text.index("----") :].replace("In[2]", "In[1]"))
    assert "----> 7 y = inner()" in shown[0]
    assert "----> 5     return 1 / x" in shown[0]
    assert "magic" not in shown[0]
    assert shown[0] == shown[1]


def test_an_exception_of_the_tasks_call_has_the_cells_lines(shell: Any) -> None:
    run(shell, "d = 1")
    run(shell, "\n%%task t\ny = (\n    1 / d\n)")
    with pytest.raises(ZeroDivisionError) as raised:
        shell.user_ns["t"](d=0)
    assert raised.traceback[-1].lineno + 1 == 4


def test_an_exception_group(shell: Any, capsys: Capture) -> None:
    result = shell.run_cell("%%task t\nraise ExceptionGroup('two', [ValueError('a'), KeyError('b')])")
    assert isinstance(result.error_in_exec, ExceptionGroup)
    assert "ValueError: a" in capsys.readouterr().err


@dataclass(frozen=True)
class Wrong:
    cell: str
    said: str


WRONG = [
    Wrong("%%task 9a\na = 1", "CellError: %%task 9a: a task's name is a Python name of ASCII letters"),
    Wrong("%%task für\na = 1", "CellError: %%task für: a task's name is a Python name"),
    Wrong("%%task class\na = 1", "CellError: %%task class: a task's name is a Python name"),
    Wrong(
        f"%%task {'a' * 65}\nb = 1",
        "a task's name is a Python name of ASCII letters, digits and _, at most 64",
    ),
    Wrong("%%task a\na = 1", "CellError: %%task a: the cell itself uses a; give the task another name"),
    Wrong("%%task a\nb = a", "CellError: %%task a: the cell itself uses a; give the task another name"),
    Wrong("%%task a -o c\nb = 1", "CellError: -o c: the cell does not set it"),
    Wrong("%%task a --retry -1\nb = 1", "CellError: %%task a: nf.Retry(max_attempts=…) is a whole number"),
    Wrong("%%task a --timeout 0\nb = 1", "CellError: %%task a: timeout= is a whole number from 1"),
    Wrong("%%task a --on moon\nb = 1", "UsageError: argument --on"),
    Wrong(
        "%%task a --resources GPU\nb = 1", "CellError: %%task a: --resources takes NAME=AMOUNT, such as GPU=1"
    ),
    Wrong("%%task a --concurrency 0\nb = 1", "CellError: %%task a: concurrency= is a whole number from 1"),
    Wrong("%%task a --retry x\nb = 1", "UsageError: argument --retry: invalid int value: 'x'"),
    Wrong("%%task\nb = 1", "UsageError: the following arguments are required: name"),
    Wrong("%%task a\n", "UsageError: %%task is a cell magic, but the cell body is empty."),
    Wrong("%%task a\n \n", "CellError: %%task: the cell is empty"),
    Wrong("%%task a\nb = 1\n!ls -l", "CellError: line 3: `!ls -l` is IPython's, not Python's"),
    Wrong("%%task a\n\nfiles = !ls", "CellError: line 3: `files = !ls` is IPython's"),
    Wrong("%%task a\n%time b = 1", "CellError: line 2: `%time b = 1` is IPython's"),
    Wrong("%%task a\n%%time\nb = 1", "CellError: line 2: `%%time` is IPython's"),
    Wrong("\n%%task a\nb = len?", "CellError: line 3: `b = len?` is IPython's"),
    Wrong("%%task a\nawait b", "CellError: a task's cell cannot await at its top level"),
    Wrong("%%task a\nb = 1\nfor\n", "  Cell In[1], line 3\n    for\n"),
    Wrong("%%task a\nb = 1\nreturn b\n", "SyntaxError: 'return' outside function"),
    Wrong("%%task a\n  b = 1\n c = 2", "IndentationError"),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.cell.replace("\n", "⏎"))
def test_mistakes_are_said_in_words(shell: Any, capsys: Capture, case: Wrong) -> None:
    result = shell.run_cell(case.cell, store_history=True)
    assert not result.success
    said = "".join(capsys.readouterr())
    assert case.said in said
    assert "magics.py" not in said
    assert "a" not in shell.user_ns


def test_display_is_a_print_where_there_is_no_ipython(shell: Any, capsys: Capture) -> None:
    run(shell, "%%task t\ndisplay([1])\na = 1")
    pinned = cloudpickle.dumps(shell.user_ns["t"])
    capsys.readouterr()
    cloudpickle.loads(pinned)()
    assert capsys.readouterr().out == "[1]\n"


def test_activating_again_changes_nothing(shell: Any) -> None:
    before = shell.magics_manager.magics["cell"]["task"]
    jupyter.activate(shell)
    assert shell.magics_manager.magics["cell"]["task"] == before


def test_the_import_in_a_notebook_costs_little() -> None:
    code = (
        "import sys\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "shell.run_cell('import nbflow').raise_error()\n"
        "assert 'task' in shell.magics_manager.magics['cell']\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"anywidget", "ipywidgets", "pandas", "pydantic", "sqlalchemy", "distributed", "cloudpickle"}
    assert set(done.stdout.split()) & heavy == set()


def test_help(shell: Any) -> None:
    text = shell.magics_manager.magics["cell"]["task"].__doc__
    assert "Make this cell a task" in text
    assert "--outputs NAMES" in text
