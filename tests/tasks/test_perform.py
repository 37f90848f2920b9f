import asyncio
import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nbflow.artifacts.shelf import Shelf
from nbflow.errors import Fail, NbflowError
from nbflow.tasks import perform as module
from nbflow.tasks.function import pin
from nbflow.tasks.job import Code, Job, Outcome
from nbflow.tasks.perform import LONGEST_CAUSE, perform


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(str(tmp_path / "shelf"))


Does = Callable[..., Outcome]


@pytest.fixture
def does(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Does:
    """Performs a function as a task, without pickling it."""

    def do(function: Callable[..., Any], **more: Any) -> Outcome:
        monkeypatch.setattr("nbflow.tasks.function.load", lambda code: function)
        return perform(Job("execution", 7, Code("function", "task", "0", b""), None, shelf, **more))

    return do


class NoData(LookupError):
    """A user's own exception."""


class NoFlights(NoData):
    pass


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class OurOwn(NbflowError):
    pass


def raises(error: BaseException) -> Callable[[Any], None]:
    def task(_: Any) -> None:
        raise error

    return task


@dataclass(frozen=True)
class Case:
    id: str
    task: Callable[[Any], Any]
    error: str
    message: str
    expected: tuple[str, ...] = ()


FAILURES = [
    Case("builtin", raises(ValueError("bad")), "ValueError", "bad"),
    Case("own class", raises(NoFlights("none")), "NoFlights", "none"),
    Case("expected: itself", raises(NoFlights("none")), "NoFlights", "none", ("LookupError", "NoFlights")),
    Case("expected: its base", raises(NoFlights("none")), "NoData", "none", ("LookupError", "NoData")),
    Case("expected: a builtin base", raises(NoFlights("none")), "LookupError", "none", ("LookupError",)),
    Case(
        "expected: the most general",
        raises(NoFlights("none")),
        "Exception",
        "none",
        ("Exception", "KeyError"),
    ),
    Case(
        "expected: what OSError means",
        raises(FileNotFoundError(2, "gone")),
        "OSError",
        "[Errno 2] gone",
        ("OSError",),
    ),
    Case(
        "expected: others",
        raises(NoFlights("none")),
        "NoFlights",
        "none",
        ("States.TaskFailed", "States.ALL"),
    ),
    Case("nbflow's", raises(OurOwn("us")), "nbflow.OurOwn", "us"),
    Case("nbflow's, expected", raises(OurOwn("us")), "nbflow.NbflowError", "us", ("nbflow.NbflowError",)),
    Case("a Fail, expected", raises(Fail("NoData", "x")), "nbflow.Fail", "x", ("nbflow.Fail",)),
    Case("sys.exit", lambda _: sys.exit(3), "SystemExit", "3"),
    Case("sys.exit without a code", lambda _: sys.exit(), "SystemExit", ""),
    Case("interrupted", raises(KeyboardInterrupt()), "KeyboardInterrupt", ""),
    Case("cancelled", raises(asyncio.CancelledError()), "CancelledError", ""),
    Case(
        "group", raises(ExceptionGroup("two", [ValueError("x")])), "ExceptionGroup", "two (1 sub-exception)"
    ),
    Case(
        "no words",
        raises(Unspeakable()),
        "Unspeakable",
        "(its message cannot be shown: str() raised RuntimeError)",
    ),
    Case("lone surrogate", raises(ValueError("\udcff")), "ValueError", "\udcff"),
    Case("long name", raises(type("E" * 300, (Exception,), {})("x")), "E" * 256, "x"),
    Case("NaN", lambda _: float("nan"), "nbflow.NotJson", "result is nan"),
    Case("big integer", lambda _: {"a": [2**70]}, "nbflow.NotJson", "result['a'][0] is an integer"),
    Case("lock", lambda _: {"a": threading.Lock()}, "nbflow.NotJson", "result['a'] is a"),
    Case("open file", lambda _: [sys.__stdout__], "nbflow.NotJson", "result[0] is a"),
]


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.id)
def test_failures_become_outcomes(case: Case, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbflow.tasks.function.load", lambda code: case.task)
    code = Code("function", "task", "0", b"")
    outcome = perform(Job("execution", 7, code, None, shelf, expected=case.expected))
    assert (outcome.execution, outcome.attempt, outcome.output) == ("execution", 7, None)
    assert outcome.error == case.error
    assert outcome.cause is not None
    outcome.cause.encode()  # it can be stored
    cause = json.loads(outcome.cause)
    assert list(cause) == ["errorMessage", "errorType", "stackTrace"]
    assert cause["errorMessage"].startswith(case.message)
    if not case.expected:
        assert cause["errorType"] == case.error


def test_a_result(does: Does) -> None:
    outcome = does(lambda _: (print("hello"), {"a": (1, 2.5)})[1])
    assert (outcome.output, outcome.error, outcome.cause) == ({"a": [1, 2.5]}, None, None)
    assert (outcome.log, outcome.artifacts) == ("hello\n", ())
    assert outcome.seconds > 0


def test_a_frame_becomes_a_reference(does: Does) -> None:
    outcome = does(lambda _: {"frame": pd.DataFrame({"a": [1, 2]}), "rows": 2})
    assert outcome.output["rows"] == 2
    assert outcome.output["frame"]["nbflow"] == "dataframe"
    assert [artifact.sha256 for artifact in outcome.artifacts] == [outcome.output["frame"]["sha256"]]


def test_what_a_failing_task_printed_is_kept(does: Does) -> None:
    def task(_: Any) -> None:
        print("before")
        raise ValueError

    assert does(task).log == "before\n"


def test_megabytes_of_output(does: Does) -> None:
    log = does(lambda _: print("first", "x" * 3_000_000, "last")).log
    assert log.startswith("first ")
    assert log.endswith(" last\n")
    assert "characters left out" in log
    assert len(log) < 600_000


def test_steps_on_threads_print_each_to_its_own(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    code = pin(lambda name: print(name), "task", keywords=False)
    with ThreadPoolExecutor(4) as pool:
        logs = list(pool.map(lambda i: perform(Job("execution", i, code, f"step {i}", shelf)).log, range(40)))
    assert logs == [f"step {i}\n" for i in range(40)]
    assert capsys.readouterr().out == ""


# --- tracebacks


def deep(_: Any) -> None:
    try:
        json.loads("{")
    except ValueError as error:
        raise NoData("nothing to read") from error


def while_handling(_: Any) -> None:
    try:
        raise KeyError("first")
    except KeyError:
        raise NoData("second")  # noqa: B904  # its context is what is tested


def in_a_group(_: Any) -> None:
    try:
        deep(_)
    except NoData as error:
        raise ExceptionGroup("several", [error]) from None


@dataclass(frozen=True)
class Trace:
    id: str
    task: Callable[[Any], Any]
    texts: tuple[str, ...]


TRACES = [
    Trace("from", deep, ("JSONDecodeError", "in deep", "json/decoder.py", "direct cause", "nothing to read")),
    Trace("while handling", while_handling, ("KeyError: 'first'", "During handling", "NoData: second")),
    Trace("group", in_a_group, ("several", "in deep", "direct cause")),
    Trace("not stored", lambda _: float("nan"), ("NotJson",)),
]


@pytest.mark.parametrize("case", TRACES, ids=lambda case: case.id)
def test_a_traceback_has_the_users_frames_only(case: Trace, does: Does) -> None:
    cause = does(case.task).cause
    assert cause is not None
    text = "".join(json.loads(cause)["stackTrace"])
    assert [part for part in case.texts if part not in text] == []
    ours = str(Path(module.__file__).parents[1])
    assert f'"{ours}/' not in text


# --- bounds


def recursion(_: Any) -> None:
    recursion(_)


def frames(depth: int) -> None:
    """Frames that differ, so that Python does not fold them."""
    exec(
        "\n" * depth + ("frames(depth - 1)" if depth else "raise ValueError('deep')"),
        globals() | {"depth": depth},
    )


LONG = [
    ("message", raises(ValueError("x" * 1_000_000))),
    ("control characters", raises(ValueError("\x01" * 100_000))),
    ("many lines", raises(ValueError("line\n" * 100_000))),
    ("quotes", raises(ValueError('"' * 100_000))),
    ("surrogates", raises(ValueError("\ud800" * 100_000))),
    ("recursion", recursion),
    ("many frames", lambda _: frames(300)),
]


@pytest.mark.parametrize("task", [task for _, task in LONG], ids=[name for name, _ in LONG])
def test_a_long_cause_is_cut_and_still_json(task: Callable[[Any], Any], does: Does) -> None:
    outcome = does(task)
    assert outcome.cause is not None
    assert len(outcome.cause) <= LONGEST_CAUSE
    cause = json.loads(outcome.cause)
    assert cause["errorType"] == outcome.error
    assert cause["errorMessage"]
    assert cause["stackTrace"][-1]


def test_a_long_traceback_keeps_its_ends(does: Does) -> None:
    cause = does(lambda _: frames(300)).cause
    assert cause is not None
    stack = json.loads(cause)["stackTrace"]
    assert stack[0].startswith("Traceback")
    assert "…\n" in stack
    assert stack[-1] == "ValueError: deep\n"


@given(
    st.text(max_size=50),
    st.integers(0, 40_000),
    st.lists(st.text(max_size=80), max_size=60),
    st.integers(1, 400),
)
@example("\x7f\x00", 40_000, ["\x00" * 80], 400)
def test_every_cause_fits(message: str, times: int, stack: list[str], lines: int) -> None:
    text = module._cause(message * times, "Error", stack * lines)
    assert len(text) <= LONGEST_CAUSE
    cause = json.loads(text)
    whole = json.dumps(
        {"errorMessage": message * times, "errorType": "Error", "stackTrace": stack * lines},
        ensure_ascii=False,
    )
    assert len(whole) > LONGEST_CAUSE // 2 or cause["errorMessage"] == message * times


# --- never raises


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
)


@given(ANYTHING)
def test_whatever_a_task_returns_there_is_an_outcome(
    tmp_path_factory: pytest.TempPathFactory, value: Any
) -> None:
    shelf = Shelf(str(tmp_path_factory.getbasetemp() / "anything"))
    code = Code("function", "task", "0", b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nbflow.tasks.function.load", lambda code: lambda _: value)
        outcome = perform(Job("execution", 1, code, None, shelf))
    assert outcome.error in (None, "nbflow.NotJson")
    assert json.loads(json.dumps(outcome.output)) == outcome.output


@pytest.mark.parametrize("expected", [(), ("NoData",), ("KeyError", "States.ALL")])
def test_a_failure_that_names_itself_is_reported_as_it_is_worded(
    does: Does, expected: tuple[str, ...]
) -> None:
    outcome = does(raises(Fail("NoData", "nothing")), expected=expected)
    assert (outcome.error, outcome.cause) == ("NoData", "nothing")


def test_the_cause_names_the_exception_itself(does: Does) -> None:
    outcome = does(raises(FileNotFoundError(2, "gone")), expected=("OSError",))
    assert outcome.error == "OSError"
    assert json.loads(outcome.cause or "")["errorType"] == "FileNotFoundError"
    failed = does(raises(Fail("NoData", "nothing")), expected=("nbflow.Fail",))
    assert json.loads(failed.cause or "")["errorType"] == "NoData"


@pytest.mark.parametrize(
    ("returns", "good", "bad", "says"),
    [
        ("number", 1.5, True, "returned the bool True"),
        ("number", 1, "1", "returned the str '1'"),
        ("string", "", None, "returned null"),
        ("boolean", False, 0, "returned the int 0"),
        ("array", [], {}, "returned the dict {}"),
        ("array[2]", (1, [2]), (1, 2, 3), "returned 3 values, but its annotation says 2"),
        ("dataframe", pd.DataFrame({"x": [1]}), {"rows": 1}, "returned the dict {'rows': 1}"),
    ],
)
def test_a_result_that_the_definition_relies_on_is_checked(
    returns: str, good: object, bad: object, says: str, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = Code("function", "task", "0", b"", returns=returns)

    def outcome(result: object) -> Outcome:
        monkeypatch.setattr("nbflow.tasks.function.load", lambda code: lambda _: result)
        return perform(Job("execution", 7, code, None, shelf))

    assert outcome(good).error is None
    assert outcome(bad).error == "nbflow.WrongResult"
    assert f"task() {says}" in (outcome(bad).cause or "")
