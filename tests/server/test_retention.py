"""A server deletes what is old, every hour."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import nbflow as nf
from nbflow.client.connection import Connection
from nbflow.server.retention import PERIOD, check, keep_house, kept
from nbflow.store.port import StoreError


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    yield nf.connect(f"sqlite:///{tmp_path}/nbflow.sqlite")
    nf.disconnect()


def run() -> None:
    nf.StateMachine({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}, name="m").run()


class Hours(threading.Event):
    """Instead of waiting for an hour, does something, until there is nothing more to do."""

    def __init__(self, *between: Callable[[], object]) -> None:
        super().__init__()
        self._between = list(between)

    def wait(self, timeout: float | None = None) -> bool:
        if timeout == PERIOD:
            if not self._between:
                return True
            self._between.pop(0)()
        return self.is_set()


def test_at_once_and_every_hour(connection: Connection) -> None:
    run()
    left: list[int] = []
    keep_house(connection, "0s", None, Hours(lambda: left.append(len(nf.executions())), run))
    assert left == [0]
    assert nf.executions() == []


def test_by_count(connection: Connection) -> None:
    for _ in range(3):
        run()
    keep_house(connection, None, 1, Hours())
    assert len(nf.executions()) == 1


def test_what_the_store_refuses_waits_for_the_next_hour(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> tuple[int, int]:
        raise StoreError("The store is locked.")

    run()
    dispose = connection.store.dispose
    monkeypatch.setattr(connection.store, "dispose", refuse)
    with caplog.at_level(logging.WARNING):
        keep_house(
            connection, "0s", None, Hours(lambda: monkeypatch.setattr(connection.store, "dispose", dispose))
        )
    assert caplog.messages == ["The store is locked. Old executions stay until the next hour."]
    assert nf.executions() == []


def test_the_end_of_the_server_ends_it_in_the_middle(connection: Connection) -> None:
    run()
    ended = threading.Event()
    ended.set()
    keep_house(connection, "0s", None, ended)  # one transaction, and no waiting


def test_within_a_server(connection: Connection) -> None:
    threads = threading.active_count()
    with kept(connection, None, None):
        assert threading.active_count() == threads
    with kept(connection, "90d", None):
        pass
    assert threading.active_count() == threads


def test_mistakes() -> None:
    check(None)
    check("90d")
    with pytest.raises(nf.NbflowError, match="'90' is no age"):
        check("90")
