"""Taking over: an engine is no more, and another goes on from the journal. No desk of these is closed before."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from nbflow.engine.engine import Engine
from nbflow.engine.lease import Lease
from nbflow.engine.live import AlreadyExists, Live, Script
from nbflow.engine.turns import PAUSE
from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.machine import facts
from nbflow.machine.records import ExecutionOwned, decode
from nbflow.store.port import StoreError
from nbflow.store.rows import ActivityRow
from nbflow.tasks import function
from nbflow.tasks.job import Outcome
from tests.engine.test_engine import Desk, double, mapped, task
from tests.engine.test_outside import activity, callback, claim, end, failing_once, tell, tokens, turn
from tests.machine.driver import ACTIVITY, TASK

Pair = tuple[Desk, Desk]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Two engines on one store, whose tasks wait until they are released."""
    one, two = Desk(tmp_path, hold=True), Desk(tmp_path, hold=True)
    one.store.add_activity(ActivityRow(ACTIVITY, "a", "{}", 0.0))
    yield one, two
    for desk in (one, two):
        desk.engine.close()
        desk.store.close()


def resume(
    desk: Desk, name: str = "run", work: Callable[..., object] = double, script: Script | None = None
) -> Future[None]:
    """Make it this engine's, whoever had it, and go on."""
    row = desk.row(name)
    assert desk.store.take_over(row.arn, row.owner or "", desk.engine.id)
    steps = [decode(each.records) for each in desk.store.journal(row.arn)]
    code = function.pin(work, "f", keywords=False)
    definition = parse(desk.store.definition(row.definition))
    return desk.engine.resume(row, definition, steps, {TASK: code, "f": code}, script)


def test_what_was_under_way_is_done_again_under_the_same_name(pair: Pair) -> None:
    one, two = pair
    one.start({"M": mapped(task())}, [1, 2, 3], {"f": double})
    turn(one)
    first, second, third = (job.attempt for job, _ in one.dask.held)
    one.dask.release(Outcome("arn:run", second, output="two"))
    turn(one)
    resumed = resume(two)
    turn(two)
    resumed.result(timeout=0)
    assert [job.attempt for job, _ in two.dask.held] == [first, third], "not what has a result"
    assert [job.arguments for job, _ in two.dask.held] == [1, 3]
    two.dask.release()
    two.dask.release()
    turn(two)
    assert (two.row().status, two.row().output) == ("SUCCEEDED", '[2,"two",6]')


def test_the_one_before_loses_harmlessly(pair: Pair) -> None:
    one, two = pair
    one.start({"T": task()}, 21, {"f": double})
    turn(one)
    ended = one.engine.ended("arn:run")
    resume(two)
    turn(two)
    one.threads.release(Outcome("arn:run", one.threads.held[0][0].attempt, output="late"))
    turn(one)
    assert ended is not None
    assert isinstance(ended.exception(), AlreadyExists)
    two.threads.release()
    turn(two)
    assert (two.row().output, two.row().owner) == ("42", None)


def test_who_is_slower_with_the_next_step_looks_again(pair: Pair) -> None:
    """The one before has written between the reading and the taking over."""
    one, two = pair
    one.start({"T": task()}, 21, {"f": double})
    turn(one)
    resumed = resume(two)
    one.threads.release()
    turn(one)
    turn(two)
    assert isinstance(resumed.exception(), AlreadyExists)
    assert (two.row().status, two.row().owner) == ("SUCCEEDED", None)


def test_the_history_does_not_show_it(pair: Pair) -> None:
    one, two = pair
    one.start({"T": task()}, 21, {"f": double})
    turn(one)
    rows = list(one.store.journal("arn:run"))
    resume(two)
    turn(two)
    added = list(two.store.journal("arn:run"))[len(rows) :]
    assert [decode(row.records) for row in added] == [[ExecutionOwned(two.clock.now(), two.engine.id)]]
    two.threads.release()
    turn(two)
    after = list(two.store.journal("arn:run"))[-1]
    assert after.first_event == added[0].first_event, "it takes no event id"


def test_timers_are_kept(pair: Pair) -> None:
    one, two = pair
    one.start({"W": {"Type": "Wait", "Seconds": 60, "End": True}})
    turn(one)
    due = one.engine.next_due()
    two.clock.advance_to(two.clock.now() + 20)
    resume(two)
    turn(two)
    assert two.engine.next_due() == due
    two.settle()
    assert two.row().status == "SUCCEEDED"


def test_the_count_of_retries_is_kept(pair: Pair) -> None:
    one, two = pair
    retry = [{"ErrorEquals": ["Boom"], "MaxAttempts": 2, "IntervalSeconds": 5}]
    one.start({"T": task(Retry=retry)}, 1, {"f": double})
    turn(one)
    for _ in range(2):
        one.threads.release(Outcome("arn:run", one.threads.held[0][0].attempt, error="Boom"))
        turn(one)
        one.clock.advance_to(one.engine.next_due() or 0)
        one.engine.turn()
        turn(one)
    resume(two)
    turn(two)
    two.threads.release(Outcome("arn:run", two.threads.held[0][0].attempt, error="Boom"))
    turn(two)
    assert (two.row().status, two.row().error) == ("FAILED", "Boom")


def test_what_came_for_it_meanwhile_is_heard(pair: Pair) -> None:
    one, two = pair
    one.start({"T": callback()}, {"a": 1}, {"f": tell})
    turn(one)
    one.threads.release()
    turn(one)
    [token] = tokens(one)
    two.engine.turn()  # has read the inbox up to here
    end(two, token, facts.TaskSucceeded(0, "called"))
    two.engine.turn()
    assert two.row().status == "RUNNING"
    resume(two)
    turn(two)
    assert (two.row().status, two.row().output) == ("SUCCEEDED", '"called"')


def test_what_means_nothing_to_who_was_paused_is_left_to_the_owner(pair: Pair) -> None:
    """Of an attempt that the one before has never heard of, since it lost the execution earlier."""
    one, two = pair
    one.start({"T": task(End=False, Next="C"), "C": callback()}, 1, {"f": double})
    turn(one)
    resume(two, work=tell)
    turn(two)
    two.threads.release(Outcome("arn:run", two.threads.held[0][0].attempt, output={"a": 1}))
    turn(two)
    two.threads.release()
    turn(two)
    [_, token] = tokens(two)
    end(one, token, facts.TaskSucceeded(0, "called"))
    turn(one)
    one.engine.heed()
    turn(one)
    two.engine.heed()
    turn(two)
    assert (two.row().status, two.row().output) == ("SUCCEEDED", '"called"')


def test_who_has_been_told_is_not_told_again(pair: Pair) -> None:
    one, two = pair
    one.start({"T": callback()}, {"a": 1}, {"f": tell})
    turn(one)
    one.threads.release()
    turn(one)
    resume(two, work=tell)
    turn(two)
    assert two.threads.held == []


def test_a_callback_that_stays_away_times_out_there(pair: Pair) -> None:
    one, two = pair
    one.start({"T": callback(TimeoutSeconds=50)}, {"a": 1}, {"f": tell})
    turn(one)
    one.threads.release()
    turn(one)
    resume(two)
    turn(two)
    two.settle()
    assert (two.row().status, two.row().error) == ("FAILED", "States.Timeout")


def test_an_activitys_task_stays_with_its_worker(pair: Pair) -> None:
    one, two = pair
    one.start({"T": activity(HeartbeatSeconds=30)}, 5)
    turn(one)
    taken = claim(one)
    assert taken is not None
    resume(two)
    turn(two)
    assert claim(two) is None, "it is not queued again"
    end(two, taken.token, facts.TaskSucceeded(0, 6))
    turn(two)
    assert (two.row().status, two.row().output) == ("SUCCEEDED", "6")


def test_what_came_meanwhile_is_taken_once_though_the_store_fails(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that is consumed twice would look like another engine's step."""
    one, two = pair
    one.start({"T": activity(HeartbeatSeconds=30)}, 5)
    turn(one)
    one.store.tell("arn:run", facts.encode(facts.Continue()))
    taken = claim(one)
    assert taken is not None
    end(two, taken.token, facts.TaskSucceeded(0, 6))
    two.engine.turn()  # has read the inbox up to here
    resume(two)
    started = two.engine._turns.outside.started

    def away(live: Live, attempt: int) -> None:
        monkeypatch.setattr(two.engine._turns.outside, "started", started)
        raise StoreError("The store is locked.")

    monkeypatch.setattr(two.engine._turns.outside, "started", away)
    failing_once(monkeypatch, two, "append")
    for _ in range(3):
        turn(two)
        two.clock.advance_to(two.clock.now() + PAUSE)
        two.engine.turn()
    assert (two.row().status, two.row().output) == ("SUCCEEDED", "6")


def test_a_stop_that_nobody_heard_is_heard(pair: Pair) -> None:
    one, two = pair
    one.start({"T": task()}, 1, {"f": double})
    turn(one)
    two.store.tell("arn:run", facts.encode(facts.Stop("Enough")))
    resume(two)
    turn(two)
    assert (two.row().status, two.row().error) == ("ABORTED", "Enough")


def test_the_cancels_of_an_end_are_owed_until_they_are_said(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair
    one.start({"T": task()}, 1, {"f": double})
    turn(one)
    monkeypatch.setattr(one.threads, "cancel", lambda *_: False)
    one.engine.post("arn:run", facts.Stop())
    turn(one)
    assert (one.row().status, one.row().owner) == ("ABORTED", one.engine.id)
    resume(two)
    turn(two)
    assert (two.row().status, two.row().owner) == ("ABORTED", None)


def test_an_end_that_another_has_written_and_not_brought_to_its_close(pair: Pair) -> None:
    """It was stopped by another process, which was killed before it had said that nothing is owed any more."""
    one, two = pair
    one.start({"T": task()}, 1, {"f": double})
    turn(one)
    row = one.row()
    steps = [decode(each.records) for each in one.store.journal(row.arn)]
    two.engine.adopt(row, parse(two.store.definition(row.definition)), steps, {})
    two.engine.post("arn:run", facts.Stop())
    two.engine.turn()
    one.threads.release()
    turn(one)
    assert (one.row().status, one.row().owner) == ("ABORTED", one.engine.id)
    assert one.engine.astray == {"arn:run"}
    resume(one)
    turn(one)
    assert (one.row().status, one.row().owner) == ("ABORTED", None)


def test_a_long_way_goes_on_from_its_bound(pair: Pair) -> None:
    one, two = pair
    states: dict[str, Json] = {f"P{n}": {"Type": "Pass", "Next": f"P{n + 1}"} for n in range(300)}
    one.start({**states, "P300": {"Type": "Pass", "End": True}})
    one.engine.turn()
    assert one.row().status == "RUNNING"
    resume(two)
    turn(two)
    assert two.row().status == "SUCCEEDED"


# --- leases


def test_an_engine_that_runs_something_is_alive(pair: Pair) -> None:
    one, two = pair
    assert one.store.engines() == []
    one.start({"T": task()}, 1, {"f": double})
    turn(one)
    assert two.engine.alive() == {one.engine.id, two.engine.id}
    assert two.store.left(two.engine.alive()) == []
    one.store.release(one.engine.id)
    assert [row.arn for row in two.store.left(two.engine.alive())] == ["arn:run"]


def test_a_process_that_is_no_more_is_not_alive(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = pair
    one.start({"T": task()}, 1, {"f": double})
    turn(one)
    monkeypatch.setattr("nbflow.engine.lease._born", lambda pid: 0.0)
    assert two.engine.alive() == {two.engine.id}


def lapse(desk: Desk) -> None:
    """As if the process had been paused for longer than its lease."""
    lease: Lease = desk.engine._lease
    lease._until = 1e-9
    assert lease.lapsed


def test_whoever_was_paused_asks_before_it_acts(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """It forgets what was taken over, and goes on with the rest."""
    one, two = pair
    for name in ("lost", "kept"):
        one.start({"T": task()}, 1, {"f": double}, name=name)
    turn(one)
    lost, kept = one.engine.ended("arn:lost"), one.engine.ended("arn:kept")
    jobs = {job.execution: job.attempt for job, _ in one.threads.held}
    lapse(one)
    resume(two, "lost")
    turn(two)
    one.threads.release(Outcome("arn:kept", jobs["arn:kept"], output=3))
    turn(one)
    assert lost is not None
    assert isinstance(lost.exception(), AlreadyExists)
    assert [record.getMessage() for record in caplog.records] == [
        "Another process goes on with execution lost, or has ended it."
    ]
    assert kept is not None
    assert kept.done()
    assert one.row("kept").output == "3"
    assert two.row("lost").status == "RUNNING"


def test_while_the_store_does_not_say_nothing_is_done(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = pair
    one.start({"T": task(Retry=[{"ErrorEquals": ["Boom"]}])}, 1, {"f": double})
    turn(one)

    def away(*_: object) -> set[str]:
        raise StoreError("the disk is away.")

    monkeypatch.setattr(one.store, "owned", away)
    one.threads.release(Outcome("arn:run", one.threads.held[0][0].attempt, error="Boom"))
    lapse(one)
    one.engine.turn()
    one.clock.advance_to(one.clock.now() + 10)
    one.engine.turn()
    assert one.threads.held == []
    monkeypatch.undo()
    one.clock.advance_to(one.clock.now() + PAUSE)
    one.engine.turn()
    turn(one)
    one.threads.release()
    turn(one)
    assert one.row().status == "SUCCEEDED"


def test_a_lease_is_released_with_its_engine(tmp_path: Path) -> None:
    one = Desk(tmp_path)
    one.start({"W": {"Type": "Wait", "Seconds": 60, "End": True}})
    turn(one)
    assert [row.id for row, _ in one.store.engines()] == [one.engine.id]
    one.engine.close()
    assert one.store.engines() == []
    assert one.row().owner == one.engine.id, "whoever takes it over, knows from whom"
    one.store.close()


def test_engines_differ(pair: Pair) -> None:
    engines: list[Engine] = [desk.engine for desk in pair]
    assert engines[0].id != engines[1].id


def test_a_lease_that_is_held_while_it_is_released_stays(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    looks: list[None] = []

    def wanted() -> bool:
        if not looks:
            lease.hold()  # by somebody who begins just now
        looks.append(None)
        return len(looks) > 1

    lease = Lease(desk.store, wanted)
    lease.hold()
    lease.look()
    assert [row.id for row, _ in desk.store.engines()] == [lease.row.id]
    lease.close()
    desk.engine.close()
    desk.store.close()


def test_an_engine_that_cannot_even_leave_releases_its_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path)
    desk.start({"W": {"Type": "Wait", "Seconds": 60, "End": True}})
    turn(desk)

    def leave() -> None:
        raise ValueError("our own mistake")

    monkeypatch.setattr(desk.engine._turns, "leave", leave)
    with pytest.raises(ValueError, match="our own mistake"):
        desk.engine.close()
    assert desk.store.engines() == []
    desk.engine._watch.close()
    desk.store.close()
