"""Flows in notebooks, run from the shell, which is a process of its own: IPython's shell is one a process."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

FIRST = """
import nbflow as nf
from pathlib import Path

print("defining")
factor = 3


@nf.task
def times(x: int) -> int:
    return factor * x
"""

SECOND = """
@nf.flow
def tripled(x: int):
    Path("here").touch()
    return times(x)


@nf.flow(name="all-of-them")
def all_tripled(xs: list[int]):
    return [times(x) for x in xs]
"""

LATER = """
raise SystemError("this cell would start a run")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "work").mkdir()
    save(tmp_path / "work" / "flows.ipynb", FIRST, SECOND, LATER)
    return tmp_path


def save(path: Path, *cells: str) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(notebook, path)


def shell(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nbflow.cli", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def test_a_flow_of_a_notebook_runs_and_later_cells_do_not(folder: Path) -> None:
    done = shell(folder, "run", "work/flows.ipynb:tripled", "-i", '{"x": 5}', "--store", "sqlite:///s.sqlite")
    assert (done.returncode, done.stdout) == (0, "15\n"), done.stderr
    assert "defining" in done.stderr
    assert (folder / "s.sqlite").exists()
    assert (folder / "work" / "here").exists(), "tasks run in the notebook's folder"


def test_a_flow_is_picked_by_its_name(folder: Path) -> None:
    assert (
        "2 state machines: tripled, all_tripled; pick one" in shell(folder, "run", "work/flows.ipynb").stderr
    )
    done = shell(folder, "validate", "work/flows.ipynb:all-of-them")
    assert (done.returncode, "all-of-them" in done.stdout + done.stderr) == (0, True), done.stderr


def test_a_cell_that_fails_is_shown_with_its_traceback(folder: Path) -> None:
    done = shell(folder, "run", "work/flows.ipynb:nothing")
    assert done.returncode == 1
    assert "SystemError: this cell would start a run" in done.stderr
    assert "work/flows.ipynb: code cell 3 failed" in done.stderr


def test_what_is_no_notebook_is_said(folder: Path) -> None:
    (folder / "text.ipynb").write_text("no notebook")
    (folder / "list.ipynb").write_text(json.dumps([1]))
    for name in ("text.ipynb", "list.ipynb"):
        done = shell(folder, "run", name)
        assert done.returncode == 1
        assert f"nbflow: {name} cannot be read as a notebook" in done.stderr
