"""The proof, from what is remembered: every history is whole, every result is one, and what was told holds.

Each check answers what is wrong, in words; nothing wrong is an empty list.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from sqlalchemy import select

from nbflow.engine.rows import closing
from nbflow.language import model
from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.machine import Machine
from nbflow.machine import records as r
from nbflow.machine.evolve import evolve
from nbflow.machine.history import history
from nbflow.machine.records import Record, decode
from nbflow.machine.run import Run
from nbflow.store import schema
from nbflow.store.rows import ExecutionRow, JournalRow
from nbflow.store.sql import SqlStore
from tests.chaos.driver import Notes
from tests.chaos.samples import LAMBDA, SAMPLES

_RESULTS: Final = (r.TaskSucceeded, r.TaskFailed, r.TaskTimedOut)
_TERMINAL: Final = ("ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut")


@dataclass(frozen=True)
class Recorded:
    """What the store remembers of one execution."""

    row: ExecutionRow
    definition: model.StateMachine
    journal: Sequence[JournalRow]

    @property
    def records(self) -> list[Record]:
        return [record for row in self.journal for record in decode(row.records, row.format)]


@dataclass
class Figures:
    """What is printed in the end."""

    kills: int = 0
    pauses: int = 0
    executions: int = 0
    events: int = 0
    results: int = 0
    """Of tasks, recorded."""
    tokens: int = 0
    """By which two have tried to answer."""
    taken_over: int = 0
    """How often an engine went on with what another had left."""
    repeated: int = 0
    """How often an attempt was made once more: at least once is what is promised of tasks."""
    repeated_late: int = 0
    """Those that began when their result was recorded already."""
    lost: list[str] = field(default_factory=list)
    """All that is wrong."""


# --- one execution


def check_execution(recorded: Recorded) -> list[str]:
    """Its journal, its history and its row, against each other."""
    checks = (_steps, _history, _attempts, _row)
    return [f"{recorded.row.name}: {each}" for check in checks for each in _carefully(check, recorded)]


def _carefully(check: Callable[[Recorded], Iterator[str]], recorded: Recorded) -> Iterator[str]:
    try:
        yield from check(recorded)
    except Exception as error:  # noqa: BLE001  # a fold of records that do not fit together may fail anyhow
        yield f"cannot be read: {type(error).__name__}: {error}"


def _steps(recorded: Recorded) -> Iterator[str]:
    steps = [row.step for row in recorded.journal]
    if steps != list(range(len(steps))):
        yield f"the steps are {steps}"
    run = Run(recorded.definition)
    for row in recorded.journal:
        if row.first_event != run.last_event + 1:
            yield f"step {row.step} begins with event {row.first_event}, after {run.last_event}"
        for record in decode(row.records, row.format):
            evolve(run, record)


def _history(recorded: Recorded) -> Iterator[str]:
    events = list(history(recorded.definition, recorded.records))
    yield from check_events(events, lives=1 + recorded.row.redrive_count)


def check_events(events: Sequence[Any], *, lives: int) -> Iterator[str]:
    """Events in AWS's shapes: their ids, what they point back to, and one end for each life."""
    ids = [event["id"] for event in events]
    if ids != list(range(1, len(ids) + 1)):
        yield f"the events' ids are {ids}"
    yield from (
        f"event {event['id']} follows {event['previousEventId']}"
        for event in events
        if not 0 <= event["previousEventId"] < event["id"]
    )
    ends = [event["type"] for event in events if event["type"] in _TERMINAL]
    if len(ends) != lives or not events or events[-1]["type"] not in _TERMINAL:
        yield f"it ends {len(ends)} times in {lives} lives: {ends}"


def _attempts(recorded: Recorded) -> Iterator[str]:
    """Each attempt has one result at most, and after a success nothing is ordered again in that visit of the state."""
    run = Run(recorded.definition)
    succeeded = set[tuple[int, int]]()
    for record in recorded.records:
        if isinstance(record, r.TaskScheduled):
            frame = run.frames[record.frame]
            if frame.attempt is not None:
                yield f"{frame.state} is ordered while attempt {frame.attempt} is under way"
            if (frame.id, frame.entered) in succeeded:
                yield f"{frame.state} is ordered again after its result"
        elif isinstance(record, _RESULTS):
            frame = run.frames[record.frame]
            if frame.attempt is None or frame.attempt not in run.attempts:
                yield f"{frame.state} has a further result: {type(record).__name__}"
            if isinstance(record, r.TaskSucceeded):
                succeeded.add((frame.id, frame.entered))
        evolve(run, record)


def _row(recorded: Recorded) -> Iterator[str]:
    row = recorded.row
    steps = [decode(each.records, each.format) for each in recorded.journal]
    run = Machine.rebuilt(recorded.definition, Random(0), steps).run
    if not run.ended:
        yield f"has not ended: {run.status}"
        return
    told = closing(run)
    rebuilt = (told.status, told.output, told.error, told.cause, told.stopped_at, run.redrives)
    kept = (row.status, row.output, row.error, row.cause, row.stopped_at, row.redrive_count)
    if rebuilt != kept:
        yield f"its row says {kept}, its journal {rebuilt}"
    if run.cancelling or run.attempts:
        yield f"attempts are left: {[*run.cancelling, *run.attempts]}"
    if row.owner is not None:
        yield f"it is owned by {row.owner}"


# --- what was told


def check_notes(notes: Notes, all_recorded: Iterable[Recorded]) -> list[str]:
    """What the driver was told, and what must come of each sample."""
    by_arn = {recorded.row.arn: recorded for recorded in all_recorded}
    wrong: list[str] = []
    for arn, kind in notes.started.items():
        recorded = by_arn.get(arn)
        if recorded is None:
            wrong.append(f"{arn} was started, and is not there")
            continue
        wrong += (f"{recorded.row.name}: {each}" for each in _outcome(notes, kind, recorded.row))
    for token, rivals in notes.tokens.items():
        wrong += (f"{rivals.execution}: {each}" for each in _token(notes, token, list(by_arn.values())))
    return wrong


def _outcome(notes: Notes, kind: str, row: ExecutionRow) -> Iterator[str]:
    sample = SAMPLES[kind]
    if row.status != sample.status:
        yield f"is {row.status} ({row.error}: {row.cause}), and must be {sample.status}"
        return
    if sample.treatment == "redrive" and not row.redrive_count:
        yield "was not redriven"
    output = None if row.output is None else json.loads(row.output)
    allowed = [sample.output]
    if sample.answered:
        mine = [rivals for rivals in notes.tokens.values() if rivals.execution == row.name]
        allowed = [output for rivals in mine for output in rivals.accepted + rivals.unsure]
    if output not in allowed:
        yield f"has the output {output}, not {allowed}"
    if row.arn in notes.told_ended and notes.told_ended[row.arn] != (row.status, row.output):
        yield f"was said to be {notes.told_ended[row.arn]}, and is {(row.status, row.output)}"


def _token(notes: Notes, token: str, all_recorded: Sequence[Recorded]) -> Iterator[str]:
    rivals = notes.tokens[token]
    if len(rivals.accepted) > 1:
        yield f"two answers were accepted for one token: {rivals.accepted}"
    found = [each for recorded in all_recorded for each in results_of(recorded, token)]
    if rivals.accepted and found != rivals.accepted[:1]:
        yield f"{rivals.accepted[0]} was accepted, and {found} recorded"


def results_of(recorded: Recorded, token: str) -> list[Json]:
    """The outputs of the attempts of this token that succeeded."""
    frame, found = None, []
    for record in recorded.records:
        if isinstance(record, r.TaskScheduled) and record.token == token:
            frame = record.frame
        elif isinstance(record, r.TaskScheduled) and record.frame == frame:
            frame = None
        elif isinstance(record, r.TaskSucceeded) and record.frame == frame:
            found.append(record.output)
    return found


# --- the whole store


def read_all(store: SqlStore) -> list[Recorded]:
    """All executions, oldest first."""
    rows: list[ExecutionRow] = []
    while page := store.executions(before=rows[-1].id if rows else None):
        rows += page
    definitions = {row.definition: parse(json.loads(store.definition(row.definition))) for row in rows}
    return [Recorded(row, definitions[row.definition], list(store.journal(row.arn))) for row in rows[::-1]]


def check_leftovers(store: SqlStore) -> list[str]:
    """When all have ended, nobody is to be told anything, and no token is open."""
    wrong = [f"the inbox holds {row.fact} for {row.execution}" for row in store.inbox()]
    states = Counter(row.state for row in store._rows(select(schema.tokens.c.state)))
    if set(states) - {"closed"}:
        wrong.append(f"tokens are left: {dict(states)}")
    return wrong


def figures_of(folder: Path, notes: Notes, all_recorded: Sequence[Recorded]) -> Figures:
    """Count."""
    figures = Figures(executions=len(all_recorded), tokens=len(notes.tokens))
    ended_at: dict[tuple[str, str], float] = {}
    for recorded in all_recorded:
        records = recorded.records
        figures.results += sum(isinstance(record, r.TaskSucceeded) for record in records)
        figures.taken_over += sum(isinstance(record, r.ExecutionOwned) for record in records)
        ended_at |= _ended_at(recorded)
    figures.events = sum(len(list(history(each.definition, each.records))) for each in all_recorded)
    seen = Counter[tuple[str, str]]()
    for line in (folder / "done").read_text().splitlines():
        execution, attempt, at = line.split("\t")
        seen[execution, attempt] += 1
        if seen[execution, attempt] > 1:
            figures.repeated += 1
            figures.repeated_late += float(at) > ended_at.get((execution, attempt), float("inf"))
    return figures


def _ended_at(recorded: Recorded) -> dict[tuple[str, str], float]:
    """When the results of its functions were recorded, by the names that the samples give to attempts."""
    run = Run(recorded.definition)
    found: dict[tuple[str, str], float] = {}
    for record in recorded.records:
        if isinstance(record, r.TaskSucceeded | r.TaskFailed):
            frame = run.frames[record.frame]
            name = f"{frame.state}/{sum(frame.retries.values())}/{run.redrives}"
            if frame.resource.startswith(LAMBDA):
                found[recorded.row.name, name] = found[recorded.row.name, f"{frame.index}#{name}"] = record.at
        evolve(run, record)
    return found


# --- that all have ended


def still_running(all_recorded: Iterable[Recorded]) -> list[str]:
    """The names of those that have not ended, or whose end still owes something."""
    return [each.row.name for each in all_recorded if each.row.status == "RUNNING" or each.row.owner]
