"""The shell: what it prints where, and how it exits.

Most run in this process; what is about processes (Ctrl-C, SIGKILL, workers that import a script) runs in real ones.
"""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import nbflow as nf
from nbflow.cli import main
from nbflow.client.connection import Connection
from nbflow.service.arns import execution_arn

FLOWS = """
import nbflow as nf

LAMBDA = "arn:aws:lambda:us-east-1:000000000000:function:"


def one(function, **fields):
    state = {"Type": "Task", "Resource": LAMBDA + function.__name__, "End": True, **fields}
    return nf.StateMachine({"StartAt": "Work", "States": {"Work": state}}, name=function.__name__, tasks={function.__name__: function})


def double(input):
    print("doubling", input)
    return 2 * input


def broken(input):
    return {}["missing [key]"]


def not_a_number(input):
    return {"a": [1, float("nan")]}


def endless(input):
    import time

    time.sleep(60)


good, bad, nan, slow = one(double), one(broken), one(not_a_number), one(endless)
also_good = good
"""

WAIT = """
StartAt: Wait
States:
  Wait: {Type: Wait, Seconds: 3600, End: true}
"""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Shell = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with the files above; what a command imports is forgotten after the test."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "flows.py").write_text(FLOWS)
    (tmp_path / "wait.asl.yaml").write_text(WAIT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NBFLOW_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.fixture
def shell(folder: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    def run(*arguments: str) -> Result:
        with pytest.raises(SystemExit) as exit:
            main(arguments)
        captured = capsys.readouterr()
        code = exit.value.code
        return Result(code if isinstance(code, int) else 0, captured.out, captured.err)

    return run


# --- run


def test_a_run_prints_its_output_and_shows_its_progress_beside_it(shell: Shell) -> None:
    result = shell("run", "flows.py:good", "--input", "21", "--name", "monday")
    assert (result.code, result.out) == (0, "42\n")
    lines = result.err.splitlines()
    assert lines[0] == "execution monday of double"
    assert lines[1].split()[:2] == ["✓", "Work"]
    assert lines[2].startswith("  ✓ monday SUCCEEDED in ")


def test_a_quiet_run_prints_its_output_only(shell: Shell) -> None:
    result = shell("run", "flows.py:double", "-i", '"ä"', "--quiet")
    assert result == Result(0, '"ää"\n', "")


def test_an_input_may_come_from_a_file(shell: Shell, folder: Path) -> None:
    (folder / "input.json").write_text("[1, 2]\n")
    assert json.loads(shell("run", "flows.py:good", "-q", "-i", "@input.json").out) == [1, 2, 1, 2]


def test_a_run_that_fails_says_where_why_and_how_to_look_closer(shell: Shell) -> None:
    result = shell("run", "flows.py:bad", "--name", "monday")
    assert (result.code, result.out) == (1, "")
    assert "failed in step 'Work': KeyError: 'missing [key]'" in result.err
    assert 'return {}["missing [key]"]' in result.err
    assert result.err.endswith("look closer with: nbflow show monday\n")
    assert all(not line.startswith("│") for line in result.err.splitlines())


def test_a_result_that_cannot_be_stored_is_one_long_line(shell: Shell) -> None:
    result = shell("run", "flows.py:nan", "--name", "monday")
    assert result.code == 1
    [line] = [
        line for line in result.err.splitlines() if line.startswith("execution monday of not_a_number failed")
    ]
    assert "nbflow.NotJson: result['a'][1] is nan, which JSON does not have. Return None instead" in line
    assert "Traceback" not in result.err


def test_a_definition_takes_its_functions_from_a_file(shell: Shell, folder: Path) -> None:
    resource = "arn:aws:lambda:us-east-1:000000000000:function:double"
    state = {"Type": "Task", "Resource": resource, "End": True}
    (folder / "flow.asl.json").write_text(json.dumps({"StartAt": "W", "States": {"W": state}}))
    assert shell("run", "flow.asl.json", "--tasks", "flows.py", "-q", "-i", "4").out == "8\n"
    assert nf.executions()[0].machine == "flow"
    result = shell("run", "flow.asl.json")
    assert result.code == 2
    assert "flow.asl.json names functions; give a Python file that defines double" in result.err
    (folder / "empty.py").touch()
    assert "empty.py does not define double" in shell("run", "flow.asl.json", "--tasks", "empty.py").err


def test_marked_tasks_and_notebooks_are_offered_by_their_names(shell: Shell, folder: Path) -> None:
    (folder / "tasks.py").write_text(
        'import nbflow as nf\nfrom json import dumps\n\n@nf.task(name="add one")\ndef _add(n): return n + 1\n'
    )
    resource = "arn:aws:lambda:us-east-1:000000000000:function:add one"
    state = {"Type": "Task", "Resource": resource, "End": True}
    (folder / "flow.asl.json").write_text(json.dumps({"StartAt": "W", "States": {"W": state}}))
    assert shell("run", "flow.asl.json", "--tasks", "tasks.py", "-q", "-i", '{"n": 4}').out == "5\n"


def test_what_a_file_connects_to_stays_unless_the_command_names_a_store(shell: Shell, folder: Path) -> None:
    (folder / "own.py").write_text(
        "import nbflow as nf\nnf.connect('sqlite:///own.sqlite')\nfrom flows import good\n"
    )
    assert shell("run", "own.py", "-q", "-i", "1").code == 0
    assert (folder / "own.sqlite").exists()
    assert not (folder / ".nbflow").exists()
    assert shell("run", "own.py", "-q", "-i", "1", "--store", f"sqlite:///{folder}/named.sqlite").code == 0
    assert len(nf.executions()) == 1
    assert (folder / "named.sqlite").exists()


MAP = """
import sys

import nbflow as nf


@nf.task(on="dask")
def double(number):
    return [number * 2, "distributed" in sys.modules]


@nf.flow
def doubled(count: int):
    return [double(number) for number in range(count)]
"""


def test_on_threads_only_dask_is_not_even_imported(folder: Path) -> None:
    (folder / "scattered.py").write_text(MAP)
    command = [sys.executable, "-m", "nbflow.cli"]

    def shell(*arguments: str) -> Any:
        done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    run = ["run", "scattered.py", "-q", "--pool", "threads", "--name", "monday", "-i", '{"count": 2}']
    assert shell(*run) == [[0, False], [2, False]]
    fork = ["fork", "monday", "--at", "double", "--tasks", "scattered.py", "-q", "--pool", "threads"]
    assert shell(*fork) == [[0, False], [2, False]]


@dataclass(frozen=True)
class Wrong:
    id: str
    arguments: Sequence[str]
    says: str
    code: int = 2


WRONG = [
    Wrong("no file named", ["run"], "Missing argument 'FILE'"),
    Wrong("no such command", ["frob"], "No such command 'frob'"),
    Wrong("no such option", ["run", "flows.py", "--frob"], "No such option: --frob"),
    Wrong("no such file", ["run", "nope.py"], "FILE: there is no file nope.py"),
    Wrong("several machines", ["run", "flows.py"], "flows.py defines 5 state machines: good, bad, nan, slow, also_good; pick one with flows.py:NAME"),
    Wrong("another machine", ["run", "flows.py:zzz"], "flows.py defines no state machine 'zzz': good,"),
    Wrong("no machine", ["run", "empty.py"], "empty.py defines no state machines"),
    Wrong("no such notebook", ["run", "work.ipynb"], "FILE: there is no file work.ipynb"),
    Wrong("tasks of a Python file", ["run", "flows.py:good", "--tasks", "flows.py"], "a Python file binds its own"),
    Wrong("no such tasks", ["run", "wait.asl.yaml", "--tasks", "nope.py"], "--tasks: there is no file nope.py"),
    Wrong("input is no JSON", ["run", "flows.py:good", "-i", "{bad"], "--input: this is no JSON: Expecting property name enclosed in double quotes at line 1 column 2 (it is {bad)"),
    Wrong("input is NaN", ["run", "flows.py:good", "-i", "NaN"], "NaN is no JSON number"),
    Wrong("no input file", ["run", "flows.py:good", "-i", "@nope.json"], "--input: nope.json: No such file or directory"),
    Wrong("no such pool", ["run", "flows.py:good", "--pool", "foo"], "'foo' is not one of 'dask', 'threads'"),
    Wrong("threads and Dask", ["run", "flows.py:good", "--pool", "threads", "--dask", "tcp://a:1"], "--pool threads uses no Dask: leave it out, or --dask tcp://a:1"),
    Wrong("Dask and threads", ["server", "--dask", "tcp://a:1", "--pool", "threads"], "--pool threads uses no Dask: leave it out, or --dask tcp://a:1"),
    Wrong("status", ["list", "--status", "foo"], "'foo' is not one of RUNNING, SUCCEEDED, FAILED, ABORTED, TIMED_OUT"),
    Wrong("where: a string that is open", ["list", "--where", '$.output > "a'], "this string is not closed", 1),
    Wrong("where: nothing", ["list", "--where", ""], "an empty condition", 1),
    Wrong("redrive: several machines", ["redrive", "r", "--from", "flows.py"], "--from: flows.py defines 5 state machines"),
    Wrong("fork: no file", ["fork", "r", "--at", "A", "--from", "nope.py"], "--from: there is no file nope.py"),
    Wrong("variables are no JSON", ["fork", "r", "--at", "A", "--variables", "[3"], "--variables: this is no JSON: Expecting"),
    Wrong("limit", ["list", "--limit", "0"], "--limit"),
    Wrong("mistakes in the definition", ["run", "bad.asl.json"], "nbflow: The definition is not valid:\nSCHEMA_VALIDATION_FAILED at /States/A", 1),
    Wrong("a file with an error", ["run", "error.py"], "nbflow: error.py cannot be run:\n\nTraceback", 1),
    Wrong("a bad name", ["run", "flows.py:good", "--name", "a b"], "nbflow: Invalid Name: 'a b' (' ' is not allowed", 1),
    Wrong("no URL", ["list", "--store", "here.sqlite"], "nbflow: 'here.sqlite' is not the URL of a store. Give sqlite:///PATH", 1),
    Wrong("no store", ["list", "--store", "sqlite:///flows.py"], "flows.py is not an SQLite database", 1),
    Wrong("no such machine", ["list", "--machine", "zzz"], "nbflow: State Machine Does Not Exist: ", 1),
    Wrong("nothing to show", ["show", "zzz"], "nbflow: there is no execution 'zzz' (`nbflow list` shows those there are)", 1),
    Wrong("nothing to stop", ["stop", "zzz"], "nbflow: there is no execution 'zzz'", 1),
    Wrong("nothing to tell of", ["history", "zzz"], "nbflow: there is no execution 'zzz'", 1),
    Wrong("nothing to validate", ["validate", "nope.json"], "nbflow: there is no file nope.json", 1),
    Wrong("to validate: no text", ["validate", "flows.txt"], "nbflow: flows.txt is neither JSON nor YAML", 1),
    Wrong("to validate: several", ["validate", "flows.py"], "flows.py defines 5 state machines"),
]  # fmt: skip


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.id)
def test_a_mistake_is_one_message_on_standard_error(shell: Shell, folder: Path, case: Wrong) -> None:
    (folder / "empty.py").touch()
    (folder / "error.py").write_text("import json\nundefined\n")
    (folder / "bad.asl.json").write_text('{"StartAt": "A", "States": {"A": {"Type": "Task", "End": true}}}')
    (folder / "flows.txt").write_text("a: b: c")
    nf.connect()
    nf.disconnect()
    result = shell(*case.arguments)
    assert result.code == case.code
    assert result.out == ""
    assert case.says in result.err
    assert "nbflow/cli.py" not in result.err, "no frames of ours"


def test_an_error_in_a_file_is_shown_with_its_line(shell: Shell, folder: Path) -> None:
    (folder / "error.py").write_text("import json\n\nundefined\n")
    result = shell("run", "error.py")
    assert 'error.py", line 3, in <module>' in result.err
    assert result.err.rstrip().endswith("NameError: name 'undefined' is not defined")


def test_a_name_that_is_taken_says_so(shell: Shell) -> None:
    shell("run", "flows.py:good", "-i", "1", "--name", "monday")
    result = shell("run", "flows.py:good", "-i", "1", "--name", "monday")
    assert result.code == 1
    assert result.err.startswith("nbflow: Execution Already Exists: ")


# --- looking


@pytest.fixture
def runs(shell: Shell) -> None:
    """monday succeeded, tuesday failed."""
    assert shell("run", "flows.py:good", "-i", "21", "--name", "monday").code == 0
    assert shell("run", "flows.py:bad", "--name", "tuesday").code == 1


@pytest.mark.usefixtures("runs")
def test_executions_are_listed(shell: Shell) -> None:
    result = shell("list")
    assert (result.code, result.err) == (0, "")
    heading, first, second = result.out.splitlines()
    assert heading.split()[:3] == ["execution", "machine", "status"]
    assert first.split()[:3] == ["tuesday", "broken", "FAILED"]
    assert first.split()[-1] == "KeyError"
    assert second.split()[:3] == ["monday", "double", "SUCCEEDED"]
    for arguments in (["--machine", "double"], ["--status", "succeeded"]):
        assert len(shell("list", *arguments).out.splitlines()) == 2
    assert len(shell("list", "--limit", "1").out.splitlines()) == 2


LOOKING = [
    ["list"],
    ["show", "monday"],
    ["logs", "monday"],
    ["history", "monday"],
    ["stop", "monday"],
    ["resume"],
    ["redrive", "monday"],
    ["fork", "monday", "--at", "A"],
    ["gc"],
]
"""Commands that look for what is there."""


@pytest.mark.parametrize("arguments", LOOKING, ids=lambda arguments: arguments[0])
def test_who_looks_for_runs_makes_no_store(shell: Shell, folder: Path, arguments: list[str]) -> None:
    place = folder / "deep" / "x.sqlite"
    (folder / "empty.sqlite").touch()
    for store, where in (
        ([], folder / ".nbflow" / "nbflow.sqlite"),
        (["--store", f"sqlite:///{place}"], place),
        (["--store", f"sqlite:///{folder}/empty.sqlite"], folder / "empty.sqlite"),
    ):
        result = shell(*arguments, *store)
        assert (result.code, result.out) == (1, "")
        assert result.err.startswith(f"nbflow: There is no store {where}. nbflow run, ")
    assert not place.parent.exists()
    assert not (folder / ".nbflow").exists()
    assert (folder / "empty.sqlite").stat().st_size == 0


def test_an_empty_list_says_which_store_it_is(shell: Shell, folder: Path) -> None:
    nf.connect()
    nf.disconnect()
    result = shell("list")
    assert (result.code, result.out) == (0, "")
    assert result.err == f"no executions in sqlite:///{folder / '.nbflow' / 'nbflow.sqlite'}\n"
    assert shell("list", "--status", "failed").err.startswith("no executions in status FAILED in ")


@pytest.mark.usefixtures("runs")
def test_executions_are_found_by_their_data(shell: Shell) -> None:
    assert [line.split()[0] for line in shell("list", "--where", "$.output = 42").out.splitlines()[1:]] == [
        "monday"
    ]
    assert [line.split()[0] for line in shell("list", "--name-prefix", "tues").out.splitlines()[1:]] == [
        "tuesday"
    ]
    assert shell("list", "--started-before", "1h").err.startswith("no execution fits these filters in ")
    listed = json.loads(shell("list", "--json", "--where", "$.error", "--started-after", "1h").out)
    assert [each["name"] for each in listed["executions"]] == ["tuesday"]
    wrong = shell("list", "--where", "$.output == 42")
    assert wrong.code == 1
    assert wrong.err.endswith("  $.output == 42\n            ^\n")


@pytest.mark.usefixtures("runs")
def test_old_executions_are_deleted(shell: Shell) -> None:
    alone = shell("gc")
    assert alone.err == "nbflow: give --older-than or --keep to delete executions, too\n"
    assert shell("gc", "--older-than", "1h").out == "freed 0 executions and 0 artifacts (0 bytes)\n"
    assert (
        shell("gc", "--keep", "0", "--dry-run").out == "would free 2 executions and 0 artifacts (0 bytes)\n"
    )
    assert len(nf.executions()) == 2
    done = shell("gc", "--keep", "0", "--vacuum")
    assert (done.code, done.out, done.err) == (0, "freed 2 executions and 0 artifacts (0 bytes)\n", "")
    assert nf.executions() == []
    assert shell("gc", "--older-than", "soon").err.startswith("nbflow: 'soon' is no age")


def test_names_are_never_cut(shell: Shell) -> None:
    name = "n" * 80
    shell("run", "flows.py:good", "-i", "1", "--name", name)
    assert name in shell("list").out


@pytest.mark.usefixtures("runs")
def test_an_execution_is_shown_by_the_beginning_of_its_name(shell: Shell) -> None:
    result = shell("show", "tue")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("tuesday of broken: FAILED, started ")
    assert "failed in step 'Work': KeyError" in result.out
    assert "output\n42\n" in shell("show", "monday").out


@pytest.mark.usefixtures("runs")
def test_a_step_is_shown(shell: Shell) -> None:
    result = shell("show", "monday", "Work")
    assert result.out.startswith("'Work' (Task): SUCCEEDED\n")
    assert result.out.endswith("printed\ndoubling 21\n")
    result = shell("show", "monday", "Nope")
    assert result.code == 1
    assert result.err == "nbflow: execution monday has not entered a state 'Nope'; it has entered: Work\n"
    assert "is a Task without iterations or branches" in shell("show", "monday", "Work[0]").err


@pytest.mark.usefixtures("runs")
def test_what_was_printed_is_shown_under_its_step(shell: Shell) -> None:
    for options in ([], ["--step", "Work"], ["--follow"]):
        result = shell("logs", "monday", *options)
        assert (result.code, result.err) == (0, "")
        heading, line = result.out.splitlines()
        assert re.fullmatch(r"'Work', attempt 1: 2.* UTC, \d+\.\d\d s", heading)
        assert line == "doubling 21"
    assert shell("logs", "tuesday") == Result(
        0, "", "nothing is recorded that execution tuesday has printed\n"
    )
    assert shell("logs", "monday", "--step", "Nope").err == (
        "nbflow: there is no step 'Nope'; the steps are: Work\n"
    )


def test_ctrl_c_stops_looking_at_what_is_printed(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell("run", "flows.py:good", "-i", "1", "--name", "monday")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nbflow.client.logs.logs", interrupted)
    assert shell("logs", "monday", "-f") == Result(130, "", "")


def test_an_item_is_shown_and_brackets_may_be_part_of_a_name(shell: Shell, folder: Path) -> None:
    def inner(name: str) -> Any:
        state = {"Type": "Pass", "Parameters": {"n.$": "$"}, "End": True}
        return {"StartAt": name, "States": {name: state}}

    states = {
        "Each [1]": {"Type": "Map", "ItemProcessor": inner("P"), "Next": "Each"},
        "Each": {"Type": "Map", "ItemProcessor": inner("Q"), "End": True},
    }
    (folder / "map.json").write_text(json.dumps({"StartAt": "Each [1]", "States": states}))
    assert shell("run", "map.json", "-q", "-i", "[7, 8]", "--name", "r").code == 0
    assert json.loads(shell("show", "r", "Each [1]", "--json").out)["type"] == "Map"
    assert json.loads(shell("show", "r", "Each [1][1]", "--json").out)["output"] == {"n": 8}
    assert json.loads(shell("show", "r", "Each[-2]", "--json").out)["output"] == {"n": {"n": 7}}
    assert "has 2 iterations or branches" in shell("show", "r", "Each[2]").err


@pytest.mark.usefixtures("runs")
def test_the_history_is_a_line_an_event(shell: Shell) -> None:
    lines = shell("history", "monday").out.splitlines()
    assert lines[1].split()[0] == "1"
    assert "ExecutionStarted" in lines[1]
    assert "ExecutionSucceeded" in lines[-1]
    assert len(lines) == 1 + len(nf.execution("monday").history())


@pytest.mark.usefixtures("runs")
def test_json_is_what_the_api_answers(shell: Shell, folder: Path) -> None:
    service = Connection(f"sqlite:///{folder / '.nbflow' / 'nbflow.sqlite'}").service
    run = execution_arn("double", "monday")
    assert json.loads(shell("history", "monday", "--json").out) == service.get_execution_history(run)
    assert json.loads(shell("show", "monday", "--json").out) == service.describe_execution(run)
    assert json.loads(shell("list", "--json").out) == service.list_executions()
    assert json.loads(shell("list", "--json", "--machine", "double").out) == service.list_executions(
        service.describe_execution(run)["stateMachineArn"]
    )
    step = json.loads(shell("show", "monday", "Work", "--json").out)
    assert (step["name"], step["status"], step["output"], step["log"]) == (
        "Work",
        "SUCCEEDED",
        42,
        "doubling 21\n",
    )


def test_a_definition_is_validated(shell: Shell, folder: Path) -> None:
    assert shell("validate", "wait.asl.yaml") == Result(0, "wait.asl.yaml: 0 error(s), 0 warning(s)\n", "")
    (folder / "bad.json").write_text('{"StartAt": "Nope", "States": {"A": {"Type": "Task", "End": true}}}')
    result = shell("validate", "bad.json")
    assert (result.code, result.err) == (1, "")
    lines = result.out.splitlines()
    assert "ERROR SCHEMA_VALIDATION_FAILED at /States/A: These fields are required: [Resource]" in lines
    assert "ERROR MISSING_TRANSITION_TARGET at /StartAt: Missing 'Next' target: Nope" in lines
    assert lines[-1] == f"bad.json: {len(lines) - 1} error(s), 0 warning(s)"


def test_what_no_process_runs_any_more_is_stopped(shell: Shell, folder: Path) -> None:
    nf.StateMachine(folder / "wait.asl.yaml").start(execution_name="lost")
    result = shell("stop", "lost", "--error", "Enough", "--cause", "really")
    assert result.code == 0
    assert result.err.endswith("lost is ABORTED\n")
    assert (nf.execution("lost").error, nf.execution("lost").cause) == ("Enough", "really")
    assert shell("stop", "lost").err == "lost is ABORTED, as before\n"


# --- redrive


FIXED = FLOWS.replace('return {}["missing [key]"]', 'return "fixed"')


@pytest.mark.usefixtures("runs")
def test_a_failed_execution_goes_on_with_the_functions_of_a_file(shell: Shell, folder: Path) -> None:
    (folder / "fixed.py").write_text(FIXED)
    result = shell("redrive", "tuesday", "--from", "fixed.py:bad")
    assert (result.code, result.out) == (0, '"fixed"\n')
    lines = result.err.splitlines()
    assert lines[0] == "execution tuesday of broken"
    assert lines[1].split()[:2] == ["✓", "Work"]
    assert "2 attempts" in lines[1]
    assert lines[2].startswith("  ✓ tuesday SUCCEEDED in ")
    assert "ExecutionRedriven" in shell("history", "tuesday").out
    assert "attempt 2" in shell("show", "tuesday", "Work").out


@pytest.mark.usefixtures("runs")
def test_a_redrive_that_fails_again_ends_as_a_run_does(shell: Shell) -> None:
    result = shell("redrive", "tuesday", "--tasks", "flows.py", "--quiet")
    assert (result.code, result.out) == (1, "")
    assert "failed in step 'Work': KeyError" in result.err
    assert result.err.endswith("look closer with: nbflow show tuesday\n")


@pytest.mark.usefixtures("runs")
def test_a_redrive_without_its_functions_says_what_to_give(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbflow.client.redriving._known", {})
    result = shell("redrive", "tuesday")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(
        "nbflow: execution tuesday of broken has tasks that are not known here: broken. "
        "nbflow redrive takes --from FILE or --tasks FILE.py; in Python, define its flow"
    )


@pytest.mark.usefixtures("runs")
def test_what_succeeded_is_not_redriven(shell: Shell) -> None:
    result = shell("redrive", "monday")
    assert result.code == 1
    assert result.err.startswith("nbflow: Execution is SUCCEEDED and cannot be redriven")


# --- fork


@pytest.mark.usefixtures("runs")
def test_a_fork_goes_on_from_a_state_with_what_a_file_defines(shell: Shell, folder: Path) -> None:
    (folder / "fixed.py").write_text(FIXED.replace("name=function.__name__", 'name="mended"'))
    result = shell("fork", "tuesday", "--at", "Work", "--from", "fixed.py:bad", "--name", "again")
    assert (result.code, result.out) == (0, '"fixed"\n')
    assert result.err.splitlines()[0] == "execution again of mended, forked from tuesday at Work"
    assert "\nforked from tuesday at Work\n" in shell("show", "again").out
    assert nf.execution("tuesday").status == "FAILED"


@pytest.mark.usefixtures("runs")
def test_the_input_of_a_fork_may_be_given(shell: Shell) -> None:
    again = ("fork", "monday", "--at", "Work", "--tasks", "flows.py", "--quiet")
    assert shell(*again) == Result(0, "42\n", "")
    assert shell(*again, "--input", "4", "--variables", "{}") == Result(0, "8\n", "")
    none = shell(*again, "--variables", '{"a": 1}')
    assert none == Result(1, "", "nbflow: There is no variable 'a' at 'Work' (there are none)\n")
    wrong = shell(*again, "--variables", "[1]")
    assert (wrong.code, "it is no JSON object" in wrong.err) == (2, True)
    assert shell(*again, "--input", "{").code == 2


@pytest.mark.usefixtures("runs")
def test_a_fork_at_a_state_that_there_is_not_is_refused(shell: Shell) -> None:
    result = shell("fork", "monday", "--at", "Wurk", "--tasks", "flows.py")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("nbflow: There is no state 'Wurk' in the definition (did you mean 'Work'?")


def test_help_and_version(shell: Shell) -> None:
    assert shell("--version") == Result(0, f"nbflow {nf.__version__}\n", "")
    for command in (
        "run",
        "list",
        "show",
        "logs",
        "history",
        "stop",
        "redrive",
        "fork",
        "validate",
        "server",
        "env",
        "worker",
    ):
        assert command in shell("--help").out
        assert shell(command, "--help").code == 0


# --- a worker


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["flows.py:double"], 1, "there is no activity a in the store sqlite:///{folder}/.nbflow/nbflow.sqlite; there are none. `nbflow worker --create` makes it"),
        (["flows:double"], 1, "there is no activity a in the store"),
        (["double"], 2, "'double' is written as MODULE:NAME or FILE.py:NAME"),
        (["none.py:double"], 2, "there is no file none.py"),
        (["no_such_module:double"], 2, "there is no module 'no_such_module' here, nor installed"),
        (["flows:triple"], 2, "flows defines no function 'triple'"),
        (["flows:LAMBDA"], 2, "and no function, 'LAMBDA'"),
        (["bad.py:f"], 1, "bad.py cannot be run"),
        (["bad:f"], 1, "bad cannot be imported"),
        (["flows:double", "--concurrency", "0"], 2, "greater than or equal to 1"),
        (["flows:double", "--url", "there"], 1, "'there' is no URL of a server"),
    ],
)  # fmt: skip
def test_a_worker_that_cannot_work(
    shell: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, says: str
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_SFN", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    (folder / "bad.py").write_text("import no_such_module_either")
    result = shell("worker", "a", *arguments)
    assert (result.code, result.out) == (code, "")
    assert says.format(folder=folder) in result.err


# --- real processes


class Process:
    """A child in a folder, with a store of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        environment = {
            **os.environ,
            "NBFLOW_URL": f"sqlite:///{folder / 's.sqlite'}",
            "PYTHONUNBUFFERED": "1",
        }
        self.child = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def read_until(self, text: str) -> None:
        """Read standard error up to a line that holds the text."""
        assert self.child.stderr is not None
        for line in self.child.stderr:
            if text in line:
                return
        raise AssertionError(f"the child ended without saying {text!r}")

    def press_ctrl_c(self, noticed: Callable[[], bool] | None = None, *, group: bool = False) -> None:
        """Until it is noticed: a KeyboardInterrupt that falls into a callback of some library is lost."""
        noticed = noticed or (lambda: self.child.poll() is not None)
        for _ in range(10):
            (os.killpg if group else os.kill)(self.child.pid, signal.SIGINT)
            for _ in range(60):
                with suppress(subprocess.TimeoutExpired):
                    self.child.wait(timeout=0.05)
                if noticed():
                    return
        raise AssertionError("Ctrl-C was not noticed")

    def end(self) -> Result:
        out, err = self.child.communicate(timeout=30)
        return Result(self.child.returncode, out, err)


@pytest.fixture
def process(folder: Path) -> Iterator[Callable[..., Process]]:
    children: list[Process] = []

    def start(*arguments: str) -> Process:
        children.append(Process(folder, *arguments))
        return children[-1]

    yield start
    for each in children:
        each.child.kill()
        each.child.communicate()


Start = Callable[..., Process]


def connect(folder: Path) -> None:
    nf.connect(f"sqlite:///{folder / 's.sqlite'}")


def test_ctrl_c_ends_a_run_at_once_and_leaves_the_execution(process: Start, folder: Path) -> None:
    child = process("-m", "nbflow.cli", "run", "flows.py:slow", "--name", "left")
    child.read_until("execution left of endless")
    child.press_ctrl_c()
    result = child.end()
    assert (result.code, result.out) == (130, "")
    assert result.err.endswith(
        "nbflow: left as last recorded: left (nbflow resume NAME goes on, nbflow stop NAME ends it)\n"
    )
    connect(folder)
    run = nf.execution("left")
    assert run.status == "RUNNING"
    run.stop()
    assert run.status == "ABORTED"


def script(folder: Path, body: str) -> str:
    text = "import sys\nfrom flows import *\nif __name__ == '__main__':\n"
    (folder / "script.py").write_text(text + textwrap.indent(textwrap.dedent(body), "    "))
    return "script.py"


def test_ctrl_c_in_result_ends_a_script_without_a_traceback(process: Start, folder: Path) -> None:
    body = """
    run = slow.start(execution_name="left")
    print("waiting", file=sys.stderr)
    run.result()
    """
    child = process(script(folder, body))
    child.read_until("waiting")
    child.press_ctrl_c()
    result = child.end()
    assert result.code == 130
    assert "nbflow: left as last recorded: left" in result.err
    connect(folder)
    assert nf.execution("left").status == "RUNNING"


def test_ctrl_c_anywhere_in_a_script_leaves_what_runs(process: Start, folder: Path) -> None:
    body = """
    run = slow.start(execution_name="left")
    raise KeyboardInterrupt  # as if it had come between two lines
    """
    result = process(script(folder, body)).end()
    assert result.code == 130
    assert "nbflow: left as last recorded: left" in result.err


def test_a_script_may_catch_ctrl_c_and_go_on(process: Start, folder: Path) -> None:
    body = """
    run = slow.start(execution_name="stopped")
    try:
        print("waiting", file=sys.stderr)
        run.result()
    except KeyboardInterrupt as error:
        open("noticed", "w").close()
        print(error)
        run.stop("Enough")
        print(run.status, flush=True)
    import os
    os._exit(0)
    """
    child = process(script(folder, body))
    child.read_until("waiting")
    child.press_ctrl_c((folder / "noticed").exists)
    result = child.end()
    assert result.code == 0
    assert result.out.splitlines()[-1] == "ABORTED"


def test_a_script_that_ends_waits_for_what_it_started(process: Start, folder: Path) -> None:
    body = """
    import atexit
    atexit.register(print, "ended")
    bad.start(execution_name="bad")
    machine = nf.StateMachine({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1, "Next": "F"}, "F": {"Type": "Fail", "Error": "Late"}}})
    machine.start(execution_name="late")
    """
    result = process(script(folder, body)).end()
    assert (result.code, result.out) == (0, "ended\n")
    assert "late (Ctrl-C leaves them as recorded)" in result.err
    assert "nbflow: execution late FAILED: Late (nbflow show late)\n" in result.err
    connect(folder)
    assert nf.execution("late").status == "FAILED"


MAPPED = """
    inner = {"StartAt": "Work", "States": {"Work": {"Type": "Task", "Resource": LAMBDA + "work", "End": True}}}
    states = {"Map": {"Type": "Map", "ItemProcessor": inner, "End": True}}
    mapped = nf.StateMachine({"StartAt": "Map", "States": states}, name="mapped", tasks={"work": WORK})
"""


def test_a_stop_ends_a_run_whose_thread_cannot_be_killed(process: Start, folder: Path) -> None:
    (folder / "blocked.py").write_text(
        """
import os, time
import nbflow as nf

@nf.task
def block():
    os.write(2, b"begun\\n")  # its step would keep what it prints
    time.sleep(600)

@nf.flow
def blocked():
    block()
"""
    )
    child = process("-m", "nbflow.cli", "run", "blocked.py", "--name", "b")
    child.read_until("begun")
    assert process("-m", "nbflow.cli", "stop", "b").end().code == 0
    result = child.end()
    assert result.code == 1
    assert "execution b of blocked was stopped" in result.err


def test_sigterm_leaves_the_execution_as_ctrl_c_does(process: Start, folder: Path) -> None:
    child = process("-m", "nbflow.cli", "run", "flows.py:slow", "--name", "left")
    child.read_until("execution left of endless")
    child.child.terminate()
    result = child.end()
    assert result.code == 143
    assert "left as last recorded: left (nbflow resume NAME goes on" in result.err
    connect(folder)
    assert nf.execution("left").status == "RUNNING"
    assert nf.connect().store.engines() == [], "whoever goes on with it need not wait"


def test_a_cluster_may_be_needed_when_the_script_has_ended(process: Start, folder: Path) -> None:
    body = (
        MAPPED.replace("WORK", "double")
        + """
    mapped.start([1, 2], execution_name="mapped")
    """
    )
    result = process(script(folder, body)).end()
    assert result.code == 0
    assert "starting a Dask LocalCluster" in result.err
    connect(folder)
    assert nf.execution("mapped").output == [2, 4]


def test_ctrl_c_does_not_kill_the_workers_of_what_goes_on(process: Start, folder: Path) -> None:
    """A terminal sends it to the whole process group."""
    (folder / "flows.py").write_text(
        FLOWS
        + """
def gated(input):
    import pathlib, time

    pathlib.Path("begun").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    return input
"""
    )
    body = (
        MAPPED.replace("WORK", "gated")
        + """
    import os, pathlib, time
    os.setpgrp()
    run = mapped.start([1], execution_name="mapped")
    while not pathlib.Path("begun").exists():
        time.sleep(0.01)
    try:
        print("begun", file=sys.stderr, flush=True)
        run.result()
    except KeyboardInterrupt:
        pathlib.Path("go").touch()
        print(run.result())
    """
    )
    child = process(script(folder, body))
    child.read_until("begun")
    child.press_ctrl_c((folder / "go").exists, group=True)
    result = child.end()
    assert (result.code, result.out) == (0, "[1]\n")


def test_ctrl_c_at_the_end_leaves_what_runs(process: Start, folder: Path) -> None:
    body = """
    import atexit
    atexit.register(print, "ended")
    slow.start(execution_name="left")
    """
    child = process(script(folder, body))
    child.read_until("waiting for 1 running execution(s): left")
    child.press_ctrl_c()
    result = child.end()
    assert (result.code, result.out) == (130, "ended\n")
    assert result.err.endswith(
        "nbflow: left as last recorded: left (nbflow resume NAME goes on, nbflow stop NAME ends it)\n"
    )


def test_what_a_killed_process_recorded_is_there(process: Start, shell: Shell, folder: Path) -> None:
    (folder / "wait.asl.yaml").write_text(
        WAIT.replace("StartAt: Wait", "StartAt: First") + "  First: {Type: Pass, Next: Wait}\n"
    )
    child = process("-m", "nbflow.cli", "run", "wait.asl.yaml", "--name", "killed")
    child.read_until("✓ First")
    child.child.kill()
    child.end()
    looked = process("-m", "nbflow.cli", "show", "killed").end()
    assert looked.code == 0
    assert looked.out.startswith("killed of wait: RUNNING (interrupted), started ")
    assert "✓ First" in looked.out
    assert "… Wait" in looked.out
    assert re.search(r"Wait, until 2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d UTC", looked.out)
    assert "nbflow resume killed goes on with it (in Python: " in looked.out
    store = f"sqlite:///{folder / 's.sqlite'}"
    assert "RUNNING" in shell("list", "--store", store).out
    events = json.loads(shell("history", "killed", "--json", "--store", store).out)["events"]
    assert events[-1]["type"] == "WaitStateEntered"
    assert shell("stop", "killed", "--store", store).err == "killed is ABORTED\n"


def test_what_a_killed_process_left_goes_on_with_the_modules_beside_its_script(
    process: Start, folder: Path
) -> None:
    """Those of the script's folder and of the working directory, in this process and on Dask; named and imported late."""
    (folder / "scripts").mkdir()
    (folder / "scripts" / "beside.py").write_text("def one(): return 1\n")
    (folder / "scripts" / "late.py").write_text("def ten(): return 10\n")
    (folder / "around.py").write_text("def hundred(): return 100\n")
    (folder / "scripts" / "imports.py").write_text(
        textwrap.dedent("""
        import os, time
        from pathlib import Path

        import nbflow as nf
        import beside

        @nf.task
        def add(x: int) -> int:
            if not os.path.exists("go on"):
                os.write(2, b"under way\\n")
                time.sleep(60)
            import late
            import around
            return x + beside.one() + late.ten() + around.hundred()

        @nf.flow
        def imports(x: int):
            here = add(x)
            there = [add(each) for each in [here]]
            return there

        if __name__ == "__main__":
            imports.start(x=0, execution_name="killed").result()
    """)
    )
    child = process("scripts/imports.py")
    child.read_until("under way")
    child.child.kill()
    child.end()
    (folder / "go on").touch()
    result = process("-m", "nbflow.cli", "resume", "killed", "--quiet").end()
    assert (result.code, json.loads(result.out or "null")) == (0, [222]), result.err


def test_what_a_killed_process_left_goes_on_when_it_is_stopped_and_redriven(
    process: Start, shell: Shell, folder: Path
) -> None:
    child = process("-m", "nbflow.cli", "run", "flows.py:slow", "--name", "killed", "--input", "7")
    child.read_until("execution killed of endless")
    child.child.kill()
    child.end()
    store = f"sqlite:///{folder / 's.sqlite'}"
    assert shell("stop", "killed", "--store", store).code == 0
    (folder / "fixed.py").write_text(FLOWS.replace("time.sleep(60)", "return input"))
    result = shell("redrive", "killed", "--from", "fixed.py:slow", "--store", store)
    assert (result.code, result.out) == (0, "7\n")


def test_a_run_that_another_process_stops_ends_with_a_word(process: Start, folder: Path) -> None:
    child = process("-m", "nbflow.cli", "run", "wait.asl.yaml", "--name", "r")
    child.read_until("execution r of wait")
    assert process("-m", "nbflow.cli", "stop", "r", "--error", "Enough").end().code == 0
    result = child.end()
    assert (result.code, result.out) == (1, "")
    assert "execution r of wait was stopped: Enough" in result.err


HELD = """
import nbflow as nf


@nf.task
def hold(number: int) -> int:
    import pathlib, time

    print("begun", number, flush=True)
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    return 2 * number
"""


def start_held(folder: Path, worker: Process) -> "nf.Execution":
    """An execution whose task the worker, which makes the activity, has in hand."""
    connect(folder)
    worker.read_until("Ctrl-C ends it")
    state = {"Type": "Task", "Resource": ACTIVITY, "End": True}
    run = nf.StateMachine({"StartAt": "Hold", "States": {"Hold": state}}).start({"number": 21})
    assert worker.child.stdout is not None
    assert worker.child.stdout.readline() == "begun 21\n"
    return run


ACTIVITY = "arn:aws:states:us-east-1:000000000000:activity:hold"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_that_is_told_to_end_finishes_what_it_has(
    process: Start, folder: Path, number: signal.Signals
) -> None:
    (folder / "held.py").write_text(HELD)
    worker = process("-m", "nbflow.cli", "worker", "hold", "held:hold", "--create", "--name", "me")
    run = start_held(folder, worker)
    worker.child.send_signal(number)
    worker.read_until("takes no more, and finishes 1 task(s); Ctrl-C again leaves them")
    (folder / "go").touch()
    assert run.result() == 42
    result = worker.end()
    assert result.code == 0
    assert "nbflow: a task of hold is done, in " in result.err
    assert result.err.endswith("nbflow: the worker has ended: 1 done, 0 failed\n")


def test_a_worker_that_is_told_twice_leaves_what_it_has(process: Start, folder: Path) -> None:
    (folder / "held.py").write_text(HELD)
    worker = process("-m", "nbflow.cli", "worker", "hold", "held.py:hold", "--create")
    run = start_held(folder, worker)
    worker.child.send_signal(signal.SIGINT)
    worker.read_until("takes no more")
    worker.child.send_signal(signal.SIGINT)
    result = worker.end()
    assert result.code == 130
    assert (
        "nbflow: leaves 1 task(s), which end by their timeouts or missed heartbeats; 0 done, 0 failed\n"
        in result.err
    )
    assert run.status == "RUNNING"
    run.stop()


def test_an_idle_worker_ends_at_once_also_with_a_server(process: Start, folder: Path) -> None:
    """It does not wait for the end of its poll, which takes a minute."""
    server = process("-m", "nbflow.cli", "server", "--port", "0")
    assert server.child.stderr is not None
    url = server.child.stderr.readline().split()[-1]
    worker = process("-m", "nbflow.cli", "worker", "hold", "flows:double", "--create", "--url", url)
    worker.read_until("Ctrl-C ends it")
    worker.child.send_signal(signal.SIGINT)
    result = worker.end()
    assert (result.code, result.err) == (0, "nbflow: the worker has ended: 0 done, 0 failed\n")


def test_a_script_without_a_main_guard_gets_an_explanation(process: Start, folder: Path) -> None:
    (folder / "unguarded.py").write_text(
        "from flows import *\n"
        "inner = {'StartAt': 'D', 'States': {'D': {'Type': 'Task', 'Resource': LAMBDA + 'double', 'End': True}}}\n"
        "state = {'Type': 'Map', 'ItemProcessor': inner, 'End': True}\n"
        "machine = nf.StateMachine({'StartAt': 'M', 'States': {'M': state}}, tasks={'double': double})\n"
        "machine.run([1, 2])\n"
    )
    result = process("unguarded.py").end()
    assert result.code == 1
    assert "a Dask worker cannot begin, because" in result.err
    assert 'if __name__ == "__main__":' in result.err
    assert result.err.count("Traceback") == 1, "the script's own"


def test_help_needs_nothing_heavy() -> None:
    code = "import sys\nfrom nbflow.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    print(sorted(sys.modules))"
    done: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1]
    for heavy in ("sqlalchemy", "distributed", "pandas", "pydantic", "rich.table"):
        assert f"'{heavy}'" not in loaded
