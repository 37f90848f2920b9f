"""``nf.serve_activity``: executions whose tasks a worker does, in this process and over HTTP."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbflow as nf
from nbflow.client.connection import Connection
from nbflow.server.app import make_app, signed_with
from nbflow.server.environment import url_of, variables
from nbflow.server.keys import file_beside, keys_in
from nbflow.service.arns import activity_arn
from tests.server.support import KEYS, server

ARN = activity_arn("price")


@nf.task
def price(item: str, count: int = 1) -> dict[str, Any]:
    return {"item": item, "price": len(item) * count}


@nf.task(on=ARN, heartbeat=60, timeout=90, retry=nf.Retry("Closed", interval=0))
def quote(item: str, count: int) -> dict[str, Any]:
    """The price, by whoever knows it."""
    raise AssertionError("it is done by the activity's workers")


@nf.flow
def quotes(items: list[str]):  # type: ignore[no-untyped-def]
    found = [quote(item, 2) for item in items]
    return sum(each["price"] for each in found)


@pytest.fixture(autouse=True)
def connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Connection:
    for name in ("NBFLOW_URL", *variables("", KEYS)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    return nf.connect(f"sqlite:///{tmp_path / 'nbflow.sqlite'}")


@pytest.fixture
def url(connection: Connection) -> Iterator[str]:
    """A server of this process's connection, with the keys beside its store."""
    keys = keys_in(file_beside(connection.url))
    with server(make_app(connection.service.call, signed_with(keys))) as port:
        yield url_of("127.0.0.1", port)


def machine(**fields: Any) -> nf.StateMachine:
    state = {"Type": "Task", "Resource": ARN, "End": True, **fields}
    return nf.StateMachine({"StartAt": "Price", "States": {"Price": state}}, name="priced")


def test_a_worker_of_this_process_needs_no_server(connection: Connection) -> None:
    nf.boto3_client().create_activity(name="price")
    run = machine().start({"item": "pear"})  # before there is any worker
    with nf.serve_activity("price", price, name="me") as worker:
        assert run.result() == {"item": "pear", "price": 4}
        assert run.history()[3]["activityStartedEventDetails"] == {"workerName": "me"}
        assert worker.activity == ARN
    assert repr(worker) == (
        f"<nbflow worker me of activity price in the store {connection.url}: stopped; 1 done, 0 failed>"
    )


def test_a_worker_of_a_server(url: str) -> None:
    with nf.serve_activity(ARN, lambda input: input["item"].upper(), url=url) as worker:
        assert machine().run({"item": "pear"}) == "PEAR"
        assert f"of activity price at {url}: " in repr(worker)


def test_the_failure_of_a_worker_is_the_steps() -> None:
    with nf.serve_activity("price", price):
        run = machine().start({"cost": 1}).wait()
    assert (run.status, run.error) == ("FAILED", "TypeError")
    assert "unexpected keyword argument 'cost'" in run.explain()


def test_a_stopped_execution_takes_its_task_back(capsys: pytest.CaptureFixture[str]) -> None:
    begun, stopped = threading.Event(), threading.Event()

    def slow(_: object) -> None:
        begun.set()
        assert stopped.wait(30)

    with nf.serve_activity("price", slow) as worker:
        run = machine().start({})
        assert begun.wait(30)
        run.stop("Enough")
        run.wait()
        stopped.set()
    assert (worker.done, worker.late) == (0, 1)
    assert "a task of price: the result came too late, and nobody has it" in capsys.readouterr().err


def test_a_worker_ends_with_its_connection(capsys: pytest.CaptureFixture[str]) -> None:
    worker = nf.serve_activity("price", price)
    nf.disconnect()
    with pytest.raises(nf.NbflowError, match="is closed"):
        worker.wait()
    assert "nbflow: the worker of price has ended: the connection to" in capsys.readouterr().err


def test_a_task_of_a_flow_may_be_an_activitys() -> None:
    failed = set()

    @nf.task
    def work(item: str, count: int) -> dict[str, Any]:
        if item not in failed:
            failed.add(item)
            raise nf.Fail("Closed", "come back")
        return price(item, count)

    with nf.serve_activity("price", work):
        run = quotes.start(items=["fig", "pear"])
        assert run.result() == 2 * (3 + 4)
        assert [attempt["error"] for attempt in run["quote"][1].attempts] == ["Closed", None]


def test_a_bad_name_is_refused_at_once() -> None:
    with pytest.raises(nf.NbflowError, match="Invalid Name: 'a b'"):
        nf.serve_activity("a b", price)
