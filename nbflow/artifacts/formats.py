"""How each kind of value is written to a file and read back: a table, :data:`FORMATS`.

A round trip must be exact, and Parquet often is not: it turns ``datetime64[s]`` into ``[ms]``, forgets the
frequency of an index, makes integers of an object column that holds integers, arrays of tuples, … So a
DataFrame is read back when it is written and compared. Where anything differs it is pickled instead, which
pandas guarantees to be exact. Reading costs an eighth of writing, and what was read is the private copy
that the cache needs.

A value that is held in memory must not change under its readers. So what is *kept* is never what anybody
else holds: a frame or array of our own, or the bytes of a pickle; and each reader gets a *fresh* value,
made from it by a copy (a tenth of the cost of reading) or by unpickling, or lent (:mod:`.lending`).
"""

import json
import pickle
import platform
import sys
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

from nbflow.artifacts import lending, preview
from nbflow.errors import NbflowError
from nbflow.language.values import Json

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


LARGEST: Final = 64 * 2**20
"""What takes more bytes of memory is kept by Dask workers only, and an array nowhere: it need not be a private copy."""


class Unpicklable(NbflowError):
    """The value cannot be stored at all; says its type and why."""


class Unfit(Exception):
    """This format would not give the value back as it was. The shelf then pickles it."""


@dataclass(frozen=True, slots=True)
class Format:
    """How one kind is written, read, kept in memory and handed out."""

    suffix: str
    write: Callable[[Any, str], Any]
    """Writes a value to the file at a path; answers what to keep. Raises Unfit, Unpicklable or OSError."""
    read: Callable[[IO[bytes]], Any]
    """Reads what to keep from an open file."""
    fresh: Callable[[Any], Any]
    """A value of the reader's own, from what is kept."""
    size: Callable[[Any], int]
    """The bytes of memory of what is kept."""
    seal: Callable[[Any], int | None] = lambda kept: None
    """A checksum of what is kept, if it is lent; None: each reader has memory of its own."""


@dataclass(frozen=True, slots=True)
class Description:
    """What can be said of a value without its content: see the fields of ``Artifact``."""

    kind: str
    rows: int | None
    columns: int | None
    preview: Json


def _is(value: object, module: str, name: str) -> bool:
    """Whether the value is exactly of this type (a subclass may carry more). Imports nothing."""
    return type(value) is getattr(sys.modules.get(module), name, None)


def describe(value: Any) -> Description:
    """The kind in which a value should be written, and what people and expressions see of it."""
    if _is(value, "pandas", "DataFrame"):
        return Description(
            "dataframe", len(value), value.shape[1], preview.of_frame(value, preview.type_name(value))
        )
    if _is(value, "pandas", "Series"):
        shown = preview.of_frame(value.head().to_frame(), preview.type_name(value))
        return Description("series", len(value), None, shown)
    if _is(value, "numpy", "ndarray"):
        rows = value.shape[0] if value.ndim else None
        columns = value.shape[1] if value.ndim == 2 else None
        return Description("ndarray", rows, columns, preview.of_array(value))
    return Description("pickle", None, None, preview.of_object(value))


def versions(value: object) -> dict[str, str]:
    """What a pickle of the value depends on: Python, the package of its type, what commonly lies inside."""
    package = type(value).__module__.partition(".")[0]
    return versions_of(["python", "cloudpickle", "numpy", "pandas", package])


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """The versions of those packages that are loaded and have one (``__main__`` has none)."""
    loaded = {name: getattr(sys.modules.get(name), "__version__", None) for name in packages}
    loaded["python"] = platform.python_version()
    return {name: str(version) for name, version in loaded.items() if version is not None}


def _write_frame(frame: "pd.DataFrame", path: str) -> "pd.DataFrame":
    import pandas as pd
    import pyarrow

    if not all(isinstance(label, str) for label in frame.columns):
        raise Unfit  # Parquet's column names are strings
    columns = (
        [frame.iloc[:, at] for at in range(frame.shape[1])] + _levels(frame.index) + _levels(frame.columns)
    )
    cells = [column for column in columns if pd.api.types.is_object_dtype(column.dtype)]
    if not all(set(map(type, column)) <= {str, type(None)} for column in cells):
        raise Unfit  # other objects are refused, or changed where == does not tell
    try:
        frame.to_parquet(path, engine="pyarrow", use_dictionary=_not_numbers(frame))
        # not from the path: Arrow makes columns of folders that are named like ``year=2013``
        with open(path, "rb") as file:
            back = _read_frame(file)
    except (ValueError, TypeError, NotImplementedError, OverflowError, pyarrow.ArrowException) as error:
        raise Unfit from error
    if not _identical(frame, back):
        raise Unfit
    return back


def _not_numbers(frame: "pd.DataFrame") -> list[str]:
    """The columns for which Parquet is to look for a dictionary: of numbers and times, that takes half of the time of
    writing, and it seldom finds one.
    """
    return [str(name) for name, dtype in frame.dtypes.items() if getattr(dtype, "kind", "O") not in "biufcmM"]


def _identical(left: "pd.DataFrame", right: "pd.DataFrame") -> bool:
    return bool(
        left.equals(right)
        and all(map(_same_dtype, left.dtypes, right.dtypes))
        and _same_labels(left.index, right.index)
        and _same_labels(left.columns, right.columns)
        and left.attrs == right.attrs
        and left.flags == right.flags
    )


def _same_labels(left: "pd.Index[Any]", right: "pd.Index[Any]") -> bool:
    """Values, names, frequency, and (which pandas does not compare) the class and each level's dtype."""
    dtypes = ([level.dtype for level in _levels(index)] for index in (left, right))
    return type(left) is type(right) and left.identical(right) and all(map(_same_dtype, *dtypes))


def _levels(index: "pd.Index[Any]") -> list[Any]:
    return list(getattr(index, "levels", [index]))


def _same_dtype(left: Any, right: Any) -> bool:
    """To pandas, unordered categories in another order are the same dtype."""
    equal = type(left) is type(right) and left == right
    return bool(equal and (not hasattr(left, "categories") or left.categories.identical(right.categories)))


def _read_frame(file: IO[bytes]) -> "pd.DataFrame":
    """As ``pandas.read_parquet``, which takes three times as long for a small table."""
    import pandas as pd
    import pyarrow.parquet

    table = pyarrow.parquet.ParquetFile(file).read()
    frame: pd.DataFrame = table.to_pandas()
    for name, dtype in frame.dtypes.items():
        if isinstance(dtype, pd.CategoricalDtype):  # the codes are Arrow's: nobody could write to them
            frame[name] = frame[name].copy()
    attributes = (table.schema.metadata or {}).get(b"PANDAS_ATTRS")  # where pandas puts them
    if attributes is not None:
        frame.attrs = json.loads(attributes)
    return frame


def _fresh_frame(frame: "pd.DataFrame") -> "pd.DataFrame":
    return frame.copy(deep=not lending.is_lent(frame))


def _frame_size(frame: "pd.DataFrame") -> int:
    return int(frame.memory_usage(deep=True).sum())


def _write_series(series: "pd.Series[Any]", path: str) -> "pd.DataFrame":
    """As a frame of one column; its name, which may be None or a number, lies in the frame's attributes."""
    frame = series.to_frame("values")
    frame.attrs = {"name": series.name, "attrs": series.attrs}
    return _write_frame(frame, path)


def _fresh_series(frame: "pd.DataFrame") -> "pd.Series[Any]":
    series = frame["values"].copy().rename(frame.attrs["name"])
    series.attrs = deepcopy(frame.attrs["attrs"])
    return series


def _write_array(array: "np.ndarray[Any, Any]", path: str) -> "np.ndarray[Any, Any]":
    import numpy as np

    if array.dtype.hasobject or array.dtype.metadata:
        raise Unfit
    with open(path, "wb") as file:
        try:
            np.save(file, array, allow_pickle=False)
        except ValueError as error:
            raise Unfit from error
    return array.copy("K") if array.nbytes <= LARGEST else array


def _read_array(file: IO[bytes]) -> "np.ndarray[Any, Any]":
    import numpy as np

    loaded: np.ndarray[Any, Any] = np.load(file, allow_pickle=False)
    return loaded


def _write_pickle(value: object, path: str) -> bytes:
    import cloudpickle  # ships no types

    try:
        content: bytes = cloudpickle.dumps(value)
    except Exception as error:  # the value's own code runs here, and may raise anything
        name = preview.type_name(value)
        raise Unpicklable(f"a {name}, which cannot be pickled ({type(error).__name__}: {error})") from error
    with open(path, "wb") as file:
        file.write(content)
    return content


FORMATS: Final = {
    "dataframe": Format(".parquet", _write_frame, _read_frame, _fresh_frame, _frame_size, lending.seal),
    "series": Format(".parquet", _write_series, _read_frame, _fresh_series, _frame_size),
    "ndarray": Format(
        ".npy", _write_array, _read_array, lambda array: array.copy("K"), lambda array: array.nbytes
    ),
    "pickle": Format(".pickle", _write_pickle, lambda file: file.read(), pickle.loads, len),
}
"""The kinds that hold Python values. Any other kind is a file, such as an executed notebook."""
