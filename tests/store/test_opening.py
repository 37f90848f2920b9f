"""A store opens, or says in one sentence which file is wrong and what to do."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from traceback import format_exception

import pytest

from nbflow.store.opening import shown
from nbflow.store.port import StoreError
from nbflow.store.sql import open_store
from nbflow.store.sqlite import SqliteDatabase, explain
from tests.postgres import Server


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


def test_who_does_not_make_a_store_needs_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'deep' / 'store.db'}"
    with pytest.raises(StoreError, match=r"There is no store .*store\.db\. nbflow run, "):
        open_store(url, create=False)
    assert not (tmp_path / "deep").exists()
    open_store(url).close()
    open_store(url, create=False).close()


def test_nor_are_tables_made_in_an_empty_database(postgres: Server, tmp_path: Path) -> None:
    url = postgres.schema(tmp_path)
    with pytest.raises(StoreError, match="There is no store postgresql"):
        open_store(url, create=False)
    open_store(url).close()
    open_store(url, create=False).close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_cannot_be_opened(tmp_path: Path, case: Case) -> None:
    path = tmp_path / "store.db"
    case.spoil(path)
    with pytest.raises(StoreError, match=case.message) as caught:
        open_store(f"sqlite:///{path}")
    assert str(path) in str(caught.value)
    assert "".join(format_exception(caught.value)).count("Traceback") == 1  # none of SQLAlchemy's


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
    "url",
    [
        "",
        "store.db",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://host/db",
        "http://x",
        "postgresql+asyncpg://h/d",
    ],
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


@pytest.mark.parametrize(
    ("parameters", "mode"),
    [("", 1), ("?synchronous=NORMAL", 1), ("?synchronous=FULL", 2), ("?synchronous=full", 2)],
)
def test_how_much_a_commit_survives_is_said_in_the_url(tmp_path: Path, parameters: str, mode: int) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db{parameters}")
    assert isinstance(store._database, SqliteDatabase)
    assert store._database._writer.execute("PRAGMA synchronous").fetchone() == (mode,)
    assert (tmp_path / "store.db").exists()
    store.close()


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ("synchronous=OFF", "'OFF' is no value for synchronous"),
        ("synchronos=FULL", "'synchronos' is no parameter"),
        ("synchronous=FULL&synchronous=NORMAL", "is no value for synchronous"),
    ],
)
def test_parameters_that_a_file_does_not_have(tmp_path: Path, parameters: str, wrong: str) -> None:
    with pytest.raises(
        StoreError, match=rf"store\.db\?{parameters}': .*{wrong}.* takes one: \?synchronous=NORMAL"
    ):
        open_store(f"sqlite:///{tmp_path}/store.db?{parameters}")
    assert not (tmp_path / "store.db").exists()


# --- PostgreSQL


@dataclass(frozen=True)
class AtTheDoor:
    id: str
    url: Callable[[Server], str]
    message: str


def encoded(server: Server) -> str:
    server.run("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    return server.url("latin")


def of_another_program(server: Server) -> str:
    url = server.database("another")
    server.run("CREATE TABLE flights (month INTEGER)", database="another")
    return url


def of_a_newer_nbflow(server: Server) -> str:
    url = server.database("newer")
    open_store(url).close()
    server.run("UPDATE nbflow_version SET version_num = '9999'", database="newer")
    return url


def without_rights(server: Server) -> str:
    server.run("CREATE ROLE guest LOGIN")
    server.database("closed")
    return server.url("closed", user="guest")


def with_a_password(server: Server) -> str:
    server.ask_for_password("locked", "right")
    return server.url(user="locked:wrong-secret")


def with_none(server: Server) -> str:
    server.ask_for_password("locked", "right")
    return server.url(user="locked")


AT_THE_DOOR = [
    AtTheDoor(
        "no server",
        lambda server: "postgresql://u:pw-secret@127.0.0.1:1/db",
        r"u:\*\*\*@127.0.0.1:1/db cannot be reached\. Check the host and port",
    ),
    AtTheDoor(
        "no such host", lambda server: "postgresql://u:pw-secret@nowhere.invalid/db", "cannot be reached"
    ),
    AtTheDoor("no such database", lambda server: server.url("nowhere"), "is not there. Check the name"),
    AtTheDoor("no such user", lambda server: server.url(user="nobody:pw-secret"), "does not know this user"),
    AtTheDoor("a wrong password", with_a_password, r"locked:\*\*\*@.* refuses the user or the password"),
    AtTheDoor("no password", with_none, "asks for a password"),
    AtTheDoor(
        "no such parameter", lambda server: server.url(sslmodus="x"), "has a parameter in its URL that"
    ),
    AtTheDoor("a bad value", lambda server: server.url(sslmode="x"), "invalid sslmode value"),
    AtTheDoor("another encoding", encoded, "a database with the encoding LATIN1"),
    AtTheDoor("another program's", of_another_program, r"of another program \(its tables: flights\)"),
    AtTheDoor("newer", of_a_newer_nbflow, r"newer nbflow \(schema 9999"),
    AtTheDoor("no rights", without_rights, "may not be used so by this user"),
    AtTheDoor("no such schema", lambda server: server.url(options="-csearch_path=none"), "search_path"),
]


@pytest.mark.parametrize("case", AT_THE_DOOR, ids=lambda case: case.id)
def test_a_database_that_cannot_be_opened(postgres: Server, case: AtTheDoor) -> None:
    with pytest.raises(StoreError, match=case.message) as caught:
        open_store(case.url(postgres))
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_right_password(postgres: Server) -> None:
    postgres.ask_for_password("locked", "r@i:g/ht")
    postgres.run("CREATE SCHEMA IF NOT EXISTS locked AUTHORIZATION locked")
    store = open_store(postgres.url(user="locked:r%40i%3Ag%2Fht", options="-csearch_path=locked"))
    assert store.executions() == []
    assert "ht" not in repr(store._engine.url).partition("?")[0]
    store.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///a/100% mine.db", "sqlite:///a/100% mine.db"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        (
            "postgresql+psycopg://u:p%40w@h:1/d?sslmode=require",
            "postgresql+psycopg://u:***@h:1/d?sslmode=require",
        ),
        ("postgresql://u@h/d?password=pw", "postgresql://u@h/d?password=%2A%2A%2A"),
        ("postgres//u:p@w@h/d", "postgres//u:***@h/d"),
        ("mysql://u:pw@h:port/d", "mysql://u:***@h:port/d"),
    ],
)
def test_a_password_is_not_shown(url: str, said: str) -> None:
    assert shown(url) == said
    if "***" in said:
        with pytest.raises(StoreError) as caught:
            open_store(url.replace("postgresql+psycopg", "mysql"))
        assert "pw@" not in str(caught.value)
