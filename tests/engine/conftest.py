"""Desks, and floors for the tests of Map Runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.floor import Floor
from tests.engine.test_engine import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.engine.close()
    desk.store.close()


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    floor = Floor(tmp_path)
    yield floor
    floor.engine.close()
    floor.store.close()


@pytest.fixture
def holding(tmp_path: Path) -> Iterator[Floor]:
    """A floor whose tasks wait until the test releases them."""
    floor = Floor(tmp_path, hold=True)
    yield floor
    floor.engine.close()
    floor.store.close()
