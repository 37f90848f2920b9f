"""Frames that are lent: a reader gets the memory of what is kept, and no copy of it.

From pandas 3 on that is safe for whoever works by way of pandas: what is written to a copy is copied then. It does not
hold who goes behind its back (``series.array[0] = …``). So what is lent has a *seal*, a checksum of its data: if it is
broken, the stored copy is read again, and no later reader sees what was done. (One that has the frame at the same time,
on another thread of the process, may.)
"""

import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pandas as pd

ROWS: Final = 2**16
"""A frame of fewer is copied at once: to seal a column takes as long as to copy half a megabyte, whatever is in it."""


def is_lent(frame: "pd.DataFrame") -> bool:
    """Whether readers share its memory: it is worth it, and all of its columns can be sealed."""
    import pandas as pd

    lazy = int(pd.__version__.partition(".")[0]) >= 3
    return lazy and len(frame) >= ROWS and all(map(_kind, frame.dtypes))


def seal(frame: "pd.DataFrame") -> int | None:
    """The checksum of its data; None if it is not lent. Some 3 GB/s."""
    import numpy as np

    if not is_lent(frame):
        return None
    checksum = 0
    for at, dtype in enumerate(frame.dtypes):
        for data in _DATA[_kind(dtype)](frame.iloc[:, at]):
            checksum = zlib.crc32(np.ascontiguousarray(data).data, checksum)
    return checksum


def _kind(dtype: Any) -> str:
    """How the data of a column are found; empty: not at all."""
    import numpy as np
    import pandas as pd

    if isinstance(dtype, np.dtype):
        return "times" if dtype.kind in "mM" else "numbers" if dtype.kind in "biufc" else ""
    if isinstance(dtype, pd.ArrowDtype) or getattr(dtype, "storage", "") == "pyarrow":
        return "arrow"
    if isinstance(dtype, pd.DatetimeTZDtype | pd.PeriodDtype):
        return "times"
    if isinstance(dtype, pd.CategoricalDtype):
        return "codes"
    return "masked" if hasattr(dtype, "numpy_dtype") else ""


_DATA: Final[dict[str, Callable[[Any], Sequence[Any]]]] = {
    "numbers": lambda column: (column.to_numpy(),),
    "times": lambda column: (column.array.view("i8"),),
    "codes": lambda column: (column.array.codes,),
    "masked": lambda column: (
        column.array.to_numpy(dtype=column.dtype.numpy_dtype, na_value=0),
        column.isna().to_numpy(),
    ),
    "arrow": lambda column: (),  # they never change
}
