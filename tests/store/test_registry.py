"""Machines' versions and aliases, activities, tags and Map Runs, over every store there is."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nbflow.store.port import Store, StoreError, digest
from nbflow.store.rows import ActivityRow, AliasRow, Append, ExecutionRow, MachineRow, MapRunRow
from tests.store.conftest import Factory

MACHINE = MachineRow("arn:m", "m", "STANDARD", "role", digest("{}"), 1.0, 1.0, "", "{}")
ALIAS = AliasRow("arn:m:a", "arn:m", "a", None, "[]", 2.0, 2.0)
ACTIVITY = ActivityRow("arn:act", "act", "{}", 3.0)


@pytest.fixture
def store(factory: Factory, tmp_path: Path) -> Iterator[Store]:
    store = factory(tmp_path)
    store.add_machine(MACHINE, "{}")
    yield store
    store.close()


def test_a_version_is_the_machines_present_revision(store: Store) -> None:
    first = store.publish("arn:m", "one", 5.0)
    assert (first.arn, first.number, first.description, first.created_at) == ("arn:m:1", 1, "one", 5.0)
    assert store.publish("arn:m", "again", 6.0) == first == store.version("arn:m:1")
    store.add_machine(replace(MACHINE, definition=digest("[]"), revision_id="r", updated_at=7.0), "[]")
    second = store.publish("arn:m", None, 8.0)
    assert (second.number, second.revision_id, second.definition) == (2, "r", digest("[]"))
    assert (second.updated_at, store.versions("arn:m")) == (7.0, [second, first])


def test_an_update_keeps_the_numbers_of_versions(store: Store) -> None:
    store.publish("arn:m", None, 5.0)
    store.delete_version("arn:m:1")
    store.add_machine(replace(MACHINE, role_arn="other"), "{}")
    assert store.publish("arn:m", None, 6.0).number == 2
    machine = store.machine("arn:m")
    assert machine is not None
    assert (machine.published, machine.role_arn) == (2, "other")


def test_only_a_machine_is_published(store: Store) -> None:
    with pytest.raises(StoreError, match="has no machine arn:n"):
        store.publish("arn:n", None, 5.0)
    assert store.version("arn:n:1") is None


def test_aliases_are_put_and_deleted(store: Store) -> None:
    store.put_alias(ALIAS)
    later = replace(ALIAS, arn="arn:m:b", name="b", created_at=9.0)
    store.put_alias(later)
    store.put_alias(replace(ALIAS, description="d", created_at=99.0, updated_at=99.0))
    changed = replace(ALIAS, description="d", updated_at=99.0)
    assert store.aliases("arn:m") == [changed, later]
    assert store.alias("arn:m:a") == changed
    assert (store.delete_alias("arn:m:a"), store.delete_alias("arn:m:a")) == (True, False)
    assert store.alias("arn:m:a") is None


def test_activities_are_added_once(store: Store) -> None:
    assert store.add_activity(ACTIVITY) == ACTIVITY
    assert store.add_activity(replace(ACTIVITY, created_at=99.0)) == ACTIVITY
    assert store.activities() == [ACTIVITY]
    store.delete_activity("arn:act")
    store.delete_activity("arn:act")
    assert store.activity("arn:act") is None


def test_tags_are_by_key(store: Store) -> None:
    store.put_tags("arn:m", {"b": "1", "a": "2"})
    store.put_tags("arn:m", {"b": "3"})
    store.put_tags("arn:m", {})
    assert list(store.tags("arn:m").items()) == [("a", "2"), ("b", "3")]
    store.delete_tags("arn:m", ["a", "none"])
    assert store.tags("arn:m") == {"b": "3"}
    assert store.tags("arn:other") == {}


def test_deleting_a_machine_deletes_what_is_its_own(store: Store) -> None:
    other = replace(MACHINE, arn="arn:o", name="o")
    store.add_machine(other, "{}")
    for arn in ("arn:m", "arn:o"):
        store.publish(arn, None, 5.0)
        store.put_alias(replace(ALIAS, arn=f"{arn}:a", machine_arn=arn))
        store.put_tags(arn, {"k": "v"})
    store.set_machine_status("arn:m", "DELETING")
    machine = store.machine("arn:m")
    assert machine is not None
    assert machine.status == "DELETING"
    store.delete_machine("arn:m")
    assert (store.machine("arn:m"), store.versions("arn:m"), store.aliases("arn:m"), store.tags("arn:m")) == (
        None,
        [],
        [],
        {},
    )
    assert [row.arn for row in store.machines()] == ["arn:o"]
    assert len(store.versions("arn:o")) == len(store.aliases("arn:o")) == len(store.tags("arn:o")) == 1
    assert store.definition(digest("{}")) == "{}", "executions may still need it"


def test_an_activity_takes_its_tags_with_it(store: Store) -> None:
    store.add_activity(ACTIVITY)
    store.put_tags("arn:act", {"k": "v"})
    store.delete_activity("arn:act")
    assert store.tags("arn:act") == {}


RUN = MapRunRow("arn:run", "arn:x", 4, "RUNNING", 5.0, 0, None, 12.5)


def test_a_map_run_is_kept_and_ends_once(store: Store) -> None:
    assert store.map_run("arn:run") is None
    store.put_map_run(RUN)
    assert store.map_run("arn:run") == RUN
    ended = replace(RUN, status="FAILED", stopped_at=6.0, counts="{}", max_concurrency=7)
    store.put_map_run(ended)
    kept = replace(ended, max_concurrency=0)
    assert store.map_run("arn:run") == kept
    store.put_map_run(replace(RUN, status="SUCCEEDED", stopped_at=7.0))
    store.put_map_run(RUN)
    assert store.map_run("arn:run") == kept


def test_the_limits_of_a_map_run_change_while_it_runs(store: Store) -> None:
    assert not store.limit_map_run("arn:run", max_concurrency=3)
    store.put_map_run(RUN)
    assert store.limit_map_run("arn:run", max_concurrency=3, tolerated_count=0)
    assert store.limit_map_run("arn:run", tolerated_percentage=0.5)
    assert store.limit_map_run("arn:run")
    limited = replace(RUN, max_concurrency=3, tolerated_count=0, tolerated_percentage=0.5)
    assert store.map_run("arn:run") == limited
    store.put_map_run(replace(RUN, status="ABORTED", stopped_at=6.0))
    assert not store.limit_map_run("arn:run", max_concurrency=9)
    assert store.map_run("arn:run") == replace(limited, status="ABORTED", stopped_at=6.0)


def test_the_map_runs_of_an_execution_are_listed_in_the_order_of_their_attempts(store: Store) -> None:
    rows = [replace(RUN, arn=f"arn:run{attempt}", attempt=attempt) for attempt in (9, 4, 12)]
    for row in [*rows, replace(RUN, arn="arn:other", execution="arn:y")]:
        store.put_map_run(row)
    assert [row.attempt for row in store.map_runs("arn:x")] == [4, 9, 12]
    assert store.map_runs("arn:z") == []


def test_map_runs_begin_and_end_with_a_step(store: Store) -> None:
    row = ExecutionRow("arn:x", "x", "arn:m", digest("{}"), "RUNNING", "{}", 1.0)
    first = Append("arn:x", 0, 1, 1.0, b"[]", opened=row, map_runs=(RUN,))
    ended = replace(RUN, status="SUCCEEDED", stopped_at=6.0, counts="{}")
    assert store.append([first]) == [True]
    assert store.limit_map_run("arn:run", max_concurrency=3)
    # One that has ended meanwhile stays as it ended, and the step is appended all the same.
    assert store.append([Append("arn:x", 1, 2, 2.0, b"[]", map_runs=(ended,))]) == [True]
    assert store.append([Append("arn:x", 2, 3, 3.0, b"[]", map_runs=(RUN,))]) == [True]
    assert store.map_run("arn:run") == replace(ended, max_concurrency=3)


def test_children_are_counted_and_listed_by_their_map_run(store: Store) -> None:
    rows = [
        ExecutionRow(f"arn:{n}", str(n), "arn:m/l", digest("{}"), status, "{}", 1.0, map_run_arn=of)
        for n, (status, of) in enumerate(
            [("RUNNING", "arn:run"), ("FAILED", "arn:run"), ("RUNNING", "arn:run"), ("RUNNING", None)]
        )
    ]
    store.append([Append(row.arn, 0, 1, 1.0, b"[]", opened=row) for row in rows])
    assert store.children_by_status("arn:run") == {"RUNNING": 2, "FAILED": 1}
    assert store.children_by_status("arn:none") == {}
    assert [row.name for row in store.executions(map_run_arn="arn:run")] == ["2", "1", "0"]
    assert [row.name for row in store.executions(map_run_arn="arn:run", status="FAILED")] == ["1"]
    assert [row.name for row in store.executions(children=False)] == ["3"]


def test_a_definition_of_no_machine(store: Store) -> None:
    key = store.add_definition('{"a": "ü"}')
    assert (key, store.definition(key)) == (digest('{"a": "ü"}'), '{"a": "ü"}')
    assert store.add_definition('{"a": "ü"}') == key
