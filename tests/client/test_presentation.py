"""Where runs are shown, and what waits for them."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

import nbflow as nf
from nbflow.client import executions, presentation
from nbflow.client.connection import Connection, _at_exit
from tests.client.gates import GATES
from tests.client.machines import gated, one, raising, waiting


class Recorder:
    """A presenter that remembers what it was told."""

    waits_at_exit = False

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.patience_ended = threading.Event()

    def connected(self, connection: Connection) -> None:
        self.told.append(("connected", connection.url))

    def started(self, execution: nf.Execution) -> None:
        self.told.append(("started", execution.name))

    def panel(self, execution: nf.Execution) -> None:
        self.told.append(("panel", execution.name))

    def still_waiting(self, execution: nf.Execution) -> None:
        self.told.append(("still waiting", execution.name))
        self.patience_ended.set()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    before = presentation.presenter()
    recorder = Recorder()
    presentation.use(recorder)
    yield recorder
    presentation.use(before)


def test_outside_a_notebook_nothing_is_shown_and_a_panel_says_what_to_do(connection: Connection) -> None:
    run = one(lambda input: input).start(1, execution_name="r")
    run.wait()
    with pytest.raises(nf.NbflowError, match=r"a panel needs a notebook; here, `nbflow show r`"):
        run.panel()


def test_a_presenter_hears_of_each_start(connection: Connection, recorder: Recorder) -> None:
    run = one(lambda input: input).start(1, execution_name="r")
    assert recorder.told == [("started", "r")]
    run.panel()
    assert recorder.told[1:] == [("panel", "r")]


def test_who_waits_long_is_told_once(
    connection: Connection, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executions, "_PATIENCE", 0.0)
    run = one(gated).start(gate="g", execution_name="r")
    waiter = threading.Thread(target=run.wait)
    waiter.start()
    assert recorder.patience_ended.wait(20)
    GATES.open("g")
    waiter.join()
    assert recorder.told == [("started", "r"), ("still waiting", "r")]


def test_a_notebook_that_ends_leaves_what_runs(
    connection: Connection,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ended = []
    monkeypatch.setattr("nbflow.client.connection._end_now", lambda code: ended.append(True))
    waiting().start(execution_name="r")
    _at_exit()
    assert ended == [True]
    assert "left as last recorded: r" in capsys.readouterr().err


# --- await


def test_await_gives_the_result_and_leaves_the_loop_free(connection: Connection) -> None:
    async def main() -> object:
        run = one(gated).start(gate="g")
        waiting = asyncio.ensure_future(run._awaited())
        await asyncio.to_thread(GATES.reached, "g")  # the loop goes on
        assert not waiting.done()
        GATES.open("g")
        return await waiting

    assert asyncio.run(main()) == {"gate": "g"}


def test_await_raises_what_result_raises(connection: Connection) -> None:
    async def main() -> None:
        await one(raising).start("x")

    with pytest.raises(nf.ExecutionFailed, match="no good: x"):
        asyncio.run(main())


def test_who_stops_awaiting_does_not_stop_the_run(connection: Connection) -> None:
    async def main() -> nf.Execution:
        run = one(gated).start(gate="g")
        waiting = asyncio.ensure_future(run._awaited())
        await asyncio.to_thread(GATES.reached, "g")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return run

    run = asyncio.run(main())
    assert run.status == "RUNNING"
    GATES.open("g")
    assert run.result() == {"gate": "g"}


def test_await_of_what_another_process_runs(connection: Connection, elsewhere: Connection) -> None:
    run = nf.execution(waiting().start(execution_name="r").name)
    other = nf.Execution(run.arn, elsewhere)

    async def main() -> None:
        awaiting = asyncio.ensure_future(other._awaited())
        await asyncio.sleep(0)
        run.stop()
        with pytest.raises(nf.ExecutionFailed, match="was stopped"):
            await awaiting

    asyncio.run(main())


def test_await_of_a_closed_connection_says_so(connection: Connection) -> None:
    run = waiting().start()

    async def main() -> None:
        awaiting = asyncio.ensure_future(run._awaited())
        await asyncio.sleep(0)
        await asyncio.to_thread(connection.engine.close)
        await awaiting

    with pytest.raises(nf.NbflowError, match=r"its engine was closed|was left as last recorded"):
        asyncio.run(main())
