"""``nf.csv``, ``nf.jsonl``, ``nf.json``, ``nf.parquet``, ``nf.sql`` and ``nf.files``: where items come from.

As the second argument of ``nf.map`` in a flow, a source is the ItemReader of a Distributed Map: its items never are in
the memory of the flow. As plain Python it is an iterable, which reads the same items when it is iterated over.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from nbflow.errors import NbflowError
from nbflow.language.values import Json

Place: TypeAlias = str | os.PathLike[str]

_GET: Final = "arn:aws:states:::s3:getObject"
_LIST: Final = "arn:aws:states:::s3:listObjectsV2"
_DELIMITERS: Final = {",": "COMMA", "|": "PIPE", ";": "SEMICOLON", " ": "SPACE", "\t": "TAB"}


@dataclass(frozen=True, slots=True)
class Source:
    """What an ItemReader reads (ASL, "Reading Items"). Iterated over, it reads: raises ItemsFailed."""

    resource: str
    parameters: dict[str, Json]
    config: dict[str, Json]
    member: str = ""
    """The member of what is read that is the item; "" if all of it is."""

    @property
    def reader(self) -> dict[str, Json]:
        """The ItemReader, in JSONata."""
        config = {"ReaderConfig": self.config} if self.config else {}
        return {"Resource": self.resource, **config, "Arguments": self.parameters}

    def __iter__(self) -> Iterator[Any]:
        from nbflow.tasks.places import located
        from nbflow.tasks.reading import read_items

        parameters = located(self.parameters, os.getcwd())
        with closing(read_items(self.resource, parameters, self.config)) as items:
            for item in items:
                yield item.value[self.member] if self.member else item.value


def files(place: Place, *, limit: int | None = None) -> Source:
    """The files that a path, glob or URL of fsspec names, or those in a folder and below it: their addresses.

    For a task that opens the file itself. In S3, ``place`` is what the addresses begin with, or a glob. ``limit``: how
    many at most.
    """
    return Source(_LIST, {"Uri": _text(place, "files")}, _limited({}, limit), "Key")


def csv(
    place: Place, *, header: Sequence[str] | None = None, delimiter: str = ",", limit: int | None = None
) -> Source:
    """The rows of CSV files, as objects of strings: a path, a glob, a URL of fsspec or ``s3://``.

    ``header``: the names of the columns, if they are not in the first row. ``delimiter``: one of ``, | ;``, a space or
    a tab. ``limit``: how many rows at most.
    """
    if not isinstance(delimiter, str) or delimiter not in _DELIMITERS:
        raise NbflowError(
            f"nf.csv(delimiter=…) is one of {', '.join(map(repr, _DELIMITERS))}, not {delimiter!r}"
        )
    config: dict[str, Json] = {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}
    if header is not None:
        if isinstance(header, str) or not all(isinstance(each, str) for each in header):
            raise NbflowError(f"nf.csv(header=…) is a list of the columns' names, not {header!r}")
        config |= {"CSVHeaderLocation": "GIVEN", "CSVHeaders": list(header)}
    if delimiter != ",":
        config["CSVDelimiter"] = _DELIMITERS[delimiter]
    return Source(_GET, _object(place, "csv"), _limited(config, limit))


def jsonl(place: Place, *, limit: int | None = None) -> Source:
    """The values of JSON Lines files, one a line. ``place`` and ``limit`` are as of :func:`csv`."""
    return Source(_GET, _object(place, "jsonl"), _limited({"InputType": "JSONL"}, limit))


def json(place: Place, *, pointer: str | None = None, limit: int | None = None) -> Source:
    """The elements of the array in a JSON file, or of the one that ``pointer`` leads to (``"/shop/orders"``, RFC 6901).

    Of an object that it leads to, the values. ``place`` and ``limit`` are as of :func:`csv`.
    """
    if pointer is not None and not (isinstance(pointer, str) and pointer[:1] in ("", "/")):
        raise NbflowError(f"nf.json(pointer=…) is a JSON pointer, such as '/shop/orders', not {pointer!r}")
    config: dict[str, Json] = {"InputType": "JSON"}
    if pointer is not None:
        config["ItemsPointer"] = pointer
    return Source(_GET, _object(place, "json"), _limited(config, limit))


def parquet(place: Place, *, limit: int | None = None) -> Source:
    """The rows of Parquet files, as objects. ``place`` and ``limit`` are as of :func:`csv`."""
    return Source(_GET, _object(place, "parquet"), _limited({"InputType": "PARQUET"}, limit))


def sql(url: str, query: str, bind: Mapping[str, Any] | None = None, *, limit: int | None = None) -> Source:
    """The rows that a query gives, as objects: ``nf.sql(url, "SELECT … WHERE year = :year", {"year": 2013})``.

    ``url`` is SQLAlchemy's; nothing is changed there. ``bind``: the values of the ``:names`` in it; a list is for
    ``IN :names``. ``limit``: how many rows at most.
    """
    parameters: dict[str, Json] = {"Uri": _text(url, "sql"), "Query": _text(query, "sql")}
    if bind is not None:
        parameters["Bind"] = dict(bind) if isinstance(bind, Mapping) else bind
    return Source(_GET, parameters, _limited({"InputType": "SQL"}, limit))


WORDS: Final = (files, csv, jsonl, json, parquet, sql)


def _object(place: Place, word: str) -> dict[str, Json]:
    """Bucket and Key, as AWS has them, of one object in S3; else a Uri."""
    uri = _text(place, word)
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if uri.startswith("s3://") and key and not any(sign in key for sign in "*?["):
        return {"Bucket": bucket, "Key": key}
    return {"Uri": uri}


def _text(place: object, word: str) -> str:
    if not isinstance(place, str | os.PathLike) or not os.fspath(place):
        raise NbflowError(f"nf.{word} takes a text, such as {_EXAMPLES[word]}, not {place!r}")
    return str(os.fspath(place))


_EXAMPLES: Final = {
    "sql": "nf.sql('sqlite:///shop.sqlite', 'SELECT * FROM orders')",
    **{word: f"nf.{word}('in/*.{word}')" for word in ("csv", "json", "jsonl", "parquet")},
    "files": "nf.files('in/*.csv')",
}


def _limited(config: dict[str, Json], limit: int | None) -> dict[str, Json]:
    if limit is None:
        return config
    if type(limit) is not int or limit < 1:
        raise NbflowError(f"limit= is a whole number of at least 1, not {limit!r}")
    return {**config, "MaxItems": limit}


# --- values


def mappable(value: Any) -> Any:
    """A value as the Items of a Distributed Map: a list, if it is neither a dict nor a DataFrame.

    For the pieces of a flow's text that compute them.
    """
    from nbflow.tasks.frames import is_frame

    return value if isinstance(value, dict | list) or is_frame(value) else list(value)


def items_of(value: Any) -> Iterable[Any]:
    """The items of a Distributed Map over a value: the rows of a DataFrame, the values of a dict."""
    from nbflow.tasks.frames import is_frame, rows

    if is_frame(value):
        return rows(value)
    found: Iterable[Any] = value.values() if isinstance(value, dict) else value
    return found
