"""What every store promises (nbflow/store/port.py)."""

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbflow.store.port import Store, StoreError, digest
from nbflow.store.rows import (
    Append,
    ArtifactRow,
    Closing,
    ExecutionRow,
    JournalRow,
    LogRow,
    MachineRow,
    Redriving,
)

DEFINITION = '{"StartAt": "Grüße", "States": {}}'
MACHINE = MachineRow(
    arn="arn:aws:states:us-east-1:000000000000:stateMachine:report",
    name="report",
    type="STANDARD",
    role_arn="arn:aws:iam::000000000000:role/nbflow",
    definition=digest(DEFINITION),
    created_at=1.5,
    updated_at=1.5,
    revision_id="1",
    options="{}",
)
ARTIFACT = ArtifactRow("ab" * 32, "dataframe", 2_000, 12, 3, "ab/abab.parquet", '{"head":[]}', 5.0, 5.0)


class Factory(Protocol):
    """Opens the store of a folder."""

    def __call__(self, folder: Path, /) -> Store: ...


def execution(name: str, machine: str = MACHINE.arn, status: str = "RUNNING") -> ExecutionRow:
    return ExecutionRow(
        arn=f"arn:aws:states:us-east-1:000000000000:execution:report:{name}",
        name=name,
        machine_arn=machine,
        definition=MACHINE.definition,
        status=status,
        input='{"month":1}',
        started_at=10.25,
    )


def opening(row: ExecutionRow, records: bytes = b"[]") -> Append:
    return Append(row.arn, 0, 1, row.started_at, records, opened=row)


def step(row: ExecutionRow, number: int, records: bytes = b"[]") -> Append:
    return Append(row.arn, number, number * 10 + 1, 11.0, records)


def steps(store: Store, row: ExecutionRow) -> list[int]:
    return [entry.step for entry in store.journal(row.arn)]


A, B, C = execution("a"), execution("b"), execution("c")


def test_machine_is_inserted_then_updated(store: Store) -> None:
    store.add_machine(MACHINE, DEFINITION)
    assert store.machine(MACHINE.arn) == MACHINE
    changed = replace(MACHINE, definition=digest("{}"), created_at=9.0, updated_at=9.0, revision_id="2")
    store.add_machine(changed, "{}")
    assert store.machine(MACHINE.arn) == replace(changed, created_at=1.5)
    assert [store.definition(MACHINE.definition), store.definition(changed.definition)] == [DEFINITION, "{}"]


def test_machines_come_in_the_order_of_their_creation(store: Store) -> None:
    rows = [
        replace(MACHINE, arn=name, created_at=at)
        for name, at in (("late", 3.0), ("first", 1.0), ("mid", 2.0))
    ]
    for row in rows:
        store.add_machine(row, DEFINITION)
    assert [row.arn for row in store.machines()] == ["first", "mid", "late"]


def test_machine_with_another_definition_than_its_digest_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="digest"):
        store.add_machine(MACHINE, "{}")
    assert store.machines() == []


def test_unknown_names(store: Store) -> None:
    assert store.machine("no") is None
    assert store.execution("no") is None
    assert list(store.journal("no")) == []
    assert store.log("no", 1) is None
    assert store.logs("no") == {}
    assert store.artifacts({"no"}) == {}
    with pytest.raises(StoreError, match="no definition"):
        store.definition("no")


def test_an_execution_lives_and_ends(store: Store) -> None:
    row = replace(A, bindings='{"f":"sha"}')
    end = Closing("SUCCEEDED", output='{"x":"é"}', stopped_at=12.5)
    assert store.append([]) == []
    assert store.append([opening(row, b'[{"type":"Start"}]')]) == [True]
    assert store.execution(row.arn) == replace(row, id=1, steps=1)
    assert store.append([replace(step(row, 1, '["é"]'.encode()), closed=end)]) == [True]
    assert store.execution(row.arn) == replace(
        row, id=1, steps=2, status="SUCCEEDED", output='{"x":"é"}', stopped_at=12.5
    )
    assert list(store.journal(row.arn)) == [
        JournalRow(0, 1, 1, 10.25, b'[{"type":"Start"}]'),
        JournalRow(1, 1, 11, 11.0, '["é"]'.encode()),
    ]
    assert store.append([replace(step(row, 2), closed=Closing("RUNNING"))]) == [True]
    assert store.execution(row.arn) == replace(row, id=1, steps=3)


@dataclass(frozen=True)
class Collision:
    id: str
    batch: Sequence[Append]
    answer: list[bool]
    after: dict[str, list[int]] = field(default_factory=dict)


COLLISIONS = [
    Collision("step exists", [step(A, 0)], [False], {"a": [0, 1]}),
    Collision("arn exists", [opening(A)], [False], {"a": [0, 1]}),
    Collision("all of an execution", [step(A, 2), step(A, 1), step(A, 3)], [False] * 3, {"a": [0, 1]}),
    Collision(
        "the others commit",
        [step(A, 1), step(B, 1), opening(C), step(A, 2), step(C, 1)],
        [False, True, True, False, True],
        {"a": [0, 1], "b": [0, 1], "c": [0, 1]},
    ),
    Collision(
        "twice in one batch", [step(A, 2), step(A, 2), step(B, 1)], [False, False, True], {"a": [0, 1]}
    ),
    Collision(
        "two lose", [step(A, 2), opening(B), step(A, 0), opening(C)], [False, False, False, True], {"c": [0]}
    ),
]


@pytest.mark.parametrize("case", COLLISIONS, ids=lambda case: case.id)
def test_collisions(store: Store, case: Collision) -> None:
    assert store.append([opening(A), step(A, 1), opening(B)]) == [True, True, True]
    assert store.append(case.batch) == case.answer
    assert {name: steps(store, execution(name)) for name in case.after} == case.after


def test_a_loser_leaves_nothing_behind(store: Store) -> None:
    store.append([opening(A)])
    lost = replace(step(A, 0), closed=Closing("FAILED"), logs=(LogRow(7, "x"),), artifacts=(ARTIFACT,))
    assert store.append([lost, opening(B)]) == [False, True]
    assert store.execution(A.arn) == replace(A, id=1, steps=1)
    assert store.logs(A.arn) == {}
    assert store.artifacts([ARTIFACT.sha256]) == {}


def test_a_batch_with_an_unknown_execution_is_refused_whole(store: Store) -> None:
    with pytest.raises(StoreError, match="does not know"):
        store.append([opening(A), step(B, 1)])
    assert store.executions() == []
    assert store.append([opening(A)]) == [True]


def test_two_writers_share_a_store(factory: Factory, tmp_path: Path) -> None:
    one, other = factory(tmp_path), factory(tmp_path)
    assert one.append([opening(A)]) == [True]
    assert other.append([step(A, 1, b"[2]"), opening(B)]) == [True, True]
    assert one.append([step(A, 1, b"[1]"), step(B, 1)]) == [False, True]
    assert [row.records for row in one.journal(A.arn, after=0)] == [b"[2]"]
    one.close()
    other.close()


def test_reads_from_many_threads(store: Store) -> None:
    store.append([opening(A, b"[1]")])
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: [row.records for row in store.journal(A.arn)], range(50)))
    assert found == [[b"[1]"]] * 50


def test_executions_are_filtered_and_paged(store: Store) -> None:
    rows = [
        execution(str(n), machine="even" if n % 2 == 0 else "odd", status="RUNNING" if n < 6 else "FAILED")
        for n in range(10)
    ]
    store.append([opening(row) for row in rows])
    names = [row.name for row in store.executions()]
    assert names == [str(n) for n in reversed(range(10))]
    assert [row.name for row in store.executions(machine_arn="even", status="FAILED")] == ["8", "6"]
    first = store.executions(status="RUNNING", limit=4)
    rest = store.executions(status="RUNNING", limit=4, before=first[-1].id)
    assert [row.name for row in first + rest] == ["5", "4", "3", "2", "1", "0"]


def test_a_redrive_opens_it_again(store: Store) -> None:
    ended = Closing("FAILED", error="Boom", cause="why", stopped_at=12.0)
    store.append([opening(A), replace(step(A, 1), closed=ended)])
    redriven = Redriving(1, 20.0, '[["t", 20.0]]', '{"b":1}')
    assert store.append([replace(step(A, 2), redriven=redriven)]) == [True]
    expected = replace(
        A, redrive_count=1, redrive_date=20.0, redrive_tokens='[["t", 20.0]]', bindings='{"b":1}'
    )
    row = store.execution(A.arn)
    assert row is not None
    assert replace(row, id=0, steps=0) == expected
    again = replace(redriven, redrive_count=2, redrive_date=30.0)
    store.append([replace(step(A, 3), redriven=again, closed=replace(ended, stopped_at=30.5))])
    row = store.execution(A.arn)
    assert row is not None
    assert (row.status, row.error, row.stopped_at) == ("FAILED", "Boom", 30.5)
    assert (row.redrive_count, row.redrive_date) == (2, 30.0)


def test_who_redrives_too_late_has_lost(store: Store) -> None:
    store.append([opening(A), replace(step(A, 1), closed=Closing("FAILED", stopped_at=12.0))])
    redriven = Redriving(1, 20.0)
    assert store.append([replace(step(A, 2), redriven=redriven)]) == [True]
    assert store.append([replace(step(A, 2), redriven=replace(redriven, redrive_date=21.0))]) == [False]
    row = store.execution(A.arn)
    assert row is not None
    assert row.redrive_date == 20.0


def test_executions_are_filtered_by_whether_they_were_redriven(store: Store) -> None:
    store.append([opening(A), opening(B), replace(step(A, 1), redriven=Redriving(1, 20.0))])
    assert [row.name for row in store.executions(redriven=True)] == ["a"]
    assert [row.name for row in store.executions(redriven=False)] == ["b"]
    assert [row.name for row in store.executions()] == ["b", "a"]


def test_a_long_journal_comes_in_order(store: Store) -> None:
    store.append([opening(A), *(step(A, number) for number in reversed(range(1, 501)))])
    assert steps(store, A) == list(range(501))
    assert [row.step for row in store.journal(A.arn, after=498)] == [499, 500]


def test_logs(store: Store) -> None:
    store.append([opening(A), replace(step(A, 1), logs=(LogRow(12, "zwölf"), LogRow(3, "")))])
    assert store.logs(A.arn) == {3: "", 12: "zwölf"}
    assert store.log(A.arn, 12) == "zwölf"
    assert store.log(A.arn, 4) is None
    store.append([replace(step(A, 2), logs=(LogRow(12, "again"),))])
    assert store.log(A.arn, 12) == "again"


def test_an_artifact_is_written_once_and_touched(store: Store) -> None:
    again = replace(ARTIFACT, kind="pickle", made_at=9.0, touched_at=9.0)
    store.append([opening(A), replace(step(A, 1), artifacts=(ARTIFACT,))])
    store.append([replace(step(A, 2), artifacts=(again,))])
    assert store.artifacts({ARTIFACT.sha256, "other"}) == {ARTIFACT.sha256: replace(ARTIFACT, touched_at=9.0)}


def test_many_artifacts_are_looked_up_at_once(store: Store) -> None:
    rows = tuple(replace(ARTIFACT, sha256=f"{n:064x}") for n in range(1000))
    store.append([replace(opening(A), artifacts=rows)])
    assert store.artifacts([row.sha256 for row in rows]) == {row.sha256: row for row in rows}


ModelState = dict[str, dict[int, bytes]]
"""The model: the steps of each execution that was opened."""


class Unknown(Exception):
    """The batch names an execution that was never opened."""


def modelled(state: ModelState, batch: Sequence[Append]) -> tuple[list[bool], ModelState]:
    """The group commit over a dict."""
    after = {arn: dict(journal) for arn, journal in state.items()}
    losers = set()
    for append in batch:
        if append.opened is not None:
            losers |= {append.execution} & after.keys()
            after.setdefault(append.execution, {})
        if append.execution not in after:
            raise Unknown
        journal = after[append.execution]
        losers |= {append.execution} if append.step in journal else set()
        journal[append.step] = append.records
    kept = {arn: state.get(arn) if arn in losers else journal for arn, journal in after.items()}
    answer = [append.execution not in losers for append in batch]
    return answer, {arn: journal for arn, journal in kept.items() if journal is not None}


appends = st.builds(
    lambda row, number, opens, payload: replace(
        step(row, number, b"[%d]" % payload), opened=row if opens else None
    ),
    st.sampled_from([A, B, C]),
    st.integers(0, 4),
    st.booleans(),
    st.integers(0, 9),
)


numbers = itertools.count()


def of_example(append: Append, machine: str) -> Append:
    """The same of an execution of its own."""
    arn = f"{append.execution}-{machine}"
    opened = append.opened and replace(append.opened, arn=arn, machine_arn=machine)
    return replace(append, execution=arn, opened=opened)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(appends, max_size=6), max_size=6))
def test_random_batches_equal_the_model(store: Store, batches: list[list[Append]]) -> None:
    state: ModelState = {}
    machine = f"machine-{next(numbers)}"  # all examples share the store
    for given_batch in batches:
        batch = [of_example(append, machine) for append in given_batch]
        try:
            answer, state = modelled(state, batch)
        except Unknown:
            with pytest.raises(StoreError):
                store.append(batch)
        else:
            assert store.append(batch) == answer
        found = {
            row.arn: {entry.step: entry.records for entry in store.journal(row.arn)}
            for row in store.executions(machine_arn=machine)
        }
        assert found == state
