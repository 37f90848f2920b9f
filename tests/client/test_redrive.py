"""``run.redrive()``: with which functions an execution goes on, and what is said where they are not known."""

import asyncio
import io
from typing import Any

import pytest
from rich.console import Console

import nbflow as nf
from nbflow.client import presentation, redriving
from nbflow.client.connection import Connection
from nbflow.client.progress import watch
from nbflow.client.redriving import remember
from tests.client.gates import GATES
from tests.client.machines import each, gated, one, raising, task, waiting
from tests.client.test_presentation import Recorder, recorder

__all__ = ["recorder"]  # a fixture


def work(input: Any) -> Any:
    raise ValueError("not yet")


def works(input: Any) -> Any:
    return {"done": input}


works.__name__ = "work"


@nf.task
def shaky(x: int) -> int:
    if x == 2:
        raise ValueError(f"{x} is odd, in a way")
    return 10 * x


@nf.task
def steady(x: int) -> int:
    return 20 * x


steady.name = "shaky"


@nf.flow
def report(a: int, b: int):  # type: ignore[no-untyped-def]
    first = shaky(a)
    second = shaky(b)
    return first + second


@pytest.fixture(autouse=True)
def _strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests have defined is not known, nor are the flows of this file, until a test says so."""
    monkeypatch.setattr(redriving, "_known", {})


def failed(machine: nf.StateMachine, input: Any = 1) -> nf.Execution:
    return machine.start(input, execution_name="r").wait()


def test_the_latest_machine_of_the_definition_does_the_tasks(connection: Connection) -> None:
    run = failed(one(work))
    assert (run.status, run.redrives) == ("FAILED", 0)
    one(works)  # the same name and the same definition, and another function
    assert run.redrive() is run
    assert run.result() == {"done": 1}
    assert (run.redrives, run.error, run.failed) == (1, None, None)
    assert [attempt["error"] for attempt in run["Work"].attempts] == ["ValueError", None]
    assert connection.service.describe_execution(run.arn)["redriveCount"] == 1


def test_it_may_fail_again(connection: Connection) -> None:
    run = failed(one(work))
    with pytest.raises(nf.ExecutionFailed, match="ValueError: not yet"):
        run.redrive().result()
    assert run.redrives == 1


def begun() -> nf.Execution:
    """A run of the flow whose second step has failed."""
    run = report.start(a=1, b=2).wait()
    assert run.status == "FAILED"
    return run


def test_the_tasks_of_a_flow_are_looked_up_when_it_is_redriven(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun()
    monkeypatch.setitem(globals(), "shaky", steady)
    assert run.redrive().result() == 10 + 40, "what had succeeded is not done again"


def test_a_flow_that_is_defined_is_known_though_it_was_not_started(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun()
    redriving._known.clear()
    again = nf.flow(report.function)
    monkeypatch.setitem(globals(), "shaky", steady)
    assert run.redrive().result() == 50
    assert list(redriving._known.values()) == [again]


def test_the_flow_may_be_given(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun()
    redriving._known.clear()
    monkeypatch.setitem(globals(), "shaky", steady)
    assert run.redrive(report).result() == 50


def test_a_flow_with_other_states_is_refused(connection: Connection) -> None:
    run = begun()

    @nf.flow(name="report")
    def other(a: int, b: int):  # type: ignore[no-untyped-def]
        return shaky(a)

    with pytest.raises(nf.NbflowError, match=r"the states of report have changed since .* start it anew"):
        run.redrive(other)
    assert run.status == "FAILED"


def test_a_flow_that_has_changed_through_a_task_is_refused_until_it_is_as_it_was(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same flow, but what it calls is now retried: so says its definition."""
    run = begun()
    monkeypatch.setitem(globals(), "shaky", nf.task(name="shaky", retry=nf.Retry())(steady.function))
    with pytest.raises(nf.NbflowError, match="the states of report have changed"):
        run.redrive()
    with pytest.raises(nf.NbflowError, match="not known here: first_second"):
        run.redrive(tasks={"shaky": steady})  # it has steps of its own, which nobody can give
    monkeypatch.undo()
    assert run.status == "FAILED"


def test_some_of_the_functions_of_a_flow_may_be_given(connection: Connection) -> None:
    assert begun().redrive(tasks={"shaky": steady}).result() == 50


def test_functions_may_be_given(connection: Connection) -> None:
    run = failed(one(work))
    redriving._known.clear()
    assert run.redrive(tasks={"work": works}).result() == {"done": 1}


def test_functions_that_are_not_known_are_named(connection: Connection) -> None:
    run = failed(one(work))
    redriving._known.clear()
    with pytest.raises(nf.NbflowError) as caught:
        run.redrive()
    assert str(caught.value).startswith("execution r of one has tasks that are not known here: work. Define")
    assert "--from FILE" in str(caught.value)
    assert run.status == "FAILED"
    with pytest.raises(nf.NbflowError, match="not known here: work"):
        run.redrive(tasks={"other": works})


def test_a_machine_with_another_definition_gives_what_has_the_same_names(connection: Connection) -> None:
    run = failed(one(work))
    states = {"A": task("work", Next="B"), "B": {"Type": "Pass", "End": True}}
    other = nf.StateMachine({"StartAt": "A", "States": states}, tasks={"work": works})
    assert run.redrive(other).result() == {"done": 1}


def test_what_the_service_knows_is_known(connection: Connection) -> None:
    from nbflow.client.machines import pin

    run = failed(one(work))
    redriving._known.clear()
    connection.service.functions = {"work": pin("work", works)}
    assert run.redrive().result() == {"done": 1}


def test_a_machine_without_tasks_needs_none(connection: Connection) -> None:
    run = waiting().start()
    run.stop()
    redriving._known.clear()
    run.redrive()
    assert run.status == "RUNNING"
    run.stop()
    assert (run.status, run.redrives) == ("ABORTED", 1)


def test_what_cannot_be_redriven_says_so_whatever_its_tasks_are(connection: Connection) -> None:
    run = failed(one(works))
    redriving._known.clear()
    with pytest.raises(
        nf.ApiError, match=r"Execution is SUCCEEDED and cannot be redriven \(there is nothing"
    ):
        run.redrive()
    run = one(gated).start(gate="g")
    with pytest.raises(nf.ApiError, match=r"Execution is RUNNING .* stop it first"):
        run.redrive()


def test_what_was_stopped_goes_on(connection: Connection) -> None:
    """So a killed process's executions are resumed: stop, then redrive."""
    run = one(gated).start(gate="g")
    GATES.reached("g")
    run.stop()
    run.redrive()
    GATES.open("g")
    assert asyncio.run(_awaited(run)) == {"gate": "g"}


async def _awaited(run: nf.Execution) -> object:
    return await run


def test_another_process_sees_it_go_on(connection: Connection, elsewhere: Connection) -> None:
    run = one(gated).start(gate="g")
    run.stop()
    run.redrive()
    seen = nf.Execution(run.arn, elsewhere)
    assert (seen.status, seen.redrives) == ("RUNNING", 1)
    GATES.open("g")
    assert run.result() == seen.wait().result()


def test_it_is_shown_as_a_start_is(connection: Connection, recorder: Recorder) -> None:
    run = failed(one(work))
    run.redrive()
    assert recorder.told == [("started", "r"), ("started", "r")]
    assert presentation.presenter() is recorder


def test_progress_of_what_comes_after_the_redrive(connection: Connection, dask_client: object) -> None:
    processor = {"StartAt": "Work", "States": {"Work": task("raising")}}
    run = each(processor, raising).start([1, 2], execution_name="r").wait()
    run.redrive(tasks={"raising": works})
    whole, rest = (_lines(run, redrive) for redrive in (0, 1))
    assert [line.split()[0] for line in whole] == ["✗", "✓", "✓"]
    assert [line.split()[0] for line in rest] == ["✓", "✓"]
    assert rest[0].endswith("Map, 2 of 2")
    assert rest[1].startswith("  ✓ r SUCCEEDED in ")


def _lines(run: nf.Execution, redrive: int) -> list[str]:
    file = io.StringIO()
    watch(run, Console(file=file, width=40, color_system=None), redrive=redrive)
    return file.getvalue().splitlines()


def test_not_all_machines_are_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redriving, "MOST_KNOWN", 2)
    machine = waiting()
    for digest in ("a", "b", "a", "c"):
        remember(digest, machine)
    assert [sha256 for _, sha256 in redriving._known] == ["a", "c"]
