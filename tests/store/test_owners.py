"""What every store promises of owners, their leases and the code they need (nbflow/store/port.py, Ownership)."""

from dataclasses import replace
from math import inf

import pytest

from nbflow.store.port import Store
from nbflow.store.rows import Append, Closing, CodeRow, EngineRow, ExecutionRow, Redriving
from tests.store.test_contract import A, B, C, opening, step

ONE, TWO = EngineRow("one", "here", 17, 1.5), EngineRow("two", "there", 18, 2.5)
CODE = CodeRow("cd" * 32, "function", "fit", b"\x80\x05", '{"path":"ä.py"}')


def of(owner: str, row: ExecutionRow, **more: object) -> Append:
    return opening(replace(row, owner=owner, **more))  # type: ignore[arg-type]


def left(store: Store, *alive: str, due: float | None = None) -> list[str]:
    return [row.arn for row in store.left(alive, due)]


def test_a_lease_is_held_renewed_and_released(store: Store) -> None:
    store.hold(ONE, 10.0)
    store.hold(TWO, -1.0)
    seconds = dict(store.engines())
    assert 5.0 < seconds[ONE] <= 10.0
    assert seconds[TWO] < 0
    store.hold(TWO, 100.0)
    assert dict(store.engines())[TWO] > 50.0
    store.release(ONE.id)
    store.release("nobody")
    assert [row for row, _ in store.engines()] == [TWO]


def test_what_the_dead_leave_is_found(store: Store) -> None:
    store.append([of("one", A), of("two", B), of("", C)])
    assert left(store, "one", "two") == [C.arn]
    assert left(store, "one") == [B.arn, C.arn]
    assert left(store) == [A.arn, B.arn, C.arn]
    assert len(store.left([], limit=2)) == 2


def test_what_the_dead_leave_running_is_counted(store: Store) -> None:
    store.append([of("one", A), of("two", B), of("", C)])
    assert store.forsaken(["one", "two", ""], 5) == (0, [])
    assert store.forsaken(["one"], 1) == (2, [B.arn])
    store.append([replace(step(B, 1), closed=Closing("ABORTED", stopped_at=12.0))])
    assert store.forsaken(["one"], 5) == (1, [C.arn])


def test_the_children_of_map_runs_are_not_left(store: Store) -> None:
    store.append([of("one", A, map_run_arn="arn:run", item=3)])
    assert left(store) == []
    found = store.execution(A.arn)
    assert found is not None
    assert found.item == 3


def test_an_execution_is_taken_over_by_one(store: Store) -> None:
    store.append([of("one", A), of("", B)])
    assert not store.take_over(A.arn, "two", "three")
    assert store.take_over(A.arn, "one", "two")
    assert not store.take_over(A.arn, "one", "three")
    assert store.take_over(B.arn, "", "two")
    assert store.owned("two") == [A.arn, B.arn]
    assert store.owned("one") == []
    assert left(store, "two") == []


@pytest.mark.parametrize("at_once", [True, False])
def test_nobody_owns_what_is_over(store: Store, at_once: bool) -> None:
    end = Closing("SUCCEEDED", "1", stopped_at=12.0)
    if at_once:
        store.append([replace(of("one", A), closed=end, released=True)])
    else:
        store.append([of("one", A)])
        store.append([replace(step(A, 1), closed=end, released=True)])
    found = store.execution(A.arn)
    assert found is not None
    assert found.owner is None
    assert left(store) == []
    assert not store.take_over(A.arn, "one", "two")


def test_an_end_that_owes_something_is_still_owned(store: Store) -> None:
    store.append([of("one", A)])
    store.append([replace(step(A, 1), closed=Closing("ABORTED", stopped_at=12.0))])
    assert left(store) == [A.arn]
    assert store.take_over(A.arn, "one", "two")
    store.append([replace(step(A, 2), released=True)])
    assert left(store) == []


def test_a_redrive_brings_an_owner(store: Store) -> None:
    store.append([replace(of("one", A), closed=Closing("FAILED", stopped_at=12.0), released=True)])
    store.append([replace(step(A, 1), redriven=Redriving(1, 13.0, owner="two", directory="/work"))])
    found = store.execution(A.arn)
    assert found is not None
    assert (found.owner, found.directory) == ("two", "/work")


def test_sleepers_wake_in_time(store: Store) -> None:
    store.append([of("one", A), of("one", B), of("two", C)])
    assert store.next_sleeper("one") is None
    store.put_to_sleep({A.arn: 30.0, B.arn: 20.0, C.arn: 5.0}, "one")
    assert store.next_sleeper("one") == 20.0
    assert store.next_sleeper("two") is None, "it was not its own to put to sleep"
    assert store.sleepers("one", 19.0) == []
    assert [row.arn for row in store.sleepers("one", 30.0, limit=1)] == [B.arn]
    assert [row.arn for row in store.sleepers("one", 30.0)] == [B.arn, A.arn]
    store.wake([B.arn], "one")
    store.wake([A.arn], "two")
    assert [row.arn for row in store.sleepers("one", 30.0)] == [A.arn]
    assert store.next_sleeper("one") == 30.0
    assert store.owned("one") == [A.arn, B.arn]


def test_sleepers_of_the_dead_are_left_when_there_is_something_to_do(store: Store) -> None:
    store.append([of("one", A), of("one", B), of("one", C)])
    store.put_to_sleep({A.arn: 30.0, B.arn: inf}, "one")
    assert left(store) == [A.arn, B.arn, C.arn]
    assert left(store, due=20.0) == [C.arn]
    assert left(store, due=30.0) == [A.arn, C.arn]
    store.tell(B.arn, "{}")
    assert left(store, due=20.0) == [B.arn, C.arn]
    assert store.take_over(A.arn, "one", "two")
    assert store.next_sleeper("two") is None, "it is awake"


def test_what_has_ended_in_its_sleep_is_awake(store: Store) -> None:
    """Else, when it owes something or is redriven, and its owner is killed, it would be left until that time."""
    store.append([of("one", A)])
    store.put_to_sleep({A.arn: inf}, "one")
    store.append([replace(step(A, 1), closed=Closing("ABORTED", stopped_at=12.0))])
    assert left(store, due=20.0) == [A.arn]
    store.append([replace(step(A, 2), redriven=Redriving(1, 13.0, owner="two"))])
    assert left(store, due=20.0) == [A.arn]


def test_code_is_kept_once(store: Store) -> None:
    store.append([replace(of("one", A), codes=(CODE,))])
    store.append([replace(of("one", B), codes=(replace(CODE, name="other"),))])
    assert store.codes([CODE.sha256, "none"]) == {CODE.sha256: CODE}
