"""Children of EXPRESS Map Runs that are done whole."""

import itertools
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbflow.artifacts.shelf import Shelf
from nbflow.artifacts.values import references
from nbflow.language.values import Json
from nbflow.machine import Machine, distributed, orders
from nbflow.machine.records import decode
from nbflow.tasks import child, function
from nbflow.tasks.child import Ending, HandedBack, attempt_of, number_of
from nbflow.tasks.job import Code, Job, Outcome
from nbflow.tasks.perform import perform
from nbflow.tasks.stopping import Stopped, stop
from tests.machine.driver import ACTIVITY, TASK

RUN = "arn:aws:states:us-east-1:000000000000:mapRun:machine/each:run"
NUMBER, TIME = 7, 3
_, ARN, _ = distributed.child(RUN, NUMBER, express=True)
CONTEXT: dict[str, Json] = {"Execution": {"Id": "of the parent", "RoleArn": "arn:role"}, "Express": True}


def states(**states: Json) -> dict[str, Json]:
    """A definition that starts at the first of them."""
    return {"StartAt": next(iter(states)), "States": states}


def task(name: str = "f", **more: Json) -> dict[str, Json]:
    return {
        "Type": "Task",
        "Resource": f"{TASK[:-1]}{name}",
        **({} if "Next" in more else {"End": True}),
        **more,
    }


class Bench:
    """Does children of one definition, each as a pool would."""

    def __init__(self, folder: Path) -> None:
        self.shelf = Shelf(str(folder / "shelf"))
        self.code: Code

    def pin(self, definition: dict[str, Json], **tasks: Callable[..., object]) -> None:
        codes = {
            f"{TASK[:-1]}{name}": function.pin(each, name, keywords=False) for name, each in tasks.items()
        }
        self.code = child.pin("each", json.dumps(definition), codes, CONTEXT)

    def outcome(self, input: Json = None, now: Callable[[], float] = lambda: 1000.0) -> Outcome:
        return perform(Job(RUN, attempt_of(NUMBER, TIME), self.code, input, self.shelf), now=now)

    def ending(self, input: Json = None, now: Callable[[], float] = lambda: 1000.0) -> Ending:
        outcome = self.outcome(input, now)
        assert isinstance(outcome.output, Ending), (outcome.error, outcome.cause, outcome.output)
        return outcome.output

    def back(self, input: Json = None) -> Machine:
        """What has been handed back, as whoever goes on sees it."""
        outcome = self.outcome(input)
        assert isinstance(outcome.output, HandedBack), outcome
        definition, _, _ = child.plan(self.code.content)
        return Machine.rebuilt(definition, child._CHANCE, [decode(outcome.output.records)])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def double(value: int) -> int:
    print(f"doubling {value}")
    return 2 * value


def raising(value: Json) -> None:
    raise ValueError(value)


def test_its_tasks_are_done_one_after_the_other(bench: Bench) -> None:
    bench.pin(states(A=task(Next="B"), B=task()), f=double)
    outcome = bench.outcome(3)
    assert outcome.output == Ending("SUCCEEDED", "12", None, None, 1000.0, 1000.0)
    assert outcome.log == "doubling 3\ndoubling 6\n"


def test_what_has_no_task_is_done_too(bench: Bench) -> None:
    bench.pin(states(P={"Type": "Pass", "Parameters": {"v.$": "$", "e.$": "$$.Execution"}, "End": True}))
    output = json.loads(bench.ending(3).output or "")
    about = {"Id": ARN, "Name": ARN.rpartition(":")[2], "RoleArn": "arn:role", "Input": 3}
    assert output["v"] == 3
    assert output["e"].items() >= about.items()


def test_it_has_retries_and_catches_of_its_own(bench: Bench) -> None:
    retry = {"ErrorEquals": ["OSError"], "MaxAttempts": 3, "IntervalSeconds": 1}
    catch = {"ErrorEquals": ["ValueError"], "Next": "B", "ResultPath": "$.error"}
    bench.pin(
        states(A=task("raising", Retry=[retry], Catch=[catch]), B=task("name", InputPath="$.error.Error")),
        raising=raising,
        name=str.upper,
    )
    assert bench.ending({}).output == '"VALUEERROR"'


def fails_after(bench: Bench, value: str, **before: Json) -> Outcome:
    """States that assign ``x`` and go to A, a task that is given it, and one that fails; the output has both.

    ``value`` is an expression in the last of them, which is P.
    """
    bench.pin(
        states(
            **before,
            P={"Type": "Pass", "Assign": {"x.$": value}, "Next": "A"},
            A=task("given", Parameters={"x.$": "$x"}, ResultPath="$.a", Next="B"),
            B=task("raising", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "C", "ResultPath": None}]),
            C={"Type": "Pass", "Parameters": {"x.$": "$x", "a.$": "$.a"}, "End": True},
        ),
        given=printing,
        raising=raising,
    )
    return bench.outcome({}, a_second_a_look())


def test_what_was_done_before_a_failure_stays(bench: Bench) -> None:
    """Nothing is done twice, and what was drawn by chance is what the tasks were given."""
    outcome = fails_after(bench, "States.UUID()")
    ending = outcome.output
    assert isinstance(ending, Ending)
    output = json.loads(ending.output or "")
    assert output["a"] == {"x": output["x"]}
    assert outcome.log.count("printing") == 1
    assert (ending.start, ending.stop) == (1000.0, 1002.0)  # A has ended at 1001


def test_times_are_those_of_then_however_long_it_takes(bench: Bench) -> None:
    """The machine that goes on takes several steps to come to the same point."""
    passes = {f"P{number}": {"Type": "Pass", "Next": f"P{number + 1}"} for number in range(199)}
    ending = fails_after(bench, "$$.State.EnteredTime", **passes, P199={"Type": "Pass", "Next": "P"}).output
    assert isinstance(ending, Ending)
    output = json.loads(ending.output or "")
    assert output["a"] == {"x": output["x"]}


def printing(value: Json) -> Json:
    print("printing")
    return value


def test_what_is_too_large_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("nbflow.tasks.child", "nbflow.machine.turn"):
        monkeypatch.setattr(f"{module}.MOST_BYTES", 1000)
    bench.pin(states(A=task()), f=lambda value: "é" * value)
    assert bench.ending(400).status == "SUCCEEDED"
    assert bench.ending(500).error == "States.DataLimitExceeded"


def test_so_is_what_is_nested_too_deeply(bench: Bench) -> None:
    def nested(value: Json) -> Json:
        for _ in range(190):
            value = [value]
        return value

    wrapped: Json = {"p.$": "$"}
    for _ in range(29):
        wrapped = {"p": wrapped}
    deeper = {
        f"P{number}": {"Type": "Pass", "Parameters": wrapped, "Next": f"P{number + 1}"}
        for number in range(30)
    }
    bench.pin(states(A=task(Next="P0"), **deeper, P30={"Type": "Succeed"}), f=nested)
    assert bench.ending(1).error == "States.DataLimitExceeded"


def test_a_failure_is_its_own(bench: Bench) -> None:
    bench.pin(states(A=task("raising")), raising=raising)
    ending = bench.ending("no")
    assert (ending.status, ending.error, ending.output) == ("FAILED", "ValueError", None)
    assert json.loads(ending.cause or "")["errorMessage"] == "no"


def test_branches_and_iterations_take_turns(bench: Bench) -> None:
    each = {"Type": "Map", "ItemProcessor": states(D=task()), "End": True}
    bench.pin(
        states(
            P={
                "Type": "Parallel",
                "Branches": [states(M=each), states(N=task(InputPath="$[0]"))],
                "End": True,
            }
        ),
        f=double,
    )
    assert bench.ending([1, 2]).output == "[[2,4],2]"


def test_what_is_given_up_is_not_begun(bench: Bench) -> None:
    """A branch fails; the other one has not had its turn."""
    done = []

    def note(value: Json) -> None:
        done.append(value)

    branches = [states(A=task("raising")), states(B=task("note"))]
    catch = {"ErrorEquals": ["States.ALL"], "Next": "C"}
    bench.pin(
        states(
            P={"Type": "Parallel", "Branches": branches, "Catch": [catch], "End": True},
            C={"Type": "Pass", "Result": "caught", "End": True},
        ),
        raising=raising,
        note=note,
    )
    assert bench.ending(1).output == '"caught"'


def test_what_one_task_has_made_the_next_one_gets(bench: Bench) -> None:
    def frame(rows: int) -> pd.DataFrame:
        return pd.DataFrame({"n": range(rows)})

    bench.pin(states(A=task("frame", Next="B"), B=task("len", ResultPath="$.rows")), frame=frame, len=len)
    outcome = bench.outcome(3)
    assert json.loads(outcome.output.output)["rows"] == 3
    made = {artifact.sha256 for artifact in outcome.artifacts}
    assert len(made) == 1
    assert made == references({**json.loads(outcome.output.output), "rows": 3})


def test_a_wait_is_handed_back(bench: Bench) -> None:
    bench.pin(states(A=task(Next="W"), W={"Type": "Wait", "Seconds": 5, "Next": "B"}, B=task()), f=double)
    machine = bench.back(3)
    assert machine.outstanding() == [orders.WakeAt(1005.0)]
    assert machine.run.context["Execution"]["Id"] == ARN


def test_no_wait_is_none(bench: Bench) -> None:
    bench.pin(states(W={"Type": "Wait", "Seconds": 0, "Next": "A"}, A=task()), f=double)
    assert bench.ending(3).output == "6"


def test_so_is_a_retry_that_has_to_wait(bench: Bench) -> None:
    retry = {"ErrorEquals": ["ValueError"], "MaxAttempts": 1, "IntervalSeconds": 7}
    bench.pin(states(A=task("raising", Retry=[retry])), raising=raising)
    assert bench.back("x").outstanding() == [orders.WakeAt(1007.0)]


@pytest.mark.parametrize("resource", [ACTIVITY, f"{TASK[:-1]}unbound"])
def test_so_is_what_others_do(bench: Bench, resource: str) -> None:
    bench.pin(states(A=task(Next="B"), B={**task(), "Resource": resource}), f=double)
    [order] = bench.back(3).outstanding()
    assert isinstance(order, orders.RunTask)
    assert (order.resource, order.arguments) == (resource, 6)


def test_so_is_what_may_never_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "MOST_RECORDS", 100)
    again = [{"Variable": "$", "IsNull": True, "Next": "A"}]
    end = {"Type": "Succeed"}
    bench.pin(states(A={"Type": "Choice", "Choices": again, "Default": "E"}, E=end))
    assert bench.back().run.status == "RUNNING"


def test_an_invocation_calls_the_function_that_it_names(bench: Bench) -> None:
    code = function.pin(double, "double", keywords=False)
    named = {"FunctionName": "double", "Payload.$": "$"}
    definition = states(A={**task(Parameters=named), "Resource": "arn:aws:states:::lambda:invoke"})
    bench.code = child.pin("each", json.dumps(definition), {"double": code}, CONTEXT)
    assert json.loads(bench.ending(4).output or "")["Payload"] == 8


def a_second_a_look() -> Callable[[], float]:
    """A clock that goes on by a second whenever somebody looks."""
    return map(float, itertools.count(1000)).__next__


GATE = threading.Event()


def stuck(value: Json) -> str:
    GATE.wait(10)
    return "late"


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What ``stuck`` waits for; it is open in the end."""
    monkeypatch.setattr(function, "load", lambda code: stuck)
    GATE.clear()
    yield GATE
    GATE.set()


def test_a_task_that_takes_too_long_is_left_alone(bench: Bench, gate: threading.Event) -> None:
    catch = {"ErrorEquals": ["States.Timeout"], "Next": "C"}
    late = {"Type": "Pass", "Result": "too late", "End": True}
    bench.pin(states(A=task(TimeoutSeconds=1, Catch=[catch]), C=late), f=double)
    assert bench.ending(1, a_second_a_look()).output == '"too late"'


def test_a_task_goes_on_when_something_else_is_due(
    bench: Bench, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = child._Aside.ended

    def not_at_first(aside: child._Aside, seconds: float | None) -> bool:
        if gate.is_set():
            return ended(aside, 10)
        gate.set()
        return False

    monkeypatch.setattr(child._Aside, "ended", not_at_first)
    wait = {"Type": "Wait", "Seconds": 1, "Next": "Q"}
    branches = [states(W=wait, Q={"Type": "Pass", "Result": "waited", "End": True}), states(A=task())]
    bench.pin(states(P={"Type": "Parallel", "Branches": branches, "End": True}), f=double)
    assert bench.ending(1, a_second_a_look()).output == '["waited","late"]'


def test_it_is_stopped_as_a_whole(bench: Bench) -> None:
    def stopping(value: Json) -> None:
        stop([(RUN, attempt_of(NUMBER, TIME))])
        for _ in range(1000):  # it is raised between two steps of Python
            pass

    bench.pin(
        states(A=task("stopping", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "B"}]), B=task()),
        stopping=stopping,
        f=double,
    )
    assert bench.outcome(1).error == "Stopped"


def test_a_task_that_has_a_time_limit_is_stopped_with_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on a thread of its own, which must not be left behind."""
    told = threading.Event()

    def working(value: Json) -> None:
        stop([(RUN, attempt_of(NUMBER, TIME))])
        try:
            for _ in range(1000):
                over.wait(0.01)
        except Stopped:
            told.set()
            raise

    over = threading.Event()
    monkeypatch.setattr(function, "load", lambda code: working)
    bench.pin(states(A=task(TimeoutSeconds=100)), f=double)
    assert bench.outcome(1).error == "Stopped"
    assert told.wait(10)


def test_codes_that_do_the_same_are_kin(bench: Bench) -> None:
    codes = {TASK: function.pin(double, "f", keywords=False)}
    definition = json.dumps(states(A=task()))
    one, other = (child.pin("each", definition, codes, {"Execution": {"Id": id}}) for id in "ab")
    assert one.kin == other.kin
    assert one.sha256 != other.sha256
    assert child.pin("each", json.dumps(states(B=task())), codes, CONTEXT).kin != one.kin


@given(st.integers(0, 10**9), st.integers(0, 10**6))
def test_an_attempt_tells_the_child_and_the_time(number: int, time: int) -> None:
    attempt = attempt_of(number, time)
    assert attempt < 0
    assert number_of(attempt) == number
    assert attempt_of(number, time + 1) != attempt
