"""What nobody needs goes, whole; what runs, or is waited for, or is named, stays."""

from dataclasses import dataclass, replace
from typing import Any, Final

import pytest

from nbflow.store.port import Store
from nbflow.store.rows import (
    Append,
    ArtifactRow,
    CodeRow,
    ExecutionRow,
    LogRow,
    MapRunRow,
    Redriving,
    TokenRow,
)

MACHINE: Final = "arn:m"


def ended(name: str, at: float = 10.0, **more: Any) -> ExecutionRow:
    return ExecutionRow(
        f"arn:{name}", name, more.pop("machine_arn", MACHINE), "", more.pop("status", "SUCCEEDED"),
        more.pop("input", "{}"), 1.0, stopped_at=at, **more,
    )  # fmt: skip


def running(name: str, **more: Any) -> ExecutionRow:
    return replace(ended(name, status="RUNNING", owner="e", **more), stopped_at=None)


def opened(row: ExecutionRow, **more: Any) -> Append:
    return Append(row.arn, 0, 1, 0.0, more.pop("records", b"[]"), opened=row, **more)


def token(name: str, of: str) -> TokenRow:
    return TokenRow(name, f"arn:{of}", 1, "closed")


def map_run(name: str, of: str, status: str = "SUCCEEDED") -> MapRunRow:
    return MapRunRow(f"arn:{name}", f"arn:{of}", 1, status, 5.0, 0, None, None)


def artifact(letter: str, touched_at: float = 1.0) -> ArtifactRow:
    return ArtifactRow(letter * 64, "pickle", 7, None, None, f"{letter * 2}/x.pkl", None, 1.0, touched_at)


def names(store: Store) -> list[str]:
    return [row.name for row in store.executions()][::-1]


def collect(store: Store, *, before: float | None = None, keep: int | None = None) -> list[str]:
    """Who is left."""
    for ids in store.disposable(before=before, keep=keep):
        store.dispose(ids, 60.0)
    while any(store.dispose(ids, 60.0)[1] for ids in store.orphans()):
        pass
    return names(store)


def test_by_age(store: Store) -> None:
    store.append([opened(ended("old", 10.0)), opened(ended("young", 20.0)), opened(running("runs"))])
    assert collect(store, before=20.0) == ["young", "runs"]


def test_by_count_of_each_machine(store: Store) -> None:
    rows = [ended("a1"), ended("b1", machine_arn="arn:b"), ended("a2"), running("a3"), ended("a4")]
    store.append([opened(row) for row in rows])
    assert collect(store, keep=3) == ["a1", "b1", "a2", "a3", "a4"]
    assert collect(store, keep=2) == ["b1", "a2", "a3", "a4"]
    assert collect(store, keep=1) == ["b1", "a3", "a4"]
    assert collect(store, keep=0) == ["a3"]


def test_by_both(store: Store) -> None:
    store.append([opened(ended(name, at)) for name, at in (("a", 10.0), ("b", 20.0), ("c", 5.0))])
    assert collect(store, before=6.0, keep=2) == ["b"]


def test_by_neither_nothing_goes(store: Store) -> None:
    store.append([opened(ended("a"))])
    assert collect(store) == ["a"]


def test_all_that_is_its_own_goes_with_it(store: Store) -> None:
    store.append(
        [
            opened(
                ended("a"),
                logs=(LogRow(1, "said"),),
                tokens=(TokenRow("t", "arn:a", 1, "open"),),
                map_runs=(map_run("run", "a"),),
            ),
            Append("arn:a", 1, 2, 0.0, b"[]"),
        ]
    )
    store.tell("arn:a", "{}")
    assert collect(store, before=11.0) == []
    assert list(store.journal("arn:a")) == []
    assert store.logs("arn:a") == {}
    assert store.token("t") is None
    assert store.inbox() == []
    assert store.map_run("arn:run") is None


def test_what_still_owes_something_stays(store: Store) -> None:
    store.append([opened(ended("a", owner="e"))])
    assert collect(store, before=11.0) == ["a"]


@dataclass(frozen=True)
class Family:
    id: str
    rows: tuple[Append, ...]
    left: str


FAMILIES: Final = [
    Family(
        "a nested child goes with its parent",
        (opened(ended("p"), tokens=(token("t", "p"),)), opened(ended("c", parent_token="t"))),
        "",
    ),
    Family(
        "and so does what it has started",
        (
            opened(ended("p"), tokens=(token("t", "p"),)),
            opened(ended("c", parent_token="t"), tokens=(token("u", "c"),)),
            opened(ended("g", parent_token="u")),
        ),
        "",
    ),
    Family(
        "a nested child does not go before a parent that runs",
        (opened(running("p"), tokens=(token("t", "p"),)), opened(ended("c", parent_token="t"))),
        "pc",
    ),
    Family(
        "nor before one that is young",
        (opened(ended("p", 99.0), tokens=(token("t", "p"),)), opened(ended("c", parent_token="t"))),
        "pc",
    ),
    Family(
        "a parent waits for a nested child that runs",
        (opened(ended("p"), tokens=(token("t", "p"),)), opened(running("c", parent_token="t"))),
        "pc",
    ),
    Family(
        "the children of a Map Run go with its execution",
        (
            opened(ended("p"), map_runs=(map_run("run", "p"),)),
            opened(ended("c", map_run_arn="arn:run"), tokens=(token("t", "c"),)),
            opened(ended("d", map_run_arn="arn:run")),
            opened(ended("g", parent_token="t")),
        ),
        "",
    ),
    Family(
        "an execution waits for a child of its Map Run that owes something",
        (
            opened(ended("p"), map_runs=(map_run("run", "p"),)),
            opened(ended("c", map_run_arn="arn:run")),
            opened(ended("d", map_run_arn="arn:run", owner="e")),
        ),
        "pcd",
    ),
    Family(
        "a fork outlives its original",
        (opened(ended("p")), opened(ended("f", 99.0, forked_from="arn:p"))),
        "f",
    ),
]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.id)
def test_families(store: Store, family: Family) -> None:
    store.append(family.rows)
    assert "".join(collect(store, before=50.0)) == family.left


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.id)
def test_families_are_counted_as_they_go(store: Store, family: Family) -> None:
    store.append(family.rows)
    counted = sum(map(store.family, store.disposable(before=50.0, keep=None)))
    assert counted == len(family.rows) - len(family.left)


def test_one_that_is_redriven_meanwhile_stays(store: Store) -> None:
    store.append([opened(ended("a")), opened(ended("b"))])
    [ids] = list(store.disposable(before=11.0, keep=None))
    store.append([Append("arn:a", 1, 2, 0.0, b"[]", redriven=Redriving(1, 12.0, owner="e"))])
    assert store.dispose(ids) == (2, 1)
    assert names(store) == ["a"]


def test_a_transaction_is_short(store: Store) -> None:
    store.append([opened(ended(f"{n}")) for n in range(30)])
    [ids] = list(store.disposable(before=11.0, keep=None))
    assert store.dispose(ids, 0.0) == (25, 25)
    assert names(store) == ["25", "26", "27", "28", "29"]


# --- artifacts


def unused(store: Store, before: float = 50.0, *, forget: bool = True) -> str:
    return "".join(row.sha256[0] for rows in store.unused_artifacts(before, forget=forget) for row in rows)


USES: Final = {
    "the input": opened(ended("x", input=f'{{"sha256":"{"a" * 64}"}}')),
    "the output": opened(ended("x", output=f'["{"a" * 64}"]')),
    "the cause": opened(ended("x", cause=f"see /shelf/aa/{'a' * 64}.ipynb")),
    "the journal": opened(ended("x"), records=b'[{"output":"{\\"sha256\\":\\"%s\\"}"}]' % (b"a" * 64)),
    "a task's input": opened(
        running("x"), tokens=(TokenRow("t", "arn:x", 1, "open", input=f'"{"a" * 64}"'),)
    ),
    "a log": opened(ended("x"), logs=(LogRow(1, "a" * 64),)),
}


@pytest.mark.parametrize("use", USES)
def test_what_is_named_stays(store: Store, use: str) -> None:
    store.append(
        [USES[use], opened(ended("y"), artifacts=(artifact("a"), artifact("b"), artifact("c", 60.0)))]
    )
    assert unused(store, forget=False) == "b"
    assert unused(store) == "b"
    assert set(store.artifacts([letter * 64 for letter in "abc"])) == {"a" * 64, "c" * 64}


def test_what_the_inbox_names_stays(store: Store) -> None:
    store.append([opened(running("x"), artifacts=(artifact("a"),))])
    store.tell("arn:x", f'{{"output":"{"a" * 64}"}}')
    assert unused(store) == ""


def test_what_is_touched_between_the_search_and_the_deletion_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append([opened(running("x"), artifacts=(artifact("a"), artifact("b"), artifact("c")))])

    def meanwhile(*given: Any) -> Any:
        touched = Append("arn:x", 1, 2, 0.0, b"[]", artifacts=(artifact("a", 90.0),))
        named = opened(running("y", input=f'"{"b" * 64}"'))
        store.append([touched, named])
        return forgotten(*given)

    forgotten = store._forgotten  # type: ignore[attr-defined]  # between two transactions
    monkeypatch.setattr(store, "_forgotten", meanwhile)
    assert unused(store) == "c"
    assert set(store.artifacts([letter * 64 for letter in "abc"])) == {"a" * 64, "b" * 64}


def test_the_oldest_map_run_that_runs(store: Store) -> None:
    store.append([opened(running("x"), map_runs=(map_run("r", "x"),))])
    assert store.busy_since() is None
    store.put_map_run(map_run("s", "x", "RUNNING"))
    assert store.busy_since() == 5.0


def test_code_that_no_execution_names_goes(store: Store) -> None:
    code = CodeRow("a" * 64, "function", "f", b"x", "{}")
    bound = ended("x", bindings=f'{{"arn:f":{{"sha256":"{"a" * 64}"}}}}')
    store.append([opened(bound, codes=(code, replace(code, sha256="b" * 64)))])
    assert store.forget_codes() == 1
    assert set(store.codes(["a" * 64, "b" * 64])) == {"a" * 64}
    collect(store, keep=0)
    assert store.forget_codes() == 1


def test_the_file_becomes_smaller_by_vacuum_alone(store: Store) -> None:
    store.append([opened(ended(f"{n}", input=f'"{"x" * 5000}"')) for n in range(100)])
    assert collect(store, keep=0) == []
    before = size(store)
    store.vacuum()
    assert size(store) < before * 0.8


def size(store: Any) -> int:
    with store._engine.connect() as connection:
        asked = {
            "sqlite": "PRAGMA page_count",
            "postgresql": "SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relnamespace = current_schema::regnamespace",
        }
        return int(connection.exec_driver_sql(asked[store._engine.dialect.name]).scalar_one())
