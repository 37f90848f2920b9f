"""A store opens, or says in one sentence which file is wrong and what to do."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from nbflow.store.port import StoreError
from nbflow.store.sql import open_store
from nbflow.store.sqlite import explain


def foreign(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE flights (month INTEGER)")
    database.close()


def newer(path: Path) -> None:
    open_store(f"sqlite:///{path}").close()
    database = sqlite3.connect(path)
    database.execute("UPDATE nbflow_version SET version_num = '9999'")
    database.commit()
    database.close()


def damaged(path: Path) -> None:
    open_store(f"sqlite:///{path}").close()
    content = bytearray(path.read_bytes())
    content[100:4000] = b"\xff" * 3900  # the schema page, behind the file's header
    path.write_bytes(content)


@dataclass(frozen=True)
class Case:
    id: str
    spoil: Callable[[Path], object]
    message: str


CASES = [
    Case("not a database", lambda path: path.write_text("month,day\n" * 100), "is not an SQLite database"),
    Case("a folder", lambda path: path.mkdir(), "cannot be opened"),
    Case("another program's", foreign, r"of another program \(its tables: flights\)"),
    Case("newer", newer, r"newer nbflow \(schema 9999; this one knows 0004\)"),
    Case("damaged", damaged, "is damaged"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_cannot_be_opened(tmp_path: Path, case: Case) -> None:
    path = tmp_path / "store.db"
    case.spoil(path)
    with pytest.raises(StoreError, match=case.message) as caught:
        open_store(f"sqlite:///{path}")
    assert str(path) in str(caught.value)


def test_another_programs_database_is_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    foreign(path)
    before = path.read_bytes()
    with pytest.raises(StoreError):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made") as caught:
        open_store(f"sqlite:///{tmp_path}/file/store.db")
    assert f"{tmp_path}/file" in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(StoreError, match=r"store\.db cannot be (opened|written)"):
        open_store(f"sqlite:///{tmp_path}/store.db")


def test_a_readonly_store_is_explained() -> None:
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY | (5 << 8)
    assert "x.db cannot be written. Make the file and its folder writable" in str(explain(error, "x.db"))


@pytest.mark.parametrize(
    "url", ["", "store.db", "sqlite://", "sqlite:///:memory:", "mysql://host/db", "http://x"]
)
def test_not_the_url_of_a_store(url: str) -> None:
    with pytest.raises(StoreError, match=r"is not the URL of a store\. Give sqlite:///PATH"):
        open_store(url)


def test_a_store_is_made_with_its_folders_and_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///a/b/100% mine/store.db")
    monkeypatch.chdir("/")  # the path was fixed when it was opened
    assert store.executions() == []
    store.close()
    again = open_store(f"sqlite:///{tmp_path}/a/b/100% mine/store.db")
    assert again.machines() == []
    again.close()


def test_opening_imports_no_alembic(tmp_path: Path) -> None:
    code = (
        "import sys; from nbflow.store.sql import open_store\n"
        f"for _ in range(2): open_store('sqlite:///{tmp_path}/store.db').close()\n"
        "print('alembic' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
