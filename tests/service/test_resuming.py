"""Which executions are interrupted, what is needed to go on with them, and who does."""

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nbflow.engine.live import Arrival
from nbflow.engine.turns import PAUSE
from nbflow.language.values import Json
from nbflow.machine import facts
from nbflow.service import nested, resuming
from nbflow.service.arns import machine_arn
from nbflow.service.desk import Desk
from nbflow.service.executions import start_execution
from nbflow.service.resuming import NotHere, Resumer, interrupted, keeper, why_not_here
from nbflow.store.port import StoreError
from nbflow.store.rows import Append, EngineRow, ExecutionRow
from nbflow.tasks import function
from nbflow.tasks.job import Code, Outcome
from nbflow.testing import mock_config
from tests.service.support import TASK, WAIT, WORK, Office


@pytest.fixture
def offices(tmp_path: Path) -> Iterator[tuple[Office, Office]]:
    """Two processes on one store, for what the store knows."""
    one, two = Office(tmp_path), Office(tmp_path)
    yield one, two
    for office in (one, two):
        office.engine.close()
        office.store.close()


def work(input: int) -> int:
    return input


def left(office: Office, definition: object = WAIT) -> ExecutionRow:
    """An execution whose process is no more."""
    code = function.pin(work, "work", keywords=False)
    machine = office.machine(definition)
    arn = office.service.start_execution(machine, tasks={WORK: code}, directory="/somewhere")["executionArn"]
    office.settled()
    office.store.release(office.engine.id)
    row = office.store.execution(arn)
    assert row is not None
    return row


def test_what_is_in_good_hands_is_not_interrupted(offices: tuple[Office, Office]) -> None:
    one, two = offices
    run = one.start(one.machine(WAIT))
    row = two.store.execution(run)
    assert row is not None
    assert interrupted(two.service.desk) == []
    assert keeper(two.service.desk, row) is not None
    one.store.release(one.engine.id)
    assert [each.arn for each in interrupted(two.service.desk)] == [run]
    assert keeper(two.service.desk, row) is None


def test_it_goes_on_where_it_was_with_what_it_had(offices: tuple[Office, Office]) -> None:
    one, two = offices
    row = left(one, TASK)
    assert [each.arn for each in Resumer(two.service.desk).look()[0]] == [row.arn]
    job, answer = two.pool.next()
    assert (job.code.name, job.directory) == ("work", "/somewhere")
    assert function.load(job.code)(7) == 7
    answer(Outcome(job.execution, job.attempt, 7))
    assert two.ended(row.arn) == "SUCCEEDED"
    assert interrupted(two.service.desk) == []


def test_of_two_who_go_on_one_does(offices: tuple[Office, Office]) -> None:
    one, two = offices
    row = left(one)
    assert two.service.resume(row)
    assert not one.service.resume(row)


def test_whoever_writes_in_between_is_looked_at_again(
    offices: tuple[Office, Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine before was only paused, and writes a step after its journal was read."""
    one, two = offices
    row = left(one, TASK)
    rows = two.store.journal
    again: list[str] = []

    def journal(arn: str, after: int = -1) -> object:
        found = list(rows(arn, after))
        if not again:
            one.pool.finish(output="late")
            one.settled()
        again.append(arn)
        return iter(found)

    monkeypatch.setattr(two.store, "journal", journal)
    assert not two.service.resume(row)
    monkeypatch.undo()
    assert two.service.describe_execution(row.arn)["output"] == '"late"'
    assert two.service.desk.halfway == set()


def failing_once(monkeypatch: pytest.MonkeyPatch, office: Office, method: str) -> None:
    really = getattr(office.store, method)

    def away(*_: object) -> object:
        monkeypatch.setattr(office.store, method, really)
        raise StoreError("the disk is away.")

    monkeypatch.setattr(office.store, method, away)


def test_if_the_store_fails_halfway_it_is_tried_again(
    offices: tuple[Office, Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = offices
    row = left(one)
    failing_once(monkeypatch, two, "journal")
    resumer = Resumer(two.service.desk)
    with pytest.raises(StoreError):
        resumer.look()
    assert [each.arn for each in resumer.look()[0]] == [row.arn]


def test_what_another_has_taken_over_meanwhile_is_left_to_it(
    offices: tuple[Office, Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = offices
    row = left(one)
    failing_once(monkeypatch, two, "journal")
    with pytest.raises(StoreError):
        two.service.resume(row)
    half = two.store.execution(row.arn)
    assert half is not None
    assert keeper(two.service.desk, half) is None
    two.store.hold(EngineRow("other:1:x", "elsewhere", 1, 1.0), 60.0)
    assert two.store.take_over(row.arn, two.engine.id, "other:1:x")
    assert Resumer(two.service.desk).look() == ([], {})
    assert two.service.desk.halfway == set()


def test_whoever_takes_over_is_alive(offices: tuple[Office, Office], monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it is interrupted still, for others who look."""
    one, two = offices
    row = left(one)
    alive: list[bool] = []
    take_over = two.store.take_over

    def look(arn: str, owner: str, new: str) -> bool:
        alive.append(new in {engine.id for engine, _ in two.store.engines()})
        return take_over(arn, owner, new)

    monkeypatch.setattr(two.store, "take_over", look)
    assert two.service.resume(row)
    assert alive == [True]


def test_all_are_found(offices: tuple[Office, Office], monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are perhaps such as cannot go on here."""
    one, two = offices
    arns = [left(one).arn for _ in range(3)]
    one.store.release(one.engine.id)
    monkeypatch.setattr(resuming, "PAGE", 2)
    assert [row.arn for row in interrupted(two.service.desk)] == arns


def test_a_start_that_was_refused_and_is_written_goes_on(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of the database's server was lost."""
    machine, append = office.machine(WAIT), office.store.append

    def lost(batch: Sequence[Append]) -> list[bool]:
        append(batch)
        raise StoreError("the server has closed the connection.")

    monkeypatch.setattr(office.store, "append", lost)
    with pytest.raises(StoreError):
        office.call("StartExecution", stateMachineArn=machine)
    monkeypatch.undo()
    office.clock.advance_to(office.clock.now() + PAUSE)
    [resumed], _ = Resumer(office.service.desk).look()
    assert office.engine.ended(resumed.arn) is not None


def test_what_cannot_be_loaded_here_waits_and_is_told_once(
    offices: tuple[Office, Office], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = offices
    row = left(one, TASK)
    monkeypatch.setattr("nbflow.tasks.function.PYTHON", "3.99")
    reason = "task 'work' was pickled by Python"
    resumer = Resumer(two.service.desk)
    resumed, reasons = resumer.look()
    assert resumed == []
    assert reason in reasons[row.arn]
    assert resumer.look() == ([], {})
    assert reason in (why_not_here(two.service.desk, row) or "")
    assert two.store.execution(row.arn) == row
    two.service.functions = {"work": Code("function", "work", "1" * 64, b"")}
    assert why_not_here(two.service.desk, row) is None, "this process has a function of its own for it"


def test_one_that_cannot_be_read_does_not_keep_others(
    offices: tuple[Office, Office], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = offices
    bad, good = left(one), left(one)
    really = resuming.resume

    def resume(desk: Desk, row: ExecutionRow) -> bool:
        if row.arn == bad.arn:
            raise KeyError("lost")
        return really(desk, row)

    monkeypatch.setattr(resuming, "resume", resume)
    resumer = Resumer(two.service.desk)
    resumed, reasons = resumer.look()
    assert [row.arn for row in resumed] == [good.arn]
    assert reasons == {bad.arn: "KeyError: 'lost'"}
    assert [record.message for record in caplog.records] == [f"going on with {bad.arn} has failed"]
    assert resumer.look() == ([], {}), "it is told once"


def test_code_that_was_never_recorded_is_missing(offices: tuple[Office, Office]) -> None:
    one, two = offices
    row = left(one, TASK)
    bound = json.loads(row.bindings or "")
    bound[WORK]["sha256"] = "2" * 64
    with pytest.raises(NotHere, match="the code of its task 'work' was not recorded"):
        two.service.resume(replace(row, bindings=json.dumps(bound)))


def test_a_test_case_goes_on_from_where_its_script_was(offices: tuple[Office, Office]) -> None:
    one, two = offices
    answers = {
        "0": {"Throw": {"Error": "Boom", "Cause": ""}},
        "1": {"Return": {"Payload": "second"}},
    }
    state = {
        "Type": "Task",
        "Resource": WORK,
        "End": True,
        "Retry": [{"ErrorEquals": ["Boom"], "IntervalSeconds": 60}],
    }
    case = {"StateMachines": {"m": {"TestCases": {"Case": {"T": "R"}}}}, "MockedResponses": {"R": answers}}
    for office in offices:
        office.service.mocks = mock_config.parse(case)
    machine = one.machine({"StartAt": "T", "States": {"T": state}})
    arn = one.call("StartExecution", stateMachineArn=f"{machine}#Case")["executionArn"]
    one.settled()
    one.store.release(one.engine.id)
    row = two.store.execution(arn)
    assert row is not None
    assert two.service.resume(row)
    two.settled()
    two.clock.advance_to(two.clock.now() + 60)
    two.engine.heed()
    assert two.ended(arn) == "SUCCEEDED"
    assert json.loads(two.service.describe_execution(arn)["output"]) == {"Payload": "second"}


def test_without_its_test_case_it_does_not_really_do_anything(offices: tuple[Office, Office]) -> None:
    one, two = offices
    row = left(one)
    revision = json.dumps({**json.loads(row.revision or "{}"), "testCase": "Case"})
    with pytest.raises(NotHere, match="it runs the test case 'Case'"):
        two.service.resume(replace(row, revision=revision))
    assert two.store.execution(row.arn) == row, "others may go on with it"
    assert "test case" in (why_not_here(two.service.desk, replace(row, revision=revision)) or "")


# --- what has no owner who knows of it


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


@pytest.mark.usefixtures("stuck")
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
    Resumer(other.service.desk).look()
    other.until(lambda: row(other, left.arn).status == "ABORTED")
