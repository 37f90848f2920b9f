"""Files that are whole or not there, errors that say what to do, and a cache with a bound."""

import dataclasses
import json
import os
import pickle
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest

from nbflow.artifacts import formats
from nbflow.artifacts.shelf import Artifact, Cache, Shelf, ShelfError


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_is_named_by_its_content(shelf: Shelf, tmp_path: Path) -> None:
    artifact = shelf.put(pd.DataFrame({"a": [1]}))
    content = Path(shelf.path_of(artifact)).read_bytes()
    assert artifact.sha256 == sha256(content).hexdigest()
    assert artifact.bytes == len(content)
    assert artifact.file == f"{artifact.sha256[:2]}/{artifact.sha256}.parquet"
    assert shelf.put(pd.DataFrame({"a": [1]})) == artifact
    assert files(tmp_path / "shelf") == [artifact.file]


def test_what_is_put_again_becomes_young(shelf: Shelf) -> None:
    path = Path(shelf.path_of(shelf.put({1})))
    os.utime(path, (1.0, 1.0))
    shelf.put({1})
    assert path.stat().st_mtime > 1.0


def test_the_versions_lie_beside_a_pickle(shelf: Shelf, tmp_path: Path) -> None:
    artifact = shelf.put({1, 2})
    assert files(tmp_path / "shelf") == [artifact.file, f"{artifact.file}.json"]
    then = json.loads(Path(f"{shelf.path_of(artifact)}.json").read_text())
    assert then["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"cloudpickle", "numpy", "pandas"} <= then.keys()


def test_an_executed_notebook(shelf: Shelf, tmp_path: Path) -> None:
    source = tmp_path / "report.ipynb"
    source.write_text("{}")
    artifact = shelf.put_file(source, "notebook")
    assert (artifact.kind, artifact.bytes, artifact.rows) == ("notebook", 2, None)
    assert artifact.file.endswith(".ipynb")
    assert shelf.get(artifact) == shelf.path_of(artifact) == f"{tmp_path}/shelf/{artifact.file}"
    assert Path(shelf.path_of(artifact)).read_text() == "{}"
    assert source.exists()


def test_a_file_is_never_put_as_a_value(shelf: Shelf, tmp_path: Path) -> None:
    path = tmp_path / "trap.pickle"
    path.write_bytes(pickle.dumps({1}))
    with pytest.raises(ValueError, match="'pickle' is the kind of a value"):
        shelf.put_file(path, "pickle")
    with pytest.raises(FileNotFoundError):
        shelf.put_file(tmp_path / "none.ipynb", "notebook")


def test_a_shelf_travels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forget: None) -> None:
    monkeypatch.chdir(tmp_path)
    here = Shelf("artifacts")
    artifact = here.put({1, 2})
    monkeypatch.chdir("/")
    there: Shelf = pickle.loads(pickle.dumps(here))
    assert there.get(pickle.loads(pickle.dumps(artifact))) == {1, 2}
    assert there == Shelf(f"file://{tmp_path}/artifacts")


@pytest.fixture
def bucket() -> Iterator[str]:
    """A place that is no folder."""
    import fsspec

    name = f"/{uuid4().hex}"
    yield f"memory:/{name}"
    fsspec.filesystem("memory").rm(name, recursive=True)


@pytest.mark.parametrize(
    "value", [pd.DataFrame({"a": [1]}), np.arange(3), {1, 2}], ids=["frame", "array", "set"]
)
def test_any_file_system_of_fsspec(bucket: str, forget: None, value: object, tmp_path: Path) -> None:
    shelf = Shelf(bucket)
    artifact = shelf.put(value)
    assert shelf.put(value) == artifact
    assert repr(shelf.get(artifact)) == repr(value)
    assert shelf.path_of(artifact) == f"{bucket}/{artifact.file}"
    with pytest.raises(ShelfError, match="artifacts=URL"):
        shelf.get(dataclasses.replace(artifact, sha256="0", file="00/none.npy"))


def test_a_shelf_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ShelfError, match=r"The shelf .*/file/shelf cannot be written \(.*Make room"):
        Shelf(f"{tmp_path}/file/shelf").put({1})


def test_a_failed_put_leaves_no_draft(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ShelfError, match="No space left on device"):
        shelf.put({1})
    assert files(tmp_path / "shelf") == []


def test_a_lost_file_is_named(shelf: Shelf, forget: None) -> None:
    artifact = shelf.put({1})
    Path(shelf.path_of(artifact)).unlink()
    with pytest.raises(ShelfError, match=r"There is no .*does not share the folder.*artifacts=URL") as caught:
        shelf.get(artifact)
    assert artifact.file in str(caught.value)


def test_a_damaged_file_is_named(shelf: Shelf, forget: None) -> None:
    artifact = shelf.put(pd.DataFrame({"a": [1]}))
    Path(shelf.path_of(artifact)).write_text("not parquet")
    with pytest.raises(ShelfError, match=r"\.parquet cannot be loaded \(ArrowInvalid: "):
        shelf.get(artifact)


@pytest.fixture
def vanishing(monkeypatch: pytest.MonkeyPatch) -> Iterator[type]:
    """A class in a module of version 1.0, which is 2.0 and without the class when the pickle is loaded."""
    module = types.ModuleType("nbflow_vanishing")
    module.__dict__["__version__"] = "1.0"
    made = type("Model", (), {"__module__": module.__name__})
    module.__dict__["Model"] = made
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield made
    assert sys.modules[module.__name__].__dict__["__version__"] == "2.0"


def test_a_pickle_of_another_version_says_which(shelf: Shelf, forget: None, vanishing: type) -> None:
    artifact = shelf.put(vanishing())
    later = types.ModuleType(vanishing.__module__)
    later.__dict__["__version__"] = "2.0"
    sys.modules[vanishing.__module__] = later
    with pytest.raises(ShelfError, match=r"written with nbflow_vanishing 1\.0 \(here 2\.0\)\.$"):
        shelf.get(artifact)
    Path(f"{shelf.path_of(artifact)}.json").unlink()
    with pytest.raises(ShelfError, match="versions with which it was written are not known"):
        shelf.get(artifact)


def test_live_objects_are_handed_out_without_reading(shelf: Shelf) -> None:
    put = shelf.put(np.arange(3))
    Path(shelf.path_of(put)).unlink()
    assert repr(shelf.get(put)) == "array([0, 1, 2])"


def artifact_of(name: str) -> Artifact:
    return Artifact(name, "pickle", 0, None, None, name)


def test_the_cache_drops_what_was_used_longest_ago() -> None:
    cache = Cache(25)
    for name in "ab":
        cache.keep(artifact_of(name), b"x" * 10)
    assert cache.get(artifact_of("a")) == b"x" * 10
    cache.keep(artifact_of("c"), b"x" * 10)
    assert [cache.get(artifact_of(name)) is not None for name in "abc"] == [True, False, True]
    cache.keep(artifact_of("c"), b"other")
    assert cache.get(artifact_of("c")) == b"x" * 10


def test_the_cache_keeps_nothing_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbflow.artifacts.shelf.LARGEST", 5)
    cache = Cache(25)
    cache.keep(artifact_of("small"), b"x" * 5)
    cache.keep(artifact_of("large"), b"x" * 6)
    assert cache.get(artifact_of("large")) is None
    assert cache.get(artifact_of("small")) is not None


def test_a_large_array_is_not_copied(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbflow.artifacts.shelf.LARGEST", 5)
    monkeypatch.setattr(formats, "LARGEST", 5)
    array = np.arange(3)
    artifact = shelf.put(array)
    array[0] = 99
    assert repr(shelf.get(artifact)) == "array([0, 1, 2])"


def test_the_room_imports_no_heavy_library() -> None:
    code = (
        "import sys, nbflow.artifacts.values as v, tempfile\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    v.pack({'a': [1, 'x', None]}, v.Shelf(folder))\n"
        "heavy = {'pandas', 'numpy', 'pyarrow', 'fsspec', 'cloudpickle', 'dask', 'sqlalchemy'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_cache_that_gives_way(shelf: Shelf) -> None:
    cache = Cache(1000)
    first, second = shelf.put({1: "a" * 100}), shelf.put({1: "b" * 100})
    for artifact in (first, second):
        cache.keep(artifact, b"x" * 400)
    cache.get(first)
    cache.resize(500)
    assert (cache.get(first), cache.get(second)) == (b"x" * 400, None)
    cache.forget(time.monotonic() - 100)
    assert not cache.is_empty
    cache.forget(time.monotonic() + 100)
    assert cache.is_empty
    cache.resize(10_000)
    cache.keep(second, b"x" * 10_000)
    assert cache.get(second), "one value may take all"
