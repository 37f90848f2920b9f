"""The rows that a query gives, as items: InputType SQL, which is nbflow's own (AWS has none).

``Parameters`` are ``{"Uri": SQLAlchemy's URL, "Query": "SELECT …", "Bind": {…}}``. The rows are taken as they come from
the database, which is told that nothing is to be changed. Whatever is said of it leaves out the password.
"""

import os
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import URL, Connection, TextClause, bindparam, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from nbflow.language.values import Json
from nbflow.tasks.parsing import plain
from nbflow.tasks.places import Unreadable

_ROWS: Final = 1000
"""Rows that are taken from the database at a time."""

_READ_ONLY: Final[Mapping[str, str]] = {
    "sqlite": "PRAGMA query_only = ON",
    "postgresql": "SET TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
}
"""What tells a database that nothing is to be changed. With any other, whatever is changed is rolled back."""


def query_rows(parameters: dict[str, Json]) -> Generator[Json, None, None]:
    """The rows, as objects by the names of the columns; values are as in Parquet's rows. Raises Unreadable."""
    url = _url(parameters)
    query = _query(parameters.get("Query"), parameters.get("Bind"))
    with _failing(url), _connected(url) as connection:
        bind = parameters.get("Bind") or {}
        result = connection.execute(query, bind, execution_options={"yield_per": _ROWS})
        if not result.returns_rows:
            raise Unreadable("the query gives no rows: items are what a SELECT gives")
        columns = [str(name) for name in result.keys()]  # noqa: SIM118  # no dict
        for several in result.partitions():
            for row in several:
                yield dict(zip(columns, map(plain, row), strict=True))


def address_of(parameters: dict[str, Json]) -> str:
    """Where the rows are, for people: the URL without its password and its options, among which there may be others."""
    try:
        return _shown(_url(parameters))
    except Unreadable:
        return "SQL"


def _url(parameters: dict[str, Json]) -> URL:
    uri = parameters.get("Uri")
    try:
        if isinstance(uri, str) and uri:
            return make_url(uri)
    except (ArgumentError, ValueError):  # it must not be shown: it may hold a password
        raise Unreadable("the Uri is no database URL, such as postgresql+psycopg://user@host/db") from None
    raise Unreadable("the parameters name no database: give Uri and Query")


def _query(query: Json, bind: Json) -> TextClause:
    if not isinstance(query, str) or not query.strip():
        raise Unreadable("the parameters have no Query: give the text of a SELECT")
    if not isinstance(bind, dict | None):
        raise Unreadable(
            'Bind is an object with the values of the :names in the Query, such as {"year": 2013}'
        )
    lists: list[Any] = [
        bindparam(name, expanding=True) for name, value in (bind or {}).items() if isinstance(value, list)
    ]
    try:
        return text(query).bindparams(*lists)
    except ArgumentError as error:
        raise Unreadable(str(error)) from error


@contextmanager
def _connected(url: URL) -> Iterator[Connection]:
    backend = url.get_backend_name()
    options: dict[str, Any] = {}
    if backend == "sqlite":
        _check_file(url)
        options = {"connect_args": {"check_same_thread": False}}  # each read may be on another thread
    engine = create_engine(url, poolclass=NullPool, **options)
    if told := _READ_ONLY.get(backend):

        @event.listens_for(engine, "begin")
        def _read_only(connection: Connection) -> None:
            connection.exec_driver_sql(told)

    with engine.connect() as connection:
        yield connection


def _check_file(url: URL) -> None:
    """SQLite would make a database that is not there."""
    file = url.database
    if file and file != ":memory:" and not file.startswith("file:") and not os.path.exists(file):
        raise Unreadable("there is no such file")


@contextmanager
def _failing(url: URL) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise Unreadable(_without_secrets(f"{type(error.orig).__name__}: {error.orig}", url)) from None
    except SQLAlchemyError as error:
        raise Unreadable(_without_secrets(str(error.args[0] if error.args else error), url)) from None
    except (Unreadable, ImportError):
        raise
    except Exception as error:  # noqa: BLE001  # of a driver
        raise Unreadable(_without_secrets(f"{type(error).__name__}: {error}", url)) from None


_SECRET: Final = re.compile("pass|pwd|secret|token|key|odbc_connect", re.IGNORECASE)
"""In the name of an option of a URL whose value nobody is to see."""


def _without_secrets(words: str, url: URL) -> str:
    options = [value for name, value in url.query.items() if _SECRET.search(name)]
    for value in [url.password, *options]:
        for secret in value if isinstance(value, tuple) else (value,):
            words = words.replace(str(secret), "***") if secret else words
    return words


def _shown(url: URL) -> str:
    return url.set(query={}).render_as_string(hide_password=True)
