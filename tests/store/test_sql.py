"""What is SQLite's alone: a full disk, a lock, a crash, and text that SQL can look into."""

import shutil
import sqlite3
from pathlib import Path
from traceback import format_exception

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbflow.store.port import StoreError
from nbflow.store.rows import Append, ExecutionRow
from nbflow.store.sql import open_store
from nbflow.store.sqlite import SqliteDatabase

ROW = ExecutionRow(
    arn="arn:x", name="x", machine_arn="m", definition="d", status="RUNNING", input="{}", started_at=1.0
)
OPENING = Append(ROW.arn, 0, 1, 1.0, b"[]", opened=ROW)


def step(number: int, records: bytes = b"[]") -> Append:
    return Append(ROW.arn, number, number, 1.0, records)


def test_a_full_disk_leaves_nothing_and_the_batch_may_be_given_again(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    assert store.append([OPENING]) == [True]
    database = store._database
    assert isinstance(database, SqliteDatabase)
    batch = [step(1), step(2, b'["' + b"x" * 1_000_000 + b'"]')]
    pages = database._writer.execute("PRAGMA page_count").fetchone()[0]
    database._writer.execute(f"PRAGMA max_page_count = {pages + 10}")  # SQLite's own way to a full disk
    with pytest.raises(StoreError, match=r"store\.db cannot grow: the disk is full"):
        store.append(batch)
    assert [row.step for row in store.journal(ROW.arn)] == [0]
    database._writer.execute("PRAGMA max_page_count = 1000000")
    assert store.append(batch) == [True, True]
    store.close()


def test_a_lock_of_another_process_is_named(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db", busy_timeout=0)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"store\.db is locked by another process") as raised:
        store.append([OPENING])
    assert "".join(format_exception(raised.value)).count("Traceback") == 1  # none of the driver's
    assert store.executions() == []  # readers never wait
    other.execute("COMMIT")
    assert store.append([OPENING]) == [True]
    other.close()
    store.close()


def test_a_damaged_page_is_named_and_the_rest_can_be_used(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = open_store(f"sqlite:///{path}")
    store.append([OPENING, *(step(number, b'["' + b"x" * 3000 + b'"]') for number in range(1, 100))])
    store.close()
    content = bytearray(path.read_bytes())
    last = len(content) // 4096 - 1
    content[(last - 20) * 4096 : last * 4096] = b"\xff" * (20 * 4096)  # the journal's
    path.write_bytes(content)
    store = open_store(f"sqlite:///{path}")
    with pytest.raises(StoreError, match=r"store\.db is damaged\. Move it away"):
        list(store.journal(ROW.arn))
    assert store.execution(ROW.arn) is not None
    store.close()


def test_what_cannot_be_encoded_leaves_nothing(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    with pytest.raises(OverflowError):
        store.append([OPENING, step(2**70)])
    assert store.executions() == []
    assert store.append([OPENING]) == [True]
    store.close()


def test_append_after_close_is_refused(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    store.close()
    with pytest.raises(StoreError, match="closed database"):
        store.append([OPENING])


def test_records_are_text_for_sql(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    store.append([OPENING, step(1, b'[{"type":"TaskScheduled"}]')])
    store.close()
    reader = sqlite3.connect(tmp_path / "store.db")
    query = "SELECT records ->> '$[0].type' FROM journal WHERE step = 1"
    assert reader.execute(query).fetchall() == [("TaskScheduled",)]
    reader.close()


@settings(max_examples=10, deadline=None)
@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_what_append_has_answered_survives_a_crash(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("crash")
    store = open_store(f"sqlite:///{folder}/store.db")
    assert store.append([OPENING]) == [True]
    told = [0]
    for number, size in enumerate(sizes):
        batch = [step(told[-1] + 1 + n, b'["%d"]' % n) for n in range(size)]
        assert store.append(batch) == [True] * size
        told += [append.step for append in batch]
        survivor = folder / f"crash-{number}"
        survivor.mkdir()
        for name in ("store.db", "store.db-wal"):  # what a killed process leaves; -shm is rebuilt
            shutil.copy(folder / name, survivor)
        after = open_store(f"sqlite:///{survivor}/store.db")
        assert [row.step for row in after.journal(ROW.arn)] == told
        after.close()
    store.close()
