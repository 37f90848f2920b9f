import json
import os
import sys
import textwrap
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

from nbflow.artifacts.shelf import Shelf
from nbflow.artifacts.values import pack
from nbflow.errors import NbflowError
from nbflow.language.values import Json
from nbflow.tasks.job import Job, Outcome
from nbflow.tasks.notebook import pin
from nbflow.tasks.perform import perform
from nbflow.tasks.stopping import stop


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(str(tmp_path / "shelf"))


def cell(source: str, *tags: str) -> dict[str, Any]:
    """As it lies in a file of format 4.4, without an id."""
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": list(tags)},
        "outputs": [],
        "source": source.splitlines(keepends=True),
    }


def write(path: Path, cells: Sequence[dict[str, Any]], minor: int = 4, **metadata: Json) -> Path:
    notebook = {"nbformat": 4, "nbformat_minor": minor, "metadata": metadata, "cells": list(cells)}
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def run(path: Path, arguments: Json, shelf: Shelf, **more: Any) -> Outcome:
    return perform(Job("execution", 1, pin(path, path.stem), arguments, shelf, **more))


def executed(outcome: Outcome, shelf: Shelf) -> Any:
    """The executed copy: valid, and the one artifact."""
    (artifact,) = outcome.artifacts
    assert artifact.kind == "notebook"
    notebook = nbformat.read(shelf.path_of(artifact), as_version=4)
    nbformat.validate(notebook)
    return notebook


def message(outcome: Outcome) -> str:
    assert outcome.cause is not None
    text: str = json.loads(outcome.cause)["errorMessage"]
    return text


# --- pinned


def test_a_notebook_is_pinned_by_its_content(tmp_path: Path) -> None:
    path = write(tmp_path / "report.ipynb", [cell("1")])
    code = pin(path, "report")
    assert (code.kind, code.name, code.path) == ("notebook", "report", str(path.resolve()))
    assert code.content == path.read_bytes()
    assert pin(write(path, [cell("2")]), "report").sha256 != code.sha256


@dataclass(frozen=True)
class Bad:
    id: str
    content: bytes | None
    message: str


R = {
    "nbformat": 4,
    "nbformat_minor": 4,
    "cells": [],
    "metadata": {"kernelspec": {"name": "ir", "language": "R", "display_name": "R"}},
}

BAD = [
    Bad("missing", None, r"task 'report': there is no notebook .*report\.ipynb"),
    Bad(
        "no JSON",
        b"print(1)",
        r"report\.ipynb cannot be read as a notebook: it is no JSON object",
    ),
    Bad("no UTF-8", b"\xff\xfe", "cannot be read as a notebook: .*decode"),
    Bad(
        "broken JSON", b'{"nbformat": 4', "cannot be read as a notebook: Notebook does not appear to be JSON"
    ),
    Bad("empty", b"", "cannot be read as a notebook"),
    Bad("a list", b"[]", "cannot be read as a notebook"),
    Bad("an object", b"{}", "cannot be read as a notebook"),
    Bad("no cells", b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "cannot be read as a notebook"),
    Bad(
        "a bad cell",
        json.dumps({**R, "cells": [{"cell_type": "odd"}]}).encode(),
        "cannot be read as a notebook",
    ),
    Bad("another language", json.dumps(R).encode(), r"is written in R; nbflow runs Python"),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.id)
def test_what_cannot_be_pinned(case: Bad, tmp_path: Path) -> None:
    path = tmp_path / "report.ipynb"
    if case.content is not None:
        path.write_bytes(case.content)
    with pytest.raises(NbflowError, match=case.message) as raised:
        pin(path, "report")
    assert "\n" not in str(raised.value)


def test_a_folder_is_no_notebook(tmp_path: Path) -> None:
    with pytest.raises(NbflowError, match="cannot be read as a notebook"):
        pin(tmp_path, "report")


# --- run

LOOK = """
import os, sys
print(sys.executable)
print(os.getcwd())
print(year, region, type(frame).__name__, list(frame.a), type(parts[0]).__name__, note)
os.write(2, b"raw words\\n")
"""


@pytest.fixture
def other_pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PATH has another python, and Jupyter another kernel of the name python3."""
    for name in ("python", "python3"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    argv = [str(tmp_path / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "other", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))


@pytest.mark.usefixtures("other_pythons")
def test_a_notebook_runs_with_its_parameters(
    tmp_path: Path, shelf: Shelf, capfd: pytest.CaptureFixture[str]
) -> None:
    cells = [cell("first = 1"), cell("year = 1999\nregion = 'all'", "parameters"), cell(LOOK), cell("frame")]
    path = write(tmp_path / "report.ipynb", cells, kernelspec={"name": "elsewhere", "display_name": "x"})
    value, artifacts = pack(pd.DataFrame({"a": [1, 2]}), shelf)
    arguments = {"year": 2013, "frame": value, "parts": [value, 1.5], "note": {"sha256": "x", "nbflow": "y"}}
    before = os.getcwd()

    outcome = run(path, arguments, shelf, known={artifact.sha256: artifact for artifact in artifacts})

    assert (outcome.error, outcome.cause) == (None, None)
    notebook = executed(outcome, shelf)
    assert outcome.output == {
        "notebook": {
            "nbflow": "notebook",
            "sha256": outcome.artifacts[0].sha256,
            "bytes": outcome.artifacts[0].bytes,
        }
    }
    assert [c.metadata.tags for c in notebook.cells] == [[], ["parameters"], ["injected-parameters"], [], []]
    printed = f"{sys.executable}\n{tmp_path}\n2013 all DataFrame [1, 2] DataFrame {arguments['note']}\n"
    assert notebook.cells[3].outputs[0].text == printed
    assert "text/html" in notebook.cells[4].outputs[0].data
    assert outcome.log == printed
    assert os.getcwd() == before
    assert capfd.readouterr() == ("", "")


def test_without_a_tagged_cell_parameters_come_first(tmp_path: Path, shelf: Shelf) -> None:
    path = write(tmp_path / "plain.ipynb", [cell("print(x)")])
    outcome = run(path, {"x": None}, shelf)
    assert outcome.log == "None\n"
    assert [c.source for c in executed(outcome, shelf).cells] == ["# Parameters\nx = None", "print(x)"]


def test_a_notebook_whose_folder_is_gone_runs_where_the_execution_was_started(
    tmp_path: Path, shelf: Shelf
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    path = write(folder / "where.ipynb", [cell("import os; print(os.getcwd())")])
    code = pin(path, "where")
    path.unlink()
    folder.rmdir()
    outcome = perform(Job("execution", 1, code, {}, shelf, directory=str(tmp_path)))
    assert outcome.log == f"{tmp_path}\n"


OLD = {
    "nbformat": 3,
    "nbformat_minor": 0,
    "metadata": {},
    "worksheets": [
        {
            "cells": [
                {
                    "cell_type": "code",
                    "language": "python",
                    "input": "print('three')",
                    "outputs": [],
                    "collapsed": False,
                }
            ]
        }
    ],
}


def test_notebooks_of_older_formats_at_once(tmp_path: Path, shelf: Shelf) -> None:
    """Without ids, and with one id twice, nbformat warns, which is an error here."""
    three = tmp_path / "three.ipynb"
    three.write_text(json.dumps(OLD))
    twice = [{**cell("print('four')"), "id": "same"}, {**cell("1"), "id": "same"}]
    with ThreadPoolExecutor(2) as pool:
        outcomes = pool.map(
            lambda path: run(path, {}, shelf), [three, write(tmp_path / "four.ipynb", twice, 5)]
        )
    assert [(outcome.log, outcome.error) for outcome in outcomes] == [("three\n", None), ("four\n", None)]


# --- failures


def test_a_cell_that_raises(tmp_path: Path, shelf: Shelf) -> None:
    cells = [
        cell("year = 1", "parameters"),
        cell("class NoData(Exception): pass"),
        cell("raise NoData('none')"),
        cell("after = 1"),
    ]
    outcome = run(write(tmp_path / "report.ipynb", cells), {"year": 2}, shelf)
    assert outcome.error == "NoData"
    notebook = executed(outcome, shelf)
    where = shelf.path_of(outcome.artifacts[0])
    assert (
        message(outcome)
        == f"cell 3 of report.ipynb raised NoData: none — the executed copy, up to that cell, is {where}"
    )
    assert outcome.cause is not None
    stack = "".join(json.loads(outcome.cause)["stackTrace"])
    assert "NoData: none" in stack
    assert "\x1b" not in stack
    assert notebook.cells[-1].execution_count is None


def test_an_executed_copy_that_failed_can_be_run_again(tmp_path: Path, shelf: Shelf) -> None:
    copy = tmp_path / "copy.ipynb"
    first = run(write(tmp_path / "report.ipynb", [cell("1"), cell("raise ValueError(x)")]), {"x": 1}, shelf)
    copy.write_bytes(Path(shelf.path_of(first.artifacts[0])).read_bytes())
    second = run(copy, {"x": 2}, shelf)
    assert message(second).startswith("cell 5 of copy.ipynb raised ValueError: 2"), (
        "with banners and parameters"
    )
    sources = [c.source for c in executed(second, shelf).cells]
    assert sum("An Exception was encountered" in source for source in sources) == 1
    assert [source for source in sources if source.startswith("# Parameters")] == ["# Parameters\nx = 2"]


def test_a_parameter_that_cannot_be_loaded(tmp_path: Path, shelf: Shelf) -> None:
    value, (artifact,) = pack(pd.DataFrame({"a": [1]}), shelf)
    Path(shelf.path_of(artifact)).unlink()
    path = write(tmp_path / "report.ipynb", [cell("1")])
    outcome = run(path, {"frame": value}, shelf, known={artifact.sha256: artifact})
    assert outcome.error == "ShelfError"
    assert message(outcome).startswith(
        "the injected parameters cell of report.ipynb raised ShelfError: There is no"
    )


def test_a_notebook_that_is_told_to_stop_loses_its_kernel(tmp_path: Path, shelf: Shelf) -> None:
    """And what the kernel has started: it would keep the pipe open."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    source = """
        import subprocess, sys
        pipe = open("pipe", "w")
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdout=pipe)
        print("begun", file=pipe, flush=True)
        while True:
            pass
    """
    path = write(tmp_path / "n.ipynb", [cell(textwrap.dedent(source))])
    with ThreadPoolExecutor(1) as executor:
        outcome = executor.submit(run, path, {}, shelf)
        with pipe.open() as words:
            assert words.readline() == "begun\n"
            stop([("execution", 1)])
            assert words.read() == "", "the pipe's other ends are closed"
        assert outcome.result(30).error == "nbflow.KernelDied"


def test_a_kernel_that_dies(tmp_path: Path, shelf: Shelf, capfd: pytest.CaptureFixture[str]) -> None:
    cells = [cell("print('alive')"), cell("import os; os.write(2, b'last words'); os._exit(1)"), cell("1")]
    outcome = run(write(tmp_path / "report.ipynb", cells), {}, shelf)
    assert outcome.error == "nbflow.KernelDied"
    assert message(outcome).startswith(
        "the kernel died in cell 2 of report.ipynb (killed by the system, out of memory"
    )
    assert message(outcome).endswith(f"{shelf.path_of(outcome.artifacts[0])}\nlast words")
    assert [len(c.outputs) for c in executed(outcome, shelf).cells] == [0, 1, 0, 0]
    assert capfd.readouterr() == ("", "")


@dataclass(frozen=True)
class Input:
    id: str
    input: Json
    message: str


INPUTS = [
    Input("no object", [1], "notebook report takes its parameters from an object, not from [1]"),
    Input(
        "a dash", {"a-b": 1}, "'a-b' is no Python name, so it cannot be a parameter of a notebook; rename it"
    ),
    Input("a keyword", {"class": 1}, "'class' is no Python name"),
    Input("code", {"x = 1; y": 1}, "'x = 1; y' is no Python name"),
]


@pytest.mark.parametrize("case", INPUTS, ids=lambda case: case.id)
def test_input_that_cannot_be_parameters(case: Input, tmp_path: Path, shelf: Shelf) -> None:
    outcome = run(write(tmp_path / "report.ipynb", [cell("1")]), case.input, shelf)
    assert outcome.error == "TypeError"
    assert message(outcome).startswith(case.message)
