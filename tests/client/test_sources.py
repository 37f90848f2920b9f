"""Flows over files, queries and DataFrames: an execution gives what the function gives, and writes what it would."""

import sqlite3
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import nbflow as nf
from nbflow.language.values import Json


@nf.task(on="local")
def price(order: dict[str, Any]) -> dict[str, Any]:
    return {"id": int(order["id"]), "total": int(order["pieces"]) * 1.5}


@nf.task(on="local")
def price_all(orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [price(order) for order in orders]


@nf.task(on="local")
def count(orders: list[Any]) -> int:
    return len(orders)


@nf.task(on="local")
def total(prices: list[dict[str, float]]) -> float:
    return sum(each["total"] for each in prices)


@nf.task(on="local")
def name_of(path: str) -> str:
    return Path(path).name


@nf.task(on="local")
def load(number: int) -> Any:
    return pd.DataFrame({"id": range(number), "pieces": range(number)})


@nf.task(on="local")
def load_in_parts(number: int) -> Any:
    frames: Any = import_module("dask.dataframe")
    return frames.from_pandas(load(number), npartitions=2)


@nf.flow
def over_csv(place: str) -> Any:
    return nf.map(price, nf.csv(place), express=True)


@nf.flow
def over_rows() -> Any:
    return [price(row) for row in nf.csv("in/*.csv", limit=3)]


@nf.flow
def over_query(least: int) -> Any:
    query = "SELECT id, pieces FROM orders WHERE pieces >= :least ORDER BY id"
    return nf.map(count, nf.sql("sqlite:///in/shop.sqlite", query, {"least": least}), express=True, batch=4)


@nf.flow
def over_parquet(limit: int) -> Any:
    return nf.map(price, nf.parquet("in/orders.parquet", limit=limit))


@nf.flow
def over_files() -> Any:
    return nf.map(name_of, nf.files("in/*"), express=True)


@nf.flow
def over_frame(number: int) -> Any:
    frame = load(number)
    return nf.map(price, frame, distributed=True, express=True)


@nf.flow
def over_parts(number: int) -> Any:
    return nf.map(price, load_in_parts(number), distributed=True, express=True)


@nf.flow
def over_some(number: int) -> Any:
    frame = load(number)
    return nf.map(price, frame[frame["id"] > 0], distributed=True, express=True)


@nf.flow
def over_a_variable() -> Any:
    rows = nf.csv("in/*.csv")
    return nf.map(price, rows, distributed=True, express=True), nf.map(price, rows)


@nf.flow
def one_after_the_other() -> Any:
    written = nf.map(price, nf.csv("in/*.csv"), express=True, write_to=nf.parquet("out"))
    results = written["ResultWriterDetails"]["Uri"].replace("manifest.json", "SUCCEEDED_*.parquet")
    return nf.map(total, nf.parquet(results), express=True, batch=6)


@nf.flow
def to_parquet(folder: str) -> Any:
    return nf.map(price_all, nf.csv("in/*.csv"), express=True, batch=4, write_to=nf.parquet(folder))


@nf.flow
def to_lines() -> Any:
    written = nf.map(price, nf.csv("in/b.csv"), express=True, write_to="out")
    return written["ResultWriterDetails"]["Uri"]


@pytest.fixture(autouse=True)
def files(connection: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "here" / "in"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder.parent)
    orders = pd.DataFrame({"id": range(6), "pieces": range(6)})
    orders.head(4).to_csv(folder / "a.csv", index=False)
    orders.tail(2).to_csv(folder / "b.csv", index=False)
    orders.to_parquet(folder / "orders.parquet")
    with closing(sqlite3.connect(folder / "shop.sqlite")) as database:
        orders.to_sql("orders", database, index=False)


@pytest.mark.parametrize(
    ("flow", "given"),
    [
        (over_csv, {"place": "in/*.csv"}),
        (over_rows, {}),
        (over_query, {"least": 1}),
        (over_parquet, {"limit": 2}),
        (over_files, {}),
        (over_frame, {"number": 3}),
        (over_parts, {"number": 3}),
        (over_some, {"number": 3}),
    ],
)
def test_an_execution_gives_what_the_function_gives(flow: Any, given: dict[str, Json]) -> None:
    found = flow.run(**given)
    assert found == flow.function(**given)
    assert found


def test_a_source_in_a_variable() -> None:
    assert over_a_variable.run() == [*map(list, over_a_variable.function())]


def test_results_are_a_source() -> None:
    assert one_after_the_other.run() == [22.5]


def test_paths_are_those_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = over_query.start(least=0)
    monkeypatch.chdir(tmp_path)
    assert run.result() == [4, 2]


def test_results_become_parquet() -> None:
    output: Any = to_parquet.run(folder="out")
    folder = Path(output["ResultWriterDetails"]["Uri"]).parent
    assert folder.parent == Path("out").resolve()
    frame = pd.read_parquet(folder / "SUCCEEDED_0.parquet")
    assert frame.to_dict("list") == {"id": [0, 1, 2, 3, 4, 5], "total": [0.0, 1.5, 3.0, 4.5, 6.0, 7.5]}


def test_results_become_lines() -> None:
    lines = Path(str(to_lines.run())).with_name("SUCCEEDED_0.jsonl").read_text()
    assert lines == '{"id":4,"total":6.0}\n{"id":5,"total":7.5}\n'


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(
        nf.ExecutionFailed, match=r"States.ItemReaderFailed: .*here/in/\*.txt: no file matches"
    ):
        over_csv.run(place="in/*.txt")
