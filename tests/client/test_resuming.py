"""``nf.resume``: going on with executions that another process has left."""

import pytest

import nbflow as nf
from nbflow.client.connection import Connection
from tests.client.gates import GATES
from tests.client.machines import gated, one, waiting


def interrupted(connection: Connection, elsewhere: Connection, name: str, gate: str) -> str:
    """An execution that waits at a gate in a process that then is no more."""
    run = one(gated).start(gate=gate, execution_name=name)
    GATES.reached(gate)
    connection.store.release(connection.engine.id)
    return run.arn


def test_it_goes_on_here_with_the_code_of_then(
    connection: Connection, elsewhere: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(connection, elsewhere, "left", "a")
    monkeypatch.setattr("nbflow.client.resuming.current", lambda: elsewhere)
    [run] = nf.resume()
    assert (run.name, run.connection) == ("left", elsewhere)
    GATES.open("a")
    assert run.result() == {"gate": "a"}
    assert nf.resume() == []


def test_one_is_chosen_by_its_name(
    connection: Connection, elsewhere: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        interrupted(connection, elsewhere, name, name)
    monkeypatch.setattr("nbflow.client.resuming.current", lambda: elsewhere)
    assert [run.name for run in nf.resume("two")] == ["two"]
    with pytest.raises(nf.NbflowError, match="two was not interrupted: it is run by this process"):
        nf.resume("two")
    assert [row.name for row in elsewhere.service.interrupted()] == ["one"]


def test_what_was_not_interrupted_is_told_apart(connection: Connection, elsewhere: Connection) -> None:
    theirs = waiting().start(execution_name="theirs")
    over = waiting().start(execution_name="over")
    over.stop()
    with pytest.raises(nf.NbflowError, match="over was not interrupted: it is ABORTED"):
        nf.resume("over")
    with pytest.raises(nf.NbflowError, match="theirs was not interrupted: it is run by this process"):
        nf.resume("theirs")
    assert theirs.status == "RUNNING"


def test_what_is_missing_here_is_said_and_nothing_is_changed(
    connection: Connection,
    elsewhere: Connection,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arn = interrupted(connection, elsewhere, "left", "a")
    row = elsewhere.row(arn)
    monkeypatch.setattr("nbflow.tasks.function.PYTHON", "3.99")
    monkeypatch.setattr("nbflow.client.resuming.current", lambda: elsewhere)
    with pytest.raises(
        nf.NbflowError, match=r"left cannot go on in this process: task 'gated' was pickled by Py"
    ):
        nf.resume("left")
    assert nf.resume() == []
    assert "left cannot go on in this process: task 'gated' was pickled by Python" in capsys.readouterr().err
    assert elsewhere.row(arn) == row


def test_a_new_connection_says_what_was_interrupted(
    connection: Connection, elsewhere: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    nf.connect(connection.url)
    assert "interrupted" not in capsys.readouterr().err
    store = nf.connect(connection.url).store
    waiting().start(execution_name="left")
    nf.disconnect()
    capsys.readouterr()
    nf.connect(connection.url)
    said = capsys.readouterr().err
    assert "1 execution is interrupted (the process has ended): left. nf.resume() goes on with it;" in said
    assert store is not None
