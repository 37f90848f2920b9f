"""The board agrees with the trace after every record, and takes a record in as fast with many items as with few."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbflow.drawing.board import ITEM, PRECEDENCE, Board, StateStatus
from nbflow.language.validate import parse
from nbflow.machine import facts
from nbflow.machine import records as r
from nbflow.machine.trace import Trace, Visit
from tests.drawing.machines import (
    POLL,
    RETRY,
    Definition,
    answer,
    catch,
    chain,
    definitions,
    mapped,
    scope,
    scripts,
    work,
)
from tests.drawing.runs import board_of, ran
from tests.machine.driver import ACTIVITY, CALLBACK, Driver, Raised, Script
from tests.machine.test_states import by_call, echo, fails

ITEMS = {"items": [{"n": n} for n in range(4)]}


def status_of(visit: Visit) -> StateStatus:
    return "RETRYING" if visit.status == "RUNNING" and visit.retry_due is not None else visit.status


def counted(visits: list[Visit]) -> Iterator[tuple[str, StateStatus]]:
    """What the trace says: of each state of a scope the latest visit, and what is in that."""
    for visit in {visit.name: visit for visit in visits}.values():
        yield visit.name, status_of(visit)
        for branch in visit.branches.values():
            yield from counted(branch)


def check(board: Board, forks: dict[str, Visit]) -> None:
    told: Counter[tuple[str, StateStatus]] = Counter()
    for name, view in board.states.items():
        told.update({(name, status): number for status, number in view.counts.items()})
        assert view.status == next((each for each in PRECEDENCE if view.counts[each]), "")
        assert view.running + view.succeeded + view.failed <= view.visits
        assert not view.waits or view.running
    assert +told == Counter(counted(board.trace.visits))
    for name, visit in forks.items():
        view = board.states[name]
        items = "".join(
            ITEM[visit.branch_status[at]] if at in visit.branch_status else " " for at in range(visit.total)
        )
        assert (view.items, view.total, view.done) == (items, visit.total, visit.done)


@settings(max_examples=150, deadline=None)
@given(definitions(), st.lists(st.integers(0, 6), min_size=1, max_size=9), st.integers(0, 40), st.booleans())
def test_it_agrees_with_the_trace(definition: Definition, numbers: list[int], steps: int, stop: bool) -> None:
    driver = Driver(definition, scripts(definition, numbers)).start(answer(3)).settle(steps)
    if stop and not driver.run.ended:
        driver.step(facts.Stop())
    driver.step(facts.Redrive())  # a run that goes on, or has succeeded, does not mind
    driver.settle(steps)
    board, trace = Board(driver.definition), Trace(driver.definition)
    forks: dict[str, Visit] = {}
    for record in driver.records[:400]:
        visit = trace.add(record)
        if isinstance(record, r.ForkStarted):
            assert visit is not None
            forks[visit.name] = visit
        before = {name: (view.status, view.items, view.waits) for name, view in board.states.items()}
        board.add(record)
        after = {name: (view.status, view.items, view.waits) for name, view in board.states.items()}
        assert {name for name in after if after[name] != before[name]} <= set(board.changed())
        check(board, forks)


def statuses(board: Board) -> dict[str, str]:
    return {name: view.status for name, view in board.states.items()}


def test_before_the_first_record() -> None:
    board = Board(parse(POLL))
    assert set(statuses(board).values()) == {""}
    assert (board.status, board.started_at, board.stopped_at, board.changed()) == ("PENDING", 0.0, None, {})


def test_a_run_from_start_to_end() -> None:
    board = ran(chain("A", "B"), {"A": echo, "B": echo})
    view = board.states["A"]
    assert (board.status, board.started_at, board.stopped_at) == ("SUCCEEDED", 1000.0, 1000.0)
    assert (view.type, view.status, view.visits, view.succeeded, view.failed, view.running) == (
        "Task",
        "SUCCEEDED",
        1,
        1,
        0,
        0,
    )
    assert (view.entered_at, view.exited_at) == (1000.0, 1000.0)
    assert board.taken == {("A", "B")}


def test_changed_tells_each_change_once() -> None:
    driver = Driver(chain("A", "B"), {"A": echo, "B": echo}).go()
    board = Board(driver.definition)
    told = []
    for record in driver.records:
        board.add(record)
        told.append(sorted(board.changed()))
    assert told == [[], ["A"], ["A"], [], [], ["A"], ["B"], ["B"], [], [], ["B"], []]
    assert board.changed() == {}


def test_a_retry_that_is_waited_for() -> None:
    driver = Driver(scope(A=work(Retry=RETRY)), {"A": by_call(Raised("Boom"), 1)}).start()
    attempt = driver.run.frames[0].attempt
    assert attempt is not None
    driver.step(facts.TaskFailed(attempt, "Boom", "why"))
    assert statuses(board_of(driver)) == {"A": "RETRYING"}
    assert board_of(driver).states["A"].exited_at is None
    driver.settle(2)
    assert statuses(board_of(driver)) == {"A": "RUNNING"}


def test_an_activity_that_nobody_has_taken_yet() -> None:
    driver = Driver(scope(A={**work("B"), "Resource": ACTIVITY}, B={**work(), "Resource": CALLBACK})).start()
    board = Board(driver.definition)
    told: list[tuple[str, str]] = []

    def hear(fact: facts.Fact | None = None) -> None:
        for record in driver.records if fact is None else driver.step(fact):
            board.add(record)
        told.append((board.states["A"].waits, board.states["B"].waits))

    hear()
    assert board.changed().keys() == {"A"}
    [attempt] = driver.run.attempts
    hear(facts.TaskStarted(attempt, "w"))
    assert board.changed().keys() == {"A"}
    hear(facts.TaskSucceeded(attempt, 1))
    [attempt] = driver.run.attempts
    hear(facts.TaskSubmitted(attempt, {}))
    hear(facts.Stop())
    assert told == [("a worker", ""), ("", ""), ("", ""), ("", "a callback"), ("", "")]
    assert statuses(board) == {"A": "SUCCEEDED", "B": "ABORTED"}


def test_a_retried_map_counts_its_latest_try_only() -> None:
    machine = scope(M=mapped(chain("I"), Retry=RETRY, End=True))
    tasks: dict[str, Script] = {"I": by_call(1, Raised("Boom"), 1, 1, 1, 1, 1, 1, 1)}
    board = ran(machine, tasks, ITEMS)
    view = board.states["I"]
    assert statuses(board) == {"M": "SUCCEEDED", "I": "SUCCEEDED"}
    assert (view.succeeded, view.failed, view.visits) == (4, 0, 8)


def test_a_state_of_a_loop_is_as_its_latest_round_was() -> None:
    again = scope(A=work("C", Catch=catch("B")), B=work("A"), C=work())
    board = ran(again, {"A": by_call(Raised("Boom"), 1), "B": echo, "C": echo})
    assert statuses(board) == {"A": "SUCCEEDED", "B": "SUCCEEDED", "C": "SUCCEEDED"}
    assert (board.states["A"].visits, board.taken) == (2, {("A", "B"), ("B", "A"), ("A", "C")})


@pytest.mark.parametrize(
    ("numbers", "tolerated", "expected", "items"),
    [
        pytest.param([1, 2, 3, 4], 0, {"M": "SUCCEEDED", "I": "SUCCEEDED"}, "ssss", id="all succeed"),
        pytest.param([1, 9, 3, 4], 0, {"M": "FAILED", "I": "FAILED"}, "sfaa", id="one fails"),
        pytest.param([1, 9, 3, 4], 1, {"M": "SUCCEEDED", "I": "FAILED"}, "sfss", id="one may fail"),
    ],
)
def test_items_of_a_map(numbers: list[int], tolerated: int, expected: dict[str, str], items: str) -> None:
    machine = scope(M=mapped(chain("I"), ToleratedFailureCount=tolerated, End=True))
    board = ran(machine, scripts(machine, numbers), ITEMS)
    assert (statuses(board), board.states["M"].items) == (expected, items)


def test_while_a_map_is_under_way() -> None:
    machine = scope(M=mapped(chain("I", "J"), MaxConcurrency=2, End=True))
    view = ran(machine, {"I": echo, "J": echo}, ITEMS, steps=3).states["M"]
    assert (view.status, view.total, view.done, view.items) == ("RUNNING", 4, 1, "srr ")


def test_a_stop_aborts_what_is_under_way() -> None:
    machine = scope(
        P={"Type": "Parallel", "Branches": [scope(M=mapped(chain("I"), End=True)), chain("Q")], "End": True}
    )
    driver = Driver(machine, {"I": echo, "Q": echo}).start(ITEMS).settle(2)
    driver.step(facts.Stop())
    board = board_of(driver)
    assert statuses(board) == {"P": "ABORTED", "M": "ABORTED", "I": "ABORTED", "Q": "SUCCEEDED"}
    assert (board.status, board.states["M"].items, board.states["P"].items) == ("ABORTED", "saaa", "as")
    assert board.states["I"].exited_at == board.stopped_at


def test_a_caught_failure() -> None:
    board = ran(
        scope(A=work("B", Catch=catch("C")), B=work(), C={"Type": "Fail"}), {"A": fails("Boom"), "B": echo}
    )
    assert statuses(board) == {"A": "CAUGHT", "B": "", "C": "FAILED"}


def test_an_evaluation_that_fails_after_a_retry_was_waited_for() -> None:
    """A visit that is left keeps its ``retry_due``; it is not shown as waiting."""
    second = "{% $states.context.State.RetryCount > 0 ? $error('no') : 1 %}"
    fields: Definition = {
        "QueryLanguage": "JSONata",
        "Arguments": second,
        "Retry": RETRY,
        "Catch": catch("C"),
    }
    board = ran(scope(A=work("B", **fields), B=work(), C=work()), {"A": fails("Boom"), "C": echo})
    assert statuses(board) == {"A": "CAUGHT", "B": "", "C": "SUCCEEDED"}


def mapped_records(items: int) -> list[r.Record]:
    """A Map of so many items, all of them begun, then ended one by one, but for the last ones, which are stopped."""
    data: Any = {"items": list(range(items))}
    made: list[r.Record] = [
        r.ExecutionStarted(0.0, data, {}),
        r.StateEntered(0.0, 0, "M"),
        r.ForkStarted(0.0, 0, items, items, data["items"]),
    ]
    for at in range(items):
        made += [r.BranchStarted(1.0, 0, at, origin="item"), r.StateEntered(1.0, at + 1, "I")]
    for at in range(items - 10):
        made += [r.StateExited(2.0, at + 1, "I"), r.BranchSucceeded(2.0, at + 1)]
    return made


def lines_run(work: Callable[[], object]) -> int:
    """How many lines of the board's and the trace's modules were run."""
    lines = 0

    def local(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return local

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        return local if frame.f_code.co_filename.endswith(("board.py", "trace.py")) else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines


def most_lines(items: int) -> int:
    """The most lines that one record of such a Map took."""
    board = Board(parse(scope(M=mapped(chain("I"), End=True))))
    return max(lines_run(lambda record=record: board.add(record)) for record in mapped_records(items))  # type: ignore[misc]


def test_a_record_costs_the_same_with_many_items() -> None:
    assert most_lines(1000) == most_lines(20)


def test_ten_thousand_items() -> None:
    board = Board(parse(scope(M=mapped(chain("I"), End=True))))
    for record in mapped_records(10_000):
        board.add(record)
    view = board.states["M"]
    assert (view.total, view.done, view.items) == (10_000, 9_990, "s" * 9_990 + "r" * 10)
    assert (board.states["I"].running, board.states["I"].succeeded) == (10, 9_990)
    board.add(r.ExecutionAborted(3.0))
    assert (view.done, view.items, view.status) == (10_000, "s" * 9_990 + "a" * 10, "ABORTED")


def test_the_items_of_a_map_run_are_counted_by_somebody_else() -> None:
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "I",
        "States": {"I": {"Type": "Pass", "End": True}},
    }
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1}]
    state = {"Type": "Map", "ItemProcessor": processor, "Retry": retry, "End": True}
    driver = Driver({"StartAt": "M", "States": {"M": state}}).start([1, 2, 3])
    board = Board(driver.definition)
    for record in driver.records:
        board.add(record)
    view = board.states["M"]
    [arn] = board.map_runs
    assert (board.map_runs[arn], view.status, view.done, view.total, view.items) == ("M", "RUNNING", 0, 3, "")
    board.changed()
    assert board.progress(arn, 2, 3)
    assert not board.progress(arn, 2, 3)
    assert not board.progress("another", 3, 3)
    assert (list(board.changed()), view.done) == (["M"], 2)

    [attempt] = driver.run.attempts
    for record in driver.step(facts.TaskFailed(attempt, "Boom", None)):
        board.add(record)
    assert view.status == "RETRYING"
    seen = len(driver.records)
    driver.todo = driver.machine.outstanding()
    driver.settle()
    for record in driver.records[seen:]:
        board.add(record)
    assert list(board.map_runs) != [arn]
    assert (view.status, view.done, view.total, board.states["I"].visits) == ("SUCCEEDED", 3, 3, 0)
