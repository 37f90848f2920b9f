"""Executions that the store never hears of, and tasks that a script answers for."""

import pytest

from nbflow.engine.live import AlreadyExists, EngineError, Script
from nbflow.language.validate import parse
from nbflow.language.values import Json
from nbflow.machine.records import ExecutionSucceeded, Record
from nbflow.store.port import StoreError
from nbflow.store.rows import Append, Closing, ExecutionRow
from nbflow.tasks import function
from nbflow.tasks.job import Outcome
from tests.engine.test_engine import Desk, task
from tests.machine.driver import CONTEXT, TASK

ROW = ExecutionRow("arn:x", "x", "arn:machine", "", "RUNNING", "{}", 0.0)
WAIT: Json = {"Type": "Wait", "Seconds": 10, "End": True}


def run(desk: Desk, state: Json, script: Script | None = None) -> Closing:
    """The end of an Express execution of one state, whose function is ``f``."""
    definition = parse({"StartAt": "S", "States": {"S": state}})
    codes = {f"{TASK[:-1]}f": function.pin(lambda data: {"got": data}, "f", keywords=False)}
    ended = desk.engine.express(ROW, definition, codes, CONTEXT, script=script)
    desk.settle()
    return ended.result(timeout=0)


def test_an_express_execution_ends_without_a_trace_in_the_store(desk: Desk) -> None:
    begun = desk.clock.now()
    assert run(desk, task()) == Closing("SUCCEEDED", '{"got":{}}', None, None, begun)
    assert run(desk, WAIT) == Closing("SUCCEEDED", "{}", None, None, begun + 10)
    failed = run(desk, {"Type": "Fail", "Error": "E", "Cause": "C"})
    assert (failed.status, failed.output, failed.error, failed.cause) == ("FAILED", None, "E", "C")
    assert desk.store.executions() == []


def test_the_bus_hears_of_it_and_the_list_of_running_ones_does_not(desk: Desk) -> None:
    heard: list[Record] = []
    desk.engine.bus.subscribe(lambda _, records: heard.extend(records))
    definition = parse({"StartAt": "S", "States": {"S": WAIT}})
    ended = desk.engine.express(ROW, definition, {}, CONTEXT)
    desk.engine.turn()
    assert desk.engine.running == []
    with pytest.raises(AlreadyExists):
        desk.engine.express(ROW, definition, {}, CONTEXT)
    desk.settle()
    assert ended.done()
    assert isinstance(heard[-1], ExecutionSucceeded)


def test_a_store_that_fails_does_not_matter_to_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(batch: list[Append]) -> list[bool]:
        raise StoreError("disk full")

    monkeypatch.setattr(desk.store, "append", refuse)
    assert run(desk, WAIT).status == "SUCCEEDED"


def test_when_the_engine_closes_whoever_waits_is_told(desk: Desk) -> None:
    ended = desk.engine.express(ROW, parse({"StartAt": "S", "States": {"S": WAIT}}), {}, CONTEXT)
    desk.engine.turn()
    desk.engine.close()
    with pytest.raises(EngineError, match="its engine was closed"):
        ended.result(timeout=0)


def test_a_script_answers_before_a_pool(desk: Desk) -> None:
    asked: list[str] = []

    def script(state: str) -> Outcome | None:
        asked.append(state)
        return Outcome("", 0, error="Boom", cause="no") if len(asked) == 1 else None

    retry = [{"ErrorEquals": ["Boom"]}]
    assert run(desk, task(Retry=retry), script).output == '{"got":{}}'
    assert asked == ["S", "S"]
    assert len(desk.threads.done) == 1


def test_the_script_of_a_kept_execution(desk: Desk) -> None:
    row = ExecutionRow("arn:k", "k", "arn:machine", "", "RUNNING", "{}", 0.0)
    definition = parse({"StartAt": "S", "States": {"S": task()}})
    started = desk.engine.start(row, definition, {}, "", CONTEXT, script=lambda _: Outcome("", 0, {"a": 1}))
    desk.settle()
    started.result(timeout=0)
    kept = desk.store.execution("arn:k")
    assert kept is not None
    assert (kept.status, kept.output) == ("SUCCEEDED", '{"a":1}')
