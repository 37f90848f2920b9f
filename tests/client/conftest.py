"""A connection to a store of the test's own, in the test's own folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import nbflow as nf
from nbflow.client.connection import Connection
from tests.client.gates import GATES


@pytest.fixture
def connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """The default connection of the test; disconnected after it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NBFLOW_URL", raising=False)
    return nf.connect(f"sqlite:///{tmp_path / 'nbflow.sqlite'}")


@pytest.fixture
def elsewhere(connection: Connection) -> Iterator[Connection]:
    """Another process on the same store, for what the store knows."""
    other = Connection(connection.url)
    yield other
    other.close()


@pytest.fixture(autouse=True)
def _gates() -> Iterator[None]:
    """Whatever a test has left waiting is let through."""
    yield
    GATES.open_all()
