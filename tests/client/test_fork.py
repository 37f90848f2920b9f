"""``run.fork()``: what a new execution goes on with, and what is said of it."""

import io
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

import nbflow as nf
from nbflow.client import display, redriving
from nbflow.client.connection import Connection
from nbflow.client.machines import BindingError
from nbflow.language.values import Json
from tests.client.gates import GATES
from tests.client.machines import gated, one, task
from tests.client.test_presentation import Recorder, recorder

__all__ = ["recorder"]  # a fixture


@nf.task
def load(n: int) -> pd.DataFrame:
    return pd.DataFrame({"x": range(n)})


@nf.task
def fit(data: pd.DataFrame, k: int) -> int:
    raise ValueError("not yet")


@nf.task
def fitted(data: pd.DataFrame, k: int) -> int:
    return int(data["x"].sum()) * k


fitted.name = "fit"


@nf.flow
def report(n: int):  # type: ignore[no-untyped-def]
    data = load(n)
    k = 3
    return fit(data, k)


def failed() -> nf.Execution:
    run = report.start({"n": 4}).wait()
    assert (run.status, run["fit"].error) == ("FAILED", "ValueError")
    return run


def test_a_mended_task_goes_on_from_the_middle(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> None:
    run = failed()
    monkeypatch.setitem(globals(), "fit", fitted)
    forked = run.fork(at="fit", execution_name="again")
    assert forked.result() == 18
    assert [step.name for step in forked.steps] == ["fit"], "nothing is loaded again"
    assert recorder.told[-1] == ("started", "again")
    assert run.status == "FAILED"
    assert forked.input == run.input == {"n": 4}


def test_a_mended_flow_goes_on_from_the_middle(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = failed()
    monkeypatch.setitem(globals(), "fit", fitted)

    @nf.flow(name="report")
    def mended(n: int):  # type: ignore[no-untyped-def]
        data = load(n)
        k = 3
        model = fit(data, k)
        return {"model": model, "rows": len(data), "k": k}

    forked = run.fork(at="fit", definition=mended)
    assert forked.result() == {"model": 18, "rows": 4, "k": 3}
    assert forked.machine == "report"
    other = pd.DataFrame({"x": [10]})
    again = forked.fork(at="fit", definition=mended, variables={"data": other, "k": 2})
    assert again.result() == {"model": 20, "rows": 1, "k": 2}
    assert again.forked_from is not None
    assert again.forked_from.arn == forked.arn


def test_an_input_may_be_any_value(connection: Connection) -> None:
    def rows(input: Any) -> int:
        return len(input)

    run = one(rows).start([1, 2, 3]).wait()
    assert run.fork(at="Work", input=pd.DataFrame({"x": [1]})).result() == 1
    assert run.fork(at="Work", input=[]).result() == 0
    assert run.fork(at="Work").result() == 3


def two(second: Json) -> dict[str, Json]:
    return {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": second}}


def plus(input: Any) -> Any:
    return input + 1


def minus(input: Any) -> Any:
    return input - 1


def test_a_bare_definition_keeps_the_name_and_the_functions(connection: Connection) -> None:
    run = nf.StateMachine(two(task("plus")), name="sums", tasks={"plus": plus}).start(1).wait()
    twice = two(task("plus", Next="C"))
    twice["States"]["C"] = task("plus")
    forked = run.fork(at="B", definition=twice)
    assert (forked.machine, forked.result()) == ("sums", 3)
    assert run.fork(at="B", definition=twice, tasks={"plus": minus}).result() == -1
    twice["States"]["C"] = task("minus")
    with pytest.raises(BindingError, match="nothing is bound to 'minus'"):
        run.fork(at="B", definition=twice)
    assert run.fork(at="B", definition=twice, tasks={"minus": minus}).result() == 1


def test_functions_may_be_given_with_a_machine(connection: Connection) -> None:
    machine = nf.StateMachine(two(task("plus")), name="sums", tasks={"plus": plus})
    run = machine.start(1).wait()
    assert run.fork(at="B", tasks={"plus": minus}).result() == 0
    assert run.fork(at="B", definition=machine, tasks={"plus": minus}).result() == 0
    assert run.fork(at="B", definition=machine).result() == 2


def test_what_runs_can_be_forked(connection: Connection) -> None:
    run = one(gated).start(gate="g")
    GATES.reached("g")
    forked = run.fork(at="Work", input={"gate": "h"})
    GATES.open("h")
    assert forked.result() == {"gate": "h"}
    assert run.status == "RUNNING"


def test_what_is_not_known_says_what_to_give(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    run = failed()
    monkeypatch.setattr(redriving, "_known", {})
    with pytest.raises(
        nf.NbflowError, match=r"not known here: .* as in fork\(…, definition=report\), .* nbflow fork takes"
    ):
        run.fork(at="fit")
    assert run.fork(at="fit", definition=report).wait().status == "FAILED"


def test_a_flow_that_has_changed_is_to_be_given(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same flow, but what it calls is now retried: so says its definition."""
    run = failed()
    monkeypatch.setitem(globals(), "fit", nf.task(name="fit", retry=nf.Retry())(fitted.function))
    with pytest.raises(nf.NbflowError, match=r"the states of report have changed .* definition=report\)"):
        run.fork(at="fit")
    assert run.fork(at="fit", definition=report).result() == 18


def test_a_fork_says_where_it_comes_from(connection: Connection) -> None:
    run = one(plus).start(1, execution_name="r").wait()
    assert (run.forked_from, run.origin) == (None, "")
    forked = run.fork(at="Work", execution_name="f").wait()
    assert forked.origin == "forked from r at Work"
    assert repr(forked) == "<nbflow execution f of one: SUCCEEDED, forked from r at Work>"
    assert "forked from r at Work" in forked._repr_html_()
    file = io.StringIO()
    display.show_execution(Console(file=file, width=200), forked)
    assert file.getvalue().splitlines()[2] == "forked from r at Work"


def test_what_is_refused_by_the_service_is_told(connection: Connection) -> None:
    run = one(plus).start(1).wait()
    with pytest.raises(nf.ApiError, match=r"There is no state 'Wok' in the definition \(did you mean 'Work'"):
        run.fork(at="Wok")
