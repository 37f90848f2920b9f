"""The contract suite runs over every store there is; another database joins with one line of URLS."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from nbflow.store.port import Store
from nbflow.store.sql import open_store
from tests.postgres import Server, missing

collect_ignore = [] if missing() is None else ["test_postgres.py"]  # it imports the driver

Factory = Callable[[Path], Store]

URLS: Final[dict[str, Callable[[pytest.FixtureRequest], Callable[[Path], str]]]] = {
    "sqlite": lambda request: lambda folder: f"sqlite:///{folder / 'store.db'}",
    "postgresql": lambda request: server(request).schema,
}
"""The URL of the store of a folder."""


def server(request: pytest.FixtureRequest) -> Server:
    made: Server = request.getfixturevalue("postgres")
    return made


@pytest.fixture(params=list(URLS.values()), ids=list(URLS), scope="session")
def factory(request: pytest.FixtureRequest) -> Factory:
    """Opens the store of a folder; the same folder is the same store."""
    url = request.param(request)
    return lambda folder: open_store(url(folder))


@pytest.fixture
def store(factory: Factory, tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = factory(tmp_path)
    yield opened
    opened.close()
