"""What people see: nothing is cut, and nothing of a user's is taken for markup."""

import io
import re
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

import nbflow as nf
from nbflow.client import display
from nbflow.client.connection import Connection
from nbflow.language.values import Json
from nbflow.machine.trace import Attempt, Visit
from nbflow.service.arns import activity_arn
from tests.client.machines import one, raising, task, waiting


def printed(*what: object, width: int = 80) -> str:
    """What a terminal of this width gets, without colours."""
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=False)
    for each in what:
        display.put(console, each)  # type: ignore[arg-type]
    return file.getvalue()


def visit(name: str = "Work", type: str = "Task", **fields: object) -> Visit:
    made = Visit(name, type, None, None, 100.0)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


@dataclass(frozen=True)
class Line:
    id: str
    visit: Visit
    expected: str


LINES = [
    Line("running", visit(), "… Work                                                    Task"),
    Line("done", visit(status="SUCCEEDED", exited_at=101.5), "✓ Work                                            1.50 s  Task"),
    Line("item", visit(index=3, status="SUCCEEDED", exited_at=100.0), "✓ [3] Work                                        0.00 s  Task"),
    Line("failed", visit(status="FAILED", exited_at=101.0, error="Bad[/]"), "✗ Work                                            1.00 s  Task  Bad[/]"),
    Line("caught", visit(status="CAUGHT", exited_at=101.0, error="Bad"), "! Work                                            1.00 s  Task  Bad"),
    Line("aborted", visit(status="ABORTED", exited_at=101.0), "■ Work                                            1.00 s  Task"),
    Line("map", visit("Each", "Map", total=3, branch_status={0: "SUCCEEDED", 1: "RUNNING"}), "… Each                                                    Map, 1 of 3"),
    Line("attempts", visit(attempts=[Attempt(1, 0.0), Attempt(2, 0.0)]), "… Work                                                    Task, 2 attempts"),
    Line("waiting", visit(attempts=[Attempt(1, 0.0, waits_for="a worker")]), "… Work                                                    Task, waits for a worker"),
    Line("waiting no more", visit(status="ABORTED", exited_at=101.0, attempts=[Attempt(1, 0.0, waits_for="a worker")]), "■ Work                                            1.00 s  Task"),
    Line("markup", visit("[red]a[/b]"), "… [red]a[/b]                                              Task"),
    Line("long", visit("x" * 100), f"… {'x' * 100}            Task"),
]  # fmt: skip


@pytest.mark.parametrize("case", LINES, ids=lambda case: case.id)
def test_a_visit_is_one_line(case: Line) -> None:
    assert printed(display.line(case.visit)).rstrip("\n") == case.expected


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1, max_size=80))
def test_any_name_and_error_is_shown_as_it_is(text: str) -> None:
    shown = Text.from_markup(display.line(visit(text, status="FAILED", exited_at=101.0, error=text))).plain
    assert shown.startswith(f"✗ {text}")
    assert shown.endswith(f"  {text}")


def test_what_was_told_to_stop_says_so_until_it_has() -> None:
    given_up = visit("Fit", status="ABORTED", exited_at=101.0)
    [line] = display.tree([given_up], stopping=lambda visit: visit is given_up)
    assert "waits for its task, which was told to stop" in line


def test_a_tree_shows_what_failed_first_and_only_some() -> None:
    items = {index: [visit(index=index, status="SUCCEEDED", exited_at=101.0)] for index in range(9)}
    items[7][0].status = "FAILED"
    status = {index: inner[0].status for index, inner in items.items()}
    lines = list(display.tree([visit("Each", "Map", total=9, branches=items, branch_status=status)]))
    plain = [Text.from_markup(line).plain for line in lines]
    assert [line.split()[1] for line in plain] == ["Each", "[7]", "[0]", "[1]", "[2]", "[3]", "and"]
    assert plain[1].startswith("    ✗")
    assert plain[-1] == "    … and 4 more"


@pytest.mark.parametrize("width", [20, 80, 200])
def test_a_table_is_never_cut_nor_wrapped(width: int) -> None:
    rows = [("x" * 80, "2026-11-22 10:00:00"), ("y", "z" * 120)]
    lines = printed(display.table(rows, "name", "value"), width=width).splitlines()
    assert len(lines) == 3
    assert lines[1].split() == ["x" * 80, "2026-11-22", "10:00:00"]
    assert lines[2].split() == ["y", "z" * 120]
    assert lines[2].index("z") == lines[1].index("2026")


@dataclass(frozen=True)
class Value:
    id: str
    value: Json
    expected: str


@pytest.mark.parametrize(
    "case",
    [
        Value("letters", {"a": "ä[b]"}, '{\n  "a": "ä[b]"\n}'),
        Value("half a character", "\ud800", r'"\ud800"'),
        Value("null", None, "null"),
    ],
    ids=lambda case: case.id,
)
def test_json_is_readable(case: Value) -> None:
    assert display.pretty(case.value) == case.expected


def test_a_long_value_is_cut_and_says_where_all_of_it_is() -> None:
    console = Console(file=io.StringIO(), width=80)
    display.show_value(console, "input", ["x" * 10] * 1000)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert len(shown) < 4200
    assert shown.endswith("… (--json has all of it)\n")


def test_runs_are_listed_with_whole_names(connection: Connection) -> None:
    failed = one(raising).start()
    failed.wait()
    waiting().start()
    lines = printed(display.runs(nf.executions()), width=40).splitlines()
    assert lines[0].split() == ["execution", "machine", "status", "started", "(UTC)", "seconds", "error"]
    assert lines[1].split()[1:3] == ["waiting", "RUNNING"]
    assert lines[2].split()[0] == failed.name
    assert lines[2].split()[3:5] == f"{failed.started:%Y-%m-%d %H:%M:%S}".split()
    assert lines[2].split()[-1] == "ValueError"


def test_events_are_listed_with_what_matters(connection: Connection) -> None:
    run = one(raising).start({"text": "[/] and\nmore " + "x" * 100})
    run.wait()
    lines = printed(display.events(run.history())).splitlines()
    assert len(lines) == 1 + len(run.history())
    assert "ExecutionStarted" in lines[1]
    assert "[/] and" in lines[1]
    assert lines[1].rstrip().endswith("…")
    assert "ValueError" in lines[-1]


def shown(run: nf.Execution, step: nf.Step | None = None) -> str:
    console = Console(file=io.StringIO(), width=80)
    if step is None:
        display.show_execution(console, run)
    else:
        display.show_step(console, step)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_an_execution_is_shown_with_its_steps_and_its_error(connection: Connection) -> None:
    run = one(raising).start({"a": 1}, execution_name="r")
    run.wait()
    text = shown(run)
    assert text.startswith("r of one: FAILED, started ")
    assert "✗ Work" in text
    assert 'input\n{\n  "a": 1\n}' in text
    assert "failed in step 'Work': ValueError: no good" in text
    assert "Traceback (most recent call last):" in text


def test_a_step_is_shown_with_its_attempts_and_its_prints(connection: Connection) -> None:
    def chatty(input: int) -> int:
        print("[bold]hello\t:x: 1.5")
        return 1

    run = one(chatty).start(execution_name="r")
    run.wait()
    text = shown(run, run["Work"])
    assert text.startswith("'Work' (Task): SUCCEEDED\n  attempt 1: ")
    assert text.endswith("printed\n[bold]hello\t:x: 1.5\n")
    assert "output\n1\n" in text


def test_a_step_that_runs_is_under_way(connection: Connection) -> None:
    from tests.client.gates import GATES
    from tests.client.machines import gated

    run = one(gated).start(gate="g")
    GATES.reached("g")
    assert "UTC, under way\n" in shown(run, run["Work"])
    assert "… Work" in shown(run)


def test_a_step_that_waits_for_a_worker_says_so(connection: Connection) -> None:
    connection.service.call("CreateActivity", {"name": "by-hand"})
    state = {"Type": "Task", "Resource": activity_arn("by-hand"), "End": True}
    run = nf.StateMachine({"StartAt": "Ask", "States": {"Ask": state}}).start()
    assert "Task, waits for a worker\n" in shown(run)
    assert "UTC, under way, waits for a worker\n" in shown(run, run["Ask"])
    given = connection.service.call(
        "GetActivityTask", {"activityArn": activity_arn("by-hand"), "workerName": "[b]Ann"}
    )
    connection.service.call("SendTaskSuccess", {"taskToken": given["taskToken"], "output": "1"})
    assert run.result() == 1
    assert re.search(r" s, taken by \[b\]Ann(, queued \d+\.\d\d s)?\n", shown(run, run["Ask"]))


def test_artifacts_of_the_output_are_listed_with_their_files(connection: Connection) -> None:
    @nf.task
    def frame() -> object:
        import pandas as pd

        return pd.DataFrame({"x": [1, 2, 3]})

    run = nf.StateMachine({"StartAt": "F", "States": {"F": task("frame")}}, tasks={"frame": frame}).start()
    run.wait()
    last = shown(run).rstrip().splitlines()[-1]
    assert last.split()[:3] == ["dataframe", "3", "1"]
    assert last.rstrip().endswith(".parquet")
