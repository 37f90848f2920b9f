"""``nf.flow``: from a function to an execution."""

import re
from typing import Any

import pandas as pd
import pytest

import nbflow as nf
from nbflow.client.connection import Connection
from nbflow.testing import run_machine


@nf.task
def double(x: int) -> int:
    print("doubling", x)
    return 2 * x


@nf.task(retry=nf.Retry(OSError, interval=0, max_attempts=1))
def broken(x: int) -> int:
    raise ConnectionResetError(f"{x} is gone")


@nf.task
def frame(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"x": range(rows)})


@nf.task
def mislabelled() -> list[int]:
    return "not a list"  # type: ignore[return-value]


@nf.flow
def doubled(xs: list[int], factor: int = 1):  # type: ignore[no-untyped-def]
    """All of them, doubled."""
    twice = [double(x) for x in xs]
    return {"sum": sum(twice) * factor, "all": twice}


@nf.flow(name="caught-flow")
def caught(x: int):  # type: ignore[no-untyped-def]
    try:
        result = broken(x)
    except OSError as error:
        return str(error)
    return result


def test_a_flow_runs_as_an_execution(connection: Connection) -> None:
    run = doubled.start(xs=[1, 2, 3])
    assert run.result() == {"sum": 12, "all": [2, 4, 6]}
    assert (run.machine, run.input) == ("doubled", {"xs": [1, 2, 3]})
    assert run["double"][1].log == "doubling 2\n"
    assert doubled.run({"xs": [], "factor": 7}) == {"sum": 0, "all": []}


def test_calling_a_flow_is_plain_python_and_says_so(
    connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doubled([1, 2], factor=10) == {"sum": 60, "all": [2, 4]}
    assert "doubled(…) runs as plain Python and records nothing; doubled.start(…)" in capsys.readouterr().err
    assert nf.executions() == []


def test_a_handler_sees_the_message_and_bases_count(connection: Connection) -> None:
    run = caught.start(x=7)
    assert run.machine == "caught-flow"
    assert run.result() == "7 is gone"
    assert [attempt["error"] for attempt in run["broken"].attempts] == ["OSError", "OSError"]


def test_dataframes_travel_and_their_length_is_known(connection: Connection) -> None:
    @nf.flow
    def rows(n: int):  # type: ignore[no-untyped-def]
        table = frame(n)
        if len(table) == 0:
            raise nf.Fail("NoData", "nothing to report")
        return {"table": table}

    table = rows.run(n=3)
    assert isinstance(table, dict)
    assert list(table["table"]["x"]) == [0, 1, 2]
    failed = run_machine(rows, {"n": 0})
    assert (failed.status, failed.error, failed.cause) == ("FAILED", "NoData", "nothing to report")


def test_a_result_that_is_not_what_its_annotation_says() -> None:
    @nf.flow
    def lying():  # type: ignore[no-untyped-def]
        return [double(x) for x in mislabelled()]

    run = run_machine(lying)
    assert (run.status, run.error) == ("FAILED", "nbflow.WrongResult")
    assert "mislabelled() returned the str 'not a list'" in repr(run)


@pytest.mark.parametrize(
    ("input", "parameters", "says"),
    [
        (None, {}, "doubled.start(xs, factor=1): missing a required argument: 'xs'"),
        (None, {"xs": [], "y": 1}, "doubled.start(xs, factor=1): got an unexpected keyword argument 'y'"),
        ([1], {}, "start doubled with keywords: doubled.start(xs, factor=1)"),
        ({"xs": []}, {"factor": 2}, "start doubled with keywords"),
    ],
)
def test_arguments_that_do_not_fit(
    connection: Connection, input: Any, parameters: dict[str, Any], says: str
) -> None:
    with pytest.raises(TypeError, match=re.escape(says)):
        doubled.start(input, **parameters)
    assert nf.executions() == []


def test_a_name_that_no_machine_can_have() -> None:
    with pytest.raises(nf.ApiError, match="Invalid Name"):
        nf.flow(name="no name")(caught.function)


def test_globals_mean_what_they_are_when_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "double", nf.Task(lambda x: 3 * x, name="triple"))
    assert run_machine(doubled, {"xs": [1]}).result() == {"sum": 3, "all": [3]}


def test_it_is_drawn(connection: Connection) -> None:
    class Printer:
        text = ""

    printed: list[str] = []
    Printer.text = printed.append  # type: ignore[assignment]
    doubled._repr_pretty_(Printer, False)
    assert printed[0].startswith("<nbflow flow doubled(xs: list[int], factor: int = 1)>\n")
    assert "double(x)" in printed[0]
    assert "data:image/svg+xml;base64," in doubled._repr_html_()
    run = doubled.start(xs=[1]).wait()
    printed.clear()
    run._repr_pretty_(Printer, False)
    assert "✓" in printed[0]
    assert "<table>" in run._repr_html_()
