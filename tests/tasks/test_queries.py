"""The rows of a query as items: of SQLite, and of a PostgreSQL where types are richer."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy

from nbflow.language.values import Json
from nbflow.tasks.places import ItemsFailed, located
from nbflow.tasks.reading import read_items
from tests.postgres import Server

GET = "arn:aws:states:::s3:getObject"
SQL = {"InputType": "SQL"}


@pytest.fixture
def shop(tmp_path: Path) -> str:
    """The URL of a database with 3,000 orders."""
    frame = pd.DataFrame(
        {"id": range(3000), "name": ["Ann", None, "Bob"] * 1000, "price": [0.5, 1.5, None] * 1000}
    )
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as database:
        frame.to_sql("orders", database, index=False)
    return f"sqlite:///{tmp_path / 'shop.sqlite'}"


def rows(uri: str, query: str, bind: Json = None, **config: Json) -> list[Json]:
    parameters = {"Uri": uri, "Query": query, **({} if bind is None else {"Bind": bind})}
    with closing(read_items(GET, parameters, {**SQL, **config})) as items:
        return [item.value for item in items]


def cause_of(parameters: Json, resource: str = GET) -> str:
    with pytest.raises(ItemsFailed) as failed:
        list(read_items(resource, parameters, SQL))
    assert failed.value.error == "States.ItemReaderFailed"
    return failed.value.cause


def test_a_row_is_an_object_by_the_names_of_the_columns(shop: str) -> None:
    found = rows(shop, "SELECT id, name, price * 2 AS double FROM orders WHERE id < 3 ORDER BY id")
    assert found == [
        {"id": 0, "name": "Ann", "double": 1.0},
        {"id": 1, "name": None, "double": 3.0},
        {"id": 2, "name": "Bob", "double": None},
    ]


def test_values_are_bound(shop: str) -> None:
    query = "SELECT id FROM orders WHERE id IN :ids AND name = :name ORDER BY id"
    assert rows(shop, query, {"ids": [0, 1, 3, 5], "name": "Ann"}) == [{"id": 0}, {"id": 3}]
    assert rows(shop, "SELECT id FROM orders WHERE id IN :ids", {"ids": []}) == []


def test_no_more_rows_than_asked_for(shop: str) -> None:
    assert len(rows(shop, "SELECT id FROM orders", MaxItems=1500)) == 1500


def test_what_json_has_not_is_written_out_as_for_parquet(tmp_path: Path) -> None:
    query = "SELECT x'6869' AS text, x'ff' AS bytes, 9223372036854775807 AS big, 1e999 AS infinite, 'é' AS é"
    assert rows("sqlite://", query) == [
        {"text": "hi", "bytes": "/w==", "big": 2**63 - 1, "infinite": None, "é": "é"}
    ]


def test_an_item_knows_its_source_without_a_password(shop: str) -> None:
    [item] = read_items(GET, {"Uri": f"{shop}?timeout=5", "Query": "SELECT 1 AS one"}, SQL)
    assert (item.value, item.source) == ({"one": 1}, shop)


def test_rows_are_taken_as_they_are_asked_for_and_the_connection_is_closed(
    shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[int] = []
    closed: list[str] = []

    class Cursor(sqlite3.Cursor):
        def fetchmany(self, size: int | None = 1) -> list[Any]:
            found = super().fetchmany(size)
            fetched.append(len(found))
            return found

        def fetchall(self) -> list[Any]:
            raise AssertionError("the whole result")

    class Database(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def close(self) -> None:
            closed.append("closed")
            super().close()

    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3.dbapi2, "connect", lambda *args, **more: connect(*args, factory=Database, **more)
    )
    items = read_items(GET, {"Uri": shop, "Query": "SELECT * FROM orders"}, SQL)
    assert (fetched, closed) == ([], [])
    next(items)
    assert sum(fetched) <= 1001
    items.close()
    assert closed == ["closed"]


def test_each_read_may_be_on_another_thread(shop: str) -> None:
    items = read_items(GET, {"Uri": shop, "Query": "SELECT id FROM orders ORDER BY id"}, SQL)
    with ThreadPoolExecutor(1) as first:
        assert first.submit(next, items).result().value == {"id": 0}
    for _ in range(1500):
        next(items)
    items.close()
    assert threading.active_count() < 50


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM orders RETURNING id",
        "DELETE FROM orders",
        "CREATE TABLE t (n INTEGER)",
        "DROP TABLE orders",
    ],
)
def test_nothing_is_changed(shop: str, query: str) -> None:
    assert "attempt to write a readonly database" in cause_of({"Uri": shop, "Query": query})
    assert rows(shop, "SELECT count(*) AS n FROM orders") == [{"n": 3000}]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "SQL: the parameters name no database: give Uri and Query"),
        ({"Uri": "in/*.csv", "Query": "SELECT 1"}, "SQL: the Uri is no database URL"),
        ({"Uri": "user:secret@host/db", "Query": "SELECT 1"}, "SQL: the Uri is no database URL"),
        ({"Uri": "sqlite://"}, "sqlite://: the parameters have no Query"),
        ({"Uri": "sqlite://", "Query": "SELECT :a", "Bind": [1]}, "Bind is an object"),
        ({"Uri": "sqlite://", "Query": "SELECT 1", "Bind": {"a": [1]}}, "a"),
        ({"Uri": "sqlite://", "Query": "SELECT :a"}, "bind parameter 'a'"),
        ({"Uri": "sqlite://", "Query": "SELEC 1"}, 'OperationalError: near "SELEC": syntax error'),
        ({"Uri": "sqlite://", "Query": "SELECT :a", "Bind": {"a": {"b": 1}}}, "type 'dict' is not supported"),
        ({"Uri": "sqlite://", "Query": "PRAGMA query_only = ON"}, "the query gives no rows"),
        ({"Uri": "sqlite:////nowhere/x.sqlite", "Query": "SELECT 1"}, "there is no such file"),
        ({"Uri": "nosuch://host/db", "Query": "SELECT 1"}, "sqlalchemy.dialects:nosuch"),
        ({"Uri": "mysql+nosuch://host/db", "Query": "SELECT 1"}, "nosuch"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(parameters: Json, said: str) -> None:
    cause = cause_of(parameters)
    assert said in cause
    assert "secret" not in cause


def test_a_query_is_not_listed() -> None:
    resource = "arn:aws:states:::s3:listObjectsV2"
    assert "a query is not listed" in cause_of({"Uri": "sqlite://", "Query": "SELECT 1"}, resource)


@pytest.mark.parametrize("kind", [RuntimeError, sqlite3.OperationalError])
def test_no_password_is_said(kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **given: Any) -> Any:
        raise kind(f"no entry for {given}")

    uri = "postgresql+psycopg://ann:pa%40ss@127.0.0.1:1/shop?sslpassword=hidden&connect_timeout=1"
    monkeypatch.setattr(sqlalchemy.dialects.registry.load("postgresql.psycopg"), "connect", refuse)
    cause = cause_of({"Uri": uri, "Query": "SELECT 1"})
    assert cause.startswith("postgresql+psycopg://ann:***@127.0.0.1:1/shop: ")
    assert not [secret for secret in ("pa@ss", "pa%40ss", "hidden") if secret in cause]


def test_a_path_in_a_url_is_relative_to_the_run(tmp_path: Path) -> None:
    for uri, found in [
        ("sqlite:///a/b.sqlite?mode=ro", "sqlite:////home/a/b.sqlite?mode=ro"),
        ("sqlite+pysqlite:///b.sqlite", "sqlite+pysqlite:////home/b.sqlite"),
        ("sqlite:////b.sqlite", "sqlite:////b.sqlite"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///file:a?uri=true", "sqlite:///file:a?uri=true"),
        ("sqlite://", "sqlite://"),
        ("postgresql://host/a", "postgresql://host/a"),
    ]:
        assert located({"Uri": uri}, "/home") == {"Uri": found}


def test_the_types_of_postgresql(postgres: Server) -> None:
    postgres_url = postgres.url()
    query = (
        "SELECT 1.50::numeric AS exact, 7::numeric AS whole, 'NaN'::numeric AS nan, '2024-01-02'::date AS day, "
        "'2024-01-02T03:04:05Z'::timestamptz AT TIME ZONE 'UTC' AS at, '1 day'::interval AS took, "
        "'\\xff'::bytea AS bytes, '{\"a\": [1]}'::jsonb AS json, ARRAY[1, 2] AS list, true AS yes, "
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS id"
    )
    assert rows(postgres_url, query) == [
        {
            "exact": 1.5,
            "whole": 7,
            "nan": None,
            "day": "2024-01-02",
            "at": "2024-01-02T03:04:05",
            "took": 86400.0,
            "bytes": "/w==",
            "json": {"a": [1]},
            "list": [1, 2],
            "yes": True,
            "id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        }
    ]
    many = rows(postgres_url, "SELECT n FROM generate_series(1, 2500) AS n")
    assert [row["n"] for row in many] == [*range(1, 2501)]
    assert "read-only transaction" in cause_of({"Uri": postgres_url, "Query": "SELECT lo_create(0)"})
