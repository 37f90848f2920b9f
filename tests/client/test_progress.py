"""Progress in the terminal."""

import io
import re
from functools import partial

import pytest
from rich.console import Console
from rich.progress import Progress

import nbflow as nf
from nbflow.client.connection import Connection
from nbflow.client.progress import watch
from nbflow.engine.hearing import Item, Told
from nbflow.tasks.heard import Progress as Far
from tests.client.failing import Failing
from tests.client.machines import each, one, raising, task, waiting


def double(input: int) -> int:
    return 2 * input


def lines(run: nf.Execution, terminal: bool = False, width: int = 40) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None)
    assert watch(run, console) is run
    return file.getvalue().splitlines()


def test_each_state_of_the_top_level_is_a_line(connection: Connection) -> None:
    states = {"A [x]": task("double", Next="B"), "B": {"Type": "Pass", "End": True}}
    run = nf.StateMachine({"StartAt": "A [x]", "States": states}, tasks={"double": double}).start(
        1, execution_name="r"
    )
    first, second, last = lines(run)
    assert first.split()[:3] == ["✓", "A", "[x]"]
    assert second.split()[:2] == ["✓", "B"]
    assert last.startswith("  ✓ r SUCCEEDED in 0.")


def test_a_failure_is_a_line_with_its_error(connection: Connection) -> None:
    run = one(raising).start(execution_name="r")
    first, last = lines(run)
    assert first.split()[0] == "✗"
    assert first.endswith("Task  ValueError")
    assert last.startswith("  ✗ r FAILED in ")


def test_a_retry_says_what_failed(connection: Connection) -> None:
    retry = [{"ErrorEquals": ["ValueError"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    run = one(raising, Retry=retry).start(execution_name="r")
    first, second, _ = lines(run)
    assert first == "  ↻ Work: attempt 1 failed with ValueError; trying again"
    assert second.endswith("Task, 2 attempts  ValueError")


def test_a_map_is_one_line_and_a_bar_where_there_is_a_terminal(
    connection: Connection, dask_client: object
) -> None:
    processor = {"StartAt": "Double", "States": {"Double": task("double")}}
    run = each(processor, double).start([1, 2, 3], execution_name="r")
    first, last = lines(run)
    assert first.split()[:2] == ["✓", "Each"]
    assert first.endswith("Map, 3 of 3")
    again = "\n".join(lines(run, terminal=True))
    assert "Map, 3 of 3" in again
    assert last in again.replace("\x1b", "")


def test_a_task_that_says_how_far_it_is_has_a_bar(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = one(double).start(2, execution_name="r")
    run.wait()
    said = [Told("Work [x]", progress=Far(3.0, 4.0, "rows")), Told("Work", progress=Far(7.0)), Told("Mute")]
    said += [Told("Each", items=(Item(12, ("child", 3), Far(2.0, 9.0, "steps")),))]
    monkeypatch.setattr(connection.engine, "heard", lambda arn: dict(enumerate(said)))
    again = "\n".join(lines(run, terminal=True, width=100))
    assert "… Work [x]: rows" in again
    assert "3/4" in again
    assert "7/?" in again
    assert "Mute" not in again
    assert "… Each [12]: steps" in again


def test_a_bar_says_how_long_it_will_take(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    run = one(double).start(2, execution_name="r")
    run.wait()
    recorded = [record for batch in run.follow() for record in batch]
    looks = iter([{1: Told("Work", progress=Far(0.0, 100.0))}, {1: Told("Work", progress=Far(10.0, 100.0))}])
    times = iter(range(0, 10_000, 20))
    clocked = partial(Progress, get_time=lambda: float(next(times)))
    monkeypatch.setattr("nbflow.client.progress.Progress", clocked)
    monkeypatch.setattr(connection.engine, "heard", lambda arn: next(looks))
    monkeypatch.setattr(nf.Execution, "follow", lambda run, pulse: iter([[], recorded]))
    assert re.search(r"10/100 .* about \d+ min left", "\n".join(lines(run, terminal=True, width=100)))


def test_what_was_stopped_between_two_states_is_not_told_twice(connection: Connection) -> None:
    states = {"A": {"Type": "Pass", "Next": "W"}, "W": {"Type": "Wait", "Seconds": 3600, "End": True}}
    run = nf.StateMachine({"StartAt": "A", "States": states}).start(execution_name="r")
    run.stop("Enough")
    shown = lines(run)
    assert [line.split()[1] for line in shown] == ["A", "W", "r"]
    assert shown[-1].startswith("  ■ r ABORTED in ")


def test_the_default_is_standard_error(connection: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    run = waiting().start(execution_name="r")
    run.stop()
    watch(run)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "r ABORTED" in captured.err


def test_a_store_that_fails_for_a_while_is_waited_for(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = one(double).start(2)
    run.wait()
    monkeypatch.setattr("nbflow.client.connection._POLL", 0.001)
    monkeypatch.setattr(connection.store, "journal", Failing(connection.store.journal, 2))
    assert len(lines(run)) == 2
    assert capsys.readouterr().err.count("The store is away. It is waited for") == 1
