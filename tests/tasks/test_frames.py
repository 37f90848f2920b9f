"""The items in values on the shelf."""

from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pytest

from nbflow.artifacts.shelf import Artifact, Shelf
from nbflow.language.values import Json
from nbflow.tasks.frames import shelved_items
from nbflow.tasks.places import ItemsFailed


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(str(tmp_path / "shelf"))


def items(value: Any, shelf: Shelf) -> list[Json]:
    return [item.value for item in shelved_items(shelf.put(value), shelf)]


@pytest.mark.parametrize(
    ("frame", "rows"),
    [
        (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), [{"a": 1, "b": "x"}, {"a": 2, "b": None}]),
        (pd.DataFrame({"a": [1, 2]}, index=[7, 9]), [{"a": 1}, {"a": 2}]),
        (pd.DataFrame({"a": [1.5, float("nan")]}, index=pd.Index(["p", "q"], name="key")), [{"a": 1.5, "key": "p"}, {"a": None, "key": "q"}]),
        (pd.DataFrame({"at": pd.to_datetime(["2024-01-02", "NaT"])}), [{"at": "2024-01-02T00:00:00"}, {"at": None}]),
        (pd.DataFrame({"a": []}), []),
    ],
)  # fmt: skip
def test_a_row_is_an_object(frame: pd.DataFrame, rows: list[Json], shelf: Shelf) -> None:
    assert items(frame, shelf) == rows


def test_a_frame_that_parquet_cannot_hold(shelf: Shelf) -> None:
    frame = pd.DataFrame(
        {"a": [(1, 2), "x", pd.NaT, pd.NA], 5: [1, None, 2, 3]}, index=pd.Index([3, 4, 5, 6], name="key")
    )
    assert shelf.put(frame).kind == "pickle"
    assert items(frame, shelf) == [
        {"key": 3, "a": [1, 2], "5": 1},
        {"key": 4, "a": "x", "5": None},
        {"key": 5, "a": None, "5": 2},
        {"key": 6, "a": None, "5": 3},
    ]


def test_rows_are_read_before_the_last_one_is(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = shelf.put(pd.DataFrame({"a": np.random.default_rng(1).random(2_000_000)}))
    opened: list[IO[bytes]] = []

    def noting(shelf: Shelf, found: Artifact) -> IO[bytes]:
        opened.append(shelf._open(found.file))
        return opened[0]

    monkeypatch.setattr(Shelf, "open", noting)
    source = shelved_items(artifact, shelf)
    next(source)
    assert opened[0].tell() < artifact.bytes / 2
    source.close()
    assert opened[0].closed


def test_the_partitions_of_a_dask_frame_are_computed_one_by_one(shelf: Shelf) -> None:
    import dask.dataframe as dd

    frame = dd.from_pandas(pd.DataFrame({"a": [1, 2, 3]}), npartitions=2)  # type: ignore[no-untyped-call]
    assert items(frame, shelf) == [{"a": 1}, {"a": 2}, {"a": 3}]


@pytest.mark.parametrize(
    ("value", "found"),
    [(np.arange(3), [0, 1, 2]), (pd.Series(["a", "b"]), ["a", "b"]), ({5}, [5]), (range(2), [0, 1])],
)
def test_other_values_are_iterated_over(value: Any, found: list[Json], shelf: Shelf) -> None:
    assert items(value, shelf) == found


@pytest.mark.parametrize(
    ("value", "said"),
    [(object(), "not a object"), ({1j}, "JSON cannot hold")],
)
def test_what_has_no_items_says_so(value: Any, said: str, shelf: Shelf) -> None:
    with pytest.raises(ItemsFailed, match=said) as failed:
        items(value, shelf)
    assert failed.value.error == "States.ItemReaderFailed"


def test_a_file_has_no_items(tmp_path: Path, shelf: Shelf) -> None:
    (tmp_path / "x.ipynb").write_text("{}")
    artifact = shelf.put_file(tmp_path / "x.ipynb", "notebook")
    with pytest.raises(ItemsFailed, match="and not a file"):
        list(shelved_items(artifact, shelf))
