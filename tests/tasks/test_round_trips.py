"""What pandas, pyarrow and a ResultWriter have written is read as items equal to the rows, whatever is in them."""

import datetime as dt
import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbflow.language.values import Json
from nbflow.tasks.reading import read_items
from nbflow.tasks.writing import write_results
from tests.tasks.test_writing import MAP_RUN, child

GET = "arn:aws:states:::s3:getObject"

anything = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def folder() -> Iterator[Path]:
    """One for all examples of a test: each writes its file anew."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def items(path: Path, kind: str, **more: Json) -> list[Json]:
    parameters = {"Uri": str(path), **more}
    with closing(read_items(GET, parameters, {"InputType": kind})) as found:
        return [item.value for item in found]


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def rows_of(columns: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.fixed_dictionaries(columns), min_size=1, max_size=8)


# --- text


FIELDS = st.text(st.characters(codec="utf-8", exclude_characters="\\\r\0"), max_size=8)
"""A backslash is read as an escape (AWS guide, "How Step Functions parses input CSV files"), and a line may end by CR."""


@anything
@given(rows_of({"a": FIELDS, "b,": FIELDS, "c": FIELDS}))
def test_csv_of_pandas(folder: Path, rows: list[dict[str, str]]) -> None:
    pd.DataFrame(rows).to_csv(folder / "x.csv", index=False, lineterminator="\n")
    found = items(folder / "x.csv", "CSV")
    assert found == rows


@anything
@given(
    rows_of(
        {
            "n": st.none() | st.integers(-(2**53), 2**53),
            "t": TEXT,
            "yes": st.booleans(),
            "l": st.lists(NUMBERS, max_size=3),
        }
    )
)
def test_json_of_pandas(folder: Path, rows: list[dict[str, Any]]) -> None:
    frame = pd.DataFrame(rows, dtype=object)
    frame.to_json(folder / "x.json", orient="records")
    frame.to_json(folder / "x.jsonl", orient="records", lines=True)
    assert items(folder / "x.json", "JSON") == items(folder / "x.jsonl", "JSONL") == rows


# --- Parquet


def iso(value: dt.datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


UTC_TIMES = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1), timezones=st.just(dt.UTC))
TYPES: list[tuple[Any, st.SearchStrategy[Any], Callable[[Any], Json]]] = [
    (pa.int64(), NUMBERS, int),
    (pa.uint64(), st.integers(0, 2**64 - 1), int),
    (pa.int8(), st.integers(-128, 127), int),
    (pa.float64(), FLOATS, float),
    (pa.float64(), st.sampled_from([float("nan"), float("inf")]), lambda value: None),
    (pa.bool_(), st.booleans(), bool),
    (pa.string(), TEXT, str),
    (pa.date32(), st.dates(), dt.date.isoformat),
    (pa.time64("us"), st.times(), dt.time.isoformat),
    (pa.timestamp("us"), st.datetimes(), iso),
    (pa.timestamp("us", "UTC"), UTC_TIMES, iso),
    (pa.decimal128(12, 3), st.decimals(-(10**8), 10**8, places=3), lambda value: float(value)),
    (pa.decimal128(30, 0), st.integers(-(10**29), 10**29).map(Decimal), int),
    (pa.binary(), TEXT.map(str.encode), bytes.decode),
    (pa.list_(pa.int64()), st.lists(NUMBERS, max_size=3), list),
    (pa.struct([("x", pa.date32())]), st.fixed_dictionaries({"x": st.dates()}), lambda value: {"x": value["x"].isoformat()}),
    (pa.dictionary(pa.int32(), pa.string()), TEXT, str),
]  # fmt: skip


@anything
@given(st.data())
def test_parquet_of_pyarrow(folder: Path, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=5))
    number = data.draw(st.integers(1, 6))
    columns = [
        data.draw(st.lists(st.none() | values, min_size=number, max_size=number)) for _, values, _ in chosen
    ]
    arrays = [pa.array(column, each[0]) for column, each in zip(columns, chosen, strict=True)]
    names = [f"c{place}" for place in range(len(chosen))]
    table = pa.table(dict(zip(names, arrays, strict=True)))
    pyarrow.parquet.write_table(table, folder / "x.parquet", row_group_size=data.draw(st.integers(1, 3)))
    expected = [
        {
            name: None if column[row] is None else each[2](column[row])
            for name, column, each in zip(names, columns, chosen, strict=True)
        }
        for row in range(number)
    ]
    assert items(folder / "x.parquet", "PARQUET") == expected


@anything
@given(rows_of({"n": NUMBERS, "f": FLOATS, "t": st.none() | TEXT, "at": st.dates()}))
def test_parquet_of_pandas(folder: Path, rows: list[dict[str, Any]]) -> None:
    pd.DataFrame(rows).to_parquet(folder / "x.parquet")
    assert items(folder / "x.parquet", "PARQUET") == [{**row, "at": row["at"].isoformat()} for row in rows]


# --- SQL


@anything
@given(
    rows_of(
        {
            "n": NUMBERS,
            "f": FLOATS,
            "t": st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
        }
    )
)
def test_sql_of_pandas(folder: Path, rows: list[dict[str, Any]]) -> None:
    with closing(sqlite3.connect(folder / "x.sqlite")) as database:
        pd.DataFrame(rows, dtype=object).to_sql("x", database, if_exists="replace")
    uri = f"sqlite:///{folder}/x.sqlite"
    parameters = {"Uri": uri, "Query": 'SELECT n, f, t FROM x ORDER BY "index"'}
    with closing(read_items(GET, parameters, {"InputType": "SQL"})) as found:
        assert [item.value for item in found] == rows


# --- what a ResultWriter wrote

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | FLOATS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@anything
@given(st.lists(VALUES, min_size=1, max_size=6), st.sampled_from(["JSON", "JSONL"]))
def test_results_as_text(folder: Path, results: list[Json], kind: str) -> None:
    children = [child(str(number), output=result) for number, result in enumerate(results)]
    config = {"Transformation": "COMPACT", "OutputType": kind}
    output = write_results({"Uri": str(folder)}, config, MAP_RUN, children)
    manifest = json.loads(Path(output["ResultWriterDetails"]["Uri"]).read_text(encoding="utf-8"))
    [file] = manifest["ResultFiles"]["SUCCEEDED"]
    assert items(file["Uri"], kind) == results
