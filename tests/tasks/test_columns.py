"""Results as Parquet: any rows that have columns, equal when they are read again; a word for those that have not."""

import json
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbflow.language.values import Json
from nbflow.tasks import columns
from nbflow.tasks.places import ItemsFailed
from nbflow.tasks.reading import read_items
from nbflow.tasks.writing import ChildResult, write_results
from tests.tasks.test_writing import MAP_RUN, SOME, UUID, child

GET = "arn:aws:states:::s3:getObject"
PARQUET = {"Transformation": "COMPACT", "OutputType": "PARQUET"}


def written(rows: list[Json], folder: Path, **config: Json) -> dict[str, Json]:
    """The manifest of these results."""
    children = [child(f"n{number}", output=row) for number, row in enumerate(rows)]
    details = write_results({"Uri": str(folder)}, {**PARQUET, **config}, MAP_RUN, children)[
        "ResultWriterDetails"
    ]
    manifest: dict[str, Json] = json.loads(Path(details["Uri"]).read_text(encoding="utf-8"))
    return manifest


def files(manifest: Json, group: str = "SUCCEEDED") -> list[str]:
    found = [file["Uri"] for file in manifest["ResultFiles"][group]]
    assert [file["Size"] for file in manifest["ResultFiles"][group]] == [
        Path(file).stat().st_size for file in found
    ]
    return found


def items(paths: list[str]) -> list[Json]:
    found: list[Json] = []
    for path in paths:
        found += [item.value for item in read_items(GET, {"Uri": path}, {"InputType": "PARQUET"})]
    return found


def cause_of(rows: list[Json], folder: Path, **config: Json) -> str:
    with pytest.raises(ItemsFailed) as failed:
        written(rows, folder, **config)
    assert failed.value.error == "States.ResultWriterFailed"
    assert not list(folder.rglob("*"))
    return failed.value.cause


def test_a_row_of_objects_is_a_row_of_columns(tmp_path: Path) -> None:
    manifest = written([{"id": 1, "name": "Ann"}, {"id": 2.5, "tags": ["a"]}, {}], tmp_path)
    [path] = files(manifest)
    assert Path(path).name == "SUCCEEDED_0.parquet"
    frame = pd.read_parquet(path)
    assert list(frame.columns) == ["id", "name", "tags"]
    assert items([path]) == [
        {"id": 1.0, "name": "Ann", "tags": None},
        {"id": 2.5, "name": None, "tags": ["a"]},
        {"id": None, "name": None, "tags": None},
    ]
    assert {path.name for path in (tmp_path / UUID).iterdir()} == {"SUCCEEDED_0.parquet", "manifest.json"}


def test_descriptions_are_rows(tmp_path: Path) -> None:
    output = write_results({"Uri": str(tmp_path)}, {"OutputType": "PARQUET"}, MAP_RUN, SOME)
    manifest = json.loads(Path(output["ResultWriterDetails"]["Uri"]).read_text(encoding="utf-8"))
    [succeeded] = items(files(manifest))[:1]
    assert (succeeded["Output"], succeeded["InputDetails"]) == (
        "[1,2]".replace(",", ", "),
        {"Included": True},
    )
    assert [row["Error"] for row in items(files(manifest, "FAILED"))] == ["Oh", "States.Timeout", None]
    assert [row["Status"] for row in items(files(manifest, "PENDING"))] == ["PENDING"]


def test_elements_are_rows(tmp_path: Path) -> None:
    manifest = written([[{"a": 1}, {"a": 2}], {"a": 3}, []], tmp_path, Transformation="FLATTEN")
    assert items(files(manifest)) == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_results_in_s3(s3: Any, bucket: str) -> None:
    parameters = {"Bucket": bucket, "Prefix": "out"}
    write_results(parameters, PARQUET, MAP_RUN, [child("a", output={"n": 1})])
    key = f"out/{UUID}/SUCCEEDED_0.parquet"
    assert s3.head_object(Bucket=bucket, Key=key)["ContentType"] == "application/vnd.apache.parquet"
    read = read_items(GET, {"Bucket": bucket, "Key": key}, {"InputType": "PARQUET"}, s3=s3)
    assert [item.value for item in read] == [{"n": 1}]


def test_results_anywhere(tmp_path: Path) -> None:
    import fsspec

    write_results({"Uri": "memory://results"}, PARQUET, MAP_RUN, [child("a", output={"n": 1})])
    with fsspec.open(f"memory://results/{UUID}/SUCCEEDED_0.parquet") as file:
        assert pyarrow.parquet.read_table(file).to_pylist() == [{"n": 1}]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"a": 1}, 5], "row 2 is a whole number, and Parquet has columns: return objects, or write JSONL"),
        ([{"a": 1}, None], "row 2 is null, and Parquet has columns"),
        ([[{"a": 1}]], "row 1 is a list"),
        ([{}, {}], "the row has empty objects only"),
        ([{"a": 1}, {"a": None}, {"a": "x"}], "row 3: column a is a text, and a whole number in rows before it"),
        ([{"a": True}, {"a": 1}], "row 2: column a is a whole number, and true or false in rows before it"),
        ([{"a": {"b": [{"c": 1.5}]}}, {"a": {"b": [{"c": []}]}}], "row 2: column a.b.[].c is a list, and a number"),
        ([{"a": [1, "x"]}], "row 1: column a.[] is a text, and a whole number in rows before it"),
        ([{"a": 2**64}], "row 1: column a has whole numbers of more than 64 bits"),
        ([{"a": 2**63}, {"a": -1}], "row 2: column a has whole numbers of more than 64 bits"),
        ([{"a": 2**53 + 1}, {"a": 0.5}], "row 2: column a has both fractions and whole numbers that are too large"),
        ([{"a": {}}, {"a": {}}], "column a has empty objects only, and Parquet has no type for them"),
        ([{"a": "\ud800"}], "row 1 holds a text that is no Unicode"),
    ],
)  # fmt: skip
def test_what_has_no_columns_is_said_with_its_row(rows: list[Json], said: str, tmp_path: Path) -> None:
    cause = cause_of(rows, tmp_path)
    assert said in cause
    assert str(tmp_path) in cause


def test_numbers_are_exact(tmp_path: Path) -> None:
    rows = [{"a": 2**63 - 1, "b": 2**64 - 1, "c": -(2**63), "d": 2**53}, {"a": 0, "b": 0, "c": 0, "d": 0.5}]
    assert items(files(written(rows, tmp_path))) == rows


def test_a_file_that_would_become_too_large_is_followed_by_another(tmp_path: Path) -> None:
    results = [child(f"n{n}", output={"n": n, "text": f"{n:090}"}) for n in range(100)]
    write_results({"Uri": str(tmp_path)}, PARQUET, MAP_RUN, results, largest=2500)
    found = [
        tmp_path / UUID / f"SUCCEEDED_{n}.parquet" for n in range(len(list((tmp_path / UUID).iterdir())) - 1)
    ]
    assert len(found) > 2
    assert [row["n"] for row in items([str(path) for path in found])] == [*range(100)]


def test_rows_are_written_group_by_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_ROWS", 2)
    [path] = files(written([{"n": n} for n in range(5)], tmp_path))
    file = pyarrow.parquet.ParquetFile(path)
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [2, 2, 1]


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_TEXT", 2**18)

    def results(number: int) -> Iterator[ChildResult]:
        for n in range(number):
            yield child(str(n), output={"n": n, "text": "x" * 1000})

    tracemalloc.start()
    try:
        write_results({"Uri": str(tmp_path)}, PARQUET, MAP_RUN, results(8_000))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 3 * 2**20  # of 8 MB of text


# --- any rows

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5)
LEAVES = [
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=10),
]


def shaped(depth: int) -> st.SearchStrategy[st.SearchStrategy[Json]]:
    """Strategies of values of one shape each; any of them may be null."""
    leaves = st.sampled_from(LEAVES).map(lambda leaf: st.none() | leaf)
    if depth == 0:
        return leaves
    inner = shaped(depth - 1)
    lists = inner.map(lambda each: st.none() | st.lists(each, max_size=3))
    objects = st.dictionaries(NAMES, inner, min_size=1, max_size=3).map(
        lambda members: st.none() | st.fixed_dictionaries(members)
    )
    return leaves | lists | objects


ROWS = st.dictionaries(NAMES, shaped(2), min_size=1, max_size=4).flatmap(
    lambda members: st.lists(st.fixed_dictionaries(members), min_size=1, max_size=6)
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(ROWS)
def test_what_is_written_is_read(rows: list[Json]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = files(written(rows, Path(folder)))
        assert items(paths) == rows
        assert pyarrow.parquet.read_table(paths).to_pylist() == rows
        assert len(pd.read_parquet(paths[0])) == len(rows)
