"""The flight delays by hand: the floor that ``notebooks/flight_delays.ipynb`` is measured against.

The same work on a Dask cluster, written as one would without a state machine: ``client.map`` over the months,
the parts and the three tables written as Parquet, nothing else remembered. The pandas functions are the main
job's own, so that the difference between the two is what the state machine costs. The report is left out.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pandas as pd
from distributed import Client

NOTEBOOK: Final = Path(__file__).parents[1] / "notebooks" / "flight_delays.ipynb"

TABLES: Final = {"by_carrier": "carriers", "by_hour_and_weather": "hours", "by_plane_age": "ages"}
"""The tables, and the functions of the notebook that make them."""


def main_job() -> SimpleNamespace:
    """What the notebook defines, down to its flow."""
    from nbflow.jupyter.notebooks import names_in

    return SimpleNamespace(**names_in(NOTEBOOK, lambda names: "flight_delays" in names))


def one_month(month: str, monthly: Any, folder: str, out: Path) -> pd.DataFrame:
    """Make and store the part of one month."""
    part: pd.DataFrame = monthly(folder, month)
    part.to_parquet(out / f"{month}.parquet")
    return part


def one_table(name: str, make: Any, parts: list[pd.DataFrame], out: Path) -> pd.DataFrame:
    """Make and store one of the three tables."""
    table: pd.DataFrame = make(parts)
    table.to_parquet(out / f"{name}.parquet")
    return table


def by_hand(client: Client, job: SimpleNamespace, folder: str, out: Path) -> dict[str, pd.DataFrame]:
    """All of it: the three tables by name; everything that was made is in ``out`` then.

    ``job`` is the :func:`main_job`. Raises ValueError if more than 5 % of the rows were lost in cleaning.
    """
    # Without pure=False Dask would answer the second round from the first one's results.
    months = job.list_months(folder)
    parts = client.map(one_month, months, monthly=job.monthly.function, folder=folder, out=out, pure=False)
    tables = {
        name: client.submit(one_table, name, getattr(job, task).function, parts, out, pure=False)
        for name, task in TABLES.items()
    }
    quality = client.submit(job.measure_quality.function, parts=parts, pure=False).result()
    if quality["lost_share"] > 0.05:
        raise ValueError(f"{quality['lost_share']:.1%} of the rows were lost in cleaning")
    made: dict[str, pd.DataFrame] = client.gather(tables)
    return made
