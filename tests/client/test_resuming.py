"""``nf.resume``: going on with executions that another process has left."""

import pytest

import nbflow as nf
from nbflow.client.connection import Connection
from nbflow.client.display import runs
from nbflow.client.listing import Executions
from tests.client.gates import GATES
from tests.client.machines import gated, one, waiting
from tests.client.test_display import printed


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


def test_what_is_interrupted_says_so_wherever_its_status_is_read(
    connection: Connection, elsewhere: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    lies = nf.Execution(interrupted(connection, elsewhere, "left", "a"), elsewhere)
    other = Connection(connection.url)
    monkeypatch.setattr("nbflow.client.machines.current", lambda: other)
    goes_on = nf.Execution(waiting().start(execution_name="goes-on").arn, elsewhere)
    both = Executions([lies, goes_on])
    asked: list[None] = []
    really = elsewhere.store.engines
    monkeypatch.setattr(elsewhere.store, "engines", lambda: asked.append(None) or really())  # type: ignore[func-returns-value]
    assert both.df()["status"].tolist() == ["RUNNING", "RUNNING"]
    assert len(asked) == 1
    assert both.df()["interrupted"].tolist() == [True, False]
    for text in (repr(both), both._repr_html_(), printed(runs(both))):
        assert text.count("RUNNING (interrupted)") == 1
        assert text.count("RUNNING") == 2
    assert (lies.status, lies.interrupted, goes_on.interrupted) == ("RUNNING", True, False)
    assert "RUNNING (interrupted)" in repr(lies)
    assert "RUNNING (interrupted)" in lies._repr_html_()
    assert "is interrupted: nf.resume('left') goes on with it" in lies.explain()
    assert "interrupted" not in repr(goes_on) + goes_on._repr_html_() + goes_on.explain()
    other.close()
