"""The pipeline of ``flight_delays.ipynb`` in a terminal: run it on the whole year, watch it, show what came out.

python notebooks/demo.py
"""

import os
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nbflow.client.progress import watch
from nbflow.jupyter.notebooks import names_in

HERE = Path(__file__).parent


def main() -> None:
    """Run it, and print the table of airlines."""
    started_in = Path.cwd()
    flow = names_in(HERE / "flight_delays.ipynb", lambda names: "flight_delays" in names)["flight_delays"]
    run = watch(flow.start())
    if run.status != "SUCCEEDED":
        raise SystemExit(run.explain())
    result = run.result()

    table = Table("Airline", title="Flights out of New York in 2013: share 15 minutes late, mean delays")
    for heading in ("Flights", "Late", "Departure", "Arrival"):
        table.add_column(heading, justify="right")
    for row in result["by_carrier"].itertuples():
        table.add_row(
            row.airline,
            f"{row.flights:,}",
            f"{row.late_share:.0%}",
            f"{row.mean_dep_delay:.1f} min",
            f"{row.mean_arr_delay:.1f} min",
        )
    report = shutil.copy(result["report"]["notebook"], HERE / "data" / "delay_report.ipynb")

    console = Console()
    nbflow = os.path.relpath(Path(sys.executable).with_name("nbflow"), started_in)
    console.print(table)
    console.print(f"{result['flights']:,} flights; latest on average: {result['latest']}")
    console.print(f"The report:    {os.path.relpath(report, started_in)}", soft_wrap=True)
    console.print(f"Every step:    {nbflow} show {run.name[:8]}", soft_wrap=True)
    console.print(f"Every event:   {nbflow} history {run.name[:8]}", soft_wrap=True)
    console.print("The notebook:  notebooks/flight_delays.ipynb, in JupyterLab", soft_wrap=True)


if __name__ == "__main__":
    main()
