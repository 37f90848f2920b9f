"""Executions that wait for long leave the memory, and come back when they are due or told something."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from nbflow.engine.rows import bindings
from nbflow.engine.sleepers import REST
from nbflow.engine.turns import PAUSE
from nbflow.language.values import Json
from nbflow.machine import facts
from nbflow.machine.records import TaskStarted
from nbflow.store.port import ActivityRow, ExecutionRow, StoreError
from tests.engine.test_engine import Desk, double, task
from tests.engine.test_outside import activity, callback, claim, end, failing_once, tell, tokens, turn
from tests.machine.driver import ACTIVITY

DAY = 86_400
WAIT: dict[str, Json] = {"Type": "Wait", "Seconds": DAY, "End": True}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """One that has no room for what waits."""
    monkeypatch.setattr("nbflow.engine.sleepers.MOST_AWAKE", 0)
    desk = Desk(tmp_path)
    desk.store.add_activity(ActivityRow(ACTIVITY, "a", "{}", 0.0))
    yield desk
    desk.engine.close()
    desk.store.close()


def rest(desk: Desk) -> None:
    """Turn until there is nothing to take in, and then what can leave has left."""
    turn(desk)
    desk.clock.advance_to(desk.clock.now() + REST)
    desk.engine.turn()


def awake(desk: Desk) -> list[str]:
    return [arn.removeprefix("arn:") for arn in desk.engine.running]


def test_what_waits_leaves_and_ends_in_time(desk: Desk) -> None:
    desk.start({"W": WAIT}, {"a": 1})
    due = desk.clock.now() + DAY
    rest(desk)
    assert awake(desk) == []
    assert desk.row().asleep_until == desk.engine.next_due() == due
    assert desk.store.owned(desk.engine.id) == ["arn:run"]
    desk.clock.advance_to(due)
    desk.engine.turn()
    turn(desk)
    assert (desk.row().status, desk.row().output) == ("SUCCEEDED", '{"a":1}')
    assert desk.engine.next_due() is None


def test_what_is_soon_due_or_at_work_stays(desk: Desk) -> None:
    desk.threads.hold = True
    desk.start({"W": {**WAIT, "Seconds": 3}}, name="soon")
    desk.start({"T": task()}, 1, {"f": double}, name="working")
    desk.start({"W": WAIT}, name="waiting")
    rest(desk)
    assert awake(desk) == ["soon", "working"]


def test_while_there_are_few_all_stay(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbflow.engine.sleepers.MOST_AWAKE", 1)
    desk.start({"W": WAIT})
    rest(desk)
    assert awake(desk) == ["run"]


def callback_run(desk: Desk, **fields: Json) -> str:
    """An execution that waits for a callback; its token."""
    state = callback(**fields)
    desk.start({"T": state}, {"a": 1}, {"f": tell})
    live = desk.engine._turns.live["arn:run"]
    live.row = replace(live.row, bindings=bindings(live.codes))
    rest(desk)
    assert awake(desk) == []
    return tokens(desk)[-1]


def test_a_callback_wakes_it(desk: Desk) -> None:
    token = callback_run(desk)
    assert desk.engine.next_due() is None
    end(desk, token, facts.TaskSucceeded(0, "called"))
    turn(desk)
    assert (desk.row().status, desk.row().output) == ("SUCCEEDED", '"called"')


def test_a_callback_that_stays_away_times_out(desk: Desk) -> None:
    callback_run(desk, TimeoutSeconds=500, HeartbeatSeconds=100)
    begun = desk.clock.now()
    assert begun < (desk.engine.next_due() or 0.0) < begun + 100
    desk.settle()
    assert (desk.row().status, desk.row().error) == ("FAILED", "States.Timeout")


def test_a_heartbeat_lets_it_sleep_on(desk: Desk) -> None:
    token = callback_run(desk, HeartbeatSeconds=100)
    desk.clock.advance_to(desk.clock.now() + 90)
    assert desk.store.beat(token, desk.clock.now())
    desk.clock.advance_to(desk.clock.now() + 20)
    rest(desk)
    assert (awake(desk), desk.row().status) == ([], "RUNNING")


def test_a_worker_wakes_it(desk: Desk) -> None:
    desk.start({"T": activity(TimeoutSeconds=100)}, 5)
    rest(desk)
    assert awake(desk) == []
    taken = claim(desk)
    assert taken is not None
    desk.engine.heed()
    turn(desk)
    assert isinstance(desk.records()[-1], TaskStarted)
    end(desk, taken.token, facts.TaskSucceeded(0, 6))
    turn(desk)
    assert desk.row().output == "6"


def test_it_is_stopped_in_its_sleep(desk: Desk) -> None:
    desk.start({"W": WAIT})
    rest(desk)
    desk.store.tell("arn:run", facts.encode(facts.Stop("Enough")))
    desk.engine.heed()
    turn(desk)
    assert (desk.row().status, desk.row().error) == ("ABORTED", "Enough")


def test_what_is_told_something_while_it_leaves_stays(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.start({"W": WAIT})
    ended = desk.engine.ended("arn:run")
    put_to_sleep = desk.store.put_to_sleep

    def meanwhile(arns: Mapping[str, float], owner: str) -> None:
        put_to_sleep(arns, owner)
        desk.engine.post("arn:run", facts.Stop("Enough"))

    monkeypatch.setattr(desk.store, "put_to_sleep", meanwhile)
    desk.engine.turn()
    assert awake(desk) == ["run"]
    assert desk.row().asleep_until is None
    turn(desk)
    assert (desk.row().status, desk.row().error) == ("ABORTED", "Enough")
    assert ended is not None
    assert ended.done()


def test_if_the_store_fails_it_hears_later_that_they_stay(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.start({"W": WAIT})
    look = failing_once(monkeypatch, desk, "next_sleeper")
    turn(desk)
    assert (awake(desk), desk.row().asleep_until is None) == (["run"], False)
    monkeypatch.setattr("nbflow.engine.sleepers.MOST_AWAKE", 1)
    rest(desk)
    assert (awake(desk), desk.row().asleep_until, len(look)) == (["run"], None, 2)


def test_its_task_after_the_sleep_has_its_code(desk: Desk) -> None:
    desk.start({"W": {**WAIT, "End": False, "Next": "T"}, "T": task()}, 21, {"f": double})
    live = desk.engine._turns.live["arn:run"]
    live.row = replace(live.row, bindings=bindings(live.codes))
    rest(desk)
    assert awake(desk) == []
    desk.settle()
    assert desk.row().output == "42"


def test_many_wake_at_once(desk: Desk) -> None:
    for number in range(1200):
        desk.start({"W": WAIT}, name=f"run-{number}")
    rest(desk)
    assert awake(desk) == []
    desk.clock.advance_to(desk.clock.now() + DAY)
    turn(desk)
    while desk.engine.next_due() is not None:
        desk.engine.turn()
    assert {row.status for row in desk.store.executions(limit=2000)} == {"SUCCEEDED"}


def test_if_the_store_fails_they_wake_later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.start({"W": WAIT})
    rest(desk)

    def away(*_: object) -> list[ExecutionRow]:
        raise StoreError("the disk is away.")

    monkeypatch.setattr(desk.store, "journal", away)
    desk.clock.advance_to(desk.clock.now() + DAY)
    desk.engine.turn()
    monkeypatch.undo()
    desk.clock.advance_to(desk.clock.now() + PAUSE)
    turn(desk)
    assert desk.row().status == "SUCCEEDED"


def test_if_the_store_fails_they_stay(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise StoreError("the disk is away.")

    monkeypatch.setattr(desk.store, "put_to_sleep", away)
    desk.start({"W": WAIT})
    rest(desk)
    assert awake(desk) == ["run"]
    desk.settle()
    assert desk.row().status == "SUCCEEDED"


def test_a_function_that_nobody_recorded_keeps_it_here(desk: Desk) -> None:
    desk.start({"W": {**WAIT, "End": False, "Next": "T"}, "T": task()}, 21, {"f": double})
    rest(desk)
    assert awake(desk) == ["run"], "its row says nothing of the function"
