"""The office of each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nbflow.service import stopping
from tests.service.support import Office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path)
    yield office
    office.close()


@pytest.fixture
def stuck(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first process runs executions, and does not hear what others tell it."""
    monkeypatch.setattr(office.engine, "heed", lambda: None)
    monkeypatch.setattr(stopping, "PATIENCE", 0.0)
