"""The actions, with AWS's answers and errors."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nbflow.engine.rows import code_of
from nbflow.language.values import Json
from nbflow.machine.records import decode
from nbflow.machine.trace import Trace
from nbflow.service.arns import ROLE, execution_arn, machine_arn
from nbflow.service.errors import ApiError
from nbflow.service.histories import MOST_READINGS
from nbflow.service.resuming import interrupted
from nbflow.service.service import Service
from nbflow.store.rows import JournalRow
from nbflow.tasks.job import Outcome
from tests.service.support import CODES, PASS, TASK, WAIT, WORK, Office, text


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path)
    yield office
    office.close()


@pytest.fixture
def other(tmp_path: Path, office: Office) -> Iterator[Office]:
    """Another process on the same store."""
    other = Office(tmp_path)
    yield other
    other.close()


# --- state machines


def test_a_machine_is_created_and_described(office: Office) -> None:
    created = office.service.create_state_machine("m", text(PASS))
    assert created == {"stateMachineArn": machine_arn("m"), "creationDate": office.clock.now()}
    assert office.service.describe_state_machine(machine_arn("m")) == {
        "stateMachineArn": machine_arn("m"),
        "name": "m",
        "status": "ACTIVE",
        "definition": text(PASS),
        "roleArn": ROLE,
        "type": "STANDARD",
        "creationDate": office.clock.now(),
        "loggingConfiguration": {"level": "OFF", "includeExecutionData": False},
        "tracingConfiguration": {"enabled": False},
        "encryptionConfiguration": {"type": "AWS_OWNED_KEY"},
    }


def test_creating_the_same_machine_again_changes_nothing(office: Office) -> None:
    first = office.service.create_state_machine("m", text(PASS))
    office.clock.advance_to(office.clock.now() + 60)
    assert office.service.create_state_machine("m", text(PASS)) == first


def test_a_name_is_taken_by_another_definition(office: Office) -> None:
    office.machine(PASS)
    with pytest.raises(ApiError) as caught:
        office.service.create_state_machine("m", text(WAIT))
    assert caught.value.code == "StateMachineAlreadyExists"
    assert caught.value.message == f"State Machine Already Exists: '{machine_arn('m')}'"
    assert office.service.describe_state_machine(machine_arn("m"))["definition"] == text(PASS)


def test_an_update_gives_a_new_revision_and_keeps_what_it_does_not_name(office: Office) -> None:
    arn = office.machine(PASS)
    office.clock.advance_to(office.clock.now() + 60)
    updated = office.service.update_state_machine(arn, text(WAIT))
    described = office.service.describe_state_machine(arn)
    assert updated == {"updateDate": office.clock.now(), "revisionId": described["revisionId"]}
    assert (described["definition"], described["roleArn"]) == (text(WAIT), ROLE)
    assert described["creationDate"] == office.clock.now() - 60
    again = office.service.update_state_machine(arn, role_arn="arn:aws:iam::000000000000:role/other")
    described = office.service.describe_state_machine(arn)
    assert (described["definition"], described["roleArn"]) == (
        text(WAIT),
        "arn:aws:iam::000000000000:role/other",
    )
    assert again["revisionId"] != updated["revisionId"]


def test_an_update_leaves_what_runs_with_its_definition(office: Office) -> None:
    arn = office.machine(TASK)
    run = office.start(arn)
    office.service.update_state_machine(arn, text(PASS))
    office.pool.finish(output=42)
    assert office.ended(run) == "SUCCEEDED"
    assert office.service.describe_execution(run)["output"] == "42"
    assert office.service.definition_of(run).start_at == "T"
    assert office.ended(office.start(arn, '{"new": 1}')) == "SUCCEEDED"


def test_machines_are_listed_in_pages(office: Office) -> None:
    for name in ("a", "b", "c"):
        office.machine(name=name)
    first = office.service.list_state_machines(max_results=2)
    assert [each["name"] for each in first["stateMachines"]] == ["a", "b"]
    rest = office.service.list_state_machines(max_results=2, next_token=first["nextToken"])
    assert [each["name"] for each in rest["stateMachines"]] == ["c"]
    assert "nextToken" not in rest


def test_a_definition_is_validated(office: Office) -> None:
    assert office.service.call("ValidateStateMachineDefinition", {"definition": text(PASS)}) == {
        "result": "OK",
        "diagnostics": [],
        "truncated": False,
    }
    answer = office.service.call("ValidateStateMachineDefinition", {"definition": '{"StartAt": "P"}'})
    assert answer["result"] == "FAIL"
    assert answer["diagnostics"] == [
        {
            "severity": "ERROR",
            "code": "SCHEMA_VALIDATION_FAILED",
            "message": "These fields are required: [States]",
            "location": "/",
        }
    ]


# --- executions


def test_an_execution_is_described_while_it_runs_and_after(office: Office) -> None:
    run = office.start(office.machine(TASK), '{"a": 1}', "r")
    begun = office.clock.now()
    running = {
        "executionArn": execution_arn("m", "r"),
        "stateMachineArn": machine_arn("m"),
        "name": "r",
        "status": "RUNNING",
        "startDate": begun,
        "redriveCount": 0,
        "input": '{"a": 1}',
        "inputDetails": {"included": True},
        "redriveStatus": "NOT_REDRIVABLE",
        "redriveStatusReason": "Execution is RUNNING and cannot be redriven",
    }
    assert office.service.describe_execution(run) == running
    office.clock.advance_to(begun + 5)
    office.pool.finish(output={"b": [1, "ä"]})
    assert office.ended(run) == "SUCCEEDED"
    assert office.service.describe_execution(run) == running | {
        "status": "SUCCEEDED",
        "stopDate": begun + 5,
        "output": '{"b":[1,"ä"]}',
        "outputDetails": {"included": True},
        "redriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
    }


def test_a_failed_execution_has_error_and_cause(office: Office) -> None:
    run = office.start(office.machine(TASK))
    office.pool.finish(error="ValueError", cause="no good")
    assert office.ended(run) == "FAILED"
    described = office.service.describe_execution(run)
    assert (described["error"], described["cause"]) == ("ValueError", "no good")
    assert "output" not in described


def test_the_row_remembers_what_the_tasks_were_bound_to(office: Office) -> None:
    row = office.store.execution(office.start(office.machine(TASK)))
    assert row is not None
    [(resource, bound)] = json.loads(row.bindings or "").items()
    assert resource == WORK
    assert code_of(bound, office.store.codes([bound["sha256"]])[bound["sha256"]]) == CODES[WORK]


def test_starting_the_same_again_while_it_runs_is_answered_the_same(office: Office) -> None:
    machine = office.machine(WAIT)
    first = office.service.start_execution(machine, '{"a": 1}', "r", tasks={})
    office.clock.advance_to(office.clock.now() + 60)
    assert office.service.start_execution(machine, '{"a": 1}', "r", tasks={}) == first
    assert len(office.service.list_executions()["executions"]) == 1


@pytest.mark.parametrize("ended", [False, True], ids=["another input", "ended"])
def test_a_name_that_is_taken_is_refused(office: Office, ended: bool) -> None:
    machine = office.machine(WAIT)
    run = office.start(machine, '{"a": 1}', "r")
    if ended:
        office.service.stop_execution(run)
    with pytest.raises(ApiError) as caught:
        office.start(machine, '{"a": 1}' if ended else '{"a": 2}', "r")
    assert caught.value.code == "ExecutionAlreadyExists"
    assert caught.value.message == f"Execution Already Exists: '{run}'"


def test_the_same_name_may_be_used_by_two_machines(office: Office) -> None:
    runs = {office.start(office.machine(name=name), name="r") for name in ("a", "b")}
    assert {office.ended(run) for run in runs} == {"SUCCEEDED"}
    assert len(runs) == 2


@dataclass(frozen=True)
class Refused:
    id: str
    code: str
    call: Callable[[Service], object]
    message: str


NOWHERE = execution_arn("m", "nowhere")
REFUSED = [
    Refused("no such machine", "StateMachineDoesNotExist", lambda s: s.start_execution(machine_arn("x"), tasks={}), f"State Machine Does Not Exist: '{machine_arn('x')}'"),
    Refused("machine to describe", "StateMachineDoesNotExist", lambda s: s.describe_state_machine(machine_arn("x")), f"State Machine Does Not Exist: '{machine_arn('x')}'"),
    Refused("machine to update", "StateMachineDoesNotExist", lambda s: s.update_state_machine(machine_arn("x"), text(PASS)), f"State Machine Does Not Exist: '{machine_arn('x')}'"),
    Refused("machine of a list", "StateMachineDoesNotExist", lambda s: s.list_executions(machine_arn("x")), f"State Machine Does Not Exist: '{machine_arn('x')}'"),
    Refused("no ARN", "InvalidArn", lambda s: s.describe_state_machine("x"), "Invalid Arn: 'Invalid ARN prefix: x'"),
    Refused("no execution's ARN", "InvalidArn", lambda s: s.get_execution_history("x"), "Invalid Arn: 'Invalid ARN prefix: x'"),
    Refused("bad machine name", "InvalidName", lambda s: s.create_state_machine("a b", text(PASS)), "Invalid Name: 'a b'"),
    Refused("bad execution name", "InvalidName", lambda s: s.start_execution(machine_arn("m"), "{}", "a b", tasks={}), "Invalid Name: 'a b'"),
    Refused("empty execution name", "InvalidName", lambda s: s.start_execution(machine_arn("m"), "{}", "", tasks={}), "Invalid Name: ''"),
    Refused("bad input", "InvalidExecutionInput", lambda s: s.start_execution(machine_arn("m"), "{", tasks={}), "Invalid State Machine Execution Input: 'Expecting property name enclosed in double quotes at line 1 column 2'"),
    Refused("bad definition", "InvalidDefinition", lambda s: s.create_state_machine("n", '{"StartAt": "P"}'), "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: These fields are required: [States] at /'"),
    Refused("bad update", "InvalidDefinition", lambda s: s.update_state_machine(machine_arn("m"), "[]"), "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: Expected value of type [OBJECT] at /'"),
    Refused("empty update", "MissingRequiredParameter", lambda s: s.update_state_machine(machine_arn("m")), "Either the definition, the role ARN, the LoggingConfiguration, the TracingConfiguration or the EncryptionConfiguration must be specified"),
    Refused("status", "ValidationException", lambda s: s.list_executions(status_filter="succeeded"), "1 validation error detected: Value 'succeeded' at 'statusFilter' failed to satisfy constraint: Member must satisfy enum value set: [SUCCEEDED, TIMED_OUT, PENDING_REDRIVE, ABORTED, FAILED, RUNNING]"),
    Refused("token", "InvalidToken", lambda s: s.list_executions(next_token="x"), "Invalid Token: 'Invalid token'"),
    Refused("to describe", "ExecutionDoesNotExist", lambda s: s.describe_execution(NOWHERE), f"Execution Does Not Exist: '{NOWHERE}'"),
    Refused("to stop", "ExecutionDoesNotExist", lambda s: s.stop_execution(NOWHERE), f"Execution Does Not Exist: '{NOWHERE}'"),
    Refused("history", "ExecutionDoesNotExist", lambda s: s.get_execution_history(NOWHERE), f"Execution Does Not Exist: '{NOWHERE}'"),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_what_cannot_be_done_is_refused_with_awss_code_and_words(office: Office, case: Refused) -> None:
    office.machine(PASS)
    with pytest.raises(ApiError) as caught:
        case.call(office.service)
    assert (caught.value.code, caught.value.message) == (case.code, case.message)
    assert office.service.list_executions()["executions"] == []


def test_an_unknown_machine_is_hinted_at(office: Office) -> None:
    with pytest.raises(ApiError, match="the store has none"):
        office.start(machine_arn("x"))
    office.machine(name="prices")
    with pytest.raises(ApiError, match=r"\(the store has prices\)"):
        office.start(machine_arn("x"))


def test_executions_are_listed_newest_first_by_machine_and_status_in_pages(office: Office) -> None:
    passing, waiting = office.machine(PASS, "p"), office.machine(WAIT, "w")
    for number in range(5):
        office.ended(office.start(passing, name=f"p{number}"))
    office.start(waiting, name="w0")

    def names(**filters: Json) -> list[str]:
        found: list[str] = []
        token = None
        while True:
            answer = office.service.list_executions(max_results=2, next_token=token, **filters)
            found += [each["name"] for each in answer["executions"]]
            token = answer.get("nextToken")
            if token is None:
                return found

    assert names() == ["w0", "p4", "p3", "p2", "p1", "p0"]
    assert names(state_machine_arn=passing) == ["p4", "p3", "p2", "p1", "p0"]
    assert names(status_filter="RUNNING") == ["w0"]
    assert names(state_machine_arn=passing, status_filter="FAILED") == []
    assert "nextToken" not in office.service.list_executions(passing, max_results=5), (
        "a full page may be the last"
    )


def test_a_listed_execution_has_awss_members(office: Office) -> None:
    office.ended(office.start(office.machine(PASS), name="r"))
    now = office.clock.now()
    assert office.service.list_executions()["executions"] == [
        {
            "executionArn": execution_arn("m", "r"),
            "stateMachineArn": machine_arn("m"),
            "name": "r",
            "status": "SUCCEEDED",
            "startDate": now,
            "stopDate": now,
            "redriveCount": 0,
        }
    ]


# --- stopping


def test_what_is_stopped_is_aborted_and_its_task_given_up(office: Office) -> None:
    run = office.start(office.machine(TASK))
    job, _ = office.pool.next()
    assert office.service.stop_execution(run, "Enough", "really") == {"stopDate": office.clock.now()}
    described = office.service.describe_execution(run)
    assert (described["status"], described["error"], described["cause"]) == ("ABORTED", "Enough", "really")
    assert office.pool.cancelled[0] == job.attempt
    assert office.service.events(run)[-1]["type"] == "ExecutionAborted"


def test_stopping_what_has_ended_changes_nothing(office: Office) -> None:
    run = office.start(office.machine(PASS))
    office.ended(run)
    before = office.service.describe_execution(run)
    office.clock.advance_to(office.clock.now() + 60)
    assert office.service.stop_execution(run, "Late") == {"stopDate": before["stopDate"]}
    assert office.service.describe_execution(run) == before


def test_an_execution_whose_process_is_gone_can_be_stopped(office: Office, other: Office) -> None:
    run = office.start(office.machine(TASK))
    office.pool.next()
    office.engine.close()
    assert other.service.describe_execution(run)["status"] == "RUNNING"
    other.service.stop_execution(run, "Gone")
    assert other.service.describe_execution(run)["status"] == "ABORTED"
    assert [event["type"] for event in other.service.events(run)][-2:] == [
        "LambdaFunctionStarted",
        "ExecutionAborted",
    ]
    assert other.pool.jobs.empty(), "nothing is ordered again"
    ended = other.engine.ended(run)
    assert ended is None or ended.done()


def test_the_process_that_runs_an_execution_stops_it(office: Office, other: Office) -> None:
    """It can give up what it has under way, and knows when that has ended."""
    run = office.start(office.machine(TASK))
    job, answer = office.pool.next()
    other.service.stop_execution(run, "Enough", "really")
    described = other.service.describe_execution(run)
    assert (described["status"], described["error"], described["cause"]) == ("ABORTED", "Enough", "really")
    office.until(lambda: job.attempt in office.pool.cancelled)
    assert other.engine.ended(run) is None, "it was not taken in there"
    assert office.store.inbox() == []
    assert interrupted(other.service.desk) == [], "its process lives"
    answer(Outcome(run, job.attempt, 42))
    office.until(lambda: office.engine.ended(run) is None)
    assert [event["type"] for event in other.service.events(run)][-1] == "ExecutionAborted"


@pytest.mark.usefixtures("stuck")
def test_the_process_that_runs_a_stopped_execution_lets_go_of_it(office: Office, other: Office) -> None:
    run = office.start(office.machine(TASK))
    job, answer = office.pool.next()
    ended = office.engine.ended(run)
    assert ended is not None
    other.service.stop_execution(run)
    answer(Outcome(run, job.attempt, 42))
    with pytest.raises(Exception, match="recorded by another process"):
        ended.result(timeout=10)
    assert office.service.describe_execution(run)["status"] == "ABORTED"
    assert office.service.events(run) == other.service.events(run)


@pytest.mark.usefixtures("stuck")
def test_a_stop_that_comes_second_is_repeated_after_the_other_processs_step(
    office: Office, other: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = {
        "StartAt": "A",
        "States": {"A": {"Type": "Task", "Resource": WORK, "Next": "B"}, "B": TASK["States"]["T"]},
    }
    run = office.start(office.machine(two))
    journal = other.store.journal

    def journal_then_a_step(arn: str, after: int = -1) -> Iterator[JournalRow]:
        found = list(journal(arn, after))
        if not office.pool.jobs.empty():
            office.pool.finish(output=1)
            office.pool.jobs.put(office.pool.next())  # B is ordered: the step is durable
            monkeypatch.setattr(other.store, "journal", journal)
        return iter(found)

    office.pool.jobs.put(office.pool.next())
    monkeypatch.setattr(other.store, "journal", journal_then_a_step)
    other.service.stop_execution(run)
    types = [event["type"] for event in other.service.events(run)]
    assert types.count("LambdaFunctionSucceeded") == 1, "the other process's step stands"
    assert types[-1] == "ExecutionAborted"


# --- the history


def test_the_history_is_paged_both_ways(office: Office) -> None:
    run = office.start(office.machine(PASS))
    office.ended(run)
    whole = office.service.get_execution_history(run)
    assert [event["id"] for event in whole["events"]] == [1, 2, 3, 4]
    assert "nextToken" not in whole
    for backwards in (False, True):
        first = office.service.get_execution_history(run, reverse_order=backwards, max_results=3)
        rest = office.service.get_execution_history(
            run, reverse_order=backwards, max_results=3, next_token=first["nextToken"]
        )
        joined = first["events"] + rest["events"]
        assert joined == (whole["events"][::-1] if backwards else whole["events"])


@pytest.mark.parametrize("backwards", [False, True])
def test_a_page_can_be_asked_for_again_and_others_may_read_too(office: Office, backwards: bool) -> None:
    run = office.start(office.machine(PASS))
    office.ended(run)
    ids: list[list[int]] = []
    token: str | None = None
    while token is not None or not ids:
        pages = [
            office.service.get_execution_history(
                run, reverse_order=backwards, max_results=1, next_token=token
            )
            for _ in range(2)
        ]
        assert pages[0] == pages[1]
        ids.append([event["id"] for event in pages[0]["events"]])
        token = pages[0].get("nextToken")
    assert ids == ([[4], [3], [2], [1]] if backwards else [[1], [2], [3], [4]])


def test_few_readings_are_kept(office: Office) -> None:
    run = office.start(office.machine(PASS))
    office.ended(run)
    other = [office.start(office.machine(PASS)) for _ in range(20)]
    for each in other:
        office.ended(each)
        office.service.get_execution_history(each, max_results=2)
    assert len(office.service.desk.readings) == MOST_READINGS


MAP: Json = {
    "StartAt": "Each",
    "States": {
        "Each": {
            "Type": "Map",
            "ItemProcessor": {
                "StartAt": "T",
                "States": {"T": {"Type": "Task", "Resource": WORK, "End": True}},
            },
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "After"}],
            "Next": "After",
        },
        "After": {"Type": "Pass", "End": True},
    },
}


@pytest.mark.parametrize("failing", [None, 0, 2])
def test_history_and_trace_tell_the_same_story(office: Office, failing: int | None) -> None:
    run = office.start(office.machine(MAP), "[0, 1, 2]")
    jobs = [office.pool.next() for _ in range(3)]
    for job, answer in jobs:
        error = "Bad" if job.arguments == failing else None
        answer(Outcome(run, job.attempt, job.arguments, error))
    assert office.ended(run) == "SUCCEEDED"
    events = office.service.events(run)
    trace = Trace(office.service.definition_of(run))
    for record in office.service.records(run):
        trace.add(record)
    entered = [
        event["stateEnteredEventDetails"]["name"]
        for event in events
        if event["type"].endswith("StateEntered")
    ]
    assert sorted(entered) == sorted(visit.name for visit in trace.walk())
    exited = [
        event["stateExitedEventDetails"]["name"] for event in events if event["type"].endswith("StateExited")
    ]
    assert sorted(exited) == sorted(v.name for v in trace.walk() if v.status in ("SUCCEEDED", "CAUGHT"))
    scheduled = {event["id"] for event in events if event["type"] == "LambdaFunctionScheduled"}
    assert scheduled == {attempt.id for visit in trace.walk() for attempt in visit.attempts}
    assert trace.visits[0].status == ("SUCCEEDED" if failing is None else "CAUGHT")
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))


def test_the_records_are_the_journals(office: Office) -> None:
    run = office.start(office.machine(PASS))
    office.ended(run)
    journal = [record for row in office.store.journal(run) for record in decode(row.records, row.format)]
    assert office.service.records(run) == journal


# --- finding


def test_an_execution_is_found_by_arn_name_or_beginning(office: Office) -> None:
    machine = office.machine(PASS)
    run, longer = (office.start(machine, name=name) for name in ("monday", "monday-2"))
    for name in (run, "monday"):
        assert office.service.find_execution(name) == run
    assert office.service.find_execution("monday-") == longer


@dataclass(frozen=True)
class NotFound:
    id: str
    name: str
    says: tuple[str, ...]


@pytest.mark.parametrize(
    "case",
    [
        NotFound("unknown", "zzz", ("there is no execution 'zzz'", "nbflow list")),
        NotFound("several begin so", "mo", ("2 executions are meant by 'mo'", ":a:monday", ":b:monday")),
        NotFound(
            "one name, two machines",
            "monday",
            ("2 executions are meant by 'monday'", ":a:monday", ":b:monday"),
        ),
        NotFound("an ARN", NOWHERE, (f"Execution Does Not Exist: '{NOWHERE}'",)),
    ],
    ids=lambda case: case.id,
)
def test_what_is_not_found_or_ambiguous_says_what_there_is(office: Office, case: NotFound) -> None:
    for machine in ("a", "b"):
        office.start(office.machine(name=machine), name="monday")
    with pytest.raises(ApiError) as caught:
        office.service.find_execution(case.name)
    assert caught.value.code == "ExecutionDoesNotExist"
    assert all(words in str(caught.value) for words in case.says)


def test_a_long_list_of_what_is_meant_is_cut(office: Office) -> None:
    machine = office.machine(PASS)
    for number in range(12):
        office.start(machine, name=f"r{number}")
    with pytest.raises(ApiError, match="12 executions") as caught:
        office.service.find_execution("r")
    assert str(caught.value).count("arn:") == 10
    assert str(caught.value).endswith("…")


def test_no_code_is_needed_for_what_has_no_tasks(office: Office) -> None:
    assert office.ended(office.start(office.machine(PASS))) == "SUCCEEDED"
    assert CODES.keys() == {WORK}
