"""The terminal's form: a few drawings as they are, and what holds of all."""

from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbflow.drawing import words
from nbflow.drawing.flow import every_state
from nbflow.drawing.text import draw
from nbflow.language.validate import parse
from tests.drawing import machines
from tests.drawing.machines import (
    FLIGHTS,
    NESTED,
    POLL,
    SAGA,
    Definition,
    chain,
    definitions,
    mapped,
    scope,
    scripts,
)
from tests.drawing.runs import ran
from tests.machine.driver import Raised
from tests.machine.test_states import by_call, echo, fails

DRAWN = {
    "flights": (
        FLIGHTS,
        """
        ┌ List months                              Task
        ├ Each month                               Map
        │   ╶ Monthly                              Task
        ├ Delays                                   Parallel
        │   ╶ By carrier                           Task
        │   ╶ By hour and weather                  Task
        │   ╶ By plane age                         Task
        ├ Measure quality                          Task
        └ Good enough?                             Choice
            quality.lost_share ≤ max_lost_share → Delay report
            default → Too much lost
        ┌ Delay report                             Task
        └ Done                                     Succeed
        ╶ Too much lost                            Fail
        """,
    ),
    "a loop": (
        POLL,
        """
        ┌ Submit                                   Task
        ├ Wait                                     Wait 30 s
        ├ Look                                     Task
        │   any error ⇢ Failed
        └ Complete?                                Choice
            n = 0 → Failed
            n = 1 → Done
            default → Wait
        ╶ Done                                     Succeed
        ╶ Failed                                   Fail
        """,
    ),
    "what goes well comes first, and handlers in their order": (
        SAGA,
        """
        ┌ Flight                                   Task
        │   any error ⇢ Sorry
        ├ Hotel                                    Task
        │   any error ⇢ Cancel flight
        ├ Card                                     Task
        │   Declined ⇢ Other card
        │   any error ⇢ Cancel hotel
        └ Tickets                                  Task
        ╶ Other card                               Task
            → Card
        ┌ Cancel hotel                             Task
        ├ Cancel flight                            Task
        └ Sorry                                    Fail
        """,
    ),
    "scopes in scopes": (
        NESTED,
        """
        ┌ Outer                                    Map
        │   ╶ Both                                 Parallel
        │       ╶ Inner                            Map
        │           ┌ A                            Task
        │           └ B                            Task
        │       ┌ P                                Task
        │       └ Q                                Task
        └ Finish                                   Task
        """,
    ),
}


@pytest.mark.parametrize("name", DRAWN)
def test_drawn(name: str) -> None:
    machine, expected = DRAWN[name]
    assert draw(parse(machine)) == dedent(expected).strip("\n")


def test_a_run() -> None:
    machine = scope(
        M=mapped(chain("I"), Next="A"), A=machines.work("B", Catch=machines.catch("C")), B=machines.work()
    )
    machine["States"] = {**machine["States"], "C": {"Type": "Fail"}}
    items = {"items": [{"n": n} for n in range(4)]}
    running = ran(machine, {"I": echo}, items, steps=1)
    assert draw(running.definition, running, now=1002.0) == dedent(
        """
        ┌ M                                        Map               … 1/4
        │   ╶ I                                    Task              … 1/4
        ├ A                                        Task
        │   any error ⇢ C
        └ B                                        Task
        ╶ C                                        Fail
        """
    ).strip("\n")
    ended = ran(machine, {"I": echo, "A": fails("Boom"), "B": by_call(Raised("Boom"))}, items)
    assert draw(ended.definition, ended) == dedent(
        """
        ┌ M                                        Map               ✓ 4/4 · 0 s
        │   ╶ I                                    Task              ✓ 4×
        ├ A                                        Task              ! 0 s
        │   any error ⇢ C
        └ B                                        Task
        ╶ C                                        Fail              ✗
        """
    ).strip("\n")


def test_what_a_terminal_would_obey_is_not_written() -> None:
    text = draw(parse(machines.HOSTILE))
    assert all(line.isprintable() for line in text.splitlines())
    assert "日本語の状態 ünïcode 🎉" in text


@settings(max_examples=100, deadline=None)
@given(definitions(), st.lists(st.integers(0, 6), min_size=1, max_size=9), st.integers(0, 40))
def test_every_state_once_within_80_columns(definition: Definition, numbers: list[int], steps: int) -> None:
    board = ran(definition, scripts(definition, numbers), machines.answer(3), steps)
    lines = draw(board.definition, board, now=2000.0).splitlines()
    heads = [line for line in lines if line.lstrip("│ ")[:2] in ("┌ ", "├ ", "└ ", "╶ ")]
    assert len(heads) == len(list(every_state(board.definition)))
    assert max(map(words.columns, lines)) <= 80
