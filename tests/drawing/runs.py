"""Runs to draw, in virtual time."""

from collections.abc import Mapping, Sequence

from nbflow.drawing.board import Board
from nbflow.language.values import Json
from nbflow.machine.records import Record
from tests.drawing.machines import Definition
from tests.machine.driver import Driver, Script


def board_of(driver: Driver, records: Sequence[Record] | None = None) -> Board:
    """A board that has taken the records in; by default all."""
    board = Board(driver.definition)
    for record in driver.records if records is None else records:
        board.add(record)
    return board


def ran(
    definition: Definition,
    tasks: Mapping[str, Script] | None = None,
    input: Json = None,
    steps: int = 100_000,
) -> Board:
    """The board after a run, or after so many steps of it."""
    return board_of(Driver(definition, tasks).start(input).settle(steps))
