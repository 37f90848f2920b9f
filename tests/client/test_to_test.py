"""``run.to_test()``: the files that it writes pass in pytest."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import nbflow as nf
from nbflow.client.connection import Connection
from tests.client.gates import GATES
from tests.client.machines import LAMBDA, gated, one, raising, task, waiting


@nf.task(on="local")
def late(number: int) -> list[int]:
    """Ends when the one after it has ended."""
    from tests.client.gates import GATES

    GATES.wait(f"late {number}")
    GATES.open(f"late {number - 1}")
    return [number]


@nf.task(on="local")
def text(numbers: list[int]) -> str:
    return f'it\'s "{numbers[0]}"\n'


@nf.flow
def backwards(count: int = 3):  # type: ignore[no-untyped-def]
    found = [text(late(number)) for number in range(count)]
    return {"count": count, "found": found}


@nf.task
def table(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"x": range(rows)})


def asleep(input: Any, calls: list[int] = []) -> str:  # noqa: B006  # what the run's own copy remembers
    calls.append(1)
    if len(calls) < 3:
        raise ConnectionError(f"asleep {len(calls)}")
    return "awake"


def passed(*paths: Path) -> None:
    """Run the files as a user does."""
    root = Path(nf.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        cwd=paths[0].parent,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert f"{len(paths)} passed" in done.stdout, done.stdout + done.stderr


def test_real_runs_become_tests_that_pass(connection: Connection, tmp_path: Path) -> None:
    GATES.open("late 2")
    retry = [{"ErrorEquals": ["OSError"], "IntervalSeconds": 0}]
    catch = [{"ErrorEquals": ["ValueError"], "Next": "Told"}]
    caught = {
        "StartAt": "Work",
        "States": {"Work": task("raising", Catch=catch), "Told": {"Type": "Succeed"}},
    }
    runs = [
        backwards.start(),
        one(asleep, "asleep", Retry=retry).start(1),
        one(raising, "raising").start("'\n\""),
        nf.StateMachine(caught, name="caught", tasks={"raising": raising}).start(7),
        one(table, "table").start(rows=3),
    ]
    files = [run.wait().to_test() for run in runs]
    assert [str(path) for path in files] == [f"test_{run.machine}.py" for run in runs]
    source = {path.stem: path.read_text(encoding="utf-8") for path in files}
    assert '"late": [[0], [1], [2]]' in source["test_backwards"]
    assert source["test_asleep"].count("Throw(") == 2
    assert '\n    assert run.error == "ValueError"\n' in source["test_raising"]
    assert '\n    assert run.states == ["Work", "Told"]\n' in source["test_caught"]
    assert "are references to DataFrames" in source["test_table"]
    passed(*(tmp_path / path for path in files))


def test_the_folder_and_the_name_can_be_chosen(connection: Connection, tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    run = one(len).start([1, 2])
    assert run.wait().to_test("tests", name="two items") == Path("tests/test_two_items.py")
    with pytest.raises(nf.NbflowError, match=r"tests/test_two_items.py is there already"):
        run.to_test("tests", name="two items")


def test_what_has_not_ended_by_itself_becomes_no_test(connection: Connection) -> None:
    run = one(gated).start(gate="g", execution_name="r")
    with pytest.raises(nf.NbflowError, match="execution r of one has not ended"):
        run.to_test()
    GATES.open("g")
    stopped = waiting().start(execution_name="s")
    stopped.stop()
    with pytest.raises(nf.NbflowError, match="execution s of waiting was stopped from outside"):
        stopped.to_test()


def test_a_wrong_expectation_fails(connection: Connection, tmp_path: Path) -> None:
    path = one(len).start([1, 2]).wait().to_test()
    path.write_text(path.read_text(encoding="utf-8").replace("== 2", "== 3"), encoding="utf-8")
    with pytest.raises(AssertionError, match=r"assert 2 == 3(.|\n)*<run of machine: SUCCEEDED>"):
        passed(tmp_path / path)


def test_the_definition_stays_as_it_is(connection: Connection) -> None:
    path = one(len).start([1, 2]).wait().to_test()
    names: dict[str, Any] = {}
    exec(path.read_text(encoding="utf-8"), names)
    assert names["DEFINITION"] == one(len).definition
    assert names["DEFINITION"]["States"]["Work"]["Resource"] == f"{LAMBDA}len"
    assert (names["INPUT"], names["MOCKS"]) == ([1, 2], {"Work": [2]})
