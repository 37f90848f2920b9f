"""The items in a value on the shelf: the rows of a DataFrame, of pandas or of Dask, or what iterating gives.

A DataFrame of pandas lies there as Parquet and is read in pieces, without its being loaded. One of Dask lies there as
what computes it: its partitions are computed and given one after the other.
"""

import re
import sys
from collections.abc import Generator, Iterator
from typing import Any, Final

from nbflow.artifacts.formats import FORMATS
from nbflow.artifacts.shelf import Artifact, Shelf, ShelfError
from nbflow.artifacts.values import NotJson
from nbflow.artifacts.values import plain as plain_json
from nbflow.language.values import Json
from nbflow.machine.distributed import Item
from nbflow.tasks.parsing import READER_FAILED, parquet_items, plain
from nbflow.tasks.places import ItemsFailed, failing

_ROWS: Final = 1024
"""Rows that are made at a time."""
_UNNAMED_INDEX: Final = re.compile(r"__index_level_\d+__")
"""How pandas calls an index without a name in Parquet."""


def shelved_items(artifact: Artifact, shelf: Shelf) -> Generator[Item, None, None]:
    """The items in a value on the shelf, one by one.

    A row is an object by the names of the columns, and of the index where it has a name; what JSON does not have is
    written out as for Parquet. Other values are iterated over, and give what JSON can hold. Raises ItemsFailed.
    """
    where = f"the {artifact.kind} {artifact.sha256[:12]}"
    with failing(READER_FAILED, where):
        try:
            for value in _values(artifact, shelf):
                yield Item(value)
        except (ShelfError, NotJson, TypeError) as error:
            raise ItemsFailed(READER_FAILED, f"{where}: {error}") from error


def _values(artifact: Artifact, shelf: Shelf) -> Iterator[Json]:
    if artifact.kind == "dataframe":
        with shelf.open(artifact) as file:
            for row in parquet_items(file):
                yield {name: value for name, value in row.items() if not _UNNAMED_INDEX.fullmatch(name)}
        return
    if artifact.kind not in FORMATS:
        raise TypeError("items are an array, an object or a DataFrame, and not a file")
    value = shelf.get(artifact)
    yield from (
        rows(value) if is_frame(value) else (plain_json(each, name="item") for each in _iterated(value))
    )


def _iterated(value: Any) -> Iterator[Any]:
    try:
        return iter(value)
    except TypeError:
        raise TypeError(
            f"items are an array, an object or a DataFrame, and not a {type(value).__name__}"
        ) from None


def is_frame(value: object) -> bool:
    """Whether the value is a DataFrame of pandas or Dask. Imports neither."""
    kinds = (getattr(sys.modules.get(name), "DataFrame", ()) for name in ("pandas", "dask.dataframe"))
    return isinstance(value, tuple(kind for kind in kinds if kind))


def rows(frame: Any) -> Iterator[Json]:
    """The rows of a DataFrame, as objects; partition by partition, if it has partitions."""
    if hasattr(frame, "npartitions"):
        for at in range(frame.npartitions):
            # On this thread: it may be a worker's, which must not wait for its own cluster.
            yield from rows(frame.partitions[at].compute(scheduler="synchronous"))
        return
    named = [name for name in frame.index.names if name is not None and name not in frame.columns]
    for at in range(0, len(frame), _ROWS):
        piece = frame.iloc[at : at + _ROWS]
        unnamed = [level for level, name in enumerate(piece.index.names) if name not in named]
        if len(unnamed) < piece.index.nlevels:
            piece = piece.reset_index(
                level=[level for level in range(piece.index.nlevels) if level not in unnamed]
            )
        yield from map(plain, piece.to_dict("records"))
