"""nf.gc deletes what is asked for, and nothing that is used."""

import os
import sqlite3
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import nbflow as nf
from nbflow.client.connection import Connection
from nbflow.client.housekeeping import Freed, tidy
from tests.client.machines import one, waiting

DAYS = 86400.0


def table(input: Any) -> pd.DataFrame:
    return pd.DataFrame({"n": range(input)})


def later(connection: Connection, days: float = 2.0, **options: Any) -> Freed:
    """Collect as if so many days had gone by since the files and rows were written."""
    past = time.time() - days * DAYS
    for path in shelved(connection):
        os.utime(path, (past, past))
    with connection.store._engine.connect() as driver:
        driver.exec_driver_sql("UPDATE artifacts SET touched_at = ?", (past,))
    options = {"older_than": None, "keep": None, **options}
    return tidy(connection, options.pop("older_than"), options.pop("keep"), rest=lambda _: None, **options)


def shelved(connection: Connection) -> list[Path]:
    return [path for path in Path(connection.shelf.url).rglob("*") if path.is_file()]


def test_executions_and_then_their_artifacts(connection: Connection) -> None:
    for number in (3, 4):
        one(table).run(number, execution_name=f"r{number}")
    assert len(shelved(connection)) == 2
    assert later(connection) == Freed(0, 0, 0)
    would = later(connection, keep=1, dry_run=True)
    assert would == Freed(1, 0, 0)
    freed = later(connection, keep=1)
    assert (freed.executions, freed.artifacts, freed.codes) == (1, 1, 0)
    assert freed.bytes > 100
    assert [run.name for run in nf.executions()] == ["r4"]
    assert isinstance(nf.execution("r4").result(), pd.DataFrame)
    assert len(shelved(connection)) == 1


def test_what_is_young_stays_for_a_day(connection: Connection) -> None:
    one(table).run(3)
    assert nf.gc(keep=0) == Freed(1, 0, 0, codes=1)
    assert later(connection, 0.9) == Freed(0, 0, 0)
    assert later(connection, 1.1).artifacts == 1


def test_ages(connection: Connection) -> None:
    one(table).run(3)
    assert nf.gc("1h").executions == 0
    assert nf.gc(timedelta(0)).executions == 1


def test_what_runs_stays(connection: Connection) -> None:
    run = waiting().start()
    assert nf.gc("0s", keep=0).executions == 0
    run.stop()
    assert nf.gc("0s").executions == 1


def test_files_that_no_row_knows_go(connection: Connection) -> None:
    connection.shelf.put(pd.DataFrame({"n": [1]}))
    assert later(connection).artifacts == 1
    assert shelved(connection) == []


def test_a_killed_collection_is_finished_by_the_next(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> int:
        raise KeyboardInterrupt

    one(table).run(3)
    with monkeypatch.context() as patch:
        patch.setattr(type(connection.shelf), "discard", killed)
        with pytest.raises(KeyboardInterrupt):
            later(connection, keep=0)
    assert len(shelved(connection)) == 1
    assert later(connection).artifacts == 1
    assert shelved(connection) == []


def test_artifacts_of_other_stores_are_left_alone(connection: Connection, tmp_path: Path) -> None:
    connection.shelf.put(pd.DataFrame({"n": [1]}))
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE t (n)")
    other.close()
    freed = later(connection)
    assert (freed.artifacts, freed.kept) == (
        0,
        f"{tmp_path}/other.db may be a store that uses {connection.shelf.url}, too",
    )
    assert later(connection, artifacts=True).artifacts == 1


def test_a_folder_of_its_own_is_said_to_be_so(tmp_path: Path) -> None:
    connection = nf.connect(f"sqlite:///{tmp_path}/nbflow.sqlite", artifacts=tmp_path / "shared")
    connection.shelf.put(pd.DataFrame({"n": [1]}))
    assert str(later(connection).kept).startswith("other stores may use")
    assert later(connection, artifacts=False) == Freed(
        0, 0, 0, 0, f"other stores may use {tmp_path}/shared, too"
    )
    assert later(connection, artifacts=True).artifacts == 1


def test_progress_is_told_and_others_get_their_turn(connection: Connection) -> None:
    for number in range(3):
        one(table).run(number)
    told: list[tuple[str, int]] = []
    rests: list[float] = []
    tidy(connection, None, 0, progress=lambda *what: told.append(what), rest=rests.append)
    assert told[-1] == ("executions", 3)
    assert len(rests) == len(told)


@pytest.mark.parametrize(
    ("older_than", "keep", "message"), [("1 day", None, "is no age"), (None, -1, "0 or more")]
)
def test_mistakes(connection: Connection, older_than: str | None, keep: int | None, message: str) -> None:
    with pytest.raises(nf.NbflowError, match=message):
        nf.gc(older_than, keep)


def test_in_words() -> None:
    assert str(Freed(1, 2, 999)) == "1 execution and 2 artifacts (999 bytes)"
    assert str(Freed(1200, 1, 1_500_000)) == "1,200 executions and 1 artifact (1.5 MB)"
    assert str(Freed(0, 0, 2 * 10**16)) == "0 executions and 0 artifacts (20,000.0 TB)"
