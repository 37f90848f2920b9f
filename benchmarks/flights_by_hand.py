"""The flight delays by hand: the floor that ``notebooks/flight_delays.py`` is measured against.

The same work on a Dask cluster, written as one would without a state machine: ``client.map`` over the months,
the parts and the three tables written as Parquet, nothing else remembered. The pandas functions are the main
job's own, so that the difference between the two is what the state machine costs. The report is left out.

    python benchmarks/flights_by_hand.py [FOLDER] [--rounds N]
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from distributed import Client, LocalCluster

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))  # spawned workers inherit it

import flight_delays as job  # noqa: E402 - found through the line above


def one_month(month: job.Month, folder: str, out: Path) -> pd.DataFrame:
    """Make and store the part of one month."""
    part: pd.DataFrame = job.monthly(folder, **month)
    part.to_parquet(out / Path(month["file"]).name)
    return part


def one_table(name: str, parts: list[pd.DataFrame], out: Path) -> pd.DataFrame:
    """Make and store one of the three tables."""
    result = getattr(job, name)(parts)
    table: pd.DataFrame = result["table"] if name == "by_carrier" else result
    table.to_parquet(out / f"{name}.parquet")
    return table


def by_hand(client: Client, folder: str, out: Path) -> dict[str, pd.DataFrame]:
    """All of it: the three tables by name; everything that was made is in ``out`` then.

    Raises:
        ValueError: more than 5 % of the rows were lost in cleaning.
    """
    # Without pure=False Dask would answer the second round from the first one's results.
    months = job.list_months(folder, retries=2)
    parts = client.map(one_month, months, folder=folder, out=out, pure=False)
    names = ("by_carrier", "by_hour_and_weather", "by_plane_age")
    tables = {name: client.submit(one_table, name, parts, out, pure=False) for name in names}
    quality = client.submit(job.measure_quality, parts, pure=False).result()
    if quality["lost_share"] > 0.05:
        raise ValueError(f"{quality['lost_share']:.1%} of the rows were lost in cleaning")
    made: dict[str, pd.DataFrame] = client.gather(tables)
    return made


def main() -> None:
    """Print the median seconds of a round, after one round that is not counted (imports, warm caches)."""
    parser = argparse.ArgumentParser(description="Time the flight delays, written by hand")
    parser.add_argument("folder", nargs="?", default=NOTEBOOKS / "data", help="where the data are or go")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    folder = str(job.lay_out(options.folder))
    seconds = []
    with (
        tempfile.TemporaryDirectory() as out,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        by_hand(client, folder, Path(out))
        for _ in range(options.rounds):
            start = time.perf_counter()
            by_hand(client, folder, Path(out))
            seconds.append(time.perf_counter() - start)
    print(f"by hand: {statistics.median(seconds):.3f} s (median of {options.rounds})")


if __name__ == "__main__":
    main()
