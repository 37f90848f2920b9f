"""What a Map Run keeps for whoever goes on with it."""

from dataclasses import replace

import pytest

from nbflow.store.port import Store, digest
from nbflow.store.rows import Append, ArtifactRow, ChildStatus, ExecutionRow, MapRunRow

RUN = MapRunRow("arn:run", "arn:x", 4, "RUNNING", 5.0, 0, None, 12.5)


def child(item: int | None, status: str = "RUNNING", of: str = "arn:run") -> ExecutionRow:
    return ExecutionRow(
        f"{of}:{item}", str(item), "arn:m/l", digest("{}"), status, str(item), 1.0, map_run_arn=of, item=item
    )


def test_a_part_is_kept_once(store: Store) -> None:
    assert store.map_part("arn:run", "chunk", 0) is None
    assert store.put_map_part("arn:run", "chunk", 0, '["ü"]')
    assert store.put_map_part("arn:run", "chunk", 0, '["ü"]'), "it is there, as it was to be"
    assert not store.put_map_part("arn:run", "chunk", 0, "[2]")
    assert store.map_part("arn:run", "chunk", 0) == '["ü"]'


def test_parts_come_by_their_numbers_and_kinds(store: Store) -> None:
    for number in (2, 10, 0):
        store.put_map_part("arn:run", "batch", number, f"[{number}]")
    store.put_map_part("arn:run", "chunk", 1, "[]")
    store.put_map_part("arn:other", "batch", 1, "[]")
    assert list(store.map_parts("arn:run", "batch")) == ["[0]", "[2]", "[10]"]
    assert list(store.map_parts("arn:run", "again")) == []


def test_a_part_brings_its_artifacts(store: Store) -> None:
    row = ArtifactRow("a" * 64, "pickle", 1, None, None, "a/a", None, 1.0, 1.0)
    store.put_map_part("arn:run", "batch", 0, "[]", [row])
    store.put_map_part("arn:run", "batch", 1, "[]", [replace(row, touched_at=2.0, bytes=9)])
    assert store.artifacts([row.sha256]) == {row.sha256: replace(row, touched_at=2.0)}


@pytest.mark.parametrize(("status", "left"), [("SUCCEEDED", 0), ("FAILED", 1), ("RUNNING", 1)])
def test_only_of_a_run_that_succeeds_the_parts_are_dropped(store: Store, status: str, left: int) -> None:
    opened = ExecutionRow("arn:x", "x", "arn:m", digest("{}"), "RUNNING", "{}", 1.0)
    store.append([Append("arn:x", 0, 1, 1.0, b"[]", opened=opened, map_runs=(RUN,))])
    for run in ("arn:run", "arn:other"):
        store.put_map_part(run, "chunk", 0, "[]")
    store.append([Append("arn:x", 1, 2, 2.0, b"[]", map_runs=(replace(RUN, status=status),))])
    assert len(list(store.map_parts("arn:run", "chunk"))) == left
    assert len(list(store.map_parts("arn:other", "chunk"))) == 1


def test_the_parts_of_a_run_that_another_process_has_stopped_stay(store: Store) -> None:
    opened = ExecutionRow("arn:x", "x", "arn:m", digest("{}"), "RUNNING", "{}", 1.0)
    store.append([Append("arn:x", 0, 1, 1.0, b"[]", opened=opened, map_runs=(RUN,))])
    store.put_map_part("arn:run", "chunk", 0, "[]")
    store.put_map_run(replace(RUN, status="ABORTED"))
    store.append([Append("arn:x", 1, 2, 2.0, b"[]", map_runs=(replace(RUN, status="SUCCEEDED"),))])
    assert store.map_part("arn:run", "chunk", 0) == "[]"


def test_children_by_their_items(store: Store) -> None:
    items = [*range(700, -1, -1)]
    rows = [child(item) for item in items] + [child(None), child(3, of="arn:other")]
    store.append([Append(row.arn, 0, 1, 1.0, b"[]", opened=row) for row in rows])
    assert [row.item for row in store.child_rows("arn:run")] == sorted(items)
    assert [row.item for row in store.child_rows("arn:run", 698)] == [699, 700]
    assert store.children_of("arn:run")[699:] == [
        ChildStatus(699, "RUNNING", 0),
        ChildStatus(700, "RUNNING", 0),
    ]
    assert store.children_of("arn:none") == []


def test_a_run_that_has_ended_is_redriven(store: Store) -> None:
    store.put_map_run(RUN)
    store.limit_map_run("arn:run", max_concurrency=3)
    failed = replace(RUN, status="FAILED", stopped_at=6.0, counts="{}", max_concurrency=3)
    store.put_map_run(failed)
    again = replace(RUN, attempt=9, started_at=7.0, redrive_count=1, redrive_date=7.0, max_concurrency=0)
    store.put_map_run(again)
    runs = replace(again, started_at=5.0, max_concurrency=3)
    assert store.map_run("arn:run") == runs
    store.put_map_run(replace(failed, status="ABORTED"))
    assert store.map_run("arn:run") == runs, "that is the end of how it ran before"
    store.put_map_run(replace(again, redrive_date=7.5))
    assert store.map_run("arn:run") == runs, "it is ordered once more, and not redriven"
    ended = replace(runs, status="SUCCEEDED", stopped_at=8.0, counts="{}")
    store.put_map_run(ended)
    store.put_map_run(again)
    assert store.map_run("arn:run") == ended
