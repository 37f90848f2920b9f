"""Going on with what others have left, over the store: two offices on one folder are two processes."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbflow.engine.live import Arrival
from nbflow.language.values import Json
from nbflow.machine import facts
from nbflow.service import nested
from nbflow.service.arns import machine_arn
from nbflow.service.executions import start_execution
from nbflow.service.resuming import Resumer
from nbflow.store.port import ExecutionRow
from tests.service.support import TASK, WAIT, Office


@pytest.fixture
def other(tmp_path: Path, office: Office) -> Iterator[Office]:
    """Another process on the same store."""
    other = Office(tmp_path)
    yield other
    other.close()


def row(office: Office, run: str) -> ExecutionRow:
    found = office.store.execution(run)
    assert found is not None
    return found


def test_what_another_has_ended_and_not_brought_to_its_close(
    office: Office, other: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one stops it, and is as good as killed before it has said that nothing is owed any more."""
    run = office.start(office.machine(TASK))
    put = other.engine._turns.put

    def hear(execution: str, arrival: Arrival) -> None:
        if not isinstance(arrival.fact, facts.Cancelled):
            put(execution, arrival)

    monkeypatch.setattr(other.engine._turns.hands, "_put", hear)
    other.call("StopExecution", executionArn=run)
    office.pool.finish(1)
    office.until(lambda: run in office.engine.astray)
    assert (row(office, run).status, row(office, run).owner) == ("ABORTED", office.engine.id)
    resumer = Resumer(office.service.desk)
    [resumed], _ = resumer.look()
    assert resumed.arn == run
    office.until(lambda: row(office, run).owner is None)
    assert resumer.look() == ([], {})
    assert office.engine.astray == set()


def test_a_child_that_was_started_for_a_task_that_had_been_given_up(
    office: Office, other: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parent was stopped before the child was there, and its process killed before it could look for that."""
    child = machine_arn("child")
    office.machine(WAIT, "child")
    asked, stopped, begun = threading.Event(), threading.Event(), threading.Event()

    def late(*arguments: object, **options: object) -> dict[str, Json]:
        asked.set()
        assert stopped.wait(10)
        return start_execution(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(nested, "start_execution", late)
    monkeypatch.setattr(nested, "_stop_if_given_up", lambda *_: begun.set())
    resource = "arn:aws:states:::states:startExecution.sync"
    state = {"Type": "Task", "Resource": resource, "Parameters": {"StateMachineArn": child}, "End": True}
    run = office.start(office.machine({"StartAt": "T", "States": {"T": state}}, "parent"))
    assert asked.wait(10)
    other.call("StopExecution", executionArn=run)
    stopped.set()
    assert begun.wait(10)
    office.engine.close()
    [left] = other.store.executions(machine_arn=child)
    assert left.status == "RUNNING"
    resumed, _ = Resumer(other.service.desk).look()
    assert left.arn in [each.arn for each in resumed]
    other.until(lambda: row(other, left.arn).status == "ABORTED")
