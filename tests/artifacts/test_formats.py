"""A round trip is exact, from the file and from memory, and nobody's changes reach another."""

import datetime
import decimal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nbflow.artifacts.formats import Unpicklable, describe
from nbflow.artifacts.shelf import Shelf


def column(*values: object, dtype: Any = object) -> pd.DataFrame:
    return pd.DataFrame({"a": pd.Series(list(values), dtype=dtype)})


def with_attrs(value: Any, attrs: dict[Any, Any]) -> Any:
    value.attrs = attrs
    return value


class Frame(pd.DataFrame):
    """A subclass may carry what Parquet does not know."""


@dataclass(frozen=True)
class Case:
    id: str
    value: Any
    kind: str = "dataframe"


DAYS = pd.date_range("2013-01-01", periods=3)
PAIRS = pd.MultiIndex.from_product([["JFK", "LGA"], [1, 2]], names=["origin", None])
FRAMES = [
    Case("numbers", pd.DataFrame({"i": [1, 2], "f": [0.1, np.nan], "b": [True, False]})),
    Case("column order", pd.DataFrame({"z": [1], "a": [2], "m": [3]})),
    Case("small types", pd.DataFrame({"u": np.array([1], "u1"), "h": np.array([1.5], "f2")})),
    Case("strings", pd.DataFrame({"s": ["é", None, "x"]})),
    Case(
        "nullable",
        pd.DataFrame({"i": pd.array([1, None], dtype="Int64"), "s": pd.array(["x", None], "string")}),
    ),
    Case("named index", pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="key"))),
    Case("index named as a column", pd.DataFrame({"a": [1, 2]}, index=pd.Index([5, 6], name="a"))),
    Case("range index", pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(5, 9, 2, name="r"))),
    Case("multi index", pd.DataFrame({"a": [1, 2, 3, 4]}, index=PAIRS)),
    Case("categories", pd.DataFrame({"c": pd.Categorical(["y", "x"], categories=["z", "y", "x"])})),
    Case("ordered", pd.DataFrame({"c": pd.Categorical(["y"], categories=["z", "y"], ordered=True)})),
    Case("time zone", pd.DataFrame({"t": DAYS.tz_localize("America/New_York")})),
    Case("durations", pd.DataFrame({"d": pd.to_timedelta([1, 2], unit="ms")})),
    Case("no rows", pd.DataFrame({"a": [1], "s": ["x"]}).iloc[:0]),
    Case("attributes", with_attrs(pd.DataFrame({"a": [1]}), {"source": ["x", 1]})),
    Case("named columns", pd.DataFrame([[1, 2]], columns=pd.Index(["a", "b"], name="what"))),
    Case("no columns", pd.DataFrame(), "pickle"),
    Case("categories as columns", pd.DataFrame([[1, 2]], columns=pd.CategoricalIndex(["x", "y"])), "pickle"),
    Case("rows only", pd.DataFrame(index=[1, 2]), "pickle"),
    Case("mixed cells", column(1, "x", None), "pickle"),
    Case("integers as objects", column(1, 2), "pickle"),
    Case("tuples", column((1, 2), (3,)), "pickle"),
    Case("dates", column(datetime.date(2013, 1, 1)), "pickle"),
    Case("decimals", column(decimal.Decimal("1.0"), decimal.Decimal("2.25")), "pickle"),
    Case("None among strings", column("x", None, float("nan")), "pickle"),
    Case("seconds", pd.DataFrame({"t": DAYS.astype("datetime64[s]")}), "pickle"),
    Case("frequency", pd.DataFrame({"a": [1, 2, 3]}, index=DAYS), "pickle"),
    Case("integer categories", pd.DataFrame({"c": pd.Categorical([1], categories=[2, 1])}), "pickle"),
    Case("complex", pd.DataFrame({"c": [1j]}), "pickle"),
    Case("sparse", pd.DataFrame({"s": pd.arrays.SparseArray([0, 1])}), "pickle"),
    Case("duplicate columns", pd.DataFrame([[1, 2]], columns=["a", "a"]), "pickle"),
    Case("integer columns", pd.DataFrame([[1, 2]], columns=[0, 1]), "pickle"),
    Case("mixed columns", pd.DataFrame([[1, 2]], columns=[0, "a"]), "pickle"),
    Case(
        "multi columns",
        pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
        "pickle",
    ),
    Case("odd attributes", with_attrs(pd.DataFrame({"a": [1]}), {1: (2, 3)}), "pickle"),
    Case(
        "no duplicates allowed", pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False), "pickle"
    ),
    Case("subclass", Frame({"a": [1]}), "pickle"),
    Case("lone surrogate", pd.DataFrame({"s": pd.Series(["\ud800"], dtype=object)}), "pickle"),
]
SERIES = [
    Case("series", pd.Series([1.5, np.nan], name="delay"), "series"),
    Case("unnamed series", pd.Series([1, 2]), "series"),
    Case("series with a number for a name", pd.Series([1, 2], name=3), "series"),
    Case("series with index", pd.Series([1, 2, 3, 4], index=PAIRS, name="values"), "series"),
    Case("series with attributes", with_attrs(pd.Series(["x"], name="s"), {"unit": ["m"]}), "series"),
    Case("series with a tuple for a name", pd.Series([1], name=("a", 1)), "pickle"),
    Case("series of objects", pd.Series([1, "x", {2}]), "pickle"),
]
ARRAYS = [
    Case("vector", np.array([1, 2, 3], dtype=">i4"), "ndarray"),
    Case("matrix", np.asfortranarray(np.arange(6.0).reshape(2, 3)), "ndarray"),
    Case("scalar array", np.array(1.5), "ndarray"),
    Case("empty array", np.empty((0, 3)), "ndarray"),
    Case("times", np.array(["2013-01-01", "NaT"], dtype="datetime64[D]"), "ndarray"),
    Case("records", np.array([(1, 2.5)], dtype=[("i", "i8"), ("f", "f8")]), "ndarray"),
    Case("complex array", np.array([1j]), "ndarray"),
    Case("objects", np.array([1, "x", None], dtype=object), "pickle"),
    Case("strings of any length", np.array(["x", "yy"], dtype=np.dtypes.StringDType()), "pickle"),
    Case("masked", np.ma.masked_equal([1, 2], 2), "pickle"),
]


def assert_exact(left: Any, right: Any) -> None:
    """Equal in every respect that pandas, numpy or Python can tell."""
    assert type(left) is type(right)
    if isinstance(left, pd.DataFrame):
        pd.testing.assert_frame_equal(left, right, check_exact=True, check_column_type=True, check_freq=True)
        assert left.attrs == right.attrs
        assert left.flags == right.flags
        assert [[repr(cell) for cell in left.iloc[:, at]] for at in range(left.shape[1])] == [
            [repr(cell) for cell in right.iloc[:, at]] for at in range(right.shape[1])
        ]
        assert [repr(dtype) for dtype in left.dtypes] == [repr(dtype) for dtype in right.dtypes]
        assert (type(left.index), type(left.columns)) == (type(right.index), type(right.columns))
    elif isinstance(left, pd.Series):
        assert (left.name, left.attrs) == (right.name, right.attrs)
        assert_exact(left.to_frame("x"), right.to_frame("x"))
    else:
        assert (left.dtype, left.shape, left.flags.f_contiguous) == (
            right.dtype,
            right.shape,
            right.flags.f_contiguous,
        )
        assert repr(left) == repr(right)


CASES = FRAMES + SERIES + ARRAYS


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_round_trip_through_the_file(shelf: Shelf, forget: None, case: Case) -> None:
    artifact = shelf.put(case.value)
    assert artifact.kind == case.kind
    assert_exact(case.value, shelf.get(artifact))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_round_trip_through_memory(shelf: Shelf, case: Case) -> None:
    artifact = shelf.put(case.value)
    Path(shelf.path_of(artifact)).unlink()
    assert_exact(case.value, shelf.get(artifact))


def test_a_folder_named_like_a_partition_adds_no_column(tmp_path: Path, forget: None) -> None:
    shelf = Shelf(f"{tmp_path}/year=2013/shelf")
    artifact = shelf.put(pd.DataFrame({"a": [1]}))
    assert artifact.kind == "dataframe"
    assert_exact(pd.DataFrame({"a": [1]}), shelf.get(artifact))


@dataclass(frozen=True)
class Mutation:
    id: str
    make: Callable[[], Any]
    spoil: Callable[[Any], object]


def spoil_cell(frame: Any) -> None:
    frame.loc[0, "a"] = 99


def spoil_array(frame: Any) -> None:
    frame["a"].array[0] = 99


def spoil_names(frame: Any) -> None:
    frame.index.name, frame.columns.name = "i", "c"
    frame.attrs["list"].append(2)


def frame_with_attrs() -> Any:
    return with_attrs(pd.DataFrame({"a": [1, 2]}), {"list": [1]})


def spoil_first(values: Any) -> None:
    values[0] = 99


MUTATIONS = [
    Mutation("cell", frame_with_attrs, spoil_cell),
    Mutation("behind the back of pandas", frame_with_attrs, spoil_array),
    Mutation("names and attributes", frame_with_attrs, spoil_names),
    Mutation("series", lambda: pd.Series([1, 2], name="a"), spoil_first),
    Mutation(
        "series attributes", lambda: frame_with_attrs()["a"], lambda series: series.attrs["list"].append(2)
    ),
    Mutation("array", lambda: np.array([1, 2]), spoil_first),
    Mutation("object", lambda: {1: [1, 2]}, lambda value: value[1].append(3)),
]


@pytest.mark.parametrize("case", MUTATIONS, ids=lambda case: case.id)
def test_changes_do_not_reach_another(shelf: Shelf, case: Mutation) -> None:
    def shown(value: Any) -> str:
        return repr(
            (value, getattr(value, "attrs", None), getattr(getattr(value, "index", None), "name", None))
        )

    made = case.make()
    pristine = shown(case.make())
    artifact = shelf.put(made)
    case.spoil(made)
    first: Any = shelf.get(artifact)
    assert shown(first) == pristine
    case.spoil(first)
    assert shown(first) != pristine
    assert shown(shelf.get(artifact)) == pristine


def test_sizes_are_told_also_of_what_was_pickled(shelf: Shelf) -> None:
    frame = pd.DataFrame([[1, 2, 3]] * 4)
    artifact = shelf.put(frame)
    assert (artifact.kind, artifact.rows, artifact.columns) == ("pickle", 4, 3)
    sizes = [
        (about.rows, about.columns)
        for about in map(describe, (np.array(1), np.ones(3), np.ones((2, 5)), {1}))
    ]
    assert sizes == [(None, None), (3, None), (2, 5), (None, None)]


def test_what_cannot_be_pickled_is_named(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(Unpicklable, match=r"a _thread\.lock, which cannot be pickled \(TypeError: "):
        shelf.put(threading.Lock())
    assert list((tmp_path / "shelf").iterdir()) == []
