"""Executions, their results, their steps, and lists of them."""

import inspect
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import nbflow as nf
from nbflow.client.connection import Connection
from nbflow.machine.records import ExecutionAborted, ExecutionStarted, ExecutionSucceeded
from nbflow.service.arns import execution_arn
from nbflow.service.executions import Search
from tests.client.gates import GATES
from tests.client.machines import branch, each, gated, one, parallel, raising, task, waiting


def double(input: int) -> int:
    print("doubling", input)
    if input < 0:
        raise ValueError(f"{input} is negative")
    return 2 * input


DOUBLE = {"StartAt": "Double", "States": {"Double": task("double")}}


@nf.task
def frame(rows: int) -> dict[str, Any]:
    return {"table": pd.DataFrame({"x": range(rows)}), "rows": rows}


# --- one execution


def test_an_execution_that_succeeds(connection: Connection) -> None:
    before = datetime.now(UTC)
    run = one(double).start(21, execution_name="r")
    assert run.result() == 42
    assert (run.arn, run.name, run.machine) == (execution_arn("one", "r"), "r", "one")
    assert (run.status, run.input, run.output, run.error, run.cause) == ("SUCCEEDED", 21, 42, None, None)
    assert run.stopped is not None
    assert before <= run.started <= run.stopped <= datetime.now(UTC)
    assert run.failed is None
    assert run.explain() == "execution r of one succeeded"
    assert repr(run) == "<nbflow execution r of one: SUCCEEDED>"
    assert run.history() == connection.service.events(run.arn)


def test_an_execution_that_runs(connection: Connection) -> None:
    run = one(gated).start(gate="g")
    GATES.reached("g")
    assert (run.status, run.output, run.stopped, run.failed) == ("RUNNING", None, None, None)
    assert run["Work"].status == "RUNNING"
    assert run["Work"].attempts[0]["ended"] is None
    with pytest.raises(TimeoutError, match="has not ended within 0 s"):
        run.result(timeout=0)
    GATES.open("g")
    assert run.wait(timeout=10) is run
    assert run.result() == {"gate": "g"}


def test_a_failure_names_the_step_and_keeps_the_traceback(connection: Connection) -> None:
    run = one(raising).start(7, execution_name="r")
    with pytest.raises(nf.ExecutionFailed) as caught:
        run.result()
    error = caught.value
    message = str(error)
    assert message.startswith("execution r of one failed in step 'Work': ValueError: no good: 7\n\nTraceback")
    assert 'raise ValueError(f"no good: {input}")' in message
    assert message.endswith("ValueError: no good: 7")
    assert (error.execution, error.error) == (run, "ValueError")
    assert error.cause == run.cause
    assert "errorMessage" in (run.cause or "")
    assert run.failed is not None
    assert (run.failed.name, run.failed.status) == ("Work", "FAILED")


def test_a_cause_that_is_no_traceback_is_shown_as_it_is(connection: Connection) -> None:
    fail = {"Type": "Fail", "Error": "NoData", "Cause": "the table has no rows"}
    run = nf.StateMachine({"StartAt": "F", "States": {"F": fail}}).start(execution_name="r")
    run.wait()
    assert run.explain() == "execution r of machine failed in step 'F': NoData: the table has no rows"
    fail = {"Type": "Fail", "Cause": '{"no": "message"}'}
    run = nf.StateMachine({"StartAt": "F", "States": {"F": fail}}).start(execution_name="s")
    run.wait()
    assert run.explain() == 'execution s of machine failed in step \'F\': {"no": "message"}'


def test_a_stop_ends_an_execution_once(connection: Connection) -> None:
    run = waiting().start(execution_name="r")
    run.stop("Enough", "really")
    run.stop("Again")
    assert (run.status, run.error, run.cause) == ("ABORTED", "Enough", "really")
    assert run.explain() == "execution r of waiting was stopped: Enough: really"
    with pytest.raises(nf.ExecutionFailed, match="was stopped: Enough"):
        run.result()


def test_a_timeout_says_so(connection: Connection) -> None:
    definition = {
        "TimeoutSeconds": 1,
        "StartAt": "W",
        "States": {"W": {"Type": "Wait", "Seconds": 60, "End": True}},
    }
    run = nf.StateMachine(definition).start(execution_name="r")
    run.wait()
    assert run.status == "TIMED_OUT"
    assert run.explain().startswith("execution r of machine timed out")


def test_an_interrupted_wait_leaves_the_execution(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = waiting().start(execution_name="r")

    def interrupted(arn: str, timeout: float | None) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(connection, "wait", interrupted)
    with pytest.raises(
        nf.StoppedWaiting,
        match=r"^stopped waiting for execution r, which goes on as long as this process does",
    ) as caught:
        run.result()
    assert isinstance(caught.value, KeyboardInterrupt)
    assert run.status == "RUNNING"


def test_what_another_process_has_run_is_found_and_loaded(
    connection: Connection, elsewhere: Connection
) -> None:
    run = one(frame).start(rows=3, execution_name="r")
    run.wait()
    again = nf.Execution(run.arn, elsewhere)
    result = again.result()
    assert isinstance(result, dict)
    assert list(result["table"]["x"]) == [0, 1, 2]
    assert again["Work"].output == run.output
    assert again.history() == run.history()


# --- steps


def test_the_steps_of_the_top_level(connection: Connection) -> None:
    states = {
        "First": task("double", Next="Second"),
        "Second": {"Type": "Pass", "Next": "Third"},
        "Third": task("double"),
    }
    run = nf.StateMachine({"StartAt": "First", "States": states}, tasks={"double": double}).start(1)
    run.wait()
    assert [(step.name, step.type, step.input, step.output) for step in run.steps] == [
        ("First", "Task", 1, 2),
        ("Second", "Pass", 2, 2),
        ("Third", "Task", 2, 4),
    ]
    assert run["Third"].log == "doubling 2\n"
    assert run["Third"].result() == 4
    [attempt] = run["Third"].attempts
    assert (attempt["error"], attempt["cause"]) == (None, None)
    assert str(attempt["started"]) <= str(attempt["ended"])
    assert repr(run["Third"]) == "<step 'Third': SUCCEEDED>"


def test_a_step_that_was_not_entered_says_which_were(connection: Connection) -> None:
    run = one(double).start(1)
    run.wait()
    with pytest.raises(KeyError, match="has not entered a state 'Nope'; it has entered: Work"):
        run["Nope"]


def test_the_items_of_a_map(connection: Connection, dask_client: object) -> None:
    run = each(DOUBLE, double).start([1, 2, 3])
    assert run.result() == [2, 4, 6]
    step = run["Each"]
    assert (len(step), bool(step), step.type) == (3, True, "Map")
    assert [step[index].output for index in range(3)] == [2, 4, 6]
    assert step[-1].input == 3
    assert step[1].log == "doubling 2\n"
    assert repr(step[1]) == "<step 'Double' of item 1: SUCCEEDED>"
    for index in (3, -4):
        with pytest.raises(IndexError, match="step 'Each' has 3 iterations or branches, numbered from 0"):
            step[index]
    with pytest.raises(IndexError, match="step 'Double' of item 2 is a Task without iterations or branches"):
        run["Double"][0]


def test_an_empty_map_has_no_items(connection: Connection, dask_client: object) -> None:
    run = each(DOUBLE, double).start([])
    assert run.result() == []
    assert (len(run["Each"]), bool(run["Each"])) == (0, True)


def test_the_failed_step_is_the_innermost_one(connection: Connection, dask_client: object) -> None:
    run = each(DOUBLE, double, MaxConcurrency=1).start([1, -2, 3])
    with pytest.raises(
        nf.ExecutionFailed, match="failed in step 'Double' of item 1: ValueError: -2 is negative"
    ):
        run.result()
    assert run.failed is not None
    assert (run.failed.name, run.failed.input) == ("Double", -2)
    assert run["Each"].status == "FAILED"
    with pytest.raises(nf.ExecutionFailed, match="step 'Double' of item 1 is FAILED: ValueError"):
        run.failed.result()
    with pytest.raises(nf.NbflowError, match="item 2 of step 'Each' has not begun"):
        run["Each"][2]


def test_what_a_map_tolerated_is_not_the_failed_step(connection: Connection, dask_client: object) -> None:
    states = {
        "Each": {"Type": "Map", "ToleratedFailureCount": 1, "ItemProcessor": DOUBLE, "Next": "End"},
        "End": {"Type": "Fail", "Error": "Done"},
    }
    run = nf.StateMachine({"StartAt": "Each", "States": states}, tasks={"double": double}).start([-1, 1])
    run.wait()
    assert run["Each"].status == "SUCCEEDED"
    assert run["Each"][0].status == "FAILED"
    assert run.failed is not None
    assert run.failed.name == "End"


def test_the_failed_step_of_a_parallel(connection: Connection, dask_client: object) -> None:
    fail = {"Type": "Fail", "Error": "Bad", "Cause": "so"}
    wait = {"Type": "Wait", "Seconds": 3600, "End": True}
    inner = parallel(branch("Aside", wait), branch("Inner", fail))
    state = parallel(branch("Slow", wait), branch("Within", inner))
    run = nf.StateMachine({"StartAt": "Both", "States": {"Both": state}}).start()
    run.wait()
    assert run.failed is not None
    assert run.failed.name == "Inner"
    assert run["Slow"].status == run["Aside"].status == "ABORTED"
    assert run["Both"][1].name == "Within"


def test_an_error_that_is_caught(connection: Connection) -> None:
    states = {
        "Try": task("raising", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "After"}], Next="After"),
        "After": {"Type": "Pass", "End": True},
    }
    run = nf.StateMachine({"StartAt": "Try", "States": states}, tasks={"raising": raising}).start()
    run.wait()
    step = run["Try"]
    assert (run.status, step.status, step.error) == ("SUCCEEDED", "CAUGHT", "ValueError")
    assert "no good" in (step.cause or "")
    assert step.describe_error().startswith("ValueError: no good: {}\n\nTraceback")


# --- following


def test_following_gives_every_record_once_and_ends(connection: Connection) -> None:
    run = one(gated).start(gate="g")
    batches = run.follow()
    seen = list(next(batches))
    assert isinstance(seen[0], ExecutionStarted)
    GATES.open("g")
    seen += [record for batch in batches for record in batch]
    assert isinstance(seen[-1], ExecutionSucceeded)
    assert seen == connection.service.records(run.arn)


def test_following_ends_when_another_process_stops_it(connection: Connection, elsewhere: Connection) -> None:
    run = waiting().start()
    batches = run.follow()
    next(batches)
    elsewhere.service.stop_execution(run.arn)
    [last] = [record for batch in batches for record in batch]
    assert isinstance(last, ExecutionAborted)


def test_followers_wait_for_what_comes(connection: Connection) -> None:
    run = one(gated).start(gate="g")
    seen: list[str] = []
    follower = threading.Thread(
        target=lambda: seen.extend(type(record).__name__ for batch in run.follow() for record in batch)
    )
    follower.start()
    GATES.reached("g")
    GATES.open("g")
    follower.join(10)
    assert seen[-1] == "ExecutionSucceeded"


# --- finding and listing


@pytest.fixture
def three(connection: Connection) -> Iterator[list[nf.Execution]]:
    runs = [
        one(double, name="good").start(1, execution_name="first"),
        one(raising, name="bad").start(2, execution_name="second"),
        waiting("slow").start(execution_name="third"),
    ]
    for run in runs[:2]:
        run.wait()
    yield runs
    runs[2].stop()


def test_executions_are_found(three: list[nf.Execution]) -> None:
    assert (
        nf.execution("second").arn
        == nf.execution("sec").arn
        == nf.execution(three[1].arn).arn
        == three[1].arn
    )
    with pytest.raises(nf.ApiError, match="there is no execution 'zzz'"):
        nf.execution("zzz")


def test_executions_are_listed(three: list[nf.Execution]) -> None:
    assert [run.name for run in nf.executions()] == ["third", "second", "first"]
    assert [run.name for run in nf.executions("bad")] == ["second"]
    assert [run.name for run in nf.executions(status="RUNNING")] == ["third"]
    assert [run.name for run in nf.executions(limit=2)] == ["third", "second"]
    with pytest.raises(nf.ApiError, match=r"State Machine Does Not Exist: .*the store has good, bad, slow"):
        nf.executions("nope")
    with pytest.raises(nf.ApiError, match="Value 'running' at 'statusFilter'"):
        nf.executions(status="running")


def test_a_long_list_is_fetched_in_pages(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbflow.client.listing.MOST_RESULTS", 2)
    machine = one(double)
    for number in range(5):
        machine.run(number, execution_name=f"r{number}")
    assert [run.name for run in nf.executions()] == ["r4", "r3", "r2", "r1", "r0"]
    assert [run.name for run in nf.executions(limit=3)] == ["r4", "r3", "r2"]


def test_a_list_is_a_table(three: list[nf.Execution]) -> None:
    frame = nf.executions().df()
    assert list(frame.columns) == ["machine", "name", "status", "interrupted", "started", "seconds", "error"]
    assert str(frame["started"].dt.tz) == "UTC"
    assert frame["seconds"].isna().tolist() == [True, False, False]
    assert frame["error"].tolist() == [None, "ValueError", None]
    text = repr(nf.executions())
    assert f"{three[0].started:%Y-%m-%d %H:%M:%S}" in text
    assert "nan" not in text.lower()
    assert "None" not in text
    assert "<td>second</td>" in nf.executions()._repr_html_()


def test_an_empty_list_says_so(connection: Connection) -> None:
    assert repr(nf.executions()) == nf.executions()._repr_html_() == "no executions yet"
    assert nf.executions().df().empty


def test_artifacts_of_a_value(connection: Connection, tmp_path: Path) -> None:
    run = one(frame).start(rows=3)
    run.wait()
    [artifact] = run.artifacts(run.output).values()
    assert (artifact.kind, artifact.rows) == ("dataframe", 3)
    assert Path(run.path_of(artifact)).is_relative_to(tmp_path / "artifacts")
    assert len(pd.read_parquet(run.path_of(artifact))) == 3


def test_executions_are_found_by_their_data(connection: Connection) -> None:
    for number in range(4):
        one(double).run(number, execution_name=f"r{number}")
    assert [run.name for run in nf.executions(where="$.output >= 4")] == ["r3", "r2"]
    assert [run.name for run in nf.executions(where="$.input = 1", name_prefix="r")] == ["r1"]
    assert len(nf.executions(where="$.input in (1, 2)").df()) == 2
    assert nf.executions(started_before="1h") == []
    assert len(nf.executions(started_after=datetime.now(UTC) - timedelta(hours=1), limit=3)) == 3
    with pytest.raises(nf.NbflowError, match=r"at character 11: expected a number"):
        nf.executions(where="$.input = x")


def test_a_page_belongs_to_its_search(connection: Connection) -> None:
    for number in range(3):
        one(double).run(number, execution_name=f"r{number}")
    first = connection.service.list_executions(max_results=1, search=Search("$.input > 0"))
    assert [each["name"] for each in first["executions"]] == ["r2"]
    token = first["nextToken"]
    second = connection.service.list_executions(max_results=1, next_token=token, search=Search("$.input > 0"))
    assert [each["name"] for each in second["executions"]] == ["r1"]
    with pytest.raises(nf.ApiError, match="Invalid Token"):
        connection.service.list_executions(max_results=1, next_token=token)


def test_the_text_of_a_steps_function_is_kept(connection: Connection) -> None:
    run = one(gated).start(gate="a")
    assert run["Work"].source == inspect.getsource(gated)
    GATES.open("a")
    run.wait()
    assert waiting().start()["Wait"].source is None
