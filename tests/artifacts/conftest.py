"""A shelf in an empty folder, with a cache of live objects of its own."""

from pathlib import Path

import pytest

import nbflow.artifacts.shelf
from nbflow.artifacts.shelf import Cache, Shelf


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Cache:
    """The cache of this test."""
    cache = Cache(2**20)
    monkeypatch.setattr(nbflow.artifacts.shelf, "live", cache)
    return cache


@pytest.fixture
def shelf(tmp_path: Path, live: Cache) -> Shelf:
    """An empty shelf."""
    return Shelf(str(tmp_path / "shelf"))


@pytest.fixture
def forget(monkeypatch: pytest.MonkeyPatch, live: Cache) -> None:
    """Nothing stays in memory: what is got was read from its file."""
    monkeypatch.setattr(nbflow.artifacts.shelf, "live", Cache(0))
