"""What is PostgreSQL's alone: a server that goes and comes back, rows that are locked one by one, and others' clocks."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from traceback import format_exception

import psycopg
import pytest

from nbflow.store import postgres as module
from nbflow.store.database import Work
from nbflow.store.port import StoreError
from nbflow.store.rows import Append, Closing, EngineRow, LogRow, Settled
from nbflow.store.schema import INBOX_LOCK
from nbflow.store.sql import SqlStore, open_store
from tests.postgres import Server
from tests.store.test_contract import ARTIFACT, DEFINITION, MACHINE, A, B, C, opening, step
from tests.store.test_tokens import FACT, OPEN, QUEUED, grown, holding, told


@pytest.fixture
def url(postgres: Server, tmp_path: Path) -> str:
    return postgres.schema(tmp_path)


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    """An empty store; it gives a lost connection up at once."""
    opened = open_store(url, busy_timeout=2)
    yield opened
    opened.close()


def driver_of(store: SqlStore) -> psycopg.Connection:
    """The connection that is held for batches."""
    database = store._database
    assert isinstance(database, module.PostgresDatabase)
    return database._writer()


@contextmanager
def session(store: SqlStore) -> Iterator[psycopg.Connection]:
    """A session of somebody else's, in a transaction that is rolled back in the end."""
    pooled = store._engine.raw_connection()
    connection = pooled.driver_connection
    assert isinstance(connection, psycopg.Connection)
    connection.execute("BEGIN")
    try:
        yield connection
    finally:
        connection.rollback()
        pooled.close()


def wait_until(happened: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < end
        threading.Event().wait(0.002)


def one_waits(connection: psycopg.Connection) -> bool:
    """Whether somebody waits for a lock of this connection's."""
    connection.execute(
        "SELECT pg_stat_clear_snapshot()"
    )  # else it sees no session that has begun since it looked
    query = "SELECT 1 FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    return connection.execute(query).fetchone() is not None


# --- the server goes, and comes back


def use(store: SqlStore) -> None:
    """Everything that keeps a connection has used it."""
    holding(store, OPEN, QUEUED)
    store.changes()
    store.tell(A.arn, "1")


def goes_on(store: SqlStore) -> None:
    """Batches are written, statements are run, and what others say is heard."""
    seen = store.changes()
    assert store.append([step(A, 2), opening(C)]) == [True, True]
    assert store.settle(Settled(OPEN.token, FACT))
    assert [fact for _, _, fact in told(store)] == ["1", FACT]
    grown(store, seen)


def test_sessions_that_are_ended_are_made_anew(postgres: Server, store: SqlStore) -> None:
    use(store)
    postgres.end_sessions()
    goes_on(store)


def test_a_server_that_restarts(postgres: Server, store: SqlStore) -> None:
    use(store)
    heard = store.changes()
    postgres.stop()
    with pytest.raises(
        StoreError, match=r"(cannot be reached|has closed the connection)\. ?.*work goes on|work goes on"
    ):
        store.append([step(A, 2)])
    with pytest.raises(StoreError, match="work goes on when") as raised:
        store.execution(A.arn)
    assert "".join(format_exception(raised.value)).count("Traceback") == 1  # none of the driver's
    assert store.changes() != heard, "something may have been missed"
    with pytest.raises(StoreError, match="work goes on when"):
        store.changes()
    store.changes()  # said once
    postgres.start()
    goes_on(store)


@pytest.mark.parametrize("when", ["before it", "in it"])
def test_a_session_that_ends_during_a_batch(
    postgres: Server, store: SqlStore, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Nothing is written, and it is done again, unseen."""
    holding(store, OPEN)
    written, todo = module._Commit._written, [True]

    def ended(self: module._Commit, work: Work) -> set[str]:
        ends = todo and todo.pop()
        if ends and when == "before it":
            postgres.end_sessions()
        losers = written(self, work)
        if ends and when == "in it":
            postgres.end_sessions()
        return losers

    monkeypatch.setattr(module._Commit, "_written", ended)
    assert store.append([replace(step(A, 2), closed_tokens=(OPEN.token,)), opening(C)]) == [True, True]
    assert store.append([step(A, 3)]) == [True]


@dataclass(frozen=True)
class Doubt:
    """The connection ends while the answer to COMMIT is awaited."""

    id: str
    written: bool
    theirs: bool = False
    """Another engine takes the step before it is asked for again."""
    away: bool = False
    """The server is away for longer than one waits."""


DOUBTS = [
    Doubt("it is written", True),
    Doubt("it is not written", False),
    Doubt("another has taken the step meanwhile", False, theirs=True),
    Doubt("it is written, and the server is away", True, away=True),
    Doubt("it is not written, and the server is away", False, away=True),
]


@pytest.mark.parametrize("single", [True, False], ids=["one statement", "a batch"])
@pytest.mark.parametrize("case", DOUBTS, ids=lambda case: case.id)
def test_an_answer_that_was_lost(
    url: str, store: SqlStore, monkeypatch: pytest.MonkeyPatch, case: Doubt, single: bool
) -> None:
    holding(store, OPEN)
    store.tell(A.arn, FACT)
    other = open_store(url)
    [row] = store.inbox()
    new = replace(QUEUED, token="new")
    mine = step(A, 2, b'["mine"]')
    batch = [mine] if single else [replace(mine, consumed=(row.id,), tokens=(new,)), opening(C), step(C, 1)]
    run, lost = module._Commit.run, [True]

    def losing(self: module._Commit, work: Work) -> set[str]:
        if not lost:
            return run(self, work)
        lost.pop()
        if case.written:
            assert run(self, work) == set()
        if case.theirs:
            assert other.append([step(A, 2, b'["theirs"]')]) == [True]
        self.committing = True
        self.connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(module._Commit, "run", losing)
    if case.away:
        monkeypatch.setattr(store, "_patience", 0)
        with pytest.raises(StoreError, match="closed the connection"):
            store.append(batch)
    assert store.append(batch) == [not case.theirs, *(True for _ in batch[1:])]
    assert [entry.records for entry in store.journal(A.arn, after=1)] == [
        b'["theirs"]' if case.theirs else b'["mine"]'
    ]
    assert store.append(batch) == [False] * len(batch), "now it is in doubt no more"
    if not single and not case.theirs:
        assert (told(store), store.token("new")) == ([], new)
    other.close()


def test_a_retry_that_has_not_been_in_doubt_is_a_collision(store: SqlStore) -> None:
    assert store.append([opening(A)]) == [True]
    assert store.append([opening(A)]) == [False]


# --- rows are locked one by one


def test_ids_of_the_inbox_become_visible_in_their_order(store: SqlStore) -> None:
    """Or else a reader that has seen the later one would never look for the earlier one."""
    holding(store, OPEN)
    with ThreadPoolExecutor(2) as threads:
        with session(store) as early:
            early.execute("INSERT INTO inbox (execution, fact) SELECT id, 'early' FROM executions LIMIT 1")
            told_late = threads.submit(store.tell, A.arn, "late")
            ended_late = threads.submit(
                store.append, [replace(step(B, 2), settled=(Settled(OPEN.token, FACT),))]
            )
            wait_until(lambda: one_waits(early))
            assert store.inbox() == [], "those who come later wait"
            early.execute("COMMIT")
        told_late.result(10)
        assert ended_late.result(10) == [True]
    rows = store.inbox()
    assert rows[0].fact == "early"
    assert sorted(row.fact for row in rows) == sorted(["early", "late", FACT])


def test_a_worker_passes_on_to_the_next_task(store: SqlStore) -> None:
    holding(store, QUEUED, replace(QUEUED, token="next", attempt=8))
    with session(store) as other:
        other.execute("SELECT 1 FROM tokens WHERE token = 'queued-1' FOR UPDATE")
        claimed = store.claim("arn:activity", 1.0, FACT)
        assert claimed is not None
        assert claimed.token == "next"
        assert store.claim("arn:activity", 1.0, FACT) is None
    claimed = store.claim("arn:activity", 1.0, FACT)
    assert claimed is not None
    assert claimed.token == QUEUED.token


def test_a_lock_of_another_session_is_named(url: str) -> None:
    store = open_store(url, busy_timeout=0.05)
    store.append([opening(A)])
    end = [replace(step(A, 1), closed=Closing("FAILED"))]
    with session(store) as other:
        other.execute("SELECT 1 FROM executions FOR UPDATE")
        with pytest.raises(StoreError, match=r"is locked by another session\. Nothing was written"):
            store.append(end)
    assert store.append(end) == [True]
    store.close()


def test_who_could_not_have_the_inbox_leaves_nothing_open(url: str) -> None:
    store = open_store(url, busy_timeout=0.05)
    holding(store, OPEN, QUEUED)
    with session(store) as other:
        other.execute(f"SELECT pg_advisory_xact_lock({INBOX_LOCK})".encode())
        for act in (
            lambda: store.tell(A.arn, FACT),
            lambda: store.settle(Settled(OPEN.token, FACT)),
            lambda: store.claim("arn:activity", 1.0, FACT),
            lambda: store.append([replace(step(B, 2), settled=(Settled(OPEN.token, FACT),))]),
        ):
            with pytest.raises(StoreError, match="is locked by another session"):
                act()
    assert store.settle(Settled(OPEN.token, FACT))
    store.tell(B.arn, FACT)
    assert told(store) == [(A.arn, 9, FACT), (B.arn, None, FACT)]
    store.close()


def test_the_victim_of_a_deadlock_tries_again(store: SqlStore) -> None:
    one, two = ARTIFACT, replace(ARTIFACT, sha256="cd" * 32)
    store.append([replace(opening(A), artifacts=(one, two))])
    driver_of(store).execute("SET deadlock_timeout = '300ms'")
    with ThreadPoolExecutor(1) as threads, session(store) as other:
        touch = "UPDATE artifacts SET touched_at = 7 WHERE sha256 = %s"
        other.execute("SET LOCAL deadlock_timeout = '1s'")
        other.execute(touch, [two.sha256])
        appended = threads.submit(store.append, [replace(step(A, 1), artifacts=(one, two))])
        wait_until(lambda: one_waits(other))
        with suppress(
            psycopg.errors.DeadlockDetected
        ):  # the victim is who looks last; on a slow machine, this one
            other.execute(touch, [one.sha256])  # each waits for the other
        other.execute("COMMIT")
        assert appended.result(10) == [True]


def test_what_is_redriven_while_it_is_deleted_stays(store: SqlStore) -> None:
    store.append([replace(opening(A), closed=Closing("FAILED", stopped_at=1.0), released=True)])
    [ids] = list(store.disposable(before=2.0, keep=None))
    with ThreadPoolExecutor(1) as threads, session(store) as other:
        other.execute("UPDATE executions SET status = 'RUNNING', owner = 'e'")
        disposed = threads.submit(store.dispose, ids)
        wait_until(lambda: one_waits(other))
        other.execute("COMMIT")
        assert disposed.result(10) == (1, 0)
    assert [row.arn for row in store.executions()] == [A.arn]


def test_two_publish_at_once(url: str, store: SqlStore) -> None:
    store.add_machine(MACHINE, DEFINITION)
    other, begin = open_store(url), threading.Barrier(2)

    def publish(at: SqlStore) -> list[int]:
        begin.wait(10)
        return [at.publish(MACHINE.arn, None, 1.0).number for _ in range(5)]

    with ThreadPoolExecutor(2) as threads:
        found = [number for numbers in threads.map(publish, (store, other)) for number in numbers]
    assert found == [1] * 10
    assert len(store.versions(MACHINE.arn)) == 1
    other.close()


# --- clocks, and what tells of changes


def test_leases_are_on_the_clock_of_the_server(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "clock_gettime", lambda clock: 0.0)
    store.hold(EngineRow("one", "here", 1, 1.0), 30.0)
    [(_, seconds)] = store.engines()
    assert 20 < seconds <= 30
    [until] = driver_of(store).execute("SELECT until FROM engines").fetchone() or ()
    assert until > 1.7e9


def test_a_change_is_assumed_where_nobody_tells_of_one(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, now = store.changes(), time.monotonic()
    monkeypatch.setattr(store._database, "_heard_at", now)
    monkeypatch.setattr(time, "monotonic", lambda: now + 4)
    assert store.changes() == seen
    monkeypatch.setattr(time, "monotonic", lambda: now + 6)
    assert store.changes() == store.changes() == seen + 1


def test_an_open_token_wakes_nobody(store: SqlStore) -> None:
    seen = store.changes()
    holding(store, OPEN)
    store.tell(A.arn, FACT)
    assert grown(store, seen) == seen + 1


def test_who_stops_in_the_middle_keeps_nobody_waiting(store: SqlStore) -> None:
    [limit] = driver_of(store).execute("SHOW idle_in_transaction_session_timeout").fetchone() or ()
    assert limit == "10s"


# --- text that PostgreSQL does not have


def test_what_is_no_text_for_postgresql_is_written_as_json_escapes_it(store: SqlStore) -> None:
    odd, spelt = "a\x00b\ud800", "a\\u0000b\\ud800"
    opened = replace(A, bindings=odd)
    end = Closing("FAILED", error=odd, cause=odd, stopped_at=2.0)
    store.append(
        [Append(A.arn, 0, 1, 1.0, b'["\\u0000"]', opened=opened, closed=end, logs=(LogRow(1, odd),))]
    )
    store.tell(A.arn, odd)
    found = store.execution(A.arn)
    assert found is not None
    assert (found.bindings, found.error, found.cause) == (spelt, spelt, spelt)
    assert store.logs(A.arn) == {1: spelt}
    assert [row.records for row in store.journal(A.arn)] == [b'["\\u0000"]']
    assert [row.fact for row in store.inbox()] == [spelt]
    assert store.execution(f"{A.arn}\x00") is None


def test_a_number_that_is_too_large_leaves_nothing(store: SqlStore) -> None:
    with pytest.raises(StoreError, match="cannot hold such a value"):
        store.append([opening(A), step(A, 2**70)])
    assert store.executions() == []
    assert store.append([opening(A)]) == [True]


def test_append_after_close_is_refused(url: str) -> None:
    store = open_store(url)
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.append([opening(A)])


def test_without_the_driver_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "nbflow.store.postgres")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"needs psycopg .* pip install 'nbflow\[postgres\]'"):
        open_store("postgresql+psycopg://user:secret@localhost/db")
