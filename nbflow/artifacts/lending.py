"""Frames that are lent: a reader gets the memory of what is kept, and no copy of it.

From pandas 3 on that is safe for whoever works by way of pandas: what is written to a copy is copied then. It does not
hold who goes behind its back (``series.array[0] = …``). So what is lent has a *seal*, a checksum of its data: if it is
broken, the stored copy is read again, and nobody else sees what was done.
"""

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pandas as pd

SMALL: Final = 2**20
"""Bytes: what takes no more memory is copied at once."""


def is_lent(frame: "pd.DataFrame") -> bool:
    """Whether readers share its memory: it is worth it, and all of its columns can be sealed."""
    import pandas as pd

    lazy = int(pd.__version__.partition(".")[0]) >= 3
    return lazy and frame.memory_usage().sum() > SMALL and all(map(_kind, frame.dtypes))


def seal(frame: "pd.DataFrame") -> int | None:
    """The checksum of its data; None if it is not lent. Some 3 GB/s."""
    import numpy as np

    if not is_lent(frame):
        return None
    sum = 0
    for at, dtype in enumerate(frame.dtypes):
        if (data := _DATA[_kind(dtype)](frame.iloc[:, at])) is not None:
            sum = zlib.crc32(np.ascontiguousarray(data).data, sum)
    return sum


def _kind(dtype: Any) -> str:
    """How the data of a column are found; empty: not at all."""
    import numpy as np
    import pandas as pd

    if isinstance(dtype, np.dtype):
        return "times" if dtype.kind in "mM" else "numbers" if dtype.kind in "biufc" else ""
    if isinstance(dtype, pd.ArrowDtype) or getattr(dtype, "storage", "") == "pyarrow":
        return "arrow"
    if isinstance(dtype, pd.DatetimeTZDtype):
        return "times"
    return "codes" if isinstance(dtype, pd.CategoricalDtype) else ""


_DATA: Final[dict[str, Callable[[Any], Any]]] = {
    "numbers": lambda column: column.to_numpy(),
    "times": lambda column: column.array.view("i8"),
    "codes": lambda column: column.array.codes,
    "arrow": lambda column: None,  # they never change
}
