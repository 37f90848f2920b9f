"""The contract suite runs over every store there is; another database joins with one line of FACTORIES."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from nbflow.store.port import Store
from nbflow.store.sql import open_store

Factory = Callable[[Path], Store]

FACTORIES: Final[dict[str, Factory]] = {
    "sqlite": lambda folder: open_store(f"sqlite:///{folder / 'store.db'}"),
}


@pytest.fixture(params=list(FACTORIES.values()), ids=list(FACTORIES), scope="session")
def factory(request: pytest.FixtureRequest) -> Factory:
    """Opens the store of a folder; the same folder is the same store."""
    made: Factory = request.param
    return made


@pytest.fixture
def store(factory: Factory, tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = factory(tmp_path)
    yield opened
    opened.close()
