"""The checker finds what is wrong: a check that cannot fail is none."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest

from nbflow.language.validate import parse
from nbflow.machine import facts
from nbflow.machine import records as r
from nbflow.machine.records import Record, decode, encode, join
from nbflow.store.rows import JournalRow
from tests.chaos.checker import (
    Recorded,
    check_events,
    check_execution,
    check_leftovers,
    check_notes,
    results_of,
)
from tests.chaos.driver import Notes, Rivals
from tests.engine.test_engine import Desk, mapped, task
from tests.engine.test_outside import callback, end, tell, tokens, turn


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.engine.close()
    desk.store.close()


def recorded(desk: Desk) -> Recorded:
    row = desk.row()
    definition = parse(desk.store.definition(row.definition))
    return Recorded(row, definition, list(desk.store.journal(row.arn)))


def mapping(desk: Desk) -> Recorded:
    """A Map over two items has run, and a task after it."""
    states = {"M": {**mapped(task()), "Next": "After"}, "After": task()}
    del states["M"]["End"]
    desk.start(states, [1, 2], {"f": lambda value: value})
    desk.settle()
    return recorded(desk)


# --- one execution

Change = Callable[[Recorded], Recorded]


def changed(change: Callable[[list[JournalRow]], Sequence[JournalRow]]) -> Change:
    """Another journal."""
    return lambda was: replace(was, journal=change(list(was.journal)))


def with_records(row: JournalRow, change: Callable[[list[Record]], list[Record]]) -> JournalRow:
    return replace(row, records=join([encode(record) for record in change(decode(row.records))]))


def everywhere(change: Callable[[list[Record]], list[Record]]) -> Change:
    """Other records in each step."""
    return changed(lambda rows: [with_records(row, change) for row in rows])


def twice(kind: type[Record]) -> Callable[[list[Record]], list[Record]]:
    return lambda records: [each for record in records for each in [record] * (1 + isinstance(record, kind))]


def without(kind: type[Record]) -> Callable[[list[Record]], list[Record]]:
    return lambda records: [record for record in records if not isinstance(record, kind)]


def ordered_again(records: list[Record]) -> list[Record]:
    """After its success, each task is ordered and succeeds once more."""
    found: list[Record] = []
    for record in records:
        found.append(record)
        if isinstance(record, r.TaskSucceeded):
            again = r.TaskScheduled(record.at, record.frame, "arn:f", 1)
            found += [again, r.TaskStarted(record.at, record.frame), record]
    return found


CORRUPTED: Final[Mapping[str, tuple[Change, str]]] = {
    "a step is lost": (changed(lambda rows: rows[:1] + rows[2:]), "the steps are"),
    "a step is doubled": (changed(lambda rows: [*rows[:2], *rows[1:]]), "the steps are"),
    "the first step is lost": (changed(lambda rows: rows[1:]), "the steps are"),
    "the last step is lost": (changed(lambda rows: rows[:-1]), "it ends 0 times"),
    "there is none": (changed(lambda rows: []), "it ends 0 times"),
    "the end is doubled": (everywhere(twice(r.ExecutionSucceeded)), "cannot be read"),
    "an event is lost": (everywhere(without(r.TaskStarted)), "begins with event"),
    "an event is doubled": (everywhere(twice(r.TaskStarted)), "begins with event"),
    "a result is doubled": (everywhere(twice(r.TaskSucceeded)), "has a further result"),
    "an order is doubled": (everywhere(twice(r.TaskScheduled)), "is ordered while attempt"),
    "a task is ordered again": (everywhere(ordered_again), "is ordered again after its result"),
    "a number is wrong": (
        changed(lambda rows: [replace(row, first_event=row.first_event + row.step) for row in rows]),
        "begins with event",
    ),
    "another output": (lambda was: replace(was, row=replace(was.row, output="[]")), "its row says"),
    "another status": (lambda was: replace(was, row=replace(was.row, status="RUNNING")), "its row says"),
    "a redrive": (lambda was: replace(was, row=replace(was.row, redrive_count=1)), "it ends 1 times in 2"),
    "an owner": (lambda was: replace(was, row=replace(was.row, owner="host:1:x")), "it is owned by host:1:x"),
}


@pytest.mark.parametrize("case", CORRUPTED)
def test_a_corrupted_journal_is_found(desk: Desk, case: str) -> None:
    sound = mapping(desk)
    assert check_execution(sound) == []
    change, says = CORRUPTED[case]
    assert says in "\n".join(check_execution(change(sound)))


EVENTS: Final = [
    {"id": 1, "previousEventId": 0, "type": "ExecutionStarted"},
    {"id": 2, "previousEventId": 0, "type": "PassStateEntered"},
    {"id": 3, "previousEventId": 2, "type": "PassStateExited"},
    {"id": 4, "previousEventId": 3, "type": "ExecutionSucceeded"},
]


@pytest.mark.parametrize(
    ("events", "says"),
    [
        (EVENTS, ""),
        (EVENTS[:1] + EVENTS[2:], "the events' ids are [1, 3, 4]"),
        ([*EVENTS[:3], EVENTS[2] | {"previousEventId": 3}, EVENTS[3]], "event 3 follows 3"),
        (EVENTS[:3], "it ends 0 times"),
        ([*EVENTS, EVENTS[2] | {"id": 5}], "it ends 1 times"),
    ],
)
def test_events_are_counted(events: list[Any], says: str) -> None:
    found = list(check_events(events, lives=1))
    assert any(each.startswith(says) for each in found) if says else found == []


# --- what was told


@dataclass(frozen=True)
class Told:
    id: str
    says: str
    kind: str = "mapped"
    output: str | None = "55"
    status: str = "SUCCEEDED"
    there: bool = True
    told: dict[str, tuple[str, str | None]] = field(default_factory=dict)


TOLD: Final = [
    Told("all is well", ""),
    Told("not there", "was started, and is not there", there=False),
    Told("failed", "is FAILED", status="FAILED", output=None),
    Told("an item is lost", "has the output 30, not [55]", output="30"),
    Told("a stop is lost", "is SUCCEEDED", kind="stopped"),
    Told("not redriven", "was not redriven", kind="redriven", output='"mended"'),
    Told("another end", "was said to be", told={"arn:run": ("FAILED", None)}),
]


@pytest.mark.parametrize("case", TOLD, ids=lambda case: case.id)
def test_what_was_told_must_hold(desk: Desk, case: Told) -> None:
    found = mapping(desk)
    found = replace(found, row=replace(found.row, status=case.status, output=case.output))
    notes = Notes(started={"arn:run": case.kind}, told_ended=case.told)
    wrong = check_notes(notes, [found] if case.there else [])
    assert case.says in "\n".join(wrong) if case.says else wrong == []


def test_answers_are_found_again(desk: Desk) -> None:
    desk.start({"T": callback()}, {"a": 1}, {"f": tell})
    turn(desk)
    [token] = tokens(desk)
    assert check_leftovers(desk.store) == ["tokens are left: {'open': 1}"]
    desk.store.tell("arn:run", "{}")
    assert check_leftovers(desk.store)[0] == "the inbox holds {} for arn:run"
    desk.store.forget([row.id for row in desk.store.inbox()])
    end(desk, token, facts.TaskSucceeded(0, ["run", 1]))
    turn(desk)
    found = recorded(desk)
    assert check_leftovers(desk.store) == []
    assert results_of(found, token) == [["run", 1]]
    notes = Notes(started={"arn:run": "callback"})
    for accepted, says in [
        ([["run", 1]], ""),
        ([["run", 0]], "['run', 0] was accepted, and [['run', 1]] recorded"),
        ([["run", 1], ["run", 0]], "two answers were accepted"),
        ([], "has the output"),
    ]:
        notes.tokens[token] = Rivals("run", accepted)
        wrong = check_notes(notes, [found])
        assert says in "\n".join(wrong) if says else wrong == []
