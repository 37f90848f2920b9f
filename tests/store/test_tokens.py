"""What every store promises of tokens and the inbox (nbflow/store/port.py, Tokens)."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from nbflow.store.port import Store
from nbflow.store.rows import Append, Closing, InboxRow, Settled, TokenRow
from tests.store.test_contract import A, B, C, Factory, opening, step

QUEUED = TokenRow(
    "queued-1", A.arn, 7, "queued", activity="arn:activity", input='{"a":"ä"}', timeout=60, heartbeat=5
)
OPEN = TokenRow("open-1", A.arn, 9, "open", timeout=60, heartbeat=5, due=160.0, heartbeat_due=105.0)
BARE = TokenRow("bare-1", B.arn, 3, "open")
FACT = '{"type":"Fact","of":"ä"}'


def holding(store: Store, *rows: TokenRow) -> None:
    """The executions A and B run, and have made these tokens."""
    store.append([opening(A), opening(B)])
    store.append(
        [
            replace(step(row, 1), tokens=tuple(token for token in rows if token.execution == row.arn))
            for row in (A, B)
        ]
    )


def told(store: Store, after: int = 0) -> list[tuple[str, int | None, str]]:
    return [(row.execution, row.attempt, row.fact) for row in store.inbox(after)]


# --- tokens


def test_a_token_is_as_it_was_made(store: Store) -> None:
    holding(store, QUEUED, OPEN, BARE)
    for row in (QUEUED, OPEN, BARE):
        assert store.token(row.token) == row
    assert store.token("none") is None
    assert store.inbox() == []


def test_an_open_token_is_settled_once(store: Store) -> None:
    holding(store, OPEN, BARE)
    assert store.settle(Settled(OPEN.token, FACT))
    assert told(store) == [(A.arn, 9, FACT)]
    assert store.token(OPEN.token) == replace(OPEN, state="closed")
    assert not store.settle(Settled(OPEN.token, "{}")), "a second time"
    assert not store.expire(Settled(OPEN.token, "{}"), 1e9), "nor does it time out"
    assert told(store) == [(A.arn, 9, FACT)]
    assert store.token(BARE.token) == BARE, "the others stay"


@pytest.mark.parametrize("token", [QUEUED.token, "none"])
def test_what_is_not_open_is_not_settled(store: Store, token: str) -> None:
    holding(store, QUEUED)
    assert not store.settle(Settled(token, FACT))
    assert not store.expire(Settled(token, FACT), 1e9)
    assert not store.beat(token, 1.0)
    assert store.inbox() == []
    assert store.token(QUEUED.token) == QUEUED


@dataclass(frozen=True)
class Expiry:
    id: str
    row: TokenRow
    at: float
    over: bool


EXPIRIES = [
    Expiry("before both", OPEN, 104.9, False),
    Expiry("the heartbeat", OPEN, 105.0, True),
    Expiry("the time", replace(OPEN, heartbeat_due=500.0), 160.0, True),
    Expiry("no heartbeat", replace(OPEN, heartbeat_due=None), 159.9, False),
    Expiry("no time", replace(OPEN, due=None), 105.1, True),
    Expiry("neither", BARE, 1e12, False),
]


@pytest.mark.parametrize("case", EXPIRIES, ids=lambda case: case.id)
def test_a_token_expires_when_its_time_or_its_heartbeat_is_over(store: Store, case: Expiry) -> None:
    holding(store, case.row)
    assert store.expire(Settled(case.row.token, FACT), case.at) is case.over
    found = store.token(case.row.token)
    assert found == replace(case.row, state="closed" if case.over else "open")
    assert told(store) == ([(case.row.execution, case.row.attempt, FACT)] if case.over else [])
    assert store.settle(Settled(case.row.token, "{}")) is not case.over


def test_a_sign_of_life_moves_the_heartbeat_only(store: Store) -> None:
    holding(store, OPEN, BARE)
    assert store.beat(OPEN.token, 104.0)
    assert store.token(OPEN.token) == replace(OPEN, heartbeat_due=109.0)
    assert not store.expire(Settled(OPEN.token, FACT), 105.0)
    assert store.beat(BARE.token, 104.0), "it has no heartbeat, but it is open"
    assert store.token(BARE.token) == BARE
    store.settle(Settled(OPEN.token, FACT))
    assert not store.beat(OPEN.token, 105.0)
    found = store.token(OPEN.token)
    assert found is not None
    assert found.heartbeat_due == 109.0


# --- workers


def test_the_oldest_task_is_claimed_and_its_time_begins(store: Store) -> None:
    younger = replace(QUEUED, token="a-younger-one", execution=B.arn, attempt=2, timeout=None, heartbeat=None)
    holding(store, QUEUED, younger, replace(QUEUED, token="of-another", activity="arn:other"))
    assert store.queued() == {"arn:activity": 2, "arn:other": 1}
    taken = replace(QUEUED, state="open", due=160.0, heartbeat_due=105.0)
    assert store.claim("arn:activity", 100.0, FACT) == taken
    assert store.token(QUEUED.token) == replace(taken, input=None), "the worker has it: the store need not"
    assert told(store) == [(A.arn, 7, FACT)]
    assert store.queued() == {"arn:activity": 1, "arn:other": 1}
    assert store.claim("arn:activity", 101.0, FACT) == replace(younger, state="open")
    assert store.claim("arn:activity", 102.0, FACT) is None
    assert store.claim("arn:none", 102.0, FACT) is None
    assert store.queued() == {"arn:other": 1}
    assert [each[:2] for each in told(store)] == [(A.arn, 7), (B.arn, 2)]


def test_tasks_are_claimed_in_the_order_of_their_making_whatever_their_tokens(store: Store) -> None:
    rows = [replace(QUEUED, token=f"{9 - n}", attempt=n) for n in range(5)]
    holding(store, *rows)
    claimed = [store.claim("arn:activity", 1.0, FACT) for _ in rows]
    assert [row and row.attempt for row in claimed] == [0, 1, 2, 3, 4]


def test_a_closed_task_is_not_claimed(store: Store) -> None:
    holding(store, QUEUED)
    store.append([replace(step(A, 2), closed_tokens=(QUEUED.token,))])
    assert store.token(QUEUED.token) == replace(QUEUED, state="closed", input=None)
    assert store.queued() == {}
    assert store.claim("arn:activity", 1.0, FACT) is None
    assert store.inbox() == []


def test_workers_who_claim_at_once_get_each_task_once(factory: Factory, tmp_path: Path) -> None:
    """From four threads on two stores over one file."""
    stores = [factory(tmp_path), factory(tmp_path)]
    tasks = [replace(QUEUED, token=f"t{n}", attempt=n) for n in range(40)]
    holding(stores[0], *tasks)
    begin = Barrier(4)

    def work(number: int) -> list[int]:
        begin.wait(10)
        found: list[int] = []
        while (row := stores[number % 2].claim("arn:activity", 1.0, f'{{"of":{number}}}')) is not None:
            found.append(row.attempt)
        return found

    with ThreadPoolExecutor(4) as threads:
        claimed = [attempt for found in threads.map(work, range(4)) for attempt in found]
    assert sorted(claimed) == list(range(40))
    assert sorted(row.attempt or 0 for row in stores[1].inbox()) == list(range(40))
    for each in stores:
        each.close()


def test_of_a_result_and_a_timeout_at_once_one_wins(factory: Factory, tmp_path: Path) -> None:
    one, other = factory(tmp_path), factory(tmp_path)
    holding(one, *(replace(OPEN, token=f"t{n}", attempt=n) for n in range(20)))
    begin = Barrier(2)

    def end(store: Store, fact: str) -> list[bool]:
        begin.wait(10)
        return [
            store.settle(Settled(f"t{n}", fact))
            if fact == "result"
            else store.expire(Settled(f"t{n}", fact), 1e9)
            for n in range(20)
        ]

    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(end, (one, other), ("result", "timeout")))
    assert all(result != timeout for result, timeout in zip(*answers, strict=True))
    assert {row.attempt: row.fact for row in one.inbox()} == {
        n: "result" if answers[0][n] else "timeout" for n in range(20)
    }
    for each in (one, other):
        each.close()


# --- the inbox


def test_an_execution_can_be_told_something(store: Store) -> None:
    holding(store)
    store.tell(A.arn, FACT)
    store.tell("arn:none", FACT)
    assert told(store) == [(A.arn, None, FACT)]
    store.append([replace(step(A, 2), closed=Closing("SUCCEEDED", output="1", stopped_at=12.0))])
    store.tell(A.arn, "{}")
    assert told(store) == [(A.arn, None, FACT), (A.arn, None, "{}")]
    assert [row.ended for row in store.inbox()] == [True, True], "it runs no more"


def test_the_inbox_is_read_on_from_where_one_was(store: Store) -> None:
    holding(store)
    for number in range(5):
        store.tell(A.arn, f"{number}")
    rows = store.inbox()
    assert [row.fact for row in rows] == ["0", "1", "2", "3", "4"]
    assert [row.id for row in rows] == sorted({row.id for row in rows})
    assert store.inbox(rows[2].id) == rows[3:]
    assert store.inbox(rows[-1].id) == []


def test_a_long_inbox_comes_in_pages_in_its_order(store: Store) -> None:
    holding(store)
    tokens = tuple(replace(OPEN, token=f"t{n}", attempt=n) for n in range(1500))
    store.append([replace(step(A, 2), tokens=tokens)])
    store.append([replace(step(B, 2), settled=tuple(Settled(f"t{n}", FACT) for n in range(1500)))])
    found: list[InboxRow] = []
    while rows := store.inbox(found[-1].id if found else 0):
        found += rows
    assert [row.attempt for row in found] == list(range(1500))


def test_an_id_is_never_used_twice(store: Store) -> None:
    """Whoever has read up to an id must not miss what comes after that row is gone."""
    holding(store)
    store.tell(A.arn, "1")
    [first] = store.inbox()
    store.forget([first.id])
    store.tell(A.arn, "2")
    [second] = store.inbox(first.id)
    assert second.fact == "2"


def test_what_is_forgotten_is_gone(store: Store) -> None:
    holding(store)
    for number in range(3):
        store.tell(A.arn, f"{number}")
    first, second, third = store.inbox()
    store.forget([first.id, third.id, 999])
    store.forget([])
    assert store.inbox() == [second]


def test_what_another_engine_may_still_hear_is_not_forgotten(store: Store) -> None:
    holding(store)
    for number in range(2):
        store.tell(A.arn, f"{number}")
    first, second = store.inbox()
    known = len(list(store.journal(A.arn)))
    store.forget_unheard({first.id: known, second.id: known - 1, 999: known})
    assert store.inbox() == [second]


# --- with a step


def test_a_step_consumes_what_it_has_taken_in(store: Store) -> None:
    holding(store, OPEN)
    store.settle(Settled(OPEN.token, FACT))
    [row] = store.inbox()
    assert store.append([replace(step(A, 2), consumed=(row.id,))]) == [True]
    assert store.inbox() == []


@dataclass(frozen=True)
class Lost:
    id: str
    fields: dict[str, Any] = field(default_factory=dict)
    number: int = 2
    """Of the step."""


LOST = [
    Lost("a row that another engine has consumed", {"consumed": (999,)}),
    Lost("a token that is not there", {"closed_tokens": ("none",)}),
    Lost("a step that exists", {}, 1),
]


@pytest.mark.parametrize("case", LOST, ids=lambda case: case.id)
def test_a_loser_leaves_no_token_and_no_fact(store: Store, case: Lost) -> None:
    holding(store, OPEN, BARE)
    store.tell(A.arn, FACT)
    [row] = store.inbox()
    lost = replace(
        step(A, case.number),
        tokens=(replace(OPEN, token="new"),),
        settled=(Settled(BARE.token, FACT),),
        **{"consumed": (row.id,), "closed_tokens": (OPEN.token,), **case.fields},
    )
    assert store.append([lost, step(B, 2), opening(C)]) == [False, True, True]
    assert store.token("new") is None
    assert store.token(OPEN.token) == OPEN
    assert store.token(BARE.token) == BARE
    assert store.inbox() == [row]


def test_a_step_ends_the_task_of_another_execution(store: Store) -> None:
    """A child tells the task that waits for it of its begin and of its end."""
    holding(store, OPEN)
    both = replace(step(B, 2), told=(Settled(OPEN.token, "begun"),), settled=(Settled(OPEN.token, "ended"),))
    assert store.append([both]) == [True]
    assert told(store) == [(A.arn, 9, "begun"), (A.arn, 9, "ended")]
    assert store.token(OPEN.token) == replace(OPEN, state="closed")


def test_to_tell_a_task_does_not_end_it(store: Store) -> None:
    holding(store, OPEN)
    store.append([replace(step(B, 2), told=(Settled(OPEN.token, "begun"),))])
    assert told(store) == [(A.arn, 9, "begun")]
    assert store.token(OPEN.token) == OPEN


@pytest.mark.parametrize("token", [OPEN.token, "none"])
def test_a_task_that_waits_no_more_is_not_told(store: Store, token: str) -> None:
    holding(store, OPEN)
    store.append([replace(step(A, 2), closed_tokens=(OPEN.token,))])
    late = (Settled(token, FACT),)
    assert store.append([replace(step(B, 2), told=late, settled=late)]) == [True], "which is no collision"
    assert store.inbox() == []


def test_a_token_that_is_closed_twice_is_closed(store: Store) -> None:
    """Its caller was quicker than the engine, which gives the attempt up without knowing."""
    holding(store, OPEN)
    store.settle(Settled(OPEN.token, FACT))
    assert store.append([replace(step(A, 2), closed_tokens=(OPEN.token,))]) == [True]
    assert told(store) == [(A.arn, 9, FACT)]


def test_a_token_made_and_closed_in_one_step(store: Store) -> None:
    holding(store)
    assert store.append([replace(step(A, 2), tokens=(OPEN,), closed_tokens=(OPEN.token,))]) == [True]
    assert store.token(OPEN.token) == replace(OPEN, state="closed")


def test_the_children_of_an_attempt(store: Store) -> None:
    holding(store, OPEN, BARE)
    children = [
        replace(C, arn=f"arn:child-{n}", name=f"child-{n}", parent_token=OPEN.token) for n in range(2)
    ]
    other = replace(C, parent_token=BARE.token)
    store.append([opening(row) for row in (*children, other)])
    assert sorted(store.children(A.arn, 9)) == ["arn:child-0", "arn:child-1"]
    assert store.children(B.arn, 3) == store.children(B.arn) == [C.arn]
    assert store.children(A.arn, 3) == store.children(B.arn, 9) == store.children("arn:none", 9) == []
    found = store.execution("arn:child-0")
    assert found is not None
    assert found.parent_token == OPEN.token


# --- changes


def grown(store: Store, seen: int) -> int:
    """What ``changes`` says once it has grown: a server needs a moment to tell of it."""
    end = time.monotonic() + 10
    while (number := store.changes()) == seen:
        assert time.monotonic() < end, "nobody told it"
    return number


def test_changes_tells_of_what_others_put_in(factory: Factory, tmp_path: Path) -> None:
    one, other = factory(tmp_path), factory(tmp_path)
    before = one.changes()
    holding(one, QUEUED)
    one.append([replace(step(A, 2), tokens=(OPEN,))])
    seen = grown(one, before)
    for change in (
        lambda: other.tell(A.arn, FACT),
        lambda: other.settle(Settled(OPEN.token, FACT)),
        lambda: other.claim("arn:activity", 1.0, FACT),
        lambda: one.tell(A.arn, FACT),
    ):
        change()
        seen = grown(one, seen)
    other.inbox()
    assert one.changes() == seen, "to read is no change"
    other.append([Append(A.arn, 3, 21, 1.0, b"[]")])
    assert one.changes() == seen, "a step is nobody else's business"
    one.tell(A.arn, FACT)
    assert grown(one, seen) == seen + 1, "nor was it told later"
    for each in (one, other):
        each.close()
