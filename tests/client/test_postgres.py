"""A PostgreSQL's URL is all that changes; the server may go away meanwhile."""

import io
import logging
import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

import nbflow as nf
from nbflow.client import connection as module
from nbflow.client.connection import Connection
from nbflow.client.progress import watch
from nbflow.server.keys import file_beside, keys_in
from nbflow.service.tasks import send_task_success
from tests.client.gates import GATES
from tests.client.machines import gated, one
from tests.postgres import Server

CALLBACK = "arn:aws:states:::lambda:invoke.waitForTaskToken"


@pytest.fixture
def url(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    return postgres.schema(tmp_path).replace("postgres@", "postgres:secret@")


@pytest.fixture
def connection(url: str) -> Connection:
    return nf.connect(url)


@pytest.fixture
def other(url: str, connection: Connection) -> Iterator[Connection]:
    """Another process on the same store."""
    opened = Connection(url)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _gates() -> Iterator[None]:
    yield
    GATES.open_all()


def frame(input: object) -> pd.DataFrame:
    return pd.DataFrame({"a": [1, 2]})


LEFT = queue.SimpleQueue[str]()
"""The token that ``leave`` was given: the function is pinned by value, so it imports this when it runs."""


def leave(token: str) -> None:
    from tests.client.test_postgres import LEFT

    LEFT.put(token)


def test_values_lie_in_the_projects_folder(tmp_path: Path, connection: Connection) -> None:
    made = one(frame).run()
    assert isinstance(made, pd.DataFrame)
    assert made["a"].tolist() == [1, 2]
    assert connection.shelf.url == str(tmp_path / ".nbflow" / "artifacts")
    assert (tmp_path / ".nbflow" / ".gitignore").read_text() == "*\n"


def test_the_password_is_for_the_server_only(connection: Connection) -> None:
    assert "postgres:***@" in connection.url
    with pytest.raises(
        nf.NbflowError, match=r"is not in the store postgresql\+psycopg://postgres:\*\*\*@/postgres"
    ):
        connection.row("arn:none")
    assert "secret" not in repr(vars(connection)) + repr(vars(connection.store))


def test_keys_lie_in_the_projects_folder_wherever_the_artifacts_are(tmp_path: Path, url: str) -> None:
    connection = nf.connect(url, artifacts=tmp_path / "values")
    assert not (tmp_path / ".nbflow").exists()
    keys = keys_in(file_beside(connection.url))
    assert keys_in(tmp_path / ".nbflow" / "credentials") == keys
    assert (tmp_path / ".nbflow" / ".gitignore").exists()


def test_an_answer_by_another_process_is_heard(connection: Connection, other: Connection) -> None:
    parameters = {"FunctionName": "ask", "Payload.$": "$$.Task.Token"}
    asking = {"Type": "Task", "Resource": CALLBACK, "Parameters": parameters, "End": True}
    machine = {"StartAt": "Ask", "States": {"Ask": asking}}
    run = nf.StateMachine(machine, tasks={"ask": leave}).start()
    send_task_success(other.service.desk, LEFT.get(timeout=10), '"yes"')
    assert run.result() == "yes"


def test_a_server_that_restarts_while_a_task_runs(
    postgres: Server, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    run = one(gated).start(gate="g")
    GATES.reached("g")
    postgres.stop()
    with caplog.at_level(logging.WARNING):
        GATES.open("g")
        with pytest.raises(nf.StoreError, match="work goes on when"):
            one(frame, "two").start()
    postgres.start()
    assert run.result() == {"gate": "g"}


def test_who_waits_while_the_server_restarts_goes_on_with_a_word(
    postgres: Server, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = queue.SimpleQueue[str]()
    monkeypatch.setattr(module, "say", said.put)
    run = one(gated).start(gate="g")
    GATES.reached("g")
    with ThreadPoolExecutor() as threads:
        watching = threads.submit(watch, run, Console(file=io.StringIO()))
        postgres.stop()
        try:
            assert "It is waited for" in said.get(timeout=10)
        finally:
            postgres.start()
            GATES.open("g")
        assert watching.result(20).status == "SUCCEEDED"
    assert run.result() == {"gate": "g"}
    assert said.empty()
