import sys
from pathlib import Path

import pytest

from nbflow.tasks.importing import importable, importable_for
from nbflow.tasks.job import Code


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The way of the imports, which is as it was after the test."""
    monkeypatch.setattr(sys, "path", ["before"])
    return sys.path


def test_a_folder_comes_first_and_once(path: list[str], tmp_path: Path) -> None:
    importable(str(tmp_path))
    importable(str(tmp_path))
    assert path == [str(tmp_path), "before"]


def test_a_folder_that_there_is_not_is_left_out(path: list[str], tmp_path: Path) -> None:
    importable(str(tmp_path / "gone"), "")
    assert path == ["before"]


def test_the_folder_of_a_tasks_file_comes_before_the_working_directory(
    path: list[str], tmp_path: Path
) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "tasks.py").touch()
    codes = [function("scripts/tasks.py"), function("/a cell of a notebook"), function("")]
    importable_for(codes, str(tmp_path))
    assert path == [str(tmp_path / "scripts"), str(tmp_path), "before"]


def test_of_a_package_it_is_the_folder_around_it(path: list[str], tmp_path: Path) -> None:
    inner = tmp_path / "package" / "inner"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent):
        (folder / "__init__.py").touch()
    (inner / "tasks.py").touch()
    importable_for([function(str(inner / "tasks.py"))], "")
    assert path == [str(tmp_path), "before"]


def test_a_notebook_sees_to_its_own_folder(path: list[str], tmp_path: Path) -> None:
    notebook = tmp_path / "a.ipynb"
    notebook.touch()
    importable_for([Code("notebook", "a", "", b"", path=str(notebook))], "")
    assert path == ["before"]


def function(path: str) -> Code:
    return Code("function", "task", "", b"", path=path)
