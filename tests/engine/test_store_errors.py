"""A run meets a full disk, a read-only store, another's lock, a full shelf: one word, nothing half-written, and on."""

import errno
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from nbflow.engine.turns import PAUSE
from nbflow.store.sqlite import SqliteDatabase
from tests.engine.test_engine import Desk, task


def writer(desk: Desk) -> sqlite3.Connection:
    """The connection that the engine's appends go over."""
    database = desk.store._database
    assert isinstance(database, SqliteDatabase)
    return database._writer


def fill_the_disk(desk: Desk, _path: Path) -> Callable[[], object]:
    pages = writer(desk).execute("PRAGMA page_count").fetchone()[0]
    writer(desk).execute(f"PRAGMA max_page_count = {pages}")
    return lambda: writer(desk).execute("PRAGMA max_page_count = 1000000")


def forbid_to_write(desk: Desk, _path: Path) -> Callable[[], object]:
    writer(desk).execute("PRAGMA query_only = 1")
    return lambda: writer(desk).execute("PRAGMA query_only = 0")


def lock(desk: Desk, path: Path) -> Callable[[], object]:
    writer(desk).execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(path / "nbflow.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other.close


@dataclass(frozen=True)
class Trouble:
    name: str
    begin: Callable[[Desk, Path], Callable[[], object]]
    """Answers what mends it."""
    words: str


TROUBLES = [
    Trouble(
        "full", fill_the_disk, "cannot grow: the disk is full. Nothing was written; make room and try again"
    ),
    Trouble("read-only", forbid_to_write, "cannot be written. Make the file and its folder writable"),
    Trouble("locked", lock, "is locked by another process. Nothing was written; try again"),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name)
def test_a_run_waits_with_a_word_and_goes_on_when_it_is_mended(
    desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture, trouble: Trouble
) -> None:
    large = "x" * 20_000  # what is free in the last pages does not help

    def big(_: object) -> str:
        return large

    desk.start({"T": task("big")}, tasks={"big": big})
    desk.threads.hold = True
    desk.engine.turn()
    before = desk.records()
    mend = trouble.begin(desk, tmp_path)
    desk.threads.release()
    for _ in range(3):
        desk.engine.turn()
        desk.clock.advance_to(desk.engine.next_due() or 0.0)
    assert desk.records() == before
    assert desk.row().status == "RUNNING"
    [word] = caplog.messages
    assert f"nbflow.sqlite {trouble.words}" in word
    assert word.endswith("Execution arn:run waits, and is tried again.")
    mend()
    trouble_over = desk.clock.now()
    desk.settle()
    assert desk.row().output == f'"{large}"'
    assert desk.clock.now() - trouble_over <= PAUSE


def test_a_result_that_the_shelf_cannot_take_fails_the_task_and_a_retry_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tried = Path.mkdir, []

    def full(path: Path, *given: object, **more: object) -> None:
        if "artifacts" in path.parts:
            tried.append(path)
            if len(tried) < 3:
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path, parents=True, exist_ok=True)

    monkeypatch.setattr(Path, "mkdir", full)

    def table(_: object) -> pd.DataFrame:
        return pd.DataFrame({"n": [1]})

    retry = {"ErrorEquals": ["States.TaskFailed"], "MaxAttempts": 1, "IntervalSeconds": 1}
    desk.start({"T": task("table", Retry=[retry])}, tasks={"table": table})
    desk.settle()
    row = desk.row()
    assert (row.status, row.error) == ("FAILED", "nbflow.ShelfError")
    assert "cannot be written" in str(row.cause)
    assert "Make room or make it writable; try again." in str(row.cause)
    desk.start({"T": task("table")}, tasks={"table": table}, name="again")
    desk.settle()
    assert desk.row("again").status == "SUCCEEDED"
