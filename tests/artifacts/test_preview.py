"""A preview is small, is JSON, and never fails."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nbflow.artifacts import preview
from nbflow.artifacts.formats import describe
from nbflow.language.values import Json


class Silent:
    """A value that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


@dataclass(frozen=True)
class Case:
    id: str
    value: Any
    shown: Json


CASES = [
    Case(
        "frame",
        pd.DataFrame({"i": [1, 2], "f": [0.5, np.nan], "s": ["x" * 200, None]}, index=pd.Index(["a", "b"])),
        {
            "type": "pandas.DataFrame",
            "columns": ["i", "f", "s"],
            "dtypes": ["int64", "float64", str(pd.Series(["x"]).dtype)],
            "index": ["a", "b"],
            "head": [[1, 0.5, "x" * 99 + "…"], [2, None, None]],
        },
    ),
    Case(
        "odd cells",
        pd.DataFrame({0: [pd.Timestamp(2013, 1, 1), np.array([1, 2]), 2**70, True, "\ud800"]}, dtype=object),
        {
            "type": "pandas.DataFrame",
            "columns": ["0"],
            "dtypes": ["object"],
            "index": ["0", "1", "2", "3", "4"],
            "head": [["2013-01-01T00:00:00"], ["array([1, 2])"], [str(2**70)], [True], ["?"]],
        },
    ),
    Case(
        "series",
        pd.Series([1.5], name="delay"),
        {
            "type": "pandas.Series",
            "columns": ["delay"],
            "dtypes": ["float64"],
            "index": ["0"],
            "head": [[1.5]],
        },
    ),
    Case(
        "array",
        np.arange(12.0).reshape(3, 4),
        {"type": "numpy.ndarray", "dtype": "float64", "shape": [3, 4], "head": [0.0, 1.0, 2.0, 3.0, 4.0]},
    ),
    Case(
        "array without dimensions",
        np.array(1),
        {"type": "numpy.ndarray", "dtype": "int64", "shape": [], "head": [1]},
    ),
    Case("object", {3: "x"}, {"type": "dict", "text": "{3: 'x'}"}),
    Case("large object", b"x" * 10_000_000, {"type": "bytes", "text": f"b'{'x' * 46}...{'x' * 48}'"}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_preview(case: Case) -> None:
    assert describe(case.value).preview == case.shown


def test_a_preview_is_small() -> None:
    frame = pd.DataFrame({f"column {n}": ["x" * 1000] * 1000 for n in range(100)})
    shown = describe(frame).preview
    assert len(shown["head"]) == preview.ROWS
    assert len(shown["columns"]) == preview.COLUMNS
    assert len(json.dumps(shown)) < 20_000


def test_a_value_that_cannot_be_shown_is_named() -> None:
    assert "Silent instance" in describe(Silent()).preview["text"]


@pytest.mark.parametrize(
    ("value", "name"), [(1, "int"), (pd.Timestamp(0), "pandas.Timestamp"), (Silent(), f"{__name__}.Silent")]
)
def test_type_name(value: object, name: str) -> None:
    assert preview.type_name(value) == name
