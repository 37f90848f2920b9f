"""What people see of a value without loading it: its type, dtypes and first cells, as small JSON."""

import math
import reprlib
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from nbflow.language.values import Json

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ROWS: Final = 5
COLUMNS: Final = 20
CHARACTERS: Final = 100

_short: Final = reprlib.Repr()
_short.maxother = _short.maxstring = CHARACTERS


def type_name(value: object) -> str:
    """The name of a value's type as people know it, such as ``pandas.DataFrame``."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    public = getattr(sys.modules.get(package), kind.__qualname__, None) is kind
    module = package if public else kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def of_frame(frame: "pd.DataFrame", kind: str) -> Json:
    """The first rows and columns; ``kind`` names the type of the value that they stand for."""
    head = frame.iloc[:ROWS, :COLUMNS]
    return {
        "type": kind,
        "columns": _texts(head.columns),
        "dtypes": _texts(head.dtypes),
        "index": _texts(head.index),
        "head": [
            [_cell(head.iat[row, column]) for column in range(head.shape[1])] for row in range(len(head))
        ],
    }


def of_array(array: "np.ndarray[Any, Any]") -> Json:
    """The shape and the first elements in C order."""
    head = [_cell(value) for value in array.flat[:ROWS]]
    return {"type": type_name(array), "dtype": str(array.dtype), "shape": list(array.shape), "head": head}


def of_object(value: object) -> Json:
    """The representation, cut short; one that fails (it is the user's code) is left out by reprlib."""
    short = value[:CHARACTERS] if isinstance(value, bytes | bytearray) else value
    return {"type": type_name(value), "text": _cut(_short.repr(short))}


def _texts(values: Iterable[object]) -> list[str]:
    return [_cut(str(value)) for value in values]


def _cell(value: Any) -> Json:
    plain = value.item() if getattr(value, "ndim", None) == 0 else value  # a numpy scalar
    if plain is None or isinstance(plain, bool):
        return plain
    if isinstance(plain, float):
        return plain if math.isfinite(plain) else None
    if isinstance(plain, int) and plain.bit_length() < 64:
        return int(plain)
    if hasattr(plain, "isoformat"):
        return str(plain.isoformat())
    return _cut(plain if isinstance(plain, str) else _short.repr(plain))


def _cut(text: str) -> str:
    """Short, and such that UTF-8 can hold it (a lone surrogate cannot be encoded)."""
    short = text if len(text) <= CHARACTERS else text[: CHARACTERS - 1] + "…"
    return short.encode(errors="replace").decode()
