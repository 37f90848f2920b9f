"""What an execution remembers: its records, and AWS's events of them."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Final

from nbflow.language import model
from nbflow.language.values import Json
from nbflow.machine.evolve import evolve
from nbflow.machine.history import Event, history
from nbflow.machine.records import Record, decode
from nbflow.machine.run import Run
from nbflow.service.definitions import check_definition
from nbflow.service.desk import Desk
from nbflow.service.lookup import execution_of
from nbflow.service.parameters import DEFAULT_RESULTS, limit_of, make_token, read_token

MOST_READINGS: Final = 16
"""Histories that are kept open where a page of them has ended."""

_DATA: Final = ("input", "output", "parameters", "assignedVariables")
"""The members of event details that are execution data; of each there may be ``<member>Details``, too."""


def get_execution_history(
    desk: Desk,
    execution_arn: str,
    *,
    reverse_order: bool = False,
    include_execution_data: bool = True,
    max_results: int = DEFAULT_RESULTS,
    next_token: str | None = None,
) -> dict[str, Json]:
    """AWS, GetExecutionHistory. Raises ApiError ExecutionDoesNotExist, InvalidArn or InvalidToken."""
    question = f"events of {execution_arn} {reverse_order}"
    size = limit_of(max_results)
    start = 0 if next_token is None else read_token(next_token, question)
    found, more = (_backwards if reverse_order else _forwards)(desk, execution_arn, start, size)
    if not include_execution_data:
        found = [_without_data(event) for event in found]
    answer: dict[str, Json] = {"events": found}
    return {**answer, "nextToken": make_token(start + size, question)} if more else answer


def _forwards(desk: Desk, arn: str, start: int, size: int) -> tuple[list[Event], bool]:
    """The events after the first ``start`` ones, and whether there are more.

    Who reads on from where a page ended, goes on with the same fold: to read all of a long history takes one.
    """
    reading = desk.readings.pop((arn, start), None) or _events_after(desk, arn, start)
    found = list(islice(reading, size + 1))
    more = len(found) > size
    if more:
        desk.readings[arn, start + size] = chain(found[size:], reading)
        if len(desk.readings) > MOST_READINGS:
            desk.readings.popitem(last=False)
    return found[:size], more


def _backwards(desk: Desk, arn: str, start: int, size: int) -> tuple[list[Event], bool]:
    """The same from the last event on: how many there are, is counted first."""
    run = Run(definition_of(desk, arn))
    for record in _records(desk, arn):
        evolve(run, record)
    end = max(run.last_event - start, 0)
    first = max(end - size, 0)
    found = list(islice(_events_after(desk, arn, first), end - first))
    return found[::-1], first > 0


def _events_after(desk: Desk, arn: str, first: int) -> Iterator[Event]:
    return history(definition_of(desk, arn), _records(desk, arn), first)


def _without_data(event: Event) -> Event:
    hidden = {*_DATA, *(f"{member}Details" for member in _DATA)}
    return {
        name: {k: v for k, v in value.items() if k not in hidden} if isinstance(value, dict) else value
        for name, value in event.items()
    }


def events(desk: Desk, execution_arn: str) -> list[Event]:
    """The whole history, in AWS's shapes."""
    return list(_events_after(desk, execution_arn, 0))


def records(desk: Desk, execution_arn: str) -> list[Record]:
    """What the execution remembers."""
    execution_of(desk, execution_arn)
    return list(_records(desk, execution_arn))


def _records(desk: Desk, execution_arn: str) -> Iterator[Record]:
    for row in desk.store.journal(execution_arn):
        yield from decode(row.records, row.format)


def definition_of(desk: Desk, execution_arn: str) -> model.StateMachine:
    """The definition that the execution started with."""
    return check_definition(desk.store.definition(execution_of(desk, execution_arn).definition))
