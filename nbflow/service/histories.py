"""What an execution remembers: its records, and AWS's events of them."""

from typing import Final

from nbflow.language import model
from nbflow.language.values import Json
from nbflow.machine.history import Event, history
from nbflow.machine.records import Record, decode
from nbflow.service.definitions import check_definition
from nbflow.service.desk import Desk
from nbflow.service.lookup import execution_of
from nbflow.service.parameters import DEFAULT_RESULTS, page

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
    found = events(desk, execution_arn)
    if reverse_order:
        found.reverse()
    if not include_execution_data:
        found = [_without_data(event) for event in found]
    return page("events", found, max_results, next_token, of=f"{execution_arn} {reverse_order}")


def _without_data(event: Event) -> Event:
    hidden = {*_DATA, *(f"{member}Details" for member in _DATA)}
    return {
        name: {k: v for k, v in value.items() if k not in hidden} if isinstance(value, dict) else value
        for name, value in event.items()
    }


def events(desk: Desk, execution_arn: str) -> list[Event]:
    """The whole history, in AWS's shapes."""
    return list(history(definition_of(desk, execution_arn), records(desk, execution_arn)))


def records(desk: Desk, execution_arn: str) -> list[Record]:
    """What the execution remembers."""
    execution_of(desk, execution_arn)
    journal = desk.store.journal(execution_arn)
    return [record for row in journal for record in decode(row.records, row.format)]


def definition_of(desk: Desk, execution_arn: str) -> model.StateMachine:
    """The definition that the execution started with."""
    return check_definition(desk.store.definition(execution_of(desk, execution_arn).definition))
