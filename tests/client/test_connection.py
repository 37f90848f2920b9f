"""Where the store lies, what the default connection is, and waiting."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import nbflow as nf
from nbflow.client import connection as module
from nbflow.client.connection import Connection, StoppedWaiting, store_folder
from tests.client.failing import Failing
from tests.client.gates import GATES
from tests.client.machines import gated, one, waiting


@dataclass(frozen=True)
class Place:
    id: str
    present: tuple[str, ...]
    """What is there, below the root; a name with a dot at its end is a file."""
    expected: str
    """Where the store of the folder ``a/b/c`` is."""


PLACES = [
    Place("nothing: here", (), "a/b/c/.nbflow"),
    Place("the nearest store", (".nbflow", "a/.nbflow", "a/b/c/.git"), "a/.nbflow"),
    Place("beside .git", (".git", "a/b/.git"), "a/b/.nbflow"),
    Place("beside pyproject.toml", ("a/pyproject.toml",), "a/.nbflow"),
    Place("a store before a project", ("a/.nbflow", "a/b/pyproject.toml"), "a/.nbflow"),
]


@pytest.mark.parametrize("case", PLACES, ids=lambda case: case.id)
def test_the_store_lies_in_the_project(tmp_path: Path, case: Place) -> None:
    here = tmp_path / "a" / "b" / "c"
    here.mkdir(parents=True)
    for name in case.present:
        (tmp_path / name).mkdir(parents=True)
    assert store_folder(here) == tmp_path / case.expected


def test_with_threads_only_dask_is_not_even_imported(tmp_path: Path) -> None:
    code = """
import sys, threading
import nbflow as nf

@nf.task(on="dask")
def where(x: int) -> str:
    return threading.current_thread().name

@nf.flow
def mapped(xs: list[int]):
    return [where(x) for x in xs]

nf.connect("sqlite:///store.sqlite", pool="threads")
print([name.partition("_")[0] for name in mapped.run(xs=[1, 2])], "distributed" in sys.modules)
"""
    (tmp_path / "mapped.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "mapped.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("['nbflow-task', 'nbflow-task'] False\n", "")


@dataclass(frozen=True)
class BadPool:
    options: dict[str, Any]
    message: str


BAD_POOLS = [
    BadPool({"pool": "thread"}, r"^nf\.connect\(pool=…\) is 'dask' or 'threads', not 'thread'$"),
    BadPool(
        {"pool": "threads", "dask": "tcp://127.0.0.1:1"}, "uses no Dask: leave out dask='tcp://127.0.0.1:1'"
    ),
]


@pytest.mark.parametrize("case", BAD_POOLS, ids=lambda case: str(case.options))
def test_a_senseless_pool_is_refused(case: BadPool) -> None:
    with pytest.raises(nf.NbflowError, match=case.message):
        nf.connect("sqlite:///never.sqlite", **case.options)


def test_a_new_store_is_ignored_by_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NBFLOW_URL", raising=False)
    (tmp_path / "pyproject.toml").touch()
    connection = nf.connect()
    assert connection.url == f"sqlite:///{tmp_path / '.nbflow' / 'nbflow.sqlite'}"
    assert (tmp_path / ".nbflow" / ".gitignore").read_text() == "*\n"
    assert connection.shelf.url == str(tmp_path / ".nbflow" / "artifacts")


def test_a_gitignore_of_the_users_own_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NBFLOW_URL", raising=False)
    (tmp_path / ".nbflow").mkdir()
    (tmp_path / ".nbflow" / ".gitignore").write_text("artifacts\n")
    nf.connect()
    assert (tmp_path / ".nbflow" / ".gitignore").read_text() == "artifacts\n"


def test_a_folder_that_cannot_be_made_is_named_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NBFLOW_URL", raising=False)
    (tmp_path / ".nbflow").touch()
    with pytest.raises(nf.NbflowError, match=r"\.nbflow cannot be made: .*NBFLOW_URL"):
        nf.connect()


def test_the_environment_names_the_store_and_the_argument_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBFLOW_URL", f"sqlite:///{tmp_path / 'one.sqlite'}")
    assert nf.connect().url.endswith("one.sqlite")
    assert nf.connect(f"sqlite:///{tmp_path / 'two.sqlite'}").url.endswith("two.sqlite")


def test_artifacts_may_lie_elsewhere(tmp_path: Path) -> None:
    assert nf.connect(f"sqlite:///{tmp_path}/s.sqlite", artifacts=tmp_path / "x").shelf.url == str(
        tmp_path / "x"
    )
    assert nf.connect(f"sqlite:///{tmp_path}/s.sqlite", artifacts="memory://x").shelf.url == "memory://x"


def test_a_relative_store_has_its_artifacts_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert nf.connect("sqlite:///sub/s.sqlite").shelf.url == str(tmp_path / "sub" / "artifacts")
    assert (tmp_path / "sub" / "s.sqlite").exists()


@dataclass(frozen=True)
class BadUrl:
    id: str
    url: str
    says: str


@pytest.mark.parametrize(
    "case",
    [
        BadUrl("a path", "store.sqlite", "Give sqlite:///PATH"),
        BadUrl("a server", "http://127.0.0.1:8083", "Give sqlite:///PATH"),
        BadUrl("in memory", "sqlite://", "Give sqlite:///PATH"),
        BadUrl("no folder", "sqlite:////dev/null/x/s.sqlite", "cannot be made"),
    ],
    ids=lambda case: case.id,
)
def test_a_bad_url_is_refused_and_the_present_connection_stays(connection: Connection, case: BadUrl) -> None:
    with pytest.raises(nf.StoreError, match=case.says):
        nf.connect(case.url)
    assert module.current() is connection
    assert waiting().start().status == "RUNNING"


def test_a_connection_is_made_on_first_need_and_after_disconnect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBFLOW_URL", f"sqlite:///{tmp_path / 's.sqlite'}")
    nf.disconnect()
    first = module.current()
    assert module.current() is first
    nf.disconnect()
    nf.disconnect()
    assert module.current() is not first


def test_what_runs_when_the_connection_is_closed_is_left_with_a_word(
    connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    run = waiting().start(execution_name="patient")
    told: list[BaseException] = []

    def wait() -> None:
        try:
            run.wait()
        except nf.NbflowError as error:
            told.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    nf.disconnect()
    waiter.join(10)
    assert "left as last recorded" in str(told[0])
    assert "left as last recorded: patient (nbflow resume NAME" in capsys.readouterr().err
    with pytest.raises(nf.NbflowError, match=r"nf\.execution\('patient'\) is the same execution"):
        run.result()
    nf.connect(connection.url)
    assert nf.execution("patient").status == "RUNNING"


def test_waiting_ends_with_the_execution(connection: Connection) -> None:
    run = one(gated).start(gate="a")
    GATES.reached("a")
    GATES.open("a")
    connection.wait(run.arn)
    assert run.status == "SUCCEEDED"


def test_waiting_may_be_bounded(connection: Connection) -> None:
    run = waiting().start(execution_name="patient")
    with pytest.raises(TimeoutError, match=r"execution patient has not ended within 0\.01 s"):
        connection.wait(run.arn, 0.01)
    assert run.status == "RUNNING"


def test_what_another_process_ends_is_noticed_by_who_waits(
    connection: Connection, elsewhere: Connection
) -> None:
    run = waiting().start()
    elsewhere.service.stop_execution(run.arn, "Enough")
    connection.wait(run.arn)
    assert (run.status, run.error) == ("ABORTED", "Enough")
    assert connection.running == []


def test_what_another_process_runs_is_waited_for_with_one_word(
    connection: Connection, elsewhere: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    run = waiting().start(execution_name="theirs")
    for _ in range(2):
        with pytest.raises(TimeoutError):
            elsewhere.wait(run.arn, 0.01)
    said = capsys.readouterr().err
    assert said.count("theirs is run by process ") == 1
    assert "Ctrl-C stops waiting" in said
    connection.store.release(connection.engine.id)  # as if that process were no more
    with pytest.raises(TimeoutError):
        elsewhere.wait(run.arn, 0.01)
    assert "theirs is interrupted: nf.resume('theirs') goes on with it" in capsys.readouterr().err
    connection.service.stop_execution(run.arn)
    elsewhere.wait(run.arn)


def test_an_execution_of_another_store_is_named(connection: Connection, tmp_path: Path) -> None:
    run = waiting().start()
    other = nf.connect(f"sqlite:///{tmp_path / 'other.sqlite'}")
    with pytest.raises(nf.NbflowError, match=r"is not in the store sqlite:.*other\.sqlite"):
        other.row(run.arn)


def test_waiting_for_all_says_which_did_not_succeed(
    connection: Connection,
    elsewhere: Connection,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting().start(execution_name="patient")
    monkeypatch.setattr(connection, "wait", lambda arn: elsewhere.service.stop_execution(arn, "Enough"))
    connection.wait_for_all()
    assert capsys.readouterr().err == "nbflow: execution patient ABORTED: Enough (nbflow show patient)\n"


def test_what_is_interrupted_is_counted_and_some_of_it_named(
    connection: Connection, elsewhere: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(7):
        waiting().start(execution_name=f"run-{number}")
    elsewhere.offer_to_resume()
    assert capsys.readouterr().err == ""
    connection.store.release(connection.engine.id)  # as if that process were no more
    elsewhere.offer_to_resume()
    said = capsys.readouterr().err
    assert "7 executions are interrupted (the process has ended): run-0, run-1" in said
    assert "run-4 and 2 more" in said


def test_what_has_been_stopped_is_not_offered_to_be_resumed(
    connection: Connection, elsewhere: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting().start().stop()
    connection.store.release(connection.engine.id)
    elsewhere.offer_to_resume()
    assert capsys.readouterr().err == ""


def test_what_is_left_is_said_before_anything_ends(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C may cut the rest short."""
    waiting().start(execution_name="patient")
    close, said = connection.engine.close, []

    def closing() -> None:
        said.append(capsys.readouterr().err)
        close()

    monkeypatch.setattr(connection.engine, "close", closing)
    nf.disconnect()
    assert "left as last recorded: patient (nbflow resume NAME" in said[0]
    assert capsys.readouterr().err == "", "once"


# --- a store that fails for a while


@pytest.fixture
def fails(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Lets a method of the store fail some times. Whoever waits, looks again soon.

    A failure opens gate "a": not before somebody has met it may the execution end.
    """
    monkeypatch.setattr(module, "_POLL", 0.001)

    def let_fail(method: str, times: int) -> None:
        monkeypatch.setattr(
            connection.store,
            method,
            Failing(getattr(connection.store, method), times, lambda: GATES.open("a")),
        )

    return let_fail


def test_who_waits_for_a_run_waits_for_the_store_with_one_word(
    fails: Callable[[str, int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    run = one(gated).start(gate="a")
    GATES.reached("a")
    fails("execution", 3)
    assert run.result() == {"gate": "a"}
    assert capsys.readouterr().err.count("The store is away. It is waited for (Ctrl-C stops waiting)") == 1


def test_so_does_who_awaits_it(fails: Callable[[str, int], None], capsys: pytest.CaptureFixture[str]) -> None:
    run = one(gated).start(gate="a")
    GATES.reached("a")
    fails("execution", 3)

    async def main() -> object:
        return await run

    assert asyncio.run(main()) == {"gate": "a"}
    assert capsys.readouterr().err.count("It is waited for") == 1


@pytest.mark.parametrize("method", ["execution", "owned"])
def test_so_does_who_waits_for_all(
    method: str, connection: Connection, fails: Callable[[str, int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    one(gated).start(gate="a")
    GATES.reached("a")
    fails(method, 3)
    connection.wait_for_all()
    assert connection.running == []
    assert capsys.readouterr().err.count("It is waited for") == 1


def test_a_bounded_wait_is_bounded_while_the_store_fails(fails: Callable[[str, int], None]) -> None:
    run = waiting().start()
    fails("execution", 1_000_000)
    with pytest.raises(TimeoutError):
        run.wait(0.01)
    with pytest.raises(nf.StoreError, match="is away"):  # asked for, not waited for
        run.status  # noqa: B018


@pytest.mark.parametrize("method", ["owned", "engines", "execution"])
def test_a_store_that_fails_keeps_nobody_from_connecting_and_leaving(
    method: str,
    connection: Connection,
    fails: Callable[[str, int], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    waiting().start(execution_name="patient")
    fails(method, 1_000_000)
    connection.offer_to_resume()
    nf.disconnect()
    assert connection.closed
    said = capsys.readouterr().err
    assert "left as last recorded: patient (nbflow resume NAME" in said
    assert ("Whether executions are interrupted is not known" in said) == (method == "engines")


def test_ipython_shows_the_message_of_an_interrupted_wait_only() -> None:
    error = StoppedWaiting("stopped waiting")
    assert error._render_traceback_() == ["stopped waiting"]
    assert isinstance(error, KeyboardInterrupt)
