"""Tasks that others end, on the virtual clock: the token decides, and what was said arrives by the inbox."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from nbflow.engine.live import AlreadyExists
from nbflow.engine.turns import PAUSE
from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.machine import Machine, Step, facts
from nbflow.machine.records import TaskScheduled, TaskStarted, decode
from nbflow.store.port import StoreError
from nbflow.store.rows import ActivityRow, Append, Settled, TokenRow
from nbflow.tasks.job import Outcome
from tests.engine.test_engine import Desk, mapped, task
from tests.machine.driver import ACTIVITY, SYNC

RETRY = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    desk.store.add_activity(ActivityRow(ACTIVITY, "a", "{}", 0.0))
    yield desk
    desk.engine.close()
    desk.store.close()


def callback(**fields: Json) -> dict[str, Json]:
    """A task that tells the function ``f`` to call back."""
    told = {"FunctionName": "f", "Payload": {"token.$": "$$.Task.Token"}}
    resource = "arn:aws:states:::lambda:invoke.waitForTaskToken"
    return {"Type": "Task", "Resource": resource, "Parameters": told, "End": True, **fields}


def activity(**fields: Json) -> dict[str, Json]:
    return {"Type": "Task", "Resource": ACTIVITY, "End": True, **fields}


def tell(payload: Json) -> str:
    print("told", sorted(payload))
    return "told"


def broken(payload: Json) -> str:
    print("trying")
    raise OSError("the line is dead")


def waits(desk: Desk, state: dict[str, Json], tasks: dict[str, Callable[..., object]] | None = None) -> str:
    """Start a run of this state, and turn until it waits; the token of its task."""
    desk.start({"T": state}, {"a": 1}, {"f": tell} if tasks is None else tasks)
    turn(desk)
    return tokens(desk)[-1]


def turn(desk: Desk) -> None:
    """Turn until there is nothing to take in; no time passes."""
    while desk.engine.busy:
        desk.engine.turn()


def tokens(desk: Desk, name: str = "run") -> list[str]:
    """The tokens that it has made, in their order."""
    return [record.token or "" for record in desk.records(name) if isinstance(record, TaskScheduled)]


def end(desk: Desk, token: str, fact: facts.Fact) -> bool:
    """As a caller does who ends the task; whether it was heard."""
    heard = desk.store.settle(Settled(token, facts.encode(fact)))
    desk.engine.heed()
    return heard


def claim(desk: Desk, worker: str | None = "w") -> TokenRow | None:
    row = desk.store.claim(ACTIVITY, desk.clock.now(), facts.encode(facts.TaskStarted(0, worker)))
    desk.engine.heed()
    return row


def state_of(desk: Desk, token: str) -> str | None:
    row = desk.store.token(token)
    return None if row is None else row.state


def types(desk: Desk, name: str = "run") -> list[str]:
    return [type(record).__name__ for record in desk.records(name)][2:]


def failing_once(monkeypatch: pytest.MonkeyPatch, desk: Desk, method: str) -> list[object]:
    """The store refuses this once. What it was asked, by call."""
    real, asked = getattr(desk.store, method), list[object]()

    def refuse(*arguments: object) -> object:
        asked.append(arguments)
        if len(asked) == 1:
            raise StoreError("The store is locked.")
        return real(*arguments)

    monkeypatch.setattr(desk.store, method, refuse)
    return asked


# --- callbacks


def test_a_callback_ends_its_task(desk: Desk) -> None:
    token = waits(desk, callback())
    assert desk.row().status == "RUNNING"
    assert not desk.engine.busy
    assert desk.engine.next_due() is None, "there is no time to look at"
    assert end(desk, token, facts.TaskSucceeded(0, {"approved": True}))
    turn(desk)
    assert (desk.row().status, desk.row().output) == ("SUCCEEDED", '{"approved":true}')
    assert types(desk) == [
        "TaskScheduled",
        "TaskStarted",
        "TaskSubmitted",
        "TaskSucceeded",
        "StateExited",
        "ExecutionSucceeded",
    ]
    assert state_of(desk, token) == "closed"
    assert desk.store.inbox() == []
    assert desk.engine.running == []
    [log] = desk.store.logs("arn:run").values()
    assert log == "told ['token']\n"
    assert desk.threads.done[0].arguments == {"token": token}


def test_a_callback_may_tell_of_a_failure(desk: Desk) -> None:
    token = waits(desk, callback(Retry=RETRY))
    end(desk, token, facts.TaskFailed(0, "Rejected", "no"))
    desk.settle()
    again = tokens(desk)[-1]
    assert again != token
    assert not end(desk, token, facts.TaskSucceeded(0, "to the first")), "each attempt has its own"
    end(desk, again, facts.TaskFailed(0, "Rejected", "still no"))
    desk.settle()
    assert (desk.row().error, desk.row().cause) == ("Rejected", "still no")


def test_the_first_answer_stands(desk: Desk) -> None:
    token = waits(desk, callback())
    assert end(desk, token, facts.TaskSucceeded(0, 1))
    assert not end(desk, token, facts.TaskFailed(0, "Late", None))
    desk.settle()
    assert desk.row().output == "1"
    assert not end(desk, token, facts.TaskSucceeded(0, 2))
    assert desk.store.inbox() == []


def test_a_callback_that_is_quicker_than_its_submission(tmp_path: Path) -> None:
    desk = Desk(tmp_path, hold=True)
    token = waits(desk, callback())
    end(desk, token, facts.TaskSucceeded(0, "quick"))
    turn(desk)
    assert desk.row().output == '"quick"'
    desk.threads.release()
    desk.settle()
    assert (desk.row().status, desk.engine.ended("arn:run")) == ("SUCCEEDED", None)
    desk.engine.close()
    desk.store.close()


# --- submissions


def test_a_submission_that_fails_ends_the_task(desk: Desk) -> None:
    token = waits(desk, callback(), {"f": broken})
    assert (desk.row().status, desk.row().error) == ("FAILED", "OSError")
    assert "the line is dead" in (desk.row().cause or "")
    assert list(desk.store.logs("arn:run").values()) == ["trying\n"]
    assert "TaskSubmitted" not in types(desk)
    assert not end(desk, token, facts.TaskSucceeded(0, 1))


def test_who_calls_back_before_the_submission_fails_has_ended_the_task(tmp_path: Path) -> None:
    desk = Desk(tmp_path, hold=True)
    token = waits(desk, callback(), {"f": broken})
    end(desk, token, facts.TaskSucceeded(0, "done all the same"))
    desk.threads.release()
    desk.settle()
    assert desk.row().output == '"done all the same"'
    desk.engine.close()
    desk.store.close()


def test_a_submission_for_which_nothing_is_bound(desk: Desk) -> None:
    token = waits(desk, callback(), {})
    assert (desk.row().status, desk.row().error) == ("FAILED", "States.TaskFailed")
    assert "no function is bound to the function 'f'; pass it in tasks=" in (desk.row().cause or "")
    assert state_of(desk, token) == "closed"


def test_the_end_of_a_submission_that_the_store_refuses_is_tried_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun = desk.clock.now()
    asked = failing_once(monkeypatch, desk, "settle")
    waits(desk, callback(), {"f": broken})
    assert desk.row().status == "RUNNING"
    assert not desk.engine.busy
    assert desk.engine.next_due() == begun + PAUSE
    desk.settle()
    assert (desk.row().status, desk.row().error) == ("FAILED", "OSError")
    assert desk.row().stopped_at == begun + PAUSE
    assert asked == [asked[0]] * 2
    assert list(desk.store.logs("arn:run").values()) == ["trying\n"]
    assert "The end of a task of arn:run is tried again" in caplog.text


# --- times


def test_nobody_calls_back_in_time(desk: Desk) -> None:
    begun = desk.clock.now()
    token = waits(desk, callback(TimeoutSeconds=60))
    assert desk.engine.next_due() == begun + 60
    desk.settle()
    assert (desk.row().status, desk.row().error, desk.row().stopped_at) == (
        "FAILED",
        "States.Timeout",
        begun + 60,
    )
    assert "TaskTimedOut" in types(desk)
    assert not end(desk, token, facts.TaskSucceeded(0, "late"))
    desk.settle()
    assert desk.row().output is None
    assert desk.engine.running == []


def test_each_sign_of_life_moves_the_time(desk: Desk) -> None:
    begun = desk.clock.now()
    token = waits(desk, callback(HeartbeatSeconds=5))
    for at in (4, 8, 12):
        desk.clock.advance_to(begun + at)
        assert desk.store.beat(token, desk.clock.now())
        desk.engine.turn()
        assert desk.row().status == "RUNNING"
    desk.settle()
    assert (desk.row().error, desk.row().stopped_at) == ("States.Timeout", begun + 17)


def test_a_sign_of_life_does_not_move_the_timeout(desk: Desk) -> None:
    begun = desk.clock.now()
    token = waits(desk, callback(TimeoutSeconds=10, HeartbeatSeconds=6))
    for at in (5, 9):
        desk.clock.advance_to(begun + at)
        desk.store.beat(token, desk.clock.now())
    desk.settle()
    assert desk.row().stopped_at == begun + 10


@dataclass(frozen=True)
class Race:
    id: str
    answers_first: bool
    status: str


@pytest.mark.parametrize(
    "case", [Race("answer", True, "SUCCEEDED"), Race("timeout", False, "FAILED")], ids=lambda case: case.id
)
def test_the_token_decides_between_an_answer_and_a_timeout(desk: Desk, case: Race) -> None:
    token = waits(desk, callback(TimeoutSeconds=60))
    desk.clock.advance_to(desk.clock.now() + 60)
    heard = case.answers_first and end(desk, token, facts.TaskSucceeded(0, 1))
    desk.engine.turn()
    heard = heard or end(desk, token, facts.TaskSucceeded(0, 1))
    desk.settle()
    assert (desk.row().status, heard) == (case.status, case.answers_first)
    assert types(desk).count("TaskTimedOut") == (not case.answers_first)


def test_a_heartbeat_that_comes_just_when_the_engine_looks(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = desk.clock.now()
    token = waits(desk, callback(HeartbeatSeconds=5))
    desk.clock.advance_to(begun + 5)
    expire = desk.store.expire

    def late(settled: Settled, now: float) -> bool:
        monkeypatch.setattr(desk.store, "expire", expire)
        desk.store.beat(token, now)
        return expire(settled, now)

    monkeypatch.setattr(desk.store, "expire", late)
    desk.engine.turn()
    assert desk.row().status == "RUNNING"
    assert desk.engine.next_due() == begun + 10
    desk.settle()
    assert desk.row().stopped_at == begun + 10


@pytest.mark.parametrize("method", ["token", "expire"])
def test_a_timeout_that_the_store_refuses_is_tried_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    begun = desk.clock.now()
    waits(desk, callback(TimeoutSeconds=60))
    failing_once(monkeypatch, desk, method)
    desk.settle()
    assert (desk.row().error, desk.row().stopped_at) == ("States.Timeout", begun + 60 + PAUSE)
    assert "What comes from outside is looked for again" in caplog.text


def test_a_task_whose_step_waits_for_the_store_still_times_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is over before its token is durable: the timer must not be gone by then."""
    begun = desk.clock.now()
    states = {"W": {"Type": "Wait", "Seconds": 5, "Next": "T"}, "T": callback(TimeoutSeconds=1)}
    desk.start(states, {}, {"f": tell})
    turn(desk)
    append, refused = desk.store.append, list[Sequence[Append]]()

    def full(batch: Sequence[Append]) -> list[bool]:
        if len(refused) < 3:
            refused.append(batch)
            raise StoreError("The disk is full.")
        return append(batch)

    monkeypatch.setattr(desk.store, "append", full)
    desk.settle()
    assert (desk.row().status, desk.row().error) == ("FAILED", "States.Timeout")
    assert desk.row().stopped_at == begun + 5 + 3 * PAUSE


# --- the inbox


def test_an_inbox_that_cannot_be_read_is_read_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    token = waits(desk, callback())
    asked = failing_once(monkeypatch, desk, "inbox")
    end(desk, token, facts.TaskSucceeded(0, 1))
    turn(desk)
    assert desk.row().status == "RUNNING"
    desk.settle()
    assert desk.row().output == "1"
    assert asked[0] == asked[1]


def test_an_append_that_is_refused_has_consumed_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    token = waits(desk, callback())
    failing_once(monkeypatch, desk, "append")
    end(desk, token, facts.TaskSucceeded(0, 1))
    turn(desk)
    assert len(desk.store.inbox()) == 1
    desk.settle()
    assert desk.row().output == "1"
    assert desk.store.inbox() == []


def test_what_is_said_to_executions_of_others_is_left_to_them(desk: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path, seed=1)
    token = waits(desk, callback())
    end(other, token, facts.TaskSucceeded(0, 1))
    turn(other)
    assert len(desk.store.inbox()) == 1
    desk.engine.heed()
    turn(desk)
    assert desk.row().output == "1"
    other.engine.close()
    other.store.close()


def test_what_changes_nothing_is_forgotten(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    waits(desk, callback())
    asked = failing_once(monkeypatch, desk, "forget_unheard")
    before = len(desk.records())
    desk.store.tell("arn:run", facts.encode(facts.Cancelled(99)))
    desk.engine.heed()
    for _ in range(3):
        turn(desk)
        desk.clock.advance_to(desk.clock.now() + PAUSE)
        desk.engine.heed()
    assert desk.store.inbox() == []
    assert asked[0] == asked[1]
    assert len(desk.records()) == before


def test_who_finds_a_fact_consumed_by_another_lets_go_of_the_execution(desk: Desk) -> None:
    token = waits(desk, callback())
    ended = desk.engine.ended("arn:run")
    end(desk, token, facts.TaskSucceeded(0, 1))
    [row] = desk.store.inbox()
    inbox = desk.store.inbox

    def consumed_by_another(after: int = 0) -> list[object]:
        found = inbox(after)
        desk.store.forget([row.id])
        return list(found)

    desk.store.inbox = consumed_by_another  # type: ignore[method-assign, assignment]
    turn(desk)
    assert ended is not None
    with pytest.raises(AlreadyExists, match="another process"):
        ended.result(timeout=0)
    assert desk.row().status == "RUNNING"


def test_a_stop_by_the_inbox(desk: Desk) -> None:
    token = waits(desk, callback())
    desk.store.tell("arn:run", facts.encode(facts.Stop("Enough", "really")))
    desk.engine.heed()
    desk.settle()
    assert (desk.row().status, desk.row().error, desk.row().cause) == ("ABORTED", "Enough", "really")
    assert state_of(desk, token) == "closed"
    assert desk.store.inbox() == []


def test_no_state_begins_after_a_retirement_though_a_result_comes_before_the_next_turn(desk: Desk) -> None:
    states = {"T": callback() | {"Next": "P"}, "P": {"Type": "Pass", "End": True}}
    del states["T"]["End"]
    desk.start(states, {"a": 1}, {"f": tell})
    turn(desk)
    desk.engine.post("arn:run", facts.Retire())
    assert end(desk, tokens(desk)[-1], facts.TaskSucceeded(0, 1))
    desk.settle()
    assert desk.row().status == "ABORTED"
    assert types(desk)[-4:] == ["ExecutionRetired", "TaskSucceeded", "StateExited", "ExecutionAborted"]
    assert desk.store.inbox() == []


# --- activities


def test_an_activitys_task_waits_for_a_worker(desk: Desk) -> None:
    begun = desk.clock.now()
    token = waits(desk, activity(TimeoutSeconds=60, HeartbeatSeconds=20))
    assert types(desk) == ["TaskScheduled"]
    assert desk.engine.next_due() is None, "its time begins when a worker takes it"
    assert (desk.threads.done, desk.dask.done) == ([], [])
    desk.clock.advance_to(begun + 1000)
    row = claim(desk, "worker-7")
    assert row is not None
    assert (row.token, row.input, row.due, row.heartbeat_due) == (
        token,
        '{"a":1}',
        begun + 1060,
        begun + 1020,
    )
    turn(desk)
    assert desk.records()[-1] == TaskStarted(begun + 1000, 0, "worker-7")
    assert desk.engine.next_due() == begun + 1020
    desk.settle()
    assert (desk.row().error, desk.row().stopped_at) == ("States.Timeout", begun + 1020)
    assert not end(desk, token, facts.TaskSucceeded(0, 1))


def test_a_worker_ends_its_task(desk: Desk) -> None:
    token = waits(desk, activity())
    assert not end(desk, token, facts.TaskSucceeded(0, 1)), "nobody has taken it"
    assert claim(desk, None) is not None
    assert end(desk, token, facts.TaskSucceeded(0, [1, 2]))
    turn(desk)
    assert desk.row().output == "[1,2]"
    assert types(desk)[:3] == ["TaskScheduled", "TaskStarted", "TaskSucceeded"]
    assert desk.store.inbox() == []


def test_a_start_is_not_lost_when_the_store_cannot_tell_its_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = desk.clock.now()
    waits(desk, activity(TimeoutSeconds=60))
    failing_once(monkeypatch, desk, "token")
    claim(desk)
    turn(desk)
    assert types(desk) == ["TaskScheduled"]
    desk.settle()
    assert types(desk)[:3] == ["TaskScheduled", "TaskStarted", "TaskTimedOut"]
    assert desk.row().stopped_at == begun + 60


def test_an_activity_that_there_is_not(desk: Desk) -> None:
    desk.store.delete_activity(ACTIVITY)
    desk.start({"T": activity(Retry=RETRY)})
    desk.settle()
    assert (desk.row().error, types(desk)) == ("States.Runtime", ["ExecutionFailed"])


def test_an_input_with_half_a_character_is_spelt_out(desk: Desk) -> None:
    desk.start({"T": activity()}, "\ud800")
    turn(desk)
    row = claim(desk)
    assert row is not None
    assert json.loads(row.input or "") == "\ud800"
    end(desk, row.token, facts.TaskSucceeded(0, "\ud800"))
    desk.settle()
    assert desk.row().status == "SUCCEEDED"


def test_tasks_of_aborted_iterations_are_given_to_nobody(desk: Desk) -> None:
    desk.start({"M": mapped(activity())}, [1, 2, 3])
    turn(desk)
    row = claim(desk)
    assert row is not None
    end(desk, row.token, facts.TaskFailed(0, "Boom", None))
    turn(desk)
    assert desk.row().status == "FAILED"
    assert desk.store.queued() == {}
    assert claim(desk) is None
    assert {state_of(desk, token) for token in tokens(desk)} == {"closed"}


# --- given up


def test_a_stop_closes_the_tokens(desk: Desk) -> None:
    branches = [
        {"StartAt": name, "States": {name: state}} for name, state in (("A", activity()), ("B", callback()))
    ]
    desk.start({"P": {"Type": "Parallel", "Branches": branches, "End": True}}, {}, {"f": tell})
    turn(desk)
    desk.engine.post("arn:run", facts.Stop())
    desk.settle()
    assert [state_of(desk, token) for token in tokens(desk)] == ["closed", "closed"]
    assert claim(desk) is None
    assert desk.engine.ended("arn:run") is None, "nothing more is owed"


def test_a_stop_by_another_process_closes_the_tokens(desk: Desk, tmp_path: Path) -> None:
    token = waits(desk, activity())
    other = Desk(tmp_path, seed=1)
    row = other.row()
    steps = [decode(step.records, step.format) for step in other.store.journal("arn:run")]
    definition = parse(other.store.definition(row.definition))
    ended = other.engine.adopt(row, definition, steps, {})
    other.engine.post("arn:run", facts.Stop())
    other.settle()
    ended.result(timeout=0)
    assert state_of(desk, token) == "closed"
    assert claim(desk) is None
    other.engine.close()
    other.store.close()


def test_an_execution_that_cannot_go_on_closes_its_tokens(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = waits(desk, activity())
    step = Machine.step

    def bug(machine: Machine, fact: facts.Fact, now: float, more: Sequence[facts.Fact] = ()) -> Step:
        found = step(machine, fact, now, more)
        if isinstance(fact, facts.TaskFailed):
            raise RuntimeError("a bug")
        return found

    monkeypatch.setattr(Machine, "step", bug)
    desk.engine.post("arn:run", facts.Stop())
    desk.engine.post("arn:run", facts.TaskFailed(99, None, None))
    desk.settle()
    assert (desk.row().status, desk.row().error) == ("FAILED", "States.Runtime")
    assert state_of(desk, token) == "closed"


# --- scripted


@dataclass(frozen=True)
class Scripted:
    id: str
    state: dict[str, Json]
    outcome: Outcome
    tells: list[str]
    error: str | None = None


TIMED_OUT = Outcome("", 0, error="States.Timeout")
SCRIPTED = [
    Scripted("activity", activity(), Outcome("", 0, 7), ["TaskScheduled", "TaskStarted", "TaskSucceeded"]),
    Scripted("activity fails", activity(), Outcome("", 0, error="E"), ["TaskScheduled", "TaskStarted", "TaskFailed"], "E"),
    Scripted("activity times out", activity(), TIMED_OUT, ["TaskScheduled", "TaskStarted", "TaskTimedOut"], "States.Timeout"),
    Scripted("job", activity(Resource=SYNC), Outcome("", 0, 7), ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]),
    Scripted("callback", callback(), Outcome("", 0, 7), ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]),
    Scripted("callback times out", callback(), TIMED_OUT, ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskTimedOut"], "States.Timeout"),
    Scripted("function times out", task(), TIMED_OUT, ["TaskScheduled", "TaskStarted", "TaskTimedOut"], "States.Timeout"),
]  # fmt: skip


@pytest.mark.parametrize("case", SCRIPTED, ids=lambda case: case.id)
def test_a_script_tells_what_the_real_task_would(desk: Desk, case: Scripted) -> None:
    desk.start({"T": case.state}, script=lambda _: case.outcome)
    desk.settle()
    assert types(desk)[: len(case.tells)] == case.tells
    assert (desk.row().output, desk.row().error) == (None if case.error else "7", case.error)
    assert [state_of(desk, token) for token in tokens(desk) if token] in ([], [None]), (
        "nobody outside can end it"
    )
    assert desk.store.queued() == {}
    assert desk.engine.running == []
