"""Frames that are handed out without a copy."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from nbflow.artifacts import lending
from nbflow.artifacts.shelf import Artifact, Cache, Shelf

ROWS = 10
COLUMNS: dict[str, Any] = {
    "floats": np.arange(float(ROWS)),
    "integers": np.arange(ROWS, dtype="int16"),
    "truths": np.arange(ROWS) % 3 == 0,
    "times": pd.date_range("2024-01-01", periods=ROWS).as_unit("us"),
    "times elsewhere": pd.date_range("2024-01-01", periods=ROWS, tz="Europe/Berlin").as_unit("us"),
    "durations": pd.to_timedelta(np.arange(ROWS), unit="s"),
    "categories": pd.Categorical(list("abcde" * 2)),
    "texts": list("abcdefghij"),
    "nullable": pd.array([1, 2, *[None] * 8], dtype="Int64"),
    "perhaps true": pd.array([True, False, *[None] * 8], dtype="boolean"),
    "periods": pd.period_range("2024-01", periods=ROWS, freq="M"),
}


@pytest.fixture(autouse=True)
def _nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lending, "ROWS", 1)


def got(shelf: Shelf, artifact: Artifact) -> Any:
    """As a task is given it."""
    return shelf.get(artifact)


@pytest.mark.parametrize("name", COLUMNS)
def test_what_a_reader_writes_no_other_sees(shelf: Shelf, name: str) -> None:
    frame = pd.DataFrame({"x": COLUMNS[name], "y": COLUMNS[name]})
    artifact = shelf.put(frame)
    assert artifact.kind == "dataframe"
    first = got(shelf, artifact)
    assert lending.seal(first) is not None
    first.iloc[0, 0] = first.iloc[1, 0]
    first["z"] = 1
    pd.testing.assert_frame_equal(got(shelf, artifact), frame)


@pytest.mark.parametrize("name", COLUMNS)
def test_nor_what_it_writes_behind_the_back_of_pandas(shelf: Shelf, name: str) -> None:
    frame = pd.DataFrame({"x": COLUMNS[name]})
    artifact = shelf.put(frame)
    first = got(shelf, artifact)
    array = first["x"].array
    array[0], array[1] = array[1], array[0]
    pd.testing.assert_frame_equal(got(shelf, artifact), frame)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_reader_can_write_to_what_is_kept_no_more(shelf: Shelf, live: Cache, name: str) -> None:
    artifact = shelf.put(pd.DataFrame({"x": COLUMNS[name]}))
    live.forget(np.inf)
    for _ in range(2):  # as it was read, and as it was kept
        frame = got(shelf, artifact)
        live.forget(np.inf)
        frame.iloc[0, 0] = frame.iloc[1, 0]
        assert frame.iloc[0, 0] == frame.iloc[1, 0]


def test_no_memory_is_copied(shelf: Shelf) -> None:
    artifact = shelf.put(pd.DataFrame({"x": COLUMNS["floats"]}))
    first, second = (np.asarray(got(shelf, artifact)["x"]) for _ in range(2))
    assert np.shares_memory(first, second)


def test_what_cannot_be_sealed_is_copied(shelf: Shelf) -> None:
    intervals = pd.interval_range(0, ROWS)
    assert lending.seal(pd.DataFrame({"x": intervals, "y": COLUMNS["floats"]})) is None


def test_what_is_small_is_copied(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lending, "ROWS", ROWS + 1)
    assert lending.seal(pd.DataFrame({"x": COLUMNS["floats"]})) is None


def test_what_was_spoilt_meanwhile_is_not_kept(shelf: Shelf, live: Cache) -> None:
    """A reader that has found a broken seal does not drop what another one has just read."""
    artifact = shelf.put(pd.DataFrame({"x": COLUMNS["floats"]}))
    got(shelf, artifact)["x"].array[0] = 99.0
    assert live.get(artifact) is None
    assert live.is_empty
    assert got(shelf, artifact)["x"][0] == 0.0
    assert live.get(artifact) is not None


def test_before_pandas_3_everything_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pd, "__version__", "2.3.1")
    assert lending.seal(pd.DataFrame({"x": COLUMNS["floats"]})) is None
