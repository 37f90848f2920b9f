"""Who is late out of New York, and why? A year of flights, month by month on Dask, ending in a report.

The state machine is plain ASL, in ``flight_delays.asl.json``; the functions below are its tasks. Each month
is reduced to one small table of counts and sums (a "part"). Counts and sums add up, so whatever is combined
from the parts is exact: a mean over the year is the mean of its flights, not a mean of monthly means.

    python notebooks/flight_delays.py
"""

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd
from flights.layout import lay_out

import nbflow as nf

HERE = Path(__file__).parent

FLIGHT_COLUMNS = ["year", "carrier", "origin", "tailnum", "time_hour", "hour", "dep_delay", "arr_delay"]
GROUPS = ["carrier", "airline", "hour", "weather", "plane_age"]
SUMS = ["read", "kept", "late", "dep_delay", "arr_delay"]


class Month(TypedDict):
    """One item of the Map."""

    month: int
    file: str
    """Relative to the folder."""


class Worst(TypedDict):
    """The carrier whose flights arrive latest on average (minutes)."""

    carrier: str
    airline: str
    mean_arr_delay: float


class ByCarrier(TypedDict):
    """A result may mix JSON with other objects: the table travels by reference, ``worst`` as it is."""

    table: pd.DataFrame
    worst: Worst


class Quality(TypedDict):
    """Rows read, rows that survived the cleaning, and the share that did not."""

    read: int
    kept: int
    lost_share: float


@nf.task
def list_months(folder: str, retries: int) -> list[Month]:
    """The months that there are data of, in order.

    The file share that this stands for is asleep at first: it refuses two calls, and the state's Retry
    makes a third.

    Raises:
        FileNotFoundError: the folder, or a part of it, is not there.
        ConnectionError: until the second retry.
    """
    files = locate(folder, "flights/????-??.parquet")
    for database in ("weather.sqlite", "fleet.sqlite"):
        locate(folder, database)
    if retries < 2:
        raise ConnectionError(f"the file share is waking up (call {retries + 1})")
    return [{"month": int(file.stem[-2:]), "file": f"flights/{file.name}"} for file in files]


@nf.task
def monthly(folder: str, month: int, file: str) -> pd.DataFrame:
    """One month as a part: a row for each carrier, hour of departure, weather and age of the plane (GROUPS).

    The counts and sums are SUMS: flights ``read``; flights ``kept``, whose delays and plane are known; of
    those kept, the ``late`` ones (15 minutes and more on arrival) and the minutes of both delays.

    Raises:
        FileNotFoundError: the file, or a database, is not in the folder.
    """
    [flights_file] = locate(folder, file)
    flights = pd.read_parquet(flights_file, columns=FLIGHT_COLUMNS)
    airlines, planes = read_fleet(folder)
    flights = (
        flights.merge(
            read_weather(folder, month), on=["origin", "time_hour"], how="left", validate="many_to_one"
        )
        .merge(planes, on="tailnum", how="left", validate="many_to_one")
        .merge(airlines, on="carrier", how="left", validate="many_to_one")
    )
    complete = flights[["tailnum", "dep_delay", "arr_delay"]].notna().all(axis="columns")
    return (
        flights.assign(
            weather=flights["weather"].fillna("unknown"),
            plane_age=(flights["year"] - flights["plane_year"]).astype("Int64"),
            read=1,
            kept=complete.astype("int64"),
            late=(complete & (flights["arr_delay"] >= 15)).astype("int64"),
            dep_delay=flights["dep_delay"].where(complete, 0.0),
            arr_delay=flights["arr_delay"].where(complete, 0.0),
        )
        .groupby(GROUPS, as_index=False, dropna=False)[SUMS]
        .sum()
    )


def locate(folder: str, pattern: str) -> list[Path]:
    """The files of the folder that match, in order.

    Raises:
        FileNotFoundError: there is none. (Without this, SQLite would make an empty database and go on.)
    """
    files = sorted(Path(folder).glob(pattern))
    if not files:
        raise FileNotFoundError(
            f"There is no {pattern} in {folder}: lay the data out there with lay_out({folder!r}) of "
            "notebooks/flight_delays.py, or give the folder that has them"
        )
    return files


def read_weather(folder: str, month: int) -> pd.DataFrame:
    """The weather of a month in one word: columns origin, time_hour (UTC), weather."""
    [weather] = locate(folder, "weather.sqlite")
    with closing(sqlite3.connect(weather)) as database:
        hours = pd.read_sql(
            "select origin, time_hour, temp, precip, visib, wind_speed from weather where month = ?",
            database,
            params=(month,),
            parse_dates={"time_hour": {"utc": True}},
        )
    wet = hours["precip"] > 0
    # An anemometer at Newark once reported 1,048 mph; no gust outside a tornado reaches 200.
    windy = hours["wind_speed"].between(20, 200)
    kinds = {"snow": wet & (hours["temp"] <= 32), "rain": wet, "fog": hours["visib"] < 3, "wind": windy}
    hours["weather"] = np.select(list(kinds.values()), list(kinds), default="fair")
    return hours[["origin", "time_hour", "weather"]]


def read_fleet(folder: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The airlines (carrier, airline) and the planes (tailnum, plane_year: of building, NaN if unknown)."""
    [fleet] = locate(folder, "fleet.sqlite")
    with closing(sqlite3.connect(fleet)) as database:
        airlines = pd.read_sql("select carrier, name as airline from airlines", database)
        planes = pd.read_sql("select tailnum, year as plane_year from planes", database)
    return airlines, planes


def mean_delays(parts: list[pd.DataFrame], by: list[str]) -> pd.DataFrame:
    """Flights, share of late ones and mean delays (minutes) by known value of ``by``, over all parts."""
    sums = pd.concat(parts).groupby(by, as_index=False)[SUMS].sum()
    sums = sums[sums["kept"] > 0].reset_index(drop=True)
    return sums[by].assign(
        flights=sums["kept"],
        late_share=sums["late"] / sums["kept"],
        mean_dep_delay=sums["dep_delay"] / sums["kept"],
        mean_arr_delay=sums["arr_delay"] / sums["kept"],
    )


@nf.task
def by_carrier(parts: list[pd.DataFrame]) -> ByCarrier:
    """Mean delays by carrier, the latest first, and the first of them."""
    table = mean_delays(parts, ["carrier", "airline"])
    table = table.sort_values("mean_arr_delay", ascending=False, ignore_index=True)
    first = table.iloc[0]
    return {
        "table": table,
        "worst": {
            "carrier": str(first["carrier"]),
            "airline": str(first["airline"]),
            "mean_arr_delay": float(first["mean_arr_delay"]),
        },
    }


@nf.task
def by_hour_and_weather(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Mean delays by scheduled hour of departure (local time) and the weather in it."""
    return mean_delays(parts, ["hour", "weather"])


@nf.task
def by_plane_age(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Mean delays by age of the plane in years; flights of planes whose year is unknown are left out."""
    return mean_delays(parts, ["plane_age"]).astype({"plane_age": "int64"})


@nf.task
def measure_quality(parts: list[pd.DataFrame]) -> Quality:
    """How much the cleaning has cost."""
    read, kept = (int(sum(part[column].sum() for part in parts)) for column in ("read", "kept"))
    return {"read": read, "kept": kept, "lost_share": 1 - kept / read}


machine = nf.StateMachine(
    HERE / "flight_delays.asl.json",
    name="flight-delays",
    tasks={
        "list_months": list_months,
        "monthly": monthly,
        "by_carrier": by_carrier,
        "by_hour_and_weather": by_hour_and_weather,
        "by_plane_age": by_plane_age,
        "measure_quality": measure_quality,
        "delay_report": nf.notebook(HERE / "steps" / "delay_report.ipynb"),
    },
)


def main() -> None:
    """Run it on the whole year, watch it, and show what came out."""
    from rich.console import Console
    from rich.table import Table

    from nbflow.client import progress

    folder = lay_out(HERE / "data")
    print(f"The data:     {os.path.relpath(folder)}")
    run = machine.start({"folder": str(folder), "max_lost_share": 0.05})
    progress.watch(run)
    if run.status != "SUCCEEDED":
        raise SystemExit(f"{run.error}: {run.cause}")
    result = run.result()

    table = Table("Airline", title="Flights out of New York in 2013: share 15 minutes late, mean delays")
    for heading in ("Flights", "Late", "Departure", "Arrival"):
        table.add_column(heading, justify="right")
    for row in result["tables"]["by_carrier"].itertuples():
        table.add_row(
            row.airline,
            f"{row.flights:,}",
            f"{row.late_share:.0%}",
            f"{row.mean_dep_delay:.1f} min",
            f"{row.mean_arr_delay:.1f} min",
        )
    report = shutil.copy(result["report"], folder / "delay_report.ipynb")

    console = Console()
    nbflow = os.path.relpath(Path(sys.executable).with_name("nbflow"))
    console.print(table)
    console.print(f"{result['flights_kept']:,} flights; {result['lost_share']:.1%} were lost in cleaning.")
    console.print(f"The report:   {os.path.relpath(report)}", soft_wrap=True)
    console.print(f"Every step:   {nbflow} show {run.name[:8]}", soft_wrap=True)
    console.print(f"Every event:  {nbflow} history {run.name[:8]}", soft_wrap=True)


if __name__ == "__main__":
    main()
